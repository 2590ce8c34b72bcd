/* Log lines, as they arrive on stderr. */
#include "fmal_test.h"

#include "fmal/log.h"

#include <fcntl.h>
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
    fmal_log_level set;
    bool speaks;
    fmal_log_level line;
    bool printed;
} table[] = {
    { "an error is always printed", FMAL_LOG_ERROR, true, FMAL_LOG_ERROR, true },
    { "a warning needs its level", FMAL_LOG_ERROR, true, FMAL_LOG_WARN, false },
    { "the level itself is printed", FMAL_LOG_INFO, true, FMAL_LOG_INFO, true },
    { "one below it is", FMAL_LOG_INFO, true, FMAL_LOG_WARN, true },
    { "one above it is not", FMAL_LOG_INFO, true, FMAL_LOG_STAT, false },
    { "debug prints all", FMAL_LOG_DEBUG, true, FMAL_LOG_STAT, true },
    { "a silent rank says nothing", FMAL_LOG_DEBUG, false, FMAL_LOG_ERROR, false },
};

static void test_levels(fmal_test *t)
{
    fmal_test_ok(t, fmal_log_wants(FMAL_LOG_ERROR) && !fmal_log_wants(FMAL_LOG_WARN),
                 "errors alone before any set-up");
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        char text[1024];

        fmal_log_setup(table[i].set, table[i].speaks);
        capture_begin();
        fmal_log(table[i].line, "event", "k=%d", 3);
        capture_end(text, sizeof text);
        fmal_test_ok(t,
                     fmal_log_wants(table[i].line) == table[i].printed &&
                         (strlen(text) > 0) == table[i].printed,
                     "%s", table[i].name);
    }
}

static void test_line(fmal_test *t)
{
    char text[8192], word[5000];
    const char *none = "";

    fmal_log_setup(FMAL_LOG_DEBUG, true);
    capture_begin();
    fmal_log(FMAL_LOG_STAT, "refresh", "step=%d best=%g", 7, 0.5);
    capture_end(text, sizeof text);
    fmal_test_ok(t, strstr(text, " s] stat  refresh step=7 best=0.5\n"),
                 "a line has a time, a level, an event and pairs");

    capture_begin();
    fmal_log(FMAL_LOG_WARN, "stop", "%s", none);
    capture_end(text, sizeof text);
    fmal_test_ok(t, strstr(text, "warn  stop\n"), "an event without pairs");

    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = 0;
    capture_begin();
    fmal_log(FMAL_LOG_INFO, "long", "%s", word);
    capture_end(text, sizeof text);
    fmal_test_ok(t, strlen(text) < 3000 && text[strlen(text) - 1] == '\n',
                 "a long line is cut and still ends");
}

static void test_names(fmal_test *t)
{
    int n = 0;

    while (fmal_log_level_names[n])
        n++;
    fmal_test_ok(t,
                 n == FMAL_LOG_DEBUG + 1 &&
                     strcmp(fmal_log_level_names[FMAL_LOG_STAT], "stat") == 0,
                 "every level has a name");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_levels(&t);
    test_line(&t);
    test_names(&t);
    return fmal_test_end(&t);
}
