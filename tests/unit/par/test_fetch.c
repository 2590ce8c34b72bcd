/* Rows by global index from the ranks that own them. */
#include "fmal_test.h"

#include "fmal/mem.h"
#include "fmal/rng.h"

#include <stdio.h>
#include <string.h>

/* How many rows each rank wants. */
typedef fmal_idx wish(int rank);

static fmal_idx nothing(int rank)
{
    (void) rank;
    return 0;
}

static fmal_idx same(int rank)
{
    (void) rank;
    return 20;
}

static fmal_idx root_only(int rank)
{
    return rank == 0 ? 50 : 0;
}

static fmal_idx uneven(int rank)
{
    return rank % 2 ? 0 : 100 * rank + 1;
}

static fmal_idx more_than_a_round(int rank)
{
    return rank == 0 ? 4 : rank % 2;
}

static const struct {
    const char *name;
    fmal_idx n;
    int block;
    size_t row_bytes;
    wish *wants;
} table[] = {
    { "nothing from nothing", 0, 4, 8, nothing },
    { "nothing", 37, 4, 8, nothing },
    { "the same number each, repeats", 37, 4, 12, same },
    { "rows of one byte", 37, 4, 1, same },
    { "one sample for all", 1, 4, 40, same },
    { "fewer blocks than ranks", 5, 4, 8, uneven },
    { "the root only", 101, 4, 24, root_only },
    { "uneven wishes", 101, 7, 1000, uneven },
    /* Three rows fill a round of 64 MiB. */
    { "several rounds", 3, 1, (size_t) 22 << 20, more_than_a_round },
};

/* A row is words that tell its index and place; row_bytes need not be whole words. */
static void fill_row(char *row, size_t bytes, fmal_idx ig)
{
    for (size_t at = 0; at < bytes; at++)
        row[at] = (char) (ig * 7 + (fmal_idx) at % 113 + (fmal_idx) (at >> 20));
}

static bool row_is(const char *row, size_t bytes, fmal_idx ig)
{
    for (size_t at = 0; at < bytes; at++)
        if (row[at] != (char) (ig * 7 + (fmal_idx) at % 113 + (fmal_idx) (at >> 20)))
            return false;
    return true;
}

static fmal_status test_row(fmal_test *t, int i, bool *right)
{
    size_t bytes = table[i].row_bytes;
    fmal_part part = fmal_part_make(table[i].n, table[i].block, &t->ctx);
    fmal_idx n_want = table[i].wants(t->ctx.rank);
    fmal_rng rng =
        fmal_rng_stream(1, FMAL_RNG_PICK, (uint32_t) i, (uint64_t) t->ctx.rank);
    fmal_idx *want = NULL;
    char *rows = NULL, *out = NULL;
    fmal_status st = FMAL_OK;

    /* Ranks without rows or wishes pass NULL. */
    if (part.count > 0)
        st = fmal_alloc(&rows, part.count, bytes);
    if (st == FMAL_OK && n_want > 0)
        st = FMAL_ALLOC(&want, n_want);
    if (st == FMAL_OK && n_want > 0)
        st = fmal_alloc(&out, n_want, bytes);
    if ((st = fmal_agree(&t->ctx, st)) != FMAL_OK)
        goto done;
    for (fmal_idx il = 0; il < part.count; il++)
        fill_row(rows + (size_t) il * bytes, bytes, part.first + il);
    for (fmal_idx k = 0; k < n_want; k++)
        want[k] = (fmal_idx) fmal_rng_below(&rng, (uint64_t) table[i].n);

    st = fmal_fetch_rows(&t->ctx, &part, rows, bytes, want, n_want, out);
    *right = true;
    for (fmal_idx k = 0; k < n_want; k++)
        *right = *right && row_is(out + (size_t) k * bytes, bytes, want[k]);
done:
    fmal_free(&rows);
    fmal_free(&want);
    fmal_free(&out);
    return st;
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(table); i++) {
        bool right = false;
        fmal_status st = test_row(&t, i, &right);

        fmal_test_ok(&t, st == FMAL_OK && right, "%s", table[i].name);
    }
    return fmal_test_end(&t);
}
