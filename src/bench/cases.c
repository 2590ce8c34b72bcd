#include "harness.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static fmal_bench_result row(const char *what, double seconds, double amount,
                             bool is_bytes, const char *limit, double limit_rate)
{
    return (fmal_bench_result){ .what = what,
                                .seconds = seconds,
                                .rate = seconds > 0 ? amount / seconds : 0,
                                .is_bytes = is_bytes,
                                .limit = limit,
                                .limit_rate = limit_rate };
}

/* ---- Limits by themselves ---- */

static fmal_status run_gemm(const fmal_bench_setup *s, fmal_bench_result *rows, int *n)
{
    rows[0] =
        (fmal_bench_result){ .what = "DGEMM, one a rank", .rate = fmal_bench_dgemm(s) };
    rows[1] =
        (fmal_bench_result){ .what = "DSYRK, one a rank", .rate = fmal_bench_dsyrk(s) };
    for (int i = 0; i < 2; i++)
        snprintf(rows[i].sizes, sizeof rows[i].sizes, "order 1536");
    *n = 2;
    return FMAL_OK;
}

static fmal_status run_triad(const fmal_bench_setup *s, fmal_bench_result *rows, int *n)
{
    rows[0] = (fmal_bench_result){ .what = "triad, one a rank",
                                   .rate = fmal_bench_triad(s),
                                   .is_bytes = true };
    snprintf(rows[0].sizes, sizeof rows[0].sizes, "3 x 128 MiB");
    *n = 1;
    return FMAL_OK;
}

/* ---- Allreduce ---- */

typedef struct {
    const fmal_ctx *ctx;
    double *x;
    fmal_idx n;
} reduction;

static void allreduce(void *arg)
{
    reduction *r = arg;

    fmal_sum_f64(r->ctx, r->x, r->n);
}

static fmal_status run_allreduce(const fmal_bench_setup *s, fmal_bench_result *rows,
                                 int *n)
{
    static const fmal_idx counts[] = { 1, 1 << 12, 1 << 17, 1 << 22 };
    reduction r = { .ctx = s->ctx };
    fmal_status st = FMAL_ALLOC(&r.x, counts[FMAL_COUNT(counts) - 1]);

    if ((st = fmal_agree(s->ctx, st)) != FMAL_OK)
        return st;
    for (int i = 0; i < FMAL_COUNT(counts); i++) {
        r.n = counts[i];
        rows[i] = row("allreduce of doubles", fmal_bench_time(s, allreduce, &r),
                      s->ctx->size > 1 ? 8.0 * (double) r.n : 0, true, NULL, 0);
        snprintf(rows[i].sizes, sizeof rows[i].sizes, "%" PRId64 " bytes", 8 * r.n);
    }
    *n = FMAL_COUNT(counts);
    fmal_free(&r.x);
    return FMAL_OK;
}

/* ---- Distributed matrices ---- */

static fmal_status run_cholesky(const fmal_bench_setup *s, fmal_bench_result *rows,
                                int *n)
{
    fmal_idx order = (fmal_idx) s->d * s->c;
    fmal_grid grid = { 0 };
    fmal_dmat *a = NULL, *work = NULL;
    double limit = fmal_bench_dgemm(s) / s->ctx->size, seconds = 0;
    int grid_rows, grid_cols;

    fmal_grid_choose(order, s->ctx->size, &grid_rows, &grid_cols);
    fmal_grid_init(&grid, s->ctx, grid_rows, grid_cols);
    fmal_status st = fmal_dmat_create(&grid, order, &a);
    if (st == FMAL_OK)
        st = fmal_dmat_create(&grid, order, &work);
    for (int i = 0; i < 2 && st == FMAL_OK; i++) { /* the first one warms up */
        fmal_dmat_set_diagonal(a, 2);
        FMAL_MPI(MPI_Barrier(s->ctx->comm));
        double began = fmal_now();
        st = fmal_dmat_invert(a, work);
        seconds = fmal_spread_of(s->ctx, fmal_now() - began).max;
    }
    rows[0] = row("inverse by Cholesky", seconds,
                  1.0 * (double) order * (double) order * (double) order, false,
                  "DGEMM of the grid", limit * grid_rows * grid_cols);
    snprintf(rows[0].sizes, sizeof rows[0].sizes, "D %" PRId64 ", grid %dx%d", order,
             grid_rows, grid_cols);
    *n = 1;
    fmal_dmat_destroy(&a);
    fmal_dmat_destroy(&work);
    fmal_grid_clear(&grid);
    return st;
}

/* ---- The engine, phase by phase ---- */

/* A made-up pool on this rank. */
typedef struct {
    fmal_part part;
    float *features, *logits;
    double *probs;
    uint8_t *role;
} made_pool;

static void made_clear(made_pool *p)
{
    fmal_free(&p->features);
    fmal_free(&p->logits);
    fmal_free(&p->probs);
    fmal_free(&p->role);
}

/* Collective. The first hundred samples, or a tenth, are labelled. */
static fmal_status made_create(const fmal_bench_setup *s, made_pool *p)
{
    fmal_idx labelled = s->n / 10 < 100 ? s->n / 10 : 100;
    fmal_status st;

    memset(p, 0, sizeof *p);
    p->part = fmal_part_make(s->n, FMAL_BLOCK, s->ctx);
    st = FMAL_ALLOC(&p->features, p->part.count * s->d);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&p->logits, p->part.count * s->c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&p->probs, p->part.count * s->c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&p->role, p->part.count);
    if (st == FMAL_OK)
        st = fmal_pool_synth(&p->part, s->d, s->c, s->seed, p->features, p->logits);
    if (st == FMAL_OK)
        fmal_softmax(p->logits, p->part.count, s->c, p->probs);
    for (fmal_idx i = 0; i < p->part.count && st == FMAL_OK; i++)
        p->role[i] = p->part.first + i < labelled ? FMAL_LABELLED : FMAL_CANDIDATE;
    st = fmal_agree(s->ctx, st);
    if (st != FMAL_OK)
        made_clear(p);
    return st;
}

