/* Who owns which sample. */
#include "fmal_test.h"

static const struct {
    const char *name;
    fmal_idx n;
    int block, size; /* size 0: that of this run */
} table[] = {
    { "no samples", 0, 4, 3 },
    { "no samples on one rank", 0, 256, 1 },
    { "one sample", 1, 4, 4 },
    { "fewer blocks than ranks", 9, 4, 7 },
    { "one rank", 37, 4, 1 },
    { "a prime number of samples", 37, 4, 3 },
    { "prime everything", 101, 7, 5 },
    { "whole blocks only", 64, 4, 4 },
    { "one past whole blocks", 65, 4, 4 },
    { "blocks of one", 11, 1, 4 },
    { "one short block", 3, 256, 2 },
    { "as many ranks as blocks", 40, 4, 10 },
    { "many ranks", 1009, 2, 251 },
    { "the default block", 60000, FMAL_BLOCK, 6 },
    { "this run's ranks", 37, 4, 0 },
};

/* The shares are adjacent, cover [0, n), and begin and end with a block. */
static bool covers(fmal_idx n, int block, int size)
{
    fmal_idx next = 0, next_block = 0;
    bool ok = true;

    for (int r = 0; r < size; r++) {
        fmal_part part = fmal_part_of(n, block, r, size);

        ok = ok && part.n == n && part.block == block && part.size == size;
        ok = ok && part.blocks == (n + block - 1) / block;
        ok = ok && part.count >= 0 && part.first == next;
        ok = ok && part.block_count >= 0 && part.first_block == next_block;
        ok = ok && (part.count == 0 || part.first == part.first_block * block);
        ok = ok && (part.count == 0) == (part.block_count == 0);
        next = part.first + part.count;
        next_block = part.first_block + part.block_count;
    }
    return ok && next == n && next_block == (n + block - 1) / block;
}

/* No rank has two blocks more than another. */
static bool is_balanced(fmal_idx n, int block, int size)
{
    fmal_idx least = INT64_MAX, most = 0;

    for (int r = 0; r < size; r++) {
        fmal_part part = fmal_part_of(n, block, r, size);

        least = part.block_count < least ? part.block_count : least;
        most = part.block_count > most ? part.block_count : most;
    }
    return most - least <= 1;
}

static bool owners_agree(fmal_idx n, int block, int size)
{
    fmal_part any = fmal_part_of(n, block, size - 1, size);
    bool ok = true;

    for (int r = 0; r < size; r++) {
        fmal_part part = fmal_part_of(n, block, r, size);

        for (fmal_idx ig = part.first; ig < part.first + part.count; ig++)
            ok = ok && fmal_part_owner(&any, ig) == r;
    }
    return ok;
}

/* The rows of a rank's blocks add up to its samples; all but the last are full. */
static bool rows_add_up(fmal_idx n, int block, int size)
{
    bool ok = true;

    for (int r = 0; r < size; r++) {
        fmal_part part = fmal_part_of(n, block, r, size);
        fmal_idx sum = 0;

        for (fmal_idx b = 0; b < part.block_count; b++) {
            int rows = fmal_part_block_rows(&part, b);
            bool last = part.first_block + b == part.blocks - 1;

            ok = ok && rows > 0 && (rows == block || (last && rows < block));
            sum += rows;
        }
        ok = ok && sum == part.count;
    }
    return ok;
}

static void test_huge(fmal_test *t)
{
    fmal_idx n = ((fmal_idx) 1 << 52) + 1;
    fmal_part first = fmal_part_of(n, 256, 0, 4099);
    fmal_part last = fmal_part_of(n, 256, 4098, 4099);

    fmal_test_ok(t,
                 first.first == 0 && last.first + last.count == n &&
                     fmal_part_owner(&first, n - 1) == 4098 &&
                     fmal_part_owner(&last, first.count) == 1,
                 "more samples than an int counts");
}

static void test_make(fmal_test *t)
{
    fmal_part made = fmal_part_make(37, 4, &t->ctx);
    fmal_part same = fmal_part_of(37, 4, t->ctx.rank, t->ctx.size);

    fmal_test_ok(t,
                 made.first == same.first && made.count == same.count &&
                     made.first_block == same.first_block && made.size == t->ctx.size,
                 "this rank's share");
    fmal_test_ok(t, fmal_sum_one(&t->ctx, made.count) == 37, "the shares add up");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(table); i++) {
        fmal_idx n = table[i].n;
        int block = table[i].block;
        int size = table[i].size ? table[i].size : t.ctx.size;

        fmal_test_ok(&t, covers(n, block, size), "%s: covered", table[i].name);
        fmal_test_ok(&t, is_balanced(n, block, size), "%s: balanced", table[i].name);
        fmal_test_ok(&t, owners_agree(n, block, size), "%s: owners", table[i].name);
        fmal_test_ok(&t, rows_add_up(n, block, size), "%s: rows", table[i].name);
    }
    test_huge(&t);
    test_make(&t);
    return fmal_test_end(&t);
}
