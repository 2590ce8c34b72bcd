/* Mixed factors against dense ones of the same rows written out, and without a tail
   against Kronecker factors. */
#include "samples.h"

#include <stdio.h>

static const struct {
    const char *name;
    int n, d, c, extra, block;
    prob_kind kind;
    bool unweighted;
} table[] = {
    { "uneven blocks", 37, 5, 4, 7, 8, MIXED, false },
    { "blocks with few samples", 23, 3, 3, 13, 2, SMOOTH, false },
    { "one block", 29, 4, 5, 3, 256, ZEROS, false },
    { "two classes", 61, 2, 2, 9, 16, SMOOTH, false },
    { "fewer samples than ranks", 2, 3, 3, 4, 1, SMOOTH, false },
    { "more tail than head", 19, 1, 3, 41, 4, SMOOTH, false },
    { "unweighted", 37, 5, 4, 7, 8, MIXED, true },
    { "no tail", 37, 5, 4, 0, 8, MIXED, false },
    { "no tail, two classes", 37, 4, 2, 0, 4, SMOOTH, false },
};

/* What a factor says; columns on the root only. */
typedef struct {
    int r, order, leading;
    double *gram;     /* [D, D] */
    double *forms;    /* [groups, r (r + 1) / 2, LANES] */
    double *products; /* [groups, 2 r, r, LANES] */
    double *columns;  /* [r, leading]: gram V_s^T of the middle sample */
    fmal_idx n_forms, n_products;
} answers;

static void answers_clear(answers *a)
{
    fmal_free(&a->gram);
    fmal_free(&a->forms);
    fmal_free(&a->products);
    fmal_free(&a->columns);
}

static const double scale = 0.3;

/* All local samples. */
static fmal_panel *panel_of(const fmal_factor *f, fmal_idx n)
{
    fmal_idx *list = zeros_of(n, sizeof *list);
    fmal_panel *panel = NULL;

    for (fmal_idx i = 0; i < n; i++)
        list[i] = i;
    if (fmal_panel_create(f, list, n, scale, 2 * fmal_factor_rank(f), &panel) !=
        FMAL_OK)
        abort();
    fmal_free(&list);
    return panel;
}

/* Products with columns of the gram, which lie in the span of all factors. */
static void ask_products(fmal_panel *panel, answers *a)
{
    int cols = 2 * a->r;
    fmal_idx each = (fmal_idx) cols * a->r * FMAL_LANES;
    double *w = zeros((fmal_idx) cols * a->leading);

    a->n_products = fmal_panel_groups(panel) * each;
    a->products = zeros(a->n_products);
    for (int j = 0; j < cols; j++)
        memcpy(w + j * a->leading, a->gram + j * 5 % a->order * a->order,
               sizeof(double) * (size_t) a->leading);
    fmal_panel_load(panel, w, cols);
    for (fmal_idx b = 0; b < fmal_panel_blocks(panel); b++)
        fmal_panel_apply(panel, b,
                         a->products + fmal_panel_first_group(panel, b) * each);
    fmal_free(&w);
}

static void ask_columns(const fmal_factor *f, fmal_dmat *m, fmal_idx index, answers *a)
{
    fmal_lowrank *low = NULL;
    fmal_sample v;

    if (fmal_lowrank_create(m, a->leading, a->r, fmal_factor_product_columns(f), false,
                            &low) != FMAL_OK)
        abort();
    a->columns = zeros(a->r * a->leading);
    fmal_factor_sample(f, index, scale, &v);
    fmal_sample_multiply(&v, low, a->columns);
    fmal_lowrank_destroy(&low);
}

static answers ask(const fmal_ctx *ctx, const fmal_factor *f, const fmal_part *part)
{
    answers a = { .r = fmal_factor_rank(f),
                  .order = (int) fmal_factor_order(f),
                  .leading = (int) fmal_factor_leading(f) };
    uint8_t *take = zeros_of(part->count, 1);
    fmal_grid grid;

    memset(take, 1, (size_t) part->count);
    fmal_grid_init(&grid, ctx, 1, 1);
    fmal_dmat *m = spread(&grid, a.order, NULL);
    fmal_panel *panel = panel_of(f, part->count);
    if (fmal_factor_gram(f, take, 0.25, m, NULL) != FMAL_OK)
        abort();
    a.gram = whole_of(m);
    a.n_forms = fmal_panel_groups(panel) * a.r * (a.r + 1) / 2 * FMAL_LANES;
    a.forms = zeros(a.n_forms);
    double *again = zeros(a.n_forms);
    if (fmal_panel_quadratics(panel, m, a.forms, m, again, NULL) != FMAL_OK)
        abort();
    fmal_free(&again);
    ask_products(panel, &a);
    ask_columns(f, m, part->n / 2, &a);
    fmal_panel_destroy(&panel);
    fmal_dmat_destroy(&m);
    fmal_grid_clear(&grid);
    fmal_free(&take);
    return a;
}

