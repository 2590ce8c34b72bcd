#include "train_impl.h"

#include <math.h>
#include <string.h>

/* Numbers kept for each weight. */
static const int kept[] = { [FMAL_ADAM] = 2, [FMAL_SGD] = 1 };

fmal_idx fmal_optim_count(const fmal_train_options *options, fmal_idx size)
{
    return kept[options->optimizer] * size;
}

/* Kingma and Ba 2015, arXiv:1412.6980, algorithm 1 (docs/references.bib:
   kingma2015adam); weight decay as part of the gradient. */
static void adam(const fmal_train_options *opt, double rate, int64_t step,
                 const double *g, int n, float *mean, float *square, float *w)
{
    const double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    const double unbias1 = 1 / (1 - pow(beta1, (double) step));
    const double unbias2 = 1 / (1 - pow(beta2, (double) step));

    for (int i = 0; i < n; i++) {
        double gi = g[i] + opt->weight_decay * w[i];
        double m = beta1 * mean[i] + (1 - beta1) * gi;
        double v = beta2 * square[i] + (1 - beta2) * gi * gi;

        mean[i] = (float) m;
        square[i] = (float) v;
        w[i] -= (float) (rate * (m * unbias1) / (sqrt(v * unbias2) + epsilon));
    }
}

/* Momentum: the velocity is a decaying sum of gradients. Nesterov's goes on by the next
   step's share of it, in the form in which weights are those at which the gradient is
   computed (Sutskever et al. 2013, PMLR 28(3):1139, section 2; docs/references.bib:
   sutskever2013importance). */
static void sgd(const fmal_train_options *opt, double rate, const double *g, int n,
                float *velocity, float *w)
{
    for (int i = 0; i < n; i++) {
        double gi = g[i] + opt->weight_decay * w[i];
        double v = opt->momentum * velocity[i] + gi;

        velocity[i] = (float) v;
        w[i] -= (float) (rate * (opt->nesterov ? gi + opt->momentum * v : v));
    }
}

bool fmal_optim_update(fmal_optim *o, double rate, int64_t step, fmal_idx first,
                       const double *g, int n, float *w)
{
    float *state = o->state + first;

    if (o->options->optimizer == FMAL_ADAM)
        adam(o->options, rate, step, g, n, state, state + o->size, w + first);
    else
        sgd(o->options, rate, g, n, state, w + first);

    bool finite = isfinite(fmal_largest(w + first, n));
    for (fmal_idx at = 0; at < o->count; at += o->size)
        finite = finite && isfinite(fmal_largest(state + at, n));
    return finite;
}

/* Without their sign bit, floats are ordered as their bits are, with Inf and then NaN
   above all others: one pass finds the largest and what is not finite. */
double fmal_largest(const float *x, fmal_idx n)
{
    const uint32_t infinite = 0x7F800000u;
    uint32_t top = 0;
    float largest;

    for (fmal_idx i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7FFFFFFFu;
        top = bits > top ? bits : top;
    }
    if (top >= infinite)
        return INFINITY;
    memcpy(&largest, &top, sizeof largest);
    return largest;
}
