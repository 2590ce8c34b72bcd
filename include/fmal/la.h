/**
 * Dense linear algebra on matrices that are spread over ranks.
 *
 * The central object is fmal_dmat, a block-cyclic ScaLAPACK matrix of doubles on a grid
 * of ranks. On top stands fmal_lowrank: a symmetric matrix and the low-rank terms added
 * to it since, which are folded in many at a time.
 *
 *     fmal_grid grid;
 *     fmal_grid_init(&grid, ctx, 2, 2);
 *     fmal_dmat_create(&grid, n, &a);
 *     fmal_dmat_invert(a, work);
 */
#ifndef FMAL_LA_H
#define FMAL_LA_H

#include <stdbool.h>

#include "fmal/isa.h"
#include "fmal/par.h"

/* ---- Grid ---- */

/** A grid of ranks; those beyond rows x cols are outside. A plain value. */
typedef struct fmal_grid {
    fmal_ctx ctx; /* borrows the communicator */
    int rows, cols;
    int row, col;   /* this rank's place; -1 outside */
    int context;    /* BLACS */
    int blacs_comm; /* BLACS handle of the communicator */
    bool inside;
} fmal_grid;

/** Up to this order a matrix lives on one rank, so that its rounding does not depend on
    the number of ranks. */
enum { FMAL_ONE_RANK_ORDER = 2048 };

/** The grid for matrices of order n: 1 x 1 up to FMAL_ONE_RANK_ORDER, above it the one
    of at most so many ranks, and of no more rows than columns, on which 1 / (rows cols)
    + 200 / n (1 / rows + 1 / cols) is least (grid.c). Not collective. */
void fmal_grid_choose(fmal_idx n, int ranks, int *rows, int *cols);

/** Collective over ctx; rows x cols <= ranks. */
void fmal_grid_init(fmal_grid *grid, const fmal_ctx *ctx, int rows, int cols);

/** Collective over the grid's ctx. A cleared or zeroed grid is fine. */
void fmal_grid_clear(fmal_grid *grid);

/** Rows and columns of a block of the block-cyclic layout. */
enum { FMAL_DMAT_BLOCK = 64 };

/* ---- Distributed square matrices ---- */

/** A symmetric n x n matrix, block-cyclic on a grid, both triangles held. */
typedef struct fmal_dmat {
    const fmal_grid *grid; /* borrowed */
    int n;
    int rows_l, cols_l; /* local part; 0 outside of the grid */
    double *a;          /* local part, column-major, leading dimension max(1, rows_l) */
    int desc[9];        /* ScaLAPACK's description */
} fmal_dmat;

/** Bytes that the rank with most holds of a matrix of order n on a grid. Not
 * collective. */
double fmal_dmat_bytes(fmal_idx n, int rows, int cols);

/**
 * A zero matrix.
 *
 * Collective over the grid's ctx.
 * @param n  order, 1 to 2^31 - 1
 * @return FMAL_ERR_NOMEM, agreed
 */
fmal_status fmal_dmat_create(const fmal_grid *grid, fmal_idx n, fmal_dmat **out);

/** Free *m and set it to NULL; *m may be NULL. Not collective. */
void fmal_dmat_destroy(fmal_dmat **m);

/** Global row of local row il; global column of local column jl. Not collective. */
int fmal_dmat_row(const fmal_dmat *m, int il);
int fmal_dmat_col(const fmal_dmat *m, int jl);

/** m[i, j] += x where this rank holds that element; else nothing. Not collective. */
void fmal_dmat_add_at(fmal_dmat *m, int i, int j, double x);

/** m = 0 and its diagonal = x. Not collective. */
void fmal_dmat_set_diagonal(fmal_dmat *m, double x);

/**
 * Give every rank a copy of a part.
 *
 * Collective over the grid's ctx.
 * @param[out] out  [cols, rows]: columns of the part, one after the other; of the
 * caller
 */
void fmal_dmat_get(const fmal_dmat *m, int row, int col, int rows, int cols,
                   double *out);

/**
 * m = inverse of m, by Cholesky factorisation; work is of the same grid and order.
 *
 * Collective over the grid's ctx. Cost: n^3 flops, shared by the grid.
 * @return FMAL_ERR_NUMERIC naming the order of the minor that is not positive; agreed
 */
fmal_status fmal_dmat_invert(fmal_dmat *m, fmal_dmat *work);

/** out = a f a, symmetric to the bit, using work; all four of one grid and order.
   Collective over the grid's ctx. Cost: 4 n^3 flops, shared by the grid. */
void fmal_dmat_sandwich(const fmal_dmat *a, const fmal_dmat *f, fmal_dmat *work,
                        fmal_dmat *out);

/**
 * m = P m P with P = (I - 1 1^T / classes) (x) I of order classes d, and 1 on the rest
 * of the diagonal: of the first classes d rows, and columns, those that belong to one
 * feature then sum to zero over classes.
 *
 * Collective over the grid's ctx. Cost: 4 order^2 flops, shared by the grid.
 * @param classes, d  classes d is at most the order
 * @return FMAL_ERR_NOMEM, agreed
 */
fmal_status fmal_dmat_center(fmal_dmat *m, int classes, int d);

/** The trace of a b, both symmetric, the same on every rank. Collective. */
double fmal_dmat_trace_product(const fmal_dmat *a, const fmal_dmat *b);

/* ---- A matrix and low-rank terms ---- */

