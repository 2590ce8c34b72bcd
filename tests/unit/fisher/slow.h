/**
 * The network mlp in double precision, by definition: one sample and one class at a
 * time, with the formulas of its two layers written out.
 */
#ifndef FMAL_TEST_SLOW_H
#define FMAL_TEST_SLOW_H

#include <math.h>

#include "../train/blobs.h"

enum {
    SLOW_SIZE = BLOB_HIDDEN * BLOB_INPUTS + BLOB_HIDDEN + BLOB_CLASSES * BLOB_HIDDEN
};

/** A sample of blobs' training split, wherever it is. */
static inline void slow_sample(fmal_idx ig, double x[BLOB_INPUTS])
{
    fmal_rng r = fmal_rng_stream(17, FMAL_RNG_INITIAL, 0, (uint64_t) ig);

    for (int j = 0; j < BLOB_INPUTS; j++)
        x[j] = (float) (fmal_rng_normal(&r) + (j == ig * 7 % BLOB_CLASSES ? 4 : 0));
}

/** Hidden values h and class probabilities p. */
static inline void slow_forward(const float *params, const double *x, double *h,
                                double *p)
{
    const float *w = params, *b = w + BLOB_HIDDEN * BLOB_INPUTS,
                *head = b + BLOB_HIDDEN;
    double sum = 0;

    for (int j = 0; j < BLOB_HIDDEN; j++) {
        h[j] = b[j];
        for (int i = 0; i < BLOB_INPUTS; i++)
            h[j] += w[j * BLOB_INPUTS + i] * x[i];
        h[j] = h[j] > 0 ? h[j] : 0;
    }
    for (int k = 0; k < BLOB_CLASSES; k++) {
        p[k] = 0;
        for (int j = 0; j < BLOB_HIDDEN; j++)
            p[k] += head[k * BLOB_HIDDEN + j] * h[j];
        sum += p[k] = exp(p[k]);
    }
    for (int k = 0; k < BLOB_CLASSES; k++)
        p[k] /= sum;
}

/** Gradient [SLOW_SIZE] of sum_k seed_k z_k in all parameters. */
static inline void slow_gradient(const float *params, const double *x, const double *h,
                                 const double *seed, double *grad)
{
    const float *head = params + BLOB_HIDDEN * BLOB_INPUTS + BLOB_HIDDEN;
    double *w = grad, *b = w + BLOB_HIDDEN * BLOB_INPUTS, *top = b + BLOB_HIDDEN;

    for (int j = 0; j < BLOB_HIDDEN; j++) {
        b[j] = 0;
        for (int k = 0; k < BLOB_CLASSES; k++) {
            b[j] += h[j] > 0 ? seed[k] * head[k * BLOB_HIDDEN + j] : 0;
            top[k * BLOB_HIDDEN + j] = seed[k] * h[j];
        }
        for (int i = 0; i < BLOB_INPUTS; i++)
            w[j * BLOB_INPUTS + i] = b[j] * x[i];
    }
}

/** sum_c p_c (d log p_c / d theta)^2 of a sample, added to out [SLOW_SIZE]. */
static inline void slow_squares(const float *params, fmal_idx ig, double *out)
{
    double x[BLOB_INPUTS], h[BLOB_HIDDEN], p[BLOB_CLASSES], grad[SLOW_SIZE];

    slow_sample(ig, x);
    slow_forward(params, x, h, p);
    for (int c = 0; c < BLOB_CLASSES; c++) {
        double seed[BLOB_CLASSES];

        for (int k = 0; k < BLOB_CLASSES; k++)
            seed[k] = (k == c) - p[k];
        slow_gradient(params, x, h, seed, grad);
        for (int t = 0; t < SLOW_SIZE; t++)
            out[t] += p[c] * grad[t] * grad[t];
    }
}

#endif
