/* The winner of a step. */
#include "fmal_test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX = 9, NONE = -1 };

static const struct {
    const char *name;
    fmal_idx n;
    double score[MAX];
    bool smallest;
    fmal_idx winner; /* NONE: no candidate */
} good[] = {
    { "the first", 5, { 9, 7, 2, 7, 1 }, false, 0 },
    { "the last", 5, { 1, 7, 2, 7, 9 }, false, 4 },
    { "a tie goes to the lowest index", 6, { 1, 7, 2, 7, 1, 7 }, false, 1 },
    { "all are equal", 9, { 3, 3, 3, 3, 3, 3, 3, 3, 3 }, false, 0 },
    { "nearly equal is a tie", 4, { 1, 7 - 6e-9, 2, 7 }, false, 1 },
    { "not near enough", 4, { 1, 7 - 8e-9, 2, 7 }, false, 3 },
    { "a near tie of large scores", 3, { 7e200 * (1 - 5e-10), 7e200, 1 }, false, 0 },
    { "a near tie of small scores", 3, { 7e-200 * (1 - 2e-9), 7e-200, 0 }, false, 1 },
    { "negative scores", 5, { -3, -2, -1, -2, -1 }, false, 2 },
    { "nearly equal negative scores", 3, { -2, -1 - 5e-10, -1 }, false, 1 },
    { "negative, not near enough", 3, { -2, -1 - 2e-9, -1 }, false, 2 },
    { "zero against negative", 3, { -1e-300, 0, -1 }, false, 1 },
    { "all zero", 3, { 0, -0.0, 0 }, false, 0 },
    { "fewer samples than ranks", 1, { 2 }, false, 0 },
    { "those that are no candidates",
      5,
      { -INFINITY, -5, -INFINITY, -4, -6 },
      false,
      3 },
    { "one candidate",
      5,
      { -INFINITY, -INFINITY, -INFINITY, -INFINITY, -6 },
      false,
      4 },
    { "no candidate", 3, { -INFINITY, -INFINITY, -INFINITY }, false, NONE },
    { "no sample", 0, { 0 }, false, NONE },
    { "the smallest", 5, { 3, 1, 2, 1, 4 }, true, 1 },
    { "the smallest, nearly equal", 4, { 3, 1 + 5e-10, 2, 1 }, true, 1 },
    { "the smallest, not near enough", 4, { 3, 1 + 2e-9, 2, 1 }, true, 3 },
    { "the smallest of negative ones", 4, { 3, -1, -2, -2 }, true, 2 },
    { "the smallest of candidates", 4, { INFINITY, 3, 2, INFINITY }, true, 2 },
    { "the smallest, no candidate", 2, { INFINITY, INFINITY }, true, NONE },
    { "the largest there are", 3, { 1, 1.7e308, 1.6e308 }, false, 1 },
};

/* This rank's samples: blocks of two, spaced out so that the index is not the place. */
static fmal_idx my_samples(const fmal_ctx *ctx, const double *from, fmal_idx n,
                           double *score, fmal_idx *index_g)
{
    fmal_part part = fmal_part_make(n, 2, ctx);

    for (fmal_idx il = 0; il < part.count; il++) {
        score[il] = from[part.first + il];
        index_g[il] = 10 * (part.first + il);
    }
    return part.count;
}

static void test_good(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(good); i++) {
        double score[MAX];
        fmal_idx index_g[MAX];
        fmal_idx n = my_samples(&t->ctx, good[i].score, good[i].n, score, index_g);
        fmal_best best = { -99, -99 };
        fmal_status st = fmal_argbest(&t->ctx, n ? score : NULL, n ? index_g : NULL, n,
                                      good[i].smallest, NULL, &best);
        bool ok = st == FMAL_OK;

        if (good[i].winner == NONE)
            ok = ok && best.index_g == FMAL_IDX_NONE;
        else
            ok = ok && best.index_g == 10 * good[i].winner &&
                 best.score == good[i].score[good[i].winner];
        fmal_test_ok(t, ok, "%s", good[i].name);
    }
}

static const struct {
    const char *name;
    fmal_idx n;
    double score[MAX];
    bool smallest;
    const char *says;
} bad[] = {
    { "a NaN on one rank fails on all",
      8,
      { 1, 2, 3, 4, 5, NAN, 7, 8 },
      false,
      "sample 50 " },
    { "a NaN at the front", 3, { NAN, 2, 3 }, false, "sample 0 " },
    { "a NaN among those that are no candidates",
      2,
      { NAN, -INFINITY },
      false,
      "sample 0 " },
    { "a NaN, smallest", 4, { 1, 2, 3, NAN }, true, "sample 30 " },
    { "NaNs on several ranks: the lowest is named",
      8,
      { 1, NAN, 3, NAN, 5, NAN, 7, NAN },
      false,
      "sample 10 " },
    { "an overflow to infinity", 4, { 1, 2, INFINITY, 4 }, false, "sample 20 " },
    { "an overflow, smallest", 4, { 1, -INFINITY, 3, 4 }, true, "sample 10 " },
};

static void test_bad(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(bad); i++) {
        double score[MAX];
        fmal_idx index_g[MAX];
        fmal_idx n = my_samples(&t->ctx, bad[i].score, bad[i].n, score, index_g);
        fmal_best best = { -99, -99 };
        int flag = 0;

        fmal_error_set("", "");
        fmal_status st =
            fmal_argbest(&t->ctx, score, index_g, n, bad[i].smallest, &flag, &best);
        fmal_test_ok(t,
                     st == FMAL_ERR_NUMERIC && best.index_g == -99 &&
                         strstr(fmal_error_text(), bad[i].says),
                     "%s", bad[i].name);
    }
}

/* Bits set on any rank arrive on all, whether there is a winner or not. */
static void test_flags(fmal_test *t)
{
    for (int bits = 0; bits < 8; bits++) {
        for (fmal_idx n = 0; n < 2; n++) {
            double score[MAX];
            fmal_idx index_g[MAX];
            fmal_idx mine = my_samples(&t->ctx, (double[]){ 5 }, n, score, index_g);
            /* Bit b is set on rank b, or on the last if there are fewer. */
            int flag = 0;
            for (int b = 0; b < 3; b++)
                if (t->ctx.rank == (b < t->ctx.size ? b : t->ctx.size - 1))
                    flag |= bits & 1 << b;
            fmal_best best;
            fmal_status st =
                fmal_argbest(&t->ctx, score, index_g, mine, false, &flag, &best);

            fmal_test_ok(t,
                         st == FMAL_OK && flag == bits &&
                             best.index_g == (n ? 0 : FMAL_IDX_NONE),
                         "flags %d with %d samples", bits, (int) n);
        }
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_good(&t);
    test_bad(&t);
    test_flags(&t);
    return fmal_test_end(&t);
}
