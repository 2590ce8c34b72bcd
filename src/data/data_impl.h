/* Shared by the sources of this module. */
#ifndef FMAL_DATA_IMPL_H
#define FMAL_DATA_IMPL_H

#include "fmal/data.h"

/* ---- What a data set file says ---- */

enum { FMAL_MAX_CLASSES = 100000 };

/* Everything about a data set file but samples and names, checked. A plain value. */
typedef struct fmal_layout {
    bool has_images;
    fmal_idx n_train, n_test;
    int shape[3]; /* channels, height, width; features: d, 1, 1 */
    int inputs;
    size_t row_bytes;
    int classes; /* 0: the file names none, so the labels decide */
    float mean[FMAL_MAX_CHANNELS], std[FMAL_MAX_CHANNELS];
    size_t name_bytes; /* of all class names, each ended by a zero */
} fmal_layout;

/**
 * Read and check everything that can be checked without reading samples.
 *
 * Not collective; the file is open on this process alone.
 *
 * @param[out] names  [layout->name_bytes], one name after the other, each ended by a
 *                    zero; NULL if there are none; freed by fmal_free
 * @return FMAL_ERR_FORMAT "FILE: DATASET: what is there; what is wanted",
 * FMAL_ERR_NOMEM if the ranks of ctx could not hold the samples
 */
fmal_status fmal_layout_read(fmal_h5 *h, const fmal_ctx *ctx, fmal_layout *layout,
                             char **names);

/**
 * Refuse a file whose arrays are not those of the layout: it was replaced since.
 *
 * Collective if h was opened on all ranks.
 */
fmal_status fmal_layout_confirm(fmal_h5 *h, const fmal_layout *layout);

/** "/train/images" or the like, in a buffer of the caller. */
const char *fmal_layout_rows(const fmal_layout *layout, const char *split,
                             char name[32]);

/* ---- Bytes of a file, plain or gzip ---- */

/* A file read from front to back. Offsets count uncompressed bytes. */
typedef struct fmal_source {
    const char *path; /* borrowed */
    void *stream;
    int64_t at;
} fmal_source;

/* A buffer that grows as bytes really arrive: a header's promise allocates nothing. */
typedef struct fmal_bytes {
    unsigned char *data;
    size_t size;
} fmal_bytes;

/** Open; refuses other compressions by name. Clear it even after a failure. */
fmal_status fmal_source_open(const char *path, fmal_source *source);

/** Close; a source that is all zero is fine. */
void fmal_source_close(fmal_source *source);

/** Read up to `bytes`; fewer only at the end of the file. */
fmal_status fmal_source_some(fmal_source *source, void *to, size_t bytes, size_t *got);

/** Read exactly `bytes` of `what` (for messages), or refuse the file as truncated. */
fmal_status fmal_source_read(fmal_source *source, void *to, size_t bytes,
                             const char *what);

/** The same into a buffer that is grown as needed. */
fmal_status fmal_source_fill(fmal_source *source, fmal_bytes *buffer, size_t bytes,
                             const char *what);

/** Refuse what follows the expected content, and a gzip stream whose checksum is wrong.
 */
fmal_status fmal_source_end(fmal_source *source, const char *what);

/* ---- Writing a data set ---- */

/* A data set of images being streamed into OUTPUT.new. Opaque: see import.c. */
typedef struct fmal_writer fmal_writer;

/** Begin OUTPUT.new. @param job  borrowed until the writer is gone. */
fmal_status fmal_writer_create(const fmal_import *job, const int shape[3],
                               fmal_writer **out);

/** Begin the split "train" or "test" of n >= 1 samples; train comes first. */
fmal_status fmal_writer_split(fmal_writer *w, const char *split, fmal_idx n);

/** Append count samples; all calls but the last of a split pass FMAL_BLOCK. */
fmal_status fmal_writer_add(fmal_writer *w, const unsigned char *rows,
                            const unsigned char *labels, int count);

/** Samples of the current split so far. */
fmal_idx fmal_writer_at(const fmal_writer *w);

/**
 * Write class names and channel statistics, close, sync, and rename over OUTPUT.
 *
 * @param names  [classes], NULL: "0", "1", ...
 */
fmal_status fmal_writer_finish(fmal_writer *w, int classes, const char *const *names);

/** Free *w and set it to NULL; removes OUTPUT.new unless it became OUTPUT. */
void fmal_writer_destroy(fmal_writer **w);

/* ---- Formats ---- */

fmal_status fmal_import_idx(const fmal_import *job);
fmal_status fmal_import_cifar10(const fmal_import *job);

#endif
