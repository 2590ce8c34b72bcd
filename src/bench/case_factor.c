/* fisher, initial, step: what is done with all samples, for each form of factors. */
#include "harness.h"
#include "fmal/mem.h"
#include "fmal/rng.h"
#include "fmal/scan.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Bytes of the pool, of candidates, and of `matrices` matrices of order D. */
static fmal_status bytes_of(const fmal_bench_setup *s, int matrices, double *bytes)
{
    fmal_select_plan plan;

    FMAL_TRY(fmal_bench_plan(s, 0, &plan));
    *bytes = plan.bytes_pool + plan.bytes_candidates +
             matrices * fmal_dmat_bytes(plan.order, plan.grid_rows, plan.grid_cols);
    return FMAL_OK;
}

/* Matrices of order D on their grid. */
typedef struct {
    fmal_grid grid;
    fmal_dmat *a, *b;
} matrices;

static fmal_status matrices_create(const fmal_bench_setup *s, fmal_idx order,
                                   matrices *m)
{
    int rows, cols;

    fmal_grid_choose(order, s->ctx->size, &rows, &cols);
    fmal_grid_init(&m->grid, s->ctx, rows, cols);
    return fmal_dmat_create(&m->grid, order, &m->a);
}

static void matrices_clear(matrices *m)
{
    fmal_dmat_destroy(&m->a);
    fmal_dmat_destroy(&m->b);
    fmal_grid_clear(&m->grid);
}

/* ---- F of the pool ---- */

typedef struct {
    const bench_pool *pool;
    uint8_t *take;
    fmal_dmat *out;
    double flops; /* of this rank in one run */
} sums;

static fmal_status sum_information(void *arg)
{
    sums *job = arg;

    job->flops = 0;
    return fmal_factor_gram(job->pool->factor, job->take,
                            1 / (double) job->pool->part.n, job->out, &job->flops);
}

fmal_status fmal_bench_fisher_bytes(const fmal_bench_setup *s, double *bytes)
{
    return bytes_of(s, 1, bytes);
}

fmal_status fmal_bench_fisher(const fmal_bench_setup *s, fmal_bench_result *rows,
                              int *n)
{
    bench_pool pool;
    matrices m = { 0 };

    FMAL_TRY(fmal_bench_pool_create(s, &pool));
    sums job = { .pool = &pool };
    const bench_work work = { .run = sum_information, .arg = &job };
    fmal_status st = FMAL_ALLOC(&job.take, pool.part.count);
    for (fmal_idx i = 0; i < pool.part.count && st == FMAL_OK; i++)
        job.take[i] = 1;
    st = fmal_agree(s->ctx, st);
    if (st == FMAL_OK)
        st = matrices_create(s, fmal_factor_order(pool.factor), &m);
    job.out = m.a;
    rows[0] = (fmal_bench_result){ .what = "F of the pool" };
    if (st == FMAL_OK)
        st = fmal_bench_beside(s, &work, LIMIT_DGEMM, s->ctx->size, &rows[0]);
    fmal_sum_f64(s->ctx, &job.flops, 1);
    if (st == FMAL_OK)
        fmal_bench_rate(&rows[0], job.flops, false);
    fmal_bench_sizes(s, &rows[0]);
    *n = 1;
    matrices_clear(&m);
    fmal_free(&job.take);
    fmal_bench_pool_clear(&pool);
    return st;
}

/* ---- The candidates ---- */

/* All samples are candidates. Collective. */
static fmal_status make_scan(const bench_pool *pool, fmal_scan **out)
{
    fmal_idx *samples = NULL;
    fmal_status st = FMAL_ALLOC(&samples, pool->part.count);

    for (fmal_idx i = 0; i < pool->part.count && st == FMAL_OK; i++)
        samples[i] = i;
    if (st == FMAL_OK)
        st = fmal_scan_create(&pool->problem, samples, pool->part.count, 1, false, 0,
                              out);
    fmal_free(&samples);
    return fmal_agree(pool->problem.ctx, st);
}

typedef struct {
    fmal_scan *scan;
    const fmal_dmat *a, *e;
    double flops;
} first_values;

static fmal_status compute_first(void *arg)
{
    first_values *job = arg;

    job->flops = 0;
    return fmal_scan_refresh(job->scan, job->a, job->e, &job->flops);
}

/* A = E = I, but for what no factor reaches. */
static fmal_status set_matrices(const fmal_factor *factor, matrices *m)
{
    FMAL_TRY(fmal_dmat_create(&m->grid, m->a->n, &m->b));
    fmal_dmat_set_diagonal(m->a, 1);
    fmal_dmat_set_diagonal(m->b, 1);
    FMAL_TRY(fmal_factor_center(factor, m->a));
    return fmal_factor_center(factor, m->b);
}

