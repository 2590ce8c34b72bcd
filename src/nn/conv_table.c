#include "conv_kernel.h"

#include <stddef.h>

const fmal_conv_kernel *fmal_conv_kernel_for(fmal_isa isa)
{
    switch (isa) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        return &fmal_conv_kernel_avx512;
    case FMAL_ISA_AVX2:
        return &fmal_conv_kernel_avx2;
#endif
    default:
        return NULL;
    }
}
