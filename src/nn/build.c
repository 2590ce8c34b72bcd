/* Layer after layer, a network under construction grows; and then its memory is
   shared out. */
#include "nn_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void fmal_net_shape(const fmal_net *net, int shape[3])
{
    if (net->at == FMAL_FROM_INPUT) {
        memcpy(shape, net->shape, sizeof net->shape);
        return;
    }
    const fmal_layer *l = &net->layers[net->at];

    shape[0] = l->channels;
    shape[1] = l->height;
    shape[2] = l->width;
}

/* ---- Layers ---- */

/* A layer without tensors, whose flops are `cost` for each number of the output. */
static fmal_layer *append(fmal_net *net, fmal_layer_kind kind, int channels, int height,
                          int width, double cost)
{
    assert(net->n_layers < FMAL_MAX_LAYERS);
    int in[3];
    fmal_layer *l = &net->layers[net->n_layers];

    fmal_net_shape(net, in);
    *l = (fmal_layer){ .kind = kind,
                       .from = { net->at, FMAL_FROM_NONE },
                       .channels = channels,
                       .height = height,
                       .width = width,
                       .inputs = in[0] * in[1] * in[2],
                       .outputs = channels * height * width,
                       .weight = -1,
                       .bias = -1,
                       .mean = -1,
                       .variance = -1 };
    l->flops = cost * l->outputs;
    net->at = net->n_layers++;
    return l;
}

/* One whose output has the shape of its input. */
static fmal_layer *append_same(fmal_net *net, fmal_layer_kind kind, double cost)
{
    int in[3];

    fmal_net_shape(net, in);
    return append(net, kind, in[0], in[1], in[2], cost);
}

/* Begin the tensor "layer.part" at *size, which grows by it. */
static fmal_tensor *append_tensor(fmal_tensor *tensors, int *n, fmal_idx *size,
                                  const char *layer, const char *part, int ndims,
                                  const int *dims)
{
    assert(*n < FMAL_MAX_TENSORS);
    fmal_tensor *t = &tensors[(*n)++];

    *t = (fmal_tensor){ .offset = *size, .count = 1, .ndims = ndims };
    snprintf(t->name, sizeof t->name, "%s.%s", layer, part);
    for (int i = 0; i < ndims; i++) {
        t->dims[i] = dims[i];
        t->count *= dims[i];
    }
    *size += t->count;
    return t;
}

static fmal_tensor *append_param(fmal_net *net, const char *layer, const char *part,
                                 int ndims, const int *dims)
{
    return append_tensor(net->tensors, &net->n_tensors, &net->size, layer, part, ndims,
                         dims);
}

/* A tensor of one number a channel, all `initial`. @return its offset */
static fmal_idx append_channels(fmal_net *net, bool is_stat, const char *layer,
                                const char *part, int channels, float initial)
{
    fmal_tensor *t = is_stat
                         ? append_tensor(net->stat_tensors, &net->n_stats,
                                         &net->stats_size, layer, part, 1, &channels)
                         : append_param(net, layer, part, 1, &channels);

    t->initial = initial;
    return t->offset;
}

/* Weight of these dims and, if wanted, a bias for each output. */
static void append_weight(fmal_net *net, fmal_layer *l, const char *name, int ndims,
                          const int *dims, bool bias)
{
    fmal_tensor *t = append_param(net, name, "weight", ndims, dims);
    int fan_in = (int) (t->count / dims[0]);

    t->fan_in = fan_in;
    l->weight = t->offset;
    if (bias) {
        t = append_param(net, name, "bias", 1, dims);
        t->fan_in = fan_in;
        l->bias = t->offset;
    }
    l->end = net->size;
}

void fmal_net_append_dense(fmal_net *net, const char *name, int outputs, bool bias)
{
    fmal_layer *l = append(net, FMAL_DENSE, outputs, 1, 1, 0);

    l->flops = 2.0 * l->inputs * l->outputs;
    append_weight(net, l, name, 2, (const int[]){ outputs, l->inputs }, bias);
}

void fmal_net_append_conv(fmal_net *net, const char *name, int out, int kernel,
                          int stride, int pad, bool bias)
{
    int in[3];

    fmal_net_shape(net, in);
    fmal_conv c = fmal_conv_make(in[0], in[1], in[2], out, kernel, stride, pad);
    assert(c.out_height >= 1 && c.out_width >= 1);
    c.isa = fmal_isa_detect();
    fmal_layer *l = append(net, FMAL_CONV, out, c.out_height, c.out_width,
                           2.0 * in[0] * kernel * kernel);

    l->conv = c;
    append_weight(net, l, name, 4, (const int[]){ out, in[0], kernel, kernel }, bias);
}

