/* Importing IDX files: round trips and every refusal. */
#include "import_files.h"

#include <math.h>

enum {
    N = 600,
    N_TEST = 5,
    HEIGHT = 3,
    WIDTH = 4,
    PIXELS = HEIGHT * WIDTH,
    CLASSES = 7
};

enum { IMAGES, LABELS, TEST_IMAGES, TEST_LABELS, FILES };

static blob file[FILES];
static char path[FILES][512], output[512];

static void build_split(blob *images, blob *labels, uint32_t n, unsigned seed)
{
    images->size = labels->size = 0;
    blob_word(images, 0x803);
    blob_word(images, n);
    blob_word(images, HEIGHT);
    blob_word(images, WIDTH);
    blob_word(labels, 0x801);
    blob_word(labels, n);
    for (unsigned i = 0; i < n * PIXELS; i++)
        images->data[images->size++] = noise(seed + i);
    for (unsigned i = 0; i < n; i++)
        labels->data[labels->size++] = (unsigned char) (i % CLASSES);
}

static void build(void)
{
    build_split(&file[IMAGES], &file[LABELS], N, 0);
    build_split(&file[TEST_IMAGES], &file[TEST_LABELS], N_TEST, 99);
}

static void write_files(void)
{
    for (int i = 0; i < FILES; i++)
        blob_write(&file[i], path[i]);
}

static fmal_import whole_job(void)
{
    static char *images[2] = { path[IMAGES], path[IMAGES] };
    static char *test_images[2] = { path[TEST_IMAGES], path[TEST_IMAGES] };

    return (fmal_import){ .images = images,
                          .n_images = 1,
                          .labels = path[LABELS],
                          .test_images = test_images,
                          .n_test_images = 1,
                          .test_labels = path[TEST_LABELS],
                          .output = output,
                          .history = "fmal import" };
}

/* ---- Round trips ---- */

/* Whether a split of an imported data set is what build_split made of the seed. */
static bool same_split(const fmal_split *split, fmal_idx n, unsigned seed)
{
    const unsigned char *pixel = split->rows;

    if (split->part.n != n || split->part.count != n)
        return false;
    for (fmal_idx i = 0; i < n; i++)
        if (split->labels[i] != (int32_t) (i % CLASSES))
            return false;
    for (unsigned i = 0; i < (unsigned) n * PIXELS; i++)
        if (pixel[i] != noise(seed + i))
            return false;
    return true;
}

static bool right_statistics(const fmal_dataset *set)
{
    double sum = 0, square = 0, n = (double) N * PIXELS;

    for (unsigned i = 0; i < N * PIXELS; i++) {
        sum += noise(i) / 255.0;
        square += noise(i) / 255.0 * (noise(i) / 255.0);
    }
    double mean = sum / n, std = sqrt(square / n - mean * mean);
    return fmal_test_close(set->mean[0], mean, 1e-6, 1) &&
           fmal_test_close(set->std[0], std, 1e-6, 1);
}

static void test_attributes(fmal_test *t)
{
    fmal_h5 *h = NULL;
    char schema[32] = "", history[64] = "", units[64] = "", about[128] = "";

    if (fmal_h5_open(output, &h) == FMAL_OK) {
        fmal_h5_get_text(h, "/", "schema", schema, sizeof schema);
        fmal_h5_get_text(h, "/", "history", history, sizeof history);
        fmal_h5_get_text(h, "/train/images", "units", units, sizeof units);
        fmal_h5_get_text(h, "/test/labels", "long_name", about, sizeof about);
    }
    fmal_h5_close(&h);
    fmal_test_ok(t, strcmp(schema, "fmal-dataset-1") == 0, "schema '%s'", schema);
    fmal_test_ok(t, strcmp(history, "fmal import") == 0, "history '%s'", history);
    fmal_test_ok(t, strstr(units, "0..255") != NULL, "units '%s'", units);
    fmal_test_ok(t, strstr(about, "class of each test") != NULL, "long_name '%s'",
                 about);
}

