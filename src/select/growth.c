/*
 * How much a step may raise scores: the number beta of lazy evaluation.
 *
 * With N(sigma) = A F A - sigma A, a step that adds W, with Z = A F W, K = W^T F W,
 * Omega = W^T M W = L^-1 G L^-T (A, M, G before the step), changes N by Y C Y^T,
 *
 *     Y = [W | Z],   C = [ K + sigma I   -I ]
 *                        [ -I             0 ],
 *
 * and beta(sigma) = max(0, largest eigenvalue of C Y^T M Y) is the least beta >= 0 with
 * N' - N <= beta A. Y^T M Y is [ Omega  K ; K  Z^T F W ]: beside what the step has made
 * anyway, that takes one product of F with W. Betas of steps add up, and a score s with
 * phi = tr(G (I + G)^-1) is at most s + beta phi from then on, as long as that is at
 * most sigma (docs/algorithms.md has the proof).
 */
#include "select_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

/* sigma is this times the gain of the step: later gains are rarely larger. */
static const double HEADROOM = 1.05;

fmal_status fmal_growth_create(const fmal_inverse *inv, fmal_growth **out)
{
    fmal_growth *g = NULL;
    fmal_idx r = inv->r, count = r * inv->leading;
    fmal_status st = FMAL_ALLOC(&g, 1);

    if (st == FMAL_OK) {
        g->r = inv->r;
        g->classes = inv->classes;
        g->order = (int) inv->leading;
        st = fmal_lowrank_create(inv->f, inv->leading, 1, inv->r, false, &g->f);
    }
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->w, count);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->fw, count);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g->small, 5 * r * r + 10 * r);
    if (st != FMAL_OK)
        fmal_growth_destroy(&g);
    else
        *out = g;
    return st;
}

double fmal_growth_bytes(const fmal_factor *f)
{
    double r = fmal_factor_rank(f), order = (double) fmal_factor_leading(f);

    return fmal_lowrank_bytes(fmal_factor_leading(f), 1, fmal_factor_rank(f), false) +
           8 * (2 * r * order + 5 * r * r + 10 * r);
}

void fmal_growth_destroy(fmal_growth **growth)
{
    if (!*growth)
        return;
    fmal_lowrank_destroy(&(*growth)->f);
    fmal_free(&(*growth)->w);
    fmal_free(&(*growth)->fw);
    fmal_free(&(*growth)->small);
    fmal_free(growth);
}

/* What leads of x [r, order] less its last class block, minus the sum of the others:
   products of leading parts of matrices whose blocks sum to zero then count it. */
static void uncenter(const fmal_growth *g, const double *x, double *out)
{
    int blocks = g->classes > 1 ? g->classes - 1 : 1, d = g->order / blocks;

    memcpy(out, x, sizeof(double) * (size_t) g->r * (size_t) g->order);
    if (g->classes == 1)
        return;
    for (int j = 0; j < g->r; j++, x += g->order, out += g->order)
        for (int a = 0; a < d; a++) {
            double sum = 0;

            for (int k = 0; k < blocks; k++)
                sum += x[k * d + a];
            for (int k = 0; k < blocks; k++)
                out[k * d + a] += sum;
        }
}

void fmal_growth_multiply(fmal_growth *g, const double *w)
{
    uncenter(g, w, g->w);
    fmal_lowrank_apply(g->f, g->w, g->r, g->fw);
}

double fmal_growth_beta(fmal_growth *g, const double *omega, const double *k,
                        const double *z, double gain, double *ceiling)
{
    int r = g->r, n = 2 * r;
    double sigma = HEADROOM * gain, *zfw = g->small, *c = zfw + r * r;
    double *work = c + n * n;

    /* z is A F W - W K / 2: see inverse.c. */
    uncenter(g, z, g->w);
    fmal_gemm(false, true, r, r, g->order, 1, g->w, g->order, g->fw, g->order, 0, zfw,
              r);
    fmal_gemm(false, false, r, r, r, 0.5, k, r, k, r, 1, zfw, r);
    /* Rows of C Y^T M Y: (K + sigma) [Omega K] - [K ZFW], then -[Omega K]. */
    for (int i = 0; i < r; i++)
        for (int j = 0; j < r; j++) {
            double left = sigma * omega[i * r + j] - k[i * r + j];
            double right = sigma * k[i * r + j] - zfw[i * r + j];

            for (int l = 0; l < r; l++) {
                left += k[i * r + l] * omega[l * r + j];
                right += k[i * r + l] * k[l * r + j];
            }
            c[i * n + j] = left;
            c[i * n + r + j] = right;
            c[(r + i) * n + j] = -omega[i * r + j];
            c[(r + i) * n + r + j] = -k[i * r + j];
        }
    double beta = fmal_largest_eigenvalue(n, c, work);
    *ceiling = sigma;
    if (isnan(beta))
        return INFINITY;
    return (beta > 0 ? beta : 0) + 1e-9 * sigma;
}
