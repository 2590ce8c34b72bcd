/* Shared by the files of the loop. */
#ifndef FMAL_LOOP_IMPL_H
#define FMAL_LOOP_IMPL_H

#include "fmal/loop.h"

struct fmal_run {
    fmal_run_setup setup;
    fmal_net *net;
    uint8_t *role; /* [train count] */
    fmal_run_state state;
    fmal_select_state resume; /* a selection to go on with, if has_resume */
    bool has_resume;
    double began; /* fmal_now() at the start, less the seconds of earlier starts */
};

/* Whether there are samples enough. Collective; agreed. */
fmal_status fmal_run_check(const fmal_run_setup *setup);

/* The network of a run, its weights zero. Not collective. */
fmal_status fmal_run_net_make(const fmal_run_setup *setup, fmal_net **net);

/* A zero state with room for the whole run. Not collective. */
fmal_status fmal_state_create(const fmal_run_options *options, int classes,
                              fmal_run_state *out);

/* Deep copy of what is filled, with room for the whole run; FMAL_ERR_FORMAT if the
   counts do not fit. Not collective. */
fmal_status fmal_state_copy(const fmal_run_options *options, int classes,
                            const fmal_run_state *from, fmal_run_state *out);

fmal_status fmal_select_state_copy(const fmal_select_state *from,
                                   fmal_select_state *out);
void fmal_select_state_clear(fmal_select_state *s);

/* Copy the network's parameters and statistics into the state; and back, where sizes
   are known to fit. */
fmal_status fmal_state_keep_net(fmal_run_state *state, fmal_net *net);
void fmal_state_use_net(const fmal_run_state *state, fmal_net *net);

/* Copy into the state what a training under way needs beside them. */
fmal_status fmal_state_keep_trainer(fmal_run_state *state, fmal_trainer *trainer);

#endif
