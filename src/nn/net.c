#include "pass.h"
#include "fmal/mem.h"
#include "fmal/rng.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static fmal_status allocate(fmal_net *net)
{
    FMAL_TRY(FMAL_ALLOC(&net->params, net->size));
    FMAL_TRY(FMAL_ALLOC(&net->stats, net->stats_size));
    FMAL_TRY(FMAL_ALLOC(&net->memory, 1));
    return fmal_pass_init_f32(net->memory, net, net->params, net->stats,
                              net->max_batch > net->piece ? net->max_batch
                                                          : net->piece);
}

fmal_status fmal_net_build(fmal_net_layers *layers, const int shape[3], int classes,
                           int hidden, int max_batch, fmal_net **out)
{
    fmal_net *net = NULL;
    fmal_status st;

    assert(classes >= 2 && max_batch >= 1);
    FMAL_TRY(FMAL_ALLOC(&net, 1));
    memcpy(net->shape, shape, sizeof net->shape);
    net->inputs = shape[0] * shape[1] * shape[2];
    net->classes = classes;
    net->max_batch = max_batch;
    net->at = FMAL_FROM_INPUT;
    layers(net, hidden);
    fmal_net_share(net);
    st = allocate(net);
    if (st == FMAL_OK)
        *out = net;
    else
        fmal_net_destroy(&net);
    return st;
}

fmal_status fmal_net_create(const char *arch, const int shape[3], int classes,
                            int hidden, int max_batch, fmal_net **out)
{
    fmal_net_layers *layers;

    FMAL_TRY(fmal_arch_find(arch, shape, &layers));
    return fmal_net_build(layers, shape, classes, hidden, max_batch, out);
}

void fmal_net_destroy(fmal_net **net)
{
    if (!*net)
        return;
    if ((*net)->memory)
        fmal_pass_clear_f32((*net)->memory);
    fmal_free(&(*net)->memory);
    fmal_free(&(*net)->params);
    fmal_free(&(*net)->stats);
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

void fmal_net_set_isa(fmal_net *net, fmal_isa isa)
{
    for (int i = 0; i < net->n_layers; i++)
        net->layers[i].conv.isa = isa;
}

float *fmal_net_stats(fmal_net *net)
{
    return net->stats;
}

fmal_idx fmal_net_stats_size(const fmal_net *net)
{
    return net->stats_size;
}

int fmal_net_stat_tensors(const fmal_net *net)
{
    return net->n_stats;
}

const fmal_tensor *fmal_net_stat_tensor(const fmal_net *net, int i)
{
    return &net->stat_tensors[i];
}

double fmal_net_flops(const fmal_net *net)
{
    double sum = 0;

    for (int i = 0; i < net->n_layers; i++)
        sum += net->layers[i].flops;
    return sum;
}

double fmal_net_bytes(const fmal_net *net)
{
    return net->memory->bytes;
}

/* ---- First values ---- */

static void fill(const fmal_tensor *t, float *block)
{
    for (fmal_idx at = t->offset; at < t->offset + t->count; at++)
        block[at] = t->initial;
}

static void draw(const fmal_tensor *t, uint64_t seed, uint32_t round, float *block)
{
    double scale = 1 / sqrt(t->fan_in);

    for (fmal_idx at = t->offset; at < t->offset + t->count; at++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INIT, round, (uint64_t) at);

        block[at] = (float) (scale * (2 * fmal_rng_uniform(&r) - 1));
    }
}

void fmal_net_init(fmal_net *net, uint64_t seed, uint32_t round)
{
    for (int i = 0; i < net->n_tensors; i++)
        if (net->tensors[i].fan_in > 0)
            draw(&net->tensors[i], seed, round, net->params);
        else
            fill(&net->tensors[i], net->params);
    for (int i = 0; i < net->n_stats; i++)
        fill(&net->stat_tensors[i], net->stats);
}

/* ---- What it computes ---- */

void fmal_net_forward(fmal_net *net, const float *x, int n, float *features,
                      float *logits)
{
    fmal_pass_forward_f32(net->memory, x, n, features, logits);
}

void fmal_net_gradient(fmal_net *net, const fmal_net_batch *batch, float *grad,
                       float *stats, double *loss, int *correct)
{
    fmal_pass_gradient_f32(net->memory, batch->x, batch, grad, stats, loss, correct);
}

fmal_status fmal_net_squares(fmal_net *net, const float *x, int n, float *squares)
{
    fmal_precise *precise = NULL;

    FMAL_TRY(fmal_precise_create(net, &precise));
    net->memory->precise = precise;
    fmal_pass_squares_f32(net->memory, x, n, squares);
    net->memory->precise = NULL;
    fmal_precise_destroy(&precise);
    return FMAL_OK;
}

double fmal_net_squares_bytes(const fmal_net *net)
{
    return fmal_precise_bytes(net);
}

void fmal_net_jacobian(fmal_net *net, const float *x, int n, const fmal_idx *index,
                       fmal_idx count, fmal_jacobian_rows rows, float *jacobian)
{
    fmal_pass_jacobian_f32(net->memory, x, n, index, count, rows, jacobian);
}

void fmal_softmax_loss(const float *logits, const int32_t *labels, int n, int c,
                       float *slope, double *loss, int *correct)
{
    fmal_cross_entropy_f32(logits, labels, n, c, slope, loss, correct);
}
