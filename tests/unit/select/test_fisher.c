/* The approximations of the Fisher information, by class blocks and by the diagonal:
   against the dense oracle with masked matrices, step by step, to the bit on any number
   of ranks and after every interruption; and where they are one and the same. */
#include "made_pools.h"

#include <stdio.h>

static const pool_method methods[] = {
    { "block", FMAL_FISHER_BLOCK, FMAL_LIKELIHOOD_FULL, 0 },
    { "diag", FMAL_FISHER_DIAG, FMAL_LIKELIHOOD_FULL, 0 },
    { "block, topc", FMAL_FISHER_BLOCK, FMAL_LIKELIHOOD_TOPC, 2 },
    { "diag, topc", FMAL_FISHER_DIAG, FMAL_LIKELIHOOD_TOPC, 2 },
    { "block, binary", FMAL_FISHER_BLOCK, FMAL_LIKELIHOOD_BINARY, 0 },
    { "diag, binary", FMAL_FISHER_DIAG, FMAL_LIKELIHOOD_BINARY, 0 },
};

static const pool_case table[] = {
    /* name, n, d, c, labelled, excluded, batch, block, lambda, oversample, sum, traits
     */
    { "plain", 60, 5, 3, 6, 3, 6, 4, 1, 2, false, 0 },
    { "no label", 37, 5, 3, 0, 0, 5, 4, 1, 2, false, 0 },
    { "sum of labels", 37, 5, 3, 9, 0, 5, 16, 1, 2, true, 0 },
    { "one sample", 1, 5, 3, 0, 0, 1, 4, 1, 2, false, 0 },
    { "fewer blocks than ranks", 6, 2, 3, 1, 0, 2, 4, 1, 2, false, 0 },
    { "all of the pool", 23, 5, 3, 0, 0, 23, 4, 1, 2, false, 0 },
    { "no removals", 37, 5, 6, 5, 0, 7, 4, 1, 1, false, 0 },
    { "many removals", 67, 2, 3, 5, 0, 8, 4, 1, 3, false, 0 },
    { "two classes", 53, 4, 2, 3, 0, 6, 16, 0.01, 2, false, 0 },
    { "two classes, one feature", 53, 1, 2, 3, 0, 6, 16, 0.01, 2, false, 0 },
    { "many classes", 41, 3, 9, 3, 0, 6, 16, 0.1, 2, false, 0 },
    { "hardly a ridge", 61, 5, 3, 5, 0, 9, 16, 1e-4, 2, false, 0 },
    { "more steps than wait", 61, 3, 3, 2, 0, 20, 256, 0.01, 2, false, 0 },
    { "duplicates", 60, 5, 3, 5, 0, 9, 4, 1, 2, false, DUPLICATES },
    { "duplicates, all of them", 15, 5, 3, 0, 0, 15, 4, 1, 2, false, DUPLICATES },
    { "no features", 40, 5, 3, 5, 0, 9, 4, 1, 2, false, ZERO_FEATURES },
    { "impossible classes, sure ones", 40, 5, 6, 5, 0, 9, 4, 1, 2, false, ZERO_PROBS },
    { "sure of almost everything", 61, 5, 3, 5, 0, 9, 4, 1, 2, false, PEAKED },
    { "ever smaller features", 90, 4, 3, 5, 0, 12, 8, 0.01, 3, false, DECAYING },
    { "large features", 61, 5, 3, 5, 0, 9, 4, 0.01, 2, false, LARGE },
};

enum { RANDOM_CASES = 48, CASES = FMAL_COUNT(table) + RANDOM_CASES };

static pool_case case_at(int i)
{
    return i < FMAL_COUNT(table) ? table[i] : random_case(2000 + (uint32_t) i);
}

static fmal_select_options options_by(const pool_case *q, const pool_method *m)
{
    fmal_select_options options = options_of(q);

    options.fisher = m->fisher;
    options.likelihood = m->likelihood;
    options.topc = m->topc;
    return options;
}

