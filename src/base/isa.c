#include "fmal/isa.h"

fmal_isa fmal_isa_detect(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return FMAL_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return FMAL_ISA_AVX2;
#endif
    return FMAL_ISA_PLAIN;
}

const char *fmal_isa_name(fmal_isa isa)
{
    static const char *const names[] = { "plain", "avx2", "avx512" };

    return names[isa];
}
