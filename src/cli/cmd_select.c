#include "cli_impl.h"
#include "fmal/ckpt.h"
#include "fmal/log.h"
#include "fmal/mem.h"
#include "fmal/pool.h"
#include "fmal/report.h"
#include "fmal/strategy.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    common_options common;
    char *pool, *output, *csv, *grid;
    int strategy, labelled_fisher, select;
    int64_t batch, topc, seed, checkpoint_steps;
    double lambda, oversample, max_time, checkpoint_every;
    bool force, dry_run;
} select_options;

static const char *const labelled_names[] = { "mean", "sum", NULL };
static const char *const select_names[] = { "greedy", "top", NULL };

#define AT(member) offsetof(select_options, member)
static const fmal_opt table[] = {
    { .name = "pool",
      .letter = 'p',
      .type = FMAL_OPT_STRING,
      .offset = AT(pool),
      .arg = "FILE",
      .required = true,
      .help = "pool to pick from, HDF5" },
    { .name = "strategy",
      .letter = 's',
      .type = FMAL_OPT_CHOICE,
      .offset = AT(strategy),
      .def = "bait",
      .choices = fmal_strategy_names,
      .arg = "NAME",
      .identity = true,
      .help = "how to pick" },
    { .name = "batch",
      .letter = 'b',
      .type = FMAL_OPT_INT,
      .offset = AT(batch),
      .def = "100",
      .min = 1,
      .max = 1e12,
      .arg = "K",
      .identity = true,
      .help = "samples to pick" },
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
    { .name = "seed",
      .type = FMAL_OPT_INT,
      .offset = AT(seed),
      .def = "1",
      .min = 0,
      .max = 9e18,
      .identity = true,
      .help = "seed of everything random" },
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
    { .name = "dry-run",
      .letter = 'n',
      .type = FMAL_OPT_FLAG,
      .offset = AT(dry_run),
      .help = "print the plan and stop; exit code 1 if it does not fit" },
    { .name = "grid",
      .type = FMAL_OPT_STRING,
      .offset = AT(grid),
      .def = "auto",
      .arg = "RxC",
      .identity = true,
      .help = "ranks that share the matrices, as rows x columns, or auto" },
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
      .help = "time between checkpoints, 0 for none by time" },
    { .name = "checkpoint-steps",
      .type = FMAL_OPT_INT,
      .offset = AT(checkpoint_steps),
      .def = "0",
      .min = 0,
      .max = 1e12,
      .help = "steps between checkpoints, 0 for none by steps" },
    { .name = NULL },
};

/* One selection under way. */
typedef struct {
    cli *c;
    const select_options *o;
    const fmal_strategy *strategy;
    fmal_select_options select;
    fmal_pool *pool;
    fmal_identity identity;
    char part[4096], csv[4096], stop_file[4096];
} job;

/* ---- Before ---- */

static void names_of_outputs(job *j)
{
    const char *output = j->o->output, *dot = strrchr(output, '.');
    int stem = dot && !strchr(dot, '/') ? (int) (dot - output) : (int) strlen(output);

    snprintf(j->part, sizeof j->part, "%s.part", output);
    snprintf(j->stop_file, sizeof j->stop_file, "%s.stop", output);
    if (j->o->csv)
        snprintf(j->csv, sizeof j->csv, "%s", j->o->csv);
    else
        snprintf(j->csv, sizeof j->csv, "%.*s.csv", stem, output);
}

/* Root only. */
static fmal_status check_names(const job *j)
{
    const char *output = j->o->output, *csv = j->csv;

    FMAL_TRY(fmal_file_check_output(output, j->o->force));
    FMAL_TRY(fmal_file_check_output(csv, j->o->force));
    if (fmal_file_same(output, csv))
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "%s: is the name of the picks and of their CSV; give another "
                         "to --output or --csv",
                         csv);
    if (fmal_file_same(output, j->o->pool) || fmal_file_same(csv, j->o->pool))
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s: is the pool; give another name to %s",
                         j->o->pool,
                         fmal_file_same(csv, j->o->pool) ? "--csv" : "--output");
    return FMAL_OK;
}

