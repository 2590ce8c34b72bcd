/* Malformed data sets: each is refused with file, dataset, what is there and what is
 * wanted, on all ranks. */
#include "fmal/data.h"
#include "fmal/mem.h"
#include "fmal_test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 300, N_TEST = 7, CLASSES = 3 };

/* The datasets of a file. */
enum { IMAGES, LABELS, TEST_IMAGES, TEST_LABELS, NAMES, MEAN, STD, FEATURES, PARTS };

/* A dataset to be written: its data, or zeros if it has none. */
typedef struct {
    fmal_h5_spec spec; /* no name: it is left out */
    const void *data;
} part;

static part parts[PARTS];
static int32_t labels[N];
static float feature[N * 2], mean[2], std[2];
static const char *names[CLASSES];
static char long_name[2000];

/* A file with nothing wrong. */
static void build(void)
{
    static const part good[PARTS] = {
        { { .name = "/train/images", .ndims = 4, .dims = { N, 2, 3, 4 } }, NULL },
        { { .name = "/train/labels", .type = FMAL_I32, .ndims = 1, .dims = { N } },
          labels },
        { { .name = "/test/images", .ndims = 4, .dims = { N_TEST, 2, 3, 4 } }, NULL },
        { { .name = "/test/labels", .type = FMAL_I32, .ndims = 1, .dims = { N_TEST } },
          labels },
        { { .name = "/classes", .type = FMAL_STR, .ndims = 1, .dims = { CLASSES } },
          names },
        { { .name = "/mean", .type = FMAL_F32, .ndims = 1, .dims = { 2 } }, mean },
        { { .name = "/std", .type = FMAL_F32, .ndims = 1, .dims = { 2 } }, std },
        { { .name = NULL }, feature },
    };

    memcpy(parts, good, sizeof parts);
    memset(feature, 0, sizeof feature);
    for (int i = 0; i < N; i++)
        labels[i] = i % CLASSES;
    for (int k = 0; k < CLASSES; k++)
        names[k] = "name";
    mean[0] = mean[1] = 0.5f;
    std[0] = std[1] = 0.25f;
}

/* The same with features. */
static void build_features(void)
{
    parts[IMAGES].spec.name = NULL;
    parts[TEST_IMAGES].spec.name = NULL;
    parts[TEST_LABELS].spec.name = NULL;
    parts[FEATURES].spec = (fmal_h5_spec){
        .name = "/train/features", .type = FMAL_F32, .ndims = 2, .dims = { N, 2 }
    };
}

/* Only what is small is filled; a dataset of exabytes is a few bytes of a header. */
static fmal_status write_part(fmal_h5 *h, const part *p)
{
    double elements = 1;
    char *zeros = NULL;

    for (int i = 0; i < p->spec.ndims; i++)
        elements *= (double) p->spec.dims[i];
    if (elements > 1e6)
        return fmal_h5_create_rows(h, &p->spec);
    if (p->data)
        return fmal_h5_write(h, &p->spec, p->data);
    FMAL_TRY(fmal_alloc(&zeros, (fmal_idx) elements, 8));
    fmal_status st = fmal_h5_write(h, &p->spec, zeros);
    fmal_free(&zeros);
    return st;
}

static fmal_status write_file(const char *path)
{
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create(path, &h);

    for (int i = 0; i < PARTS && st == FMAL_OK; i++)
        if (parts[i].spec.name)
            st = write_part(h, &parts[i]);
    fmal_status closed = fmal_h5_close(&h);
    return st == FMAL_OK ? closed : st;
}

/* ---- What goes wrong ---- */

static void leave_out(int which)
{
    parts[which].spec.name = NULL;
}

static void set_dims(int which, int ndims, fmal_idx a, fmal_idx b, fmal_idx c,
                     fmal_idx d)
{
    parts[which].spec.ndims = ndims;
    memcpy(parts[which].spec.dims, (fmal_idx[]){ a, b, c, d }, 4 * sizeof a);
    parts[which].data = NULL;
}

static void set_type(int which, fmal_type type)
{
    parts[which].spec.type = type;
    parts[which].data = NULL;
}

