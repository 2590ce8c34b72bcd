/**
 * Files: HDF5 read in parallel and written whole or not at all.
 *
 * The central object is fmal_h5, an open HDF5 file. Small outputs (picks, checkpoints)
 * are built in memory and saved by one atomic replacement, so that a full disk or a
 * crash leaves the file before it untouched; large ones (data sets) are streamed into a
 * file beside the target and renamed at the end.
 *
 *     fmal_h5 *h;
 *     fmal_h5_create_image(&h);
 *     fmal_h5_write(h, &(fmal_h5_spec){ .name = "/picks/index", ... }, index);
 *     fmal_h5_save(h, "picks.h5", FMAL_SAVE_PLAIN);
 *     fmal_h5_close(&h);
 *
 * HDF5's own error stack is silenced; its innermost reason is part of our messages.
 */
#ifndef FMAL_IO_H
#define FMAL_IO_H

#include <stdbool.h>

#include "fmal/par.h"
#include "fmal/status.h"

/* ---- Plain files ---- */

/**
 * Replace a file by new content, all or nothing: write beside it, sync, rename, sync
 * the directory. Not collective.
 *
 * @return FMAL_ERR_IO with path and reason; the old file is then untouched
 */
fmal_status fmal_file_replace(const char *path, const void *data, size_t bytes);

/** Rename a file that was synced, and sync the directory. Not collective. */
fmal_status fmal_file_move(const char *from, const char *to);

/** Whether two paths are, or would be if created, one file. Not collective. */
bool fmal_file_same(const char *a, const char *b);

/**
 * Let `previous` name what path names now, so that path may be replaced; nothing if
 * path does not exist. At every moment at least one of the two is whole. Not
 * collective.
 */
fmal_status fmal_file_keep(const char *path, const char *previous);

/** Write all bytes to a descriptor, however many calls it takes. Not collective.
    @return 0, or -1 with errno set */
int fmal_write_all(int fd, const void *from, size_t bytes);

/** Whether a path exists. Not collective. */
bool fmal_file_exists(const char *path);

/**
 * Whether a file can be created at path: its directory exists and takes new files, and
 * nothing is there yet, unless `force`. Not collective.
 *
 * @return FMAL_ERR_EXISTS (says --force), FMAL_ERR_IO
 */
fmal_status fmal_file_check_output(const char *path, bool force);

/**
 * Read a whole file. Not collective.
 *
 * @param[out] data   freed by fmal_free; one zero byte follows the content
 * @param      limit  refuse files of more bytes
 */
fmal_status fmal_file_read(const char *path, size_t limit, char **data, size_t *bytes);

/** XXH3-128 of bytes, as 32 hexadecimal digits and a zero. Not collective. */
void fmal_checksum(const void *data, size_t bytes, char hex[33]);

/**
 * Checksum of rows that are spread over ranks: that of their blocks' checksums in
 * order, the same on any number of ranks.
 *
 * Collective over ctx.
 * @param rows  [part->count, row_bytes]; borrowed
 * @return FMAL_ERR_NOMEM, agreed
 */
fmal_status fmal_checksum_rows(const fmal_ctx *ctx, const fmal_part *part,
                               const void *rows, size_t row_bytes, char hex[33]);

/** The last part of that: from checksums of this rank's blocks, [part->block_count]. */
fmal_status fmal_checksum_blocks(const fmal_ctx *ctx, const fmal_part *part,
                                 char (*sums)[33], char hex[33]);

/* ---- HDF5 ---- */

/** An open HDF5 file. Opaque. */
typedef struct fmal_h5 fmal_h5;

/** Element types in memory. What a file holds is converted. */
typedef enum fmal_type {
    FMAL_U8,
    FMAL_I32,
    FMAL_I64,
    FMAL_F32,
    FMAL_F64,
    FMAL_STR, /* char *, in arrays of strings */
} fmal_type;

enum { FMAL_MAX_DIMS = 4 };

/** What a file says of a dataset. A plain value. */
typedef struct fmal_h5_info {
    bool exists;
    enum { FMAL_H5_INTEGER, FMAL_H5_FLOAT, FMAL_H5_STRING, FMAL_H5_OTHER } kind;
    bool is_signed;
    int bytes; /* of an element */
    int ndims; /* may exceed FMAL_MAX_DIMS: then dims holds the first ones */
    fmal_idx dims[FMAL_MAX_DIMS];
} fmal_h5_info;

/** What is written with a dataset. */
typedef struct fmal_h5_spec {
    const char *name; /* path; groups on the way are made */
    fmal_type type;
    int ndims; /* 0: a scalar */
    fmal_idx dims[FMAL_MAX_DIMS];
    const char *label[FMAL_MAX_DIMS]; /* dimension labels */
    const char *long_name;            /* what it is, in a sentence */
    const char *units;                /* NULL if it has none */
    bool compress;                    /* shuffle + deflate, chunks of FMAL_BLOCK rows */
} fmal_h5_spec;

/** Open for reading on this process alone. @return FMAL_ERR_IO, FMAL_ERR_FORMAT. */
fmal_status fmal_h5_open(const char *path, fmal_h5 **out);

/**
 * Open for reading on all ranks.
 *
 * Collective over ctx: the root opens the file alone first, so that a bad file is one
 * rank's verdict before anyone opens it together.
 */
fmal_status fmal_h5_open_all(const fmal_ctx *ctx, const char *path, fmal_h5 **out);

/** Create a file, truncating it, to be streamed into by this process. */
fmal_status fmal_h5_create(const char *path, fmal_h5 **out);

