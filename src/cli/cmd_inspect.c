/* A file of ours in words. The kind is told by the schema attribute, a pool by what it
   holds, since other programs write pools. */
#include "masking.h"
#include "fmal/blocks.h"
#include "fmal/ckpt.h"
#include "fmal/mem.h"
#include "fmal/pool.h"
#include "fmal/report.h"
#include "fmal/weights.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    common_options common;
} inspect_options;

static const fmal_opt table[] = { { .name = NULL } };

/* Collects facts, printed as lines or as one JSON object. */
typedef struct {
    json_t *facts;
    bool json;
} sheet;

__attribute__((format(printf, 3, 4))) static void say(sheet *s, const char *key,
                                                      const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (s->json)
        json_object_set_new(s->facts, key, json_string(text));
    else
        printf("%-18s %s\n", key, text);
}

static void say_number(sheet *s, const char *key, int64_t x)
{
    if (s->json)
        json_object_set_new(s->facts, key, json_integer(x));
    else
        printf("%-18s %" PRId64 "\n", key, x);
}

static void say_real(sheet *s, const char *key, double x)
{
    if (s->json)
        json_object_set_new(s->facts, key, json_real(x));
    else
        printf("%-18s %.10g\n", key, x);
}

/* A scalar text of the file, if it is there. */
static void say_text(sheet *s, fmal_h5 *h, const char *key, const char *name)
{
    char *text = NULL;

    if (fmal_h5_read_text(h, name, &text) == FMAL_OK)
        say(s, key, "%s", text);
    fmal_free(&text);
}

static void say_attribute(sheet *s, fmal_h5 *h, const char *key, const char *name)
{
    char text[1024];

    if (fmal_h5_get_text(h, "/", name, text, sizeof text) == FMAL_OK)
        say(s, key, "%s", text);
}

static void say_options(sheet *s, fmal_h5 *h)
{
    char *text = NULL;

    if (fmal_h5_read_text(h, "/configuration/resolved", &text) != FMAL_OK)
        return;
    if (s->json) {
        json_object_set_new(s->facts, "options", json_string(text));
    } else {
        printf("options\n");
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            printf("  %s\n", line);
    }
    fmal_free(&text);
}

/* ---- Kinds of files ---- */

static fmal_status show_dataset(sheet *s, fmal_h5 *h)
{
    static const char *const names[] = { "/train/images", "/train/features",
                                         "/test/images", "/test/features" };
    fmal_h5_info info;

    for (int i = 0; i < FMAL_COUNT(names); i++) {
        char shape[128] = "";
        size_t used = 0;

        fmal_h5_info_of(h, names[i], &info);
        if (!info.exists)
            continue;
        for (int k = 0; k < info.ndims && k < FMAL_MAX_DIMS; k++)
            used += (size_t) snprintf(shape + used, sizeof shape - used, "%s%" PRId64,
                                      k ? " x " : "", info.dims[k]);
        say(s, names[i] + 1, "%s", shape);
    }
    fmal_h5_info_of(h, "/classes", &info);
    if (info.exists && info.ndims == 1) {
        say_number(s, "classes", info.dims[0]);
        char list[512] = "";
        size_t used = 0;

        for (fmal_idx k = 0; k < info.dims[0] && k < 20 && used < sizeof list; k++) {
            char *name = NULL;

            if (fmal_h5_read_text_at(h, "/classes", k, &name) == FMAL_OK)
                used += (size_t) snprintf(list + used, sizeof list - used, "%s%s",
                                          k ? " " : "", name);
            fmal_free(&name);
        }
        say(s, "class names", "%s", list);
    }
    return FMAL_OK;
}

static fmal_status show_pool(sheet *s, const char *path)
{
    fmal_pool_info info;

    FMAL_TRY(fmal_pool_look(path, &info));
    say(s, "file", "%s", path);
    say(s, "kind", "pool");
    say_number(s, "samples", info.n);
    if (info.rows > 0) {
        say(s, "embeddings", "%d x %" PRId64, info.rows, info.columns);
    } else {
        say_number(s, "features", info.d);
        say_number(s, "classes", info.c);
        say(s, "outputs", "%s", info.has_probs ? "probabilities" : "logits");
        if (info.spare_embeddings)
            say(s, "embeddings", "not used, since there are features");
    }
    say_number(s, "labelled", info.labelled);
    say_number(s, "excluded", info.excluded);
    say_number(s, "candidates", info.n - info.labelled - info.excluded);
    say(s, "true labels", "%s", info.has_labels ? "yes" : "no");
    say(s, "ids", "%s", info.has_ids ? "yes" : "no");
    return FMAL_OK;
}

