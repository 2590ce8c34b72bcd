/* The r x r work of a step, in both precisions; compiled once for each instruction set
   (see tile.h). */
#include "tile.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifndef FMAL_ISA
#define FMAL_ISA plain
#endif
#define PASTE(a, b)  a##b
#define PASTED(a, b) PASTE(a, b)
#define KERNEL(name) PASTED(name##_, FMAL_ISA)

/* Bytes of a register, and rows and columns of G and B that it pays to have in them. */
#if defined(__AVX512F__)
enum { REGISTER_BYTES = 64, BLOCK = 3 };
#elif defined(__AVX2__)
enum { REGISTER_BYTES = 32, BLOCK = 2 };
#else
enum { REGISTER_BYTES = 16, BLOCK = 2 };
#endif

#define REAL       double
#define INTEGER    int64_t
#define NAME(name) name##_f64
#include "tile_body.h"
#undef REAL
#undef INTEGER
#undef NAME

#define REAL       float
#define INTEGER    int32_t
#define NAME(name) name##_f32
#include "tile_body.h"

const fmal_tile KERNEL(fmal_tile) = { update_f64, score_f64, update_f32, score_f32 };
