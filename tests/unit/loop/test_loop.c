/* What a run picks, what it refuses, and how even its classes are. */
#include "small_run.h"

#include <math.h>

/* ---- States that are not of this run ---- */

/* One thing wrong with a state that is right. */
static void in_the_past(fmal_run_state *s)
{
    s->round = -1;
}
static void in_the_future(fmal_run_state *s)
{
    s->round = ROUNDS + 1;
}
static void far_in_the_future(fmal_run_state *s)
{
    s->round = INT64_MAX;
}
static void without_stage(fmal_run_state *s)
{
    s->stage = (fmal_stage) 3;
}
static void done_too_soon(fmal_run_state *s)
{
    s->stage = FMAL_STAGE_DONE;
}
static void one_round_short(fmal_run_state *s)
{
    s->rounds_done--;
}
static void one_round_over(fmal_run_state *s)
{
    s->rounds_done++;
}
static void one_pick_short(fmal_run_state *s)
{
    s->n_picks--;
}
static void no_picks(fmal_run_state *s)
{
    s->n_picks = 0;
}
static void negative_picks(fmal_run_state *s)
{
    s->n_picks = -1;
}
static void negative_epochs(fmal_run_state *s)
{
    s->trained.epochs = -1;
}
static void negative_steps(fmal_run_state *s)
{
    s->trained.steps = INT64_MIN;
}
static void best_of_none(fmal_run_state *s)
{
    s->trained.best_epoch = 1;
}
static void no_best_loss(fmal_run_state *s)
{
    s->trained.best_loss = NAN;
}
static void foreign_pick(fmal_run_state *s)
{
    s->picks[2] = TRAIN;
}
static void negative_pick(fmal_run_state *s)
{
    s->picks[0] = -1;
}
static void repeated_pick(fmal_run_state *s)
{
    s->picks[3] = s->picks[1];
}
static void late_first(fmal_run_state *s)
{
    s->first_pick[0] = 1;
}
static void long_round(fmal_run_state *s)
{
    s->first_pick[1] = INT64_MAX;
}
static void negative_round(fmal_run_state *s)
{
    s->first_pick[1] = -5;
}
static void no_weights(fmal_run_state *s)
{
    s->n_params = 0;
}
static void few_weights(fmal_run_state *s)
{
    s->n_params--;
}
static void strange_statistics(fmal_run_state *s)
{
    free(s->stats);
    s->stats = bytes_copy((float[]){ 1, 2 }, 2, sizeof(float));
    s->n_stats = 2;
}
static void selecting_while_training(fmal_run_state *s)
{
    s->has_selection = true;
    memset(&s->selection, 0, sizeof s->selection);
}
static void training_while_picking(fmal_run_state *s)
{
    s->trained.epochs = 1;
}
static void little_optimizer(fmal_run_state *s)
{
    s->n_optimizer--;
}
static void added_twice(fmal_run_state *s)
{
    s->selection.added[1] = s->selection.added[0];
}
static void labelled_added(fmal_run_state *s)
{
    s->selection.added[0] = s->picks[0];
}
static void foreign_added(fmal_run_state *s)
{
    s->selection.added[0] = TRAIN;
}
static void late_refresh(fmal_run_state *s)
{
    s->selection.refresh_step = 1000;
}
static void removed_too_many(fmal_run_state *s)
{
    s->selection.n_removed = INT64_MAX - 10;
}

static void another_class(fmal_run_state *s)
{
    s->classes++;
}

typedef enum { FIRST, TRAINING, ADDING, PICKED } moment;

static const struct {
    const char *name;
    moment when;
    void (*spoil)(fmal_run_state *s);
} bad_states[] = {
    { "a negative round", TRAINING, in_the_past },
    { "a round after the last", TRAINING, in_the_future },
    { "the largest round there is", PICKED, far_in_the_future },
    { "no stage", TRAINING, without_stage },
    { "done before the last round", TRAINING, done_too_soon },
    { "a round less", ADDING, one_round_short },
    { "a round more", TRAINING, one_round_over },
    { "a pick less", ADDING, one_pick_short },
    { "no picks", FIRST, no_picks },
    { "a negative number of picks", TRAINING, negative_picks },
    { "a negative number of epochs", TRAINING, negative_epochs },
    { "a negative number of steps", TRAINING, negative_steps },
    { "a best epoch though no samples are held out", TRAINING, best_of_none },
    { "a best loss that is no number", TRAINING, no_best_loss },
    { "a pick outside the data", TRAINING, foreign_pick },
    { "a negative pick", PICKED, negative_pick },
    { "a pick twice", ADDING, repeated_pick },
    { "a first round that begins late", TRAINING, late_first },
    { "a round without end", PICKED, long_round },
    { "a round that ends before it begins", ADDING, negative_round },
    { "no weights in a training", TRAINING, no_weights },
    { "no weights for picking", ADDING, no_weights },
    { "weights of a smaller network", PICKED, few_weights },
    { "statistics of another network", PICKED, strange_statistics },
    { "a selection in a training", TRAINING, selecting_while_training },
    { "epochs in a selection", ADDING, training_while_picking },
    { "the optimizer of a smaller network", TRAINING, little_optimizer },
    { "a sample added twice", ADDING, added_twice },
    { "a labelled sample added", ADDING, labelled_added },
    { "a sample outside the data added", ADDING, foreign_added },
    { "a refresh that is still to come", ADDING, late_refresh },
    { "more removed than added", ADDING, removed_too_many },
    { "results of another number of classes", FIRST, another_class },
};