/**
 * A symmetric matrix and symmetric terms that were added to it:
 *
 *     base + scale sum of w w^T          or, in pairs,
 *     base + scale sum of w z^T + z w^T
 *
 * over the columns w, z that wait. The terms wait until they are `capacity` columns, or
 * one comes with another scale, and are then folded into the base, so that the base is
 * read and not written in most steps. Once there was no room, until a reset, fewer
 * wait.
 *
 * This is all about the leading rows and columns of the base, `order` of them, and of
 * those about the lower triangle: products read nothing else, and after a fold nothing
 * else of the base is valid. Whoever reads the base otherwise has to compute it afresh
 * before.
 */
typedef struct fmal_lowrank {
    fmal_dmat *base; /* borrowed */
    int order;
    int rows_l, cols_l;    /* local part of the leading rows and columns */
    int capacity, pending; /* columns */
    bool crowded;          /* since the last reset: then fewer columns wait */
    double scale;          /* of those that wait */
    double *w, *z;         /* [capacity, order]; z is NULL unless in pairs */
    double *small;         /* coefficients of the waiting columns in a product */
    fmal_isa isa;
    double flops; /* of this rank, so far */
} fmal_lowrank;

/**
 * Not collective.
 * @param base     borrowed
 * @param order    leading rows and columns to work on, at most those of the base
 * @param columns  the most columns of a product
 * @param pairs    whether terms are w z^T + z w^T
 * @return FMAL_ERR_NOMEM
 */
fmal_status fmal_lowrank_create(fmal_dmat *base, fmal_idx order, int capacity,
                                int columns, bool pairs, fmal_lowrank **out);
void fmal_lowrank_destroy(fmal_lowrank **m);

/** Bytes that one takes on a rank of the grid, the base apart. Not collective. */
double fmal_lowrank_bytes(fmal_idx order, int capacity, int columns, bool pairs);

/** Forget the waiting terms: the base was computed afresh, both triangles. Not
 * collective. */
void fmal_lowrank_reset(fmal_lowrank *m);

/**
 * Add scale w w^T, or in pairs scale (w z^T + z w^T).
 *
 * Not collective: each rank of the grid updates what it holds.
 * @param w, z  [k, order], the same on every rank, copied; z is NULL unless in pairs
 * @param k     at most the capacity
 */
void fmal_lowrank_add(fmal_lowrank *m, double scale, const double *w, const double *z,
                      int k);

/**
 * out = (base + terms) u.
 *
 * Collective over the grid's ctx.
 * @param u         [k, order]: column after column, the same on every rank
 * @param[out] out  [k, order]; complete on the root, undefined elsewhere
 * Cost: 2 k order^2 flops, shared by the grid; order^2 / 2 numbers are read.
 */
void fmal_lowrank_apply(fmal_lowrank *m, const double *u, int k, double *out);

/**
 * out = (base + terms) (I (x) h) and what stands below it: column l of the factor is h
 * in block l, zeros in the other blocks, and then row l of `tail`. What h (x) any
 * columns needs is a combination of these.
 *
 * Collective over the grid's ctx.
 * @param h         [d], the same on every rank
 * @param blocks    blocks of d rows; the tail has the other rows of the order
 * @param tail      [blocks, order - blocks d], the same on every rank; may be NULL if
 *                  there are none
 * @param[out] out  [blocks, order]; complete on the root, undefined elsewhere
 * Cost: that of one column, 2 order^2 flops, and order^2 / 2 numbers are read; with t
 * rows of tail, 2 blocks t (2 order - t) flops more.
 */
void fmal_lowrank_apply_blocks(fmal_lowrank *m, const double *h, int d, int blocks,
                               const double *tail, double *out);

/* ---- Small matrices on one rank ---- */

/** C[m, n] = alpha op(A) op(B) + beta C, all row-major. Not collective. */
void fmal_gemm(bool trans_a, bool trans_b, int m, int n, int k, double alpha,
               const double *a, int lda, const double *b, int ldb, double beta,
               double *c, int ldc);

/** Lower triangle of C [n, n] = A A^T for A [n, k], row-major. Not collective. */
void fmal_syrk(int n, int k, const double *a, double *c);

/** X [m, n] = L X for lower L [m, m], row-major. Not collective. */
void fmal_trmm(int m, int n, const double *l, double *x);

/** Flops a second that the slowest rank reaches in a product while all are at work,
   from a few hundredths of a second; 0 if out of memory. Collective over ctx. */
double fmal_gemm_rate(const fmal_ctx *ctx);

/** Lower Cholesky factor in place, row-major [n, n], upper triangle zeroed.
    @return false if a pivot is not positive. Not collective. */
bool fmal_cholesky(int n, double *a);

/** a = inverse of symmetric a [n, n], of which the lower triangle is read and both are
    written; by LAPACK, for orders that are not small. @return false if a pivot is not
    positive; a is lost then. Not collective. */
bool fmal_invert(int n, double *a);

/** X = X L^-T for X given as its transpose: rows x[i] of length n, i < r, are the
   columns of X; L lower [r, r] row-major. Not collective. */
void fmal_solve_right(int r, const double *l, double *x, int n);

/** The largest real part of the eigenvalues of a [n, n], which is overwritten; NaN if
   they are not found. work [5 n]. Not collective. */
double fmal_largest_eigenvalue(int n, double *a, double *work);

/** Let BLAS use one thread on this rank from now on: ranks are the parallelism. */
void fmal_blas_one_thread(void);

/** Name of the processor type that BLAS chose, its threads and version. */
const char *fmal_blas_core(void);
int fmal_blas_threads(void);
const char *fmal_blas_version(void);

#endif
