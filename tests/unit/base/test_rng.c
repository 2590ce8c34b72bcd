/* The generator against published vectors, and what is made of it. */
#include "fmal_test.h"

#include "fmal/rng.h"

#include <math.h>
#include <string.h>

/* Known answers of Philox4x32-10, as published with Random123 (Salmon et al. 2011). */
static const struct {
    const char *name;
    uint32_t counter[4], key[2], want[4];
} vectors[] = {
    { "all zero",
      { 0, 0, 0, 0 },
      { 0, 0 },
      { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
    { "all ones",
      { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
      { 0xffffffff, 0xffffffff },
      { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
    { "digits of pi",
      { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
      { 0xa4093822, 0x299f31d0 },
      { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
};

static void test_vectors(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(vectors); i++) {
        uint32_t out[4];

        fmal_philox(vectors[i].counter, vectors[i].key, out);
        fmal_test_ok(t, memcmp(out, vectors[i].want, sizeof out) == 0, "philox: %s",
                     vectors[i].name);
    }
}

/* A stream hands out the blocks of its counter, high word first. */
static void test_stream(fmal_test *t)
{
    uint64_t seed = 0x0123456789abcdef, index = 0xfedcba9876543210;
    fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SHUFFLE, 5, index);
    bool same = true;

    for (uint32_t block = 0; block < 3; block++) {
        uint32_t counter[4] = { block, 0x76543210, 0xfedcba98, 2u << 24 | 5 };
        uint32_t key[2] = { 0x89abcdef, 0x01234567 };
        uint32_t out[4];

        fmal_philox(counter, key, out);
        same = same && fmal_rng_u64(&r) == ((uint64_t) out[0] << 32 | out[1]);
        same = same && fmal_rng_u64(&r) == ((uint64_t) out[2] << 32 | out[3]);
    }
    fmal_test_ok(t, same, "a stream is the blocks of its counter");
}

static const struct {
    const char *name;
    uint64_t seed;
    fmal_rng_purpose purpose;
    uint32_t round;
    uint64_t index;
} streams[] = {
    { "the first", 7, FMAL_RNG_PICK, 0, 0 },
    { "seed", 8, FMAL_RNG_PICK, 0, 0 },
    { "upper half of the seed", 7 | (uint64_t) 1 << 32, FMAL_RNG_PICK, 0, 0 },
    { "purpose", 7, FMAL_RNG_INITIAL, 0, 0 },
    { "round", 7, FMAL_RNG_PICK, 1, 0 },
    { "last round", 7, FMAL_RNG_PICK, (1u << 24) - 1, 0 },
    { "index", 7, FMAL_RNG_PICK, 0, 1 },
    { "upper half of the index", 7, FMAL_RNG_PICK, 0, (uint64_t) 1 << 32 },
};

static fmal_rng stream(int i)
{
    return fmal_rng_stream(streams[i].seed, streams[i].purpose, streams[i].round,
                           streams[i].index);
}

/* Streams that differ in one part of their name agree no more than chance has it. */
static void test_independence(fmal_test *t)
{
    enum { DRAWS = 2000 };

    for (int i = 1; i < FMAL_COUNT(streams); i++) {
        bool shared = false;
        double sum = 0;

        for (int j = 0; j < i; j++) {
            fmal_rng a = stream(i), b = stream(j);

            for (int k = 0; k < DRAWS; k++) {
                uint64_t x = fmal_rng_u64(&a), y = fmal_rng_u64(&b);

                shared = shared || x == y;
                sum += __builtin_popcountll(x ^ y) - 32;
            }
        }
        /* The bits that differ: 32 of 64, with a deviation of 4 a draw. */
        fmal_test_ok(t, !shared && fabs(sum) < 5 * 4 * sqrt(i * DRAWS),
                     "another stream by its %s", streams[i].name);
    }
    fmal_rng a = stream(0), b = stream(0);
    fmal_test_ok(t, fmal_rng_u64(&a) == fmal_rng_u64(&b),
                 "the same name is the same stream");
}

static void test_uniform(fmal_test *t)
{
    enum { BINS = 32, DRAWS = 32000 };
    fmal_rng r = fmal_rng_stream(1, FMAL_RNG_INIT, 0, 0);
    int bin[BINS] = { 0 };
    double mean = 0, square = 0, chi = 0;
    bool inside = true;

    for (int i = 0; i < DRAWS; i++) {
        double x = fmal_rng_uniform(&r);

        inside = inside && x >= 0 && x < 1;
        mean += x / DRAWS;
        square += x * x / DRAWS;
        bin[(int) (x * BINS)]++;
    }
    for (int i = 0; i < BINS; i++)
        chi += pow(bin[i] - (double) DRAWS / BINS, 2) * BINS / DRAWS;
    fmal_test_ok(t, inside, "uniform numbers lie in [0, 1)");
    fmal_test_ok(t, fabs(mean - 0.5) < 0.01 && fabs(square - 1.0 / 3) < 0.01,
                 "with the moments of the uniform distribution");
    fmal_test_ok(t, chi < 80, "and fill all bins alike (chi-square %.1f of 31)", chi);
}

static void test_normal(fmal_test *t)
{
    enum { DRAWS = 40000 };
    double moment[5] = { 0 };
    bool finite = true;

    /* One number of each of many streams, as initial weights are drawn. */
    for (int i = 0; i < DRAWS; i++) {
        fmal_rng r = fmal_rng_stream(3, FMAL_RNG_INIT, 0, (uint64_t) i);
        double x = fmal_rng_normal(&r);

        finite = finite && isfinite(x);
        for (int k = 1; k <= 4; k++)
            moment[k] += pow(x, k) / DRAWS;
    }
    fmal_test_ok(t, finite, "normal numbers are finite");
    fmal_test_ok(t,
                 fabs(moment[1]) < 0.025 && fabs(moment[2] - 1) < 0.04 &&
                     fabs(moment[3]) < 0.1 && fabs(moment[4] - 3) < 0.25,
                 "with the moments of the normal distribution (%.3f %.3f %.3f %.3f)",
                 moment[1], moment[2], moment[3], moment[4]);
}

static const struct {
    const char *name;
    uint64_t bound;
} bounds[] = {
    { "one", 1 },
    { "two", 2 },
    { "a prime", 37 },
    { "a power of two", 256 },
    { "just above 2^63", ((uint64_t) 1 << 63) + 1 },
    { "three quarters of the range", (uint64_t) 3 << 62 },
    { "the largest", UINT64_MAX },
};

static void test_below(fmal_test *t)
{
    enum { DRAWS = 4000 };

    for (int i = 0; i < FMAL_COUNT(bounds); i++) {
        fmal_rng r = fmal_rng_stream(5, FMAL_RNG_PICK, 0, (uint64_t) i);
        uint64_t bound = bounds[i].bound;
        bool inside = true;
        double mean = 0;

        for (int k = 0; k < DRAWS; k++) {
            uint64_t x = fmal_rng_below(&r, bound);

            inside = inside && x < bound;
            mean += (double) x / DRAWS;
        }
        /* Modulo without rejection would move the mean for the large bounds. */
        double want = ((double) bound - 1) / 2;
        fmal_test_ok(t, inside && fabs(mean - want) <= 0.03 * want, "below a bound: %s",
                     bounds[i].name);
    }
}

static void test_below_reaches_all(fmal_test *t)
{
    fmal_rng r = fmal_rng_stream(5, FMAL_RNG_PICK, 1, 0);
    int seen[6] = { 0 }, least = 6000, most = 0;

    for (int i = 0; i < 6000; i++)
        seen[fmal_rng_below(&r, 6)]++;
    for (int i = 0; i < 6; i++) {
        least = seen[i] < least ? seen[i] : least;
        most = seen[i] > most ? seen[i] : most;
    }
    fmal_test_ok(t, least > 880 && most < 1120, "a die is fair (%d to %d of 1000)",
                 least, most);
}

static const fmal_idx sizes[] = { 0, 1, 2, 37, 1000 };

static void test_shuffle(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(sizes); i++) {
        fmal_rng r = fmal_rng_stream(9, FMAL_RNG_SHUFFLE, 2, 0);
        fmal_idx x[1000], n = sizes[i], moved = 0;
        int seen[1000] = { 0 };

        for (fmal_idx k = 0; k < n; k++)
            x[k] = k;
        fmal_rng_shuffle(&r, x, n);
        bool once = true;
        for (fmal_idx k = 0; k < n; k++) {
            once = once && x[k] >= 0 && x[k] < n && ++seen[x[k]] == 1;
            moved += x[k] != k;
        }
        fmal_test_ok(t, once && (n < 37 || moved > n / 2),
                     "a shuffle of %d is a permutation", (int) n);
    }
}

/* Every order of three as often as any other. */
static void test_shuffle_orders(fmal_test *t)
{
    int seen[27] = { 0 }, orders = 0;
    bool fair = true;

    for (int i = 0; i < 6000; i++) {
        fmal_rng r = fmal_rng_stream(11, FMAL_RNG_SHUFFLE, 0, (uint64_t) i);
        fmal_idx x[3] = { 0, 1, 2 };

        fmal_rng_shuffle(&r, x, 3);
        seen[x[0] * 9 + x[1] * 3 + x[2]]++;
    }
    for (int i = 0; i < 27; i++) {
        orders += seen[i] > 0;
        fair = fair && (seen[i] == 0 || (seen[i] > 880 && seen[i] < 1120));
    }
    fmal_test_ok(t, orders == 6 && fair, "all orders are equally likely");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_vectors(&t);
    test_stream(&t);
    test_independence(&t);
    test_uniform(&t);
    test_normal(&t);
    test_below(&t);
    test_below_reaches_all(&t);
    test_shuffle(&t);
    test_shuffle_orders(&t);
    return fmal_test_end(&t);
}
