/* Shared by the files of fmal_lowrank. */
#ifndef FMAL_LOWRANK_IMPL_H
#define FMAL_LOWRANK_IMPL_H

#include "fmal/la.h"

/* Waiting columns at a time in a product: few enough to be in the cache still when
   their coefficients are known, enough for a product at speed. */
enum { FMAL_LOWRANK_CHUNK = 64 };

/* Rows, or columns, of this rank among the first `end` of the whole matrix. */
int fmal_lowrank_rows_before(const fmal_lowrank *m, int end);
int fmal_lowrank_cols_before(const fmal_lowrank *m, int end);

/*
 * The hot loops; one copy for each instruction set.
 *
 * both   y [rows] += A right and z [cols] += A^T left, for A [rows, cols] column-major,
 *        each element of which is read once.
 * terms  out [columns, rows] += S^T W for S [count, columns], W [count, rows]; rows of
 *        out and of W lie ld apart. `count` more rows of W, those that the next call
 *        will want, are fetched into the cache on the way; they need not exist.
 */
typedef struct fmal_lowrank_kernel {
    void (*both)(int rows, int cols, const double *a, int ld, const double *right,
                 const double *left, double *y, double *z);
    void (*terms)(int rows, int columns, int count, const double *w, const double *s,
                  size_t ld, double *out);
} fmal_lowrank_kernel;

extern const fmal_lowrank_kernel fmal_lowrank_kernel_plain;
#ifdef FMAL_X86_ISA
extern const fmal_lowrank_kernel fmal_lowrank_kernel_avx2;
extern const fmal_lowrank_kernel fmal_lowrank_kernel_avx512;
#endif

#endif
