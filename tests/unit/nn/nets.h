/* Small networks that have every kind of layer, and what tests do with them in double
   precision: a source that includes this sees the double version of pass.h. */
#ifndef FMAL_TEST_NETS_H
#define FMAL_TEST_NETS_H

#define FMAL_REAL_F64
#include "pass.h"

#include "fmal/mem.h"
#include "fmal/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline void build_dense(fmal_net *net, int hidden)
{
    fmal_net_append_dense(net, "hidden", hidden, true);
    fmal_net_append_relu(net);
    fmal_net_append_dense(net, "head", net->classes, false);
}

static inline void build_conv(fmal_net *net, int hidden)
{
    fmal_net_append_conv(net, "conv1", 4, 3, 1, 1, true);
    fmal_net_append_relu(net);
    fmal_net_append_maxpool(net, 2, 2);
    fmal_net_append_conv(net, "conv2", 3, 2, 2, 1, false);
    fmal_net_append_dense(net, "hidden", hidden, true);
    fmal_net_append_dropout(net, 0.3);
    fmal_net_append_dense(net, "head", net->classes, false);
}

/* Two residual blocks, one with a shortcut; one value is read three times, and one sum
   reads the same value twice. */
static inline void build_residual(fmal_net *net, int hidden)
{
    (void) hidden;
    fmal_net_append_conv(net, "conv1", 3, 3, 1, 1, false);
    fmal_net_append_batchnorm(net, "bn1");
    fmal_net_append_relu(net);
    int in = net->at;
    fmal_net_append_conv(net, "conv2", 3, 3, 1, 1, false);
    fmal_net_append_batchnorm(net, "bn2");
    fmal_net_append_add(net, in);
    fmal_net_append_add(net, in);
    fmal_net_append_relu(net);
    int middle = net->at;
    fmal_net_append_conv(net, "conv3", 5, 3, 2, 1, false);
    fmal_net_append_batchnorm(net, "bn3");
    int out = net->at;
    net->at = middle;
    fmal_net_append_conv(net, "shortcut", 5, 1, 2, 0, false);
    fmal_net_append_batchnorm(net, "bn4");
    int other = net->at;
    net->at = out;
    fmal_net_append_add(net, other);
    fmal_net_append_relu(net);
    fmal_net_append_add(net, net->at);
    fmal_net_append_avgpool(net);
    fmal_net_append_dense(net, "head", net->classes, false);
}

/* A network with all that a call of its double version wants. */
typedef struct {
    fmal_net *net;
    fmal_pass pass;
    int n;
    double *params, *stats, *x;
    int32_t *labels;
    fmal_idx *index_g;
} small_net;

static inline void draw_f64(double *x, fmal_idx n, uint64_t which)
{
    fmal_rng r = fmal_rng_stream(11, FMAL_RNG_INITIAL, 0, which);

    for (fmal_idx i = 0; i < n; i++)
        x[i] = fmal_rng_normal(&r);
}

/* Parameters away from their initial values, so that no scale is 1 and no shift 0. */
static inline bool small_net_make(small_net *s, fmal_net_layers *layers,
                                  const int shape[3], int classes, int hidden, int n)
{
    *s = (small_net){ .n = n };
    if (fmal_net_build(layers, shape, classes, hidden, n, &s->net) ||
        FMAL_ALLOC(&s->params, s->net->size) ||
        FMAL_ALLOC(&s->stats, s->net->stats_size) ||
        FMAL_ALLOC(&s->x, (fmal_idx) n * s->net->inputs) || FMAL_ALLOC(&s->labels, n) ||
        FMAL_ALLOC(&s->index_g, n) ||
        fmal_pass_init_f64(&s->pass, s->net, s->params, s->stats, n))
        return false;
    fmal_net_init(s->net, 3, 1);
    draw_f64(s->params, s->net->size, 1);
    draw_f64(s->stats, s->net->stats_size, 2);
    draw_f64(s->x, (fmal_idx) n * s->net->inputs, 3);
    for (fmal_idx i = 0; i < s->net->size; i++)
        s->params[i] = s->net->params[i] + 0.2 * s->params[i];
    for (int i = 0; i < s->net->n_stats; i++) /* variances are positive */
        for (fmal_idx k = 0; i % 2 && k < s->net->stat_tensors[i].count; k++) {
            double *v = &s->stats[s->net->stat_tensors[i].offset + k];

            *v = 0.5 + *v * *v;
        }
    for (int i = 0; i < n; i++) {
        s->labels[i] = (5 * i + 1) % classes;
        s->index_g[i] = 1000 + 7 * i;
    }
    return true;
}

static inline void small_net_clear(small_net *s)
{
    fmal_pass_clear_f64(&s->pass);
    fmal_net_destroy(&s->net);
    fmal_free(&s->params);
    fmal_free(&s->stats);
    fmal_free(&s->x);
    fmal_free(&s->labels);
    fmal_free(&s->index_g);
}

/* The largest |a - b|, relative to the larger of |b| and the mean size of b; infinite
   if a number is missing. */
static inline double worst_of(const double *a, const double *b, fmal_idx n)
{
    double worst = 0, size = 0;

    for (fmal_idx i = 0; i < n; i++)
        size += fabs(b[i]) / (double) n;
    for (fmal_idx i = 0; i < n; i++) {
        double off = fabs(a[i] - b[i]) / fmax(fmax(fabs(b[i]), size), 1e-9);

        if (isnan(off))
            return INFINITY;
        worst = fmax(worst, off);
    }
    return worst;
}

#endif