static fmal_status show_picks(sheet *s, fmal_h5 *h)
{
    fmal_idx *index = NULL;
    fmal_h5_info info;
    double objective;
    char list[512] = "";
    size_t used = 0;

    fmal_h5_info_of(h, "/picks/index", &info);
    if (!info.exists || info.ndims != 1)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: /picks/index is missing",
                         fmal_h5_path(h));
    fmal_idx shown = info.dims[0] < 10 ? info.dims[0] : 10;
    FMAL_TRY(FMAL_ALLOC(&index, shown));
    fmal_status st = fmal_h5_read_rows(h, "/picks/index", FMAL_I64, 0, shown, index);
    for (fmal_idx i = 0; i < shown; i++)
        used += (size_t) snprintf(list + used, sizeof list - used, "%s%" PRId64,
                                  i ? " " : "", index[i]);
    fmal_free(&index);
    FMAL_TRY(st);
    say_attribute(s, h, "strategy", "strategy");
    say_number(s, "picks", info.dims[0]);
    say(s, "first picks", "%s%s", list, info.dims[0] > 10 ? " ..." : "");
    if (fmal_h5_get_f64(h, "/", "objective_before", &objective) == FMAL_OK)
        say_real(s, "objective before", objective);
    if (fmal_h5_get_f64(h, "/", "objective_after", &objective) == FMAL_OK)
        say_real(s, "objective after", objective);
    say_text(s, h, "pool", "/input/path");
    say_text(s, h, "pool checksum", "/input/checksum");
    say_options(s, h);
    return FMAL_OK;
}

static fmal_status say_weights(sheet *s, const char *path)
{
    fmal_weights_info info;

    FMAL_TRY(fmal_weights_look(path, &info));
    say(s, "format", "%s", info.format);
    say_number(s, "tensors", info.tensors);
    say_number(s, "elements", info.elements);
    return FMAL_OK;
}

static fmal_status show_weights(sheet *s, fmal_h5 *h)
{
    return say_weights(s, fmal_h5_path(h));
}

/* What needs no schema: safetensors, and HDF5 that another program wrote. */
static fmal_status show_plain_weights(sheet *s, const char *path)
{
    say(s, "file", "%s", path);
    say(s, "kind", "weights");
    return say_weights(s, path);
}

static void say_position(sheet *s, const fmal_run_state *state)
{
    static const char *const stages[] = { "picking the batch of round",
                                          "training round", "finished after round" };

    say(s, "state", "%s %" PRId64, stages[state->stage], state->round);
    if (state->stage == FMAL_STAGE_TRAIN && state->trained.epochs > 0)
        say_number(s, "epochs done", state->trained.epochs);
    if (state->trained.best_epoch > 0)
        say_number(s, "best epoch", state->trained.best_epoch);
    if (state->has_selection)
        say(s, "selection", "%" PRId64 " added, %" PRId64 " removed",
            state->selection.n_added, state->selection.n_removed);
    say_number(s, "labels", state->n_picks);
    say_number(s, "parameters", state->n_params);
    if (state->n_stats > 0)
        say_number(s, "running statistics", state->n_stats);
    say(s, "time so far", "%.1f s", state->seconds);
}

/* A Jacobian that is being computed lies beside the run's checkpoint. */
static void say_jacobian(sheet *s, const char *checkpoint)
{
    const char *slash = strrchr(checkpoint, '/');
    int length = slash ? (int) (slash - checkpoint) + 1 : 0;
    char path[4200];
    fmal_idx done, all;

    snprintf(path, sizeof path, "%.*sjacobian.part", length, checkpoint);
    if (fmal_blocks_count(path, &done, &all))
        say(s, "Jacobian blocks", "%" PRId64 " of %" PRId64, done, all);
}

static json_t *rounds_json(const fmal_run_state *state)
{
    json_t *out = json_array();

    for (int64_t r = 0; r < state->rounds_done; r++)
        json_array_append_new(
            out, json_pack("{s:I, s:I, s:f, s:f}", "round", (json_int_t) r, "labelled",
                           (json_int_t) state->rounds[r].labelled, "train_accuracy",
                           state->rounds[r].train_accuracy, "test_accuracy",
                           state->rounds[r].test_accuracy));
    return out;
}

static fmal_status show_run(sheet *s, fmal_h5 *h)
{
    fmal_run_state state = { 0 };

    FMAL_TRY(fmal_ckpt_read_run(h, &state));
    say_position(s, &state);
    say_jacobian(s, fmal_h5_path(h));
    say_text(s, h, "data", "/input/path");
    say_text(s, h, "data checksum", "/input/checksum");
    say_options(s, h);
    if (s->json)
        json_object_set_new(s->facts, "rounds", rounds_json(&state));
    else
        fmal_report_rounds(&state, stdout);
    fmal_run_state_clear(&state);
    return FMAL_OK;
}

static fmal_status show_selection(sheet *s, fmal_h5 *h)
{
    fmal_h5_info added, removed;

    fmal_h5_info_of(h, "/selection/added", &added);
    fmal_h5_info_of(h, "/selection/removed", &removed);
    say_number(s, "added so far", added.dims[0]);
    say_number(s, "removed so far", removed.dims[0]);
    say_text(s, h, "pool", "/input/path");
    say_options(s, h);
    return FMAL_OK;
}

