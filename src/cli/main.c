/* The program: find the command, parse its options, run it, turn its status into an
   exit code. Only this file computes on MPI_COMM_WORLD. */
#include "cli_impl.h"
#include "fmal/io.h"
#include "fmal/la.h"
#include "fmal/log.h"
#include "fmal/mem.h"
#include "fmal/point.h"
#include "fmal/version.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const command *find_command(const char *name)
{
    for (const command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static fmal_status unknown_command(const char *name)
{
    const char *names[16] = { "help" };

    for (int i = 0; commands[i]; i++)
        names[i + 1] = commands[i]->name;
    if (name[0] == '-')
        return FMAL_FAIL(
            FMAL_ERR_USAGE,
            "%s: give the command first, then its options, as in fmal select "
            "%s; fmal help lists the commands",
            name, name);
    const char *near = fmal_nearest(name, names);
    if (near)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "unknown command '%s'; did you mean '%s'? fmal help lists all",
                         name, near);
    return FMAL_FAIL(FMAL_ERR_USAGE, "unknown command '%s'; fmal help lists all", name);
}

/* fmal help [COMMAND] */
static fmal_status help(int argc, char **argv)
{
    if (argc < 3) {
        print_overview(stdout);
        return FMAL_OK;
    }
    if (strcmp(argv[2], "--markdown") == 0) {
        print_markdown(stdout);
        return FMAL_OK;
    }
    if (strcmp(argv[2], "help") == 0) {
        print_overview(stdout);
        return FMAL_OK;
    }
    const command *c = find_command(argv[2]);
    if (!c)
        return unknown_command(argv[2]);
    print_help(c, stdout);
    return FMAL_OK;
}

/* Options of the command line and of the file that it names. */
static fmal_status parse(cli *c, int argc, char **argv, common_options *common)
{
    const char *sections[16] = { NULL };
    int n = 0;

    FMAL_TRY(fmal_opts_args(c->opts, argc, argv, &c->positional,
                            c->command->positional ? 1 : 0, &n));
    if (common->help)
        return FMAL_OK;
    for (int i = 0; commands[i]; i++)
        sections[i] = commands[i]->name;
    if (common->config)
        FMAL_TRY(fmal_opts_file(c->opts, common->config, c->command->name, sections));
    if (common->print_config) /* also of a command that is not complete yet */
        return FMAL_OK;
    FMAL_TRY(fmal_opts_check(c->opts));
    if (c->command->positional && n == 0 && !c->command->optional_positional)
        return FMAL_FAIL(FMAL_ERR_USAGE, "fmal %s: %s is missing", c->command->name,
                         c->command->positional);
    return FMAL_OK;
}

static char *join(int argc, char **argv)
{
    size_t bytes = 1;
    char *text = NULL;

    for (int i = 0; i < argc; i++)
        bytes += strlen(argv[i]) + 1;
    if (fmal_alloc(&text, (fmal_idx) bytes, 1) != FMAL_OK)
        return NULL;
    for (int i = 0; i < argc; i++) {
        if (i > 0)
            strcat(text, " ");
        strcat(text, argv[i]);
    }
    return text;
}

/* An error ends the job on all ranks; it is printed once. */
static void complain(const cli *c, fmal_status st)
{
    if (st == FMAL_OK || st == FMAL_STOPPED || !speaks(c))
        return;
    fprintf(stderr, "fmal: %s\n", fmal_error_text());
    if (st == FMAL_ERR_USAGE && c->command)
        fprintf(stderr, "fmal: see fmal help %s\n", c->command->name);
    fmal_log(FMAL_LOG_DEBUG, "error", "place=%s kind='%s'", fmal_error_place(),
             fmal_status_text(st));
}

static void log_begin(const common_options *common, int rank)
{
    fmal_log_setup(common->quiet ? FMAL_LOG_WARN : (fmal_log_level) common->log_level,
                   rank == 0);
    fmal_progress_setup((fmal_progress_mode) common->progress, common->quiet, rank);
}

/* On ranks. The duplicate keeps our messages apart from those of who embeds us. */
static fmal_status run_on_ranks(cli *c, void *options, const common_options *common)
{
    MPI_Comm comm;
    int provided;

    FMAL_MPI(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided));
    FMAL_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &comm));
    fmal_ctx_init(&c->ctx, comm);
    fmal_blas_one_thread();
    log_begin(common, c->ctx.rank);

    fmal_status st = c->command->run(c, options);
    complain(c, st);
    fmal_h5_shutdown();
    FMAL_MPI(MPI_Comm_free(&comm));
    FMAL_MPI(MPI_Finalize());
    return st;
}

/* Words that the program has of itself, whatever the command; once. */
static fmal_status say_about(const cli *c, const common_options *common)
{
    if (!speaks(c))
        return FMAL_OK;
    if (common->help) {
        print_help(c->command, stdout);
        return FMAL_OK;
    }
    return fmal_opts_print(c->opts, c->command->name, stdout);
}

static fmal_status run_command(cli *c, int argc, char **argv)
{
    fmal_opt table[FMAL_MAX_OPTIONS];
    common_options *options = NULL;
    fmal_status st = fmal_alloc(&options, 1, (size_t) c->command->size);

    command_table(c->command, table);
    if (st == FMAL_OK)
        st = fmal_opts_create(table, options, &c->opts);
    if (st == FMAL_OK)
        st = parse(c, argc, argv, options);
    bool asked = st == FMAL_OK && (options->help || options->print_config);
    if (st == FMAL_OK && !asked && c->command->check)
        st = c->command->check(c, options);
    if (asked) {
        st = say_about(c, options);
        complain(c, st);
    } else if (st == FMAL_OK && c->command->uses_mpi) {
        st = run_on_ranks(c, options, options);
    } else if (st == FMAL_OK) {
        log_begin(options, 0);
        st = c->command->run(c, options);
        complain(c, st);
    } else {
        complain(c, st);
        /* mpirun kills all when the first one fails: let that be the one that speaks.
         */
        if (!speaks(c))
            sleep(2);
    }
    fmal_opts_destroy(&c->opts);
    fmal_free(&options);
    return st;
}

int main(int argc, char **argv)
{
    cli c = { .start = fmal_now() };
    fmal_status st = FMAL_OK;

    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is an error like another */
    fmal_point_arm(getenv("FMAL_KILL_AT"), getenv("OMPI_COMM_WORLD_RANK"));
    if (argc > 1)
        c.command = find_command(argv[1]);
    if (!speaks(&c) && !(c.command && c.command->uses_mpi))
        return 0; /* what needs no ranks, one of them does */
    c.history = join(argc, argv);
    if (argc < 2) {
        print_overview(stderr);
        st = FMAL_ERR_USAGE;
    } else if (strcmp(argv[1], "--version") == 0) {
        printf("fmal %s\n", FMAL_VERSION);
    } else if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
               strcmp(argv[1], "-h") == 0) {
        st = help(argc, argv);
        complain(&c, st);
    } else if (!c.command) {
        st = unknown_command(argv[1]);
        complain(&c, st);
    } else {
        st = run_command(&c, argc - 1, argv + 1);
    }
    fmal_free(&c.history);
    if (st == FMAL_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "fmal: cannot write to standard output\n");
        st = FMAL_ERR_IO;
    }
    return fmal_status_exit(st);
}
