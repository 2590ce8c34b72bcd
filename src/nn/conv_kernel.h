/* The inner loops of convolutions in float; one copy for each instruction set. */
#ifndef FMAL_CONV_KERNEL_H
#define FMAL_CONV_KERNEL_H

#include <stdbool.h>

#include "fmal/isa.h"
#include "fmal/status.h"

/* A tile has so many rows, whose numbers are broadcast, of so many lanes, or of half as
   many: `lanes` is one of the two. */
enum { FMAL_CONV_ROWS = 8, FMAL_CONV_LANES = 32 };

/* A weight (k, l) that meets a pixel: offsets of its first channel. */
typedef struct fmal_conv_term {
    fmal_idx weight, pixel;
} fmal_conv_term;

/* The pixels of the output that a weight (k, l) meets within the image: in dy, which is
   turned to [images, pixels, lanes], and in a channel of x. */
typedef struct fmal_conv_walk {
    int images, height, width;
    fmal_idx dy_image, dy_row;
    fmal_idx x_image, x_row, x_column;
} fmal_conv_walk;

/*
 * multiply  tile [ROWS, lanes] = sum over terms and channels of weight [channels, ROWS]
 *           by pixel [channels, lanes]. Each number is one chain of multiply-adds.
 * gradient  sum [rows, lanes] += the sum over a walk of x at channel [row] by dy; or,
 *           with `square`, += the square of that sum. rows is ROWS or half of it;
 *           channels [rows] point to the first pixel.
 * turn      to[j * to_stride + i] = from[i * from_stride + j] for i < rows, j < cols.
 */
typedef struct fmal_conv_kernel {
    void (*multiply)(const fmal_conv_term *term, int terms, int channels,
                     const float *weights, const float *pixels, int lanes, float *tile);
    void (*gradient)(const fmal_conv_walk *walk, const float *const *channel, int rows,
                     const float *dy, int lanes, bool square, float *sum);
    void (*turn)(const float *from, fmal_idx from_stride, int rows, int cols, float *to,
                 fmal_idx to_stride);
} fmal_conv_kernel;

/* NULL where there is none, which is so for plain. */
const fmal_conv_kernel *fmal_conv_kernel_for(fmal_isa isa);

#ifdef FMAL_X86_ISA
extern const fmal_conv_kernel fmal_conv_kernel_avx2;
extern const fmal_conv_kernel fmal_conv_kernel_avx512;
#endif

#endif
