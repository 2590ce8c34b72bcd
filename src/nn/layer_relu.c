#include "layer.h"
#include "wide.h"

/* Works in place. NaN is passed on, not hidden as a 0. */

static void forward(const fmal_call *c, const fmal_real *x, const fmal_real *x2,
                    fmal_real *y)
{
    fmal_idx count = (fmal_idx) c->n * c->layer->outputs;

    (void) x2;
    fmal_rectify(x, x, count, y);
}

static void backward(const fmal_call *c, const fmal_real *x, const fmal_real *y,
                     const fmal_real *dy, fmal_real *dx)
{
    fmal_idx count = (fmal_idx) c->n * c->layer->outputs;

    (void) x;
    fmal_rectify(dy, y, count, dx);
}

const fmal_layer_ops FMAL_REAL(fmal_relu) = { .forward = forward,
                                              .backward = backward };
