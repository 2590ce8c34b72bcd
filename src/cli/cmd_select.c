#include "masked.h"
#include "modelled.h"
#include "result.h"
#include "selection.h"
#include "fmal/log.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    common_options common;
    selection_options selection;
    modelled_options modelled;
    masking_options masking;
    masked_options masked;
    job_options job;
    char *pool, *output, *csv;
    bool force, stream;
} select_options;

#define AT(member) offsetof(select_options, member)
static const fmal_opt table[] = {
    { .name = "pool",
      .letter = 'p',
      .type = FMAL_OPT_STRING,
      .offset = AT(pool),
      .arg = "FILE",
      .help = "pool to pick from, HDF5 (this, or --data)" },
    { .name = "modelled", .part = modelled_table, .offset = AT(modelled) },
    { .name = "stream",
      .type = FMAL_OPT_FLAG,
      .offset = AT(stream),
      .help =
          "leave features in the pool and read them when they are needed: for pools "
          "larger than memory; --lazy auto is then off" },
    { .name = "selection", .part = selection_table, .offset = AT(selection) },
    { .name = "masked", .part = masked_table, .offset = AT(masked) },
    { .name = "masking", .part = masking_table, .offset = AT(masking) },
    { .name = "output",
      .letter = 'o',
      .type = FMAL_OPT_STRING,
      .offset = AT(output),
      .def = "picks.h5",
      .arg = "FILE",
      .help = "picks, HDF5" },
    { .name = "csv",
      .type = FMAL_OPT_STRING,
      .offset = AT(csv),
      .arg = "FILE",
      .help = "picks as CSV too (default: the output's name with .csv)" },
    { .name = "force",
      .type = FMAL_OPT_FLAG,
      .offset = AT(force),
      .help = "replace outputs that exist" },
    { .name = "job", .part = job_table, .offset = AT(job) },
    { .name = NULL },
};

/* One selection under way. */
typedef struct {
    cli *c;
    const select_options *o;
    const fmal_strategy *strategy;
    fmal_select_options select;
    modelled model; /* with --data, else empty */
    fmal_masking masking;
    fmal_mask mask; /* that the user gave, if any */
    fmal_pool *pool;
    char checksum[33]; /* of all that the selection works on */
    fmal_identity identity;
    outputs out;
} job;

/* ---- The plan ---- */

static void print_pool(const job *j, const fmal_pool_info *info)
{
    char what[96];

    if (info->rows > 0)
        snprintf(what, sizeof what, "embeddings=%dx%" PRId64, info->rows,
                 info->columns);
    else
        snprintf(what, sizeof what, "features=%d classes=%d", info->d, info->c);
    plan_line(j->c, j->o->job.dry_run,
              "samples=%" PRId64 " %s labelled=%" PRId64 " excluded=%" PRId64
              " batch=%" PRId64,
              info->n, what, info->labelled, info->excluded, j->select.batch);
    if (info->spare_embeddings)
        plan_line(j->c, j->o->job.dry_run,
                  "the pool has /features and /embeddings: the features are used");
}

/* What the program holds for itself, MPI and HDF5 included, on the rank with most: once
   it has made a product, all but what a plan counts. Collective. */
static double held_now(const job *j)
{
    return fmal_spread_of(&j->c->ctx, fmal_mem_peak()).max;
}

static void print_search(const job *j, const fmal_select_plan *p)
{
    char program[32], a[32], b[32], d[32], w[32], all[32];
    bool dry = j->o->job.dry_run;

    selection_print(j->c, dry, p, "");
    print_time(j->c, dry, p->flops, p->flops_single);
    if (p->scored < 1)
        plan_line(j->c, dry,
                  "that is with %.0f %% of the candidates scored a step: a guess",
                  100 * p->scored);
    double held = held_now(j);
    plan_line(j->c, dry,
              "memory a rank: %s (matrices %s, candidates %s, pool %s, buffers %s, "
              "the program %s)",
              bytes_text(p->bytes + held, all, sizeof all),
              bytes_text(p->bytes_matrices, a, sizeof a),
              bytes_text(p->bytes_candidates, b, sizeof b),
              bytes_text(p->bytes_pool, d, sizeof d),
              bytes_text(p->bytes_buffers, w, sizeof w),
              bytes_text(held, program, sizeof program));
    if (p->bytes_double > p->bytes)
        plan_line(j->c, dry, "should scores need double precision: %s a rank",
                  bytes_text(p->bytes_double + held, all, sizeof all));
}

