/*
 * The removal of a sample that alone holds some direction.
 *
 * With M_- the information without it, I - G = (I + V M_-^-1 V^T)^-1. If nothing else
 * in M reaches what V reaches, that is as small as lambda / |h|^2, and G = V A V^T is 1
 * but for that: the rounding errors of A, which grow as |h|^2 / lambda, make noise of
 * it. X = A V^T is then improved by one step of refinement with M itself,
 *
 *     X <- X + A (V^T - M X),
 *
 * which changes it by less than 2e-5 with |h|^2 / lambda up to 1e10; and instead of I -
 * V X
 *
 *     I - G = I - V X - X^T (V^T - M X),
 *
 * whose error is quadratic in that of X: (I - V X)^T (I - V X) + X^T M_- X is the same.
 * In the same way B = X^T F X and E V^T = A (F X), refined. What remains is the
 * rounding of M, 1e-16 |h|^2 / lambda, relative.
 */
#include "select_impl.h"
#include "fmal/mem.h"

#include <string.h>

typedef struct {
    fmal_inverse *inv;
    fmal_lowrank *m, *f; /* M and F, no terms */
    double *v;           /* [r, D]: V */
    double *x, *fx;      /* [r, D]: X or what else is solved for, F X */
    double *y, *dx;      /* [r, D]: residual and correction */
    double *lead;        /* [r, leading], work */
} refine_job;

static fmal_idx count_of(const fmal_inverse *inv)
{
    return inv->r * inv->order;
}

static fmal_status job_init(refine_job *job, fmal_inverse *inv)
{
    fmal_idx count = count_of(inv);

    *job = (refine_job){ .inv = inv };
    FMAL_TRY(fmal_lowrank_create(inv->work, inv->order, 0, inv->r, false, &job->m));
    FMAL_TRY(fmal_lowrank_create(inv->f, inv->order, 0, inv->r, false, &job->f));
    FMAL_TRY(FMAL_ALLOC(&job->v, count));
    FMAL_TRY(FMAL_ALLOC(&job->x, count));
    FMAL_TRY(FMAL_ALLOC(&job->fx, count));
    FMAL_TRY(FMAL_ALLOC(&job->y, count));
    FMAL_TRY(FMAL_ALLOC(&job->dx, count));
    return FMAL_ALLOC(&job->lead, inv->r * inv->leading);
}

static void job_clear(refine_job *job)
{
    fmal_lowrank_destroy(&job->m);
    fmal_lowrank_destroy(&job->f);
    fmal_free(&job->v);
    fmal_free(&job->x);
    fmal_free(&job->fx);
    fmal_free(&job->y);
    fmal_free(&job->dx);
    fmal_free(&job->lead);
}

/* to = m from, [r, D], on every rank. */
static void multiply(const refine_job *job, fmal_lowrank *m, const double *from,
                     double *to)
{
    fmal_lowrank_apply(m, from, job->inv->r, to);
    fmal_bcast(job->inv->ctx, to, sizeof *to * (size_t) count_of(job->inv), 0);
}

/* to = A from, [r, D], on every rank. Class blocks of A sum to zero, where it has any:
   the last column of blocks follows from the others, and the last row. */
static void multiply_inverse(const refine_job *job, const double *from, double *to)
{
    const fmal_inverse *inv = job->inv;
    fmal_idx n = inv->order, leading = inv->leading, d = n - leading;

    for (int k = 0; k < inv->r; k++)
        for (fmal_idx i = 0; i < leading; i++)
            job->lead[k * leading + i] =
                from[k * n + i] - (d > 0 ? from[k * n + leading + i % d] : 0);
    fmal_lowrank_apply(inv->a_now, job->lead, inv->r, to);
    fmal_bcast(inv->ctx, to, sizeof *to * (size_t) (inv->r * leading), 0);
    for (int k = inv->r - 1; k >= 0; k--) {
        memmove(to + k * n, to + k * leading, sizeof *to * (size_t) leading);
        for (fmal_idx i = 0; i < d; i++)
            to[k * n + leading + i] = 0;
        for (fmal_idx i = 0; i < leading && d > 0; i++)
            to[k * n + leading + i % d] -= to[k * n + i];
    }
}

/* y = b - M x */
static void find_residual(const refine_job *job, const double *b)
{
    multiply(job, job->m, job->x, job->y);
    for (fmal_idx i = 0; i < count_of(job->inv); i++)
        job->y[i] = b[i] - job->y[i];
}

/* x = A b, corrected once; its leading columns to `lead` as well. */
static void solve(const refine_job *job, const double *b, double *lead)
{
    fmal_idx n = job->inv->order, leading = job->inv->leading;

    multiply_inverse(job, b, job->x);
    find_residual(job, b);
    multiply_inverse(job, job->y, job->dx);
    for (fmal_idx i = 0; i < count_of(job->inv); i++)
        job->x[i] += job->dx[i];
    for (int k = 0; k < job->inv->r; k++)
        memcpy(lead + k * leading, job->x + k * n, sizeof *lead * (size_t) leading);
}

/* omega = G, gs = I - G and bs = B from X, its residual and F X. */
static void make_forms(const refine_job *job)
{
    fmal_inverse *inv = job->inv;
    int r = inv->r, n = (int) inv->order;
    double *g = inv->omega;

    fmal_gemm(false, true, r, r, n, 1, job->v, n, job->x, n, 0, g, r);
    fmal_gemm(false, true, r, r, n, 1, job->x, n, job->y, n, 1, g, r);
    fmal_gemm(false, true, r, r, n, 1, job->x, n, job->fx, n, 0, inv->bs, r);
    for (int i = 0; i < r; i++)
        for (int j = 0; j <= i; j++)
            g[i * r + j] = g[j * r + i] = (g[i * r + j] + g[j * r + i]) / 2;
    for (int i = 0; i < r; i++)
        for (int j = 0; j < r; j++)
            inv->gs[i * r + j] = (i == j) - g[i * r + j];
}

fmal_status fmal_inverse_refine(fmal_inverse *inv, const fmal_factor *factor,
                                fmal_idx index_g, double scale)
{
    refine_job job;
    fmal_status st = fmal_agree(inv->ctx, job_init(&job, inv));

    inv->prepared = FMAL_IDX_NONE;
    inv->refined = true;
    inv->sign = -1;
    if (st == FMAL_OK) {
        fmal_factor_row(factor, index_g, job.v);
        for (fmal_idx i = 0; i < count_of(inv); i++)
            job.v[i] *= scale;
        solve(&job, job.v, inv->wz);
        find_residual(&job, job.v);
        multiply(&job, job.f, job.x, job.fx);
        make_forms(&job);
        solve(&job, job.fx, inv->wz + inv->r * inv->leading);
        st = fmal_inverse_complete(inv, index_g);
    }
    job_clear(&job);
    return st;
}
