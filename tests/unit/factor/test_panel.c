/* Panels: which sample is in which slot, and the passes over them against the rows of
   every sample. */
#include "samples.h"

#include <stdio.h>

static const struct {
    const char *name;
    int n, d, c, block;
    prob_kind kind;
    double tolerance; /* of forms, relative to their true values */
    form_kind form;
    int top;
} pools[] = {
    { "smooth", 37, 5, 4, 8, SMOOTH, 1e-13, FULL, 0 },
    { "blocks that are no whole groups", 37, 5, 4, 4, MIXED, 1e-8, FULL, 0 },
    { "blocks of an odd size", 37, 4, 3, 11, ZEROS, 1e-13, FULL, 0 },
    { "one block", 37, 5, 4, 256, MIXED, 1e-8, FULL, 0 },
    { "two classes, one feature", 61, 1, 2, 16, SMOOTH, 1e-13, FULL, 0 },
    { "many classes", 19, 3, 30, 8, SMOOTH, 1e-13, FULL, 0 },
    { "more than a panel of feature pairs", 41, 37, 3, 16, PEAKED, 1e-8, FULL, 0 },
    { "one-hot", 13, 2, 3, 4, ONE_HOT, 1e-13, FULL, 0 },
    { "fewer samples than ranks", 2, 3, 3, 1, SMOOTH, 1e-13, FULL, 0 },
    { "the two top classes", 37, 4, 5, 4, SMOOTH, 1e-12, TOPC, 2 },
    { "the top class", 37, 4, 3, 8, SMOOTH, 1e-12, TOPC, 1 },
    { "all classes by rank", 29, 3, 4, 16, SMOOTH, 1e-12, TOPC, 4 },
    { "right or wrong", 37, 6, 4, 4, MIXED, 1e-13, BINARY, 0 },
    { "numbers", 29, 3, 4, 4, SMOOTH, 1e-13, DENSE, 2 },
    { "more than a panel of numbers", 11, 129, 2, 8, SMOOTH, 1e-13, DENSE, 2 },
    { "head and tail", 37, 4, 4, 4, SMOOTH, 1e-12, MASKED, 7 },
    { "head and tail, mixed", 29, 4, 3, 11, MIXED, 1e-8, MASKED, 5 },
    { "two classes and a tail", 31, 1, 2, 16, SMOOTH, 1e-12, MASKED, 3 },
    { "more than a panel of tail", 11, 2, 3, 8, SMOOTH, 1e-12, MASKED, 259 },
    { "fewer samples than ranks, with a tail", 2, 3, 3, 1, SMOOTH, 1e-12, MASKED, 2 },
    { "no tail", 19, 3, 5, 4, ZEROS, 1e-12, MASKED, 0 },
    { "unweighted", 29, 3, 4, 4, MIXED, 1e-8, UNWEIGHTED, 6 },
};

/* ---- Which samples ---- */

typedef enum { ALL, NONE, ONE, SCATTERED, LAST, LISTS } list_kind;

static const char *const list_names[] = { "all", "none", "one", "scattered",
                                          "the last" };

static bool is_listed(list_kind kind, int i, int n)
{
    fmal_rng r = fmal_rng_stream(13, FMAL_RNG_PICK, 0, (uint64_t) i);

    switch (kind) {
    case ALL:
        return true;
    case ONE:
        return i == n / 2;
    case SCATTERED:
        return fmal_rng_below(&r, 3) == 0;
    case LAST:
        return i == n - 1;
    default:
        return false;
    }
}

/* A panel of the listed samples that this rank has; *list [count] holds their local
   indices. */
static fmal_panel *panel_of(const fmal_factor *f, const fmal_part *part, list_kind kind,
                            double scale, int max_cols, fmal_idx **list, fmal_idx *n)
{
    fmal_panel *panel = NULL;

    *list = zeros_of(part->count, sizeof(fmal_idx));
    *n = 0;
    for (fmal_idx i = 0; i < part->count; i++)
        if (is_listed(kind, (int) (part->first + i), (int) part->n))
            (*list)[(*n)++] = i;
    if (fmal_panel_create(f, *list, *n, scale, max_cols, &panel) != FMAL_OK)
        abort();
    return panel;
}

