/* What a checkpoint holds, dataset by dataset; docs/formats.md lists it for readers. */
#include "ckpt_impl.h"
#include "fmal/mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* A few bytes of a file can claim any length. */
static fmal_status check_room(const fmal_h5 *h, const char *name, double wanted)
{
    double available = fmal_mem_available();

    if (available > 0 && wanted > available)
        return FMAL_FAIL(FMAL_ERR_NOMEM, "%s: %s takes %.1f GB, %.1f GB are available",
                         fmal_h5_path(h), name, wanted / 1e9, available / 1e9);
    return FMAL_OK;
}

fmal_status fmal_ckpt_array(fmal_h5 *h, const char *name, fmal_type type, size_t size,
                            void *out, fmal_idx *n)
{
    fmal_h5_info info;
    void *data = NULL;

    fmal_h5_info_of(h, name, &info);
    if (!info.exists || info.ndims != 1 || info.dims[0] < 0 ||
        info.kind == FMAL_H5_STRING || info.kind == FMAL_H5_OTHER)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s is missing or no array of numbers",
                         fmal_h5_path(h), name);
    FMAL_TRY(check_room(h, name, (double) info.dims[0] * (double) size));
    FMAL_TRY(fmal_alloc(&data, info.dims[0], size));
    fmal_status st = info.dims[0] > 0 ? fmal_h5_read(h, name, type, data) : FMAL_OK;
    if (st != FMAL_OK) {
        fmal_free(&data);
        return st;
    }
    memcpy(out, &data, sizeof data);
    *n = info.dims[0];
    return FMAL_OK;
}

/* The same, of a length that is known. */
static fmal_status exact_array(fmal_h5 *h, const char *name, fmal_type type,
                               size_t size, void *out, fmal_idx want)
{
    fmal_idx n = 0;

    FMAL_TRY(fmal_ckpt_array(h, name, type, size, out, &n));
    if (n != want)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s has %lld elements, wanted %lld",
                         fmal_h5_path(h), name, (long long) n, (long long) want);
    return FMAL_OK;
}

/* ---- A selection ---- */

fmal_status fmal_selection_write(fmal_h5 *h, const fmal_select_state *s)
{
    FMAL_TRY(fmal_h5_write_list(h, "/selection/added", FMAL_I64, s->n_added, "step",
                                "samples added so far, in order", "sample index",
                                s->added));
    FMAL_TRY(fmal_h5_write_list(h, "/selection/gain", FMAL_F64, s->n_added, "step",
                                "fall of tr(M^-1 F) at each addition", NULL, s->gain));
    FMAL_TRY(fmal_h5_write_list(h, "/selection/removed", FMAL_I64, s->n_removed, "step",
                                "samples removed again so far, in order",
                                "sample index", s->removed));
    FMAL_TRY(fmal_h5_write_list(h, "/selection/loss", FMAL_F64, s->n_removed, "step",
                                "rise of tr(M^-1 F) at each removal", NULL, s->loss));
    FMAL_TRY(fmal_h5_attr_i64(h, "/selection", "refresh_step", s->refresh_step));
    FMAL_TRY(fmal_h5_attr_f64(h, "/selection", "refresh_score", s->refresh_score));
    return fmal_h5_attr_f64(h, "/selection", "objective_before", s->before);
}

fmal_status fmal_selection_read(fmal_h5 *h, fmal_select_state *out)
{
    fmal_select_state s = { 0 };
    fmal_status st;

    st = fmal_ckpt_array(h, "/selection/added", FMAL_I64, 8, &s.added, &s.n_added);
    if (st == FMAL_OK)
        st = exact_array(h, "/selection/gain", FMAL_F64, 8, &s.gain, s.n_added);
    if (st == FMAL_OK)
        st = fmal_ckpt_array(h, "/selection/removed", FMAL_I64, 8, &s.removed,
                             &s.n_removed);
    if (st == FMAL_OK)
        st = exact_array(h, "/selection/loss", FMAL_F64, 8, &s.loss, s.n_removed);
    if (st == FMAL_OK)
        st = fmal_h5_get_i64(h, "/selection", "refresh_step", &s.refresh_step);
    if (st == FMAL_OK)
        st = fmal_h5_get_f64(h, "/selection", "refresh_score", &s.refresh_score);
    if (st == FMAL_OK)
        st = fmal_h5_get_f64(h, "/selection", "objective_before", &s.before);
    if (st != FMAL_OK)
        fmal_ckpt_clear_select(&s);
    else
        *out = s;
    return st;
}

