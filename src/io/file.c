/* The calls of POSIX that make a file appear whole or not at all. */
#include "fmal/io.h"
#include "fmal/mem.h"
#include "fmal/point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool fmal_file_exists(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0;
}

/* The directory part of a path: "." if it has none. */
static void directory_of(const char *path, char *dir, size_t size)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        snprintf(dir, size, ".");
    else
        snprintf(dir, size, "%.*s", slash == path ? 1 : (int) (slash - path), path);
}

fmal_status fmal_file_check_output(const char *path, bool force)
{
    char dir[4096];
    struct stat s;

    directory_of(path, dir, sizeof dir);
    if (stat(path, &s) == 0) {
        if (S_ISDIR(s.st_mode))
            return FMAL_FAIL(FMAL_ERR_IO, "%s: is a directory; give a file name", path);
        if (!S_ISREG(s.st_mode)) /* a device would be replaced by a file */
            return FMAL_FAIL(FMAL_ERR_IO, "%s: is no plain file; give another name",
                             path);
        if (!force)
            return FMAL_FAIL(FMAL_ERR_EXISTS,
                             "%s: exists; --force replaces it, or give another name",
                             path);
    }
    if (stat(dir, &s) != 0 || !S_ISDIR(s.st_mode))
        return FMAL_FAIL(FMAL_ERR_IO, "%s: the directory %s does not exist", path, dir);
    if (access(dir, W_OK) != 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write in %s: %s", path, dir,
                         strerror(errno));
    return FMAL_OK;
}

bool fmal_file_same(const char *a, const char *b)
{
    char dir_a[4096], dir_b[4096];
    const char *base_a = strrchr(a, '/'), *base_b = strrchr(b, '/');
    struct stat at_a, at_b;

    if (stat(a, &at_a) == 0 && stat(b, &at_b) == 0)
        return at_a.st_dev == at_b.st_dev && at_a.st_ino == at_b.st_ino;
    directory_of(a, dir_a, sizeof dir_a);
    directory_of(b, dir_b, sizeof dir_b);
    return strcmp(base_a ? base_a + 1 : a, base_b ? base_b + 1 : b) == 0 &&
           stat(dir_a, &at_a) == 0 && stat(dir_b, &at_b) == 0 &&
           at_a.st_dev == at_b.st_dev && at_a.st_ino == at_b.st_ino;
}

int fmal_write_all(int fd, const void *from, size_t bytes)
{
    const char *data = from;

    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes < (1u << 30) ? bytes : 1u << 30);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        bytes -= (size_t) n;
    }
    return 0;
}

static void sync_directory(const char *path)
{
    char dir[4096];

    directory_of(path, dir, sizeof dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    if (fd >= 0) {
        fsync(fd); /* some file systems refuse; the rename itself is done */
        close(fd);
    }
}

fmal_status fmal_file_replace(const char *path, const void *data, size_t bytes)
{
    const char *from = bytes > 0 ? data : "";
    char temporary[4096];
    int error = 0;

    snprintf(temporary, sizeof temporary, "%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot create: %s", temporary,
                         strerror(errno));
    fmal_point("file-begin");
    if (fmal_write_all(fd, from, bytes / 2) != 0)
        error = errno;
    fmal_point("file-middle");
    if (!error && fmal_write_all(fd, from + bytes / 2, bytes - bytes / 2) != 0)
        error = errno;
    if (!error && fsync(fd) != 0 && errno != EINVAL)
        error = errno;
    if (close(fd) != 0 && !error)
        error = errno;
    fmal_point("file-written");
    if (!error && rename(temporary, path) != 0)
        error = errno;
    if (error) {
        unlink(temporary);
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write %.1f kB: %s", path,
                         (double) bytes / 1e3, strerror(error));
    }
    sync_directory(path);
    fmal_point("file-renamed");
    return FMAL_OK;
}

fmal_status fmal_file_move(const char *from, const char *to)
{
    if (rename(from, to) != 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot rename to %s: %s", from, to,
                         strerror(errno));
    sync_directory(to);
    return FMAL_OK;
}

fmal_status fmal_file_keep(const char *path, const char *previous)
{
    char temporary[4096];

    if (!fmal_file_exists(path))
        return FMAL_OK;
    snprintf(temporary, sizeof temporary, "%s.new", previous);
    unlink(temporary);
    if (link(path, temporary) == 0) {
        if (rename(temporary, previous) == 0) {
            unlink(
                temporary); /* both names were one file already: rename did nothing */
            return FMAL_OK;
        }
        unlink(temporary);
    } else if (rename(path, previous) == 0) { /* a file system without hard links */
        return FMAL_OK;
    }
    return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot keep it as %s: %s", path, previous,
                     strerror(errno));
}

fmal_status fmal_file_read(const char *path, size_t limit, char **data, size_t *bytes)
{
    struct stat s;
    char *text = NULL;
    size_t got = 0;
    int fd = open(path, O_RDONLY);

    if (fd < 0 || fstat(fd, &s) != 0) {
        int error = errno;

        if (fd >= 0)
            close(fd);
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path, strerror(error));
    }
    fmal_status st = FMAL_OK;
    if (!S_ISREG(s.st_mode) || (size_t) s.st_size > limit)
        st = FMAL_FAIL(FMAL_ERR_FORMAT, "%s: is no file of at most %zu bytes", path,
                       limit);
    if (st == FMAL_OK)
        st = fmal_alloc(&text, s.st_size + 1, 1);
    while (st == FMAL_OK && got < (size_t) s.st_size) {
        ssize_t n = read(fd, text + got, (size_t) s.st_size - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            st = FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path,
                           n < 0 ? strerror(errno) : "it became shorter");
        else
            got += (size_t) n;
    }
    close(fd);
    if (st != FMAL_OK) {
        fmal_free(&text);
        return st;
    }
    *data = text;
    *bytes = got;
    return FMAL_OK;
}
