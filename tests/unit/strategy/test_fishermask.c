/* fishermask and fishent against a search that writes every sample's gradients out and
   does nothing clever; bait where the mask is the head; the same bits on any ranks. */
#include "masked.h"
#include "../train/blobs.h"

enum { N = 53, BATCH = 6, HEAD = BLOB_CLASSES * BLOB_HIDDEN, PARAMETERS = 50 };

/* ---- The slow search ---- */

/* All samples' gradients in the masked parameters, and who has labels. */
typedef struct {
    int order;
    double *v; /* [N, c, order]: rows sqrt(p_y) d log p_y, or without their root */
    double *f; /* [order, order] */
    bool labelled[N];
    int n_labelled, batch;
} slow;

static void *zeros(fmal_idx count, size_t size)
{
    void *x = NULL;

    if (fmal_alloc(&x, count, size) != FMAL_OK)
        abort();
    return x;
}

/* a += weight V_i^T V_i. */
static void add_sample(const slow *s, int i, double weight, double *a)
{
    for (int y = 0; y < BLOB_CLASSES; y++) {
        const double *row = s->v + (i * BLOB_CLASSES + y) * s->order;

        for (int x = 0; x < s->order; x++)
            for (int z = 0; z < s->order; z++)
                a[x * s->order + z] += weight * row[x] * row[z];
    }
}

/* Row y of sample i: the head's part (e_y - p) (x) h, then T_y - p^T T. */
static void fill_row(const masked *m, const float *t, int extra, int i, int y,
                     double *row)
{
    const double *p = m->probs + i * BLOB_CLASSES;
    double root = m->masking.unweighted ? 1 : sqrt(p[y]);

    for (int k = 0; k < BLOB_CLASSES; k++)
        for (int a = 0; a < BLOB_HIDDEN; a++)
            row[k * BLOB_HIDDEN + a] =
                root * ((k == y) - p[k]) * m->features[i * BLOB_HIDDEN + a];
    for (int j = 0; j < extra; j++) {
        double mean = 0;

        for (int k = 0; k < BLOB_CLASSES; k++)
            mean += p[k] * t[(i * BLOB_CLASSES + k) * extra + j];
        row[HEAD + j] = root * (t[(i * BLOB_CLASSES + y) * extra + j] - mean);
    }
}

/* m: of all samples, on one rank. */
static slow slow_make(const fmal_ctx *alone, const masked *m)
{
    const fmal_watch unwatched = { 0 };
    fmal_mask mask = { 0 };
    slow s = { .batch = BATCH };

    if (fmal_mask_make(alone, m->net, m->set, &m->masking.make, &unwatched, &mask) !=
        FMAL_OK)
        abort();
    int extra = (int) mask.extra;
    float *t = zeros(N * BLOB_CLASSES * extra, sizeof *t);
    fmal_net_jacobian(m->net, m->set->train.rows, N, mask.index, extra, FMAL_ABSOLUTE,
                      t);
    s.order = HEAD + extra;
    s.v = zeros(N * BLOB_CLASSES * s.order, sizeof *s.v);
    s.f = zeros(s.order * s.order, sizeof *s.f);
    for (int i = 0; i < N; i++) {
        for (int y = 0; y < BLOB_CLASSES; y++)
            fill_row(m, t, extra, i, y, s.v + (i * BLOB_CLASSES + y) * s.order);
        add_sample(&s, i, 1.0 / N, s.f);
        s.labelled[i] = m->role[i] == FMAL_LABELLED;
        s.n_labelled += s.labelled[i];
    }
    fmal_free(&t);
    fmal_mask_clear(&mask);
    return s;
}

static void slow_clear(slow *s)
{
    fmal_free(&s->v);
    fmal_free(&s->f);
}

/* tr(M^-1 F): Gauss and Jordan on [M, F]. */
static double objective(const slow *s, const bool *in)
{
    int n = s->order;
    double *m = zeros(n * n, sizeof *m), *f = zeros(n * n, sizeof *f), trace = 0;
    double each = 1.0 / (s->n_labelled + s->batch);

    memcpy(f, s->f, sizeof *f * (size_t) (n * n));
    for (int x = 0; x < n; x++)
        m[x * n + x] = 1;
    for (int i = 0; i < N; i++)
        if (s->labelled[i] || in[i])
            add_sample(s, i, s->labelled[i] ? each : each * s->batch, m);
    for (int x = 0; x < n; x++)
        for (int z = 0; z < n; z++) {
            double by = m[z * n + x] / m[x * n + x];

            for (int w = 0; w < n && z != x; w++) {
                m[z * n + w] -= by * m[x * n + w];
                f[z * n + w] -= by * f[x * n + w];
            }
        }
    for (int x = 0; x < n; x++)
        trace += f[x * n + x] / m[x * n + x];
    fmal_free(&m);
    fmal_free(&f);
    return trace;
}

