/*
 * Random crops and flips, the usual augmentation of small images (He et al. 2016,
 * arXiv:1512.03385, section 4.2; docs/references.bib: he2016resnet).
 *
 * They work on the pixels as they are stored, so that what moves in from outside is
 * black before normalisation. What an image becomes is keyed by its own number, and so
 * does not depend on the batch or the rank that it comes to.
 */
#include "train_impl.h"
#include "fmal/rng.h"

#include <stdlib.h>
#include <string.h>

enum { MARGIN = 4 };

/* What one image becomes. */
typedef struct {
    int dy, dx; /* the pixel that comes to the corner */
    bool flip;
} change;

static change draw(const fmal_train_options *o, int64_t epoch, fmal_idx ig)
{
    uint64_t key = (uint64_t) epoch << 40 | (uint64_t) ig;
    fmal_rng r = fmal_rng_stream(o->seed, FMAL_RNG_AUGMENT, o->round, key);
    int dy = (int) fmal_rng_below(&r, 2 * MARGIN + 1) - MARGIN;
    int dx = (int) fmal_rng_below(&r, 2 * MARGIN + 1) - MARGIN;

    return (change){ dy, dx, fmal_rng_below(&r, 2) == 1 };
}

static void reverse(uint8_t *x, int n)
{
    for (int i = 0; i < n / 2; i++) {
        uint8_t held = x[i];

        x[i] = x[n - 1 - i];
        x[n - 1 - i] = held;
    }
}

/* One channel, [height, width]. */
static void change_plane(change c, int height, int width, const uint8_t *from,
                         uint8_t *to)
{
    int before = c.dx < 0 ? -c.dx : 0; /* columns that come from outside */
    int kept = width - abs(c.dx);

    memset(to, 0, (size_t) height * (size_t) width);
    for (int y = 0; y < height; y++) {
        int source = y + c.dy;
        uint8_t *row = to + (size_t) y * (size_t) width;

        if (source < 0 || source >= height)
            continue;
        if (kept > 0)
            memcpy(row + before,
                   from + (size_t) source * (size_t) width + (c.dx > 0 ? c.dx : 0),
                   (size_t) kept);
        if (c.flip)
            reverse(row, width);
    }
}

void fmal_augment_rows(const fmal_train_options *options, const fmal_dataset *set,
                       int64_t epoch, const fmal_idx *index_g, fmal_idx n,
                       const void *rows, void *out)
{
    size_t plane = (size_t) set->shape[1] * (size_t) set->shape[2];

    for (fmal_idx i = 0; i < n; i++) {
        change c = draw(options, epoch, index_g[i]);

        for (int k = 0; k < set->shape[0]; k++) {
            size_t at = (size_t) i * set->row_bytes + (size_t) k * plane;

            change_plane(c, set->shape[1], set->shape[2], (const uint8_t *) rows + at,
                         (uint8_t *) out + at);
        }
    }
}