static fmal_status check_outputs(const job *j)
{
    const fmal_ctx *ctx = &j->c->ctx;

    return fmal_agree_root(ctx, ctx->rank == 0 ? check_names(j) : FMAL_OK);
}

static void print_pool(const job *j, const fmal_pool_info *info)
{
    char what[96];

    if (info->rows > 0)
        snprintf(what, sizeof what, "embeddings=%dx%" PRId64, info->rows,
                 info->columns);
    else
        snprintf(what, sizeof what, "features=%d classes=%d", info->d, info->c);
    plan_line(j->c, j->o->dry_run,
              "samples=%" PRId64 " %s labelled=%" PRId64 " excluded=%" PRId64
              " batch=%" PRId64,
              info->n, what, info->labelled, info->excluded, j->select.batch);
}

static void print_search(const job *j, const fmal_select_plan *p)
{
    char a[32], b[32], d[32], all[32];

    plan_line(j->c, j->o->dry_run,
              "D=%" PRId64 " grid=%dx%d factor_rank=%d steps=%" PRId64 "+%" PRId64
              " (added+removed)",
              p->order, p->grid_rows, p->grid_cols, p->rank, p->forward, p->backward);
    plan_line(j->c, j->o->dry_run,
              "memory a rank: %s (matrices %s, candidates %s, pool %s)",
              bytes_text(p->bytes, all, sizeof all),
              bytes_text(p->bytes_matrices, a, sizeof a),
              bytes_text(p->bytes_candidates, b, sizeof b),
              bytes_text(p->bytes_pool, d, sizeof d));
    print_time(j->c, j->o->dry_run, p->flops);
}

static fmal_status check_needs(const job *j, const fmal_pool_info *info)
{
    if (info->rows > 0 && !j->strategy->takes_embeddings)
        return FMAL_FAIL(
            FMAL_ERR_ARG,
            "%s: the strategy '%s' needs /features and /logits; the pool has "
            "/embeddings",
            j->o->pool, j->strategy->name);
    return FMAL_OK;
}

/* Sizes, grid, memory and steps; whether that fits. Collective. */
static fmal_status plan(job *j)
{
    const fmal_ctx *ctx = &j->c->ctx;
    fmal_pool_info info = { 0 };
    fmal_select_plan p;
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0)
        st = fmal_pool_look(j->o->pool, &info);
    FMAL_TRY(fmal_agree_root(ctx, st));
    fmal_bcast(ctx, &info, sizeof info, 0);
    print_pool(j, &info);
    FMAL_TRY(check_needs(j, &info));
    if (info.rows > 0)
        FMAL_TRY(fmal_select_plan_dense(&j->select, info.n, info.labelled,
                                        info.excluded, info.rows, info.columns,
                                        ctx->size, &p));
    else
        FMAL_TRY(fmal_select_plan_make(&j->select, info.n, info.labelled, info.excluded,
                                       info.d, info.c, ctx->size, &p));
    if (!j->strategy->searches) {
        char all[32];

        fmal_log(FMAL_LOG_INFO, "plan", "memory a rank: %s (pool)",
                 bytes_text(p.bytes_pool, all, sizeof all));
        return check_memory(ctx, p.bytes_pool);
    }
    print_search(j, &p);
    return check_memory(ctx, p.bytes);
}

/* ---- Saving under way ---- */

static fmal_status save_part(void *arg, const fmal_select_state *state)
{
    job *j = arg;

    return fmal_ckpt_save_select(&j->c->ctx, j->part, &j->identity, state);
}

static fmal_status find_part(job *j, fmal_select_state *state, bool *found)
{
    FMAL_TRY(fmal_ckpt_load_select(&j->c->ctx, j->part, &j->identity, state, found));
    if (*found)
        fmal_log(FMAL_LOG_INFO, "resume", "file=%s added=%" PRId64 " removed=%" PRId64,
                 j->part, state->n_added, state->n_removed);
    return FMAL_OK;
}

/* ---- After ---- */

/* Distances between all pairs take n^2 d work on the root: not for larger batches. */
enum { MOST_FOR_DISTANCES = 20000 };

