/*
 * Data-parallel training whose weights do not depend on the number of ranks.
 *
 * An epoch's order is a permutation of the labelled samples, keyed by seed, round and
 * epoch. It is cut into batches, and each batch into a fixed list of micro-batches of
 * nearly equal size; micro-batch j is computed by rank j modulo the number of ranks.
 * Its gradient has the same bits wherever it is computed: same samples, same shapes,
 * same weights. Gradients are added exactly (sums.c), so that the order and the
 * grouping of the sum do not matter either, and every rank then takes the same step.
 */
#include "train_impl.h"
#include "fmal/mem.h"
#include "fmal/point.h"
#include "fmal/rng.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

struct fmal_trainer {
    const fmal_ctx *ctx;
    fmal_net *net;
    const fmal_dataset *set;
    fmal_train_options options;
    fmal_train_count count;

    /* What a restart needs beside the weights (fmal_trainer_state). */
    float *state; /* [n_state] */
    fmal_idx n_state;
    fmal_optim optim; /* its state begins there */
    float *best;      /* the best weights and statistics follow; NULL without
                         validation */

    fmal_idx n;        /* samples of an epoch */
    fmal_idx *index_g; /* [n + n_held], ascending, and likewise those held out */
    fmal_idx *order;   /* [n], as this epoch takes them */
    fmal_idx n_held;   /* 0 without validation */
    fmal_split held;

    /* This rank's samples of an epoch, in the order in which it takes them. */
    fmal_idx n_mine;
    fmal_idx *mine;  /* [n_mine], global indices */
    char *rows;      /* [n_mine, row_bytes] */
    int32_t *labels; /* [n_mine] */

    float *x;      /* one micro-batch, [micro_batch, inputs] */
    char *changed; /* its images after augmentation, [micro_batch, row_bytes] */

    fmal_sums sums; /* of one batch */
};

/* A batch: samples [first, first + n) of the epoch's order, in `parts` micro-batches.
 */
typedef struct {
    fmal_idx first;
    int n, parts;
} batch;

static int ceil_div(int a, int b)
{
    return (a - 1) / b + 1;
}

static fmal_idx count_batches(const fmal_trainer *t)
{
    return (t->n + t->options.batch - 1) / t->options.batch;
}

static batch batch_at(const fmal_trainer *t, fmal_idx b)
{
    fmal_idx first = b * t->options.batch;
    fmal_idx left = t->n - first;
    int n = (int) (left < t->options.batch ? left : t->options.batch);

    return (batch){ first, n, ceil_div(n, t->options.micro_batch) };
}

/* Where micro-batch j of a batch begins in the epoch's order. */
static fmal_idx micro_start(const batch *b, int j)
{
    return b->first + (fmal_idx) b->n * j / b->parts;
}

static int micro_count(const batch *b, int j)
{
    return (int) (micro_start(b, j + 1) - micro_start(b, j));
}

/* ---- Set-up ---- */

static fmal_idx count_mine(const fmal_trainer *t)
{
    fmal_idx n = 0;

    for (fmal_idx i = 0; i < count_batches(t); i++) {
        batch b = batch_at(t, i);

        for (int j = t->ctx->rank; j < b.parts; j += t->ctx->size)
            n += micro_count(&b, j);
    }
    return n;
}

/* What is kept between epochs: the optimizer's numbers, then the best weights. */
static fmal_status allocate_state(fmal_trainer *t)
{
    fmal_idx size = fmal_net_size(t->net);
    fmal_idx optim = fmal_optim_count(&t->options, size);

    t->n_state = optim + (t->n_held > 0 ? fmal_learnt_count(t->net) : 0);
    FMAL_TRY(FMAL_ALLOC(&t->state, t->n_state));
    t->optim = (fmal_optim){
        .options = &t->options, .state = t->state, .size = size, .count = optim
    };
    t->best = t->n_held > 0 ? t->state + optim : NULL;
    return FMAL_OK;
}

