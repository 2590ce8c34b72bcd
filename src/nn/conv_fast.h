/**
 * Convolutions in float by kernels of our own; the contracts are those of conv.h.
 */
#ifndef FMAL_CONV_FAST_H
#define FMAL_CONV_FAST_H

#include <stdbool.h>

#include "conv.h"

/** There are kernels for this instruction set and this size of a kernel. */
bool fmal_conv_is_fast(const fmal_conv *c);

/** Numbers of working memory, whatever the instruction set. */
fmal_idx fmal_conv_fast_work(const fmal_conv *c, int n);

void fmal_conv_fast_forward(const fmal_conv *c, const float *w, const float *x, int n,
                            float *y, float *work);
void fmal_conv_fast_backward(const fmal_conv *c, const float *w, const float *dy, int n,
                             float *dx, float *work);
void fmal_conv_fast_gradient(const fmal_conv *c, const float *x, const float *dy, int n,
                             float *dw, float *work);
void fmal_conv_fast_squares(const fmal_conv *c, const float *x, const float *dy, int n,
                            float *sum, float *work);

#endif
