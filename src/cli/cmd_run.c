#include "cli_impl.h"
#include "rundir.h"
#include "fmal/ckpt.h"
#include "fmal/log.h"
#include "fmal/mem.h"
#include "fmal/report.h"
#include "fmal/version.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    common_options common;
    char *data, *run, *grid;
    int model, strategy, labelled_fisher, select, optimizer;
    int64_t topc, hidden, initial, batch, rounds, seed, checkpoint_steps;
    int64_t train_batch, micro_batch, epochs;
    double lambda, oversample, rate, momentum, weight_decay, train_accuracy;
    double max_time, checkpoint_every;
    bool warm, dry_run;
} run_options;

static const char *const labelled_names[] = { "mean", "sum", NULL };
static const char *const select_names[] = { "greedy", "top", NULL };

#define AT(member) offsetof(run_options, member)
static const fmal_opt table[] = {
    { .name = "data",
      .letter = 'd',
      .type = FMAL_OPT_STRING,
      .offset = AT(data),
      .arg = "FILE",
      .required = true,
      .help = "data set (fmal import), HDF5" },
    { .name = "run",
      .letter = 'r',
      .type = FMAL_OPT_STRING,
      .offset = AT(run),
      .arg = "DIR",
      .required = true,
      .help = "directory of the run; one that holds a checkpoint is gone on with" },
    { .name = "model",
      .letter = 'm',
      .type = FMAL_OPT_CHOICE,
      .offset = AT(model),
      .def = "mlp",
      .choices = fmal_arch_names,
      .arg = "NAME",
      .identity = true,
      .help = "network" },
    { .name = "hidden",
      .type = FMAL_OPT_INT,
      .offset = AT(hidden),
      .def = "128",
      .min = 1,
      .max = 65536,
      .identity = true,
      .unit = "units",
      .help = "width of the hidden layer (mlp)" },
    { .name = "strategy",
      .letter = 's',
      .type = FMAL_OPT_CHOICE,
      .offset = AT(strategy),
      .def = "bait",
      .choices = fmal_strategy_names,
      .arg = "NAME",
      .identity = true,
      .help = "how to pick" },
    { .name = "initial",
      .type = FMAL_OPT_INT,
      .offset = AT(initial),
      .def = "100",
      .min = 1,
      .max = 1e12,
      .identity = true,
      .unit = "samples",
      .help = "labelled at random at the start" },
    { .name = "batch",
      .letter = 'b',
      .type = FMAL_OPT_INT,
      .offset = AT(batch),
      .def = "100",
      .min = 1,
      .max = 1e12,
      .arg = "K",
      .identity = true,
      .help = "samples to pick in a round" },
    { .name = "rounds",
      .type = FMAL_OPT_INT,
      .offset = AT(rounds),
      .def = "5",
      .min = 0,
      .max = 1e6,
      .identity = true,
      .help = "batches to pick" },
    { .name = "seed",
      .type = FMAL_OPT_INT,
      .offset = AT(seed),
      .def = "1",
      .min = 0,
      .max = 9e18,
      .identity = true,
      .help = "seed of everything random" },
    { .name = "lambda",
      .type = FMAL_OPT_REAL,
      .offset = AT(lambda),
      .def = "1",
      .min = 1e-12,
      .max = 1e12,
      .identity = true,
      .help = "ridge added to the information of the labelled samples" },
    { .name = "oversample",
      .type = FMAL_OPT_REAL,
      .offset = AT(oversample),
      .def = "2",
      .min = 1,
      .max = 1e6,
      .identity = true,
      .help = "samples added per sample of the batch, before removals" },
    { .name = "labelled-fisher",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(labelled_fisher),
      .def = "mean",
      .choices = labelled_names,
      .arg = "HOW",
      .identity = true,
      .help = "how the information of the labelled samples counts" },
    { .name = "topc",
      .type = FMAL_OPT_INT,
      .offset = AT(topc),
      .def = "2",
      .min = 1,
      .max = 1e5,
      .identity = true,
      .help = "most probable classes whose information counts (bait-topc)" },
    { .name = "select",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(select),
      .def = "greedy",
      .choices = select_names,
      .arg = "HOW",
      .identity = true,
      .help = "search, or take the best first scores" },
    { .name = "grid",
      .type = FMAL_OPT_STRING,
      .offset = AT(grid),
      .def = "auto",
      .arg = "RxC",
      .identity = true,
      .help = "ranks that share the matrices, as rows x columns, or auto" },
    { .name = "optimizer",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(optimizer),
      .def = "adam",
      .choices = fmal_optimizer_names,
      .arg = "NAME",
      .identity = true,
      .help = "how to train" },
    { .name = "learning-rate",
      .type = FMAL_OPT_REAL,
      .offset = AT(rate),
      .def = "0.001",
      .min = 1e-12,
      .max = 1e6,
      .identity = true,
      .help = "step of the optimizer" },
    { .name = "momentum",
      .type = FMAL_OPT_REAL,
      .offset = AT(momentum),
      .def = "0.9",
      .min = 0,
      .max = 1,
      .identity = true,
      .help = "momentum (sgd)" },
    { .name = "weight-decay",
      .type = FMAL_OPT_REAL,
      .offset = AT(weight_decay),
      .def = "0",
      .min = 0,
      .max = 1e6,
      .identity = true,
      .help = "L2 penalty added to the gradient" },
    { .name = "train-batch",
      .type = FMAL_OPT_INT,
      .offset = AT(train_batch),
      .def = "64",
      .min = 1,
      .max = 1e6,
      .identity = true,
      .unit = "samples",
      .help = "of a training step" },
    { .name = "micro-batch",
      .type = FMAL_OPT_INT,
      .offset = AT(micro_batch),
      .def = "32",
      .min = 1,
      .max = 65536,
      .identity = true,
      .unit = "samples",
      .help = "of a gradient that one rank computes" },
    { .name = "epochs",
      .type = FMAL_OPT_INT,
      .offset = AT(epochs),
      .def = "200",
      .min = 1,
      .max = 1e7,
      .identity = true,
      .help = "most epochs of a training" },
    { .name = "train-accuracy",
      .type = FMAL_OPT_REAL,
      .offset = AT(train_accuracy),
      .def = "0.99",
      .min = 0,
      .max = 2,
      .identity = true,
      .help = "training accuracy that ends a training; above 1: never" },
    { .name = "warm",
      .type = FMAL_OPT_FLAG,
      .offset = AT(warm),
      .identity = true,
      .help = "keep the weights from round to round instead of fresh ones" },
    { .name = "dry-run",
      .letter = 'n',
      .type = FMAL_OPT_FLAG,
      .offset = AT(dry_run),
      .help = "print the plan and stop; exit code 1 if it does not fit" },
    { .name = "max-time",
      .type = FMAL_OPT_SECONDS,
      .offset = AT(max_time),
      .help = "stop with a checkpoint after this time (default: before the batch job "
              "ends)" },
    { .name = "checkpoint-every",
      .type = FMAL_OPT_SECONDS,
      .offset = AT(checkpoint_every),
      .def = "300",
      .min = 0,
      .max = 1e9,
      .help = "time between checkpoints inside a round, 0 for none by time" },
    { .name = "checkpoint-steps",
      .type = FMAL_OPT_INT,
      .offset = AT(checkpoint_steps),
      .def = "0",
      .min = 0,
      .max = 1e12,
      .help = "selection steps between checkpoints, 0 for none by steps" },
    { .name = NULL },
};

