/* select: a whole selection, and its parts. */
#include "harness.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Rates of all ranks. */
typedef struct {
    double sgemm, dgemm;
} rates;

static fmal_status add_rates(const fmal_bench_setup *s, rates *sum)
{
    double rate;

    FMAL_TRY(fmal_bench_limit_rate(s, LIMIT_SGEMM, &rate));
    sum->sgemm += rate / 2;
    FMAL_TRY(fmal_bench_limit_rate(s, LIMIT_DGEMM, &rate));
    sum->dgemm += rate / 2;
    return FMAL_OK;
}

/* All steps; seconds [the forward ones]: of each on this rank. */
static fmal_status search(fmal_selector *sel, fmal_idx forward, double *seconds)
{
    for (fmal_idx i = 0; !fmal_selector_finished(sel); i++) {
        double began = fmal_now();

        FMAL_TRY(fmal_selector_step(sel, NULL));
        if (i < forward)
            seconds[i] = fmal_now() - began;
    }
    return FMAL_OK;
}

typedef struct {
    fmal_phases phases;
    double whole, step; /* seconds: all, and the median forward step */
} record;

static fmal_status select_once(const fmal_bench_setup *s, const fmal_problem *problem,
                               fmal_idx forward, record *r)
{
    const fmal_select_options options = { .batch = s->batch,
                                          .lambda = 1,
                                          .oversample = 2 };
    fmal_selector *sel = NULL;
    fmal_selection selection = { 0 };
    double *seconds = NULL;
    fmal_status st = fmal_agree(s->ctx, FMAL_ALLOC(&seconds, forward));
    double began = fmal_now();

    if (st == FMAL_OK)
        st = fmal_selector_create(problem, &options, &r->phases, &sel);
    if (st == FMAL_OK)
        st = search(sel, forward, seconds);
    if (st == FMAL_OK)
        st = fmal_selector_finish(sel, &selection);
    r->whole = fmal_now() - began;
    if (st == FMAL_OK)
        r->step = fmal_bench_median(seconds, (int) forward);
    fmal_selection_clear(&selection);
    fmal_selector_destroy(&sel);
    fmal_free(&seconds);
    return st;
}

static fmal_bench_result row_of(const fmal_bench_setup *s, const char *what,
                                double seconds)
{
    fmal_spread spread = fmal_spread_of(s->ctx, seconds);
    fmal_bench_result row = { .what = what,
                              .median = spread.mean,
                              .slowest = spread.max };

    fmal_bench_sizes(s, &row);
    size_t used = strlen(row.sizes);
    snprintf(row.sizes + used, sizeof row.sizes - used, ", k %" PRId64, s->batch);
    return row;
}

static double flops_of(const fmal_bench_setup *s, const record *r, fmal_phase phase)
{
    double flops = r->phases.flops[phase];

    fmal_sum_f64(s->ctx, &flops, 1);
    return flops;
}

/* A phase beside the product that does its work. */
static fmal_bench_result phase_row(const fmal_bench_setup *s, const record *r,
                                   fmal_phase phase, const char *what,
                                   const char *limit, double limit_rate)
{
    fmal_bench_result row = row_of(s, what, r->phases.seconds[phase]);

    fmal_bench_rate(&row, flops_of(s, r, phase), false);
    if (row.rate > 0) {
        row.limit = limit;
        row.limit_rate = limit_rate;
        row.share = row.rate / limit_rate;
    }
    return row;
}

/* All of it beside the time that its products alone would take. */
static fmal_bench_result whole_row(const fmal_bench_setup *s, const record *r,
                                   const rates *limit)
{
    fmal_bench_result row = row_of(s, "whole selection", r->whole);
    double f32 = flops_of(s, r, FMAL_PHASE_STEP);
    double f64 = flops_of(s, r, FMAL_PHASE_FISHER) +
                 flops_of(s, r, FMAL_PHASE_REFRESH) + flops_of(s, r, FMAL_PHASE_UPDATE);

    fmal_bench_rate(&row, f32 + f64, false);
    row.limit = "SGEMM, DGEMM";
    row.limit_rate = (f32 + f64) / (f32 / limit->sgemm + f64 / limit->dgemm);
    row.share = row.rate / row.limit_rate;
    return row;
}

fmal_status fmal_bench_select_bytes(const fmal_bench_setup *s, double *bytes)
{
    fmal_select_plan plan;

    FMAL_TRY(fmal_bench_plan(s, s->batch, &plan));
    *bytes = plan.bytes;
    return FMAL_OK;
}

fmal_status fmal_bench_select(const fmal_bench_setup *s, fmal_bench_result *rows,
                              int *n)
{
    bench_pool pool;
    record r = { .whole = 0 };
    rates limit = { 0 };
    fmal_select_plan plan;

    FMAL_TRY(fmal_bench_plan(s, s->batch, &plan));
    FMAL_TRY(fmal_bench_pool_create(s, &pool));
    fmal_status st = add_rates(s, &limit);
    if (st == FMAL_OK)
        st = select_once(s, &pool.problem, plan.forward, &r);
    if (st == FMAL_OK)
        st = add_rates(s, &limit);
    fmal_bench_pool_clear(&pool);
    FMAL_TRY(st);
    rows[0] = whole_row(s, &r, &limit);
    rows[1] = phase_row(s, &r, FMAL_PHASE_FISHER, "of it F of the pool", "DGEMM",
                        limit.dgemm);
    rows[2] = phase_row(s, &r, FMAL_PHASE_REFRESH, "of it A, E, G, B afresh", "DGEMM",
                        limit.dgemm);
    rows[3] = phase_row(s, &r, FMAL_PHASE_STEP, "of it candidate passes", "SGEMM",
                        limit.sgemm);
    rows[4] = phase_row(s, &r, FMAL_PHASE_UPDATE, "of it A and E in steps", "DGEMM",
                        limit.dgemm);
    rows[5] = row_of(s, "one step forward", r.step);
    *n = 6;
    return FMAL_OK;
}
