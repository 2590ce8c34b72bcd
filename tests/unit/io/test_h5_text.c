/* Strings in datasets and attributes, and other attributes. */
#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char long_text[100001];

static const char *const words[] = { "frog", "", "caf\xC3\xA9", "two words" };

/* What others write: fixed-length strings, variable-length attributes, arrays. */
static void write_foreign(const char *path)
{
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t fixed = H5Tcopy(H5T_C_S1), variable = H5Tcopy(H5T_C_S1);
    hid_t scalar = H5Screate(H5S_SCALAR);
    hsize_t three = 3, two[2] = { 2, 2 };
    hid_t list = H5Screate_simple(1, &three, NULL);
    hid_t square = H5Screate_simple(2, two, NULL);
    const char *text = "variable";
    double numbers[4] = { 1.5, 2.5, 3.5, 4.5 };

    H5Tset_size(fixed, 5);
    H5Tset_strpad(fixed, H5T_STR_NULLPAD); /* no room for a zero */
    H5Tset_size(variable, H5T_VARIABLE);
    hid_t at =
        H5Dcreate2(file, "fixed", fixed, list, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(at, fixed, H5S_ALL, H5S_ALL, H5P_DEFAULT, "abcdexy\0\0\0\0\0\0\0\0");
    H5Dclose(at);
    at = H5Dcreate2(file, "fixed_scalar", fixed, scalar, H5P_DEFAULT, H5P_DEFAULT,
                    H5P_DEFAULT);
    H5Dwrite(at, fixed, H5S_ALL, H5S_ALL, H5P_DEFAULT, "abcde");
    H5Dclose(at);
    at = H5Dcreate2(file, "square", H5T_IEEE_F64LE, square, H5P_DEFAULT, H5P_DEFAULT,
                    H5P_DEFAULT);
    H5Dwrite(at, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers);
    H5Dclose(at);
    at = H5Dcreate2(file, "never_written", variable, list, H5P_DEFAULT, H5P_DEFAULT,
                    H5P_DEFAULT);
    H5Dclose(at);
    at = H5Acreate2(file, "variable", variable, scalar, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(at, variable, &text);
    H5Aclose(at);
    at = H5Acreate2(file, "fixed", fixed, scalar, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(at, fixed, "abcde");
    H5Aclose(at);
    at = H5Acreate2(file, "three", H5T_IEEE_F64LE, list, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(at, H5T_NATIVE_DOUBLE, numbers);
    H5Aclose(at);
    at = H5Acreate2(file, "small", H5T_STD_I16BE, scalar, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(at, H5T_NATIVE_INT, &(int){ -7 });
    H5Aclose(at);
    H5Sclose(scalar);
    H5Sclose(list);
    H5Sclose(square);
    H5Tclose(fixed);
    H5Tclose(variable);
    H5Fclose(file);
}

static void write_ours(fmal_test *t, const char *path)
{
    int32_t numbers[3] = { -7, 0, 2147483647 };
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = fmal_h5_write(
            h,
            &(fmal_h5_spec){
                .name = "/names", .type = FMAL_STR, .ndims = 1, .dims = { 4 } },
            words);
    if (st == FMAL_OK)
        st = fmal_h5_write(
            h,
            &(fmal_h5_spec){
                .name = "/numbers", .type = FMAL_I32, .ndims = 1, .dims = { 3 } },
            numbers);
    if (st == FMAL_OK)
        st =
            fmal_h5_write_text(h, "/config/ini", "a = 1\nb = 2\n", "the configuration");
    if (st == FMAL_OK)
        st = fmal_h5_write_text(h, "/config/empty", "", NULL);
    if (st == FMAL_OK)
        st = fmal_h5_write_text(h, "/config/long", long_text, NULL);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    fmal_test_status(t, st, FMAL_OK, "texts are written");
}

static const struct {
    const char *name;
    bool foreign;
    const char *set;
    fmal_idx at; /* -1: a scalar text */
    fmal_status want;
    const char *text; /* or part of the message */
} table[] = {
    { "a name", false, "/names", 0, FMAL_OK, "frog" },
    { "an empty name", false, "/names", 1, FMAL_OK, "" },
    { "a name beyond ASCII", false, "/names", 2, FMAL_OK, "caf\xC3\xA9" },
    { "the last name", false, "/names", 3, FMAL_OK, "two words" },
    { "a number", false, "/numbers", 0, FMAL_OK, "-7" },
    { "a large number", false, "/numbers", 2, FMAL_OK, "2147483647" },
    { "past the end", false, "/names", 4, FMAL_ERR_IO, "cannot read /names" },
    { "a number past the end", false, "/numbers", 3, FMAL_ERR_IO, "cannot read" },
    { "an element of nothing", false, "/nothing", 0, FMAL_ERR_FORMAT,
      "/nothing is missing" },
    { "an element of a scalar", false, "/config/ini", 0, FMAL_ERR_FORMAT, "no list" },
    { "an element of a matrix", true, "/square", 0, FMAL_ERR_FORMAT, "no list" },
    { "a fixed-length name that fills its place", true, "fixed", 0, FMAL_OK, "abcde" },
    { "a shorter one", true, "fixed", 1, FMAL_OK, "xy" },
    { "an empty one", true, "fixed", 2, FMAL_OK, "" },
    { "one that was never written", true, "never_written", 1, FMAL_OK, "" },
    { "a text", false, "/config/ini", -1, FMAL_OK, "a = 1\nb = 2\n" },
    { "an empty text", false, "/config/empty", -1, FMAL_OK, "" },
    { "a long text", false, "/config/long", -1, FMAL_OK, long_text },
    { "a fixed-length text", true, "fixed_scalar", -1, FMAL_OK, "abcde" },
    { "a text that is a list", false, "/names", -1, FMAL_ERR_FORMAT, "no text" },
    { "a text that is not there", false, "/config/none", -1, FMAL_ERR_FORMAT,
      "/config/none is missing" },
    { "a text that is a group", false, "/config", -1, FMAL_ERR_FORMAT, "is missing" },
    { "a text that is a number", false, "/numbers", -1, FMAL_ERR_FORMAT, "no text" },
};

static void test_texts(fmal_test *t, fmal_h5 *ours, fmal_h5 *foreign)
{
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        fmal_h5 *h = table[i].foreign ? foreign : ours;
        char *text = NULL;
        fmal_status st =
            table[i].at < 0 ? fmal_h5_read_text(h, table[i].set, &text)
                            : fmal_h5_read_text_at(h, table[i].set, table[i].at, &text);
        bool ok = st == table[i].want;

        if (st == FMAL_OK)
            ok = ok && strcmp(text, table[i].text) == 0;
        else
            ok = ok && !text && strstr(fmal_error_text(), table[i].text);
        fmal_test_ok(t, ok, "%s", table[i].name);
        if (!ok)
            printf("# %s\n", st == FMAL_OK ? text : fmal_error_text());
        fmal_free(&text);
    }
}

/* ---- Attributes ---- */

static fmal_status write_attributes(fmal_h5 *h)
{
    FMAL_TRY(fmal_h5_attr_text(h, "/", "text", "first"));
    FMAL_TRY(fmal_h5_attr_text(h, "/", "text", "second, and longer"));
    FMAL_TRY(fmal_h5_attr_text(h, "/", "empty", ""));
    FMAL_TRY(fmal_h5_attr_text(h, "/", "history", long_text + 97000));
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "least", INT64_MIN));
    FMAL_TRY(fmal_h5_attr_f64(h, "/", "third", 1.0 / 3));
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "changed", 1));
    FMAL_TRY(fmal_h5_attr_f64(h, "/", "changed", 2.5));
    FMAL_TRY(fmal_h5_write_text(h, "/group/text", "x", NULL));
    FMAL_TRY(fmal_h5_attr_i64(h, "/group", "k", 7));
    return fmal_h5_attr_i64(h, "/group/text", "k", 8);
}