static bool is_moment(const fmal_run_state *s, moment when)
{
    switch (when) {
    case FIRST:
        return s->n_params == 0;
    case TRAINING:
        return s->trained.epochs == 2 && s->round == 1;
    case ADDING:
        return s->has_selection && s->round == 2 && s->selection.n_added == 3;
    case PICKED:
        return s->stage == FMAL_STAGE_TRAIN && s->trained.epochs == 0 && s->round == 1;
    }
    return false;
}

static void test_bad_states(fmal_test *t, fmal_run_setup setup, const witness *w)
{
    fmal_run_hooks silent = { 0 };

    setup.hooks = &silent;
    for (int i = 0; i < FMAL_COUNT(bad_states); i++) {
        int at = 0;

        while (at < w->saves && !is_moment(&w->saved[at], bad_states[i].when))
            at++;
        if (at == w->saves)
            abort();
        fmal_run_state s = state_copy(&w->saved[at]);
        bad_states[i].spoil(&s);
        fmal_test_status(t, run_from(&setup, &s, NULL), FMAL_ERR_FORMAT,
                         bad_states[i].name);
        fmal_run_state_clear(&s);
    }
}

/* A state that was saved before results were kept by class is gone on with. */
static void test_old_state(fmal_test *t, const fmal_run_setup *setup, const witness *w)
{
    fmal_run_state s, end = { 0 };
    fmal_run_hooks silent = { 0 };
    fmal_run_setup quiet = *setup;
    int at = 0, unknown = 0, known = 0;

    quiet.hooks = &silent;
    while (!is_moment(&w->saved[at], TRAINING))
        at++;
    s = state_copy(&w->saved[at]);
    free(s.right);
    s.right = NULL;
    s.classes = 0;
    fmal_test_status(t, run_from(&quiet, &s, &end), FMAL_OK, "an older state");
    for (int k = 0; end.right && k < BLOB_CLASSES; k++) {
        unknown += end.right[k] == -1;
        known += end.right[BLOB_CLASSES + k] >= 0;
    }
    fmal_test_ok(t, unknown == BLOB_CLASSES && known == BLOB_CLASSES,
                 "its results by class are unknown, later ones are not");
    fmal_run_state_clear(&s);
    fmal_run_state_clear(&end);
}

/* Hits of classes add up to the accuracy of each round. */
static void test_right(fmal_test *t, const fmal_run_setup *setup)
{
    fmal_run_state end = { 0 };
    fmal_run_hooks silent = { 0 };
    fmal_run_setup quiet = *setup;
    bool sums = true;

    quiet.hooks = &silent;
    fmal_test_status(t, run_from(&quiet, NULL, &end), FMAL_OK, "a run");
    for (int64_t r = 0; r < end.rounds_done; r++) {
        int64_t sum = 0;

        for (int k = 0; k < end.classes; k++)
            sum += end.right[r * end.classes + k];
        sums &= end.rounds[r].test_accuracy == (double) sum / TEST;
    }
    fmal_test_ok(t,
                 end.rounds_done == ROUNDS + 1 && end.classes == BLOB_CLASSES && sums,
                 "hits by class add up");
    fmal_run_state_clear(&end);
}

/* ---- Runs ---- */

static bool is_known(const fmal_idx *unknown, int n, fmal_idx index)
{
    for (int i = 0; i < n; i++)
        if (unknown[i] == index)
            return false;
    return true;
}

