/*
 * Data-parallel training whose weights do not depend on the number of ranks.
 *
 * An epoch's order is a permutation of the labelled samples, keyed by seed, round and
 * epoch. It is cut into batches, and each batch into a fixed list of micro-batches of
 * nearly equal size; micro-batch j is computed by rank j modulo the number of ranks.
 * Its gradient has the same bits wherever it is computed: same samples, same shapes,
 * same weights. Gradients are added as integers after a scaling that all ranks agree on
 * (fmal_exact_*), so that the order and the grouping of the sum do not matter either,
 * and every rank then takes the same step.
 *
 * The scale of a tensor follows from its largest gradient over the whole batch. Hence a
 * rank keeps the gradients of its micro-batches until all have been computed.
 */
#include "train_impl.h"
#include "fmal/mem.h"
#include "fmal/point.h"
#include "fmal/rng.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fmal_trainer {
    const fmal_ctx *ctx;
    fmal_net *net;
    const fmal_dataset *set;
    fmal_train_options options;
    fmal_optim optim;
    int64_t epochs, steps;

    fmal_idx n;        /* samples of an epoch */
    fmal_idx *index_g; /* [n], ascending */
    fmal_idx *order;   /* [n], as this epoch takes them */

    /* This rank's samples of an epoch, in the order in which it takes them. */
    fmal_idx n_mine;
    fmal_idx *mine;  /* [n_mine], global indices */
    char *rows;      /* [n_mine, row_bytes] */
    int32_t *labels; /* [n_mine] */

    float *x; /* one micro-batch, [micro_batch, inputs] */

    /* This rank's micro-batches of one batch. Gradients are `stride` floats apart, so
       that all of them are aligned alike. */
    fmal_idx stride;
    float *grads;   /* [micro-batches, stride] */
    double *losses; /* [micro-batches] */

    /* One batch over all ranks. */
    double *largest; /* [tensors + 1]: sizes of gradients, then of the loss */
    int64_t *sums;   /* [size + 2]: gradient, loss, samples that were right */
};

/* A batch: samples [first, first + n) of the epoch's order, in `parts` micro-batches.
 */
typedef struct {
    fmal_idx first;
    int n, parts;
} batch;

static fmal_idx count_batches(const fmal_trainer *t)
{
    return (t->n + t->options.batch - 1) / t->options.batch;
}