/* Samples of a block are together, in order, then padding to a whole group. */
static bool is_laid_out(const fmal_panel *panel, const fmal_part *part,
                        const fmal_idx *list, fmal_idx n)
{
    const fmal_idx *index = fmal_panel_index(panel);
    fmal_idx blocks = 0, slot = 0;

    for (fmal_idx i = 0; i < n; blocks++) {
        fmal_idx b = list[i] / part->block;

        if (fmal_panel_first_group(panel, blocks) != slot / FMAL_LANES)
            return false;
        for (; i < n && list[i] / part->block == b; i++)
            if (index[slot++] != part->first + list[i])
                return false;
        while (slot % FMAL_LANES != 0)
            if (index[slot++] != FMAL_IDX_NONE)
                return false;
    }
    return fmal_panel_blocks(panel) == blocks &&
           fmal_panel_groups(panel) == slot / FMAL_LANES &&
           fmal_panel_first_group(panel, blocks) == slot / FMAL_LANES;
}

static void test_layout(fmal_test *t, const samples *s, int block)
{
    fmal_part part;
    fmal_factor *f = factor_of(&t->ctx, s, block, &part);

    for (int kind = ALL; kind < LISTS; kind++) {
        fmal_idx *list, n;
        fmal_panel *panel = panel_of(f, &part, (list_kind) kind, 1, 2, &list, &n);

        fmal_test_ok(t, is_laid_out(panel, &part, list, n), "%s: slots",
                     list_names[kind]);
        fmal_test_ok(t, fmal_panel_bytes(f, n, 1) > 0, "%s: bytes", list_names[kind]);
        fmal_panel_destroy(&panel);
        fmal_test_ok(t, !panel, "%s: gone", list_names[kind]);
        fmal_panel_destroy(&panel);
        fmal_free(&list);
    }
    fmal_factor_destroy(&f);
}

/* ---- Matrices ---- */

/* All rows of all samples, [n, r, D]. Collective. */
static double *all_rows(const fmal_factor *f, int n)
{
    fmal_idx each = fmal_factor_rank(f) * fmal_factor_order(f);
    double *rows = zeros(n * each);

    for (int i = 0; i < n; i++)
        fmal_factor_row(f, i, rows + i * each);
    return rows;
}

/* lambda I + sum over every third sample of V^T V, [D, D]. */
static long double *information_of(const double *rows, int n, int r, int order,
                                   double lambda)
{
    long double *m = zeros_of((fmal_idx) order * order, sizeof *m);

    for (int i = 0; i < n; i += 3)
        for (int k = 0; k < r; k++) {
            const double *v = rows + (i * r + k) * order;

            for (int a = 0; a < order; a++)
                for (int b = 0; b < order; b++)
                    m[a * order + b] += (long double) v[a] * v[b];
        }
    for (int a = 0; a < order; a++)
        m[a * order + a] += lambda;
    return m;
}

/* In place, by Gauss-Jordan without exchanges: m is symmetric and positive. */
static void invert(long double *m, int n)
{
    for (int k = 0; k < n; k++) {
        long double head = m[k * n + k];

        m[k * n + k] = 1;
        for (int j = 0; j < n; j++)
            m[k * n + j] /= head;
        for (int i = 0; i < n; i++) {
            long double times = m[i * n + k];

            if (i == k)
                continue;
            m[i * n + k] = 0;
            for (int j = 0; j < n; j++)
                m[i * n + j] -= times * m[k * n + j];
        }
    }
}

/* Take the means over classes of d rows out of rows and columns. */
static void center(long double *m, int n, int classes, int d)
{
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < n; i++)
            for (int a = 0; a < d; a++) {
                long double sum = 0;

                for (int k = 0; k < classes; k++)
                    sum += turn ? m[i * n + k * d + a] : m[(k * d + a) * n + i];
                for (int k = 0; k < classes; k++)
                    *(turn ? &m[i * n + k * d + a] : &m[(k * d + a) * n + i]) -=
                        sum / classes;
            }
}

