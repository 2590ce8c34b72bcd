/* Information cut down to its diagonal, or to the class blocks there: by the rows of
   the factors, and to the bit on any number of ranks. */
#include "samples.h"

#include <stdio.h>

enum { MOST = 30 };

static const struct {
    const char *name;
    int n, d, c, block;
    prob_kind kind;
    form_kind form;
    int top;
    double first, last; /* scales of the features */
} table[] = {
    { "smooth", 37, 5, 4, 4, SMOOTH, FULL, 0, 1, 1 },
    { "zeros", 37, 5, 4, 8, ZEROS, FULL, 0, 1, 1 },
    { "one-hot", 23, 3, 4, 4, ONE_HOT, FULL, 0, 1, 1 },
    { "two classes, one feature", 61, 1, 2, 16, MIXED, FULL, 0, 1, 1 },
    { "more than a panel of features", 41, 37, 3, 8, SMOOTH, FULL, 0, 1, 1 },
    { "features from 1e-20 to 1e20", 41, 9, 3, 8, SMOOTH, FULL, 0, 1e-20, 1e20 },
    { "fewer samples than ranks", 2, 3, 3, 1, SMOOTH, FULL, 0, 1, 1 },
    { "no sample", 0, 3, 3, 4, SMOOTH, FULL, 0, 1, 1 },
    { "the two top classes", 37, 4, 5, 4, MIXED, TOPC, 2, 1, 1 },
    { "right or wrong", 37, 6, 4, 4, MIXED, BINARY, 0, 1, 1 },
    { "numbers", 29, 3, 4, 4, SMOOTH, DENSE, 2, 1, 1 },
};

static int blocks_of(const samples *s)
{
    return s->form == DENSE || s->form == BINARY ? 1 : s->c;
}

/* Element (a, b) of block k of V^T V. */
static double by_rows(const samples *s, const double *v, int rows, int k, int a, int b)
{
    int order = order_of(s), d = order / blocks_of(s);
    double sum = 0;

    for (int y = 0; y < rows; y++)
        sum += v[y * order + k * d + a] * v[y * order + k * d + b];
    return sum;
}

static double gap_of(double got, double want, double size)
{
    double gap = fabs(got - want);

    return gap == 0 ? 0 : gap / size;
}

/* ---- One sample ---- */

static double worst_cut(const fmal_ctx *ctx, const samples *s, int block,
                        fmal_fisher fisher)
{
    fmal_part part;
    fmal_factor *f = factor_of(ctx, s, block, &part);
    int order = order_of(s), blocks = blocks_of(s), d = order / blocks;
    double *v = zeros((fmal_idx) MOST * order), *cut = zeros(blocks + d), worst = 0;
    const double *x = cut + blocks;

    for (int i = 0; i < s->n; i++) {
        int rows = rows_by_definition(s, i, v);

        fmal_factor_cut(f, fisher, i, cut);
        for (int k = 0; k < blocks; k++)
            for (int a = 0; a < d; a++)
                for (int b = fisher == FMAL_FISHER_DIAG ? a : 0; b <= a; b++) {
                    double want = by_rows(s, v, rows, k, a, b);
                    double size = sqrt(by_rows(s, v, rows, k, a, a) *
                                       by_rows(s, v, rows, k, b, b));
                    double got =
                        cut[k] * (fisher == FMAL_FISHER_DIAG ? x[a] : x[a] * x[b]);

                    worst = fmax(worst, gap_of(got, want, size));
                }
    }
    fmal_free(&v);
    fmal_free(&cut);
    fmal_factor_destroy(&f);
    return worst;
}

/* ---- Sums ---- */

/* The diagonal, or the diagonal blocks, of all that are taken, whole on every rank. */
static double *sum_of(const fmal_ctx *ctx, const samples *s, const uint8_t *take,
                      int block, fmal_fisher fisher)
{
    fmal_part part;
    fmal_factor *f = factor_of(ctx, s, block, &part);
    int order = order_of(s), blocks = blocks_of(s), d = order / blocks;
    fmal_part classes = fmal_part_make(blocks, 1, ctx);
    fmal_idx size = fisher == FMAL_FISHER_DIAG ? d : (fmal_idx) d * d;
    double *all = zeros(blocks * size), *own = zeros(classes.count * (size + 3));
    fmal_status st;

    if (fisher == FMAL_FISHER_DIAG) {
        st = fmal_factor_diagonal(f, take + part.first, 1.5, all);
    } else {
        st = fmal_factor_gram_blocks(f, take + part.first, 1.5, &classes,
                                     (size_t) size + 3, own, NULL);
        for (fmal_idx k = 0; k < classes.count; k++)
            memcpy(all + (classes.first + k) * size, own + k * (size + 3),
                   sizeof(double) * (size_t) size);
        fmal_sum_f64(ctx, all, blocks * size);
    }
    if (st != FMAL_OK)
        all[0] = NAN;
    fmal_free(&own);
    fmal_factor_destroy(&f);
    return all;
}

