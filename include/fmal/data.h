/**
 * Data sets: samples with labels, sharded over ranks in whole blocks.
 *
 * A data set file (docs/formats.md) holds a training and a test split of images or
 * features. Importers make one from the formats of the field.
 *
 *     fmal_dataset *set;
 *     fmal_dataset_open(ctx, "fmnist.h5", &set);
 *     fmal_dataset_skew(ctx, &skew, set);       some samples of some classes only
 *     fmal_dataset_decode(set, rows, n, x);     stored rows to network input
 *     fmal_dataset_close(&set);
 */
#ifndef FMAL_DATA_H
#define FMAL_DATA_H

#include "fmal/io.h"
#include "fmal/par.h"

/** Images have at most this many channels. */
enum { FMAL_MAX_CHANNELS = 16 };

/** One split, this rank's share of it. A plain value; owned by its data set. */
typedef struct fmal_split {
    fmal_part part;   /* who owns which sample */
    void *rows;       /* [part.count, row_bytes] of the data set: u8 pixels or f32 */
    int32_t *labels;  /* [part.count]; -1: unknown */
    fmal_idx *origin; /* [part.n] place of each sample in the file's split, ascending;
                         NULL: its own */
} fmal_split;

/** A data set, this rank's share of it. Read-only outside of this module. */
typedef struct fmal_dataset {
    char *path;
    fmal_split train, test;
    int classes;
    char **class_names; /* [classes] */
    int shape[3];       /* channels, height, width; features: d, 1, 1 */
    bool has_images;    /* rows are u8 pixels to be normalised; else f32 features */
    int inputs;         /* channels x height x width */
    size_t row_bytes;   /* bytes of a stored row */
    float mean[FMAL_MAX_CHANNELS], std[FMAL_MAX_CHANNELS]; /* per channel, of 0..1 */
    char checksum[33]; /* of images and labels, the same on any number of ranks */
} fmal_dataset;

/**
 * Open a data set and read this rank's share of it.
 *
 * Collective over ctx. Everything the file says is checked before it is believed:
 * shapes, types, labels in [-1, classes), finite features, std > 0.
 *
 * @param[out] out  owned by the caller, freed by fmal_dataset_close
 * @return FMAL_ERR_IO, FMAL_ERR_FORMAT (file, dataset, what was expected),
 * FMAL_ERR_NOMEM; agreed
 */
fmal_status fmal_dataset_open(const fmal_ctx *ctx, const char *path,
                              fmal_dataset **out);

/** Free *set and set it to NULL; *set may be NULL. Not collective. */
void fmal_dataset_close(fmal_dataset **set);

/** Place in the file of sample i, in [0, part.n), of a split. Not collective. */
fmal_idx fmal_split_origin(const fmal_split *split, fmal_idx i);

/** Samples of each class on all ranks, to counts [classes]. Collective over ctx. */
void fmal_split_count(const fmal_ctx *ctx, const fmal_split *split, int classes,
                      int64_t *counts);

/** How many samples of a class to keep. A plain value. */
typedef struct fmal_class_count {
    int label;
    fmal_idx count;
} fmal_class_count;

/** An imbalanced training pool. A plain value; counts are borrowed. */
typedef struct fmal_skew {
    const fmal_class_count *counts; /* [n_counts] classes to keep, in any order */
    int n_counts;                   /* 0: all classes */
    double long_tail; /* without counts: class i of c keeps floor(m f^(i / (c - 1))), m
                         the largest class's size; in (0, 1]; 1: each all it has */
    uint64_t seed;    /* which samples: those of the lowest keys of (seed, sample) */
} fmal_skew;

/**
 * Cut the training pool of an open data set to an imbalanced one.
 *
 * With counts, only the classes that they name stay, in both splits, and are numbered
 * anew in ascending order: the test split keeps all of their samples. With a long tail,
 * a class that has fewer samples than the tail leaves it keeps all, and the test split
 * stays as it is. Samples without a label go. What is left is shared out evenly anew;
 * shape, normalisation and checksum stay those of the file. A pool of more samples of a
 * class holds those of a pool of fewer.
 *
 * Collective over ctx; skew equal on all ranks; set is one that was just opened.
 *
 * @return FMAL_ERR_USAGE: a class that is not there or is named twice, fewer than two
 *         classes, more samples than the class has or less than one, no sample left to
 *         a class; FMAL_ERR_NOMEM; agreed; set is then as it was
 * Cost: at most 37 bytes for each sample of the file on the root, for a moment; rows
 * move once, and are there twice while they do.
 */
fmal_status fmal_dataset_skew(const fmal_ctx *ctx, const fmal_skew *skew,
                              fmal_dataset *set);

/**
 * Stored rows to network input: (pixel / 255 - mean) / std per channel; features as is.
 *
 * Not collective.
 *
 * @param rows    [n, set->row_bytes]; borrowed
 * @param[out] x  [n, set->inputs], of the caller
 */
void fmal_dataset_decode(const fmal_dataset *set, const void *rows, fmal_idx n,
                         float *x);

/** What to import. A plain value; everything in it is borrowed. */
typedef struct fmal_import {
    /* idx: one file each, plain or gzip. cifar10: any number of binary batches, and no
       labels, since a batch holds its own. */
    char **images, **test_images;
    int n_images, n_test_images;
    const char *labels, *test_labels; /* idx only */
    const char *output;
    const char *history; /* the command line, for provenance */
} fmal_import;

/** A format that can be imported. */
typedef struct fmal_reader {
    const char *name;
    const char *summary; /* one line */
    fmal_status (*import)(const fmal_import *job);
} fmal_reader;

/** Readers, ended by one whose name is NULL; and their names alone, for option tables.
 */
extern const fmal_reader fmal_readers[];
extern const char *const fmal_reader_names[];

/**
 * Import a data set: read, check, compute channel means, write, all or nothing.
 *
 * Not collective; runs on one process. Truncated files, wrong magic numbers, counts
 * that disagree and labels out of range are refused with file, offset and what was
 * expected. Samples are streamed in blocks; memory does not grow with their number.
 *
 * @return FMAL_ERR_USAGE (files missing for this format), FMAL_ERR_FORMAT, FMAL_ERR_IO
 */
fmal_status fmal_import_run(const fmal_reader *reader, const fmal_import *job);

#endif
