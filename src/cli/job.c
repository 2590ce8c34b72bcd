#include "cli_impl.h"
#include "fmal/isa.h"
#include "fmal/la.h"
#include "fmal/log.h"
#include "fmal/mem.h"
#include "fmal/report.h"
#include "fmal/version.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- Options of jobs ---- */

#define AT(member) offsetof(job_options, member)
const fmal_opt job_table[] = {
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
      .help = "time between checkpoints in long work, 0 for none by time" },
    { .name = "checkpoint-steps",
      .type = FMAL_OPT_INT,
      .offset = AT(checkpoint_steps),
      .def = "0",
      .min = 0,
      .max = 1e12,
      .help = "steps of a selection between checkpoints, 0 for none by steps" },
    { .name = NULL },
};

fmal_status job_identity(const cli *c, const char *input, fmal_identity *out)
{
    fmal_identity id = { .given = fmal_opts_ini(c->opts, true, false),
                         .resolved = fmal_opts_ini(c->opts, false, false),
                         .fixed = fmal_opts_ini(c->opts, false, true),
                         .defaults = fmal_opts_defaults(c->opts),
                         .input = input,
                         .history = c->history };

    fmal_status st = fmal_agree(
        &c->ctx, id.given && id.resolved && id.fixed
                     ? FMAL_OK
                     : FMAL_FAIL(FMAL_ERR_NOMEM, "no memory for the options"));

    *out = id;
    if (st != FMAL_OK)
        job_identity_clear(out);
    return st;
}

void job_identity_clear(fmal_identity *id)
{
    fmal_free(&id->given);
    fmal_free(&id->resolved);
    fmal_free(&id->fixed);
}

/* ---- Who we are ---- */

static int number_of(const char *variable)
{
    const char *text = getenv(variable);

    return text ? atoi(text) : 0;
}

bool speaks(const cli *c)
{
    static const char *const ranks[] = { "OMPI_COMM_WORLD_RANK", "PMIX_RANK",
                                         "PMI_RANK", "SLURM_PROCID" };

    if (c->ctx.size > 0)
        return c->ctx.rank == 0;
    for (int i = 0; i < FMAL_COUNT(ranks); i++)
        if (getenv(ranks[i]))
            return number_of(ranks[i]) == 0;
    return true;
}

fmal_status check_singleton(const fmal_ctx *ctx)
{
    static const char *const counts[] = { "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS",
                                          "PMI_SIZE", "PBS_NP" };

    /* A launcher that was told one rank is obeyed. */
    if (ctx->size > 1 || getenv("OMPI_COMM_WORLD_SIZE"))
        return FMAL_OK;
    for (int i = 0; i < FMAL_COUNT(counts); i++)
        if (number_of(counts[i]) > 1)
            return FMAL_FAIL(
                FMAL_ERR_USAGE,
                "this is one rank, but the allocation was given %d tasks "
                "(%s); start with srun --mpi=pmix fmal ..., or with mpirun",
                number_of(counts[i]), counts[i]);
    return FMAL_OK;
}

/* ---- First and last lines ---- */

/* Every option as resolved, several to a line. */
static void log_options(const fmal_opts *opts)
{
    enum { WIDTH = 76 };
    char line[8192] = "", pair[4200], value[4096];

    for (int i = 0; i < fmal_opts_count(opts); i++) {
        const char *name = fmal_opts_at(opts, i)->name;

        fmal_opts_text(opts, i, value, sizeof value);
        if (!value[0] || strcmp(name, "help") == 0)
            continue;
        snprintf(pair, sizeof pair, "%s=%s", name, value);
        if (line[0] && strlen(line) + strlen(pair) > WIDTH) {
            fmal_log(FMAL_LOG_INFO, "options", "%s", line);
            line[0] = 0;
        }
        if (line[0])
            strcat(line, " ");
        strcat(line, pair);
    }
    fmal_log(FMAL_LOG_INFO, "options", "%s", line);
}

void job_begin(cli *c)
{
    const fmal_ctx *ctx = &c->ctx;
    char hdf5[32];

    fmal_h5_version(hdf5, sizeof hdf5);
    fmal_log(FMAL_LOG_INFO, "start",
             "fmal %s %s: %d %s, %d %s x %d thread, OpenBLAS %s, kernels %s, HDF5 %s",
             FMAL_VERSION, c->command->name, ctx->nodes,
             ctx->nodes == 1 ? "node" : "nodes", ctx->size,
             ctx->size == 1 ? "rank" : "ranks", fmal_blas_threads(), fmal_blas_core(),
             fmal_isa_name(fmal_agree_isa(ctx)), hdf5);
    log_options(c->opts);
}

void job_end(cli *c)
{
    double wants = fmal_log_wants(FMAL_LOG_INFO);

    fmal_max_f64(&c->ctx, &wants, 1);
    if (wants > 0)
        fmal_report_phases(&c->ctx, &c->phases, fmal_now() - c->start);
}

void plan_line(const cli *c, bool dry_run, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!dry_run)
        fmal_log(FMAL_LOG_INFO, "plan", "%s", text);
    else if (c->ctx.rank == 0)
        printf("%s\n", text);
}

/* ---- Checks that several commands make ---- */

const char *bytes_text(double bytes, char *text, size_t size)
{
    if (bytes < 1e9)
        snprintf(text, size, "%.1f MB", bytes / 1e6);
    else
        snprintf(text, size, "%.2f GB", bytes / 1e9);
    return text;
}

fmal_status check_memory(const fmal_ctx *ctx, double bytes)
{
    double share = fmal_mem_available() / ctx->node_size;
    char need[32], have[32];

    if (share <= 0)
        share = INFINITY; /* unknown: let allocation decide */
    share = fmal_spread_of(ctx, share).min;
    if (bytes <= share)
        return FMAL_OK;
    return FMAL_FAIL(
        FMAL_ERR_NOMEM,
        "a rank needs %s, and the fullest node has %s for each of its ranks; "
        "use more nodes, fewer features or classes, or a larger --grid",
        bytes_text(bytes, need, sizeof need), bytes_text(share, have, sizeof have));
}

void print_time(const cli *c, bool dry_run, double flops, double flops_single)
{
    /* Of what a product alone reaches; measured over whole selections. */
    const double efficiency = 0.6;
    double rate = fmal_gemm_rate(&c->ctx);
    char text[32];

    if (rate <= 0)
        return;
    /* Registers hold twice as many numbers in single precision. */
    double seconds = (flops + flops_single / 2) / (efficiency * rate);
    if (seconds < 1)
        snprintf(text, sizeof text, "under 1 s");
    else
        fmal_duration(seconds, text, sizeof text);
    plan_line(c, dry_run,
              "expected time of selection: %s (DGEMM here %.1f GFLOP/s a rank)", text,
              rate / 1e9);
}

bool stopped_by_file(fmal_status st)
{
    return st == FMAL_STOPPED &&
           strcmp(fmal_error_text(), fmal_stop_reason(FMAL_STOP_FILE)) == 0;
}

double stop_deadline(const cli *c, const job_options *o)
{
    const double most = 120,
                 share = 0.2; /* of the time left: to write a checkpoint in */
    const char *end = getenv("SLURM_JOB_END_TIME");

    if (o->max_time > 0)
        return c->start + o->max_time;
    if (!end || atof(end) <= 0)
        return 0;
    double left = atof(end) - fmal_wall_time();
    double margin = share * left < most ? share * left : most;
    return fmal_now() + (left - margin > 1 ? left - margin : 1);
}
