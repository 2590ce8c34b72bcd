/**
 * Queries of strategies that look into a network: a data set, this rank's share, and
 * what the network says of its training split.
 */
#ifndef FMAL_TEST_MASKED_H
#define FMAL_TEST_MASKED_H

#include "fmal/train.h"
#include "queries.h"

typedef struct {
    fmal_net *net;           /* borrowed */
    const fmal_dataset *set; /* borrowed */
    float *features;
    double *probs;
    uint8_t *role;
    fmal_masking masking;
} masked;

/** Every sample a candidate, mask of the first `samples`. Collective. */
static inline masked masked_make(const fmal_ctx *ctx, fmal_net *net,
                                 const fmal_dataset *set, double fraction,
                                 fmal_idx samples)
{
    fmal_idx n = set->train.part.count;
    int d = fmal_net_features(net), c = fmal_net_classes(net);
    float *logits = NULL;
    masked m = { .net = net, .set = set };

    m.masking.make = (fmal_mask_options){ .images = FMAL_IMAGES_FIRST,
                                          .fraction = fraction,
                                          .samples = samples };
    m.masking.jacobian.rows = FMAL_RELATIVE;
    if (FMAL_ALLOC(&m.features, n * d) || FMAL_ALLOC(&m.probs, n * c) ||
        FMAL_ALLOC(&m.role, n) || FMAL_ALLOC(&logits, n * c) ||
        fmal_embed(ctx, net, set, &set->train, m.features, logits, NULL) != FMAL_OK)
        abort();
    fmal_softmax(logits, n, c, m.probs);
    fmal_free(&logits);
    return m;
}

static inline void masked_clear(masked *m)
{
    fmal_free(&m->features);
    fmal_free(&m->probs);
    fmal_free(&m->role);
}

static inline void masked_role(masked *m, fmal_idx ig, fmal_role role)
{
    fmal_idx il = ig - m->set->train.part.first;

    if (il >= 0 && il < m->set->train.part.count)
        m->role[il] = (uint8_t) role;
}

static inline fmal_query masked_query(const fmal_ctx *ctx, const masked *m,
                                      fmal_idx batch)
{
    return (fmal_query){
        .ctx = ctx,
        .part = &m->set->train.part,
        .features = m->features,
        .probs = m->probs,
        .role = m->role,
        .d = fmal_net_features(m->net),
        .c = fmal_net_classes(m->net),
        .net = m->net,
        .set = m->set,
        .masking = &m->masking,
        .options = { .batch = batch, .lambda = 1, .oversample = 2, .topc = 2 },
        .seed = 1
    };
}

#endif
