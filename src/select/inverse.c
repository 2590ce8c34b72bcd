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
 * The last line needs no product with F: A V^T and E V^T are all that a step needs of
 * D x D matrices, and for V = R (x) h^T these are combinations of A (I (x) h) and
 * E (I (x) h): each matrix is read once, whatever r is. The root forms W and Z;
 * everybody gets them. On the way the step learns what it changes tr(M^-1 F) by,
 * tr((I + sign V A V^T)^-1 B) = tr(L^-1 B L^-T).
 *
 * Where the rows of all factors sum to zero over classes, nothing but lambda I reaches
 * the vectors 1 (x) u: there M^-1 is 1 / lambda, by far its largest part when lambda is
 * small beside |h|^2, and F is 0. That part is taken out of A: it would only bring its
 * rounding errors into A F A and into passes that rely on the sums (without this,
 * scores with lambda = 0.01 and |h|^2 = 6e4 had errors of 1e-6, with it of 4e-12). The
 * last class block of rows and columns is then minus the sum of the others, and steps
 * leave it out: A, E, W, Z below are what leads.
 */
#include "select_impl.h"
#include "fmal/mem.h"

#include <math.h>

/* What travels behind W and Z. */
enum { GAIN, PIVOT, TRACES };

fmal_status fmal_inverse_create(const fmal_problem *problem,
                                const fmal_select_options *options, fmal_inverse **out)
{
    fmal_inverse *inv = NULL;
    int rows = options->grid_rows, cols = options->grid_cols;
    int r = fmal_factor_rank(problem->factor);
    int blocks = fmal_factor_product_columns(problem->factor);
    int columns = blocks > r ? blocks : r;
    fmal_idx order = fmal_factor_order(problem->factor);
    fmal_idx leading = fmal_factor_leading(problem->factor);
    int capacity = fmal_pending_columns(leading, r);
    fmal_status st = fmal_agree(problem->ctx, FMAL_ALLOC(&inv, 1));

    if (st != FMAL_OK) {
        fmal_free(&inv);
        return st;
    }
    inv->ctx = problem->ctx;
    inv->factor = problem->factor;
    inv->r = r;
    inv->classes = fmal_factor_classes(problem->factor);
    inv->order = order;
    inv->leading = leading;
    inv->lambda = options->lambda;
    if (rows == 0)
        fmal_grid_choose(order, problem->ctx->size, &rows, &cols);
    fmal_grid_init(&inv->grid, problem->ctx, rows, cols);
    fmal_dmat **matrices[] = { &inv->f, &inv->a, &inv->e, &inv->work };
    for (int i = 0; i < FMAL_COUNT(matrices) && st == FMAL_OK; i++)
        st = fmal_dmat_create(&inv->grid, order, matrices[i]);
    if (st != FMAL_OK)
        goto failed;

    st = FMAL_ALLOC(&inv->wz, 2 * r * leading + TRACES);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&inv->gs, (fmal_idx) r * r);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&inv->bs, (fmal_idx) r * r);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&inv->omega, (fmal_idx) r * r);
    if (st == FMAL_OK && fmal_bounds_are_proven(options))
        st = fmal_growth_create(inv, &inv->growth);
    if (st == FMAL_OK)
        st =
            fmal_lowrank_create(inv->a, leading, capacity, columns, false, &inv->a_now);
    if (st == FMAL_OK)
        st = fmal_lowrank_create(inv->e, leading, capacity, columns, true, &inv->e_now);
    if ((st = fmal_agree(problem->ctx, st)) != FMAL_OK)
        goto failed;
    *out = inv;
    return FMAL_OK;
failed:
    fmal_inverse_destroy(&inv);
    return st;
}

double fmal_inverse_bytes(const fmal_factor *f, int rows, int cols, bool bounds)
{
    fmal_idx leading = fmal_factor_leading(f);
    int r = fmal_factor_rank(f), capacity = fmal_pending_columns(leading, r);
    int columns = fmal_factor_product_columns(f);

    return 4 * fmal_dmat_bytes(fmal_factor_order(f), rows, cols) +
           8.0 * (2.0 * r * (double) leading + TRACES + 3.0 * r * r) +
           fmal_lowrank_bytes(leading, capacity, columns, false) +
           fmal_lowrank_bytes(leading, capacity, columns, true) +
           (bounds ? fmal_growth_bytes(f) : 0);
}