static void no_samples_at_all(void)
{
    leave_out(IMAGES);
}

static void images_and_features(void)
{
    parts[FEATURES].spec = (fmal_h5_spec){
        .name = "/train/features", .type = FMAL_F32, .ndims = 2, .dims = { N, 2 }
    };
}

static void images_f32(void)
{
    set_type(IMAGES, FMAL_F32);
}

static void images_i32(void)
{
    set_type(IMAGES, FMAL_I32);
}

static void images_3d(void)
{
    set_dims(IMAGES, 3, N, 3, 4, 0);
}

static void images_scalar(void)
{
    set_dims(IMAGES, 0, 0, 0, 0, 0);
}

static void no_samples(void)
{
    set_dims(IMAGES, 4, 0, 2, 3, 4);
    set_dims(LABELS, 1, 0, 0, 0, 0);
}

static void no_height(void)
{
    set_dims(IMAGES, 4, N, 2, 0, 4);
}

static void no_channels(void)
{
    set_dims(IMAGES, 4, N, 0, 3, 4);
}

static void many_channels(void)
{
    set_dims(IMAGES, 4, N, FMAL_MAX_CHANNELS + 1, 3, 4);
}

static void large_sample(void)
{
    set_dims(IMAGES, 4, N, 16, 1 << 20, 1 << 20);
}

static void overflow_sample(void)
{
    set_dims(IMAGES, 4, 1, 1, (fmal_idx) 1 << 32, ((fmal_idx) 1 << 31) - 1);
}

static void many_samples(void)
{
    set_dims(IMAGES, 4, (fmal_idx) 1 << 58, 1, 1, 16);
    set_dims(LABELS, 1, (fmal_idx) 1 << 58, 0, 0, 0);
}

static void no_memory(void)
{
    set_dims(IMAGES, 4, (fmal_idx) 1 << 46, 2, 3, 4);
    set_dims(TEST_IMAGES, 4, (fmal_idx) 1 << 46, 2, 3, 4);
    set_dims(LABELS, 1, (fmal_idx) 1 << 46, 0, 0, 0);
    set_dims(TEST_LABELS, 1, (fmal_idx) 1 << 46, 0, 0, 0);
}

static void no_labels(void)
{
    leave_out(LABELS);
}

static void fewer_labels(void)
{
    set_dims(LABELS, 1, N - 1, 0, 0, 0);
}

static void labels_2d(void)
{
    set_dims(LABELS, 2, N, 1, 0, 0);
}

static void labels_f32(void)
{
    set_type(LABELS, FMAL_F32);
}

static void label_3(void)
{
    labels[270] = CLASSES;
}

static void label_negative(void)
{
    labels[5] = -2;
}

static void label_unnamed(void)
{
    leave_out(NAMES);
    memset(labels, 0, sizeof labels);
}

static void labels_unnamed_all_unknown(void)
{
    leave_out(NAMES);
    memset(labels, 0xff, sizeof labels);
}

static void label_unnamed_large(void)
{
    leave_out(NAMES);
    labels[1] = INT32_MAX;
}

static void no_test_images(void)
{
    leave_out(TEST_IMAGES);
}

static void no_test_labels(void)
{
    leave_out(TEST_LABELS);
}

static void other_test_shape(void)
{
    set_dims(TEST_IMAGES, 4, N_TEST, 2, 4, 3);
}

static void other_test_type(void)
{
    set_type(TEST_IMAGES, FMAL_F32);
}

static void test_features(void)
{
    leave_out(TEST_LABELS);
    parts[TEST_IMAGES].spec = (fmal_h5_spec){
        .name = "/test/features", .type = FMAL_F32, .ndims = 2, .dims = { N_TEST, 2 }
    };
}

static void one_class(void)
{
    set_dims(NAMES, 1, 1, 0, 0, 0);
    parts[NAMES].data = names;
}

static void many_classes(void)
{
    set_type(NAMES, FMAL_I32);
    set_dims(NAMES, 1, 100001, 0, 0, 0);
}

