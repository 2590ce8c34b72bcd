/**
 * Named points at which a test may end the process, as a crash would.
 *
 * Only builds with FMAL_TEST_HOOKS have them; in others fmal_point is nothing. A test
 * arms one by the environment variable FMAL_KILL_AT=name[:count[:rank]], and the
 * process gets SIGKILL at the count-th passage; with a rank, that rank alone.
 */
#ifndef FMAL_POINT_H
#define FMAL_POINT_H

#include <stdbool.h>

#ifdef FMAL_TEST_HOOKS
/** Pass a point. Not collective. */
void fmal_point(const char *name);
/** Arm a point; spec may be NULL, and rank, the launcher's word for ours, too. Not
    collective. */
void fmal_point_arm(const char *spec, const char *rank);
#else
#define fmal_point(name)           ((void) 0)
#define fmal_point_arm(spec, rank) ((void) (spec), (void) (rank))
#endif

#endif
