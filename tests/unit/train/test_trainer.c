/* Training gives the same bits on any number of ranks: each case is trained by all
   ranks together and by every rank alone. */
#include "fmal_test.h"
#include "blobs.h"
#include "recipes.h"

#include "fmal/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN = 53, MOST = 37 };

static const struct {
    const char *name, *arch;
    int n; /* labelled */
    int batch, micro_batch, epochs;
    fmal_optimizer optimizer;
} table[] = {
    { "mlp, Adam, a short last batch", "mlp", 37, 16, 5, 3, FMAL_ADAM },
    { "mlp, SGD, micro-batches of unequal size", "mlp", 37, 19, 4, 3, FMAL_SGD },
    { "logreg, Adam, one batch", "logreg", 31, 31, 3, 3, FMAL_ADAM },
    { "logreg, SGD, batch larger than the set", "logreg", 23, 1000, 7, 3, FMAL_SGD },
    { "more ranks than micro-batches", "mlp", 37, 8, 8, 3, FMAL_ADAM },
    { "micro-batches of one sample", "mlp", 13, 6, 1, 2, FMAL_ADAM },
    { "one labelled sample", "mlp", 1, 4, 4, 2, FMAL_SGD },
};

/* What a training left. */
typedef struct {
    fmal_epoch last;
    fmal_train_count count;
    float params[256], state[768];
} outcome;

static fmal_train_options options_of(int row)
{
    return (fmal_train_options){
        .optimizer = table[row].optimizer,
        .rate = 0.03,
        .momentum = 0.9,
        .weight_decay = 1e-3,
        .batch = table[row].batch,
        .micro_batch = table[row].micro_batch,
        .max_epochs = table[row].epochs,
        .stop_accuracy = 2,
        .seed = 99,
        .round = 4,
    };
}

/* Every third sample of the training split, wrapped around, forwards or backwards. */
static void choose(fmal_idx *index_g, int n, bool backwards)
{
    for (int i = 0; i < n; i++)
        index_g[backwards ? n - 1 - i : i] = i * 3 % TRAIN;
}

static fmal_status train(const fmal_ctx *ctx, int row, const recipe *r, bool backwards,
                         outcome *out)
{
    fmal_train_options options = options_of(row);
    fmal_dataset set = blobs(ctx, TRAIN, 0);
    fmal_net *net = blobs_net(table[row].arch);
    fmal_trainer *trainer = NULL;
    fmal_idx index_g[MOST], count;
    fmal_status st;

    if (r)
        r->change(&options);
    memset(out, 0, sizeof *out);
    choose(index_g, table[row].n, backwards);
    st = fmal_trainer_create(ctx, net, &set, &options, index_g, table[row].n, &trainer);
    while (st == FMAL_OK && !out->last.finished)
        st = fmal_trainer_epoch(trainer, &out->last);
    if (st == FMAL_OK) {
        const float *state = fmal_trainer_state(trainer, &count);

        memcpy(out->state, state, (size_t) count * sizeof *state);
        memcpy(out->params, fmal_net_params(net),
               (size_t) fmal_net_size(net) * sizeof(float));
        out->count = fmal_trainer_counters(trainer);
    }
    fmal_trainer_destroy(&trainer);
    fmal_net_destroy(&net);
    blobs_clear(&set);
    return st;
}

static bool same(const outcome *a, const outcome *b)
{
    return same_count(&a->count, &b->count) && a->last.loss == b->last.loss &&
           a->last.accuracy == b->last.accuracy &&
           same_bits(a->params, b->params, sizeof a->params) &&
           same_bits(a->state, b->state, sizeof a->state);
}

static void test_ranks(fmal_test *t, const fmal_ctx *self)
{
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        int batch = table[i].batch < table[i].n ? table[i].batch : table[i].n;
        int steps = (table[i].n + batch - 1) / batch * table[i].epochs;
        static outcome together, alone, backwards;

        fmal_test_status(t, train(&t->ctx, i, NULL, false, &together), FMAL_OK,
                         table[i].name);
        fmal_test_ok(t,
                     train(self, i, NULL, false, &alone) == FMAL_OK &&
                         same(&together, &alone),
                     "%s: the same as on one rank", table[i].name);
        fmal_test_ok(t,
                     train(&t->ctx, i, NULL, true, &backwards) == FMAL_OK &&
                         same(&together, &backwards),
                     "%s: the same for samples given in another order", table[i].name);
        fmal_test_ok(t,
                     together.count.epochs == table[i].epochs &&
                         together.last.epoch == table[i].epochs &&
                         together.count.steps == steps,
                     "%s: epochs and steps", table[i].name);
    }
}

