/* Files with a first block that says their size and checksum. */
#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 512, N = 300 };

static fmal_status write_checked(const char *path, fmal_save how)
{
    double x[N];
    fmal_h5 *h = NULL;
    fmal_h5_spec spec = { .name = "/state/x",
                          .type = FMAL_F64,
                          .ndims = 1,
                          .dims = { N },
                          .compress = true };

    for (int i = 0; i < N; i++)
        x[i] = i;
    fmal_status st = fmal_h5_create_image(&h);
    if (st == FMAL_OK)
        st = fmal_h5_write(h, &spec, x);
    if (st == FMAL_OK)
        st = fmal_h5_write_text(h, "/config", "a = 1\n", "the configuration");
    if (st == FMAL_OK)
        st = fmal_h5_stamp(h, "checkpoint 1", "");
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, how);
    fmal_h5_close(&h);
    return st;
}

static bool content_is_right(fmal_h5 *h)
{
    double x[N] = { 0 };
    char *text = NULL;
    bool ok = fmal_h5_read(h, "/state/x", FMAL_F64, x) == FMAL_OK &&
              fmal_h5_read_text(h, "/config", &text) == FMAL_OK &&
              strcmp(text, "a = 1\n") == 0;

    for (int i = 0; i < N; i++)
        ok = ok && x[i] == i;
    fmal_free(&text);
    return ok;
}

typedef fmal_status opener(const char *path, fmal_h5 **out);

static bool opens(opener *open, const char *path)
{
    fmal_h5 *h = NULL;
    bool ok = open(path, &h) == FMAL_OK && content_is_right(h);

    fmal_h5_close(&h);
    return ok;
}

static void test_good(fmal_test *t, const char *path, const char *data, size_t bytes)
{
    char want[64], sum[33];

    fmal_test_ok(t, opens(fmal_h5_open_checked, path), "a checked file opens");
    fmal_test_ok(t, opens(fmal_h5_open, path), "also without being checked");
    fmal_checksum(data + HEAD, bytes - HEAD, sum);
    snprintf(want, sizeof want, "\nxxh3-128 %s\n", sum);
    fmal_test_ok(t, strncmp(data, "fmal checked file\n", 18) == 0 && strstr(data, want),
                 "its head can be read by people");
    fmal_test_ok(t, memcmp(data + HEAD, "\x89HDF\r\n\x1a\n", 8) == 0,
                 "the rest is an HDF5 file");
}

/* HDF5's own tools find the file behind the head. */
static void test_h5dump(fmal_test *t, const char *path)
{
    char command[700];

    if (system("command -v h5dump > /dev/null 2>&1") != 0) {
        fmal_test_ok(t, true, "h5dump # SKIP it is not installed");
        return;
    }
    snprintf(command, sizeof command, "h5dump -d /state/x -w 40 '%s' | grep -q 299",
             path);
    fmal_test_ok(t, system(command) == 0, "h5dump reads it");
}

/* ---- Damage ---- */

/* Whether a file of these bytes is refused for its own sake, before HDF5 sees it. */
static bool is_refused(const char *path, const char *data, size_t bytes)
{
    fmal_h5 *h = NULL;

    if (fmal_file_replace(path, data, bytes) != FMAL_OK)
        return false;
    fmal_status st = fmal_h5_open_checked(path, &h);
    bool ok = st == FMAL_ERR_FORMAT && !h &&
              (strstr(fmal_error_text(), "does not begin as a checked fmal file") ||
               strstr(fmal_error_text(), "the file is damaged"));
    if (!ok)
        printf("# %zu bytes: %s\n", bytes, h ? "opened" : fmal_error_text());
    fmal_h5_close(&h);
    return ok;
}

static const struct {
    const char *name;
    size_t from, to, step; /* to 0: the end of the file */
} flips[] = {
    { "the head", 0, HEAD, 1 },
    { "the first HDF5 block", HEAD, HEAD + 100, 3 },
    { "the body", HEAD + 100, 0, 41 },
};

