/*
 * What one step does to A_k = M_k^-1 and E_k = A_k F_k A_k of every class k.
 *
 * A sample's block is w h h^T, of rank one, so with s = 1 + sign w h^T A h
 *
 *     W = A h sqrt(w / s)       A' = A - sign W W^T
 *     Z = E h sqrt(w / s) - (sign / 2) W (w h^T E h / s)
 *                               E' = E - sign (W Z^T + Z W^T),
 *
 * as in inverse.c, class by class. A class's owner computes its W and Z, everybody gets
 * all of them. The terms of several steps wait beside A and E, which are then read and
 * not written in most steps: with many classes they are far larger than any cache.
 *
 * All of a class happens on one rank and from the same numbers, whatever rank that is;
 * blocks begin at cache lines, so that BLAS finds them aligned alike.
 */
#include "cut_impl.h"
#include "fmal/mem.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

static fmal_status allocate(fmal_block_inverse *inv)
{
    fmal_idx own = inv->classes.count, d = inv->d, c = inv->c;
    fmal_idx block = own * (fmal_idx) inv->stride;

    FMAL_TRY(FMAL_ALLOC(&inv->f, block));
    FMAL_TRY(FMAL_ALLOC(&inv->a, block));
    FMAL_TRY(FMAL_ALLOC(&inv->e, block));
    FMAL_TRY(FMAL_ALLOC(&inv->work, d * d));
    FMAL_TRY(FMAL_ALLOC(&inv->wz, c * 2 * d));
    FMAL_TRY(FMAL_ALLOC(&inv->waiting, own * FMAL_BLOCK_WAITING * 2 * d));
    FMAL_TRY(FMAL_ALLOC(&inv->dots, 2 * FMAL_BLOCK_WAITING));
    FMAL_TRY(FMAL_ALLOC(&inv->traces, c));
    FMAL_TRY(FMAL_ALLOC(&inv->counts, inv->ctx->size));
    return FMAL_ALLOC(&inv->firsts, inv->ctx->size);
}

fmal_status fmal_block_inverse_create(const fmal_ctx *ctx, int c, int d,
                                      fmal_block_inverse **out)
{
    fmal_block_inverse *inv = NULL;
    fmal_status st = FMAL_ALLOC(&inv, 1);

    if (st == FMAL_OK) {
        inv->ctx = ctx;
        inv->classes = fmal_part_make(c, 1, ctx);
        inv->c = c;
        inv->d = d;
        inv->stride = ((size_t) d * (size_t) d + 7) / 8 * 8;
        st = allocate(inv);
    }
    if ((st = fmal_agree(ctx, st)) != FMAL_OK) {
        fmal_block_inverse_destroy(&inv);
        return st;
    }
    for (int rank = 0; rank < ctx->size; rank++) {
        fmal_part part = fmal_part_of(c, 1, rank, ctx->size);

        inv->counts[rank] = (int) part.count;
        inv->firsts[rank] = (int) part.first;
    }
    *out = inv;
    return FMAL_OK;
}

void fmal_block_inverse_destroy(fmal_block_inverse **inv)
{
    fmal_block_inverse *held = *inv;

    if (!held)
        return;
    fmal_free(&held->f);
    fmal_free(&held->a);
    fmal_free(&held->e);
    fmal_free(&held->work);
    fmal_free(&held->wz);
    fmal_free(&held->waiting);
    fmal_free(&held->dots);
    fmal_free(&held->traces);
    fmal_free(&held->counts);
    fmal_free(&held->firsts);
    fmal_free(inv);
}

/* Rows of all classes, `width` numbers each, to every rank; each has filled its own. */
static void share(const fmal_block_inverse *inv, double *rows, int width)
{
    MPI_Datatype row;

    FMAL_MPI(MPI_Type_contiguous(width, MPI_DOUBLE, &row));
    FMAL_MPI(MPI_Type_commit(&row));
    FMAL_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, rows, inv->counts,
                            inv->firsts, row, inv->ctx->comm));
    FMAL_MPI(MPI_Type_free(&row));
}

/* ---- Afresh ---- */

fmal_status fmal_block_inverse_refresh(fmal_block_inverse *inv, bool only_a)
{
    int d = inv->d;
    fmal_status st = FMAL_OK;

    inv->n_waiting = 0;
    for (fmal_idx k = 0; k < inv->classes.count && st == FMAL_OK; k++) {
        size_t at = (size_t) k * inv->stride;
        double *a = inv->a + at;

        inv->flops += (only_a ? 1.0 : 5.0) * d * d * d;
        if (!fmal_invert(d, a))
            st = FMAL_FAIL(FMAL_ERR_NUMERIC,
                           "the Fisher information of class %lld is not positive "
                           "definite; give a larger --lambda",
                           (long long) (inv->classes.first + k));
        else if (!only_a) {
            fmal_gemm(false, false, d, d, d, 1, a, d, inv->f + at, d, 0, inv->work, d);
            fmal_gemm(false, false, d, d, d, 1, inv->work, d, a, d, 0, inv->e + at, d);
        }
    }
    return fmal_agree(inv->ctx, st);
}

double fmal_block_inverse_trace(fmal_block_inverse *inv)
{
    size_t count = (size_t) inv->d * (size_t) inv->d;
    double sum = 0;

    for (fmal_idx k = 0; k < inv->classes.count; k++) {
        const double *a = inv->a + (size_t) k * inv->stride;
        const double *f = inv->f + (size_t) k * inv->stride;
        double trace = 0;

        for (size_t i = 0; i < count; i++)
            trace += a[i] * f[i];
        inv->traces[inv->classes.first + k] = trace;
    }
    share(inv, inv->traces, 1);
    for (int k = 0; k < inv->c; k++)
        sum += inv->traces[k];
    return sum;
}