static const struct {
    const char *name;
    bool foreign;
    const char *object, *attribute;
    fmal_type type;
    fmal_status want;
    const char *text;
    double number;
} attributes[] = {
    { "a text, replaced", false, "/", "text", FMAL_STR, FMAL_OK, "second, and longer",
      0 },
    { "an empty text", false, "/", "empty", FMAL_STR, FMAL_OK, "", 0 },
    { "a long text", false, "/", "history", FMAL_STR, FMAL_OK, long_text + 97000, 0 },
    { "a variable-length text", true, "/", "variable", FMAL_STR, FMAL_OK, "variable",
      0 },
    { "a text that fills its place", true, "/", "fixed", FMAL_STR, FMAL_OK, "abcde",
      0 },
    { "an integer", false, "/", "least", FMAL_I64, FMAL_OK, NULL, -0x1p63 },
    { "an integer of a group", false, "/group", "k", FMAL_I64, FMAL_OK, NULL, 7 },
    { "an integer of a dataset", false, "/group/text", "k", FMAL_I64, FMAL_OK, NULL,
      8 },
    { "a small foreign integer", true, "/", "small", FMAL_I64, FMAL_OK, NULL, -7 },
    { "a real", false, "/", "third", FMAL_F64, FMAL_OK, NULL, 1.0 / 3 },
    { "a real that was an integer", false, "/", "changed", FMAL_F64, FMAL_OK, NULL,
      2.5 },
    { "an integer as a real", false, "/group", "k", FMAL_F64, FMAL_OK, NULL, 7 },
    { "a real as an integer", false, "/", "third", FMAL_I64, FMAL_ERR_FORMAT, NULL, 0 },
    { "a text as an integer", false, "/", "text", FMAL_I64, FMAL_ERR_FORMAT, NULL, 0 },
    { "a text as a real", false, "/", "text", FMAL_F64, FMAL_ERR_FORMAT, NULL, 0 },
    { "an integer as a text", false, "/", "least", FMAL_STR, FMAL_ERR_FORMAT, "", 0 },
    { "several numbers", true, "/", "three", FMAL_F64, FMAL_ERR_FORMAT, NULL, 0 },
    { "a missing text", false, "/", "none", FMAL_STR, FMAL_ERR_FORMAT, "", 0 },
    { "a missing integer", false, "/group", "none", FMAL_I64, FMAL_ERR_FORMAT, NULL,
      0 },
    { "a missing object", false, "/none", "k", FMAL_F64, FMAL_ERR_FORMAT, NULL, 0 },
};

