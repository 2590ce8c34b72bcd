#include "fmal/clock.h"
#include "fmal/par.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Written by the handler only, read between steps. */
static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    (void) number;
    signalled = 1;
}

void fmal_stop_install(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART; /* do not break the transport's system calls */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

int fmal_stop_bits(const fmal_ctx *ctx, fmal_stop *stop)
{
    int bits = signalled ? FMAL_STOP_SIGNAL : 0;

    if (ctx->rank != 0)
        return bits;
    double now = fmal_now();
    if (stop->deadline > 0 && now >= stop->deadline)
        bits |= FMAL_STOP_CLOCK;
    /* Twice a second is soon enough, and a parallel file system is spared. */
    if (stop->file && (stop->looked == 0 || now - stop->looked > 0.5)) {
        stop->looked = now;
        stop->found = stop->found || access(stop->file, F_OK) == 0;
    }
    return stop->found ? bits | FMAL_STOP_FILE : bits;
}

int fmal_stop_agree(const fmal_ctx *ctx, fmal_stop *stop)
{
    int bits = fmal_stop_bits(ctx, stop);

    FMAL_MPI(MPI_Allreduce(MPI_IN_PLACE, &bits, 1, MPI_INT, MPI_BOR, ctx->comm));
    return bits;
}

const char *fmal_stop_reason(int bits)
{
    if (bits & FMAL_STOP_FILE)
        return "stop file";
    return bits & FMAL_STOP_CLOCK ? "time limit" : "signal";
}
