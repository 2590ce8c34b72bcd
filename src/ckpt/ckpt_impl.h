/* Schema of checkpoints: state to datasets and back. */
#ifndef FMAL_CKPT_IMPL_H
#define FMAL_CKPT_IMPL_H

#include "fmal/ckpt.h"

/* Configuration and origin. Not collective, as everything here. */
fmal_status fmal_identity_write(fmal_h5 *h, const fmal_identity *identity);

/* Steps of a selection under /selection. */
fmal_status fmal_selection_write(fmal_h5 *h, const fmal_select_state *state);
fmal_status fmal_selection_read(fmal_h5 *h, fmal_select_state *state);

/* A run. */
fmal_status fmal_run_state_write(fmal_h5 *h, const fmal_run_state *state);

/* A one-dimensional dataset of *n elements, allocated; FMAL_ERR_FORMAT if it is missing
   or of another shape. */
fmal_status fmal_ckpt_array(fmal_h5 *h, const char *name, fmal_type type, size_t size,
                            void *out, fmal_idx *n);

#endif
