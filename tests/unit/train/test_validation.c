/* Samples held out of training: which they are, when they stop it, and that the best
   weights by them are what is left. */
#include "fmal_test.h"
#include "blobs.h"

#include <math.h>

enum { TRAIN = 53, LABELLED = 41, HELD = 10, MOST_EPOCHS = 60 };

static fmal_train_options options(void)
{
    return (fmal_train_options){
        .optimizer = FMAL_SGD,
        .rate = 0.05,
        .batch = 12,
        .micro_batch = 5,
        .max_epochs = MOST_EPOCHS,
        .stop_accuracy = 2,
        .validation = 0.25,
        .seed = 5,
    };
}

/* Every fourth label is wrong: what is learnt by heart is of no use to others, and the
   loss on them rises in the end. */
static fmal_dataset noisy(const fmal_ctx *ctx)
{
    fmal_dataset set = blobs(ctx, TRAIN, 0);

    for (fmal_idx ig = 0; ig < TRAIN; ig += 4)
        blobs_label(&set.train, ig, (int32_t) ((ig * 7 + 1) % BLOB_CLASSES));
    return set;
}

/* What a training showed, epoch by epoch. */
typedef struct {
    fmal_epoch epoch[MOST_EPOCHS + 1]; /* by its number */
    int epochs;
    float params[256];
} history;

static fmal_status train(const fmal_ctx *ctx, fmal_dataset *set,
                         const fmal_train_options *o, int n, history *h)
{
    fmal_net *net = blobs_net("mlp");
    fmal_trainer *trainer = NULL;
    fmal_idx index_g[LABELLED];
    fmal_epoch report = { 0 };

    for (int i = 0; i < n; i++)
        index_g[i] = TRAIN - 1 - i;
    memset(h, 0, sizeof *h);
    fmal_status st = fmal_trainer_create(ctx, net, set, o, index_g, n, &trainer);
    while (st == FMAL_OK && !report.finished) {
        st = fmal_trainer_epoch(trainer, &report);
        h->epochs = report.epoch;
        h->epoch[report.epoch] = report;
    }
    memcpy(h->params, fmal_net_params(net),
           (size_t) fmal_net_size(net) * sizeof(float));
    fmal_trainer_destroy(&trainer);
    fmal_net_destroy(&net);
    return st;
}

/* The samples that a training never uses are those whose value makes no difference to
   the first epoch's loss. */
static int count_unused(const fmal_ctx *ctx, const fmal_train_options *o, bool *unused)
{
    fmal_train_options once = *o;
    fmal_dataset set = blobs(ctx, TRAIN, 0);
    static history plain, poked;
    int count = 0;

    once.max_epochs = 1;
    if (train(ctx, &set, &once, LABELLED, &plain) != FMAL_OK)
        abort();
    blobs_clear(&set);
    for (int ig = TRAIN - LABELLED; ig < TRAIN; ig++) {
        set = blobs(ctx, TRAIN, 0);
        blobs_poke(&set.train, ig, 3);
        if (train(ctx, &set, &once, LABELLED, &poked) != FMAL_OK)
            abort();
        unused[ig] = same_bits(plain.params, poked.params, sizeof plain.params);
        count += unused[ig];
        if (unused[ig] &&
            plain.epoch[1].validation_loss == poked.epoch[1].validation_loss)
            abort(); /* neither trained on nor held out */
        blobs_clear(&set);
    }
    return count;
}

static void test_split(fmal_test *t)
{
    fmal_train_options o = options(), other_round = options(), other_seed = options();
    bool unused[TRAIN] = { false }, later[TRAIN] = { false }, other[TRAIN] = { false };

    fmal_test_ok(t, count_unused(&t->ctx, &o, unused) == HELD, "a quarter is held out");
    other_round.round = 7;
    count_unused(&t->ctx, &other_round, later);
    fmal_test_ok(t, same_bits(unused, later, sizeof unused), "the same in every round");
    other_seed.seed++;
    fmal_test_ok(t,
                 count_unused(&t->ctx, &other_seed, other) == HELD &&
                     !same_bits(unused, other, sizeof unused),
                 "others with another seed");
}

/* The first epoch with the lowest loss on what is held out. */
static int lowest(const history *h)
{
    int best = 1;

    for (int e = 2; e <= h->epochs; e++)
        if (h->epoch[e].validation_loss < h->epoch[best].validation_loss)
            best = e;
    return best;
}

