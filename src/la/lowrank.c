/*
 * A + sum of symmetric low-rank terms without writing A.
 *
 * A greedy step changes the inverse by a matrix of rank r. Writing all of it back would
 * read and write D^2 numbers for D r new ones, so the terms wait beside the base:
 * products add what they contribute (lowrank_product.c), and many columns are folded in
 * at once by a product that runs at the speed of DGEMM.
 *
 * What a column costs in a fold does not depend on how many are folded together; what
 * it costs while it waits grows with the time. So either it is never folded, because
 * the base is computed afresh before it has cost as much, or it had better be folded at
 * once. Nobody knows when the base will be computed afresh. So terms wait as long as
 * there is room; once that was not long enough, it will not be soon, and from then on
 * they wait only until DGEMM runs at speed.
 *
 * All of this is local: the terms are replicated, and each rank of the grid folds the
 * elements that it holds of the lower triangle.
 */
#include "lowrank_impl.h"
#include "fmal/mem.h"
#include "scalapack.h"

#include <assert.h>
#include <cblas.h>
#include <string.h>

/* Columns that DGEMM needs to be at speed. */
enum { FOLDED = 256 };

static int local_before(int end, int proc, int procs)
{
    const int block = FMAL_DMAT_BLOCK, source = 0;

    return proc < 0 ? 0 : numroc_(&end, &block, &proc, &source, &procs);
}

int fmal_lowrank_rows_before(const fmal_lowrank *m, int end)
{
    return local_before(end, m->base->grid->row, m->base->grid->rows);
}

int fmal_lowrank_cols_before(const fmal_lowrank *m, int end)
{
    return local_before(end, m->base->grid->col, m->base->grid->cols);
}

fmal_status fmal_lowrank_create(fmal_dmat *base, fmal_idx order, int capacity,
                                int columns, bool pairs, fmal_lowrank **out)
{
    fmal_lowrank *m = NULL;
    bool inside = base->grid->inside;
    fmal_idx room = inside ? capacity * order : 0;

    assert(order <= base->n);
    FMAL_TRY(FMAL_ALLOC(&m, 1));
    m->base = base;
    m->order = (int) order;
    m->rows_l = fmal_lowrank_rows_before(m, m->order);
    m->cols_l = fmal_lowrank_cols_before(m, m->order);
    m->capacity = capacity;
    m->isa = fmal_isa_detect();
    fmal_status st = FMAL_ALLOC(&m->w, room);
    if (st == FMAL_OK && pairs)
        st = FMAL_ALLOC(&m->z, room);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&m->small, inside ? 2 * FMAL_LOWRANK_CHUNK * columns : 0);
    if (st != FMAL_OK)
        fmal_lowrank_destroy(&m);
    else
        *out = m;
    return st;
}

double fmal_lowrank_bytes(fmal_idx order, int capacity, int columns, bool pairs)
{
    return 8.0 * ((pairs ? 2.0 : 1.0) * capacity * (double) order +
                  2.0 * FMAL_LOWRANK_CHUNK * columns);
}

void fmal_lowrank_destroy(fmal_lowrank **m)
{
    if (!*m)
        return;
    fmal_free(&(*m)->w);
    fmal_free(&(*m)->z);
    fmal_free(&(*m)->small);
    fmal_free(m);
}

void fmal_lowrank_reset(fmal_lowrank *m)
{
    m->pending = 0;
    m->crowded = false;
}

/* A tile of the lower triangle: [rows, cols] at `a`, from row i and column j of the
   whole matrix on. */
static void fold_tile(fmal_lowrank *m, double *a, int i, int rows, int j, int cols)
{
    int n = m->order, k = m->pending, ld = m->base->rows_l;
    const double *z = m->z ? m->z : m->w;

    m->flops += (m->z ? 2.0 : 1.0) * (i == j ? 1 : 2) * rows * cols * k;
    if (i == j && m->z)
        cblas_dsyr2k(CblasColMajor, CblasLower, CblasNoTrans, rows, k, m->scale,
                     m->w + i, n, m->z + i, n, 1, a, ld);
    else if (i == j)
        cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, rows, k, m->scale,
                    m->w + i, n, 1, a, ld);
    else
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, rows, cols, k, m->scale,
                    m->w + i, n, z + j, n, 1, a, ld);
    if (i != j && m->z)
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, rows, cols, k, m->scale,
                    m->z + i, n, m->w + j, n, 1, a, ld);
}

/* base += the terms, by tiles: all at once on one rank, else the layout's blocks. */
static void fold(fmal_lowrank *m)
{
    const fmal_grid *grid = m->base->grid;
    int tile = grid->rows * grid->cols == 1 ? m->order : FMAL_DMAT_BLOCK;

    for (int jl = 0; jl < m->cols_l; jl += tile) {
        int j = fmal_dmat_col(m->base, jl);
        int cols = m->cols_l - jl < tile ? m->cols_l - jl : tile;

        for (int il = fmal_lowrank_rows_before(m, j); il < m->rows_l; il += tile) {
            int rows = m->rows_l - il < tile ? m->rows_l - il : tile;

            fold_tile(m,
                      m->base->a + (size_t) jl * (size_t) m->base->rows_l + (size_t) il,
                      fmal_dmat_row(m->base, il), rows, j, cols);
        }
    }
    m->pending = 0;
}

/* Columns that may wait: all there is room for, but once that was not enough as many as
   DGEMM needs. */
static int room(const fmal_lowrank *m)
{
    return m->crowded && m->capacity > FOLDED ? FOLDED : m->capacity;
}

void fmal_lowrank_add(fmal_lowrank *m, double scale, const double *w, const double *z,
                      int k)
{
    size_t n = (size_t) m->order, count = (size_t) k * n;

    assert(k <= m->capacity && !m->z == !z);
    if (!m->base->grid->inside)
        return;
    bool full = m->pending + k > room(m);
    if (m->pending > 0 && (full || scale != m->scale))
        fold(m);
    m->crowded = m->crowded || full;
    m->scale = scale;
    memcpy(m->w + (size_t) m->pending * n, w, count * sizeof(double));
    if (z)
        memcpy(m->z + (size_t) m->pending * n, z, count * sizeof(double));
    m->pending += k;
}
