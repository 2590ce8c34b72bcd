/* Block-cyclic matrices: where elements are, and what the operations give, against
   whole matrices. */
#include "matrices.h"

#include <stdio.h>

static const int orders[] = { 1, 37, 64, 65, 130, 200 };

/* An element that tells places apart. */
static double mark(int i, int j)
{
    return 1 + i + 1000.0 * j;
}

/* ---- Places ---- */

static bool has_marks(const fmal_dmat *m, double times)
{
    bool right = true;

    for (int jl = 0; jl < m->cols_l; jl++)
        for (int il = 0; il < m->rows_l; il++) {
            int i = fmal_dmat_row(m, il), j = fmal_dmat_col(m, jl);

            right = right && i >= 0 && i < m->n && j >= 0 && j < m->n &&
                    m->a[jl * m->rows_l + il] == times * mark(i, j);
        }
    return right;
}

static bool part_is(const fmal_dmat *m, int row, int col, int rows, int cols)
{
    double *part = zeros((fmal_idx) rows * cols);
    bool right = true;

    part[0] = -1;
    fmal_dmat_get(m, row, col, rows, cols, part);
    for (int j = 0; j < cols; j++)
        for (int i = 0; i < rows; i++)
            right = right && part[j * rows + i] == mark(row + i, col + j);
    fmal_free(&part);
    return right;
}

static void test_places(fmal_test *t, const fmal_grid *grid, int n)
{
    fmal_dmat *m = spread(grid, n, NULL);
    bool outside_is_empty = grid->inside || (m->rows_l == 0 && m->cols_l == 0);
    int last = n - 1, wide = n < 67 ? n : 67;

    fmal_test_ok(t, outside_is_empty && has_marks(m, 0), "zero at first");
    fmal_test_ok(
        t, fmal_sum_one(&t->ctx, (int64_t) m->rows_l * m->cols_l) == (int64_t) n * n,
        "every element has a place");
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++)
            fmal_dmat_add_at(m, i, j, mark(i, j));
    fmal_test_ok(t, has_marks(m, 1), "elements are where the maps say");
    fmal_test_ok(t,
                 part_is(m, 0, 0, n, n) && part_is(m, last, 0, 1, n) &&
                     part_is(m, 0, last, n, 1) && part_is(m, last, last, 1, 1) &&
                     part_is(m, n - wide, n / 3, wide, n / 2 + 1) &&
                     part_is(m, n / 2, n - wide, 1, wide),
                 "parts arrive on every rank");
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++)
            fmal_dmat_add_at(m, i, j, mark(i, j));
    fmal_test_ok(t, has_marks(m, 2), "what is there is added to");

    double *want = zeros((fmal_idx) n * n), *got = zeros((fmal_idx) n * n);
    for (int i = 0; i < n; i++)
        want[i * n + i] = 2.5;
    fmal_dmat_set_diagonal(m, 2.5);
    fmal_dmat_get(m, 0, 0, n, n, got);
    fmal_test_ok(t, memcmp(got, want, sizeof(double) * (size_t) n * (size_t) n) == 0,
                 "a diagonal");
    fmal_free(&want);
    fmal_free(&got);
    fmal_dmat_destroy(&m);
    fmal_test_ok(t, !m, "gone");
    fmal_dmat_destroy(&m);
}

/* ---- Operations ---- */

/* |A X - I| in units of epsilon n |A| |X|. */
static double inverse_residual(const double *a, const double *x, int n)
{
    double *product = zeros((fmal_idx) n * n), most = 0;

    multiply(a, x, n, product);
    for (int i = 0; i < n; i++)
        product[i * n + i] -= 1;
    for (int i = 0; i < n * n; i++)
        if (!(fabs(product[i]) <= most))
            most = fabs(product[i]);
    fmal_free(&product);
    return most / (DBL_EPSILON * n * norm_of(a, n) * norm_of(x, n));
}

