/**
 * Queries for the tests of strategies: whole arrays that every rank makes for itself,
 * and this rank's share of them as a query.
 */
#ifndef FMAL_TEST_QUERIES_H
#define FMAL_TEST_QUERIES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fmal/mem.h"
#include "fmal/rng.h"
#include "fmal/strategy.h"
#include "fmal_test.h"

typedef struct {
    int n, d, c;
    float *features; /* [n, d] */
    double *probs;   /* [n, c] */
    uint8_t *role;   /* [n] */
} pool;

/** Every fifth sample is labelled, every seventh excluded; every third repeats the one
    before, so that scores tie; some samples are sure of their class. */
static inline pool pool_make(int n, int d, int c)
{
    pool p = { .n = n, .d = d, .c = c };

    if (FMAL_ALLOC(&p.features, n * d) || FMAL_ALLOC(&p.probs, n * c) ||
        FMAL_ALLOC(&p.role, n))
        abort();
    for (int i = 0; i < n; i++) {
        fmal_rng r = fmal_rng_stream(23, FMAL_RNG_INITIAL, 0,
                                     (uint64_t) (i % 3 == 2 ? i - 1 : i));
        double sum = 0;

        for (int a = 0; a < d; a++)
            p.features[i * d + a] = (float) fmal_rng_normal(&r);
        for (int k = 0; k < c; k++)
            sum += p.probs[i * c + k] =
                i % 11 == 4 ? k == 1 : exp(2 * fmal_rng_normal(&r));
        for (int k = 0; k < c; k++)
            p.probs[i * c + k] /= sum;
        p.role[i] = i % 5 == 0   ? FMAL_LABELLED
                    : i % 7 == 3 ? FMAL_EXCLUDED
                                 : FMAL_CANDIDATE;
    }
    return p;
}

static inline void pool_clear(pool *p)
{
    fmal_free(&p->features);
    fmal_free(&p->probs);
    fmal_free(&p->role);
}

static inline fmal_idx candidates_of(const pool *p)
{
    fmal_idx count = 0;

    for (int i = 0; i < p->n; i++)
        count += p->role[i] == FMAL_CANDIDATE;
    return count;
}

/** This rank's share; part is filled and must outlive the query. */
static inline fmal_query query_of(const fmal_ctx *ctx, const pool *p, int block,
                                  fmal_idx batch, fmal_part *part)
{
    *part = fmal_part_make(p->n, block, ctx);
    return (fmal_query){
        .ctx = ctx,
        .part = part,
        .features = p->features + part->first * p->d,
        .probs = p->probs + part->first * p->c,
        .role = p->role + part->first,
        .d = p->d,
        .c = p->c,
        .options = { .batch = batch, .lambda = 1, .oversample = 2, .topc = 2 },
        .seed = 1
    };
}

static inline const fmal_strategy *strategy_named(const char *name)
{
    for (int i = 0; i < fmal_strategy_count(); i++)
        if (strcmp(fmal_strategy_at(i)->name, name) == 0)
            return fmal_strategy_at(i);
    return NULL;
}

/** The same samples in the same order with the same bits of scores. */
/** Of a search. */
static inline bool same_steps(const fmal_batch *a, const fmal_batch *b)
{
    size_t size = sizeof *a->added;

    return a->forward == b->forward && a->backward == b->backward &&
           memcmp(a->added, b->added, (size_t) a->forward * size) == 0 &&
           memcmp(a->removed, b->removed, (size_t) a->backward * size) == 0;
}

static inline bool same_batch(const fmal_batch *a, const fmal_batch *b)
{
    size_t n = (size_t) a->n;

    return a->n == b->n && memcmp(a->index, b->index, n * sizeof *a->index) == 0 &&
           memcmp(a->score, b->score, n * sizeof *a->score) == 0 &&
           a->has_objective == b->has_objective && a->before == b->before &&
           a->after == b->after;
}

#endif