/* a f a of symmetric matrices; f is lost. */
static void sandwich(const long double *a, long double *f, int n)
{
    long double *af = zeros_of((fmal_idx) n * n, sizeof *af);

    for (int turn = 0; turn < 2; turn++) {
        const long double *x = turn ? af : a, *y = turn ? a : f;
        long double *out = turn ? f : af;

        memset(out, 0, sizeof *out * (size_t) n * (size_t) n);
        for (int i = 0; i < n; i++)
            for (int k = 0; k < n; k++)
                for (int j = 0; j < n; j++)
                    out[i * n + j] += x[i * n + k] * y[k * n + j];
    }
    fmal_free(&af);
}

/* The matrices of the passes, [D, D]. */
typedef enum { SUM, INVERSE, SANDWICH, MATRICES } matrix_kind;

static const char *const matrix_names[] = { "a sum", "an inverse", "A F A" };

static long double *matrix_of(matrix_kind kind, const samples *s, const double *rows,
                              double lambda)
{
    int n = s->n, r = rank_of(s), order = order_of(s);
    long double *m = information_of(rows, n, r, order, lambda);

    if (kind != SUM)
        invert(m, order);
    if (s->form != BINARY && s->form != DENSE)
        center(m, order, s->c, s->d);
    if (kind != SANDWICH)
        return m;
    long double *f = information_of(rows, n, r, order, 0);
    sandwich(m, f, order);
    fmal_free(&m);
    return f;
}

/* ---- Passes ---- */

/* What a pass is compared with. */
typedef struct {
    const samples *s;
    int block, r, order;
    const double *rows;   /* [n, r, D] */
    const long double *a; /* [D, D], symmetric */
    double *rounded;      /* the same in double precision */
} setting;

/* Sizes of what makes up row k of sample i before anything cancels, to out [D]. */
static void row_sizes(const setting *q, fmal_idx i, int k, double *out)
{
    const samples *s = q->s;
    const double *p = s->p + i * s->c;
    int class = k == ranked_class(p, s->c, 0) ? s->c - 1 : k; /* of the full form */

    for (int x = 0; x < q->order; x++) {
        double h = fabs(s->h[i * s->d + x % s->d]);
        int block = x / s->d; /* or beyond, in the tail */

        out[x] = fabs(q->rows[(i * q->r + k) * q->order + x]);
        if (is_mixed(s)) { /* all that differences to the last class are made of */
            double root = s->form == MASKED ? sqrt(s->p[i * s->c + k]) : 1;

            for (int m = 0; m < s->c && block >= s->c; m++)
                out[x] +=
                    2 * root * fabs(s->t[(i * s->c + m) * s->top + x - s->c * s->d]);
            if (block == k || block == s->c - 1)
                out[x] += 2 * root * h;
            continue;
        }
        if (s->form == FULL && (block == class || class == s->c - 1))
            out[x] += 2 * sqrt(p[class]) * h; /* the last is a sum over all others */
        if (s->form == TOPC)
            out[x] += h;
    }
}

/* x^T A y, or of sizes if y_sizes; A y is left in product [D]. */
static long double form_of(const setting *q, const double *x, const double *y,
                           bool of_sizes, bool fresh, long double *product)
{
    long double sum = 0;

    for (int i = 0; i < q->order; i++) {
        const long double *row = q->a + (size_t) i * (size_t) q->order;

        if (fresh) {
            product[i] = 0;
            for (int j = 0; j < q->order; j++)
                product[i] += (of_sizes ? fabsl(row[j]) : row[j]) * y[j];
        }
        sum += x[i] * product[i];
    }
    return sum;
}

