/* Pools for the tests of the engine: this rank's share of arrays that every rank holds. */
#ifndef FMAL_POOL_SUPPORT_H
#define FMAL_POOL_SUPPORT_H

#include <math.h>
#include <stdlib.h>

#include "fmal/mem.h"
#include "fmal/select.h"
#include "fmal_test.h"

/* A whole pool, the same on every rank. */
typedef struct {
    int n, d, c, n_labelled;
    float *features; /* [n, d] */
    double *probs;   /* [n, c] */
    fmal_idx *labelled;
} whole_pool;

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

/* Run a whole selection on this rank's share. block: samples of a block, so that small
   pools have several. The selection is cleared by the caller. */
static inline fmal_status select_batch(const fmal_ctx *ctx, const whole_pool *pool,
                                       int block, const fmal_select_options *options,
                                       const fmal_select_state *from, fmal_idx stop_after,
                                       fmal_select_state *left, fmal_selection *out)
{
    fmal_part part = fmal_part_make(pool->n, block, ctx);
    fmal_factor *factor = NULL;
    fmal_selector *s = NULL;
    uint8_t *role = NULL;
    fmal_status st = FMAL_ALLOC(&role, part.count);

    for (int i = 0; i < pool->n_labelled && st == FMAL_OK; i++)
        if (pool->labelled[i] >= part.first && pool->labelled[i] < part.first + part.count)
            role[pool->labelled[i] - part.first] = FMAL_LABELLED;
    if (st == FMAL_OK)
        st = fmal_factor_kron(ctx, &part, pool->features + part.first * pool->d,
                              pool->probs + part.first * pool->c, pool->d, pool->c,
                              &factor);
    fmal_problem problem = { ctx, factor, &part, role };
    if (st == FMAL_OK)
        st = from ? fmal_selector_restore(&problem, options, from, NULL, &s)
                  : fmal_selector_create(&problem, options, NULL, &s);
    while (st == FMAL_OK && !fmal_selector_finished(s) &&
           (stop_after < 0 || fmal_selector_done(s) < stop_after))
        st = fmal_selector_step(s, NULL);
    if (st == FMAL_OK && left) {
        const fmal_select_state *now = fmal_selector_state(s);

        *left = *now;
        FMAL_TRY(FMAL_ALLOC(&left->added, now->n_added));
        FMAL_TRY(FMAL_ALLOC(&left->gain, now->n_added));
        FMAL_TRY(FMAL_ALLOC(&left->removed, now->n_removed));
        FMAL_TRY(FMAL_ALLOC(&left->loss, now->n_removed));
        for (fmal_idx i = 0; i < now->n_added; i++) {
            left->added[i] = now->added[i];
            left->gain[i] = now->gain[i];
        }
        for (fmal_idx i = 0; i < now->n_removed; i++) {
            left->removed[i] = now->removed[i];
            left->loss[i] = now->loss[i];
        }
    }
    if (st == FMAL_OK && out)
        st = fmal_selector_finish(s, out);
    fmal_selector_destroy(&s);
    fmal_factor_destroy(&factor);
    fmal_free(&role);
    return st;
}

#endif