/* One row of a phase: seconds a time, and its products' rate beside DGEMM. */
static fmal_bench_result phase_row(const fmal_bench_setup *s, const fmal_phases *phases,
                                   fmal_phase phase, const char *what, double times,
                                   double limit)
{
    double flops = phases->flops[phase];
    double seconds = fmal_spread_of(s->ctx, phases->seconds[phase]).max;

    fmal_sum_f64(s->ctx, &flops, 1);
    fmal_bench_result r =
        row(what, seconds / times, flops / times, false, "DGEMM", limit);
    snprintf(r.sizes, sizeof r.sizes, "n %" PRId64 ", d %d, c %d", s->n, s->d, s->c);
    return r;
}

static fmal_status run_engine(const fmal_bench_setup *s, fmal_bench_result *rows,
                              int *n)
{
    enum { STEPS = 100 };
    made_pool pool;

    if (s->n < 4 * STEPS)
        return FMAL_FAIL(FMAL_ERR_ARG, "--samples: this case wants %d at least",
                         4 * STEPS);
    fmal_factor *factor = NULL;
    fmal_selector *sel = NULL;
    fmal_phases phases = { 0 };
    /* More forward steps than are taken, so that none is the last of its kind. */
    fmal_select_options options = { .batch = STEPS + 2, .lambda = 1, .oversample = 1 };
    double limit = fmal_bench_dgemm(s);
    fmal_status st = made_create(s, &pool);

    if (st == FMAL_OK)
        st = fmal_factor_kron(s->ctx, &pool.part, pool.features, pool.probs, s->d, s->c,
                              &factor);
    fmal_problem problem = { s->ctx, factor, &pool.part, pool.role };
    if (st == FMAL_OK)
        st = fmal_selector_create(&problem, &options, &phases, &sel);
    rows[0] = phase_row(s, &phases, FMAL_PHASE_FISHER, "F of the pool", 1, limit);
    rows[1] = phase_row(s, &phases, FMAL_PHASE_REFRESH, "A, E and every G, B afresh", 1,
                        limit);
    for (int i = 0; i < STEPS && st == FMAL_OK; i++)
        st = fmal_selector_step(sel, NULL);
    rows[2] =
        phase_row(s, &phases, FMAL_PHASE_STEP, "step: candidate pass", STEPS, limit);
    rows[3] = phase_row(s, &phases, FMAL_PHASE_UPDATE, "step: A and E", STEPS, limit);
    *n = 4;
    fmal_selector_destroy(&sel);
    fmal_factor_destroy(&factor);
    made_clear(&pool);
    return st;
}

static const fmal_strategy *find_strategy(const char *name)
{
    for (int i = 0; i < fmal_strategy_count(); i++)
        if (strcmp(fmal_strategy_at(i)->name, name) == 0)
            return fmal_strategy_at(i);
    return NULL;
}

static fmal_status run_select(const fmal_bench_setup *s, fmal_bench_result *rows,
                              int *n)
{
    static const struct {
        fmal_phase phase;
        const char *what;
    } parts[] = {
        { FMAL_PHASE_FISHER, "of it F of the pool" },
        { FMAL_PHASE_REFRESH, "of it A, E, G, B afresh" },
        { FMAL_PHASE_STEP, "of it candidate passes" },
        { FMAL_PHASE_UPDATE, "of it A and E in steps" },
    };
    made_pool pool;
    fmal_batch batch = { 0 };
    fmal_phases phases = { 0 };
    double limit = fmal_bench_dgemm(s);
    fmal_status st = made_create(s, &pool);
    fmal_query query = { .ctx = s->ctx,
                         .part = &pool.part,
                         .features = pool.features,
                         .probs = pool.probs,
                         .role = pool.role,
                         .d = s->d,
                         .c = s->c,
                         .options = { .batch = s->batch, .lambda = 1, .oversample = 2 },
                         .seed = s->seed,
                         .phases = &phases };
    double began = fmal_now();

    if (st == FMAL_OK)
        st = fmal_strategy_pick(find_strategy("bait"), &query, &batch);
    double seconds = fmal_spread_of(s->ctx, fmal_now() - began).max;
    rows[0] = row("select --strategy bait, whole", seconds, 0, false, NULL, 0);
    snprintf(rows[0].sizes, sizeof rows[0].sizes,
             "n %" PRId64 ", d %d, c %d, k %" PRId64, s->n, s->d, s->c, s->batch);
    for (int i = 0; i < FMAL_COUNT(parts); i++)
        rows[1 + i] = phase_row(s, &phases, parts[i].phase, parts[i].what, 1, limit);
    *n = 1 + FMAL_COUNT(parts);
    fmal_batch_clear(&batch);
    made_clear(&pool);
    return st;
}

const fmal_bench_case fmal_bench_cases[] = {
    { "gemm", "DGEMM and DSYRK of each rank, the limits of the engine", run_gemm },
    { "triad", "memory bandwidth of each rank", run_triad },
    { "allreduce", "sums over ranks", run_allreduce },
    { "cholesky", "inverse of a distributed matrix of order D", run_cholesky },
    { "engine", "phases of a selection: F, refresh, step", run_engine },
    { "select", "a whole selection on a made-up pool", run_select },
    { NULL, NULL, NULL },
};

const char *const fmal_bench_case_names[] = { "gemm",     "triad",  "allreduce",
                                              "cholesky", "engine", "select",
                                              NULL };
