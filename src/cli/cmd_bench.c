#include "cli_impl.h"
#include "fmal/bench.h"
#include "fmal/mem.h"

#include <jansson.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    common_options common;
    int64_t n, d, c, batch, repeats, seed;
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
    { .name = "batch",
      .letter = 'b',
      .type = FMAL_OPT_INT,
      .offset = AT(batch),
      .def = "20",
      .min = 1,
      .max = 1e9,
      .arg = "K",
      .help = "samples to pick (select)" },
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
    { .name = NULL },
};

static void print_row(const char *name, const fmal_bench_result *r, const fmal_ctx *ctx)
{
    char rate[32] = "", limit[64] = "", seconds[32] = "";

    if (r->seconds > 0)
        snprintf(seconds, sizeof seconds, "%.6f", r->seconds);

    if (r->rate > 0)
        snprintf(rate, sizeof rate, "%.1f %s", r->rate / 1e9,
                 r->is_bytes ? "GB/s" : "GFLOP/s");
    if (r->limit)
        snprintf(limit, sizeof limit, "%.0f %% of %.1f %s",
                 100 * r->rate / r->limit_rate, r->limit_rate / 1e9, r->limit);
    printf("%-10s %-30s %-26s %5d %11s  %-15s %s\n", name, r->what, r->sizes, ctx->size,
           seconds, rate, limit);
}

static json_t *row_json(const char *name, const fmal_bench_result *r,
                        const fmal_ctx *ctx)
{
    json_t *out = json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:f, s:s}", "case", name,
                            "what", r->what, "sizes", r->sizes, "ranks", ctx->size,
                            "threads", 1, "seconds", r->seconds, "rate", r->rate,
                            "unit", r->is_bytes ? "byte/s" : "flop/s");
    if (r->limit) {
        json_object_set_new(out, "limit", json_string(r->limit));
        json_object_set_new(out, "limit_rate", json_real(r->limit_rate));
    }
    return out;
}

/* One case; its rows go to the list or to standard output. Collective. */
static fmal_status run_case(const cli *c, const fmal_bench_case *bench,
                            const fmal_bench_setup *setup, json_t *list)
{
    fmal_bench_result rows[FMAL_BENCH_MAX];
    int n = 0;

    FMAL_TRY(bench->run(setup, rows, &n));
    for (int i = 0; i < n && c->ctx.rank == 0; i++) {
        if (list)
            json_array_append_new(list, row_json(bench->name, &rows[i], &c->ctx));
        else
            print_row(bench->name, &rows[i], &c->ctx);
    }
    fflush(stdout);
    return FMAL_OK;
}

static fmal_status check_case(const char *wanted)
{
    for (int i = 0; wanted && fmal_bench_case_names[i]; i++)
        if (strcmp(wanted, fmal_bench_case_names[i]) == 0)
            return FMAL_OK;
    if (!wanted)
        return FMAL_OK;
    const char *near = fmal_nearest(wanted, fmal_bench_case_names);
    return FMAL_FAIL(FMAL_ERR_USAGE, "no case is called '%s'%s%s%s", wanted,
                     near ? "; did you mean '" : "; fmal help bench lists them",
                     near ? near : "", near ? "'?" : "");
}

static fmal_status run(cli *c, void *given)
{
    const bench_options *o = given;
    fmal_bench_setup setup = { .ctx = &c->ctx,
                               .n = o->n,
                               .d = (int) o->d,
                               .c = (int) o->c,
                               .batch = o->batch,
                               .repeats = (int) o->repeats,
                               .seed = (uint64_t) o->seed };
    json_t *list = o->common.json && c->ctx.rank == 0 ? json_array() : NULL;
    fmal_status st = check_singleton(&c->ctx);

    if (st == FMAL_OK)
        st = check_case(c->positional);
    if (st == FMAL_OK)
        job_begin(c);
    if (st == FMAL_OK && c->ctx.rank == 0 && !list)
        printf("%-10s %-30s %-26s %5s %11s  %-15s %s\n", "case", "what", "sizes",
               "ranks", "seconds", "rate", "limit, same process");
    for (const fmal_bench_case *bench = fmal_bench_cases; bench->name && st == FMAL_OK;
         bench++)
        if (!c->positional || strcmp(c->positional, bench->name) == 0)
            st = run_case(c, bench, &setup, list);
    if (list && st == FMAL_OK) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(list);
    return st;
}

const command command_bench = {
    .name = "bench",
    .summary = "benchmarks, each beside the limit of the same process",
    .usage = "[CASE] [options]",
    .text =
        "Prints, for each case, the median seconds of the slowest rank, the rate of "
        "all ranks\ntogether, and how much that is of what the same process reaches "
        "in DGEMM. Cases: gemm,\ntriad, allreduce, cholesky, engine, select; without "
        "one, all.\n\n"
        "  fmal bench engine --samples 10000 --features 128 --classes 10\n"
        "  mpirun -np 2 fmal bench --json",
    .options = table,
    .size = sizeof(bench_options),
    .positional = "CASE",
    .optional_positional = true,
    .uses_mpi = true,
    .run = run,
};
