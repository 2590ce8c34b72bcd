/*
 * What the multiply-add units of a core reach when nothing has to be loaded; compiled
 * once for each instruction set. More sums at a time than latency times units.
 */
#include "peak.h"

#ifndef FMAL_ISA
#define FMAL_ISA plain
#endif
#define PASTE(a, b)  a##b
#define NAMED(a, b)  PASTE(a, b)
#define KERNEL(name) NAMED(name##_, FMAL_ISA)

#if defined(__AVX512F__)
enum { BYTES = 64, SUMS = 16 };
#elif defined(__AVX2__)
enum { BYTES = 32, SUMS = 12 };
#else
enum { BYTES = 16, SUMS = 12 };
#endif

/* x = 0.5 x + 0.5 stays where it is, near 1. */
#define DEFINE_PEAK(NAME, TYPE)                                                        \
    typedef TYPE NAME##_vec __attribute__((vector_size(BYTES)));                       \
                                                                                       \
    static void NAME(long n, TYPE *x)                                                  \
    {                                                                                  \
        NAME##_vec sum[SUMS], half = (NAME##_vec){ 0 } + *x / 2, all = { 0 };          \
                                                                                       \
        _Pragma("GCC unroll 16") for (int i = 0; i < SUMS; i++) sum[i] =               \
            half * (TYPE) i;                                                           \
        for (long k = 0; k < n; k++)                                                   \
            _Pragma("GCC unroll 16") for (int i = 0; i < SUMS; i++) sum[i] =           \
                sum[i] * half + half;                                                  \
        for (int i = 0; i < SUMS; i++)                                                 \
            all += sum[i];                                                             \
        *x = 1 + 0 * all[0];                                                           \
    }

DEFINE_PEAK(peak_f32, float)
DEFINE_PEAK(peak_f64, double)

extern const fmal_peak KERNEL(fmal_peak);
const fmal_peak KERNEL(fmal_peak) = {
    .flops_f32 = 2.0 * SUMS * BYTES / sizeof(float),
    .flops_f64 = 2.0 * SUMS * BYTES / sizeof(double),
    .f32 = peak_f32,
    .f64 = peak_f64,
};
