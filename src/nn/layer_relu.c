#include "nn_impl.h"

/* Both comparisons are false for NaN, so that it is passed on, not hidden as a 0. */

static void forward(const fmal_layer *l, const float *params, const float *x, int n,
                    float *y)
{
    fmal_idx count = (fmal_idx) n * l->outputs;

    (void) params;
    for (fmal_idx i = 0; i < count; i++)
        y[i] = x[i] <= 0 ? 0 : x[i];
}

static void backward(const fmal_layer *l, const float *params, const float *x,
                     const float *y, const float *dy, int n, float *grad, float *dx)
{
    fmal_idx count = (fmal_idx) n * l->outputs;

    (void) params;
    (void) x;
    (void) grad;
    if (!dx)
        return;
    for (fmal_idx i = 0; i < count; i++)
        dx[i] = y[i] <= 0 ? 0 : dy[i];
}

static double flops(const fmal_layer *l)
{
    return l->outputs;
}

static const fmal_layer_kind relu = { "relu", forward, backward, flops };

void fmal_net_append_relu(fmal_net *net)
{
    fmal_net_append(net, &relu, fmal_net_width(net));
}