void fmal_ckpt_clear_select(fmal_select_state *s)
{
    fmal_free(&s->added);
    fmal_free(&s->gain);
    fmal_free(&s->removed);
    fmal_free(&s->loss);
}

/* ---- Rounds: a struct of numbers as one dataset a number ---- */

typedef struct {
    const char *name, *long_name, *units;
    size_t offset;
    bool integer;
} column;

static const column columns[] = {
    { "/rounds/labelled", "samples the model was trained on", "samples",
      offsetof(fmal_round, labelled), true },
    { "/rounds/epochs", "epochs it was trained for", "epochs",
      offsetof(fmal_round, epochs), true },
    { "/rounds/train_accuracy", "share right over the last epoch", NULL,
      offsetof(fmal_round, train_accuracy), false },
    { "/rounds/train_loss", "mean cross-entropy over the last epoch", "nat",
      offsetof(fmal_round, train_loss), false },
    { "/rounds/test_accuracy", "share right on the test split", NULL,
      offsetof(fmal_round, test_accuracy), false },
    { "/rounds/test_loss", "mean cross-entropy on the test split", "nat",
      offsetof(fmal_round, test_loss), false },
    { "/rounds/objective_before", "tr(M^-1 F) without the round's batch", NULL,
      offsetof(fmal_round, before), false },
    { "/rounds/objective_after", "tr(M^-1 F) with it", NULL,
      offsetof(fmal_round, after), false },
    { "/rounds/seconds_pick", "wall time of scoring and picking", "s",
      offsetof(fmal_round, seconds_pick), false },
    { "/rounds/seconds_train", "wall time of training and evaluation", "s",
      offsetof(fmal_round, seconds_train), false },
};

/* Rounds in the file: those done, and the pick of the one under way. */
static fmal_idx rounds_kept(const fmal_run_state *s)
{
    return s->stage == FMAL_STAGE_TRAIN ? s->rounds_done + 1 : s->rounds_done;
}

static fmal_status write_rounds(fmal_h5 *h, const fmal_run_state *s)
{
    fmal_idx n = rounds_kept(s);
    int64_t *values = NULL; /* a double is as wide */
    fmal_status st = FMAL_ALLOC(&values, n);

    for (int i = 0; i < FMAL_COUNT(columns) && st == FMAL_OK; i++) {
        for (fmal_idx r = 0; r < n; r++)
            memcpy(&values[r], (const char *) &s->rounds[r] + columns[i].offset, 8);
        st = fmal_h5_write_list(h, columns[i].name,
                                columns[i].integer ? FMAL_I64 : FMAL_F64, n, "round",
                                columns[i].long_name, columns[i].units, values);
    }
    fmal_free(&values);
    return st;
}

static fmal_status read_rounds(fmal_h5 *h, fmal_run_state *s)
{
    fmal_idx n = rounds_kept(s);

    for (int i = 0; i < FMAL_COUNT(columns); i++) {
        int64_t *values = NULL;
        fmal_status st =
            exact_array(h, columns[i].name, columns[i].integer ? FMAL_I64 : FMAL_F64, 8,
                        &values, n);

        if (st == FMAL_OK && !s->rounds)
            st = FMAL_ALLOC(&s->rounds, n); /* now that the file has as many */
        for (fmal_idx r = 0; r < n && st == FMAL_OK; r++)
            memcpy((char *) &s->rounds[r] + columns[i].offset, &values[r], 8);
        fmal_free(&values);
        FMAL_TRY(st);
    }
    return FMAL_OK;
}

