/**
 * What a kind of layer computes, in one number type (real.h). Nothing here allocates.
 */
#ifndef FMAL_LAYER_H
#define FMAL_LAYER_H

#include "nn_impl.h"
#include "real.h"

/** What a layer is called with besides the values that flow through it. */
typedef struct fmal_call {
    const fmal_layer *layer;
    int place;                   /* of the layer in its network */
    int n;                       /* samples */
    const fmal_real *params;     /* the blocks of the network */
    const fmal_real *stats;      /* running statistics */
    const fmal_net_batch *batch; /* keys of dropout; NULL: evaluation */
    fmal_real *batch_stats;      /* laid out as stats: what this batch has; written by
                                    forward in training */
    fmal_real *saved; /* laid out as stats: mean and 1 / sqrt(variance + eps) that
                         forward has used */
    fmal_real *grad;  /* in training, backward: the gradient, done for this layer */
    fmal_real *work;  /* [fmal_layer_work] */
} fmal_call;

typedef struct fmal_layer_ops {
    /** y [n, outputs] from x [n, inputs]; x2: the second input of those with two. A
     * layer that works in place is called with y = x. */
    void (*forward)(const fmal_call *c, const fmal_real *x, const fmal_real *x2,
                    fmal_real *y);

    /** dx [n, inputs], overwritten, from dy [n, outputs], and x and y of the forward
     * pass; for each of two inputs alike. In place: dx = dy. */
    void (*backward)(const fmal_call *c, const fmal_real *x, const fmal_real *y,
                     const fmal_real *dy, fmal_real *dx);

    /* Of layers with parameters. d_i is the gradient of sample i alone. */

    /** This layer's tensors in grad, a block like params, overwritten: sum of d_i. */
    void (*gradient)(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                     fmal_real *grad);

    /** This layer's tensors in sum, a block like params: sum of squares of d_i, added
     * to what is there. In evaluation. */
    void (*squares)(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                    fmal_real *sum);

    /** out[i * stride + j] = d_i at position index[j] of the block; ascending, all of
     * this layer. In evaluation. */
    void (*masked)(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                   const fmal_idx *index, fmal_idx count, fmal_real *out,
                   fmal_idx stride);
} fmal_layer_ops;

extern const fmal_layer_ops FMAL_REAL(fmal_dense), FMAL_REAL(fmal_convolution),
    FMAL_REAL(fmal_batchnorm), FMAL_REAL(fmal_relu), FMAL_REAL(fmal_maxpool),
    FMAL_REAL(fmal_avgpool), FMAL_REAL(fmal_add), FMAL_REAL(fmal_dropout);

/** Numbers of one channel of the output. */
static inline fmal_idx fmal_plane(const fmal_layer *l)
{
    return (fmal_idx) l->height * l->width;
}

#endif