/* Of one symmetric matrix, from its lower triangle; returns where they end. */
static double *pack(const double *a, int d, double *to)
{
    for (int b = 0; b < d; b++, a += d)
        for (int i = 0; i <= b; i++)
            *to++ = i == b ? a[i] : 2 * a[i];
    return to;
}

void fmal_block_inverse_coefficients(fmal_block_inverse *inv, int first, int count,
                                     double *out)
{
    size_t pairs = (size_t) inv->d * (size_t) (inv->d + 1) / 2;

    for (int k = first; k < first + count; k++, out += 2 * pairs) {
        int owner = fmal_part_owner(&inv->classes, k);

        if (owner == inv->ctx->rank) {
            size_t at = (size_t) (k - inv->classes.first) * inv->stride;

            pack(inv->e + at, inv->d, pack(inv->a + at, inv->d, out));
        }
        fmal_bcast(inv->ctx, out, 2 * pairs * sizeof(double), owner);
    }
}

/* ---- Steps ---- */

static double *waiting_of(const fmal_block_inverse *inv, fmal_idx k)
{
    return inv->waiting + (size_t) k * FMAL_BLOCK_WAITING * 2 * (size_t) inv->d;
}

/* A and E take in what waits: lower triangles. */
static void fold(fmal_block_inverse *inv)
{
    int d = inv->d, n = inv->n_waiting;

    for (fmal_idx k = 0; k < inv->classes.count; k++) {
        const double *w = waiting_of(inv, k), *z = w + d;
        size_t at = (size_t) k * inv->stride;

        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, d, n, -inv->sign, w, 2 * d,
                    1, inv->a + at, d);
        cblas_dsyr2k(CblasRowMajor, CblasLower, CblasTrans, d, n, -inv->sign, w, 2 * d,
                     z, 2 * d, 1, inv->e + at, d);
        inv->flops += 3.0 * d * d * n;
    }
    inv->n_waiting = 0;
}

/* x = A_k h and y = E_k h of this rank's class k. */
static void multiply(fmal_block_inverse *inv, fmal_idx k, const double *h, double *x,
                     double *y)
{
    int d = inv->d, n = inv->n_waiting;
    size_t at = (size_t) k * inv->stride;
    const double *wz = waiting_of(inv, k);
    double *dots = inv->dots;

    cblas_dsymv(CblasRowMajor, CblasLower, d, 1, inv->a + at, d, h, 1, 0, x, 1);
    cblas_dsymv(CblasRowMajor, CblasLower, d, 1, inv->e + at, d, h, 1, 0, y, 1);
    inv->flops += 4.0 * d * d + 10.0 * d * n;
    if (n == 0)
        return;
    /* A holds W W^T, and E both W Z^T and Z W^T. */
    cblas_dgemv(CblasRowMajor, CblasNoTrans, 2 * n, d, 1, wz, d, h, 1, 0, dots, 1);
    cblas_dgemv(CblasRowMajor, CblasTrans, n, d, -inv->sign, wz, 2 * d, dots, 2, 1, x,
                1);
    for (int i = 0; i < 2 * n; i += 2) {
        double held = dots[i];

        dots[i] = dots[i + 1];
        dots[i + 1] = held;
    }
    cblas_dgemv(CblasRowMajor, CblasTrans, 2 * n, d, -inv->sign, wz, d, dots, 1, 1, y,
                1);
}

/* w, z = W and Z from A h and E h; W is NaN where the step leaves no inverse. */
static void make_wz(int d, double weight, const double *h, double sign, double *w,
                    double *z)
{
    double below = 1 + sign * weight * cblas_ddot(d, h, 1, w, 1);
    double both = weight * cblas_ddot(d, h, 1, z, 1) / below;
    double size = below > 0 ? sqrt(weight / below) : NAN;

    for (int a = 0; a < d; a++) {
        w[a] *= size;
        z[a] = size * z[a] - sign / 2 * both * w[a];
    }
}

fmal_status fmal_block_inverse_step(fmal_block_inverse *inv, const double *weight,
                                    const double *h, double sign)
{
    size_t d = (size_t) inv->d;

    inv->sign = sign; /* a refresh lies between directions: nothing else waits */
    for (fmal_idx k = 0; k < inv->classes.count; k++) {
        double *w = inv->wz + (size_t) (inv->classes.first + k) * 2 * d, *z = w + d;

        multiply(inv, k, h, w, z);
        make_wz(inv->d, weight[inv->classes.first + k], h, sign, w, z);
    }
    share(inv, inv->wz, 2 * inv->d);
    for (int k = 0; k < inv->c; k++)
        if (!isfinite(inv->wz[(size_t) k * 2 * d]))
            return FMAL_ERR_NUMERIC; /* on every rank */
    for (fmal_idx k = 0; k < inv->classes.count; k++)
        memcpy(waiting_of(inv, k) + (size_t) inv->n_waiting * 2 * d,
               inv->wz + (size_t) (inv->classes.first + k) * 2 * d,
               2 * d * sizeof(double));
    if (++inv->n_waiting == FMAL_BLOCK_WAITING)
        fold(inv);
    return FMAL_OK;
}
