/* Shared by the strategies. */
#ifndef FMAL_STRATEGY_IMPL_H
#define FMAL_STRATEGY_IMPL_H

#include "fmal/strategy.h"

extern const fmal_strategy fmal_strategy_random;
extern const fmal_strategy fmal_strategy_entropy;
extern const fmal_strategy fmal_strategy_margin;
extern const fmal_strategy fmal_strategy_confidence;
extern const fmal_strategy fmal_strategy_bait;
extern const fmal_strategy fmal_strategy_bait_topc;
extern const fmal_strategy fmal_strategy_bait_binary;
extern const fmal_strategy fmal_strategy_fishermask;
extern const fmal_strategy fmal_strategy_fishent;

/* The k best of the candidates by score [part->count], best first. Collective. */
fmal_status fmal_pick_best(const fmal_ctx *ctx, const fmal_part *part,
                           const uint8_t *role, const double *score, fmal_idx k,
                           fmal_batch *out);

/* The k candidates of the largest entropy, most uncertain first. Collective. */
fmal_status fmal_pick_entropy(const fmal_query *q, fmal_idx k, fmal_batch *out);

/* A greedy search on these factors, saved and stopped by q->keeper. Collective. */
fmal_status fmal_search(const fmal_query *q, const fmal_factor *factor,
                        fmal_batch *out);

/* Samples that fishent picks by entropy in a batch of k. */
fmal_idx fmal_entropy_half(fmal_idx k);

#endif