static fmal_oracle_problem oracle_by(const pool_case *q, const whole_pool *pool,
                                     const pool_method *m)
{
    fmal_oracle_problem p = oracle_problem(q, pool);

    p.mask = m->fisher == FMAL_FISHER_BLOCK  ? ORACLE_BLOCKS
             : m->fisher == FMAL_FISHER_DIAG ? ORACLE_DIAGONAL
                                             : ORACLE_ALL;
    p.rows = m->likelihood == FMAL_LIKELIHOOD_TOPC     ? ORACLE_TOPC
             : m->likelihood == FMAL_LIKELIHOOD_BINARY ? ORACLE_BINARY
                                                       : ORACLE_FULL;
    p.topc = m->topc;
    return p;
}

/* ---- The oracle ---- */

static bool same_picks(const fmal_selection *sel, const int64_t *want)
{
    for (fmal_idx i = 0; i < sel->n; i++)
        if (sel->index[i] != want[i])
            return false;
    return true;
}

/* The largest difference between what a step says and what it does to the objective,
   relative to the objective; every few steps. */
static double worst_step(const fmal_oracle_problem *p, const fmal_select_state *s)
{
    fmal_idx steps = s->n_added + s->n_removed, n = 0;
    int64_t *set = NULL;
    double worst = 0;

    if (FMAL_ALLOC(&set, s->n_added + 1))
        abort();
    for (fmal_idx i = 0; i < steps; i++) {
        bool adding = i < s->n_added, look = i % 5 == 0 || i == s->n_added;
        double before = look ? fmal_oracle_objective(p, set, (int) n) : 0, said;

        if (adding) {
            set[n++] = s->added[i];
            said = -s->gain[i];
        } else {
            fmal_idx at = 0;

            while (set[at] != s->removed[i - s->n_added])
                at++;
            set[at] = set[--n];
            said = s->loss[i - s->n_added];
        }
        if (look)
            worst = fmax(worst,
                         fabs(fmal_oracle_objective(p, set, (int) n) - before - said) /
                             fmax(fabs(before), 1e-30));
    }
    fmal_free(&set);
    return worst;
}

static double objective_by_steps(const fmal_select_state *s)
{
    double x = s->before;

    for (fmal_idx i = 0; i < s->n_added; i++)
        x -= s->gain[i];
    for (fmal_idx i = 0; i < s->n_removed; i++)
        x += s->loss[i];
    return x;
}

/* One rank, on its own. @return whether the oracle's margins were too small. */
static bool test_oracle(fmal_test *t, const fmal_ctx *alone, const pool_case *q,
                        const pool_method *m, const whole_pool *pool)
{
    fmal_oracle_problem p = oracle_by(q, pool, m);
    fmal_select_options options = options_by(q, m);
    fmal_select_state state = { 0 };
    fmal_selection sel = { 0 };
    oracle_answer want = ask_oracle_of(&p);
    bool close_call = want.margin < 1e-7 && !(q->traits & HAS_TIES);
    fmal_status st =
        select_batch(alone, pool, q->block, &options, NULL, -1, &state, &sel);
    double size = fmax(want.before, 1e-30);
    /* Removing what alone holds a direction that hardly has a ridge loses digits. */
    double tolerance = q->traits & LARGE ? 1e-4 : 1e-9;
    bool adds_up = st == FMAL_OK &&
                   fabs(objective_by_steps(&state) - sel.after) <= tolerance * size;
    double step = st == FMAL_OK ? worst_step(&p, &state) : NAN;

    if (st != FMAL_OK)
        printf("# %s\n", fmal_error_text());
    fmal_test_ok(
        t,
        st == FMAL_OK && sel.n == q->batch &&
            (close_call || same_picks(&sel, want.picks)) &&
            fmal_test_close(sel.before, want.before, 1e-10, 0) &&
            (close_call || fmal_test_close(sel.after, want.after, 1e-8, 0)) &&
            adds_up && step < tolerance,
        "%s, %s: n %d, d %d, c %d, margin %.1e, objective %.9g to %.9g, steps to %.1e",
        m->name, q->name, q->n, q->d, q->c, want.margin, sel.before, sel.after, step);
    fmal_free(&want.picks);
    state_clear(&state);
    fmal_selection_clear(&sel);
    return close_call;
}