static fmal_status allocate(fmal_trainer *t)
{
    int slots = ceil_div(batch_at(t, 0).parts, t->ctx->size);

    t->n_mine = count_mine(t);
    FMAL_TRY(FMAL_ALLOC(&t->order, t->n));
    FMAL_TRY(FMAL_ALLOC(&t->mine, t->n_mine));
    FMAL_TRY(fmal_alloc(&t->rows, t->n_mine, t->set->row_bytes));
    FMAL_TRY(FMAL_ALLOC(&t->labels, t->n_mine));
    FMAL_TRY(FMAL_ALLOC(&t->x, (fmal_idx) t->options.micro_batch * t->set->inputs));
    if (t->options.augment != FMAL_PLAIN)
        FMAL_TRY(fmal_alloc(&t->changed, t->options.micro_batch, t->set->row_bytes));
    FMAL_TRY(fmal_sums_init(&t->sums, t->ctx, t->net, slots));
    return allocate_state(t);
}

/* Each rank looks at the labels that it holds. */
static fmal_status check_labels(const fmal_trainer *t)
{
    const fmal_split *train = &t->set->train;

    for (fmal_idx i = 0; i < t->n + t->n_held; i++) {
        fmal_idx il = t->index_g[i] - train->part.first;

        if (il >= 0 && il < train->part.count && train->labels[il] < 0)
            return FMAL_FAIL(FMAL_ERR_ARG,
                             "training sample %" PRId64
                             " has no label; train on labelled samples only",
                             t->index_g[i]);
    }
    return FMAL_OK;
}

static fmal_status build(fmal_trainer *t, const fmal_idx *index_g, fmal_idx n)
{
    fmal_train_options *o = &t->options;

    FMAL_TRY(fmal_train_check(o, t->set, n));
    FMAL_TRY(FMAL_ALLOC(&t->index_g, n));
    memcpy(t->index_g, index_g, (size_t) n * sizeof *index_g);
    fmal_index_sort(t->index_g, n);
    t->n_held = fmal_holdout_count(o, n);
    t->n = n - t->n_held;
    if (t->n_held > 0)
        FMAL_TRY(fmal_holdout_choose(o->seed, t->index_g, n, t->n_held));
    FMAL_TRY(check_labels(t));
    if (o->batch > t->n)
        o->batch = (int) t->n;
    if (o->micro_batch > o->batch)
        o->micro_batch = o->batch;
    return allocate(t);
}

fmal_status fmal_trainer_create(const fmal_ctx *ctx, fmal_net *net,
                                const fmal_dataset *set,
                                const fmal_train_options *options,
                                const fmal_idx *index_g, fmal_idx n, fmal_trainer **out)
{
    fmal_trainer *t = NULL;
    fmal_status st;

    assert(options->batch >= 1 && options->micro_batch >= 1);
    assert(fmal_net_inputs(net) == set->inputs);
    st = FMAL_ALLOC(&t, 1);
    if (st == FMAL_OK) {
        *t = (fmal_trainer){ .ctx = ctx, .net = net, .set = set, .options = *options };
        st = build(t, index_g, n);
    }
    st = fmal_agree(ctx, st);
    if (st == FMAL_OK && t->n_held > 0)
        st = fmal_holdout_fetch(ctx, set, t->index_g + t->n, t->n_held,
                                options->micro_batch, &t->held);
    if (st == FMAL_OK)
        *out = t;
    else
        fmal_trainer_destroy(&t);
    return st;
}

void fmal_trainer_destroy(fmal_trainer **t)
{
    if (!*t)
        return;
    fmal_free(&(*t)->index_g);
    fmal_free(&(*t)->order);
    fmal_free(&(*t)->mine);
    fmal_free(&(*t)->rows);
    fmal_free(&(*t)->labels);
    fmal_free(&(*t)->x);
    fmal_free(&(*t)->changed);
    fmal_sums_clear(&(*t)->sums);
    fmal_free(&(*t)->state);
    fmal_holdout_clear(&(*t)->held);
    fmal_free(t);
}

float *fmal_trainer_state(fmal_trainer *t, fmal_idx *count)
{
    *count = t->n_state;
    return t->state;
}

fmal_train_count fmal_trainer_counters(const fmal_trainer *t)
{
    return t->count;
}

void fmal_trainer_resume(fmal_trainer *t, const fmal_train_count *count)
{
    t->count = *count;
}

/* ---- One step ---- */

/* The input of n samples, the next of `mine` after the first `taken`, to t->x. */
static void prepare_input(fmal_trainer *t, fmal_idx taken, int n)
{
    const char *rows = t->rows + (size_t) taken * t->set->row_bytes;

    if (t->changed) {
        fmal_augment_rows(&t->options, t->set, t->count.epochs, t->mine + taken, n,
                          rows, t->changed);
        rows = t->changed;
    }
    fmal_dataset_decode(t->set, rows, n, t->x);
}

