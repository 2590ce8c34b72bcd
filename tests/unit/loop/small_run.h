/**
 * Small runs in memory, and copies of their states that are exactly as long as what a
 * checkpoint holds, so that a sanitizer sees who reads further.
 */
#ifndef FMAL_TEST_SMALL_RUN_H
#define FMAL_TEST_SMALL_RUN_H

#include <stdio.h>

#include "../train/blobs.h"
#include "fmal/loop.h"
#include "fmal_test.h"

enum { TRAIN = 53, TEST = 17, INITIAL = 7, BATCH = 5, ROUNDS = 2, EPOCHS = 4 };

static inline const fmal_strategy *strategy_named(const char *name)
{
    for (int i = 0; i < fmal_strategy_count(); i++)
        if (strcmp(fmal_strategy_at(i)->name, name) == 0)
            return fmal_strategy_at(i);
    abort();
}

static inline fmal_run_options small_options(const char *strategy)
{
    return (fmal_run_options){
        .arch = "mlp",
        .hidden = BLOB_HIDDEN,
        .strategy = strategy_named(strategy),
        .initial = INITIAL,
        .rounds = ROUNDS,
        .select = { .batch = BATCH, .lambda = 1e-4, .oversample = 2, .topc = 2 },
        .train = { .optimizer = FMAL_ADAM,
                   .rate = 0.02,
                   .batch = 6,
                   .micro_batch = 4,
                   .max_epochs = EPOCHS,
                   .stop_accuracy = 2,
                   .seed = 3 },
        .seed = 3,
    };
}

static inline fmal_dataset small_set(const fmal_ctx *ctx)
{
    fmal_dataset set = blobs(ctx, TRAIN, TEST);

    set.path = fmal_strdup("blobs");
    return set;
}

static inline void small_set_clear(fmal_dataset *set)
{
    fmal_free(&set->path);
    blobs_clear(set);
}

static inline void *bytes_copy(const void *from, fmal_idx count, size_t size)
{
    char *to = malloc((size_t) count * size + (count == 0));

    if (!to)
        abort();
    if (count > 0)
        memcpy(to, from, (size_t) count * size);
    return to;
}

#define ARRAY_COPY(from, count) bytes_copy((from), (count), sizeof *(from))

static inline int64_t rounds_in(const fmal_run_state *s)
{
    return s->stage == FMAL_STAGE_TRAIN ? s->rounds_done + 1 : s->rounds_done;
}

static inline int64_t batches_in(const fmal_run_state *s)
{
    return s->stage == FMAL_STAGE_PICK ? s->round : s->round + 1;
}

/* Freed by fmal_run_state_clear. */
static inline fmal_run_state state_copy(const fmal_run_state *from)
{
    fmal_run_state s = *from;

    s.rounds = ARRAY_COPY(from->rounds, rounds_in(from));
    s.right = ARRAY_COPY(from->right, from->rounds_done * from->classes);
    s.picks = ARRAY_COPY(from->picks, from->n_picks);
    s.first_pick = ARRAY_COPY(from->first_pick, batches_in(from) + 1);
    s.pick_labels = ARRAY_COPY(from->pick_labels, from->n_picks);
    s.pick_scores = ARRAY_COPY(from->pick_scores, from->n_picks);
    s.params = ARRAY_COPY(from->params, from->n_params);
    s.stats = ARRAY_COPY(from->stats, from->n_stats);
    s.optimizer = ARRAY_COPY(from->optimizer, from->n_optimizer);
    if (s.has_selection) {
        fmal_select_state *to = &s.selection;

        to->added = ARRAY_COPY(to->added, to->n_added);
        to->gain = ARRAY_COPY(to->gain, to->n_added);
        to->removed = ARRAY_COPY(to->removed, to->n_removed);
        to->loss = ARRAY_COPY(to->loss, to->n_removed);
    }
    return s;
}

/* What hooks saw of a run. */
typedef struct {
    enum { MAX_SAVES = 200 } most;
    fmal_run_state saved[MAX_SAVES];
    int saves, picked, rounds;
    bool in_order;          /* rounds were trained and picked in turn */
    fmal_status save_gives; /* what saving returns */
} witness;

static inline fmal_status on_save(void *arg, const fmal_run_state *state)
{
    witness *w = arg;

    if (w->saves == MAX_SAVES)
        abort();
    w->saved[w->saves++] = state_copy(state);
    if (w->save_gives != FMAL_OK)
        return FMAL_FAIL(w->save_gives, "no room");
    return FMAL_OK;
}

static inline fmal_status on_round(void *arg, const fmal_run_state *state,
                                   int64_t round)
{
    witness *w = arg;

    w->in_order &= state->rounds_done == round + 1;
    w->rounds++;
    return FMAL_OK;
}

static inline fmal_status on_picked(void *arg, const fmal_run_state *state,
                                    int64_t round, const fmal_batch *batch)
{
    witness *w = arg;

    w->in_order &= state->rounds_done == round && batch->n == BATCH &&
                   state->n_picks == INITIAL + round * BATCH;
    w->picked++;
    return FMAL_OK;
}

static inline fmal_run_hooks hooks_of(witness *w)
{
    *w = (witness){ .in_order = true };
    return (fmal_run_hooks){
        .arg = w, .save = on_save, .round = on_round, .picked = on_picked
    };
}

static inline void witness_clear(witness *w)
{
    for (int i = 0; i < w->saves; i++)
        fmal_run_state_clear(&w->saved[i]);
    w->saves = 0;
}

/* Whether two finished runs agree in every bit but for seconds. */
static inline bool same_end(const fmal_run_state *a, const fmal_run_state *b)
{
    bool same = a->stage == FMAL_STAGE_DONE && b->stage == FMAL_STAGE_DONE &&
                a->round == b->round && a->rounds_done == b->rounds_done &&
                a->n_picks == b->n_picks && a->n_params == b->n_params;

    for (int64_t r = 0; same && r < a->rounds_done; r++) {
        fmal_round x = a->rounds[r], y = b->rounds[r];

        x.seconds_pick = x.seconds_train = y.seconds_pick = y.seconds_train = 0;
        same = same_bits(&x, &y, sizeof x);
    }
    return same &&
           same_bits(a->right, b->right,
                     (size_t) (a->rounds_done * a->classes) * sizeof *a->right) &&
           same_bits(a->picks, b->picks, (size_t) a->n_picks * sizeof *a->picks) &&
           same_bits(a->first_pick, b->first_pick,
                     (size_t) (batches_in(a) + 1) * sizeof *a->first_pick) &&
           same_bits(a->pick_labels, b->pick_labels,
                     (size_t) a->n_picks * sizeof *a->pick_labels) &&
           same_bits(a->pick_scores, b->pick_scores,
                     (size_t) a->n_picks * sizeof *a->pick_scores) &&
           same_bits(a->params, b->params, (size_t) a->n_params * sizeof *a->params);
}

/* A run from a state, or from the start if it is NULL; *end is its last state. */
static inline fmal_status run_from(const fmal_run_setup *setup,
                                   const fmal_run_state *from, fmal_run_state *end)
{
    fmal_run *run = NULL;
    fmal_status st =
        from ? fmal_run_resume(setup, from, &run) : fmal_run_start(setup, &run);

    if (st == FMAL_OK)
        st = fmal_run_rounds(run);
    if (run && end)
        *end = state_copy(fmal_run_now(run));
    fmal_run_end(&run);
    return st;
}

#endif