/* What a strategy without a search takes; whether that fits. Collective. */
static fmal_status plan_scores(job *j, const fmal_pool_info *info)
{
    fmal_select_plan p;
    char all[32], pool[32], program[32];

    FMAL_TRY(fmal_select_plan_pool(&j->select, info, j->c->ctx.size, &p));
    double bytes = p.bytes_pool + fmal_pick_best_bytes(p.most), held = held_now(j);
    bytes = bytes > p.bytes ? bytes : p.bytes;
    plan_line(j->c, j->o->job.dry_run, "memory a rank: %s (pool %s, the program %s)",
              bytes_text(bytes + held, all, sizeof all),
              bytes_text(p.bytes_pool, pool, sizeof pool),
              bytes_text(held, program, sizeof program));
    return check_memory(&j->c->ctx, bytes);
}

static fmal_status check_needs(const job *j, const fmal_pool_info *info)
{
    if (info->rows > 0 && !j->strategy->takes_embeddings)
        return FMAL_FAIL(
            FMAL_ERR_ARG,
            "%s: the strategy '%s' needs /features and /logits; the pool has "
            "/embeddings",
            j->o->pool, j->strategy->name);
    if (info->rows > 0 && j->select.fisher == FMAL_FISHER_BLOCK)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--fisher block: %s has /embeddings, which have no class "
                         "blocks; take full or diag",
                         j->o->pool);
    if (info->rows > 0 && j->o->stream)
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "--stream: %s has /embeddings, which are held in memory; only "
                         "/features can be read when they are needed",
                         j->o->pool);
    return FMAL_OK;
}

/* What the pool is, or will be. Collective. */
static fmal_status look(const job *j, fmal_pool_info *info)
{
    const fmal_ctx *ctx = &j->c->ctx;
    fmal_status st = FMAL_OK;

    if (j->model.set) {
        *info = j->model.info;
        return FMAL_OK;
    }
    if (ctx->rank == 0)
        st = fmal_pool_look(j->o->pool, info);
    FMAL_TRY(fmal_agree_root(ctx, st));
    fmal_bcast(ctx, info, sizeof *info, 0);
    info->streamed = j->select.streamed;
    return FMAL_OK;
}

/* Sizes, grid, memory and steps; whether that fits. Collective. */
static fmal_status plan(job *j)
{
    const fmal_ctx *ctx = &j->c->ctx;
    const fmal_network_sizes sizes = { j->model.net, j->model.set, &j->masking };
    fmal_pool_info info = { 0 };
    fmal_select_plan p;

    FMAL_TRY(look(j, &info));
    print_pool(j, &info);
    FMAL_TRY(check_needs(j, &info));
    if (!j->strategy->searches)
        return plan_scores(j, &info);
    if (info.rows > 0)
        FMAL_TRY(fmal_select_plan_dense(&j->select, info.n, info.labelled,
                                        info.excluded, info.rows, info.columns,
                                        ctx->size, &p));
    else
        FMAL_TRY(
            fmal_strategy_plan(j->strategy, &j->select, &info, &sizes, ctx->size, &p));
    if (j->strategy->needs_network)
        masked_print(j->c, j->o->job.dry_run, &p, info.d, info.c, &j->masking);
    print_search(j, &p);
    return check_memory(ctx, p.bytes);
}

/* ---- Saving under way ---- */

static fmal_status save_part(void *arg, const fmal_select_state *state)
{
    job *j = arg;

    return fmal_ckpt_save_select(&j->c->ctx, j->out.part, &j->identity, state);
}

static fmal_status find_part(job *j, fmal_select_state *state, bool *found)
{
    FMAL_TRY(
        fmal_ckpt_load_select(&j->c->ctx, j->out.part, &j->identity, state, found));
    if (*found)
        fmal_log(FMAL_LOG_INFO, "resume", "file=%s added=%" PRId64 " removed=%" PRId64,
                 j->out.part, state->n_added, state->n_removed);
    return FMAL_OK;
}

/* ---- The command ---- */

static fmal_status open_pool(job *j)
{
    fmal_status st;

    if (j->model.set)
        return modelled_score(j->c, &j->model, &j->pool);
    fmal_phase_begin(&j->c->phases, FMAL_PHASE_READ);
    if (j->o->stream)
        st = fmal_pool_open_streamed(&j->c->ctx, j->o->pool, &j->c->phases, &j->pool);
    else
        st = fmal_pool_open(&j->c->ctx, j->o->pool, &j->pool);
    double width = st != FMAL_OK ? 0 : j->pool->info.c;
    if (st == FMAL_OK && !j->o->stream) /* what is streamed is counted as it is read */
        width += j->pool->info.d;
    fmal_phase_end(&j->c->phases, 0,
                   st == FMAL_OK ? 4.0 * (double) j->pool->part.count * width : 0);
    return st;
}

