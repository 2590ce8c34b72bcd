#include "cli_impl.h"
#include "fmal/bench.h"
#include "fmal/io.h"
#include "fmal/isa.h"
#include "fmal/la.h"
#include "fmal/log.h"
#include "fmal/mem.h"
#include "fmal/nn.h"
#include "fmal/pool.h"
#include "fmal/version.h"

#include <jansson.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    common_options common;
    int64_t n, d, c, batch, images, repeats, seed;
    int factor, model;
    char *pool, *output;
    bool force;
} bench_options;

#define AT(member) offsetof(bench_options, member)
static const fmal_opt table[] = {
    { .name = "samples",
      .letter = 'n',
      .type = FMAL_OPT_INT,
      .offset = AT(n),
      .def = "10000",
      .min = 8,
      .max = 1e12,
      .help = "samples of the made-up pool" },
    { .name = "features",
      .letter = 'd',
      .type = FMAL_OPT_INT,
      .offset = AT(d),
      .def = "128",
      .min = 1,
      .max = 1e6,
      .help = "its features" },
    { .name = "classes",
      .letter = 'c',
      .type = FMAL_OPT_INT,
      .offset = AT(c),
      .def = "10",
      .min = 2,
      .max = 1e5,
      .help = "its classes" },
    { .name = "factor",
      .letter = 'f',
      .type = FMAL_OPT_CHOICE,
      .offset = AT(factor),
      .def = "all",
      .choices = fmal_bench_factor_names,
      .arg = "FORM",
      .help = "form of the factors: of bait, bait-topc (2 classes), bait-binary, or "
              "embeddings of as many rows as classes" },
    { .name = "batch",
      .letter = 'b',
      .type = FMAL_OPT_INT,
      .offset = AT(batch),
      .def = "20",
      .min = 1,
      .max = 1e9,
      .arg = "K",
      .help = "samples to pick (select)" },
    { .name = "model",
      .letter = 'm',
      .type = FMAL_OPT_CHOICE,
      .offset = AT(model),
      .def = "resnet18-slim",
      .choices = fmal_arch_names,
      .arg = "NAME",
      .help = "network (train, infer, squares, jacobian)" },
    { .name = "images",
      .type = FMAL_OPT_INT,
      .offset = AT(images),
      .def = "256",
      .min = 1,
      .max = 1e9,
      .help = "made-up images for it, 3 x 32 x 32" },
    { .name = "repeats",
      .type = FMAL_OPT_INT,
      .offset = AT(repeats),
      .def = "5",
      .min = 1,
      .max = 64,
      .help = "timed repetitions; the median is printed" },
    { .name = "seed",
      .type = FMAL_OPT_INT,
      .offset = AT(seed),
      .def = "1",
      .min = 0,
      .max = 9e18,
      .help = "seed of the made-up pool" },
    { .name = "pool",
      .letter = 'p',
      .type = FMAL_OPT_STRING,
      .offset = AT(pool),
      .arg = "FILE",
      .help = "pool to read (read; without it one is made here, and removed)" },
    { .name = "output",
      .letter = 'o',
      .type = FMAL_OPT_STRING,
      .offset = AT(output),
      .arg = "FILE",
      .help = "pool file to write (generate)" },
    { .name = "force",
      .type = FMAL_OPT_FLAG,
      .offset = AT(force),
      .help = "replace an existing output (generate)" },
    { .name = NULL },
};

/* ---- Rows ---- */

static void print_head(void)
{
    printf("%-9s %-6s %-27s %-32s %5s %7s %10s %10s  %-15s %s\n", "case", "factor",
           "what", "sizes", "ranks", "threads", "median s", "slowest s", "rate",
           "limit, same process");
}

static void print_row(const char *name, const char *factor, const fmal_bench_result *r,
                      int ranks)
{
    char rate[32] = "", limit[64] = "";

    if (r->rate > 0)
        snprintf(rate, sizeof rate, "%.*f %s", r->rate < 1e9 ? 4 : 1, r->rate / 1e9,
                 r->is_bytes ? "GB/s" : "GFLOP/s");
    if (r->limit)
        snprintf(limit, sizeof limit, "%.0f %% of %.*f %s", 100 * r->share,
                 r->limit_rate < 1e9 ? 4 : 1, r->limit_rate / 1e9, r->limit);
    size_t used = strlen(limit);
    if (r->images > 0)
        snprintf(limit + used, sizeof limit - used, "; %.1f images/s", r->images);
    printf("%-9s %-6s %-27s %-32s %5d %7d %10.7f %10.7f  %-15s %s\n", name, factor,
           r->what, r->sizes, ranks, 1, r->median, r->slowest, rate, limit);
}

