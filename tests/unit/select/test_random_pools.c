/* The engine against the dense oracle, on pools made to be difficult: the same picks in
   order, and the same objective. */
#include "made_pools.h"

#include <stdio.h>

enum { RANDOM_CASES = 160, MOST_CASES = 256 };

static const pool_case table[] = {
    /* name, n, d, c, labelled, excluded, batch, block, lambda, oversample, sum, traits
     */
    { "plain", 40, 5, 3, 6, 0, 5, 4, 1, 2, false, 0 },
    { "no label", 37, 5, 3, 0, 0, 5, 4, 1, 2, false, 0 },
    { "one label", 37, 5, 3, 1, 0, 5, 4, 1, 2, false, 0 },
    { "sum of labels", 37, 5, 3, 9, 0, 5, 16, 1, 2, true, 0 },
    { "excluded", 37, 5, 3, 5, 15, 5, 4, 1, 2, false, 0 },
    { "one sample", 1, 5, 3, 0, 0, 1, 4, 1, 2, false, 0 },
    { "fewer blocks than ranks", 6, 2, 3, 1, 0, 2, 4, 1, 2, false, 0 },
    { "all of the pool", 23, 5, 3, 0, 0, 23, 4, 1, 2, false, 0 },
    { "all that is left", 23, 5, 3, 4, 5, 14, 4, 1, 1.5, false, 0 },
    { "one pick", 61, 9, 2, 7, 0, 1, 16, 1, 1, false, 0 },
    { "no removals", 37, 5, 6, 5, 0, 7, 4, 1, 1, false, 0 },
    { "many removals", 67, 2, 3, 5, 0, 8, 4, 1, 3, false, 0 },
    { "two classes, one feature", 53, 1, 2, 3, 0, 6, 16, 0.01, 2, false, 0 },
    { "six classes", 61, 9, 6, 12, 0, 6, 4, 0.01, 1.5, false, 0 },
    { "hardly a ridge", 61, 5, 3, 5, 0, 9, 16, 1e-4, 2, false, 0 },
    { "a heavy ridge", 61, 5, 3, 5, 0, 9, 16, 100, 2, false, 0 },
    { "duplicates", 60, 5, 3, 5, 0, 9, 4, 1, 2, false, DUPLICATES },
    { "duplicates, all of them", 15, 5, 3, 0, 0, 15, 4, 1, 2, false, DUPLICATES },
    { "near duplicates", 60, 5, 3, 5, 0, 9, 4, 1, 2, false, NEAR_DUPLICATES },
    { "near duplicates, all", 15, 5, 3, 0, 0, 15, 4, 1, 2, false, NEAR_DUPLICATES },
    { "no features", 40, 5, 3, 5, 0, 9, 4, 1, 2, false, ZERO_FEATURES },
    { "no features, all of them", 13, 5, 3, 0, 0, 13, 4, 1, 2, false, ZERO_FEATURES },
    { "impossible classes", 40, 5, 6, 5, 0, 9, 4, 1, 2, false, ZERO_PROBS },
    { "sure of almost everything", 61, 5, 3, 5, 0, 9, 4, 1, 2, false, PEAKED },
    { "ever smaller features", 61, 5, 3, 5, 0, 20, 4, 0.01, 2, false, DECAYING },
    { "large features", 61, 5, 3, 5, 0, 9, 4, 0.01, 2, false, LARGE },
    { "large features, no label", 61, 5, 3, 0, 0, 9, 4, 1, 2, false, LARGE },
    { "everything at once", 60, 5, 6, 5, 5, 20, 4, 0.01, 2, true,
      DUPLICATES | ZERO_FEATURES | ZERO_PROBS | DECAYING },
};

static pool_case case_at(int i)
{
    return i < FMAL_COUNT(table) ? table[i] : random_case(1000 + (uint32_t) i);
}

/* ---- One case ---- */

static bool same_picks(const fmal_selection *sel, const oracle_answer *want)
{
    for (fmal_idx i = 0; i < sel->n; i++)
        if (sel->index[i] != want->picks[i])
            return false;
    return true;
}

