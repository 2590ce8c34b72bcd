/* Sums of Fisher information: against the definition, entry by entry, and to the bit on
   any number of ranks. */
#include "samples.h"

#include <stdio.h>

/* Grids other than of one rank, as far as there are ranks. */
static const struct {
    int rows, cols;
} grids[] = { { 1, 2 }, { 3, 1 }, { 2, 2 } };

/* ---- The definition ---- */

/* start I + weight sum of V_i^T V_i, [D, D]. */
static double *gram_of_rows(const samples *s, const uint8_t *take, double start,
                            double weight)
{
    int order = order_of(s), most = s->c > s->top ? s->c : s->top;
    double *sum = zeros((fmal_idx) order * order), *v = zeros((fmal_idx) most * order);

    for (int i = 0; i < s->n; i++) {
        int rows = rows_by_definition(s, i, v);

        for (int y = 0; y < rows && take[i]; y++)
            for (int a = 0; a < order; a++)
                for (int b = 0; b < order; b++)
                    sum[a * order + b] += weight * v[y * order + a] * v[y * order + b];
    }
    for (int a = 0; a < order; a++)
        sum[a * order + a] += start;
    fmal_free(&v);
    return sum;
}

/* start I + weight times the gram, by the module, whole on every rank. */
static double *gram_of(const fmal_ctx *ctx, const samples *s, const uint8_t *take,
                       int block, double start, double weight, int rows, int cols)
{
    fmal_part part;
    fmal_factor *f = factor_of(ctx, s, block, &part);
    fmal_grid grid;

    fmal_grid_init(&grid, ctx, rows, cols);
    fmal_dmat *m = spread(&grid, (int) fmal_factor_order(f), NULL);
    fmal_dmat_set_diagonal(m, start);
    fmal_status st = fmal_factor_gram(f, take + part.first, weight, m, NULL);
    double *out = whole_of(m);
    if (st != FMAL_OK)
        out[0] = NAN;
    fmal_dmat_destroy(&m);
    fmal_grid_clear(&grid);
    fmal_factor_destroy(&f);
    return out;
}

/* ---- Which samples ---- */

typedef enum { ALL, NONE, ONE, RANDOM } subset;

static const char *const subset_names[] = { "all", "none", "one", "some" };

static uint8_t *subset_of(const samples *s, subset which)
{
    uint8_t *take = zeros_of(s->n, 1);

    for (int i = 0; i < s->n; i++) {
        fmal_rng r = fmal_rng_stream(7, FMAL_RNG_PICK, 0, (uint64_t) i);

        take[i] = which == ALL || (which == ONE && i == s->n * 2 / 3) ||
                  (which == RANDOM && fmal_rng_below(&r, 3) == 0);
    }
    return take;
}

static const struct {
    const char *name;
    int n, d, c, block;
    prob_kind kind;
    form_kind form;
    int top;
} table[] = {
    { "smooth", 37, 5, 4, 4, SMOOTH, FULL, 0 },
    { "zeros", 37, 5, 4, 8, ZEROS, FULL, 0 },
    { "mixed, one block", 37, 5, 4, 256, MIXED, FULL, 0 },
    { "one-hot", 23, 3, 4, 4, ONE_HOT, FULL, 0 },
    { "two classes, one feature", 61, 1, 2, 16, MIXED, FULL, 0 },
    { "many classes", 19, 3, 30, 4, MIXED, FULL, 0 },
    { "more than a panel of features", 41, 37, 3, 8, SMOOTH, FULL, 0 },
    { "fewer samples than ranks", 2, 3, 3, 1, SMOOTH, FULL, 0 },
    { "one sample", 1, 3, 3, 4, SMOOTH, FULL, 0 },
    { "no sample", 0, 3, 3, 4, SMOOTH, FULL, 0 },
    { "the two top classes", 37, 4, 5, 4, MIXED, TOPC, 2 },
    { "the top class", 37, 4, 3, 8, SMOOTH, TOPC, 1 },
    { "even odds", 17, 4, 5, 4, EVEN, TOPC, 2 },
    { "all classes by rank", 29, 3, 4, 4, ZEROS, TOPC, 4 },
    { "right or wrong", 37, 6, 4, 4, MIXED, BINARY, 0 },
    { "right or wrong, many features", 41, 40, 3, 16, SMOOTH, BINARY, 0 },
    { "numbers", 29, 3, 4, 4, SMOOTH, DENSE, 2 },
    { "more than a panel of numbers", 11, 100, 3, 4, SMOOTH, DENSE, 3 },
    { "no numbers", 0, 2, 2, 4, SMOOTH, DENSE, 1 },
    { "head and tail", 37, 5, 4, 4, SMOOTH, MASKED, 7 },
    { "head and tail, mixed, one block", 37, 3, 4, 256, MIXED, MASKED, 11 },
    { "two classes and a tail", 23, 1, 2, 4, ZEROS, MASKED, 3 },
    { "more than a panel of tail", 13, 3, 3, 4, PEAKED, MASKED, 261 },
    { "fewer samples than ranks, with a tail", 2, 3, 3, 1, SMOOTH, MASKED, 2 },
    { "no tail", 29, 3, 4, 4, MIXED, MASKED, 0 },
    { "several rounds of elements", 3, 11, 70, 2, SMOOTH, TOPC, 1 },
    { "several blocks of a matrix", 11, 23, 13, 4, MIXED, TOPC, 2 },
    { "several blocks of numbers", 7, 97, 3, 2, SMOOTH, DENSE, 2 },
    { "several blocks and a tail", 11, 29, 7, 4, MIXED, MASKED, 131 },
    { "no sample, with a tail", 0, 3, 4, 4, SMOOTH, MASKED, 2 },
    { "unweighted", 37, 5, 4, 4, MIXED, UNWEIGHTED, 7 },
    { "unweighted, two classes", 23, 6, 2, 8, SMOOTH, UNWEIGHTED, 3 },
};