static fmal_status pick(job *j, const fmal_select_state *resume, fmal_batch *batch)
{
    const fmal_pool *pool = j->pool;
    fmal_stop stop = { .deadline = stop_deadline(j->c, &j->o->job),
                       .file = j->out.stop_file };
    fmal_query query = {
        .ctx = &j->c->ctx,
        .part = &pool->part,
        .features = pool->features,
        .file = pool->file,
        .probs = pool->probs,
        .embeddings = pool->embeddings,
        .role = pool->role,
        .d = pool->info.d,
        .c = pool->info.c,
        .rows = pool->info.rows,
        .columns = pool->info.columns,
        .net = j->model.net,
        .set = j->model.set,
        .masking = &j->masking,
        .options = j->select,
        .seed = (uint64_t) j->o->selection.seed,
        .keeper = { .save = save_part,
                    .arg = j,
                    .every_seconds = j->o->job.checkpoint_every,
                    .every_steps = j->o->job.checkpoint_steps,
                    .stop = &stop,
                    .resume = resume },
        .phases = &j->c->phases,
    };

    return fmal_strategy_pick(j->strategy, &query, batch);
}

static fmal_status finish(job *j, const fmal_batch *batch)
{
    result r = { .c = j->c,
                 .pool = j->pool,
                 .strategy = j->strategy,
                 .identity = &j->identity,
                 .out = &j->out,
                 .seed = j->o->selection.seed,
                 .json = j->o->common.json };

    return result_finish(&r, batch);
}

/* Search, or go on where a search was stopped. */
static fmal_status search(job *j, fmal_batch *batch)
{
    fmal_select_state resume = { 0 };
    bool found = false;

    FMAL_TRY(find_part(j, &resume, &found));
    fmal_status st = pick(j, found ? &resume : NULL, batch);
    fmal_ckpt_clear_select(&resume);
    return st;
}

static fmal_status find_batch(job *j, fmal_batch *batch)
{
    memcpy(j->checksum, j->pool->checksum, sizeof j->checksum);
    masked_checksum(&j->masking, j->checksum);
    j->identity.checksum = j->checksum;
    if (!j->out.there)
        return search(j, batch);
    FMAL_TRY(outputs_load(&j->c->ctx, &j->out, &j->identity, j->pool->info.n, batch));
    fmal_log(FMAL_LOG_INFO, "done", "these picks were made before");
    return FMAL_OK;
}

static fmal_status select_batch(job *j)
{
    fmal_batch batch = { 0 };
    fmal_status st = open_pool(j);

    if (st == FMAL_OK)
        st = find_batch(j, &batch);
    if (st == FMAL_OK)
        st = finish(j, &batch);
    if (j->c->ctx.rank == 0 && (st == FMAL_OK || stopped_by_file(st)))
        unlink(j->out.stop_file); /* obeyed, or too late: the next start goes on */
    if (st == FMAL_STOPPED)
        fmal_log(
            FMAL_LOG_WARN, "stopped",
            "by %s; %s keeps the steps so far: the same command goes on from there",
            fmal_error_text(), j->out.part);
    fmal_batch_clear(&batch);
    fmal_pool_close(&j->pool);
    if (st == FMAL_OK || st == FMAL_STOPPED)
        job_end(j->c);
    return st;
}

/* With --data: the data set, the network, and the mask that the user gave. */
static fmal_status open_model(job *j)
{
    const fmal_ctx *ctx = &j->c->ctx;

    if (!j->o->modelled.data)
        return FMAL_OK;
    FMAL_TRY(modelled_open(j->c, &j->o->modelled, &j->model));
    return masked_load(ctx, &j->o->masked, j->model.net, &j->mask, &j->masking);
}

/* Under the names of the outputs, which are taken. */
static fmal_status plan_and_select(job *j)
{
    job_begin(j->c);
    FMAL_TRY(open_model(j));
    if (j->strategy->needs_network)
        j->masking.jacobian.path = j->out.jacobian;
    if (!j->out.there)
        FMAL_TRY(plan(j));
    return select_batch(j);
}

