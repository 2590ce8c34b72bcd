#include "strategy_impl.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <string.h>

/* Identifier and name. C has no way to read a name from another file's object, so it is
   spelt here too; a test compares them. */
#define ALL_STRATEGIES(X)                                                              \
    X(random, "random")                                                                \
    X(entropy, "entropy")                                                              \
    X(margin, "margin")                                                                \
    X(confidence, "confidence")                                                        \
    X(bait, "bait")                                                                    \
    X(bait_topc, "bait-topc")                                                          \
    X(bait_binary, "bait-binary")                                                      \
    X(fishermask, "fishermask")                                                        \
    X(fishent, "fishent")

const char *const fmal_strategy_names[] = {
#define NAME(id, name) name,
    ALL_STRATEGIES(NAME)
#undef NAME
        NULL
};

static const fmal_strategy *const all[] = {
#define ENTRY(id, name) &fmal_strategy_##id,
    ALL_STRATEGIES(ENTRY)
#undef ENTRY
};

int fmal_strategy_count(void)
{
    return FMAL_COUNT(all);
}

const fmal_strategy *fmal_strategy_at(int i)
{
    return all[i];
}

bool fmal_strategy_honours(const fmal_strategy *strategy, const char *option)
{
    for (const char *const *o = strategy->options; *o; o++)
        if (strcmp(*o, option) == 0)
            return true;
    return false;
}

static fmal_status check_batch(const fmal_query *q)
{
    fmal_idx candidates = 0;

    for (fmal_idx i = 0; i < q->part->count; i++)
        candidates += q->role[i] == FMAL_CANDIDATE;
    candidates = fmal_sum_one(q->ctx, candidates);
    if (q->options.batch < 1 || q->options.batch > candidates)
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "a batch of %" PRId64 " cannot be picked from %" PRId64
                         " candidates (%" PRId64 " samples in all)",
                         q->options.batch, candidates, q->part->n);
    return FMAL_OK;
}

fmal_status fmal_strategy_pick(const fmal_strategy *strategy, const fmal_query *query,
                               fmal_batch *out)
{
    if (query->embeddings && !strategy->takes_embeddings)
        return FMAL_FAIL(
            FMAL_ERR_ARG,
            "the strategy '%s' needs features and probabilities; the pool has "
            "embeddings",
            strategy->name);
    if (strategy->needs_network && !(query->net && query->set && query->masking))
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "the strategy '%s' looks into the network, and there is none",
                         strategy->name);
    FMAL_TRY(check_batch(query));
    return strategy->pick(query, out);
}

void fmal_batch_clear(fmal_batch *batch)
{
    fmal_free(&batch->index);
    fmal_free(&batch->score);
    fmal_free(&batch->added);
    fmal_free(&batch->removed);
    batch->n = batch->forward = batch->backward = 0;
}

/* Their scores too. */
double fmal_pick_best_bytes(fmal_idx samples)
{
    return (double) samples *
           (2 * sizeof(double) + sizeof(fmal_idx) + sizeof(fmal_best));
}

fmal_status fmal_pick_best(const fmal_ctx *ctx, const fmal_part *part,
                           const uint8_t *role, const double *score, fmal_idx k,
                           fmal_batch *out)
{
    fmal_best *best = NULL;
    double *mine = NULL;
    fmal_idx *index = NULL, n = 0, found = 0;
    fmal_batch batch = { 0 };
    fmal_status st = FMAL_ALLOC(&best, k);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&mine, part->count);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&index, part->count);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&batch.index, k);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&batch.score, k);
    for (fmal_idx i = 0; i < part->count && st == FMAL_OK; i++)
        if (role[i] == FMAL_CANDIDATE) {
            mine[n] = score[i];
            index[n++] = part->first + i;
        }
    st = fmal_agree(ctx, st);
    if (st == FMAL_OK)
        st = fmal_topk(ctx, mine, index, n, k, best, &found);
    for (fmal_idx i = 0; i < found && st == FMAL_OK; i++) {
        batch.index[i] = best[i].index_g;
        batch.score[i] = best[i].score;
    }
    batch.n = found;
    fmal_free(&best);
    fmal_free(&mine);
    fmal_free(&index);
    if (st != FMAL_OK)
        fmal_batch_clear(&batch);
    else
        *out = batch;
    return st;
}
