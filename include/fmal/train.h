/**
 * Training, evaluation and embedding of a data set's samples over ranks.
 *
 * A global batch is a fixed list of micro-batches, whose sizes differ by at most one;
 * each micro-batch's gradient is computed by one rank, and the gradients are added
 * exactly (fmal_exact_*), so that the weights are the same bits on any number of ranks.
 *
 *     fmal_trainer *t;
 *     fmal_trainer_create(ctx, net, set, &options, index_g, n, &t);
 *     do
 *         fmal_trainer_epoch(t, &report);
 *     while (!report.finished);
 *     fmal_evaluate(ctx, net, set, &set->test, &result);
 */
#ifndef FMAL_TRAIN_H
#define FMAL_TRAIN_H

#include "fmal/data.h"
#include "fmal/nn.h"

typedef enum fmal_optimizer { FMAL_ADAM, FMAL_SGD } fmal_optimizer;
extern const char *const fmal_optimizer_names[];

/** The learning rate of epoch e of at most E, counted from 0; the same throughout an
 * epoch. */
typedef enum fmal_schedule {
    FMAL_CONSTANT, /* rate */
    FMAL_COSINE,   /* rate (1 + cos(pi e / E)) / 2 */
    FMAL_STEP,     /* rate step_factor^floor(e / step_epochs) */
} fmal_schedule;
extern const char *const fmal_schedule_names[];

/** What becomes of images before the network sees them in training; elsewhere it sees
 * them as they are. */
typedef enum fmal_augment {
    FMAL_PLAIN,
    /* Shifted by -4 to 4 pixels both ways, black moving in (a random crop of the image
       padded by 4), and mirrored left to right in half of the cases; keyed by seed,
       round, epoch and sample. */
    FMAL_CROP_FLIP,
} fmal_augment;
extern const char *const fmal_augment_names[];

/** How to train. A plain value; zero is what is not wanted. */
typedef struct fmal_train_options {
    fmal_optimizer optimizer;
    double rate; /* learning rate */
    fmal_schedule schedule;
    int step_epochs;    /* FMAL_STEP: at least 1 */
    double step_factor; /* FMAL_STEP */
    double momentum;    /* SGD */
    bool nesterov;      /* SGD: the gradient looked for where momentum leads */
    /* L2: this times the weight is added to its gradient, of all parameters. */
    double weight_decay;
    double clamp; /* elements of the mean gradient, without weight decay, go to [-clamp,
                     clamp]; 0: they do not */
    fmal_augment augment;
    int batch;            /* samples of a step, at least 1 */
    int micro_batch;      /* samples of one gradient computation, at most; at least 1 */
    int max_epochs;       /* stop then */
    double stop_accuracy; /* or when an epoch's training accuracy reaches this */
    double validation;    /* share of the samples held out, below 1; 0: none */
    int patience; /* or when the loss on those has not fallen for so many epochs; 0:
                     whatever it does */
    uint64_t seed;
    uint32_t round; /* keys the order of the samples with the seed and the epoch */
} fmal_train_options;

/**
 * Bytes of a trainer on a rank of `ranks`, but for its share of the samples. Not
 * collective; an upper bound, as if a batch were full.
 */
double fmal_train_bytes(const fmal_train_options *options, const fmal_net *net,
                        int ranks);

/** A training in progress. Opaque. */
typedef struct fmal_trainer fmal_trainer;

/** What an epoch gave; the same on every rank. */
typedef struct fmal_epoch {
    int epoch;       /* epochs done so far, this one included */
    double loss;     /* mean cross-entropy over the epoch's samples, nats */
    double accuracy; /* share of samples right when their batch was computed */
    /* With validation: of the samples held out, after the epoch; else 0. */
    double validation_loss, validation_accuracy;
    int best;      /* the epoch with the lowest such loss so far; without: 0 */
    bool finished; /* a stopping rule holds */
} fmal_epoch;

/**
 * Whether n samples of a set can be trained on so. Not collective; the same on every
 * rank.
 *
 * @return FMAL_ERR_ARG: augmentation of what are no images; FMAL_ERR_EMPTY: n is 0, or
 *         validation leaves nothing to train on
 */
fmal_status fmal_train_check(const fmal_train_options *options, const fmal_dataset *set,
                             fmal_idx n);

