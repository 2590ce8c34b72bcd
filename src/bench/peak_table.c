#include "peak.h"
#include "fmal/isa.h"

const fmal_peak *fmal_peak_here(void)
{
    switch (fmal_isa_detect()) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        return &fmal_peak_avx512;
    case FMAL_ISA_AVX2:
        return &fmal_peak_avx2;
#endif
    default:
        return &fmal_peak_plain;
    }
}