static bool attribute_is(fmal_h5 *h, int i)
{
    const char *object = attributes[i].object, *name = attributes[i].attribute;
    char text[4000] = "untouched";
    int64_t integer = 99;
    double real = 99;
    bool right, untouched = false;
    fmal_status st;

    if (attributes[i].type == FMAL_STR) {
        st = fmal_h5_get_text(h, object, name, text, sizeof text);
        right = strcmp(text, attributes[i].text) == 0;
        untouched = strcmp(text, "untouched") == 0;
    } else if (attributes[i].type == FMAL_I64) {
        st = fmal_h5_get_i64(h, object, name, &integer);
        right = (double) integer == attributes[i].number;
        untouched = integer == 99;
    } else {
        st = fmal_h5_get_f64(h, object, name, &real);
        right = real == attributes[i].number;
        untouched = real == 99;
    }
    return st == attributes[i].want && (st == FMAL_OK ? right : untouched) &&
           (st == FMAL_OK ||
            strstr(fmal_error_text(), "is missing or of a wrong type"));
}

static void test_attributes(fmal_test *t, fmal_h5 *foreign)
{
    const char *path = fmal_test_path(t, "attributes.h5");
    char text[8];
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = write_attributes(h);
    fmal_test_ok(t,
                 fmal_h5_attr_i64(h, "/none", "k", 1) == FMAL_ERR_IO &&
                     strstr(fmal_error_text(), "cannot write attribute k of /none (") &&
                     !strstr(fmal_error_text(), "()"),
                 "an object that is not there takes no attribute");
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    if (st == FMAL_OK)
        st = fmal_h5_open(path, &h);
    fmal_test_status(t, st, FMAL_OK, "attributes are written");
    for (int i = 0; i < FMAL_COUNT(attributes) && st == FMAL_OK; i++)
        fmal_test_ok(t, attribute_is(attributes[i].foreign ? foreign : h, i), "%s",
                     attributes[i].name);
    st = fmal_h5_get_text(h, "/", "text", text, sizeof text);
    fmal_test_ok(t, st == FMAL_OK && strcmp(text, "second,") == 0,
                 "a text is cut to its buffer");
    fmal_h5_close(&h);
}

static void test_stamp(fmal_test *t)
{
    char text[64] = "", version[16];
    unsigned major = 0, minor = 0, release = 0;
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = fmal_h5_stamp(h, "picks 1", "fmal select --batch 7");
    if (st == FMAL_OK)
        st = fmal_h5_get_text(h, "/", "schema", text, sizeof text);
    fmal_test_ok(t, st == FMAL_OK && strcmp(text, "picks 1") == 0, "a schema");
    if (st == FMAL_OK)
        st = fmal_h5_get_text(h, "/", "version", text, sizeof text);
    fmal_test_ok(t, st == FMAL_OK && strncmp(text, "fmal ", 5) == 0, "a version");
    if (st == FMAL_OK)
        st = fmal_h5_get_text(h, "/", "history", text, sizeof text);
    fmal_test_ok(t, st == FMAL_OK && strcmp(text, "fmal select --batch 7") == 0,
                 "a history");
    fmal_test_ok(t, strcmp(fmal_h5_path(h), "(memory)") == 0, "a place in memory");
    fmal_h5_close(&h);
    fmal_h5_close(&h);

    fmal_h5_version(version, sizeof version);
    fmal_test_ok(
        t, sscanf(version, "%u.%u.%u", &major, &minor, &release) == 3 && major == 1,
        "HDF5 %s", version);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    const char *ours_path = fmal_test_path(&t, "ours.h5");
    const char *foreign_path = fmal_test_path(&t, "foreign.h5");
    fmal_h5 *ours = NULL, *foreign = NULL;

    for (size_t i = 0; i + 1 < sizeof long_text; i++)
        long_text[i] = (char) ('a' + i % 26);
    write_ours(&t, ours_path);
    write_foreign(foreign_path);
    fmal_test_status(&t, fmal_h5_open(ours_path, &ours), FMAL_OK, "our file");
    fmal_test_status(&t, fmal_h5_open(foreign_path, &foreign), FMAL_OK, "another's");
    if (ours && foreign) {
        test_texts(&t, ours, foreign);
        test_attributes(&t, foreign);
        test_stamp(&t);
    }
    fmal_h5_close(&ours);
    fmal_h5_close(&foreign);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
