/* What progress prints and when; the past is moved instead of waited for. */
#include "fmal_test.h"

#include "fmal/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    int kept; /* the stderr of before */
    FILE *file;
} capture;

static void capture_begin(void)
{
    capture.file = tmpfile();
    fflush(stderr);
    capture.kept = dup(STDERR_FILENO);
    dup2(fileno(capture.file), STDERR_FILENO);
}

static void capture_end(char *text, size_t size)
{
    fflush(stderr);
    dup2(capture.kept, STDERR_FILENO);
    close(capture.kept);
    rewind(capture.file);
    text[fread(text, 1, size - 1, capture.file)] = 0;
    fclose(capture.file);
}

static const struct {
    const char *name;
    fmal_progress_mode mode;
    bool quiet;
    int rank;
    double start, shown; /* seconds ago */
    fmal_idx total, first, done;
    const char *note;
    const char *says; /* "": nothing is printed */
} table[] = {
    { "not in the first second", FMAL_PROGRESS_ALWAYS, false, 0, 0.5, 0.5, 100, 0, 10,
      NULL, "" },
    { "a bar after a second", FMAL_PROGRESS_ALWAYS, false, 0, 10, 10, 100, 0, 50, NULL,
      "select [############............] 50/100 steps, 5/s, 10 s left" },
    { "a note", FMAL_PROGRESS_ALWAYS, false, 0, 10, 10, 100, 0, 100, "best=3",
      "[########################] 100/100 steps, 10/s, 0 s left, best=3" },
    { "a resumed job's rate is its own", FMAL_PROGRESS_ALWAYS, false, 0, 10, 10, 100,
      40, 50, NULL, "50/100 steps, 1/s, 50 s left" },
    { "nothing done yet", FMAL_PROGRESS_ALWAYS, false, 0, 10, 10, 100, 40, 40, NULL,
      "40/100 steps, 0/s, ? left" },
    { "minutes left", FMAL_PROGRESS_ALWAYS, false, 0, 10, 10, 1000, 0, 50, NULL,
      "5/s, 3:10 left" },
    { "hours left", FMAL_PROGRESS_ALWAYS, false, 0, 100, 10, 5000, 0, 100, NULL,
      "1/s, 1:21:40 left" },
    { "nothing to do", FMAL_PROGRESS_ALWAYS, false, 0, 10, 10, 0, 0, 0, NULL,
      "[........................] 0/0" },
    { "never", FMAL_PROGRESS_NEVER, false, 0, 100, 100, 100, 0, 50, NULL, "" },
    { "quiet", FMAL_PROGRESS_ALWAYS, true, 0, 100, 100, 100, 0, 50, NULL, "" },
    { "another rank", FMAL_PROGRESS_ALWAYS, false, 1, 100, 100, 100, 0, 50, NULL, "" },
    { "a line in a file", FMAL_PROGRESS_AUTO, false, 0, 100, 31, 100, 0, 50, "a=1",
      "info  select steps=50/100 rate=0.5/s left=1:40 a=1\n" },
    { "lines are rare", FMAL_PROGRESS_AUTO, false, 0, 100, 29, 100, 0, 50, NULL, "" },
};

static void test_table(fmal_test *t)
{
    fmal_log_setup(FMAL_LOG_INFO, true);
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        char text[1024];
        fmal_progress p;

        capture_begin(); /* before the set-up asks whether stderr is a terminal */
        fmal_progress_setup(table[i].mode, table[i].quiet, table[i].rank);
        fmal_progress_begin(&p, "select", "steps", table[i].total, table[i].first);
        p.start -= table[i].start;
        p.shown -= table[i].shown;
        fmal_progress_at(&p, table[i].done, table[i].note);
        capture_end(text, sizeof text);
        bool ok = table[i].says[0] ? !!strstr(text, table[i].says) : text[0] == 0;
        fmal_test_ok(t, ok, "%s", table[i].name);
        if (!ok)
            printf("# %s\n", text);
    }
}

static void test_bar(fmal_test *t)
{
    char text[1024];
    fmal_progress p;

    fmal_progress_setup(FMAL_PROGRESS_ALWAYS, false, 0);
    fmal_progress_begin(&p, "select", "steps", 100, 0);
    capture_begin();
    fmal_progress_end(&p);
    capture_end(text, sizeof text);
    fmal_test_ok(t, text[0] == 0, "no bar, nothing to clear");

    p.shown -= 2;
    capture_begin();
    fmal_progress_at(&p, 10, NULL);
    fmal_progress_at(&p, 20, NULL);
    capture_end(text, sizeof text);
    fmal_test_ok(t, strstr(text, "10/100") && !strstr(text, "20/100"),
                 "a bar is not drawn at every step");

    p.shown -= 0.25;
    capture_begin();
    fmal_progress_at(&p, 30, NULL);
    fmal_progress_end(&p);
    capture_end(text, sizeof text);
    fmal_test_ok(t, strstr(text, "30/100") && text[strlen(text) - 1] == 'K' && !p.open,
                 "but five times a second, and is cleared");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_table(&t);
    test_bar(&t);
    return fmal_test_end(&t);
}
