/* What every command that trains has in common: its options, and what they mean to the
   library.

   To add an option: an entry of training_table, a member of training_options, a line of
   training_map, there also whether another option makes it void; then
   tools/make_cli_docs. */
#ifndef FMAL_TRAINING_H
#define FMAL_TRAINING_H

#include "cli_impl.h"
#include "fmal/train.h"

typedef struct training_options {
    int optimizer, schedule, augment;
    int64_t step_epochs, train_batch, micro_batch, epochs, patience;
    double rate, step_factor, momentum, weight_decay, clamp, train_accuracy, validation;
    bool nesterov;
} training_options;

/* To be a part of a command's table. */
extern const fmal_opt training_table[];

/* Options as the library takes them. FMAL_ERR_USAGE: an option that another makes void.
 */
fmal_status training_map(const fmal_opts *opts, const training_options *o,
                         uint64_t seed, fmal_train_options *out);

#endif
