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

/* The k best of the candidates by score [part->count], best first. Collective. */
fmal_status fmal_pick_best(const fmal_ctx *ctx, const fmal_part *part,
                           const uint8_t *role, const double *score, fmal_idx k,
                           fmal_batch *out);

#endif
