#include "data_impl.h"
#include "fmal/mem.h"
#include "fmal/point.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- The registry ---- */

const fmal_reader fmal_readers[] = {
    { "idx", "MNIST family: an images and a labels file a split, plain or gzip",
      fmal_import_idx },
    { "cifar10", "CIFAR-10 binary version: data_batch_*.bin, plain or gzip",
      fmal_import_cifar10 },
    { NULL, NULL, NULL },
};

const char *const fmal_reader_names[] = { "idx", "cifar10", NULL };

fmal_status fmal_import_run(const fmal_reader *reader, const fmal_import *job)
{
    if (!job->output || !job->output[0])
        return FMAL_FAIL(FMAL_ERR_USAGE, "import: --output is missing");
    if (job->n_images < 1)
        return FMAL_FAIL(FMAL_ERR_USAGE, "import: --images is missing");
    return reader->import(job);
}

/* ---- The writer ---- */

struct fmal_writer {
    const fmal_import *job;
    fmal_h5 *file;
    char *temporary; /* OUTPUT.new; NULL once renamed */
    int shape[3];
    char split[8];
    fmal_idx n, at;
    fmal_progress progress;
    /* Of the training pixels, per channel: exact, so in any order. */
    int64_t pixels;
    uint64_t sum[FMAL_MAX_CHANNELS], square[FMAL_MAX_CHANNELS];
};

/* Output and some letters after it, freed by fmal_free; NULL with the failure recorded.
 */
static char *join(const char *a, const char *b)
{
    size_t bytes = strlen(a) + strlen(b) + 1;
    char *text = NULL;

    if (fmal_alloc(&text, (fmal_idx) bytes, 1) == FMAL_OK)
        snprintf(text, bytes, "%s%s", a, b);
    return text;
}

fmal_status fmal_writer_create(const fmal_import *job, const int shape[3],
                               fmal_writer **out)
{
    fmal_writer *w = NULL;
    fmal_status st;

    FMAL_TRY(FMAL_ALLOC(&w, 1));
    w->job = job;
    memcpy(w->shape, shape, sizeof w->shape);
    char *temporary = join(job->output, ".new");
    st = temporary ? fmal_h5_create(temporary, &w->file) : FMAL_ERR_NOMEM;
    if (st != FMAL_OK) {
        fmal_free(&temporary); /* not ours to remove: another process may write it */
        fmal_free(&w);
        return st;
    }
    w->temporary = temporary;
    *out = w;
    return FMAL_OK;
}

static fmal_status create_images(fmal_writer *w, fmal_idx n)
{
    char name[32], about[64];

    snprintf(name, sizeof name, "/%s/images", w->split);
    snprintf(about, sizeof about, "pixels of the %s samples",
             strcmp(w->split, "train") == 0 ? "training" : "test");
    return fmal_h5_create_rows(
        w->file, &(fmal_h5_spec){ .name = name,
                                  .type = FMAL_U8,
                                  .ndims = 4,
                                  .dims = { n, w->shape[0], w->shape[1], w->shape[2] },
                                  .label = { "samples", "channels", "height", "width" },
                                  .long_name = about,
                                  .units = "0..255 intensity",
                                  .compress = true });
}

static fmal_status create_labels(fmal_writer *w, fmal_idx n)
{
    char name[32], about[96];

    snprintf(name, sizeof name, "/%s/labels", w->split);
    snprintf(about, sizeof about,
             "class of each %s sample, an index into /classes; -1: unknown",
             strcmp(w->split, "train") == 0 ? "training" : "test");
    return fmal_h5_create_rows(w->file, &(fmal_h5_spec){ .name = name,
                                                         .type = FMAL_I32,
                                                         .ndims = 1,
                                                         .dims = { n },
                                                         .label = { "samples" },
                                                         .long_name = about,
                                                         .compress = true });
}

fmal_status fmal_writer_split(fmal_writer *w, const char *split, fmal_idx n)
{
    char group[16];

    snprintf(w->split, sizeof w->split, "%s", split);
    w->n = n;
    w->at = 0;
    FMAL_TRY(create_images(w, n));
    FMAL_TRY(create_labels(w, n));
    snprintf(group, sizeof group, "/%s", split);
    FMAL_TRY(fmal_h5_attr_text(w->file, group, "long_name",
                               strcmp(split, "train") == 0
                                   ? "training split: the pool to choose from"
                                   : "test split: held out to measure accuracy"));
    fmal_progress_begin(&w->progress, "import", "samples", n, 0);
    return FMAL_OK;
}

static void add_statistics(fmal_writer *w, const unsigned char *rows, int count)
{
    int64_t plane = (int64_t) w->shape[1] * w->shape[2];

    w->pixels += count * plane;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < w->shape[0]; k++, rows += plane) {
            uint64_t sum = 0, square = 0;

            for (int64_t j = 0; j < plane; j++) {
                sum += rows[j];
                square += (uint64_t) rows[j] * rows[j];
            }
            w->sum[k] += sum;
            w->square[k] += square;
        }
}