/* |a - b| relative to the square root of the diagonal elements of b. */
static double scaled_gap(const double *a, const double *b, int n)
{
    double worst = 0;

    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double size = sqrt(b[i * n + i] * b[j * n + j]);
            double gap = fabs(a[i * n + j] - b[i * n + j]);

            gap = gap == 0 ? 0 : gap / size;
            if (!(gap <= worst))
                worst = gap;
        }
    return worst;
}

static void test_definition(fmal_test *t, int row)
{
    samples s = samples_make(table[row].n, table[row].d, table[row].c, table[row].kind,
                             1, 1, 30 + (uint32_t) row);
    fmal_ctx alone;

    samples_form(&s, table[row].form, table[row].top);
    fmal_idx count = (fmal_idx) order_of(&s) * order_of(&s);
    fmal_ctx_init(&alone, MPI_COMM_SELF);
    for (int which = ALL; which <= RANDOM && (s.n > 0 || which < ONE); which++) {
        uint8_t *take = subset_of(&s, (subset) which);
        double *want = gram_of_rows(&s, take, 0.25, 1.5);
        double *got = gram_of(&t->ctx, &s, take, table[row].block, 0.25, 1.5, 1, 1);
        double *self = gram_of(&alone, &s, take, table[row].block, 0.25, 1.5, 1, 1);
        double gap = scaled_gap(got, want, order_of(&s));

        fmal_test_ok(t, gap < 1e-13, "%s, %s: by definition, %.2g", table[row].name,
                     subset_names[which], gap);
        fmal_test_ok(t, same_bits(got, self, count),
                     "%s, %s: the same bits on any ranks", table[row].name,
                     subset_names[which]);
        for (int g = 0; g < FMAL_COUNT(grids); g++) {
            int rows = grids[g].rows, cols = grids[g].cols;

            if (rows * cols > t->ctx.size)
                continue;
            double *wide =
                gram_of(&t->ctx, &s, take, table[row].block, 0.25, 1.5, rows, cols);
            fmal_test_ok(t, same_bits(wide, self, count),
                         "%s, %s: the same bits on a grid of %d x %d", table[row].name,
                         subset_names[which], rows, cols);
            fmal_free(&wide);
        }
        fmal_free(&take);
        fmal_free(&want);
        fmal_free(&got);
        fmal_free(&self);
    }
    samples_clear(&s);
}

/* ---- Blocks in another order ---- */

/* The same samples with their blocks in reverse order. */
static samples reversed(const samples *s, int block)
{
    samples out = samples_make(s->n, s->d, s->c, SMOOTH, 1, 1, 1);

    for (int i = 0; i < s->n; i++) {
        int to = (s->n / block - 1 - i / block) * block + i % block;

        memcpy(out.h + to * s->d, s->h + i * s->d, sizeof(float) * (size_t) s->d);
        memcpy(out.p + to * s->c, s->p + i * s->c, sizeof(double) * (size_t) s->c);
    }
    return out;
}

static void test_order(fmal_test *t)
{
    enum { N = 80, D = 6, C = 5, BLOCK = 8 };
    samples s = samples_make(N, D, C, MIXED, 1e-3, 1e3, 50), back = reversed(&s, BLOCK);
    uint8_t *take = subset_of(&s, ALL);
    double *a = gram_of(&t->ctx, &s, take, BLOCK, 0, 1, 1, 1);
    double *b = gram_of(&t->ctx, &back, take, BLOCK, 0, 1, 1, 1);

    fmal_test_ok(t, a[0] > 0 && same_bits(a, b, C * D * C * D),
                 "the same bits for any order of blocks");
    samples_clear(&s);
    samples_clear(&back);
    fmal_free(&take);
    fmal_free(&a);
    fmal_free(&b);
}

