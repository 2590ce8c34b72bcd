#include "fmal/rng.h"

#include <math.h>

/* Philox4x32-10: two 32 x 32 -> 64 bit products a round, ten rounds; the key is bumped
   by the golden ratio and by sqrt(3) - 1 between rounds (Salmon et al. 2011,
   section 3.3). */
void fmal_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t) 0xD2511F53u * c0;
        uint64_t b = (uint64_t) 0xCD9E8D57u * c2;

        c0 = (uint32_t) (b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t) b;
        c2 = (uint32_t) (a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t) a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

fmal_rng fmal_rng_stream(uint64_t seed, fmal_rng_purpose purpose, uint32_t round,
                         uint64_t index)
{
    return (fmal_rng){
        .key = { (uint32_t) seed, (uint32_t) (seed >> 32) },
        .counter = { 0, (uint32_t) index, (uint32_t) (index >> 32),
                     (uint32_t) purpose << 24 | (round & 0xFFFFFFu) },
        .used = 4,
    };
}

static uint32_t next_u32(fmal_rng *r)
{
    if (r->used == 4) {
        fmal_philox(r->counter, r->key, r->block);
        r->counter[0]++;
        r->used = 0;
    }
    return r->block[r->used++];
}

uint64_t fmal_rng_u64(fmal_rng *r)
{
    uint64_t high = next_u32(r);

    return high << 32 | next_u32(r);
}

double fmal_rng_uniform(fmal_rng *r)
{
    return (double) (fmal_rng_u64(r) >> 11) * 0x1p-53;
}

uint64_t fmal_rng_below(fmal_rng *r, uint64_t bound)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound; /* a multiple of bound */
    uint64_t x;

    do
        x = fmal_rng_u64(r);
    while (x >= limit);
    return x % bound;
}

double fmal_rng_normal(fmal_rng *r)
{
    double u = 1 - fmal_rng_uniform(r); /* in (0, 1]: the logarithm is finite */
    double v = fmal_rng_uniform(r);

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

void fmal_rng_shuffle(fmal_rng *r, fmal_idx *x, fmal_idx n)
{
    for (fmal_idx i = n - 1; i > 0; i--) {
        fmal_idx j = (fmal_idx) fmal_rng_below(r, (uint64_t) i + 1);
        fmal_idx held = x[i];

        x[i] = x[j];
        x[j] = held;
    }
}
