/* Pools made by rule, with traits that try a selection in one way or another, and what
   the oracle picks from them. */
#ifndef FMAL_TEST_MADE_POOLS_H
#define FMAL_TEST_MADE_POOLS_H

#include "oracle.h"
#include "pool_support.h"

#include "fmal/rng.h"

/** Traits, to be combined. */
enum {
    DUPLICATES = 1,       /* every third sample repeats the one before */
    ZERO_FEATURES = 2,    /* every fourth sample has none */
    ZERO_PROBS = 4,       /* some classes are impossible, some samples sure */
    PEAKED = 8,           /* 0.999999 for one class */
    DECAYING = 16,        /* features fall by a factor of 1000 from first to last */
    LARGE = 32,           /* features of 100 or so */
    NEAR_DUPLICATES = 64, /* but for the twelfth digit of a probability */
    HAS_TIES = DUPLICATES | ZERO_FEATURES | ZERO_PROBS | NEAR_DUPLICATES,
};

/** A selection from a made pool. A plain value. */
typedef struct {
    const char *name;
    int n, d, c, n_labelled, n_excluded, batch, block;
    double lambda, oversample;
    bool sum;
    unsigned traits;
} pool_case;

static inline void make_probs(fmal_rng *r, const pool_case *q, double *p)
{
    int top = (int) fmal_rng_below(r, (uint64_t) q->c);
    bool sure = (q->traits & ZERO_PROBS) && fmal_rng_below(r, 4) == 0;
    double sum = 0;

    for (int k = 0; k < q->c; k++) {
        bool gone = (q->traits & ZERO_PROBS) && fmal_rng_below(r, 3) == 0;

        p[k] = exp(1.5 * fmal_rng_normal(r));
        if (k != top && (gone || sure))
            p[k] = 0;
        if (k != top && (q->traits & PEAKED))
            p[k] *= 1e-6;
        sum += p[k];
    }
    for (int k = 0; k < q->c; k++)
        p[k] /= sum;
}

static inline void make_sample(const pool_case *q, whole_pool *pool, int i,
                               uint32_t seed)
{
    fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INITIAL, 0, (uint64_t) i);
    double scale = q->traits & LARGE ? 60 : 1;

    if (q->traits & DECAYING)
        scale *= pow(1e-3, i / (double) q->n);
    if ((q->traits & ZERO_FEATURES) && i % 4 == 1)
        scale = 0;
    for (int a = 0; a < q->d; a++)
        pool->features[i * q->d + a] = (float) (scale * (1 + fmal_rng_normal(&r)));
    make_probs(&r, q, pool->probs + i * q->c);
}

/** n distinct samples of those that follow `skip` in a random order. */
static inline void draw_list(const fmal_idx *order, int skip, int n, fmal_idx *list)
{
    for (int i = 0; i < n; i++)
        list[i] = order[skip + i];
}

/** The whole pool, freed by pool_clear. */
static inline whole_pool make_pool(const pool_case *q, uint32_t seed)
{
    whole_pool pool = { .n = q->n,
                        .d = q->d,
                        .c = q->c,
                        .n_labelled = q->n_labelled,
                        .n_excluded = q->n_excluded };
    fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SHUFFLE, 0, 0);
    fmal_idx *order = NULL;

    if (FMAL_ALLOC(&pool.features, q->n * q->d) ||
        FMAL_ALLOC(&pool.probs, q->n * q->c) ||
        FMAL_ALLOC(&pool.labelled, q->n_labelled) ||
        FMAL_ALLOC(&pool.excluded, q->n_excluded) || FMAL_ALLOC(&order, q->n))
        abort();
    for (int i = 0; i < q->n; i++) {
        bool repeats = (q->traits & (DUPLICATES | NEAR_DUPLICATES)) && i % 3 == 2;
        int from = repeats ? i - 1 : i;

        order[i] = i;
        make_sample(q, &pool, i, seed);
        memcpy(pool.features + i * q->d, pool.features + from * q->d,
               sizeof(float) * (size_t) q->d);
        memcpy(pool.probs + i * q->c, pool.probs + from * q->c,
               sizeof(double) * (size_t) q->c);
        if (repeats && (q->traits & NEAR_DUPLICATES)) {
            double *p = pool.probs + i * q->c, change = 1e-12 * fmin(p[0], p[1]);

            p[i % 2] += change;
            p[1 - i % 2] -= change;
        }
    }
    fmal_rng_shuffle(&r, order, q->n);
    draw_list(order, 0, q->n_labelled, pool.labelled);
    draw_list(order, q->n_labelled, q->n_excluded, pool.excluded);
    fmal_free(&order);
    return pool;
}