/* ---- Ranks and restarts ---- */

static void test_ranks(fmal_test *t, const fmal_ctx *alone, const pool_case *q,
                       const pool_method *m, const whole_pool *pool)
{
    fmal_select_options options = options_by(q, m);
    fmal_select_state all = { 0 }, one = { 0 };
    fmal_selection all_sel = { 0 }, one_sel = { 0 };
    fmal_status st =
        select_batch(&t->ctx, pool, q->block, &options, NULL, -1, &all, &all_sel);

    if (st == FMAL_OK)
        st = select_batch(alone, pool, q->block, &options, NULL, -1, &one, &one_sel);
    fmal_test_ok(t,
                 st == FMAL_OK && same_state(&all, &one) &&
                     same_selection(&all_sel, &one_sel) &&
                     all_sel.log.refreshes == one_sel.log.refreshes,
                 "%s, %s: the same bits on one rank, %d refreshes", m->name, q->name,
                 (int) all_sel.log.refreshes);
    state_clear(&all);
    state_clear(&one);
    fmal_selection_clear(&all_sel);
    fmal_selection_clear(&one_sel);
}

/* From the state after `steps`, taken on one communicator, on the other. */
static bool goes_on(const fmal_ctx *before, const fmal_ctx *after, const pool_case *q,
                    const fmal_select_options *options, const whole_pool *pool,
                    fmal_idx steps, const fmal_select_state *want,
                    const fmal_selection *want_sel)
{
    fmal_select_state saved = { 0 }, end = { 0 };
    fmal_selection sel = { 0 };
    fmal_status st =
        select_batch(before, pool, q->block, options, NULL, steps, &saved, NULL);

    if (st == FMAL_OK)
        st = select_batch(after, pool, q->block, options, &saved, -1, &end, &sel);
    bool same =
        st == FMAL_OK && same_state(&end, want) && same_selection(&sel, want_sel);
    state_clear(&saved);
    state_clear(&end);
    fmal_selection_clear(&sel);
    return same;
}

static void test_restore(fmal_test *t, const fmal_ctx *alone, const pool_case *q,
                         const pool_method *m)
{
    whole_pool pool = make_pool(q, 3);
    fmal_select_options options = options_by(q, m);
    fmal_select_state want = { 0 };
    fmal_selection sel = { 0 };
    fmal_status st =
        select_batch(&t->ctx, &pool, q->block, &options, NULL, -1, &want, &sel);
    fmal_idx steps = want.n_added + want.n_removed, bad = 0;

    fmal_test_status(t, st, FMAL_OK, q->name);
    for (fmal_idx i = 0; i <= steps && st == FMAL_OK; i += t->ctx.size) {
        const fmal_ctx *first = i / t->ctx.size % 2 ? &t->ctx : alone;
        const fmal_ctx *second = i / t->ctx.size % 3 ? &t->ctx : alone;

        bad += !goes_on(first, second, q, &options, &pool, i, &want, &sel);
    }
    fmal_test_ok(t, bad == 0, "%s, %s: from steps of %d, %d refreshes", m->name,
                 q->name, (int) steps, (int) sel.log.refreshes);
    state_clear(&want);
    fmal_selection_clear(&sel);
    pool_clear(&pool);
}

/* ---- One and the same ---- */

