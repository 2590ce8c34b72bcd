#include "fmal_test.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char directory[256];

fmal_test fmal_test_begin(int *argc, char ***argv)
{
    fmal_test t = { 0 };

    FMAL_MPI(MPI_Init(argc, argv));
    fmal_ctx_init(&t.ctx, MPI_COMM_WORLD);
    return t;
}

void fmal_test_ok(fmal_test *t, bool ok, const char *name, ...)
{
    char text[512];
    int bad = ok ? 0 : 1, all = 0;
    va_list ap;

    va_start(ap, name);
    vsnprintf(text, sizeof text, name, ap);
    va_end(ap);
    FMAL_MPI(MPI_Allreduce(&bad, &all, 1, MPI_INT, MPI_SUM, t->ctx.comm));
    t->run++;
    t->failed += all > 0;
    if (t->ctx.rank == 0 && all == 0)
        printf("ok %d - %s\n", t->run, text);
    if (t->ctx.rank == 0 && all > 0)
        printf("not ok %d - %s (on %d of %d ranks)\n", t->run, text, all, t->ctx.size);
    fflush(stdout);
}

void fmal_test_status(fmal_test *t, fmal_status got, fmal_status want, const char *name)
{
    if (got != want)
        printf("# %s: wanted '%s', got '%s': %s\n", name, fmal_status_text(want),
               fmal_status_text(got), fmal_error_text());
    fmal_test_ok(t, got == want, "%s", name);
}

static void remove_directory(const fmal_test *t)
{
    char command[300];

    if (t->ctx.rank != 0 || !directory[0])
        return;
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0)
        printf("# cannot remove %s\n", directory);
}

int fmal_test_skip(fmal_test *t, const char *why)
{
    if (t->ctx.rank == 0)
        printf("1..0 # SKIP %s\n", why);
    FMAL_MPI(MPI_Barrier(t->ctx.comm));
    remove_directory(t);
    FMAL_MPI(MPI_Finalize());
    return 77;
}

int fmal_test_end(fmal_test *t)
{
    if (t->ctx.rank == 0)
        printf("1..%d\n# %d failed\n", t->run, t->failed);
    FMAL_MPI(MPI_Barrier(t->ctx.comm));
    remove_directory(t);
    FMAL_MPI(MPI_Finalize());
    return t->failed > 0 || t->run == 0;
}

bool fmal_test_close(double a, double b, double tolerance, double floor)
{
    return fabs(a - b) <= tolerance * fmax(fmax(fabs(a), fabs(b)), floor);
}

const char *fmal_test_dir(fmal_test *t)
{
    if (!directory[0]) {
        if (t->ctx.rank == 0) {
            const char *base = getenv("TMPDIR");

            snprintf(directory, sizeof directory, "%s/fmal-test-XXXXXX",
                     base ? base : "/tmp");
            if (!mkdtemp(directory))
                abort();
        }
        FMAL_MPI(MPI_Bcast(directory, sizeof directory, MPI_CHAR, 0, t->ctx.comm));
    }
    return directory;
}

const char *fmal_test_path(fmal_test *t, const char *file)
{
    static char path[4][512];
    static int next;

    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", fmal_test_dir(t), file);
    return path[next];
}
