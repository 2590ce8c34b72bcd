/* What must hold of every selection: scores are falls of the objective, the number of
   ranks and the grid change nothing, the order of the pool changes nothing but names.
 */
#include "made_pools.h"
#include "select_impl.h"

#include <stdio.h>

static const pool_case table[] = {
    /* name, n, d, c, labelled, excluded, batch, block, lambda, oversample, sum, traits
     */
    { "plain", 60, 5, 3, 6, 3, 6, 4, 1, 2, false, 0 },
    { "refreshes", 90, 4, 3, 5, 0, 12, 16, 0.01, 2, false, DECAYING },
    { "peaked", 45, 3, 4, 4, 0, 6, 4, 1, 2, false, PEAKED },
    { "large features", 45, 5, 3, 9, 0, 6, 4, 1, 1.5, false, LARGE },
    { "one block", 40, 5, 2, 3, 0, 6, 256, 0.01, 2, true, 0 },
    { "fewer blocks than ranks", 6, 2, 3, 1, 0, 2, 4, 1, 2, false, 0 },
    { "several blocks of columns", 39, 27, 5, 3, 0, 4, 8, 1, 1.5, false, 0 },
    { "refined losses", 40, 5, 3, 1, 0, 6, 4, 0.01, 2, false, LARGE },
    { "ties", 40, 3, 3, 3, 0, 12, 4, 1, 2, false, DUPLICATES | ZERO_FEATURES },
};

/* ---- The objective, by its definition ---- */

/* sum += weight (diag p - p p^T) (x) h h^T of sample i, [D, D]. */
static void add_sample(const whole_pool *pool, fmal_idx i, long double weight,
                       long double *sum)
{
    int d = pool->d, order = pool->c * d;
    const double *p = pool->probs + i * pool->c;
    const float *h = pool->features + i * d;

    for (int x = 0; x < order; x++)
        for (int y = 0; y < order; y++) {
            int k = x / d, l = y / d;
            long double q = -(long double) p[k] * p[l];

            for (int m = 0; m < pool->c && k == l; m++)
                q += (long double) p[k] * p[m];
            sum[x * order + y] += weight * q * h[x % d] * h[y % d];
        }
}

/* tr(m^-1 f); m is lost. */
static double trace_of(long double *m, const long double *f, int n)
{
    long double trace = 0;

    for (int k = 0; k < n; k++) { /* in place, without exchanges: m is positive */
        long double head = m[k * n + k];

        m[k * n + k] = 1;
        for (int j = 0; j < n; j++)
            m[k * n + j] /= head;
        for (int i = 0; i < n; i++) {
            long double times = m[i * n + k];

            if (i == k)
                continue;
            m[i * n + k] = 0;
            for (int j = 0; j < n; j++)
                m[i * n + j] -= times * m[k * n + j];
        }
    }
    for (int i = 0; i < n * n; i++)
        trace += m[i] * f[i];
    return (double) trace;
}

/* The objective of the labelled samples and the first `added` steps less `removed`. */
static double objective(const pool_case *q, const whole_pool *pool,
                        const fmal_select_state *s, fmal_idx added, fmal_idx removed)
{
    int order = q->c * q->d;
    long double *f = NULL, *m = NULL;
    long double share = (long double) q->batch / (q->n_labelled + q->batch);

    if (FMAL_ALLOC(&f, order * order) || FMAL_ALLOC(&m, order * order))
        abort();
    for (int i = 0; i < q->n; i++)
        add_sample(pool, i, 1.0L / q->n, f);
    for (int i = 0; i < order; i++)
        m[i * order + i] = q->lambda;
    for (int i = 0; i < q->n_labelled; i++)
        add_sample(
            pool, pool->labelled[i],
            (q->sum ? q->n_labelled : 1) / (long double) (q->n_labelled + q->batch), m);
    for (fmal_idx i = 0; i < added; i++)
        add_sample(pool, s->added[i], share, m);
    for (fmal_idx i = 0; i < removed; i++)
        add_sample(pool, s->removed[i], -share, m);
    double trace = trace_of(m, f, order);
    fmal_free(&f);
    fmal_free(&m);
    return trace;
}

/* Every step changes the objective by what it says, relative to the objective; ranks
   take turns in looking. */
static void test_objective(fmal_test *t, const pool_case *q, const whole_pool *pool,
                           const fmal_select_state *s, const fmal_selection *sel)
{
    fmal_idx steps = s->n_added + s->n_removed;
    double worst = 0, start = objective(q, pool, s, 0, 0);
    double end = objective(q, pool, s, s->n_added, s->n_removed);

    for (fmal_idx i = t->ctx.rank; i < steps; i += t->ctx.size) {
        bool adding = i < s->n_added;
        fmal_idx added = adding ? i : s->n_added, removed = i - added;
        double before = objective(q, pool, s, added, removed);
        double after = objective(q, pool, s, added + adding, removed + !adding);
        double said = adding ? -s->gain[i] : s->loss[removed];

        worst = fmax(worst, fabs(after - before - said) / fabs(before));
    }
    fmal_test_ok(t, worst < 1e-10, "%s: falls by the score, to %.1e", q->name, worst);
    fmal_test_ok(t,
                 fmal_test_close(sel->before, start, 1e-11, 0) &&
                     fmal_test_close(sel->after, end, 1e-10, 0),
                 "%s: objective before and after", q->name);
}

