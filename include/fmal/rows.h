/**
 * Rows of numbers, one for each of this rank's samples, wherever they are: in memory,
 * or in a file from which they are read, a block of samples at a time, whenever they
 * are wanted.
 *
 *     fmal_rows rows = { .all = features, .width = d };          in memory
 *     fmal_rows rows = { .file = file, .width = d };             in a file
 *     const float *h = fmal_rows_at(&rows, il);
 *
 * Reading may fail in the midst of a pass. Rows are zeros from then on, and whoever
 * made the pass asks fmal_rows_status at its end.
 */
#ifndef FMAL_ROWS_H
#define FMAL_ROWS_H

#include "fmal/clock.h"
#include "fmal/par.h"

/** Rows in a dataset of an HDF5 file, and those of one block of samples in memory. */
typedef struct fmal_rows_file fmal_rows_file;

/** A plain value; all is borrowed. */
typedef struct fmal_rows {
    const float *all; /* [part.count, width]; NULL: they are in the file */
    fmal_idx width;
    fmal_rows_file *file; /* NULL: they are in memory */
} fmal_rows;

/**
 * Open rows of numbers, [part->n, width] or of more dimensions, to be read as floats.
 *
 * Not collective: no rank waits for another when it reads.
 *
 * @param part    whose rows fmal_rows_at gives; copied
 * @param phases  reading is taken out of the phase at hand and counted as
 *                FMAL_PHASE_READ; borrowed; may be NULL
 * @return FMAL_ERR_IO, FMAL_ERR_FORMAT, FMAL_ERR_NOMEM
 */
fmal_status fmal_rows_open(const char *path, const char *name, const fmal_part *part,
                           fmal_phases *phases, fmal_rows_file **out);

/** Close *f and set it to NULL; *f may be NULL. Not collective. */
void fmal_rows_close(fmal_rows_file **f);

/** Bytes of an open one with rows so wide; chunks of a dataset that has any apart. */
double fmal_rows_bytes(fmal_idx width);

/** Row il of this rank, from the file: see fmal_rows_at. */
const float *fmal_rows_load(fmal_rows_file *f, fmal_idx il);

/**
 * Row il of this rank, [width], and behind it those that follow in its block: good
 * until a row of another block is asked for. Not collective.
 */
static inline const float *fmal_rows_at(const fmal_rows *rows, fmal_idx il)
{
    return rows->all ? rows->all + il * rows->width : fmal_rows_load(rows->file, il);
}

/**
 * Whether all that was read so far is good; always, if in memory.
 *
 * Not collective: agree on it.
 * @return FMAL_ERR_IO: the file was cut or changed, a read failed; FMAL_ERR_FORMAT
 *         naming a sample whose numbers are not finite: what happened first
 */
fmal_status fmal_rows_status(const fmal_rows *rows);

/** Any one row by its global index, of other ranks too. Not collective.
    @return as fmal_rows_status */
fmal_status fmal_rows_read(fmal_rows_file *f, fmal_idx index_g, float *row);

/** fmal_checksum_rows of such rows. Collective over ctx. @return also as
    fmal_rows_status; agreed */
fmal_status fmal_rows_checksum(const fmal_ctx *ctx, const fmal_part *part,
                               const fmal_rows *rows, char hex[33]);

#endif
