/* The products are conv.h's; here is what surrounds them: biases, and lists of
   parameters. */
#include "layer.h"
#include "wide.h"

#include <string.h>

static void forward(const fmal_call *c, const fmal_real *x, const fmal_real *x2,
                    fmal_real *y)
{
    const fmal_layer *l = c->layer;

    (void) x2;
    FMAL_REAL(fmal_conv_forward)(&l->conv, c->params + l->weight, x, c->n, y, c->work);
    for (int i = 0; l->bias >= 0 && i < c->n; i++)
        for (int o = 0; o < l->channels; o++) {
            fmal_real bias = c->params[l->bias + o];

            for (fmal_idx q = 0; q < fmal_plane(l); q++)
                *y++ += bias;
        }
}

static void backward(const fmal_call *c, const fmal_real *x, const fmal_real *y,
                     const fmal_real *dy, fmal_real *dx)
{
    const fmal_layer *l = c->layer;

    (void) x;
    (void) y;
    FMAL_REAL(fmal_conv_backward)
    (&l->conv, c->params + l->weight, dy, c->n, dx, c->work);
}

/* Gradient of sample i in the bias of channel o. */
static fmal_real bias_gradient(const fmal_layer *l, const fmal_real *dy, int i,
                               fmal_idx o)
{
    return (fmal_real) fmal_sum(dy + (fmal_idx) i * l->outputs + o * fmal_plane(l),
                                fmal_plane(l));
}

static void gradient(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                     fmal_real *grad)
{
    const fmal_layer *l = c->layer;

    FMAL_REAL(fmal_conv_gradient)(&l->conv, x, dy, c->n, grad + l->weight, c->work);
    for (int o = 0; l->bias >= 0 && o < l->channels; o++) {
        fmal_real sum = 0;

        for (int i = 0; i < c->n; i++)
            sum += bias_gradient(l, dy, i, o);
        grad[l->bias + o] = sum;
    }
}

static void squares(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                    fmal_real *sum)
{
    const fmal_layer *l = c->layer;

    FMAL_REAL(fmal_conv_squares)(&l->conv, x, dy, c->n, sum + l->weight, c->work);
    for (int o = 0; l->bias >= 0 && o < l->channels; o++)
        for (int i = 0; i < c->n; i++) {
            fmal_real d = bias_gradient(l, dy, i, o);

            sum[l->bias + o] += d * d;
        }
}

/* The kernel wants positions in the weight. */
static void masked_weights(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                           const fmal_idx *index, fmal_idx count, fmal_real *out,
                           fmal_idx stride)
{
    enum { MOST = 1024 };
    fmal_idx place[MOST];

    for (fmal_idx first = 0; first < count; first += MOST) {
        fmal_idx taken = count - first < MOST ? count - first : MOST;

        for (fmal_idx j = 0; j < taken; j++)
            place[j] = index[first + j] - c->layer->weight;
        FMAL_REAL(fmal_conv_masked)
        (&c->layer->conv, x, dy, c->n, place, taken, out + first, stride, c->work);
    }
}

static void masked(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                   const fmal_idx *index, fmal_idx count, fmal_real *out,
                   fmal_idx stride)
{
    const fmal_layer *l = c->layer;
    fmal_idx weights = count; /* biases come after */

    while (l->bias >= 0 && weights > 0 && index[weights - 1] >= l->bias)
        weights--;
    if (weights > 0)
        masked_weights(c, x, dy, index, weights, out, stride);
    for (int i = 0; i < c->n; i++)
        for (fmal_idx j = weights; j < count; j++)
            out[i * stride + j] = bias_gradient(l, dy, i, index[j] - l->bias);
}

const fmal_layer_ops FMAL_REAL(fmal_convolution) = { forward, backward, gradient,
                                                     squares, masked };
