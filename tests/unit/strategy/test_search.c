/* Long selections: saved every so often, stopped when asked, and gone on with to the
   same batch. */
#include "queries.h"

#include <signal.h>

enum { BATCH = 6, STEPS = 18, MOST_SAVES = 64 };

/* What the keeper saved: all states, and the last. */
typedef struct {
    int count;
    fmal_idx steps[MOST_SAVES];
    fmal_select_state last;
    fmal_status answer; /* of the next save */
} saved;

static void saved_clear(saved *s)
{
    fmal_free(&s->last.added);
    fmal_free(&s->last.gain);
    fmal_free(&s->last.removed);
    fmal_free(&s->last.loss);
}

static void copy_list(void *to, const void *from, fmal_idx n, size_t size)
{
    char *held = NULL;

    if (fmal_alloc(&held, n, size) != FMAL_OK)
        abort();
    if (n > 0)
        memcpy(held, from, (size_t) n * size);
    memcpy(to, &held, sizeof held);
}

static fmal_status save(void *arg, const fmal_select_state *state)
{
    saved *s = arg;

    saved_clear(s);
    s->last = *state;
    copy_list(&s->last.added, state->added, state->n_added, sizeof *state->added);
    copy_list(&s->last.gain, state->gain, state->n_added, sizeof *state->gain);
    copy_list(&s->last.removed, state->removed, state->n_removed,
              sizeof *state->removed);
    copy_list(&s->last.loss, state->loss, state->n_removed, sizeof *state->loss);
    s->steps[s->count++ % MOST_SAVES] = state->n_added + state->n_removed;
    return s->answer;
}

/* bait's batch of a pool, with a keeper. */
static fmal_status pick(const fmal_ctx *ctx, const pool *p, const char *strategy,
                        const fmal_keeper *keeper, bool top, fmal_batch *batch)
{
    fmal_part part;
    fmal_query q = query_of(ctx, p, 4, BATCH, &part);

    q.keeper = *keeper;
    q.options.top = top;
    return fmal_strategy_pick(strategy_named(strategy), &q, batch);
}

/* ---- Saving ---- */

static void test_saves(fmal_test *t, const pool *p, const fmal_batch *want)
{
    for (fmal_idx every = 1; every <= STEPS + 1; every += every < 4 ? 1 : 5) {
        saved s = { 0 };
        fmal_keeper keeper = { .save = save, .arg = &s, .every_steps = every };
        fmal_batch batch = { 0 }, again = { 0 };
        fmal_status st = pick(&t->ctx, p, "bait", &keeper, false, &batch);
        bool right =
            st == FMAL_OK && s.count == STEPS / every && same_batch(&batch, want);

        for (int i = 0; i < s.count && right; i++)
            right = s.steps[i] == (i + 1) * every;
        fmal_test_ok(t, right, "saved every %d steps: %d times", (int) every, s.count);
        if (s.count > 0) {
            fmal_keeper resume = { .resume = &s.last };

            st = pick(&t->ctx, p, "bait", &resume, false, &again);
            fmal_test_ok(t,
                         st == FMAL_OK && same_batch(&again, want) &&
                             same_steps(&again, want),
                         "and gone on with from step %d",
                         (int) (s.last.n_added + s.last.n_removed));
        }
        fmal_batch_clear(&batch);
        fmal_batch_clear(&again);
        saved_clear(&s);
    }
}

/* Only the root looks at the clock; the others save as it does. */
static void test_saves_by_time(fmal_test *t, const pool *p, const fmal_batch *want)
{
    saved s = { 0 };
    fmal_keeper keeper = { .save = save, .arg = &s, .every_seconds = 1e-12 };
    fmal_batch batch = { 0 };
    fmal_status st = pick(&t->ctx, p, "bait", &keeper, false, &batch);

    fmal_test_ok(t, st == FMAL_OK && s.count == STEPS && same_batch(&batch, want),
                 "saved by time: %d times", s.count);
    fmal_batch_clear(&batch);
    saved_clear(&s);
}

static void test_save_fails(fmal_test *t, const pool *p)
{
    saved s = { .answer = FMAL_ERR_IO };
    fmal_keeper keeper = { .save = save, .arg = &s, .every_steps = 3 };
    fmal_batch batch = { .n = -99 };
    fmal_status st = pick(&t->ctx, p, "bait", &keeper, false, &batch);

    fmal_test_ok(t, st == FMAL_ERR_IO && s.count == 1 && batch.n == -99,
                 "a save that fails ends it");
    saved_clear(&s);
}

