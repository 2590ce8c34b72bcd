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
    test_gather(&t);
    return fmal_test_end(&t);
}
