/* Whole selections with mixed factors: the picks of dense factors of the same rows
   written out, without a tail those of Kronecker factors, and the same bits on any
   ranks. */
#include "pool_support.h"

#include "fmal/rng.h"

#include <stdio.h>

static const struct {
    const char *name;
    int n, d, c, extra, n_labelled, batch, block;
    double lambda;
    bool unweighted, double_precision, lazy;
} table[] = {
    { "uneven blocks", 137, 5, 4, 7, 9, 8, 8, 1, false, false, false },
    { "in double precision", 137, 5, 4, 7, 9, 8, 8, 1, false, true, false },
    { "lazy", 137, 5, 4, 7, 9, 8, 8, 1, false, false, true },
    { "blocks with few samples", 61, 3, 3, 13, 0, 6, 2, 0.1, false, false, false },
    { "two classes", 90, 4, 2, 9, 5, 7, 16, 1, false, false, true },
    { "fewer blocks than ranks", 9, 2, 3, 4, 1, 3, 4, 1, false, false, false },
    { "more tail than head", 67, 1, 3, 29, 4, 9, 4, 1, false, false, false },
    { "hardly a ridge", 83, 4, 3, 5, 9, 9, 16, 1e-4, false, false, false },
    { "many classes", 53, 3, 12, 5, 4, 5, 8, 1, false, false, false },
    { "unweighted", 137, 5, 4, 7, 9, 8, 8, 1, true, false, false },
    { "unweighted, in double precision", 61, 3, 3, 13, 0, 6, 2, 1, true, true, false },
    { "no tail", 137, 5, 4, 0, 9, 8, 8, 1, false, false, false },
    { "no tail, in double precision", 61, 5, 2, 0, 4, 8, 8, 0.01, false, true, false },
    { "no tail, lazy", 137, 5, 4, 0, 9, 8, 8, 1, false, false, true },
};

static void *zeros_of(fmal_idx count, size_t size)
{
    void *x = NULL;

    if (fmal_alloc(&x, count, size) != FMAL_OK)
        abort();
    return x;
}

/* A pool and the tails of its samples, [n, c, extra]; every rank holds all. */
static whole_pool make_pool(int row, float **tail)
{
    int n = table[row].n, d = table[row].d, c = table[row].c,
        n_labelled = table[row].n_labelled;
    fmal_idx extra = c * table[row].extra;
    whole_pool pool = { .n = n, .d = d, .c = c, .n_labelled = n_labelled };

    pool.features = zeros_of((fmal_idx) n * d, sizeof(float));
    pool.probs = zeros_of((fmal_idx) n * c, sizeof(double));
    pool.labelled = zeros_of(n_labelled, sizeof(fmal_idx));
    *tail = zeros_of(n * extra, sizeof(float));
    for (int i = 0; i < n; i++) {
        fmal_rng r =
            fmal_rng_stream(300 + (uint32_t) row, FMAL_RNG_INITIAL, 0, (uint64_t) i);
        double sum = 0;

        for (int a = 0; a < d; a++)
            pool.features[i * d + a] = (float) (1 + fmal_rng_normal(&r));
        for (int k = 0; k < c; k++)
            sum += pool.probs[i * c + k] = exp(1.5 * fmal_rng_normal(&r));
        for (int k = 0; k < c; k++)
            pool.probs[i * c + k] /= sum;
        for (fmal_idx j = 0; j < extra; j++)
            (*tail)[i * extra + j] = (float) fmal_rng_normal(&r);
    }
    for (int i = 0; i < n_labelled; i++)
        pool.labelled[i] = i * n / n_labelled;
    return pool;
}

typedef enum { MIXED, WRITTEN_OUT, KRONECKER } form_kind;

static fmal_status mixed_of(const fmal_ctx *ctx, const fmal_part *part,
                            const whole_pool *pool, const float *tail, int row,
                            fmal_factor **out)
{
    fmal_idx extra = table[row].extra;

    return fmal_factor_mixed(ctx, part, pool->features + part->first * pool->d,
                             pool->probs + part->first * pool->c,
                             extra ? tail + part->first * pool->c * extra : NULL,
                             pool->d, pool->c, (int) extra, table[row].unweighted, out);
}

