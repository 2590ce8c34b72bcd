/**
 * Convolutions of images: forward, and the derivatives that a network needs of them.
 *
 *     y[i, o, p, q] = sum over c, k, l of w[o, c, k, l] x[i, c, s p + k - pad, s q + l
 * - pad]
 *
 * with zeros outside of the image (a correlation, as in every framework). Values are
 * [n, channels, height, width], weights [out, in, kernel, kernel]; a bias is the
 * caller's. In float and in double, by im2col and OpenBLAS, and in float by kernels of
 * our own where `isa` names an instruction set that they have: the same numbers but for
 * rounding.
 *
 *     fmal_conv c = fmal_conv_make(16, 32, 32, 32, 3, 2, 1);
 *     c.isa = isa;
 *     FMAL_ALLOC(&work, fmal_conv_work(&c, n));
 *     fmal_conv_forward_f32(&c, w, x, n, y, work);
 *
 * Nothing here is collective, allocates or fails. What comes out has the same bits
 * wherever the arrays lie in memory. With kernels of our own it has the same bits for
 * every instruction set that they have, and what a sample gives depends neither on the
 * others of the call nor on n; with OpenBLAS on its place and on n. Gradients and
 * squares add samples in the order in which they come.
 */
#ifndef FMAL_CONV_H
#define FMAL_CONV_H

#include "fmal/isa.h"
#include "fmal/status.h"

/** A convolution's shape. A plain value. */
typedef struct fmal_conv {
    int in, height, width;     /* of what comes in */
    int out;                   /* channels that go out */
    int kernel, stride, pad;   /* kernel, stride >= 1; pad >= 0 */
    int out_height, out_width; /* >= 1 */
    fmal_isa isa;              /* of the kernels for float; plain: OpenBLAS */
} fmal_conv;

/** With the sizes of the output, which are below 1 if the kernel does not fit, and the
    plain instruction set. */
fmal_conv fmal_conv_make(int in, int height, int width, int out, int kernel, int stride,
                         int pad);

/** Numbers of working memory that any call with up to n samples needs, of its own type,
    with any instruction set; aligned to 64 bytes, as fmal_alloc gives it. */
fmal_idx fmal_conv_work(const fmal_conv *c, int n);

/** Floating-point operations of a forward pass of one sample, 2 for each product; the
    backward pass and the gradient have as many. */
double fmal_conv_flops(const fmal_conv *c);

/** Rows (or columns) [first, last) of the output. */
typedef struct fmal_conv_range {
    int first, last;
} fmal_conv_range;

/** Those at which row (or column) k of the weights meets the image and not the zeros
    around it; size and outputs are heights (or widths). Empty: first = last. */
fmal_conv_range fmal_conv_reach(const fmal_conv *c, int k, int size, int outputs);

/*
 * forward   y [n, out, out_height, out_width] from x [n, in, height, width];
 * overwritten. backward  dx, a slope by x, from dy, the slope by y; overwritten.
 * gradient  dw, the slope by w: the sum over samples of d_i, which is
 *               d_i[o, c, k, l] = sum over p, q of dy[i, o, p, q] x[i, c, s p + k -
 * pad, s q + l - pad]; overwritten. squares   sum[j] += sum over samples of d_ij^2.
 * masked    out[i ostride + j] = d_i at position index[j] of w, for j < count; index
 *           ascending. Cost: 2 count out_height out_width flops a sample.
 */
#define FMAL_CONV_DECLARE(real, type)                                                  \
    void fmal_conv_forward_##type(const fmal_conv *c, const real *w, const real *x,    \
                                  int n, real *y, real *work);                         \
    void fmal_conv_backward_##type(const fmal_conv *c, const real *w, const real *dy,  \
                                   int n, real *dx, real *work);                       \
    void fmal_conv_gradient_##type(const fmal_conv *c, const real *x, const real *dy,  \
                                   int n, real *dw, real *work);                       \
    void fmal_conv_squares_##type(const fmal_conv *c, const real *x, const real *dy,   \
                                  int n, real *sum, real *work);                       \
    void fmal_conv_masked_##type(const fmal_conv *c, const real *x, const real *dy,    \
                                 int n, const fmal_idx *index, fmal_idx count,         \
                                 real *out, fmal_idx ostride, real *work);

FMAL_CONV_DECLARE(float, f32)
FMAL_CONV_DECLARE(double, f64)

#endif
