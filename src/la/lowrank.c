/*
 * A + sum L R^T without writing A.
 *
 * A greedy step changes the inverse by a matrix of rank r. Writing all of it back would
 * read and write D^2 numbers for D r new ones, so the terms wait beside the base: the
 * product with a vector costs one read of the base and two thin products, and a hundred
 * or so columns are folded in at once by a product that runs at the speed of DGEMM. All
 * of this is local: the terms are replicated, and each rank of the grid folds the
 * elements that it holds.
 */
#include "fmal/la.h"
#include "fmal/mem.h"

#include <cblas.h>
#include <string.h>

fmal_status fmal_lowrank_create(fmal_dmat *base, int capacity, fmal_lowrank **out)
{
    fmal_lowrank *m = NULL;
    fmal_idx room = base->grid->inside ? (fmal_idx) capacity * base->n : 0;

    FMAL_TRY(FMAL_ALLOC(&m, 1));
    fmal_status st = FMAL_ALLOC(&m->left, room);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&m->right, room);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&m->small, (fmal_idx) capacity * capacity);
    if (st != FMAL_OK) {
        fmal_lowrank_destroy(&m);
        return st;
    }
    m->base = base;
    m->capacity = capacity;
    *out = m;
    return FMAL_OK;
}

void fmal_lowrank_destroy(fmal_lowrank **m)
{
    if (!*m)
        return;
    fmal_free(&(*m)->left);
    fmal_free(&(*m)->right);
    fmal_free(&(*m)->small);
    fmal_free(m);
}

void fmal_lowrank_reset(fmal_lowrank *m)
{
    m->pending = 0;
}

/* Local rows (or columns) from `at` that are neighbours in the whole matrix too: to the
   end of the block, or of everything where one process holds the whole extent. */
static int run_length(int extent_l, int at, int procs)
{
    int run = procs == 1 ? extent_l : FMAL_DMAT_BLOCK - at % FMAL_DMAT_BLOCK;

    return extent_l - at < run ? extent_l - at : run;
}

/* base += left right^T, block column by block column of the local part. */
static void fold(fmal_lowrank *m)
{
    fmal_dmat *base = m->base;
    int n = base->n;

    for (int jl = 0; jl < base->cols_l;
         jl += run_length(base->cols_l, jl, base->grid->cols)) {
        int cols = run_length(base->cols_l, jl, base->grid->cols),
            j = fmal_dmat_col(base, jl);

        for (int il = 0; il < base->rows_l;
             il += run_length(base->rows_l, il, base->grid->rows)) {
            int rows = run_length(base->rows_l, il, base->grid->rows),
                i = fmal_dmat_row(base, il);

            cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, rows, cols, m->pending,
                        1, m->left + i, n, m->right + j, n, 1,
                        base->a + (size_t) jl * (size_t) base->rows_l + il,
                        base->rows_l);
        }
    }
    m->pending = 0;
}

void fmal_lowrank_add(fmal_lowrank *m, double scale, const double *left,
                      const double *right, int k)
{
    if (!m->base->grid->inside)
        return;
    if (m->pending + k > m->capacity)
        fold(m);
    size_t n = (size_t) m->base->n, at = (size_t) m->pending * n,
           count = (size_t) k * n;
    for (size_t i = 0; i < count; i++)
        m->left[at + i] = scale * left[i];
    memcpy(m->right + at, right, count * sizeof(double));
    m->pending += k;
}

/* out += the local part of the base times u. */
static void apply_base(const fmal_dmat *base, const double *u, int k, double *out)
{
    int n = base->n;

    for (int jl = 0; jl < base->cols_l;
         jl += run_length(base->cols_l, jl, base->grid->cols)) {
        int cols = run_length(base->cols_l, jl, base->grid->cols),
            j = fmal_dmat_col(base, jl);

        for (int il = 0; il < base->rows_l;
             il += run_length(base->rows_l, il, base->grid->rows)) {
            int rows = run_length(base->rows_l, il, base->grid->rows),
                i = fmal_dmat_row(base, il);

            cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, rows, k, cols, 1,
                        base->a + (size_t) jl * (size_t) base->rows_l + il,
                        base->rows_l, u + j, n, 1, out + i, n);
        }
    }
}

void fmal_lowrank_apply(const fmal_lowrank *m, const double *u, int k, double *out)
{
    const fmal_grid *grid = m->base->grid;
    int n = m->base->n;

    memset(out, 0, sizeof(double) * (size_t) n * (size_t) k);
    apply_base(m->base, u, k, out);
    if (grid->rows * grid->cols > 1)
        fmal_sum_f64(&grid->ctx, out, (fmal_idx) n * k);
    if (grid->ctx.rank != 0 || m->pending == 0)
        return;
    fmal_gemm(false, true, k, m->pending, n, 1, u, n, m->right, n, 0, m->small,
              m->pending);
    fmal_gemm(false, false, k, n, m->pending, 1, m->small, m->pending, m->left, n, 1,
              out, n);
}
