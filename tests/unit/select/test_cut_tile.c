/* The candidate passes of the approximations, for every instruction set that this
   processor has: the same as by their definition. */
#include "cut_tile.h"
#include "fmal_test.h"

#include "fmal/mem.h"
#include "fmal/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Positive numbers up to `most`. */
static double *uniforms(uint32_t seed, int n, double most)
{
    double *x = NULL;

    if (FMAL_ALLOC(&x, n) != FMAL_OK)
        abort();
    for (int i = 0; i < n; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INIT, 0, (uint64_t) i);

        x[i] = most * (1 + (double) fmal_rng_below(&r, 1 << 20)) / (1 << 20);
    }
    return x;
}

/* Equal but for rounding, or both NaN. */
static bool alike(double got, double want)
{
    return isnan(want) ? isnan(got) : fmal_test_close(got, want, 1e-13, 0);
}

/* Sample 3 has a 1 + sign w G that is not positive where samples are removed. */
static void test_block(fmal_test *t, const fmal_cut_tile *tile, const char *isa, int m,
                       int c, double sign, bool step)
{
    double *y = uniforms(1, 2 * c * m, 0.3), *w = uniforms(2, c * m, 0.25);
    double *g = uniforms(3, c * m, 1), *b = uniforms(4, c * m, 1);
    double *g0 = uniforms(3, c * m, 1), *b0 = uniforms(4, c * m, 1), *score = NULL;
    bool good = FMAL_ALLOC(&score, m) == FMAL_OK;
    int at = (c - 1) * m + 3;

    g[at] = g0[at] = 30;
    w[at] = 0.2;
    w[5] = 0; /* an impossible class */
    tile->block(m, c, sign, step ? y : NULL, w, g, b, score);
    for (int i = 0; i < m; i++) {
        double want = 0;

        for (int k = 0; k < c; k++) {
            int e = k * m + i;
            double p = y[2 * k * m + i], q = y[(2 * k + 1) * m + i];

            g0[e] -= step ? sign * p * p : 0;
            b0[e] -= step ? 2 * sign * p * q : 0;
            good = good && alike(g[e], g0[e]) && alike(b[e], b0[e]);
            double below = 1 + sign * w[e] * g0[e];
            want += below > 0 ? w[e] * b0[e] / below : NAN;
        }
        good = good && alike(score[i], want) && isnan(want) == (i == 3 && sign < 0);
    }
    fmal_test_ok(t, good, "block, %s: m %d, c %d, sign %g, %s", isa, m, c, sign,
                 step ? "after a step" : "afresh");
    double *all[] = { y, w, g, b, g0, b0, score };
    for (int i = 0; i < FMAL_COUNT(all); i++)
        fmal_free(&all[i]);
}

/* Lane 3 has a 1 + sign t that is not positive; two of them, whose product is. */
static void test_diag(fmal_test *t, const fmal_cut_tile *tile, const char *isa,
                      int blocks, int d, double sign)
{
    double *weight = uniforms(5, blocks * FMAL_LANES, 0.25);
    double *x = uniforms(6, d * FMAL_LANES, 2);
    double *inverse = uniforms(7, blocks * d, 1), *ratio = uniforms(8, blocks * d, 3);
    double score[FMAL_LANES];
    bool good = true;

    x[3] = x[FMAL_LANES + 3] = 1e9;
    tile->diag(blocks, d, sign, weight, x, inverse, ratio, score);
    for (int lane = 0; lane < FMAL_LANES; lane++) {
        double want = 0;

        for (int k = 0; k < blocks; k++)
            for (int a = 0; a < d; a++) {
                double w = weight[k * FMAL_LANES + lane] * x[a * FMAL_LANES + lane];
                double below = 1 + sign * w * inverse[k * d + a];

                want += below > 0 ? ratio[k * d + a] * w / below : NAN;
            }
        good =
            good && alike(score[lane], want) && isnan(want) == (lane == 3 && sign < 0);
    }
    fmal_test_ok(t, good, "diag, %s: blocks %d, d %d, sign %g", isa, blocks, d, sign);
    fmal_free(&weight);
    fmal_free(&x);
    fmal_free(&inverse);
    fmal_free(&ratio);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int isa = FMAL_ISA_PLAIN; isa <= (int) fmal_isa_detect(); isa++) {
        const fmal_cut_tile *tile = fmal_cut_tile_for((fmal_isa) isa);
        const char *name = fmal_isa_name((fmal_isa) isa);

        for (double sign = -1; sign <= 1; sign += 2) {
            test_block(&t, tile, name, 8, 1, sign, true);
            test_block(&t, tile, name, 40, 5, sign, true);
            test_block(&t, tile, name, 40, 5, sign, false);
            test_diag(&t, tile, name, 1, 4, sign);
            test_diag(&t, tile, name, 7, 12, sign);
            test_diag(&t, tile, name, 3, 16, sign);
        }
    }
    return fmal_test_end(&t);
}
