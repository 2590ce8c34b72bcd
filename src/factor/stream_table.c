#include "stream_kernel.h"

const fmal_stream_kernel *fmal_stream_kernel_for(fmal_isa isa)
{
    switch (isa) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        return &fmal_stream_kernel_avx512;
    case FMAL_ISA_AVX2:
        return &fmal_stream_kernel_avx2;
#endif
    default:
        return &fmal_stream_kernel_plain;
    }
}
