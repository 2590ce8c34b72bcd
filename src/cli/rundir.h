/* The directory of a run: made, locked, and known by its files. */
#ifndef FMAL_RUNDIR_H
#define FMAL_RUNDIR_H

#include "lockfile.h"
#include "fmal/par.h"

/* A run's directory on the root; elsewhere only its name. A plain value. */
typedef struct rundir {
    const char *path; /* borrowed */
    char stop_file[4096], events[4096];
    lockfile lock; /* held on the root */
} rundir;

/* Make the directory if it is not there and lock it against other runs. Collective.
   FMAL_ERR_IO: cannot be made or written; another run is in it. */
fmal_status rundir_open(const fmal_ctx *ctx, const char *path, rundir *dir);

/* FMAL_ERR_EXISTS if there are tables of a run without its checkpoint. Collective. */
fmal_status rundir_check_unused(const fmal_ctx *ctx, const rundir *dir);

/* Let go. Not collective. */
void rundir_close(rundir *dir);

#endif
