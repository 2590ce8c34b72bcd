#include "cli_impl.h"
#include "fmal/isa.h"
#include "fmal/la.h"
#include "fmal/mem.h"
#include "fmal/nn.h"
#include "fmal/report.h"
#include "fmal/strategy.h"
#include "fmal/version.h"

typedef struct {
    common_options common;
} info_options;

static const fmal_opt table[] = { { .name = NULL } };

/* What the program runs on; the same on every rank but for memory, which is the least.
 */
typedef struct {
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING], hdf5[32];
    fmal_isa isa;
    double memory;
} machine;

static machine look(const fmal_ctx *ctx)
{
    machine m = { .isa = fmal_isa_detect(), .memory = fmal_mem_available() };
    double least[2] = { -(double) m.isa, -m.memory / ctx->node_size };
    int length;

    FMAL_MPI(MPI_Get_library_version(m.mpi, &length));
    for (char *p = m.mpi; *p; p++)
        if (*p == ',' || *p == '\n')
            *p = 0;
    fmal_h5_version(m.hdf5, sizeof m.hdf5);
    fmal_max_f64(ctx, least, 2);
    m.isa = (fmal_isa) -least[0];
    m.memory = -least[1];
    return m;
}

static void print_text(const fmal_ctx *ctx, const machine *m)
{
    char memory[32];

    printf("fmal        %s\n", FMAL_VERSION);
    printf("ranks       %d on %d %s, %d BLAS thread each\n", ctx->size, ctx->nodes,
           ctx->nodes == 1 ? "node" : "nodes", fmal_blas_threads());
    printf("memory      %s a rank on the fullest node\n",
           bytes_text(m->memory, memory, sizeof memory));
    printf("kernels     %s\n", fmal_isa_name(m->isa));
    printf("MPI         %s\n", m->mpi);
    printf("BLAS        %s, %s\n", fmal_blas_version(), fmal_blas_core());
    printf("HDF5        %s\n", m->hdf5);
    printf("grid        1 x 1 up to D = %d, above it the most square grid of the most "
           "ranks (--grid forces one)\n\n",
           FMAL_ONE_RANK_ORDER);
    printf(
        "strategies (n samples, d features, c classes, k picks, D = c d, P ranks)\n");
    for (int i = 0; i < fmal_strategy_count(); i++) {
        const fmal_strategy *s = fmal_strategy_at(i);

        printf("  %-11s %s\n  %-11s time %s\n  %-11s memory %s\n", s->name, s->summary,
               "", s->time, "", s->memory);
    }
    printf("\nmodels of run\n");
    for (int i = 0; fmal_arch_names[i]; i++)
        printf("  %-11s %s\n", fmal_arch_names[i], fmal_arch_summaries[i]);
}

static void print_json(const fmal_ctx *ctx, const machine *m)
{
    json_t *strategies = json_array(), *models = json_array();

    for (int i = 0; i < fmal_strategy_count(); i++) {
        const fmal_strategy *s = fmal_strategy_at(i);

        json_array_append_new(
            strategies, json_pack("{s:s, s:s, s:s, s:s}", "name", s->name, "summary",
                                  s->summary, "time", s->time, "memory", s->memory));
    }
    for (int i = 0; fmal_arch_names[i]; i++)
        json_array_append_new(models, json_string(fmal_arch_names[i]));
    json_t *out =
        json_pack("{s:s, s:i, s:i, s:f, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "version",
                  FMAL_VERSION, "ranks", ctx->size, "nodes", ctx->nodes, "memory_bytes",
                  m->memory, "kernels", fmal_isa_name(m->isa), "mpi", m->mpi, "blas",
                  fmal_blas_version(), "blas_core", fmal_blas_core(), "hdf5", m->hdf5,
                  "strategies", strategies, "models", models);
    json_dumpf(out, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(out);
}

static fmal_status run(cli *c, void *given)
{
    const info_options *o = given;
    machine m = look(&c->ctx);

    if (c->ctx.rank != 0)
        return FMAL_OK;
    if (o->common.json)
        print_json(&c->ctx, &m);
    else
        print_text(&c->ctx, &m);
    /* Here a lone rank is no error, but worth knowing. */
    if (check_singleton(&c->ctx) != FMAL_OK)
        fprintf(stderr, "fmal: %s\n", fmal_error_text());
    return FMAL_OK;
}

const command command_info = {
    .name = "info",
    .summary = "ranks, libraries, and what each strategy needs",
    .usage = "[--json]",
    .text = "Prints what the program runs on. Under mpirun or srun it shows the ranks "
            "there are.",
    .options = table,
    .size = sizeof(info_options),
    .uses_mpi = true,
    .run = run,
};
