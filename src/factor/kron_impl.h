/* Shared by the files of the Kronecker form. */
#ifndef FMAL_KRON_IMPL_H
#define FMAL_KRON_IMPL_H

#include "factor_impl.h"

/* The factor's data. */
typedef struct kron {
    const float *h;  /* [n_l, d], borrowed */
    const double *p; /* [n_l, c], borrowed */
    int d, c;
    double *sample;   /* [d + c]: features and probabilities of one sample */
    double *root, *q; /* [c]: its rotation */
} kron;

fmal_status fmal_kron_gram(const fmal_factor *f, const uint8_t *take, double weight,
                           fmal_dmat *out, double *flops);

/* The rotated rows of R: row k is root[k] (e_k - q), k < c - 1. root [c - 1], q [c]. */
void fmal_kron_rotation(const double *p, int c, double *root, double *q);

/* Products of two features are made so many at a time: 256 samples of them fill the L2
   cache. */
enum { FMAL_KRON_PAIRS = 512 };

/* products [width, m]: h_a h_b of samples ht [d, m], for `width` pairs a <= b from (*a,
   *b) on, a running fastest; advances (*a, *b). */
void fmal_kron_products(const double *ht, int m, int width, int *a, int *b,
                        double *products);

/*
 * Loops over lanes; one copy for each instruction set.
 *
 * y      [cols, r, ld]: rows of H W, samples along ld
 * root, shift  [r, LANES]
 * out    [cols, r, LANES]: root_k (y_k - sum_m shift_m y_m)
 */
#define FMAL_KRON_TILE(isa)                                                            \
    void fmal_kron_project_##isa(int r, int cols, const double *y, int ld,             \
                                 const double *root, const double *shift, double *out)

FMAL_KRON_TILE(plain);
#ifdef FMAL_X86_ISA
FMAL_KRON_TILE(avx2);
FMAL_KRON_TILE(avx512);
#endif

#endif
