#include "fmal/par.h"

#include <math.h>

static int ceil_log2(fmal_idx n)
{
    int bits = 0;

    while (((fmal_idx) 1 << bits) < n)
        bits++;
    return bits;
}

int fmal_exact_shift(double largest, fmal_idx n_addends)
{
    int exponent;

    if (!(largest > 0))
        return 0;
    frexp(largest, &exponent); /* largest <= 2^exponent */
    int shift = FMAL_EXACT_BITS - ceil_log2(n_addends) - exponent;
    if (shift > 1000)
        return 1000;
    return shift < -1000 ? -1000 : shift;
}

void fmal_exact_add(int64_t *acc, const double *x, fmal_idx n, int shift)
{
    double scale = ldexp(1, shift);

    for (fmal_idx i = 0; i < n; i++)
        acc[i] += llrint(x[i] * scale);
}

void fmal_exact_add_f32(int64_t *acc, const float *x, fmal_idx n, int shift)
{
    double scale = ldexp(1, shift);

    for (fmal_idx i = 0; i < n; i++)
        acc[i] += llrint((double) x[i] * scale);
}

void fmal_exact_get(double *x, const int64_t *acc, fmal_idx n, int shift)
{
    double scale = ldexp(1, -shift);

    for (fmal_idx i = 0; i < n; i++)
        x[i] = (double) acc[i] * scale;
}
