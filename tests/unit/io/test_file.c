/* Plain files: replaced whole or not at all. */
#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static bool contains(const char *path, const char *data, size_t bytes)
{
    char *got = NULL;
    size_t n = 0;
    fmal_status st = fmal_file_read(path, (size_t) 1 << 30, &got, &n);
    bool same = st == FMAL_OK && n == bytes && memcmp(got, data, bytes) == 0;

    fmal_free(&got);
    return same;
}

/* Whether "path.new" is there. */
static bool has_leftover(const char *path)
{
    char temporary[600];

    snprintf(temporary, sizeof temporary, "%s.new", path);
    return fmal_file_exists(temporary);
}

static const size_t sizes[] = { 0, 1, 2, 4095, 5000003 };

static void test_replace(fmal_test *t)
{
    const char *path = fmal_test_path(t, "replaced");
    char *data = NULL;

    if (FMAL_ALLOC(&data, 5000003) != FMAL_OK)
        abort();
    for (int i = 0; i < 5000003; i++)
        data[i] = (char) (i % 251);
    for (int i = 0; i < FMAL_COUNT(sizes); i++) {
        fmal_status st = fmal_file_replace(path, data, sizes[i]);

        fmal_test_ok(
            t, st == FMAL_OK && contains(path, data, sizes[i]) && !has_leftover(path),
            "a file of %zu bytes", sizes[i]);
    }
    fmal_test_status(t, fmal_file_replace(path, "short", 5), FMAL_OK, "a shorter one");
    fmal_test_ok(t, contains(path, "short", 5), "replaces a longer one");
    fmal_test_ok(t,
                 fmal_file_replace(path, NULL, 0) == FMAL_OK && contains(path, "", 0),
                 "no bytes at all");
    fmal_free(&data);
}

static void test_leftover_is_overwritten(fmal_test *t)
{
    const char *path = fmal_test_path(t, "again");

    /* As a crash between writing and renaming would leave it. */
    fmal_status st = fmal_file_replace(fmal_test_path(t, "again.new"), "half", 4);
    if (st == FMAL_OK)
        st = fmal_file_replace(path, "ab", 2);
    fmal_test_ok(t, st == FMAL_OK && contains(path, "ab", 2) && !has_leftover(path),
                 "what a crash left is overwritten");
}

static void test_replace_fails(fmal_test *t)
{
    const char *file = fmal_test_path(t, "file");
    const char *below = fmal_test_path(t, "file/below");
    const char *directory = fmal_test_path(t, "directory");
    const char *nowhere = fmal_test_path(t, "nowhere/file");

    fmal_test_status(t, fmal_file_replace(file, "old", 3), FMAL_OK, "a file");
    fmal_status st = fmal_file_replace(below, "new", 3);
    fmal_test_ok(t,
                 st == FMAL_ERR_IO && contains(file, "old", 3) &&
                     strstr(fmal_error_text(), "cannot create: Not a directory"),
                 "a file is no directory");
    st = fmal_file_replace(nowhere, "new", 3);
    fmal_test_ok(t,
                 st == FMAL_ERR_IO && strstr(fmal_error_text(), "No such file") &&
                     strstr(fmal_error_text(), nowhere),
                 "a directory that is not there");
    mkdir(directory, 0777);
    st = fmal_file_replace(directory, "new", 3);
    fmal_test_ok(t,
                 st == FMAL_ERR_IO && strstr(fmal_error_text(), "cannot write") &&
                     !has_leftover(directory),
                 "a directory is not replaced, and nothing is left");
}

static void test_unwritable(fmal_test *t)
{
    const char *directory = fmal_test_path(t, "closed");
    const char *path = fmal_test_path(t, "closed/file");

    if (geteuid() == 0) {
        fmal_test_ok(t, true, "a closed directory # SKIP root may write anywhere");
        return;
    }
    mkdir(directory, 0555);
    fmal_status st = fmal_file_replace(path, "new", 3);
    fmal_test_ok(t, st == FMAL_ERR_IO && strstr(fmal_error_text(), "Permission"),
                 "a closed directory");
    st = fmal_file_check_output(path, true);
    fmal_test_ok(t, st == FMAL_ERR_IO && strstr(fmal_error_text(), "cannot write in"),
                 "a closed directory is told beforehand");
}

/* A limit on the size of files stops the write as a full disk would. */
static void test_full(fmal_test *t)
{
    const char *path = fmal_test_path(t, "full");
    struct rlimit before, small;
    char data[5000] = { 1 };

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    fmal_status first = fmal_file_replace(path, "old", 3);
    small = before;
    for (rlim_t limit = 1000; limit <= 4000; limit += 3000) {
        small.rlim_cur = limit; /* within the first half, and within the second */
        setrlimit(RLIMIT_FSIZE, &small);
        fmal_status st = fmal_file_replace(path, data, sizeof data);
        setrlimit(RLIMIT_FSIZE, &before);
        fmal_test_ok(t,
                     first == FMAL_OK && st == FMAL_ERR_IO &&
                         strstr(fmal_error_text(), "cannot write 5.0 kB: File too") &&
                         contains(path, "old", 3) && !has_leftover(path),
                     "a short write after %d bytes leaves the old file", (int) limit);
    }
}

/* ---- Keeping what is about to be replaced ---- */

