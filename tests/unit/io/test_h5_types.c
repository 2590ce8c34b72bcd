/* Datasets of every type and shape, written and read back. */
#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"

#include <hdf5_hl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_ELEMENTS = 4000 };

static const size_t bytes_of[] = { 1, 4, 8, 4, 8 };

static const struct {
    const char *name;
    int ndims;
    fmal_idx dims[FMAL_MAX_DIMS];
} shapes[] = {
    { "a scalar", 0, { 0 } },
    { "a vector", 1, { 37 } },
    { "a matrix", 2, { 37, 3 } },
    { "more than one chunk", 2, { 700, 5 } },
    { "four dimensions", 4, { 7, 3, 5, 2 } },
    { "no rows", 2, { 0, 3 } },
    { "no columns", 2, { 5, 0 } },
    { "an empty vector", 1, { 0 } },
};

static fmal_idx count_of(int shape)
{
    fmal_idx count = 1;

    for (int i = 0; i < shapes[shape].ndims; i++)
        count *= shapes[shape].dims[i];
    return count;
}

/* A value that every type can hold. */
static double value_at(fmal_idx i)
{
    return (double) (i * 37 % 251);
}

static void put_value(fmal_type type, void *data, fmal_idx i, double x)
{
    switch (type) {
    case FMAL_U8:
        ((uint8_t *) data)[i] = (uint8_t) x;
        break;
    case FMAL_I32:
        ((int32_t *) data)[i] = (int32_t) x;
        break;
    case FMAL_I64:
        ((int64_t *) data)[i] = (int64_t) x;
        break;
    case FMAL_F32:
        ((float *) data)[i] = (float) x;
        break;
    default:
        ((double *) data)[i] = x;
    }
}

static double get_value(fmal_type type, const void *data, fmal_idx i)
{
    switch (type) {
    case FMAL_U8:
        return ((const uint8_t *) data)[i];
    case FMAL_I32:
        return ((const int32_t *) data)[i];
    case FMAL_I64:
        return (double) ((const int64_t *) data)[i];
    case FMAL_F32:
        return (double) ((const float *) data)[i];
    default:
        return ((const double *) data)[i];
    }
}

static void fill(fmal_type type, void *data, fmal_idx n)
{
    for (fmal_idx i = 0; i < n; i++)
        put_value(type, data, i, value_at(i));
}

static bool holds(fmal_type type, const void *data, fmal_idx from, fmal_idx n)
{
    for (fmal_idx i = 0; i < n; i++)
        if (get_value(type, data, i) != value_at(from + i))
            return false;
    return true;
}

static fmal_h5_spec spec_of(int shape, fmal_type type, bool compress)
{
    fmal_h5_spec spec = { .name = "/group/sub/set",
                          .type = type,
                          .ndims = shapes[shape].ndims,
                          .compress = compress };

    memcpy(spec.dims, shapes[shape].dims, sizeof spec.dims);
    return spec;
}

static bool info_fits(fmal_h5 *h, int shape, fmal_type type)
{
    fmal_h5_info info;

    fmal_h5_info_of(h, "/group/sub/set", &info);
    bool ok = info.exists && info.ndims == shapes[shape].ndims &&
              info.bytes == (int) bytes_of[type] &&
              (int) info.kind == (type < FMAL_F32 ? FMAL_H5_INTEGER : FMAL_H5_FLOAT) &&
              info.is_signed == (type == FMAL_I32 || type == FMAL_I64);
    for (int i = 0; i < info.ndims; i++)
        ok = ok && info.dims[i] == shapes[shape].dims[i];
    return ok;
}

/* All of it, then ranges of rows, as every type of memory. */
static bool reads_back(fmal_h5 *h, int shape)
{
    char data[8 * MAX_ELEMENTS];
    fmal_idx rows = shapes[shape].ndims ? shapes[shape].dims[0] : 0;
    fmal_idx width = rows ? count_of(shape) / rows : 0;
    bool ok = true;

    for (fmal_type as = FMAL_U8; as <= FMAL_F64; as++) {
        ok = ok && fmal_h5_read(h, "/group/sub/set", as, data) == FMAL_OK &&
             holds(as, data, 0, count_of(shape));
        for (fmal_idx first = 0; shapes[shape].ndims && first <= rows;
             first += 1 + rows / 3) {
            fmal_idx count = rows - first < 300 ? rows - first : 300;
            fmal_status st =
                fmal_h5_read_rows(h, "/group/sub/set", as, first, count, data);

            ok = ok && st == FMAL_OK && holds(as, data, first * width, count * width);
        }
    }
    return ok;
}