/* before - gains + losses, of every step. */
static double objective_by_steps(const fmal_select_state *s)
{
    double x = s->before;

    for (fmal_idx i = 0; i < s->n_added; i++)
        x -= s->gain[i];
    for (fmal_idx i = 0; i < s->n_removed; i++)
        x += s->loss[i];
    return x;
}

/* The answer of the rank whose turn it was, on all. */
static void share_answer(fmal_test *t, const pool_case *q, oracle_answer *a, int owner)
{
    if (t->ctx.rank != owner && FMAL_ALLOC(&a->picks, q->batch))
        abort();
    fmal_bcast(&t->ctx, a->picks, sizeof *a->picks * (size_t) q->batch, owner);
    double numbers[] = { a->before, a->after, a->margin };
    fmal_bcast(&t->ctx, numbers, sizeof numbers, owner);
    a->before = numbers[0];
    a->after = numbers[1];
    a->margin = numbers[2];
}

/* @return whether the oracle's own margins were too small to compare. */
static bool run_case(fmal_test *t, const pool_case *q, uint32_t seed,
                     const oracle_answer *want, bool in_double,
                     fmal_idx *most_refreshes)
{
    whole_pool pool = make_pool(q, seed);
    fmal_select_options options = options_of(q);
    fmal_select_state state = { 0 };
    fmal_selection sel = { 0 };

    options.double_precision = in_double;
    options.lazy = !in_double;
    fmal_status st =
        select_batch(&t->ctx, &pool, q->block, &options, NULL, -1, &state, &sel);
    bool close_call = want->margin < 1e-7 && !(q->traits & HAS_TIES);
    /* Removing what alone holds a direction that hardly has a ridge loses digits. */
    double size = fmax(want->before, 1e-30),
           tolerance = q->traits & LARGE ? 1e-7 : 1e-9;

    if (st != FMAL_OK)
        printf("# %s\n", fmal_error_text());
    if (!close_call)
        fmal_test_ok(t, st == FMAL_OK && sel.n == q->batch && same_picks(&sel, want),
                     "%s: n %d, d %d, c %d, batch %d, margin %.1e", q->name, q->n, q->d,
                     q->c, q->batch, want->margin);
    fmal_test_ok(t,
                 st == FMAL_OK && fmal_test_close(sel.before, want->before, 1e-10, 0) &&
                     (close_call || fmal_test_close(sel.after, want->after, 1e-8, 0)),
                 "%s: objective %.9g to %.9g", q->name, sel.before, sel.after);
    fmal_test_ok(t,
                 st == FMAL_OK &&
                     fabs(objective_by_steps(&state) - sel.after) < tolerance * size,
                 "%s: steps add up", q->name);
    if (sel.log.refreshes > *most_refreshes)
        *most_refreshes = sel.log.refreshes;
    state_clear(&state);
    fmal_selection_clear(&sel);
    pool_clear(&pool);
    return close_call;
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    static oracle_answer answers[MOST_CASES];
    int cases = FMAL_COUNT(table) + RANDOM_CASES / t.ctx.size, skipped = 0;
    fmal_idx most_refreshes = 0;

    /* Ranks take turns in asking the oracle, which is slow. */
    for (int i = t.ctx.rank; i < cases; i += t.ctx.size) {
        pool_case q = case_at(i);
        whole_pool pool = make_pool(&q, (uint32_t) i);

        answers[i] = ask_oracle(&q, &pool);
        pool_clear(&pool);
    }
    for (int i = 0; i < cases; i++) {
        pool_case q = case_at(i);

        share_answer(&t, &q, &answers[i], i % t.ctx.size);
        skipped += run_case(&t, &q, (uint32_t) i, &answers[i], false, &most_refreshes);
        run_case(&t, &q, (uint32_t) i, &answers[i], true, &most_refreshes);
        fmal_free(&answers[i].picks);
    }
    fmal_test_ok(&t, skipped * 10 <= cases, "%d of %d cases too close to call", skipped,
                 cases);
    fmal_test_ok(&t, most_refreshes > 3, "up to %d refreshes", (int) most_refreshes);
    return fmal_test_end(&t);
}
