/* FisherMask on a trained resnet18-slim: the picks of an independent computation in
   double precision, weighted and unweighted, in order. */
#include "golden_images.h"
#include "masked.h"

enum { IMAGES = 64, MOST = 64 };

typedef struct {
    fmal_dataset set;
    fmal_net *net;
    fmal_idx labelled[GOLDEN_N], n_labelled;
    double fraction;
} golden;

/* One row: what the file says of it. Objectives differ by the rounding of a network in
   single precision. */
typedef struct {
    const char *name;
    bool unweighted;
    fmal_jacobian_rows rows;
    fmal_idx picks[MOST];
    double k, lambda, objective;
} answer;

static fmal_status read_answer(fmal_h5 *h, answer *a)
{
    const char *variant = a->unweighted ? "fishermask-unweighted" : "fishermask";
    char group[80], picks[96];

    snprintf(group, sizeof group, "/expected/%s", variant);
    snprintf(picks, sizeof picks, "%s/picks", group);
    FMAL_TRY(fmal_h5_get_f64(h, group, "k", &a->k));
    FMAL_TRY(fmal_h5_get_f64(h, group, "lambda", &a->lambda));
    FMAL_TRY(fmal_h5_get_f64(h, group, "objective", &a->objective));
    if (!(a->k >= 1 && a->k <= MOST))
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: no batch", group);
    return fmal_h5_read(h, picks, FMAL_I64, a->picks);
}

static fmal_status read_all(const fmal_ctx *ctx, const char *path, golden *g,
                            answer *answers, int n)
{
    fmal_h5_info info;
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_open(path, &h);

    if (st == FMAL_OK)
        st = golden_net(h, &g->net);
    if (st == FMAL_OK)
        st = golden_images(ctx, h, &g->set);
    if (st == FMAL_OK) {
        fmal_h5_info_of(h, "/labelled", &info);
        g->n_labelled = info.dims[0] <= GOLDEN_N ? info.dims[0] : 0;
        st = fmal_h5_get_f64(h, "/expected/mask", "fraction", &g->fraction);
    }
    if (st == FMAL_OK && g->n_labelled > 0)
        st = fmal_h5_read(h, "/labelled", FMAL_I64, g->labelled);
    for (int i = 0; i < n && st == FMAL_OK; i++)
        st = read_answer(h, &answers[i]);
    fmal_h5_close(&h);
    return fmal_agree(ctx, st);
}

static void test_answer(fmal_test *t, masked *m, const answer *a)
{
    fmal_query q = masked_query(&t->ctx, m, (fmal_idx) a->k);
    fmal_batch batch = { 0 };

    m->masking.unweighted = a->unweighted;
    m->masking.jacobian.rows = a->rows;
    q.options.lambda = a->lambda;
    fmal_test_status(t, fmal_strategy_pick(strategy_named("fishermask"), &q, &batch),
                     FMAL_OK, a->name);
    fmal_test_ok(
        t,
        batch.n == (fmal_idx) a->k &&
            memcmp(batch.index, a->picks, (size_t) batch.n * sizeof *batch.index) == 0,
        "%s: the same picks in the same order", a->name);
    fmal_test_ok(t, fmal_test_close(batch.after, a->objective, 1e-4, 0),
                 "%s: objective %.8g", a->name, batch.after);
    fmal_batch_clear(&batch);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    char path[1024];
    golden g = { 0 };
    answer answers[] = {
        { .name = "weighted", .rows = FMAL_RELATIVE },
        { .name = "weighted, by c passes", .rows = FMAL_ABSOLUTE },
        { .name = "unweighted", .unweighted = true, .rows = FMAL_RELATIVE },
    };

    if (!golden_path(path, sizeof path))
        return fmal_test_skip(&t, "no network with known answers (set FMAL_GOLDEN)");
    fmal_status st = read_all(&t.ctx, path, &g, answers, FMAL_COUNT(answers));
    fmal_test_status(&t, st, FMAL_OK, path);
    if (st == FMAL_OK) {
        masked m = masked_make(&t.ctx, g.net, &g.set, g.fraction, IMAGES);

        for (fmal_idx i = 0; i < g.n_labelled; i++)
            masked_role(&m, g.labelled[i], FMAL_LABELLED);
        for (int i = 0; i < FMAL_COUNT(answers); i++)
            test_answer(&t, &m, &answers[i]);
        masked_clear(&m);
    }
    golden_images_clear(&g.set);
    fmal_net_destroy(&g.net);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
