/*
 * Small inputs for the tests of restarts, a function of their seed alone:
 *
 *     make_data set FILE SEED TRAIN TEST      a data set: blurred spots, one place a
 * class make_data pool FILE SEED N D C          a pool: clouds, some of them labelled
 *
 * Classes overlap, so that a training takes several epochs and picks differ from round
 * to round.
 */
#include "fmal/io.h"
#include "fmal/mem.h"
#include "fmal/rng.h"
#include "write_array.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 8, CLASSES = 3 };

/* ---- A data set ---- */

/* One picture: a spot somewhere near the place of its class, under noise. */
static void draw(fmal_rng *r, int label, uint8_t *pixels)
{
    static const double place[CLASSES][2] = { { 2.5, 2.5 },
                                              { 2.5, 5.0 },
                                              { 5.0, 3.5 } };
    double y0 = place[label][0] + fmal_rng_normal(r);
    double x0 = place[label][1] + fmal_rng_normal(r);

    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            double square = (y - y0) * (y - y0) + (x - x0) * (x - x0);
            double value = 200 * exp(-square / 4) + 25 * fmal_rng_normal(r);

            pixels[y * SIDE + x] = (uint8_t) fmin(fmax(value, 0), 255);
        }
}

static fmal_status write_split(fmal_h5 *h, const char *split, uint64_t seed,
                               uint32_t which, fmal_idx n)
{
    const fmal_idx dims[4] = { n, 1, SIDE, SIDE };
    uint8_t *pixels = NULL;
    int32_t *labels = NULL;
    char name[32];
    fmal_status st = FMAL_ALLOC(&pixels, n * SIDE * SIDE);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&labels, n);
    for (fmal_idx i = 0; i < n && st == FMAL_OK; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INITIAL, which, (uint64_t) i);

        labels[i] = (int32_t) fmal_rng_below(&r, CLASSES);
        draw(&r, labels[i], pixels + i * SIDE * SIDE);
    }
    snprintf(name, sizeof name, "/%s/images", split);
    if (st == FMAL_OK)
        st = write_array(h, name, FMAL_U8, 4, dims, pixels);
    snprintf(name, sizeof name, "/%s/labels", split);
    if (st == FMAL_OK)
        st = write_array(h, name, FMAL_I32, 1, dims, labels);
    fmal_free(&pixels);
    fmal_free(&labels);
    return st;
}

static fmal_status make_set(fmal_h5 *h, uint64_t seed, const fmal_idx *size)
{
    static const char *const names[CLASSES] = { "upper left", "upper right", "lower" };
    const fmal_idx classes = CLASSES;

    FMAL_TRY(fmal_h5_stamp(h, "fmal-dataset-1", "make_data"));
    FMAL_TRY(write_split(h, "train", seed, 0, size[0]));
    FMAL_TRY(write_split(h, "test", seed, 1, size[1]));
    return write_array(h, "/classes", FMAL_STR, 1, &classes, names);
}

/* ---- A pool ---- */

/* Features of one sample, and the logits of a classifier that is fairly sure. */
static void scatter(fmal_rng *r, int d, int c, float *features, float *logits)
{
    int label = (int) fmal_rng_below(r, (uint64_t) c);

    for (int j = 0; j < d; j++)
        features[j] = (float) (fmal_rng_normal(r) + (j % c == label ? 2 : 0));
    for (int k = 0; k < c; k++)
        logits[k] = (float) (fmal_rng_normal(r) + (k == label ? 3 : 0));
}

static fmal_status make_pool(fmal_h5 *h, uint64_t seed, const fmal_idx *size)
{
    fmal_idx n = size[0], labelled[4] = { 0 };
    int d = (int) size[1], c = (int) size[2];
    const fmal_idx wide[2] = { n, d }, narrow[2] = { n, c };
    const fmal_idx n_labelled = FMAL_COUNT(labelled);
    float *features = NULL, *logits = NULL;
    fmal_status st = FMAL_ALLOC(&features, n * d);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&logits, n * c);
    for (fmal_idx i = 0; i < n && st == FMAL_OK; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INITIAL, 0, (uint64_t) i);

        scatter(&r, d, c, features + i * d, logits + i * c);
    }
    for (fmal_idx i = 0; i < n_labelled; i++)
        labelled[i] = i * n / n_labelled;
    if (st == FMAL_OK)
        st = write_array(h, "/features", FMAL_F32, 2, wide, features);
    if (st == FMAL_OK)
        st = write_array(h, "/logits", FMAL_F32, 2, narrow, logits);
    if (st == FMAL_OK)
        st = write_array(h, "/labelled", FMAL_I64, 1, &n_labelled, labelled);
    fmal_free(&features);
    fmal_free(&logits);
    return st;
}

/* ---- The command ---- */

static const struct {
    const char *kind;
    int sizes;
    fmal_status (*make)(fmal_h5 *h, uint64_t seed, const fmal_idx *size);
} kinds[] = { { "set", 2, make_set }, { "pool", 3, make_pool } };

static fmal_status write_file(int kind, char **argv)
{
    fmal_idx size[3] = { 0 };
    fmal_h5 *h = NULL;

    for (int i = 0; i < kinds[kind].sizes; i++)
        size[i] = atoll(argv[4 + i]);
    FMAL_TRY(fmal_h5_create_image(&h));
    fmal_status st = kinds[kind].make(h, strtoull(argv[3], NULL, 10), size);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, argv[2], FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    return st;
}

int main(int argc, char **argv)
{
    for (int i = 0; i < FMAL_COUNT(kinds) && argc > 1; i++) {
        if (strcmp(argv[1], kinds[i].kind) != 0 || argc != 4 + kinds[i].sizes)
            continue;
        fmal_status st = write_file(i, argv);
        if (st != FMAL_OK)
            fprintf(stderr, "make_data: %s\n", fmal_error_text());
        return st != FMAL_OK;
    }
    fprintf(stderr, "usage: make_data set FILE SEED TRAIN TEST\n"
                    "       make_data pool FILE SEED N D C\n");
    return 2;
}
