#include "harness.h"
#include "fmal/clock.h"
#include "fmal/mem.h"

#include <cblas.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

double fmal_bench_time(const fmal_bench_setup *setup, void (*work)(void *arg),
                       void *arg)
{
    double seconds[64];
    int repeats =
        setup->repeats < FMAL_COUNT(seconds) ? setup->repeats : FMAL_COUNT(seconds);

    for (int i = -1; i < repeats; i++) {
        FMAL_MPI(MPI_Barrier(setup->ctx->comm));
        double began = fmal_now();
        work(arg);
        double took = fmal_now() - began;
        fmal_max_f64(setup->ctx, &took, 1);
        if (i >= 0)
            seconds[i] = took;
    }
    qsort(seconds, (size_t) repeats, sizeof *seconds, ascending);
    return seconds[repeats / 2];
}

enum { GEMM_ORDER = 1536, TRIAD_COUNT = 1 << 24 };

typedef struct {
    double *a, *b, *c;
    fmal_idx n;
} arrays;

static fmal_status arrays_create(const fmal_ctx *ctx, fmal_idx n, arrays *x)
{
    fmal_status st = FMAL_ALLOC(&x->a, n);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&x->b, n);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&x->c, n);
    x->n = n;
    for (fmal_idx i = 0; i < n && st == FMAL_OK; i++) {
        x->a[i] = (double) (i % 13);
        x->b[i] = (double) (i % 7);
    }
    return fmal_agree(ctx, st);
}

static void arrays_clear(arrays *x)
{
    fmal_free(&x->a);
    fmal_free(&x->b);
    fmal_free(&x->c);
}

static void gemm(void *arg)
{
    arrays *x = arg;

    fmal_gemm(false, false, GEMM_ORDER, GEMM_ORDER, GEMM_ORDER, 1, x->a, GEMM_ORDER,
              x->b, GEMM_ORDER, 0, x->c, GEMM_ORDER);
}

static void syrk(void *arg)
{
    arrays *x = arg;

    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, GEMM_ORDER, GEMM_ORDER, 1,
                x->a, GEMM_ORDER, 0, x->c, GEMM_ORDER);
}

static void triad(void *arg)
{
    arrays *x = arg;

    for (fmal_idx i = 0; i < x->n; i++)
        x->c[i] = x->a[i] + 3 * x->b[i];
}

static double rate(const fmal_bench_setup *setup, void (*work)(void *arg), fmal_idx n,
                   double amount)
{
    arrays x = { 0 };
    double result = 0;

    if (arrays_create(setup->ctx, n, &x) == FMAL_OK)
        result = amount * setup->ctx->size / fmal_bench_time(setup, work, &x);
    arrays_clear(&x);
    return result;
}

double fmal_bench_dgemm(const fmal_bench_setup *setup)
{
    return rate(setup, gemm, (fmal_idx) GEMM_ORDER * GEMM_ORDER,
                2.0 * GEMM_ORDER * GEMM_ORDER * GEMM_ORDER);
}

double fmal_bench_dsyrk(const fmal_bench_setup *setup)
{
    return rate(setup, syrk, (fmal_idx) GEMM_ORDER * GEMM_ORDER,
                1.0 * GEMM_ORDER * GEMM_ORDER * (GEMM_ORDER + 1));
}

double fmal_bench_triad(const fmal_bench_setup *setup)
{
    return rate(setup, triad, TRIAD_COUNT, 3.0 * 8 * TRIAD_COUNT);
}
