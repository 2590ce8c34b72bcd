#include "fmal/report.h"
#include "fmal/clock.h"
#include "fmal/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fmal_events {
    fmal_ctx ctx;
    char *path;
    int fd; /* on the root; -1 elsewhere */
    int64_t bytes;
};

/* Cut what lies beyond `keep`; a file that is shorter, since someone cut it, stays so.
 */
static fmal_status open_alone(fmal_events *e, int64_t keep)
{
    struct stat about;

    e->fd = open(e->path, O_WRONLY | O_CREAT, 0666);
    if (e->fd >= 0 && fstat(e->fd, &about) == 0) {
        e->bytes = about.st_size < keep ? about.st_size : keep;
        if (ftruncate(e->fd, e->bytes) == 0 && lseek(e->fd, e->bytes, SEEK_SET) >= 0)
            return FMAL_OK;
    }
    return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write: %s", e->path, strerror(errno));
}

fmal_status fmal_events_open(const fmal_ctx *ctx, const char *path, int64_t keep,
                             fmal_events **out)
{
    fmal_events *e = NULL;
    fmal_status st = FMAL_ALLOC(&e, 1);

    if (st == FMAL_OK) {
        e->ctx = *ctx;
        e->fd = -1;
        e->path = fmal_strdup(path);
        st = e->path ? FMAL_OK : FMAL_ERR_NOMEM;
    }
    if (st == FMAL_OK && ctx->rank == 0)
        st = open_alone(e, keep);
    if ((st = fmal_agree(ctx, st)) != FMAL_OK) {
        fmal_events_close(&e);
        return st;
    }
    fmal_bcast(ctx, &e->bytes, sizeof e->bytes, 0);
    *out = e;
    return FMAL_OK;
}

static fmal_status append(fmal_events *e, const char *event, json_t *fields)
{
    json_t *line = json_pack("{s:s, s:f}", "event", event, "time", fmal_wall_time());
    char *text = NULL;
    fmal_status st = FMAL_OK;

    if (fields)
        json_object_update(line, fields);
    text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(17));
    size_t length = text ? strlen(text) : 0;
    if (text)
        text[length++] = '\n'; /* in the place of the ending zero */
    if (!text)
        st = FMAL_FAIL(FMAL_ERR_NOMEM, "%s: cannot build an event", e->path);
    else if (fmal_write_all(e->fd, text, length) != 0)
        st = FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write: %s", e->path, strerror(errno));
    e->bytes += (int64_t) length;
    json_decref(line);
    free(text);
    return st;
}

fmal_status fmal_events_add(fmal_events *e, const char *event, json_t *fields)
{
    fmal_status st = FMAL_OK;

    if (e->ctx.rank == 0)
        st = append(e, event, fields);
    json_decref(fields);
    st = fmal_agree_root(&e->ctx, st);
    fmal_bcast(&e->ctx, &e->bytes, sizeof e->bytes, 0);
    return st;
}

fmal_status fmal_events_sync(fmal_events *e)
{
    fmal_status st = FMAL_OK;

    if (e->fd >= 0 && fsync(e->fd) != 0 && errno != EINVAL)
        st = FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write: %s", e->path, strerror(errno));
    return fmal_agree_root(&e->ctx, st);
}

int64_t fmal_events_bytes(const fmal_events *e)
{
    return e->bytes;
}

void fmal_events_close(fmal_events **e)
{
    if (!*e)
        return;
    if ((*e)->fd >= 0)
        close((*e)->fd);
    fmal_free(&(*e)->path);
    fmal_free(e);
}
