/**
 * States of a run with something in every field, and whether two are equal.
 */
#ifndef FMAL_TEST_STATES_H
#define FMAL_TEST_STATES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fmal/ckpt.h"
#include "fmal/io.h"
#include "fmal/mem.h"
#include "fmal_test.h"

enum {
    INITIAL = 4,
    BATCH = 3,
    ROUND = 2,
    PARAMS = 11,
    STATS = 3,
    OPTIMISER = 5,
    CLASSES = 3
};

/** Picks up to a stage of ROUND. */
static inline int64_t picks_at(fmal_stage stage)
{
    return INITIAL + (stage == FMAL_STAGE_PICK ? ROUND - 1 : ROUND) * BATCH;
}

static inline void *room(fmal_idx count, size_t size)
{
    void *p = NULL;

    if (fmal_alloc(&p, count, size) != FMAL_OK)
        abort();
    return p;
}

static inline fmal_select_state selection_state(void)
{
    fmal_select_state s = { .n_added = 6,
                            .n_removed = 2,
                            .added = room(6, sizeof(fmal_idx)),
                            .removed = room(2, sizeof(fmal_idx)),
                            .gain = room(6, sizeof(double)),
                            .loss = room(2, sizeof(double)),
                            .refresh_step = 5,
                            .refresh_score = 0.1 + 1e-17,
                            .before = 1.0 / 3 };

    for (int i = 0; i < 6; i++) {
        s.added[i] = 1000 - 7 * i;
        s.gain[i] = 1.0 / (i + 3);
    }
    for (int i = 0; i < 2; i++) {
        s.removed[i] = s.added[3 * i];
        s.loss[i] = 1e-300 / (i + 7);
    }
    return s;
}

/** Freed by fmal_run_state_clear. */
static inline fmal_run_state state_at(fmal_stage stage)
{
    fmal_run_state s = {
        .round = ROUND,
        .stage = stage,
        .rounds_done = ROUND + (stage == FMAL_STAGE_DONE),
        .rounds = room(ROUND + 1, sizeof(fmal_round)),
        .classes = CLASSES,
        .right = room((ROUND + 1) * CLASSES, sizeof(int64_t)),
        .n_picks = picks_at(stage),
        .picks = room(picks_at(stage), sizeof(fmal_idx)),
        .first_pick = room(ROUND + 2, sizeof(int64_t)),
        .pick_labels = room(picks_at(stage), sizeof(int32_t)),
        .pick_scores = room(picks_at(stage), sizeof(double)),
        .params = room(PARAMS, sizeof(float)),
        .n_params = PARAMS,
        .stats = room(STATS, sizeof(float)),
        .n_stats = STATS,
        .optimizer = room(OPTIMISER, sizeof(float)),
        .n_optimizer = stage == FMAL_STAGE_TRAIN ? OPTIMISER : 0,
        .events_bytes = 123456789012,
        .seconds = 0.1,
    };

    if (stage == FMAL_STAGE_TRAIN)
        s.trained = (fmal_train_count){ 17, (int64_t) 1 << 40, 11, 1.0 / 3 };
    for (int r = 0; r < ROUND + 1; r++)
        s.rounds[r] =
            (fmal_round){ 10 + r,        20 + r,        1.0 / (r + 3), 2.0 / (r + 3),
                          4.0 / (r + 7), 5.0 / (r + 7), 6.0 / (r + 7), 8.0 / (r + 7),
                          9.0 / (r + 7), 10.0 / (r + 7) };
    for (int i = 0; i < (ROUND + 1) * CLASSES; i++)
        s.right[i] = i == 1 ? -1 : ((int64_t) 1 << 35) + i;
    for (int r = 1; r < ROUND + 2; r++)
        s.first_pick[r] = INITIAL + (r - 1) * BATCH;
    for (int64_t i = 0; i < s.n_picks; i++) {
        s.picks[i] = ((int64_t) 1 << 33) + 5 * i;
        s.pick_labels[i] = (int32_t) (i % 3) - 1;
        s.pick_scores[i] = i % 2 ? -1.0 / (double) (i + 3) : 0;
    }
    for (int i = 0; i < PARAMS; i++)
        s.params[i] = 1.0f / (float) (i - 5);
    for (int i = 0; i < STATS; i++)
        s.stats[i] = 3.0f / (float) (i + 7);
    for (int i = 0; i < OPTIMISER; i++)
        s.optimizer[i] = -1e-40f * (float) i;
    if (stage == FMAL_STAGE_PICK) {
        s.has_selection = true;
        s.selection = selection_state();
    }
    return s;
}

