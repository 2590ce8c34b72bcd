/**
 * Loops over the numbers of a channel or a batch, in one number type (real.h), by
 * registers of 16 bytes, which every processor has: compilers may not regroup additions
 * by themselves, and do not know that arrays are the same or apart. Arrays need no
 * alignment.
 */
#ifndef FMAL_WIDE_H
#define FMAL_WIDE_H

#include "real.h"

#include "fmal/status.h"

enum { FMAL_WIDE = 16 / sizeof(fmal_real), FMAL_SUMS = 4 };

typedef fmal_real fmal_wide
    __attribute__((vector_size(16), aligned(sizeof(fmal_real)), may_alias));

static inline fmal_wide fmal_wide_at(const fmal_real *x)
{
    return *(const fmal_wide *) x;
}

static inline void fmal_wide_put(fmal_real *x, fmal_wide v)
{
    *(fmal_wide *) x = v;
}

static inline double fmal_across(const fmal_wide *v)
{
    double sum = 0;

    for (int k = 0; k < FMAL_SUMS; k++)
        for (int i = 0; i < FMAL_WIDE; i++)
            sum += v[k][i];
    return sum;
}

/** Sum of x [n]: several sums side by side, which are added in double precision. */
static inline double fmal_sum(const fmal_real *x, fmal_idx n)
{
    fmal_wide sum[FMAL_SUMS] = { 0 };
    double rest = 0;
    fmal_idx i = 0;

    for (; i + FMAL_SUMS * FMAL_WIDE <= n; i += FMAL_SUMS * FMAL_WIDE)
        _Pragma("GCC unroll 4") for (int k = 0; k < FMAL_SUMS; k++) sum[k] +=
            fmal_wide_at(x + i + k * FMAL_WIDE);
    for (; i < n; i++)
        rest += x[i];
    return fmal_across(sum) + rest;
}

/** Sum of (x - a) (y - b), likewise. */
static inline double fmal_sum_products(const fmal_real *x, fmal_real a,
                                       const fmal_real *y, fmal_real b, fmal_idx n)
{
    fmal_wide sum[FMAL_SUMS] = { 0 };
    double rest = 0;
    fmal_idx i = 0;

    for (; i + FMAL_SUMS * FMAL_WIDE <= n; i += FMAL_SUMS * FMAL_WIDE)
        _Pragma("GCC unroll 4") for (int k = 0; k < FMAL_SUMS; k++) sum[k] +=
            (fmal_wide_at(x + i + k * FMAL_WIDE) - a) *
            (fmal_wide_at(y + i + k * FMAL_WIDE) - b);
    for (; i < n; i++)
        rest += (double) (x[i] - a) * (y[i] - b);
    return fmal_across(sum) + rest;
}

/** y = (x - mean) scale + shift; y may be x. */
static inline void fmal_scale(const fmal_real *x, fmal_real mean, fmal_real scale,
                              fmal_real shift, fmal_idx n, fmal_real *y)
{
    fmal_idx i = 0;

    for (; i + FMAL_WIDE <= n; i += FMAL_WIDE)
        fmal_wide_put(y + i, (fmal_wide_at(x + i) - mean) * scale + shift);
    for (; i < n; i++)
        y[i] = (x[i] - mean) * scale + shift;
}

/** z = a x + b y + c; z may be either. */
static inline void fmal_mix(const fmal_real *x, fmal_real a, const fmal_real *y,
                            fmal_real b, fmal_real c, fmal_idx n, fmal_real *z)
{
    fmal_idx i = 0;

    for (; i + FMAL_WIDE <= n; i += FMAL_WIDE)
        fmal_wide_put(z + i, fmal_wide_at(x + i) * a + fmal_wide_at(y + i) * b + c);
    for (; i < n; i++)
        z[i] = x[i] * a + y[i] * b + c;
}

/** y += x. */
static inline void fmal_add_to(fmal_real *y, const fmal_real *x, fmal_idx n)
{
    fmal_idx i = 0;

    for (; i + FMAL_WIDE <= n; i += FMAL_WIDE)
        fmal_wide_put(y + i, fmal_wide_at(y + i) + fmal_wide_at(x + i));
    for (; i < n; i++)
        y[i] += x[i];
}

/** y = 0 where sign <= 0, else x; a NaN in sign lets x pass. y may be either. */
static inline void fmal_rectify(const fmal_real *x, const fmal_real *sign, fmal_idx n,
                                fmal_real *y)
{
    fmal_idx i = 0;

    for (; i + FMAL_WIDE <= n; i += FMAL_WIDE) {
        fmal_wide zero = { 0 }, v = fmal_wide_at(x + i);
        __typeof__(v <= zero) off = fmal_wide_at(sign + i) <= zero;

        fmal_wide_put(y + i, (fmal_wide) (~off & (__typeof__(off)) v));
    }
    for (; i < n; i++)
        y[i] = sign[i] <= 0 ? 0 : x[i];
}

#endif
