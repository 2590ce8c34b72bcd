/* Checkpoints come back with every bit, on every rank; damaged ones are passed over for
   the one before; those of something else are refused by name. */
#include "states.h"

#include <unistd.h>

static const struct {
    const char *name;
    fmal_stage stage;
} stages[] = {
    { "in a selection", FMAL_STAGE_PICK },
    { "in a training", FMAL_STAGE_TRAIN },
    { "finished", FMAL_STAGE_DONE },
};

static fmal_status load(fmal_test *t, const char *dir, const fmal_identity *id,
                        fmal_run_state *state, bool *found)
{
    *found = false;
    return fmal_ckpt_load_run(&t->ctx, dir, id, state, found);
}

/* Whether the directory gives this state; NULL: whether it fails with `want`. */
static bool gives(fmal_test *t, const char *dir, const fmal_run_state *state,
                  fmal_status want)
{
    fmal_identity id = identity();
    fmal_run_state got = { 0 };
    bool found;
    fmal_status st = load(t, dir, &id, &got, &found);
    bool fine = found && st == want && (!state || same_state(state, &got));

    if (!fine)
        printf("# found %d, '%s', wanted '%s': %s\n", found, fmal_status_text(st),
               fmal_status_text(want), fmal_error_text());
    if (st == FMAL_OK)
        fmal_run_state_clear(&got);
    return fine;
}

static void test_round_trip(fmal_test *t)
{
    fmal_identity id = identity();

    for (int i = 0; i < FMAL_COUNT(stages); i++) {
        const char *dir = new_folder(t);
        fmal_run_state s = state_at(stages[i].stage);

        fmal_test_status(t, fmal_ckpt_save_run(&t->ctx, dir, &id, &s), FMAL_OK,
                         stages[i].name);
        fmal_test_ok(t, gives(t, dir, &s, FMAL_OK), "%s: every field comes back",
                     stages[i].name);
        fmal_run_state_clear(&s);
    }
}

/* The first state of a run has nothing in most fields. */
static void test_first(fmal_test *t)
{
    const char *dir = new_folder(t);
    fmal_identity id = identity();
    fmal_run_state s = state_at(FMAL_STAGE_TRAIN);

    s.round = s.rounds_done = s.n_params = s.n_stats = s.n_optimizer = 0;
    s.trained = (fmal_train_count){ 0 };
    s.n_picks = INITIAL;
    fmal_test_status(t, fmal_ckpt_save_run(&t->ctx, dir, &id, &s), FMAL_OK,
                     "the first checkpoint");
    fmal_test_ok(t, gives(t, dir, &s, FMAL_OK), "comes back");
    fmal_run_state_clear(&s);
}

static void test_nothing(fmal_test *t)
{
    fmal_identity id = identity();
    fmal_run_state s = { 0 };
    bool found = true;

    fmal_test_status(t, load(t, new_folder(t), &id, &s, &found), FMAL_OK,
                     "an empty directory is no error");
    fmal_test_ok(t, !found, "and holds nothing");
    s = state_at(FMAL_STAGE_DONE);
    fmal_test_status(t, fmal_ckpt_save_run(&t->ctx, "/nonexistent", &id, &s),
                     FMAL_ERR_IO, "no directory to save in");
    fmal_test_ok(t, strstr(fmal_error_text(), "/nonexistent/checkpoint"),
                 "and the message names it: %s", fmal_error_text());
    fmal_run_state_clear(&s);
}

/* ---- Two checkpoints, of which one may be damaged ---- */

static void flip(const char *path)
{
    FILE *f = fopen(path, "r+b");

    if (!f || fseek(f, 2000, SEEK_SET) != 0)
        abort();
    int byte = fgetc(f);
    fseek(f, 2000, SEEK_SET);
    fputc(byte ^ 1, f);
    fclose(f);
}

static void empty(const char *path)
{
    if (truncate(path, 0) != 0)
        abort();
}