/* What only the root keeps of the picked samples. */
typedef struct {
    float *features;
    double *probs, *nearest;
    int32_t *labels;
    int64_t *predicted;
    char **ids;
} gathered;

static void gathered_clear(gathered *g, fmal_idx n)
{
    for (fmal_idx i = 0; g->ids && i < n; i++)
        fmal_free(&g->ids[i]);
    fmal_free(&g->ids);
    fmal_free(&g->features);
    fmal_free(&g->probs);
    fmal_free(&g->nearest);
    fmal_free(&g->labels);
    fmal_free(&g->predicted);
}

/* Numbers that stand for a sample in distances: features, or the embedding. */
static int width_of(const fmal_pool *pool)
{
    return pool->embeddings ? (int) (pool->info.rows * pool->info.columns)
                            : pool->info.d;
}

/* Rows of the picked samples, to the root. Collective. */
static fmal_status gather_picks(const job *j, const fmal_batch *batch, gathered *g)
{
    const fmal_ctx *ctx = &j->c->ctx;
    const fmal_pool *pool = j->pool;
    const float *rows = pool->embeddings ? pool->embeddings : pool->features;
    fmal_idx n = ctx->rank == 0 ? batch->n : 0;
    size_t d = (size_t) width_of(pool), c = (size_t) pool->info.c;
    fmal_status st = FMAL_ALLOC(&g->features, n * width_of(pool));

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->probs, n * pool->info.c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->labels, n);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->nearest, n);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->predicted, pool->info.c);
    FMAL_TRY(fmal_agree(ctx, st));
    FMAL_TRY(fmal_fetch_rows(ctx, &pool->part, rows, d * sizeof(float), batch->index, n,
                             g->features));
    if (pool->probs)
        FMAL_TRY(fmal_fetch_rows(ctx, &pool->part, pool->probs, c * sizeof(double),
                                 batch->index, n, g->probs));
    if (pool->info.has_labels)
        FMAL_TRY(fmal_fetch_rows(ctx, &pool->part, pool->labels, sizeof(int32_t),
                                 batch->index, n, g->labels));
    return FMAL_OK;
}

static fmal_status read_ids(const char *path, const fmal_batch *batch, gathered *g)
{
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_h5_open(path, &h));
    fmal_status st = FMAL_ALLOC(&g->ids, batch->n);
    for (fmal_idx i = 0; i < batch->n && st == FMAL_OK; i++)
        st = fmal_h5_read_text_at(h, "/ids", batch->index[i], &g->ids[i]);
    fmal_h5_close(&h);
    return st;
}

static void count_predicted(const gathered *g, fmal_idx n, int c)
{
    for (fmal_idx i = 0; i < n; i++) {
        int top = 0;

        for (int k = 1; k < c; k++)
            if (g->probs[i * c + k] > g->probs[i * c + top])
                top = k;
        g->predicted[top]++;
    }
}

/* "3 0 7 ...": counts by class, and how even they are. */
static void print_counts(const char *what, const int64_t *counts, int c)
{
    printf("%s:", what);
    for (int k = 0; k < c; k++)
        printf(" %" PRId64, counts[k]);
    printf(" (balance %.3f)\n", fmal_class_balance(counts, c));
}

static fmal_status print_balance(const job *j, const fmal_batch *batch,
                                 const gathered *g)
{
    int c = j->pool->info.c;
    int64_t *counts = NULL;

    if (!j->pool->probs)
        return FMAL_OK;
    print_counts("picks by predicted class", g->predicted, c);
    if (!j->pool->info.has_labels)
        return FMAL_OK;
    FMAL_TRY(FMAL_ALLOC(&counts, c));
    for (fmal_idx i = 0; i < batch->n; i++)
        if (g->labels[i] >= 0 && g->labels[i] < c)
            counts[g->labels[i]]++;
    print_counts("picks by true class", counts, c);
    fmal_free(&counts);
    return FMAL_OK;
}

static void print_result(const job *j, const fmal_batch *batch)
{
    printf("picks: %s, %s\n", j->o->output, j->csv);
    printf("first picks:");
    for (fmal_idx i = 0; i < batch->n && i < 10; i++)
        printf(" %" PRId64, batch->index[i]);
    printf("%s\n", batch->n > 10 ? " ..." : "");
    if (batch->has_objective)
        printf("objective tr(M^-1 F): %.10g before, %.10g with the batch\n",
               batch->before, batch->after);
}

