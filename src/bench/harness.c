/*
 * A case and its limit take turns: the speed of a machine drifts, by its temperature
 * and by its other users, and a share of a limit measured a minute ago would drift with
 * it.
 */
#include "harness.h"
#include "fmal/clock.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A repetition lasts so long at least; of work that takes longer than LONG there are
   fewer. */
static const double ENOUGH = 0.05, LONG = 2;
enum { MOST_REPEATS = 64, FEW_REPEATS = 3, MOST_RUNS = 100000 };

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

double fmal_bench_median(double *x, int n)
{
    qsort(x, (size_t) n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Seconds of one run, the mean of `runs` of them, on this rank. */
static fmal_status seconds_of(const fmal_ctx *ctx, const bench_work *work, int runs,
                              double *seconds)
{
    double sum = 0;

    for (int i = 0; i < runs; i++) {
        if (work->prepare)
            FMAL_TRY(work->prepare(work->arg));
        if (i == 0 || work->prepare)
            FMAL_MPI(MPI_Barrier(ctx->comm));
        double began = fmal_now();
        FMAL_TRY(work->run(work->arg));
        sum += fmal_now() - began;
    }
    *seconds = sum / runs;
    return FMAL_OK;
}

/* How often it has to run; the first time, which also touches all memory, counts only
   if it is too short to say. */
static fmal_status choose_runs(const fmal_ctx *ctx, const bench_work *work, int *runs,
                               double *seconds)
{
    *runs = 1;
    FMAL_TRY(seconds_of(ctx, work, 1, seconds));
    fmal_max_f64(ctx, seconds, 1);
    for (int i = 0; i < 3 && *seconds * *runs < ENOUGH; i++) {
        double wanted = ENOUGH / (*seconds > 1e-9 ? *seconds : 1e-9);

        *runs = wanted < MOST_RUNS ? (int) wanted + 1 : MOST_RUNS;
        FMAL_TRY(seconds_of(ctx, work, *runs, seconds));
        fmal_max_f64(ctx, seconds, 1);
    }
    return FMAL_OK;
}

fmal_status fmal_bench_measure(const fmal_bench_setup *s, const bench_work *work,
                               bench_limit *limit, fmal_bench_result *row)
{
    static const char *const names[] = {
        [LIMIT_FMA_F32] = "FMA peak",  [LIMIT_FMA_F64] = "FMA peak",
        [LIMIT_SGEMM] = "SGEMM",       [LIMIT_DGEMM] = "DGEMM",
        [LIMIT_TRIAD] = "triad",       [LIMIT_COPY] = "memcpy",
        [LIMIT_EXCHANGE] = "exchange", [LIMIT_SEND] = "send",
        [LIMIT_READ] = "read(2)",
    };
    const bench_work other = { .run = fmal_bench_limit_run, .arg = limit };
    double mean[MOST_REPEATS], slowest[MOST_REPEATS], at_limit[MOST_REPEATS],
        share[MOST_REPEATS], took;
    int runs, other_runs,
        repeats = s->repeats < MOST_REPEATS ? s->repeats : MOST_REPEATS;

    FMAL_TRY(choose_runs(s->ctx, &other, &other_runs, &took));
    FMAL_TRY(choose_runs(s->ctx, work, &runs, &took));
    if (took > LONG && repeats > FEW_REPEATS)
        repeats = FEW_REPEATS;
    for (int i = 0; i < repeats; i++) {
        FMAL_TRY(seconds_of(s->ctx, &other, other_runs, &took));
        at_limit[i] = fmal_spread_of(s->ctx, took).max;
        FMAL_TRY(seconds_of(s->ctx, work, runs, &took));
        fmal_spread spread = fmal_spread_of(s->ctx, took);
        mean[i] = spread.mean;
        slowest[i] = spread.max;
        share[i] = at_limit[i] / (limit->amount * slowest[i]);
    }
    row->median = fmal_bench_median(mean, repeats);
    row->slowest = fmal_bench_median(slowest, repeats);
    row->share = fmal_bench_median(share, repeats);
    row->limit = names[limit->kind];
    row->limit_rate = limit->amount / fmal_bench_median(at_limit, repeats);
    return FMAL_OK;
}

fmal_status fmal_bench_beside(const fmal_bench_setup *setup, const bench_work *work,
                              bench_limit_kind kind, int ranks, fmal_bench_result *row)
{
    bench_limit limit;
    fmal_status st = fmal_bench_limit_open(setup, kind, ranks, &limit);

    if (st == FMAL_OK)
        st = fmal_bench_measure(setup, work, &limit, row);
    fmal_bench_limit_close(&limit);
    return st;
}

fmal_status fmal_bench_limit_rate(const fmal_bench_setup *s, bench_limit_kind kind,
                                  double *rate)
{
    bench_limit limit;
    const bench_work work = { .run = fmal_bench_limit_run, .arg = &limit };
    int runs;
    double seconds = 0;
    fmal_status st = fmal_bench_limit_open(s, kind, s->ctx->size, &limit);

    if (st == FMAL_OK)
        st = choose_runs(s->ctx, &work, &runs, &seconds);
    if (st == FMAL_OK)
        *rate = limit.amount / seconds;
    fmal_bench_limit_close(&limit);
    return st;
}

void fmal_bench_rate(fmal_bench_result *row, double amount, bool is_bytes)
{
    row->rate = amount / row->slowest;
    row->share *= amount;
    row->is_bytes = is_bytes;
}

void fmal_bench_sizes(const fmal_bench_setup *s, fmal_bench_result *row)
{
    if (s->factor == FMAL_BENCH_DENSE)
        snprintf(row->sizes, sizeof row->sizes, "n %" PRId64 ", %d rows of %d", s->n,
                 s->c, s->d);
    else
        snprintf(row->sizes, sizeof row->sizes, "n %" PRId64 ", d %d, c %d", s->n, s->d,
                 s->c);
}
