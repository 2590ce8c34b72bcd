/* The r x r work of a step, in both precisions and for every instruction set that this
   processor has: the same as by its definition. */
#include "fmal_test.h"
#include "tile.h"

#include "fmal/mem.h"
#include "fmal/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16, MOST = 29, TRIANGLE = MOST * (MOST + 1) / 2 };

/* Numbers of a tile: of all LANES in single precision, of each half in double. */
typedef struct {
    const fmal_tile *of;
    bool single;
} kernel;

static const int ranks[] = { 1, 2, 3, 9, MOST };

static double normal_at(uint32_t seed, int i)
{
    fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INIT, 0, (uint64_t) i);

    return fmal_rng_normal(&r);
}

static int packed(int k, int l)
{
    return k >= l ? k * (k + 1) / 2 + l : l * (l + 1) / 2 + k;
}

/* Lanes hold x x^T / r for x [r, r] normal, times `size`. */
static void fill_gram(uint32_t seed, int r, double size, double *g)
{
    for (int lane = 0; lane < LANES; lane++)
        for (int k = 0; k < r; k++)
            for (int l = 0; l <= k; l++) {
                double sum = 0;

                for (int j = 0; j < r; j++)
                    sum += normal_at(seed, (lane * r + k) * r + j) *
                           normal_at(seed, (lane * r + l) * r + j);
                g[packed(k, l) * LANES + lane] = size * sum / r;
            }
}

static void narrow(const double *from, float *to, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = (float) from[i];
}

static void widen(const float *from, double *to, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = from[i];
}

/* Lanes [first, first + 8) of x [n, LANES] to half [n, 8], or back. */
static void halve(double *x, double *half, int n, int first, bool back)
{
    for (int i = 0; i < n; i++)
        for (int lane = 0; lane < FMAL_LANES; lane++) {
            double *a = x + i * LANES + first + lane, *b = half + i * FMAL_LANES + lane;

            if (back)
                *a = *b;
            else
                *b = *a;
        }
}

static void update(kernel k, int r, double sign, double *pq, double *g, double *b)
{
    static float pq_f[2 * MOST * MOST * LANES], g_f[TRIANGLE * LANES],
        b_f[TRIANGLE * LANES];
    static double pq_h[2 * MOST * MOST * 8], g_h[TRIANGLE * 8], b_h[TRIANGLE * 8];
    int triangle = r * (r + 1) / 2;

    if (k.single) {
        narrow(pq, pq_f, 2 * r * r * LANES);
        narrow(g, g_f, triangle * LANES);
        narrow(b, b_f, triangle * LANES);
        k.of->update_f32(r, (float) sign, pq_f, g_f, b_f);
        widen(g_f, g, triangle * LANES);
        widen(b_f, b, triangle * LANES);
        return;
    }
    for (int first = 0; first < LANES; first += FMAL_LANES) {
        halve(pq, pq_h, 2 * r * r, first, false);
        halve(g, g_h, triangle, first, false);
        halve(b, b_h, triangle, first, false);
        k.of->update(r, sign, pq_h, g_h, b_h);
        halve(g, g_h, triangle, first, true);
        halve(b, b_h, triangle, first, true);
    }
}

static void score(kernel k, int r, double sign, double *g, double *b, double *out)
{
    static float g_f[TRIANGLE * LANES], b_f[TRIANGLE * LANES],
        work_f[FMAL_TILE_WORK(MOST) * LANES], out_f[LANES];
    static double g_h[TRIANGLE * 8], b_h[TRIANGLE * 8], work[FMAL_TILE_WORK(MOST) * 8];
    int triangle = r * (r + 1) / 2;

    if (k.single) {
        narrow(g, g_f, triangle * LANES);
        narrow(b, b_f, triangle * LANES);
        k.of->score_f32(r, (float) sign, g_f, b_f, work_f, out_f);
        widen(out_f, out, LANES);
        return;
    }
    for (int first = 0; first < LANES; first += FMAL_LANES) {
        halve(g, g_h, triangle, first, false);
        halve(b, b_h, triangle, first, false);
        k.of->score(r, sign, g_h, b_h, work, out + first);
    }
}

/* ---- Update ---- */

