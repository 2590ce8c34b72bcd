/* Files streamed into, and disks that fill up meanwhile. */
#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ROWS = 1000, WIDTH = 100 };

static const fmal_h5_spec spec = {
    .name = "/x", .type = FMAL_F64, .ndims = 2, .dims = { ROWS, WIDTH }
};

/* Write all rows, a hundred at a time; *first_bad says where it failed. */
static fmal_status stream(const char *path, const double *x, int *first_bad)
{
    fmal_h5 *h = NULL;

    *first_bad = -1;
    FMAL_TRY(fmal_h5_create(path, &h));
    fmal_status st = fmal_h5_create_rows(h, &spec);
    for (int row = 0; row < ROWS && st == FMAL_OK; row += 100) {
        st = fmal_h5_write_rows(h, "/x", FMAL_F64, row, 100, x + row * WIDTH);
        if (st != FMAL_OK)
            *first_bad = row;
    }
    fmal_status closed = fmal_h5_close(&h);
    return st == FMAL_OK ? closed : st;
}

static void test_good(fmal_test *t, const double *x)
{
    const char *path = fmal_test_path(t, "good.h5");
    double *got = NULL;
    fmal_h5 *h = NULL;
    int bad;

    /* Twice: what was there is emptied first. */
    fmal_status st = fmal_file_replace(path, "rubbish", 7);
    for (int i = 0; i < 2 && st == FMAL_OK; i++)
        st = stream(path, x, &bad);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&got, ROWS * WIDTH);
    if (st == FMAL_OK)
        st = fmal_h5_open(path, &h);
    if (st == FMAL_OK)
        st = fmal_h5_read(h, "/x", FMAL_F64, got);
    fmal_test_ok(t, st == FMAL_OK && memcmp(got, x, ROWS * WIDTH * sizeof *x) == 0,
                 "rows are streamed and read back");
    fmal_h5_close(&h);
    fmal_free(&got);
}

/* A limit on the size of files stands for a full disk. */
static const rlim_t limits[] = { 100, 3000, 100000, 700000, 800100 };

static void test_full(fmal_test *t, const double *x)
{
    const char *path = fmal_test_path(t, "full.h5");
    struct rlimit before, small;
    int bad;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    for (int i = 0; i < FMAL_COUNT(limits); i++) {
        small = before;
        small.rlim_cur = limits[i];
        setrlimit(RLIMIT_FSIZE, &small);
        fmal_status st = stream(path, x, &bad);
        setrlimit(RLIMIT_FSIZE, &before);
        fmal_test_ok(t,
                     st == FMAL_ERR_IO &&
                         strstr(fmal_error_text(), "full.h5: cannot write: File too"),
                     "a disk full after %d bytes", (int) limits[i]);
    }
    fmal_test_status(t, stream(path, x, &bad), FMAL_OK,
                     "and the next time all is well");
}

static void test_no_place(fmal_test *t, const double *x)
{
    int bad;
    fmal_status st = stream(fmal_test_path(t, "none/x.h5"), x, &bad);

    fmal_test_ok(t,
                 st == FMAL_ERR_IO &&
                     strstr(fmal_error_text(), "x.h5: cannot create: No such file"),
                 "a directory that is not there");
    st = stream(fmal_test_dir(t), x, &bad);
    fmal_test_ok(t, st == FMAL_ERR_IO && strstr(fmal_error_text(), "cannot create"),
                 "a directory");
}

static void test_save_no_place(fmal_test *t)
{
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = fmal_h5_save(h, fmal_test_path(t, "none/x.h5"), FMAL_SAVE_PLAIN);
    fmal_test_ok(t, st == FMAL_ERR_IO && strstr(fmal_error_text(), "No such file"),
                 "saving where no directory is");
    st = fmal_h5_save(h, fmal_test_path(t, "x.h5"), FMAL_SAVE_PLAIN);
    fmal_test_status(t, st, FMAL_OK, "may be tried again elsewhere");
    fmal_h5_close(&h);
}

static void test_locked(fmal_test *t, const double *x)
{
    const char *path = fmal_test_path(t, "locked.h5");
    char *data = NULL;
    size_t bytes = 0;
    int bad;
    fmal_status st = fmal_file_replace(path, "theirs", 6);
    int fd = open(path, O_RDWR);

    flock(fd, LOCK_EX);
    if (st == FMAL_OK)
        st = stream(path, x, &bad);
    fmal_test_ok(t,
                 st == FMAL_ERR_IO &&
                     strstr(fmal_error_text(), "another process is writing it"),
                 "a file that another process is writing");
    st = fmal_file_read(path, 100, &data, &bytes);
    fmal_test_ok(t, st == FMAL_OK && strcmp(data, "theirs") == 0, "is left alone");
    fmal_free(&data);
    close(fd);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    double *x = NULL;

    if (FMAL_ALLOC(&x, ROWS * WIDTH) != FMAL_OK)
        abort();
    for (int i = 0; i < ROWS * WIDTH; i++)
        x[i] = 0.5 * i;
    test_good(&t, x);
    test_full(&t, x);
    test_no_place(&t, x);
    test_save_no_place(&t);
    test_locked(&t, x);
    fmal_free(&x);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
