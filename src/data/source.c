/* Bytes of a file, plain or gzip: zlib reads both. */
#include "data_impl.h"
#include "fmal/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* Compressions that are not ours, by their first bytes. */
static const struct {
    const char *name, *magic;
    size_t bytes;
    const char *undo;
} foreign[] = {
    { "xz-compressed",
      "\xfd"
      "7zXZ\0",
      6, "xz -dk" },
    { "bzip2-compressed", "BZh", 3, "bzip2 -dk" },
    { "zstd-compressed", "\x28\xb5\x2f\xfd", 4, "zstd -dk" },
    { "a zip archive", "PK\3\4", 4, "unzip" },
};

static fmal_status check_foreign(const char *path, int fd)
{
    char head[6] = "";
    ssize_t n = pread(fd, head, sizeof head, 0); /* a pipe just refuses */

    for (int i = 0; i < FMAL_COUNT(foreign); i++)
        if (n >= (ssize_t) foreign[i].bytes &&
            memcmp(head, foreign[i].magic, foreign[i].bytes) == 0)
            return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: is %s; %s %s first", path,
                             foreign[i].name, foreign[i].undo, path);
    return FMAL_OK;
}

fmal_status fmal_source_open(const char *path, fmal_source *source)
{
    enum { BUFFER_BYTES = 1 << 18 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    fmal_status st = check_foreign(path, fd);
    gzFile stream = st == FMAL_OK ? gzdopen(fd, "rb") : NULL;
    if (!stream) {
        close(fd);
        return st != FMAL_OK ? st : FMAL_FAIL(FMAL_ERR_NOMEM, "%s: no memory", path);
    }
    gzbuffer(stream, BUFFER_BYTES);
    *source = (fmal_source){ .path = path, .stream = stream };
    return FMAL_OK;
}

void fmal_source_close(fmal_source *source)
{
    if (source->stream)
        gzclose(source->stream);
    source->stream = NULL;
}

/* The stream itself failed. */
static fmal_status broken(const fmal_source *s)
{
    int code = 0, error = errno;
    const char *text = gzerror(s->stream, &code);
    const char *why = strstr(text, ": "); /* zlib puts a name before it */

    if (code == Z_ERRNO)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", s->path, strerror(error));
    return FMAL_FAIL(FMAL_ERR_FORMAT,
                     "%s: the gzip stream is damaged after offset %" PRId64
                     " of its content (%s); fetch the file again",
                     s->path, s->at, why ? why + 2 : text);
}

/* Whether a gzip stream stopped before its end. */
static bool is_cut(const fmal_source *s)
{
    int code = 0;

    gzerror(s->stream, &code);
    return code == Z_BUF_ERROR;
}

fmal_status fmal_source_some(fmal_source *source, void *to, size_t bytes, size_t *got)
{
    enum { PIECE = 1 << 20 };
    size_t n = 0;

    while (n < bytes) {
        unsigned ask = bytes - n < PIECE ? (unsigned) (bytes - n) : PIECE;
        int r = gzread(source->stream, (char *) to + n, ask);

        if (r < 0)
            return broken(source);
        n += (size_t) r;
        source->at += r;
        if ((unsigned) r < ask)
            break;
    }
    *got = n;
    return FMAL_OK;
}

static fmal_status truncated(const fmal_source *s, const char *what, size_t got,
                             size_t bytes)
{
    return FMAL_FAIL(FMAL_ERR_FORMAT,
                     "%s: truncated: %s at offset %" PRId64
                     "%s: %zu bytes expected, %zu are there; fetch the file again",
                     s->path, what, s->at - (int64_t) got,
                     gzdirect(s->stream) ? "" : " of the uncompressed content", bytes,
                     got);
}

fmal_status fmal_source_read(fmal_source *source, void *to, size_t bytes,
                             const char *what)
{
    size_t got = 0;

    FMAL_TRY(fmal_source_some(source, to, bytes, &got));
    return got == bytes ? FMAL_OK : truncated(source, what, got, bytes);
}

/* Double a buffer, up to `bytes`; `used` of it are kept. */
static fmal_status grow(fmal_bytes *buffer, size_t used, size_t bytes)
{
    enum { SMALLEST = 1 << 20 };
    size_t size = buffer->size < SMALLEST / 2 ? SMALLEST : 2 * buffer->size;
    fmal_bytes larger = { NULL, size < bytes ? size : bytes };

    FMAL_TRY(fmal_alloc(&larger.data, (fmal_idx) larger.size, 1));
    if (used > 0)
        memcpy(larger.data, buffer->data, used);
    fmal_free(&buffer->data);
    *buffer = larger;
    return FMAL_OK;
}

fmal_status fmal_source_fill(fmal_source *source, fmal_bytes *buffer, size_t bytes,
                             const char *what)
{
    size_t have = 0;

    while (have < bytes) {
        size_t got = 0;

        if (have == buffer->size)
            FMAL_TRY(grow(buffer, have, bytes));
        size_t ask = (buffer->size < bytes ? buffer->size : bytes) - have;
        FMAL_TRY(fmal_source_some(source, buffer->data + have, ask, &got));
        have += got;
        if (got < ask)
            return truncated(source, what, have, bytes);
    }
    return FMAL_OK;
}

fmal_status fmal_source_end(fmal_source *source, const char *what)
{
    char byte;
    size_t got = 0;
    int64_t end = source->at;

    /* zlib compares the checksum only when it is asked for what follows. */
    FMAL_TRY(fmal_source_some(source, &byte, 1, &got));
    if (got > 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: trailing bytes: %s should end at offset %" PRId64
                         "%s, and more follows",
                         source->path, what, end,
                         gzdirect(source->stream) ? ""
                                                  : " of the uncompressed content");
    if (is_cut(source))
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: truncated: the gzip stream stops before its checksum; "
                         "fetch the file again",
                         source->path);
    return FMAL_OK;
}