/**
 * Begin a training. The network keeps the weights and statistics it has.
 *
 * With validation, round(validation n) samples, at least one, are held out: those with
 * the lowest keyed numbers (seed, sample). So a sample's part in it is mostly the same
 * from round to round; classes are not balanced.
 *
 * Collective over ctx; net and options equal on all ranks.
 *
 * @param ctx, net, set  borrowed until the trainer is destroyed; net is set up for at
 *                 least options->micro_batch samples a call
 * @param index_g  [n] labelled samples of set's training split, in any order; copied;
 *                 equal on all ranks
 * @return as fmal_train_check; FMAL_ERR_ARG naming a sample whose label is unknown,
 *         FMAL_ERR_NOMEM; agreed
 * Cost: on a rank, its share of the samples and 4 (p + s) bytes for each micro-batch of
 * a batch that it computes, for p parameters and s running statistics; beside that 4 p
 * for SGD or 8 p for Adam, 8 (p + s) for sums, and 4 (p + s) with validation.
 */
fmal_status fmal_trainer_create(const fmal_ctx *ctx, fmal_net *net,
                                const fmal_dataset *set,
                                const fmal_train_options *options,
                                const fmal_idx *index_g, fmal_idx n,
                                fmal_trainer **out);

/** Free *t and set it to NULL; *t may be NULL. Not collective. */
void fmal_trainer_destroy(fmal_trainer **t);

/**
 * One pass over the samples in the order of (seed, round, epoch). Collective over ctx.
 *
 * With validation, the samples held out are evaluated then, and the weights and
 * statistics with the lowest loss on them are kept; when a stopping rule holds, the
 * network gets those.
 *
 * Running statistics of batch normalisation move once a step: to 0.9 of what they were
 * and 0.1 of the micro-batches' own, averaged by their samples.
 *
 * @return FMAL_ERR_NUMERIC if a loss, a gradient, a statistic or a weight is not finite
 *         (says to lower the learning rate), FMAL_ERR_NOMEM; agreed; the weights are
 *         then lost
 * Cost: a step reduces one number a tensor and 8 (p + s + 2) bytes over ranks.
 */
fmal_status fmal_trainer_epoch(fmal_trainer *t, fmal_epoch *report);

/** How far a training is. A plain value; all zero at the start. */
typedef struct fmal_train_count {
    int64_t epochs, steps; /* done */
    int64_t best_epoch;    /* with validation: the best so far, counted from 1 */
    double best_loss;      /* its loss on the samples held out */
} fmal_train_count;

/**
 * The state between epochs, beside the network's weights and statistics: [count] floats
 * owned by the trainer, which a restart writes back, and how far it is. The floats are
 * the optimizer's and, with validation, the best weights and then statistics so far.
 * Not collective.
 */
float *fmal_trainer_state(fmal_trainer *t, fmal_idx *count);
fmal_train_count fmal_trainer_counters(const fmal_trainer *t);
void fmal_trainer_resume(fmal_trainer *t, const fmal_train_count *count);

/** Accuracy and loss over labelled samples; the same bits on any number of ranks. */
typedef struct fmal_evaluation {
    fmal_idx n, correct; /* samples with a known label; those predicted right */
    double accuracy;     /* correct / n; 0 if n is 0 */
    double loss;         /* mean cross-entropy, nats */
} fmal_evaluation;

/**
 * Evaluate a split.
 *
 * Collective over ctx.
 *
 * @param net  set up for at least a block of samples (FMAL_BLOCK) a call
 * @return FMAL_ERR_NUMERIC naming the first sample whose logits are not finite,
 *         FMAL_ERR_NOMEM; agreed
 */
fmal_status fmal_evaluate(const fmal_ctx *ctx, fmal_net *net, const fmal_dataset *set,
                          const fmal_split *split, fmal_evaluation *out);

/**
 * The same, and how many samples of each class were predicted right.
 *
 * @param[out] correct  [classes of set], of all ranks; their sum is out->correct
 */
fmal_status fmal_evaluate_classes(const fmal_ctx *ctx, fmal_net *net,
                                  const fmal_dataset *set, const fmal_split *split,
                                  fmal_evaluation *out, int64_t *correct);

/**
 * Features and logits of this rank's samples of a split, block by block.
 *
 * Collective over ctx.
 *
 * @param net  set up for at least a block of samples (FMAL_BLOCK) a call
 * @param split  one of set's
 * @param[out] features  [split->part.count, d]; may be NULL
 * @param[out] logits    [split->part.count, c]
 * @param stop  reasons to end between blocks; NULL: there are none
 * @return FMAL_ERR_NUMERIC naming the first sample whose output is not finite,
 *         FMAL_STOPPED, FMAL_ERR_NOMEM; agreed; features and logits are then undefined
 */
fmal_status fmal_embed(const fmal_ctx *ctx, fmal_net *net, const fmal_dataset *set,
                       const fmal_split *split, float *features, float *logits,
                       fmal_stop *stop);

#endif
