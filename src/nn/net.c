#include "nn_impl.h"
#include "fmal/mem.h"
#include "fmal/rng.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Construction ---- */

int fmal_net_width(const fmal_net *net)
{
    return net->n_layers > 0 ? net->layers[net->n_layers - 1].outputs : net->inputs;
}

fmal_layer *fmal_net_append(fmal_net *net, const fmal_layer_kind *kind, int outputs)
{
    assert(net->n_layers < FMAL_MAX_LAYERS);
    int inputs = fmal_net_width(net);
    fmal_layer *l = &net->layers[net->n_layers++];

    *l = (fmal_layer){
        .kind = kind, .inputs = inputs, .outputs = outputs, .weight = -1, .bias = -1
    };
    return l;
}

fmal_idx fmal_net_append_tensor(fmal_net *net, const char *layer, const char *part,
                                int ndims, const int *dims, int fan_in)
{
    assert(net->n_tensors < FMAL_MAX_TENSORS);
    fmal_tensor *t = &net->tensors[net->n_tensors++];

    snprintf(t->name, sizeof t->name, "%s.%s", layer, part);
    t->offset = net->size;
    t->count = 1;
    t->ndims = ndims;
    t->fan_in = fan_in;
    for (int i = 0; i < ndims; i++) {
        t->dims[i] = dims[i];
        t->count *= dims[i];
    }
    net->size += t->count;
    return t->offset;
}

static fmal_status allocate(fmal_net *net)
{
    fmal_idx widest = 0;

    FMAL_TRY(FMAL_ALLOC(&net->params, net->size));
    for (int i = 0; i < net->n_layers; i++) {
        fmal_idx width = net->layers[i].outputs;

        FMAL_TRY(FMAL_ALLOC(&net->outputs[i], net->max_batch * width));
        widest = width > widest ? width : widest;
    }
    for (int i = 0; i < 2; i++)
        FMAL_TRY(FMAL_ALLOC(&net->slopes[i], net->max_batch * widest));
    return FMAL_OK;
}

fmal_status fmal_net_create(const char *arch, const int shape[3], int classes,
                            int hidden, int max_batch, fmal_net **out)
{
    fmal_net *net = NULL;
    fmal_status st;

    assert(classes >= 2 && max_batch >= 1);
    FMAL_TRY(FMAL_ALLOC(&net, 1));
    net->inputs = shape[0] * shape[1] * shape[2];
    net->classes = classes;
    net->max_batch = max_batch;
    st = fmal_arch_build(net, arch, hidden);
    if (st == FMAL_OK)
        st = allocate(net);
    if (st == FMAL_OK)
        *out = net;
    else
        fmal_net_destroy(&net);
    return st;
}

void fmal_net_destroy(fmal_net **net)
{
    if (!*net)
        return;
    fmal_free(&(*net)->params);
    for (int i = 0; i < (*net)->n_layers; i++)
        fmal_free(&(*net)->outputs[i]);
    for (int i = 0; i < 2; i++)
        fmal_free(&(*net)->slopes[i]);
    fmal_free(net);
}

/* ---- What it is ---- */

int fmal_net_inputs(const fmal_net *net)
{
    return net->inputs;
}

int fmal_net_features(const fmal_net *net)
{
    return net->layers[net->n_layers - 1].inputs;
}

int fmal_net_classes(const fmal_net *net)
{
    return net->classes;
}

float *fmal_net_params(fmal_net *net)
{
    return net->params;
}

fmal_idx fmal_net_size(const fmal_net *net)
{
    return net->size;
}

int fmal_net_tensors(const fmal_net *net)
{
    return net->n_tensors;
}

const fmal_tensor *fmal_net_tensor(const fmal_net *net, int i)
{
    return &net->tensors[i];
}

double fmal_net_flops(const fmal_net *net)
{
    double sum = 0;

    for (int i = 0; i < net->n_layers; i++)
        sum += net->layers[i].kind->flops(&net->layers[i]);
    return sum;
}

void fmal_net_init(fmal_net *net, uint64_t seed, uint32_t round)
{
    for (int i = 0; i < net->n_tensors; i++) {
        const fmal_tensor *t = &net->tensors[i];
        double scale = 1 / sqrt(t->fan_in);

        for (fmal_idx at = t->offset; at < t->offset + t->count; at++) {
            fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INIT, round, (uint64_t) at);

            net->params[at] = (float) (scale * (2 * fmal_rng_uniform(&r) - 1));
        }
    }
}

/* ---- What it computes ---- */

/* Input of a layer: of the network, or what the layer before gave. */
static const float *input_of(const fmal_net *net, int layer, const float *x)
{
    return layer > 0 ? net->outputs[layer - 1] : x;
}

/* All outputs: the one definition of what the network computes. */
static void run(fmal_net *net, const float *x, int n)
{
    assert(n <= net->max_batch);
    for (int i = 0; i < net->n_layers; i++) {
        const fmal_layer *l = &net->layers[i];

        l->kind->forward(l, net->params, input_of(net, i, x), n, net->outputs[i]);
    }
}

/* The slopes by the logits are in slopes[0]; layer after layer swaps the two. */
static void run_back(fmal_net *net, const float *x, int n, float *grad)
{
    int from = 0;

    for (int i = net->n_layers - 1; i >= 0; i--, from = 1 - from) {
        const fmal_layer *l = &net->layers[i];
        float *dx = i > 0 ? net->slopes[1 - from] : NULL;

        l->kind->backward(l, net->params, input_of(net, i, x), net->outputs[i],
                          net->slopes[from], n, grad, dx);
    }
}

/* Results are computed in the network's own memory and copied: where the caller's lies
   in memory cannot matter to their bits. */
void fmal_net_forward(fmal_net *net, const float *x, int n, float *features,
                      float *logits)
{
    int head = net->n_layers - 1;

    run(net, x, n);
    if (features)
        memcpy(features, input_of(net, head, x),
               (size_t) n * (size_t) net->layers[head].inputs * sizeof *features);
    if (logits)
        memcpy(logits, net->outputs[head],
               (size_t) n * (size_t) net->classes * sizeof *logits);
}

void fmal_net_gradient(fmal_net *net, const float *x, const int32_t *labels, int n,
                       float *grad, double *loss, int *correct)
{
    run(net, x, n);
    fmal_softmax_loss(net->outputs[net->n_layers - 1], labels, n, net->classes,
                      net->slopes[0], loss, correct);
    run_back(net, x, n, grad);
}
