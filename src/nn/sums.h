/**
 * Sums over a channel, in one number type (real.h): 64 bytes side by side, as compilers
 * may not regroup additions by themselves, and then in double precision.
 */
#ifndef FMAL_SUMS_H
#define FMAL_SUMS_H

#include "real.h"

#include "fmal/status.h"

enum { FMAL_WIDE = 64 / sizeof(fmal_real) };

typedef fmal_real fmal_wide
    __attribute__((vector_size(64), aligned(sizeof(fmal_real)), may_alias));

static inline double fmal_across(fmal_wide v)
{
    double sum = 0;

    for (int i = 0; i < FMAL_WIDE; i++)
        sum += v[i];
    return sum;
}

/** Sum of x [n]. */
static inline double fmal_sum(const fmal_real *x, fmal_idx n)
{
    fmal_wide sum = { 0 };
    double rest = 0;
    fmal_idx i = 0;

    for (; i + FMAL_WIDE <= n; i += FMAL_WIDE)
        sum += *(const fmal_wide *) (x + i);
    for (; i < n; i++)
        rest += x[i];
    return fmal_across(sum) + rest;
}

/** Sum of (x - a) (y - b). */
static inline double fmal_sum_products(const fmal_real *x, fmal_real a,
                                       const fmal_real *y, fmal_real b, fmal_idx n)
{
    fmal_wide sum = { 0 };
    double rest = 0;
    fmal_idx i = 0;

    for (; i + FMAL_WIDE <= n; i += FMAL_WIDE)
        sum += (*(const fmal_wide *) (x + i) - a) * (*(const fmal_wide *) (y + i) - b);
    for (; i < n; i++)
        rest += (double) (x[i] - a) * (y[i] - b);
    return fmal_across(sum) + rest;
}

#endif
