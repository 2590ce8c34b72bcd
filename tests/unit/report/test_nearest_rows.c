/* Distance to the nearest other row, against all pairs. */
#include "fmal_test.h"

#include "fmal/mem.h"
#include "fmal/report.h"
#include "fmal/rng.h"

#include <math.h>
#include <stdlib.h>

static float *rows_of(fmal_idx n, int d, double scale, double offset)
{
    float *x = NULL;

    if (FMAL_ALLOC(&x, n * d) != FMAL_OK)
        abort();
    for (fmal_idx i = 0; i < n * d; i++) {
        fmal_rng r = fmal_rng_stream(29, FMAL_RNG_INIT, 0, (uint64_t) i);

        x[i] = (float) (offset + scale * fmal_rng_normal(&r));
    }
    return x;
}

static double nearest(const float *x, fmal_idx n, int d, fmal_idx i)
{
    double least = INFINITY;

    for (fmal_idx j = 0; j < n; j++) {
        double sum = 0;

        for (int a = 0; a < d; a++) {
            double gap = (double) x[i * d + a] - x[j * d + a];

            sum += gap * gap;
        }
        if (j != i && sum < least)
            least = sum;
    }
    return n > 1 ? sqrt(least) : 0;
}

static const struct {
    const char *name;
    fmal_idx n;
    int d;
    double scale, offset;
    bool duplicates; /* every fourth row repeats the first */
} table[] = {
    { "one row", 1, 5, 1, 0, false },
    { "two rows", 2, 5, 1, 0, false },
    { "two equal rows", 2, 5, 0, 3, false },
    { "one block of rows", 128, 7, 1, 0, false },
    { "a row more", 129, 7, 1, 0, false },
    { "several blocks", 300, 3, 1, 0, false },
    { "one column", 150, 1, 1, 0, false },
    { "duplicates", 200, 40, 1, 0, true },
    { "small distances at a distance", 140, 16, 0.01, 100, true },
    { "large numbers", 40, 8, 1e15, 0, true },
    { "small numbers", 40, 8, 1e-15, 0, true },
};

static void test_row(fmal_test *t, int row)
{
    fmal_idx n = table[row].n, zeros = 0;
    int d = table[row].d;
    float *x = rows_of(n, d, table[row].scale, table[row].offset);
    double *out = NULL;
    bool right = true;

    for (fmal_idx i = 4; i < n && table[row].duplicates; i += 4)
        for (int a = 0; a < d; a++)
            x[i * d + a] = x[a];
    if (FMAL_ALLOC(&out, n) != FMAL_OK)
        abort();
    fmal_status st = fmal_nearest_rows(x, n, d, out);
    for (fmal_idx i = 0; i < n; i++) {
        right = right && fmal_test_close(out[i], nearest(x, n, d, i), 1e-12, 0);
        zeros += out[i] == 0;
    }
    fmal_test_ok(
        t, st == FMAL_OK && right && (!table[row].duplicates || zeros == (n + 3) / 4),
        "%s: %d zeros", table[row].name, (int) zeros);
    fmal_free(&x);
    fmal_free(&out);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int row = 0; row < FMAL_COUNT(table); row++)
        test_row(&t, row);
    fmal_test_ok(&t, fmal_nearest_rows(NULL, 0, 3, NULL) == FMAL_OK, "no rows");
    return fmal_test_end(&t);
}
