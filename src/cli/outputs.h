/* The files of a selection: the picks, the same as CSV, and what is there until they
   are written. */
#ifndef FMAL_OUTPUTS_H
#define FMAL_OUTPUTS_H

#include "fmal/report.h"

/* Their names. A plain value. */
typedef struct outputs {
    const char *picks; /* borrowed */
    char csv[4096], part[4096], stop_file[4096];
} outputs;

/* The names that follow from that of the picks; csv may be NULL. Not collective. */
void outputs_name(outputs *out, const char *picks, const char *csv);

/* Whether both files can be written, and may be. Collective. FMAL_ERR_EXISTS: one is
   there, and not `force`; FMAL_ERR_IO; FMAL_ERR_USAGE: one is the other, or the pool.
 */
fmal_status outputs_check(const fmal_ctx *ctx, const outputs *out, const char *pool,
                          bool force);

/* Write both files or neither, and remove what was there until then. Root only. */
fmal_status outputs_write(const outputs *out, const fmal_picks *picks);

#endif
