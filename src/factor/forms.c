/* Quadratic forms of many matrices and samples. */
#include "kron_impl.h"

void fmal_forms(const double *xt, int d, int m, const double *coefficients, int count,
                double *work, double *forms)
{
    fmal_idx pairs = (fmal_idx) d * (d + 1) / 2;
    int a = 0, b = 0;

    for (fmal_idx first = 0; first < pairs; first += FMAL_KRON_PAIRS) {
        int width =
            (int) (pairs - first < FMAL_KRON_PAIRS ? pairs - first : FMAL_KRON_PAIRS);

        fmal_kron_products(xt, m, width, &a, &b, work);
        fmal_gemm(false, false, count, m, width, 1, coefficients + first, (int) pairs,
                  work, m, first > 0, forms, m);
    }
}