/* The sample whose change of sides leaves the least. */
static int best_change(const slow *s, bool *in, bool removing)
{
    double least = INFINITY;
    int best = -1;

    for (int i = 0; i < N; i++) {
        if (s->labelled[i] || in[i] != removing)
            continue;
        in[i] = !removing;
        double left = objective(s, in);
        in[i] = removing;
        if (left < least) {
            least = left;
            best = i;
        }
    }
    return best;
}

/* Twice the batch added, then removals; picks [batch] in the order added. */
static double slow_search(const slow *s, fmal_idx *picks)
{
    bool in[N] = { false };
    int added[2 * BATCH], n = 0;

    for (int step = 0; step < 2 * s->batch; step++) {
        added[step] = best_change(s, in, false);
        in[added[step]] = true;
    }
    for (int step = 0; step < s->batch; step++)
        in[best_change(s, in, true)] = false;
    for (int step = 0; step < 2 * s->batch; step++)
        if (in[added[step]])
            picks[n++] = added[step];
    return objective(s, in);
}

/* ---- Cases ---- */

static const struct {
    const char *name;
    double fraction;
    bool unweighted;
    fmal_jacobian_rows rows;
} table[] = {
    { "weighted", 0.5, false, FMAL_RELATIVE },
    { "by c passes", 0.5, false, FMAL_ABSOLUTE },
    { "unweighted", 0.5, true, FMAL_RELATIVE },
    { "unweighted, by c passes", 0.5, true, FMAL_ABSOLUTE },
    { "all parameters", 1, false, FMAL_RELATIVE },
    { "the head alone", (double) HEAD / PARAMETERS, false, FMAL_RELATIVE },
};

typedef struct {
    fmal_ctx alone;
    fmal_dataset set, whole; /* shared out, and all of it */
    fmal_net *net;
} world;

/* Some samples have labels, everywhere the same ones. */
static masked query_data(const fmal_ctx *ctx, const world *w, const fmal_dataset *set,
                         double fraction)
{
    masked m = masked_make(ctx, w->net, set, fraction, 20);

    for (fmal_idx i = 0; i < N; i += 9)
        masked_role(&m, i, FMAL_LABELLED);
    return m;
}

static fmal_status pick(const fmal_ctx *ctx, const masked *m, const char *strategy,
                        fmal_batch *out)
{
    fmal_query q = masked_query(ctx, m, BATCH);

    return fmal_strategy_pick(strategy_named(strategy), &q, out);
}

static bool same_index(const fmal_batch *a, const fmal_idx *want, fmal_idx n)
{
    return a->n == n && memcmp(a->index, want, (size_t) n * sizeof *want) == 0;
}

static void test_case(fmal_test *t, const world *w, int row)
{
    const char *name = table[row].name;
    masked m = query_data(&t->ctx, w, &w->set, table[row].fraction),
           all = query_data(&w->alone, w, &w->whole, table[row].fraction);
    fmal_batch batch = { 0 }, alone = { 0 };
    fmal_idx want[BATCH];

    m.masking.unweighted = all.masking.unweighted = table[row].unweighted;
    m.masking.jacobian.rows = all.masking.jacobian.rows = table[row].rows;
    slow s = slow_make(&w->alone, &all);
    double after = slow_search(&s, want);
    fmal_test_status(t, pick(&t->ctx, &m, "fishermask", &batch), FMAL_OK, name);
    fmal_test_status(t, pick(&w->alone, &all, "fishermask", &alone), FMAL_OK, name);
    fmal_test_ok(t,
                 same_index(&batch, want, BATCH) &&
                     fmal_test_close(batch.after, after, 1e-6, 0),
                 "%s: as the slow search", name);
    fmal_test_ok(t, same_batch(&batch, &alone), "%s: the same bits on one rank", name);
    slow_clear(&s);
    fmal_batch_clear(&batch);
    fmal_batch_clear(&alone);
    masked_clear(&m);
    masked_clear(&all);
}

/* With nothing but the head in the mask it is bait. */
static void test_head(fmal_test *t, const world *w)
{
    masked m = query_data(&t->ctx, w, &w->set, (double) HEAD / PARAMETERS);
    fmal_batch a = { 0 }, b = { 0 };

    fmal_test_status(t, pick(&t->ctx, &m, "fishermask", &a), FMAL_OK, "head");
    fmal_test_status(t, pick(&t->ctx, &m, "bait", &b), FMAL_OK, "bait");
    fmal_test_ok(t,
                 same_index(&a, b.index, b.n) && same_steps(&a, &b) &&
                     fmal_test_close(a.after, b.after, 1e-9, 0),
                 "a mask of the head: bait's picks and steps");
    fmal_batch_clear(&a);
    fmal_batch_clear(&b);
    masked_clear(&m);
}