/* Two ways that are one: picks, scores to rounding, and the objective. */
static void test_same(fmal_test *t, const char *name, const pool_case *q,
                      const pool_method *a, const pool_method *b)
{
    whole_pool pool = make_pool(q, 5);
    fmal_select_options first = options_by(q, a), second = options_by(q, b);
    fmal_selection x = { 0 }, y = { 0 };
    fmal_status st = select_batch(&t->ctx, &pool, q->block, &first, NULL, -1, NULL, &x);

    if (st == FMAL_OK)
        st = select_batch(&t->ctx, &pool, q->block, &second, NULL, -1, NULL, &y);
    bool same = st == FMAL_OK && x.n == y.n && same_picks(&x, y.index) &&
                fmal_test_close(x.before, y.before, 1e-12, 0) &&
                fmal_test_close(x.after, y.after, 1e-11, 0);
    for (fmal_idx i = 0; same && i < x.n; i++)
        same = fmal_test_close(x.score[i], y.score[i], 1e-9, 0);
    fmal_test_ok(t, same, "%s: %.9g to %.9g", name, x.before, x.after);
    fmal_selection_clear(&x);
    fmal_selection_clear(&y);
    pool_clear(&pool);
}

static void test_identities(fmal_test *t)
{
    static const pool_method binary = { "full, binary", FMAL_FISHER_FULL,
                                        FMAL_LIKELIHOOD_BINARY, 0 };
    pool_case one = table[0];

    test_same(t, "binary has one block", &table[0], &methods[4], &binary);
    one.d = 1;
    test_same(t, "blocks of one feature are the diagonal", &one, &methods[0],
              &methods[1]);
    test_same(t, "the same of topc", &one, &methods[2], &methods[3]);
}

/* The best first scores; without labels the oracle does not scale factors either. */
static void test_top(fmal_test *t, const pool_method *m)
{
    const pool_case *q = &table[1];
    whole_pool pool = make_pool(q, 5);
    fmal_select_options options = options_by(q, m);
    fmal_oracle_problem p = oracle_by(q, &pool, m);
    fmal_selection sel = { 0 };
    double gain[64], before = fmal_oracle_objective(&p, NULL, 0);

    options.top = true;
    fmal_status st =
        select_batch(&t->ctx, &pool, q->block, &options, NULL, -1, NULL, &sel);
    fmal_test_status(t, st, FMAL_OK, "top");
    for (int64_t i = 0; i < q->n; i++)
        gain[i] = before - fmal_oracle_objective(&p, &i, 1);
    bool best = sel.n == q->batch;
    for (fmal_idx i = 0; i < sel.n; i++) {
        double bar = gain[sel.index[i]];
        int above = 0;

        for (int j = 0; j < q->n; j++)
            above += gain[j] > bar;
        best = best && above == i && fmal_test_close(sel.score[i], bar, 1e-10, 0);
    }
    fmal_test_ok(t, best, "%s: the best first scores", m->name);
    fmal_selection_clear(&sel);
    pool_clear(&pool);
}

/* Scores are of factors that are not scaled, but the objective is everybody's. */
static void test_top_objective(fmal_test *t, const pool_method *m)
{
    const pool_case *q = &table[0]; /* with labels, which make the scale matter */
    whole_pool pool = make_pool(q, 5);
    fmal_select_options options = options_by(q, m);
    fmal_oracle_problem p = oracle_by(q, &pool, m);
    fmal_selection sel = { 0 };

    options.top = true;
    fmal_status st =
        select_batch(&t->ctx, &pool, q->block, &options, NULL, -1, NULL, &sel);
    double want = fmal_oracle_objective(&p, sel.index, (int) sel.n);
    fmal_test_ok(t,
                 st == FMAL_OK && sel.n == q->batch &&
                     fmal_test_close(sel.after, want, 1e-10, 0),
                 "%s: the objective of the best first scores, %.9g", m->name,
                 sel.after);
    fmal_selection_clear(&sel);
    pool_clear(&pool);
}

/* ---- Dense factors ---- */

/* Factors of two rows, one of them zero but for class 1: V^T V has a diagonal that a
   pool of one class block gives too. */
