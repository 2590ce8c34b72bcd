/**
 * A data set in memory: normal clouds, one a class, so that training has something to
 * learn. A sample depends on its global index alone.
 */
#ifndef FMAL_TEST_BLOBS_H
#define FMAL_TEST_BLOBS_H

#include <stdlib.h>
#include <string.h>

#include "fmal/data.h"
#include "fmal/mem.h"
#include "fmal/nn.h"
#include "fmal/rng.h"
#include "fmal/train.h"

enum { BLOB_INPUTS = 6, BLOB_CLASSES = 3, BLOB_BLOCK = 4, BLOB_HIDDEN = 5 };

static inline void blobs_split(fmal_split *split, const fmal_ctx *ctx, fmal_idx n,
                               uint32_t which)
{
    float *x = NULL;

    split->part = fmal_part_make(n, BLOB_BLOCK, ctx);
    if (FMAL_ALLOC(&x, split->part.count * BLOB_INPUTS) ||
        FMAL_ALLOC(&split->labels, split->part.count))
        abort();
    for (fmal_idx il = 0; il < split->part.count; il++) {
        fmal_idx ig = split->part.first + il;
        fmal_rng r = fmal_rng_stream(17, FMAL_RNG_INITIAL, which, (uint64_t) ig);
        int label = (int) (ig * 7 % BLOB_CLASSES);

        for (int j = 0; j < BLOB_INPUTS; j++)
            x[il * BLOB_INPUTS + j] =
                (float) (fmal_rng_normal(&r) + (j == label ? 4 : 0));
        split->labels[il] = label;
    }
    split->rows = x;
}

/** Collective over ctx, as far as a part is; every rank fills its own. */
static inline fmal_dataset blobs(const fmal_ctx *ctx, fmal_idx n_train, fmal_idx n_test)
{
    fmal_dataset set = { .classes = BLOB_CLASSES,
                         .shape = { BLOB_INPUTS, 1, 1 },
                         .inputs = BLOB_INPUTS,
                         .row_bytes = BLOB_INPUTS * sizeof(float) };

    blobs_split(&set.train, ctx, n_train, 0);
    blobs_split(&set.test, ctx, n_test, 1);
    return set;
}

static inline void blobs_clear(fmal_dataset *set)
{
    fmal_free(&set->train.rows);
    fmal_free(&set->train.labels);
    fmal_free(&set->test.rows);
    fmal_free(&set->test.labels);
}

/** Overwrite one input of a sample on the rank that has it. */
static inline void blobs_poke(fmal_split *split, fmal_idx ig, float value)
{
    fmal_idx il = ig - split->part.first;

    if (il >= 0 && il < split->part.count)
        ((float *) split->rows)[il * BLOB_INPUTS + 1] = value;
}

/** Overwrite a label likewise. */
static inline void blobs_label(fmal_split *split, fmal_idx ig, int32_t label)
{
    fmal_idx il = ig - split->part.first;

    if (il >= 0 && il < split->part.count)
        split->labels[il] = label;
}

static inline bool same_bits(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}

static inline bool same_count(const fmal_train_count *a, const fmal_train_count *b)
{
    return a->epochs == b->epochs && a->steps == b->steps &&
           a->best_epoch == b->best_epoch && a->best_loss == b->best_loss;
}

/** A network for it, with first weights. */
static inline fmal_net *blobs_net(const char *arch)
{
    const int shape[3] = { BLOB_INPUTS, 1, 1 };
    fmal_net *net = NULL;

    if (fmal_net_create(arch, shape, BLOB_CLASSES, BLOB_HIDDEN, 64, &net) != FMAL_OK)
        abort();
    fmal_net_init(net, 1, 0);
    return net;
}

#endif
