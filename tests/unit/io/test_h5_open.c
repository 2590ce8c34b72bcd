/* Opening files on one process: good ones, bad ones, locked ones. */
#include "bad_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static void test_good(fmal_test *t, const char *path)
{
    int64_t x[100] = { 0 };
    fmal_h5 *a = NULL, *b = NULL;
    fmal_status st = fmal_h5_open(path, &a);

    if (st == FMAL_OK)
        st = fmal_h5_open(path, &b);
    if (st == FMAL_OK)
        st = fmal_h5_read(b, "/group/x", FMAL_I64, x);
    fmal_test_ok(t, st == FMAL_OK && x[0] == 1 && x[99] == 0, "a file, opened twice");
    fmal_test_ok(t, fmal_h5_close(&a) == FMAL_OK && !a, "and closed");
    st = fmal_h5_read(b, "/group/x", FMAL_I64, x);
    fmal_test_ok(t, st == FMAL_OK && fmal_h5_close(&b) == FMAL_OK, "once each");
}

static void test_bad(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(bad_files); i++) {
        fmal_h5 *h = NULL;
        fmal_status st = fmal_h5_open(fmal_test_path(t, bad_files[i].file), &h);
        bool ok = st == bad_files[i].want && !h &&
                  strstr(fmal_error_text(), bad_files[i].says);

        fmal_test_ok(t, ok, "%s", bad_files[i].name);
        if (!ok)
            printf("# %s\n", fmal_error_text());
        fmal_h5_close(&h);
    }
}

static void test_locked(fmal_test *t, const char *path)
{
    fmal_h5 *h = NULL;

    unsetenv("HDF5_USE_FILE_LOCKING");
    int fd = open(path, O_RDWR);
    flock(fd, LOCK_EX);
    fmal_status st = fmal_h5_open(path, &h);
    fmal_test_ok(t,
                 st == FMAL_ERR_IO && !h &&
                     strstr(fmal_error_text(), "locked by another process"),
                 "a file that another process is writing");
    close(fd);
    fmal_test_status(t, fmal_h5_open(path, &h), FMAL_OK, "until it is done");
    fmal_h5_close(&h);
}

static void test_close_nothing(fmal_test *t)
{
    fmal_h5 *h = NULL;

    fmal_test_ok(t, fmal_h5_close(&h) == FMAL_OK, "closing nothing is fine");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    char path[512];

    snprintf(path, sizeof path, "%s", fmal_test_path(&t, "good.h5"));
    fmal_test_status(&t, write_bad_files(fmal_test_dir(&t)), FMAL_OK, "files");
    test_good(&t, path);
    test_bad(&t);
    test_locked(&t, path);
    test_close_nothing(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
