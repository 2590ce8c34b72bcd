/* Multiply-adds on registers; one copy for each instruction set. */
#ifndef FMAL_PEAK_H
#define FMAL_PEAK_H

/* n rounds of `flops` operations each; *x starts the sums and takes the result, so that
   nothing is left out. */
typedef struct fmal_peak {
    double flops_f32, flops_f64;
    void (*f32)(long n, float *x);
    void (*f64)(long n, double *x);
} fmal_peak;

/* The one for this processor. */
const fmal_peak *fmal_peak_here(void);

extern const fmal_peak fmal_peak_plain;
#ifdef FMAL_X86_ISA
extern const fmal_peak fmal_peak_avx2, fmal_peak_avx512;
#endif

#endif