static fmal_status show_mask(sheet *s, fmal_h5 *h)
{
    fmal_mask_record r;

    FMAL_TRY(fmal_mask_read(h, &r));
    say(s, "network", "%s", r.arch);
    say(s, "method", "%s", r.method);
    if (strcmp(r.method, fmal_mask_method_names[FMAL_MASK_RELATIVE]) != 0)
        say_real(s, "fraction", r.fraction);
    say_number(s, "samples", r.mask.n_samples);
    say_number(s, "parameters", r.mask.size);
    say_number(s, "masked", r.mask.count);
    say_number(s, "outside of head", r.mask.extra);
    say_text(s, h, "data", "/input/path");
    say_text(s, h, "data checksum", "/input/checksum");
    say_text(s, h, "weights", "/weights/path");
    say_options(s, h);
    if (s->json)
        json_object_set_new(s->facts, "tensors", masking_json(r.tensors, r.n_tensors));
    else
        masking_print(r.tensors, r.n_tensors, stdout);
    fmal_mask_record_clear(&r);
    return FMAL_OK;
}

/* ---- The command ---- */

static const struct {
    const char *schema, *kind;
    fmal_status (*show)(sheet *s, fmal_h5 *h);
    bool checked;
} kinds[] = {
    { "fmal-dataset-1", "data set", show_dataset, false },
    { FMAL_PICKS_SCHEMA, "picks", show_picks, false },
    { FMAL_RUN_SCHEMA, "checkpoint of a run", show_run, true },
    { FMAL_SELECT_SCHEMA, "selection under way", show_selection, true },
    { FMAL_MASK_SCHEMA, "mask", show_mask, true },
    { FMAL_WEIGHTS_SCHEMA, "weights", show_weights, false },
};

static fmal_status show_kind(sheet *s, const char *path, int kind)
{
    fmal_h5 *h = NULL;

    if (kinds[kind].checked)
        FMAL_TRY(fmal_h5_open_checked(path, &h));
    else
        FMAL_TRY(fmal_h5_open(path, &h));
    say(s, "file", "%s", path);
    say(s, "kind", "%s", kinds[kind].kind);
    say_attribute(s, h, "written by", "version");
    say_attribute(s, h, "command", "history");
    fmal_status st = kinds[kind].show(s, h);
    fmal_h5_close(&h);
    return st;
}

static fmal_status show_file(sheet *s, const char *path)
{
    char schema[64] = "";
    fmal_h5 *h = NULL;
    fmal_h5_info features;
    fmal_weights_info weights;

    if (fmal_weights_is_safetensors(path))
        return show_plain_weights(s, path);
    /* One of ours that carries a checksum is compared before HDF5 reads it. */
    if (fmal_h5_is_checked(path))
        FMAL_TRY(fmal_h5_open_checked(path, &h));
    else
        FMAL_TRY(fmal_h5_open(path, &h));
    bool stamped = fmal_h5_get_text(h, "/", "schema", schema, sizeof schema) == FMAL_OK;
    fmal_h5_info_of(h, "/features", &features);
    if (!features.exists)
        fmal_h5_info_of(h, "/embeddings", &features);
    fmal_h5_close(&h);
    for (int i = 0; stamped && i < FMAL_COUNT(kinds); i++)
        if (strcmp(schema, kinds[i].schema) == 0)
            return show_kind(s, path, i);
    if (features.exists)
        return show_pool(s, path);
    if (!stamped && fmal_weights_look(path, &weights) == FMAL_OK)
        return show_plain_weights(s, path);
    return FMAL_FAIL(FMAL_ERR_FORMAT,
                     "%s: neither data set, pool, picks, mask, checkpoint nor weights "
                     "(its attribute 'schema' is '%s'; docs/formats.md)",
                     path, schema);
}

static fmal_status run(cli *c, void *given)
{
    const inspect_options *o = given;
    sheet s = { .facts = json_object(), .json = o->common.json };
    char path[4096];
    struct stat about;

    snprintf(path, sizeof path, "%s", c->positional);
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
        fmal_ckpt_path(c->positional, false, path, sizeof path);
        if (!fmal_file_exists(path)) {
            json_decref(s.facts);
            return FMAL_FAIL(FMAL_ERR_IO,
                             "%s: there is no run in it (no checkpoint.h5)",
                             c->positional);
        }
    }
    fmal_status st = show_file(&s, path);
    if (st == FMAL_OK && s.json) {
        json_dumpf(s.facts, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(s.facts);
    fmal_h5_shutdown();
    return st;
}

const command command_inspect = {
    .name = "inspect",
    .summary = "a checkpoint, pool, data set, picks, mask or weights file in words",
    .usage = "FILE|DIR [--json]",
    .text =
        "Says what a file holds: its kind, sizes, options, and how far a run has come. "
        "Of a\nrun's directory it shows the checkpoint. Needs no MPI.",
    .options = table,
    .size = sizeof(inspect_options),
    .positional = "FILE",
    .run = run,
};
