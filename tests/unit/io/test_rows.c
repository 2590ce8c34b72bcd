/* Rows that are read when they are wanted: the same as at once, and what happens when
   the file is not what it was. */
#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"
#include "fmal/rows.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N = 1003, WIDTH = 5 };

static float number(fmal_idx i, int a)
{
    return (float) (i % 97) - 0.125f * (float) a;
}

/* A file with the rows; row `bad`, if there is one, has a NaN. */
static fmal_status make_file(const char *path, fmal_type type, bool compress,
                             fmal_idx bad)
{
    float *x = NULL;
    double *y = NULL;
    fmal_h5 *h = NULL;
    fmal_h5_spec spec = { .name = "/deep/rows",
                          .type = type,
                          .ndims = 2,
                          .dims = { N, WIDTH },
                          .compress = compress };
    fmal_status st = FMAL_ALLOC(&x, N * WIDTH);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&y, N * WIDTH);
    for (fmal_idx i = 0; i < N && st == FMAL_OK; i++)
        for (int a = 0; a < WIDTH; a++)
            y[i * WIDTH + a] = x[i * WIDTH + a] = i == bad ? NAN : number(i, a);
    if (st == FMAL_OK)
        st = fmal_h5_create_image(&h);
    if (st == FMAL_OK)
        st = fmal_h5_write(h, &spec, type == FMAL_F32 ? (void *) x : (void *) y);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    fmal_free(&x);
    fmal_free(&y);
    return st;
}

static bool is_row(const float *row, fmal_idx index_g)
{
    for (int a = 0; a < WIDTH; a++)
        if (row[a] != number(index_g, a))
            return false;
    return true;
}

static const struct {
    const char *name;
    fmal_type type;
    bool compress;
} files[] = {
    { "as they are", FMAL_F32, false },
    { "in chunks", FMAL_F32, true },
    { "converted", FMAL_F64, false },
};

/* In order, twice; then here and there. */
static bool reads_all(const fmal_part *part, const fmal_rows *rows)
{
    bool ok = true;

    for (fmal_idx i = 0; i < 2 * part->count; i++)
        ok = ok &&
             is_row(fmal_rows_at(rows, i % part->count), part->first + i % part->count);
    for (fmal_idx i = 0; i < part->count; i++) {
        fmal_idx il = i * 389 % part->count;

        ok = ok && is_row(fmal_rows_at(rows, il), part->first + il);
    }
    return ok && fmal_rows_status(rows) == FMAL_OK;
}

static void test_reading(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(files); i++) {
        const char *path = "rows.h5";
        fmal_part part = fmal_part_make(N, 16, &t->ctx);
        fmal_phases phases = { 0 };
        fmal_rows rows = { .width = WIDTH }, held = { .width = WIDTH };
        float *all = NULL, row[WIDTH];
        char a[33] = "", b[33] = "";
        fmal_status st = FMAL_OK;

        if (t->ctx.rank == 0)
            st = make_file(path, files[i].type, files[i].compress, -1);
        st = fmal_agree_root(&t->ctx, st);
        if (st == FMAL_OK)
            st = fmal_rows_open(path, "/deep/rows", &part, &phases, &rows.file);
        if (st == FMAL_OK)
            st = FMAL_ALLOC(&all, part.count * WIDTH);
        fmal_test_ok(t, st == FMAL_OK && reads_all(&part, &rows), "%s: every row",
                     files[i].name);
        fmal_test_ok(t,
                     fmal_rows_read(rows.file, N - 1, row) == FMAL_OK &&
                         is_row(row, N - 1) &&
                         phases.bytes[FMAL_PHASE_READ] >=
                             4.0 * WIDTH * (double) N / t->ctx.size / 2,
                     "%s: a row of any rank, and reading is counted", files[i].name);
        for (fmal_idx il = 0; il < part.count; il++)
            for (int k = 0; k < WIDTH; k++)
                all[il * WIDTH + k] = number(part.first + il, k);
        held.all = all;
        st = fmal_rows_checksum(&t->ctx, &part, &rows, a);
        fmal_test_ok(t,
                     st == FMAL_OK &&
                         fmal_rows_checksum(&t->ctx, &part, &held, b) == FMAL_OK &&
                         strcmp(a, b) == 0,
                     "%s: the checksum of rows in memory", files[i].name);
        fmal_rows_close(&rows.file);
        fmal_free(&all);
    }
}

typedef enum { CUT, TOUCHED, NOT_FINITE } fault;

static const struct {
    const char *name;
    fault fault;
    fmal_status want;
    const char *says;
} faults[] = {
    { "a file that is cut", CUT, FMAL_ERR_IO, "the file was cut short while" },
    { "a file that is written to", TOUCHED, FMAL_ERR_IO, "the file was changed while" },
    { "a NaN", NOT_FINITE, FMAL_ERR_FORMAT, "of sample 500, column 0 is NaN" },
};

static bool damage(const char *path, fault what)
{
    static const struct timespec other[2] = { { 12345, 0 }, { 12345, 0 } };
    struct stat about;

    if (what == CUT)
        return stat(path, &about) == 0 && truncate(path, about.st_size - 100) == 0;
    return what == NOT_FINITE || utimensat(AT_FDCWD, path, other, 0) == 0;
}

/* One rank has a file of its own: what happens to it is that rank's alone. */
static void test_faults(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(faults); i++) {
        fmal_part part = fmal_part_of(N, 16, 0, 1);
        fmal_rows rows = { .width = WIDTH };
        fmal_idx bad = faults[i].fault == NOT_FINITE ? 500 : -1;
        char path[64];

        snprintf(path, sizeof path, "rows_%d.h5", t->ctx.rank);
        fmal_status st = make_file(path, FMAL_F32, false, bad);
        if (st == FMAL_OK)
            st = fmal_rows_open(path, "/deep/rows", &part, NULL, &rows.file);
        bool ok = st == FMAL_OK && is_row(fmal_rows_at(&rows, 3), 3) &&
                  damage(path, faults[i].fault);
        ok = ok && fmal_rows_status(&rows) == FMAL_OK &&
             fmal_rows_at(&rows, 500)[1] == 0 && fmal_rows_at(&rows, 3)[1] == 0;
        fmal_error_set("", "");
        fmal_test_ok(t,
                     ok && fmal_rows_status(&rows) == faults[i].want &&
                         strstr(fmal_error_text(), faults[i].says),
                     "%s: zeros from then on, and why", faults[i].name);
        fmal_rows_close(&rows.file);
        unlink(path);
    }
    fmal_rows_file *none = NULL;
    fmal_part part = fmal_part_make(N, 16, &t->ctx);
    fmal_test_ok(
        t,
        fmal_rows_open("rows.h5", "/none", &part, NULL, &none) == FMAL_ERR_IO &&
            fmal_rows_open("none.h5", "/rows", &part, NULL, &none) == FMAL_ERR_IO &&
            !none,
        "what is not there");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    char dir[64] = "";

    if (t.ctx.rank == 0) {
        snprintf(dir, sizeof dir, "rows_test_XXXXXX");
        if (!mkdtemp(dir))
            dir[0] = 0;
    }
    fmal_bcast(&t.ctx, dir, sizeof dir, 0);
    if (chdir(dir) != 0)
        return fmal_test_skip(&t, "no folder to write in");
    test_reading(&t);
    test_faults(&t);
    MPI_Barrier(t.ctx.comm);
    if (t.ctx.rank == 0)
        unlink("rows.h5");
    if (chdir("..") == 0 && t.ctx.rank == 0)
        rmdir(dir);
    return fmal_test_end(&t);
}