static void test_best(fmal_test *t)
{
    fmal_train_options o = options();
    fmal_dataset set = noisy(&t->ctx);
    static history whole, upto;

    o.rate = 0.04;
    fmal_test_status(t, train(&t->ctx, &set, &o, LABELLED, &whole), FMAL_OK,
                     "all epochs");
    int best = lowest(&whole);
    fmal_test_ok(t,
                 whole.epochs == MOST_EPOCHS && best > 1 && best < MOST_EPOCHS &&
                     whole.epoch[MOST_EPOCHS].best == best,
                 "the best of %d is epoch %d", whole.epochs, best);
    o.max_epochs = best;
    fmal_test_ok(t,
                 train(&t->ctx, &set, &o, LABELLED, &upto) == FMAL_OK &&
                     same_bits(upto.params, whole.params, sizeof upto.params),
                 "its weights are what is left");
    blobs_clear(&set);
}

static void test_patience(fmal_test *t)
{
    fmal_train_options o = options();
    fmal_dataset set = noisy(&t->ctx);
    static history whole, stopped;
    int patience = 4, since = 0, end = 0;

    o.rate = 0.04;
    fmal_test_status(t, train(&t->ctx, &set, &o, LABELLED, &whole), FMAL_OK, "no end");
    for (int e = 1; e <= whole.epochs && end == 0; e++) {
        since = whole.epoch[e].best == e ? 0 : since + 1;
        end = since == patience ? e : 0;
    }
    o.patience = patience;
    fmal_test_status(t, train(&t->ctx, &set, &o, LABELLED, &stopped), FMAL_OK,
                     "patience");
    fmal_test_ok(t, end > patience && end < MOST_EPOCHS && stopped.epochs == end,
                 "ends after %d epochs, %d without a better one", stopped.epochs,
                 patience);
    blobs_clear(&set);
}

/* The loss is that of a network that is told nothing of training. */
static void test_loss(fmal_test *t, const fmal_ctx *self)
{
    fmal_train_options o = options();
    fmal_dataset set = blobs(&t->ctx, TRAIN, 0), whole = blobs(self, TRAIN, 0);
    bool held[TRAIN] = { false };
    fmal_net *net = blobs_net("mlp");
    static history h;
    float x[HELD * BLOB_INPUTS], logits[HELD * BLOB_CLASSES];
    int32_t labels[HELD];
    int n = 0, correct;
    double loss;

    o.max_epochs = 1;
    if (train(&t->ctx, &set, &o, LABELLED, &h) != FMAL_OK ||
        count_unused(self, &o, held) != HELD)
        abort();
    for (int ig = 0; ig < TRAIN; ig++) {
        if (!held[ig])
            continue;
        memcpy(x + n * BLOB_INPUTS, (float *) whole.train.rows + ig * BLOB_INPUTS,
               BLOB_INPUTS * sizeof(float));
        labels[n++] = whole.train.labels[ig];
    }
    memcpy(fmal_net_params(net), h.params, (size_t) fmal_net_size(net) * sizeof(float));
    fmal_net_forward(net, x, n, NULL, logits);
    fmal_softmax_loss(logits, labels, n, BLOB_CLASSES, NULL, &loss, &correct);
    fmal_test_ok(t,
                 fmal_test_close(h.epoch[1].validation_loss, loss / HELD, 1e-6, 1) &&
                     h.epoch[1].validation_accuracy == correct / (double) HELD,
                 "loss and accuracy are those of the weights");
    fmal_net_destroy(&net);
    blobs_clear(&set);
    blobs_clear(&whole);
}

static void test_small(fmal_test *t)
{
    fmal_train_options o = options();
    fmal_dataset set = blobs(&t->ctx, TRAIN, 0);
    static history h;

    o.max_epochs = 2;
    fmal_test_status(t, train(&t->ctx, &set, &o, 2, &h), FMAL_OK, "one to train on");
    fmal_test_ok(t, h.epoch[2].best > 0, "and one to judge by");
    fmal_test_status(t, train(&t->ctx, &set, &o, 1, &h), FMAL_ERR_EMPTY, "none left");
    fmal_test_ok(t, strstr(fmal_error_text(), "holds out 1 of 1 labelled"), "said: %s",
                 fmal_error_text());
    blobs_poke(&set.train, TRAIN - 1, NAN);
    blobs_poke(&set.train, TRAIN - 2, NAN);
    fmal_test_status(t, train(&t->ctx, &set, &o, 2, &h), FMAL_ERR_NUMERIC,
                     "a sample that is not finite fails on every rank");
    blobs_clear(&set);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    test_split(&t);
    test_best(&t);
    test_patience(&t);
    test_loss(&t, &self);
    test_small(&t);
    return fmal_test_end(&t);
}
