/* A training that is saved, torn down, rebuilt and resumed ends with the bits of one
   that was left alone. */
#include "fmal_test.h"
#include "blobs.h"
#include "recipes.h"

#include "fmal/train.h"

#include <stdlib.h>
#include <string.h>

enum { TRAIN = 53, LABELLED = 31, EPOCHS = 5, SAVED = 2 };

/* All that a checkpoint keeps of a training. */
typedef struct {
    float params[256], state[768];
    fmal_train_count count;
    fmal_epoch last;
} snapshot;

/* A training and what it borrows. */
typedef struct {
    fmal_dataset set;
    fmal_net *net;
    fmal_trainer *trainer;
} workshop;

static fmal_train_options options_of(const recipe *r)
{
    fmal_train_options o = {
        .rate = 0.02,
        .batch = 12,
        .micro_batch = 5,
        .max_epochs = EPOCHS,
        .stop_accuracy = 2,
        .seed = 7,
    };

    r->change(&o);
    return o;
}

static void set_up(workshop *w, const fmal_ctx *ctx, const fmal_train_options *options)
{
    fmal_idx index_g[LABELLED];

    for (int i = 0; i < LABELLED; i++)
        index_g[i] = TRAIN - 1 - i;
    *w = (workshop){ .set = blobs(ctx, TRAIN, 0), .net = blobs_net("mlp") };
    if (fmal_trainer_create(ctx, w->net, &w->set, options, index_g, LABELLED,
                            &w->trainer) != FMAL_OK)
        abort();
}

static void tear_down(workshop *w)
{
    fmal_trainer_destroy(&w->trainer);
    fmal_net_destroy(&w->net);
    blobs_clear(&w->set);
}

static void save(workshop *w, snapshot *s)
{
    fmal_idx count;
    const float *state = fmal_trainer_state(w->trainer, &count);

    memcpy(s->state, state, (size_t) count * sizeof *state);
    memcpy(s->params, fmal_net_params(w->net),
           (size_t) fmal_net_size(w->net) * sizeof(float));
    s->count = fmal_trainer_counters(w->trainer);
}

static void restore(workshop *w, const snapshot *s)
{
    fmal_idx count;
    float *state = fmal_trainer_state(w->trainer, &count);

    memcpy(state, s->state, (size_t) count * sizeof *state);
    memcpy(fmal_net_params(w->net), s->params,
           (size_t) fmal_net_size(w->net) * sizeof(float));
    fmal_trainer_resume(w->trainer, &s->count);
}

/* Train for some epochs, from a snapshot unless it is NULL, and leave another. */
static void train(const fmal_ctx *ctx, const fmal_train_options *options,
                  const snapshot *from, int epochs, snapshot *to)
{
    workshop w;

    set_up(&w, ctx, options);
    if (from)
        restore(&w, from);
    memset(to, 0, sizeof *to);
    for (int i = 0; i < epochs; i++)
        if (fmal_trainer_epoch(w.trainer, &to->last) != FMAL_OK)
            abort();
    save(&w, to);
    tear_down(&w);
}

static bool same(const snapshot *a, const snapshot *b)
{
    return same_count(&a->count, &b->count) && a->last.epoch == b->last.epoch &&
           a->last.loss == b->last.loss && a->last.accuracy == b->last.accuracy &&
           a->last.validation_loss == b->last.validation_loss && a->last.finished &&
           b->last.finished && same_bits(a->params, b->params, sizeof a->params) &&
           same_bits(a->state, b->state, sizeof a->state);
}

static void test_resume(fmal_test *t, const fmal_ctx *self, const recipe *r)
{
    const char *name = r->name;
    const fmal_train_options options = options_of(r);
    static snapshot whole, half, rest;

    train(&t->ctx, &options, NULL, EPOCHS, &whole);
    train(&t->ctx, &options, NULL, SAVED, &half);
    fmal_test_ok(t, half.count.epochs == SAVED && !half.last.finished,
                 "%s: saved midway", name);
    train(&t->ctx, &options, &half, EPOCHS - SAVED, &rest);
    fmal_test_ok(t, same(&whole, &rest), "%s: resumed to the same bits", name);
    train(self, &options, &half, EPOCHS - SAVED, &rest);
    fmal_test_ok(t, same(&whole, &rest), "%s: also on one rank", name);
}

/* The order of an epoch's samples shows in the weights that it leaves. */
static void test_order(fmal_test *t)
{
    const fmal_train_options options = options_of(&recipes[1]);
    fmal_train_options other_seed = options, other_round = options;
    static snapshot start, first, other;
    size_t bytes = sizeof first.params;

    train(&t->ctx, &options, NULL, 0, &start);
    train(&t->ctx, &options, &start, 1, &first);
    train(&t->ctx, &options, &start, 1, &other);
    fmal_test_ok(t, same_bits(first.params, other.params, bytes),
                 "an epoch's order is always the same");
    other_seed.seed++;
    train(&t->ctx, &other_seed, &start, 1, &other);
    fmal_test_ok(t, !same_bits(first.params, other.params, bytes),
                 "another seed gives another order");
    other_round.round++;
    train(&t->ctx, &other_round, &start, 1, &other);
    fmal_test_ok(t, !same_bits(first.params, other.params, bytes),
                 "so does another round");
    start.count.epochs++;
    train(&t->ctx, &options, &start, 1, &other);
    fmal_test_ok(t, !same_bits(first.params, other.params, bytes), "and another epoch");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    for (int i = 0; i < FMAL_COUNT(recipes); i++)
        test_resume(&t, &self, &recipes[i]);
    test_order(&t);
    return fmal_test_end(&t);
}
