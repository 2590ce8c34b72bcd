#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two runs in one directory would ruin each other. The lock goes with the process,
   however it ends; a file system that knows no locks is taken at its word. */
static fmal_status lock(rundir *dir)
{
    char path[4096], holder[64] = "another process";

    snprintf(path, sizeof path, "%s/lock", dir->path);
    dir->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (dir->lock < 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write in %s: %s", path, dir->path,
                         strerror(errno));
    if (flock(dir->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        ssize_t n = read(dir->lock, holder, sizeof holder - 1);

        holder[n > 0 ? n : 0] = 0;
        return FMAL_FAIL(
            FMAL_ERR_IO,
            "%s: a run is under way in it (%.*s); wait for it, or touch %s", dir->path,
            (int) strcspn(holder, "\n"), holder, dir->stop_file);
    }
    char host[40] = "?", text[64];
    gethostname(host, sizeof host - 1);
    int length =
        snprintf(text, sizeof text, "process %ld on %s\n", (long) getpid(), host);
    if (ftruncate(dir->lock, 0) != 0 ||
        write(dir->lock, text, (size_t) length) != length)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    return FMAL_OK;
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

    *dir = (rundir){ .path = path, .lock = -1 };
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
    if (dir->lock >= 0)
        close(dir->lock);
    dir->lock = -1;
}