/* Rounds that are done, by class. */
static fmal_status write_right(fmal_h5 *h, const fmal_run_state *s)
{
    fmal_h5_spec spec = { .name = "/rounds/test_right",
                          .type = FMAL_I64,
                          .ndims = 2,
                          .dims = { s->rounds_done, s->classes },
                          .label = { "round", "class" },
                          .long_name =
                              "test samples of each class predicted right; -1: "
                              "not known",
                          .units = "samples" };

    return s->right ? fmal_h5_write(h, &spec, s->right) : FMAL_OK;
}

/* Files of older versions do not have it. */
static fmal_status read_right(fmal_h5 *h, fmal_run_state *s)
{
    static const char *const name = "/rounds/test_right";
    fmal_h5_info info;

    fmal_h5_info_of(h, name, &info);
    if (!info.exists)
        return FMAL_OK;
    if (info.kind != FMAL_H5_INTEGER || info.ndims != 2 ||
        info.dims[0] != s->rounds_done || info.dims[1] < 1 || info.dims[1] > INT_MAX)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: %s is not one row of classes for each of %lld rounds",
                         fmal_h5_path(h), name, (long long) s->rounds_done);
    FMAL_TRY(check_room(
        h, name, (double) info.dims[0] * (double) info.dims[1] * sizeof *s->right));
    s->classes = (int) info.dims[1];
    FMAL_TRY(FMAL_ALLOC(&s->right, s->rounds_done * s->classes));
    return s->rounds_done > 0 ? fmal_h5_read(h, name, FMAL_I64, s->right) : FMAL_OK;
}

/* ---- A run ---- */

static const char *const stage_names[] = { "pick", "train", "done" };

/* Random streams are keyed by rounds below this (rng.h). */
enum { MAX_ROUNDS = 1 << 24 };

/* Only of a training with samples held out. */
static fmal_status write_best(fmal_h5 *h, const fmal_train_count *t)
{
    if (t->best_epoch == 0)
        return FMAL_OK;
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "best_epoch", t->best_epoch));
    return fmal_h5_attr_f64(h, "/", "best_loss", t->best_loss);
}

static fmal_status read_best(fmal_h5 *h, fmal_train_count *t)
{
    if (!fmal_h5_has_attr(h, "/", "best_epoch"))
        return FMAL_OK;
    FMAL_TRY(fmal_h5_get_i64(h, "/", "best_epoch", &t->best_epoch));
    return fmal_h5_get_f64(h, "/", "best_loss", &t->best_loss);
}

static fmal_status write_position(fmal_h5 *h, const fmal_run_state *s)
{
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "round", s->round));
    FMAL_TRY(fmal_h5_attr_text(h, "/", "stage", stage_names[s->stage]));
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "rounds_done", s->rounds_done));
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "epochs", s->trained.epochs));
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "steps", s->trained.steps));
    FMAL_TRY(write_best(h, &s->trained));
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "events_bytes", s->events_bytes));
    return fmal_h5_attr_f64(h, "/", "seconds", s->seconds);
}

static fmal_status read_position(fmal_h5 *h, fmal_run_state *s)
{
    char stage[16] = "";
    int i = 0;

    FMAL_TRY(fmal_h5_get_i64(h, "/", "round", &s->round));
    FMAL_TRY(fmal_h5_get_text(h, "/", "stage", stage, sizeof stage));
    while (i < FMAL_COUNT(stage_names) && strcmp(stage, stage_names[i]) != 0)
        i++;
    s->stage = (fmal_stage) i;
    FMAL_TRY(fmal_h5_get_i64(h, "/", "rounds_done", &s->rounds_done));
    FMAL_TRY(fmal_h5_get_i64(h, "/", "epochs", &s->trained.epochs));
    FMAL_TRY(fmal_h5_get_i64(h, "/", "steps", &s->trained.steps));
    FMAL_TRY(read_best(h, &s->trained));
    FMAL_TRY(fmal_h5_get_i64(h, "/", "events_bytes", &s->events_bytes));
    FMAL_TRY(fmal_h5_get_f64(h, "/", "seconds", &s->seconds));
    if (i == FMAL_COUNT(stage_names) || s->round < 0 || s->round > MAX_ROUNDS ||
        s->rounds_done < 0 || s->rounds_done > s->round + 1 || s->trained.epochs < 0 ||
        s->trained.steps < 0 || s->events_bytes < 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: its counts at stage '%s' of round %lld make no sense",
                         fmal_h5_path(h), stage, (long long) s->round);
    return FMAL_OK;
}

