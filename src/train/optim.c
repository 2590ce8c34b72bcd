#include "train_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

const char *const fmal_optimizer_names[] = { "adam", "sgd", NULL };

/* Numbers kept for each weight. */
static const int kept[] = { [FMAL_ADAM] = 2, [FMAL_SGD] = 1 };

fmal_status fmal_optim_init(fmal_optim *o, const fmal_train_options *options,
                            fmal_idx size)
{
    fmal_idx count = kept[options->optimizer] * size;
    float *state;

    FMAL_TRY(FMAL_ALLOC(&state, count));
    *o = (fmal_optim){
        .options = options, .state = state, .size = size, .count = count
    };
    return FMAL_OK;
}

void fmal_optim_clear(fmal_optim *o)
{
    fmal_free(&o->state);
}

/* Kingma and Ba 2015, arXiv:1412.6980, algorithm 1 (docs/references.bib:
   kingma2015adam); weight decay as part of the gradient. */
static void adam(const fmal_train_options *opt, int64_t step, const double *g, int n,
                 float *mean, float *square, float *w)
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
        w[i] -= (float) (opt->rate * (m * unbias1) / (sqrt(v * unbias2) + epsilon));
    }
}

/* Classical momentum: the velocity is a decaying sum of gradients. */
static void sgd(const fmal_train_options *opt, const double *g, int n, float *velocity,
                float *w)
{
    for (int i = 0; i < n; i++) {
        double gi = g[i] + opt->weight_decay * w[i];
        double v = opt->momentum * velocity[i] + gi;

        velocity[i] = (float) v;
        w[i] -= (float) (opt->rate * v);
    }
}

bool fmal_optim_update(fmal_optim *o, int64_t step, fmal_idx first, const double *g,
                       int n, float *w)
{
    float *state = o->state + first;

    if (o->options->optimizer == FMAL_ADAM)
        adam(o->options, step, g, n, state, state + o->size, w + first);
    else
        sgd(o->options, g, n, state, w + first);

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
