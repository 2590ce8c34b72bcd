/**
 * Weights of networks in files: HDF5, and safetensors, which PyTorch users can write
 * and read (docs/weights.md).
 *
 *     fmal_weights_load(ctx, "resnet18.safetensors", FMAL_HEAD_REQUIRED, net,
 * &has_head); fmal_weights_save(ctx, "model.h5", net, history);
 */
#ifndef FMAL_WEIGHTS_H
#define FMAL_WEIGHTS_H

#include <stdbool.h>

#include "fmal/io.h"
#include "fmal/nn.h"

#define FMAL_WEIGHTS_SCHEMA "fmal-weights-1"

/** Whether a file may do without the last layer. */
typedef enum fmal_head {
    FMAL_HEAD_REQUIRED,
    FMAL_HEAD_OPTIONAL, /* the network keeps the one it has */
} fmal_head;

/**
 * Fill a network from a file, whose format is told by its first bytes.
 *
 * Names are those of the network's tensors, or what torchvision and others call them:
 * "module." and the like before a name goes, "shortcut" is "downsample", "fc", "linear"
 * and "classifier" are "head", "num_batches_tracked" is ignored, and so is a bias of
 * the head that is zero. Every other tensor must be the network's, and there must be
 * all of these, running statistics too, of the right shape, of 16-, 32- or 64-bit
 * floating-point numbers, and finite; a variance is at least 0.
 *
 * Collective over ctx: the root reads and judges, all get its numbers.
 *
 * @param net            as it was on failure
 * @param[out] has_head  whether the file has the last layer
 * @return FMAL_ERR_IO; FMAL_ERR_FORMAT naming the tensors that are missing, unexpected
 *         (with the nearest name), or of another shape or type; FMAL_ERR_NOMEM; agreed
 */
fmal_status fmal_weights_load(const fmal_ctx *ctx, const char *path, fmal_head head,
                              fmal_net *net, bool *has_head);

/**
 * Whether the name of a file to be written says its format: .safetensors, .h5, .hdf5.
 *
 * Not collective.
 * @return FMAL_ERR_USAGE
 */
fmal_status fmal_weights_check_name(const char *path);

/**
 * Write a network to a file, all or nothing, in the format that its name says.
 *
 * Collective over ctx: the root writes, everyone learns the outcome.
 *
 * @param history  the command line
 * @return FMAL_ERR_USAGE as fmal_weights_check_name, FMAL_ERR_IO, FMAL_ERR_NOMEM
 */
fmal_status fmal_weights_save(const fmal_ctx *ctx, const char *path, fmal_net *net,
                              const char *history);

/** What a file of weights holds. A plain value. */
typedef struct fmal_weights_info {
    const char *format; /* static text */
    int tensors;
    fmal_idx elements;
} fmal_weights_info;

/** Whether a file begins as one of safetensors does. Not collective. */
bool fmal_weights_is_safetensors(const char *path);

/** Look at a file of weights without reading numbers. Not collective.
    @return FMAL_ERR_IO, FMAL_ERR_FORMAT */
fmal_status fmal_weights_look(const char *path, fmal_weights_info *info);

#endif
