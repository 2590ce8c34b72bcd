/**
 * Fisher information of a network's parameters, over ranks: its diagonal, and the
 * Jacobian of the logits in some of them.
 *
 * Both are passes over images in evaluation mode, decoded without augmentation. They
 * give the same bits on any number of ranks: lists and blocks of samples are cut into
 * fixed batches, and sums over batches are exact.
 *
 *     fmal_fisher_diagonal(ctx, net, set, &set->train, samples, n, &watch, diagonal);
 *     fmal_mask_choose(net, &options, diagonal, &mask);            fmal/mask.h
 *     fmal_fisher_jacobian(ctx, net, set, &set->train, &mask, &how, &watch, &jacobian);
 *     fmal_factor_mixed(ctx, part, features, probs, jacobian.rows, ...);
 */
#ifndef FMAL_FISHER_H
#define FMAL_FISHER_H

#include "fmal/clock.h"
#include "fmal/data.h"
#include "fmal/nn.h"

/** Samples of one computation, at most: what networks are asked for in one call. */
enum { FMAL_FISHER_BATCH = 32 };

/** What a long pass heeds, and where it notes its time. A plain value; borrowed. */
typedef struct fmal_watch {
    fmal_stop *stop;     /* reasons to stop; NULL: there are none */
    fmal_phases *phases; /* NULL: nobody asks */
} fmal_watch;

/**
 * Diagonal of the Fisher information, averaged over some samples of a split:
 *
 *     s_theta = (1 / n) sum_i sum_c p_c(x_i) (d log p_c(x_i) / d theta)^2,
 *
 * the exact expectation over classes.
 *
 * Collective over ctx; samples equal on all ranks.
 *
 * @param net      the same parameters on all ranks
 * @param split    one of set's
 * @param samples  [n], global indices in any order; n >= 1; borrowed
 * @param watch    stops between batches
 * @param[out] out [fmal_net_size], the same bits on every rank and on any number of
 *                 ranks
 * @return FMAL_ERR_NUMERIC naming the tensor whose information is not finite,
 *         FMAL_ERR_EMPTY, FMAL_STOPPED with the reason as text, FMAL_ERR_NOMEM; agreed
 * Cost: c - 1 backward passes over n samples, shared by up to 32 ranks; memory as
 * fmal_fisher_bytes; one sum of p 64-bit integers over ranks for 1,024 samples.
 * Source: Gul et al. 2024, arXiv:2411.05752 (docs/references.bib: gul2024fishermask).
 */
fmal_status fmal_fisher_diagonal(const fmal_ctx *ctx, fmal_net *net,
                                 const fmal_dataset *set, const fmal_split *split,
                                 const fmal_idx *samples, fmal_idx n,
                                 const fmal_watch *watch, double *out);

/** Bytes that it allocates on the busiest of `ranks` ranks. Not collective. */
double fmal_fisher_bytes(const fmal_net *net, const fmal_dataset *set, fmal_idx n,
                         int ranks);

struct fmal_mask;

/** How to compute and keep a Jacobian. A plain value; the path is borrowed. */
typedef struct fmal_jacobian_options {
    fmal_jacobian_rows rows;
    double most;      /* bytes that a rank may hold of it in memory; 0: any number */
    const char *path; /* file that keeps what is done, for a restart, and what is not
                         held in memory; NULL: none */
} fmal_jacobian_options;

/** The Jacobian of this rank's samples. Cleared by fmal_jacobian_clear. */
typedef struct fmal_jacobian {
    const float *rows; /* [part.count, c, extra]: T of fmal_factor_mixed; NULL if extra
                          is 0 */
    fmal_idx found;    /* blocks of this rank that the file had already */

    float *held;              /* the same if it is in memory, else NULL */
    struct fmal_blocks *file; /* NULL: none */
} fmal_jacobian;

/**
 * Jacobian T_i [c, extra] of the logits of every sample of a split in the masked
 * parameters outside of the head.
 *
 * Each rank computes its own samples, a block after the other. With a file, every block
 * is written there with its checksum as soon as it is done; a start that finds the file
 * of the same network, mask and samples reads what is good, on any number of ranks, and
 * computes the rest. A file of ours that belongs to something else is begun anew. If a
 * rank's share is more than options->most bytes it is not held in memory, but mapped
 * from the file, which has to stay until fmal_jacobian_clear. The caller removes the
 * file when the result that it is for has been saved.
 *
 * Collective over ctx; mask and options equal on all ranks.
 *
 * @param mask     of this network
 * @param watch    stops between blocks; what is done is in the file
 * @param[out] out on success, cleared by the caller
 * @return FMAL_ERR_NUMERIC naming a sample whose Jacobian is not finite, FMAL_ERR_NOMEM
 *         (also: larger than most, and no file), FMAL_ERR_IO, FMAL_ERR_EXISTS if the
 *         path is no file of this kind, FMAL_STOPPED with the reason as text; agreed
 * Cost: c passes back over the samples (c - 1 with FMAL_RELATIVE); 4 n_l c extra bytes,
 * in memory or in the file, and as much for one block.
 */
fmal_status fmal_fisher_jacobian(const fmal_ctx *ctx, fmal_net *net,
                                 const fmal_dataset *set, const fmal_split *split,
                                 const struct fmal_mask *mask,
                                 const fmal_jacobian_options *options,
                                 const fmal_watch *watch, fmal_jacobian *out);

/** Bytes of the Jacobian of `count` samples in `extra` parameters. Not collective. */
double fmal_jacobian_bytes(fmal_idx count, int classes, fmal_idx extra);

/** Free it; the file stays. A cleared or all zero one is fine. Not collective. */
void fmal_jacobian_clear(fmal_jacobian *j);

#endif