/* Gradient, statistics and loss of the next n samples to a slot. Statistics are weighed
   by n, so that their sum over micro-batches is n times an average. */
static void compute_micro(fmal_trainer *t, fmal_idx taken, int n, int slot,
                          int *correct)
{
    fmal_net_batch micro = { .x = t->x,
                             .labels = t->labels + taken,
                             .n = n,
                             .index_g = t->mine + taken,
                             .seed = t->options.seed,
                             .round = t->options.round,
                             .epoch = (uint32_t) t->count.epochs };
    float *grad = fmal_sums_slot(&t->sums, slot);
    float *stats = grad + fmal_net_size(t->net);

    prepare_input(t, taken, n);
    fmal_net_gradient(t->net, &micro, grad, stats, &t->sums.losses[slot], correct);
    for (fmal_idx i = 0; i < fmal_net_stats_size(t->net); i++)
        stats[i] *= (float) n;
}

/* Gradients of this rank's micro-batches, whose samples are the next of `mine` after
   the first *taken, then their sum over ranks. @return whether all is finite, the same
   on every rank */
static bool sum_gradients(fmal_trainer *t, const batch *b, fmal_idx *taken)
{
    int64_t right = 0;
    int slots = 0;

    for (int j = t->ctx->rank; j < b->parts; j += t->ctx->size, slots++) {
        int n = micro_count(b, j), correct;

        compute_micro(t, *taken, n, slots, &correct);
        *taken += n;
        right += correct;
    }
    return fmal_sums_reduce(&t->sums, b->parts, slots, right);
}

/* Long tensors are worked through in pieces. */
enum { PIECE = 512 };

static int piece_count(fmal_idx count, fmal_idx at)
{
    return (int) (count - at < PIECE ? count - at : PIECE);
}

/* The batch's mean gradient, or mean statistic, of n elements of a tensor. */
static void get_mean(const fmal_trainer *t, const batch *b, int tensor, fmal_idx first,
                     int n, double *mean)
{
    fmal_sums_get(&t->sums, tensor, first, n, mean);
    for (int k = 0; k < n; k++)
        mean[k] /= b->n;
}

static void clamp(double most, double *g, int n)
{
    for (int k = 0; k < n; k++)
        g[k] = fmin(fmax(g[k], -most), most);
}

/* Take the step that the summed gradient asks for. @return whether weights and their
   state are finite, the same on every rank */
static bool move_weights(fmal_trainer *t, const batch *b)
{
    double g[PIECE];
    double rate = fmal_train_rate(&t->options, t->count.epochs);
    bool finite = true;

    t->count.steps++;
    for (int i = 0; i < fmal_net_tensors(t->net); i++) {
        const fmal_tensor *tensor = fmal_net_tensor(t->net, i);

        for (fmal_idx at = 0; at < tensor->count; at += PIECE) {
            int n = piece_count(tensor->count, at);

            get_mean(t, b, i, at, n, g);
            if (t->options.clamp > 0)
                clamp(t->options.clamp, g, n);
            finite &=
                fmal_optim_update(&t->optim, rate, t->count.steps, tensor->offset + at,
                                  g, n, fmal_net_params(t->net));
        }
    }
    return finite;
}

/* Running statistics of batch normalisation follow those of the batch. */
static void move_stats(fmal_trainer *t, const batch *b)
{
    const double share = 0.1;
    double mean[PIECE];

    for (int i = 0; i < fmal_net_stat_tensors(t->net); i++) {
        const fmal_tensor *tensor = fmal_net_stat_tensor(t->net, i);
        float *running = fmal_net_stats(t->net) + tensor->offset;

        for (fmal_idx at = 0; at < tensor->count; at += PIECE) {
            int n = piece_count(tensor->count, at);

            get_mean(t, b, fmal_net_tensors(t->net) + i, at, n, mean);
            for (int k = 0; k < n; k++)
                running[at + k] =
                    (float) ((1 - share) * running[at + k] + share * mean[k]);
        }
    }
}

/* ---- One epoch ---- */

