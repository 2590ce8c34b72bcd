/*
 * What one step does to A = M^-1 and E = A F A.
 *
 * For V = V_s of the sample that comes (sign +1) or goes (sign -1):
 *
 *     L L^T = I + sign V A V^T         W = A V^T L^-T
 *     A'    = A - sign W W^T           (Woodbury)
 *     E'    = A' F A' = E - sign (W Z^T + Z W^T)
 *     Z     = A F W - (sign / 2) W (W^T F W)
 *           = E V^T L^-T - (sign / 2) W (L^-1 B L^-T),   B = V E V^T.
 *
 * The last line needs no product with F: two thin products with A and E are all that a
 * step reads of D x D matrices. The root forms W and Z; everybody gets them.
 *
 * Where the rows of all factors sum to zero over classes, nothing but lambda I reaches
 * the vectors 1 (x) u: there M^-1 is 1 / lambda, by far its largest part when lambda is
 * small beside |h|^2, and F is 0. That part is taken out of A: it would only bring its
 * rounding errors into A F A and into passes that rely on the sums (without this,
 * scores with lambda = 0.01 and |h|^2 = 6e4 had errors of 1e-6, with it of 4e-12).
 */
#include "select_impl.h"
#include "fmal/mem.h"

#include <string.h>

fmal_status fmal_inverse_create(const fmal_problem *problem,
                                const fmal_select_options *options, fmal_inverse **out)
{
    fmal_inverse *inv = NULL;
    int rows = options->grid_rows, cols = options->grid_cols;
    int r = fmal_factor_rank(problem->factor);
    fmal_idx order = fmal_factor_order(problem->factor);
    fmal_status st = fmal_agree(problem->ctx, FMAL_ALLOC(&inv, 1));

    if (st != FMAL_OK) {
        fmal_free(&inv);
        return st;
    }
    inv->ctx = problem->ctx;
    inv->r = r;
    inv->classes = fmal_factor_classes(problem->factor);
    inv->order = order;
    if (rows == 0)
        fmal_grid_choose(order, problem->ctx->size, &rows, &cols);
    fmal_grid_init(&inv->grid, problem->ctx, rows, cols);
    fmal_dmat **matrices[] = { &inv->f, &inv->a, &inv->e, &inv->work };
    for (int i = 0; i < FMAL_COUNT(matrices) && st == FMAL_OK; i++)
        st = fmal_dmat_create(&inv->grid, order, matrices[i]);
    if (st != FMAL_OK)
        goto failed;

    st = FMAL_ALLOC(&inv->v, r * order);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&inv->wz, 2 * r * order);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&inv->gs, (fmal_idx) r * r);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&inv->bs, (fmal_idx) r * r);
    if (st == FMAL_OK)
        st = fmal_lowrank_create(inv->a, fmal_pending_steps(r) * r, &inv->a_now);
    if (st == FMAL_OK)
        st = fmal_lowrank_create(inv->e, fmal_pending_steps(r) * 2 * r, &inv->e_now);
    if ((st = fmal_agree(problem->ctx, st)) != FMAL_OK)
        goto failed;
    *out = inv;
    return FMAL_OK;
failed:
    fmal_inverse_destroy(&inv);
    return st;
}

void fmal_inverse_destroy(fmal_inverse **inv)
{
    fmal_inverse *held = *inv;

    if (!held)
        return;
    fmal_lowrank_destroy(&held->a_now);
    fmal_lowrank_destroy(&held->e_now);
    fmal_dmat_destroy(&held->f);
    fmal_dmat_destroy(&held->a);
    fmal_dmat_destroy(&held->e);
    fmal_dmat_destroy(&held->work);
    fmal_free(&held->v);
    fmal_free(&held->wz);
    fmal_free(&held->gs);
    fmal_free(&held->bs);
    fmal_grid_clear(&held->grid);
    fmal_free(inv);
}

void fmal_inverse_matrices(fmal_inverse *inv, fmal_dmat **f, fmal_dmat **a,
                           fmal_dmat **e)
{
    *f = inv->f;
    *a = inv->a;
    *e = inv->e;
}