/** Create a file in memory, for fmal_h5_save. Not collective. */
fmal_status fmal_h5_create_image(fmal_h5 **out);

typedef enum fmal_save {
    FMAL_SAVE_PLAIN,
    FMAL_SAVE_CHECKED, /* with a first block of 512 bytes that says size and checksum */
} fmal_save;

/** Write a file made in memory to path, all or nothing. Not collective. */
fmal_status fmal_h5_save(fmal_h5 *h, const char *path, fmal_save how);

/**
 * Open a file of FMAL_SAVE_CHECKED after comparing its size and checksum.
 *
 * @return FMAL_ERR_FORMAT saying what does not agree, before HDF5 sees the file
 */
fmal_status fmal_h5_open_checked(const char *path, fmal_h5 **out);

/** Whether a file begins as one of FMAL_SAVE_CHECKED. Not collective. */
bool fmal_h5_is_checked(const char *path);

/**
 * The same on all ranks: the root reads and checks the file and sends its bytes, so
 * that all see the same content. What follows on the handle is not collective.
 *
 * Collective over ctx. @return as above, agreed
 */
fmal_status fmal_h5_open_checked_all(const fmal_ctx *ctx, const char *path,
                                     fmal_h5 **out);

/**
 * Close *h and set it to NULL; *h may be NULL.
 *
 * Collective if it was opened on all ranks.
 * @return FMAL_ERR_IO if what was streamed could not be written
 */
fmal_status fmal_h5_close(fmal_h5 **h);

/** Let go of HDF5 altogether; before MPI_Finalize. */
void fmal_h5_shutdown(void);

/** What is at a path; info->exists is false if nothing or no dataset is. Collective if
   h was opened on all ranks, as reading attributes is. */
void fmal_h5_info_of(fmal_h5 *h, const char *name, fmal_h5_info *info);

/**
 * Names of the members of a group of the root, in order. Not collective; the file is
 * open on this process alone.
 *
 * @param most        refuse groups of more members
 * @param[out] names  [n], each and the array freed by fmal_free
 * @return FMAL_ERR_FORMAT if there is no such group, FMAL_ERR_IO, FMAL_ERR_NOMEM
 */
fmal_status fmal_h5_list(fmal_h5 *h, const char *group, int most, char ***names,
                         int *n);

/** The path the file was opened with, for messages. */
const char *fmal_h5_path(const fmal_h5 *h);

/**
 * Read rows [first, first + count) of a dataset, converted to `type`.
 *
 * Collective if h was opened on all ranks: each passes its own range, which may be
 * empty. Reads in pieces of at most 256 MiB.
 *
 * @param[out] out  [count, product of the other dims] of the caller
 * @return FMAL_ERR_IO with dataset and reason, agreed if collective
 */
fmal_status fmal_h5_read_rows(fmal_h5 *h, const char *name, fmal_type type,
                              fmal_idx first, fmal_idx count, void *out);

/** Read a whole dataset of known shape on this process. */
fmal_status fmal_h5_read(fmal_h5 *h, const char *name, fmal_type type, void *out);

/**
 * One element of a one-dimensional dataset as text: a string, or a number in decimal.
 *
 * @param[out] text  freed by fmal_free
 */
fmal_status fmal_h5_read_text_at(fmal_h5 *h, const char *name, fmal_idx at,
                                 char **text);

/** A scalar string dataset. @param[out] text freed by fmal_free. */
fmal_status fmal_h5_read_text(fmal_h5 *h, const char *name, char **text);

/** Create a dataset and write all of it. */
fmal_status fmal_h5_write(fmal_h5 *h, const fmal_h5_spec *spec, const void *data);

/** The same for a list [n] of `label`; `units` may be NULL. */
fmal_status fmal_h5_write_list(fmal_h5 *h, const char *name, fmal_type type, fmal_idx n,
                               const char *label, const char *long_name,
                               const char *units, const void *data);

/** Create a dataset to be filled by rows, and write rows of it. */
fmal_status fmal_h5_create_rows(fmal_h5 *h, const fmal_h5_spec *spec);
fmal_status fmal_h5_write_rows(fmal_h5 *h, const char *name, fmal_type type,
                               fmal_idx first, fmal_idx count, const void *data);

/** Write a text as a scalar string dataset. */
fmal_status fmal_h5_write_text(fmal_h5 *h, const char *name, const char *text,
                               const char *long_name);

/** Attributes of an object ("/" for the root). Text is kept short: long text is a
    dataset. */
fmal_status fmal_h5_attr_text(fmal_h5 *h, const char *object, const char *name,
                              const char *value);
fmal_status fmal_h5_attr_i64(fmal_h5 *h, const char *object, const char *name,
                             int64_t value);
fmal_status fmal_h5_attr_f64(fmal_h5 *h, const char *object, const char *name,
                             double value);

/** Whether an object has an attribute. */
bool fmal_h5_has_attr(fmal_h5 *h, const char *object, const char *name);

/** Read attributes; @return FMAL_ERR_FORMAT if absent or of another kind. */
fmal_status fmal_h5_get_text(fmal_h5 *h, const char *object, const char *name,
                             char *value, size_t size);
fmal_status fmal_h5_get_i64(fmal_h5 *h, const char *object, const char *name,
                            int64_t *value);
fmal_status fmal_h5_get_f64(fmal_h5 *h, const char *object, const char *name,
                            double *value);

/** Root attributes every file of ours carries: schema, version, history. */
fmal_status fmal_h5_stamp(fmal_h5 *h, const char *schema, const char *history);

/** Version of the HDF5 library, as 1.10.8. */
void fmal_h5_version(char *text, size_t size);

#endif
