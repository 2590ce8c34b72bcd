#include "runlog.h"
#include "fmal/la.h"
#include "fmal/log.h"
#include "fmal/mem.h"
#include "fmal/version.h"

#include <inttypes.h>

static json_t *start_json(const runlog *log)
{
    return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s}", "version", FMAL_VERSION, "ranks",
                     log->c->ctx.size, "nodes", log->c->ctx.nodes, "blas",
                     fmal_blas_core(), "command", log->c->history, "options",
                     log->identity.resolved);
}

fmal_status runlog_start(const runlog *log, bool resumed)
{
    return fmal_events_add(log->events, resumed ? "resume" : "start",
                           log->c->ctx.rank == 0 ? start_json(log) : NULL);
}

/* ---- What the loop calls back ---- */

static fmal_status save(void *arg, const fmal_run_state *state)
{
    const runlog *log = arg;
    fmal_run_state now = *state;

    FMAL_TRY(fmal_events_sync(log->events));
    now.events_bytes = fmal_events_bytes(log->events);
    return fmal_ckpt_save_run(&log->c->ctx, log->dir, &log->identity, &now);
}

static json_t *counts_json(const fmal_run_state *s, int64_t round, int c)
{
    json_t *out = json_array();
    int64_t *counts = NULL;

    if (FMAL_ALLOC(&counts, c) != FMAL_OK)
        return out;
    fmal_class_counts(s, s->first_pick[round], s->first_pick[round + 1], c, counts);
    for (int k = 0; k < c; k++)
        json_array_append_new(out, json_integer(counts[k]));
    fmal_free(&counts);
    return out;
}

/* A copy of a list [n] of samples by their places in the data set file. */
static fmal_status place(const runlog *log, const fmal_idx *list, fmal_idx n,
                         fmal_idx **out)
{
    FMAL_TRY(FMAL_ALLOC(out, n));
    for (fmal_idx i = 0; i < n; i++)
        (*out)[i] = fmal_split_origin(&log->set->train, list[i]);
    return FMAL_OK;
}

/* The batch and how it was decided, by those places; NULL without memory. */
static json_t *batch_json(const runlog *log, const fmal_batch *batch)
{
    fmal_batch placed = *batch;
    fmal_picks picks = { .batch = &placed, .strategy = log->options->strategy->name };
    json_t *out = NULL;

    placed.index = placed.added = placed.removed = NULL;
    fmal_status st = place(log, batch->index, batch->n, &placed.index);
    if (st == FMAL_OK)
        st = place(log, batch->added, batch->forward, &placed.added);
    if (st == FMAL_OK)
        st = place(log, batch->removed, batch->backward, &placed.removed);
    if (st == FMAL_OK) {
        json_t *decisions = fmal_decisions_json(&placed);

        out = fmal_picks_json(&picks);
        json_object_update(out, decisions);
        json_decref(decisions);
    }
    fmal_free(&placed.index);
    fmal_free(&placed.added);
    fmal_free(&placed.removed);
    return out;
}

static double balance_of(const fmal_run_state *s, int64_t round, int c)
{
    int64_t *counts = NULL;
    double balance = 0;

    if (FMAL_ALLOC(&counts, c) == FMAL_OK) {
        fmal_class_counts(s, s->first_pick[round], s->first_pick[round + 1], c, counts);
        balance = fmal_class_balance(counts, c);
    }
    fmal_free(&counts);
    return balance;
}

static fmal_status on_picked(void *arg, const fmal_run_state *s, int64_t round,
                             const fmal_batch *batch)
{
    const runlog *log = arg;
    json_t *fields = NULL;
    char objective[64] = "";

    if (batch->has_objective)
        snprintf(objective, sizeof objective, " objective=%.6g->%.6g", batch->before,
                 batch->after);
    fmal_log(FMAL_LOG_INFO, "pick",
             "round=%" PRId64 " batch=%" PRId64 " balance=%.3f%s seconds=%.1f", round,
             batch->n, balance_of(s, round, log->set->classes), objective,
             s->rounds[round].seconds_pick);
    if (log->c->ctx.rank == 0) {
        fields = batch_json(log, batch);
        json_object_set_new(fields, "round", json_integer(round));
        json_object_set_new(fields, "class_counts",
                            counts_json(s, round, log->set->classes));
        json_object_set_new(fields, "steps",
                            json_integer(batch->forward + batch->backward));
        json_object_set_new(fields, "seconds",
                            json_real(s->rounds[round].seconds_pick));
    }
    return fmal_events_add(log->events, "pick", fields);
}

static fmal_status on_round(void *arg, const fmal_run_state *s, int64_t round)
{
    const runlog *log = arg;
    const fmal_round *r = &s->rounds[round];
    json_t *fields = NULL;

    fmal_log(FMAL_LOG_INFO, "round",
             "%" PRId64 "/%" PRId64 " labels=%" PRId64 " epochs=%" PRId64
             " train_accuracy=%.4f test_accuracy=%.4f seconds=%.1f",
             round, log->options->rounds, r->labelled, r->epochs, r->train_accuracy,
             r->test_accuracy, r->seconds_train);
    if (log->c->ctx.rank == 0)
        fields = json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "round",
                           (json_int_t) round, "labelled", (json_int_t) r->labelled,
                           "epochs", (json_int_t) r->epochs, "train_accuracy",
                           r->train_accuracy, "train_loss", r->train_loss,
                           "test_accuracy", r->test_accuracy, "test_loss", r->test_loss,
                           "seconds", r->seconds_train);
    FMAL_TRY(fmal_events_add(log->events, "round", fields));
    return fmal_report_tables(&log->c->ctx, log->dir, s, log->set);
}

void runlog_hook(runlog *log, fmal_run_hooks *hooks)
{
    hooks->arg = log;
    hooks->save = save;
    hooks->round = on_round;
    hooks->picked = on_picked;
}
