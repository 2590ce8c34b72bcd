/* The r x r work of a step, for FMAL_LANES samples at a time. */
#ifndef FMAL_TILE_H
#define FMAL_TILE_H

#include "fmal/factor.h"
#include "fmal/isa.h"

/*
 * Packed lower triangles, lanes fastest: g, b [r (r + 1) / 2, LANES].
 *
 * update  G -= sign P P^T, B -= sign (P Q^T + Q P^T); pq [2 r, r, LANES] holds the
 * columns of P, then those of Q. score   out[lane] = tr((I + sign G)^-1 B); NaN where I
 * + sign G is not positive. work [r (r + 1), LANES].
 */
#define FMAL_TILE(isa)                                                                 \
    void fmal_tile_update_##isa(int r, double sign, const double *pq, double *g,       \
                                double *b);                                            \
    void fmal_tile_score_##isa(int r, double sign, const double *g, const double *b,   \
                               double *work, double *out)

FMAL_TILE(plain);
#ifdef FMAL_X86_ISA
FMAL_TILE(avx2);
FMAL_TILE(avx512);
#endif

/* A set of these functions. */
typedef struct fmal_tile {
    void (*update)(int r, double sign, const double *pq, double *g, double *b);
    void (*score)(int r, double sign, const double *g, const double *b, double *work,
                  double *out);
} fmal_tile;

fmal_tile fmal_tile_for(fmal_isa isa);

#endif
