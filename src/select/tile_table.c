#include "tile.h"

fmal_tile fmal_tile_for(fmal_isa isa)
{
#define SET(name)                                                                      \
    (fmal_tile)                                                                        \
    {                                                                                  \
        fmal_tile_update_##name, fmal_tile_score_##name                                \
    }
    switch (isa) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        return SET(avx512);
    case FMAL_ISA_AVX2:
        return SET(avx2);
#endif
    default:
        return SET(plain);
    }
}
