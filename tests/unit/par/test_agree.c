/* Ranks that fail alone, and what all of them learn of it. */
#include "fmal_test.h"

#include <stdio.h>
#include <string.h>

/* Status of each rank; ranks past the fourth do as the fourth. */
static const struct {
    const char *name;
    fmal_status st[4];
} table[] = {
    { "all well", { FMAL_OK, FMAL_OK, FMAL_OK, FMAL_OK } },
    { "the root fails", { FMAL_ERR_IO, FMAL_OK, FMAL_OK, FMAL_OK } },
    { "the second fails", { FMAL_OK, FMAL_ERR_FORMAT, FMAL_OK, FMAL_OK } },
    { "the last fails", { FMAL_OK, FMAL_OK, FMAL_OK, FMAL_ERR_NOMEM } },
    { "all fail alike", { FMAL_ERR_IO, FMAL_ERR_IO, FMAL_ERR_IO, FMAL_ERR_IO } },
    { "the worst is not the first",
      { FMAL_ERR_USAGE, FMAL_ERR_ARG, FMAL_ERR_NOMEM, FMAL_ERR_IO } },
    { "two are worst", { FMAL_OK, FMAL_ERR_NUMERIC, FMAL_ERR_NUMERIC, FMAL_ERR_ARG } },
    { "stopping is less than failing",
      { FMAL_STOPPED, FMAL_STOPPED, FMAL_ERR_USAGE, FMAL_OK } },
    { "stopping", { FMAL_STOPPED, FMAL_OK, FMAL_OK, FMAL_STOPPED } },
};

static fmal_status status_of(int row, int rank)
{
    return table[row].st[rank < 4 ? rank : 3];
}

/* Fail as the table says; the text names the rank. */
static fmal_status fail_alone(int row, int rank)
{
    char place[16];
    fmal_status st = status_of(row, rank);

    snprintf(place, sizeof place, "r%d.c:1", rank);
    fmal_error_set("", "none");
    if (st != FMAL_OK) {
        FMAL_FAIL(st, "rank %d fails", rank);
        fmal_error_set(place, fmal_error_text());
    }
    return st;
}

static bool text_is_of(int rank, bool failed)
{
    char text[32] = "none", place[16] = "";

    if (failed) {
        snprintf(text, sizeof text, "rank %d fails", rank);
        snprintf(place, sizeof place, "r%d.c:1", rank);
    }
    return strcmp(fmal_error_text(), text) == 0 &&
           strcmp(fmal_error_place(), place) == 0;
}

static void test_agree(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        fmal_status worst = FMAL_OK;
        int lowest = 0;

        for (int r = 0; r < t->ctx.size; r++) {
            if (status_of(i, r) > worst) {
                worst = status_of(i, r);
                lowest = r;
            }
        }
        fmal_status st = fmal_agree(&t->ctx, fail_alone(i, t->ctx.rank));
        fmal_test_ok(t, st == worst && text_is_of(lowest, worst != FMAL_OK), "%s",
                     table[i].name);
    }
}

static void test_agree_root(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        fmal_status want = status_of(i, 0);
        fmal_status st = FMAL_OK; /* the others have done nothing */

        fmal_error_set("", "none");
        if (t->ctx.rank == 0)
            st = fail_alone(i, 0);
        st = fmal_agree_root(&t->ctx, st);
        fmal_test_ok(t, st == want && text_is_of(0, want != FMAL_OK), "root: %s",
                     table[i].name);
    }
}

static void test_long_text(fmal_test *t)
{
    char text[3000];

    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = 0;
    fmal_status st = FMAL_OK;
    if (t->ctx.rank == t->ctx.size - 1)
        st = FMAL_FAIL(FMAL_ERR_IO, "%s", text);
    st = fmal_agree(&t->ctx, st);
    fmal_test_ok(t, st == FMAL_ERR_IO && strlen(fmal_error_text()) > 500,
                 "a long text reaches all");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_agree(&t);
    test_agree_root(&t);
    test_long_text(&t);
    return fmal_test_end(&t);
}
