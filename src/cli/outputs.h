/* The files of a selection: the picks, the same as CSV, and what is there until they
   are written. */
#ifndef FMAL_OUTPUTS_H
#define FMAL_OUTPUTS_H

#include "lockfile.h"
#include "fmal/ckpt.h"
#include "fmal/report.h"

/* Their names. A plain value. */
typedef struct outputs {
    const char *picks; /* borrowed */
    char csv[4096], part[4096], stop_file[4096];
    char jacobian[4096]; /* of strategies that need a network: what is done of it */
    lockfile lock;       /* held on the root, while a selection is under way */
    bool there;          /* picks that were made with the same options */
} outputs;

/* The names that follow from that of the picks; csv may be NULL. Not collective. */
void outputs_name(outputs *out, const char *picks, const char *csv);

/* Keep the names for this process, after it was made sure that both files can be
   written, and may be, or that the picks are there already. Collective.
   FMAL_ERR_EXISTS: one is there, of something else, and not `force`; FMAL_ERR_USAGE:
   one is the other, or the pool; FMAL_ERR_IO: no file can be made there, another
   selection is under way for it; all agreed. */
fmal_status outputs_open(const fmal_ctx *ctx, outputs *out, const fmal_identity *id,
                         bool force);

/* Let the names go. Not collective. */
void outputs_close(outputs *out);

/* The picks that are there, to the root. Collective. FMAL_ERR_EXISTS: they are of other
   data; FMAL_ERR_FORMAT; agreed. */
fmal_status outputs_load(const fmal_ctx *ctx, const outputs *out,
                         const fmal_identity *id, fmal_idx pool_n, fmal_batch *batch);

/* Write both files, or the CSV alone if the picks are there, and remove what was there
   until then. Root only. FMAL_ERR_EXISTS: another CSV is there beside the picks. */
fmal_status outputs_write(const outputs *out, const fmal_picks *picks);

#endif
