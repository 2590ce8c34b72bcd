/* What is at a path of a file. */
#include "fmal_test.h"

#include "fmal/io.h"

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

static void make_set(hid_t file, const char *name, hid_t type, int ndims,
                     const hsize_t *dims)
{
    hid_t space = ndims ? H5Screate_simple(ndims, dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t links = H5Pcreate(H5P_LINK_CREATE);

    H5Pset_create_intermediate_group(links, 1);
    H5Dclose(H5Dcreate2(file, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT));
    H5Pclose(links);
    H5Sclose(space);
}

static void write_file(const char *path)
{
    hsize_t dims[5] = { 5, 4, 3, 2, 1 };
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t compound = H5Tcreate(H5T_COMPOUND, 16);
    hid_t fixed = H5Tcopy(H5T_C_S1);

    H5Tinsert(compound, "x", 0, H5T_NATIVE_DOUBLE);
    H5Tset_size(fixed, 7);
    make_set(file, "/scalar", H5T_STD_I16BE, 0, NULL);
    make_set(file, "/group/sub/vector", H5T_STD_U8LE, 1, dims);
    make_set(file, "/group/half", H5T_IEEE_F32BE, 4, dims);
    make_set(file, "/five", H5T_IEEE_F64LE, 5, dims);
    make_set(file, "/fixed", fixed, 1, dims);
    make_set(file, "/compound", compound, 1, dims);
    H5Lcreate_soft("/nowhere", file, "/dangling", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/group/half", file, "/link", H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(compound);
    H5Tclose(fixed);
    H5Fclose(file);
}

static const struct {
    const char *name, *path;
    fmal_h5_info want;
} table[] = {
    { "a scalar", "/scalar", { true, FMAL_H5_INTEGER, true, 2, 0, { 0 } } },
    { "unsigned bytes",
      "/group/sub/vector",
      { true, FMAL_H5_INTEGER, false, 1, 1, { 5 } } },
    { "without the first slash",
      "group/sub/vector",
      { true, FMAL_H5_INTEGER, false, 1, 1, { 5 } } },
    { "four dimensions",
      "/group/half",
      { true, FMAL_H5_FLOAT, false, 4, 4, { 5, 4, 3, 2 } } },
    { "five dimensions",
      "/five",
      { true, FMAL_H5_FLOAT, false, 8, 5, { 5, 4, 3, 2 } } },
    { "strings", "/fixed", { true, FMAL_H5_STRING, false, 7, 1, { 5 } } },
    { "records", "/compound", { true, FMAL_H5_OTHER, false, 16, 1, { 5 } } },
    { "a link", "/link", { true, FMAL_H5_FLOAT, false, 4, 4, { 5, 4, 3, 2 } } },
    { "a link to nothing", "/dangling", { 0 } },
    { "nothing", "/nothing", { 0 } },
    { "nothing in a group", "/group/nothing", { 0 } },
    { "nothing in no group", "/no/such/group", { 0 } },
    { "below a dataset", "/scalar/below", { 0 } },
    { "a group", "/group", { 0 } },
    { "a group within", "/group/sub", { 0 } },
    { "the root", "/", { 0 } },
    { "an empty name", "", { 0 } },
};

static bool same_info(const fmal_h5_info *a, const fmal_h5_info *b)
{
    return a->exists == b->exists && a->kind == b->kind &&
           a->is_signed == b->is_signed && a->bytes == b->bytes &&
           a->ndims == b->ndims && memcmp(a->dims, b->dims, sizeof a->dims) == 0;
}

static void test_long_name(fmal_test *t, fmal_h5 *h)
{
    char name[2000];
    fmal_h5_info info = { .exists = true };

    memset(name, 'x', sizeof name - 1);
    name[0] = '/';
    name[sizeof name - 1] = 0;
    fmal_h5_info_of(h, name, &info);
    fmal_test_ok(t, !info.exists, "a very long name");
}

static void test_five(fmal_test *t, fmal_h5 *h)
{
    double x[24];
    fmal_status st = fmal_h5_read_rows(h, "/five", FMAL_F64, 2, 1, x);

    fmal_test_ok(t, st == FMAL_OK && x[0] == 0 && x[23] == 0,
                 "a row of five dimensions is read");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    const char *path = fmal_test_path(&t, "info.h5");
    fmal_h5 *h = NULL;

    write_file(path);
    fmal_status st = fmal_h5_open(path, &h);
    fmal_test_status(&t, st, FMAL_OK, "a file of others");
    for (int i = 0; i < FMAL_COUNT(table) && st == FMAL_OK; i++) {
        fmal_h5_info info;

        memset(&info, 0x55, sizeof info);
        fmal_h5_info_of(h, table[i].path, &info);
        fmal_test_ok(&t, same_info(&info, &table[i].want), "%s", table[i].name);
    }
    if (st == FMAL_OK) {
        test_long_name(&t, h);
        test_five(&t, h);
        fmal_test_ok(&t, strcmp(fmal_h5_path(h), path) == 0, "the file's path");
    }
    fmal_h5_close(&h);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
