#include "select_impl.h"

#include <inttypes.h>
#include <math.h>

/*
 * A column W costs a fold 3 n^2 operations at the speed of DGEMM, and a step for which
 * it waits 6 n for each class at nearly that speed: it pays to wait up to n / 2
 * columns, on the average, if a refresh comes then, as it often does. They wait half as
 * long: at n = (c - 1) d, for d / 4 steps. At most there are so many that each rank can
 * hold them.
 */
int fmal_pending_columns(fmal_idx leading, int r)
{
    enum { LEAST = 64, MOST = 1152 };
    fmal_idx columns = leading / 4;

    columns = columns < LEAST ? LEAST : columns > MOST ? MOST : columns;
    return columns > r ? (int) columns : r;
}

static fmal_idx forward_steps(const fmal_select_options *o, fmal_idx candidates)
{
    double wanted = ceil(o->oversample * (double) o->batch - 1e-9);

    return wanted < (double) candidates ? (fmal_idx) wanted : candidates;
}

/* The share of the rank with most samples. */
static fmal_part largest_part(fmal_idx n, int ranks)
{
    fmal_part most = fmal_part_of(n, FMAL_BLOCK, 0, ranks);

    for (int rank = 1; rank < ranks; rank++) {
        fmal_part part = fmal_part_of(n, FMAL_BLOCK, rank, ranks);

        if (part.count > most.count)
            most = part;
    }
    return most;
}

static fmal_status choose_grid(fmal_select_plan *p, int ranks)
{
    if (p->fisher != FMAL_FISHER_FULL) {
        if (p->grid_rows > 0)
            return FMAL_FAIL(FMAL_ERR_ARG,
                             "--grid: only --fisher full has matrices on a grid");
        p->grid_rows = p->grid_cols = 1;
        return FMAL_OK;
    }
    if (p->grid_rows == 0)
        fmal_grid_choose(p->order, ranks, &p->grid_rows, &p->grid_cols);
    if (p->grid_rows * p->grid_cols > ranks)
        return FMAL_FAIL(FMAL_ERR_ARG, "--grid %dx%d needs %d ranks; there are %d",
                         p->grid_rows, p->grid_cols, p->grid_rows * p->grid_cols,
                         ranks);
    if (fmal_dmat_bytes(p->order, p->grid_rows, p->grid_cols) / 8 > 2147483647.0)
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "matrices of order %" PRId64
                         " on a grid of %d x %d have too many "
                         "elements a rank; use more ranks, or a strategy of smaller D",
                         p->order, p->grid_rows, p->grid_cols);
    return FMAL_OK;
}

static fmal_status check_batch(const fmal_select_options *o, fmal_idx n,
                               fmal_idx labelled, fmal_idx excluded)
{
    fmal_idx candidates = n - labelled - excluded;

    if (o->batch < 1 || o->batch > candidates)
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "--batch %" PRId64 ": the pool has %" PRId64
                         " candidates (%" PRId64 " samples, %" PRId64
                         " labelled, %" PRId64 " excluded)",
                         o->batch, candidates, n, labelled, excluded);
    return FMAL_OK;
}

fmal_status fmal_plan_steps(const fmal_select_options *o, fmal_idx n, fmal_idx labelled,
                            fmal_idx excluded, fmal_idx order, int rank, int ranks,
                            fmal_select_plan *plan)
{
    fmal_select_plan p = { .n = n,
                           .candidates = n - labelled - excluded,
                           .labelled = labelled,
                           .order = order,
                           .rank = rank,
                           .fisher = o->fisher,
                           .blocks = 1,
                           .grid_rows = o->grid_rows,
                           .grid_cols = o->grid_cols };

    FMAL_TRY(check_batch(o, n, labelled, excluded));
    FMAL_TRY(choose_grid(&p, ranks));
    p.forward = o->top ? o->batch : forward_steps(o, p.candidates);
    p.backward = p.forward - o->batch;
    *plan = p;
    return FMAL_OK;
}

/* ---- Bytes ---- */