/* One start of a run. */
typedef struct {
    cli *c;
    const run_options *o;
    fmal_run_options options;
    fmal_dataset *set;
    fmal_run_hooks hooks;
    fmal_run_setup setup;
    fmal_identity identity;
    rundir dir;
    fmal_stop stop;
    fmal_events *events;
} job;

/* ---- Options ---- */

static fmal_run_options library_options(const run_options *o)
{
    return (fmal_run_options){
        .arch = fmal_arch_names[o->model],
        .hidden = (int) o->hidden,
        .strategy = fmal_strategy_at(o->strategy),
        .initial = o->initial,
        .rounds = o->rounds,
        .select = { .batch = o->batch,
                    .lambda = o->lambda,
                    .oversample = o->oversample,
                    .labelled_sum = o->labelled_fisher == 1,
                    .top = o->select == 1,
                    .topc = (int) o->topc },
        .train = { .optimizer = (fmal_optimizer) o->optimizer,
                   .rate = o->rate,
                   .momentum = o->momentum,
                   .weight_decay = o->weight_decay,
                   .batch = (int) o->train_batch,
                   .micro_batch = (int) o->micro_batch,
                   .max_epochs = (int) o->epochs,
                   .stop_accuracy = o->train_accuracy,
                   .seed = (uint64_t) o->seed },
        .warm = o->warm,
        .seed = (uint64_t) o->seed,
    };
}

