#include "fmal/pool.h"
#include "fmal/mem.h"
#include "fmal/rng.h"

#include <math.h>

/* Rounds of the streams, to keep them apart. */
enum { OF_SAMPLE = 0, OF_HEAD = 1, OF_CENTRE = 2 };

fmal_idx fmal_pool_synth_labelled(fmal_idx n)
{
    if (n < 20)
        return n > 0;
    return n / 10 < 1000 ? n / 10 : 1000;
}

/* Centres of the classes: [c, d]. */
static void synth_centres(uint64_t seed, int d, int c, float *centre)
{
    for (int k = 0; k < c; k++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SYNTH, OF_CENTRE, (uint64_t) k);

        for (int a = 0; a < d; a++)
            centre[(fmal_idx) k * d + a] = (float) fmal_rng_normal(&r);
    }
}

static void synth_features(uint64_t seed, fmal_idx index_g, int d, int c,
                           const float *centres, float *h)
{
    fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SYNTH, OF_SAMPLE, (uint64_t) index_g);
    const float *centre = centres + (fmal_idx) fmal_rng_below(&r, (uint64_t) c) * d;

    for (int a = 0; a < d; a++) {
        double x = centre[a] + fmal_rng_normal(&r);

        h[a] = x > 0 ? (float) x : 0;
    }
}

/* The head, turned: [d, c], so that classes run along the registers. */
static void synth_head(uint64_t seed, int d, int c, float *head)
{
    for (fmal_idx i = 0; i < (fmal_idx) c * d; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SYNTH, OF_HEAD, (uint64_t) i);

        head[i % d * c + i / d] = (float) (2 * fmal_rng_normal(&r) / sqrt(d));
    }
}

fmal_status fmal_pool_synth(const fmal_part *part, int d, int c, uint64_t seed,
                            float *features, float *logits)
{
    float *head = NULL, *centres;

    FMAL_TRY(FMAL_ALLOC(&head, 2 * (fmal_idx) c * d));
    centres = head + (fmal_idx) c * d;
    synth_head(seed, d, c, head);
    synth_centres(seed, d, c, centres);
    for (fmal_idx i = 0; i < part->count; i++) {
        const float *h = features + i * d;
        float *sum = logits + i * c;

        synth_features(seed, part->first + i, d, c, centres, features + i * d);
        for (int k = 0; k < c; k++)
            sum[k] = 0;
        for (int a = 0; a < d; a++)
            for (int k = 0; k < c; k++)
                sum[k] += head[(fmal_idx) a * c + k] * h[a];
    }
    fmal_free(&head);
    return FMAL_OK;
}