static void test_invert(fmal_test *t, const fmal_grid *grid, int n)
{
    static const struct {
        const char *name;
        double ridge;
        int rank_part; /* of n */
    } kinds[] = {
        { "well conditioned", 0.5, 1 },
        { "a ridge and little else", 1e-6, 4 },
    };

    for (int kind = 0; kind < FMAL_COUNT(kinds); kind++) {
        int k = n / kinds[kind].rank_part + 1;
        double *a = positive(n, k, kinds[kind].ridge, 3), *x = zeros((fmal_idx) n * n);
        fmal_dmat *m = spread(grid, n, a), *work = spread(grid, n, NULL);
        fmal_status st = fmal_dmat_invert(m, work);
        bool symmetric = true;

        fmal_dmat_get(m, 0, 0, n, n, x);
        double residual = inverse_residual(a, x, n);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++)
                symmetric = symmetric && x[i * n + j] == x[j * n + i];
        fmal_test_ok(t, st == FMAL_OK && residual < 2 && symmetric,
                     "inverse, %s: residual %.2g", kinds[kind].name, residual);
        fmal_free(&a);
        fmal_free(&x);
        fmal_dmat_destroy(&m);
        fmal_dmat_destroy(&work);
    }
}

/* The identity with one negative element: that minor is the first that is not positive.
 */
static void test_not_positive(fmal_test *t, const fmal_grid *grid, int n)
{
    const int at[] = { 0, n / 2, n - 1 };
    fmal_dmat *m = spread(grid, n, NULL), *work = spread(grid, n, NULL);

    for (int i = 0; i < FMAL_COUNT(at); i++) {
        char says[64];

        snprintf(says, sizeof says, "(at minor %d)", at[i] + 1);
        fmal_dmat_set_diagonal(m, 1);
        fmal_dmat_add_at(m, at[i], at[i], i == 1 ? -1 : -3);
        fmal_error_set("", "");
        fmal_status st = fmal_dmat_invert(m, work);
        fmal_test_ok(t, st == FMAL_ERR_NUMERIC && strstr(fmal_error_text(), says),
                     "not positive %s", says);
    }
    fmal_dmat_destroy(&m);
    fmal_dmat_destroy(&work);
}

static bool is_symmetric(const double *a, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (a[i * n + j] != a[j * n + i])
                return false;
    return true;
}

static void test_products(fmal_test *t, const fmal_grid *grid, int n)
{
    size_t bytes = sizeof(double) * (size_t) n * (size_t) n;
    double *a = positive(n, n, 1, 5), *f = positive(n, n / 2 + 1, 0, 6);
    double *af = zeros((fmal_idx) n * n), *want = zeros((fmal_idx) n * n);
    double *got = zeros((fmal_idx) n * n), trace = 0, size = 0;
    fmal_dmat *da = spread(grid, n, a), *df = spread(grid, n, f);
    fmal_dmat *work = spread(grid, n, NULL), *out = spread(grid, n, NULL);

    for (int i = 0; i < 2; i++) /* what out holds must not matter */
        fmal_dmat_sandwich(da, df, work, out);
    multiply(a, f, n, af);
    multiply(af, a, n, want);
    fmal_dmat_get(out, 0, 0, n, n, got);
    double gap = largest_gap(got, want, (fmal_idx) n * n) /
                 (DBL_EPSILON * n * norm_of(a, n) * norm_of(a, n) * norm_of(f, n));
    fmal_test_ok(t, gap < 1, "a f a: %.2g", gap);
    fmal_test_ok(t, is_symmetric(got, n), "a f a is symmetric");
    fmal_dmat_get(da, 0, 0, n, n, got);
    bool kept = memcmp(got, a, bytes) == 0;
    fmal_dmat_get(df, 0, 0, n, n, got);
    fmal_test_ok(t, kept && memcmp(got, f, bytes) == 0, "a and f are left alone");

    for (int i = 0; i < n * n; i++) {
        trace += a[i] * f[i];
        size += fabs(a[i] * f[i]);
    }
    double x = fmal_dmat_trace_product(da, df), root = x;
    fmal_bcast(&t->ctx, &root, sizeof root, 0);
    fmal_test_ok(t, fabs(x - trace) < DBL_EPSILON * n * size && x == root,
                 "the trace of a f, the same on every rank");
    fmal_dmat_destroy(&da);
    fmal_dmat_destroy(&df);
    fmal_dmat_destroy(&work);
    fmal_dmat_destroy(&out);
    fmal_free(&a);
    fmal_free(&f);
    fmal_free(&af);
    fmal_free(&want);
    fmal_free(&got);
}