static batch batch_at(const fmal_trainer *t, fmal_idx b)
{
    fmal_idx first = b * t->options.batch;
    fmal_idx left = t->n - first;
    int n = (int) (left < t->options.batch ? left : t->options.batch);

    return (batch){ first, n, (n - 1) / t->options.micro_batch + 1 };
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

static int compare_index(const void *a, const void *b)
{
    const fmal_idx *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static fmal_status allocate(fmal_trainer *t)
{
    fmal_idx size = fmal_net_size(t->net);
    int parts = batch_at(t, 0).parts, ranks = t->ctx->size;
    fmal_idx most =
        (parts + ranks - 1) / ranks; /* micro-batches of a rank in a batch */

    t->stride = (size + 15) / 16 * 16;
    t->n_mine = count_mine(t);
    FMAL_TRY(FMAL_ALLOC(&t->index_g, t->n));
    FMAL_TRY(FMAL_ALLOC(&t->order, t->n));
    FMAL_TRY(FMAL_ALLOC(&t->mine, t->n_mine));
    FMAL_TRY(fmal_alloc(&t->rows, t->n_mine, t->set->row_bytes));
    FMAL_TRY(FMAL_ALLOC(&t->labels, t->n_mine));
    FMAL_TRY(FMAL_ALLOC(&t->x, (fmal_idx) t->options.micro_batch * t->set->inputs));
    FMAL_TRY(FMAL_ALLOC(&t->grads, most * t->stride));
    FMAL_TRY(FMAL_ALLOC(&t->losses, most));
    FMAL_TRY(FMAL_ALLOC(&t->largest, fmal_net_tensors(t->net) + 1));
    FMAL_TRY(FMAL_ALLOC(&t->sums, size + 2));
    return fmal_optim_init(&t->optim, &t->options, size);
}

/* Each rank looks at the labels that it holds. */
static fmal_status check_labels(const fmal_trainer *t)
{
    const fmal_split *train = &t->set->train;

    for (fmal_idx i = 0; i < t->n; i++) {
        fmal_idx il = t->index_g[i] - train->part.first;

        if (il >= 0 && il < train->part.count && train->labels[il] < 0)
            return FMAL_FAIL(FMAL_ERR_ARG,
                             "training sample %" PRId64
                             " has no label; train on labelled samples only",
                             t->index_g[i]);
    }
    return FMAL_OK;
}

static fmal_status build(fmal_trainer *t, const fmal_idx *index_g)
{
    FMAL_TRY(allocate(t));
    memcpy(t->index_g, index_g, (size_t) t->n * sizeof *index_g);
    qsort(t->index_g, (size_t) t->n, sizeof *t->index_g, compare_index);
    return check_labels(t);
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
    if (n < 1)
        return FMAL_FAIL(FMAL_ERR_EMPTY, "no labelled sample to train on");
    st = FMAL_ALLOC(&t, 1);
    if (st == FMAL_OK) {
        *t = (fmal_trainer){
            .ctx = ctx, .net = net, .set = set, .options = *options, .n = n
        };
        if (t->options.batch > n)
            t->options.batch = (int) n;
        if (t->options.micro_batch > t->options.batch)
            t->options.micro_batch = t->options.batch;
        st = build(t, index_g);
    }
    st = fmal_agree(ctx, st);
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
    fmal_free(&(*t)->grads);
    fmal_free(&(*t)->losses);
    fmal_free(&(*t)->largest);
    fmal_free(&(*t)->sums);
    fmal_optim_clear(&(*t)->optim);
    fmal_free(t);
}

float *fmal_trainer_state(fmal_trainer *t, fmal_idx *count)
{
    *count = t->optim.count;
    return t->optim.state;
}

void fmal_trainer_counters(const fmal_trainer *t, int64_t *epochs, int64_t *steps)
{
    *epochs = t->epochs;
    *steps = t->steps;
}

void fmal_trainer_resume(fmal_trainer *t, int64_t epochs, int64_t steps)
{
    t->epochs = epochs;
    t->steps = steps;
}

/* ---- One step ---- */

/* Gradients of this rank's micro-batches, whose samples are the next of `mine` after
   the first *taken. @return samples that were right */
static int64_t compute_gradients(fmal_trainer *t, const batch *b, fmal_idx *taken)
{
    int64_t right = 0;
    int slot = 0;

    for (int j = t->ctx->rank; j < b->parts; j += t->ctx->size, slot++) {
        int n = micro_count(b, j), correct;

        fmal_dataset_decode(t->set, t->rows + (size_t) *taken * t->set->row_bytes, n,
                            t->x);
        fmal_net_batch micro = { .x = t->x,
                                 .labels = t->labels + *taken,
                                 .n = n,
                                 .index_g = t->mine + *taken,
                                 .seed = t->options.seed,
                                 .round = t->options.round,
                                 .epoch = (uint32_t) t->epochs };
        fmal_net_gradient(t->net, &micro, t->grads + slot * t->stride, NULL,
                          &t->losses[slot], &correct);
        *taken += n;
        right += correct;
    }
    return right;
}

/* Micro-batches of a batch on this rank. */
static int count_slots(const fmal_trainer *t, const batch *b)
{
    int after = b->parts - t->ctx->rank;

    return after > 0 ? (after - 1) / t->ctx->size + 1 : 0;
}

/* Largest gradient of each tensor and largest loss, over all micro-batches of all
   ranks. @return whether all are finite, the same on every rank */
static bool agree_largest(fmal_trainer *t, int slots)
{
    int tensors = fmal_net_tensors(t->net);
    bool finite = true;

    memset(t->largest, 0, (size_t) (tensors + 1) * sizeof *t->largest);
    for (int s = 0; s < slots; s++) {
        /* A NaN must not get into a maximum, which it would leave undefined. */
        double loss = isfinite(t->losses[s]) ? t->losses[s] : INFINITY;

        t->largest[tensors] = fmax(t->largest[tensors], loss);
        for (int i = 0; i < tensors; i++) {
            const fmal_tensor *tensor = fmal_net_tensor(t->net, i);
            const float *g = t->grads + s * t->stride + tensor->offset;

            t->largest[i] = fmax(t->largest[i], fmal_largest(g, tensor->count));
        }
    }
    fmal_max_f64(t->ctx, t->largest, tensors + 1);
    for (int i = 0; i <= tensors; i++)
        finite = finite && isfinite(t->largest[i]);
    return finite;
}

/* Gradient, loss and hits of the batch over all ranks, as scaled integers. */
static void add_up(fmal_trainer *t, const batch *b, int slots, int64_t right)
{
    fmal_idx size = fmal_net_size(t->net);
    int tensors = fmal_net_tensors(t->net);

    memset(t->sums, 0, (size_t) (size + 2) * sizeof *t->sums);
    for (int i = 0; i < tensors; i++) {
        const fmal_tensor *tensor = fmal_net_tensor(t->net, i);
        int shift = fmal_exact_shift(t->largest[i], b->parts);

        for (int s = 0; s < slots; s++)
            fmal_exact_add_f32(t->sums + tensor->offset,
                               t->grads + s * t->stride + tensor->offset, tensor->count,
                               shift);
    }
    int shift = fmal_exact_shift(t->largest[tensors], b->parts);
    for (int s = 0; s < slots; s++)
        fmal_exact_add(&t->sums[size], &t->losses[s], 1, shift);
    t->sums[size + 1] = right;
    fmal_sum_i64(t->ctx, t->sums, size + 2);
}

/* Take the step that the summed gradient asks for. @return whether weights
   and state are finite, the same on every rank */
static bool take_step(fmal_trainer *t, const batch *b)
{
    enum { PIECE = 512 };
    double g[PIECE];
    bool finite = true;

    t->steps++;
    for (int i = 0; i < fmal_net_tensors(t->net); i++) {
        const fmal_tensor *tensor = fmal_net_tensor(t->net, i);
        int shift = fmal_exact_shift(t->largest[i], b->parts);

        for (fmal_idx at = 0; at < tensor->count; at += PIECE) {
            fmal_idx first = tensor->offset + at, left = tensor->count - at;
            int n = (int) (left < PIECE ? left : PIECE);

            fmal_exact_get(g, t->sums + first, n, shift);
            for (int k = 0; k < n; k++)
                g[k] /= b->n;
            finite &= fmal_optim_update(&t->optim, t->steps, first, g, n,
                                        fmal_net_params(t->net));
        }
    }
    return finite;
}

/* Loss of the batch, after add_up. */
static double batch_loss(const fmal_trainer *t, const batch *b)
{
    double loss;
    double largest = t->largest[fmal_net_tensors(t->net)];

    fmal_exact_get(&loss, &t->sums[fmal_net_size(t->net)], 1,
                   fmal_exact_shift(largest, b->parts));
    return loss;
}

/* ---- One epoch ---- */

/* Put the epoch's samples in order and fetch those of this rank. */
static fmal_status fetch_epoch(fmal_trainer *t)
{
    const fmal_split *train = &t->set->train;
    fmal_rng r = fmal_rng_stream(t->options.seed, FMAL_RNG_SHUFFLE, t->options.round,
                                 (uint64_t) t->epochs);
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
                     t->epochs + 1, what, t->options.rate);
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
        int slots = count_slots(t, &b);

        fmal_point("train-step");
        int64_t my_right = compute_gradients(t, &b, &taken);
        if (!agree_largest(t, slots))
            return not_finite(t, "the loss or its gradient");
        add_up(t, &b, slots, my_right);
        if (!take_step(t, &b))
            return not_finite(t, "a weight or its optimizer state");
        loss += batch_loss(t, &b);
        right += t->sums[fmal_net_size(t->net) + 1];
    }
    t->epochs++;
    report->epoch = (int) t->epochs;
    report->loss = loss / (double) t->n;
    report->accuracy = (double) right / (double) t->n;
    report->finished = report->accuracy >= t->options.stop_accuracy ||
                       t->epochs >= t->options.max_epochs;
    return FMAL_OK;
}
