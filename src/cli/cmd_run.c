#include "imbalance.h"
#include "masked.h"
#include "network.h"
#include "pretrained.h"
#include "rundir.h"
#include "runlog.h"
#include "selection.h"
#include "training.h"
#include "fmal/log.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    common_options common;
    selection_options selection;
    masking_options masking;
    masked_options masked;
    imbalance_options imbalance;
    pretrained_options pretrained;
    training_options training;
    job_options job;
    char *data, *run;
    network_options network;
    int64_t initial, rounds;
    bool warm;
} run_options;

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
    { .name = "imbalance", .part = imbalance_table, .offset = AT(imbalance) },
    { .name = "network", .part = network_table, .offset = AT(network) },
    { .name = "initial",
      .type = FMAL_OPT_INT,
      .offset = AT(initial),
      .def = "100",
      .min = 1,
      .max = 1e12,
      .identity = true,
      .unit = "samples",
      .help = "labelled at random at the start" },
    { .name = "rounds",
      .type = FMAL_OPT_INT,
      .offset = AT(rounds),
      .def = "5",
      .min = 0,
      .max = 1e6,
      .identity = true,
      .help = "batches to pick" },
    { .name = "selection", .part = selection_table, .offset = AT(selection) },
    { .name = "masked", .part = masked_table, .offset = AT(masked) },
    { .name = "masking", .part = masking_table, .offset = AT(masking) },
    { .name = "training", .part = training_table, .offset = AT(training) },
    { .name = "warm",
      .type = FMAL_OPT_FLAG,
      .offset = AT(warm),
      .identity = true,
      .help = "keep the weights from round to round instead of fresh ones" },
    { .name = "pretrained", .part = pretrained_table, .offset = AT(pretrained) },
    { .name = "job", .part = job_table, .offset = AT(job) },
    { .name = NULL },
};

/* One start of a run. */
typedef struct {
    cli *c;
    const run_options *o;
    fmal_run_options options;
    fmal_mask mask; /* that the user gave, if any */
    char jacobian[4096];
    fmal_dataset *set;
    char checksum[33]; /* of all that the run works on */
    fmal_run_hooks hooks;
    fmal_run_setup setup;
    rundir dir;
    fmal_stop stop;
    runlog log;
} job;

/* ---- Options ---- */

static fmal_run_options library_options(const run_options *o)
{
    return (fmal_run_options){
        .arch = network_arch(&o->network),
        .hidden = (int) o->network.hidden,
        .strategy = selection_strategy(&o->selection),
        .initial = o->initial,
        .rounds = o->rounds,
        .warm = o->warm,
        .seed = (uint64_t) o->selection.seed,
    };
}

/* An option that the choice of another makes void is an error, not ignored. */
static fmal_status check_options(const job *j)
{
    const fmal_opts *opts = j->c->opts;

    FMAL_TRY(network_check(opts, &j->o->network));
    return imbalance_check(opts, &j->o->imbalance);
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
    if (st == FMAL_OK)
        st =
            imbalance_apply(&j->c->ctx, &j->o->imbalance, j->o->selection.seed, j->set);
    return st;
}

/* In steps of a whole batch; rounds with fewer labels than that have shorter ones. */
static void warn_of_idle_ranks(const job *j)
{
    const training_options *t = &j->o->training;
    int64_t parts = (t->train_batch + t->micro_batch - 1) / t->micro_batch;

    if (parts < j->c->ctx.size)
        fmal_log(FMAL_LOG_WARN, "plan",
                 "a training step has %" PRId64
                 " micro-batches for %d ranks: some train nothing; a smaller "
                 "--micro-batch or a larger --train-batch uses them",
                 parts, j->c->ctx.size);
}

static fmal_status plan(job *j)
{
    fmal_run_plan p;
    char all[32], network[32], data[32], selection[32];
    bool dry = j->o->job.dry_run;

    FMAL_TRY(fmal_run_plan_make(&j->setup, &p));
    plan_line(j->c, dry,
              "samples=%" PRId64 " test=%" PRId64
              " features=%d classes=%d parameters=%" PRId64 " labels=%" PRId64
              "..%" PRId64,
              p.n, p.test, p.d, p.c, p.params, j->options.initial, p.labelled_at_end);
    if (p.select.order > 0)
        selection_print(j->c, dry, &p.select, " a round");
    if (p.select.order > 0 && j->options.strategy->needs_network)
        masked_print(j->c, dry, &p.select, p.d, p.c, &j->options.masking);
    plan_line(j->c, dry, "memory a rank: %s (data %s, network %s, selection %s)",
              bytes_text(p.bytes, all, sizeof all),
              bytes_text(p.bytes_data, data, sizeof data),
              bytes_text(p.bytes_network, network, sizeof network),
              bytes_text(p.select.bytes, selection, sizeof selection));
    if (p.select.order > 0)
        print_time(j->c, dry, p.select.flops * (double) j->options.rounds,
                   p.select.flops_single * (double) j->options.rounds);
    warn_of_idle_ranks(j);
    /* The data are in memory already. */
    return check_memory(&j->c->ctx, p.bytes - p.bytes_data);
}