/* Both files or neither: written beside their places, then renamed. */
static fmal_status write_files(const job *j, const fmal_picks *picks)
{
    char output[4096 + 8], csv[4096 + 8];

    snprintf(output, sizeof output, "%s.new", j->o->output);
    snprintf(csv, sizeof csv, "%s.new", j->csv);
    fmal_status st = fmal_picks_csv(csv, picks);
    if (st == FMAL_OK)
        st = fmal_picks_save(output, picks);
    if (st == FMAL_OK)
        st = fmal_file_move(csv, j->csv);
    if (st == FMAL_OK)
        st = fmal_file_move(output, j->o->output);
    if (st != FMAL_OK) {
        unlink(csv);
        unlink(output);
    }
    return st;
}

/* Root only. */
static fmal_status write_result(job *j, const fmal_batch *batch, gathered *g)
{
    fmal_picks picks = { .batch = batch,
                         .strategy = j->strategy->name,
                         .score = j->strategy->score,
                         .unit = j->strategy->unit,
                         .options = j->identity.resolved,
                         .history = j->c->history,
                         .pool_path = j->o->pool,
                         .pool_checksum = j->pool->checksum,
                         .nearest = batch->n <= MOST_FOR_DISTANCES ? g->nearest : NULL,
                         .predicted = g->predicted,
                         .c = j->pool->info.c,
                         .pool_n = j->pool->info.n,
                         .seed = j->o->seed };

    if (j->pool->info.has_ids)
        FMAL_TRY(read_ids(j->o->pool, batch, g));
    picks.ids = g->ids;
    if (batch->n <= MOST_FOR_DISTANCES)
        FMAL_TRY(
            fmal_nearest_rows(g->features, batch->n, width_of(j->pool), g->nearest));
    if (j->pool->probs)
        count_predicted(g, batch->n, j->pool->info.c);
    FMAL_TRY(write_files(j, &picks));
    unlink(j->part);
    if (!j->o->common.json) {
        print_result(j, batch);
        return print_balance(j, batch, g);
    }
    json_t *json = fmal_picks_json(&picks);
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
    return FMAL_OK;
}

static fmal_status finish(job *j, const fmal_batch *batch)
{
    gathered g = { 0 };
    fmal_status st;

    fmal_phase_begin(&j->c->phases, FMAL_PHASE_WRITE);
    st = gather_picks(j, batch, &g);
    if (st == FMAL_OK && j->c->ctx.rank == 0)
        st = write_result(j, batch, &g);
    st = fmal_agree(&j->c->ctx, st);
    gathered_clear(&g, batch->n);
    fmal_phase_end(&j->c->phases, 0, 0);
    return st;
}

/* ---- The command ---- */

static fmal_status open_pool(job *j)
{
    fmal_status st;

    fmal_phase_begin(&j->c->phases, FMAL_PHASE_READ);
    st = fmal_pool_open(&j->c->ctx, j->o->pool, &j->pool);
    fmal_phase_end(&j->c->phases, 0,
                   st == FMAL_OK ? 4.0 * (double) j->pool->part.count *
                                       (j->pool->info.d + j->pool->info.c)
                                 : 0);
    return st;
}

static fmal_status pick(job *j, const fmal_select_state *resume, fmal_batch *batch)
{
    const fmal_pool *pool = j->pool;
    fmal_stop stop = { .deadline = stop_deadline(j->c, j->o->max_time),
                       .file = j->stop_file };
    fmal_query query = {
        .ctx = &j->c->ctx,
        .part = &pool->part,
        .features = pool->features,
        .probs = pool->probs,
        .embeddings = pool->embeddings,
        .role = pool->role,
        .d = pool->info.d,
        .c = pool->info.c,
        .rows = pool->info.rows,
        .columns = pool->info.columns,
        .options = j->select,
        .seed = (uint64_t) j->o->seed,
        .keeper = { .save = save_part,
                    .arg = j,
                    .every_seconds = j->o->checkpoint_every,
                    .every_steps = j->o->checkpoint_steps,
                    .stop = &stop,
                    .resume = resume },
        .phases = &j->c->phases,
    };

    return fmal_strategy_pick(j->strategy, &query, batch);
}

