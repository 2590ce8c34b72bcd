/* Seconds and phases. */
#include "fmal_test.h"

#include "fmal/clock.h"

#include <string.h>
#include <time.h>

static void rest(double seconds)
{
    struct timespec t = { 0, (long) (seconds * 1e9) };

    nanosleep(&t, NULL);
}

static void test_clocks(fmal_test *t)
{
    double a = fmal_now();

    rest(0.01);
    fmal_test_ok(t, fmal_now() - a >= 0.01, "time goes on");
    fmal_test_ok(t, fmal_wall_time() > 1.6e9, "the date is of this century");
}

static void test_names(fmal_test *t)
{
    bool named = true;

    for (int i = 0; i < FMAL_PHASES; i++)
        named = named && *fmal_phase_name((fmal_phase) i);
    fmal_test_ok(t, named && strcmp(fmal_phase_name(FMAL_PHASE_WRITE), "write") == 0,
                 "every phase has a name");
}

static void test_phases(fmal_test *t)
{
    fmal_phases p = { .seconds = { 0 } };

    for (int i = 0; i < 2; i++) {
        fmal_phase_begin(&p, FMAL_PHASE_STEP);
        rest(0.01);
        fmal_phase_end(&p, 100, 8);
    }
    fmal_test_ok(t,
                 p.seconds[FMAL_PHASE_STEP] >= 0.02 &&
                     p.flops[FMAL_PHASE_STEP] == 200 && p.bytes[FMAL_PHASE_STEP] == 16,
                 "a phase adds up");
    fmal_test_ok(t, p.seconds[FMAL_PHASE_READ] == 0 && p.flops[FMAL_PHASE_READ] == 0,
                 "and leaves the others alone");
    fmal_phase_begin(NULL, FMAL_PHASE_STEP);
    fmal_phase_end(NULL, 1, 1);
    fmal_test_ok(t, true, "no phases, nothing to do");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_clocks(&t);
    test_names(&t);
    test_phases(&t);
    return fmal_test_end(&t);
}
