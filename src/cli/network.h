/* Options that choose one of the built-in networks. */
#ifndef FMAL_NETWORK_H
#define FMAL_NETWORK_H

#include "cli_impl.h"
#include "fmal/data.h"
#include "fmal/nn.h"

typedef struct network_options {
    int model;
    int64_t hidden;
} network_options;

/* To be a part of a command's table. */
extern const fmal_opt network_table[];

/* Its name. */
const char *network_arch(const network_options *o);

/* FMAL_ERR_USAGE: a width for a network without a hidden layer. Not collective. */
fmal_status network_check(const fmal_opts *opts, const network_options *o);

/* The network for a data set, the same on all ranks. Collective; agreed. */
fmal_status network_make(const fmal_ctx *ctx, const network_options *o,
                         const fmal_dataset *set, int max_batch, fmal_net **out);

#endif
