/* Uncertainty strategies against a plain search of the whole pool. */
#include "queries.h"

static double entropy(const double *p, int c)
{
    double sum = 0;

    for (int k = 0; k < c; k++)
        sum += p[k] == 0 ? 0 : -p[k] * log(p[k]);
    return sum;
}

/* The class of place 0, 1, ... by probability. */
static double ranked(const double *p, int c, int place)
{
    for (int k = 0; k < c; k++) {
        int larger = 0, before = 0;

        for (int m = 0; m < c; m++) {
            larger += p[m] > p[k];
            before += p[m] == p[k] && m < k;
        }
        if (larger + before == place)
            return p[k];
    }
    return NAN;
}

static double margin(const double *p, int c)
{
    return ranked(p, c, 1) - ranked(p, c, 0);
}

static double doubt(const double *p, int c)
{
    return 1 - ranked(p, c, 0);
}

static const struct {
    const char *name;
    double (*score)(const double *p, int c);
} strategies[] = { { "entropy", entropy },
                   { "margin", margin },
                   { "confidence", doubt } };

/* Whether the batch is the k best candidates, ties to the lowest index. */
static bool is_best(const pool *p, double (*score)(const double *, int),
                    const fmal_batch *batch)
{
    bool *taken = NULL, right = true;

    if (FMAL_ALLOC(&taken, p->n))
        abort();
    for (fmal_idx place = 0; place < batch->n && right; place++) {
        int best = -1;

        for (int i = 0; i < p->n; i++) {
            if (taken[i] || p->role[i] != FMAL_CANDIDATE)
                continue;
            if (best < 0 ||
                score(p->probs + i * p->c, p->c) > score(p->probs + best * p->c, p->c))
                best = i;
        }
        right = best >= 0 && batch->index[place] == best &&
                fmal_test_close(batch->score[place],
                                score(p->probs + best * p->c, p->c), 1e-14, 1e-14);
        if (best >= 0)
            taken[best] = true;
    }
    fmal_free(&taken);
    return right;
}

static void test_picks(fmal_test *t, const pool *p, int block, const char *what)
{
    fmal_idx all = candidates_of(p), batches[] = { 1, 7, all - 1, all };
    fmal_part part;

    for (int s = 0; s < FMAL_COUNT(strategies); s++)
        for (int b = 0; b < FMAL_COUNT(batches); b++) {
            fmal_batch batch = { 0 };

            if (batches[b] < 1 || batches[b] > all)
                continue;
            fmal_query q = query_of(&t->ctx, p, block, batches[b], &part);
            fmal_status st =
                fmal_strategy_pick(strategy_named(strategies[s].name), &q, &batch);
            fmal_test_ok(t,
                         st == FMAL_OK && batch.n == batches[b] &&
                             !batch.has_objective &&
                             is_best(p, strategies[s].score, &batch),
                         "%s, %s: %d of %d", what, strategies[s].name, (int) batches[b],
                         (int) all);
            fmal_batch_clear(&batch);
        }
}

/* By hand: equal probabilities, and classes that tie for the first place. */
static void test_values(fmal_test *t)
{
    static double probs[] = {
        .5, .5, 0, 1, 0, 0, .25, .25, .5, 1 / 3., 1 / 3., 1 / 3.
    };
    static uint8_t role[4];
    static const struct {
        const char *name;
        fmal_idx order[4];
        double score[4];
    } want[] = {
        { "entropy",
          { 3, 2, 0, 1 },
          { 1.0986122886681098, 1.0397207708399179, 0.6931471805599453, 0 } },
        { "margin", { 0, 3, 2, 1 }, { 0, 0, -0.25, -1 } },
        { "confidence", { 3, 0, 2, 1 }, { 2 / 3., 0.5, 0.5, 0 } },
    };
    pool p = { .n = 4,
               .d = 1,
               .c = 3,
               .features = (float[4]){ 0 },
               .probs = probs,
               .role = role };

    for (int i = 0; i < FMAL_COUNT(want); i++) {
        fmal_part part;
        fmal_query q = query_of(&t->ctx, &p, 1, 4, &part);
        fmal_batch batch = { 0 };
        fmal_status st = fmal_strategy_pick(strategy_named(want[i].name), &q, &batch);
        bool right = st == FMAL_OK && batch.n == 4;

        for (int k = 0; k < 4 && right; k++)
            right = batch.index[k] == want[i].order[k] &&
                    fmal_test_close(batch.score[k], want[i].score[k], 1e-14, 1);
        fmal_test_ok(t, right, "%s: by hand", want[i].name);
        fmal_batch_clear(&batch);
    }
}

/* Every strategy refuses what cannot be picked. */
static void test_refused(fmal_test *t, const pool *p)
{
    const fmal_idx batches[] = { 0, -1, candidates_of(p) + 1 };

    for (int s = 0; s < fmal_strategy_count(); s++) {
        bool refused = true;

        for (int b = 0; b < FMAL_COUNT(batches); b++) {
            fmal_part part;
            fmal_query q = query_of(&t->ctx, p, 4, batches[b], &part);
            fmal_batch batch = { .n = -99 };

            refused =
                refused &&
                fmal_strategy_pick(fmal_strategy_at(s), &q, &batch) == FMAL_ERR_ARG &&
                batch.n == -99;
        }
        fmal_test_ok(t, refused, "%s: batches that cannot be picked",
                     fmal_strategy_at(s)->name);
    }
}

/* A pool of embeddings is only for those that take them. */
static void test_embeddings(fmal_test *t, const pool *p)
{
    for (int s = 0; s < fmal_strategy_count(); s++) {
        const fmal_strategy *strategy = fmal_strategy_at(s);
        fmal_part part;
        fmal_query q = query_of(&t->ctx, p, 4, 3, &part);
        fmal_batch batch = { 0 };

        q.embeddings = q.features;
        q.rows = 1;
        q.columns = p->d;
        q.features = NULL;
        q.probs = NULL;
        fmal_status st = fmal_strategy_pick(strategy, &q, &batch);
        fmal_test_ok(t, st == (strategy->takes_embeddings ? FMAL_OK : FMAL_ERR_ARG),
                     "%s: embeddings", strategy->name);
        fmal_batch_clear(&batch);
    }
}

/* Names for option tables are those of the strategies, in order. */
static void test_names(fmal_test *t)
{
    bool same = fmal_strategy_names[fmal_strategy_count()] == NULL;

    for (int s = 0; s < fmal_strategy_count() && same; s++)
        same = strcmp(fmal_strategy_names[s], fmal_strategy_at(s)->name) == 0 &&
               fmal_strategy_at(s)->summary[0] && fmal_strategy_at(s)->score[0];
    fmal_test_ok(t, same && fmal_strategy_count() >= 5, "%d names",
                 fmal_strategy_count());
    fmal_test_ok(t,
                 fmal_strategy_honours(strategy_named("bait"), "lambda") &&
                     fmal_strategy_honours(strategy_named("bait"), "grid") &&
                     !fmal_strategy_honours(strategy_named("bait"), "lamb") &&
                     !fmal_strategy_honours(strategy_named("entropy"), "lambda"),
                 "options that are honoured");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    pool p = pool_make(61, 3, 4), small = pool_make(3, 2, 3);

    test_names(&t);
    test_values(&t);
    test_picks(&t, &p, 4, "61 samples");
    test_picks(&t, &small, 1, "fewer samples than ranks");
    test_refused(&t, &p);
    test_embeddings(&t, &p);
    pool_clear(&p);
    pool_clear(&small);
    return fmal_test_end(&t);
}
