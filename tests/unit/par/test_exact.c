/* Sums that have the same bits in any order and on any number of ranks. */
#include "fmal_test.h"

#include "fmal/rng.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The scale ---- */

static const struct {
    const char *name;
    double largest;
    fmal_idx n;
    int shift;
} shifts[] = {
    { "nothing but zeros", 0, 100, 0 },
    { "one addend just below 1", 0.75, 1, 62 },
    { "one addend of 1", 1, 1, 61 },
    { "a thousand addends", 0.75, 1000, 52 },
    { "a power of two of them", 0.75, 1024, 52 },
    { "one more", 0.75, 1025, 51 },
    { "no addends", 0.75, 0, 62 },
    { "as many as there may be", 0.75, (fmal_idx) 1 << 53, 9 },
    { "large ones", 0x1p500, 1, -439 },
    { "the largest", DBL_MAX, 1000, -972 },
    { "tiny ones: no further", 0x1p-1000, 1, 1000 },
    { "below the normal ones", 5e-324, 1, 1000 },
};

static void test_shift(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(shifts); i++) {
        int shift = fmal_exact_shift(shifts[i].largest, shifts[i].n);

        fmal_test_ok(t, shift == shifts[i].shift, "scale: %s (%d)", shifts[i].name,
                     shift);
    }
}

/* ---- Sums of random addends ---- */

enum { ADDENDS = 2003, WIDTH = 3, WAYS = 6 };

/* Addend ig of column j. */
typedef double maker(fmal_idx ig, int j);

static fmal_rng stream_of(fmal_idx ig, int j)
{
    return fmal_rng_stream(17, FMAL_RNG_PICK, (uint32_t) j, (uint64_t) ig);
}

static double signs(fmal_idx ig, int j)
{
    fmal_rng r = stream_of(ig, j);

    return 2 * fmal_rng_uniform(&r) - 1;
}

static double scales(fmal_idx ig, int j)
{
    fmal_rng r = stream_of(ig, j);
    double x = 2 * fmal_rng_uniform(&r) - 1;

    return x * ldexp(1, (int) fmal_rng_below(&r, 80) - 40);
}

static double cancelling(fmal_idx ig, int j)
{
    return ig % 2 ? -signs(ig - 1, j) * (1 + DBL_EPSILON) : signs(ig, j);
}

static double huge(fmal_idx ig, int j)
{
    return 1e300 * signs(ig, j);
}

static double tiny(fmal_idx ig, int j)
{
    return 1e-270 * signs(ig, j);
}

static double zeros(fmal_idx ig, int j)
{
    return (ig + j) % 2 ? 0.0 : -0.0;
}

static double integers(fmal_idx ig, int j)
{
    return (double) ((ig * 7919 + j) % 1000 - 500);
}

static const struct {
    const char *name;
    maker *make;
} kinds[] = {
    { "both signs", signs },
    { "eighty binary orders", scales },
    { "cancelling", cancelling },
    { "huge", huge },
    { "tiny", tiny },
    { "zeros", zeros },
    { "integers", integers },
};

static double largest_of(maker *make)
{
    double largest = 0;

    for (fmal_idx ig = 0; ig < ADDENDS; ig++)
        for (int j = 0; j < WIDTH; j++)
            largest = fmax(largest, fabs(make(ig, j)));
    return largest;
}

/* The sums on this rank alone, in the order of the indices. */
static void sum_alone(maker *make, int shift, double *sum)
{
    int64_t acc[WIDTH] = { 0 };

    for (fmal_idx ig = 0; ig < ADDENDS; ig++) {
        double x[WIDTH];

        for (int j = 0; j < WIDTH; j++)
            x[j] = make(ig, j);
        fmal_exact_add(acc, x, WIDTH, shift);
    }
    fmal_exact_get(sum, acc, WIDTH, shift);
}

/* The sums over ranks: way `way` of shuffling the addends and of dealing them out. */
static void sum_spread(const fmal_ctx *ctx, maker *make, int shift, int way,
                       double *sum)
{
    fmal_rng order = fmal_rng_stream(23, FMAL_RNG_SHUFFLE, (uint32_t) way, 0);
    fmal_idx index[ADDENDS];
    int64_t acc[WIDTH] = { 0 };

    for (fmal_idx i = 0; i < ADDENDS; i++)
        index[i] = i;
    fmal_rng_shuffle(&order, index, ADDENDS);
    for (fmal_idx i = 0; i < ADDENDS; i++) {
        double x[WIDTH];
        /* Way 0 gives all to the last rank. */
        uint64_t dealt = fmal_rng_below(&order, (uint64_t) ctx->size);
        int owner = way ? (int) dealt : ctx->size - 1;

        for (int j = 0; owner == ctx->rank && j < WIDTH; j++)
            x[j] = make(index[i], j);
        if (owner == ctx->rank)
            fmal_exact_add(acc, x, WIDTH, shift);
    }
    fmal_sum_i64(ctx, acc, WIDTH);
    fmal_exact_get(sum, acc, WIDTH, shift);
}