static void test_keep(fmal_test *t)
{
    const char *path = fmal_test_path(t, "state"),
               *previous = fmal_test_path(t, "before");

    fmal_test_ok(
        t, fmal_file_keep(path, previous) == FMAL_OK && !fmal_file_exists(previous),
        "nothing to keep");
    for (int i = 0; i < 3; i++) {
        char now[8], then[8];

        snprintf(then, sizeof then, "v%d", i);
        snprintf(now, sizeof now, "v%d", i + 1);
        fmal_status st = fmal_file_replace(path, then, 2);
        if (st == FMAL_OK)
            st = fmal_file_keep(path, previous);
        fmal_test_ok(
            t, st == FMAL_OK && contains(path, then, 2) && contains(previous, then, 2),
            "both names are whole, time %d", i + 1);
        if (st == FMAL_OK)
            st = fmal_file_keep(path, previous);
        if (st == FMAL_OK)
            st = fmal_file_replace(path, now, 2);
        fmal_test_ok(t,
                     st == FMAL_OK && contains(path, now, 2) &&
                         contains(previous, then, 2) && !has_leftover(path) &&
                         !has_leftover(previous),
                     "replacing one leaves the other, time %d", i + 1);
    }
    fmal_status st = fmal_file_keep(path, fmal_test_path(t, "nowhere/before"));
    fmal_test_ok(t,
                 st == FMAL_ERR_IO && contains(path, "v3", 2) &&
                     strstr(fmal_error_text(), "cannot keep it as"),
                 "where it cannot be kept it stays");
}

static const struct {
    const char *name, *path;
    bool force;
    fmal_status want;
    const char *says;
} outputs[] = {
    { "a new file", "new", false, FMAL_OK, "" },
    { "a new file, forced", "new", true, FMAL_OK, "" },
    { "an old file", "old", false, FMAL_ERR_EXISTS, "--force replaces it" },
    { "an old file, forced", "old", true, FMAL_OK, "" },
    { "a directory", "sub", false, FMAL_ERR_IO, "is a directory" },
    { "a directory, forced", "sub", true, FMAL_ERR_IO, "is a directory" },
    { "a directory with a slash", "sub/", true, FMAL_ERR_IO, "is a directory" },
    { "in a directory", "sub/new", false, FMAL_OK, "" },
    { "in no directory", "none/new", true, FMAL_ERR_IO, "none does not exist" },
    { "below a file", "old/new", true, FMAL_ERR_IO, "old does not exist" },
    { "a new directory's name", "none/", true, FMAL_ERR_IO, "does not exist" },
};

static void test_check_output(fmal_test *t)
{
    mkdir(fmal_test_path(t, "sub"), 0777);
    fmal_test_status(t, fmal_file_replace(fmal_test_path(t, "old"), "x", 1), FMAL_OK,
                     "an old file is made");
    for (int i = 0; i < FMAL_COUNT(outputs); i++) {
        const char *path = fmal_test_path(t, outputs[i].path);

        fmal_error_set("", "");
        fmal_status st = fmal_file_check_output(path, outputs[i].force);
        fmal_test_ok(
            t, st == outputs[i].want && strstr(fmal_error_text(), outputs[i].says),
            "output: %s", outputs[i].name);
    }
    fmal_test_ok(t, fmal_file_check_output("no-such-file-here", false) == FMAL_OK,
                 "output: in the current directory");
    fmal_test_ok(t, fmal_file_check_output("/", false) == FMAL_ERR_IO,
                 "output: the root directory");
    fmal_test_ok(t,
                 fmal_file_check_output("/tmp/../no-such-file-here", false) ==
                     (access("/", W_OK) ? FMAL_ERR_IO : FMAL_OK),
                 "output: in the root directory");
}

static void test_exists(fmal_test *t)
{
    fmal_test_ok(t, fmal_file_exists(fmal_test_dir(t)), "a directory exists");
    fmal_test_ok(t, !fmal_file_exists(fmal_test_path(t, "never")), "a file does not");
}

static void test_read(fmal_test *t)
{
    const char *path = fmal_test_path(t, "read");
    char untouched, *data = &untouched;
    size_t bytes = 99;

    fmal_test_status(t, fmal_file_replace(path, "a\0b", 3), FMAL_OK, "three bytes");
    fmal_status st = fmal_file_read(path, 3, &data, &bytes);
    fmal_test_ok(t, st == FMAL_OK && bytes == 3 && memcmp(data, "a\0b", 4) == 0,
                 "are read, with a zero behind");
    fmal_free(&data);

    data = &untouched;
    bytes = 99;
    st = fmal_file_read(path, 2, &data, &bytes);
    fmal_test_ok(t,
                 st == FMAL_ERR_FORMAT && strstr(fmal_error_text(), "at most 2 bytes"),
                 "a file above the limit is refused");
    st = fmal_file_read(fmal_test_path(t, "never"), 100, &data, &bytes);
    fmal_test_ok(t, st == FMAL_ERR_IO && strstr(fmal_error_text(), "No such file"),
                 "a file that is not there");
    st = fmal_file_read(fmal_test_dir(t), 1 << 20, &data, &bytes);
    fmal_test_ok(t, st == FMAL_ERR_FORMAT && strstr(fmal_error_text(), "is no file"),
                 "a directory");
    fmal_test_ok(t, data == &untouched && bytes == 99, "failures leave the results");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_replace(&t);
    test_leftover_is_overwritten(&t);
    test_replace_fails(&t);
    test_unwritable(&t);
    test_full(&t);
    test_keep(&t);
    test_check_output(&t);
    test_exists(&t);
    test_read(&t);
    return fmal_test_end(&t);
}
