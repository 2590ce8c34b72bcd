#include "fmal/pool.h"
#include "fmal/mem.h"
#include "fmal/rng.h"

#include <math.h>

enum { OF_SAMPLE = 0, OF_HEAD = 1 }; /* rounds of the streams, to keep them apart */

static void synth_features(uint64_t seed, fmal_idx index_g, int d, float *h)
{
    fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SYNTH, OF_SAMPLE, (uint64_t) index_g);

    for (int a = 0; a < d; a++) {
        double x = fmal_rng_normal(&r);

        h[a] = x > 0 ? (float) x : 0;
    }
}

fmal_status fmal_pool_synth(const fmal_part *part, int d, int c, uint64_t seed,
                            float *features, float *logits)
{
    float *head = NULL; /* [c, d] */

    FMAL_TRY(FMAL_ALLOC(&head, (fmal_idx) c * d));
    for (fmal_idx i = 0; i < (fmal_idx) c * d; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SYNTH, OF_HEAD, (uint64_t) i);

        head[i] = (float) (2 * fmal_rng_normal(&r) / sqrt(d));
    }
    for (fmal_idx i = 0; i < part->count; i++) {
        const float *h = features + i * d;

        synth_features(seed, part->first + i, d, features + i * d);
        for (int k = 0; k < c; k++) {
            float sum = 0;

            for (int a = 0; a < d; a++)
                sum += head[(fmal_idx) k * d + a] * h[a];
            logits[i * c + k] = sum;
        }
    }
    fmal_free(&head);
    return FMAL_OK;
}
