/* The k best of all ranks. */
#include "fmal_test.h"

#include "fmal/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX = 200 };

static const struct {
    const char *name;
    fmal_idx n, k;
    int levels; /* different scores; 0: as many as samples */
} table[] = {
    { "one of none", 0, 1, 0 },     { "several of none", 0, 5, 0 },
    { "one of one", 1, 1, 0 },      { "more than there are", 7, 20, 0 },
    { "all there are", 37, 37, 0 }, { "the best", 37, 1, 0 },
    { "a few", 37, 5, 0 },          { "many", 197, 100, 0 },
    { "ties", 197, 50, 10 },        { "all equal", 37, 11, 1 },
};

static double score_of(int row, fmal_idx ig)
{
    fmal_rng r = fmal_rng_stream(3, FMAL_RNG_PICK, (uint32_t) row, (uint64_t) ig);

    if (table[row].levels)
        return -(double) fmal_rng_below(&r, (uint64_t) table[row].levels);
    return 1e6 * (fmal_rng_uniform(&r) - 0.5);
}

/* Insertion sort of all: the slow answer. */
static void sort_alone(int row, fmal_best *all)
{
    for (fmal_idx ig = 0; ig < table[row].n; ig++) {
        fmal_best b = { score_of(row, ig), ig };
        fmal_idx at = ig;

        for (; at > 0 && all[at - 1].score < b.score; at--)
            all[at] = all[at - 1];
        all[at] = b;
    }
}

static void test_table(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        fmal_part part = fmal_part_make(table[i].n, 4, &t->ctx);
        fmal_idx k = table[i].k, index_g[MAX], found = -1;
        double score[MAX];
        fmal_best best[MAX], all[MAX];

        for (fmal_idx il = 0; il < part.count; il++) {
            /* Any order will do. */
            index_g[il] = part.first + part.count - 1 - il;
            score[il] = score_of(i, index_g[il]);
        }
        fmal_status st =
            fmal_topk(&t->ctx, part.count ? score : NULL, part.count ? index_g : NULL,
                      part.count, k, best, &found);
        sort_alone(i, all);
        bool ok = st == FMAL_OK && found == (k < table[i].n ? k : table[i].n);
        for (fmal_idx b = 0; ok && b < found; b++)
            ok = best[b].index_g == all[b].index_g && best[b].score == all[b].score;
        fmal_test_ok(t, ok, "%s", table[i].name);
    }
}

static void test_nan(fmal_test *t)
{
    fmal_idx index_g[2] = { 2 * t->ctx.rank, 2 * t->ctx.rank + 1 }, found = -1;
    double score[2] = { 1, t->ctx.rank == t->ctx.size - 1 ? NAN : 2 };
    fmal_best best[3];
    char says[32];

    snprintf(says, sizeof says, "sample %d ", 2 * t->ctx.size - 1);
    fmal_status st = fmal_topk(&t->ctx, score, index_g, 2, 3, best, &found);
    fmal_test_ok(
        t, st == FMAL_ERR_NUMERIC && found == -1 && strstr(fmal_error_text(), says),
        "a NaN on one rank fails on all");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_table(&t);
    test_nan(&t);
    return fmal_test_end(&t);
}