/* Each addend is rounded once, by half a unit of 2^-shift, and the sum once more. */
static bool is_accurate(maker *make, int shift, const double *sum)
{
    bool ok = true;

    for (int j = 0; j < WIDTH; j++) {
        long double want = 0;

        for (fmal_idx ig = 0; ig < ADDENDS; ig++)
            want += make(ig, j);
        long double bound = ADDENDS * 0.5L * ldexpl(1, -shift);
        bound += fabsl(want) * DBL_EPSILON;
        ok = ok && fabsl(sum[j] - want) <= bound;
    }
    return ok;
}

static void test_kinds(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(kinds); i++) {
        double largest = largest_of(kinds[i].make);
        int shift = fmal_exact_shift(largest, ADDENDS);
        double alone[WIDTH], spread[WIDTH];
        bool same = true;

        sum_alone(kinds[i].make, shift, alone);
        for (int way = 0; way < WAYS; way++) {
            sum_spread(&t->ctx, kinds[i].make, shift, way, spread);
            same = same && memcmp(alone, spread, sizeof alone) == 0;
        }
        fmal_test_ok(t, same, "%s: the same bits in any order", kinds[i].name);
        fmal_test_ok(t, is_accurate(kinds[i].make, shift, alone), "%s: accurate",
                     kinds[i].name);
        /* At best all but 2^-50 of N times the largest is kept. */
        fmal_test_ok(t, largest == 0 || ldexp(1, -shift) <= largest * 0x1p-48,
                     "%s: the bits are used", kinds[i].name);
    }
}

static void test_zero_is_positive(fmal_test *t)
{
    double sum[WIDTH];

    sum_alone(zeros, fmal_exact_shift(0, ADDENDS), sum);
    fmal_test_ok(t, sum[0] == 0 && !signbit(sum[0]), "a sum of zeros is +0");
}

static void test_integers(fmal_test *t)
{
    double sum[WIDTH];
    int64_t want = 0;

    sum_alone(integers, fmal_exact_shift(largest_of(integers), ADDENDS), sum);
    for (fmal_idx ig = 0; ig < ADDENDS; ig++)
        want += (int64_t) integers(ig, 1);
    fmal_test_ok(t, sum[1] == (double) want, "a sum of integers is exact");
}

/* ---- As many addends as promised, all as large as promised ---- */

static const struct {
    const char *name;
    double largest;
    fmal_idx n;
} bounds[] = {
    { "one", 1, 1 },
    { "a power of two of ones", 1, 1024 },
    { "just below a power of two", 1 - DBL_EPSILON / 2, 4096 },
    { "not a power of two", 1 - DBL_EPSILON / 2, 4097 },
    { "many", 3.7, 100003 },
    { "the largest there are", DBL_MAX / 2048, 1024 },
    { "small", 1e-280, 1000 },
};

static void test_bounds(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(bounds); i++) {
        fmal_idx n = bounds[i].n;
        int shift = fmal_exact_shift(bounds[i].largest, n);
        double x[2] = { bounds[i].largest, -bounds[i].largest }, sum[2];
        int64_t acc[2] = { 0 };

        for (fmal_idx k = 0; k < n; k++)
            fmal_exact_add(acc, x, 2, shift);
        fmal_exact_get(sum, acc, 2, shift);
        double want = bounds[i].largest * (double) n;
        double bound = 0.5 * (double) n * ldexp(1, -shift) + want * DBL_EPSILON;
        fmal_test_ok(t,
                     acc[0] > 0 && acc[0] == -acc[1] && sum[0] == -sum[1] &&
                         fabs(sum[0] - want) <= bound,
                     "no overflow: %s", bounds[i].name);
    }
}

/* Singles are added as the doubles that they are. */
static void test_singles(fmal_test *t)
{
    int64_t a[WIDTH] = { 0 }, b[WIDTH] = { 0 };
    int shift = fmal_exact_shift(1, ADDENDS);

    for (fmal_idx ig = 0; ig < ADDENDS; ig++) {
        float x[WIDTH];
        double y[WIDTH];

        for (int j = 0; j < WIDTH; j++)
            y[j] = x[j] = (float) signs(ig, j);
        fmal_exact_add_f32(a, x, WIDTH, shift);
        fmal_exact_add(b, y, WIDTH, shift);
    }
    fmal_test_ok(t, memcmp(a, b, sizeof a) == 0, "singles");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_shift(&t);
    test_kinds(&t);
    test_zero_is_positive(&t);
    test_integers(&t);
    test_bounds(&t);
    test_singles(&t);
    return fmal_test_end(&t);
}