static void test_shape(fmal_test *t, int shape, fmal_type type, bool compress)
{
    static const char *const names[] = { "u8", "i32", "i64", "f32", "f64" };
    const char *path = fmal_test_path(t, "types.h5");
    fmal_h5_spec spec = spec_of(shape, type, compress);
    char data[8 * MAX_ELEMENTS];
    fmal_h5 *h = NULL;

    fill(type, data, count_of(shape));
    fmal_status st = fmal_h5_create_image(&h);
    if (st == FMAL_OK)
        st = fmal_h5_write(h, &spec, data);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    if (st == FMAL_OK)
        st = fmal_h5_open(path, &h);
    bool ok = st == FMAL_OK && info_fits(h, shape, type) && reads_back(h, shape);
    fmal_test_ok(t, ok, "%s of %s%s", shapes[shape].name, names[type],
                 compress ? ", compressed" : "");
    if (!ok)
        printf("# %s\n", fmal_error_text());
    fmal_h5_close(&h);
}

/* The ends of each type's range. */
static void test_extremes(fmal_test *t)
{
    const char *path = fmal_test_path(t, "extremes.h5");
    uint8_t u8[2] = { 0, 255 }, u8_got[2];
    int32_t i32[2] = { INT32_MIN, INT32_MAX }, i32_got[2];
    int64_t i64[2] = { INT64_MIN, INT64_MAX }, i64_got[2];
    float f32[2] = { 1e-45f, -3e38f }, f32_got[2];
    double f64[2] = { 5e-324, -1.7e308 }, f64_got[2];
    struct {
        const char *name;
        fmal_type type;
        const void *data;
        void *got;
    } all[] = {
        { "u8", FMAL_U8, u8, u8_got },     { "i32", FMAL_I32, i32, i32_got },
        { "i64", FMAL_I64, i64, i64_got }, { "f32", FMAL_F32, f32, f32_got },
        { "f64", FMAL_F64, f64, f64_got },
    };
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create_image(&h);

    for (int i = 0; i < FMAL_COUNT(all) && st == FMAL_OK; i++)
        st = fmal_h5_write(
            h,
            &(fmal_h5_spec){
                .name = all[i].name, .type = all[i].type, .ndims = 1, .dims = { 2 } },
            all[i].data);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    if (st == FMAL_OK)
        st = fmal_h5_open(path, &h);
    for (int i = 0; i < FMAL_COUNT(all) && st == FMAL_OK; i++) {
        st = fmal_h5_read(h, all[i].name, all[i].type, all[i].got);
        fmal_test_ok(t,
                     st == FMAL_OK && memcmp(all[i].data, all[i].got,
                                             2 * bytes_of[all[i].type]) == 0,
                     "the ends of %s", all[i].name);
    }
    fmal_test_status(t, st, FMAL_OK, "the ends of all types");
    fmal_h5_close(&h);
}

/* ---- Rows written in pieces ---- */

static const fmal_idx pieces[] = { 0, 256, 256, 512, 690, 700 };

static void test_rows_in_pieces(fmal_test *t)
{
    const char *path = fmal_test_path(t, "pieces.h5");

    for (int streamed = 0; streamed < 2; streamed++) {
        fmal_h5_spec spec = spec_of(3, FMAL_F32, true);
        float data[MAX_ELEMENTS];
        fmal_h5 *h = NULL;
        fmal_status st = streamed ? fmal_h5_create(path, &h) : fmal_h5_create_image(&h);

        fill(FMAL_F32, data, 3500);
        if (st == FMAL_OK)
            st = fmal_h5_create_rows(h, &spec);
        for (int i = 0; i + 1 < FMAL_COUNT(pieces) && st == FMAL_OK; i++)
            st = fmal_h5_write_rows(h, spec.name, FMAL_F32, pieces[i],
                                    pieces[i + 1] - pieces[i], data + 5 * pieces[i]);
        if (st == FMAL_OK && !streamed)
            st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
        if (st == FMAL_OK)
            st = fmal_h5_close(&h);
        if (st == FMAL_OK)
            st = fmal_h5_open(path, &h);
        fmal_test_ok(t, st == FMAL_OK && info_fits(h, 3, FMAL_F32) && reads_back(h, 3),
                     "rows written in pieces, %s", streamed ? "streamed" : "in memory");
        fmal_h5_close(&h);
    }
}

static void test_rows_out_of_range(fmal_test *t)
{
    fmal_h5 *h = NULL;
    double data[40] = { 0 };
    fmal_h5_spec spec = { .name = "x", .type = FMAL_F64, .ndims = 1, .dims = { 10 } };
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = fmal_h5_write(h, &spec, data);
    fmal_test_status(t, st, FMAL_OK, "ten rows");
    fmal_test_ok(t,
                 fmal_h5_read_rows(h, "x", FMAL_F64, 5, 6, data) == FMAL_ERR_IO &&
                     strstr(fmal_error_text(), "cannot read x"),
                 "reading past the end is refused");
    fmal_test_ok(t, fmal_h5_write_rows(h, "x", FMAL_F64, 11, 1, data) == FMAL_ERR_IO,
                 "writing past the end is refused");
    fmal_test_ok(t, fmal_h5_read_rows(h, "y", FMAL_F64, 0, 1, data) == FMAL_ERR_IO,
                 "a dataset that is not there");
    fmal_test_ok(t, fmal_h5_read(h, "y", FMAL_F64, data) == FMAL_ERR_IO,
                 "nor as a whole");
    fmal_test_ok(t,
                 fmal_h5_write(h, &spec, data) == FMAL_ERR_IO &&
                     strstr(fmal_error_text(), "cannot create x"),
                 "a name that is taken");
    fmal_test_ok(t, fmal_h5_read_rows(h, "x", FMAL_F64, 10, 0, NULL) == FMAL_OK,
                 "no rows at the end");
    fmal_h5_close(&h);
}

