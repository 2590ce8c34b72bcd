/**
 * Networks: a list of layers over one block of parameters.
 *
 * The central object is fmal_net. It computes on one process; spreading the work over
 * ranks is the business of train. Features are the inputs of the last, linear,
 * bias-free layer (the head); logits are its outputs.
 *
 *     fmal_net *net;
 *     fmal_net_create("mlp", shape, classes, 128, 32, &net);
 *     fmal_net_init(net, seed, round);
 *     fmal_net_gradient(net, x, labels, n, grad, &loss, &correct);
 *     fmal_net_forward(net, x, n, features, logits);
 */
#ifndef FMAL_NN_H
#define FMAL_NN_H

#include "fmal/status.h"

/** A network. Opaque: see src/nn/nn_impl.h. */
typedef struct fmal_net fmal_net;

/** A named tensor in the parameter block. */
typedef struct fmal_tensor {
    char name[32];   /* "hidden.weight", "head.weight" */
    fmal_idx offset; /* first element in the block */
    fmal_idx count;
    int ndims;
    int dims[4]; /* row-major; a weight is [out, in] */
    int fan_in;  /* inputs of one output, for the initial scale */
} fmal_tensor;

/** Names of the networks, ended by NULL; and a line on each. */
extern const char *const fmal_arch_names[];
extern const char *const fmal_arch_summaries[];

/**
 * Build a network; its parameters are zero until fmal_net_init.
 *
 * Not collective, as everything here.
 *
 * @param arch     one of fmal_arch_names
 * @param shape    channels, height, width of the input
 * @param classes  at least 2
 * @param hidden   units of hidden layers (mlp), at least 1; ignored by networks without
 * @param max_batch  the most samples of one call; working memory is set up for them
 * @return FMAL_ERR_USAGE for an unknown name (with the nearest one), FMAL_ERR_NOMEM
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

/** Its tensors, in the order of the block, which they cover without gaps. */
int fmal_net_tensors(const fmal_net *net);
const fmal_tensor *fmal_net_tensor(const fmal_net *net, int i);

/** Floating-point operations of a forward pass of one sample; backward costs twice
 * that. */
double fmal_net_flops(const fmal_net *net);

/**
 * Fresh weights: uniform in +-1/sqrt(fan_in) for weights and biases, each element from
 * the stream of its position (FMAL_RNG_INIT, round), so that no order matters.
 */
void fmal_net_init(fmal_net *net, uint64_t seed, uint32_t round);

/**
 * Features and logits of samples.
 *
 * @param x              [n, inputs]; n <= max_batch
 * @param[out] features  [n, d]; may be NULL
 * @param[out] logits    [n, c]; may be NULL
 */
void fmal_net_forward(fmal_net *net, const float *x, int n, float *features,
                      float *logits);

/**
 * Gradient of the summed cross-entropy of samples.
 *
 * @param x       [n, inputs]; n <= max_batch
 * @param labels  [n], in [0, c)
 * @param[out] grad     [size], overwritten: sum over samples of d loss / d parameters
 * @param[out] loss     sum of the samples' cross-entropy, nats
 * @param[out] correct  samples whose largest logit is their label's (ties: lowest
 * class)
 */
void fmal_net_gradient(fmal_net *net, const float *x, const int32_t *labels, int n,
                       float *grad, double *loss, int *correct);

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
