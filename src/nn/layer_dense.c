#include "layer.h"

#include <string.h>

static void forward(const fmal_call *c, const fmal_real *x, const fmal_real *x2,
                    fmal_real *y)
{
    const fmal_layer *l = c->layer;
    const fmal_real *weight = c->params + l->weight;

    (void) x2;
    if (l->bias >= 0)
        for (int i = 0; i < c->n; i++)
            memcpy(y + (fmal_idx) i * l->outputs, c->params + l->bias,
                   (size_t) l->outputs * sizeof *y);
    fmal_gemm_real(CblasRowMajor, CblasNoTrans, CblasTrans, c->n, l->outputs, l->inputs,
                   1, x, l->inputs, weight, l->inputs, l->bias >= 0 ? 1 : 0, y,
                   l->outputs);
}

static void backward(const fmal_call *c, const fmal_real *x, const fmal_real *y,
                     const fmal_real *dy, fmal_real *dx)
{
    const fmal_layer *l = c->layer;

    (void) x;
    (void) y;
    fmal_gemm_real(CblasRowMajor, CblasNoTrans, CblasNoTrans, c->n, l->inputs,
                   l->outputs, 1, dy, l->outputs, c->params + l->weight, l->inputs, 0,
                   dx, l->inputs);
}

/* dw = beta dw + dy^T x */
static void weight_gradient(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                            fmal_real beta, fmal_real *dw)
{
    const fmal_layer *l = c->layer;

    fmal_gemm_real(CblasRowMajor, CblasTrans, CblasNoTrans, l->outputs, l->inputs, c->n,
                   1, dy, l->outputs, x, l->inputs, beta, dw, l->inputs);
}

/* db += sum of dy */
static void add_bias_gradient(const fmal_call *c, const fmal_real *dy, fmal_real *db)
{
    int outputs = c->layer->outputs;

    for (int i = 0; i < c->n; i++)
        for (int k = 0; k < outputs; k++)
            db[k] += dy[(fmal_idx) i * outputs + k];
}

static void gradient(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                     fmal_real *grad)
{
    const fmal_layer *l = c->layer;

    weight_gradient(c, x, dy, 0, grad + l->weight);
    if (l->bias < 0)
        return;
    memset(grad + l->bias, 0, (size_t) l->outputs * sizeof *grad);
    add_bias_gradient(c, dy, grad + l->bias);
}

/* d_i = dy_i x_i^T, hence squares of d_i are products of squares. */
static void squares(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                    fmal_real *sum)
{
    const fmal_layer *l = c->layer;
    fmal_idx inputs = (fmal_idx) c->n * l->inputs,
             outputs = (fmal_idx) c->n * l->outputs;
    fmal_real *x_squared = c->work, *dy_squared = c->work + inputs;

    for (fmal_idx i = 0; i < inputs; i++)
        x_squared[i] = x[i] * x[i];
    for (fmal_idx i = 0; i < outputs; i++)
        dy_squared[i] = dy[i] * dy[i];
    weight_gradient(c, x_squared, dy_squared, 1, sum + l->weight);
    if (l->bias >= 0)
        add_bias_gradient(c, dy_squared, sum + l->bias);
}

static void masked(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                   const fmal_idx *index, fmal_idx count, fmal_real *out,
                   fmal_idx stride)
{
    const fmal_layer *l = c->layer;

    for (int i = 0; i < c->n; i++, x += l->inputs, dy += l->outputs, out += stride)
        for (fmal_idx j = 0; j < count; j++) {
            fmal_idx at = index[j] - l->weight;

            out[j] = l->bias >= 0 && index[j] >= l->bias
                         ? dy[index[j] - l->bias]
                         : dy[at / l->inputs] * x[at % l->inputs];
        }
}

const fmal_layer_ops FMAL_REAL(fmal_dense) = { forward, backward, gradient, squares,
                                               masked };
