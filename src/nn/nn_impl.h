/**
 * Inside of nn: what a layer offers, and how a network holds its layers.
 *
 * A kind of layer is one file: a const fmal_layer_kind and a function that appends such
 * a layer to a network under construction, with its tensors. All buffers hold n samples
 * one after the other; inputs and outputs are the numbers of one sample.
 */
#ifndef FMAL_NN_IMPL_H
#define FMAL_NN_IMPL_H

#include <stdbool.h>

#include "fmal/nn.h"

enum { FMAL_MAX_LAYERS = 8, FMAL_MAX_TENSORS = 8 };

typedef struct fmal_layer fmal_layer;

/** What a kind of layer computes, without allocating. */
typedef struct fmal_layer_kind {
    const char *name;

    /** y [n, outputs] from x [n, inputs]. */
    void (*forward)(const fmal_layer *l, const float *params, const float *x, int n,
                    float *y);

    /**
     * From dy [n, outputs], and x and y of the forward pass: dx [n, inputs], unless it
     * is NULL, and this layer's tensors in grad, a block like params; overwritten.
     */
    void (*backward)(const fmal_layer *l, const float *params, const float *x,
                     const float *y, const float *dy, int n, float *grad, float *dx);

    /** Floating-point operations of a forward pass of one sample. */
    double (*flops)(const fmal_layer *l);
} fmal_layer_kind;

struct fmal_layer {
    const fmal_layer_kind *kind;
    int inputs, outputs;
    fmal_idx weight, bias; /* offsets in the parameter block; -1: has none */
};

struct fmal_net {
    int inputs, classes, max_batch;
    int n_layers, n_tensors;
    fmal_layer layers[FMAL_MAX_LAYERS]; /* the last one is the head */
    fmal_tensor tensors[FMAL_MAX_TENSORS];
    fmal_idx size;
    float *params;                   /* [size] */
    float *outputs[FMAL_MAX_LAYERS]; /* of each layer, [max_batch, outputs] */
    float *slopes[2]; /* of the loss by a layer's output, by its input; widest layer */
};

/* ---- Construction: these cannot fail, memory comes after ---- */

/** Width of what the layers so far give. */
int fmal_net_width(const fmal_net *net);

/** Append a layer without tensors; borrowed from the network. */
fmal_layer *fmal_net_append(fmal_net *net, const fmal_layer_kind *kind, int outputs);

/** Append the tensor "layer.part" of ndims dims; @return its offset. */
fmal_idx fmal_net_append_tensor(fmal_net *net, const char *layer, const char *part,
                                int ndims, const int *dims, int fan_in);

/** y = x W^T + b, with W [outputs, inputs] and, if wanted, b [outputs]. */
void fmal_net_append_dense(fmal_net *net, const char *name, int outputs, bool bias);

/** y = max(x, 0); NaN stays NaN. */
void fmal_net_append_relu(fmal_net *net);

/** Append the layers of a network of this name. @return FMAL_ERR_USAGE. */
fmal_status fmal_arch_build(fmal_net *net, const char *arch, int hidden);

#endif
