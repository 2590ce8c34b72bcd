/*
 * The candidate passes of the approximations; compiled once for each instruction set
 * (see cut_tile.h).
 *
 * A division costs as much as a dozen multiplications. The block pass has one for each
 * sample and class, which hides behind the memory that it reads. The diagonal pass
 * would have one for each sample, class and feature and nothing to hide it behind; so
 * terms are added as fractions, and four of them share one division. (Eight are no
 * faster.) A product of denominators would overflow at w / M = 1e77, and give NaN,
 * which is reported.
 */
#include "cut_tile.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef FMAL_ISA
#define FMAL_ISA plain
#endif
#define PASTE(a, b)  a##b
#define NAMED(a, b)  PASTE(a, b)
#define KERNEL(name) NAMED(name##_, FMAL_ISA)

#if defined(__AVX512F__)
enum { WIDTH = 8 };
#elif defined(__AVX2__)
enum { WIDTH = 4 };
#else
enum { WIDTH = 2 };
#endif

typedef double vec __attribute__((vector_size(8 * WIDTH), aligned(8)));
typedef int64_t mask __attribute__((vector_size(8 * WIDTH)));

/* x where `good` has all bits set, NaN where it has none. */
static inline vec or_nan(vec x, mask good)
{
    const vec nan = (vec){ 0 } + (double) NAN;

    return (vec) (((mask) x & good) | ((mask) nan & ~good));
}

/* One class: rows of m samples. */
static inline __attribute__((always_inline)) void
block_class(int m, double sign, const double *y, const double *w, double *g, double *b,
            double *score)
{
    for (int i = 0; i < m; i += WIDTH) {
        vec *gi = (vec *) (g + i), *bi = (vec *) (b + i), *si = (vec *) (score + i);
        vec weight = *(const vec *) (w + i);

        if (y) {
            vec p = *(const vec *) (y + i), q = *(const vec *) (y + m + i);

            *gi -= sign * p * p;
            *bi -= 2 * sign * p * q;
        }
        vec below = 1 + sign * (weight * *gi);
        *si += or_nan(weight * *bi / below, below > 0);
    }
}

static void block(int m, int c, double sign, const double *y, const double *w,
                  double *g, double *b, double *score)
{
    for (int i = 0; i < m; i++)
        score[i] = 0;
    for (int k = 0; k < c; k++, w += m, g += m, b += m) {
        if (y)
            block_class(m, sign, y + (size_t) k * 2 * (size_t) m, w, g, b, score);
        else
            block_class(m, sign, NULL, w, g, b, score);
    }
}

/* A sum of fractions as one. */
typedef struct {
    vec over, under;
} fraction;

static inline fraction add(fraction a, fraction b)
{
    return (fraction){ a.over * b.under + b.over * a.under, a.under * b.under };
}

/* The terms of four features of one block; *good &= all denominators are positive. */
static inline __attribute__((always_inline)) fraction
diag_quad(const bool removing, vec weight, const double *x, const double *inverse,
          const double *ratio, mask *good)
{
    fraction term[FMAL_CUT_QUAD];

    _Pragma("GCC unroll 4") for (int j = 0; j < FMAL_CUT_QUAD; j++)
    {
        vec w = weight * *(const vec *) (x + j * FMAL_LANES);

        term[j].over = w * ratio[j];
        term[j].under = removing ? 1 - w * inverse[j] : 1 + w * inverse[j];
        if (removing)
            *good &= term[j].under > 0;
    }
    return add(add(term[0], term[1]), add(term[2], term[3]));
}

static inline __attribute__((always_inline)) void
diag_part(const bool removing, int blocks, int d, const double *weight, const double *x,
          const double *inverse, const double *ratio, double *score)
{
    vec sum = { 0 };
    mask good = ~(mask){ 0 };

    for (int k = 0; k < blocks; k++, inverse += d, ratio += d)
        for (int a = 0; a < d; a += FMAL_CUT_QUAD) {
            fraction terms =
                diag_quad(removing, *(const vec *) (weight + k * FMAL_LANES),
                          x + (size_t) a * FMAL_LANES, inverse + a, ratio + a, &good);

            sum += terms.over / terms.under;
        }
    *(vec *) score = or_nan(sum, good);
}

static void diag(int blocks, int d, double sign, const double *weight, const double *x,
                 const double *inverse, const double *ratio, double *score)
{
    for (int lane = 0; lane < FMAL_LANES; lane += WIDTH) {
        if (sign < 0)
            diag_part(true, blocks, d, weight + lane, x + lane, inverse, ratio,
                      score + lane);
        else
            diag_part(false, blocks, d, weight + lane, x + lane, inverse, ratio,
                      score + lane);
    }
}

const fmal_cut_tile KERNEL(fmal_cut_tile) = { block, diag };
