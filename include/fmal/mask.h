/**
 * Masks: a few parameters of a network, chosen by their Fisher information.
 *
 * A mask is a plain value, sorted positions in the parameter block. It always has the
 * whole head, whose weights come last in the block.
 *
 *     fmal_mask_make(ctx, net, set, &options, &watch, &mask);
 *     fmal_mask_save("mask.h5", net, &mask, &origin);
 *     fmal_mask_load(ctx, "mask.h5", net, &mask);
 *     fmal_mask_clear(&mask);
 */
#ifndef FMAL_MASK_H
#define FMAL_MASK_H

#include "fmal/fisher.h"

/** How a mask of m = fraction x parameters is chosen outside of the head. */
typedef enum fmal_mask_method {
    FMAL_MASK_GLOBAL,    /* the m - |head| with the largest information */
    FMAL_MASK_LAYERWISE, /* the largest of each tensor, this fraction of it */
    FMAL_MASK_RELATIVE,  /* those over twice their tensor's mean, at most 2.5 % of it:
                            the largest; whatever the fraction */
    FMAL_MASK_RANDOM,    /* any m - |head|, by keyed draw */
} fmal_mask_method;
extern const char *const fmal_mask_method_names[];

/** Over which samples the information is averaged. */
typedef enum fmal_mask_images {
    FMAL_IMAGES_RANDOM, /* those with the largest keyed draws */
    FMAL_IMAGES_FIRST,  /* the first of the pool */
} fmal_mask_images;
extern const char *const fmal_mask_images_names[];

/** A plain value. */
typedef struct fmal_mask_options {
    fmal_mask_method method;
    fmal_mask_images images;
    double fraction;  /* in (0, 1]; a product with a number of parameters is rounded
                         down */
    fmal_idx samples; /* at least 1; all of a smaller pool */
    uint64_t seed;
    uint32_t round; /* with seed the key of everything random */
} fmal_mask_options;

/** A mask. A plain value; owns its arrays. */
typedef struct fmal_mask {
    fmal_idx size;   /* parameters of the network */
    fmal_idx count;  /* masked */
    fmal_idx extra;  /* of them outside of the head: the first ones */
    fmal_idx *index; /* [count] positions in the parameter block, ascending */
    double *value;   /* [count] Fisher information; NULL for a random mask */
    fmal_idx n_samples;
    fmal_idx *samples; /* [n_samples] that it was averaged over, ascending; NULL if none
                          were */
} fmal_mask;

/** Free a mask's arrays; an all zero one is fine. Not collective. */
void fmal_mask_clear(fmal_mask *mask);

/**
 * Choose a mask by a diagonal. Ties go to the lowest position.
 *
 * Not collective; gives the same on every rank.
 *
 * @param diagonal  [fmal_net_size] information, not NaN; borrowed; NULL with
 *                  FMAL_MASK_RANDOM
 * @param[out] out  without samples
 * @return FMAL_ERR_USAGE if the head alone is larger than the mask (says the smallest
 *         fraction that is enough), FMAL_ERR_NOMEM
 */
fmal_status fmal_mask_choose(const fmal_net *net, const fmal_mask_options *options,
                             const double *diagonal, fmal_mask *out);

/** What fmal_mask_choose would refuse in a mask's size, before any work. */
fmal_status fmal_mask_check(const fmal_net *net, const fmal_mask_options *options);

/** The most parameters outside of the head that fmal_mask_choose takes of a size that
    is not refused: how many, unless the method is relative. Not collective. */
fmal_idx fmal_mask_most_extra(const fmal_net *net, const fmal_mask_options *options);

/**
 * Draw samples of the training split, average the diagonal over them, and choose.
 *
 * Collective over ctx; options equal on all ranks.
 *
 * @return as fmal_mask_choose and fmal_fisher_diagonal, whose cost it has but for
 *         FMAL_MASK_RANDOM, which looks at no sample; agreed
 */
fmal_status fmal_mask_make(const fmal_ctx *ctx, fmal_net *net, const fmal_dataset *set,
                           const fmal_mask_options *options, const fmal_watch *watch,
                           fmal_mask *out);

/* ---- Files ---- */

#define FMAL_MASK_SCHEMA "fmal-mask-1"

/** What a mask was made from; all is borrowed. */
typedef struct fmal_mask_origin {
    const char *arch;            /* name of the network */
    const char *method;          /* of fmal_mask_method_names */
    double fraction;             /* as asked for */
    const char *data;            /* path of the data set */
    const char *data_checksum;   /* of its content */
    const char *weights;         /* path of the weights */
    const char *options, *fixed; /* every option; those that make the mask; INI text */
    const char *history;         /* the command line */
} fmal_mask_origin;

/** Write a mask file with a checksum, all or nothing. Root only. @return FMAL_ERR_IO */
fmal_status fmal_mask_save(const char *path, fmal_net *net, const fmal_mask *mask,
                           const fmal_mask_origin *origin);

/** A tensor of the network of a mask file. */
typedef struct fmal_masked_tensor {
    char name[48];
    fmal_idx offset, count;
    fmal_idx masked; /* of its elements */
} fmal_masked_tensor;

/** What a mask file says. Cleared by fmal_mask_record_clear. */
typedef struct fmal_mask_record {
    fmal_mask mask;
    int n_tensors;
    fmal_masked_tensor *tensors; /* [n_tensors] */
    char arch[32], method[16];
    double fraction;
} fmal_mask_record;

/**
 * Read a mask file that was opened by fmal_h5_open_checked.
 *
 * Not collective. Everything is checked before it is believed: tensors without gaps,
 * indices ascending and in range, the whole head among them, values finite and not
 * negative.
 *
 * @return FMAL_ERR_FORMAT naming what is wrong, FMAL_ERR_NOMEM
 */
fmal_status fmal_mask_read(fmal_h5 *h, fmal_mask_record *out);
void fmal_mask_record_clear(fmal_mask_record *record);

/** The tensors of a network and how many elements of each a mask has; freed by
    fmal_free. Not collective. @return FMAL_ERR_NOMEM */
fmal_status fmal_mask_tensors(const fmal_net *net, const fmal_mask *mask,
                              fmal_masked_tensor **out);

/**
 * Load the mask of a network.
 *
 * Collective over ctx: the root reads and checks the file.
 * @return FMAL_ERR_FORMAT, FMAL_ERR_IO; FMAL_ERR_MISMATCH naming the tensor that the
 *         network has not; agreed
 */
fmal_status fmal_mask_load(const fmal_ctx *ctx, const char *path, const fmal_net *net,
                           fmal_mask *out);

/** Checksum of a network's parameters and running statistics. Not collective. */
void fmal_net_checksum(fmal_net *net, char hex[33]);

#endif