/* ---- Stopping ---- */

/* Stopped after every step, and started again: the same batch in the end. */
static void test_stops(fmal_test *t, const pool *p, const char *strategy, bool top,
                       fmal_stop stop, const char *says)
{
    fmal_keeper never = { 0 };
    fmal_batch want = { 0 }, batch = { 0 };
    saved s = { 0 };
    fmal_status st = pick(&t->ctx, p, strategy, &never, top, &want);
    int legs = 0;

    fmal_test_status(t, st, FMAL_OK, strategy);
    do {
        fmal_select_state from = s.last;
        fmal_keeper keeper = {
            .save = save, .arg = &s, .stop = &stop, .resume = legs > 0 ? &from : NULL
        };

        s.last = (fmal_select_state){ 0 };
        fmal_error_set("", "");
        st = pick(&t->ctx, p, strategy, &keeper, top, &batch);
        legs++;
        fmal_free(&from.added);
        fmal_free(&from.gain);
        fmal_free(&from.removed);
        fmal_free(&from.loss);
    } while (st == FMAL_STOPPED && strcmp(fmal_error_text(), says) == 0 && legs < 100);
    int expected = top ? 1 : STEPS;
    fmal_test_ok(t,
                 st == FMAL_OK && legs == expected + 1 && s.count == expected &&
                     same_batch(&batch, &want),
                 "%s: %d legs, each stopped by the %s", strategy, legs, says);
    fmal_batch_clear(&want);
    fmal_batch_clear(&batch);
    saved_clear(&s);
}

static void test_stop_file(fmal_test *t, const pool *p)
{
    char path[512];
    FILE *f = NULL;

    snprintf(path, sizeof path, "%s", fmal_test_path(t, "stop"));
    if (t->ctx.rank == 0 && (f = fopen(path, "w")))
        fclose(f);
    saved s = { 0 };
    fmal_stop stop = { .file = path };
    fmal_keeper keeper = { .save = save, .arg = &s, .stop = &stop };
    fmal_batch batch = { .n = -99 };
    fmal_status st = pick(&t->ctx, p, "bait", &keeper, false, &batch);
    fmal_test_ok(t,
                 st == FMAL_STOPPED && s.count == 1 && batch.n == -99 &&
                     strcmp(fmal_error_text(), "stop file") == 0,
                 "a stop file stops all ranks");
    saved_clear(&s);
}

/* A signal to one rank stops all. The last test: there is no taking it back. */
static void test_signal(fmal_test *t, const pool *p)
{
    saved s = { 0 };
    fmal_stop stop = { 0 };
    fmal_keeper keeper = { .save = save, .arg = &s, .stop = &stop };
    fmal_batch batch = { .n = -99 };

    fmal_stop_install();
    if (t->ctx.rank == t->ctx.size - 1)
        raise(SIGUSR1);
    fmal_status st = pick(&t->ctx, p, "bait", &keeper, false, &batch);
    fmal_test_ok(t,
                 st == FMAL_STOPPED && s.count == 1 && batch.n == -99 &&
                     strcmp(fmal_error_text(), "signal") == 0,
                 "a signal to one rank stops all");
    saved_clear(&s);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    pool p = pool_make(50, 3, 3);
    fmal_keeper never = { 0 };
    fmal_batch want = { 0 };
    fmal_stop late = { .deadline = 1e-9 }; /* long past, and seen by the root alone */
    fmal_status st = pick(&t.ctx, &p, "bait", &never, false, &want);

    fmal_test_ok(&t,
                 st == FMAL_OK && want.n == BATCH && want.has_objective &&
                     want.forward + want.backward == STEPS && want.after < want.before,
                 "a batch");
    test_saves(&t, &p, &want);
    test_saves_by_time(&t, &p, &want);
    test_save_fails(&t, &p);
    test_stops(&t, &p, "bait", false, late, "time limit");
    test_stops(&t, &p, "bait", true, late, "time limit");
    test_stops(&t, &p, "bait-topc", false, late, "time limit");
    test_stops(&t, &p, "bait-binary", false, late, "time limit");
    test_stop_file(&t, &p);
    test_signal(&t, &p);
    fmal_batch_clear(&want);
    pool_clear(&p);
    return fmal_test_end(&t);
}