/* Each way to train, on the case with micro-batches of unequal size. */
static void test_recipes(fmal_test *t, const fmal_ctx *self)
{
    static outcome plain, together, alone;

    if (train(self, 1, NULL, false, &plain) != FMAL_OK)
        abort();
    for (int i = 0; i < FMAL_COUNT(recipes); i++) {
        const recipe *r = &recipes[i];

        fmal_test_status(t, train(&t->ctx, 1, r, false, &together), FMAL_OK, r->name);
        fmal_test_ok(
            t, train(self, 1, r, false, &alone) == FMAL_OK && same(&together, &alone),
            "%s: the same as on one rank", r->name);
        fmal_test_ok(t, !same_bits(plain.params, alone.params, sizeof plain.params),
                     "%s: makes a difference", r->name);
    }
}

/* A training of the first case with other options, on a set that may be spoilt. */
static fmal_status run(const fmal_ctx *ctx, const fmal_train_options *options,
                       fmal_dataset *set, int n, fmal_epoch *report)
{
    fmal_net *net = blobs_net("mlp");
    fmal_trainer *trainer = NULL;
    fmal_idx index_g[MOST];
    fmal_status st;

    choose(index_g, n, false);
    st = fmal_trainer_create(ctx, net, set, options, index_g, n, &trainer);
    *report = (fmal_epoch){ 0 };
    while (st == FMAL_OK && !report->finished)
        st = fmal_trainer_epoch(trainer, report);
    fmal_trainer_destroy(&trainer);
    fmal_net_destroy(&net);
    return st;
}

static void test_stops(fmal_test *t)
{
    fmal_dataset set = blobs(&t->ctx, TRAIN, 0);
    fmal_train_options options = options_of(0);
    fmal_epoch report, first;

    options.max_epochs = 1;
    fmal_test_status(t, run(&t->ctx, &options, &set, 37, &first), FMAL_OK, "one epoch");
    options.max_epochs = 1000;
    options.stop_accuracy = 0.97;
    fmal_test_status(t, run(&t->ctx, &options, &set, 37, &report), FMAL_OK,
                     "training to an accuracy");
    fmal_test_ok(t, first.epoch == 1 && first.accuracy < 0.9 && first.loss > 0.5,
                 "the first epoch is poor");
    fmal_test_ok(t,
                 report.accuracy >= 0.97 && report.epoch < 1000 &&
                     report.loss < 0.5 * first.loss,
                 "it learns, and stops when it has");
    blobs_clear(&set);
}

/* ---- What goes wrong ---- */

static void test_not_finite(fmal_test *t, float bad)
{
    fmal_dataset set = blobs(&t->ctx, TRAIN, 0);
    fmal_train_options options = options_of(0);
    fmal_epoch report;

    blobs_poke(&set.train, 51, bad);
    fmal_test_status(t, run(&t->ctx, &options, &set, 37, &report), FMAL_ERR_NUMERIC,
                     "a sample that is not finite fails on every rank");
    fmal_test_ok(t,
                 strstr(fmal_error_text(), "epoch 1:") &&
                     strstr(fmal_error_text(), "lower the learning rate"),
                 "the message says when and what to do");
    blobs_clear(&set);
}

static void test_diverges(fmal_test *t, fmal_optimizer optimizer, double rate)
{
    fmal_dataset set = blobs(&t->ctx, TRAIN, 0);
    fmal_train_options options = options_of(0);
    fmal_epoch report;

    options.optimizer = optimizer;
    options.rate = rate;
    options.max_epochs = 50;
    fmal_test_status(t, run(&t->ctx, &options, &set, 37, &report), FMAL_ERR_NUMERIC,
                     "a rate far too high is noticed");
    blobs_clear(&set);
}

static void test_refused(fmal_test *t)
{
    fmal_dataset set = blobs(&t->ctx, TRAIN, 0);
    fmal_train_options options = options_of(0);
    fmal_epoch report;

    fmal_test_status(t, run(&t->ctx, &options, &set, 0, &report), FMAL_ERR_EMPTY,
                     "no labelled sample");
    blobs_label(&set.train, 48, -1);
    fmal_test_status(t, run(&t->ctx, &options, &set, 37, &report), FMAL_ERR_ARG,
                     "a sample whose label is unknown");
    fmal_test_ok(t, strstr(fmal_error_text(), "sample 48 "), "it is named");
    blobs_clear(&set);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    test_ranks(&t, &self);
    test_recipes(&t, &self);
    test_stops(&t);
    test_not_finite(&t, NAN);
    test_not_finite(&t, INFINITY);
    test_diverges(&t, FMAL_SGD, 1e30);
    test_diverges(&t, FMAL_ADAM, 1e38);
    test_refused(&t);
    return fmal_test_end(&t);
}
