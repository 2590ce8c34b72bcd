/* What every command that selects has in common: its options, what they mean to the
   library, and the lines of its plan.

   To add an option: an entry of selection_table, a member of selection_options, a line
   of selection_map, and its name in the lists of the strategies that honour it
   (src/strategy/); then tools/make_cli_docs. Strategies that do not name it refuse it.
 */
#ifndef FMAL_SELECTION_H
#define FMAL_SELECTION_H

#include "cli_impl.h"
#include "fmal/strategy.h"

typedef struct selection_options {
    char *grid, *lazy;
    int strategy, fisher, labelled_fisher, select, precision;
    int64_t batch, topc, seed;
    double lambda, oversample;
} selection_options;

/* To be a part of a command's table. */
extern const fmal_opt selection_table[];

/* The strategy that was chosen. */
const fmal_strategy *selection_strategy(const selection_options *o);

/* Options as the library takes them. FMAL_ERR_USAGE: a grid that is none, an option
   that the strategy or another option makes void. */
fmal_status selection_map(const fmal_opts *opts, const selection_options *o,
                          fmal_select_options *out);

/* The line of a plan that says how large a search is and how many steps it has; `of`
   says what has as many. */
void selection_print(const cli *c, bool dry_run, const fmal_select_plan *plan,
                     const char *of);

#endif
