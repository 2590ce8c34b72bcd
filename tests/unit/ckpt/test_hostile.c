/* Files with a right checksum and a wrong content: whoever made them, they are refused
   before anyone believes a count in them. */
#include "states.h"

/* Counts of a position. */
typedef struct {
    int64_t round, rounds_done, epochs, steps, events_bytes;
} counts;

static const counts good_counts = { ROUND, ROUND, 0, 0, 0 };

/* ---- Arrays ---- */

static const struct {
    const char *name;
    bool integer;
    fmal_idx n;
} arrays[] = {
    { "/rounds/labelled", true, ROUND },
    { "/rounds/epochs", true, ROUND },
    { "/rounds/train_accuracy", false, ROUND },
    { "/rounds/train_loss", false, ROUND },
    { "/rounds/test_accuracy", false, ROUND },
    { "/rounds/test_loss", false, ROUND },
    { "/rounds/objective_before", false, ROUND },
    { "/rounds/objective_after", false, ROUND },
    { "/rounds/seconds_pick", false, ROUND },
    { "/rounds/seconds_train", false, ROUND },
    { "/picks/index", true, INITIAL + BATCH },
    { "/picks/label", true, INITIAL + BATCH },
    { "/picks/score", false, INITIAL + BATCH },
    { "/picks/first", true, ROUND + 1 },
    { "/model/parameters", false, PARAMS },
    { "/model/statistics", false, STATS },
    { "/model/optimizer", false, 0 },
    { "/selection/added", true, 6 },
    { "/selection/gain", false, 6 },
    { "/selection/removed", true, 2 },
    { "/selection/loss", false, 2 },
};

typedef enum { RIGHT, MISSING, SHORT, LONG, HUGE, TABLE, SCALAR, TEXT } fault;

static const struct {
    const char *name;
    fault fault;
} faults[] = {
    { "missing", MISSING }, { "one short", SHORT }, { "one long", LONG },
    { "huge", HUGE },       { "a table", TABLE },   { "a number", SCALAR },
    { "text", TEXT },
};

/* Lengths that nothing else in the file contradicts. */
static bool is_free(int array)
{
    static const char *const names[] = { "/picks/index",      "/model/parameters",
                                         "/model/statistics", "/model/optimizer",
                                         "/selection/added",  "/selection/removed" };

    for (int i = 0; i < FMAL_COUNT(names); i++)
        if (strcmp(arrays[array].name, names[i]) == 0)
            return strncmp(names[i], "/model", 6) == 0;
    return false;
}

static fmal_status put_array(fmal_h5 *h, int array, fault f)
{
    static const double zeros[64];
    const char *const words[] = { "none", "of", "these" };
    fmal_h5_spec spec = { .name = arrays[array].name,
                          .type = arrays[array].integer ? FMAL_I64 : FMAL_F64,
                          .ndims = 1,
                          .dims = { arrays[array].n } };

    switch (f) {
    case RIGHT:
        break;
    case MISSING:
        return FMAL_OK;
    case SHORT:
        spec.dims[0] -= 1;
        break;
    case LONG:
        spec.dims[0] += 1;
        break;
    case HUGE: /* says so, and takes no room */
        spec.dims[0] = (fmal_idx) 1 << 50;
        spec.compress = true;
        return fmal_h5_create_rows(h, &spec);
    case TABLE:
        spec.ndims = 2;
        spec.dims[1] = 1;
        break;
    case SCALAR:
        spec.ndims = 0;
        break;
    case TEXT:
        spec.type = FMAL_STR;
        spec.dims[0] = FMAL_COUNT(words);
        return fmal_h5_write(h, &spec, words);
    }
    return fmal_h5_write(h, &spec, zeros);
}

static fmal_status put_arrays(fmal_h5 *h, int array, fault f)
{
    for (int i = 0; i < FMAL_COUNT(arrays); i++)
        FMAL_TRY(put_array(h, i, i == array ? f : RIGHT));
    return FMAL_OK;
}

