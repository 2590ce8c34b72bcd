/**
 * Rows that are computed block by block and kept in a file: finished blocks survive the
 * process, on any number of ranks, and rows can be used without being in memory.
 *
 *     fmal_blocks_open(ctx, "jacobian.part", key, &part, row_bytes, &blocks);
 *     if (!fmal_blocks_get(blocks, b, rows))
 *         compute(b, rows), st = fmal_blocks_put(blocks, b, rows);
 *     fmal_blocks_map(blocks, &all);
 *
 * Every block has a checksum beside it, so that one which a crash left unfinished is
 * known for what it is. It is no file to pass on: numbers are as this machine has them,
 * and it is begun anew when the key is another.
 */
#ifndef FMAL_BLOCKS_H
#define FMAL_BLOCKS_H

#include "fmal/par.h"

/** Such a file, open on this rank. Opaque. */
typedef struct fmal_blocks fmal_blocks;

/**
 * Open the file of this key, part->n, part->block and row_bytes, or begin it anew.
 *
 * Collective over ctx.
 *
 * @param key        32 digits (fmal_checksum) of all that the rows depend on
 * @param part       copied
 * @param row_bytes  at least 1
 * @return FMAL_ERR_IO, FMAL_ERR_EXISTS if another kind of file is there (which stays as
 *         it is), FMAL_ERR_NOMEM; agreed
 */
fmal_status fmal_blocks_open(const fmal_ctx *ctx, const char *path, const char *key,
                             const fmal_part *part, size_t row_bytes,
                             fmal_blocks **out);

/**
 * How many blocks of such a file have been written, of how many. Not collective.
 *
 * @return false if there is no such file
 */
bool fmal_blocks_count(const char *path, fmal_idx *done, fmal_idx *all);

/** Close *b and set it to NULL; the file stays, rows that were mapped go. *b may be
    NULL. Not collective. */
void fmal_blocks_close(fmal_blocks **b);

/**
 * Read block b of this rank, if it is there and whole. Not collective.
 *
 * @param[out] rows  [fmal_part_block_rows, row_bytes]; undefined if it is not
 */
bool fmal_blocks_get(fmal_blocks *b, fmal_idx block, void *rows);

/** Write block b of this rank. Not collective. @return FMAL_ERR_IO (disk full) */
fmal_status fmal_blocks_put(fmal_blocks *b, fmal_idx block, const void *rows);

/**
 * All rows of this rank, [part.count, row_bytes], as the system reads them from the
 * file when they are looked at; compared with their checksums once, now.
 *
 * Not collective. Every block of this rank has been got or put.
 *
 * @param[out] rows  good until fmal_blocks_close; the file must not be cut meanwhile
 * @return FMAL_ERR_IO, naming a block that is not what was written
 */
fmal_status fmal_blocks_map(fmal_blocks *b, const void **rows);

#endif