/* Forms of one sample and of the sizes of their terms, want and size [r, r]. */
static void forms_of_sample(const setting *q, fmal_idx i, long double *want,
                            long double *size)
{
    const double *v = q->rows + i * q->r * q->order;
    double *sizes = zeros((fmal_idx) q->r * q->order);
    long double *product = zeros_of(q->order, sizeof *product);

    for (int k = 0; k < q->r; k++)
        row_sizes(q, i, k, sizes + k * q->order);
    for (int l = 0; l < q->r; l++) {
        for (int k = l; k < q->r; k++)
            want[k * q->r + l] =
                form_of(q, v + k * q->order, v + l * q->order, false, k == l, product);
        for (int k = l; k < q->r; k++)
            size[k * q->r + l] = form_of(q, sizes + k * q->order, sizes + l * q->order,
                                         true, k == l, product);
    }
    fmal_free(&sizes);
    fmal_free(&product);
}

/* How wrong something is: relative to what was computed with, in units of epsilon, and
   relative to the true value. */
typedef struct {
    double rounding, relative;
} wrong;

static void note(wrong *w, long double got, long double want, long double terms,
                 long double value)
{
    double gap = (double) fabsl(got - want);

    if (gap == 0)
        return;
    double rounding = gap / (DBL_EPSILON * (double) terms),
           relative = gap / (double) value;
    if (!(rounding <= w->rounding))
        w->rounding = rounding;
    if (!(relative <= w->relative))
        w->relative = relative;
}

/* Of forms g [groups, triangle, LANES]; padding must be zero. */
static wrong form_error(const fmal_panel *panel, const double *g, const setting *q,
                        double scale)
{
    const fmal_idx *index = fmal_panel_index(panel);
    int r = q->r;
    fmal_idx square = (fmal_idx) r * r;
    long double *want = zeros_of(square, sizeof *want), scale2 = scale * scale;
    long double *size = zeros_of(square, sizeof *size);
    wrong worst = { 0, 0 };

    for (fmal_idx slot = 0; slot < fmal_panel_groups(panel) * FMAL_LANES; slot++) {
        const double *at =
            g + slot / FMAL_LANES * (r * (r + 1) / 2) * FMAL_LANES + slot % FMAL_LANES;

        memset(want, 0, sizeof *want * (size_t) square);
        memset(size, 0, sizeof *size * (size_t) square);
        if (index[slot] != FMAL_IDX_NONE)
            forms_of_sample(q, index[slot], want, size);
        for (int k = 0; k < r; k++)
            for (int l = 0; l <= k; l++, at += FMAL_LANES)
                note(&worst, *at, scale2 * want[k * r + l], scale2 * size[k * r + l],
                     scale2 * sqrtl(want[k * r + k] * want[l * r + l]));
    }
    fmal_free(&want);
    fmal_free(&size);
    return worst;
}

/* The forms of a panel, [groups, triangle, LANES]; garbage before. */
static double *forms_of(const fmal_ctx *ctx, fmal_panel *panel, const setting *q,
                        int rows, int cols)
{
    fmal_idx count = fmal_panel_groups(panel) * (q->r * (q->r + 1) / 2) * FMAL_LANES;
    double *g = zeros(count), *again = zeros(count);
    fmal_grid grid;

    for (fmal_idx i = 0; i < count; i++)
        g[i] = 1e30;
    fmal_grid_init(&grid, ctx, rows, cols);
    fmal_dmat *m = spread(&grid, q->order, q->rounded);
    if (fmal_panel_quadratics(panel, m, g, m, again, NULL) != FMAL_OK)
        abort();
    fmal_free(&again);
    fmal_dmat_destroy(&m);
    fmal_grid_clear(&grid);
    return g;
}

/* A V_s^T of the first and the last sample, [2 r, D]: what the engine multiplies by. */
static double *columns_of(const setting *q)
{
    double *w = zeros((fmal_idx) 2 * q->r * q->order);

    for (int j = 0; j < 2 * q->r; j++) {
        const double *v =
            q->rows + ((j < q->r ? 0 : q->s->n - 1) * q->r + j % q->r) * q->order;

        for (int x = 0; x < q->order; x++) {
            long double sum = 0;

            for (int y = 0; y < q->order; y++)
                sum += q->a[x * q->order + y] * v[y];
            w[j * q->order + x] = (double) sum;
        }
    }
    return w;
}

