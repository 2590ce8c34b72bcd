#include "fmal/la.h"

#include "scalapack.h"

#include <cblas.h>
#include <math.h>

/* Of LAPACK, which OpenBLAS holds. */
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dpotri_(const char *uplo, const int *n, double *a, const int *lda, int *info);

void fmal_gemm(bool trans_a, bool trans_b, int m, int n, int k, double alpha,
               const double *a, int lda, const double *b, int ldb, double beta,
               double *c, int ldc)
{
    if (m == 0 || n == 0)
        return;
    cblas_dgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans,
                trans_b ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, lda, b, ldb,
                beta, c, ldc);
}

void fmal_syrk(int n, int k, const double *a, double *c)
{
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, n, k, 1, a, k, 0, c, n);
}

void fmal_trmm(int m, int n, const double *l, double *x)
{
    cblas_dtrmm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, m, n,
                1, l, m, x, n);
}

bool fmal_cholesky(int n, double *a)
{
    for (int j = 0; j < n; j++) {
        for (int i = j; i < n; i++) {
            double sum = a[i * n + j];

            for (int k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (i > j)
                a[i * n + j] = sum / a[j * n + j];
            else if (!(sum > 0))
                return false;
            else
                a[j * n + j] = sqrt(sum);
        }
        for (int i = 0; i < j; i++)
            a[i * n + j] = 0;
    }
    return true;
}

bool fmal_invert(int n, double *a)
{
    int info = 0;

    dpotrf_("U", &n, a, &n, &info);          /* by columns: our lower triangle */
    for (int i = 0; i < n && info == 0; i++) /* it lets NaN pass */
        info = !(a[(size_t) i * (size_t) n + (size_t) i] > 0);
    if (info == 0)
        dpotri_("U", &n, a, &n, &info);
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            a[(size_t) i * (size_t) n + (size_t) j] =
                a[(size_t) j * (size_t) n + (size_t) i];
    return info == 0;
}

void fmal_solve_right(int r, const double *l, double *x, int n)
{
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, r, n,
                1, l, r, x, n);
}

double fmal_largest_eigenvalue(int n, double *a, double *work)
{
    const int one = 1, room = 3 * n;
    double *real = work, *imaginary = work + n, largest = -INFINITY, none;
    int info = 0;

    dgeev_("N", "N", &n, a, &n, real, imaginary, &none, &one, &none, &one, work + 2 * n,
           &room, &info);
    for (int i = 0; i < n; i++)
        largest = real[i] > largest ? real[i] : largest;
    return info == 0 && isfinite(largest) ? largest : NAN;
}

void fmal_blas_one_thread(void)
{
    openblas_set_num_threads(1);
}

const char *fmal_blas_core(void)
{
    return openblas_get_corename();
}

int fmal_blas_threads(void)
{
    return openblas_get_num_threads();
}

const char *fmal_blas_version(void)
{
    return openblas_get_config();
}
