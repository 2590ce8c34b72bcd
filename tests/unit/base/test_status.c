/* Status codes, and the text and place of the last failure. */
#include "fmal_test.h"

#include "fmal/status.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    fmal_status st;
    int exit_code;
    const char *text;
} codes[] = {
    { "success", FMAL_OK, 0, "success" },
    { "stopped early", FMAL_STOPPED, 3, "stopped early with a checkpoint" },
    { "wrong usage", FMAL_ERR_USAGE, 2, "wrong usage" },
    { "failure", FMAL_ERR_IO, 1, "input or output failed" },
    { "the last code", FMAL_ERR_NOMEM, 1, "out of memory" },
    { "a code beyond the last", (fmal_status) (FMAL_ERR_NOMEM + 1), 1,
      "unknown status" },
    { "a negative code", (fmal_status) -1, 1, "unknown status" },
};

static void test_codes(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(codes); i++)
        fmal_test_ok(t,
                     fmal_status_exit(codes[i].st) == codes[i].exit_code &&
                         strcmp(fmal_status_text(codes[i].st), codes[i].text) == 0,
                     "%s", codes[i].name);
}

static fmal_status forward(fmal_status st, bool *passed)
{
    FMAL_TRY(st);
    *passed = true;
    return FMAL_OK;
}

static void test_failure(fmal_test *t)
{
    bool passed = false;

    fmal_test_ok(t, *fmal_error_text() == 0 && *fmal_error_place() == 0,
                 "no failure yet");

    fmal_status st = FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %d columns", "a.h5", 3);
    fmal_test_ok(t, st == FMAL_ERR_FORMAT, "a failure returns its code");
    fmal_test_ok(t, strcmp(fmal_error_text(), "a.h5: 3 columns") == 0,
                 "and keeps its text");
    fmal_test_ok(t, strncmp(fmal_error_place(), "test_status.c:", 14) == 0,
                 "and its place, without directories");

    st = forward(FMAL_ERR_NUMERIC, &passed);
    fmal_test_ok(t, st == FMAL_ERR_NUMERIC && !passed, "a failure is forwarded");
    st = forward(FMAL_OK, &passed);
    fmal_test_ok(t, st == FMAL_OK && passed, "success goes on");

    FMAL_FAIL(FMAL_ERR_IO, "inner");
    FMAL_FAIL(FMAL_ERR_IO, "outer: %s; %s", fmal_error_text(), fmal_error_text());
    fmal_test_ok(t, strcmp(fmal_error_text(), "outer: inner; inner") == 0,
                 "a text may quote the one before it");

    fmal_error_set("there.c:7", "theirs");
    fmal_test_ok(t,
                 strcmp(fmal_error_text(), "theirs") == 0 &&
                     strcmp(fmal_error_place(), "there.c:7") == 0,
                 "text and place can be replaced");
    fmal_error_set("elsewhere.c:8", fmal_error_text());
    fmal_test_ok(t,
                 strcmp(fmal_error_text(), "theirs") == 0 &&
                     strcmp(fmal_error_place(), "elsewhere.c:8") == 0,
                 "or the place alone");
}

static void test_long_text(fmal_test *t)
{
    char word[4000];

    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = 0;
    FMAL_FAIL(FMAL_ERR_IO, "%s", word);
    size_t length = strlen(fmal_error_text());
    fmal_test_ok(t, length > 500 && length < sizeof word, "a long text is cut");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_codes(&t);
    test_failure(&t);
    test_long_text(&t);
    return fmal_test_end(&t);
}
