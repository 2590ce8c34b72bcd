/*
 * The micro-kernel of the candidate pass; compiled once for each instruction set.
 *
 * Samples run along the registers, 16 of them; a packed panel holds up to 18 rows of
 * [W | Z]^T, whose numbers are broadcast. With AVX-512 that is one load of samples and
 * 18 multiply-adds with a broadcast operand for each feature, on 18 accumulators: more
 * than the latency of the multiply-add needs, and no shuffle anywhere. AVX2 has
 * registers for 6 rows of 16 samples and goes three times over a panel.
 */
#include "stream_kernel.h"

#include <string.h>

#ifndef FMAL_ISA
#define FMAL_ISA plain
#endif
#define PASTE(a, b)  a##b
#define NAMED(a, b)  PASTE(a, b)
#define KERNEL(name) NAMED(name##_, FMAL_ISA)

#if defined(__AVX512F__)
enum { WIDTH = 16, MOST = 18 };
#elif defined(__AVX2__)
enum { WIDTH = 8, MOST = 6 };
#else
enum { WIDTH = 4, MOST = 2 };
#endif

enum { LANES = FMAL_STREAM_LANES, PARTS = LANES / WIDTH };

typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef int32_t choice __attribute__((vector_size(4 * WIDTH), aligned(4)));

static inline vec choose(choice which, vec yes, vec no)
{
    return (vec) ((which & (choice) yes) | (~which & (choice) no));
}

/* One function for each number of rows that are worth a kernel of their own; the loops
   over rows and parts unroll whole, so that `acc` lives in registers. */
#define DEFINE_ROWS(NAME, ROWS, STRIDE)                                                \
    static void NAME(int depth, const float *w, const float *h, float *y)              \
    {                                                                                  \
        vec acc[ROWS][PARTS] = { 0 };                                                  \
                                                                                       \
        for (int a = 0; a < depth; a++, w += STRIDE, h += LANES) {                     \
            const vec *x = (const vec *) h;                                            \
                                                                                       \
            _Pragma("GCC unroll 18") for (int i = 0; i < ROWS; i++)                    \
                _Pragma("GCC unroll 4") for (int p = 0; p < PARTS; p++) acc[i][p] +=   \
                x[p] * w[i];                                                           \
        }                                                                              \
        _Pragma("GCC unroll 18") for (int i = 0; i < ROWS; i++)                        \
            _Pragma("GCC unroll 4") for (int p = 0; p < PARTS;                         \
                                         p++)((vec *) y)[i * PARTS + p] = acc[i][p];   \
    }

/* A pass with two rows waits for memory. Numbers of a panel would be 72 bytes apart,
   and would push the samples out of the L1 cache, which then come a third slower. */
DEFINE_ROWS(multiply_pair, 2, 2)
DEFINE_ROWS(rows_2, 2, FMAL_PANEL_ROWS)
#if defined(__AVX2__)
DEFINE_ROWS(rows_6, 6, FMAL_PANEL_ROWS)
#endif
#if defined(__AVX512F__)
DEFINE_ROWS(rows_9, 9, FMAL_PANEL_ROWS)
DEFINE_ROWS(rows_12, 12, FMAL_PANEL_ROWS)
DEFINE_ROWS(rows_18, 18, FMAL_PANEL_ROWS)
#endif

static void multiply(int rows, int depth, const float *w, int first, const float *h,
                     float *y)
{
    /* The last kernel may compute rows that were not asked for, within the panel. */
    while (rows > 0) {
        int take = MOST;

#if defined(__AVX512F__)
        take = rows > 12 ? 18 : rows > 9 ? 12 : rows > 6 ? 9 : rows > 2 ? 6 : 2;
#elif defined(__AVX2__)
        take = rows > 2 ? 6 : 2;
#endif
        int skip = first + take > FMAL_PANEL_ROWS ? first + take - FMAL_PANEL_ROWS : 0;
        float spill[MOST * LANES], *to = skip > 0 ? spill : y;
        const float *from = w + first - skip;

        switch (take) {
#if defined(__AVX512F__)
        case 18:
            rows_18(depth, from, h, to);
            break;
        case 12:
            rows_12(depth, from, h, to);
            break;
        case 9:
            rows_9(depth, from, h, to);
            break;
#endif
#if defined(__AVX2__)
        case 6:
            rows_6(depth, from, h, to);
            break;
#endif
        default:
            rows_2(depth, from, h, to);
        }
        int got = take - skip < rows ? take - skip : rows;
        if (skip > 0)
            memcpy(y, spill + skip * LANES, sizeof(float) * LANES * (size_t) got);
        first += got;
        rows -= got;
        y += got * LANES;
    }
}

