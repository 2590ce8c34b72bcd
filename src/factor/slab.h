/*
 * A slab of sums over samples, on its way into a matrix that is spread over a grid.
 *
 * A form of factor adds integers of its own making: units of `width` sums, of which
 * some elements of the matrix are then made. So that no rank receives what is of no use
 * to it, sums go to their elements in two steps (slab.c), whatever the form:
 *
 *     fmal_slab_init(&slab, ctx, m, units, elements of a unit);
 *     fill sum [units, width], this rank's part
 *     fmal_slab_finish(&slab, sum, units, block, width);
 */
#ifndef FMAL_SLAB_H
#define FMAL_SLAB_H

#include "fmal/la.h"

/*
 * Elements of one unit: x [rows, cols], of which x[i, j] belongs to row row + i
 * row_step and column col + j col_step. Rows x[i] with i < mirrored belong to the
 * mirrored place too. A plain value.
 */
typedef struct fmal_patch {
    int row, row_step, rows;
    int col, col_step, cols;
    int mirrored;
} fmal_patch;

/* A plain value; the first four are set by the form before fmal_slab_init. */
typedef struct fmal_slab {
    fmal_dmat *out; /* borrowed */
    const void *job;
    void (*patch)(const void *job, fmal_idx unit, fmal_patch *patch);
    void (*values)(const void *job, fmal_idx unit, double *x); /* complete sums only */

    fmal_ctx ctx;
    fmal_idx most;              /* elements of a unit */
    fmal_idx together;          /* units of a rank in one exchange */
    int *row_proc, *col_proc;   /* [D]: which process row and column has which */
    int *row_l, *col_l;         /* [D]: where, of this rank's */
    int *hit_rows, *hit_cols;   /* [D]: of a patch, those of one rank */
    double *x;                  /* [together, most] */
    double *outgoing, *arrived; /* [2 together, most], on grids of several ranks */
    int64_t *room;              /* for fmal_sum_i64_parts, there too */
} fmal_slab;

/* For slabs of at most so many units, each of at most `most` elements. Not collective;
   cleared by the caller even after a failure. @return FMAL_ERR_NOMEM */
fmal_status fmal_slab_init(fmal_slab *slab, const fmal_ctx *ctx, fmal_idx units,
                           fmal_idx most);
void fmal_slab_clear(fmal_slab *slab);

/*
 * Sum over ranks, and add the elements to the matrix. Units that lie in one block of
 * sums go together; the last block is as long as the others. What `values` reads is
 * complete by then.
 *
 * Collective over ctx.
 * @param sum    [units in whole blocks of `block`, width]; lost
 * @param units  may be 0
 */
void fmal_slab_finish(fmal_slab *slab, int64_t *sum, fmal_idx units, int block,
                      fmal_idx width);

/* Bytes on a grid of several ranks, at the most, for matrices of an order and units of
   so many elements. */
double fmal_slab_bytes(fmal_idx order, fmal_idx most);

#endif
