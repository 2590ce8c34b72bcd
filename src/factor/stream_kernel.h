/* The micro-kernels of single-precision passes; one copy for each instruction set. */
#ifndef FMAL_STREAM_KERNEL_H
#define FMAL_STREAM_KERNEL_H

#include "fmal/factor.h"
#include "fmal/isa.h"

/* Rows of a panel of packed columns: accumulators of FMAL_STREAM_LANES samples each. */
enum { FMAL_PANEL_ROWS = 18 };

/*
 * multiply  y[row, lane] = sum over a of w[a, row] h[a, lane], for rows [first, first +
 *           rows) of one packed panel w [depth, FMAL_PANEL_ROWS]; h [depth, LANES].
 *           Every row of every sample is one chain of multiply-adds in the order of a:
 *           its bits depend on nothing else. y has room for FMAL_PANEL_ROWS rows and
 *           holds row `first` at 0.
 * multiply_pair  the same for two rows side by side, w [depth, 2].
 * project   out[col, k] = root_k (y[col, k] - sum over m of shift_m y[col, m]), of
 *           lanes, but in row swap [LANES] with minus the sum of all y[col, m] for
 *           y[col, k]; y [cols, r, LANES].
 * turn      to [depth, LANES] = scale times the rows from [LANES][depth], transposed.
 */
typedef struct fmal_stream_kernel {
    void (*multiply)(int rows, int depth, const float *w, int first, const float *h,
                     float *y);
    void (*multiply_pair)(int depth, const float *w, const float *h, float *y);
    void (*project)(int r, int cols, const float *y, const float *root,
                    const float *shift, const int32_t *swap, float *out);
    void (*turn)(int depth, const float *const *from, float scale, float *to);
} fmal_stream_kernel;

const fmal_stream_kernel *fmal_stream_kernel_for(fmal_isa isa);

extern const fmal_stream_kernel fmal_stream_kernel_plain;
#ifdef FMAL_X86_ISA
extern const fmal_stream_kernel fmal_stream_kernel_avx2;
extern const fmal_stream_kernel fmal_stream_kernel_avx512;
#endif

#endif