static double update_gap(kernel tile, int r, double sign)
{
    static double pq[2 * MOST * MOST * LANES], g[TRIANGLE * LANES], b[TRIANGLE * LANES];
    static double g0[TRIANGLE * LANES], b0[TRIANGLE * LANES];
    double worst = 0;

    for (int i = 0; i < 2 * r * r * LANES; i++)
        pq[i] = normal_at(5, i);
    fill_gram(6, r, 1, g0);
    fill_gram(7, r, 2, b0);
    memcpy(g, g0, sizeof g);
    memcpy(b, b0, sizeof b);
    update(tile, r, sign, pq, g, b);
    for (int lane = 0; lane < LANES; lane++)
        for (int k = 0; k < r; k++)
            for (int l = 0; l <= k; l++) {
                const double *p = pq + lane, *q = p + r * r * LANES;
                int at = packed(k, l) * LANES + lane;
                long double pp = 0, pqp = 0;

                for (int j = 0; j < r; j++) {
                    int jk = (j * r + k) * LANES, jl = (j * r + l) * LANES;

                    pp += (long double) p[jk] * p[jl];
                    pqp += (long double) p[jk] * q[jl] + (long double) q[jk] * p[jl];
                }
                worst = fmax(worst, fabs((double) (g[at] - (g0[at] - sign * pp))));
                worst = fmax(worst, fabs((double) (b[at] - (b0[at] - sign * pqp))));
            }
    return worst;
}

/* ---- Score ---- */

/* tr((I + sign G)^-1 B) by elimination, no pivots exchanged. */
static double trace_of(int r, double sign, const double *g, const double *b, int lane)
{
    static long double m[MOST * 2 * MOST];
    long double trace = 0;

    for (int k = 0; k < r; k++)
        for (int l = 0; l < r; l++) {
            m[k * 2 * r + l] = (k == l) + sign * g[packed(k, l) * LANES + lane];
            m[k * 2 * r + r + l] = b[packed(k, l) * LANES + lane];
        }
    for (int k = 0; k < r; k++) {
        long double head = m[k * 2 * r + k];

        for (int j = 0; j < 2 * r; j++)
            m[k * 2 * r + j] /= head;
        for (int i = 0; i < r; i++) {
            long double times = m[i * 2 * r + k];

            for (int j = 0; i != k && j < 2 * r; j++)
                m[i * 2 * r + j] -= times * m[k * 2 * r + j];
        }
    }
    for (int k = 0; k < r; k++)
        trace += m[k * 2 * r + r + k];
    return (double) trace;
}

static double score_gap(kernel tile, int r, double sign, double size)
{
    static double g[TRIANGLE * LANES], b[TRIANGLE * LANES];
    double out[LANES], worst = 0;

    fill_gram(8, r, size, g);
    fill_gram(9, r, 3, b);
    score(tile, r, sign, g, b, out);
    for (int lane = 0; lane < LANES; lane++) {
        double want = trace_of(r, sign, g, b, lane),
               gap = fabs(out[lane] - want) / want;

        if (!(gap <= worst))
            worst = gap;
    }
    return worst;
}

/* A lane that is not positive is NaN, and only that one. */
static bool marks_bad_lanes(kernel tile, int r)
{
    static double g[TRIANGLE * LANES], b[TRIANGLE * LANES];
    double out[LANES];
    bool right = true;

    memset(g, 0, sizeof g);
    fill_gram(9, r, 3, b);
    g[packed(r - 1, r - 1) * LANES + 3] = 1;   /* I - G has a pivot of zero */
    g[packed(r - 1, r - 1) * LANES + 5] = 1.5; /* of less */
    g[packed(0, 0) * LANES + 6] = NAN;
    score(tile, r, -1, g, b, out);
    for (int lane = 0; lane < LANES; lane++)
        right = right && (lane == 3 || lane == 5 || lane == 6 ? isnan(out[lane])
                                                              : isfinite(out[lane]));
    return right;
}

static void check(fmal_test *t, kernel tile, const char *name, int r)
{
    double eps = tile.single ? 6e-5 : 1e-12; /* of sums of up to 29 normal products */

    fmal_test_ok(t, update_gap(tile, r, 1) < eps && update_gap(tile, r, -1) < eps,
                 "%s, rank %d: update", name, r);
    double adding = fmax(score_gap(tile, r, 1, 0.1), score_gap(tile, r, 1, 100));
    double removing = score_gap(tile, r, -1, 0.1);
    fmal_test_ok(t, adding < eps && removing < eps,
                 "%s, rank %d: scores, %.2g and %.2g", name, r, adding, removing);
    fmal_test_ok(t, marks_bad_lanes(tile, r), "%s, rank %d: not positive", name, r);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int isa = FMAL_ISA_PLAIN; isa <= (int) fmal_isa_detect(); isa++)
        for (int single = 0; single < 2; single++)
            for (int i = 0; i < FMAL_COUNT(ranks); i++) {
                kernel tile = { fmal_tile_for((fmal_isa) isa), single };
                char name[64];

                snprintf(name, sizeof name, "%s, %s", fmal_isa_name((fmal_isa) isa),
                         single ? "single" : "double");
                check(&t, tile, name, ranks[i]);
            }
    return fmal_test_end(&t);
}
