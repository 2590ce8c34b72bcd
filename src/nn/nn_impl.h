/**
 * Inside of nn: how a network holds its layers, and how it is built.
 *
 * Here is what does not depend on the number type. layer.h says what a kind of layer
 * computes, pass.h how a network computes; both exist for float and for double.
 *
 * All arrays hold n samples one after the other, each [channels, height, width]; inputs
 * and outputs are the numbers of one sample.
 */
#ifndef FMAL_NN_IMPL_H
#define FMAL_NN_IMPL_H

#include <stdbool.h>

#include "conv.h"

#include "fmal/nn.h"

enum { FMAL_MAX_LAYERS = 80, FMAL_MAX_TENSORS = 80, FMAL_MAX_SLOTS = 8 };

/** In place of a layer: the network's input, or nothing. */
enum { FMAL_FROM_INPUT = -1, FMAL_FROM_NONE = -2 };

/** Kinds of layers, each a source layer_<kind>.c. */
typedef enum fmal_layer_kind {
    FMAL_DENSE,
    FMAL_CONV,
    FMAL_BATCHNORM,
    FMAL_RELU,
    FMAL_MAXPOOL,
    FMAL_AVGPOOL,
    FMAL_ADD,
    FMAL_DROPOUT,
    FMAL_LAYER_KINDS
} fmal_layer_kind;

typedef struct fmal_layer {
    fmal_layer_kind kind;
    int from[2];                 /* layers whose outputs it reads, or FMAL_FROM_... */
    int channels, height, width; /* of the output */
    int inputs, outputs;
    int buffer; /* where the output is; a layer that works in place shares it with its
                   first input */
    fmal_idx weight, bias;   /* offsets in the parameter block; -1: has none */
    fmal_idx end;            /* first position after them */
    fmal_idx mean, variance; /* offsets in the block of statistics; -1: has none */
    fmal_conv conv;          /* sizes, of convolutions and max pooling */
    double drop;             /* share of numbers that dropout drops */
    double flops;            /* of a forward pass of one sample */
} fmal_layer;

/** Where outputs of one layer, or of several that work in place, are. */
typedef struct fmal_buffer {
    fmal_idx width;  /* numbers of a sample */
    int first, last; /* the layer that first writes it, the last layer that reads it */
    int slot; /* buffers that are never wanted at the same time may have the same */
} fmal_buffer;

struct fmal_net {
    int shape[3], inputs, classes;
    int max_batch; /* of training */
    int piece;     /* samples that evaluation takes at once */
    int n_layers, n_tensors, n_stats, n_buffers, n_slots;
    int at; /* during construction: the layer that the next one reads */
    fmal_layer layers[FMAL_MAX_LAYERS]; /* each after those it reads; the last one is
                                           the head */
    fmal_buffer buffers[FMAL_MAX_LAYERS];
    fmal_idx slot_width[FMAL_MAX_SLOTS];
    fmal_tensor tensors[FMAL_MAX_TENSORS], stat_tensors[FMAL_MAX_TENSORS];
    fmal_idx size, stats_size;
    float *params;                /* [size] */
    float *stats;                 /* [stats_size] */
    struct fmal_pass_f32 *memory; /* for computing */
};

/* ---- Construction: these cannot fail, memory comes after ----

   Each appends a layer that reads net->at, which it then becomes; tensors are called
   "<name>.weight" and so on. */

/** Channels, height and width of what the next layer reads. */
void fmal_net_shape(const fmal_net *net, int shape[3]);

/** y = x W^T + b, with W [outputs, inputs] and, if wanted, b [outputs]. */
void fmal_net_append_dense(fmal_net *net, const char *name, int outputs, bool bias);

/** Square convolution with zero padding: W [out, in, kernel, kernel]. */
void fmal_net_append_conv(fmal_net *net, const char *name, int out, int kernel,
                          int stride, int pad, bool bias);

/** y = weight (x - mean) / sqrt(variance + 1e-5) + bias, channel by channel. */
void fmal_net_append_batchnorm(fmal_net *net, const char *name);

/** y = max(x, 0); NaN stays NaN. */
void fmal_net_append_relu(fmal_net *net);

/** Largest of each kernel x kernel window; windows that do not fit are left out. */
void fmal_net_append_maxpool(fmal_net *net, int kernel, int stride);

/** Mean of each channel. */
void fmal_net_append_avgpool(fmal_net *net);

/** Sum of what net->at and the layer `other` give. */
void fmal_net_append_add(fmal_net *net, int other);

/** In training, numbers become 0 with probability `drop` and grow by 1 / (1 - drop)
    otherwise. */
void fmal_net_append_dropout(fmal_net *net, double drop);

/** Once all layers are there: who works in place, which buffers share a slot, and how
    many samples evaluation takes at once. */
void fmal_net_share(fmal_net *net);

/** Reals of working memory that a layer wants for n samples. */
fmal_idx fmal_layer_work(const fmal_layer *l, int n);

/** Appends the layers of a network. */
typedef void fmal_net_layers(fmal_net *net, int hidden);

/** A network of the layers that `layers` appends; otherwise as fmal_net_create. */
fmal_status fmal_net_build(fmal_net_layers *layers, const int shape[3], int classes,
                           int hidden, int max_batch, fmal_net **out);

/** The layers of a network of this name, if it takes such an input. @return
    FMAL_ERR_USAGE */
fmal_status fmal_arch_find(const char *arch, const int shape[3],
                           fmal_net_layers **layers);

#endif