/* P a P, with P taking the mean over classes out, by its definition. */
static void center(const double *a, int n, int classes, double *out)
{
    int d = n / classes, head = classes * d;

    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++) {
            double rows = 0, cols = 0, both = 0;

            for (int k = 0; k < classes; k++) {
                rows += i < head ? a[j * n + k * d + i % d] : 0;
                cols += j < head ? a[(k * d + j % d) * n + i] : 0;
                for (int l = 0; l < classes && i < head && j < head; l++)
                    both += a[(l * d + j % d) * n + k * d + i % d];
            }
            out[j * n + i] = a[j * n + i] - (rows + cols) / classes +
                             both / ((double) classes * classes);
        }
}

/* Also where a common part is by far the largest: it goes, and what is left is right to
   the common part's rounding at most. */
static void test_center(fmal_test *t, const fmal_grid *grid, int n)
{
    static const int counts[] = { 1, 2, 5, 13, 37 };
    double *a = positive(n, n, 1e3, 9), *want = zeros((fmal_idx) n * n);
    double *got = zeros((fmal_idx) n * n);

    for (int i = 0; i < FMAL_COUNT(counts); i++) {
        int classes = counts[i], d = n / classes;
        double sums = 0;

        if (d == 0)
            continue;
        fmal_dmat *m = spread(grid, n, a);
        fmal_status st = fmal_dmat_center(m, classes, d);
        center(a, n, classes, want);
        fmal_dmat_get(m, 0, 0, n, n, got);
        for (int j = 0; j < n; j++)
            for (int b = 0; b < d; b++) {
                double sum = 0;

                for (int k = 0; k < classes; k++)
                    sum += got[j * n + k * d + b];
                sums = fmax(sums, fabs(sum));
            }
        double gap = largest_gap(got, want, (fmal_idx) n * n);
        fmal_test_ok(t, st == FMAL_OK && gap < 1e-12 * 1e3 && sums < 1e-12 * 1e3,
                     "%d classes of %d of %d: centered to %.2g, sums %.2g", classes, d,
                     n, gap, sums);
        fmal_dmat_destroy(&m);
    }
    fmal_free(&a);
    fmal_free(&want);
    fmal_free(&got);
}

static void test_refused(fmal_test *t, const fmal_grid *grid)
{
    fmal_dmat *m = NULL;
    fmal_status st = fmal_dmat_create(grid, (fmal_idx) 1 << 31, &m);

    fmal_test_ok(t, st == FMAL_ERR_ARG && !m, "an order beyond ScaLAPACK");
}

/* The fullest rank's share is what is announced. */
static void test_bytes(fmal_test *t, const fmal_grid *grid, int n)
{
    fmal_dmat *m = spread(grid, n, NULL);
    double most = 8.0 * m->rows_l * m->cols_l;

    fmal_max_f64(&t->ctx, &most, 1);
    fmal_test_ok(t, most == fmal_dmat_bytes(n, grid->rows, grid->cols), "bytes");
    fmal_dmat_destroy(&m);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(grids); i++) {
        fmal_grid grid;

        if (grids[i].rows * grids[i].cols > t.ctx.size)
            continue;
        fmal_grid_init(&grid, &t.ctx, grids[i].rows, grids[i].cols);
        for (int j = 0; j < FMAL_COUNT(orders); j++) {
            if (t.ctx.rank == 0)
                printf("# %d x %d, order %d\n", grid.rows, grid.cols, orders[j]);
            test_places(&t, &grid, orders[j]);
            test_invert(&t, &grid, orders[j]);
            test_not_positive(&t, &grid, orders[j]);
            test_products(&t, &grid, orders[j]);
            test_center(&t, &grid, orders[j]);
            test_bytes(&t, &grid, orders[j]);
        }
        test_refused(&t, &grid);
        fmal_grid_clear(&grid);
    }
    return fmal_test_end(&t);
}
