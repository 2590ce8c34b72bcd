/* A selection that was interrupted goes on to the same bits, on any number of ranks; a
   state that does not fit is refused. */
#include "made_pools.h"

#include <stdio.h>

static const pool_case table[] = {
    /* name, n, d, c, labelled, excluded, batch, block, lambda, oversample, sum, traits
     */
    { "plain", 60, 5, 3, 6, 3, 6, 4, 1, 2, false, 0 },
    { "refreshes on both sides", 90, 4, 3, 5, 0, 12, 8, 0.01, 3, false, DECAYING },
    { "worthless samples", 30, 3, 3, 2, 0, 9, 4, 1, 3, false, ZERO_FEATURES },
    { "no removals", 40, 3, 3, 0, 0, 7, 16, 0.01, 1, false, 0 },
    { "refined losses", 40, 5, 3, 1, 0, 6, 4, 1e-4, 2, false, LARGE },
    { "all of the pool", 19, 3, 3, 2, 0, 17, 4, 1, 2, false, DUPLICATES },
};

/* ---- From every step ---- */

/* Whether the state after `steps`, taken on one communicator and continued on the
   other, ends where `want` does. */
static bool goes_on(const fmal_ctx *before, const fmal_ctx *after, const pool_case *q,
                    const whole_pool *pool, fmal_idx steps,
                    const fmal_select_state *want, const fmal_selection *want_sel)
{
    fmal_select_options options = options_of(q);
    fmal_select_state saved = { 0 }, end = { 0 };
    fmal_selection sel = { 0 };

    options.lazy = steps % 2 == 0; /* which changes no bit */
    fmal_status st =
        select_batch(before, pool, q->block, &options, NULL, steps, &saved, NULL);
    options.lazy = steps % 3 == 0;
    if (st == FMAL_OK)
        st = select_batch(after, pool, q->block, &options, &saved, -1, &end, &sel);
    bool same =
        st == FMAL_OK && same_state(&end, want) && same_selection(&sel, want_sel);
    state_clear(&saved);
    state_clear(&end);
    fmal_selection_clear(&sel);
    return same;
}

static void test_every_step(fmal_test *t, const pool_case *q)
{
    whole_pool pool = make_pool(q, 3);
    fmal_select_options options = options_of(q);
    fmal_select_state want = { 0 };
    fmal_selection want_sel = { 0 };
    fmal_ctx alone;
    fmal_status st =
        select_batch(&t->ctx, &pool, q->block, &options, NULL, -1, &want, &want_sel);
    fmal_idx steps = want.n_added + want.n_removed, bad = 0, bad_alone = 0;

    fmal_ctx_init(&alone, MPI_COMM_SELF);
    fmal_test_status(t, st, FMAL_OK, q->name);
    /* One rank tries every step, several ranks share out the work. */
    for (fmal_idx i = 0; i <= steps && st == FMAL_OK; i += t->ctx.size) {
        bool by_all = i / t->ctx.size % 2;

        bad += !goes_on(&t->ctx, &t->ctx, q, &pool, i, &want, &want_sel);
        if (t->ctx.size > 1)
            bad_alone += !goes_on(by_all ? &t->ctx : &alone, by_all ? &alone : &t->ctx,
                                  q, &pool, i, &want, &want_sel);
    }
    fmal_test_ok(t, bad == 0, "%s: from steps of %d, %d refreshes", q->name,
                 (int) steps, (int) want_sel.log.refreshes);
    fmal_test_ok(t, bad_alone == 0, "%s: on another number of ranks", q->name);
    state_clear(&want);
    fmal_selection_clear(&want_sel);
    pool_clear(&pool);
}

/* The table has a case that refreshes among the removals and is not refreshed by the
   turn alone. */
static void test_table(fmal_test *t)
{
    const pool_case *q = &table[1];
    whole_pool pool = make_pool(q, 3);
    fmal_select_options options = options_of(q);
    fmal_select_state state = { 0 };
    fmal_status st =
        select_batch(&t->ctx, &pool, q->block, &options, NULL, -1, &state, NULL);

    fmal_test_ok(t, st == FMAL_OK && state.refresh_step > state.n_added,
                 "a refresh among the removals: at step %d of %d + %d",
                 (int) state.refresh_step, (int) state.n_added, (int) state.n_removed);
    state_clear(&state);
    pool_clear(&pool);
}

/* ---- States that do not fit ---- */

enum { ADDED = 1, REMOVED = 2 };