/* The largest |a - b| relative to the largest |b|. */
static double gap_of(const double *a, const double *b, fmal_idx count)
{
    double gap = 0, size = 0;

    for (fmal_idx i = 0; i < count; i++) {
        gap = fmax(gap, fabs(a[i] - b[i]));
        size = fmax(size, fabs(b[i]));
    }
    return gap == 0 ? 0 : gap / size;
}

/* The same of columns, which need not be equally long. */
static double column_gap(const answers *a, const answers *b)
{
    int shorter = a->leading < b->leading ? a->leading : b->leading;
    double worst = 0;

    for (int k = 0; k < a->r; k++)
        worst = fmax(worst, gap_of(a->columns + k * a->leading,
                                   b->columns + k * b->leading, shorter));
    return worst;
}

static void compare(fmal_test *t, const char *name, const char *with,
                    const answers *got, const answers *want, double tolerance)
{
    bool sizes = got->r == want->r && got->order == want->order &&
                 got->n_forms == want->n_forms && got->n_products == want->n_products;

    fmal_test_ok(t, sizes, "%s, %s: sizes", name, with);
    if (!sizes)
        return;
    double gaps[] = {
        gap_of(got->gram, want->gram, (fmal_idx) want->order * want->order),
        gap_of(got->forms, want->forms, want->n_forms),
        gap_of(got->products, want->products, want->n_products),
        t->ctx.rank == 0 ? column_gap(got, want) : 0,
    };
    static const char *const names[] = { "sum", "forms", "products", "columns" };
    for (int i = 0; i < FMAL_COUNT(gaps); i++)
        fmal_test_ok(t, gaps[i] < tolerance, "%s, %s: %s to %.2g", name, with, names[i],
                     gaps[i]);
}

/* The rows of this rank's samples written out in single precision. */
static answers ask_dense(const fmal_ctx *ctx, const fmal_factor *f,
                         const fmal_part *part)
{
    fmal_idx each = fmal_factor_rank(f) * fmal_factor_order(f);
    float *v = zeros_of(part->count * each, sizeof *v);
    double *row = zeros(each);
    fmal_factor *dense = NULL;

    for (fmal_idx i = 0; i < part->n; i++) {
        fmal_factor_row(f, i, row);
        for (fmal_idx x = 0; x < each && i >= part->first; x++)
            if (i < part->first + part->count)
                v[(i - part->first) * each + x] = (float) row[x];
    }
    if (fmal_factor_dense(ctx, part, v, fmal_factor_rank(f), fmal_factor_order(f),
                          &dense) != FMAL_OK)
        abort();
    answers a = ask(ctx, dense, part);
    fmal_factor_destroy(&dense);
    fmal_free(&v);
    fmal_free(&row);
    return a;
}

static void test_row(fmal_test *t, int row)
{
    samples s = samples_make(table[row].n, table[row].d, table[row].c, table[row].kind,
                             1, 1, 250 + (uint32_t) row);
    fmal_part part;

    samples_form(&s, table[row].unweighted ? UNWEIGHTED : MASKED, table[row].extra);
    fmal_factor *f = factor_of(&t->ctx, &s, table[row].block, &part);
    answers got = ask(&t->ctx, f, &part), dense = ask_dense(&t->ctx, f, &part);
    compare(t, table[row].name, "written out", &got, &dense, 1e-6);
    answers_clear(&dense);
    fmal_factor_destroy(&f);
    if (table[row].extra == 0 && !table[row].unweighted) {
        s.form = FULL;
        f = factor_of(&t->ctx, &s, table[row].block, &part);
        answers full = ask(&t->ctx, f, &part);
        /* Rows of the two forms are rotated in different ways. */
        double gap = gap_of(got.gram, full.gram, (fmal_idx) got.order * got.order);
        fmal_test_ok(t, got.order == full.order && got.r == full.r && gap < 1e-13,
                     "%s, a Kronecker factor: sum to %.2g", table[row].name, gap);
        answers_clear(&full);
        fmal_factor_destroy(&f);
    }
    answers_clear(&got);
    samples_clear(&s);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int row = 0; row < FMAL_COUNT(table); row++)
        test_row(&t, row);
    return fmal_test_end(&t);
}
