/* One sample's rows: V^T V is its information, for all kinds of probabilities. */
#include "samples.h"

#include <stdio.h>

static const struct {
    const char *name;
    int n, d, c, block;
    prob_kind kind;
    double tolerance;
    form_kind form;
    int top;
} table[] = {
    { "smooth", 23, 5, 4, 4, SMOOTH, 1e-14, FULL, 0 },
    { "zeros", 23, 5, 4, 8, ZEROS, 1e-14, FULL, 0 },
    { "peaked", 23, 3, 5, 4, PEAKED, 1e-14, FULL, 0 },
    { "one-hot", 23, 3, 4, 4, ONE_HOT, 1e-14, FULL, 0 },
    { "two classes, one feature", 31, 1, 2, 16, MIXED, 1e-14, FULL, 0 },
    { "many classes", 9, 3, 30, 4, MIXED, 1e-14, FULL, 0 },
    { "fewer samples than ranks", 2, 3, 3, 1, SMOOTH, 1e-14, FULL, 0 },
    { "the two top classes", 23, 4, 5, 4, SMOOTH, 1e-14, TOPC, 2 },
    { "the top class", 23, 4, 3, 8, ZEROS, 1e-14, TOPC, 1 },
    { "even odds: the first classes", 11, 4, 5, 4, EVEN, 1e-14, TOPC, 2 },
    { "even odds: the first class", 11, 4, 5, 4, EVEN, 1e-14, BINARY, 0 },
    { "the top class, peaked", 23, 3, 5, 4, PEAKED, 1e-14, TOPC, 1 },
    { "the two top classes, peaked", 23, 3, 5, 4, PEAKED, 1e-14, TOPC, 2 },
    { "all classes by rank", 23, 3, 4, 4, SMOOTH, 1e-14, TOPC, 4 },
    { "right or wrong", 23, 4, 4, 4, MIXED, 1e-14, BINARY, 0 },
    { "numbers", 23, 3, 4, 4, SMOOTH, 1e-15, DENSE, 3 },
    { "head and tail", 23, 5, 4, 4, SMOOTH, 1e-14, MASKED, 7 },
    { "two classes and a tail", 11, 1, 2, 4, ZEROS, 1e-14, MASKED, 2 },
    { "peaked, with a tail", 23, 3, 5, 4, PEAKED, 1e-9, MASKED, 4 },
    { "fewer samples than ranks, with a tail", 2, 3, 3, 1, SMOOTH, 1e-14, MASKED, 1 },
    { "unweighted", 23, 5, 4, 4, ZEROS, 1e-14, UNWEIGHTED, 7 },
    { "unweighted, sure", 11, 3, 4, 4, ONE_HOT, 1e-14, UNWEIGHTED, 3 },
    { "unweighted, no tail", 11, 3, 2, 4, MIXED, 1e-9, UNWEIGHTED, 0 },
};

/* The largest |V^T V - what the definition says| relative to the square root of its
   diagonal. */
static double information_gap(const samples *s, int i, const double *v)
{
    int order = order_of(s), r = rank_of(s), most = s->c > s->top ? s->c : s->top;
    double *w = zeros((fmal_idx) most * order), worst = 0;
    int rows = rows_by_definition(s, i, w);

    for (int x = 0; x < order; x++)
        for (int y = 0; y <= x; y++) {
            long double want = 0, xx = 0, yy = 0, sum = 0;

            for (int m = 0; m < rows; m++) {
                want += (long double) w[m * order + x] * w[m * order + y];
                xx += (long double) w[m * order + x] * w[m * order + x];
                yy += (long double) w[m * order + y] * w[m * order + y];
            }
            for (int m = 0; m < r; m++)
                sum += (long double) v[m * order + x] * v[m * order + y];
            double gap = (double) fabsl(sum - want);
            gap = gap == 0 ? 0 : gap / (double) sqrtl(xx * yy);
            if (!(gap <= worst))
                worst = gap;
        }
    fmal_free(&w);
    return worst;
}

/* Blocks of a row sum to zero over classes. */
static double sum_over_classes(const samples *s, const double *v)
{
    int order = order_of(s);
    double worst = 0;

    for (int m = 0; m < rank_of(s); m++)
        for (int a = 0; a < s->d; a++) {
            double sum = 0, size = 0;

            for (int k = 0; k < s->c; k++) {
                sum += v[m * order + k * s->d + a];
                size = fmax(size, fabs(v[m * order + k * s->d + a]));
            }
            if (size > 0)
                worst = fmax(worst, fabs(sum) / size);
        }
    return worst;
}

static void test_rows(fmal_test *t, int row)
{
    samples s = samples_make(table[row].n, table[row].d, table[row].c, table[row].kind,
                             1, 100, 90 + (uint32_t) row);
    samples_form(&s, table[row].form, table[row].top);
    fmal_idx count = (fmal_idx) rank_of(&s) * order_of(&s);
    double *v = zeros(count), *root = zeros(count), worst = 0, sum = 0;
    fmal_part part;
    fmal_factor *f = factor_of(&t->ctx, &s, table[row].block, &part);
    bool same = true, sums_are_zero = s.form == FULL || s.form == TOPC;

    for (int i = 0; i < s.n; i++) {
        fmal_factor_row(f, i, v);
        worst = fmax(worst, information_gap(&s, i, v));
        if (sums_are_zero)
            sum = fmax(sum, sum_over_classes(&s, v));
        memcpy(root, v, sizeof(double) * (size_t) count);
        fmal_bcast(&t->ctx, root, sizeof(double) * (size_t) count, 0);
        same = same && same_bits(root, v, count);
    }
    fmal_test_ok(t, worst < table[row].tolerance, "%s: information to %.2g",
                 table[row].name, worst);
    fmal_test_ok(t, fmal_factor_classes(f) == (sums_are_zero ? s.c : 1), "%s: classes",
                 table[row].name);
    if (sums_are_zero)
        fmal_test_ok(t, sum < 1e-12, "%s: sums over classes are zero, %.2g",
                     table[row].name, sum);
    fmal_test_ok(t, same, "%s: the same on every rank", table[row].name);
    fmal_factor_destroy(&f);
    samples_clear(&s);
    fmal_free(&v);
    fmal_free(&root);
}

/* A sure prediction has no information at all, whichever class it is. */
static void test_sure(fmal_test *t)
{
    enum { C = 4, D = 2 };
    float h[C * D] = { 1e6f, 3, -2, 1e-6f, 5, 6, 7, -8e3f };
    double p[C * C] = { 0 }, v[(C - 1) * C * D];
    samples s = { .n = C, .d = D, .c = C, .h = h, .p = p };
    fmal_part part;

    for (int k = 0; k < C; k++)
        p[k * C + k] = 1;
    fmal_factor *f = factor_of(&t->ctx, &s, 1, &part);
    for (int i = 0; i < C; i++) {
        bool zero = true;

        v[0] = -1;
        fmal_factor_row(f, i, v);
        for (int j = 0; j < FMAL_COUNT(v); j++)
            zero = zero && v[j] == 0;
        fmal_test_ok(t, zero, "sure of class %d: zero", i);
    }
    fmal_factor_destroy(&f);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int row = 0; row < FMAL_COUNT(table); row++)
        test_rows(&t, row);
    test_sure(&t);
    return fmal_test_end(&t);
}
