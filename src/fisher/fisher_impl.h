/* Inside of fisher: what its passes share. */
#ifndef FMAL_FISHER_IMPL_H
#define FMAL_FISHER_IMPL_H

#include "fmal/fisher.h"

/* The union of all ranks' reasons to stop; 0 if nobody watches. Collective. */
int fmal_watch_stop(const fmal_ctx *ctx, const fmal_watch *watch);

/* Whether all numbers are finite. */
bool fmal_all_finite(const float *x, fmal_idx n);

#endif
