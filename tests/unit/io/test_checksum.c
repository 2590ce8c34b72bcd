/* Checksums, of bytes and of rows that are spread over ranks. */
#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"

#include <string.h>

/* Published values of XXH3-128 with seed 0. */
static const struct {
    const char *text, *want;
} known[] = {
    { "", "99aa06d3014798d86001c324468d497f" },
    { "a", "a96faf705af16834e6c632b61e964e1f" },
};

static void test_known(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(known); i++) {
        char hex[33];

        fmal_checksum(known[i].text, strlen(known[i].text), hex);
        fmal_test_ok(t, strcmp(hex, known[i].want) == 0, "the checksum of '%s': %s",
                     known[i].text, hex);
    }
}

static void test_every_bit_counts(fmal_test *t)
{
    char data[600] = { 0 }, before[33], after[33];
    bool differ = true;

    fmal_checksum(data, sizeof data, before);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] ^= (char) (1 << i % 8);
        fmal_checksum(data, sizeof data, after);
        differ = differ && strcmp(before, after) != 0;
        data[i] = 0;
    }
    fmal_checksum(data, sizeof data - 1, after);
    fmal_test_ok(t, differ, "every bit counts");
    fmal_test_ok(t, strcmp(before, after) != 0, "so does the length");
}

static const struct {
    const char *name;
    fmal_idx n;
    int block;
    size_t row_bytes;
} table[] = {
    { "no rows", 0, 4, 8 },
    { "one row", 1, 4, 8 },
    { "fewer blocks than ranks", 5, 4, 3 },
    { "a prime number of rows", 101, 7, 13 },
    { "blocks of one", 37, 1, 40 },
};

enum { MAX_BYTES = 1480 };

/* The checksum of the rows, of which byte `changed` is another; -1 changes none. */
static fmal_status sum_of(const fmal_ctx *ctx, int i, int changed, char hex[33])
{
    fmal_part part = fmal_part_make(table[i].n, table[i].block, ctx);
    size_t bytes = table[i].row_bytes;
    char data[MAX_BYTES];

    for (int at = 0; at < MAX_BYTES; at++)
        data[at] = (char) (at % 101 + (at == changed));
    return fmal_checksum_rows(ctx, &part, data + (size_t) part.first * bytes, bytes,
                              hex);
}

static void test_rows(fmal_test *t)
{
    fmal_ctx alone;

    fmal_ctx_init(&alone, MPI_COMM_SELF);
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        char mine[33], shared[33], other[33];
        int last = (int) (table[i].n * (fmal_idx) table[i].row_bytes) - 1;
        bool ok = sum_of(&alone, i, -1, mine) == FMAL_OK &&
                  sum_of(&t->ctx, i, -1, shared) == FMAL_OK &&
                  sum_of(&t->ctx, i, last, other) == FMAL_OK;

        fmal_test_ok(t, ok && strlen(mine) == 32 && strcmp(mine, shared) == 0,
                     "%s: as on one rank", table[i].name);
        fmal_test_ok(t, last < 0 || strcmp(shared, other) != 0,
                     "%s: the last byte counts", table[i].name);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_known(&t);
    test_every_bit_counts(&t);
    test_rows(&t);
    return fmal_test_end(&t);
}