static void classes_scalar(void)
{
    set_dims(NAMES, 0, 0, 0, 0, 0);
    parts[NAMES].data = names;
}

static void classes_f32(void)
{
    set_type(NAMES, FMAL_F32);
}

static void name_too_long(void)
{
    memset(long_name, 'x', sizeof long_name - 1);
    names[1] = long_name;
}

static void name_control(void)
{
    names[2] = "a\033[2Jb";
}

static void name_not_utf8(void)
{
    names[0] = "caf\xe9";
}

static void mean_short(void)
{
    set_dims(MEAN, 1, 1, 0, 0, 0);
}

static void mean_integer(void)
{
    set_type(MEAN, FMAL_I32);
}

static void mean_infinite(void)
{
    mean[1] = INFINITY;
}

static void std_2d(void)
{
    set_dims(STD, 2, 2, 1, 0, 0);
}

static void std_zero(void)
{
    std[1] = 0;
}

static void std_negative(void)
{
    std[0] = -1;
}

static void std_nan(void)
{
    std[0] = NAN;
}

static void std_tiny(void)
{
    std[0] = 1e-40f;
}

static void features_integer(void)
{
    build_features();
    set_type(FEATURES, FMAL_I32);
}

static void features_3d(void)
{
    build_features();
    set_dims(FEATURES, 3, N, 2, 2, 0);
}

static void features_nan(void)
{
    build_features();
    feature[261 * 2 + 1] = NAN;
}

static void features_infinite(void)
{
    build_features();
    feature[0] = -INFINITY;
}

static void group_as_dataset(void)
{
    parts[LABELS].spec.name = "/train/labels/inner";
}

