/**
 * Networks: a list of layers over one block of parameters.
 *
 * The central object is fmal_net. It computes on one process; spreading the work over
 * ranks is the business of its callers. Features are the inputs of the last, linear,
 * bias-free layer (the head); logits are its outputs. There are two modes: training
 * (fmal_net_gradient: batch normalisation by the statistics of the batch, dropout) and
 * evaluation (everything else: running statistics, no dropout), in which what a sample
 * gives depends on that sample alone.
 *
 *     fmal_net *net;
 *     fmal_net_create("resnet18-slim", shape, classes, 0, 32, &net);
 *     fmal_net_init(net, seed, round);
 *     fmal_net_gradient(net, &batch, grad, stats, &loss, &correct);
 *     fmal_net_forward(net, x, n, features, logits);
 *     fmal_net_squares(net, x, n, squares);
 *     fmal_net_jacobian(net, x, n, index, count, FMAL_RELATIVE, jacobian);
 *
 * Nothing here is collective.
 */
#ifndef FMAL_NN_H
#define FMAL_NN_H

#include "fmal/isa.h"
#include "fmal/status.h"

/** A network. Opaque: see src/nn/nn_impl.h. */
typedef struct fmal_net fmal_net;

/** A named tensor in the block of parameters, or in that of statistics. */
typedef struct fmal_tensor {
    char name[48];   /* "layer1.0.conv1.weight", "bn1.running_mean", "head.weight" */
    fmal_idx offset; /* first element in the block */
    fmal_idx count;
    int ndims;
    int dims[4];   /* row-major; a weight is [out, in] or [out, in, height, width] */
    int fan_in;    /* inputs of one output, for the initial scale; 0: not drawn */
    float initial; /* of all elements, if not drawn */
} fmal_tensor;

/** Names of the networks, ended by NULL; and a line on each. */
extern const char *const fmal_arch_names[];
extern const char *const fmal_arch_summaries[];

/**
 * Build a network; parameters and statistics are zero until fmal_net_init.
 *
 * @param arch     one of fmal_arch_names
 * @param shape    channels, height, width of the input
 * @param classes  at least 2
 * @param hidden   units of hidden layers (mlp, lenet), at least 1; ignored by networks
 *                 without
 * @param max_batch  the most samples of fmal_net_gradient; working memory is set up
 *                 for them here
 * @return FMAL_ERR_USAGE for an unknown name (with the nearest one) and for an input
 * that is too small or too large for the network, FMAL_ERR_NOMEM
 */
fmal_status fmal_net_create(const char *arch, const int shape[3], int classes,
                            int hidden, int max_batch, fmal_net **out);

/** Free *net and set it to NULL; *net may be NULL. */
void fmal_net_destroy(fmal_net **net);

/** Width of the input, of the features, and the number of classes. */
int fmal_net_inputs(const fmal_net *net);
int fmal_net_features(const fmal_net *net);
int fmal_net_classes(const fmal_net *net);

/** The parameter block, [fmal_net_size]; owned by the network, may be written. */
float *fmal_net_params(fmal_net *net);
fmal_idx fmal_net_size(const fmal_net *net);

/** Its tensors, in the order of the block, which they cover without gaps; layers that
 * compute first come first, and the head's is the last. */
int fmal_net_tensors(const fmal_net *net);
const fmal_tensor *fmal_net_tensor(const fmal_net *net, int i);

/** The same of the running statistics of batch normalisation (running_mean,
 * running_var), which are no parameters; of size 0 in networks without. */
float *fmal_net_stats(fmal_net *net);
fmal_idx fmal_net_stats_size(const fmal_net *net);
int fmal_net_stat_tensors(const fmal_net *net);
const fmal_tensor *fmal_net_stat_tensor(const fmal_net *net, int i);

/** Instruction set of the kernels of convolutions: at first the best of this processor.
 * Ranks have to agree on one, the least of all. */
void fmal_net_set_isa(fmal_net *net, fmal_isa isa);

/** Floating-point operations of a forward pass of one sample; backward costs twice
 * that. */
double fmal_net_flops(const fmal_net *net);

/** Bytes of working memory, parameters and statistics not counted. */
double fmal_net_bytes(const fmal_net *net);

/**
 * Fresh parameters and statistics.
 *
 * Weights and biases of linear layers and convolutions are uniform in +-1/sqrt(fan_in),
 * each element from the stream of its position (FMAL_RNG_INIT, round), so that no order
 * matters. Batch normalisation begins with scale 1, shift 0, mean 0, variance 1.
 */
