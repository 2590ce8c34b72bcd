/* Shared by the commands of the program. */
#ifndef FMAL_CLI_IMPL_H
#define FMAL_CLI_IMPL_H

#include <stdio.h>

#include "fmal/clock.h"
#include "fmal/opts.h"
#include "fmal/par.h"

/* Options that every command has; first in the struct of each. */
typedef struct common_options {
    char *config;
    int log_level, progress;
    bool quiet, help, json;
} common_options;

/* One start of the program. */
typedef struct cli {
    const struct command *command;
    fmal_opts *opts;        /* of the command, parsed */
    const char *positional; /* the one word that is no option, or NULL */
    char *history;          /* the command line, for provenance */
    fmal_ctx ctx;           /* if the command uses MPI */
    fmal_phases phases;
    double start; /* fmal_now() */
} cli;

/* A command: options in, one library call, report out. */
typedef struct command {
    const char *name;
    const char *summary;     /* one line */
    const char *usage;       /* what follows "fmal NAME" */
    const char *text;        /* paragraphs of the help */
    const fmal_opt *options; /* its own, ended by a NULL name */
    size_t size;             /* of its struct of options */
    const char *positional;  /* what its one word is, NULL if it takes none */
    bool optional_positional;
    bool uses_mpi;
    fmal_status (*run)(cli *c, void *options);
} command;

extern const command command_import, command_select, command_run, command_inspect,
    command_bench, command_info;

/* All commands, ended by NULL. */
extern const command *const commands[];

/* The options of a command and the common ones, in a table of the caller's. */
enum { MAX_TABLE = 64 };
void command_table(const command *c, fmal_opt table[MAX_TABLE]);

void print_help(const command *c, FILE *to);
void print_overview(FILE *to);
void print_markdown(FILE *to);

/* First and last lines of a job on ranks. Collective. */
void job_begin(cli *c);
void job_end(cli *c);

/* A line of a plan: a log line, or with --dry-run, whose result it is, standard output.
 */
__attribute__((format(printf, 3, 4))) void plan_line(const cli *c, bool dry_run,
                                                     const char *fmt, ...);

/* Whether this is the rank that speaks, by MPI if it runs, else by the launcher's word.
 */
bool speaks(const cli *c);

/* FMAL_ERR_USAGE if one rank runs in an allocation that was given several tasks. */
fmal_status check_singleton(const fmal_ctx *ctx);

/* FMAL_ERR_NOMEM if `bytes` a rank do not fit the fullest node; says what would.
   Collective. */
fmal_status check_memory(const fmal_ctx *ctx, double bytes);

/* "auto" or "2x3" to rows and columns; 0 and 0 for auto. */
fmal_status parse_grid(const char *text, int *rows, int *cols);

/* FMAL_ERR_USAGE if an option was given that the strategy does not honour. */
struct fmal_strategy;
fmal_status check_honoured(const fmal_opts *o, const struct fmal_strategy *strategy,
                           bool top);

/* Expected time of so many flops on the busiest rank, on this machine as it is now.
   Collective. */
void print_time(const cli *c, bool dry_run, double flops);

/* Whether a command ended since someone made its stop file. */
bool stopped_by_file(fmal_status st);

/* When to stop: --max-time, or the end of the batch job by the environment. */
double stop_deadline(const cli *c, double max_time);

/* Bytes as "3.2 GB". */
const char *bytes_text(double bytes, char *text, size_t size);

#endif