fmal_status fmal_bench_initial_bytes(const fmal_bench_setup *s, double *bytes)
{
    return bytes_of(s, 2, bytes);
}

fmal_status fmal_bench_initial(const fmal_bench_setup *s, fmal_bench_result *rows,
                               int *n)
{
    bench_pool pool;
    matrices m = { 0 };
    first_values job = { 0 };
    const bench_work work = { .run = compute_first, .arg = &job };

    FMAL_TRY(fmal_bench_pool_create(s, &pool));
    fmal_status st = matrices_create(s, fmal_factor_order(pool.factor), &m);
    if (st == FMAL_OK)
        st = set_matrices(pool.factor, &m);
    if (st == FMAL_OK)
        st = make_scan(&pool, &job.scan);
    job.a = m.a;
    job.e = m.b;
    rows[0] = (fmal_bench_result){ .what = "first G, B and scores" };
    if (st == FMAL_OK)
        st = fmal_bench_beside(s, &work, LIMIT_DGEMM, s->ctx->size, &rows[0]);
    fmal_sum_f64(s->ctx, &job.flops, 1);
    if (st == FMAL_OK)
        fmal_bench_rate(&rows[0], job.flops, false);
    fmal_bench_sizes(s, &rows[0]);
    *n = 1;
    fmal_scan_destroy(&job.scan);
    matrices_clear(&m);
    fmal_bench_pool_clear(&pool);
    return st;
}

/* ---- The candidate pass ---- */

typedef struct {
    fmal_scan *scan;
    double *wz;
    fmal_lead lead;
} pass;

static fmal_status run_pass(void *arg)
{
    pass *p = arg;

    fmal_scan_push(p->scan, p->wz, 0, INFINITY);
    fmal_scan_lead(p->scan, 0, 0, &p->lead);
    return FMAL_OK;
}

/* W and Z so small that thousands of passes leave I + G positive. */
static fmal_status make_columns(const fmal_bench_setup *s, const fmal_factor *factor,
                                double **wz)
{
    fmal_idx count = 2 * fmal_factor_rank(factor) * fmal_factor_order(factor);
    fmal_rng r = fmal_rng_stream(s->seed, FMAL_RNG_SYNTH, 2, 0);

    FMAL_TRY(FMAL_ALLOC(wz, count));
    for (fmal_idx i = 0; i < count; i++)
        (*wz)[i] = 1e-5 * fmal_rng_normal(&r) / sqrt(s->d);
    return FMAL_OK;
}

/* No matrix of order D is made; the library's own copy of the features counts. */
fmal_status fmal_bench_step_bytes(const fmal_bench_setup *s, double *bytes)
{
    fmal_idx order;
    int rank;
    bool dense = s->factor == FMAL_BENCH_DENSE;

    fmal_bench_factor_sizes(s, &order, &rank);
    double share = (double) fmal_part_of(s->n, FMAL_BLOCK, 0, s->ctx->size).count;
    double sample = dense ? 4.0 * s->d * s->c : 8.0 * s->d + 16.0 * s->c, r = rank;

    *bytes = share * (sample + 4 * r * (r + 1) + 8 * r + 32) + 24 * r * (double) order;
    return FMAL_OK;
}

/* The products of single precision are set beside SGEMM. Where a sample has one row, a
   pass has to read its features, and G and B, and to write G, B and its score. */
static void pass_rate(const fmal_bench_setup *s, const fmal_scan *scan,
                      fmal_bench_result *row)
{
    double n = (double) s->n;

    if (s->factor == FMAL_BENCH_BINARY)
        fmal_bench_rate(row, 4.0 * (s->d + 5) * n, true);
    else
        fmal_bench_rate(row, fmal_scan_flops(scan) / FMAL_STREAM_LANES * n, false);
}

fmal_status fmal_bench_step(const fmal_bench_setup *s, fmal_bench_result *rows, int *n)
{
    bool streams = s->factor == FMAL_BENCH_BINARY;
    bench_pool pool;
    pass job = { 0 };
    const bench_work work = { .run = run_pass, .arg = &job };

    FMAL_TRY(fmal_bench_pool_create(s, &pool));
    fmal_status st = make_scan(&pool, &job.scan);
    if (st == FMAL_OK)
        st = fmal_agree(s->ctx, make_columns(s, pool.factor, &job.wz));
    rows[0] = (fmal_bench_result){ .what = "step: candidate pass" };
    if (st == FMAL_OK)
        st = fmal_bench_beside(s, &work, streams ? LIMIT_TRIAD : LIMIT_SGEMM,
                               s->ctx->size, &rows[0]);
    if (st == FMAL_OK)
        pass_rate(s, job.scan, &rows[0]);
    fmal_bench_sizes(s, &rows[0]);
    *n = 1;
    fmal_free(&job.wz);
    fmal_scan_destroy(&job.scan);
    fmal_bench_pool_clear(&pool);
    return st;
}
