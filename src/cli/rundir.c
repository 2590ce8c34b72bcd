#include "rundir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static fmal_status lock(rundir *dir)
{
    char path[4200], busy[4200];

    snprintf(path, sizeof path, "%s/lock", dir->path);
    snprintf(busy, sizeof busy, "%s: a run is under way in it", dir->path);
    return lockfile_take(&dir->lock, path, busy, dir->stop_file);
}

/* Directories above path, as mkdir -p. */
static int make_parents(const char *path)
{
    char part[4096];

    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return -1;
        *p = '/';
    }
    return 0;
}

static fmal_status open_alone(rundir *dir)
{
    struct stat about;

    if (make_parents(dir->path) != 0 ||
        (mkdir(dir->path, 0777) != 0 && errno != EEXIST))
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot make the directory: %s", dir->path,
                         strerror(errno));
    if (stat(dir->path, &about) != 0 || !S_ISDIR(about.st_mode))
        return FMAL_FAIL(FMAL_ERR_IO, "%s: is no directory", dir->path);
    return lock(dir);
}

fmal_status rundir_open(const fmal_ctx *ctx, const char *path, rundir *dir)
{
    fmal_status st = FMAL_OK;

    *dir = (rundir){ .path = path, .lock = { .fd = -1 } };
    snprintf(dir->stop_file, sizeof dir->stop_file, "%s/stop", path);
    snprintf(dir->events, sizeof dir->events, "%s/events.jsonl", path);
    if (ctx->rank == 0)
        st = open_alone(dir);
    if ((st = fmal_agree_root(ctx, st)) != FMAL_OK)
        rundir_close(dir);
    return st;
}

fmal_status rundir_check_unused(const fmal_ctx *ctx, const rundir *dir)
{
    char path[4200];
    fmal_status st = FMAL_OK;

    snprintf(path, sizeof path, "%s/metrics.csv", dir->path);
    if (ctx->rank == 0 && access(path, F_OK) == 0)
        st = FMAL_FAIL(FMAL_ERR_EXISTS,
                       "%s: has a metrics.csv but no checkpoint to go on from; give "
                       "another directory, or empty this one",
                       dir->path);
    return fmal_agree_root(ctx, st);
}

void rundir_close(rundir *dir)
{
    lockfile_drop(&dir->lock, false);
}