/* ---- What goes with a dataset ---- */

static void test_labels(fmal_test *t)
{
    const char *path = fmal_test_path(t, "labels.h5");
    double x[6] = { 0 };
    char text[64] = "", label[2][16] = { "" };
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = fmal_h5_write(h,
                           &(fmal_h5_spec){ .name = "x",
                                            .type = FMAL_F64,
                                            .ndims = 2,
                                            .dims = { 2, 3 },
                                            .label = { "sample", "feature" },
                                            .long_name = "a sentence",
                                            .units = "s" },
                           x);
    if (st == FMAL_OK)
        st = fmal_h5_get_text(h, "x", "long_name", text, sizeof text);
    fmal_test_ok(t, st == FMAL_OK && strcmp(text, "a sentence") == 0, "a long name");
    if (st == FMAL_OK)
        st = fmal_h5_get_text(h, "x", "units", text, sizeof text);
    fmal_test_ok(t, st == FMAL_OK && strcmp(text, "s") == 0, "units");
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);

    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, "x", H5P_DEFAULT);
    H5DSget_label(set, 0, label[0], sizeof label[0]);
    H5DSget_label(set, 1, label[1], sizeof label[1]);
    H5Dclose(set);
    H5Fclose(file);
    fmal_test_ok(t,
                 st == FMAL_OK && strcmp(label[0], "sample") == 0 &&
                     strcmp(label[1], "feature") == 0,
                 "dimension labels");
}

static fmal_status save_same(const char *path)
{
    int64_t x[300] = { 1, 2, 3 };
    fmal_h5 *h = NULL;
    fmal_h5_spec spec = { .name = "/a/b/x",
                          .type = FMAL_I64,
                          .ndims = 1,
                          .dims = { 300 },
                          .label = { "sample" },
                          .compress = true };
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = fmal_h5_write(h, &spec, x);
    if (st == FMAL_OK)
        st = fmal_h5_write_text(h, "/text", "hello", "what it is");
    if (st == FMAL_OK)
        st = fmal_h5_stamp(h, "test 1", "made by hand");
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    return st;
}

/* No clock gets into a file. */
static void test_same_bytes(fmal_test *t)
{
    const char *path[2] = { fmal_test_path(t, "one.h5"), fmal_test_path(t, "two.h5") };
    struct timespec wait = { 1, 100000000 };
    char *data[2] = { NULL, NULL };
    size_t bytes[2] = { 0, 1 };
    fmal_status st = save_same(path[0]);

    nanosleep(&wait, NULL);
    if (st == FMAL_OK)
        st = save_same(path[1]);
    for (int i = 0; i < 2 && st == FMAL_OK; i++)
        st = fmal_file_read(path[i], 1 << 20, &data[i], &bytes[i]);
    fmal_test_ok(t,
                 st == FMAL_OK && bytes[0] == bytes[1] &&
                     memcmp(data[0], data[1], bytes[0]) == 0,
                 "the same content is the same bytes");
    fmal_free(&data[0]);
    fmal_free(&data[1]);
}

static void test_compression(fmal_test *t)
{
    const char *path = fmal_test_path(t, "zeros.h5");
    char *data = NULL;
    size_t bytes = 0;
    double *x = NULL;
    fmal_h5 *h = NULL;
    fmal_h5_spec spec = {
        .name = "x", .type = FMAL_F64, .ndims = 1, .dims = { 50000 }, .compress = true
    };
    fmal_status st = FMAL_ALLOC(&x, 50000);

    if (st == FMAL_OK)
        st = fmal_h5_create_image(&h);
    if (st == FMAL_OK)
        st = fmal_h5_write(h, &spec, x);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    if (st == FMAL_OK)
        st = fmal_file_read(path, 1 << 20, &data, &bytes);
    fmal_test_ok(t, st == FMAL_OK && bytes < 100000, "400 kB of zeros take %zu bytes",
                 bytes);
    fmal_free(&data);
    fmal_free(&x);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int shape = 0; shape < FMAL_COUNT(shapes); shape++)
        for (fmal_type type = FMAL_U8; type <= FMAL_F64; type++)
            for (int compress = 0; compress < 2; compress++)
                test_shape(&t, shape, type, compress);
    test_extremes(&t);
    test_rows_in_pieces(&t);
    test_rows_out_of_range(&t);
    test_labels(&t);
    test_same_bytes(&t);
    test_compression(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