/* Sums over classes of what is being centered. */
double fmal_inverse_refresh_bytes(const fmal_factor *f)
{
    double d = (double) (fmal_factor_order(f) / fmal_factor_classes(f));

    return fmal_factor_classes(f) > 1 ? 8 * d * d : 0;
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
    fmal_free(&held->wz);
    fmal_free(&held->gs);
    fmal_free(&held->bs);
    fmal_free(&held->omega);
    fmal_growth_destroy(&held->growth);
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

static double trace_of_matrix(const fmal_dmat *m)
{
    double sum = 0;

    for (int jl = 0; jl < m->cols_l; jl++)
        for (int il = 0; il < m->rows_l; il++)
            if (fmal_dmat_row(m, il) == fmal_dmat_col(m, jl))
                sum += m->a[(size_t) jl * (size_t) m->rows_l + (size_t) il];
    fmal_sum_f64(&m->grid->ctx, &sum, 1);
    return sum;
}

void fmal_inverse_forget(fmal_inverse *inv)
{
    inv->prepared = FMAL_IDX_NONE;
    inv->has_m = false;
    fmal_lowrank_reset(inv->a_now);
    fmal_lowrank_reset(inv->e_now);
}

fmal_status fmal_inverse_refresh(fmal_inverse *inv)
{
    inv->condition = trace_of_matrix(inv->a) / inv->lambda;
    FMAL_TRY(fmal_dmat_invert(inv->a, inv->work));
    FMAL_TRY(fmal_factor_center(inv->factor, inv->a));
    fmal_dmat_sandwich(inv->a, inv->f, inv->work, inv->e);
    fmal_inverse_forget(inv);
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

static double trace_of(int r, const double *x)
{
    double sum = 0;

    for (int i = 0; i < r; i++)
        sum += x[i * r + i];
    return sum;
}

/* Root: omega = G, gs = I + sign G, bs = B, from wz = [A V^T | E V^T]. */
static void make_forms(fmal_inverse *inv, const fmal_sample *v, double sign)
{
    int r = inv->r;
    double *w = inv->wz, *z = w + (size_t) r * (size_t) inv->leading;

    fmal_sample_project(v, w, r, inv->omega);
    fmal_sample_project(v, z, r, inv->bs);
    for (int i = 0; i < r; i++)
        for (int j = 0; j < r; j++)
            inv->gs[i * r + j] = (i == j) + sign * inv->omega[i * r + j];
}

double fmal_smallest_pivot(int r, const double *l)
{
    double least = INFINITY;

    for (int i = 0; i < r; i++)
        least =
            l[i * r + i] * l[i * r + i] < least ? l[i * r + i] * l[i * r + i] : least;
    return least;
}

/* Root: from wz = [A V^T | E V^T] and those forms to [W | Z] and the traces; false if L
   does not exist. */
static bool make_wz(fmal_inverse *inv, double sign)
{
    int r = inv->r, n = (int) inv->leading;
    double *w = inv->wz, *z = w + (size_t) r * (size_t) n;
    double *traces = z + (size_t) r * (size_t) n;

    if (!fmal_cholesky(r, inv->gs))
        return false;
    traces[PIVOT] = fmal_smallest_pivot(r, inv->gs);
    solve_both(r, inv->gs, inv->omega);
    fmal_solve_right(r, inv->gs, w, n);
    fmal_solve_right(r, inv->gs, z, n);
    solve_both(r, inv->gs, inv->bs);
    traces[GAIN] = trace_of(r, inv->bs);
    /* Rows are columns of Z: Z^T -= (sign / 2) (L^-1 B L^-T) W^T. */
    fmal_gemm(false, false, r, n, r, -sign / 2, inv->bs, r, w, n, 1, z, n);
    return true;
}

/* What the step that is prepared may add to scores, on every rank. */
static void find_growth(fmal_inverse *inv)
{
    const double *z = inv->wz + (size_t) inv->r * (size_t) inv->leading;
    double both[2] = { 0, 0 };

    fmal_growth_multiply(inv->growth, inv->wz);
    if (inv->ctx->rank == 0)
        both[0] =
            fmal_growth_beta(inv->growth, inv->omega, inv->bs, z, inv->gain, &both[1]);
    fmal_bcast(inv->ctx, both, sizeof both, 0);
    inv->beta = both[0];
    inv->ceiling = both[1];
}

fmal_status fmal_inverse_complete(fmal_inverse *inv, fmal_idx index_g)
{
    size_t count = (size_t) inv->r * (size_t) inv->leading;
    double *traces = inv->wz + 2 * count;
    fmal_status st = FMAL_OK;

    inv->pivot = 0;
    if (inv->ctx->rank == 0 && !make_wz(inv, inv->sign))
        st = FMAL_FAIL(FMAL_ERR_NUMERIC,
                       "removing sample %lld leaves information that is not positive "
                       "definite; give a larger --lambda",
                       (long long) index_g);
    FMAL_TRY(fmal_agree_root(inv->ctx, st));
    fmal_bcast(inv->ctx, inv->wz, (2 * count + TRACES) * sizeof(double), 0);
    inv->gain = traces[GAIN];
    inv->pivot = traces[PIVOT];
    if (inv->growth && inv->sign > 0) /* what goes is found without bounds */
        find_growth(inv);
    inv->prepared = index_g;
    return FMAL_OK;
}

fmal_status fmal_inverse_prepare(fmal_inverse *inv, const fmal_factor *factor,
                                 fmal_idx index_g, double scale, double sign)
{
    fmal_sample v;

    if (inv->prepared == index_g && inv->sign == sign)
        return FMAL_OK;
    inv->prepared = FMAL_IDX_NONE;
    inv->refined = false;
    inv->sign = sign;
    fmal_factor_sample(factor, index_g, scale, &v);
    fmal_sample_multiply(&v, inv->a_now, inv->wz);
    fmal_sample_multiply(&v, inv->e_now,
                         inv->wz + (size_t) inv->r * (size_t) inv->leading);
    if (inv->ctx->rank == 0)
        make_forms(inv, &v, sign);
    return fmal_inverse_complete(inv, index_g);
}

void fmal_inverse_commit(fmal_inverse *inv)
{
    double *w = inv->wz, *z = w + (size_t) inv->r * (size_t) inv->leading;

    fmal_lowrank_add(inv->a_now, -inv->sign, w, NULL, inv->r);
    fmal_lowrank_add(inv->e_now, -inv->sign, w, z, inv->r);
    inv->prepared = FMAL_IDX_NONE;
    inv->has_m = false;
}

double fmal_inverse_step_flops(const fmal_inverse *inv)
{
    return inv->a_now->flops + inv->e_now->flops;
}
