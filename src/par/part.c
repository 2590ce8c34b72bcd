#include "fmal/par.h"

/* Rank r owns blocks [blocks r / size, blocks (r + 1) / size): shares differ by at most
   one block, and with fewer blocks than ranks the empty ranks are spread out. */
static fmal_idx block_start(fmal_idx blocks, int rank, int size)
{
    return blocks / size * rank + blocks % size * rank / size;
}

fmal_part fmal_part_of(fmal_idx n, int block, int rank, int size)
{
    fmal_part part = { .n = n, .block = block, .size = size };
    fmal_idx end_block, end;

    part.blocks = (n + block - 1) / block;
    part.first_block = block_start(part.blocks, rank, size);
    end_block = block_start(part.blocks, rank + 1, size);
    part.block_count = end_block - part.first_block;
    end = end_block * block < n ? end_block * block : n;
    part.first = part.first_block * block < n ? part.first_block * block : n;
    part.count = end - part.first;
    return part;
}

fmal_part fmal_part_make(fmal_idx n, int block, const fmal_ctx *ctx)
{
    return fmal_part_of(n, block, ctx->rank, ctx->size);
}

int fmal_part_owner(const fmal_part *part, fmal_idx ig)
{
    fmal_idx b = ig / part->block;
    int low = 0, high = part->size - 1;

    while (low < high) { /* the last rank whose first block is at most b */
        int middle = (low + high + 1) / 2;

        if (block_start(part->blocks, middle, part->size) <= b)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int fmal_part_block_rows(const fmal_part *part, fmal_idx b)
{
    fmal_idx left = part->count - b * part->block;

    return (int) (left < part->block ? left : part->block);
}
