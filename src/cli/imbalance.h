/* Options that cut a run's training pool to an imbalanced one. */
#ifndef FMAL_IMBALANCE_H
#define FMAL_IMBALANCE_H

#include "cli_impl.h"
#include "fmal/data.h"

typedef struct imbalance_options {
    char *pool_counts;
    double long_tail;
} imbalance_options;

/* To be a part of a command's table. */
extern const fmal_opt imbalance_table[];

/* FMAL_ERR_USAGE: text that is no list of CLASS:COUNT, or both options. Before the data
   are there. */
fmal_status imbalance_check(const fmal_opts *opts, const imbalance_options *o);

/* Cut the pool of a data set that was just opened, if so asked. Collective. */
fmal_status imbalance_apply(const fmal_ctx *ctx, const imbalance_options *o,
                            int64_t seed, fmal_dataset *set);

#endif
