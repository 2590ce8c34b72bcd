/* gemm, syrk, triad: the limits of other cases, beside limits of their own. */
#include "harness.h"
#include "fmal/mem.h"

#include <cblas.h>
#include <stdio.h>

enum { ORDER = 1024 };

/* A limit as the case. */
static fmal_status limit_row(const fmal_bench_setup *s, bench_limit_kind kind,
                             const char *what, bench_limit_kind beside, bool is_bytes,
                             fmal_bench_result *row)
{
    bench_limit it;
    const bench_work work = { .run = fmal_bench_limit_run, .arg = &it };
    fmal_status st = fmal_bench_limit_open(s, kind, s->ctx->size, &it);

    *row = (fmal_bench_result){ .what = what };
    if (st == FMAL_OK)
        st = fmal_bench_beside(s, &work, beside, s->ctx->size, row);
    if (st == FMAL_OK)
        fmal_bench_rate(row, it.amount, is_bytes);
    fmal_bench_limit_close(&it);
    return st;
}

static void order_of(fmal_bench_result *row)
{
    row->size = ORDER;
    snprintf(row->sizes, sizeof row->sizes, "order %d, one a rank", ORDER);
}

fmal_status fmal_bench_gemm(const fmal_bench_setup *s, fmal_bench_result *rows, int *n)
{
    FMAL_TRY(limit_row(s, LIMIT_SGEMM, "SGEMM", LIMIT_FMA_F32, false, &rows[0]));
    FMAL_TRY(limit_row(s, LIMIT_DGEMM, "DGEMM", LIMIT_FMA_F64, false, &rows[1]));
    order_of(&rows[0]);
    order_of(&rows[1]);
    *n = 2;
    return FMAL_OK;
}

fmal_status fmal_bench_triad(const fmal_bench_setup *s, fmal_bench_result *rows, int *n)
{
    FMAL_TRY(limit_row(s, LIMIT_TRIAD, "triad", LIMIT_COPY, true, &rows[0]));
    snprintf(rows[0].sizes, sizeof rows[0].sizes, "3 x 64 MiB, one a rank");
    *n = 1;
    return FMAL_OK;
}

typedef struct {
    double *a, *c;
} squares;

static fmal_status dsyrk(void *arg)
{
    squares *x = arg;

    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, ORDER, ORDER, 1, x->a, ORDER,
                0, x->c, ORDER);
    return FMAL_OK;
}

fmal_status fmal_bench_syrk(const fmal_bench_setup *s, fmal_bench_result *rows, int *n)
{
    const fmal_idx count = (fmal_idx) ORDER * ORDER;
    squares x = { 0 };
    const bench_work work = { .run = dsyrk, .arg = &x };
    fmal_status st = FMAL_ALLOC(&x.a, count);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&x.c, count);
    for (fmal_idx i = 0; i < count && st == FMAL_OK; i++)
        x.a[i] = (double) (i % 13);
    st = fmal_agree(s->ctx, st);
    rows[0] = (fmal_bench_result){ .what = "DSYRK" };
    if (st == FMAL_OK)
        st = fmal_bench_beside(s, &work, LIMIT_DGEMM, s->ctx->size, &rows[0]);
    if (st == FMAL_OK)
        fmal_bench_rate(&rows[0], s->ctx->size * 1.0 * ORDER * ORDER * (ORDER + 1),
                        false);
    order_of(&rows[0]);
    *n = 1;
    fmal_free(&x.a);
    fmal_free(&x.c);
    return st;
}
