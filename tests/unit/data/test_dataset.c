/* Opening data sets on any number of ranks: shares, checksums, values. */
#include "fmal/data.h"
#include "fmal/mem.h"
#include "fmal_test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    CHANNELS = 2,
    HEIGHT = 9,
    WIDTH = 11,
    PIXELS = CHANNELS * HEIGHT * WIDTH,
    D = 7
};

static const float mean[CHANNELS] = { 0.25f, 0.5f }, std[CHANNELS] = { 0.5f, 0.125f };
static const char *const names[] = { "cat", "dog", "sn\xc3\xb8hare" };

/* ---- Files ---- */

static uint8_t pixel_of(fmal_idx sample, int j)
{
    return (uint8_t) (sample * 31 + j * 7);
}

static float feature_of(fmal_idx sample, int j)
{
    return (float) sample + 0.25f * (float) j;
}

static int32_t label_of(fmal_idx sample)
{
    return (int32_t) (sample % 4) - 1; /* -1: unknown */
}

/* A file to be made. */
typedef struct {
    fmal_idx n, n_test; /* n_test -1: no test split */
    bool features, classes, statistics;
} recipe;

static fmal_status write_rows(fmal_h5 *h, const char *split, fmal_idx n, bool features)
{
    char name[32];
    fmal_h5_spec spec = { .name = name, .ndims = 4, .type = FMAL_U8, .compress = true };
    uint8_t *pixels = NULL;
    float *values = NULL;

    FMAL_TRY(FMAL_ALLOC(&pixels, n * PIXELS));
    FMAL_TRY(FMAL_ALLOC(&values, n * D));
    for (fmal_idx i = 0; i < n * PIXELS; i++)
        pixels[i] = pixel_of(i / PIXELS, (int) (i % PIXELS));
    for (fmal_idx i = 0; i < n * D; i++)
        values[i] = feature_of(i / D, (int) (i % D));
    snprintf(name, sizeof name, "/%s/%s", split, features ? "features" : "images");
    memcpy(spec.dims, (fmal_idx[]){ n, CHANNELS, HEIGHT, WIDTH }, sizeof spec.dims);
    if (features) {
        spec.type = FMAL_F32;
        spec.ndims = 2;
        spec.dims[1] = D;
    }
    fmal_status st = fmal_h5_write(h, &spec, features ? (void *) values : pixels);
    fmal_free(&pixels);
    fmal_free(&values);
    return st;
}

static fmal_status write_split(fmal_h5 *h, const char *split, fmal_idx n, bool features)
{
    char name[32];
    int32_t *labels = NULL;

    FMAL_TRY(write_rows(h, split, n, features));
    FMAL_TRY(FMAL_ALLOC(&labels, n));
    for (fmal_idx i = 0; i < n; i++)
        labels[i] = label_of(i);
    snprintf(name, sizeof name, "/%s/labels", split);
    fmal_status st = fmal_h5_write(
        h, &(fmal_h5_spec){ .name = name, .type = FMAL_I32, .ndims = 1, .dims = { n } },
        labels);
    fmal_free(&labels);
    return st;
}

static fmal_status write_file(const char *path, const recipe *r)
{
    fmal_h5 *h = NULL;
    fmal_h5_spec channels = { .type = FMAL_F32, .ndims = 1, .dims = { CHANNELS } };
    fmal_status st = fmal_h5_create(path, &h);

    if (st == FMAL_OK)
        st = write_split(h, "train", r->n, r->features);
    if (st == FMAL_OK && r->n_test >= 0)
        st = write_split(h, "test", r->n_test, r->features);
    if (st == FMAL_OK && r->classes)
        st = fmal_h5_write(h,
                           &(fmal_h5_spec){ .name = "/classes",
                                            .type = FMAL_STR,
                                            .ndims = 1,
                                            .dims = { FMAL_COUNT(names) } },
                           names);
    channels.name = "/mean";
    if (st == FMAL_OK && r->statistics)
        st = fmal_h5_write(h, &channels, mean);
    channels.name = "/std";
    if (st == FMAL_OK && r->statistics)
        st = fmal_h5_write(h, &channels, std);
    fmal_status closed = fmal_h5_close(&h);
    return st == FMAL_OK ? closed : st;
}