static void test_round_trip(fmal_test *t, const char *name, bool gz, bool with_test)
{
    fmal_import job = whole_job();
    fmal_dataset *set = NULL;

    build();
    for (int i = 0; gz && i < FILES; i++)
        blob_gzip(&file[i]);
    write_files();
    if (!with_test) {
        job.n_test_images = 0;
        job.test_labels = NULL;
    }
    fmal_test_status(t, fmal_import_run(&fmal_readers[0], &job), FMAL_OK, name);
    fmal_test_status(t, fmal_dataset_open(&t->ctx, output, &set), FMAL_OK, "opens");
    if (!set)
        return;
    fmal_test_ok(t, same_split(&set->train, N, 0), "the same training samples");
    fmal_test_ok(t, same_split(&set->test, with_test ? N_TEST : 0, 99),
                 "the same test samples");
    fmal_test_ok(t, set->classes == CLASSES && strcmp(set->class_names[6], "6") == 0,
                 "classes from the labels");
    fmal_test_ok(t,
                 set->shape[0] == 1 && set->shape[1] == HEIGHT &&
                     set->shape[2] == WIDTH && set->has_images,
                 "shape");
    fmal_test_ok(t, right_statistics(set), "mean and std");
    fmal_dataset_close(&set);
}

/* One value only: two classes all the same, and a std that can be divided by. */
static void test_constant(fmal_test *t)
{
    fmal_import job = whole_job();
    fmal_dataset *set = NULL;

    build();
    for (int i = 0; i < FILES; i++) {
        size_t head = i == IMAGES || i == TEST_IMAGES ? 16 : 8;

        memset(file[i].data + head, 0, file[i].size - head);
    }
    write_files();
    fmal_test_status(t, fmal_import_run(&fmal_readers[0], &job), FMAL_OK, "all black");
    fmal_test_status(t, fmal_dataset_open(&t->ctx, output, &set), FMAL_OK, "opens");
    fmal_test_ok(t, set && set->classes == 2 && set->mean[0] == 0 && set->std[0] == 1,
                 "two classes, mean 0, std 1");
    fmal_dataset_close(&set);
}

/* ---- Refusals ---- */

static void wrong_magic(void)
{
    blob_set(&file[IMAGES], 0, 0xd03);
}

static void wrong_label_magic(void)
{
    blob_set(&file[LABELS], 0, 0x12345678);
}

static void swapped(void)
{
    static blob other;

    other = file[IMAGES];
    file[IMAGES] = file[LABELS];
    file[LABELS] = other;
}

static void images_twice(void)
{
    file[LABELS] = file[IMAGES];
}

static void empty(void)
{
    file[IMAGES].size = 0;
}

static void cut_header(void)
{
    file[IMAGES].size = 10;
}

static void cut_images(void)
{
    file[IMAGES].size = 16 + 300 * PIXELS + 5;
}

static void cut_labels(void)
{
    file[LABELS].size--;
}

static void longer_images(void)
{
    file[IMAGES].size++;
}

static void longer_labels(void)
{
    file[TEST_LABELS].size += 3;
}

static void fewer_labels(void)
{
    blob_set(&file[LABELS], 4, N - 1);
}

static void no_images(void)
{
    blob_set(&file[IMAGES], 4, 0);
}

static void no_rows(void)
{
    blob_set(&file[IMAGES], 8, 0);
}

static void no_columns(void)
{
    blob_set(&file[TEST_IMAGES], 12, 0);
}

static void huge_images(void)
{
    blob_set(&file[IMAGES], 8, 0xffffffff);
    blob_set(&file[IMAGES], 12, 0xffffffff);
}

/* 16 TB that the header promises and the file does not hold. */
static void huge_promise(void)
{
    blob_set(&file[IMAGES], 4, 4000000);
    blob_set(&file[LABELS], 4, 4000000);
    for (int i = IMAGES; i <= TEST_IMAGES; i += TEST_IMAGES - IMAGES) {
        blob_set(&file[i], 8, 2048);
        blob_set(&file[i], 12, 2048);
    }
}

