#include "fmal/par.h"

#include <math.h>

int fmal_exact_bits(fmal_idx n_addends)
{
    int bits = FMAL_EXACT_BITS;

    for (fmal_idx n = 1; n < n_addends; n *= 2)
        bits--;
    return bits;
}

int fmal_exact_shift(double largest, fmal_idx n_addends)
{
    int exponent;

    if (!(largest > 0))
        return 0;
    frexp(largest, &exponent); /* largest <= 2^exponent */
    int shift = fmal_exact_bits(n_addends) - exponent;
    if (shift > 1000)
        return 1000;
    return shift < -1000 ? -1000 : shift;
}

double fmal_exact_down(double largest)
{
    int exponent = 0;

    frexp(sqrt(largest), &exponent);
    return ldexp(1, exponent > -500 ? -exponent : 500);
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
