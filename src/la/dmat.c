#include "fmal/la.h"
#include "fmal/mem.h"
#include "scalapack.h"

#include <limits.h>
#include <string.h>

enum { BLOCK = FMAL_DMAT_BLOCK };
static const int ONE = 1, ZERO = 0;

static int local_extent(int n, int block, int proc, int procs)
{
    return proc < 0 ? 0 : numroc_(&n, &block, &proc, &ZERO, &procs);
}

/* Rows or columns of the first process, which has most; the last block may be short. */
static double longest_extent(fmal_idx n, int procs)
{
    fmal_idx blocks = (n + BLOCK - 1) / BLOCK;
    fmal_idx extent = (blocks + procs - 1) / procs * BLOCK;

    return (double) (extent - ((blocks - 1) % procs == 0 ? blocks * BLOCK - n : 0));
}

double fmal_dmat_bytes(fmal_idx n, int rows, int cols)
{
    return 8 * longest_extent(n, rows) * longest_extent(n, cols);
}

fmal_status fmal_dmat_create(const fmal_grid *grid, fmal_idx n, fmal_dmat **out)
{
    fmal_dmat *m = NULL;
    fmal_status st = FMAL_ALLOC(&m, 1);

    if (st == FMAL_OK && n > INT_MAX)
        st = FMAL_FAIL(FMAL_ERR_ARG, "a matrix of order %lld is beyond ScaLAPACK",
                       (long long) n);
    if (st == FMAL_OK) {
        int order = (int) n, info = 0;

        m->grid = grid;
        m->n = order;
        m->rows_l = local_extent(order, BLOCK, grid->row, grid->rows);
        m->cols_l = local_extent(order, BLOCK, grid->col, grid->cols);
        int lead = m->rows_l > 1 ? m->rows_l : 1, block = BLOCK;
        if (grid->inside)
            descinit_(m->desc, &order, &order, &block, &block, &ZERO, &ZERO,
                      &grid->context, &lead, &info);
        /* ScaLAPACK counts local elements in 32 bits. */
        if ((fmal_idx) lead * m->cols_l > INT_MAX)
            st =
                FMAL_FAIL(FMAL_ERR_ARG,
                          "a matrix of order %d has too many elements a rank on a grid "
                          "of %d x %d; use more ranks, or a larger --grid",
                          order, grid->rows, grid->cols);
        else
            st = FMAL_ALLOC(&m->a, (fmal_idx) lead * m->cols_l);
    }
    st = fmal_agree(&grid->ctx, st);
    if (st != FMAL_OK)
        fmal_dmat_destroy(&m);
    else
        *out = m;
    return st;
}

void fmal_dmat_destroy(fmal_dmat **m)
{
    if (!*m)
        return;
    fmal_free(&(*m)->a);
    fmal_free(m);
}

/* Block-cyclic: local block b of process p is global block b procs + p. */
int fmal_dmat_row(const fmal_dmat *m, int il)
{
    return (il / BLOCK * m->grid->rows + m->grid->row) * BLOCK + il % BLOCK;
}

int fmal_dmat_col(const fmal_dmat *m, int jl)
{
    return (jl / BLOCK * m->grid->cols + m->grid->col) * BLOCK + jl % BLOCK;
}

void fmal_dmat_add_at(fmal_dmat *m, int i, int j, double x)
{
    int bi = i / BLOCK, bj = j / BLOCK;

    if (bi % m->grid->rows != m->grid->row || bj % m->grid->cols != m->grid->col)
        return;
    int il = bi / m->grid->rows * BLOCK + i % BLOCK;
    int jl = bj / m->grid->cols * BLOCK + j % BLOCK;
    m->a[(size_t) jl * (size_t) m->rows_l + (size_t) il] += x;
}

void fmal_dmat_set_diagonal(fmal_dmat *m, double x)
{
    memset(m->a, 0, sizeof(double) * (size_t) m->rows_l * (size_t) m->cols_l);
    for (int i = 0; i < m->n && m->grid->inside; i++)
        fmal_dmat_add_at(m, i, i, x);
}

void fmal_dmat_get(const fmal_dmat *m, int row, int col, int rows, int cols,
                   double *out)
{
    memset(out, 0, sizeof(double) * (size_t) rows * (size_t) cols);
    for (int jl = 0; jl < m->cols_l; jl++) {
        int j = fmal_dmat_col(m, jl) - col;

        if (j < 0 || j >= cols)
            continue;
        for (int il = 0; il < m->rows_l; il++) {
            int i = fmal_dmat_row(m, il) - row;

            if (i >= 0 && i < rows)
                out[(size_t) j * (size_t) rows + (size_t) i] =
                    m->a[(size_t) jl * (size_t) m->rows_l + (size_t) il];
        }
    }
    if (m->grid->rows * m->grid->cols == 1)
        fmal_bcast(&m->grid->ctx, out, sizeof(double) * (size_t) rows * (size_t) cols,
                   0);
    else /* every element is one rank's and zero on the others: the sum is exact */
        fmal_sum_f64(&m->grid->ctx, out, (fmal_idx) rows * cols);
}

/* Copy the lower triangle to the upper one; scratch is a matrix of the same layout. */
static void mirror(fmal_dmat *m, fmal_dmat *scratch)
{
    const double one = 1, zero = 0;

    pdtran_(&m->n, &m->n, &one, m->a, &ONE, &ONE, m->desc, &zero, scratch->a, &ONE,
            &ONE, scratch->desc);
    for (int jl = 0; jl < m->cols_l; jl++) {
        int j = fmal_dmat_col(m, jl);

        for (int il = 0; il < m->rows_l; il++) {
            size_t at = (size_t) jl * (size_t) m->rows_l + (size_t) il;

            if (fmal_dmat_row(m, il) < j)
                m->a[at] = scratch->a[at];
        }
    }
}