static fmal_status select_batch(job *j)
{
    fmal_select_state resume = { 0 };
    fmal_batch batch = { 0 };
    bool found = false;
    fmal_status st = open_pool(j);

    if (st == FMAL_OK) {
        j->identity.checksum = j->pool->checksum;
        st = find_part(j, &resume, &found);
    }
    if (st == FMAL_OK)
        st = pick(j, found ? &resume : NULL, &batch);
    fmal_ckpt_clear_select(&resume);
    if (st == FMAL_OK)
        st = finish(j, &batch);
    if (j->c->ctx.rank == 0 && (st == FMAL_OK || stopped_by_file(st)))
        unlink(j->stop_file); /* obeyed, or too late: the next start goes on */
    if (st == FMAL_STOPPED)
        fmal_log(
            FMAL_LOG_WARN, "stopped",
            "by %s; %s keeps the steps so far: the same command goes on from there",
            fmal_error_text(), j->part);
    fmal_batch_clear(&batch);
    fmal_pool_close(&j->pool);
    if (st == FMAL_OK || st == FMAL_STOPPED)
        job_end(j->c);
    return st;
}

static fmal_status run(cli *c, void *given)
{
    const select_options *o = given;
    job j = { .c = c, .o = o, .strategy = fmal_strategy_at(o->strategy) };

    j.select = (fmal_select_options){ .batch = o->batch,
                                      .lambda = o->lambda,
                                      .oversample = o->oversample,
                                      .labelled_sum = o->labelled_fisher == 1,
                                      .top = o->select == 1,
                                      .likelihood = j.strategy->likelihood,
                                      .topc = (int) o->topc };
    FMAL_TRY(check_singleton(&c->ctx));
    FMAL_TRY(check_honoured(c->opts, j.strategy, j.select.top));
    if (j.strategy->searches)
        fmal_stop_install();
    FMAL_TRY(parse_grid(o->grid, &j.select.grid_rows, &j.select.grid_cols));
    names_of_outputs(&j);
    if (!o->dry_run)
        FMAL_TRY(check_outputs(&j));
    job_begin(c);
    FMAL_TRY(plan(&j));
    if (o->dry_run)
        return FMAL_OK;

    j.identity = (fmal_identity){ .given = fmal_opts_ini(c->opts, true, false),
                                  .resolved = fmal_opts_ini(c->opts, false, false),
                                  .fixed = fmal_opts_ini(c->opts, false, true),
                                  .defaults = fmal_opts_defaults(c->opts),
                                  .input = o->pool,
                                  .history = c->history };
    fmal_status st = j.identity.given && j.identity.resolved && j.identity.fixed
                         ? FMAL_OK
                         : FMAL_FAIL(FMAL_ERR_NOMEM, "no memory for the options");
    if (st == FMAL_OK)
        st = select_batch(&j);
    fmal_free(&j.identity.given);
    fmal_free(&j.identity.resolved);
    fmal_free(&j.identity.fixed);
    return st;
}

const command command_select = {
    .name = "select",
    .summary = "pick one batch from features and logits that a model gave",
    .usage = "--pool FILE [--strategy NAME] [--batch K] [-o FILE] [options]",
    .text =
        "Reads a pool (docs/formats.md: /features, /logits or /probs, /labelled; or "
        "/embeddings),\npicks the batch whose labels teach most, and writes the picks "
        "as "
        "HDF5 and CSV. Runs\non any number of ranks with the same picks. Started again "
        "after an interruption, it\ngoes on from OUTPUT.part. A signal (TERM, USR1), a "
        "file OUTPUT.stop or --max-time stops\nit with exit code 3.\n\n"
        "  fmal select --pool pool.h5 --batch 100\n"
        "  mpirun -np 64 fmal select --pool pool.h5 --batch 1000 -o picks.h5",
    .options = table,
    .size = sizeof(select_options),
    .uses_mpi = true,
    .run = run,
};
