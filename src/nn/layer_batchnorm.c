/*
 * Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167; docs/references.bib:
 * ioffe2015batchnorm). With u = (x - mean) r and r = 1 / sqrt(variance + eps), channel
 * by channel, y = weight u + bias, and
 *
 *     dweight = sum of dy u,    dbias = sum of dy,
 *     dx = weight r dy                                    in evaluation,
 *     dx = weight r (dy - dbias / m - u dweight / m)      in training,
 *
 * where mean and variance are those of the m numbers of the channel, which depend on x
 * too. The variance that normalises is the biased one; the running variance is made of
 * unbiased ones.
 */
#include "layer.h"
#include "wide.h"

#include <math.h>

/* Channel k of sample i. */
static fmal_idx at(const fmal_layer *l, int i, int k)
{
    return (fmal_idx) i * l->outputs + k * fmal_plane(l);
}

/* Mean and variance of a channel of the batch. */
static void measure(const fmal_call *c, const fmal_real *x, int k, fmal_real *mean,
                    double *variance)
{
    const fmal_layer *l = c->layer;
    double m = (double) c->n * (double) fmal_plane(l), sum = 0, squares = 0;

    for (int i = 0; i < c->n; i++)
        sum += fmal_sum(x + at(l, i, k), fmal_plane(l));
    *mean = (fmal_real) (sum / m);
    for (int i = 0; i < c->n; i++) {
        const fmal_real *plane = x + at(l, i, k);

        squares += fmal_sum_products(plane, *mean, plane, *mean, fmal_plane(l));
    }
    *variance = squares / m;
    c->batch_stats[l->mean + k] = *mean;
    c->batch_stats[l->variance + k] = (fmal_real) (m > 1 ? squares / (m - 1) : 0);
}

static void forward(const fmal_call *c, const fmal_real *x, const fmal_real *x2,
                    fmal_real *y)
{
    const double eps = 1e-5;
    const fmal_layer *l = c->layer;

    (void) x2;
    for (int k = 0; k < l->channels; k++) {
        fmal_real mean = c->stats[l->mean + k];
        double variance = c->stats[l->variance + k];

        if (c->batch)
            measure(c, x, k, &mean, &variance);

        fmal_real r = (fmal_real) (1 / sqrt(variance + eps));
        fmal_real scale = c->params[l->weight + k] * r;
        fmal_real shift = c->params[l->bias + k];

        c->saved[l->mean + k] = mean;
        c->saved[l->variance + k] = r;
        for (int i = 0; i < c->n; i++)
            fmal_scale(x + at(l, i, k), mean, scale, shift, fmal_plane(l),
                       y + at(l, i, k));
    }
}

/* Gradient of sample i in the weight and the bias of channel k. */
static void gradient_of_one(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                            int i, int k, double *weight, double *bias)
{
    const fmal_layer *l = c->layer;
    fmal_idx from = at(l, i, k);

    *weight = fmal_sum_products(x + from, c->saved[l->mean + k], dy + from, 0,
                                fmal_plane(l)) *
              c->saved[l->variance + k];
    *bias = fmal_sum(dy + from, fmal_plane(l));
}

static void gradient(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                     fmal_real *grad)
{
    const fmal_layer *l = c->layer;

    for (int k = 0; k < l->channels; k++) {
        double weights = 0, biases = 0, weight, bias;

        for (int i = 0; i < c->n; i++) {
            gradient_of_one(c, x, dy, i, k, &weight, &bias);
            weights += weight;
            biases += bias;
        }
        grad[l->weight + k] = (fmal_real) weights;
        grad[l->bias + k] = (fmal_real) biases;
    }
}

static void backward(const fmal_call *c, const fmal_real *x, const fmal_real *y,
                     const fmal_real *dy, fmal_real *dx)
{
    const fmal_layer *l = c->layer;
    double m = (double) c->n * (double) fmal_plane(l);

    (void) y;
    for (int k = 0; k < l->channels; k++) {
        fmal_real mean = c->saved[l->mean + k], r = c->saved[l->variance + k];
        fmal_real scale = c->params[l->weight + k] * r, shift = 0, slope = 0;

        if (c->batch) {
            shift = (fmal_real) (scale * c->grad[l->bias + k] / m);
            slope = (fmal_real) (scale * r * c->grad[l->weight + k] / m);
        }
        for (int i = 0; i < c->n; i++) {
            fmal_idx from = at(l, i, k);

            if (c->batch)
                fmal_mix(dy + from, scale, x + from, -slope, mean * slope - shift,
                         fmal_plane(l), dx + from);
            else
                fmal_scale(dy + from, 0, scale, 0, fmal_plane(l), dx + from);
        }
    }
}

static void squares(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                    fmal_real *sum)
{
    const fmal_layer *l = c->layer;

    for (int k = 0; k < l->channels; k++)
        for (int i = 0; i < c->n; i++) {
            double weight, bias;

            gradient_of_one(c, x, dy, i, k, &weight, &bias);
            sum[l->weight + k] += (fmal_real) (weight * weight);
            sum[l->bias + k] += (fmal_real) (bias * bias);
        }
}

static void masked(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                   const fmal_idx *index, fmal_idx count, fmal_real *out,
                   fmal_idx stride)
{
    const fmal_layer *l = c->layer;

    for (int i = 0; i < c->n; i++)
        for (fmal_idx j = 0; j < count; j++) {
            bool is_bias = index[j] >= l->bias;
            double weight, bias;

            gradient_of_one(c, x, dy, i,
                            (int) (index[j] - (is_bias ? l->bias : l->weight)), &weight,
                            &bias);
            out[i * stride + j] = (fmal_real) (is_bias ? bias : weight);
        }
}

const fmal_layer_ops FMAL_REAL(fmal_batchnorm) = { forward, backward, gradient, squares,
                                                   masked };
