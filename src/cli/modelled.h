/* A pool that is made here: a data set's training split, with the features and
   probabilities that a network of ours gives it. */
#ifndef FMAL_MODELLED_H
#define FMAL_MODELLED_H

#include "network.h"
#include "fmal/data.h"
#include "fmal/pool.h"

typedef struct modelled_options {
    char *data, *weights, *labelled;
    network_options network;
} modelled_options;

/* To be a part of a command's table. */
extern const fmal_opt modelled_table[];

/* The data set and the network. Cleared by modelled_clear; a plain value. */
typedef struct modelled {
    fmal_dataset *set;
    fmal_net *net;
    uint8_t *role;       /* [set->train.part.count] */
    fmal_pool_info info; /* of the pool that it makes */
} modelled;

/* FMAL_ERR_USAGE unless there are weights with the data set, and none of these options
   without it. Not collective. */
fmal_status modelled_check(const fmal_opts *opts, const modelled_options *o);

/* Open the data set, load the network, and find out who is labelled. Collective.
   FMAL_ERR_FORMAT: a list of labelled samples that is none; what opening and loading
   return; agreed. */
fmal_status modelled_open(cli *c, const modelled_options *o, modelled *out);
void modelled_clear(modelled *m);

/* What the network says of every sample, as a pool; its checksum is that of data,
   network and roles. Takes m->role. Collective; agreed. */
fmal_status modelled_score(cli *c, modelled *m, fmal_pool **out);

#endif
