/**
 * Whole matrices that every rank makes for itself, and the grids to spread them on.
 * Column-major, as in dmat; where a matrix is symmetric it does not matter.
 */
#ifndef FMAL_TEST_MATRICES_H
#define FMAL_TEST_MATRICES_H

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fmal/la.h"
#include "fmal/mem.h"
#include "fmal/rng.h"
#include "fmal_test.h"

/** Grids of the tests; those with more ranks than there are, are passed over. */
static const struct {
    int rows, cols;
} grids[] = { { 1, 1 }, { 1, 2 }, { 2, 1 }, { 2, 2 }, { 1, 3 } };

static inline double *zeros(fmal_idx count)
{
    double *x = NULL;

    if (FMAL_ALLOC(&x, count) != FMAL_OK)
        abort();
    return x;
}

/** [count] standard normal numbers, the same for a seed wherever they are made. */
static inline double *normals(fmal_idx count, uint32_t seed)
{
    double *x = zeros(count);

    for (fmal_idx i = 0; i < count; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INIT, 0, (uint64_t) i);

        x[i] = fmal_rng_normal(&r);
    }
    return x;
}

/** ridge I + B B^T / n, B [n, k] normal. */
static inline double *positive(int n, int k, double ridge, uint32_t seed)
{
    double *a = zeros((fmal_idx) n * n), *b = normals((fmal_idx) n * k, seed);

    fmal_gemm(false, true, n, n, k, 1.0 / n, b, k, b, k, 0, a, n);
    for (int i = 0; i < n; i++) {
        a[i * n + i] += ridge;
        for (int j = 0; j < i; j++)
            a[j * n + i] = a[i * n + j];
    }
    fmal_free(&b);
    return a;
}

/** Put a whole matrix into a distributed one. */
static inline void scatter(fmal_dmat *m, const double *a)
{
    memset(m->a, 0, sizeof(double) * (size_t) m->rows_l * (size_t) m->cols_l);
    for (int j = 0; j < m->n; j++)
        for (int i = 0; i < m->n; i++)
            fmal_dmat_add_at(m, i, j, a[j * m->n + i]);
}

static inline fmal_dmat *spread(const fmal_grid *grid, int n, const double *a)
{
    fmal_dmat *m = NULL;

    if (fmal_dmat_create(grid, n, &m) != FMAL_OK)
        abort();
    if (a)
        scatter(m, a);
    return m;
}

/** The largest sum over a row of absolute values. */
static inline double norm_of(const double *a, int n)
{
    double most = 0;

    for (int i = 0; i < n; i++) {
        double sum = 0;

        for (int j = 0; j < n; j++)
            sum += fabs(a[i * n + j]);
        most = fmax(most, sum);
    }
    return most;
}

/** out = a b, whole matrices with n rows and columns. */
static inline void multiply(const double *a, const double *b, int n, double *out)
{
    for (int j = 0; j < n; j++) {
        double *column = out + j * n;

        memset(column, 0, sizeof(double) * (size_t) n);
        for (int k = 0; k < n; k++)
            for (int i = 0; i < n; i++)
                column[i] += a[k * n + i] * b[j * n + k];
    }
}

/** max |a - b| over n^2 elements; NaN if there is one. */
static inline double largest_gap(const double *a, const double *b, fmal_idx count)
{
    double most = 0;

    for (fmal_idx i = 0; i < count; i++) {
        double gap = fabs(a[i] - b[i]);

        if (!(gap <= most))
            most = gap;
    }
    return most;
}

#endif
