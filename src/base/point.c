#include "fmal/point.h"

#ifdef FMAL_TEST_HOOKS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    char name[64];
    int left; /* passages until the kill; 0: not armed */
} armed;

void fmal_point_arm(const char *spec, const char *rank)
{
    if (!spec)
        return;
    size_t length = strcspn(spec, ":");
    const char *count = spec[length] ? spec + length + 1 : "1";
    const char *who = strchr(count, ':');

    if (who && atoi(who + 1) != (rank ? atoi(rank) : 0))
        return;
    snprintf(armed.name, sizeof armed.name, "%.*s", (int) length, spec);
    armed.left = atoi(count);
}

void fmal_point(const char *name)
{
    if (armed.left > 0 && strcmp(name, armed.name) == 0 && --armed.left == 0)
        raise(SIGKILL);
}
#else
/* ISO C wants a translation unit to declare something. */
typedef int fmal_point_unused;
#endif