/* An option that the choice of another makes void is an error, not ignored. */
static fmal_status check_options(const job *j)
{
    const fmal_opts *opts = j->c->opts;

    FMAL_TRY(check_honoured(opts, j->options.strategy, j->o->select == 1));
    if (fmal_opts_given(opts, "hidden") && strcmp(j->options.arch, "mlp") != 0)
        return FMAL_FAIL(FMAL_ERR_USAGE, "--hidden: the model '%s' has no hidden layer",
                         j->options.arch);
    if (fmal_opts_given(opts, "momentum") && j->o->optimizer != FMAL_SGD)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--momentum: the optimizer 'adam' has its own");
    return FMAL_OK;
}

/* ---- What the loop calls back ---- */

static fmal_status save(void *arg, const fmal_run_state *state)
{
    job *j = arg;
    fmal_run_state now = *state;

    FMAL_TRY(fmal_events_sync(j->events));
    now.events_bytes = fmal_events_bytes(j->events);
    return fmal_ckpt_save_run(&j->c->ctx, j->dir.path, &j->identity, &now);
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
    job *j = arg;
    json_t *fields = NULL;
    char objective[64] = "";

    if (batch->has_objective)
        snprintf(objective, sizeof objective, " objective=%.6g->%.6g", batch->before,
                 batch->after);
    fmal_log(FMAL_LOG_INFO, "pick",
             "round=%" PRId64 " batch=%" PRId64 " balance=%.3f%s seconds=%.1f", round,
             batch->n, balance_of(s, round, j->set->classes), objective,
             s->rounds[round].seconds_pick);
    if (j->c->ctx.rank == 0) {
        fmal_picks picks = { .batch = batch, .strategy = j->options.strategy->name };

        fields = fmal_picks_json(&picks);
        json_object_set_new(fields, "round", json_integer(round));
        json_object_set_new(fields, "class_counts",
                            counts_json(s, round, j->set->classes));
        json_object_set_new(fields, "steps",
                            json_integer(batch->forward + batch->backward));
        json_object_set_new(fields, "refreshes", json_integer(batch->refreshes));
        json_object_set_new(fields, "seconds",
                            json_real(s->rounds[round].seconds_pick));
    }
    return fmal_events_add(j->events, "pick", fields);
}

static fmal_status on_round(void *arg, const fmal_run_state *s, int64_t round)
{
    job *j = arg;
    const fmal_round *r = &s->rounds[round];
    json_t *fields = NULL;

    fmal_log(FMAL_LOG_INFO, "round",
             "%" PRId64 "/%" PRId64 " labels=%" PRId64 " epochs=%" PRId64
             " train_accuracy=%.4f test_accuracy=%.4f seconds=%.1f",
             round, j->options.rounds, r->labelled, r->epochs, r->train_accuracy,
             r->test_accuracy, r->seconds_train);
    if (j->c->ctx.rank == 0)
        fields = json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "round",
                           (json_int_t) round, "labelled", (json_int_t) r->labelled,
                           "epochs", (json_int_t) r->epochs, "train_accuracy",
                           r->train_accuracy, "train_loss", r->train_loss,
                           "test_accuracy", r->test_accuracy, "test_loss", r->test_loss,
                           "seconds", r->seconds_train);
    FMAL_TRY(fmal_events_add(j->events, "round", fields));
    return fmal_report_tables(&j->c->ctx, j->dir.path, s, j->set);
}

/* ---- Start, end ---- */

static fmal_status open_data(job *j)
{
    fmal_status st;

    fmal_phase_begin(&j->c->phases, FMAL_PHASE_READ);
    st = fmal_dataset_open(&j->c->ctx, j->o->data, &j->set);
    fmal_phase_end(&j->c->phases, 0,
                   st == FMAL_OK
                       ? (double) (j->set->train.part.count + j->set->test.part.count) *
                             (double) j->set->row_bytes
                       : 0);
    return st;
}