/* Samples that the oracle cannot label are part of the pool, and never picked. */
static void test_unknown_labels(fmal_test *t, fmal_run_options options)
{
    static witness w;
    fmal_idx unknown[TRAIN - INITIAL - ROUNDS * BATCH];
    fmal_run_hooks hooks = hooks_of(&w);
    fmal_dataset set = small_set(&t->ctx);
    fmal_run_setup setup = { &t->ctx, &set, &options, &hooks, NULL };
    fmal_run_state end = { 0 };
    bool fine = true;

    for (int i = 0; i < FMAL_COUNT(unknown); i++) {
        unknown[i] = (i * 10 + 3) % TRAIN;
        blobs_label(&set.train, unknown[i], -1);
    }
    fmal_test_status(t, run_from(&setup, NULL, &end), FMAL_OK, "just enough labels");
    for (int64_t i = 0; i < end.n_picks; i++) {
        fine &= is_known(unknown, FMAL_COUNT(unknown), end.picks[i]);
        fine &= end.pick_labels[i] == end.picks[i] * 7 % BLOB_CLASSES;
        for (int64_t j = 0; j < i; j++)
            fine &= end.picks[i] != end.picks[j];
    }
    fmal_test_ok(t, fine && end.n_picks == INITIAL + ROUNDS * BATCH,
                 "each is picked once, with its label");
    fmal_run_state_clear(&end);
    witness_clear(&w);

    options.initial++;
    fmal_test_status(t, run_from(&setup, NULL, NULL), FMAL_ERR_ARG, "a label too few");
    fmal_test_ok(t,
                 strstr(fmal_error_text(), "8 initial samples and 2 rounds of 5 are 18 "
                                           "labels; blobs has 17 ") != NULL,
                 "and the message says so: %s", fmal_error_text());
    fmal_run_plan plan;
    fmal_test_status(t, fmal_run_plan_make(&setup, &plan), FMAL_ERR_ARG,
                     "a plan says the same");
    options.initial--;
    fmal_test_status(t, fmal_run_plan_make(&setup, &plan), FMAL_OK, "a plan");
    fmal_test_ok(t,
                 plan.n == TRAIN && plan.test == TEST &&
                     plan.labelled_at_end == INITIAL + ROUNDS * BATCH &&
                     plan.has_selection && plan.steps == 3 * BATCH,
                 "knows sizes and steps");
    witness_clear(&w);
    small_set_clear(&set);
}

/* What cannot be saved ends a run, wherever it is. */
static void test_failing_save(fmal_test *t, fmal_run_setup setup, const witness *good)
{
    static const moment moments[] = { FIRST, TRAINING, ADDING, PICKED };
    static witness w;
    fmal_run_hooks hooks = hooks_of(&w);

    hooks.every_seconds = 1e-9;
    setup.hooks = &hooks;
    w.save_gives = FMAL_ERR_IO;
    fmal_test_status(t, run_from(&setup, NULL, NULL), FMAL_ERR_IO, "no first save");
    for (int i = 0; i < FMAL_COUNT(moments); i++) {
        int at = 0, before = w.saves;

        while (!is_moment(&good->saved[at], moments[i]))
            at++;
        fmal_test_status(t, run_from(&setup, &good->saved[at], NULL), FMAL_ERR_IO,
                         "no later save");
        fmal_test_ok(t,
                     w.saves == before + 1 && strcmp(fmal_error_text(), "no room") == 0,
                     "and it is not tried again");
    }
    witness_clear(&w);
}

/* ---- Classes ---- */

static const struct {
    const char *name;
    int64_t counts[4];
    int c;
    double want;
} balances[] = {
    { "even", { 5, 5, 5, 5 }, 4, 1 },
    { "one class alone", { 0, 9, 0, 0 }, 4, 0 },
    { "two of four", { 3, 0, 0, 3 }, 4, 0.5 },
    { "none at all", { 0, 0, 0, 0 }, 4, 0 },
    { "3 to 1", { 3, 1 }, 2, 0.81127812445913283 },
};

static void test_balance(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(balances); i++)
        fmal_test_ok(
            t,
            fmal_test_close(fmal_class_balance(balances[i].counts, balances[i].c),
                            balances[i].want, 1e-14, 1),
            "balance: %s", balances[i].name);

    int32_t labels[] = { 2, 0, -1, 2, 7, 1 };
    fmal_run_state s = { .pick_labels = labels, .n_picks = FMAL_COUNT(labels) };
    int64_t counts[3] = { 9, 9, 9 };
    fmal_class_counts(&s, 0, 6, 3, counts);
    fmal_test_ok(t, counts[0] == 1 && counts[1] == 1 && counts[2] == 2,
                 "counts leave out what is no class");
    fmal_class_counts(&s, 3, 4, 3, counts);
    fmal_test_ok(t, counts[0] == 0 && counts[1] == 0 && counts[2] == 1,
                 "counts of a part");
}

int main(int argc, char **argv)
{
    static witness w;
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_run_options options = small_options("bait");
    fmal_run_hooks hooks = hooks_of(&w);
    fmal_dataset set = small_set(&t.ctx);
    fmal_run_setup setup = { &t.ctx, &set, &options, &hooks, NULL };

    hooks.every_seconds = 1e-9;
    hooks.every_steps = 1;
    fmal_test_status(&t, run_from(&setup, NULL, NULL), FMAL_OK, "a whole run");
    test_bad_states(&t, setup, &w);
    test_old_state(&t, &setup, &w);
    test_right(&t, &setup);
    test_failing_save(&t, setup, &w);
    witness_clear(&w);
    small_set_clear(&set);
    test_unknown_labels(&t, options);
    test_balance(&t);
    return fmal_test_end(&t);
}
