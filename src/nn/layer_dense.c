#include "nn_impl.h"

#include <cblas.h>
#include <string.h>

static void forward(const fmal_layer *l, const float *params, const float *x, int n,
                    float *y)
{
    const float *weight = params + l->weight;

    if (l->bias >= 0)
        for (int i = 0; i < n; i++)
            memcpy(y + (fmal_idx) i * l->outputs, params + l->bias,
                   (size_t) l->outputs * sizeof *y);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, l->outputs, l->inputs, 1, x,
                l->inputs, weight, l->inputs, l->bias >= 0 ? 1 : 0, y, l->outputs);
}

static void bias_gradient(const float *dy, int n, int outputs, float *grad)
{
    memset(grad, 0, (size_t) outputs * sizeof *grad);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < outputs; k++)
            grad[k] += dy[(fmal_idx) i * outputs + k];
}

static void backward(const fmal_layer *l, const float *params, const float *x,
                     const float *y, const float *dy, int n, float *grad, float *dx)
{
    (void) y;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, l->outputs, l->inputs, n, 1,
                dy, l->outputs, x, l->inputs, 0, grad + l->weight, l->inputs);
    if (l->bias >= 0)
        bias_gradient(dy, n, l->outputs, grad + l->bias);
    if (dx)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, l->inputs, l->outputs,
                    1, dy, l->outputs, params + l->weight, l->inputs, 0, dx, l->inputs);
}

static double flops(const fmal_layer *l)
{
    return 2.0 * l->inputs * l->outputs;
}

static const fmal_layer_kind dense = { "dense", forward, backward, flops };

void fmal_net_append_dense(fmal_net *net, const char *name, int outputs, bool bias)
{
    int inputs = fmal_net_width(net);
    fmal_layer *l = fmal_net_append(net, &dense, outputs);

    l->weight = fmal_net_append_tensor(net, name, "weight", 2,
                                       (const int[]){ outputs, inputs }, inputs);
    if (bias)
        l->bias = fmal_net_append_tensor(net, name, "bias", 1, &outputs, inputs);
}