/* The results of all blocks, [groups, cols, r, LANES]; w [cols, order]. */
static double *products_of(fmal_panel *panel, const fmal_factor *f, const double *w,
                           int cols, int order)
{
    int r = fmal_factor_rank(f);
    fmal_idx leading = fmal_factor_leading(f);
    double *out = zeros(fmal_panel_groups(panel) * cols * r * FMAL_LANES);
    double *part = zeros(cols * leading);

    for (int j = 0; j < cols; j++)
        memcpy(part + j * leading, w + j * order, sizeof(double) * (size_t) leading);
    fmal_panel_load(panel, part, cols);
    fmal_free(&part);
    for (fmal_idx b = 0; b < fmal_panel_blocks(panel); b++)
        fmal_panel_apply(
            panel, b, out + fmal_panel_first_group(panel, b) * cols * r * FMAL_LANES);
    return out;
}

/* Of products out [groups, cols, r, LANES] with columns w; padding must be zero. */
static wrong product_error(const fmal_panel *panel, const double *out, const setting *q,
                           const double *w, int cols, double scale)
{
    const fmal_idx *index = fmal_panel_index(panel);
    double *sizes = zeros(q->order);
    wrong worst = { 0, 0 };

    for (fmal_idx slot = 0; slot < fmal_panel_groups(panel) * FMAL_LANES; slot++)
        for (int k = 0; k < q->r; k++) {
            bool is_sample = index[slot] != FMAL_IDX_NONE;
            const double *v =
                q->rows + (is_sample ? index[slot] * q->r + k : 0) * q->order;

            if (is_sample)
                row_sizes(q, index[slot], k, sizes);
            for (int j = 0; j < cols; j++) {
                const double *u = w + j * q->order;
                long double sum = 0, terms = 0, vv = 0, uu = 0;

                for (int x = 0; x < q->order && is_sample; x++) {
                    sum += (long double) v[x] * u[x];
                    terms += (long double) sizes[x] * fabs(u[x]);
                    vv += (long double) v[x] * v[x];
                    uu += (long double) u[x] * u[x];
                }
                note(&worst,
                     out[((slot / FMAL_LANES * cols + j) * q->r + k) * FMAL_LANES +
                         slot % FMAL_LANES],
                     scale * sum, scale * terms, scale * sqrtl(vv * uu));
            }
        }
    fmal_free(&sizes);
    return worst;
}

/* ---- The same bits on any number of ranks ---- */

/* Whether blocks of `mine` have what the same blocks have in `all`, the panel of all
   samples; each group has `width` numbers. */
static bool same_blocks(const fmal_panel *mine, const double *x, const fmal_panel *all,
                        const double *y, fmal_idx width)
{
    const fmal_idx *index = fmal_panel_index(mine), *whole = fmal_panel_index(all);
    fmal_idx other = 0;

    for (fmal_idx g = 0; g < fmal_panel_groups(mine); g++, other++) {
        while (other < fmal_panel_groups(all) &&
               whole[other * FMAL_LANES] != index[g * FMAL_LANES])
            other++;
        if (other == fmal_panel_groups(all) ||
            memcmp(index + g * FMAL_LANES, whole + other * FMAL_LANES,
                   FMAL_LANES * sizeof *index) != 0 ||
            !same_bits(x + g * width, y + other * width, width))
            return false;
    }
    return true;
}

