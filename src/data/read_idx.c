/* IDX, the format of the MNIST family: big-endian 32-bit words (a magic number that
 * says type and rank, then the extents), then the array. */
#include "data_impl.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MAGIC_LABELS = 0x00000801, /* unsigned bytes, one dimension */
    MAGIC_IMAGES = 0x00000803, /* unsigned bytes, three dimensions */
    MAX_PIXELS = 1 << 22,      /* of an image: a block of them stays below a GiB */
};

/* One split: its two files, open and with their headers read. */
typedef struct {
    fmal_source images, labels;
    fmal_idx n;
    int shape[3];
} idx_split;

static uint32_t word(const unsigned char *b)
{
    return (uint32_t) b[0] << 24 | (uint32_t) b[1] << 16 | (uint32_t) b[2] << 8 | b[3];
}

static fmal_status check_magic(const char *path, uint32_t magic, bool want_images)
{
    uint32_t want = want_images ? MAGIC_IMAGES : MAGIC_LABELS;
    uint32_t other = want_images ? MAGIC_LABELS : MAGIC_IMAGES;

    if (magic == want)
        return FMAL_OK;
    if (magic == other)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: is a file of %s (magic number 0x%08" PRIx32
                         "), given for %s (0x%08" PRIx32 "); are the two swapped?",
                         path, want_images ? "labels" : "images", magic,
                         want_images ? "images" : "labels", want);
    return FMAL_FAIL(FMAL_ERR_FORMAT,
                     "%s: magic number 0x%08" PRIx32 " at offset 0; an IDX file of %s "
                     "begins with 0x%08" PRIx32,
                     path, magic, want_images ? "images" : "labels", want);
}

static fmal_status read_magic(fmal_source *s, bool want_images)
{
    unsigned char head[4];

    FMAL_TRY(fmal_source_read(s, head, sizeof head, "magic number"));
    return check_magic(s->path, word(head), want_images);
}

static fmal_status open_images(const char *path, idx_split *split)
{
    unsigned char head[12];

    FMAL_TRY(fmal_source_open(path, &split->images));
    FMAL_TRY(read_magic(&split->images, true));
    FMAL_TRY(fmal_source_read(&split->images, head, sizeof head, "header"));
    uint32_t n = word(head), height = word(head + 4), width = word(head + 8);
    if (n == 0 || height == 0 || width == 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: header at offset 4: %" PRIu32 " images of %" PRIu32
                         " x %" PRIu32 "; wanted at least 1 of each",
                         path, n, height, width);
    if ((uint64_t) height * width > MAX_PIXELS)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: header at offset 8: images of %" PRIu32 " x %" PRIu32
                         "; at most %d pixels are supported",
                         path, height, width, MAX_PIXELS);
    split->n = n;
    split->shape[0] = 1;
    split->shape[1] = (int) height;
    split->shape[2] = (int) width;
    return FMAL_OK;
}

static fmal_status open_labels(const char *path, idx_split *split)
{
    unsigned char head[4];

    FMAL_TRY(fmal_source_open(path, &split->labels));
    FMAL_TRY(read_magic(&split->labels, false));
    FMAL_TRY(fmal_source_read(&split->labels, head, sizeof head, "header"));
    if (word(head) != split->n)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: header at offset 4: %" PRIu32 " labels; expected %" PRId64
                         ", one for each image of %s",
                         path, word(head), split->n, split->images.path);
    return FMAL_OK;
}

static fmal_status split_open(const char *images, const char *labels, idx_split *split)
{
    FMAL_TRY(open_images(images, split));
    return open_labels(labels, split);
}

static void split_close(idx_split *split)
{
    fmal_source_close(&split->images);
    fmal_source_close(&split->labels);
}

static fmal_status check_labels(const idx_split *split, const unsigned char *label,
                                int count, int classes)
{
    for (int i = 0; i < count; i++)
        if (label[i] >= classes)
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: label %d at offset %" PRId64
                             "; expected 0 to %d, the "
                             "labels of training",
                             split->labels.path, label[i], split->labels.at - count + i,
                             classes - 1);
    return FMAL_OK;
}

/* Copy one split, block by block. @param[in,out] largest  largest label so far. */
static fmal_status copy_split(idx_split *split, fmal_writer *w, int classes,
                              fmal_bytes *rows, int *largest)
{
    size_t row_bytes = (size_t) split->shape[1] * (size_t) split->shape[2];
    unsigned char label[FMAL_BLOCK];

    while (fmal_writer_at(w) < split->n) {
        fmal_idx left = split->n - fmal_writer_at(w);
        int count = left < FMAL_BLOCK ? (int) left : FMAL_BLOCK;

        FMAL_TRY(fmal_source_read(&split->labels, label, (size_t) count, "labels"));
        FMAL_TRY(check_labels(split, label, count, classes));
        FMAL_TRY(fmal_source_fill(&split->images, rows, (size_t) count * row_bytes,
                                  "images"));
        for (int i = 0; i < count; i++)
            if (label[i] > *largest)
                *largest = label[i];
        FMAL_TRY(fmal_writer_add(w, rows->data, label, count));
    }
    FMAL_TRY(fmal_source_end(&split->images, "the images"));
    return fmal_source_end(&split->labels, "the labels");
}

static fmal_status check_job(const fmal_import *job)
{
    if (job->n_images != 1 || !job->labels)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "import --format idx: give one file of --images and one of "
                         "--labels");
    if (job->n_test_images > 1 ||
        (job->n_test_images == 1) != (job->test_labels != NULL))
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "import --format idx: give one file of --test-images and one "
                         "of --test-labels, or neither");
    return FMAL_OK;
}

static fmal_status check_shapes(const idx_split *train, const idx_split *test)
{
    if (test->n > 0 && memcmp(train->shape, test->shape, sizeof train->shape) != 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: header at offset 8: images of %d x %d; expected %d x %d "
                         "as in %s",
                         test->images.path, test->shape[1], test->shape[2],
                         train->shape[1], train->shape[2], train->images.path);
    return FMAL_OK;
}

static fmal_status copy(idx_split *train, idx_split *test, fmal_writer *w,
                        fmal_bytes *rows)
{
    enum { ANY = 256 };
    int largest = 1; /* so that there are two classes at least */

    FMAL_TRY(fmal_writer_split(w, "train", train->n));
    FMAL_TRY(copy_split(train, w, ANY, rows, &largest));
    int classes = 1 + largest;
    if (test->n > 0) {
        FMAL_TRY(fmal_writer_split(w, "test", test->n));
        FMAL_TRY(copy_split(test, w, classes, rows, &largest));
    }
    return fmal_writer_finish(w, classes, NULL);
}

fmal_status fmal_import_idx(const fmal_import *job)
{
    idx_split train = { .n = 0 }, test = { .n = 0 };
    fmal_writer *w = NULL;
    fmal_bytes rows = { NULL, 0 };
    fmal_status st = check_job(job);

    if (st == FMAL_OK)
        st = split_open(job->images[0], job->labels, &train);
    if (st == FMAL_OK && job->n_test_images == 1)
        st = split_open(job->test_images[0], job->test_labels, &test);
    if (st == FMAL_OK)
        st = check_shapes(&train, &test);
    if (st == FMAL_OK)
        st = fmal_writer_create(job, train.shape, &w);
    if (st == FMAL_OK)
        st = copy(&train, &test, w, &rows);
    fmal_writer_destroy(&w);
    fmal_free(&rows.data);
    split_close(&train);
    split_close(&test);
    return st;
}