/* This rank's rows as numbers; freed by the caller after the factor. */
static fmal_status dense_of(const fmal_ctx *ctx, const fmal_part *part,
                            const fmal_factor *f, float **v, fmal_factor **out)
{
    fmal_idx each = fmal_factor_rank(f) * fmal_factor_order(f);
    double *rows = zeros_of(each, sizeof *rows);

    *v = zeros_of(part->count * each, sizeof **v);
    for (fmal_idx i = 0; i < part->n; i++) {
        fmal_idx il = i - part->first;

        fmal_factor_row(f, i, rows);
        for (fmal_idx x = 0; x < each && il >= 0 && il < part->count; x++)
            (*v)[il * each + x] = (float) rows[x];
    }
    fmal_free(&rows);
    return fmal_factor_dense(ctx, part, *v, fmal_factor_rank(f), fmal_factor_order(f),
                             out);
}

static fmal_status run(const fmal_problem *problem, int row, fmal_selection *out)
{
    fmal_select_options options = { .batch = table[row].batch,
                                    .lambda = table[row].lambda,
                                    .oversample = 2,
                                    .double_precision = table[row].double_precision,
                                    .lazy = table[row].lazy };
    fmal_selector *s = NULL;
    fmal_status st = fmal_selector_create(problem, &options, NULL, &s);

    while (st == FMAL_OK && !fmal_selector_finished(s))
        st = fmal_selector_step(s, NULL);
    if (st == FMAL_OK)
        st = fmal_selector_finish(s, out);
    fmal_selector_destroy(&s);
    return st;
}

static fmal_status select_as(const fmal_ctx *ctx, const whole_pool *pool,
                             const float *tail, int row, form_kind form,
                             fmal_selection *out)
{
    pool_share share;
    fmal_factor *mixed = NULL;
    float *v = NULL;
    /* A Kronecker factor and the roles; other factors take its place. */
    fmal_status st =
        share_init(&share, ctx, pool, table[row].block, FMAL_LIKELIHOOD_FULL, 0);

    if (st == FMAL_OK && form != KRONECKER)
        st = mixed_of(ctx, &share.part, pool, tail, row, &mixed);
    if (st == FMAL_OK && form != KRONECKER)
        fmal_factor_destroy(&share.factor);
    if (st == FMAL_OK && form == WRITTEN_OUT)
        st = dense_of(ctx, &share.part, mixed, &v, &share.factor);
    share.problem.factor = form == MIXED ? mixed : share.factor;
    if (st == FMAL_OK)
        st = run(&share.problem, row, out);
    fmal_factor_destroy(&mixed);
    share_clear(&share);
    fmal_free(&v);
    return st;
}

/* The same picks in order, and scores to a tolerance relative to the objective. */
static bool same_picks(const fmal_selection *a, const fmal_selection *b,
                       double tolerance)
{
    bool same = a->n == b->n && fmal_test_close(a->before, b->before, tolerance, 0) &&
                fmal_test_close(a->after, b->after, tolerance, 0);

    for (fmal_idx i = 0; same && i < a->n; i++)
        same = a->index[i] == b->index[i] &&
               fmal_test_close(a->score[i], b->score[i], tolerance, a->before);
    return same;
}

static void test_row(fmal_test *t, int row)
{
    const char *name = table[row].name;
    float *tail = NULL;
    whole_pool pool = make_pool(row, &tail);
    fmal_selection mixed = { 0 }, other = { 0 };
    fmal_ctx alone;

    fmal_test_status(t, select_as(&t->ctx, &pool, tail, row, MIXED, &mixed), FMAL_OK,
                     name);
    fmal_test_status(t, select_as(&t->ctx, &pool, tail, row, WRITTEN_OUT, &other),
                     FMAL_OK, name);
    fmal_test_ok(t, mixed.n == table[row].batch && same_picks(&mixed, &other, 1e-5),
                 "%s: as written out", name);
    fmal_selection_clear(&other);

    fmal_ctx_init(&alone, MPI_COMM_SELF);
    fmal_test_status(t, select_as(&alone, &pool, tail, row, MIXED, &other), FMAL_OK,
                     name);
    fmal_test_ok(t, same_selection(&mixed, &other), "%s: the same bits on one rank",
                 name);
    fmal_selection_clear(&other);

    if (table[row].extra == 0) {
        fmal_test_status(t, select_as(&t->ctx, &pool, tail, row, KRONECKER, &other),
                         FMAL_OK, name);
        fmal_test_ok(t, same_picks(&mixed, &other, 1e-9), "%s: as a Kronecker factor",
                     name);
        fmal_selection_clear(&other);
    }
    fmal_selection_clear(&mixed);
    pool_clear(&pool);
    fmal_free(&tail);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int row = 0; row < FMAL_COUNT(table); row++)
        test_row(&t, row);
    return fmal_test_end(&t);
}
