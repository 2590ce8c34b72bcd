/*
 * FisherMask (Gul et al. 2024): the search of `bait`, with the gradients of a few
 * parameters anywhere in the network beside those of its last layer.
 *
 *     mask       the parameters with the largest diagonal Fisher information over some
 *                images of the pool (mask.h); or a given one
 *     Jacobian   T_i of every sample's logits in those outside of the head (fisher.h)
 *     search     on V_i = S_i [ I (x) h_i^T , T_i ] (fmal_factor_mixed): F over the
 *                whole pool, M over what is labelled
 *
 * A restart makes the mask again, to the bit, and finds in the Jacobian's file the
 * blocks that were done; the search then goes on from its own state.
 *
 * fishent picks the first half of a batch by entropy and the rest like this. The first
 * half then counts as labelled: no candidates any more, in F as all are, and in M, so
 * that the second half looks for what the first does not teach. The public code takes
 * the two halves each for itself.
 */
#include "strategy_impl.h"
#include "fmal/log.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

/* ---- Mask, Jacobian, factors ---- */

/* This query's mask: the given one, borrowed, or *made, the caller's to clear. */
static fmal_status find_mask(const fmal_query *q, const fmal_watch *watch,
                             fmal_mask *made, const fmal_mask **mask)
{
    const fmal_masking *masking = q->masking;
    fmal_mask_options make = masking->make;

    *mask = masking->mask;
    if (*mask)
        return FMAL_OK;
    make.seed = q->seed;
    make.round = q->round;
    FMAL_TRY(fmal_mask_make(q->ctx, q->net, q->set, &make, watch, made));
    *mask = made;
    return FMAL_OK;
}

/* The factors borrow from features, probabilities and the Jacobian. */
static fmal_status make_factor(const fmal_query *q, const fmal_mask *mask,
                               const fmal_jacobian *jacobian, fmal_factor **out)
{
    if (mask->extra + (fmal_idx) q->c * q->d > INT_MAX / 2)
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "a mask of %" PRId64 " parameters is too large; take a "
                         "smaller --mask-fraction",
                         mask->count);
    return fmal_factor_mixed(q->ctx, q->part, q->features, q->probs, jacobian->rows,
                             q->d, q->c, (int) mask->extra, q->masking->unweighted,
                             out);
}

static fmal_status pick_masked(const fmal_query *q, fmal_batch *out)
{
    const fmal_watch watch = { q->keeper.stop, q->phases };
    const fmal_mask *mask = NULL;
    fmal_mask made = { 0 };
    fmal_jacobian jacobian = { 0 };
    fmal_factor *factor = NULL;
    fmal_status st = find_mask(q, &watch, &made, &mask);

    if (st == FMAL_OK)
        st = fmal_fisher_jacobian(q->ctx, q->net, q->set, &q->set->train, mask,
                                  &q->masking->jacobian, &watch, &jacobian);
    if (st == FMAL_OK) {
        fmal_log(FMAL_LOG_INFO, "mask",
                 "masked=%" PRId64 " outside_of_head=%" PRId64 " images=%" PRId64,
                 mask->count, mask->extra, mask->n_samples);
        st = make_factor(q, mask, &jacobian, &factor);
    }
    if (st == FMAL_OK)
        st = fmal_search(q, factor, out);
    fmal_factor_destroy(&factor);
    fmal_jacobian_clear(&jacobian);
    fmal_mask_clear(&made);
    return st;
}

/* ---- Half by entropy ---- */

fmal_idx fmal_entropy_half(fmal_idx k)
{
    return (k + 1) / 2;
}

/* role [part->count] of the query, with these samples labelled. */
static fmal_status label(const fmal_query *q, const fmal_batch *batch, uint8_t **role)
{
    fmal_idx n = q->part->count;

    FMAL_TRY(fmal_agree(q->ctx, FMAL_ALLOC(role, n)));
    if (n > 0)
        memcpy(*role, q->role, (size_t) n);
    for (fmal_idx i = 0; i < batch->n; i++) {
        fmal_idx il = batch->index[i] - q->part->first;

        if (il >= 0 && il < n)
            (*role)[il] = FMAL_LABELLED;
    }
    return FMAL_OK;
}

