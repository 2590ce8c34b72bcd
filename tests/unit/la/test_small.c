/* Small matrices on one rank. */
#include "matrices.h"

#include <stdio.h>

/* C = alpha op(A) op(B) + beta C by its definition. */
static double gemm_gap(bool trans_a, bool trans_b, int m, int n, int k)
{
    int lda = (trans_a ? m : k) + 3, ldb = (trans_b ? k : n) + 1, ldc = n + 2;
    double *a = normals((trans_a ? k : m) * lda, 1),
           *b = normals((trans_b ? n : k) * ldb, 2);
    double *c = normals(m * ldc, 3), *first = normals(m * ldc, 3), worst = 0;

    fmal_gemm(trans_a, trans_b, m, n, k, -1.5, a, lda, b, ldb, 0.5, c, ldc);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < ldc; j++) {
            double sum = j < n ? 0.5 * first[i * ldc + j] : first[i * ldc + j];

            for (int l = 0; l < k && j < n; l++)
                sum += -1.5 * (trans_a ? a[l * lda + i] : a[i * lda + l]) *
                       (trans_b ? b[j * ldb + l] : b[l * ldb + j]);
            worst = fmax(worst, fabs(sum - c[i * ldc + j]));
        }
    fmal_free(&a);
    fmal_free(&b);
    fmal_free(&c);
    fmal_free(&first);
    return worst;
}

static void test_gemm(fmal_test *t)
{
    for (int trans = 0; trans < 4; trans++) {
        double gap = gemm_gap(trans & 1, trans & 2, 5, 7, 11);

        fmal_test_ok(t, gap < 1e-13, "gemm %d: %.2g", trans, gap);
    }
    double c = 7;
    fmal_gemm(false, false, 0, 5, 3, 1, NULL, 3, NULL, 5, 0, &c, 5);
    fmal_gemm(false, false, 5, 0, 3, 1, NULL, 3, NULL, 1, 0, &c, 1);
    fmal_test_ok(t, c == 7, "gemm of nothing");
}

static void test_cholesky(fmal_test *t)
{
    static const int orders[] = { 1, 2, 3, 9, 31 };

    for (int o = 0; o < FMAL_COUNT(orders); o++) {
        int n = orders[o];
        double *a = positive(n, n, 0.1, 8), *l = positive(n, n, 0.1, 8), worst = 0;
        bool upper_is_zero = true;

        /* The upper triangle is not read. */
        for (int i = 0; i < n; i++)
            for (int j = i + 1; j < n; j++)
                l[i * n + j] = NAN;
        bool done = fmal_cholesky(n, l);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                double sum = 0;

                for (int k = 0; k <= i && k <= j; k++)
                    sum += l[i * n + k] * l[j * n + k];
                worst = fmax(worst, fabs(sum - a[i * n + j]));
                upper_is_zero = upper_is_zero && (j <= i || l[i * n + j] == 0);
            }
        fmal_test_ok(t,
                     done && worst < DBL_EPSILON * n * norm_of(a, n) && upper_is_zero,
                     "cholesky of order %d: %.2g", n, worst);
        fmal_free(&a);
        fmal_free(&l);
    }
}

static const struct {
    const char *name;
    double a[4];
} not_positive[] = {
    { "zero", { 0, 0, 0, 1 } },           { "a negative element", { 1, 0, 0, -1 } },
    { "singular", { 1, 1, 1, 1 } },       { "indefinite", { 1, 2, 2, 1 } },
    { "not a number", { NAN, 0, 0, 1 } }, { "not a number below", { 1, NAN, NAN, 1 } },
};

static void test_not_positive(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(not_positive); i++) {
        double a[4];

        memcpy(a, not_positive[i].a, sizeof a);
        fmal_test_ok(t, !fmal_cholesky(2, a), "no factor: %s", not_positive[i].name);
    }
}

static void test_invert(fmal_test *t)
{
    static const int orders[] = { 1, 2, 3, 9, 70 };

    for (int o = 0; o < FMAL_COUNT(orders); o++) {
        int n = orders[o];
        double *a = positive(n, n, 0.1, 8), *x = positive(n, n, 0.1, 8), worst = 0;

        for (int i = 0; i < n; i++) /* the upper triangle is not read */
            for (int j = i + 1; j < n; j++)
                x[i * n + j] = NAN;
        bool done = fmal_invert(n, x), symmetric = true;
        double size = norm_of(a, n) * norm_of(x, n);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                double sum = i == j ? -1 : 0;

                for (int k = 0; k < n; k++)
                    sum += a[i * n + k] * x[k * n + j];
                worst = fmax(worst, fabs(sum));
                symmetric = symmetric && x[i * n + j] == x[j * n + i];
            }
        fmal_test_ok(t, done && symmetric && worst < 4 * DBL_EPSILON * n * size,
                     "inverse of order %d: %.2g", n, worst);
        fmal_free(&a);
        fmal_free(&x);
    }
    for (int i = 0; i < FMAL_COUNT(not_positive); i++) {
        double a[4];

        memcpy(a, not_positive[i].a, sizeof a);
        fmal_test_ok(t, !fmal_invert(2, a), "no inverse: %s", not_positive[i].name);
    }
}

/* X L^-T times L^T is X again; X has r columns, given as rows. */
static void test_solve(fmal_test *t)
{
    static const struct {
        int r, n;
    } sizes[] = { { 1, 1 }, { 1, 8 }, { 3, 1 }, { 9, 70 } };

    for (int s = 0; s < FMAL_COUNT(sizes); s++) {
        int r = sizes[s].r, n = sizes[s].n;
        double *l = positive(r, r, 1, 21), *x = normals(r * n, 22), worst = 0;
        double *first = normals(r * n, 22);
        bool done = fmal_cholesky(r, l);

        fmal_solve_right(r, l, x, n);
        for (int a = 0; a < n; a++)
            for (int j = 0; j < r; j++) {
                double sum = 0;

                for (int k = 0; k <= j; k++)
                    sum += x[k * n + a] * l[j * r + k];
                worst = fmax(worst, fabs(sum - first[j * n + a]));
            }
        fmal_test_ok(t, done && worst < 1e-13, "solve %d x %d: %.2g", n, r, worst);
        fmal_free(&l);
        fmal_free(&x);
        fmal_free(&first);
    }
}

static void test_blas(fmal_test *t)
{
    fmal_blas_one_thread();
    fmal_test_ok(
        t, fmal_blas_threads() == 1 && fmal_blas_core()[0] && fmal_blas_version()[0],
        "BLAS: %s, %s", fmal_blas_core(), fmal_blas_version());
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_gemm(&t);
    test_cholesky(&t);
    test_not_positive(&t);
    test_invert(&t);
    test_solve(&t);
    test_blas(&t);
    return fmal_test_end(&t);
}
