/**
 * Instruction sets that hot loops are compiled for, chosen at run time.
 *
 * The few sources with hot loops of their own are compiled once for each set (see
 * fmal_isa_sources in tools/cmake/FmalModule.cmake); ranks agree on the lowest, so that
 * all round alike.
 */
#ifndef FMAL_ISA_H
#define FMAL_ISA_H

typedef enum fmal_isa {
    FMAL_ISA_PLAIN, /* what every processor of the architecture has */
    FMAL_ISA_AVX2,  /* with FMA */
    FMAL_ISA_AVX512,
} fmal_isa;

/** The best set of this processor that this build has code for. Not collective. */
fmal_isa fmal_isa_detect(void);

const char *fmal_isa_name(fmal_isa isa);

#endif
