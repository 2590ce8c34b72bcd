/*
 * Samples held out of training, to see on others when to stop.
 *
 * A sample's key depends on the seed and its own number alone, and those with the
 * lowest keys are held out. So few change sides while the labelled set grows from round
 * to round, and with --warm weights are judged by samples that they have hardly seen.
 */
#include "train_impl.h"
#include "fmal/mem.h"
#include "fmal/rng.h"

#include <stdlib.h>

typedef struct {
    uint64_t key;
    fmal_idx index_g;
} keyed;

static int compare_keyed(const void *a, const void *b)
{
    const keyed *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->index_g > y->index_g) - (x->index_g < y->index_g);
}

static int compare_index(const void *a, const void *b)
{
    const fmal_idx *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

void fmal_index_sort(fmal_idx *index_g, fmal_idx n)
{
    qsort(index_g, (size_t) n, sizeof *index_g, compare_index);
}

/* Order samples by their keys, the highest first. */
static fmal_status sort_by_key(uint64_t seed, fmal_idx *index_g, fmal_idx n)
{
    keyed *all = NULL;

    FMAL_TRY(FMAL_ALLOC(&all, n));
    for (fmal_idx i = 0; i < n; i++) {
        fmal_rng r =
            fmal_rng_stream(seed, FMAL_RNG_VALIDATION, 0, (uint64_t) index_g[i]);

        all[i] = (keyed){ fmal_rng_u64(&r), index_g[i] };
    }
    qsort(all, (size_t) n, sizeof *all, compare_keyed);
    for (fmal_idx i = 0; i < n; i++)
        index_g[i] = all[n - 1 - i].index_g;
    fmal_free(&all);
    return FMAL_OK;
}

fmal_idx fmal_holdout_count(const fmal_train_options *options, fmal_idx n)
{
    fmal_idx held = (fmal_idx) (options->validation * (double) n + 0.5);

    if (options->validation <= 0)
        return 0;
    return held > 0 ? held : 1;
}

fmal_status fmal_holdout_choose(uint64_t seed, fmal_idx *index_g, fmal_idx n,
                                fmal_idx n_held)
{
    FMAL_TRY(sort_by_key(seed, index_g, n));
    fmal_index_sort(index_g, n - n_held);
    fmal_index_sort(index_g + n - n_held, n_held);
    return FMAL_OK;
}

fmal_status fmal_holdout_fetch(const fmal_ctx *ctx, const fmal_dataset *set,
                               const fmal_idx *index_g, fmal_idx n, int block,
                               fmal_split *held)
{
    const fmal_split *train = &set->train;

    held->part = fmal_part_make(n, block, ctx);
    fmal_status st = fmal_alloc(&held->rows, held->part.count, set->row_bytes);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&held->labels, held->part.count);
    FMAL_TRY(fmal_agree(ctx, st));
    index_g += held->part.first;
    FMAL_TRY(fmal_fetch_rows(ctx, &train->part, train->rows, set->row_bytes, index_g,
                             held->part.count, held->rows));
    return fmal_fetch_rows(ctx, &train->part, train->labels, sizeof *train->labels,
                           index_g, held->part.count, held->labels);
}

void fmal_holdout_clear(fmal_split *held)
{
    fmal_free(&held->rows);
    fmal_free(&held->labels);
}