static void test_flips(fmal_test *t, const char *path, char *data, size_t bytes)
{
    for (int i = 0; i < FMAL_COUNT(flips); i++) {
        size_t to = flips[i].to ? flips[i].to : bytes;
        bool refused = true;

        for (size_t at = flips[i].from; at < to; at += flips[i].step) {
            char bit = (char) (1 << at % 8);

            data[at] ^= bit;
            refused = refused && is_refused(path, data, bytes);
            data[at] ^= bit;
        }
        fmal_test_ok(t, refused, "a flipped bit in %s", flips[i].name);
    }
    data[bytes - 1] ^= 1;
    fmal_test_ok(t, is_refused(path, data, bytes), "a flipped bit in the last byte");
    data[bytes - 1] ^= 1;
}

static void test_lengths(fmal_test *t, const char *path, const char *data, size_t bytes)
{
    const size_t lengths[] = { 0,         1,         17,          18,
                               HEAD - 1,  HEAD,      HEAD + 1,    bytes / 2,
                               bytes - 1, bytes + 1, bytes + HEAD };
    char *longer = NULL;

    if (fmal_alloc(&longer, (fmal_idx) bytes + HEAD, 1) != FMAL_OK)
        abort();
    memcpy(longer, data, bytes);
    for (int i = 0; i < FMAL_COUNT(lengths); i++)
        fmal_test_ok(t, is_refused(path, longer, lengths[i]), "%zu bytes of %zu",
                     lengths[i], bytes);
    fmal_free(&longer);
}

/* Head and body of two good files do not mix. */
static void test_mixed(fmal_test *t, const char *path, char *data, size_t bytes)
{
    char head[HEAD], other[HEAD];
    fmal_h5 *h = NULL;
    FILE *f;
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_CHECKED);
    fmal_h5_close(&h);
    f = fopen(path, "rb");
    bool ok = st == FMAL_OK && f && fread(other, 1, HEAD, f) == HEAD;
    if (f)
        fclose(f);
    memcpy(head, data, HEAD);
    memcpy(data, other, HEAD);
    fmal_test_ok(t, ok && is_refused(path, data, bytes), "another file's head");
    memcpy(data, head, HEAD);
}

static void test_others(fmal_test *t)
{
    const char *path = fmal_test_path(t, "plain.h5");
    fmal_h5 *h = NULL;

    fmal_test_status(t, write_checked(path, FMAL_SAVE_PLAIN), FMAL_OK, "a plain file");
    fmal_status st = fmal_h5_open_checked(path, &h);
    fmal_test_ok(
        t, st == FMAL_ERR_FORMAT && strstr(fmal_error_text(), "does not begin as"),
        "is no checked one");
    st = fmal_h5_open_checked(fmal_test_path(t, "none.h5"), &h);
    fmal_test_ok(t, st == FMAL_ERR_IO && strstr(fmal_error_text(), "No such file"),
                 "a file that is not there");
    st = fmal_h5_open_checked(fmal_test_dir(t), &h);
    fmal_test_ok(t, st == FMAL_ERR_FORMAT && !h, "a directory");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    const char *path = fmal_test_path(&t, "checked.h5");
    char *data = NULL;
    size_t bytes = 0;
    fmal_status st = write_checked(path, FMAL_SAVE_CHECKED);

    if (st == FMAL_OK)
        st = fmal_file_read(path, 1 << 20, &data, &bytes);
    fmal_test_status(&t, st, FMAL_OK, "a checked file");
    if (st == FMAL_OK) {
        char damaged[512];

        snprintf(damaged, sizeof damaged, "%s", fmal_test_path(&t, "damaged.h5"));
        test_good(&t, path, data, bytes);
        test_h5dump(&t, path);
        test_flips(&t, damaged, data, bytes);
        test_lengths(&t, damaged, data, bytes);
        test_mixed(&t, damaged, data, bytes);
        test_others(&t);
    }
    fmal_free(&data);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
