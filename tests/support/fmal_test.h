/**
 * Tests over MPI that print TAP: a check passes only if it holds on every rank.
 *
 *     int main(int argc, char **argv)
 *     {
 *         fmal_test t = fmal_test_begin(&argc, &argv);
 *         fmal_test_ok(&t, 1 + 1 == 2, "sums");
 *         return fmal_test_end(&t);
 *     }
 */
#ifndef FMAL_TEST_H
#define FMAL_TEST_H

#include <stdbool.h>

#include "fmal/par.h"

/** State of a test program. A plain value. */
typedef struct fmal_test {
    fmal_ctx ctx;
    int run, failed;
} fmal_test;

/** Initialise MPI. Collective over all ranks, as everything here. */
fmal_test fmal_test_begin(int *argc, char ***argv);

/** One check; printed by the root, with the ranks on which it failed. */
__attribute__((format(printf, 3, 4))) void fmal_test_ok(fmal_test *t, bool ok,
                                                        const char *name, ...);

/** One check that a call gave this status; prints the failure's text if it did not. */
void fmal_test_status(fmal_test *t, fmal_status got, fmal_status want,
                      const char *name);

/** Skip the whole program, saying why: exit code 77. */
int fmal_test_skip(fmal_test *t, const char *why);

/** Print the plan and finalise. @return the exit code: 0 if all passed and any ran. */
int fmal_test_end(fmal_test *t);

/** |a - b| <= tolerance max(|a|, |b|, floor). */
bool fmal_test_close(double a, double b, double tolerance, double floor);

/** A directory for this test's files, made by the root, the same name on every rank. */
const char *fmal_test_dir(fmal_test *t);

/** A path in that directory; in a buffer that the next call but three reuses. */
const char *fmal_test_path(fmal_test *t, const char *file);

#endif
