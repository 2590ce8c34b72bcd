/* A run that goes on from any of its saved states, or is stopped after every epoch and
   every step, ends with the bits of one that was left alone. */
#include "small_run.h"
#include "../train/recipes.h"

#include <math.h>

typedef struct {
    const char *name, *strategy;
    bool warm;
    const recipe *training;
} flavour;

static const flavour flavours[] = {
    { "bait", "bait", false, &recipes[0] },
    { "bait, warm", "bait", true, &recipes[0] },
    { "random", "random", false, &recipes[0] },
    { "entropy, warm", "entropy", true, &recipes[0] },
    { "random, trained with everything", "random", false,
      &recipes[FMAL_COUNT(recipes) - 1] },
};

/* Saved states by what was under way. */
typedef struct {
    int first, training, adding, removing, between, done;
} census;

static census count_states(const witness *w)
{
    census c = { 0 };

    for (int i = 0; i < w->saves; i++) {
        const fmal_run_state *s = &w->saved[i];

        c.first += s->n_params == 0;
        c.training += s->trained.epochs > 0;
        c.adding += s->has_selection && s->selection.n_removed == 0;
        c.removing += s->has_selection && s->selection.n_removed > 0;
        c.between += s->n_params > 0 && s->trained.epochs == 0 && !s->has_selection &&
                     s->stage != FMAL_STAGE_DONE;
        c.done += s->stage == FMAL_STAGE_DONE;
    }
    return c;
}

/* Every state that a run passes through is the start of the same rest. */
static void test_every_state(fmal_test *t, const fmal_run_setup *setup, witness *w,
                             const flavour *f, fmal_run_state *whole)
{
    bool searches = fmal_strategy_honours(setup->options->strategy, "lambda");
    fmal_run_hooks silent = { 0 };
    fmal_run_setup again = *setup;
    bool same = true;

    fmal_test_status(t, run_from(setup, NULL, whole), FMAL_OK, f->name);
    census c = count_states(w);
    fmal_test_ok(t,
                 c.first == 1 && c.training == (ROUNDS + 1) * (EPOCHS - 1) &&
                     c.adding == (searches ? ROUNDS * 2 * BATCH : 0) &&
                     c.removing == (searches ? ROUNDS * BATCH : 0) &&
                     c.between == 2 * ROUNDS && c.done == 1,
                 "%s: saved at the start, after epochs, after steps, between", f->name);
    fmal_test_ok(t, w->in_order && w->rounds == ROUNDS + 1 && w->picked == ROUNDS,
                 "%s: every round is trained and picked once", f->name);

    again.hooks = &silent;
    for (int i = 0; i < w->saves && same; i++) {
        fmal_run_state end = { 0 };

        same = run_from(&again, &w->saved[i], &end) == FMAL_OK && same_end(whole, &end);
        if (!same)
            printf("# state %d: stage %d of round %d, %d epochs, %d + %d steps\n", i,
                   (int) w->saved[i].stage, (int) w->saved[i].round,
                   (int) w->saved[i].trained.epochs,
                   (int) w->saved[i].selection.n_added,
                   (int) w->saved[i].selection.n_removed);
        fmal_run_state_clear(&end);
    }
    fmal_test_ok(t, same, "%s: resumed from each of %d states", f->name, w->saves);
}

/* With the time always up, a start does one epoch or one step. */
static void test_stops(fmal_test *t, const fmal_run_setup *setup, const flavour *f,
                       const fmal_run_state *whole)
{
    static witness w;
    fmal_stop stop = { .deadline = 1e-9 };
    fmal_run_hooks hooks = hooks_of(&w);
    fmal_run_setup stopped = *setup;
    fmal_run_state end = { 0 };
    int starts = 0;
    bool saved = true;
    fmal_status st;

    hooks.stop = &stop;
    stopped.hooks = &hooks;
    do {
        int before = w.saves;

        fmal_run_state_clear(&end);
        st = run_from(&stopped, before > 0 ? &w.saved[before - 1] : NULL, &end);
        saved &= w.saves > before;
    } while (++starts < MAX_SAVES && st == FMAL_STOPPED);
    fmal_test_status(t, st, FMAL_OK, f->name);
    fmal_test_ok(t, saved && starts >= (ROUNDS + 1) * EPOCHS,
                 "%s: stopped %d times, each time with a state", f->name, starts - 1);
    fmal_test_ok(t, same_end(whole, &end), "%s: and ends as if left alone", f->name);
    fmal_test_ok(t, w.rounds == ROUNDS + 1 && w.picked == ROUNDS,
                 "%s: no round is repeated", f->name);
    fmal_run_state_clear(&end);
    witness_clear(&w);
}

/* One rank alone goes on with what all of them saved. */
static void test_on_one(fmal_test *t, const fmal_run_setup *setup, const witness *w,
                        const flavour *f, const fmal_run_state *whole)
{
    fmal_run_hooks silent = { 0 };
    fmal_run_state end = { 0 };
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    fmal_dataset set = small_set(&self);
    fmal_run_setup alone = { &self, &set, setup->options, &silent, NULL };
    bool same = run_from(&alone, NULL, &end) == FMAL_OK && same_end(whole, &end);
    fmal_run_state_clear(&end);
    fmal_test_ok(t, same, "%s: the same on one rank", f->name);
    same = run_from(&alone, &w->saved[w->saves / 2], &end) == FMAL_OK &&
           same_end(whole, &end);
    fmal_run_state_clear(&end);
    fmal_test_ok(t, same, "%s: resumed on one rank", f->name);
    small_set_clear(&set);
}

static void test_flavour(fmal_test *t, const flavour *f)
{
    static witness w;
    fmal_run_options options = small_options(f->strategy);
    fmal_run_hooks hooks = hooks_of(&w);
    fmal_dataset set = small_set(&t->ctx);
    fmal_run_setup setup = { &t->ctx, &set, &options, &hooks, NULL };
    fmal_run_state whole = { 0 };

    options.warm = f->warm;
    f->training->change(&options.train);
    hooks.every_seconds = 1e-9; /* after every epoch */
    hooks.every_steps = 1;
    test_every_state(t, &setup, &w, f, &whole);
    test_stops(t, &setup, f, &whole);
    test_on_one(t, &setup, &w, f, &whole);
    fmal_run_state_clear(&whole);
    witness_clear(&w);
    small_set_clear(&set);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(flavours); i++)
        test_flavour(&t, &flavours[i]);
    return fmal_test_end(&t);
}