/* ---- Accuracy ---- */

/* The largest error of an entry, relative to the sum of its terms' sizes. */
static double entry_error(const samples *s, const double *got)
{
    int order = s->c * s->d;
    double worst = 0;

    for (int x = 0; x < order; x++)
        for (int y = 0; y < order; y++) {
            long double sum = 0, size = 0;

            for (int i = 0; i < s->n; i++) {
                long double term = information(s, i, x / s->d, y / s->d) *
                                   s->h[i * s->d + x % s->d] *
                                   s->h[i * s->d + y % s->d];

                sum += term;
                size += fabsl(term);
            }
            double gap = fabs((double) (got[x * order + y] - sum));
            gap = gap == 0 ? 0 : gap / (double) size;
            if (!(gap <= worst))
                worst = gap;
        }
    return worst;
}

static const struct {
    const char *name;
    prob_kind kind;
    double first, last, tolerance;
} scales[] = {
    { "features from 1e-6 to 1e6", SMOOTH, 1e-6, 1e6, 1e-14 },
    { "features from 1e-30 to 1e30", SMOOTH, 1e-30, 1e30, 1e-14 },
    { "zero probabilities", ZEROS, 1e-6, 1e6, 1e-14 },
    { "peaked probabilities", PEAKED, 1e-6, 1e6, 1e-14 },
};

static void test_scales(fmal_test *t)
{
    enum { N = 150, D = 9, C = 5, BLOCK = 16 };

    for (int i = 0; i < FMAL_COUNT(scales); i++) {
        samples s = samples_make(N, D, C, scales[i].kind, scales[i].first,
                                 scales[i].last, 60 + (uint32_t) i);
        uint8_t *take = subset_of(&s, ALL);
        double *got = gram_of(&t->ctx, &s, take, BLOCK, 0, 1, 1, 1);
        double error = entry_error(&s, got);

        fmal_test_ok(t, error < scales[i].tolerance, "%s: every entry to %.2g",
                     scales[i].name, error);
        samples_clear(&s);
        fmal_free(&take);
        fmal_free(&got);
    }
}

/* Rows of (diag p - p p^T) sum to zero, and so must blocks over classes, to the bit but
   for the order of additions. */
static void test_null_space(fmal_test *t)
{
    enum { N = 90, D = 4, C = 6, ORDER = C * D };
    samples s = samples_make(N, D, C, PEAKED, 1, 1, 70);
    uint8_t *take = subset_of(&s, ALL);
    double *got = gram_of(&t->ctx, &s, take, 16, 0, 1, 1, 1), worst = 0;

    for (int x = 0; x < ORDER; x++)
        for (int b = 0; b < D; b++) {
            double sum = 0, size = 0;

            for (int l = 0; l < C; l++) {
                sum += got[x * ORDER + l * D + b];
                size += fabs(got[x * ORDER + l * D + b]);
            }
            worst = fmax(worst, fabs(sum) / size);
        }
    fmal_test_ok(t, worst < 1e-15, "sums over classes are zero: %.2g", worst);
    samples_clear(&s);
    fmal_free(&take);
    fmal_free(&got);
}

static void test_flops(fmal_test *t)
{
    enum { N = 40, D = 3, C = 4, BLOCK = 8 };
    samples s = samples_make(N, D, C, SMOOTH, 1, 1, 80);
    uint8_t *take = subset_of(&s, ALL);
    fmal_part part;
    fmal_factor *f = factor_of(&t->ctx, &s, BLOCK, &part);
    fmal_grid grid;
    double flops = 0;

    fmal_grid_init(&grid, &t->ctx, 1, 1);
    fmal_dmat *m = spread(&grid, C * D, NULL);
    fmal_status st = fmal_factor_gram(f, take + part.first, 1, m, &flops);
    fmal_sum_f64(&t->ctx, &flops, 1);
    /* Pairs of classes times pairs of features times samples. */
    fmal_test_ok(t, st == FMAL_OK && flops == 2.0 * N * 6 * 6, "flops are counted");
    fmal_test_ok(t, fmal_factor_order(f) == C * D && fmal_factor_rank(f) == C - 1,
                 "order and rank");
    fmal_dmat_destroy(&m);
    fmal_grid_clear(&grid);
    fmal_factor_destroy(&f);
    fmal_test_ok(t, !f, "gone");
    fmal_factor_destroy(&f);
    samples_clear(&s);
    fmal_free(&take);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int row = 0; row < FMAL_COUNT(table); row++)
        test_definition(&t, row);
    test_order(&t);
    test_scales(&t);
    test_null_space(&t);
    test_flops(&t);
    return fmal_test_end(&t);
}
