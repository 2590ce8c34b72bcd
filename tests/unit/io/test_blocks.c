/* Rows kept block by block: what is found after crashes, on other ranks, for other
   keys; and mapped rows. */
#include "fmal_test.h"

#include "fmal/blocks.h"
#include "fmal/io.h"
#include "fmal/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 5, BLOCK = 4 };
static const char key[] = "0123456789abcdef0123456789abcdef";
static const char other_key[] = "1123456789abcdef0123456789abcdef";

typedef struct {
    fmal_part part;
    float *rows; /* [part.count, WIDTH], as they should be */
    char path[512];
} bench;

static bench bench_make(fmal_test *t, fmal_idx n)
{
    bench b = { .part = fmal_part_make(n, BLOCK, &t->ctx) };

    snprintf(b.path, sizeof b.path, "%s", fmal_test_path(t, "rows.part"));
    if (FMAL_ALLOC(&b.rows, b.part.count * WIDTH) != FMAL_OK)
        abort();
    for (fmal_idx i = 0; i < b.part.count * WIDTH; i++)
        b.rows[i] = (float) (b.part.first * WIDTH + i) + 0.5f;
    if (t->ctx.rank == 0)
        unlink(b.path);
    MPI_Barrier(t->ctx.comm);
    return b;
}

static fmal_status open_it(fmal_test *t, const bench *b, const char *with, size_t width,
                           fmal_blocks **out)
{
    return fmal_blocks_open(&t->ctx, b->path, with, &b->part, width * sizeof(float),
                            out);
}

static const float *block_rows(const bench *b, fmal_idx block)
{
    return b->rows + block * BLOCK * WIDTH;
}

static size_t block_size(const bench *b, fmal_idx block)
{
    return (size_t) fmal_part_block_rows(&b->part, block) * WIDTH * sizeof(float);
}

/* Write this rank's blocks but its last `less`. */
static bool put_all(const bench *b, fmal_blocks *file, fmal_idx less)
{
    for (fmal_idx i = 0; i < b->part.block_count - less; i++)
        if (fmal_blocks_put(file, i, block_rows(b, i)) != FMAL_OK)
            return false;
    return true;
}

/* Blocks of all ranks that are there, with the right rows. */
static fmal_idx count_good(fmal_test *t, const bench *b, fmal_blocks *file)
{
    float rows[BLOCK * WIDTH];
    fmal_idx good = 0;

    for (fmal_idx i = 0; i < b->part.block_count; i++)
        good += fmal_blocks_get(file, i, rows) &&
                memcmp(rows, block_rows(b, i), block_size(b, i)) == 0;
    return fmal_sum_one(&t->ctx, good);
}

/* Open, count, close. */
static void expect(fmal_test *t, const bench *b, const char *with, size_t width,
                   fmal_idx good, const char *name)
{
    fmal_blocks *file = NULL;

    fmal_test_status(t, open_it(t, b, with, width, &file), FMAL_OK, name);
    fmal_test_ok(t, file && count_good(t, b, file) == good, "%s: %d blocks", name,
                 (int) good);
    fmal_blocks_close(&file);
    MPI_Barrier(t->ctx.comm);
}

static void test_keeping(fmal_test *t, fmal_idx n)
{
    bench b = bench_make(t, n);
    fmal_idx owners = fmal_sum_one(&t->ctx, b.part.block_count > 0);
    fmal_blocks *file = NULL;

    fmal_test_status(t, open_it(t, &b, key, WIDTH, &file), FMAL_OK, "a new file");
    fmal_test_ok(t, count_good(t, &b, file) == 0, "has nothing");
    fmal_test_ok(t, put_all(&b, file, b.part.block_count > 0), "all but one a rank");
    fmal_blocks_close(&file);
    MPI_Barrier(t->ctx.comm);
    fmal_idx done = -1, all = -1;
    fmal_test_ok(t,
                 fmal_blocks_count(b.path, &done, &all) && all == b.part.blocks &&
                     done == all - owners,
                 "counted: %" PRId64 " of %" PRId64, done, all);
    expect(t, &b, key, WIDTH, b.part.blocks - owners, "the same again");
    fmal_test_status(t, open_it(t, &b, key, WIDTH, &file), FMAL_OK, "and again");
    fmal_test_ok(t, put_all(&b, file, 0), "with the rest");
    fmal_blocks_close(&file);
    MPI_Barrier(t->ctx.comm);
    expect(t, &b, key, WIDTH, b.part.blocks, "whole");
    expect(t, &b, other_key, WIDTH, 0, "another key");
    expect(t, &b, key, WIDTH, 0, "which took its place");
    fmal_free(&b.rows);
}

