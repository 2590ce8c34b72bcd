#include "select_impl.h"

#include <inttypes.h>
#include <math.h>

/*
 * A step's share of a fold is 3 r n^2 operations at the speed of DGEMM; w columns that
 * wait cost it 6 w n for each class, and those are slow. But terms that wait until the
 * next refresh, which is often less than a hundred steps away, are never folded. So the
 * larger the order n, the longer they wait. Over a hundred steps, 162
 * columns were as fast as any number at n = 1152, and at n = 4608 the most, which is
 * there for memory, took 16 ms a step, 288 columns 22.
 */
int fmal_pending_columns(fmal_idx leading, int r)
{
    enum { LEAST = 64, MOST = 1024 };
    fmal_idx columns = leading * leading / 8192;

    columns = columns < LEAST ? LEAST : columns > MOST ? MOST : columns;
    return columns > r ? (int) columns : r;
}

static fmal_idx forward_steps(const fmal_select_options *o, fmal_idx candidates)
{
    double wanted = ceil(o->oversample * (double) o->batch - 1e-9);

    return wanted < (double) candidates ? (fmal_idx) wanted : candidates;
}

/* Bytes of the D x D matrices, their pending terms, and the step's columns. */
static double matrix_bytes(const fmal_select_plan *p)
{
    double r = p->rank, order = (double) p->order;
    double pending = fmal_pending_columns(p->order, p->rank);
    double four = 4 * fmal_dmat_bytes(p->order, p->grid_rows, p->grid_cols);

    return four + 8 * order * (3 * pending + 4 * r);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Bytes of what each candidate carries, and of the buffers of blocks and Fisher sums.
 */
static double candidate_bytes(const fmal_select_plan *p, double candidates, int d)
{
    const double cap = 64 << 20; /* of each large buffer: src/factor */
    double r = p->rank, m = FMAL_BLOCK, blocks = (double) (p->order / d);
    double used = blocks > 1 ? blocks - 1 : 1, pairs = blocks * (blocks + 1) / 2;
    double products = (double) d * (d + 1) / 2;
    double each = 8 * r * (r + 1) + 8 + 1 + 2 * sizeof(fmal_idx) + 8 * (r + used);
    if (r != used) /* topc: forms of all class pairs, before they become triangles */
        each += 4 * used * (used + 1) + 4 * r;
    double panel = least(cap, 8 * products * used * (used + 1) / 2) +
                   8 * (2 * m * r * r + d * m + 2 * r * used * (d + m) + 512 * m +
                        used * used * d);
    double sums = least(cap, 8 * pairs * products) + 8 * pairs * (512 + m) +
                  8 * (d * m + 512 * m + 2 * (double) p->order);

    return candidates * each + panel + sums;
}

/* The share of the rank with most, in samples. */
static double largest_share(fmal_idx n, int ranks)
{
    fmal_idx blocks = (n + FMAL_BLOCK - 1) / FMAL_BLOCK;

    return least((double) ((blocks + ranks - 1) / ranks) * FMAL_BLOCK, (double) n);
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

/*
 * Work of the rank with most: its share of what is done per sample, and, on the grid,
 * of what is done per matrix: for `streams` vectors a step multiplies A and E with, and
 * folds. Scores fall tenfold a few times in a search.
 */
static double total_flops(const fmal_select_plan *p, double share, double first_values,
                          double sums, double columns, double streams)
{
    const double refreshes = 5;
    double grid = p->grid_rows * p->grid_cols, order = (double) p->order, r = p->rank;
    double samples =
        sums + refreshes * 2 * first_values + (double) p->forward * 2 * columns * 2 * r;
    double matrices =
        (refreshes + 2) * 5 * order * order * order +
        (double) (p->forward + p->backward) * (4 * streams + 3 * r) * order * order;

    return share * samples + matrices / grid;
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

    if (o->batch < 1 || o->batch > p.candidates)
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "--batch %" PRId64 ": the pool has %" PRId64
                         " candidates (%" PRId64 " samples, %" PRId64
                         " labelled, %" PRId64 " excluded)",
                         o->batch, p.candidates, n, labelled, excluded);
    FMAL_TRY(choose_grid(&p, ranks));
    p.forward = o->top ? o->batch : forward_steps(o, p.candidates);
    p.backward = p.forward - o->batch;
    *plan = p;
    return FMAL_OK;
}

fmal_status fmal_select_plan_make(const fmal_select_options *o, fmal_idx n,
                                  fmal_idx labelled, fmal_idx excluded, int d, int c,
                                  int ranks, fmal_select_plan *plan)
{
    fmal_select_plan p;
    fmal_idx order;
    int rank;
    double share = largest_share(n, ranks);

    if (o->likelihood == FMAL_LIKELIHOOD_TOPC && o->topc > c)
        return FMAL_FAIL(FMAL_ERR_ARG, "--topc %d: there are %d classes", o->topc, c);
    fmal_kron_sizes(o->likelihood, o->topc, d, c, &order, &rank);
    FMAL_TRY(fmal_plan_steps(o, n, labelled, excluded, order, rank, ranks, &p));
    p.blocks = (int) (order / d);
    p.bytes_pool = share * (4.0 * d + 12.0 * c + 2);
    if (o->fisher != FMAL_FISHER_FULL) {
        fmal_plan_cut(d, share, ranks, &p);
        *plan = p;
        return FMAL_OK;
    }
    p.bytes_matrices = matrix_bytes(&p);
    p.bytes_candidates = candidate_bytes(&p, least(share, (double) p.candidates), d);
    p.bytes = p.bytes_pool + p.bytes_matrices + p.bytes_candidates;
    double blocks = (double) (order / d), used = blocks > 1 ? blocks - 1 : 1;
    double products = (double) d * (d + 1) / 2;
    p.flops = total_flops(&p, share, used * (used + 1) * products,
                          blocks * (blocks + 1) * products, used * d, 1);
    *plan = p;
    return FMAL_OK;
}

fmal_status fmal_select_plan_dense(const fmal_select_options *o, fmal_idx n,
                                   fmal_idx labelled, fmal_idx excluded, int r,
                                   fmal_idx order, int ranks, fmal_select_plan *plan)
{
    fmal_select_plan p;
    double share = largest_share(n, ranks), rows = (double) FMAL_BLOCK * r;
    double columns = 256; /* of a matrix at a time: src/factor/dense.c */

    FMAL_TRY(fmal_plan_check_fisher(o->fisher, false));
    FMAL_TRY(fmal_plan_steps(o, n, labelled, excluded, order, r, ranks, &p));
    p.bytes_pool = share * (4.0 * r * (double) order + 2);
    if (o->fisher != FMAL_FISHER_FULL) {
        fmal_plan_cut((int) order, share, ranks, &p);
        *plan = p;
        return FMAL_OK;
    }
    p.bytes_matrices = matrix_bytes(&p);
    p.bytes_candidates =
        least(share, (double) p.candidates) *
            (8.0 * r * (r + 1) + 9 + 2 * sizeof(fmal_idx)) +
        8 * (2 * rows * (double) order + 2 * r * ((double) order + rows) +
             3 * columns * ((double) order + rows));
    p.bytes = p.bytes_pool + p.bytes_matrices + p.bytes_candidates;
    p.flops =
        total_flops(&p, share, 2.0 * r * (double) order * (double) order,
                    2.0 * r * (double) order * (double) order, r * (double) order, r);
    *plan = p;
    return FMAL_OK;
}