static void shorten(const char *path)
{
    if (truncate(path, 1000) != 0)
        abort();
}

static void drop(const char *path)
{
    if (unlink(path) != 0)
        abort();
}

static void scribble(const char *path)
{
    FILE *f = fopen(path, "wb");

    if (!f)
        abort();
    for (int i = 0; i < 3000; i++)
        fputc(i * 37 % 251, f);
    fclose(f);
}

static const struct {
    const char *name;
    void (*harm)(const char *path);
} harms[] = {
    { "a bit", flip },        { "empty", empty },
    { "shortened", shorten }, { "something else", scribble },
    { "missing", drop },
};

static void hurt(fmal_test *t, const char *dir, bool previous,
                 void (*harm)(const char *path))
{
    char path[700];

    fmal_ckpt_path(dir, previous, path, sizeof path);
    FMAL_MPI(MPI_Barrier(t->ctx.comm));
    if (t->ctx.rank == 0)
        harm(path);
    FMAL_MPI(MPI_Barrier(t->ctx.comm));
}

static void save(fmal_test *t, const char *dir, const fmal_run_state *s)
{
    fmal_identity id = identity();

    if (fmal_ckpt_save_run(&t->ctx, dir, &id, s) != FMAL_OK)
        abort();
}

static void test_damage(fmal_test *t)
{
    fmal_run_state one = state_at(FMAL_STAGE_TRAIN), two = state_at(FMAL_STAGE_DONE);
    fmal_run_state three = state_at(FMAL_STAGE_PICK);

    for (int i = 0; i < FMAL_COUNT(harms); i++) {
        const char *dir = new_folder(t);

        save(t, dir, &one);
        save(t, dir, &two);
        fmal_test_ok(t, gives(t, dir, &two, FMAL_OK), "the newest of two");
        hurt(t, dir, false, harms[i].harm);
        fmal_test_ok(t, gives(t, dir, &one, FMAL_OK), "newest %s: the one before",
                     harms[i].name);
        /* Now that one is both, and the next save keeps it. */
        save(t, dir, &three);
        fmal_test_ok(t, gives(t, dir, &three, FMAL_OK), "then a new one");
        hurt(t, dir, false, flip);
        fmal_test_ok(t, gives(t, dir, &one, FMAL_OK),
                     "and before it the one that was good");
        save(t, dir, &two);
        hurt(t, dir, false, harms[i].harm);
        hurt(t, dir, true, flip);
        fmal_test_ok(t, gives(t, dir, NULL, FMAL_ERR_FORMAT), "both: an error");
        fmal_test_ok(t, strstr(fmal_error_text(), "there is no sound checkpoint in"),
                     "that says so: %s", fmal_error_text());
        FMAL_MPI(MPI_Barrier(t->ctx.comm));
    }
    const char *dir = new_folder(t);
    save(t, dir, &one);
    hurt(t, dir, false, flip);
    fmal_test_ok(t, gives(t, dir, NULL, FMAL_ERR_FORMAT), "the only one is damaged");
    fmal_run_state_clear(&one);
    fmal_run_state_clear(&two);
    fmal_run_state_clear(&three);
}

/* ---- Of something else ---- */

