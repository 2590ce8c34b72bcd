/* What every command that makes a mask has in common: its options, and a mask in words.

   To add an option: an entry of masking_table, a member of masking_options, a line of
   masking_map; then tools/make_cli_docs. */
#ifndef FMAL_MASKING_H
#define FMAL_MASKING_H

#include <jansson.h>

#include "cli_impl.h"
#include "fmal/mask.h"

typedef struct masking_options {
    int method, images;
    int64_t samples;
    double fraction;
} masking_options;

/* To be a part of a command's table. */
extern const fmal_opt masking_table[];

/* Options as the library takes them; round is left at 0. FMAL_ERR_USAGE: an option that
   the method makes void. */
fmal_status masking_map(const fmal_opts *opts, const masking_options *o, int64_t seed,
                        fmal_mask_options *out);

/* How many parameters of each of n tensors are masked: as a table, or as JSON. */
void masking_print(const fmal_masked_tensor *tensors, int n, FILE *to);
json_t *masking_json(const fmal_masked_tensor *tensors, int n);

#endif
