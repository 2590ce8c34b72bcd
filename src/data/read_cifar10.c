/* CIFAR-10, the binary version: records of one label byte and 32 x 32 pixels, plane by
 * plane. A file does not say how many there are, so each is read twice: once to check
 * and to count, once to copy. */
#include "data_impl.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CLASSES = 10, PIXELS = 3 * 32 * 32, RECORD = 1 + PIXELS };

static const char *const names[CLASSES] = {
    "airplane", "automobile", "bird",  "cat",  "deer",
    "dog",      "frog",       "horse", "ship", "truck",
};

/* A block of records, and the same taken apart. */
typedef struct {
    unsigned char record[FMAL_BLOCK * RECORD];
    unsigned char rows[FMAL_BLOCK * PIXELS], labels[FMAL_BLOCK];
    int count;
} batch;

static fmal_status check_record(const fmal_source *s, int64_t offset,
                                const unsigned char *record)
{
    if (record[0] < CLASSES)
        return FMAL_OK;
    if (offset == 0 && memcmp(record + 257, "ustar", 5) == 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: is a tar archive; tar -xf %s first, and give the .bin "
                         "files",
                         s->path, s->path);
    return FMAL_FAIL(FMAL_ERR_FORMAT,
                     "%s: label %d at offset %" PRId64 "; expected 0 to %d", s->path,
                     record[0], offset, CLASSES - 1);
}

/* Read up to `room` whole records; fewer only at the end of the file. */
static fmal_status read_records(fmal_source *s, unsigned char *to, int room, int *count)
{
    int64_t offset = s->at;
    size_t got = 0;

    FMAL_TRY(fmal_source_some(s, to, (size_t) room * RECORD, &got));
    *count = (int) (got / RECORD);
    for (int i = 0; i < *count; i++)
        FMAL_TRY(check_record(s, offset + (int64_t) i * RECORD, to + i * RECORD));
    if (got % RECORD != 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: truncated: record at offset %" PRId64
                         ": %d bytes expected, %zu are there; fetch the file again",
                         s->path, offset + (int64_t) *count * RECORD, RECORD,
                         got % RECORD);
    return FMAL_OK;
}

static fmal_status count_file(const char *path, batch *b, fmal_idx *n)
{
    fmal_source s = { .at = 0 };
    fmal_status st = fmal_source_open(path, &s);
    int count = FMAL_BLOCK;

    while (st == FMAL_OK && count == FMAL_BLOCK)
        st = read_records(&s, b->record, FMAL_BLOCK, &count);
    if (st == FMAL_OK)
        st = fmal_source_end(&s, "the file");
    if (st == FMAL_OK && s.at == 0)
        st = FMAL_FAIL(FMAL_ERR_FORMAT, "%s: is empty; expected records of %d bytes",
                       path, RECORD);
    *n += s.at / RECORD;
    fmal_source_close(&s);
    return st;
}

static fmal_status count_files(char **paths, int n_paths, batch *b, fmal_idx *n)
{
    for (int i = 0; i < n_paths; i++)
        FMAL_TRY(count_file(paths[i], b, n));
    return FMAL_OK;
}

static fmal_status flush(fmal_writer *w, batch *b)
{
    int count = b->count;

    b->count = 0;
    return count > 0 ? fmal_writer_add(w, b->rows, b->labels, count) : FMAL_OK;
}

/* Append a file's records; blocks run on from one file to the next. */
static fmal_status copy_file(const char *path, fmal_writer *w, batch *b, fmal_idx left)
{
    fmal_source s = { .at = 0 };
    fmal_status st = fmal_source_open(path, &s);
    int count, room;

    do {
        count = 0;
        room = FMAL_BLOCK - b->count;
        if (st == FMAL_OK)
            st = read_records(&s, b->record, room, &count);
        if (st == FMAL_OK && s.at / RECORD > left)
            st = FMAL_FAIL(FMAL_ERR_IO, "%s: became longer while it was read", path);
        for (int i = 0; i < count && st == FMAL_OK; i++, b->count++) {
            const unsigned char *record = b->record + (size_t) i * RECORD;

            b->labels[b->count] = record[0];
            memcpy(b->rows + (size_t) b->count * PIXELS, record + 1, PIXELS);
        }
        if (st == FMAL_OK && b->count == FMAL_BLOCK)
            st = flush(w, b);
    } while (st == FMAL_OK && count == room);
    fmal_source_close(&s);
    return st;
}

static fmal_status copy_split(fmal_writer *w, const char *split, char **paths,
                              int n_paths, fmal_idx n, batch *b)
{
    FMAL_TRY(fmal_writer_split(w, split, n));
    for (int i = 0; i < n_paths; i++)
        FMAL_TRY(copy_file(paths[i], w, b, n - fmal_writer_at(w) - b->count));
    FMAL_TRY(flush(w, b));
    if (fmal_writer_at(w) != n)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: became shorter while it was read", paths[0]);
    return FMAL_OK;
}

static fmal_status copy(const fmal_import *job, fmal_idx n_train, fmal_idx n_test,
                        fmal_writer *w, batch *b)
{
    FMAL_TRY(copy_split(w, "train", job->images, job->n_images, n_train, b));
    if (n_test > 0)
        FMAL_TRY(
            copy_split(w, "test", job->test_images, job->n_test_images, n_test, b));
    return fmal_writer_finish(w, CLASSES, names);
}

fmal_status fmal_import_cifar10(const fmal_import *job)
{
    static const int shape[3] = { 3, 32, 32 };
    fmal_idx n_train = 0, n_test = 0;
    fmal_writer *w = NULL;
    batch *b = NULL;

    if (job->labels || job->test_labels)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "import --format cifar10: a batch holds its labels; leave out "
                         "--labels and --test-labels");
    fmal_status st = FMAL_ALLOC(&b, 1);
    if (st == FMAL_OK)
        st = count_files(job->images, job->n_images, b, &n_train);
    if (st == FMAL_OK)
        st = count_files(job->test_images, job->n_test_images, b, &n_test);
    if (st == FMAL_OK)
        st = fmal_writer_create(job, shape, &w);
    if (st == FMAL_OK)
        st = copy(job, n_train, n_test, w, b);
    fmal_writer_destroy(&w);
    fmal_free(&b);
    return st;
}
