/* Checked files opened by all ranks: each has the root's bytes, and reads by itself. */
#include "bad_files.h"

#include <stdio.h>

static fmal_status write_checked(const char *path, const char *damaged)
{
    int64_t x[100];
    char *data = NULL;
    size_t bytes = 0;
    fmal_h5 *h = NULL;

    for (int i = 0; i < 100; i++)
        x[i] = 3 * i;
    fmal_status st = fmal_h5_create_image(&h);
    if (st == FMAL_OK)
        st = fmal_h5_write(
            h,
            &(fmal_h5_spec){
                .name = "/x", .type = FMAL_I64, .ndims = 1, .dims = { 100 } },
            x);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_CHECKED);
    fmal_h5_close(&h);
    if (st == FMAL_OK)
        st = fmal_file_read(path, 1 << 20, &data, &bytes);
    if (st == FMAL_OK) {
        data[bytes / 2] ^= 4;
        st = fmal_file_replace(damaged, data, bytes);
    }
    fmal_free(&data);
    return st;
}

static void test_good(fmal_test *t, const char *path)
{
    int64_t x[100] = { 0 };
    fmal_h5 *h = NULL;
    bool right = true;
    fmal_status st = fmal_h5_open_checked_all(&t->ctx, path, &h);

    fmal_test_status(t, st, FMAL_OK, "a checked file opens");
    if (st != FMAL_OK)
        return;
    /* Not collective: the last rank reads alone, then each a row of its own. */
    if (t->ctx.rank == t->ctx.size - 1) {
        st = fmal_h5_read(h, "/x", FMAL_I64, x);
        for (int i = 0; i < 100; i++)
            right = right && x[i] == 3 * i;
    }
    if (st == FMAL_OK)
        st = fmal_h5_read_rows(h, "/x", FMAL_I64, t->ctx.rank + 1, 1, x);
    fmal_test_ok(t, st == FMAL_OK && right && x[0] == 3 * (t->ctx.rank + 1),
                 "and each rank reads by itself");
    fmal_test_ok(t, strcmp(fmal_h5_path(h), path) == 0, "its path is known");
    fmal_test_ok(t, fmal_h5_close(&h) == FMAL_OK && !h, "and it closes");
}

static const struct {
    const char *name, *file;
    fmal_status want;
    const char *says;
} bad[] = {
    { "a damaged file", "damaged.h5", FMAL_ERR_FORMAT, "the file is damaged" },
    { "a plain file", "good.h5", FMAL_ERR_FORMAT, "does not begin as a checked" },
    { "an empty file", "empty.h5", FMAL_ERR_FORMAT, "does not begin as a checked" },
    { "a file that is not there", "none.h5", FMAL_ERR_IO, "No such file" },
    { "a directory", ".", FMAL_ERR_FORMAT, "is no file" },
    { "a good head before no HDF5", "hollow.h5", FMAL_ERR_FORMAT,
      "not a readable HDF5 file" },
};

/* A checked file whose checksum is right, but whose content is not HDF5. */
static fmal_status write_hollow(const char *path)
{
    char data[612], sum[33];

    memset(data, 0, sizeof data);
    memset(data + 512, 'x', 100);
    fmal_checksum(data + 512, 100, sum);
    snprintf(data, 512, "fmal checked file\nbytes 100\nxxh3-128 %s\n", sum);
    return fmal_file_replace(path, data, sizeof data);
}

static void test_bad(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(bad); i++) {
        const char *path = fmal_test_path(t, bad[i].file);
        fmal_h5 *h = NULL;

        fmal_error_set("", "");
        fmal_status st = fmal_h5_open_checked_all(&t->ctx, path, &h);
        fmal_test_ok(t,
                     st == bad[i].want && !h && strstr(fmal_error_text(), bad[i].says),
                     "%s", bad[i].name);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    const char *path = fmal_test_path(&t, "checked.h5");
    const char *damaged = fmal_test_path(&t, "damaged.h5");
    const char *hollow = fmal_test_path(&t, "hollow.h5");
    char kept[512];
    fmal_status st = FMAL_OK;

    snprintf(kept, sizeof kept, "%s", path);
    if (t.ctx.rank == 0) {
        st = write_bad_files(fmal_test_dir(&t));
        if (st == FMAL_OK)
            st = write_hollow(hollow);
        if (st == FMAL_OK)
            st = write_checked(path, damaged);
    }
    st = fmal_agree_root(&t.ctx, st);
    fmal_test_status(&t, st, FMAL_OK, "files");
    if (st == FMAL_OK) {
        test_good(&t, kept);
        test_bad(&t);
    }
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