static const struct {
    const char *name;
    void (*spoil)(void);
    const char *words[3]; /* dataset; what is there; what is wanted */
} table[] = {
    { "no samples at all", no_samples_at_all, { "/train/images", "missing", "u8 [n" } },
    { "images and features", images_and_features, { "/train/features", "both" } },
    { "images f32", images_f32, { "/train/images: f32 [300, 2, 3, 4]; wanted u8 [n" } },
    { "images i32", images_i32, { "/train/images: i32 [300, 2, 3, 4]; wanted u8 [n" } },
    { "images of rank 3", images_3d, { "/train/images: u8 [300, 3, 4]; wanted u8" } },
    { "images a scalar", images_scalar, { "/train/images: u8 []; wanted" } },
    { "no samples", no_samples, { "/train/images: u8 [0, 2, 3, 4]", "at least 1" } },
    { "no height", no_height, { "/train/images: u8 [300, 2, 0, 4]", "at least 1" } },
    { "no channels",
      no_channels,
      { "/train/images: u8 [300, 0, 3, 4]", "at least 1" } },
    { "many channels", many_channels, { "/train/images", "17", "1 to 16 channels" } },
    { "a sample of 16 TB", large_sample, { "/train/images", "less than 2 GiB" } },
    { "a sample of 2^63 B", overflow_sample, { "/train/images", "less than 2 GiB" } },
    { "2^62 bytes", many_samples, { "/train/images", "fits in 64 bits" } },
    { "more than there is", no_memory, { "needs", "GB are available", "nodes" } },
    { "no labels", no_labels, { "/train/labels: missing; wanted i32 [300]" } },
    { "fewer labels", fewer_labels, { "/train/labels: i32 [299]; wanted i32 [300]" } },
    { "labels of rank 2", labels_2d, { "/train/labels: i32 [300, 1]; wanted" } },
    { "labels f32", labels_f32, { "/train/labels: f32 [300]; wanted i32 [300]" } },
    { "labels a group", group_as_dataset, { "/train/labels: missing" } },
    { "label 3 of 3", label_3, { "/train/labels: 3 for sample 270", "0 to 2" } },
    { "label -2", label_negative, { "/train/labels: -2 for sample 5", "-1" } },
    { "one label, no names",
      label_unnamed,
      { "label is 0", "/classes", "2 to 100000" } },
    { "no label, no names", labels_unnamed_all_unknown, { "label is -1", "/classes" } },
    { "label 2^31 - 1", label_unnamed_large, { "2147483647", "2 to 100000" } },
    { "test without images",
      no_test_images,
      { "/test/images: missing", "[n, 2, 3, 4]" } },
    { "test without labels", no_test_labels, { "/test/labels: missing", "i32 [7]" } },
    { "other test shape",
      other_test_shape,
      { "[7, 2, 4, 3]; wanted u8 [n, 2, 3, 4]" } },
    { "other test type", other_test_type, { "/test/images: f32", "as in training" } },
    { "test of features",
      test_features,
      { "/test/images: missing", "as in training" } },
    { "one class", one_class, { "/classes: text [1]; wanted", "2 to 100000" } },
    { "many classes", many_classes, { "/classes: i32 [100001]", "2 to 100000" } },
    { "classes a scalar", classes_scalar, { "/classes: text []; wanted" } },
    { "classes f32", classes_f32, { "/classes: f32 [3]; wanted the names" } },
    { "a long name", name_too_long, { "/classes: text [3]", "less than 1024 bytes" } },
    { "a name that clears", name_control, { "/classes", "class 2", "print" } },
    { "a name in Latin-1", name_not_utf8, { "/classes", "class 0", "UTF-8" } },
    { "one mean for two", mean_short, { "/mean: f32 [1]; wanted f32 [2]" } },
    { "integer means", mean_integer, { "/mean: i32 [2]; wanted f32 [2]" } },
    { "infinite mean", mean_infinite, { "/mean: inf for channel 1", "finite" } },
    { "std of rank 2", std_2d, { "/std: f32 [2, 1]; wanted f32 [2]" } },
    { "std 0", std_zero, { "/std: 0 for channel 1", "positive" } },
    { "std -1", std_negative, { "/std: -1 for channel 0", "positive" } },
    { "std NaN", std_nan, { "/std:", "nan for channel 0", "positive" } },
    { "std tiny", std_tiny, { "/std:", "e-41 for channel 0", "positive" } },
    { "integer features", features_integer, { "/train/features: i32", "f32 [n, d]" } },
    { "features of rank 3",
      features_3d,
      { "/train/features: f32 [300, 2, 2]", "[n, d]" } },
    { "a feature NaN",
      features_nan,
      { "/train/features: nan", "sample 261", "finite" } },
    { "a feature infinite",
      features_infinite,
      { "/train/features: -inf", "sample 0" } },
};

static bool error_says(const char *path, const char *const words[3])
{
    bool all = strncmp(fmal_error_text(), path, strlen(path)) == 0;

    for (int i = 0; i < 3 && words[i]; i++)
        all = all && strstr(fmal_error_text(), words[i]);
    if (!all)
        printf("# '%s'\n", fmal_error_text());
    return all;
}

/* Build, spoil, write, open; spoil may be NULL. */
static fmal_status open_spoiled(fmal_test *t, const char *name, void (*spoil)(void),
                                const char *path)
{
    fmal_dataset *set = NULL;
    fmal_status st = FMAL_OK;

    build();
    if (spoil)
        spoil();
    if (t->ctx.rank == 0)
        st = write_file(path);
    fmal_test_status(t, fmal_agree_root(&t->ctx, st), FMAL_OK, name);
    st = fmal_dataset_open(&t->ctx, path, &set);
    fmal_dataset_close(&set);
    return st;
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    const char *path = fmal_test_path(&t, "set.h5");

    fmal_test_status(&t, open_spoiled(&t, "good", NULL, path), FMAL_OK, "good images");
    fmal_test_status(&t, open_spoiled(&t, "good", build_features, path), FMAL_OK,
                     "good features");
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        fmal_status want =
            table[i].spoil == no_memory ? FMAL_ERR_NOMEM : FMAL_ERR_FORMAT;

        fmal_test_status(&t, open_spoiled(&t, table[i].name, table[i].spoil, path),
                         want, table[i].name);
        fmal_test_ok(&t, error_says(path, table[i].words), "%s: the message",
                     table[i].name);
    }
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
