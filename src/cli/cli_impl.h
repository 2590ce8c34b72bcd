/* Shared by the commands of the program. */
#ifndef FMAL_CLI_IMPL_H
#define FMAL_CLI_IMPL_H

#include <stdio.h>

#include "fmal/ckpt.h"
#include "fmal/clock.h"
#include "fmal/opts.h"
#include "fmal/par.h"

/* Options that every command has; first in the struct of each. */
typedef struct common_options {
    char *config;
    int log_level, progress;
    bool quiet, help, print_config, json;
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
    /* What is wrong with options whatever the data: before ranks start. May be NULL. */
    fmal_status (*check)(const cli *c, const void *options);
    fmal_status (*run)(cli *c, void *options);
} command;

extern const command command_import, command_select, command_run, command_mask,
    command_inspect, command_bench, command_info;

/* All commands, ended by NULL. */
extern const command *const commands[];

/* The options of a command and the common ones, in a table of the caller's. */
void command_table(const command *c, fmal_opt table[FMAL_MAX_OPTIONS]);

void print_help(const command *c, FILE *to);
void print_overview(FILE *to);
void print_markdown(FILE *to);

/* Options of commands that work for long: whether to, when to save, when to stop. */
typedef struct job_options {
    bool dry_run;
    double max_time, checkpoint_every;
    int64_t checkpoint_steps;
} job_options;

/* To be a part of a command's table. */
extern const fmal_opt job_table[];

/* What this start's files belong to, but for the input's checksum; the path is
   borrowed. Collective. FMAL_ERR_NOMEM, agreed. */
fmal_status job_identity(const cli *c, const char *input, fmal_identity *out);
void job_identity_clear(fmal_identity *id);

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

/* Expected time of so many flops on the busiest rank, in double and in single
   precision, on this machine as it is now. Collective. */
void print_time(const cli *c, bool dry_run, double flops, double flops_single);

/* Whether a command ended since someone made its stop file. */
bool stopped_by_file(fmal_status st);

/* When to stop: --max-time, or the end of the batch job by the environment. */
double stop_deadline(const cli *c, const job_options *o);

/* Bytes as "3.2 GB". */
const char *bytes_text(double bytes, char *text, size_t size);

#endif