fmal_status fmal_writer_add(fmal_writer *w, const unsigned char *rows,
                            const unsigned char *labels, int count)
{
    char name[32];

    if (strcmp(w->split, "train") == 0)
        add_statistics(w, rows, count);
    snprintf(name, sizeof name, "/%s/images", w->split);
    FMAL_TRY(fmal_h5_write_rows(w->file, name, FMAL_U8, w->at, count, rows));
    snprintf(name, sizeof name, "/%s/labels", w->split);
    FMAL_TRY(fmal_h5_write_rows(w->file, name, FMAL_U8, w->at, count, labels));
    w->at += count;
    fmal_progress_at(&w->progress, w->at, NULL);
    if (w->at == w->n)
        fmal_progress_end(&w->progress);
    return FMAL_OK;
}

fmal_idx fmal_writer_at(const fmal_writer *w)
{
    return w->at;
}

/* ---- The end of a file ---- */

static fmal_status write_classes(fmal_writer *w, int classes, const char *const *names)
{
    char(*number)[12] = NULL;
    const char **name = NULL;
    fmal_status st = FMAL_ALLOC(&name, classes);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&number, classes);
    for (int k = 0; k < classes && st == FMAL_OK; k++) {
        snprintf(number[k], sizeof number[k], "%d", k);
        name[k] = names ? names[k] : number[k];
    }
    if (st == FMAL_OK)
        st = fmal_h5_write(
            w->file,
            &(fmal_h5_spec){ .name = "/classes",
                             .type = FMAL_STR,
                             .ndims = 1,
                             .dims = { classes },
                             .label = { "classes" },
                             .long_name = "names of the classes; a label is an index" },
            name);
    fmal_free(&number);
    fmal_free(&name);
    return st;
}

static fmal_status write_channels(fmal_writer *w, const char *name, const float *value,
                                  const char *about)
{
    return fmal_h5_write(w->file,
                         &(fmal_h5_spec){ .name = name,
                                          .type = FMAL_F32,
                                          .ndims = 1,
                                          .dims = { w->shape[0] },
                                          .label = { "channels" },
                                          .long_name = about },
                         value);
}

static fmal_status write_statistics(fmal_writer *w)
{
    float mean[FMAL_MAX_CHANNELS], std[FMAL_MAX_CHANNELS];

    for (int k = 0; k < w->shape[0]; k++) {
        double m = (double) w->sum[k] / (double) w->pixels;
        double variance = (double) w->square[k] / (double) w->pixels - m * m;

        mean[k] = (float) (m / 255);
        /* A channel of one value says nothing, and must not be divided by zero. */
        std[k] = variance > 0 ? (float) (sqrt(variance) / 255) : 1.0f;
    }
    FMAL_TRY(write_channels(w, "/mean", mean,
                            "mean of the training pixels scaled to 0..1, per channel"));
    return write_channels(w, "/std", std,
                          "standard deviation of the training pixels scaled to 0..1, "
                          "per channel");
}

static fmal_status stamp(fmal_writer *w)
{
    char history[8192]; /* an attribute has to be small */

    snprintf(history, sizeof history, "%s", w->job->history ? w->job->history : "");
    FMAL_TRY(fmal_h5_attr_text(w->file, "/", "title", "images with labels"));
    return fmal_h5_stamp(w->file, "fmal-dataset-1", history);
}

/* Make a rename last. Some file systems refuse; the rename itself is done. */
static void sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[4096] = ".";

    if (slash)
        snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int) (slash - path),
                 path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

fmal_status fmal_writer_finish(fmal_writer *w, int classes, const char *const *names)
{
    const char *output = w->job->output;

    FMAL_TRY(write_classes(w, classes, names));
    FMAL_TRY(write_statistics(w));
    FMAL_TRY(stamp(w));
    FMAL_TRY(fmal_h5_close(&w->file)); /* and sync */
    fmal_point("import-written");
    if (rename(w->temporary, output) != 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot rename to %s: %s", w->temporary,
                         output, strerror(errno));
    fmal_free(&w->temporary);
    sync_directory_of(output);
    fmal_point("import-renamed");
    return FMAL_OK;
}

void fmal_writer_destroy(fmal_writer **w)
{
    char text[1024], place[256];

    if (!*w)
        return;
    fmal_progress_end(&(*w)->progress);
    /* A file that is thrown away may fail to close; that is not the news. */
    snprintf(text, sizeof text, "%s", fmal_error_text());
    snprintf(place, sizeof place, "%s", fmal_error_place());
    fmal_h5_close(&(*w)->file);
    fmal_error_set(place, text);
    if ((*w)->temporary)
        unlink((*w)->temporary);
    fmal_free(&(*w)->temporary);
    fmal_free(w);
}
