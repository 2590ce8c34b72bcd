/**
 * Checked, aligned allocation and what the process has used.
 *
 *     FMAL_TRY(FMAL_ALLOC(&x, n));     x is double *: n zeroed doubles, 64-byte aligned
 *     ...
 *     fmal_free(&x);                   frees and sets to NULL
 */
#ifndef FMAL_MEM_H
#define FMAL_MEM_H

#include "fmal/status.h"

/**
 * Allocate count elements of size bytes, zeroed, aligned to 64 bytes.
 *
 * Not collective. A count of 0 gives a non-NULL pointer that may be freed.
 *
 * @param[out] out  address of a pointer; owned by the caller, freed by fmal_free
 * @return FMAL_ERR_NOMEM, naming what was asked for
 */
fmal_status fmal_alloc(void *out, fmal_idx count, size_t size);

/** fmal_alloc for a typed pointer. */
#define FMAL_ALLOC(out, count) fmal_alloc((out), (count), sizeof **(out))

/** Free *p and set it to NULL; *p may be NULL. p is the address of any pointer. */
void fmal_free(void *p);

/** Copy of a string, or NULL with the failure recorded. Freed by fmal_free. */
char *fmal_strdup(const char *s);

/** Peak resident memory of this process so far, in bytes; 0 if the system hides it. */
double fmal_mem_peak(void);

/**
 * Bytes of memory that this process's node may still give: the least of what the system
 * calls available and what control groups leave. 0 if unknown.
 */
double fmal_mem_available(void);

#endif
