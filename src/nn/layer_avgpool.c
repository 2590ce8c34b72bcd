#include "layer.h"
#include "wide.h"

static fmal_idx plane_of_input(const fmal_layer *l)
{
    return l->inputs / l->channels;
}

static void forward(const fmal_call *c, const fmal_real *x, const fmal_real *x2,
                    fmal_real *y)
{
    fmal_idx plane = plane_of_input(c->layer),
             planes = (fmal_idx) c->n * c->layer->channels;

    (void) x2;
    for (fmal_idx k = 0; k < planes; k++)
        y[k] = (fmal_real) (fmal_sum(x + k * plane, plane) / (double) plane);
}

static void backward(const fmal_call *c, const fmal_real *x, const fmal_real *y,
                     const fmal_real *dy, fmal_real *dx)
{
    fmal_idx plane = plane_of_input(c->layer),
             planes = (fmal_idx) c->n * c->layer->channels;

    (void) x;
    (void) y;
    for (fmal_idx k = 0; k < planes; k++)
        for (fmal_idx q = 0; q < plane; q++)
            dx[k * plane + q] = dy[k] / (fmal_real) plane;
}

const fmal_layer_ops FMAL_REAL(fmal_avgpool) = { .forward = forward,
                                                 .backward = backward };
