/* Lazy evaluation: the bound holds for every sample at every step, and a selection that
   uses it takes the same steps, to the bit, as one that scores everything. */
#include "made_pools.h"
#include "select_impl.h"

#include <stdio.h>

enum { LANES = FMAL_STREAM_LANES };

static const struct {
    pool_case pool;
    fmal_likelihood likelihood;
    int top;
} table[] = {
#define POOL(name, n, d, c, labelled, batch, lambda, traits)                           \
    {                                                                                  \
        name, n, d, c, labelled, 0, batch, 64, lambda, 2, false, traits                \
    }
    { POOL("binary", 900, 12, 5, 20, 40, 1, 0), FMAL_LIKELIHOOD_BINARY, 0 },
    { POOL("binary, one feature", 300, 1, 3, 5, 30, 1, 0), FMAL_LIKELIHOOD_BINARY, 0 },
    { POOL("binary, decaying", 900, 12, 5, 20, 40, 0.01, DECAYING),
      FMAL_LIKELIHOOD_BINARY, 0 },
    { POOL("binary, ties", 500, 6, 4, 20, 40, 1, DUPLICATES | ZERO_FEATURES),
      FMAL_LIKELIHOOD_BINARY, 0 },
    { POOL("binary, cold", 900, 10, 4, 0, 30, 1, 0), FMAL_LIKELIHOOD_BINARY, 0 },
    { POOL("full, two classes", 600, 9, 2, 20, 30, 1, 0), FMAL_LIKELIHOOD_FULL, 0 },
    { POOL("full", 600, 6, 5, 20, 30, 1, 0), FMAL_LIKELIHOOD_FULL, 0 },
    { POOL("full, ten classes", 400, 4, 10, 10, 20, 0.1, ZERO_PROBS),
      FMAL_LIKELIHOOD_FULL, 0 },
    { POOL("top two", 600, 6, 5, 20, 30, 1, 0), FMAL_LIKELIHOOD_TOPC, 2 },
};

/* Every score of `eager` that the bound of its tile in `lazy` is below, as a share of
   the score; 0 if none. */
static double worst_breach(const fmal_scan *lazy, const fmal_scan *eager)
{
    double worst = 0;

    for (fmal_idx i = 0; i < lazy->n; i++) {
        fmal_idx slot = lazy->slot[lazy->samples[i]];
        double score = eager->score[eager->slot[eager->samples[i]]];
        double bound = fmal_scan_bound(lazy, slot / LANES);

        if (lazy->out[slot] || !(score > 0))
            continue;
        worst = fmax(worst, (score - bound) / score);
    }
    return worst;
}

static double worst_after_step(fmal_selector *lazy, fmal_selector *eager)
{
    fmal_lead lead;

    if (!lazy->full->scan || !eager->full->scan)
        return 0;
    fmal_scan_lead(eager->full->scan, 0, 0, &lead); /* brings all up to date */
    return worst_breach(lazy->full->scan, eager->full->scan);
}

static fmal_status compare(fmal_test *t, pool_share *share, fmal_select_options options,
                           double *breach, bool *same, double scored[2])
{
    fmal_selector *s[2] = { NULL };
    fmal_selection sel[2] = { { 0 } };
    fmal_status st = FMAL_OK;

    for (int i = 0; i < 2 && st == FMAL_OK; i++) {
        options.lazy = i == 0;
        st = fmal_selector_create(&share->problem, &options, NULL, &s[i]);
    }
    *breach = 0;
    *same = true;
    while (st == FMAL_OK && !fmal_selector_finished(s[0])) {
        for (int i = 0; i < 2 && st == FMAL_OK; i++)
            st = fmal_selector_step(s[i], NULL);
        if (st != FMAL_OK)
            break;
        *breach = fmax(*breach, worst_after_step(s[0], s[1]));
        *same =
            *same && same_state(fmal_selector_state(s[0]), fmal_selector_state(s[1]));
    }
    for (int i = 0; i < 2 && st == FMAL_OK; i++) {
        st = fmal_selector_finish(s[i], &sel[i]);
        scored[i] = sel[i].log.scored;
    }
    *same = *same && (st != FMAL_OK || same_selection(&sel[0], &sel[1]));
    fmal_max_f64(&t->ctx, breach, 1);
    for (int i = 0; i < 2; i++) {
        fmal_selector_destroy(&s[i]);
        fmal_selection_clear(&sel[i]);
    }
    return st;
}

static void check(fmal_test *t, int i, uint32_t seed)
{
    const pool_case *q = &table[i].pool;
    whole_pool pool = make_pool(q, seed);
    fmal_select_options options = options_of(q);
    pool_share share;
    double breach = 0, scored[2] = { 0, 0 };
    bool same = false;

    options.likelihood = table[i].likelihood;
    options.topc = table[i].top;
    fmal_status st =
        share_init(&share, &t->ctx, &pool, q->block, table[i].likelihood, table[i].top);
    if (st == FMAL_OK)
        st = compare(t, &share, options, &breach, &same, scored);
    fmal_test_status(t, st, FMAL_OK, q->name);
    fmal_test_ok(t, breach < 1e-5, "%s, seed %u: bounds hold, to %.1e", q->name,
                 (unsigned) seed, breach);
    fmal_test_ok(t, same && scored[0] <= scored[1],
                 "%s, seed %u: the same steps, with %.0f scores for %.0f", q->name,
                 (unsigned) seed, scored[0], scored[1]);
    share_clear(&share);
    pool_clear(&pool);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(table); i++)
        for (uint32_t seed = 1; seed <= 3; seed++)
            check(&t, i, seed);
    return fmal_test_end(&t);
}
