/* Pools that try the precision of a selection, and what the oracle picks from them. */
#ifndef FMAL_TEST_HARD_POOLS_H
#define FMAL_TEST_HARD_POOLS_H

#include "long_oracle.h"
#include "pool_support.h"

#include "fmal/rng.h"

/** Traits, to be combined. */
enum {
    HARD_PEAKED = 1,  /* 1 - p from 1e-5 down to 1e-13 for one class of each sample */
    HARD_ONE_HOT = 2, /* every fourth sample is sure */
    HARD_ZERO_PROBS = 4, /* every third probability is 0 */
    HARD_GRADED = 8,     /* features from 1000 down to 0.001 within each sample */
    HARD_DECAYING =
        16, /* features fall by a factor of 1000 from first to last sample */
    HARD_NO_FEATURES = 32, /* every fourth sample has none */
    HARD_COPIES = 64,      /* all but the first eleven samples are copies of those */
    HARD_OPPOSITES = 128,  /* every other sample is minus the one before: V^T V alike */
    HARD_FLAT = 256,       /* every other sample is at even odds */
};

/** A selection from such a pool. A plain value. */
typedef struct {
    const char *name;
    int n, d, c, n_labelled, batch;
    double lambda, size; /* of features */
    fmal_likelihood likelihood;
    int top; /* of topc */
    unsigned traits;
    bool sum;
    uint32_t seed;
} hard_case;

static inline void hard_probs(fmal_rng *r, const hard_case *q, int i, double *p)
{
    int top = (int) fmal_rng_below(r, (uint64_t) q->c);
    double rest = 1, sum = 0;

    if (q->traits & HARD_PEAKED)
        rest = pow(10, -5 - 8 * fmal_rng_uniform(r));
    if ((q->traits & HARD_ONE_HOT) && i % 4 == 2)
        rest = 0;
    for (int k = 0; k < q->c; k++) {
        bool gone = (q->traits & HARD_ZERO_PROBS) && fmal_rng_below(r, 3) == 0;

        p[k] = exp(1.5 * fmal_rng_normal(r));
        if ((q->traits & HARD_FLAT) && i % 2)
            p[k] = 1;
        if (k != top)
            p[k] *= gone ? 0 : rest;
        sum += p[k];
    }
    for (int k = 0; k < q->c; k++)
        p[k] /= sum;
}

static inline void hard_features(fmal_rng *r, const hard_case *q, int i, float *h)
{
    double scale = q->size;

    if (q->traits & HARD_DECAYING)
        scale *= pow(1e-3, i / (double) q->n);
    if ((q->traits & HARD_NO_FEATURES) && i % 4 == 1)
        scale = 0;
    for (int a = 0; a < q->d; a++) {
        double grade =
            q->traits & HARD_GRADED && q->d > 1 ? pow(10, 3 - 6.0 * a / (q->d - 1)) : 1;

        h[a] = (float) (scale * grade * (1 + fmal_rng_normal(r)));
    }
}

/** The sample that sample i is like. */
static inline int hard_model(const hard_case *q, int i)
{
    if ((q->traits & HARD_COPIES) && i >= 11)
        return i % 11;
    return q->traits & HARD_OPPOSITES ? i - i % 2 : i;
}

/** The whole pool, freed by pool_clear. */
static inline whole_pool hard_pool(const hard_case *q)
{
    whole_pool pool = { .n = q->n, .d = q->d, .c = q->c, .n_labelled = q->n_labelled };
    fmal_idx *order = NULL;

    if (FMAL_ALLOC(&pool.features, q->n * q->d) ||
        FMAL_ALLOC(&pool.probs, q->n * q->c) ||
        FMAL_ALLOC(&pool.labelled, q->n_labelled) || FMAL_ALLOC(&order, q->n))
        abort();
    for (int i = 0; i < q->n; i++) {
        int from = hard_model(q, i);
        fmal_rng r = fmal_rng_stream(q->seed, FMAL_RNG_INITIAL, 0, (uint64_t) from);
        float *h = pool.features + i * q->d;

        hard_features(&r, q, from, h);
        hard_probs(&r, q, from, pool.probs + i * q->c);
        for (int a = 0; a < q->d && (q->traits & HARD_OPPOSITES) && from != i; a++)
            h[a] = -h[a];
        order[i] = i;
    }
    fmal_rng r = fmal_rng_stream(q->seed, FMAL_RNG_SHUFFLE, 0, 0);
    fmal_rng_shuffle(&r, order, q->n);
    for (int i = 0; i < q->n_labelled; i++)
        pool.labelled[i] = order[i];
    fmal_free(&order);
    return pool;
}

static inline fmal_select_options hard_options(const hard_case *q)
{
    return (fmal_select_options){ .batch = q->batch,
                                  .lambda = q->lambda,
                                  .oversample = 2,
                                  .labelled_sum = q->sum,
                                  .likelihood = q->likelihood,
                                  .topc = q->top };
}

/** What the oracle says; its picks are freed by fmal_free. */
static inline fmal_long_answer hard_answer(const hard_case *q, const whole_pool *pool)
{
    fmal_long_answer a = { .picks = NULL };
    fmal_long_problem p = { .n = q->n,
                            .d = q->d,
                            .c = q->c,
                            .features = pool->features,
                            .probs = pool->probs,
                            .labelled = pool->labelled,
                            .n_labelled = q->n_labelled,
                            .batch = q->batch,
                            .lambda = q->lambda,
                            .oversample = 2,
                            .labelled_sum = q->sum,
                            .likelihood = q->likelihood,
                            .top = q->top };

    if (FMAL_ALLOC(&a.picks, q->batch) || fmal_long_select(&p, &a) != 0)
        abort();
    return a;
}

#endif
