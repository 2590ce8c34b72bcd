/*
 * The inner loops of convolutions; compiled once for each instruction set that is worth
 * more than OpenBLAS on columns.
 *
 * Both products keep a block of sums in registers: up to TALL rows, whose numbers are
 * broadcast, by up to VECTORS registers of lanes. AVX-512 has room for a whole tile of
 * 8 x 32; AVX2 goes over it in four blocks of 4 x 16.
 */
#include "conv_kernel.h"

#include <string.h>

#if defined(__AVX2__)

#define PASTE(a, b)  a##b
#define NAMED(a, b)  PASTE(a, b)
#define KERNEL(name) NAMED(name##_, FMAL_ISA)

enum { ROWS = FMAL_CONV_ROWS, LANES = FMAL_CONV_LANES };

#if defined(__AVX512F__)
enum { WIDTH = 16, TALL = 8, VECTORS = 2 };
#else
enum { WIDTH = 8, TALL = 4, VECTORS = 2 };
#endif

typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef float oct __attribute__((vector_size(32), aligned(4)));

#define UNROLL _Pragma("GCC unroll 8")
#define INLINE static inline __attribute__((always_inline))

INLINE void multiply_block(const fmal_conv_term *term, int terms, int channels,
                           const float *weights, const float *pixels, int lanes,
                           const int vectors, float *tile)
{
    vec sum[TALL][VECTORS] = { 0 };

    for (int t = 0; t < terms; t++) {
        const float *w = weights + term[t].weight, *x = pixels + term[t].pixel;

        for (int c = 0; c < channels; c++, w += ROWS, x += lanes)
            UNROLL for (int i = 0; i < TALL; i++)
                UNROLL for (int v = 0; v < vectors; v++) sum[i][v] +=
                ((const vec *) x)[v] * w[i];
    }
    UNROLL for (int i = 0; i < TALL; i++)
        UNROLL for (int v = 0; v < vectors; v++)((vec *) (tile + i * lanes))[v] =
            sum[i][v];
}

static void multiply(const fmal_conv_term *term, int terms, int channels,
                     const float *weights, const float *pixels, int lanes, float *tile)
{
    for (int i = 0; i < ROWS; i += TALL, weights += TALL, tile += TALL * lanes)
        if (lanes < VECTORS * WIDTH)
            multiply_block(term, terms, channels, weights, pixels, lanes, 1, tile);
        else
            for (int l = 0; l < lanes; l += VECTORS * WIDTH)
                multiply_block(term, terms, channels, weights, pixels + l, lanes,
                               VECTORS, tile + l);
}

INLINE void gradient_block(const fmal_conv_walk *walk, const float *const *channel,
                           const int tall, const float *dy, int lanes,
                           const int vectors, bool square, float *sum)
{
    const float *x[TALL];
    vec s[TALL][VECTORS] = { 0 };

    for (int i = 0; i < tall; i++)
        x[i] = channel[i];
    for (int image = 0; image < walk->images; image++)
        for (int y = 0; y < walk->height; y++) {
            const float *slope = dy + image * walk->dy_image + y * walk->dy_row;
            fmal_idx at = image * walk->x_image + y * walk->x_row;

            for (int q = 0; q < walk->width; q++, slope += lanes, at += walk->x_column)
                UNROLL for (int i = 0; i < tall; i++)
                    UNROLL for (int v = 0; v < vectors; v++) s[i][v] +=
                    ((const vec *) slope)[v] * x[i][at];
        }
    UNROLL for (int i = 0; i < tall; i++) UNROLL for (int v = 0; v < vectors; v++)
    {
        vec *to = (vec *) (sum + i * lanes) + v;

        if (square)
            *to += s[i][v] * s[i][v];
        else
            *to += s[i][v];
    }
}

static void gradient(const fmal_conv_walk *walk, const float *const *channel, int rows,
                     const float *dy, int lanes, bool square, float *sum)
{
    for (int i = 0; i < rows; i += TALL)
        for (int l = 0; l < lanes; l += VECTORS * WIDTH) {
            const float *const *x = channel + i;
            float *to = sum + i * lanes + l;
            bool narrow = lanes < VECTORS * WIDTH;

            if (rows < TALL && narrow)
                gradient_block(walk, x, ROWS / 2, dy + l, lanes, 1, square, to);
            else if (rows < TALL)
                gradient_block(walk, x, ROWS / 2, dy + l, lanes, VECTORS, square, to);
            else if (narrow)
                gradient_block(walk, x, TALL, dy + l, lanes, 1, square, to);
            else
                gradient_block(walk, x, TALL, dy + l, lanes, VECTORS, square, to);
        }
}

/* An 8 x 8 square: rows interleaved by numbers, by pairs, and by halves. */
static inline void turn_square(const float *from, fmal_idx from_stride, float *to,
                               fmal_idx to_stride)
{
    oct x[8], y[8];

    UNROLL for (int i = 0; i < 8; i++) x[i] = *(const oct *) (from + i * from_stride);
    UNROLL for (int i = 0; i < 8; i += 2)
    {
        y[i] = __builtin_shufflevector(x[i], x[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        y[i + 1] = __builtin_shufflevector(x[i], x[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    UNROLL for (int i = 0; i < 8; i += 2)
    {
        oct a = y[i / 4 * 4 + i / 2 % 2], b = y[i / 4 * 4 + i / 2 % 2 + 2];

        x[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
        x[i + 1] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
    }
    UNROLL for (int i = 0; i < 4; i++)
    {
        *(oct *) (to + i * to_stride) =
            __builtin_shufflevector(x[i], x[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(oct *) (to + (i + 4) * to_stride) =
            __builtin_shufflevector(x[i], x[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* Lines of the side that lies far apart, which share few places in a cache, are used up
   one after the other. */
static void turn(const float *from, fmal_idx from_stride, int rows, int cols, float *to,
                 fmal_idx to_stride)
{
    if (from_stride > to_stride) {
        for (int i = 0; i + 8 <= rows; i += 8)
            for (int j = 0; j + 8 <= cols; j += 8)
                turn_square(from + i * from_stride + j, from_stride,
                            to + j * to_stride + i, to_stride);
    } else {
        for (int j = 0; j + 8 <= cols; j += 8)
            for (int i = 0; i + 8 <= rows; i += 8)
                turn_square(from + i * from_stride + j, from_stride,
                            to + j * to_stride + i, to_stride);
    }
    for (int i = 0; i < rows; i++)
        for (int j = i < rows / 8 * 8 ? cols / 8 * 8 : 0; j < cols; j++)
            to[j * to_stride + i] = from[i * from_stride + j];
}

const fmal_conv_kernel KERNEL(fmal_conv_kernel) = { multiply, gradient, turn };

#endif