void fmal_net_init(fmal_net *net, uint64_t seed, uint32_t round);

/** Samples to train on. A plain value; everything is borrowed. */
typedef struct fmal_net_batch {
    const float *x;        /* [n, inputs] */
    const int32_t *labels; /* [n], in [0, c) */
    int n;                 /* 1 to max_batch */

    /* Keys of dropout; not looked at in networks without. */
    const fmal_idx *index_g; /* [n], below 2^36 */
    uint64_t seed;
    uint32_t round; /* below 2^24 */
    uint32_t epoch; /* below 2^20 */
} fmal_net_batch;

/**
 * Gradient of the summed cross-entropy of samples, in training mode.
 *
 * Running statistics are neither used nor moved: that is for the caller, who knows the
 * other batches of a step.
 *
 * @param[out] grad     [size], overwritten: sum over samples of d loss / d parameters
 * @param[out] stats    [stats_size], overwritten: mean and unbiased variance of this
 *                      batch, laid out as the running statistics; the variance of a
 *                      single value is 0. May be NULL if nobody wants them
 * @param[out] loss     sum of the samples' cross-entropy, nats
 * @param[out] correct  samples whose largest logit is their label's (ties: lowest
 *                      class)
 */
void fmal_net_gradient(fmal_net *net, const fmal_net_batch *batch, float *grad,
                       float *stats, double *loss, int *correct);

/**
 * Features and logits of samples, in evaluation mode.
 *
 * Samples are computed in pieces whose size the network alone decides, one after the
 * other: calls on the same list of samples give the same bits.
 *
 * @param x              [n, inputs]; any n
 * @param[out] features  [n, d]; may be NULL
 * @param[out] logits    [n, c]; may be NULL
 */
void fmal_net_forward(fmal_net *net, const float *x, int n, float *features,
                      float *logits);

/**
 * Sum over samples and all classes c of p_c (d log p_c / d theta)^2: n times the
 * diagonal of the Fisher information, in evaluation mode.
 *
 * @param x             [n, inputs]; any n
 * @param[out] squares  [size], overwritten
 * @return FMAL_ERR_NOMEM
 * Cost: c - 1 backward passes over the batch, never one for each sample, and a forward
 * pass in double precision, so that rounding turns no rectifier on or off; memory for
 * the parameters in double precision, for the time of the call.
 * Source: Gul et al. 2024, arXiv:2411.05752 (docs/references.bib: gul2024fishermask).
 */
fmal_status fmal_net_squares(fmal_net *net, const float *x, int n, float *squares);

/** Bytes that it takes for the time of the call. */
double fmal_net_squares_bytes(const fmal_net *net);

/** How the rows of a Jacobian are given. */
typedef enum fmal_jacobian_rows {
    FMAL_ABSOLUTE, /* row k: d z_k / d theta; c passes */
    FMAL_RELATIVE, /* row k: d (z_k - z_{c-1}) / d theta, the last row zero; c - 1
                      passes. The same to all that knows differences of logits only, as
                      a Fisher factor does */
} fmal_jacobian_rows;

/**
 * Jacobian of the logits of each sample in some of the parameters, in evaluation mode.
 *
 * @param x      [n, inputs]; any n
 * @param index  [count], positions in the parameter block, ascending, none in the head
 * @param[out] jacobian  [n, c, count], overwritten
 * Cost: c or c - 1 backward passes over the batch down to the lowest layer with a
 * listed parameter; a weight of a convolution costs a product over output pixels for
 * each sample and pass.
 */
void fmal_net_jacobian(fmal_net *net, const float *x, int n, const fmal_idx *index,
                       fmal_idx count, fmal_jacobian_rows rows, float *jacobian);

/**
 * Cross-entropy of logits after softmax, summed over samples in their order.
 *
 * Computed in double precision, for logits of any size. A logit of +Inf or NaN makes
 * the loss NaN.
 *
 * @param logits  [n, c]
 * @param labels  [n], in [-1, c); a sample of -1 (unknown) counts for nothing
 * @param[out] slope    [n, c]: d loss / d logits; may be NULL
 * @param[out] loss     nats
 * @param[out] correct  as fmal_net_gradient
 */
void fmal_softmax_loss(const float *logits, const int32_t *labels, int n, int c,
                       float *slope, double *loss, int *correct);

#endif