/* Put a batch before another one's picks. */
static fmal_status prepend(const fmal_batch *first, fmal_batch *batch)
{
    fmal_idx *index = NULL, n = first->n + batch->n;
    double *score = NULL;
    fmal_status st = FMAL_ALLOC(&index, n);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&score, n);
    if (st != FMAL_OK) {
        fmal_free(&index);
        return st;
    }
    for (fmal_idx i = 0; i < n; i++) {
        bool second = i >= first->n;

        index[i] = second ? batch->index[i - first->n] : first->index[i];
        score[i] = second ? batch->score[i - first->n] : first->score[i];
    }
    fmal_free(&batch->index);
    fmal_free(&batch->score);
    batch->index = index;
    batch->score = score;
    batch->n = n;
    return FMAL_OK;
}

/* The second half of a batch; *out is complete. */
static fmal_status pick_rest(const fmal_query *q, const fmal_batch *first,
                             fmal_batch *out)
{
    fmal_query rest = *q;
    fmal_batch batch = { 0 };
    uint8_t *role = NULL;
    fmal_status st = label(q, first, &role);

    rest.role = role;
    rest.options.batch = q->options.batch - first->n;
    if (st == FMAL_OK)
        st = pick_masked(&rest, &batch);
    if (st == FMAL_OK)
        st = fmal_agree(q->ctx, prepend(first, &batch));
    fmal_free(&role);
    if (st != FMAL_OK)
        fmal_batch_clear(&batch);
    else
        *out = batch;
    return st;
}

static fmal_status pick_halves(const fmal_query *q, fmal_batch *out)
{
    fmal_batch first = { 0 };

    FMAL_TRY(fmal_pick_entropy(q, fmal_entropy_half(q->options.batch), &first));
    if (first.n == q->options.batch) { /* a batch of one */
        *out = first;
        return FMAL_OK;
    }
    fmal_status st = pick_rest(q, &first, out);
    fmal_batch_clear(&first);
    return st;
}

static const char *const masked_options[] = { "lambda",
                                              "oversample",
                                              "labelled-fisher",
                                              "grid",
                                              "select",
                                              "lazy",
                                              "precision",
                                              "mask-method",
                                              "mask-fraction",
                                              "mask-samples",
                                              "mask",
                                              "mask-images",
                                              "weighting",
                                              "jacobian-memory",
                                              NULL };

const fmal_strategy fmal_strategy_fishermask = {
    .name = "fishermask",
    .summary = "bait on the most informative parameters of the whole network: "
               "FisherMask (Gul et al. 2024); wants the network",
    .score = "fall of tr(M^-1 F) when added",
    .unit = NULL,
    .time = "c passes back through the network a sample, then as bait with D = c d + "
            "m', 4 n c^2 (d + m') / P a step",
    .memory = "n (8 d + 16 c + 4 c^2 + 4 c m') / P + 32 D^2 / (ranks of the grid) "
              "bytes, D = c d + m'",
    .options = masked_options,
    .likelihood = FMAL_LIKELIHOOD_FULL,
    .searches = true,
    .needs_network = true,
    .pick = pick_masked,
};

const fmal_strategy fmal_strategy_fishent = {
    .name = "fishent",
    .summary = "half of the batch by entropy, then as fishermask from the rest; wants "
               "the network",
    .score = "entropy (nat) of the first half, then fall of tr(M^-1 F) when added",
    .unit = NULL,
    .time = "as fishermask, with half as many steps",
    .memory = "as fishermask",
    .options = masked_options,
    .likelihood = FMAL_LIKELIHOOD_FULL,
    .searches = true,
    .needs_network = true,
    .pick = pick_halves,
};