/* The first half by entropy; the rest as if that had labels. */
static void test_halves(fmal_test *t, const world *w)
{
    masked m = query_data(&t->ctx, w, &w->set, 0.5),
           all = query_data(&w->alone, w, &w->whole, 0.5);
    fmal_batch batch = { 0 }, entropy = { 0 }, alone = { 0 };
    fmal_idx want[BATCH];

    fmal_test_status(t, pick(&t->ctx, &m, "entropy", &entropy), FMAL_OK, "entropy");
    fmal_test_status(t, pick(&t->ctx, &m, "fishent", &batch), FMAL_OK, "fishent");
    fmal_test_status(t, pick(&w->alone, &all, "fishent", &alone), FMAL_OK, "alone");
    for (int i = 0; i < BATCH / 2; i++) {
        want[i] = entropy.index[i];
        masked_role(&all, want[i], FMAL_LABELLED);
    }
    slow s = slow_make(&w->alone, &all);
    s.batch = BATCH - BATCH / 2;
    double after = slow_search(&s, want + BATCH / 2);
    fmal_test_ok(t,
                 same_index(&batch, want, BATCH) &&
                     batch.score[0] == entropy.score[0] &&
                     fmal_test_close(batch.after, after, 1e-6, 0),
                 "fishent: half by entropy, half by the slow search");
    fmal_test_ok(t, same_batch(&batch, &alone), "fishent: the same bits on one rank");
    slow_clear(&s);
    fmal_batch_clear(&batch);
    fmal_batch_clear(&entropy);
    fmal_batch_clear(&alone);
    masked_clear(&m);
    masked_clear(&all);
}

/* Of an odd batch the larger half, and of one sample all, is by entropy. */
static void test_odd(fmal_test *t, const world *w)
{
    masked m = query_data(&t->ctx, w, &w->set, 0.5);

    for (fmal_idx k = 1; k <= 5; k += 2) {
        fmal_query q = masked_query(&t->ctx, &m, k);
        fmal_batch a = { 0 }, b = { 0 };
        fmal_status st = fmal_strategy_pick(strategy_named("fishent"), &q, &a);

        if (st == FMAL_OK)
            st = fmal_strategy_pick(strategy_named("entropy"), &q, &b);
        fmal_test_ok(
            t,
            st == FMAL_OK && a.n == k && a.forward == 2 * (k / 2) &&
                memcmp(a.index, b.index, (size_t) (k / 2 + 1) * sizeof *a.index) == 0,
            "fishent: %d of %d by entropy", (int) (k / 2 + 1), (int) k);
        fmal_batch_clear(&a);
        fmal_batch_clear(&b);
    }
    masked_clear(&m);
}

/* A mask that is given, and one that a file keeps the Jacobian of. */
static void test_given(fmal_test *t, const world *w)
{
    const fmal_watch unwatched = { 0 };
    masked m = query_data(&t->ctx, w, &w->set, 0.5);
    fmal_batch made = { 0 }, given = { 0 }, kept = { 0 };
    fmal_mask mask = { 0 };
    char path[512];

    fmal_test_status(t, pick(&t->ctx, &m, "fishermask", &made), FMAL_OK, "made");
    fmal_test_status(
        t, fmal_mask_make(&t->ctx, w->net, &w->set, &m.masking.make, &unwatched, &mask),
        FMAL_OK, "a mask");
    m.masking.mask = &mask;
    m.masking.make.samples = -1; /* not looked at */
    fmal_test_status(t, pick(&t->ctx, &m, "fishermask", &given), FMAL_OK, "given");
    fmal_test_ok(t, same_batch(&made, &given), "a given mask: the same picks");
    snprintf(path, sizeof path, "%s", fmal_test_path(t, "jacobian"));
    m.masking.jacobian.path = path;
    m.masking.jacobian.most = 1; /* nothing is held */
    for (int i = 0; i < 2; i++) {
        fmal_test_status(t, pick(&t->ctx, &m, "fishermask", &kept), FMAL_OK, "kept");
        fmal_test_ok(t, same_batch(&made, &kept) && fmal_file_exists(path),
                     "the Jacobian in a file: the same picks");
        fmal_batch_clear(&kept);
    }
    fmal_mask_clear(&mask);
    fmal_batch_clear(&made);
    fmal_batch_clear(&given);
    masked_clear(&m);
}