static void test_dense(fmal_test *t)
{
    enum { N = 37, D = 5, K = 5 };
    float v[N * 2 * D], h[N * D];
    double probs[N * 2];
    uint8_t role[N] = { 0 };
    fmal_part part = fmal_part_make(N, 4, &t->ctx);
    fmal_factor *dense = NULL, *kron = NULL;
    fmal_select_options options = { .batch = K, .lambda = 1, .oversample = 2 };
    fmal_selection x = { 0 }, y = { 0 };

    for (int i = 0; i < N; i++) {
        fmal_rng r = fmal_rng_stream(11, FMAL_RNG_INIT, 0, (uint64_t) i);

        probs[2 * i] = probs[2 * i + 1] = 0.5; /* binary: h h^T / 4 */
        for (int a = 0; a < D; a++) {
            h[i * D + a] = (float) fmal_rng_normal(&r);
            v[(2 * i) * D + a] = a % 2 ? 0 : h[i * D + a] / 2;
            v[(2 * i + 1) * D + a] = a % 2 ? h[i * D + a] / 2 : 0;
        }
    }
    options.fisher = FMAL_FISHER_DIAG;
    fmal_status st =
        fmal_factor_dense(&t->ctx, &part, v + part.first * 2 * D, 2, D, &dense);
    if (st == FMAL_OK)
        st = fmal_factor_kron_of(&t->ctx, &part, h + part.first * D,
                                 probs + part.first * 2, D, 2, FMAL_LIKELIHOOD_BINARY,
                                 0, &kron);
    fmal_factor *factors[] = { dense, kron };
    fmal_selection *out[] = { &x, &y };
    for (int i = 0; i < 2 && st == FMAL_OK; i++) {
        fmal_problem problem = { &t->ctx, factors[i], &part, role };
        fmal_selector *s = NULL;

        st = fmal_selector_create(&problem, &options, NULL, &s);
        while (st == FMAL_OK && !fmal_selector_finished(s))
            st = fmal_selector_step(s, NULL);
        if (st == FMAL_OK)
            st = fmal_selector_finish(s, out[i]);
        fmal_selector_destroy(&s);
    }
    fmal_test_ok(t,
                 st == FMAL_OK && x.n == K && same_picks(&x, y.index) &&
                     fmal_test_close(x.after, y.after, 1e-13, 0),
                 "dense factors: the diagonal of two rows");

    fmal_problem problem = { &t->ctx, dense, &part, role };
    fmal_selector *s = NULL;
    options.fisher = FMAL_FISHER_BLOCK;
    st = fmal_selector_create(&problem, &options, NULL, &s);
    fmal_test_ok(t, st == FMAL_ERR_ARG && !s && strstr(fmal_error_text(), "--fisher"),
                 "dense factors have no blocks");
    fmal_selection_clear(&x);
    fmal_selection_clear(&y);
    fmal_factor_destroy(&dense);
    fmal_factor_destroy(&kron);
}

/* ---- ---- */

static void test_method(fmal_test *t, const fmal_ctx *alone, const pool_method *m)
{
    int skipped = 0;

    for (int i = 0; i < CASES; i++) {
        pool_case q = case_at(i);
        whole_pool pool = make_pool(&q, (uint32_t) i);

        if (t->ctx.size == 1)
            skipped += test_oracle(t, alone, &q, m, &pool);
        else
            test_ranks(t, alone, &q, m, &pool);
        pool_clear(&pool);
    }
    fmal_test_ok(t, skipped * 10 <= CASES, "%s: %d of %d cases too close to call",
                 m->name, skipped, CASES);
    test_restore(t, alone, &table[0], m);
    test_restore(t, alone, &table[12], m);
    test_restore(t, alone, &table[18], m);
    test_top(t, m);
    test_top_objective(t, m);
}

int main(int argc, char **argv)
{
    static const pool_method whole = { "full", FMAL_FISHER_FULL, FMAL_LIKELIHOOD_FULL,
                                       0 };
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx alone;

    fmal_ctx_init(&alone, MPI_COMM_SELF);
    for (int i = 0; i < FMAL_COUNT(methods); i++)
        test_method(&t, &alone, &methods[i]);
    test_top(&t, &whole);
    test_top_objective(&t, &whole);
    test_identities(&t);
    test_dense(&t);
    return fmal_test_end(&t);
}
