#include "fmal/clock.h"

#include <stddef.h>
#include <time.h>

static double read_clock(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

double fmal_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double fmal_wall_time(void)
{
    return read_clock(CLOCK_REALTIME);
}

const char *fmal_phase_name(fmal_phase phase)
{
    static const char *const names[] = {
#define FMAL_PHASE_TEXT(code, name) name,
        FMAL_PHASE_LIST(FMAL_PHASE_TEXT)
#undef FMAL_PHASE_TEXT
    };
    return names[phase];
}

void fmal_phase_begin(fmal_phases *p, fmal_phase phase)
{
    if (!p)
        return;
    p->current = phase;
    p->began = fmal_now();
}

void fmal_phase_end(fmal_phases *p, double flops, double bytes)
{
    if (!p)
        return;
    p->seconds[p->current] += fmal_now() - p->began;
    p->flops[p->current] += flops;
    p->bytes[p->current] += bytes;
}
