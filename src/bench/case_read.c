/* read: a pool file, by all ranks. */
#include "harness.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

typedef struct {
    const fmal_ctx *ctx;
    const char *path;
    fmal_part part;
    float *rows; /* of the features */
} reading;

static fmal_status read_pool(void *arg)
{
    reading *r = arg;
    fmal_pool *pool = NULL;
    fmal_status st = fmal_pool_open(r->ctx, r->path, &pool);

    fmal_pool_close(&pool);
    return st;
}

static fmal_status read_features(void *arg)
{
    reading *r = arg;
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_h5_open_all(r->ctx, r->path, &h));
    fmal_status st = fmal_h5_read_rows(h, "/features", FMAL_F32, r->part.first,
                                       r->part.count, r->rows);
    fmal_h5_close(&h);
    return st;
}

static fmal_status measure(const fmal_bench_setup *s, const fmal_pool_info *info,
                           fmal_status (*run)(void *), reading *r, int columns,
                           fmal_bench_result *row)
{
    const bench_work work = { .run = run, .arg = r };
    bench_limit limit;
    fmal_status st = fmal_bench_file_open(s, r->path, &limit);

    if (st == FMAL_OK)
        st = fmal_bench_measure(s, &work, &limit, row);
    if (st == FMAL_OK)
        fmal_bench_rate(row, 4.0 * (double) info->n * columns, true);
    snprintf(row->sizes, sizeof row->sizes, "n %" PRId64 ", d %d, c %d", info->n,
             info->d, info->c);
    fmal_bench_limit_close(&limit);
    return st;
}

static fmal_status measure_file(const fmal_bench_setup *s, const char *path,
                                fmal_bench_result *rows, int *n)
{
    fmal_pool_info info = { 0 };
    reading r = { .ctx = s->ctx, .path = path };
    fmal_status st = fmal_agree(s->ctx, fmal_pool_look(path, &info));

    if (st == FMAL_OK && info.rows > 0)
        st = FMAL_FAIL(FMAL_ERR_ARG, "%s: has embeddings; read wants features", path);
    FMAL_TRY(st);
    r.part = fmal_part_make(info.n, FMAL_BLOCK, s->ctx);
    FMAL_TRY(fmal_agree(s->ctx, FMAL_ALLOC(&r.rows, r.part.count * info.d)));
    rows[0] = (fmal_bench_result){ .what = "features, as they are" };
    rows[1] = (fmal_bench_result){ .what = "whole pool, checked" };
    st = measure(s, &info, read_features, &r, info.d, &rows[0]);
    if (st == FMAL_OK)
        st = measure(s, &info, read_pool, &r, info.d + info.c, &rows[1]);
    *n = 2;
    fmal_free(&r.rows);
    return st;
}

fmal_status fmal_bench_read_bytes(const fmal_bench_setup *s, double *bytes)
{
    double share = (double) fmal_part_of(s->n, FMAL_BLOCK, 0, s->ctx->size).count;

    *bytes = share * (8.0 * s->d + 12.0 * s->c) + (128 << 20);
    return FMAL_OK;
}

fmal_status fmal_bench_read(const fmal_bench_setup *s, fmal_bench_result *rows, int *n)
{
    if (s->pool)
        return measure_file(s, s->pool, rows, n);
    fmal_status st =
        fmal_pool_generate(s->ctx, s->scratch, s->n, s->d, s->c, s->seed, NULL);
    if (st == FMAL_OK)
        st = measure_file(s, s->scratch, rows, n);
    FMAL_MPI(MPI_Barrier(s->ctx->comm));
    if (s->ctx->rank == 0)
        unlink(s->scratch);
    return st;
}