static void test_list(fmal_test *t, const setting *q, list_kind kind, const char *name,
                      double tolerance)
{
    static const double scale = 0.3;
    int r = q->r, cols = 2 * r, wide = t->ctx.size < 4 ? t->ctx.size : 2;
    fmal_idx *list, *whole_list, n;
    fmal_part part, whole_part;
    fmal_ctx alone;

    fmal_ctx_init(&alone, MPI_COMM_SELF);
    fmal_factor *f = factor_of(&t->ctx, q->s, q->block, &part);
    fmal_factor *whole = factor_of(&alone, q->s, q->block, &whole_part);
    fmal_panel *panel = panel_of(f, &part, kind, scale, cols, &list, &n);
    fmal_panel *all = panel_of(whole, &whole_part, kind, scale, cols, &whole_list, &n);
    double *w = columns_of(q);
    double *g = forms_of(&t->ctx, panel, q, 1, 1);
    double *spread_g = forms_of(&t->ctx, panel, q, t->ctx.size / wide, wide);
    double *whole_g = forms_of(&alone, all, q, 1, 1);
    double *out = products_of(panel, f, w, cols, q->order),
           *whole_out = products_of(all, whole, w, cols, q->order);

    wrong form = form_error(panel, g, q, scale);
    wrong product = product_error(panel, out, q, w, cols, scale);
    fmal_test_ok(t, form.rounding < 32 && form.relative < tolerance,
                 "%s, %s: forms to %.2g, rounding %.2g", name, list_names[kind],
                 form.relative, form.rounding);
    fmal_test_ok(t, product.rounding < 32, "%s, %s: products to %.2g, rounding %.2g",
                 name, list_names[kind], product.relative, product.rounding);
    fmal_idx triangle = r * (r + 1) / 2 * FMAL_LANES;
    fmal_test_ok(
        t,
        same_blocks(panel, g, all, whole_g, triangle) &&
            same_blocks(panel, spread_g, all, whole_g, triangle) &&
            same_blocks(panel, out, all, whole_out, (fmal_idx) cols * r * FMAL_LANES),
        "%s, %s: the same bits on any ranks and grid", name, list_names[kind]);
    fmal_panel_destroy(&panel);
    fmal_panel_destroy(&all);
    fmal_factor_destroy(&f);
    fmal_factor_destroy(&whole);
    fmal_free(&list);
    fmal_free(&whole_list);
    fmal_free(&w);
    fmal_free(&g);
    fmal_free(&spread_g);
    fmal_free(&whole_g);
    fmal_free(&out);
    fmal_free(&whole_out);
}

static void test_passes(fmal_test *t, const samples *s, int block, double lambda,
                        double tolerance)
{
    fmal_part part;
    fmal_factor *f = factor_of(&t->ctx, s, block, &part);
    double *rows = all_rows(f, s->n);
    setting q = { s, block, rank_of(s), order_of(s), rows, NULL, NULL };

    fmal_factor_destroy(&f);
    for (int kind = SUM; kind < MATRICES; kind++) {
        long double *a = matrix_of((matrix_kind) kind, s, rows, lambda);

        q.a = a;
        q.rounded = zeros((fmal_idx) q.order * q.order);
        for (int i = 0; i < q.order * q.order; i++)
            q.rounded[i] = (double) a[i];
        for (int list = ALL; list < (lambda < 1 ? NONE : LISTS); list++)
            test_list(t, &q, (list_kind) list, matrix_names[kind], tolerance);
        fmal_free(&a);
        fmal_free(&q.rounded);
    }
    fmal_free(&rows);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(pools); i++) {
        samples s = samples_make(pools[i].n, pools[i].d, pools[i].c, pools[i].kind, 1,
                                 1, 110 + (uint32_t) i);

        samples_form(&s, pools[i].form, pools[i].top);
        if (t.ctx.rank == 0)
            printf("# %s\n", pools[i].name);
        test_layout(&t, &s, pools[i].block);
        test_passes(&t, &s, pools[i].block, 1, pools[i].tolerance);
        if (s.n * rank_of(&s) >= order_of(&s)) /* else the reference loses digits too */
            test_passes(&t, &s, pools[i].block, 1e-4, 100 * pools[i].tolerance);
        samples_clear(&s);
    }
    return fmal_test_end(&t);
}