static fmal_status plan(job *j)
{
    fmal_run_plan p;
    char all[32], network[32], data[32], selection[32];
    bool dry = j->o->dry_run;

    FMAL_TRY(fmal_run_plan_make(&j->setup, &p));
    plan_line(j->c, dry,
              "samples=%" PRId64 " test=%" PRId64
              " features=%d classes=%d parameters=%" PRId64 " labels=%" PRId64
              "..%" PRId64,
              p.n, p.test, p.d, p.c, p.params, j->options.initial, p.labelled_at_end);
    if (p.select.order > 0)
        plan_line(j->c, dry,
                  "D=%" PRId64 " grid=%dx%d steps=%" PRId64 "+%" PRId64
                  " (added+removed) a round",
                  p.select.order, p.select.grid_rows, p.select.grid_cols,
                  p.select.forward, p.select.backward);
    plan_line(j->c, dry, "memory a rank: %s (data %s, network %s, selection %s)",
              bytes_text(p.bytes, all, sizeof all),
              bytes_text(p.bytes_data, data, sizeof data),
              bytes_text(p.bytes_network, network, sizeof network),
              bytes_text(p.select.bytes, selection, sizeof selection));
    if (p.select.order > 0)
        print_time(j->c, dry, p.select.flops * (double) j->options.rounds);
    if (j->o->train_batch < j->o->micro_batch * (j->c->ctx.size - 1) + 1)
        fmal_log(FMAL_LOG_WARN, "plan",
                 "a training step has %" PRId64
                 " micro-batches for %d ranks: some train "
                 "nothing; a smaller --micro-batch or a larger --train-batch uses them",
                 (j->o->train_batch + j->o->micro_batch - 1) / j->o->micro_batch,
                 j->c->ctx.size);
    /* The data are in memory already. */
    return check_memory(&j->c->ctx, p.bytes - p.bytes_data);
}

static json_t *start_json(const job *j)
{
    return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s}", "version", FMAL_VERSION, "ranks",
                     j->c->ctx.size, "nodes", j->c->ctx.nodes, "blas", fmal_blas_core(),
                     "command", j->c->history, "options", j->identity.resolved);
}

/* Begin, or go on where the directory's checkpoint is. */
static fmal_status begin(job *j, fmal_run **run)
{
    fmal_run_state saved = { 0 };
    bool found = false;
    const fmal_ctx *ctx = &j->c->ctx;

    FMAL_TRY(fmal_ckpt_load_run(ctx, j->dir.path, &j->identity, &saved, &found));
    if (!found)
        FMAL_TRY(rundir_check_unused(ctx, &j->dir));
    fmal_status st =
        fmal_events_open(ctx, j->dir.events, saved.events_bytes, &j->events);
    if (st == FMAL_OK && !(found && saved.stage == FMAL_STAGE_DONE))
        st = fmal_events_add(j->events, found ? "resume" : "start",
                             ctx->rank == 0 ? start_json(j) : NULL);
    if (st == FMAL_OK && found) {
        fmal_log(FMAL_LOG_INFO, "resume",
                 "round=%" PRId64 " labels=%" PRId64 " epochs=%" PRId64
                 " added=%" PRId64 " removed=%" PRId64,
                 saved.round, saved.n_picks, saved.epochs, saved.selection.n_added,
                 saved.selection.n_removed);
        st = fmal_run_resume(&j->setup, &saved, run);
        if (st == FMAL_OK) /* rows past the checkpoint go */
            st = fmal_report_tables(ctx, j->dir.path, fmal_run_now(*run), j->set);
    } else if (st == FMAL_OK) {
        st = fmal_run_start(&j->setup, run);
    }
    fmal_run_state_clear(&saved);
    return st;
}

static void print_result(const job *j, const fmal_run *run)
{
    if (j->c->ctx.rank != 0)
        return;
    fmal_report_rounds(fmal_run_now(run), stdout);
    printf("run: %s (metrics.csv, picks.csv, events.jsonl, checkpoint.h5)\n",
           j->dir.path);
}

