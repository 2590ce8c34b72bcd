/*
 * Samples in the order of their scores, so that those that may be the best next sit
 * together in few tiles, and the others need not be touched. What the numbers of a
 * sample are does not depend on its place.
 */
#include "select_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <stdlib.h>

enum { LANES = FMAL_STREAM_LANES };

typedef struct {
    float score;
    fmal_idx slot, local; /* -1 in padding */
} place;

double fmal_scan_sort_bytes(fmal_idx n, int r)
{
    return (double) n * (sizeof(place) + 2.0 * r * (r + 1)) +
           (double) (n / LANES) * sizeof(fmal_idx);
}

static int by_score(const void *a, const void *b)
{
    const place *x = a, *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->slot > y->slot) - (x->slot < y->slot);
}

/* The lanes of all tiles that have seen more than `since` steps, and those tiles. */
static fmal_idx collect(const fmal_scan *scan, int since, place *places,
                        fmal_idx *tiles)
{
    fmal_idx n = 0;

    for (fmal_idx tile = 0; tile < scan->tiles; tile++) {
        if (scan->done[tile] <= since)
            continue;
        for (int lane = 0; lane < LANES && places; lane++) {
            fmal_idx slot = tile * LANES + lane;

            places[n * LANES + lane] = (place){ scan->score[slot], slot,
                                                fmal_stream_local(scan->stream, slot) };
        }
        if (tiles)
            tiles[n] = tile;
        n++;
    }
    return n;
}

/* Matrix elements of one lane, [count], from or to x [tiles, count, LANES]. */
static void take(const float *x, size_t count, fmal_idx slot, float *to)
{
    const float *from = x + (size_t) (slot / LANES) * count * LANES + slot % LANES;

    for (size_t e = 0; e < count; e++)
        to[e] = from[e * LANES];
}

static void put(float *x, size_t count, fmal_idx slot, const float *from)
{
    float *to = x + (size_t) (slot / LANES) * count * LANES + slot % LANES;

    for (size_t e = 0; e < count; e++)
        to[e * LANES] = from[e];
}

/* The matrices x of the places' samples to the tiles, in the places' order. */
static void move_matrices(fmal_scan *scan, const place *places, const fmal_idx *tiles,
                          fmal_idx n, float *x, float *held)
{
    size_t count = (size_t) scan->r * (size_t) (scan->r + 1) / 2;

    for (fmal_idx k = 0; k < n * LANES; k++)
        take(x, count, places[k].slot, held + (size_t) k * count);
    for (fmal_idx k = 0; k < n * LANES; k++)
        put(x, count, tiles[k / LANES] * LANES + k % LANES, held + (size_t) k * count);
}

/* Everything else of a tile's samples: packed features, places, who is out. */
static void move_samples(fmal_scan *scan, const place *places, fmal_idx tile)
{
    fmal_idx local[LANES];

    for (int lane = 0; lane < LANES; lane++) {
        fmal_idx slot = tile * LANES + lane;

        local[lane] = places[lane].local;
        scan->out[slot] = places[lane].score == -INFINITY;
        if (local[lane] >= 0)
            scan->slot[local[lane]] = slot;
    }
    fmal_stream_put(scan->stream, tile, local);
}

fmal_status fmal_scan_sort(fmal_scan *scan, int since)
{
    fmal_idx n = collect(scan, since, NULL, NULL), count = scan->r * (scan->r + 1) / 2;
    place *places = NULL;
    fmal_idx *tiles = NULL;
    float *held = NULL;
    fmal_status st;

    if (scan->bad) /* NaN has no place in an order: padding might come before samples */
        return FMAL_OK;
    st = FMAL_ALLOC(&places, n * LANES);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&tiles, n);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&held, n * LANES * count);
    if (st == FMAL_OK) {
        collect(scan, since, places, tiles);
        qsort(places, (size_t) (n * LANES), sizeof *places, by_score);
        move_matrices(scan, places, tiles, n, scan->g, held);
        move_matrices(scan, places, tiles, n, scan->b, held);
        for (fmal_idx i = 0; i < n; i++) {
            move_samples(scan, places + i * LANES, tiles[i]);
            fmal_scan_score(scan, tiles[i]);
        }
    }
    fmal_free(&places);
    fmal_free(&tiles);
    fmal_free(&held);
    return st;
}