fmal_status fmal_inverse_refresh(fmal_inverse *inv)
{
    FMAL_TRY(fmal_dmat_invert(inv->a, inv->work));
    if (inv->classes > 1)
        FMAL_TRY(fmal_dmat_center(inv->a, inv->classes));
    fmal_dmat_sandwich(inv->a, inv->f, inv->work, inv->e);
    inv->prepared = FMAL_IDX_NONE;
    fmal_lowrank_reset(inv->a_now);
    fmal_lowrank_reset(inv->e_now);
    return FMAL_OK;
}

/* x = L^-1 x L^-T for symmetric x [r, r]. */
static void solve_both(int r, const double *l, double *x)
{
    fmal_solve_right(r, l, x, r);
    for (int i = 0; i < r; i++)
        for (int j = 0; j < i; j++) {
            double held = x[i * r + j];

            x[i * r + j] = x[j * r + i];
            x[j * r + i] = held;
        }
    fmal_solve_right(r, l, x, r);
}

/* Root: from wz = [A V^T | E V^T] to [W | Z]; false if L does not exist. */
static bool make_wz(fmal_inverse *inv, double sign)
{
    int r = inv->r, n = (int) inv->order;
    double *w = inv->wz, *z = inv->wz + (size_t) r * (size_t) n;

    fmal_gemm(false, true, r, r, n, sign, inv->v, n, w, n, 0, inv->gs, r);
    fmal_gemm(false, true, r, r, n, 1, inv->v, n, z, n, 0, inv->bs, r);
    for (int i = 0; i < r; i++)
        inv->gs[i * r + i] += 1;
    if (!fmal_cholesky(r, inv->gs))
        return false;
    fmal_solve_right(r, inv->gs, w, n);
    fmal_solve_right(r, inv->gs, z, n);
    solve_both(r, inv->gs, inv->bs);
    inv->gain = 0;
    for (int i = 0; i < r; i++)
        inv->gain += inv->bs[i * r + i];
    /* Rows are columns of Z: Z^T -= (sign / 2) (L^-1 B L^-T) W^T. */
    fmal_gemm(false, false, r, n, r, -sign / 2, inv->bs, r, w, n, 1, z, n);
    return true;
}

fmal_status fmal_inverse_prepare(fmal_inverse *inv, const fmal_factor *factor,
                                 fmal_idx index_g, double scale, double sign)
{
    size_t count = (size_t) inv->r * (size_t) inv->order;
    double *w = inv->wz, *z = inv->wz + count;
    fmal_status st = FMAL_OK;

    if (inv->prepared == index_g && inv->sign == sign)
        return FMAL_OK;
    inv->prepared = FMAL_IDX_NONE;
    inv->sign = sign;
    fmal_factor_row(factor, index_g, inv->v);
    for (size_t i = 0; i < count; i++)
        inv->v[i] *= scale;
    fmal_lowrank_apply(inv->a_now, inv->v, inv->r, w);
    fmal_lowrank_apply(inv->e_now, inv->v, inv->r, z);
    if (inv->ctx->rank == 0 && !make_wz(inv, sign))
        st = FMAL_FAIL(FMAL_ERR_NUMERIC,
                       "removing sample %lld leaves information that is not positive "
                       "definite; give a larger --lambda",
                       (long long) index_g);
    FMAL_TRY(fmal_agree_root(inv->ctx, st));
    fmal_bcast(inv->ctx, inv->wz, 2 * count * sizeof(double), 0);
    fmal_bcast(inv->ctx, &inv->gain, sizeof inv->gain, 0);
    inv->prepared = index_g;
    return FMAL_OK;
}

void fmal_inverse_commit(fmal_inverse *inv)
{
    double *w = inv->wz, *z = inv->wz + (size_t) inv->r * (size_t) inv->order;

    fmal_lowrank_add(inv->a_now, -inv->sign, w, w, inv->r);
    fmal_lowrank_add(inv->e_now, -inv->sign, w, z, inv->r);
    fmal_lowrank_add(inv->e_now, -inv->sign, z, w, inv->r);
    inv->prepared = FMAL_IDX_NONE;
}

double fmal_inverse_step_flops(const fmal_inverse *inv)
{
    (void) inv;
    return 0;
}
