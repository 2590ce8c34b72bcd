#include "lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the open file is the one of that name: who held it may have removed it. */
static bool is_there(int fd, const char *path)
{
    struct stat mine, named;

    return fstat(fd, &mine) == 0 && stat(path, &named) == 0 &&
           mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/* For the message of who comes second; a full disk must not matter. */
static void write_holder(int fd)
{
    char host[40] = "?", text[64];

    gethostname(host, sizeof host - 1);
    int n = snprintf(text, sizeof text, "process %ld on %s\n", (long) getpid(), host);
    if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t) n) != n)
        return;
}

static fmal_status refuse(int fd, const char *busy, const char *stop_file)
{
    char holder[64] = "another process";
    ssize_t n = read(fd, holder, sizeof holder - 1);

    if (n > 0)
        holder[n] = 0;
    close(fd);
    return FMAL_FAIL(FMAL_ERR_IO, "%s (%.*s); wait for it, or touch %s", busy,
                     (int) strcspn(holder, "\n"), holder, stop_file);
}

fmal_status lockfile_take(lockfile *lock, const char *path, const char *busy,
                          const char *stop_file)
{
    enum { MOST_TRIES = 100 };
    int fd = -1;

    for (int i = 0; i < MOST_TRIES && fd < 0; i++) {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            return refuse(fd, busy, stop_file);
        if (!is_there(fd, path)) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: is removed again and again", path);
    write_holder(fd);
    lock->fd = fd;
    snprintf(lock->path, sizeof lock->path, "%s", path);
    return FMAL_OK;
}

void lockfile_drop(lockfile *lock, bool and_remove)
{
    if (lock->fd < 0)
        return;
    if (and_remove)
        unlink(lock->path); /* before another process can hold it */
    close(lock->fd);
    lock->fd = -1;
}
