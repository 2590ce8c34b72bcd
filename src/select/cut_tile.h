/* The candidate passes of the approximations; one copy for each instruction set. */
#ifndef FMAL_CUT_TILE_H
#define FMAL_CUT_TILE_H

#include "fmal/factor.h"
#include "fmal/isa.h"

/* Features of the diagonal pass are padded to whole quads. */
enum { FMAL_CUT_QUAD = 4 };

/*
 * block  m samples side by side, a multiple of FMAL_LANES, and c classes. First, unless
 *        y is NULL, G -= sign P P and B -= 2 sign P Q, where y [c, 2, m] holds P and Q;
 *        then score = sum over classes of w B / (1 + sign w G). w, g, b [c, m].
 * diag   FMAL_LANES samples: score = sum over blocks k and features a of
 *        ratio_ka w / (1 + sign w inverse_ka), w = weight_k x_a. weight [blocks,
 * LANES], x [d, LANES], inverse and ratio [blocks, d]; d is a multiple of
 * FMAL_CUT_QUAD.
 *
 * Scores are NaN where a 1 + sign ... is not positive.
 */
typedef struct fmal_cut_tile {
    void (*block)(int m, int c, double sign, const double *y, const double *w,
                  double *g, double *b, double *score);
    void (*diag)(int blocks, int d, double sign, const double *weight, const double *x,
                 const double *inverse, const double *ratio, double *score);
} fmal_cut_tile;

const fmal_cut_tile *fmal_cut_tile_for(fmal_isa isa);

extern const fmal_cut_tile fmal_cut_tile_plain;
#ifdef FMAL_X86_ISA
extern const fmal_cut_tile fmal_cut_tile_avx2;
extern const fmal_cut_tile fmal_cut_tile_avx512;
#endif

#endif
