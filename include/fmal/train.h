/**
 * Training, evaluation and embedding of a data set's samples over ranks.
 *
 * A global batch is a fixed list of micro-batches; each micro-batch's gradient is
 * computed by one rank, and the gradients are added exactly (fmal_exact_*), so that the
 * weights are the same bits on any number of ranks.
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

/** How to train. A plain value. */
typedef struct fmal_train_options {
    fmal_optimizer optimizer;
    double rate;          /* learning rate */
    double momentum;      /* SGD */
    double weight_decay;  /* L2, added to the gradient */
    int batch;            /* samples of a step, at least 1 */
    int micro_batch;      /* samples of one gradient computation, at most; at least 1 */
    int max_epochs;       /* stop then */
    double stop_accuracy; /* or when an epoch's training accuracy reaches this */
    uint64_t seed;
    uint32_t round; /* keys the order of the samples with the seed and the epoch */
} fmal_train_options;

/** A training in progress. Opaque. */
typedef struct fmal_trainer fmal_trainer;

/** What an epoch gave; the same on every rank. */
typedef struct fmal_epoch {
    int epoch;       /* epochs done so far, this one included */
    double loss;     /* mean cross-entropy over the epoch's samples, nats */
    double accuracy; /* share of samples right when their batch was computed */
    bool finished;   /* a stopping rule holds */
} fmal_epoch;

/**
 * Begin a training. The network keeps the weights it has.
 *
 * Collective over ctx; net and options equal on all ranks.
 *
 * @param ctx, net, set  borrowed until the trainer is destroyed; net is set up for at
 *                 least options->micro_batch samples a call
 * @param index_g  [n] labelled samples of set's training split, in any order; copied;
 *                 equal on all ranks
 * @return FMAL_ERR_EMPTY if n is 0, FMAL_ERR_ARG naming a sample whose label is
 *         unknown, FMAL_ERR_NOMEM; agreed
 * Cost: on a rank, its share of the samples and 4 p bytes for each micro-batch of a
 * batch that it computes; beside that 4 p for SGD or 8 p for Adam, and 8 p for sums.
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
 * @return FMAL_ERR_NUMERIC if the loss, its gradient or a weight is not finite (says to
 *         lower the learning rate), FMAL_ERR_NOMEM; agreed; the weights are then lost
 * Cost: a step reduces one number a tensor and 8 (p + 2) bytes over ranks.
 */
fmal_status fmal_trainer_epoch(fmal_trainer *t, fmal_epoch *report);

/**
 * The state between epochs, beside the network's weights: the optimizer's numbers,
 * [count] floats owned by the trainer, which a restart writes back; epochs and steps
 * done. Not collective.
 */
float *fmal_trainer_state(fmal_trainer *t, fmal_idx *count);
void fmal_trainer_counters(const fmal_trainer *t, int64_t *epochs, int64_t *steps);
void fmal_trainer_resume(fmal_trainer *t, int64_t epochs, int64_t steps);

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
 * @return FMAL_ERR_NUMERIC naming the first sample whose output is not finite,
 *         FMAL_ERR_NOMEM; agreed; features and logits are then undefined
 */
fmal_status fmal_embed(const fmal_ctx *ctx, fmal_net *net, const fmal_dataset *set,
                       const fmal_split *split, float *features, float *logits);

#endif
