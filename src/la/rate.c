#include "fmal/clock.h"
#include "fmal/la.h"
#include "fmal/mem.h"

double fmal_gemm_rate(const fmal_ctx *ctx)
{
    enum { ORDER = 384, REPEATS = 8 };
    double *x = NULL, rate = 0;

    if (FMAL_ALLOC(&x, 3 * ORDER * ORDER) == FMAL_OK) {
        double began = 0;

        for (int i = 0; i <= REPEATS; i++) {
            if (i == 1) /* the first one warms up */
                began = fmal_now();
            fmal_gemm(false, false, ORDER, ORDER, ORDER, 1, x, ORDER, x + ORDER * ORDER,
                      ORDER, 0, x + 2 * ORDER * ORDER, ORDER);
        }
        rate = REPEATS * 2.0 * ORDER * ORDER * ORDER / (fmal_now() - began);
    }
    fmal_free(&x);
    return fmal_spread_of(ctx, rate).min;
}