static void test_mapping(fmal_test *t, fmal_idx n)
{
    bench b = bench_make(t, n);
    fmal_blocks *file = NULL;
    const void *rows = NULL;

    fmal_test_status(t, open_it(t, &b, key, WIDTH, &file), FMAL_OK, "a file to map");
    fmal_test_ok(t, put_all(&b, file, 0), "whole");
    fmal_test_status(t, fmal_blocks_map(file, &rows), FMAL_OK, "mapped");
    fmal_test_ok(t,
                 rows && memcmp(rows, b.rows, (size_t) (b.part.count * WIDTH) * 4) == 0,
                 "as it was written");
    fmal_blocks_close(&file);
    fmal_free(&b.rows);
}

/* ---- What others do to the file ---- */

static void damage(fmal_test *t, const bench *b, off_t size, off_t from_end)
{
    if (t->ctx.rank == 0) {
        int fd = open(b->path, O_WRONLY);

        if (fd < 0 || (size >= 0 && ftruncate(fd, size) != 0) ||
            (from_end > 0 &&
             (lseek(fd, -from_end, SEEK_END) < 0 || write(fd, "?", 1) != 1)) ||
            close(fd) != 0)
            abort();
    }
    MPI_Barrier(t->ctx.comm);
}

static void test_damage(fmal_test *t)
{
    bench b = bench_make(t, 41);
    fmal_blocks *file = NULL;
    const void *rows = NULL;

    fmal_test_status(t, open_it(t, &b, key, WIDTH, &file), FMAL_OK, "a file to damage");
    fmal_test_ok(t, put_all(&b, file, 0), "whole");
    damage(t, &b, -1, 2);
    fmal_status mine = fmal_blocks_map(file, &rows);
    fmal_test_status(t, fmal_agree(&t->ctx, mine), FMAL_ERR_IO,
                     "rows that are not what was written");
    fmal_blocks_close(&file);
    MPI_Barrier(t->ctx.comm);
    expect(t, &b, key, WIDTH, b.part.blocks - 1, "a byte of rows");
    damage(t, &b, 4096 + 20, 0);
    expect(t, &b, key, WIDTH, 0, "cut after one row");
    damage(t, &b, 600, 0);
    expect(t, &b, key, WIDTH, 0, "cut in the table");
    damage(t, &b, 0, 0);
    expect(t, &b, key, WIDTH, 0, "empty");
    expect(t, &b, key, WIDTH - 1, 0, "rows of another width");
    damage(t, &b, 300, 0);
    fmal_test_status(t, open_it(t, &b, key, WIDTH, &file), FMAL_ERR_EXISTS,
                     "no whole header");
    fmal_free(&b.rows);
}

static void test_refusals(fmal_test *t)
{
    bench b = bench_make(t, 9);
    fmal_blocks *file = NULL;
    char *text = NULL;
    size_t bytes = 0;
    static const char zeros[4096];

    /* As a power loss can leave it: its length on disk, but not its first page. */
    if (t->ctx.rank == 0 && fmal_file_replace(b.path, zeros, sizeof zeros) != FMAL_OK)
        abort();
    fmal_test_status(t, open_it(t, &b, key, WIDTH, &file), FMAL_OK, "a file of zeros");
    fmal_test_ok(t, count_good(t, &b, file) == 0, "is begun anew");
    fmal_blocks_close(&file);
    MPI_Barrier(t->ctx.comm);

    if (t->ctx.rank == 0 && fmal_file_replace(b.path, "something dear", 14) != FMAL_OK)
        abort();
    fmal_test_status(t, open_it(t, &b, key, WIDTH, &file), FMAL_ERR_EXISTS,
                     "another kind of file");
    fmal_test_ok(t,
                 t->ctx.rank != 0 ||
                     (fmal_file_read(b.path, 100, &text, &bytes) == FMAL_OK &&
                      strcmp(text, "something dear") == 0),
                 "stays as it is");
    fmal_free(&text);
    snprintf(b.path, sizeof b.path, "/nowhere/rows.part");
    fmal_test_status(t, open_it(t, &b, key, WIDTH, &file), FMAL_ERR_IO,
                     "a folder that is not there");
    fmal_test_ok(t, !file, "and nothing is held");
    fmal_free(&b.rows);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_keeping(&t, 41);
    test_keeping(&t, 3);
    test_mapping(&t, 41);
    test_mapping(&t, 1999); /* ranks begin within pages */
    test_mapping(&t, 0);
    test_damage(&t);
    test_refusals(&t);
    return fmal_test_end(&t);
}