static fmal_status rounds(job *j)
{
    fmal_run *run = NULL;
    fmal_status st = begin(j, &run);
    bool was_done = st == FMAL_OK && fmal_run_now(run)->stage == FMAL_STAGE_DONE;

    if (st == FMAL_OK)
        st = fmal_run_rounds(run);
    if (was_done)
        fmal_log(FMAL_LOG_INFO, "done", "this run was finished before");
    if (st == FMAL_OK)
        print_result(j, run);
    if (st == FMAL_STOPPED) {
        if (j->c->ctx.rank == 0 && stopped_by_file(st))
            unlink(j->dir.stop_file); /* obeyed: the next start goes on */
        fmal_log(FMAL_LOG_WARN, "stopped",
                 "by %s in round %" PRId64 "; the same command goes on from %s",
                 fmal_error_text(), fmal_run_now(run)->round, j->dir.path);
    }
    fmal_run_end(&run);
    fmal_events_close(&j->events);
    return st;
}

static fmal_status run_in_directory(job *j)
{
    FMAL_TRY(rundir_open(&j->c->ctx, j->o->run, &j->dir));
    j->stop = (fmal_stop){ .deadline = stop_deadline(j->c, j->o->max_time),
                           .file = j->dir.stop_file };
    fmal_status st = rounds(j);
    rundir_close(&j->dir);
    if (st == FMAL_OK || st == FMAL_STOPPED)
        job_end(j->c);
    return st;
}

static fmal_status run_on_data(job *j)
{
    const run_options *o = j->o;
    cli *c = j->c;

    j->hooks = (fmal_run_hooks){ .arg = j,
                                 .save = save,
                                 .round = on_round,
                                 .picked = on_picked,
                                 .stop = &j->stop,
                                 .every_seconds = o->checkpoint_every,
                                 .every_steps = o->checkpoint_steps };
    j->setup = (fmal_run_setup){ &c->ctx, j->set, &j->options, &j->hooks, &c->phases };
    j->identity = (fmal_identity){ .given = fmal_opts_ini(c->opts, true, false),
                                   .resolved = fmal_opts_ini(c->opts, false, false),
                                   .fixed = fmal_opts_ini(c->opts, false, true),
                                   .defaults = fmal_opts_defaults(c->opts),
                                   .input = o->data,
                                   .checksum = j->set->checksum,
                                   .history = c->history };
    fmal_status st = j->identity.given && j->identity.resolved && j->identity.fixed
                         ? FMAL_OK
                         : FMAL_FAIL(FMAL_ERR_NOMEM, "no memory for the options");
    if (st == FMAL_OK)
        st = plan(j);
    if (st == FMAL_OK && !o->dry_run)
        st = run_in_directory(j);
    fmal_free(&j->identity.given);
    fmal_free(&j->identity.resolved);
    fmal_free(&j->identity.fixed);
    return st;
}

static fmal_status run(cli *c, void *given)
{
    const run_options *o = given;
    job j = { .c = c, .o = o, .options = library_options(o) };

    FMAL_TRY(check_singleton(&c->ctx));
    FMAL_TRY(check_options(&j));
    FMAL_TRY(
        parse_grid(o->grid, &j.options.select.grid_rows, &j.options.select.grid_cols));
    job_begin(c);
    fmal_stop_install();
    FMAL_TRY(open_data(&j));
    fmal_status st = run_on_data(&j);
    fmal_dataset_close(&j.set);
    return st;
}

const command command_run = {
    .name = "run",
    .summary = "rounds of train, score, pick and label on a data set",
    .usage = "--data FILE --run DIR [--model NAME] [--strategy NAME] [options]",
    .text =
        "Trains a network on a few labelled samples, picks a batch, takes its labels "
        "from the\ndata set, and again. Writes metrics.csv, picks.csv and "
        "events.jsonl into DIR, with the\nsame rows on any number of ranks. After an "
        "interruption the same command goes on from\nDIR/checkpoint.h5; a signal "
        "(TERM, USR1), a file DIR/stop or --max-time stops it with exit\ncode 3.\n\n"
        "  mpirun -np 2 fmal run --data fmnist.h5 --run runs/bait --strategy bait\n"
        "  mpirun -np 64 fmal run --config experiment.ini",
    .options = table,
    .size = sizeof(run_options),
    .uses_mpi = true,
    .run = run,
};
