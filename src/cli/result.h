/* What becomes of a batch: its samples' rows go to the root, which writes the files and
   prints what the batch is like. */
#ifndef FMAL_RESULT_H
#define FMAL_RESULT_H

#include "cli_impl.h"
#include "outputs.h"
#include "fmal/pool.h"

/* A batch's origin, and where to. A plain value; all is borrowed. */
typedef struct result {
    cli *c;
    const fmal_pool *pool;
    const fmal_strategy *strategy;
    const fmal_identity *identity;
    const outputs *out;
    int64_t seed;
    bool json;
} result;

/* Write the files and print. Collective; agreed. */
fmal_status result_finish(const result *r, const fmal_batch *batch);

#endif
