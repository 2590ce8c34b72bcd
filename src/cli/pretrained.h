/* Options that bring weights into a run and take them home. */
#ifndef FMAL_PRETRAINED_H
#define FMAL_PRETRAINED_H

#include "cli_impl.h"

typedef struct pretrained_options {
    char *weights, *save;
} pretrained_options;

/* To be a part of a command's table. */
extern const fmal_opt pretrained_table[];

/* Before hours of work: whether the weights can be written at its end, over none of the
   files that are read (NULL: not given) nor over what holds no weights. Collective.
   FMAL_ERR_USAGE, FMAL_ERR_EXISTS, FMAL_ERR_IO, agreed. */
fmal_status pretrained_check(const fmal_ctx *ctx, const pretrained_options *o,
                             const char *data, const char *mask);

/* The network that trainings of a run start from, into run->start, if so asked; freed
   by fmal_net_destroy. Collective. As fmal_weights_load. */
fmal_status pretrained_load(const fmal_ctx *ctx, const pretrained_options *o,
                            const fmal_dataset *set, fmal_run_options *run);

/* Checksum of what a run works on: of the data, and of the weights if there are any. */
void pretrained_checksum(const fmal_dataset *set, const fmal_run_options *run,
                         char hex[33]);

/* Write the weights of a finished run, if so asked. Collective. */
fmal_status pretrained_save(const cli *c, const pretrained_options *o, fmal_run *run);

#endif
