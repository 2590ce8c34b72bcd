/**
 * Convolutions of batches of images, without bias; in both number types (real.h).
 *
 * x [n, in, height, width], y [n, out, out_height, out_width], w [out, in, kernel,
 * kernel]; output (i, j) reads input (i stride + a - pad, j stride + b - pad) by weight
 * (a, b), and zero outside of the image. Nothing allocates: callers bring
 * fmal_conv_work reals.
 */
#ifndef FMAL_CONV_H
#define FMAL_CONV_H

#include "real.h"

#include "fmal/status.h"

/** Sizes of a convolution. A plain value. */
typedef struct fmal_conv {
    int in, height, width, out, kernel, stride, pad, out_height, out_width;
} fmal_conv;

/** Reals of working memory for any call of n samples. */
fmal_idx fmal_conv_work(const fmal_conv *c, int n);

/** y = w * x. */
void FMAL_REAL(fmal_conv_forward)(const fmal_conv *c, const fmal_real *w,
                                  const fmal_real *x, int n, fmal_real *y,
                                  fmal_real *work);

/** dx, overwritten, from the slope dy of the output. */
void FMAL_REAL(fmal_conv_backward)(const fmal_conv *c, const fmal_real *w,
                                   const fmal_real *dy, int n, fmal_real *dx,
                                   fmal_real *work);

/** dw, overwritten: the gradient summed over samples. */
void FMAL_REAL(fmal_conv_gradient)(const fmal_conv *c, const fmal_real *x,
                                   const fmal_real *dy, int n, fmal_real *dw,
                                   fmal_real *work);

/** sum[j] += sum over samples of d_ij^2, d_i the gradient of sample i alone. */
void FMAL_REAL(fmal_conv_squares)(const fmal_conv *c, const fmal_real *x,
                                  const fmal_real *dy, int n, fmal_real *sum,
                                  fmal_real *work);

/** out[i * stride + j] = d_i at position index[j] of the weight. */
void FMAL_REAL(fmal_conv_masked)(const fmal_conv *c, const fmal_real *x,
                                 const fmal_real *dy, int n, const fmal_idx *index,
                                 fmal_idx count, fmal_real *out, fmal_idx stride,
                                 fmal_real *work);

#endif
