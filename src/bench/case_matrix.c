/* cholesky, update: what is done with matrices of order D. */
#include "harness.h"
#include "fmal/inverse.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* Steps of one run. */
enum { STEPS = 128 };

static void order_of(fmal_idx order, int grid_rows, int grid_cols,
                     fmal_bench_result *row)
{
    row->size = order;
    snprintf(row->sizes, sizeof row->sizes, "D %" PRId64 ", grid %dx%d", order,
             grid_rows, grid_cols);
}

/* ---- Cholesky ---- */

typedef struct {
    fmal_dmat *a, *work;
} pair;

static fmal_status set_matrix(void *arg)
{
    fmal_dmat_set_diagonal(((pair *) arg)->a, 2);
    return FMAL_OK;
}

static fmal_status invert(void *arg)
{
    pair *m = arg;

    return fmal_dmat_invert(m->a, m->work);
}

fmal_status fmal_bench_cholesky_bytes(const fmal_bench_setup *s, double *bytes)
{
    fmal_idx order = (fmal_idx) s->d * s->c;
    int rows, cols;

    fmal_grid_choose(order, s->ctx->size, &rows, &cols);
    *bytes = 2 * fmal_dmat_bytes(order, rows, cols);
    return FMAL_OK;
}

fmal_status fmal_bench_cholesky(const fmal_bench_setup *s, fmal_bench_result *rows,
                                int *n)
{
    fmal_idx order = (fmal_idx) s->d * s->c;
    double cube = (double) order * (double) order * (double) order;
    fmal_grid grid = { 0 };
    pair m = { NULL, NULL };
    const bench_work work = { .run = invert, .prepare = set_matrix, .arg = &m };
    int grid_rows, grid_cols;

    fmal_grid_choose(order, s->ctx->size, &grid_rows, &grid_cols);
    fmal_grid_init(&grid, s->ctx, grid_rows, grid_cols);
    fmal_status st = fmal_dmat_create(&grid, order, &m.a);
    if (st == FMAL_OK)
        st = fmal_dmat_create(&grid, order, &m.work);
    rows[0] = (fmal_bench_result){ .what = "Cholesky factor and inverse" };
    if (st == FMAL_OK)
        st = fmal_bench_beside(s, &work, LIMIT_DGEMM, grid_rows * grid_cols, &rows[0]);
    if (st == FMAL_OK)
        fmal_bench_rate(&rows[0], cube, false);
    order_of(order, grid_rows, grid_cols, &rows[0]);
    *n = 1;
    fmal_dmat_destroy(&m.a);
    fmal_dmat_destroy(&m.work);
    fmal_grid_clear(&grid);
    return st;
}

/* ---- Update ---- */

typedef struct {
    fmal_inverse *inverse;
    const fmal_factor *factor;
    fmal_idx n, next;
} updates;

/* Factors are scaled down, so that thousands of steps change little. */
static fmal_status update(void *arg)
{
    updates *u = arg;

    for (int i = 0; i < STEPS; i++) {
        FMAL_TRY(fmal_inverse_prepare(u->inverse, u->factor, u->next, 1e-3, 1));
        fmal_inverse_commit(u->inverse);
        u->next = (u->next + 1) % u->n;
    }
    return FMAL_OK;
}

/* As after a refresh, which would cost 5 D^3: M = F = A = I, but for what no factor
   reaches. */
static fmal_status start_afresh(void *arg)
{
    updates *u = arg;
    fmal_dmat *f, *a, *e;

    fmal_inverse_matrices(u->inverse, &f, &a, &e);
    fmal_dmat_set_diagonal(f, 1);
    fmal_dmat_set_diagonal(a, 1);
    fmal_dmat_set_diagonal(e, 1);
    fmal_inverse_forget(u->inverse);
    FMAL_TRY(fmal_factor_center(u->factor, a));
    return fmal_factor_center(u->factor, e);
}

fmal_status fmal_bench_update_bytes(const fmal_bench_setup *s, double *bytes)
{
    fmal_select_plan plan;

    FMAL_TRY(fmal_bench_plan(s, 0, &plan));
    *bytes = plan.bytes_pool + plan.bytes_matrices;
    return FMAL_OK;
}

/* The mean over the steps of a run. */
static fmal_status measure_updates(const fmal_bench_setup *s, const bench_work *work,
                                   int ranks, double bytes, fmal_bench_result *row)
{
    FMAL_TRY(fmal_bench_beside(s, work, LIMIT_TRIAD, ranks, row));
    row->median /= STEPS;
    row->slowest /= STEPS;
    row->share *= STEPS;
    fmal_bench_rate(row, bytes, true);
    return FMAL_OK;
}

/* The first steps after a refresh, whose terms wait while there is room; and steps
   long after one, when terms are folded in as they come. */
static fmal_status measure_both(const fmal_bench_setup *s, updates *u, int ranks,
                                double bytes, fmal_bench_result *rows)
{
    const bench_work after = { .run = update, .prepare = start_afresh, .arg = u };
    const bench_work later = { .run = update, .arg = u };

    rows[0] = (fmal_bench_result){ .what = "step: A and E" };
    rows[1] = (fmal_bench_result){ .what = "long after a refresh" };
    FMAL_TRY(measure_updates(s, &after, ranks, bytes, &rows[0]));
    return measure_updates(s, &later, ranks, bytes, &rows[1]);
}

/*
 * The triad's time for the streams of a step is that of half of A and half of E, both
 * symmetric, once: these a step has to read, whatever else it does; without the last
 * class block where rows sum to zero. Columns that wait, and folds, are not in it.
 */
fmal_status fmal_bench_update(const fmal_bench_setup *s, fmal_bench_result *rows,
                              int *n)
{
    const fmal_select_options options = { .batch = 1, .lambda = 1, .oversample = 1 };
    bench_pool pool;
    updates u = { .n = s->n };
    fmal_idx order;
    int rank, grid_rows, grid_cols;

    fmal_bench_factor_sizes(s, &order, &rank);
    fmal_grid_choose(order, s->ctx->size, &grid_rows, &grid_cols);
    FMAL_TRY(fmal_bench_pool_create(s, &pool));
    u.factor = pool.factor;
    fmal_status st = fmal_inverse_create(&pool.problem, &options, &u.inverse);
    double leading = (double) fmal_factor_leading(pool.factor);
    if (st == FMAL_OK)
        st = measure_both(s, &u, grid_rows * grid_cols, 8 * leading * (leading + 1),
                          rows);
    order_of(order, grid_rows, grid_cols, &rows[0]);
    order_of(order, grid_rows, grid_cols, &rows[1]);
    *n = 2;
    fmal_inverse_destroy(&u.inverse);
    fmal_bench_pool_clear(&pool);
    return st;
}