/* ---- The same on any ranks and any grid ---- */

static void test_ranks(fmal_test *t, const pool_case *q, const whole_pool *pool,
                       const fmal_select_state *want, const fmal_selection *want_sel)
{
    fmal_select_options options = options_of(q);
    fmal_select_state state = { 0 };
    fmal_selection sel = { 0 };
    fmal_ctx alone;

    fmal_ctx_init(&alone, MPI_COMM_SELF);
    fmal_status st =
        select_batch(&alone, pool, q->block, &options, NULL, -1, &state, &sel);
    fmal_test_ok(t,
                 st == FMAL_OK && same_state(&state, want) &&
                     same_selection(&sel, want_sel) &&
                     sel.log.refreshes == want_sel->log.refreshes,
                 "%s: the same bits on one rank, %d refreshes", q->name,
                 (int) sel.log.refreshes);
    state_clear(&state);
    fmal_selection_clear(&sel);
}

static void test_grids(fmal_test *t, const pool_case *q, const whole_pool *pool,
                       const fmal_selection *want)
{
    static const int grids[][2] = { { 1, 1 }, { 1, 2 }, { 2, 1 }, { 1, 3 }, { 2, 2 } };

    for (int i = 0; i < FMAL_COUNT(grids); i++) {
        fmal_select_options options = options_of(q);
        fmal_selection sel = { 0 };

        options.grid_rows = grids[i][0];
        options.grid_cols = grids[i][1];
        if (grids[i][0] * grids[i][1] > t->ctx.size)
            continue;
        fmal_status st =
            select_batch(&t->ctx, pool, q->block, &options, NULL, -1, NULL, &sel);
        bool same = st == FMAL_OK && sel.n == want->n &&
                    fmal_test_close(sel.after, want->after, 1e-9, 0);
        for (fmal_idx k = 0; same && k < sel.n; k++)
            same = sel.index[k] == want->index[k] &&
                   fmal_test_close(sel.score[k], want->score[k], 1e-9, want->before);
        fmal_test_ok(t, same, "%s: the same picks on %d x %d", q->name, grids[i][0],
                     grids[i][1]);
        fmal_selection_clear(&sel);
    }
}

/* ---- Another order of the pool ---- */

static void test_permutation(fmal_test *t, const pool_case *q, const whole_pool *pool,
                             const fmal_selection *want)
{
    whole_pool other = make_pool(q, 5);
    fmal_select_options options = options_of(q);
    fmal_selection sel = { 0 };
    int to[128]; /* where sample i goes: 7 and n have no common divisor but 1 */

    for (int i = 0; i < q->n; i++) {
        to[i] = (7 * i + 3) % q->n;
        memcpy(other.features + to[i] * q->d, pool->features + i * q->d,
               sizeof(float) * (size_t) q->d);
        memcpy(other.probs + to[i] * q->c, pool->probs + i * q->c,
               sizeof(double) * (size_t) q->c);
    }
    for (int i = 0; i < q->n_labelled; i++)
        other.labelled[i] = to[pool->labelled[i]];
    for (int i = 0; i < q->n_excluded; i++)
        other.excluded[i] = to[pool->excluded[i]];
    fmal_status st =
        select_batch(&t->ctx, &other, q->block, &options, NULL, -1, NULL, &sel);
    bool same = st == FMAL_OK && sel.n == want->n;
    for (fmal_idx k = 0; same && k < sel.n; k++)
        same = sel.index[k] == to[want->index[k]];
    fmal_test_ok(t, same, "%s: the same picks by other names", q->name);
    fmal_selection_clear(&sel);
    pool_clear(&other);
}

static void test_case(fmal_test *t, const pool_case *q)
{
    whole_pool pool = make_pool(q, 5);
    fmal_select_options options = options_of(q);
    fmal_select_state state = { 0 };
    fmal_selection sel = { 0 };
    fmal_status st =
        select_batch(&t->ctx, &pool, q->block, &options, NULL, -1, &state, &sel);

    fmal_test_status(t, st, FMAL_OK, q->name);
    if (st == FMAL_OK) {
        test_objective(t, q, &pool, &state, &sel);
        test_ranks(t, q, &pool, &state, &sel);
        test_grids(t, q, &pool, &sel);
        if (!(q->traits & HAS_TIES))
            test_permutation(t, q, &pool, &sel);
    }
    state_clear(&state);
    fmal_selection_clear(&sel);
    pool_clear(&pool);
}

/* ---- Adding and removing again ---- */