/* Rounds that have picks. */
static fmal_idx rounds_picked(const fmal_run_state *s)
{
    return s->stage == FMAL_STAGE_PICK ? s->round : s->round + 1;
}

/* Samples are counted from the first of the pool. For readers, as well. */
static fmal_status write_pool(fmal_h5 *h, const fmal_split *train)
{
    if (!train->origin)
        return FMAL_OK;
    return fmal_h5_write_list(
        h, "/pool/index", FMAL_I64, train->part.n, "sample",
        "where each sample of an imbalanced pool is in the training "
        "split of the data set",
        "sample index", train->origin);
}

/* ---- Names of tensors: for readers; a restart knows them from its options ---- */

typedef const fmal_tensor *(*tensor_at)(const fmal_net *net, int i);

/* Tables of n tensors under /model/<what>. */
static fmal_status write_tensors(fmal_h5 *h, const fmal_net *net, const char *what,
                                 int n, tensor_at at)
{
    enum { MOST = 1024 };
    const char *names[MOST];
    int64_t offset[MOST], count[MOST];
    char path[3][64];

    n = n < MOST ? n : MOST;
    for (int i = 0; i < n; i++) {
        names[i] = at(net, i)->name;
        offset[i] = at(net, i)->offset;
        count[i] = at(net, i)->count;
    }
    snprintf(path[0], sizeof path[0], "/model/%s/name", what);
    snprintf(path[1], sizeof path[1], "/model/%s/offset", what);
    snprintf(path[2], sizeof path[2], "/model/%s/count", what);

    fmal_h5_spec spec = { .name = path[0],
                          .type = FMAL_STR,
                          .ndims = 1,
                          .dims = { n },
                          .label = { "tensor" },
                          .long_name = "tensors of the network, row-major; a weight is "
                                       "[out, in] or [out, in, height, width]" };
    FMAL_TRY(fmal_h5_write(h, &spec, names));
    FMAL_TRY(fmal_h5_write_list(h, path[1], FMAL_I64, n, "tensor",
                                "where each tensor begins in the array of all",
                                "element", offset));
    return fmal_h5_write_list(h, path[2], FMAL_I64, n, "tensor",
                              "elements of each tensor", "elements", count);
}

/* Which number is what, and what the network's input is. */
static fmal_status write_model(fmal_h5 *h, const fmal_net *net, const fmal_dataset *set)
{
    FMAL_TRY(write_tensors(h, net, "tensor", fmal_net_tensors(net), fmal_net_tensor));
    if (fmal_net_stat_tensors(net) > 0)
        FMAL_TRY(write_tensors(h, net, "statistic", fmal_net_stat_tensors(net),
                               fmal_net_stat_tensor));
    if (!set->has_images)
        return FMAL_OK;
    FMAL_TRY(fmal_h5_write_list(h, "/model/mean", FMAL_F32, set->shape[0], "channel",
                                "taken from pixels / 255", NULL, set->mean));
    return fmal_h5_write_list(h, "/model/std", FMAL_F32, set->shape[0], "channel",
                              "what they are then divided by", NULL, set->std);
}

/* Only of a network with batch normalisation. */
static fmal_status write_stats(fmal_h5 *h, const fmal_run_state *s)
{
    if (s->n_stats == 0)
        return FMAL_OK;
    return fmal_h5_write_list(
        h, "/model/statistics", FMAL_F32, s->n_stats, "statistic",
        "running statistics of batch normalisation, tensor after tensor", NULL,
        s->stats);
}

