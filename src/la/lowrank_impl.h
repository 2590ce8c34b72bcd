/* Shared by the files of fmal_lowrank. */
#ifndef FMAL_LOWRANK_IMPL_H
#define FMAL_LOWRANK_IMPL_H

#include "fmal/la.h"

/* Waiting columns at a time in a product: few enough to stay in the cache from their
   first use to the second, enough for a product at speed. */
enum { FMAL_LOWRANK_CHUNK = 32 };

/* Rows, or columns, of this rank among the first `end` of the whole matrix. */
int fmal_lowrank_rows_before(const fmal_lowrank *m, int end);
int fmal_lowrank_cols_before(const fmal_lowrank *m, int end);

/*
 * y [rows] += A right and z [cols] += A^T left, for A [rows, cols] column-major, each
 * element of which is read once. Four columns at a time make best use of y.
 */
#define FMAL_LOWRANK_TILE(isa)                                                         \
    void fmal_lowrank_both_##isa(int rows, int cols, const double *a, int ld,          \
                                 const double *right, const double *left, double *y,   \
                                 double *z)

FMAL_LOWRANK_TILE(plain);
#ifdef FMAL_X86_ISA
FMAL_LOWRANK_TILE(avx2);
FMAL_LOWRANK_TILE(avx512);
#endif

#endif