fmal_status fmal_dmat_invert(fmal_dmat *m, fmal_dmat *work)
{
    fmal_status st = FMAL_OK;
    int info = 0;

    if (m->grid->inside) {
        pdpotrf_("L", &m->n, m->a, &ONE, &ONE, m->desc, &info);
        if (info == 0)
            pdpotri_("L", &m->n, m->a, &ONE, &ONE, m->desc, &info);
        if (info == 0)
            mirror(m, work);
    }
    if (info > 0)
        st =
            FMAL_FAIL(FMAL_ERR_NUMERIC,
                      "the Fisher information of order %d is not positive definite (at "
                      "minor %d); give a larger --lambda",
                      m->n, info);
    return fmal_agree(&m->grid->ctx, st);
}

/* m = (m + m^T) / 2; scratch is of the same grid and order. */
static void make_symmetric(fmal_dmat *m, fmal_dmat *scratch)
{
    const double half = 0.5, zero = 0;
    size_t count = (size_t) m->rows_l * (size_t) m->cols_l;

    pdtran_(&m->n, &m->n, &half, m->a, &ONE, &ONE, m->desc, &zero, scratch->a, &ONE,
            &ONE, scratch->desc);
    for (size_t i = 0; i < count; i++)
        m->a[i] = half * m->a[i] + scratch->a[i];
}

/* The product is not quite symmetric, and those who read one half of it would see the
   difference: where a is large, rounding gives a f a large columns along the vectors
   that a f, exactly, turns to zero, but no such rows. */
void fmal_dmat_sandwich(const fmal_dmat *a, const fmal_dmat *f, fmal_dmat *work,
                        fmal_dmat *out)
{
    const double one = 1, zero = 0;

    if (!a->grid->inside)
        return;
    pdsymm_("L", "L", &a->n, &a->n, &one, a->a, &ONE, &ONE, a->desc, f->a, &ONE, &ONE,
            f->desc, &zero, work->a, &ONE, &ONE, work->desc);
    pdsymm_("R", "L", &a->n, &a->n, &one, a->a, &ONE, &ONE, a->desc, work->a, &ONE,
            &ONE, work->desc, &zero, out->a, &ONE, &ONE, out->desc);
    make_symmetric(out, work);
}

/* Local rows [*begin, *end) of global rows [first, first + count): local order is
   global order. The same for columns. */
static void local_range(const fmal_dmat *m, int extent_l,
                        int (*global)(const fmal_dmat *, int), int first, int count,
                        int *begin, int *end)
{
    int il = 0;

    while (il < extent_l && global(m, il) < first)
        il++;
    *begin = il;
    while (il < extent_l && global(m, il) < first + count)
        il++;
    *end = il;
}

/* Take the mean over classes out of the rows' (with `down`) or the columns' elements
   that belong to block k of d the other way. feature [rows_l]: row modulo d; sum [d,
   d].
 */
static void center_block(fmal_dmat *m, int classes, int d, int k, bool down,
                         const int *feature, double *sum)
{
    int i0, i1, j0, j1, head = classes * d;

    local_range(m, m->cols_l, fmal_dmat_col, down ? k * d : 0, down ? d : head, &j0,
                &j1);
    local_range(m, m->rows_l, fmal_dmat_row, down ? 0 : k * d, down ? head : d, &i0,
                &i1);
    memset(sum, 0, sizeof(double) * (size_t) d * (size_t) d);
    for (int jl = j0; jl < j1; jl++) {
        double *s = sum + (size_t) (fmal_dmat_col(m, jl) % d) * (size_t) d;
        const double *x = m->a + (size_t) jl * (size_t) m->rows_l;

        for (int il = i0; il < i1; il++)
            s[feature[il]] += x[il];
    }
    fmal_sum_f64(&m->grid->ctx, sum, (fmal_idx) d * d);
    for (int jl = j0; jl < j1; jl++) {
        const double *s = sum + (size_t) (fmal_dmat_col(m, jl) % d) * (size_t) d;
        double *x = m->a + (size_t) jl * (size_t) m->rows_l;

        for (int il = i0; il < i1; il++)
            x[il] -= s[feature[il]] / classes;
    }
}

fmal_status fmal_dmat_center(fmal_dmat *m, int classes, int d)
{
    int *feature = NULL;
    double *sum = NULL;
    fmal_status st = FMAL_ALLOC(&sum, (fmal_idx) d * d);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&feature, m->rows_l);
    for (int il = 0; il < m->rows_l && st == FMAL_OK; il++)
        feature[il] = fmal_dmat_row(m, il) % d;
    st = fmal_agree(&m->grid->ctx, st);
    for (int turn = 0; turn < 2; turn++)
        for (int k = 0; k * d < m->n && st == FMAL_OK; k++)
            center_block(m, classes, d, k, turn == 0, feature, sum);
    fmal_free(&sum);
    fmal_free(&feature);
    return st;
}

double fmal_dmat_trace_product(const fmal_dmat *a, const fmal_dmat *b)
{
    double sum = 0;

    for (int jl = 0; jl < a->cols_l; jl++) {
        double column = 0;

        for (int il = 0; il < a->rows_l; il++) {
            size_t at = (size_t) jl * (size_t) a->rows_l + (size_t) il;

            column += a->a[at] * b->a[at];
        }
        sum += column;
    }
    fmal_sum_f64(&a->grid->ctx, &sum, 1);
    return sum;
}
