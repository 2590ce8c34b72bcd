/**
 * The number type of a source that is compiled twice: for float, in which networks
 * compute, and for double, in which tests check their gradients (fmal_real_sources in
 * CMakeLists.txt). A name shared by both copies is written FMAL_REAL(name).
 */
#ifndef FMAL_REAL_H
#define FMAL_REAL_H

#include <cblas.h>

#ifdef FMAL_REAL_F64
typedef double fmal_real;
#define FMAL_REAL(name) name##_f64
#define fmal_gemm_real  cblas_dgemm
#else
typedef float fmal_real;
#define FMAL_REAL(name) name##_f32
#define fmal_gemm_real  cblas_sgemm
#endif

#endif
