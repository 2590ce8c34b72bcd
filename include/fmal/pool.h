/**
 * Pools: features and class probabilities that a model gave, and which samples have
 * labels.
 *
 * A pool file (docs/formats.md) is what users export from their own framework: features
 * and logits or probabilities, or else any embeddings V with V^T V the sample's
 * information. The central object is fmal_pool, this rank's share of one.
 *
 *     fmal_pool *pool;
 *     fmal_pool_open(ctx, "pool.h5", &pool);
 *     ... pool->features, pool->probs, pool->role ...
 *     fmal_pool_close(&pool);
 */
#ifndef FMAL_POOL_H
#define FMAL_POOL_H

#include "fmal/io.h"
#include "fmal/par.h"
#include "fmal/rows.h"

/** What a sample of the pool is. */
typedef enum fmal_role {
    FMAL_CANDIDATE,
    FMAL_LABELLED,
    FMAL_EXCLUDED, /* part of the pool's Fisher information, never picked */
} fmal_role;

/** What a pool file holds, learnt from its header alone. A plain value. */
typedef struct fmal_pool_info {
    fmal_idx n, labelled, excluded; /* samples; entries of the index lists */
    int d, c;                       /* features, classes; 0 with embeddings */
    int rows;                       /* of an embedding; 0 without embeddings */
    fmal_idx columns;
    bool has_probs; /* /probs, not /logits */
    bool has_labels, has_ids;
    bool spare_embeddings; /* there are embeddings, and features, which count */
    bool streamed;         /* features stay in the file */
} fmal_pool_info;

/** A pool, this rank's share. Read-only outside of this module, but for who makes one.
 */
typedef struct fmal_pool {
    char *path;
    fmal_pool_info info;
    fmal_part part;
    float *features;      /* [part.count, d]; NULL with embeddings, and if streamed */
    fmal_rows_file *file; /* of the features, if streamed; else NULL */
    double *probs;        /* [part.count, c], rows sum to 1; NULL with embeddings */
    float *embeddings;    /* [part.count, rows, columns]: V_i; NULL without */
    uint8_t *role;        /* [part.count], values of fmal_role */
    int32_t *labels;      /* [part.count], -1 unknown; NULL without /labels */
    char
        checksum[33]; /* of features, probabilities and roles; on any number of ranks */
} fmal_pool;

/**
 * Look at a pool file without reading samples.
 *
 * Not collective.
 * @return FMAL_ERR_IO, FMAL_ERR_FORMAT: dataset missing, of a wrong rank or type,
 * shapes that disagree; each names file, dataset, what is there and what is wanted
 */
fmal_status fmal_pool_look(const char *path, fmal_pool_info *info);

/**
 * Open a pool and read this rank's share.
 *
 * Collective over ctx. Logits become probabilities (softmax in double precision); given
 * probabilities are renormalised.
 *
 * @param[out] out  owned by the caller, freed by fmal_pool_close
 * @return as fmal_pool_look, and FMAL_ERR_FORMAT naming the sample of a NaN, an Inf, a
 *         negative probability, an index out of range or given twice; FMAL_ERR_NOMEM;
 *         agreed
 */
fmal_status fmal_pool_open(const fmal_ctx *ctx, const char *path, fmal_pool **out);

/**
 * The same, but leave the features in the file, from which pool->file reads them when
 * they are wanted.
 *
 * @param phases  as of fmal_rows_open
 * @return as above, and FMAL_ERR_ARG for embeddings
 */
fmal_status fmal_pool_open_streamed(const fmal_ctx *ctx, const char *path,
                                    fmal_phases *phases, fmal_pool **out);

/** The features of a pool that has any, wherever they are. Not collective. */
fmal_rows fmal_pool_features(const fmal_pool *pool);

/** Bytes of so many samples of a pool, and while they are read. Not collective. */
double fmal_pool_bytes(const fmal_pool_info *info, fmal_idx samples);
double fmal_pool_open_bytes(const fmal_pool_info *info, fmal_idx samples);

/** Free *pool and set it to NULL; *pool may be NULL. Not collective. */
void fmal_pool_close(fmal_pool **pool);

/** Softmax of logits [n, c] in double precision, to probs [n, c]. Not collective. */
void fmal_softmax(const float *logits, fmal_idx n, int c, double *probs);

/**
 * A made-up pool for benchmarks: features like those behind a rectifier, max(0, x) with
 * x normal around the centre of one of c classes, centres normal too, and the
 * probabilities of a random linear head on them. Sample i's numbers depend on the seed
 * and i alone.
 *
 * Not collective.
 *
 * @param part           who owns which sample
 * @param[out] features  [part->count, d]
 * @param[out] logits    [part->count, c]
 * @return FMAL_ERR_NOMEM
 */
fmal_status fmal_pool_synth(const fmal_part *part, int d, int c, uint64_t seed,
                            float *features, float *logits);

/** Samples of a made-up pool of n that have labels: the first ones, a tenth or 1,000.
    Not collective. */
fmal_idx fmal_pool_synth_labelled(fmal_idx n);

/**
 * Write a made-up pool to a file, all or nothing: the same bytes on any number of
 * ranks.
 *
 * Collective over ctx. Cost: n d normal numbers, shared by the ranks; 16 MiB a rank,
 * whatever n is.
 *
 * @param n, d, c  samples, features, classes; at least 1, 1, 2
 * @param history  the command line; borrowed; may be NULL
 * @return FMAL_ERR_IO, FMAL_ERR_NOMEM, agreed
 */
fmal_status fmal_pool_generate(const fmal_ctx *ctx, const char *path, fmal_idx n, int d,
                               int c, uint64_t seed, const char *history);

#endif
