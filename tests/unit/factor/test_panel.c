/* Panels: which sample is in which slot, and the passes over them against the rows of
   every sample. */
#include "samples.h"

#include <stdio.h>

static const struct {
    const char *name;
    int n, d, c, block;
    prob_kind kind;
} pools[] = {
    { "smooth", 37, 5, 4, 8, SMOOTH },
    { "blocks that are no whole groups", 37, 5, 4, 4, MIXED },
    { "blocks of an odd size", 37, 4, 3, 11, ZEROS },
    { "one block", 37, 5, 4, 256, MIXED },
    { "two classes, one feature", 61, 1, 2, 16, SMOOTH },
    { "many classes", 19, 3, 30, 8, SMOOTH },
    { "more than a panel of feature pairs", 41, 37, 3, 16, PEAKED },
    { "one-hot", 13, 2, 3, 4, ONE_HOT },
    { "fewer samples than ranks", 2, 3, 3, 1, SMOOTH },
};

/* ---- Which samples ---- */

typedef enum { ALL, NONE, ONE, SCATTERED, LAST, LISTS } list_kind;

static const char *const list_names[] = { "all", "none", "one", "scattered", "the last" };

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
        fmal_panel_load(panel, NULL, 0);
        fmal_test_ok(t, fmal_panel_apply_flops(panel) == 0 && fmal_panel_bytes(f, n) > 0,
                     "%s: counts", list_names[kind]);
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

/* The matrices of the passes. */
typedef enum { SUM, INVERSE, SANDWICH, MATRICES } matrix_kind;

static const char *const matrix_names[] = { "a sum", "an inverse", "A F A" };

/* [D, D], and the eigenvalue on the null space. */
static long double *matrix_of(matrix_kind kind, const double *rows, int n, int r,
                              int order, double lambda, double *null_value)
{
    long double *m = information_of(rows, n, r, order, lambda);

    *null_value = lambda;
    if (kind == SUM)
        return m;
    invert(m, order);
    *null_value = 1 / lambda;
    if (kind == INVERSE)
        return m;
    long double *f = information_of(rows, n, r, order, 0);
    long double *mf = zeros_of((fmal_idx) order * order, sizeof *f);
    for (int turn = 0; turn < 2; turn++) {
        const long double *x = turn ? mf : m, *y = turn ? m : f;
        long double *out = turn ? f : mf;

        memset(out, 0, sizeof *out * (size_t) order * (size_t) order);
        for (int i = 0; i < order; i++)
            for (int k = 0; k < order; k++)
                for (int j = 0; j < order; j++)
                    out[i * order + j] += x[i * order + k] * y[k * order + j];
    }
    *null_value = 0;
    fmal_free(&m);
    fmal_free(&mf);
    return f;
}

/* ---- Passes ---- */

/* V A V^T [r, r] of rows v [r, D]. */
static void form_of(const double *v, const long double *a, int r, int order,
                    long double *out)
{
    for (int k = 0; k < r; k++)
        for (int l = 0; l <= k; l++) {
            long double sum = 0;

            for (int x = 0; x < order; x++) {
                long double row = 0;

                for (int y = 0; y < order; y++)
                    row += a[x * order + y] * v[l * order + y];
                sum += v[k * order + x] * row;
            }
            out[k * r + l] = sum;
        }
}

/* The largest error of g [groups, triangle, LANES] relative to the square root of the
   diagonal; infinite if padding is not zero. */
static double form_error(const fmal_panel *panel, const double *g, const double *rows,
                         const long double *a, int r, int order, double scale)
{
    const fmal_idx *index = fmal_panel_index(panel);
    long double *want = zeros_of((fmal_idx) r * r, sizeof *want);
    double worst = 0;

    for (fmal_idx slot = 0; slot < fmal_panel_groups(panel) * FMAL_LANES; slot++) {
        const double *at = g + slot / FMAL_LANES * (r * (r + 1) / 2) * FMAL_LANES +
                           slot % FMAL_LANES;

        memset(want, 0, sizeof *want * (size_t) r * (size_t) r);
        if (index[slot] != FMAL_IDX_NONE)
            form_of(rows + index[slot] * r * order, a, r, order, want);
        for (int k = 0; k < r; k++)
            for (int l = 0; l <= k; l++, at += FMAL_LANES) {
                double size = (double) sqrtl(want[k * r + k] * want[l * r + l]);
                double gap = fabs((double) (*at - scale * scale * want[k * r + l]));

                gap = gap == 0 ? 0 : gap / (scale * scale * size);
                if (!(gap <= worst))
                    worst = gap;
            }
    }
    fmal_free(&want);
    return worst;
}

/* The forms of a panel, [groups, triangle, LANES]; garbage before. */
static double *forms_of(const fmal_ctx *ctx, fmal_panel *panel, int r, const double *a,
                        int order, double null_value, int rows, int cols)
{
    fmal_idx count = fmal_panel_groups(panel) * (r * (r + 1) / 2) * FMAL_LANES;
    double *g = zeros(count);
    fmal_grid grid;

    for (fmal_idx i = 0; i < count; i++)
        g[i] = 1e30;
    fmal_grid_init(&grid, ctx, rows, cols);
    fmal_dmat *m = spread(&grid, order, a);
    if (fmal_panel_quadratic(panel, m, null_value, g, NULL) != FMAL_OK)
        abort();
    fmal_dmat_destroy(&m);
    fmal_grid_clear(&grid);
    return g;
}

