#include "fmal/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Arrays that passes stream through begin at a huge page and ask for such: with small
   ones the hardware stops fetching ahead every 4 KiB, and 22 GB/s became 30. */
enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, LARGE = 4 * HUGE_PAGE };

/* A hint that the system does not take costs nothing but the hint. */
static void *allocate(size_t bytes)
{
    void *p = NULL;

    if (posix_memalign(&p, bytes < LARGE ? ALIGNMENT : HUGE_PAGE, bytes) != 0)
        return NULL;
    if (bytes >= LARGE)
        madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return p;
}

fmal_status fmal_alloc(void *out, fmal_idx count, size_t size)
{
    if (count < 0 || (size > 0 && (uint64_t) count > (SIZE_MAX - HUGE_PAGE) / size))
        return FMAL_FAIL(FMAL_ERR_NOMEM, "%" PRId64 " elements of %zu bytes do not fit",
                         count, size);

    size_t bytes = (size_t) count * size;
    size_t padded = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    void *p = allocate(padded);

    if (!p)
        return FMAL_FAIL(FMAL_ERR_NOMEM,
                         "cannot allocate %.1f MB; use more ranks or nodes, or a "
                         "smaller problem",
                         (double) padded / 1e6);
    memset(p, 0, padded);
    memcpy(out, &p, sizeof p);
    return FMAL_OK;
}

void fmal_free(void *p)
{
    void *held;

    memcpy(&held, p, sizeof held);
    free(held);
    held = NULL;
    memcpy(p, &held, sizeof held);
}

char *fmal_strdup(const char *s)
{
    char *copy = NULL;
    size_t bytes = strlen(s) + 1;

    if (fmal_alloc(&copy, (fmal_idx) bytes, 1) == FMAL_OK)
        memcpy(copy, s, bytes);
    return copy;
}

/* A line "Key:   123 kB" of a /proc file, in bytes; 0 if there is none. */
static double proc_value(const char *path, const char *key)
{
    FILE *f = fopen(path, "r");
    char line[256];
    double value = 0;

    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            value = 1024 * strtod(line + strlen(key), NULL);
    fclose(f);
    return value;
}

/* The one number in a control-group file; 0 if absent or "max". */
static double cgroup_value(const char *path)
{
    FILE *f = fopen(path, "r");
    double value = 0;

    if (!f)
        return 0;
    if (fscanf(f, "%lf", &value) != 1)
        value = 0;
    fclose(f);
    return value;
}

/* This process's group under "prefix" of /proc/self/cgroup, as "/a/b"; "" at the root.
 */
static void own_group(const char *prefix, char *group, size_t size)
{
    FILE *f = fopen("/proc/self/cgroup", "r");
    char line[1024];

    group[0] = 0;
    while (f && fgets(line, sizeof line, f)) {
        const char *at = strstr(line, prefix);

        if (at)
            snprintf(group, size, "%.*s", (int) strcspn(at + strlen(prefix), "\n"),
                     at + strlen(prefix));
    }
    if (f)
        fclose(f);
    if (strcmp(group, "/") == 0)
        group[0] = 0;
}

/* What one version of control groups leaves, over this process's group and all above
   it; file pages that can be dropped count as free. */
static double cgroup_left(const char *root, const char *group, const char *limit_file,
                          const char *used_file, double available)
{
    char at[1024], path[2200];

    snprintf(at, sizeof at, "%s", group);
    for (;;) {
        snprintf(path, sizeof path, "%s%s/%s", root, at, limit_file);
        double limit = cgroup_value(path);
        snprintf(path, sizeof path, "%s%s/%s", root, at, used_file);
        double used = cgroup_value(path);
        snprintf(path, sizeof path, "%s%s/memory.stat", root, at);
        used -= proc_value(path, "inactive_file ") / 1024;
        if (limit > 0 && limit - used < available)
            available = limit - used > 1 ? limit - used : 1;
        char *slash = strrchr(at, '/');
        if (!slash)
            return available;
        *slash = 0;
    }
}

double fmal_mem_peak(void)
{
    return proc_value("/proc/self/status", "VmHWM:");
}

double fmal_mem_available(void)
{
    double available = proc_value("/proc/meminfo", "MemAvailable:");
    char group[1024];

    own_group("0::", group, sizeof group);
    available =
        cgroup_left("/sys/fs/cgroup", group, "memory.max", "memory.current", available);
    own_group(":memory:", group, sizeof group);
    return cgroup_left("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
                       "memory.usage_in_bytes", available);
}