/* Made by the root, opened by all; NULL on failure. */
static fmal_dataset *make(fmal_test *t, const char *name, const recipe *r)
{
    const char *path = fmal_test_path(t, name);
    fmal_dataset *set = NULL;
    fmal_status st = t->ctx.rank == 0 ? write_file(path, r) : FMAL_OK;

    fmal_test_status(t, fmal_agree_root(&t->ctx, st), FMAL_OK, name);
    fmal_test_status(t, fmal_dataset_open(&t->ctx, path, &set), FMAL_OK, name);
    return set;
}

/* ---- Checks ---- */

/* This rank's share holds the right samples, and all shares together all of them. */
static bool right_share(const fmal_ctx *ctx, const fmal_dataset *set,
                        const fmal_split *split, fmal_idx n)
{
    const uint8_t *pixel = split->rows;
    const float *value = split->rows;
    bool right = split->part.n == n;

    for (fmal_idx il = 0; il < split->part.count; il++) {
        fmal_idx ig = split->part.first + il;

        right = right && split->labels[il] == label_of(ig);
        for (int j = 0; j < set->inputs; j++)
            right = right && (set->has_images
                                  ? pixel[il * set->inputs + j] == pixel_of(ig, j)
                                  : value[il * set->inputs + j] == feature_of(ig, j));
    }
    return fmal_sum_one(ctx, split->part.count) == n && right;
}

static const struct {
    const char *name;
    recipe r;
} table[] = {
    { "four uneven blocks", { 1000, 300, false, true, true } },
    { "fewer blocks than ranks", { 300, 37, false, true, true } },
    { "fewer samples than ranks", { 3, 1, false, true, true } },
    { "an empty test split", { 513, 0, false, true, true } },
    { "no test split, names, statistics", { 700, -1, false, false, false } },
    { "features", { 1000, 300, true, true, false } },
    { "features with statistics", { 29, -1, true, false, true } },
};

static void test_table(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        const recipe *r = &table[i].r;
        fmal_dataset *set = make(t, table[i].name, r);

        if (!set)
            continue;
        fmal_test_ok(t, right_share(&t->ctx, set, &set->train, r->n),
                     "%s: training samples", table[i].name);
        fmal_test_ok(
            t, right_share(&t->ctx, set, &set->test, r->n_test < 0 ? 0 : r->n_test),
            "%s: test samples", table[i].name);
        fmal_test_ok(t,
                     set->classes == 3 &&
                         strcmp(set->class_names[2], r->classes ? names[2] : "2") == 0,
                     "%s: classes", table[i].name);
        fmal_dataset_close(&set);
    }
}

static void test_shape(fmal_test *t)
{
    recipe images = { 20, 5, false, true, true },
           features = { 20, 5, true, true, true };
    fmal_dataset *set = make(t, "images", &images);

    fmal_test_ok(t,
                 set && set->shape[0] == CHANNELS && set->shape[1] == HEIGHT &&
                     set->shape[2] == WIDTH && set->inputs == PIXELS &&
                     set->row_bytes == PIXELS,
                 "shape of images");
    fmal_dataset_close(&set);
    set = make(t, "features", &features);
    fmal_test_ok(t,
                 set && set->shape[0] == D && set->shape[1] == 1 &&
                     set->shape[2] == 1 && set->inputs == D &&
                     set->row_bytes == D * sizeof(float),
                 "shape of features");
    fmal_dataset_close(&set);
    fmal_dataset_close(&set);
    fmal_test_ok(t, !set, "closing nothing is fine");
}

/* ---- Checksums ---- */

