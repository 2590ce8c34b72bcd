/* Files that cannot be opened, for the tests of opening alone and together. */
#ifndef FMAL_TEST_BAD_FILES_H
#define FMAL_TEST_BAD_FILES_H

#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *file;
    fmal_status want;
    const char *says;
} bad_files[] = {
    { "a file that is not there", "none.h5", FMAL_ERR_IO,
      "none.h5: cannot read: No su" },
    { "a directory", ".", FMAL_ERR_IO, "cannot read: Is a directory" },
    { "an empty file", "empty.h5", FMAL_ERR_FORMAT, "not a readable HDF5 file (" },
    { "a text file", "text.h5", FMAL_ERR_FORMAT,
      "text.h5: not a readable HDF5 file (file signature not found)" },
    { "a truncated file", "short.h5", FMAL_ERR_FORMAT, "(truncated file" },
    { "a signature alone", "signature.h5", FMAL_ERR_FORMAT, "not a readable HDF5" },
};

/* A small good file, and the bad ones; one rank makes them. */
static fmal_status write_bad_files(const char *directory)
{
    char path[600], *data = NULL;
    size_t bytes = 0;
    int64_t x[100] = { 1 };
    fmal_h5 *h = NULL;

    snprintf(path, sizeof path, "%s/good.h5", directory);
    fmal_status st = fmal_h5_create_image(&h);
    if (st == FMAL_OK)
        st = fmal_h5_write(
            h,
            &(fmal_h5_spec){
                .name = "/group/x", .type = FMAL_I64, .ndims = 1, .dims = { 100 } },
            x);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    if (st == FMAL_OK)
        st = fmal_file_read(path, 1 << 20, &data, &bytes);
    snprintf(path, sizeof path, "%s/short.h5", directory);
    if (st == FMAL_OK)
        st = fmal_file_replace(path, data, bytes - 300);
    snprintf(path, sizeof path, "%s/signature.h5", directory);
    if (st == FMAL_OK)
        st = fmal_file_replace(path, data, 8);
    snprintf(path, sizeof path, "%s/empty.h5", directory);
    if (st == FMAL_OK)
        st = fmal_file_replace(path, "", 0);
    snprintf(path, sizeof path, "%s/text.h5", directory);
    memset(x, 'x', sizeof x);
    if (st == FMAL_OK)
        st = fmal_file_replace(path, x, sizeof x);
    fmal_free(&data);
    return st;
}

#endif