static json_t *row_json(const char *name, const char *factor,
                        const fmal_bench_result *r)
{
    json_t *out =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:s}", "case", name,
                  "factor", factor, "what", r->what, "sizes", r->sizes, "size",
                  (json_int_t) r->size, "median", r->median, "slowest", r->slowest,
                  "rate", r->rate, "unit", r->is_bytes ? "byte/s" : "flop/s");
    if (r->images > 0)
        json_object_set_new(out, "images", json_real(r->images));
    if (r->limit) {
        json_object_set_new(out, "limit", json_string(r->limit));
        json_object_set_new(out, "limit_rate", json_real(r->limit_rate));
        json_object_set_new(out, "share", json_real(r->share));
    }
    return out;
}

/* What all rows have in common. */
static json_t *report_json(const cli *c, const bench_options *o, json_t *rows)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:I, s:i, s:i, s:I, s:I, s:I, s:I, s:o}",
                     "version", FMAL_VERSION, "blas", fmal_blas_core(), "kernels",
                     fmal_isa_name(fmal_isa_detect()), "nodes", c->ctx.nodes, "cores",
                     (json_int_t) c->ctx.nodes * sysconf(_SC_NPROCESSORS_ONLN), "ranks",
                     c->ctx.size, "threads", 1, "samples", (json_int_t) o->n,
                     "features", (json_int_t) o->d, "classes", (json_int_t) o->c,
                     "batch", (json_int_t) o->batch, "rows", rows);
}

/* ---- Cases ---- */

typedef struct {
    cli *c;
    fmal_bench_setup setup;
    json_t *rows;  /* of the root with --json, else NULL */
    bool one_only; /* nothing else was asked for: what does not fit is an error */
    bool headed;
} job;

/* One case with the setup's factors. Collective. */
static fmal_status run_case(job *j, const fmal_bench_case *bench)
{
    fmal_bench_result rows[FMAL_BENCH_MAX];
    const char *factor =
        bench->by_factor ? fmal_bench_factor_names[j->setup.factor] : "";
    double bytes = 0;
    int n = 0;

    fmal_status st = bench->bytes(&j->setup, &bytes);
    if (st == FMAL_OK)
        st = check_memory(&j->c->ctx, bytes);
    if (st != FMAL_OK && !j->one_only) {
        fmal_log(FMAL_LOG_WARN, "skipped", "%s %s: %s", bench->name, factor,
                 fmal_error_text());
        return FMAL_OK;
    }
    if (st == FMAL_OK)
        st = bench->run(&j->setup, rows, &n);
    if (n > 0 && !j->headed && !j->rows && j->c->ctx.rank == 0)
        print_head();
    j->headed = j->headed || n > 0;
    for (int i = 0; i < n && st == FMAL_OK && j->c->ctx.rank == 0; i++) {
        if (j->rows)
            json_array_append_new(j->rows, row_json(bench->name, factor, &rows[i]));
        else
            print_row(bench->name, factor, &rows[i], j->c->ctx.size);
    }
    fflush(stdout);
    return st;
}

/* With each form of factors that was asked for. */
static fmal_status run_factors(job *j, const fmal_bench_case *bench, int wanted)
{
    bool all = wanted == FMAL_BENCH_FACTORS;

    if (!bench->by_factor)
        return run_case(j, bench);
    for (int factor = 0; factor < FMAL_BENCH_FACTORS; factor++) {
        if (!all && factor != wanted)
            continue;
        j->setup.factor = (fmal_bench_factor) factor;
        FMAL_TRY(run_case(j, bench));
    }
    return FMAL_OK;
}