static const struct {
    const char *name;
    int list;       /* whose entry is overwritten, if any */
    fmal_idx place; /* of the entry */
    fmal_idx value; /* -1000: that of the entry before; -2000: a labelled sample; -3000:
                       an excluded one; -4000: one never added */
    fmal_idx n_added, n_removed, refresh_step; /* -1: as they are */
} unfit[] = {
    { "an index beyond the pool", ADDED, 2, 60, -1, -1, -1 },
    { "a negative index", ADDED, 2, -1, -1, -1, -1 },
    { "an index far beyond", ADDED, 0, (fmal_idx) 1 << 60, -1, -1, -1 },
    { "a sample twice", ADDED, 3, -1000, -1, -1, -1 },
    { "a labelled sample", ADDED, 1, -2000, -1, -1, -1 },
    { "an excluded sample", ADDED, 1, -3000, -1, -1, -1 },
    { "removed beyond the pool", REMOVED, 0, 99, -1, -1, -1 },
    { "removed twice", REMOVED, 1, -1000, -1, -1, -1 },
    { "removed but not added", REMOVED, 1, -4000, -1, -1, -1 },
    { "removals before all are added", 0, 0, 0, 11, -1, 11 },
    { "a negative count", 0, 0, 0, -7, 0, 0 },
    { "a negative count of removals", 0, 0, 0, -1, -7, 0 },
    { "a refresh after the last step", 0, 0, 0, -1, -1, 15 },
    { "a refresh before the first", 0, 0, 0, -1, -1, -7 },
    { "removals from a refresh before the turn", 0, 0, 0, -1, -1, 3 },
};

static bool contains(const fmal_idx *list, fmal_idx n, fmal_idx x)
{
    for (fmal_idx i = 0; i < n; i++)
        if (list[i] == x)
            return true;
    return false;
}

static fmal_idx value_of(int row, const fmal_idx *list, const whole_pool *pool,
                         const fmal_select_state *state)
{
    fmal_idx never = 0;

    while (contains(state->added, state->n_added, never))
        never++;
    switch (unfit[row].value) {
    case -1000:
        return list[unfit[row].place - 1];
    case -2000:
        return pool->labelled[0];
    case -3000:
        return pool->excluded[0];
    case -4000:
        return never;
    default:
        return unfit[row].value;
    }
}

static fmal_status restore(fmal_test *t, const pool_case *q, const whole_pool *pool,
                           const fmal_select_options *options,
                           const fmal_select_state *state)
{
    fmal_selection sel = { 0 };
    fmal_status st =
        select_batch(&t->ctx, pool, q->block, options, state, -1, NULL, &sel);

    fmal_selection_clear(&sel);
    return st;
}

static void test_unfit(fmal_test *t)
{
    enum { STEPS = 14 }; /* 12 added, 2 removed */
    const pool_case *q = &table[0];
    whole_pool pool = make_pool(q, 3);
    fmal_select_options options = options_of(q);

    for (int row = 0; row < FMAL_COUNT(unfit); row++) {
        fmal_select_state state = { 0 };
        fmal_status st =
            select_batch(&t->ctx, &pool, q->block, &options, NULL, STEPS, &state, NULL);
        fmal_idx *list = unfit[row].list == REMOVED ? state.removed : state.added;

        if (unfit[row].list)
            list[unfit[row].place] = value_of(row, list, &pool, &state);
        if (unfit[row].n_added != -1)
            state.n_added = unfit[row].n_added;
        if (unfit[row].n_removed != -1)
            state.n_removed = unfit[row].n_removed;
        if (unfit[row].refresh_step != -1)
            state.refresh_step = unfit[row].refresh_step;
        if (st == FMAL_OK)
            st = restore(t, q, &pool, &options, &state);
        fmal_test_ok(t, st == FMAL_ERR_FORMAT, "refused: %s", unfit[row].name);
        state_clear(&state);
    }
    pool_clear(&pool);
}

/* More steps than these options have. */
static void test_other_options(fmal_test *t)
{
    const pool_case *q = &table[0];
    whole_pool pool = make_pool(q, 3);
    fmal_select_options options = options_of(q);
    fmal_select_state state = { 0 };
    fmal_status st =
        select_batch(&t->ctx, &pool, q->block, &options, NULL, 14, &state, NULL);

    options.oversample = 1.5;
    if (st == FMAL_OK)
        st = restore(t, q, &pool, &options, &state);
    fmal_test_ok(t, st == FMAL_ERR_FORMAT, "refused: more added than there are steps");
    options = options_of(q);
    options.batch = q->n;
    st = restore(t, q, &pool, &options, &state);
    fmal_test_ok(t, st == FMAL_ERR_ARG, "refused: a batch larger than the pool");
    state_clear(&state);
    pool_clear(&pool);
}

/* A state of nothing is a start; its lists may be NULL. */
static void test_nothing(fmal_test *t)
{
    const pool_case *q = &table[0];
    whole_pool pool = make_pool(q, 3);
    fmal_select_options options = options_of(q);
    fmal_select_state start = { 0 }, want = { 0 }, got = { 0 };
    fmal_status st =
        select_batch(&t->ctx, &pool, q->block, &options, NULL, -1, &want, NULL);

    start.before = want.before;
    if (st == FMAL_OK)
        st = select_batch(&t->ctx, &pool, q->block, &options, &start, -1, &got, NULL);
    fmal_test_ok(t, st == FMAL_OK && same_state(&got, &want),
                 "from a state of nothing");
    state_clear(&want);
    state_clear(&got);
    pool_clear(&pool);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(table); i++)
        test_every_step(&t, &table[i]);
    test_table(&t);
    test_unfit(&t);
    test_other_options(&t);
    test_nothing(&t);
    return fmal_test_end(&t);
}