#define SAME(a, b, count)                                                              \
    ((count) == 0 || memcmp((a), (b), (size_t) (count) * sizeof *(a)) == 0)

static inline bool same_selection(const fmal_select_state *a,
                                  const fmal_select_state *b)
{
    return a->n_added == b->n_added && a->n_removed == b->n_removed &&
           a->refresh_step == b->refresh_step && a->refresh_score == b->refresh_score &&
           a->before == b->before && SAME(a->added, b->added, a->n_added) &&
           SAME(a->gain, b->gain, a->n_added) &&
           SAME(a->removed, b->removed, a->n_removed) &&
           SAME(a->loss, b->loss, a->n_removed);
}

static inline bool same_state(const fmal_run_state *a, const fmal_run_state *b)
{
    int64_t rounds = a->rounds_done + (a->stage == FMAL_STAGE_TRAIN);
    int64_t batches = a->round + (a->stage != FMAL_STAGE_PICK);

    return a->round == b->round && a->stage == b->stage &&
           a->rounds_done == b->rounds_done && a->n_picks == b->n_picks &&
           a->n_params == b->n_params && a->n_stats == b->n_stats &&
           a->n_optimizer == b->n_optimizer && a->trained.epochs == b->trained.epochs &&
           a->trained.steps == b->trained.steps &&
           a->trained.best_epoch == b->trained.best_epoch &&
           a->trained.best_loss == b->trained.best_loss &&
           a->events_bytes == b->events_bytes && a->seconds == b->seconds &&
           SAME(a->rounds, b->rounds, rounds) && a->classes == b->classes &&
           SAME(a->right, b->right, a->rounds_done * a->classes) &&
           SAME(a->first_pick, b->first_pick, batches + 1) &&
           SAME(a->picks, b->picks, a->n_picks) &&
           SAME(a->pick_labels, b->pick_labels, a->n_picks) &&
           SAME(a->pick_scores, b->pick_scores, a->n_picks) &&
           SAME(a->params, b->params, a->n_params) &&
           SAME(a->stats, b->stats, a->n_stats) &&
           SAME(a->optimizer, b->optimizer, a->n_optimizer) &&
           a->has_selection == b->has_selection &&
           (!a->has_selection || same_selection(&a->selection, &b->selection));
}

static inline fmal_identity identity(void)
{
    return (fmal_identity){ .given = "seed = 1\n",
                            .resolved = "seed = 1\nrounds = 2\nquiet = false\n",
                            .fixed = "seed = 1\nrounds = 2\n",
                            .input = "data.h5",
                            .checksum = "0123456789abcdef0123456789abcdef",
                            .history = "fmal run" };
}

/** A new folder of the test's, on all ranks. */
static inline const char *new_folder(fmal_test *t)
{
    static char path[4][600];
    static int made;
    char name[20];

    snprintf(name, sizeof name, "run%d", made);
    snprintf(path[made % 4], sizeof path[0], "%s", fmal_test_path(t, name));
    if (t->ctx.rank == 0 && mkdir(path[made % 4], 0777) != 0)
        abort();
    FMAL_MPI(MPI_Barrier(t->ctx.comm));
    return path[made++ % 4];
}

#endif