static void test_checksum(fmal_test *t)
{
    recipe r = { 1000, 300, false, true, true },
           longer = { 1001, 300, false, true, true };
    fmal_dataset *set = make(t, "checksum", &r), *own = NULL, *other;
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    fmal_test_status(t, fmal_dataset_open(&self, fmal_test_path(t, "checksum"), &own),
                     FMAL_OK, "each rank on its own");
    fmal_test_ok(t,
                 set && own && strlen(set->checksum) == 32 &&
                     strcmp(set->checksum, own->checksum) == 0,
                 "the same checksum alone and together");
    other = make(t, "longer", &longer);
    fmal_test_ok(t, set && other && strcmp(set->checksum, other->checksum) != 0,
                 "another one of other samples");
    fmal_dataset_close(&set);
    fmal_dataset_close(&own);
    fmal_dataset_close(&other);
}

/* ---- Values ---- */

static void test_decode(fmal_test *t)
{
    recipe r = { 20, -1, false, true, true }, plain = { 20, -1, false, true, false };
    uint8_t rows[2][PIXELS];
    float x[2][PIXELS];
    double worst = 0;

    for (int i = 0; i < 2; i++)
        for (int j = 0; j < PIXELS; j++)
            rows[i][j] = pixel_of(i, j);
    fmal_dataset *set = make(t, "decode", &r);
    if (set)
        fmal_dataset_decode(set, rows, 2, x[0]);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < PIXELS; j++) {
            int k = j / (HEIGHT * WIDTH);
            double want = (rows[i][j] / 255.0 - (double) mean[k]) / (double) std[k];

            worst = fmax(worst, fabs(want - (double) x[i][j]));
        }
    fmal_test_ok(t, set && worst < 1e-6, "(pixel / 255 - mean) / std, within %.1g",
                 worst);
    fmal_dataset_close(&set);

    set = make(t, "decode plain", &plain);
    rows[0][0] = 0;
    rows[0][PIXELS - 1] = 255;
    if (set)
        fmal_dataset_decode(set, rows, 1, x[0]);
    fmal_test_ok(t, set && x[0][0] == 0 && x[0][PIXELS - 1] == 1,
                 "0..1 without statistics");
    fmal_dataset_close(&set);
}

static void test_decode_features(fmal_test *t)
{
    recipe r = { 20, -1, true, true, false };
    fmal_dataset *set = make(t, "decode features", &r);
    float x[3 * D];
    fmal_idx n = set && set->train.part.count > 3 ? 3 : 0;

    if (set)
        fmal_dataset_decode(set, set->train.rows, n, x);
    fmal_test_ok(t,
                 set && (n == 0 || (x[0] == 0 && x[3 * D - 1] == feature_of(2, D - 1))),
                 "features are taken as they are");
    fmal_dataset_close(&set);
}

/* ---- Damage ---- */

/* Compressed bytes of the first chunk of images, which the index points to. */
static void damage_chunk(char *data, size_t bytes)
{
    enum { CHILD = 24 + 8 + 8 * 5 }; /* head; size, filters, 4 + 1 offsets; address */
    uint64_t at = 0;

    for (size_t i = 0; i + CHILD + 8 < bytes && at == 0; i++)
        if (memcmp(data + i, "TREE\1", 5) == 0)
            memcpy(&at, data + i + CHILD, sizeof at);
    if (at > 0 && at + 50 < bytes)
        memset(data + at + 10, 0xaa, 40);
}

/* The first bytes of every index of chunks. */
static void damage_index(char *data, size_t bytes)
{
    for (size_t i = 0; i + 5 < bytes; i++)
        if (memcmp(data + i, "TREE\1", 5) == 0)
            data[i] = 'X';
}

/* The lists of filters are lost, so that a chunk is taken to be as large as its
 * content, and to reach past the end of the file: seen only by ranks that have samples.
 */
static void damage_filters(char *data, size_t bytes)
{
    enum {
        BEFORE = 24,
        FILTERS = 0x0b
    }; /* type of the message, before the first name */

    for (size_t i = BEFORE; i + 8 < bytes; i++)
        if (memcmp(data + i, "shuffle", 8) == 0 && data[i - BEFORE] == FILTERS)
            data[i - BEFORE] = 0;
}

