/* Being asked to stop: by the clock, by a file, by a signal to any rank. */
#include "fmal_test.h"

#include "fmal/clock.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *name;
    int bits;
    const char *reason;
} reasons[] = {
    { "a signal", FMAL_STOP_SIGNAL, "signal" },
    { "the clock", FMAL_STOP_CLOCK, "time limit" },
    { "a file", FMAL_STOP_FILE, "stop file" },
    { "clock and signal", FMAL_STOP_CLOCK | FMAL_STOP_SIGNAL, "time limit" },
    { "all", FMAL_STOP_FILE | FMAL_STOP_CLOCK | FMAL_STOP_SIGNAL, "stop file" },
};

static void test_reasons(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(reasons); i++)
        fmal_test_ok(t,
                     strcmp(fmal_stop_reason(reasons[i].bits), reasons[i].reason) == 0,
                     "the reason: %s", reasons[i].name);
}

static void test_clock(fmal_test *t)
{
    fmal_stop never = { 0 };
    fmal_stop later = { .deadline = fmal_now() + 1000 };
    fmal_stop past = { .deadline = fmal_now() - 0.001 };
    /* Clocks of other machines mean nothing: the root's counts. */
    fmal_stop root = { .deadline = t->ctx.rank == 0 ? fmal_now() - 1 : 0 };
    fmal_stop others = { .deadline = t->ctx.rank == 0 ? 0 : fmal_now() - 1 };

    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &never) == 0, "no limit");
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &later) == 0, "a limit ahead");
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &past) == FMAL_STOP_CLOCK, "a limit past");
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &root) == FMAL_STOP_CLOCK,
                 "the root's clock stops all");
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &others) == 0, "no other clock counts");
}

static void root_writes(fmal_test *t, const char *path)
{
    if (t->ctx.rank == 0)
        fclose(fopen(path, "w"));
    MPI_Barrier(t->ctx.comm);
}

static void test_file(fmal_test *t)
{
    const char *path = fmal_test_path(t, "stop");
    fmal_stop stop = { .file = path }, fresh = { .file = path };
    struct timespec wait = { 0, 600000000 };

    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &stop) == 0, "no file");
    root_writes(t, path);
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &fresh) == FMAL_STOP_FILE, "a file");
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &stop) == 0,
                 "which is not looked for at every step");
    nanosleep(&wait, NULL);
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &stop) == FMAL_STOP_FILE,
                 "but twice a second");
    fmal_stop both = { .file = path, .deadline = fmal_now() - 1 };
    fmal_test_ok(t,
                 fmal_stop_agree(&t->ctx, &both) == (FMAL_STOP_FILE | FMAL_STOP_CLOCK),
                 "two reasons at once");
}

/* Last: a signal is never forgotten. */
static void test_signal(fmal_test *t)
{
    int last = t->ctx.size - 1;
    struct sigaction term, usr1;
    fmal_stop stop = { 0 };

    fmal_stop_install();
    sigaction(SIGTERM, NULL, &term);
    sigaction(SIGUSR1, NULL, &usr1);
    fmal_test_ok(t,
                 term.sa_handler == usr1.sa_handler && usr1.sa_handler != SIG_DFL &&
                     (term.sa_flags & SA_RESTART),
                 "both signals are taken");
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &stop) == 0, "no signal yet");
    if (t->ctx.rank == last)
        raise(SIGUSR1);
    fmal_test_ok(t,
                 fmal_stop_bits(&t->ctx, &stop) ==
                     (t->ctx.rank == last ? FMAL_STOP_SIGNAL : 0),
                 "one rank sees a signal");
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &stop) == FMAL_STOP_SIGNAL,
                 "and all learn of it");
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &stop) == FMAL_STOP_SIGNAL,
                 "as often as they ask");
    if (t->ctx.rank == 0)
        raise(SIGTERM);
    fmal_test_ok(t, fmal_stop_agree(&t->ctx, &stop) == FMAL_STOP_SIGNAL,
                 "SIGTERM does not kill");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_reasons(&t);
    test_clock(&t);
    test_file(&t);
    test_signal(&t);
    return fmal_test_end(&t);
}
