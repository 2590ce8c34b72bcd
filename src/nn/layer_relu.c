#include "layer.h"

/* Works in place. Both comparisons are false for NaN, so that it is passed on, not
   hidden as a 0. */

static void forward(const fmal_call *c, const fmal_real *x, const fmal_real *x2,
                    fmal_real *y)
{
    fmal_idx count = (fmal_idx) c->n * c->layer->outputs;

    (void) x2;
    for (fmal_idx i = 0; i < count; i++)
        y[i] = x[i] <= 0 ? 0 : x[i];
}

static void backward(const fmal_call *c, const fmal_real *x, const fmal_real *y,
                     const fmal_real *dy, fmal_real *dx)
{
    fmal_idx count = (fmal_idx) c->n * c->layer->outputs;

    (void) x;
    for (fmal_idx i = 0; i < count; i++)
        dx[i] = y[i] <= 0 ? 0 : dy[i];
}

const fmal_layer_ops FMAL_REAL(fmal_relu) = { .forward = forward,
                                              .backward = backward };