/* What is random is of the query's round. */
static void test_rounds(fmal_test *t, const world *w)
{
    masked m = query_data(&t->ctx, w, &w->set, 0.5);
    fmal_query q = masked_query(&t->ctx, &m, BATCH);
    fmal_batch batch[3] = { { 0 } };
    fmal_status st = FMAL_OK;

    m.masking.make.method = FMAL_MASK_RANDOM;
    for (int i = 0; i < 3 && st == FMAL_OK; i++) {
        q.round = i == 2 ? 2 : 1;
        st = fmal_strategy_pick(strategy_named("fishermask"), &q, &batch[i]);
    }
    fmal_test_ok(t,
                 st == FMAL_OK && same_batch(&batch[0], &batch[1]) &&
                     batch[0].before != batch[2].before,
                 "a random mask is another one in another round");
    for (int i = 0; i < 3; i++)
        fmal_batch_clear(&batch[i]);
    masked_clear(&m);
}

static void test_refused(fmal_test *t, const world *w)
{
    masked m = query_data(&t->ctx, w, &w->set, 0.5);
    fmal_query q = masked_query(&t->ctx, &m, BATCH);
    fmal_batch batch = { .n = -99 };

    for (fmal_fisher f = FMAL_FISHER_BLOCK; f <= FMAL_FISHER_DIAG; f++) {
        q.options.fisher = f;
        fmal_test_ok(t,
                     fmal_strategy_pick(strategy_named("fishermask"), &q, &batch) ==
                             FMAL_ERR_ARG &&
                         strstr(fmal_error_text(), "kept whole") && batch.n == -99,
                     "information cut down is refused");
    }
    q = masked_query(&t->ctx, &m, BATCH);
    m.masking.make.fraction = 0.1;
    fmal_test_status(t, fmal_strategy_pick(strategy_named("fishermask"), &q, &batch),
                     FMAL_ERR_USAGE, "a mask smaller than the head");
    q.net = NULL;
    fmal_test_ok(t,
                 fmal_strategy_pick(strategy_named("fishent"), &q, &batch) ==
                         FMAL_ERR_ARG &&
                     strstr(fmal_error_text(), "there is none") && batch.n == -99,
                 "no network");
    masked_clear(&m);
}

/* ---- Plans ---- */

static void test_plan(fmal_test *t, const world *w)
{
    const fmal_pool_info info = {
        .n = 1000, .labelled = 10, .d = BLOB_HIDDEN, .c = BLOB_CLASSES
    };
    fmal_select_options o = { .batch = 7, .lambda = 1, .oversample = 2 };
    masked m = query_data(&t->ctx, w, &w->set, 0.5);
    const fmal_network_sizes sizes = { w->net, &w->set, &m.masking };
    fmal_select_plan p = { 0 }, ent = { 0 }, mapped = { 0 };
    fmal_status st =
        fmal_strategy_plan(strategy_named("fishermask"), &o, &info, &sizes, 1, &p);

    if (st == FMAL_OK)
        st = fmal_strategy_plan(strategy_named("fishent"), &o, &info, &sizes, 1, &ent);
    m.masking.jacobian.most = 1;
    if (st == FMAL_OK)
        st = fmal_strategy_plan(strategy_named("fishermask"), &o, &info, &sizes, 1,
                                &mapped);
    fmal_test_ok(t,
                 st == FMAL_OK && p.order == PARAMETERS / 2 && p.forward == 14 &&
                     p.backward == 7 && ent.forward == 6 && ent.backward == 3,
                 "plan: order and steps");
    fmal_test_ok(t,
                 p.bytes_pool - mapped.bytes_pool ==
                         4.0 * 1000 * BLOB_CLASSES * (PARAMETERS / 2 - HEAD) &&
                     p.bytes_buffers >= 0 && mapped.bytes_buffers >= 0,
                 "plan: the Jacobian's bytes");
    o.batch = 991;
    fmal_test_ok(t,
                 fmal_strategy_plan(strategy_named("fishent"), &o, &info, &sizes, 1,
                                    &p) == FMAL_ERR_ARG &&
                     strstr(fmal_error_text(), "--batch 991"),
                 "plan: more than there are");
    masked_clear(&m);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    world w = { .set = blobs(&t.ctx, N, 4), .net = blobs_net("mlp") };

    fmal_ctx_init(&w.alone, MPI_COMM_SELF);
    w.whole = blobs(&w.alone, N, 4);
    for (int row = 0; row < FMAL_COUNT(table); row++)
        test_case(&t, &w, row);
    test_head(&t, &w);
    test_halves(&t, &w);
    test_odd(&t, &w);
    test_given(&t, &w);
    test_rounds(&t, &w);
    test_refused(&t, &w);
    test_plan(&t, &w);
    blobs_clear(&w.set);
    blobs_clear(&w.whole);
    fmal_net_destroy(&w.net);
    return fmal_test_end(&t);
}