static void other_shape(void)
{
    blob_set(&file[TEST_IMAGES], 8, WIDTH);
    blob_set(&file[TEST_IMAGES], 12, HEIGHT);
}

static void large_test_label(void)
{
    file[TEST_LABELS].data[8 + 3] = CLASSES;
}

static void xz(void)
{
    memcpy(file[IMAGES].data,
           "\xfd"
           "7zXZ\0",
           6);
}

/* These follow compression. */
static void flip_checksum(void)
{
    file[IMAGES].data[file[IMAGES].size - 8] ^= 1;
}

static void flip_label_length(void)
{
    file[LABELS].data[file[LABELS].size - 1] ^= 1;
}

static void cut_half(void)
{
    file[IMAGES].size /= 2;
}

static void cut_trailer(void)
{
    file[IMAGES].size -= 6;
}

static void flip_middle(void)
{
    for (int i = 0; i < 20; i++)
        file[IMAGES].data[file[IMAGES].size / 2 + (size_t) i] ^= 0xff;
}

static const struct {
    const char *name;
    void (*spoil)(void);  /* the content; may be NULL */
    bool gzip;            /* compress all files */
    void (*damage)(void); /* the gzip streams; may be NULL */
    const char *words[3];
} refusals[] = {
    { "wrong magic", wrong_magic, false, NULL, { "0x00000d03", "0x00000803" } },
    { "wrong magic of labels",
      wrong_label_magic,
      false,
      NULL,
      { "0x12345678", "0801" } },
    { "files swapped", swapped, false, NULL, { "swapped", "labels", "images" } },
    { "images given as labels", images_twice, false, NULL, { "swapped", "labels" } },
    { "empty", empty, false, NULL, { "truncated", "offset 0", "4 bytes expected" } },
    { "cut in the header",
      cut_header,
      false,
      NULL,
      { "truncated: header", "offset 4" } },
    { "cut in the images",
      cut_images,
      false,
      NULL,
      { "truncated", "offset 3088", "533" } },
    { "cut in the labels",
      cut_labels,
      false,
      NULL,
      { "truncated: labels", "offset 520" } },
    { "images go on", longer_images, false, NULL, { "trailing", "offset 7216" } },
    { "labels go on", longer_labels, false, NULL, { "trailing", "offset 13" } },
    { "counts disagree", fewer_labels, false, NULL, { "599 labels", "expected 600" } },
    { "no images", no_images, false, NULL, { "0 images", "at least 1" } },
    { "no rows", no_rows, false, NULL, { "0 x 4", "at least 1" } },
    { "no columns", no_columns, false, NULL, { "3 x 0", "at least 1" } },
    { "too large", huge_images, false, NULL, { "4294967295 x 4294967295", "at most" } },
    { "a header's promise", huge_promise, false, NULL, { "truncated", "1073741824" } },
    { "other shape in test", other_shape, false, NULL, { "4 x 3", "expected 3 x 4" } },
    { "label only in test", large_test_label, false, NULL, { "label 7", "offset 11" } },
    { "xz", xz, false, NULL, { "is xz-compressed", "xz -dk" } },
    { "gzip, wrong magic", wrong_magic, true, NULL, { "0x00000d03" } },
    { "gzip, cut before",
      cut_images,
      true,
      NULL,
      { "truncated", "uncompressed", "533" } },
    { "gzip, images go on", longer_images, true, NULL, { "trailing", "uncompressed" } },
    { "gzip, cut in half", NULL, true, cut_half, { "truncated", "uncompressed" } },
    { "gzip, cut in its trailer",
      NULL,
      true,
      cut_trailer,
      { "stops before its check" } },
    { "gzip, wrong checksum", NULL, true, flip_checksum, { "damaged", "data check" } },
    { "gzip, wrong length",
      NULL,
      true,
      flip_label_length,
      { "damaged", "length check" } },
    { "gzip, damaged", NULL, true, flip_middle, { "images", "fetch the file again" } },
};