/* The largest |a - b| relative to the largest |b|. */
static double relative_gap(const double *a, const double *b, fmal_idx n)
{
    double gap = 0, size = 0;

    for (fmal_idx i = 0; i < n; i++) {
        gap = fmax(gap, fabs(a[i] - b[i]));
        size = fmax(size, fabs(b[i]));
    }
    return size > 0 ? gap / size : gap;
}

/* One step with sample 20. */
static fmal_status there(fmal_inverse *inv, const fmal_factor *factor, double scale,
                         double sign)
{
    fmal_status st = fmal_inverse_prepare(inv, factor, 20, scale, sign);

    if (st == FMAL_OK)
        fmal_inverse_commit(inv);
    return st;
}

/* Whether the step says of sample index_g what its cell says; nothing on ranks that do
   not have it. */
static bool step_agrees(const fmal_inverse *inv, const fmal_cells *cells,
                        fmal_idx index_g)
{
    const fmal_idx *index = fmal_panel_index(cells->panel);

    for (fmal_idx i = 0; i < fmal_panel_groups(cells->panel) * FMAL_LANES; i++)
        if (index[i] == index_g)
            return fmal_test_close(inv->gain, cells->score[i], 1e-12, 0);
    return true;
}

/* A step there and the same step back restore the cells. */
static void test_there_and_back(fmal_test *t)
{
    const pool_case *q = &table[0];
    whole_pool pool = make_pool(q, 5);
    fmal_select_options options = options_of(q);
    pool_share share;
    fmal_selector *s = NULL;
    fmal_status st =
        share_init(&share, &t->ctx, &pool, q->block, FMAL_LIKELIHOOD_FULL, 0);

    options.double_precision = true;
    if (st == FMAL_OK)
        st = fmal_selector_create(&share.problem, &options, NULL, &s);
    fmal_test_status(t, st, FMAL_OK, "there and back");
    if (st != FMAL_OK)
        return;
    fmal_cells *cells = s->full->cells;
    fmal_inverse *inv = s->full->inverse;
    fmal_idx n =
        fmal_panel_groups(cells->panel) * cells->r * (cells->r + 1) / 2 * FMAL_LANES;
    double *g = NULL, *b = NULL, moved = 0;
    bool agrees = true;
    if (FMAL_ALLOC(&g, n) || FMAL_ALLOC(&b, n))
        abort();
    if (n > 0) {
        memcpy(g, cells->g, sizeof *g * (size_t) n);
        memcpy(b, cells->b, sizeof *b * (size_t) n);
    }
    for (int turn = 0; turn < 2 && st == FMAL_OK; turn++) {
        double sign = turn ? -1 : 1;

        fmal_cells_score(cells, sign);
        st = there(inv, share.factor, s->scale, sign);
        agrees = agrees && step_agrees(inv, cells, 20);
        fmal_cells_update(cells, sign, inv->wz);
        if (turn == 0)
            moved = relative_gap(cells->g, g, n);
    }
    double gap = fmax(relative_gap(cells->g, g, n), relative_gap(cells->b, b, n));
    fmal_max_f64(&t->ctx, &moved, 1);
    fmal_test_ok(t, st == FMAL_OK && moved > 1e-3 && gap < 1e-13,
                 "a step there moves by %.1e, and back leaves %.1e", moved, gap);
    fmal_test_ok(t, agrees && inv->gain > 0, "a step knows its score, %.6g", inv->gain);
    /* What is not contained cannot be removed. */
    for (int turn = 0; turn < 8 && st == FMAL_OK; turn++)
        st = there(inv, share.factor, s->scale, -1);
    fmal_test_ok(t, st == FMAL_ERR_NUMERIC && strstr(fmal_error_text(), "sample 20"),
                 "what is not contained cannot be removed");
    fmal_selector_destroy(&s);
    share_clear(&share);
    fmal_free(&g);
    fmal_free(&b);
    pool_clear(&pool);
}

/* ---- Failures ---- */

/* Scores that overflow are an error on every rank that names a sample. */
static void test_overflow(fmal_test *t)
{
    pool_case q = { "overflow", 37, 5, 3, 0, 0, 5, 4, 1e-300, 2, false, 0 };
    whole_pool pool = make_pool(&q, 5);
    fmal_select_options options = options_of(&q);
    fmal_selection sel = { 0 };

    for (int i = 0; i < q.n * q.d; i++)
        pool.features[i] *= 1e30f;
    fmal_error_set("", "");
    fmal_status st =
        select_batch(&t->ctx, &pool, q.block, &options, NULL, -1, NULL, &sel);
    fmal_test_ok(t,
                 st == FMAL_ERR_NUMERIC && strstr(fmal_error_text(), "of sample ") &&
                     strstr(fmal_error_text(), "not a finite number"),
                 "scores that overflow: %s", fmal_error_text());
    fmal_selection_clear(&sel);
    pool_clear(&pool);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(table); i++)
        test_case(&t, &table[i]);
    test_there_and_back(&t);
    test_overflow(&t);
    return fmal_test_end(&t);
}