/* Change one byte after every occurrence of a pattern. */
static void poke(char *data, size_t bytes, const char *pattern, size_t n, size_t at,
                 char value)
{
    for (size_t i = 0; i + n + at < bytes; i++)
        if (memcmp(data + i, pattern, n) == 0)
            data[i + at] = value;
}

/* Chunks of images become higher than images are. */
static void damage_chunk_shape(char *data, size_t bytes)
{
    static const char shape[] = { 0, 1, 0, 0, 2, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH };

    poke(data, bytes, shape, sizeof shape, 10, 1);
}

/* Labels of 32 bits become labels of 600 million bytes. */
static void damage_type(char *data, size_t bytes)
{
    static const char i32[] = { 0x10, 8, 0, 0, 4, 0, 0, 0, 0, 0, 32 };

    poke(data, bytes, i32, sizeof i32, 7, 0x25);
}

static fmal_status damage(const char *path, void (*how)(char *data, size_t bytes))
{
    char *data = NULL;
    size_t bytes = 0;

    FMAL_TRY(fmal_file_read(path, 16 << 20, &data, &bytes));
    how(data, bytes);
    fmal_status st = fmal_file_replace(path, data, bytes);
    fmal_free(&data);
    return st;
}

static const struct {
    const char *name;
    fmal_idx n;
    void (*how)(char *data, size_t bytes);
    fmal_status want;
    const char *says;
} damages[] = {
    { "a damaged chunk", 5000, damage_chunk, FMAL_ERR_IO, "cannot read /train/images" },
    { "a damaged index", 5000, damage_index, FMAL_ERR_IO, "cannot read /train/images" },
    { "lost filters, and ranks without samples", FMAL_BLOCK, damage_filters,
      FMAL_ERR_IO, "cannot read /train/images" },
    { "chunks too high", FMAL_BLOCK, damage_chunk_shape, FMAL_ERR_IO,
      "cannot read /train/images" },
    { "a type too large", 700, damage_type, FMAL_ERR_FORMAT, "wanted i32 [700]" },
};

/* Where one rank cannot read its share all ranks fail, and none waits for another. */
static void test_damage(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(damages); i++) {
        recipe r = { damages[i].n, -1, false, false, false };
        const char *path = fmal_test_path(t, "damaged"), *name = damages[i].name;
        fmal_dataset *set = NULL;
        fmal_status st = FMAL_OK;

        if (t->ctx.rank == 0)
            st = write_file(path, &r);
        if (t->ctx.rank == 0 && st == FMAL_OK)
            st = damage(path, damages[i].how);
        fmal_test_status(t, fmal_agree_root(&t->ctx, st), FMAL_OK, name);
        fmal_test_status(t, fmal_dataset_open(&t->ctx, path, &set), damages[i].want,
                         name);
        fmal_test_ok(t, !set && strstr(fmal_error_text(), damages[i].says),
                     "%s: the message", name);
        fmal_dataset_close(&set);
    }
}

static void test_not_hdf5(fmal_test *t)
{
    const char *path = fmal_test_path(t, "text");
    fmal_dataset *set = NULL;

    if (t->ctx.rank == 0 && fmal_file_replace(path, "no data set", 11) != FMAL_OK)
        printf("# %s\n", fmal_error_text());
    MPI_Barrier(t->ctx.comm);
    fmal_test_status(t, fmal_dataset_open(&t->ctx, path, &set), FMAL_ERR_FORMAT,
                     "a file of text");
    fmal_test_status(t, fmal_dataset_open(&t->ctx, "/nonexistent/set.h5", &set),
                     FMAL_ERR_IO, "no file");
    fmal_test_ok(t, !set && strstr(fmal_error_text(), "/nonexistent/set.h5"),
                 "is named on all ranks");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_table(&t);
    test_shape(&t);
    test_checksum(&t);
    test_decode(&t);
    test_decode_features(&t);
    test_damage(&t);
    test_not_hdf5(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