static fmal_idx least(fmal_idx a, fmal_idx b)
{
    return a < b ? a : b;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* The most of candidates and buffers while they are in double precision. */
static double double_bytes(const fmal_factor *f, fmal_idx n, bool spread)
{
    double buffers =
        larger(fmal_inverse_refresh_bytes(f), fmal_factor_gram_bytes(f, spread));

    return fmal_cells_bytes(f, n) + larger(buffers, fmal_cells_refresh_bytes(f, n));
}

static double single_bytes(const fmal_factor *f, fmal_idx n, bool lazy, bool spread)
{
    double buffers =
        larger(fmal_inverse_refresh_bytes(f), fmal_factor_gram_bytes(f, spread));

    return fmal_scan_bytes(f, n, lazy) +
           larger(buffers, fmal_scan_refresh_bytes(f, n, lazy));
}

/*
 * A rank holds the pool and the matrices all the time, the candidates while it adds,
 * and buffers: while the pool is read its logits, then, one after the other, those of
 * Fisher sums, of a refresh of matrices, and of a refresh of the samples that are
 * scored. Lists of ties that are scored again in double precision are not planned for.
 */
static void plan_bytes(const fmal_select_options *o, const fmal_pool_info *info,
                       const fmal_factor *f, const fmal_part *part, fmal_select_plan *p)
{
    fmal_idx n = least(part->count, p->candidates), removing = least(n, p->forward);
    double lists = (double) part->count * (sizeof(uint8_t) + sizeof(fmal_idx));
    bool in_double = o->double_precision || o->top;
    bool spread = p->grid_rows * p->grid_cols > 1;

    p->bytes_pool = fmal_pool_bytes(info, part->count);
    p->bytes_matrices =
        fmal_factor_bytes(f) +
        fmal_inverse_bytes(f, p->grid_rows, p->grid_cols, fmal_bounds_are_proven(o));
    p->bytes_candidates =
        lists + (in_double ? fmal_cells_bytes(f, n) : fmal_scan_bytes(f, n, o->lazy));

    double held = p->bytes_pool + p->bytes_matrices + lists;
    double adding =
        in_double ? double_bytes(f, n, spread) : single_bytes(f, n, o->lazy, spread);
    double removal = p->backward > 0 ? double_bytes(f, removing, spread) : 0;
    p->bytes =
        larger(held + larger(adding, removal), fmal_pool_open_bytes(info, part->count));
    p->bytes_double = larger(p->bytes, held + double_bytes(f, n, spread));
    p->bytes_buffers =
        p->bytes - p->bytes_pool - p->bytes_matrices - p->bytes_candidates;
}

/* ---- Work ---- */

/*
 * Of the rank with most: its share of what is done for samples, and, on the grid, of
 * what is done for matrices: 5 D^3 a refresh, and a step's products with A and E, which
 * read memory and so take several times as long as others, and its share of folds.
 */
static void plan_flops(const fmal_select_options *o, const fmal_factor *f,
                       const fmal_part *part, fmal_select_plan *p)
{
    /* Guesses. Scores fall tenfold within some fifty steps, later ever more slowly; a
       bound leaves a fifth of the candidates at first, more later; a slack few. */
    const double steps_a_refresh = 50, most_refreshes = 4, lazy = 0.3, slack = 0.05;
    const double slow = 4; /* of products that read a matrix from memory */
    double refreshes = 1 + (double) p->forward / steps_a_refresh;
    double grid = p->grid_rows * p->grid_cols, order = (double) p->order, r = p->rank;
    double n = (double) least(part->count, p->candidates);
    double steps = o->top ? 0 : (double) p->forward;
    double passes = steps * n * (fmal_stream_sample_flops(f) + 4 * r * r * r);
    double streams = fmal_factor_product_columns(f) == p->rank ? r : 1;

    refreshes = o->top ? 1 : refreshes < most_refreshes ? refreshes : most_refreshes;
    p->scored = !o->lazy ? 1 : o->slack > 0 ? slack : lazy;
    p->flops = (double) part->count * fmal_factor_gram_flops(f) +
               refreshes * n * fmal_panel_quadratics_flops(f) +
               (refreshes + 1) * 5 * order * order * order / grid +
               (steps + (double) p->backward) * (4 * slow * streams + 3 * r) * order *
                   order / grid;
    if (o->double_precision)
        p->flops += passes;
    else
        p->flops_single = p->scored * passes;
}

fmal_status fmal_select_plan_pool(const fmal_select_options *o,
                                  const fmal_pool_info *info, int ranks,
                                  fmal_select_plan *plan)
{
    fmal_idx most = largest_part(info->n, ranks).count;

    FMAL_TRY(check_batch(o, info->n, info->labelled, info->excluded));
    *plan = (fmal_select_plan){ .n = info->n,
                                .candidates = info->n - info->labelled - info->excluded,
                                .labelled = info->labelled,
                                .most = most,
                                .bytes_pool = fmal_pool_bytes(info, most),
                                .bytes = fmal_pool_open_bytes(info, most) };
    plan->bytes_buffers = plan->bytes - plan->bytes_pool;
    return FMAL_OK;
}

static fmal_status plan_sizes(const fmal_select_options *o, const fmal_pool_info *info,
                              fmal_factor *f, const fmal_part *part, int ranks,
                              fmal_select_plan *plan)
{
    fmal_select_plan p;

    FMAL_TRY(fmal_plan_steps(o, info->n, info->labelled, info->excluded,
                             fmal_factor_order(f), fmal_factor_rank(f), ranks, &p));
    p.most = part->count;
    p.blocks = fmal_factor_class_blocks(f);
    if (o->fisher != FMAL_FISHER_FULL) {
        p.bytes_pool = fmal_pool_bytes(info, part->count);
        fmal_plan_cut((int) (p.order / p.blocks), (double) part->count, ranks,
                      o->streamed, &p);
        *plan = p;
        return FMAL_OK;
    }
    plan_bytes(o, info, f, part, &p);
    plan_flops(o, f, part, &p);
    *plan = p;
    return FMAL_OK;
}

fmal_status fmal_select_plan_make(const fmal_select_options *o, fmal_idx n,
                                  fmal_idx labelled, fmal_idx excluded, int d, int c,
                                  int ranks, fmal_select_plan *plan)
{
    fmal_pool_info info = { .n = n,
                            .labelled = labelled,
                            .excluded = excluded,
                            .d = d,
                            .c = c,
                            .streamed = o->streamed };
    fmal_part part = largest_part(n, ranks);
    fmal_factor *f = NULL;

    if (o->likelihood == FMAL_LIKELIHOOD_TOPC && o->topc > c)
        return FMAL_FAIL(FMAL_ERR_ARG, "--topc %d: there are %d classes", o->topc, c);
    FMAL_TRY(
        fmal_factor_kron_outline(&part, d, c, o->likelihood, o->topc, o->streamed, &f));
    fmal_status st = plan_sizes(o, &info, f, &part, ranks, plan);
    fmal_factor_destroy(&f);
    return st;
}

fmal_status fmal_select_plan_dense(const fmal_select_options *o, fmal_idx n,
                                   fmal_idx labelled, fmal_idx excluded, int r,
                                   fmal_idx order, int ranks, fmal_select_plan *plan)
{
    fmal_pool_info info = {
        .n = n, .labelled = labelled, .excluded = excluded, .rows = r, .columns = order
    };
    fmal_part part = largest_part(n, ranks);
    fmal_factor *f = NULL;

    FMAL_TRY(fmal_factor_dense_outline(&part, r, order, &f));
    fmal_status st = fmal_plan_check_fisher(o->fisher, f);
    if (st == FMAL_OK)
        st = plan_sizes(o, &info, f, &part, ranks, plan);
    fmal_factor_destroy(&f);
    return st;
}

fmal_status fmal_select_plan_mixed(const fmal_select_options *o, fmal_idx n,
                                   fmal_idx labelled, fmal_idx excluded, int d, int c,
                                   int extra, bool unweighted, int ranks,
                                   fmal_select_plan *plan)
{
    fmal_pool_info info = {
        .n = n, .labelled = labelled, .excluded = excluded, .d = d, .c = c
    };
    fmal_part part = largest_part(n, ranks);
    fmal_factor *f = NULL;

    FMAL_TRY(fmal_factor_mixed_outline(&part, d, c, extra, unweighted, &f));
    fmal_status st = fmal_plan_check_fisher(o->fisher, f);
    if (st == FMAL_OK)
        st = plan_sizes(o, &info, f, &part, ranks, plan);
    fmal_factor_destroy(&f);
    return st;
}
