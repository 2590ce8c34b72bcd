/**
 * The images of the network with known answers as a data set without labels, in blocks
 * of 48: uneven on up to 4 ranks.
 */
#ifndef FMAL_GOLDEN_IMAGES_H
#define FMAL_GOLDEN_IMAGES_H

#include "fmal/data.h"
#include "fmal/mem.h"
#include "golden_net.h"

/** Cleared by golden_images_clear. Collective. */
static inline fmal_status golden_images(const fmal_ctx *ctx, fmal_h5 *h,
                                        fmal_dataset *set)
{
    fmal_split *split = &set->train;

    set->classes = GOLDEN_CLASSES;
    set->shape[0] = 3;
    set->shape[1] = set->shape[2] = 32;
    set->has_images = true;
    set->inputs = GOLDEN_INPUTS;
    set->row_bytes = GOLDEN_INPUTS;
    split->part = fmal_part_make(GOLDEN_N, 48, ctx);
    FMAL_TRY(fmal_alloc(&split->rows, split->part.count, set->row_bytes));
    FMAL_TRY(fmal_h5_read(h, "/mean", FMAL_F32, set->mean));
    FMAL_TRY(fmal_h5_read(h, "/std", FMAL_F32, set->std));
    return fmal_h5_read_rows(h, "/images", FMAL_U8, split->part.first,
                             split->part.count, split->rows);
}

static inline void golden_images_clear(fmal_dataset *set)
{
    fmal_free(&set->train.rows);
}

#endif