static inline fmal_select_options options_of(const pool_case *q)
{
    return (fmal_select_options){ .batch = q->batch,
                                  .lambda = q->lambda,
                                  .oversample = q->oversample,
                                  .labelled_sum = q->sum };
}

static inline int choose(fmal_rng *r, const int *from, int n)
{
    return from[fmal_rng_below(r, (uint64_t) n)];
}

/** A case of any size and kind, by rule. */
static inline pool_case random_case(uint32_t seed)
{
    static const int features[] = { 1, 2, 5, 9 }, classes[] = { 2, 3, 6 };
    static const double lambdas[] = { 0.01, 1, 100 }, oversamples[] = { 1, 1.5, 2, 3 };
    fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INIT, 0, 0);
    pool_case q = { .name = "random", .n = 1 + (int) fmal_rng_below(&r, 90) };

    q.d = choose(&r, features, 4);
    q.c = choose(&r, classes, 3);
    q.n_labelled = (int) fmal_rng_below(&r, (uint64_t) (1 + q.n / 3));
    q.n_excluded = (int) fmal_rng_below(&r, (uint64_t) (1 + q.n / 4));
    int left = q.n - q.n_labelled - q.n_excluded;
    int most = left < 12 ? left : 12;
    q.batch = 1 + (int) fmal_rng_below(&r, (uint64_t) most);
    q.block = fmal_rng_below(&r, 2) ? 4 : 16;
    q.lambda = lambdas[fmal_rng_below(&r, 3)];
    q.oversample = oversamples[fmal_rng_below(&r, 4)];
    q.sum = fmal_rng_below(&r, 2);
    for (unsigned trait = 1; trait <= NEAR_DUPLICATES; trait *= 2)
        if (fmal_rng_below(&r, 5) == 0)
            q.traits |= trait;
    return q;
}

/** Which factors, and what is kept of their information. A plain value. */
typedef struct {
    const char *name;
    fmal_fisher fisher;
    fmal_likelihood likelihood;
    int topc;
} pool_method;

/** What the oracle says. picks [batch] is freed by fmal_free. */
typedef struct {
    int64_t *picks;
    double before, after, margin;
} oracle_answer;

static inline fmal_oracle_problem oracle_problem(const pool_case *q,
                                                 const whole_pool *pool)
{
    return (fmal_oracle_problem){ .n = q->n,
                                  .d = q->d,
                                  .c = q->c,
                                  .features = pool->features,
                                  .probs = pool->probs,
                                  .labelled = pool->labelled,
                                  .n_labelled = q->n_labelled,
                                  .excluded = pool->excluded,
                                  .n_excluded = q->n_excluded,
                                  .batch = q->batch,
                                  .lambda = q->lambda,
                                  .oversample = q->oversample,
                                  .labelled_sum = q->sum };
}

static inline oracle_answer ask_oracle_of(const fmal_oracle_problem *p)
{
    oracle_answer a = { .margin = 0 };

    if (FMAL_ALLOC(&a.picks, p->batch) ||
        fmal_oracle_bait(p, a.picks, &a.before, &a.after, &a.margin) != 0)
        abort();
    return a;
}

static inline oracle_answer ask_oracle(const pool_case *q, const whole_pool *pool)
{
    fmal_oracle_problem p = oracle_problem(q, pool);

    return ask_oracle_of(&p);
}

#endif
