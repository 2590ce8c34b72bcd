/**
 * Inside of train: the optimizers, which know nothing of ranks.
 */
#ifndef FMAL_TRAIN_IMPL_H
#define FMAL_TRAIN_IMPL_H

#include "fmal/train.h"

/** An optimizer's numbers for every weight. A plain value; owns its state. */
typedef struct fmal_optim {
    const fmal_train_options *options; /* borrowed */
    float *state;  /* [count]: first all of one kind, then the next */
    fmal_idx size; /* weights */
    fmal_idx count;
} fmal_optim;

/** Zero state for `size` weights. @return FMAL_ERR_NOMEM. */
fmal_status fmal_optim_init(fmal_optim *o, const fmal_train_options *options,
                            fmal_idx size);

void fmal_optim_clear(fmal_optim *o);

/**
 * Move weights [first, first + n) against their gradient.
 *
 * Element by element in double precision, so that neither the way the weights are cut
 * into calls nor the rank matters. Not collective.
 *
 * @param step  1 for the first step
 * @param g     [n], mean gradient over the batch's samples, without weight decay
 * @param w     all weights
 * @return whether these weights and their state are finite
 */
bool fmal_optim_update(fmal_optim *o, int64_t step, fmal_idx first, const double *g,
                       int n, float *w);

/** Largest |x[i]| of [n]; INFINITY if any is not finite. */
double fmal_largest(const float *x, fmal_idx n);

#endif
