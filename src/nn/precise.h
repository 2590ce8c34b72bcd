/**
 * Outputs of a network in double precision, for a backward pass in single precision.
 *
 * A rectifier near zero that rounding turns on or off changes a derivative by a jump,
 * and there are millions of them in a batch. With outputs rounded once, after a pass in
 * double precision, all of them are as they should be.
 */
#ifndef FMAL_PRECISE_H
#define FMAL_PRECISE_H

#include "nn_impl.h"

/** Opaque: a copy of a network's parameters and statistics, and memory. */
typedef struct fmal_precise fmal_precise;

/** @param net  borrowed. @return FMAL_ERR_NOMEM */
fmal_status fmal_precise_create(const fmal_net *net, fmal_precise **out);

/** Bytes that it takes. */
double fmal_precise_bytes(const fmal_net *net);

/** Free *p and set it to NULL; *p may be NULL. */
void fmal_precise_destroy(fmal_precise **p);

/** kept[buffer] [n, width] of all buffers, from x [n, inputs], in evaluation. */
void fmal_precise_outputs(fmal_precise *p, const float *x, int n, float *const *kept);

#endif
