/**
 * Inside of train: the optimizers and the augmentation of images, which know nothing of
 * ranks; sums of a batch over ranks; samples held out of training.
 */
#ifndef FMAL_TRAIN_IMPL_H
#define FMAL_TRAIN_IMPL_H

#include "fmal/train.h"

/** An optimizer's numbers for every weight. A plain value; all is borrowed. */
typedef struct fmal_optim {
    const fmal_train_options *options;
    float *state;  /* [count], zero at the start: first all of one kind, then the next
                    */
    fmal_idx size; /* weights */
    fmal_idx count;
} fmal_optim;

/** Numbers that an optimizer keeps for `size` weights. */
fmal_idx fmal_optim_count(const fmal_train_options *options, fmal_idx size);

/** Numbers that a network learns: parameters and running statistics. */
fmal_idx fmal_learnt_count(const fmal_net *net);

/** The learning rate of an epoch, the first being 0. */
double fmal_train_rate(const fmal_train_options *options, int64_t epoch);

/**
 * Move weights [first, first + n) against their gradient.
 *
 * Element by element in double precision, so that neither the way the weights are cut
 * into calls nor the rank matters. Not collective.
 *
 * @param rate  of this step
 * @param step  1 for the first step
 * @param g     [n], mean gradient over the batch's samples, without weight decay
 * @param w     all weights
 * @return whether these weights and their state are finite
 */
bool fmal_optim_update(fmal_optim *o, double rate, int64_t step, fmal_idx first,
                       const double *g, int n, float *w);

/** What the micro-batches of one batch give, and its sum over ranks. */
typedef struct fmal_sums {
    const fmal_ctx *ctx; /* borrowed */
    const fmal_net *net; /* borrowed */
    fmal_idx size; /* numbers of a micro-batch: its gradient, then its statistics */
    int tensors;   /* that they are made of */
    /* This rank's micro-batches, in slots `stride` floats apart, so that all of them
       are aligned alike. */
    fmal_idx stride;
    float *numbers; /* [slots, stride] */
    double *losses; /* [slots] */
    /* All ranks'. */
    int parts;       /* micro-batches of the batch */
    double *largest; /* [tensors + 1]: sizes of numbers, then of the loss */
    int64_t *sums;   /* [size + 2]: numbers, loss, samples that were right */
} fmal_sums;

/**
 * Room for a rank's `slots` micro-batches. Not collective. Freed by fmal_sums_clear,
 * also after a failure.
 * @return FMAL_ERR_NOMEM
 */
fmal_status fmal_sums_init(fmal_sums *s, const fmal_ctx *ctx, const fmal_net *net,
                           int slots);

void fmal_sums_clear(fmal_sums *s);

/** Where the numbers of a micro-batch belong; its loss belongs to losses[slot]. */
float *fmal_sums_slot(fmal_sums *s, int slot);

/**
 * Sum what all ranks' slots hold. Collective over ctx.
 *
 * @param parts  micro-batches of all ranks
 * @param slots  of this rank
 * @param right  samples of this rank that were right
 * @return whether all is finite, the same on every rank
 */
bool fmal_sums_reduce(fmal_sums *s, int parts, int slots, int64_t right);

/** Sums of elements [first, first + n) of a tensor; those of statistics follow those of
 * parameters. Not collective. */
void fmal_sums_get(const fmal_sums *s, int tensor, fmal_idx first, int n, double *out);

/** Loss of the batch, and samples that were right. Not collective. */
double fmal_sums_loss(const fmal_sums *s);
int64_t fmal_sums_right(const fmal_sums *s);

/**
 * Stored images as an epoch's training sees them (fmal_augment). Not collective.
 *
 * @param epoch    the first is 0
 * @param index_g  [n]: the images' own numbers, by which they are keyed
 * @param rows     [n, set->row_bytes]; borrowed
 * @param[out] out [n, set->row_bytes], of the caller; not rows
 */
void fmal_augment_rows(const fmal_train_options *options, const fmal_dataset *set,
                       int64_t epoch, const fmal_idx *index_g, fmal_idx n,
                       const void *rows, void *out);

/** Sort ascending. Not collective. */
void fmal_index_sort(fmal_idx *index_g, fmal_idx n);

/** How many of n samples are held out; 0 without validation. */
fmal_idx fmal_holdout_count(const fmal_train_options *options, fmal_idx n);

/**
 * Put the samples that are held out last, n_held of n. Both parts stay ascending. Not
 * collective.
 *
 * @param index_g  [n], ascending
 * @return FMAL_ERR_NOMEM
 */
fmal_status fmal_holdout_choose(uint64_t seed, fmal_idx *index_g, fmal_idx n,
                                fmal_idx n_held);

/**
 * The samples held out as a split of their own, in blocks of `block`, for
 * fmal_evaluate.
 *
 * Collective over ctx.
 *
 * @param index_g  [n]; equal on all ranks
 * @param[out] held  zero before; freed by fmal_holdout_clear, also after a failure
 * @return FMAL_ERR_NOMEM, agreed
 */
fmal_status fmal_holdout_fetch(const fmal_ctx *ctx, const fmal_dataset *set,
                               const fmal_idx *index_g, fmal_idx n, int block,
                               fmal_split *held);

void fmal_holdout_clear(fmal_split *held);

/** Largest |x[i]| of [n]; INFINITY if any is not finite. */
double fmal_largest(const float *x, fmal_idx n);

#endif