static fmal_status put_position(fmal_h5 *h, const char *stage, const counts *c)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {
        { "round", c->round },
        { "rounds_done", c->rounds_done },
        { "epochs", c->epochs },
        { "steps", c->steps },
        { "events_bytes", c->events_bytes },
    };

    for (int i = 0; i < FMAL_COUNT(numbers); i++)
        FMAL_TRY(fmal_h5_attr_i64(h, "/", numbers[i].name, numbers[i].value));
    if (stage)
        FMAL_TRY(fmal_h5_attr_text(h, "/", "stage", stage));
    return fmal_h5_attr_f64(h, "/", "seconds", 0);
}

static fmal_status put_refresh(fmal_h5 *h)
{
    FMAL_TRY(fmal_h5_attr_i64(h, "/selection", "refresh_step", 0));
    FMAL_TRY(fmal_h5_attr_f64(h, "/selection", "refresh_score", 1));
    return fmal_h5_attr_f64(h, "/selection", "objective_before", 1);
}

/* ---- Results by class ---- */

static const struct {
    const char *name;
    int ndims;
    fmal_idx rows, classes;
    fmal_type type;
    fmal_status want;
} tables[] = {
    { "right", 2, ROUND, 3, FMAL_I64, FMAL_OK },
    { "a round less", 2, ROUND - 1, 3, FMAL_I64, FMAL_ERR_FORMAT },
    { "a round more", 2, ROUND + 1, 3, FMAL_I64, FMAL_ERR_FORMAT },
    { "no class", 2, ROUND, 0, FMAL_I64, FMAL_ERR_FORMAT },
    { "a column", 1, ROUND, 1, FMAL_I64, FMAL_ERR_FORMAT },
    { "fractions", 2, ROUND, 3, FMAL_F64, FMAL_ERR_FORMAT },
};

static fmal_status put_right(fmal_h5 *h, int i)
{
    static const int64_t zeros[64];
    fmal_h5_spec spec = { .name = "/rounds/test_right",
                          .type = tables[i].type,
                          .ndims = tables[i].ndims,
                          .dims = { tables[i].rows, tables[i].classes } };

    return fmal_h5_write(h, &spec, zeros);
}

/* A checkpoint of a run that is right but for one array, its counts, stage or schema.
 */
typedef struct {
    int array;
    fault fault;
    const char *schema, *stage;
    counts counts;
    int right; /* row of tables; -1: there are no results by class */
} forgery;

static forgery good_forgery(void)
{
    return (forgery){ 0, RIGHT, FMAL_RUN_SCHEMA, "pick", good_counts, -1 };
}

static fmal_status forge_alone(const char *dir, const forgery *how)
{
    char path[700];
    fmal_h5 *h = NULL;

    fmal_ckpt_path(dir, false, path, sizeof path);
    FMAL_TRY(fmal_h5_create_image(&h));
    fmal_status st = fmal_h5_stamp(h, how->schema, "by hand");
    if (st == FMAL_OK)
        st = put_arrays(h, how->array, how->fault);
    if (st == FMAL_OK && how->right >= 0)
        st = put_right(h, how->right);
    if (st == FMAL_OK)
        st = put_position(h, how->stage, &how->counts);
    if (st == FMAL_OK)
        st = put_refresh(h);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_CHECKED);
    fmal_h5_close(&h);
    return st;
}

/* What loading such a file gives; the text of the failure is kept. */
static fmal_status load_forged(fmal_test *t, const forgery *how)
{
    const char *dir = new_folder(t);
    fmal_run_state s = { 0 };
    bool found = false;
    fmal_status st = FMAL_OK;

    if (t->ctx.rank == 0)
        st = forge_alone(dir, how);
    if (fmal_agree_root(&t->ctx, st) != FMAL_OK) {
        printf("# cannot forge: %s\n", fmal_error_text());
        return FMAL_ERR_EMPTY;
    }
    st = fmal_ckpt_load_run(&t->ctx, dir, NULL, &s, &found);
    if (st == FMAL_OK)
        fmal_run_state_clear(&s);
    return found ? st : FMAL_ERR_EMPTY;
}

/* Without its first array there is no selection, and many networks have no statistics.
 */
static bool is_optional(const char *name)
{
    return strcmp(name, "/selection/added") == 0 ||
           strcmp(name, "/model/statistics") == 0;
}

