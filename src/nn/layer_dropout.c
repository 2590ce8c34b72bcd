/*
 * Dropout (Srivastava et al. 2014, JMLR 15; docs/references.bib:
 * srivastava2014dropout).
 *
 * What a sample loses follows from seed, round, epoch, the layer and the sample's
 * global index, so that it is the same on whichever rank and in whichever batch the
 * sample is computed, and backward draws again what forward has drawn. Works in place.
 */
#include "layer.h"

#include "fmal/rng.h"

#include <assert.h>
#include <string.h>

/* One stream for each sample, epoch and layer: index below 2^36, layer below 2^8, epoch
   below 2^20. */
static fmal_rng stream(const fmal_call *c, int i)
{
    const fmal_net_batch *b = c->batch;
    uint64_t index = (uint64_t) b->index_g[i], layer = (uint64_t) c->place;

    assert(index >> 36 == 0 && layer >> 8 == 0 && b->epoch >> 20 == 0);
    return fmal_rng_stream(b->seed, FMAL_RNG_DROPOUT, b->round,
                           (uint64_t) b->epoch << 44 | layer << 36 | index);
}

static void apply(const fmal_call *c, const fmal_real *from, fmal_real *to)
{
    double drop = c->layer->drop;
    fmal_real grow = (fmal_real) (1 / (1 - drop));

    for (int i = 0; i < c->n; i++) {
        fmal_rng r = stream(c, i);

        for (int j = 0; j < c->layer->outputs; j++, from++, to++)
            *to = fmal_rng_uniform(&r) < drop ? 0 : *from * grow;
    }
}

static void pass_on(const fmal_call *c, const fmal_real *from, fmal_real *to)
{
    if (c->batch)
        apply(c, from, to);
    else if (from != to)
        memcpy(to, from, (size_t) c->n * (size_t) c->layer->outputs * sizeof *to);
}

static void forward(const fmal_call *c, const fmal_real *x, const fmal_real *x2,
                    fmal_real *y)
{
    (void) x2;
    pass_on(c, x, y);
}

static void backward(const fmal_call *c, const fmal_real *x, const fmal_real *y,
                     const fmal_real *dy, fmal_real *dx)
{
    (void) x;
    (void) y;
    pass_on(c, dy, dx);
}

const fmal_layer_ops FMAL_REAL(fmal_dropout) = { .forward = forward,
                                                 .backward = backward };