void fmal_net_append_batchnorm(fmal_net *net, const char *name)
{
    fmal_layer *l = append_same(net, FMAL_BATCHNORM, 2);

    l->weight = append_channels(net, false, name, "weight", l->channels, 1);
    l->bias = append_channels(net, false, name, "bias", l->channels, 0);
    l->end = net->size;
    l->mean = append_channels(net, true, name, "running_mean", l->channels, 0);
    l->variance = append_channels(net, true, name, "running_var", l->channels, 1);
}

void fmal_net_append_relu(fmal_net *net)
{
    append_same(net, FMAL_RELU, 1);
}

void fmal_net_append_maxpool(fmal_net *net, int kernel, int stride)
{
    int in[3];

    fmal_net_shape(net, in);
    fmal_conv c = fmal_conv_make(in[0], in[1], in[2], in[0], kernel, stride, 0);
    assert(c.out_height >= 1 && c.out_width >= 1);
    append(net, FMAL_MAXPOOL, in[0], c.out_height, c.out_width, kernel * kernel)->conv =
        c;
}

void fmal_net_append_avgpool(fmal_net *net)
{
    int in[3];

    fmal_net_shape(net, in);
    append(net, FMAL_AVGPOOL, in[0], 1, 1, (double) in[1] * in[2]);
}

void fmal_net_append_add(fmal_net *net, int other)
{
    fmal_layer *l = append_same(net, FMAL_ADD, 1);

    assert(net->layers[other].outputs == l->outputs);
    l->from[1] = other;
}

void fmal_net_append_dropout(fmal_net *net, double drop)
{
    append_same(net, FMAL_DROPOUT, 1)->drop = drop;
}

/* ---- Memory ---- */

fmal_idx fmal_layer_work(const fmal_layer *l, int n)
{
    if (l->kind == FMAL_CONV)
        return fmal_conv_work(&l->conv, n);
    if (l->kind == FMAL_DENSE) /* squares of inputs and slopes */
        return (fmal_idx) n * (l->inputs + l->outputs);
    return 0;
}

static int readers(const fmal_net *net, int layer)
{
    int n = 0;

    for (int i = 0; i < net->n_layers; i++)
        n += (net->layers[i].from[0] == layer) + (net->layers[i].from[1] == layer);
    return n;
}

/* Whether a layer may overwrite its first input: nobody else reads it, neither of the
   two layers wants it for the way back, and a rectifier before it keeps its output,
   which it does want. */
static bool works_in_place(const fmal_net *net, const fmal_layer *l)
{
    bool can = l->kind == FMAL_RELU || l->kind == FMAL_ADD || l->kind == FMAL_DROPOUT;

    return can && l->from[0] >= 0 && readers(net, l->from[0]) == 1 &&
           net->layers[l->from[0]].kind != FMAL_RELU;
}

static void assign_buffers(fmal_net *net)
{
    for (int i = 0; i < net->n_layers; i++) {
        fmal_layer *l = &net->layers[i];

        if (works_in_place(net, l)) {
            l->buffer = net->layers[l->from[0]].buffer;
        } else {
            l->buffer = net->n_buffers++;
            net->buffers[l->buffer] = (fmal_buffer){ .width = l->outputs, .first = i };
        }
        net->buffers[l->buffer].last = i;
        for (int k = 0; k < 2; k++)
            if (l->from[k] >= 0)
                net->buffers[net->layers[l->from[k]].buffer].last = i;
    }
}

/* A buffer is wanted from its first writer to its last reader: for outputs where
   nothing is kept for a backward pass, and for slopes, which come the other way. */
static bool overlap(const fmal_buffer *a, const fmal_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static void assign_slots(fmal_net *net)
{
    for (int b = 0; b < net->n_buffers; b++) {
        fmal_buffer *buffer = &net->buffers[b];
        bool taken[FMAL_MAX_SLOTS] = { false };
        int slot = 0;

        for (int a = 0; a < b; a++)
            taken[net->buffers[a].slot] |= overlap(&net->buffers[a], buffer);
        while (taken[slot])
            slot++;
        assert(slot < FMAL_MAX_SLOTS);
        buffer->slot = slot;
        if (slot >= net->n_slots)
            net->n_slots = slot + 1;
        if (net->slot_width[slot] < buffer->width)
            net->slot_width[slot] = buffer->width;
    }
}

void fmal_net_share(fmal_net *net)
{
    enum { MOST = 256, NUMBERS = 1 << 19 }; /* one layer's, so that caches hold them */
    fmal_idx widest = 1;

    assign_buffers(net);
    assign_slots(net);
    for (int i = 0; i < net->n_slots; i++)
        widest = net->slot_width[i] > widest ? net->slot_width[i] : widest;
    net->piece = MOST;
    while (net->piece > 1 && net->piece * widest > NUMBERS)
        net->piece /= 2;
}