static void project(int r, int cols, const float *y, const float *root,
                    const float *shift, const int32_t *swap, float *out)
{
    const vec *rt = (const vec *) root, *sh = (const vec *) shift;
    const choice *sw = (const choice *) swap;

    for (int j = 0; j < cols; j++, y += r * LANES, out += r * LANES) {
        const vec *from = (const vec *) y;
        vec *to = (vec *) out, mean[PARTS] = { 0 }, last[PARTS] = { 0 };

        for (int k = 0; k < r; k++)
            _Pragma("GCC unroll 4") for (int p = 0; p < PARTS; p++)
            {
                mean[p] += sh[k * PARTS + p] * from[k * PARTS + p];
                last[p] -= from[k * PARTS + p];
            }
        for (int k = 0; k < r; k++)
            _Pragma("GCC unroll 4") for (int p = 0; p < PARTS; p++)
            {
                vec x = choose(sw[p] == k, last[p], from[k * PARTS + p]);

                to[k * PARTS + p] = rt[k * PARTS + p] * (x - mean[p]);
            }
    }
}

/* Lanes of a, numbered from 0, and of b, from WIDTH. */
static inline __attribute__((always_inline)) vec pick_from(vec a, vec b, choice lanes)
{
#ifdef __clang__ /* which makes a shuffle of this, and has none of a variable choice   \
                  */
    vec x = a;

    _Pragma("GCC unroll 16") for (int j = 0; j < WIDTH; j++) x[j] =
        lanes[j] < WIDTH ? a[lanes[j]] : b[lanes[j] - WIDTH];
    return x;
#else
    return __builtin_shuffle(a, b, lanes);
#endif
}

/* Rows i and i + s of a square, the halves of which change places across: one stage of
   a transposition. */
static inline __attribute__((always_inline)) void exchange(vec *a, vec *b, const int s)
{
    choice low, high;

    _Pragma("GCC unroll 16") for (int j = 0; j < WIDTH; j++)
    {
        low[j] = j & s ? WIDTH + j - s : j;
        high[j] = j & s ? WIDTH + j : j + s;
    }
    vec x = pick_from(*a, *b, low), y = pick_from(*a, *b, high);
    *a = x;
    *b = y;
}

/* to [WIDTH, LANES] = scale times WIDTH columns of WIDTH rows. */
static void turn_square(const float *const *from, size_t column, float scale, float *to)
{
    vec x[WIDTH];

    _Pragma("GCC unroll 16") for (int i = 0; i < WIDTH; i++) x[i] =
        scale * *(const vec *) (from[i] + column);
    _Pragma("GCC unroll 8") for (int s = 1; s < WIDTH; s *= 2)
        _Pragma("GCC unroll 16") for (int i = 0; i < WIDTH; i++) if (!(i & s))
            exchange(&x[i], &x[i + s], s);
    _Pragma("GCC unroll 16") for (int i = 0; i < WIDTH; i++) *
        (vec *) (to + (size_t) i * LANES) = x[i];
}

static void turn(int depth, const float *const *from, float scale, float *to)
{
    int whole = depth / WIDTH * WIDTH;

    for (int a = 0; a < whole; a += WIDTH)
        for (int part = 0; part < PARTS; part++)
            turn_square(from + part * WIDTH, (size_t) a, scale,
                        to + a * LANES + part * WIDTH);
    for (int a = whole; a < depth; a++)
        for (int lane = 0; lane < LANES; lane++)
            to[a * LANES + lane] = scale * from[lane][a];
}

const fmal_stream_kernel KERNEL(fmal_stream_kernel) = { multiply, multiply_pair,
                                                        project, turn };
