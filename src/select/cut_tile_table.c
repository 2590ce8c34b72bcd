#include "cut_tile.h"

const fmal_cut_tile *fmal_cut_tile_for(fmal_isa isa)
{
    switch (isa) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        return &fmal_cut_tile_avx512;
    case FMAL_ISA_AVX2:
        return &fmal_cut_tile_avx2;
#endif
    default:
        return &fmal_cut_tile_plain;
    }
}