/* Put the epoch's samples in order and fetch those of this rank. */
static fmal_status fetch_epoch(fmal_trainer *t)
{
    const fmal_split *train = &t->set->train;
    fmal_rng r = fmal_rng_stream(t->options.seed, FMAL_RNG_SHUFFLE, t->options.round,
                                 (uint64_t) t->count.epochs);
    fmal_idx n = 0;

    memcpy(t->order, t->index_g, (size_t) t->n * sizeof *t->order);
    fmal_rng_shuffle(&r, t->order, t->n);
    for (fmal_idx i = 0; i < count_batches(t); i++) {
        batch b = batch_at(t, i);

        for (int j = t->ctx->rank; j < b.parts; j += t->ctx->size)
            for (fmal_idx at = micro_start(&b, j); at < micro_start(&b, j + 1); at++)
                t->mine[n++] = t->order[at];
    }
    FMAL_TRY(fmal_fetch_rows(t->ctx, &train->part, train->rows, t->set->row_bytes,
                             t->mine, t->n_mine, t->rows));
    return fmal_fetch_rows(t->ctx, &train->part, train->labels, sizeof *train->labels,
                           t->mine, t->n_mine, t->labels);
}

/* Every rank sees the same numbers, and fails or goes on with the others. */
static fmal_status not_finite(const fmal_trainer *t, const char *what)
{
    return FMAL_FAIL(FMAL_ERR_NUMERIC,
                     "training, epoch %" PRId64
                     ": %s is not finite; lower the learning rate (now %g)",
                     t->count.epochs + 1, what,
                     fmal_train_rate(&t->options, t->count.epochs));
}

/* ---- After an epoch ---- */

static void keep_best(fmal_trainer *t)
{
    fmal_idx size = fmal_net_size(t->net), stats = fmal_net_stats_size(t->net);

    memcpy(t->best, fmal_net_params(t->net), (size_t) size * sizeof *t->best);
    memcpy(t->best + size, fmal_net_stats(t->net), (size_t) stats * sizeof *t->best);
}

static void restore_best(fmal_trainer *t)
{
    fmal_idx size = fmal_net_size(t->net), stats = fmal_net_stats_size(t->net);

    memcpy(fmal_net_params(t->net), t->best, (size_t) size * sizeof *t->best);
    memcpy(fmal_net_stats(t->net), t->best + size, (size_t) stats * sizeof *t->best);
}

/* Judge the weights by what is held out, and keep them if they are the best so far. */
static fmal_status validate(fmal_trainer *t, fmal_epoch *report)
{
    fmal_evaluation held;

    FMAL_TRY(fmal_evaluate(t->ctx, t->net, t->set, &t->held, &held));
    report->validation_loss = held.loss;
    report->validation_accuracy = held.accuracy;
    if (t->count.best_epoch == 0 || held.loss < t->count.best_loss) {
        t->count.best_epoch = t->count.epochs;
        t->count.best_loss = held.loss;
        keep_best(t);
    }
    report->best = (int) t->count.best_epoch;
    return FMAL_OK;
}

static bool is_finished(const fmal_trainer *t, double accuracy)
{
    const fmal_train_options *o = &t->options;
    bool stale = t->n_held > 0 && o->patience > 0 &&
                 t->count.epochs - t->count.best_epoch >= o->patience;

    return accuracy >= o->stop_accuracy || t->count.epochs >= o->max_epochs || stale;
}

static fmal_status end_epoch(fmal_trainer *t, double loss, int64_t right,
                             fmal_epoch *report)
{
    t->count.epochs++;
    *report = (fmal_epoch){ .epoch = (int) t->count.epochs,
                            .loss = loss / (double) t->n,
                            .accuracy = (double) right / (double) t->n };
    if (t->n_held > 0)
        FMAL_TRY(validate(t, report));
    report->finished = is_finished(t, report->accuracy);
    if (report->finished && t->n_held > 0)
        restore_best(t);
    return FMAL_OK;
}

fmal_status fmal_trainer_epoch(fmal_trainer *t, fmal_epoch *report)
{
    fmal_idx taken = 0;
    int64_t right = 0;
    double loss = 0;

    fmal_point("train-epoch");
    FMAL_TRY(fetch_epoch(t));
    for (fmal_idx i = 0; i < count_batches(t); i++) {
        batch b = batch_at(t, i);

        fmal_point("train-step");
        if (!sum_gradients(t, &b, &taken))
            return not_finite(t, "the loss, its gradient or a batch statistic");
        if (!move_weights(t, &b))
            return not_finite(t, "a weight or its optimizer state");
        move_stats(t, &b);
        loss += fmal_sums_loss(&t->sums);
        right += fmal_sums_right(&t->sums);
    }
    return end_epoch(t, loss, right, report);
}
