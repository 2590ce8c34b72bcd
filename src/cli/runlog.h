/* What is written down as a run goes: log lines, events, tables, checkpoints. */
#ifndef FMAL_RUNLOG_H
#define FMAL_RUNLOG_H

#include "cli_impl.h"
#include "fmal/report.h"

/* Where to, and what of. A plain value; all but the identity is borrowed. */
typedef struct runlog {
    const cli *c;
    const fmal_run_options *options;
    const fmal_dataset *set;
    const char *dir;
    fmal_identity identity; /* cleared by job_identity_clear */
    fmal_events *events;
} runlog;

/* Let a loop write here: fills in what the loop calls back. */
void runlog_hook(runlog *log, fmal_run_hooks *hooks);

/* Write that the program begins a run, or goes on with one. Collective. */
fmal_status runlog_start(const runlog *log, bool resumed);

#endif
