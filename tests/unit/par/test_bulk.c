/* Broadcasts, sums and gathers, of nothing and of more than one piece. */
#include "fmal_test.h"

#include "fmal/mem.h"

#include <stdio.h>

enum { PIECE = 4 << 20 }; /* as in bulk.c: what one call moves at most */

/* A byte that tells ranks and places apart. */
static char byte_of(int rank, size_t at)
{
    return (char) (31 * rank + at % 251 + at / 65536);
}

static bool bytes_are_of(const char *p, int rank, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (p[i] != byte_of(rank, i))
            return false;
    return true;
}

static void fill(char *p, int rank, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = byte_of(rank, i);
}

static const size_t sizes[] = { 0, 1, 1000, PIECE, PIECE + 1, 2 * PIECE + 7 };

static void test_bcast(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(sizes); i++) {
        for (int root = 0;
             root<t->ctx.size; root += t->ctx.size> 1 ? t->ctx.size - 1 : 1) {
            char *p = NULL;
            fmal_status st = FMAL_ALLOC(&p, (fmal_idx) sizes[i] + 1);

            fill(p, t->ctx.rank, sizes[i]);
            p[sizes[i]] = 77;
            fmal_bcast(&t->ctx, p, sizes[i], root);
            fmal_test_ok(t,
                         st == FMAL_OK && bytes_are_of(p, root, sizes[i]) &&
                             p[sizes[i]] == 77,
                         "%zu bytes from rank %d", sizes[i], root);
            fmal_free(&p);
        }
    }
}

static const fmal_idx counts[] = { 0, 1, 37, PIECE / 8, PIECE / 8 + 3 };

static void test_sums(fmal_test *t)
{
    int64_t size = t->ctx.size, ranks = size * (size - 1) / 2;

    for (int i = 0; i < FMAL_COUNT(counts); i++) {
        fmal_idx n = counts[i];
        int64_t *x = NULL, *to = NULL;
        double *y = NULL, *z = NULL;
        int root = (int) (size - 1);
        bool ok = FMAL_ALLOC(&x, n) == FMAL_OK && FMAL_ALLOC(&y, n) == FMAL_OK &&
                  FMAL_ALLOC(&z, n) == FMAL_OK && FMAL_ALLOC(&to, n) == FMAL_OK;

        for (fmal_idx k = 0; k < n; k++) {
            to[k] = x[k] = ((int64_t) 1 << 55) + k * t->ctx.rank;
            y[k] = 0.5 * (double) (k * t->ctx.rank);
            z[k] = t->ctx.rank == k % size ? (double) -k : (double) -k - 1;
        }
        fmal_sum_i64(&t->ctx, x, n);
        fmal_sum_i64_to(&t->ctx, to, n, root);
        fmal_sum_f64(&t->ctx, y, n);
        fmal_max_f64(&t->ctx, z, n);
        for (fmal_idx k = 0; k < n; k++) {
            ok = ok && x[k] == (size << 55) + k * ranks;
            ok = ok &&
                 to[k] == (t->ctx.rank == root ? x[k]
                                               : ((int64_t) 1 << 55) + k * t->ctx.rank);
            ok = ok && y[k] == 0.5 * (double) (k * ranks);
            ok = ok && z[k] == (double) -k;
        }
        fmal_test_ok(t, ok, "sums and maxima of %d numbers", (int) n);
        fmal_free(&x);
        fmal_free(&to);
        fmal_free(&y);
        fmal_free(&z);
    }
    fmal_test_ok(t, fmal_sum_one(&t->ctx, t->ctx.rank - 1) == ranks - size,
                 "the sum of one number");
}

static const struct {
    const char *name;
    fmal_idx n, width;
    int block, owners; /* 0: all ranks */
} parts[] = {
    { "rows for all", 37, 5, 1, 0 },
    { "whole blocks", 37, 5, 8, 0 },
    { "fewer rows than ranks", 2, 7, 1, 0 },
    { "no row", 0, 7, 4, 0 },
    { "owners are the first ranks", 37, 3, 4, 2 },
    { "one owner", 11, 3, 1, 1 },
    { "several pieces", 5, PIECE / 8 + 3, 1, 0 },
};

/* Number i of row-blocks on a rank. */
static int64_t number_of(fmal_idx i, int rank)
{
    return ((int64_t) 1 << 55) + i * (rank + 1);
}

static void test_parts(fmal_test *t, int row)
{
    int owners = parts[row].owners, size = t->ctx.size, rank = t->ctx.rank;
    int64_t *x = NULL, *room = NULL, ranks = (int64_t) size * (size + 1) / 2;

    owners = owners == 0 || owners > size ? size : owners;
    fmal_part all = fmal_part_of(parts[row].n, parts[row].block, 0, owners);
    fmal_idx piece = all.block * parts[row].width, count = all.blocks * piece;
    bool ok =
        FMAL_ALLOC(&x, count) == FMAL_OK && FMAL_ALLOC(&room, FMAL_SUM_ROOM) == FMAL_OK;

    for (fmal_idx i = 0; i < count; i++)
        x[i] = number_of(i, rank);
    fmal_sum_i64_parts(&t->ctx, &all, parts[row].width, x, room);
    for (fmal_idx i = 0; i < count; i++) {
        bool mine = fmal_part_owner(&all, i / piece * all.block) == rank;
        int64_t sum = ((int64_t) size << 55) + i * ranks;

        ok = ok && x[i] == (mine ? sum : number_of(i, rank));
    }
    fmal_test_ok(t, ok, "sums of parts: %s", parts[row].name);
    fmal_free(&x);
    fmal_free(&room);
}

/* Bytes that rank r gives. */
typedef size_t amount(int r);

static size_t none(int r)
{
    (void) r;
    return 0;
}

static size_t a_few(int r)
{
    return (size_t) (r + 1) * 5;
}

static size_t odd_ranks(int r)
{
    return r % 2 ? 13 : 0;
}

static size_t the_last(int r)
{
    return r == 3 ? 100 : 0;
}

static size_t several_pieces(int r)
{
    return r % 2 ? 2 * PIECE + 3 : PIECE;
}

static const struct {
    const char *name;
    amount *bytes;
} gathers[] = {
    { "nothing", none },
    { "more from each rank", a_few },
    { "odd ranks only", odd_ranks },
    { "one rank only", the_last },
    { "several pieces", several_pieces },
};

static void test_gather(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(gathers); i++) {
        size_t bytes = gathers[i].bytes(t->ctx.rank), total = 99, at = 0;
        char *mine = NULL, *all = NULL;
        fmal_status st = FMAL_OK;

        if (bytes > 0)
            st = FMAL_ALLOC(&mine, (fmal_idx) bytes);
        fill(mine, t->ctx.rank, bytes);
        if (fmal_agree(&t->ctx, st) == FMAL_OK)
            st = fmal_gather(&t->ctx, mine, bytes, &all, &total);
        bool ok = st == FMAL_OK;
        for (int r = 0; t->ctx.rank == 0 && r < t->ctx.size; r++) {
            ok = ok && bytes_are_of(all + at, r, gathers[i].bytes(r));
            at += gathers[i].bytes(r);
        }
        ok = ok && total == at && (t->ctx.rank == 0 || !all);
        fmal_test_ok(t, ok, "gather: %s", gathers[i].name);
        fmal_free(&mine);
        fmal_free(&all);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_bcast(&t);
    test_sums(&t);
    for (int row = 0; row < FMAL_COUNT(parts); row++)
        test_parts(&t, row);
    test_gather(&t);
    return fmal_test_end(&t);
}
