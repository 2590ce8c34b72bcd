/**
 * Random numbers without state: a stream is named, not advanced.
 *
 * A stream is keyed by (seed, purpose, round, index), so that what sample 17 draws does
 * not depend on the rank that holds it, on the samples before it, or on a restart.
 *
 *     fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SHUFFLE, epoch, 0);
 *     uint64_t x = fmal_rng_u64(&r);
 *
 * Generator: Philox4x32-10 (Salmon et al. 2011, doi:10.1145/2063384.2063405;
 * docs/references.bib: salmon2011random).
 */
#ifndef FMAL_RNG_H
#define FMAL_RNG_H

#include "fmal/status.h"

/** What a stream is for; the numbers are kept for ever, since results depend on them.
 */
typedef enum fmal_rng_purpose {
    FMAL_RNG_INIT = 1,       /* initial weights; index: position in the parameters */
    FMAL_RNG_SHUFFLE = 2,    /* order of the training samples in an epoch */
    FMAL_RNG_INITIAL = 3,    /* first labelled set; index: sample */
    FMAL_RNG_PICK = 4,       /* random selection; index: sample */
    FMAL_RNG_SYNTH = 5,      /* made-up pools; index: sample, or weight of the head */
    FMAL_RNG_AUGMENT = 8,    /* of images in training; index: epoch x 2^40 + sample */
    FMAL_RNG_VALIDATION = 9, /* samples held out of training; index: sample */
    FMAL_RNG_DROPOUT = 10,   /* what training drops; index: epoch, layer, sample */
    FMAL_RNG_SKEW = 12,      /* imbalanced pools; index: sample of the file */
    FMAL_RNG_IMAGES = 14,    /* samples that a mask is made from; index: sample */
    FMAL_RNG_MASK = 15,      /* random masks; index: position in the parameters */
} fmal_rng_purpose;

/** A position in a stream. A plain value. */
typedef struct fmal_rng {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    int used; /* words of block already handed out */
} fmal_rng;

/** One Philox4x32-10 block: out = bijection of counter under key. */
void fmal_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/**
 * The start of a stream.
 *
 * @param round  round or epoch, below 2^24
 * @param index  global index of the sample or parameter
 */
fmal_rng fmal_rng_stream(uint64_t seed, fmal_rng_purpose purpose, uint32_t round,
                         uint64_t index);

uint64_t fmal_rng_u64(fmal_rng *r);

/** Uniform in [0, 1), 53 bits. */
double fmal_rng_uniform(fmal_rng *r);

/** Uniform in [0, bound), without modulo bias; bound >= 1. */
uint64_t fmal_rng_below(fmal_rng *r, uint64_t bound);

/** Standard normal (Box-Muller). */
double fmal_rng_normal(fmal_rng *r);

/** Shuffle n indices in place (Fisher-Yates). */
void fmal_rng_shuffle(fmal_rng *r, fmal_idx *x, fmal_idx n);

#endif