static void test_arrays(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(arrays); i++)
        for (int k = 0; k < FMAL_COUNT(faults); k++) {
            forgery how = good_forgery();
            char name[100];

            how.array = i;
            how.fault = faults[k].fault;
            bool length = how.fault == SHORT || how.fault == LONG;

            if (length && (is_free(i) || (how.fault == SHORT && arrays[i].n == 0)))
                continue;
            if (how.fault == MISSING && is_optional(arrays[i].name))
                continue;
            snprintf(name, sizeof name, "%s: %s", arrays[i].name, faults[k].name);
            fmal_status st = load_forged(t, &how);
            fmal_status want = how.fault == HUGE ? FMAL_ERR_NOMEM : FMAL_ERR_FORMAT;
            fmal_test_status(t, st, want, name);
            fmal_test_ok(t, length || strstr(fmal_error_text(), arrays[i].name),
                         "%s: named in '%s'", name, fmal_error_text());
        }
}

static const struct {
    const char *name;
    counts counts;
} bad_counts[] = {
    { "a negative round", { -1, 0, 0, 0, 0 } },
    { "the largest round", { INT64_MAX, INT64_MAX, 0, 0, 0 } },
    { "a large round", { (int64_t) 1 << 40, (int64_t) 1 << 40, 0, 0, 0 } },
    { "a negative number of rounds", { ROUND, -1, 0, 0, 0 } },
    { "more rounds than there were", { ROUND, ROUND + 2, 0, 0, 0 } },
    { "the largest number of rounds", { ROUND, INT64_MAX, 0, 0, 0 } },
    { "a negative number of epochs", { ROUND, ROUND, -7, 0, 0 } },
    { "a negative number of steps", { ROUND, ROUND, 0, INT64_MIN, 0 } },
    { "a negative number of bytes", { ROUND, ROUND, 0, 0, -1 } },
};

static void test_counts(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(bad_counts); i++) {
        forgery how = good_forgery();

        how.counts = bad_counts[i].counts;
        fmal_test_status(t, load_forged(t, &how), FMAL_ERR_FORMAT, bad_counts[i].name);
        fmal_test_ok(t, strstr(fmal_error_text(), "make no sense"), "said: %s",
                     fmal_error_text());
    }
    /* A round more than the arrays have. */
    forgery how = good_forgery();
    how.counts.round = how.counts.rounds_done = ROUND + 1;
    fmal_test_status(t, load_forged(t, &how), FMAL_ERR_FORMAT, "a later round");
}

static const struct {
    const char *name, *schema, *stage, *text;
} bad_words[] = {
    { "a later schema", "fmal-checkpoint-2", "pick", "'fmal-checkpoint-2', wanted" },
    { "a selection", FMAL_SELECT_SCHEMA, "pick", "'fmal-selection-1', wanted" },
    { "an unknown stage", FMAL_RUN_SCHEMA, "sleep", "stage 'sleep'" },
    { "no stage", FMAL_RUN_SCHEMA, NULL, "stage" },
    { "a stage of more rounds", FMAL_RUN_SCHEMA, "train", "wanted 3" },
};

static void test_words(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(bad_words); i++) {
        forgery how = good_forgery();

        how.schema = bad_words[i].schema;
        how.stage = bad_words[i].stage;
        fmal_test_status(t, load_forged(t, &how), FMAL_ERR_FORMAT, bad_words[i].name);
        fmal_test_ok(t, strstr(fmal_error_text(), bad_words[i].text), "said: %s",
                     fmal_error_text());
    }
}

static void test_right(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(tables); i++) {
        forgery how = good_forgery();

        how.right = i;
        fmal_test_status(t, load_forged(t, &how), tables[i].want, tables[i].name);
        fmal_test_ok(t,
                     tables[i].want == FMAL_OK ||
                         strstr(fmal_error_text(), "/rounds/test_right"),
                     "%s: said '%s'", tables[i].name, fmal_error_text());
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    forgery good = good_forgery();

    fmal_test_status(&t, load_forged(&t, &good), FMAL_OK, "a good forgery");
    test_words(&t);
    test_counts(&t);
    test_right(&t);
    test_arrays(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
