/* The product with a part of a symmetric matrix below its diagonal, and with the part
   above that mirrors it; compiled once for each instruction set. */
#include "lowrank_impl.h"

#ifndef FMAL_ISA
#define FMAL_ISA plain
#endif
#define PASTE(a, b)  a##b
#define NAMED(a, b)  PASTE(a, b)
#define KERNEL(name) NAMED(name##_, FMAL_ISA)

enum { LANES = 8 };
typedef double lanes __attribute__((vector_size(8 * LANES), aligned(8)));

static double sum_of(lanes x)
{
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}

static const lanes *at(const double *x)
{
    return (const lanes *) x;
}

/* Four columns, so that y is read and written once for four. */
static void four(int rows, const double *a, size_t ld, const double *right,
                 const double *left, double *restrict y, double *z)
{
    const double *b = a + ld, *c = b + ld, *d = c + ld;
    lanes za = { 0 }, zb = { 0 }, zc = { 0 }, zd = { 0 };
    int i = 0;

    for (; i + LANES <= rows; i += LANES) {
        lanes x = *at(left + i);

        *(lanes *) (y + i) += *at(a + i) * right[0] + *at(b + i) * right[1] +
                              *at(c + i) * right[2] + *at(d + i) * right[3];
        za += *at(a + i) * x;
        zb += *at(b + i) * x;
        zc += *at(c + i) * x;
        zd += *at(d + i) * x;
    }
    double sums[] = { sum_of(za), sum_of(zb), sum_of(zc), sum_of(zd) };
    for (; i < rows; i++) {
        y[i] += a[i] * right[0] + b[i] * right[1] + c[i] * right[2] + d[i] * right[3];
        sums[0] += a[i] * left[i];
        sums[1] += b[i] * left[i];
        sums[2] += c[i] * left[i];
        sums[3] += d[i] * left[i];
    }
    for (int j = 0; j < 4; j++)
        z[j] += sums[j];
}

void KERNEL(fmal_lowrank_both)(int rows, int cols, const double *a, int ld,
                               const double *right, const double *left, double *y,
                               double *z)
{
    int j = 0;

    for (; j + 4 <= cols; j += 4)
        four(rows, a + (size_t) j * (size_t) ld, (size_t) ld, right + j, left, y,
             z + j);
    for (; j < cols; j++) {
        const double *x = a + (size_t) j * (size_t) ld;
        double sum = 0;

        for (int i = 0; i < rows; i++) {
            y[i] += x[i] * right[j];
            sum += x[i] * left[i];
        }
        z[j] += sum;
    }
}