static void test_identity(fmal_test *t)
{
    const char *dir = new_folder(t);
    fmal_run_state s = state_at(FMAL_STAGE_DONE), got = { 0 };
    fmal_identity id = identity();
    bool found;

    save(t, dir, &s);
    save(t, dir, &s);
    id.fixed = "seed = 1\nrounds = 3\n";
    fmal_test_status(t, load(t, dir, &id, &got, &found), FMAL_ERR_MISMATCH,
                     "another option");
    fmal_test_ok(t, strstr(fmal_error_text(), "rounds was 2, now 3"), "is named: %s",
                 fmal_error_text());
    id = identity();
    id.checksum = "0123456789abcdef0123456789abcdee";
    fmal_test_status(t, load(t, dir, &id, &got, &found), FMAL_ERR_MISMATCH,
                     "other data");
    fmal_test_ok(t, strstr(fmal_error_text(), id.checksum), "are named: %s",
                 fmal_error_text());
    /* The one before belongs to the same run: it is not asked. */
    id.fixed = "seed = 2\nrounds = 2\n";
    hurt(t, dir, false, flip);
    fmal_test_status(t, load(t, dir, &id, &got, &found), FMAL_ERR_MISMATCH,
                     "damaged, and of another run");
    fmal_test_status(t, load(t, dir, NULL, &got, &found), FMAL_OK,
                     "nothing to compare");
    fmal_test_ok(t, same_state(&s, &got), "gives it all the same");
    fmal_run_state_clear(&got);
    id = identity();
    id.given = id.resolved = "quiet = true\n";
    id.input = "elsewhere.h5";
    id.history = "fmal run again";
    fmal_test_status(t, load(t, dir, &id, &got, &found), FMAL_OK,
                     "what is no identity may change");
    fmal_run_state_clear(&got);
    id = identity();
    id.fixed = "precision = mixed\nseed = 1\nrounds = 2\n";
    id.defaults = "seed = 7\nprecision = mixed\n";
    fmal_test_status(t, load(t, dir, &id, &got, &found), FMAL_OK,
                     "an option that is younger, at its default");
    fmal_run_state_clear(&got);
    id.fixed = "precision = double\nseed = 1\nrounds = 2\n";
    fmal_test_status(t, load(t, dir, &id, &got, &found), FMAL_ERR_MISMATCH,
                     "an option that is younger, given");
    fmal_test_ok(t, strstr(fmal_error_text(), "precision was mixed, now double"),
                 "is named: %s", fmal_error_text());
    fmal_run_state_clear(&s);
}

/* ---- A selection ---- */

static void test_selection(fmal_test *t)
{
    char path[600], beside[620];
    fmal_identity id = identity();
    fmal_select_state s = selection_state(), got = { 0 };
    bool found = true;

    snprintf(path, sizeof path, "%s", fmal_test_path(t, "picks.h5.part"));
    snprintf(beside, sizeof beside, "%s.new", path);
    fmal_test_status(t, fmal_ckpt_load_select(&t->ctx, path, &id, &got, &found),
                     FMAL_OK, "no selection is no error");
    fmal_test_ok(t, !found, "and nothing");
    fmal_test_status(t, fmal_ckpt_save_select(&t->ctx, path, &id, &s), FMAL_OK,
                     "save a selection");
    if (t->ctx.rank == 0)
        scribble(beside);
    fmal_test_status(t, fmal_ckpt_load_select(&t->ctx, path, &id, &got, &found),
                     FMAL_OK, "load it");
    fmal_test_ok(t, found && same_selection(&s, &got), "every field comes back");
    fmal_test_ok(t, access(beside, F_OK) != 0, "what a killed save left is gone");
    fmal_ckpt_clear_select(&got);
    id.fixed = "seed = 4\nrounds = 2\n";
    fmal_test_status(t, fmal_ckpt_load_select(&t->ctx, path, &id, &got, &found),
                     FMAL_ERR_MISMATCH, "of other options");
    FMAL_MPI(MPI_Barrier(t->ctx.comm));
    if (t->ctx.rank == 0)
        flip(path);
    FMAL_MPI(MPI_Barrier(t->ctx.comm));
    fmal_test_status(t, fmal_ckpt_load_select(&t->ctx, path, &id, &got, &found),
                     FMAL_ERR_FORMAT, "damaged");
    fmal_test_ok(t, strstr(fmal_error_text(), "remove it"), "and what to do: %s",
                 fmal_error_text());
    fmal_ckpt_clear_select(&s);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_round_trip(&t);
    test_first(&t);
    test_nothing(&t);
    test_damage(&t);
    test_identity(&t);
    test_selection(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
