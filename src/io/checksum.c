#include "fmal/io.h"
#include "fmal/mem.h"

#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void fmal_checksum(const void *data, size_t bytes, char hex[33])
{
    XXH128_hash_t h = XXH3_128bits(data, bytes);

    snprintf(hex, 33, "%016llx%016llx", (unsigned long long) h.high64,
             (unsigned long long) h.low64);
}

fmal_status fmal_checksum_blocks(const fmal_ctx *ctx, const fmal_part *part,
                                 char (*sums)[33], char hex[33])
{
    char(*all)[33] = NULL;
    size_t total = 0;

    FMAL_TRY(fmal_gather(ctx, sums, (size_t) part->block_count * sizeof *sums, &all,
                         &total));
    if (ctx->rank == 0)
        fmal_checksum(all, total, hex);
    fmal_bcast(ctx, hex, 33, 0);
    fmal_free(&all);
    return FMAL_OK;
}

fmal_status fmal_checksum_rows(const fmal_ctx *ctx, const fmal_part *part,
                               const void *rows, size_t row_bytes, char hex[33])
{
    char(*mine)[33] = NULL;
    size_t block_bytes = (size_t) part->block * row_bytes;
    fmal_status st =
        fmal_agree(ctx, fmal_alloc(&mine, part->block_count, sizeof *mine));

    for (fmal_idx b = 0; b < part->block_count && st == FMAL_OK; b++)
        fmal_checksum((const char *) rows + (size_t) b * block_bytes,
                      (size_t) fmal_part_block_rows(part, b) * row_bytes, mine[b]);
    if (st == FMAL_OK)
        st = fmal_checksum_blocks(ctx, part, mine, hex);
    fmal_free(&mine);
    return st;
}