/* A V_s^T of the first and the last sample, [2 r, D]: what the engine multiplies by. */
static double *columns_of(const double *rows, const double *a, int n, int r, int order)
{
    double *w = zeros((fmal_idx) 2 * r * order);

    for (int j = 0; j < 2 * r; j++) {
        const double *v = rows + ((j < r ? 0 : n - 1) * r + j % r) * order;

        for (int x = 0; x < order; x++) {
            long double sum = 0;

            for (int y = 0; y < order; y++)
                sum += (long double) a[x * order + y] * v[y];
            w[j * order + x] = (double) sum;
        }
    }
    return w;
}

/* The results of all blocks, [groups, cols, r, LANES]. */
static double *products_of(fmal_panel *panel, const double *w, int cols, int r)
{
    double *out = zeros(fmal_panel_groups(panel) * cols * r * FMAL_LANES);

    fmal_panel_load(panel, w, cols);
    for (fmal_idx b = 0; b < fmal_panel_blocks(panel); b++)
        fmal_panel_apply(panel, b,
                         out + fmal_panel_first_group(panel, b) * cols * r * FMAL_LANES);
    return out;
}

/* The largest error relative to |V_i| |w|. */
static double product_error(const fmal_panel *panel, const double *out,
                            const double *rows, const double *w, int cols, int r,
                            int order, double scale)
{
    const fmal_idx *index = fmal_panel_index(panel);
    double worst = 0;

    for (fmal_idx slot = 0; slot < fmal_panel_groups(panel) * FMAL_LANES; slot++)
        for (int j = 0; j < cols * r; j++) {
            double got = out[(slot / FMAL_LANES * cols * r + j) * FMAL_LANES +
                             slot % FMAL_LANES];
            long double sum = 0, vv = 0, ww = 0;

            for (int x = 0; x < order && index[slot] != FMAL_IDX_NONE; x++) {
                double v = rows[(index[slot] * r + j % r) * order + x];
                double u = w[j / r * order + x];

                sum += (long double) v * u;
                vv += (long double) v * v;
                ww += (long double) u * u;
            }
            double gap = fabs((double) (got - scale * sum));
            gap = gap == 0 ? 0 : gap / (scale * (double) sqrtl(vv * ww));
            if (!(gap <= worst))
                worst = gap;
        }
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

/* What a test of passes works on. */
typedef struct {
    const samples *s;
    int block, r, order;
    const double *rows; /* [n, r, D] */
    double *a;          /* [D, D] */
    double null_value;
    const long double *exact; /* a before rounding */
} setting;

static void test_list(fmal_test *t, const setting *q, list_kind kind, const char *name)
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
    double *w = columns_of(q->rows, q->a, q->s->n, r, q->order);
    double *g = forms_of(&t->ctx, panel, r, q->a, q->order, q->null_value, 1, 1);
    double *spread_g = forms_of(&t->ctx, panel, r, q->a, q->order, q->null_value,
                                t->ctx.size / wide, wide);
    double *whole_g = forms_of(&alone, all, r, q->a, q->order, q->null_value, 1, 1);
    double *out = products_of(panel, w, cols, r), *whole_out = products_of(all, w, cols, r);

    double error = form_error(panel, g, q->rows, q->exact, r, q->order, scale);
    double gap = product_error(panel, out, q->rows, w, cols, r, q->order, scale);
    fmal_test_ok(t, error < 1e-12, "%s, %s: forms to %.2g", name, list_names[kind],
                 error);
    fmal_test_ok(t, gap < 1e-13, "%s, %s: products to %.2g", name, list_names[kind], gap);
    fmal_idx triangle = r * (r + 1) / 2 * FMAL_LANES;
    fmal_test_ok(t,
                 same_blocks(panel, g, all, whole_g, triangle) &&
                     same_blocks(panel, spread_g, all, whole_g, triangle) &&
                     same_blocks(panel, out, all, whole_out,
                                 (fmal_idx) cols * r * FMAL_LANES),
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

static void test_passes(fmal_test *t, const samples *s, int block, double lambda)
{
    fmal_part part;
    fmal_factor *f = factor_of(&t->ctx, s, block, &part);
    setting q = { s, block, fmal_factor_rank(f), (int) fmal_factor_order(f), NULL, NULL,
                  0, NULL };
    double *rows = all_rows(f, s->n);

    q.rows = rows;
    fmal_factor_destroy(&f);
    for (int kind = SUM; kind < MATRICES; kind++) {
        long double *exact = matrix_of((matrix_kind) kind, rows, s->n, q.r, q.order,
                                       lambda, &q.null_value);

        q.exact = exact;
        q.a = zeros((fmal_idx) q.order * q.order);
        for (int i = 0; i < q.order * q.order; i++)
            q.a[i] = (double) exact[i];
        for (int list = ALL; list < LISTS; list++)
            test_list(t, &q, (list_kind) list, matrix_names[kind]);
        fmal_free(&exact);
        fmal_free(&q.a);
    }
    fmal_free(&rows);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(pools); i++) {
        samples s = samples_make(pools[i].n, pools[i].d, pools[i].c, pools[i].kind, 1, 1,
                                 110 + (uint32_t) i);

        if (t.ctx.rank == 0)
            printf("# %s\n", pools[i].name);
        test_layout(&t, &s, pools[i].block);
        test_passes(&t, &s, pools[i].block, 1);
        test_passes(&t, &s, pools[i].block, 1e-4);
        samples_clear(&s);
    }
    return fmal_test_end(&t);
}
