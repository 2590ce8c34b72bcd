/* Pools for the tests of the engine: this rank's share of arrays that every rank holds.
 */
#ifndef FMAL_POOL_SUPPORT_H
#define FMAL_POOL_SUPPORT_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fmal/mem.h"
#include "fmal/select.h"
#include "fmal_test.h"

/* A whole pool, the same on every rank. */
typedef struct {
    int n, d, c, n_labelled, n_excluded;
    float *features; /* [n, d] */
    double *probs;   /* [n, c] */
    fmal_idx *labelled, *excluded;
} whole_pool;

static inline void pool_clear(whole_pool *pool)
{
    fmal_free(&pool->features);
    fmal_free(&pool->probs);
    fmal_free(&pool->labelled);
    fmal_free(&pool->excluded);
}

static inline void softmax(const float *logits, int c, double *p)
{
    double top = logits[0], sum = 0;

    for (int k = 1; k < c; k++)
        top = fmax(top, logits[k]);
    for (int k = 0; k < c; k++)
        sum += p[k] = exp(logits[k] - top);
    for (int k = 0; k < c; k++)
        p[k] /= sum;
}

/* What a selection works on: this rank's share of a whole pool. */
typedef struct {
    fmal_part part;
    fmal_factor *factor;
    uint8_t *role;
    fmal_problem problem;
} pool_share;

static inline void set_roles(pool_share *share, const fmal_idx *list, int n,
                             fmal_role role)
{
    const fmal_part *part = &share->part;

    for (int i = 0; i < n; i++)
        if (list[i] >= part->first && list[i] < part->first + part->count)
            share->role[list[i] - part->first] = (uint8_t) role;
}

/* block: samples of a block, so that small pools have several. Cleared by the caller;
   the share must stay where it is. */
static inline fmal_status share_init(pool_share *share, const fmal_ctx *ctx,
                                     const whole_pool *pool, int block,
                                     fmal_likelihood likelihood, int top)
{
    *share = (pool_share){ .part = fmal_part_make(pool->n, block, ctx) };
    const fmal_part *part = &share->part;
    FMAL_TRY(FMAL_ALLOC(&share->role, part->count));
    set_roles(share, pool->labelled, pool->n_labelled, FMAL_LABELLED);
    set_roles(share, pool->excluded, pool->n_excluded, FMAL_EXCLUDED);
    FMAL_TRY(fmal_factor_kron_of(ctx, part, pool->features + part->first * pool->d,
                                 pool->probs + part->first * pool->c, pool->d, pool->c,
                                 likelihood, top, &share->factor));
    share->problem = (fmal_problem){ ctx, share->factor, part, share->role };
    return FMAL_OK;
}

static inline void share_clear(pool_share *share)
{
    fmal_factor_destroy(&share->factor);
    fmal_free(&share->role);
}

static inline fmal_status state_copy(const fmal_select_state *from,
                                     fmal_select_state *to)
{
    *to = *from;
    FMAL_TRY(FMAL_ALLOC(&to->added, from->n_added));
    FMAL_TRY(FMAL_ALLOC(&to->gain, from->n_added));
    FMAL_TRY(FMAL_ALLOC(&to->removed, from->n_removed));
    FMAL_TRY(FMAL_ALLOC(&to->loss, from->n_removed));
    for (fmal_idx i = 0; i < from->n_added; i++) {
        to->added[i] = from->added[i];
        to->gain[i] = from->gain[i];
    }
    for (fmal_idx i = 0; i < from->n_removed; i++) {
        to->removed[i] = from->removed[i];
        to->loss[i] = from->loss[i];
    }
    return FMAL_OK;
}

static inline void state_clear(fmal_select_state *state)
{
    fmal_free(&state->added);
    fmal_free(&state->gain);
    fmal_free(&state->removed);
    fmal_free(&state->loss);
}

/* The same steps with the same bits, refreshes included. */
static inline bool same_state(const fmal_select_state *a, const fmal_select_state *b)
{
    size_t added = (size_t) a->n_added, removed = (size_t) a->n_removed;

    return a->n_added == b->n_added && a->n_removed == b->n_removed &&
           a->refresh_step == b->refresh_step && a->refresh_score == b->refresh_score &&
           a->before == b->before &&
           memcmp(a->added, b->added, added * sizeof *a->added) == 0 &&
           memcmp(a->gain, b->gain, added * sizeof *a->gain) == 0 &&
           memcmp(a->removed, b->removed, removed * sizeof *a->removed) == 0 &&
           memcmp(a->loss, b->loss, removed * sizeof *a->loss) == 0;
}

static inline bool same_selection(const fmal_selection *a, const fmal_selection *b)
{
    size_t n = (size_t) a->n;

    return a->n == b->n && a->before == b->before && a->after == b->after &&
           memcmp(a->index, b->index, n * sizeof *a->index) == 0 &&
           memcmp(a->score, b->score, n * sizeof *a->score) == 0;
}

/* Run a selection on this rank's share: from the beginning or a saved state, to the end
   or until `stop_after` steps are done in all (never if negative). left and out, unless
   NULL, get the state then and the selection; cleared by the caller. */
static inline fmal_status select_batch(const fmal_ctx *ctx, const whole_pool *pool,
                                       int block, const fmal_select_options *options,
                                       const fmal_select_state *from,
                                       fmal_idx stop_after, fmal_select_state *left,
                                       fmal_selection *out)
{
    pool_share share;
    fmal_selector *s = NULL;
    fmal_status st =
        share_init(&share, ctx, pool, block, options->likelihood, options->topc);

    if (st == FMAL_OK)
        st = from ? fmal_selector_restore(&share.problem, options, from, NULL, &s)
                  : fmal_selector_create(&share.problem, options, NULL, &s);
    while (st == FMAL_OK && !fmal_selector_finished(s) &&
           (stop_after < 0 || fmal_selector_done(s) < stop_after))
        st = fmal_selector_step(s, NULL);
    if (st == FMAL_OK && left)
        st = state_copy(fmal_selector_state(s), left);
    if (st == FMAL_OK && out)
        st = fmal_selector_finish(s, out);
    fmal_selector_destroy(&s);
    share_clear(&share);
    return st;
}

#endif