/* A pool, or a data set and its network. */
static fmal_status check_source(const cli *c, const void *given)
{
    const select_options *o = given;
    const fmal_strategy *strategy = selection_strategy(&o->selection);

    if (!o->pool && !o->modelled.data)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--pool FILE is missing; or give a data set and a network: "
                         "--data FILE --model NAME --weights FILE");
    if (o->pool && strategy->needs_network)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--pool: the strategy '%s' looks into the network, which a "
                         "pool has not; give --data FILE --model NAME --weights FILE "
                         "instead",
                         strategy->name);
    if (o->modelled.data && (o->pool || o->stream))
        return FMAL_FAIL(FMAL_ERR_USAGE, "--%s: cannot go with --data; leave one out",
                         o->pool ? "pool" : "stream");
    return modelled_check(c->opts, &o->modelled);
}

/* With --force, an input of several would be written over. Root only. */
static fmal_status check_inputs(const job *j)
{
    const select_options *o = j->o;
    const char *inputs[] = { o->modelled.weights, o->modelled.labelled,
                             o->masked.mask };

    for (int i = 0; i < FMAL_COUNT(inputs); i++)
        if (inputs[i] && (fmal_file_same(j->out.picks, inputs[i]) ||
                          fmal_file_same(j->out.csv, inputs[i])))
            return FMAL_FAIL(FMAL_ERR_USAGE,
                             "%s: is read; give another name to --output or --csv",
                             inputs[i]);
    return FMAL_OK;
}

static fmal_status dry_run(job *j)
{
    job_begin(j->c);
    FMAL_TRY(open_model(j));
    return plan(j);
}

/* Under the outputs' names. */
static fmal_status run_named(job *j)
{
    const select_options *o = j->o;

    if (j->strategy->searches)
        fmal_stop_install();
    FMAL_TRY(job_identity(j->c, o->pool ? o->pool : o->modelled.data, &j->identity));
    outputs_name(&j->out, o->output, o->csv);
    fmal_status st =
        fmal_agree_root(&j->c->ctx, j->c->ctx.rank == 0 ? check_inputs(j) : FMAL_OK);
    if (st == FMAL_OK)
        st = outputs_open(&j->c->ctx, &j->out, &j->identity, o->force);
    if (st == FMAL_OK)
        st = plan_and_select(j);
    outputs_close(&j->out);
    job_identity_clear(&j->identity);
    return st;
}

static fmal_status run(cli *c, void *given)
{
    const select_options *o = given;
    job j = { .c = c, .o = o, .strategy = selection_strategy(&o->selection) };

    FMAL_TRY(check_singleton(&c->ctx));
    FMAL_TRY(selection_map(c->opts, &o->selection, &j.select));
    FMAL_TRY(
        masked_map(c->opts, &o->masking, &o->masked, o->selection.seed, &j.masking));
    j.select.streamed = o->stream;
    if (o->stream && strcmp(o->selection.lazy, "auto") == 0)
        j.select.lazy = false; /* in the order of the file it is slower, not faster */
    fmal_status st = o->job.dry_run ? dry_run(&j) : run_named(&j);
    fmal_mask_clear(&j.mask);
    modelled_clear(&j.model);
    return st;
}

const command command_select = {
    .name = "select",
    .summary = "pick one batch from features and logits that a model gave",
    .usage = "--pool FILE | --data FILE --weights FILE [--strategy NAME] [--batch K] "
             "[-o FILE] [options]",
    .text =
        "Reads a pool (docs/formats.md: /features, /logits or /probs, /labelled; or "
        "/embeddings),\npicks the batch whose labels teach most, and writes the picks "
        "as HDF5 and CSV. Runs\non any number of ranks with the same picks. Started "
        "again after an interruption, it\ngoes on from OUTPUT.part; started again "
        "after its end, it says that the picks are there.\nA signal (TERM, USR1), a "
        "file OUTPUT.stop or --max-time stops it with exit code 3.\n\n"
        "With --data the pool is the training split of a data set as a network of fmal "
        "sees it:\nthe strategies that look into the network want that. Samples with a "
        "label are labelled,\nor those of --labelled FILE.\n\n"
        "  fmal select --pool pool.h5 --batch 100\n"
        "  mpirun -np 64 fmal select --pool pool.h5 --batch 1000 -o picks.h5",
    .options = table,
    .size = sizeof(select_options),
    .uses_mpi = true,
    .check = check_source,
    .run = run,
};
