/* Random picks: keyed by seed, round and index alone, without replacement, and even. */
#include "queries.h"

static fmal_batch draw(const fmal_ctx *ctx, const pool *p, int block, fmal_idx k,
                       uint64_t seed, uint32_t round)
{
    fmal_part part;
    fmal_query q = query_of(ctx, p, block, k, &part);
    fmal_batch batch = { 0 };

    q.seed = seed;
    q.round = round;
    if (fmal_strategy_pick(strategy_named("random"), &q, &batch) != FMAL_OK)
        batch.n = -1;
    return batch;
}

/* Candidates, each at most once, best key first. */
static bool is_draw(const pool *p, const fmal_batch *batch)
{
    for (fmal_idx i = 0; i < batch->n; i++) {
        if (p->role[batch->index[i]] != FMAL_CANDIDATE ||
            !(batch->score[i] > 0 && batch->score[i] <= 1) ||
            (i > 0 && batch->score[i] > batch->score[i - 1]))
            return false;
        for (fmal_idx j = 0; j < i; j++)
            if (batch->index[i] == batch->index[j])
                return false;
    }
    return true;
}

static void test_draw(fmal_test *t, const pool *p, int block)
{
    fmal_idx all = candidates_of(p);
    fmal_ctx alone;

    fmal_ctx_init(&alone, MPI_COMM_SELF);
    for (fmal_idx k = 1; k <= all; k += all > 8 ? all / 4 : 1) {
        fmal_batch a = draw(&t->ctx, p, block, k, 1, 0),
                   b = draw(&alone, p, block, k, 1, 0);
        fmal_batch other = draw(&t->ctx, p, 2 * block, k, 1, 0);

        fmal_test_ok(t, a.n == k && is_draw(p, &a), "%d of %d", (int) k, (int) all);
        fmal_test_ok(t, same_batch(&a, &b) && same_batch(&a, &other),
                     "%d of %d: the same on one rank, and with other blocks", (int) k,
                     (int) all);
        fmal_batch_clear(&a);
        fmal_batch_clear(&b);
        fmal_batch_clear(&other);
    }
}

static void test_keys(fmal_test *t, const pool *p)
{
    fmal_batch a = draw(&t->ctx, p, 4, 12, 1, 0), again = draw(&t->ctx, p, 4, 12, 1, 0);
    fmal_batch seed = draw(&t->ctx, p, 4, 12, 2, 0),
               round = draw(&t->ctx, p, 4, 12, 1, 1);
    fmal_batch purpose = { 0 };
    fmal_part part = fmal_part_make(p->n, 4, &t->ctx);
    fmal_status st = fmal_draw(&t->ctx, &part, p->role + part.first, 12, 1,
                               FMAL_RNG_INITIAL, 0, &purpose);

    fmal_test_ok(t, same_batch(&a, &again), "the same again");
    fmal_test_ok(t, !same_batch(&a, &seed), "another seed, other samples");
    fmal_test_ok(t, !same_batch(&a, &round), "another round, other samples");
    fmal_test_ok(t, st == FMAL_OK && !same_batch(&a, &purpose),
                 "another purpose, other samples");
    fmal_batch_clear(&a);
    fmal_batch_clear(&again);
    fmal_batch_clear(&seed);
    fmal_batch_clear(&round);
    fmal_batch_clear(&purpose);
}

/* A sample that is no candidate any more changes nothing among the others. */
static void test_removal(fmal_test *t, const pool *p)
{
    fmal_batch a = draw(&t->ctx, p, 4, 12, 1, 0);
    fmal_idx gone = a.index[3];
    bool same = a.n == 12;

    p->role[gone] = FMAL_LABELLED;
    fmal_batch b = draw(&t->ctx, p, 4, 11, 1, 0);
    p->role[gone] = FMAL_CANDIDATE;
    for (fmal_idx i = 0; i < b.n && same; i++)
        same = b.index[i] == a.index[i < 3 ? i : i + 1];
    fmal_test_ok(t, same && b.n == 11, "the others keep their order");
    fmal_batch_clear(&a);
    fmal_batch_clear(&b);
}

/* Counts of 5 out of 20, over many rounds: chi-squared with 19 degrees of freedom,
   whose value for a sample drawn without replacement is smaller by 3/4. */
static void test_even(fmal_test *t)
{
    enum { N = 20, K = 5, ROUNDS = 400 };
    pool p = pool_make(N, 1, 2);
    double counts[N] = { 0 }, first[N] = { 0 }, chi = 0, chi_first = 0;

    memset(p.role, FMAL_CANDIDATE, N);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        fmal_batch batch = draw(&t->ctx, &p, 4, K, 7, round);

        for (fmal_idx i = 0; i < batch.n; i++)
            counts[batch.index[i]]++;
        first[batch.index[0]]++;
        fmal_batch_clear(&batch);
    }
    for (int i = 0; i < N; i++) {
        double each = ROUNDS * K / (double) N, each_first = ROUNDS / (double) N;

        chi += (counts[i] - each) * (counts[i] - each) / each;
        chi_first += (first[i] - each_first) * (first[i] - each_first) / each_first;
    }
    /* 6.8 and 36.2 are the 0.5 % and 99 % points of 19 degrees of freedom. */
    fmal_test_ok(t, chi > 0.75 * 6.8 && chi < 0.75 * 36.2, "even: chi-squared %.1f",
                 chi);
    fmal_test_ok(t, chi_first > 6.8 && chi_first < 36.2, "the first is even: %.1f",
                 chi_first);
    pool_clear(&p);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    pool p = pool_make(61, 3, 4), small = pool_make(3, 2, 3);

    test_draw(&t, &p, 4);
    test_draw(&t, &small, 1);
    test_keys(&t, &p);
    test_removal(&t, &p);
    test_even(&t);
    pool_clear(&p);
    pool_clear(&small);
    return fmal_test_end(&t);
}