static fmal_status read_stats(fmal_h5 *h, fmal_run_state *s)
{
    fmal_h5_info info;

    fmal_h5_info_of(h, "/model/statistics", &info);
    if (!info.exists)
        return FMAL_OK;
    return fmal_ckpt_array(h, "/model/statistics", FMAL_F32, 4, &s->stats, &s->n_stats);
}

fmal_status fmal_run_state_write(fmal_h5 *h, const fmal_run_state *s)
{
    FMAL_TRY(write_position(h, s));
    FMAL_TRY(write_rounds(h, s));
    FMAL_TRY(write_right(h, s));
    FMAL_TRY(fmal_h5_write_list(
        h, "/picks/index", FMAL_I64, s->n_picks, "pick",
        "labelled samples in the order picked, the initial ones first", "sample index",
        s->picks));
    FMAL_TRY(fmal_h5_write_list(h, "/picks/label", FMAL_I32, s->n_picks, "pick",
                                "their labels", "class index", s->pick_labels));
    FMAL_TRY(fmal_h5_write_list(h, "/picks/score", FMAL_F64, s->n_picks, "pick",
                                "scores by which they were picked", NULL,
                                s->pick_scores));
    FMAL_TRY(
        fmal_h5_write_list(h, "/picks/first", FMAL_I64, rounds_picked(s) + 1, "round",
                           "where each round's picks begin in /picks/index; the last "
                           "element is their end",
                           "pick", s->first_pick));
    FMAL_TRY(fmal_h5_write_list(
        h, "/model/parameters", FMAL_F32, s->n_params, "parameter",
        "parameters of the network, tensor after tensor", NULL, s->params));
    FMAL_TRY(write_stats(h, s));
    FMAL_TRY(fmal_h5_write_list(
        h, "/model/optimizer", FMAL_F32, s->n_optimizer, "value",
        "state of the optimizer, then the best parameters and "
        "statistics by the samples held out, if any are; empty unless a training is "
        "under way",
        NULL, s->optimizer));
    if (s->net) {
        FMAL_TRY(write_model(h, s->net, s->set));
        FMAL_TRY(write_pool(h, &s->set->train));
    }
    return s->has_selection ? fmal_selection_write(h, &s->selection) : FMAL_OK;
}

static fmal_status read_arrays(fmal_h5 *h, fmal_run_state *s)
{
    fmal_h5_info selection;

    FMAL_TRY(read_rounds(h, s));
    FMAL_TRY(read_right(h, s));
    FMAL_TRY(fmal_ckpt_array(h, "/picks/index", FMAL_I64, 8, &s->picks, &s->n_picks));
    FMAL_TRY(exact_array(h, "/picks/label", FMAL_I32, 4, &s->pick_labels, s->n_picks));
    FMAL_TRY(exact_array(h, "/picks/score", FMAL_F64, 8, &s->pick_scores, s->n_picks));
    FMAL_TRY(exact_array(h, "/picks/first", FMAL_I64, 8, &s->first_pick,
                         rounds_picked(s) + 1));
    FMAL_TRY(
        fmal_ckpt_array(h, "/model/parameters", FMAL_F32, 4, &s->params, &s->n_params));
    FMAL_TRY(read_stats(h, s));
    FMAL_TRY(fmal_ckpt_array(h, "/model/optimizer", FMAL_F32, 4, &s->optimizer,
                             &s->n_optimizer));
    fmal_h5_info_of(h, "/selection/added", &selection);
    if (!selection.exists)
        return FMAL_OK;
    FMAL_TRY(fmal_selection_read(h, &s->selection));
    s->has_selection = true;
    return FMAL_OK;
}

fmal_status fmal_ckpt_read_run(fmal_h5 *h, fmal_run_state *out)
{
    fmal_run_state s = { 0 };
    fmal_status st = read_position(h, &s);

    if (st == FMAL_OK)
        st = read_arrays(h, &s);
    if (st != FMAL_OK)
        fmal_run_state_clear(&s);
    else
        *out = s;
    return st;
}
