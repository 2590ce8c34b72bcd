/**
 * A data set of images in memory: random pixels, none of them black. A sample depends
 * on its global index alone.
 */
#ifndef FMAL_TEST_PICTURES_H
#define FMAL_TEST_PICTURES_H

#include <stdlib.h>
#include <string.h>

#include "fmal/data.h"
#include "fmal/mem.h"
#include "fmal/rng.h"

enum { PICTURE_CLASSES = 3, PICTURE_CHANNELS = 2, PICTURE_BLOCK = 4 };

/** A training split of n images; freed by pictures_clear. */
static inline fmal_dataset pictures(const fmal_ctx *ctx, fmal_idx n, int height,
                                    int width)
{
    int pixels = PICTURE_CHANNELS * height * width;
    fmal_dataset set = { .classes = PICTURE_CLASSES,
                         .shape = { PICTURE_CHANNELS, height, width },
                         .has_images = true,
                         .inputs = pixels,
                         .row_bytes = (size_t) pixels,
                         .mean = { 0.4f, 0.6f },
                         .std = { 0.3f, 0.2f } };
    fmal_split *split = &set.train;
    uint8_t *rows = NULL;

    split->part = fmal_part_make(n, PICTURE_BLOCK, ctx);
    if (FMAL_ALLOC(&rows, split->part.count * pixels) ||
        FMAL_ALLOC(&split->labels, split->part.count))
        abort();
    for (fmal_idx il = 0; il < split->part.count; il++) {
        fmal_idx ig = split->part.first + il;
        fmal_rng r = fmal_rng_stream(3, FMAL_RNG_INITIAL, 0, (uint64_t) ig);

        for (int j = 0; j < pixels; j++)
            rows[il * pixels + j] = (uint8_t) (1 + fmal_rng_below(&r, 255));
        split->labels[il] = (int32_t) (ig * 7 % PICTURE_CLASSES);
    }
    split->rows = rows;
    return set;
}

static inline void pictures_clear(fmal_dataset *set)
{
    fmal_free(&set->train.rows);
    fmal_free(&set->train.labels);
}

#endif
