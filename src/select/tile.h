/* The r x r work of a step, for as many samples at a time as fill 64 bytes. */
#ifndef FMAL_TILE_H
#define FMAL_TILE_H

#include "fmal/factor.h"
#include "fmal/isa.h"

/*
 * Packed lower triangles, samples fastest: g, b [r (r + 1) / 2, LANES], LANES 8 in
 * double and 16 in single precision.
 *
 * update  G -= sign P P^T, B -= sign (P Q^T + Q P^T); pq [2 r, r, LANES] holds the
 *         columns of P, then those of Q.
 * score   out[lane] = tr((I + sign G)^-1 B); NaN where I + sign G is not positive. work
 *         has room for FMAL_TILE_WORK(r) times LANES numbers.
 */
#define FMAL_TILE_WORK(r) ((fmal_idx) (r) * ((r) + 9))

typedef struct fmal_tile {
    void (*update)(int r, double sign, const double *pq, double *g, double *b);
    void (*score)(int r, double sign, const double *g, const double *b, double *work,
                  double *out);
    void (*update_f32)(int r, float sign, const float *pq, float *g, float *b);
    void (*score_f32)(int r, float sign, const float *g, const float *b, float *work,
                      float *out);
} fmal_tile;

const fmal_tile *fmal_tile_for(fmal_isa isa);

extern const fmal_tile fmal_tile_plain;
#ifdef FMAL_X86_ISA
extern const fmal_tile fmal_tile_avx2;
extern const fmal_tile fmal_tile_avx512;
#endif

#endif
