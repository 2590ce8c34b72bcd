#include "result.h"
#include "fmal/mem.h"

#include <inttypes.h>

/* Distances between all pairs take n^2 d work on the root: not for larger batches. */
enum { MOST_FOR_DISTANCES = 20000 };

/* What only the root keeps of the picked samples. */
typedef struct {
    float *features;
    double *probs, *nearest;
    int32_t *labels;
    int64_t *predicted;
    char **ids;
} gathered;

static void gathered_clear(gathered *g, fmal_idx n)
{
    for (fmal_idx i = 0; g->ids && i < n; i++)
        fmal_free(&g->ids[i]);
    fmal_free(&g->ids);
    fmal_free(&g->features);
    fmal_free(&g->probs);
    fmal_free(&g->nearest);
    fmal_free(&g->labels);
    fmal_free(&g->predicted);
}

/* Numbers that stand for a sample in distances: features, or the embedding. */
static int width_of(const fmal_pool *pool)
{
    return pool->embeddings ? (int) (pool->info.rows * pool->info.columns)
                            : pool->info.d;
}

/* Features, or embeddings, of the first n picks. Collective. */
static fmal_status gather_features(const fmal_ctx *ctx, const fmal_pool *pool,
                                   const fmal_batch *batch, fmal_idx n, float *to)
{
    const float *rows = pool->embeddings ? pool->embeddings : pool->features;
    fmal_status st = FMAL_OK;

    if (!pool->file)
        return fmal_fetch_rows(ctx, &pool->part, rows,
                               (size_t) width_of(pool) * sizeof(float), batch->index, n,
                               to);
    for (fmal_idx i = 0; i < n && st == FMAL_OK; i++)
        st = fmal_rows_read(pool->file, batch->index[i], to + i * width_of(pool));
    return fmal_agree(ctx, st);
}

/* Rows of the picked samples, to the root. Collective. */
static fmal_status gather_picks(const fmal_ctx *ctx, const fmal_pool *pool,
                                const fmal_batch *batch, gathered *g)
{
    fmal_idx n = ctx->rank == 0 ? batch->n : 0;
    size_t c = (size_t) pool->info.c;
    fmal_status st = FMAL_ALLOC(&g->features, n * width_of(pool));

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->probs, n * pool->info.c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->labels, n);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->nearest, n);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->predicted, pool->info.c);
    FMAL_TRY(fmal_agree(ctx, st));
    FMAL_TRY(gather_features(ctx, pool, batch, n, g->features));
    if (pool->probs)
        FMAL_TRY(fmal_fetch_rows(ctx, &pool->part, pool->probs, c * sizeof(double),
                                 batch->index, n, g->probs));
    if (pool->info.has_labels)
        FMAL_TRY(fmal_fetch_rows(ctx, &pool->part, pool->labels, sizeof(int32_t),
                                 batch->index, n, g->labels));
    return FMAL_OK;
}

static fmal_status read_ids(const char *path, const fmal_batch *batch, gathered *g)
{
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_h5_open(path, &h));
    fmal_status st = FMAL_ALLOC(&g->ids, batch->n);
    for (fmal_idx i = 0; i < batch->n && st == FMAL_OK; i++)
        st = fmal_h5_read_text_at(h, "/ids", batch->index[i], &g->ids[i]);
    fmal_h5_close(&h);
    return st;
}

static void count_predicted(const gathered *g, fmal_idx n, int c)
{
    for (fmal_idx i = 0; i < n; i++) {
        int top = 0;

        for (int k = 1; k < c; k++)
            if (g->probs[i * c + k] > g->probs[i * c + top])
                top = k;
        g->predicted[top]++;
    }
}

/* "3 0 7 ...": counts by class, and how even they are. */
static void print_counts(const char *what, const int64_t *counts, int c)
{
    printf("%s:", what);
    for (int k = 0; k < c; k++)
        printf(" %" PRId64, counts[k]);
    printf(" (balance %.3f)\n", fmal_class_balance(counts, c));
}

static fmal_status print_balance(const fmal_pool *pool, const fmal_batch *batch,
                                 const gathered *g)
{
    int c = pool->info.c;
    int64_t *counts = NULL;

    if (!pool->probs)
        return FMAL_OK;
    print_counts("picks by predicted class", g->predicted, c);
    if (!pool->info.has_labels)
        return FMAL_OK;
    FMAL_TRY(FMAL_ALLOC(&counts, c));
    for (fmal_idx i = 0; i < batch->n; i++)
        if (g->labels[i] >= 0 && g->labels[i] < c)
            counts[g->labels[i]]++;
    print_counts("picks by true class", counts, c);
    fmal_free(&counts);
    return FMAL_OK;
}

static void print_result(const result *r, const fmal_batch *batch)
{
    printf("picks: %s, %s\n", r->out->picks, r->out->csv);
    printf("first picks:");
    for (fmal_idx i = 0; i < batch->n && i < 10; i++)
        printf(" %" PRId64, batch->index[i]);
    printf("%s\n", batch->n > 10 ? " ..." : "");
    if (batch->has_objective)
        printf("objective tr(M^-1 F): %.10g before, %.10g with the batch\n",
               batch->before, batch->after);
}

static void print_json(const fmal_picks *picks)
{
    json_t *json = fmal_picks_json(picks);

    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
}

/* Root only. */
static fmal_status write_result(const result *r, const fmal_batch *batch, gathered *g)
{
    const fmal_pool *pool = r->pool;
    fmal_picks picks = { .batch = batch,
                         .strategy = r->strategy->name,
                         .score = r->strategy->score,
                         .unit = r->strategy->unit,
                         .options = r->identity->resolved,
                         .fixed = r->identity->fixed,
                         .history = r->c->history,
                         .pool_path = pool->path,
                         .pool_checksum = r->identity->checksum,
                         .nearest = batch->n <= MOST_FOR_DISTANCES ? g->nearest : NULL,
                         .predicted = g->predicted,
                         .c = pool->info.c,
                         .pool_n = pool->info.n,
                         .seed = r->seed };

    if (pool->info.has_ids)
        FMAL_TRY(read_ids(pool->path, batch, g));
    picks.ids = g->ids;
    if (batch->n <= MOST_FOR_DISTANCES)
        FMAL_TRY(fmal_nearest_rows(g->features, batch->n, width_of(pool), g->nearest));
    if (pool->probs)
        count_predicted(g, batch->n, pool->info.c);
    FMAL_TRY(outputs_write(r->out, &picks));
    if (r->json) {
        print_json(&picks);
        return FMAL_OK;
    }
    print_result(r, batch);
    return print_balance(pool, batch, g);
}

fmal_status result_finish(const result *r, const fmal_batch *batch)
{
    const fmal_ctx *ctx = &r->c->ctx;
    gathered g = { 0 };
    fmal_status st;

    fmal_phase_begin(&r->c->phases, FMAL_PHASE_WRITE);
    st = gather_picks(ctx, r->pool, batch, &g);
    if (st == FMAL_OK && ctx->rank == 0)
        st = write_result(r, batch, &g);
    st = fmal_agree(ctx, st);
    gathered_clear(&g, batch->n);
    fmal_phase_end(&r->c->phases, 0, 0);
    return st;
}