/* [blocks, d (, d)] by the rows of the factors. */
static double *sum_by_rows(const samples *s, const uint8_t *take, fmal_fisher fisher)
{
    int order = order_of(s), blocks = blocks_of(s), d = order / blocks;
    bool diag = fisher == FMAL_FISHER_DIAG;
    double *v = zeros((fmal_idx) MOST * order);
    double *sum = zeros((fmal_idx) order * (diag ? 1 : d));

    for (int i = 0; i < s->n; i++) {
        int rows = rows_by_definition(s, i, v);
        double *to = sum;

        for (int k = 0; k < blocks && take[i]; k++)
            for (int a = 0; a < d; a++)
                for (int b = diag ? a : 0; b < (diag ? a + 1 : d); b++)
                    *to++ += 1.5 * by_rows(s, v, rows, k, a, b);
    }
    fmal_free(&v);
    return sum;
}

/* Relative to the diagonal elements. */
static double worst_of(const samples *s, const double *got, const double *want,
                       fmal_fisher fisher)
{
    int blocks = blocks_of(s), d = order_of(s) / blocks;
    double worst = 0;

    for (int k = 0; k < blocks; k++)
        for (int a = 0; a < d; a++) {
            if (fisher == FMAL_FISHER_DIAG) {
                int at = k * d + a;

                worst = fmax(worst, gap_of(got[at], want[at], want[at]));
                continue;
            }
            const double *g = got + k * d * d, *w = want + k * d * d;
            for (int b = 0; b < d; b++)
                worst = fmax(worst, gap_of(g[a * d + b], w[a * d + b],
                                           sqrt(w[a * d + a] * w[b * d + b])));
        }
    return worst;
}

static void test_sum(fmal_test *t, int row, const samples *s, fmal_fisher fisher)
{
    const char *what = fisher == FMAL_FISHER_DIAG ? "diagonal" : "blocks";
    uint8_t *take = zeros_of(s->n, 1);
    fmal_ctx alone;

    fmal_ctx_init(&alone, MPI_COMM_SELF);
    for (int i = 0; i < s->n; i++)
        take[i] = i % 3 != 1;
    double *got = sum_of(&t->ctx, s, take, table[row].block, fisher);
    double *self = sum_of(&alone, s, take, table[row].block, fisher);
    double *want = sum_by_rows(s, take, fisher), worst = worst_of(s, got, want, fisher);
    fmal_idx count =
        order_of(s) * (fisher == FMAL_FISHER_DIAG ? 1 : order_of(s) / blocks_of(s));

    fmal_test_ok(t, worst < 1e-13, "%s, %s: the sum by definition, %.2g",
                 table[row].name, what, worst);
    fmal_test_ok(t, same_bits(got, self, count), "%s, %s: the same bits on one rank",
                 table[row].name, what);
    fmal_free(&take);
    fmal_free(&got);
    fmal_free(&self);
    fmal_free(&want);
}

/* ---- Forms ---- */

static void test_forms(fmal_test *t, int d, int m, int count)
{
    fmal_idx pairs = (fmal_idx) d * (d + 1) / 2;
    double *x = zeros((fmal_idx) d * m), *c = zeros(count * pairs), worst = 0;
    double *work = zeros(FMAL_FORMS_WORK(m)), *forms = zeros((fmal_idx) count * m);
    fmal_rng r = fmal_rng_stream(3, FMAL_RNG_INIT, 0, (uint64_t) d);

    for (int i = 0; i < d * m; i++)
        x[i] = fmal_rng_normal(&r);
    for (fmal_idx i = 0; i < count * pairs; i++)
        c[i] = fmal_rng_normal(&r);
    fmal_forms(x, d, m, c, count, work, forms);
    for (int j = 0; j < count; j++)
        for (int i = 0; i < m; i++) {
            const double *at = c + j * pairs;
            double want = 0;

            for (int b = 0; b < d; b++)
                for (int a = 0; a <= b; a++)
                    want += *at++ * x[a * m + i] * x[b * m + i];
            worst = fmax(worst, fabs(forms[j * m + i] - want));
        }
    fmal_test_ok(t, worst < 1e-12 * d, "forms: d %d, m %d, count %d, %.2g", d, m, count,
                 worst);
    fmal_free(&x);
    fmal_free(&c);
    fmal_free(&work);
    fmal_free(&forms);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int row = 0; row < FMAL_COUNT(table); row++) {
        samples s =
            samples_make(table[row].n, table[row].d, table[row].c, table[row].kind,
                         table[row].first, table[row].last, 30 + (uint32_t) row);

        samples_form(&s, table[row].form, table[row].top);
        for (int fisher = FMAL_FISHER_BLOCK; fisher <= FMAL_FISHER_DIAG; fisher++) {
            if (s.form == DENSE && fisher == FMAL_FISHER_BLOCK)
                continue;
            double worst = worst_cut(&t.ctx, &s, table[row].block, fisher);
            fmal_test_ok(&t, worst < 1e-13, "%s, %d: samples by definition, %.2g",
                         table[row].name, fisher, worst);
            test_sum(&t, row, &s, fisher);
        }
        samples_clear(&s);
    }
    test_forms(&t, 1, 8, 1);
    test_forms(&t, 40, 24, 3); /* more than a panel of products */
    return fmal_test_end(&t);
}
