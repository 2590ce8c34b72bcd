#include "strategy_impl.h"
#include "fmal/mem.h"
#include "fmal/rng.h"

fmal_status fmal_draw(const fmal_ctx *ctx, const fmal_part *part, const uint8_t *role,
                      fmal_idx k, uint64_t seed, int purpose, uint32_t round,
                      fmal_batch *out)
{
    double *score = NULL;
    fmal_status st = fmal_agree(ctx, FMAL_ALLOC(&score, part->count));

    for (fmal_idx i = 0; i < part->count && st == FMAL_OK; i++) {
        fmal_rng r = fmal_rng_stream(seed, (fmal_rng_purpose) purpose, round,
                                     (uint64_t) (part->first + i));

        score[i] = 1 - fmal_rng_uniform(&r);
    }
    if (st == FMAL_OK)
        st = fmal_pick_best(ctx, part, role, score, k, out);
    fmal_free(&score);
    return st;
}

static fmal_status pick(const fmal_query *q, fmal_batch *out)
{
    return fmal_draw(q->ctx, q->part, q->role, q->options.batch, q->seed, FMAL_RNG_PICK,
                     q->round, out);
}

static const char *const no_options[] = { NULL };

const fmal_strategy fmal_strategy_random = {
    .name = "random",
    .summary = "samples drawn at random, without replacement",
    .score = "random key",
    .unit = NULL,
    .time = "n / P",
    .memory = "n (4 d + 12 c + 10) / P bytes",
    .options = no_options,
    .takes_embeddings = true,
    .pick = pick,
};