/* Begin, or go on where the directory's checkpoint is. */
static fmal_status begin(job *j, fmal_run **run)
{
    fmal_run_state saved = { 0 };
    bool found = false;
    const fmal_ctx *ctx = &j->c->ctx;

    FMAL_TRY(fmal_ckpt_load_run(ctx, j->dir.path, &j->log.identity, &saved, &found));
    if (!found)
        FMAL_TRY(rundir_check_unused(ctx, &j->dir));
    fmal_status st =
        fmal_events_open(ctx, j->dir.events, saved.events_bytes, &j->log.events);
    if (st == FMAL_OK && !(found && saved.stage == FMAL_STAGE_DONE))
        st = runlog_start(&j->log, found);
    if (st == FMAL_OK && found) {
        fmal_log(FMAL_LOG_INFO, "resume",
                 "round=%" PRId64 " labels=%" PRId64 " epochs=%" PRId64
                 " added=%" PRId64 " removed=%" PRId64,
                 saved.round, saved.n_picks, saved.trained.epochs,
                 saved.selection.n_added, saved.selection.n_removed);
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
    printf(
        "run: %s (metrics.csv, classes.csv, picks.csv, events.jsonl, checkpoint.h5)\n",
        j->dir.path);
}

static fmal_status rounds(job *j)
{
    fmal_run *run = NULL;
    fmal_status st = begin(j, &run);
    bool was_done = st == FMAL_OK && fmal_run_now(run)->stage == FMAL_STAGE_DONE;

    if (st == FMAL_OK)
        st = fmal_run_rounds(run);
    if (st == FMAL_OK)
        st = pretrained_save(j->c, &j->o->pretrained, run);
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
    fmal_events_close(&j->log.events);
    return st;
}

static fmal_status run_in_directory(job *j)
{
    FMAL_TRY(rundir_open(&j->c->ctx, j->o->run, &j->dir));
    snprintf(j->jacobian, sizeof j->jacobian, "%s/jacobian.part", j->o->run);
    if (j->options.strategy->needs_network)
        j->options.masking.jacobian.path = j->jacobian;
    j->stop = (fmal_stop){ .deadline = stop_deadline(j->c, &j->o->job),
                           .file = j->dir.stop_file };
    fmal_status st = rounds(j);
    rundir_close(&j->dir);
    if (st == FMAL_OK || st == FMAL_STOPPED)
        job_end(j->c);
    return st;
}

/* The mask that the user gave, if any, for this run's kind of network. */
static fmal_status load_mask(job *j)
{
    const fmal_ctx *ctx = &j->c->ctx;
    fmal_net *net = NULL;

    if (!j->o->masked.mask)
        return FMAL_OK;
    /* Nothing is computed with it: room for one sample is the least there is. */
    FMAL_TRY(network_make(ctx, &j->o->network, j->set, 1, &net));
    fmal_status st =
        masked_load(ctx, &j->o->masked, net, &j->mask, &j->options.masking);
    fmal_net_destroy(&net);
    return st;
}

static fmal_status run_on_data(job *j)
{
    const run_options *o = j->o;
    cli *c = j->c;

    j->hooks = (fmal_run_hooks){ .stop = &j->stop,
                                 .every_seconds = o->job.checkpoint_every,
                                 .every_steps = o->job.checkpoint_steps };
    j->log = (runlog){ .c = c, .options = &j->options, .set = j->set, .dir = o->run };
    runlog_hook(&j->log, &j->hooks);
    j->setup = (fmal_run_setup){ &c->ctx, j->set, &j->options, &j->hooks, &c->phases };
    fmal_status st = job_identity(c, o->data, &j->log.identity);
    pretrained_checksum(j->set, &j->options, j->checksum);
    masked_checksum(&j->options.masking, j->checksum);
    j->log.identity.checksum = j->checksum;
    if (st == FMAL_OK)
        st = plan(j);
    if (st == FMAL_OK && !o->job.dry_run)
        st = run_in_directory(j);
    job_identity_clear(&j->log.identity);
    return st;
}

static fmal_status run(cli *c, void *given)
{
    const run_options *o = given;
    job j = { .c = c, .o = o, .options = library_options(o) };

    FMAL_TRY(check_singleton(&c->ctx));
    FMAL_TRY(selection_map(c->opts, &o->selection, &j.options.select));
    FMAL_TRY(masked_map(c->opts, &o->masking, &o->masked, o->selection.seed,
                        &j.options.masking));
    FMAL_TRY(training_map(c->opts, &o->training, j.options.seed, &j.options.train));
    FMAL_TRY(check_options(&j));
    FMAL_TRY(pretrained_check(&c->ctx, &o->pretrained, o->data, o->masked.mask));
    job_begin(c);
    fmal_stop_install();
    fmal_status st = open_data(&j);
    if (st == FMAL_OK)
        st = pretrained_load(&c->ctx, &o->pretrained, j.set, &j.options);
    if (st == FMAL_OK)
        st = load_mask(&j);
    if (st == FMAL_OK)
        st = run_on_data(&j);
    fmal_mask_clear(&j.mask);
    fmal_net_destroy(&j.options.start);
    fmal_dataset_close(&j.set);
    return st;
}

const command command_run = {
    .name = "run",
    .summary = "rounds of train, score, pick and label on a data set",
    .usage = "--data FILE --run DIR [--model NAME] [--strategy NAME] [options]",
    .text =
        "Trains a network on a few labelled samples, picks a batch, takes its labels "
        "from the\ndata set, and again. Writes metrics.csv, classes.csv, picks.csv and "
        "events.jsonl into\nDIR, with the same rows on any number of ranks. After an "
        "interruption the same command\ngoes on from DIR/checkpoint.h5; a signal "
        "(TERM, "
        "USR1), a file DIR/stop or --max-time stops\nit with exit code 3.\n\n"
        "  mpirun -np 2 fmal run --data fmnist.h5 --run runs/bait --strategy bait\n"
        "  mpirun -np 64 fmal run --config experiment.ini",
    .options = table,
    .size = sizeof(run_options),
    .uses_mpi = true,
    .run = run,
};
