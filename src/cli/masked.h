/* What every command that selects by a mask of a network's parameters has in common:
   which mask, and how its Jacobian is weighted and kept. How a mask is made: masking.h.

   To add an option: an entry of masked_table, a member of masked_options, a line of
   masked_map, and its name in the list of src/strategy/fishermask.c; then
   tools/make_cli_docs. */
#ifndef FMAL_MASKED_H
#define FMAL_MASKED_H

#include "cli_impl.h"
#include "masking.h"
#include "fmal/strategy.h"

typedef struct masked_options {
    char *mask;
    int weighting;
    double jacobian_memory;
} masked_options;

/* To be a part of a command's table. */
extern const fmal_opt masked_table[];

/* Options as the library takes them, but for the mask and the Jacobian's file.
   FMAL_ERR_USAGE: an option that another one makes void. */
fmal_status masked_map(const fmal_opts *opts, const masking_options *making,
                       const masked_options *o, int64_t seed, fmal_masking *out);

/* The mask that the user gave, if any, for this network, to *mask, which the caller
   clears; masking borrows it. Collective. As fmal_mask_load. */
fmal_status masked_load(const fmal_ctx *ctx, const masked_options *o,
                        const fmal_net *net, fmal_mask *mask, fmal_masking *masking);

/* Mix a given mask's checksum into that of what a job works on. Not collective. */
void masked_checksum(const fmal_masking *masking, char hex[33]);

/* The line of a plan that says what the mask takes; d and c are the network's. */
void masked_print(const cli *c, bool dry_run, const fmal_select_plan *plan, int d,
                  int classes, const fmal_masking *masking);

#endif