static void test_refusals(fmal_test *t)
{
    fmal_import job = whole_job();

    for (int i = 0; i < FMAL_COUNT(refusals); i++) {
        build();
        if (refusals[i].spoil)
            refusals[i].spoil();
        for (int k = 0; refusals[i].gzip && k < FILES; k++)
            blob_gzip(&file[k]);
        if (refusals[i].damage)
            refusals[i].damage();
        write_files();
        precious_write(output);
        fmal_test_status(t, fmal_import_run(&fmal_readers[0], &job), FMAL_ERR_FORMAT,
                         refusals[i].name);
        fmal_test_ok(t, error_says(refusals[i].words), "%s: the message",
                     refusals[i].name);
        fmal_test_ok(t, precious_intact(output), "%s: nothing is written",
                     refusals[i].name);
    }
    fmal_test_ok(t, fmal_mem_peak() < 1e9, "no promise was believed");
}

/* ---- Wrong use ---- */

static void no_labels(fmal_import *job)
{
    job->labels = NULL;
}

static void no_test_labels(fmal_import *job)
{
    job->test_labels = NULL;
}

static void no_test_images(fmal_import *job)
{
    job->n_test_images = 0;
}

static void two_files(fmal_import *job)
{
    job->n_images = 2;
}

static void no_files(fmal_import *job)
{
    job->n_images = 0;
}

static void no_output(fmal_import *job)
{
    job->output = NULL;
}

static void absent_file(fmal_import *job)
{
    job->labels = "/nonexistent/labels";
}

static void directory(fmal_import *job)
{
    job->labels = "/tmp";
}

static void absent_directory(fmal_import *job)
{
    job->output = "/nonexistent/out.h5";
}

static const struct {
    const char *name;
    void (*spoil)(fmal_import *job);
    fmal_status want;
    const char *words[3];
} misuses[] = {
    { "no labels", no_labels, FMAL_ERR_USAGE, { "--labels" } },
    { "no test labels", no_test_labels, FMAL_ERR_USAGE, { "--test-labels" } },
    { "no test images", no_test_images, FMAL_ERR_USAGE, { "--test-images" } },
    { "two files of images", two_files, FMAL_ERR_USAGE, { "one file of --images" } },
    { "no file of images", no_files, FMAL_ERR_USAGE, { "--images" } },
    { "no output", no_output, FMAL_ERR_USAGE, { "--output" } },
    { "a file that is not there", absent_file, FMAL_ERR_IO, { "/nonexistent/labels" } },
    { "a directory", directory, FMAL_ERR_IO, { "/tmp", "directory" } },
    { "no such output directory", absent_directory, FMAL_ERR_IO, { "No such file" } },
};

static void test_misuses(fmal_test *t)
{
    build();
    write_files();
    for (int i = 0; i < FMAL_COUNT(misuses); i++) {
        fmal_import job = whole_job();

        precious_write(output);
        misuses[i].spoil(&job);
        fmal_test_status(t, fmal_import_run(&fmal_readers[0], &job), misuses[i].want,
                         misuses[i].name);
        fmal_test_ok(t, error_says(misuses[i].words) && precious_intact(output),
                     "%s: the message, and nothing is written", misuses[i].name);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[FILES] = { "images", "labels", "test-images",
                                              "test-labels" };
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FILES; i++)
        snprintf(path[i], sizeof path[i], "%s", fmal_test_path(&t, names[i]));
    snprintf(output, sizeof output, "%s", fmal_test_path(&t, "out.h5"));
    test_round_trip(&t, "plain files", false, true);
    test_attributes(&t);
    test_round_trip(&t, "gzip files, over an older output", true, true);
    test_round_trip(&t, "no test split", false, false);
    test_constant(&t);
    test_refusals(&t);
    test_misuses(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
