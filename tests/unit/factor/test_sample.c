/* One sample in its own form, against its rows. */
#include "samples.h"

#include <stdio.h>

static const struct {
    const char *name;
    int n, d, c, block;
    prob_kind kind;
    form_kind form;
    int top;
} table[] = {
    { "smooth", 7, 5, 4, 4, SMOOTH, FULL, 0 },
    { "peaked", 5, 67, 3, 2, PEAKED, FULL, 0 },
    { "two classes, one feature", 5, 1, 2, 1, SMOOTH, FULL, 0 },
    { "many classes", 3, 3, 30, 1, ZEROS, FULL, 0 },
    { "the two top classes", 7, 21, 5, 4, SMOOTH, TOPC, 2 },
    { "all classes by rank", 5, 3, 4, 2, MIXED, TOPC, 4 },
    { "more rows than columns", 5, 1, 2, 2, SMOOTH, TOPC, 2 },
    { "right or wrong", 7, 71, 4, 4, MIXED, BINARY, 0 },
    { "numbers", 7, 23, 4, 4, SMOOTH, DENSE, 3 },
    { "head and tail", 7, 21, 4, 4, MIXED, MASKED, 70 },
    { "more tail than head", 5, 1, 2, 1, SMOOTH, MASKED, 131 },
    { "one column of tail", 5, 70, 3, 2, SMOOTH, MASKED, 1 },
    { "no tail", 5, 21, 5, 2, SMOOTH, MASKED, 0 },
    { "unweighted", 7, 9, 6, 4, MIXED, UNWEIGHTED, 30 },
};

static const struct {
    int rows, cols;
} grids[] = { { 1, 1 }, { 2, 1 }, { 1, 3 }, { 2, 2 } };

/* A symmetric matrix, [order, order]. */
static double *symmetric(int order)
{
    double *a = zeros((fmal_idx) order * order);

    for (int i = 0; i < order; i++)
        for (int j = 0; j <= i; j++) {
            fmal_rng r =
                fmal_rng_stream(23, FMAL_RNG_INIT, 0, (uint64_t) (i * order + j));

            a[i * order + j] = a[j * order + i] = fmal_rng_normal(&r);
        }
    return a;
}

/* want [cols, order] = x a for x [cols, order]. */
static void multiply(const double *a, const double *x, int cols, int order,
                     double *want)
{
    for (int k = 0; k < cols; k++)
        for (int i = 0; i < order; i++) {
            long double sum = 0;

            for (int j = 0; j < order; j++)
                sum += (long double) a[i * order + j] * x[k * order + j];
            want[k * order + i] = (double) sum;
        }
}

/* The largest |got - want|, leading elements of `order`, relative to the largest want.
 */
static double gap_of(const double *got, const double *want, int cols, int leading,
                     int order)
{
    double gap = 0, size = 0;

    for (int k = 0; k < cols; k++)
        for (int i = 0; i < leading; i++) {
            gap = fmax(gap, fabs(got[k * leading + i] - want[k * order + i]));
            size = fmax(size, fabs(want[k * order + i]));
        }
    return gap == 0 ? 0 : gap / size;
}

/* Errors of A V^T and of V A V^T, on the root. */
static void find_gaps(const fmal_factor *f, fmal_lowrank *m, const double *a, int i,
                      double *gaps)
{
    static const double scale = 0.3;
    int r = fmal_factor_rank(f), order = (int) fmal_factor_order(f);
    int leading = (int) fmal_factor_leading(f);
    double *v = zeros((fmal_idx) r * order), *want = zeros((fmal_idx) r * order);
    double *got = zeros((fmal_idx) r * leading), *g = zeros(r * r),
           *want_g = zeros(r * r);
    fmal_sample s;

    fmal_factor_row(f, i, v);
    for (int j = 0; j < r * order; j++)
        v[j] *= scale;
    multiply(a, v, r, order, want);
    for (int k = 0; k < r; k++)
        for (int l = 0; l < r; l++)
            for (int j = 0; j < order; j++)
                want_g[k * r + l] += want[k * order + j] * v[l * order + j];

    fmal_factor_sample(f, i, scale, &s);
    fmal_sample_multiply(&s, m, got);
    fmal_sample_project(&s, got, r, g);
    if (m->base->grid->ctx.rank == 0) {
        gaps[0] = fmax(gaps[0], gap_of(got, want, r, leading, order));
        gaps[1] = fmax(gaps[1], gap_of(g, want_g, r, r, r));
    }
    double *held[] = { v, want, got, g, want_g };
    for (int j = 0; j < FMAL_COUNT(held); j++)
        fmal_free(&held[j]);
}

static void test_products(fmal_test *t, int row, int rows, int cols)
{
    samples s = samples_make(table[row].n, table[row].d, table[row].c, table[row].kind,
                             1, 10, 70 + (uint32_t) row);
    fmal_grid grid;
    fmal_part part;
    fmal_lowrank *m = NULL;

    samples_form(&s, table[row].form, table[row].top);
    fmal_factor *f = factor_of(&t->ctx, &s, table[row].block, &part);
    int order = (int) fmal_factor_order(f);
    double *a = symmetric(order), gaps[2] = { 0 };
    fmal_grid_init(&grid, &t->ctx, rows, cols);
    fmal_dmat *base = spread(&grid, order, a);
    if (fmal_factor_center(f, base) != FMAL_OK)
        abort();
    fmal_dmat_get(base, 0, 0, order, order, a);
    if (fmal_lowrank_create(base, fmal_factor_leading(f), fmal_factor_rank(f),
                            fmal_factor_product_columns(f), false, &m) != FMAL_OK)
        abort();
    for (int i = 0; i < s.n; i++)
        find_gaps(f, m, a, i, gaps);
    fmal_test_ok(t, gaps[0] < 1e-13 && gaps[1] < 1e-13, "%s, %d x %d: %.1e, %.1e",
                 table[row].name, rows, cols, gaps[0], gaps[1]);
    fmal_lowrank_destroy(&m);
    fmal_dmat_destroy(&base);
    fmal_grid_clear(&grid);
    fmal_factor_destroy(&f);
    samples_clear(&s);
    fmal_free(&a);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(grids); i++)
        for (int row = 0; row < FMAL_COUNT(table); row++)
            if (grids[i].rows * grids[i].cols <= t.ctx.size)
                test_products(&t, row, grids[i].rows, grids[i].cols);
    return fmal_test_end(&t);
}