static fmal_status run_cases(cli *c, const bench_options *o)
{
    char scratch[64];
    const fmal_bench_case *only = NULL;

    snprintf(scratch, sizeof scratch, "fmal-bench-%ld.h5", (long) getpid());
    fmal_bcast(&c->ctx, scratch, sizeof scratch, 0);
    for (const fmal_bench_case *b = fmal_bench_cases; b->name && c->positional; b++)
        if (strcmp(b->name, c->positional) == 0)
            only = b;
    job j = { .c = c,
              .setup = { .ctx = &c->ctx,
                         .n = o->n,
                         .d = (int) o->d,
                         .c = (int) o->c,
                         .batch = o->batch,
                         .topc = 2,
                         .repeats = (int) o->repeats,
                         .seed = (uint64_t) o->seed,
                         .pool = o->pool,
                         .model = fmal_arch_names[o->model],
                         .images = o->images,
                         .scratch = scratch },
              .rows = o->common.json && c->ctx.rank == 0 ? json_array() : NULL,
              .one_only =
                  only && (!only->by_factor || o->factor < FMAL_BENCH_FACTORS) };
    fmal_status st = FMAL_OK;

    for (const fmal_bench_case *b = fmal_bench_cases; b->name && st == FMAL_OK; b++)
        if (!only || b == only)
            st = run_factors(&j, b, o->factor);
    if (j.rows && st == FMAL_OK) {
        json_t *report = report_json(c, o, j.rows);

        json_dumpf(report, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(report);
    } else {
        json_decref(j.rows);
    }
    return st;
}

/* ---- A pool file ---- */

static fmal_status generate(cli *c, const bench_options *o)
{
    fmal_status st = FMAL_OK;

    if (!o->output)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--output FILE is missing: generate writes it");
    if (c->ctx.rank == 0)
        st = fmal_file_check_output(o->output, o->force);
    FMAL_TRY(fmal_agree_root(&c->ctx, st));
    FMAL_TRY(fmal_pool_generate(&c->ctx, o->output, o->n, (int) o->d, (int) o->c,
                                (uint64_t) o->seed, c->history));
    if (c->ctx.rank == 0)
        printf("%s\n", o->output);
    return FMAL_OK;
}

/* ---- The command ---- */

static fmal_status check_case(const char *wanted)
{
    const char *names[32] = { "generate" };
    int n = 1;

    for (const fmal_bench_case *b = fmal_bench_cases; b->name; b++)
        names[n++] = b->name;
    for (int i = 0; i < n; i++)
        if (!wanted || strcmp(wanted, names[i]) == 0)
            return FMAL_OK;
    const char *near = fmal_nearest(wanted, names);
    return FMAL_FAIL(FMAL_ERR_USAGE, "no case is called '%s'%s%s%s", wanted,
                     near ? "; did you mean '" : "; fmal help bench lists them",
                     near ? near : "", near ? "'?" : "");
}

/* What only some cases look at, and which; no name of a case is part of another's. */
static const struct {
    const char *option, *cases;
} used_by[] = {
    { "factor", "fisher, initial, step, update, select" },
    { "batch", "select" },
    { "model", "train, infer, squares, jacobian" },
    { "images", "train, infer, squares, jacobian" },
    { "pool", "read" },
};

/* An option that the case does not use is an error, not ignored. */
static fmal_status check_used(const cli *c)
{
    for (int i = 0; i < FMAL_COUNT(used_by) && c->positional; i++)
        if (fmal_opts_given(c->opts, used_by[i].option) &&
            !strstr(used_by[i].cases, c->positional))
            return FMAL_FAIL(FMAL_ERR_USAGE,
                             "--%s: '%s' does not use it, only %s; leave it out",
                             used_by[i].option, c->positional, used_by[i].cases);
    return FMAL_OK;
}

static fmal_status run(cli *c, void *given)
{
    const bench_options *o = given;
    bool generates = c->positional && strcmp(c->positional, "generate") == 0;

    FMAL_TRY(check_singleton(&c->ctx));
    FMAL_TRY(check_case(c->positional));
    if (!generates && (o->output || o->force))
        return FMAL_FAIL(FMAL_ERR_USAGE, "--%s: only generate writes a file",
                         o->output ? "output" : "force");
    FMAL_TRY(check_used(c));
    job_begin(c);
    return generates ? generate(c, o) : run_cases(c, o);
}

const command command_bench = {
    .name = "bench",
    .summary = "benchmarks, each beside the limit of the same process",
    .usage = "[CASE|generate] [options]",
    .text =
        "Prints, for each case, the median seconds of the mean and of the slowest "
        "rank, "
        "the rate\nof all ranks together, and how much that is of a limit that the "
        "same "
        "process reached in\nturns with it. Without a case, all: gemm, syrk, triad, "
        "allreduce, cholesky, fisher,\ninitial, step, update, select, read, train, "
        "infer, "
        "squares, jacobian.\ndocs/performance.md says what they are. With --json they "
        "come with the machine's\nsizes, for jobs/scaling.sh.\n\n"
        "generate writes a made-up pool in pieces, of any size, the same on any number "
        "of ranks.\n\n"
        "  fmal bench step --samples 2000 --features 512 --classes 100 --factor full\n"
        "  mpirun -np 2 fmal bench --json\n"
        "  mpirun -np 2 fmal bench generate -n 2000000 -d 384 -o pool.h5",
    .options = table,
    .size = sizeof(bench_options),
    .positional = "CASE",
    .optional_positional = true,
    .uses_mpi = true,
    .run = run,
};
