#include "select_impl.h"

#include <inttypes.h>
#include <math.h>

int fmal_pending_steps(int r)
{
    int steps = 192 / r; /* columns enough for a fast product, few enough for memory */

    if (steps < 1)
        return 1;
    return steps > 16 ? 16 : steps;
}

static fmal_idx forward_steps(const fmal_select_options *o, fmal_idx candidates)
{
    double wanted = ceil(o->oversample * (double) o->batch - 1e-9);

    return wanted < (double) candidates ? (fmal_idx) wanted : candidates;
}

/* Bytes of the D x D matrices, their pending terms, and the step's columns. */
static double matrix_bytes(const fmal_select_plan *p)
{
    double r = p->rank, order = (double) p->order,
           pending = fmal_pending_steps(p->rank);
    double four = 4 * fmal_dmat_bytes(p->order, p->grid_rows, p->grid_cols);

    return four + 8 * order * r * (3 + 6 * pending) + 8 * 5 * r * pending * r * pending;
}

/* Bytes of what each candidate carries, and of the buffers of a block. */
static double candidate_bytes(const fmal_select_plan *p, double candidates, int d)
{
    double r = p->rank, m = FMAL_BLOCK;
    double each = 8 * r * (r + 1) + 8 + 1 + 2 * sizeof(fmal_idx) + 16 * r;

    return candidates * each +
           8 * (2 * m * r * r + 2 * d * m + 2 * r * (r * d + r * m) + r * d * d);
}

fmal_status fmal_select_plan_make(const fmal_select_options *o, fmal_idx n,
                                  fmal_idx labelled, fmal_idx excluded, int d, int c,
                                  int ranks, fmal_select_plan *plan)
{
    fmal_select_plan p = { .n = n,
                           .candidates = n - labelled - excluded,
                           .labelled = labelled,
                           .order = (fmal_idx) d * c,
                           .rank = c - 1,
                           .grid_rows = o->grid_rows,
                           .grid_cols = o->grid_cols };

    if (o->batch < 1 || o->batch > p.candidates)
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "--batch %" PRId64 ": the pool has %" PRId64
                         " candidates (%" PRId64 " samples, %" PRId64
                         " labelled, %" PRId64 " excluded)",
                         o->batch, p.candidates, n, labelled, excluded);
    if (p.grid_rows == 0)
        fmal_grid_choose(p.order, ranks, &p.grid_rows, &p.grid_cols);
    if (p.grid_rows * p.grid_cols > ranks)
        return FMAL_FAIL(FMAL_ERR_ARG, "--grid %dx%d needs %d ranks; there are %d",
                         p.grid_rows, p.grid_cols, p.grid_rows * p.grid_cols, ranks);
    p.forward = forward_steps(o, p.candidates);
    p.backward = p.forward - o->batch;

    fmal_idx blocks = (n + FMAL_BLOCK - 1) / FMAL_BLOCK;
    double share = (double) ((blocks + ranks - 1) / ranks) * FMAL_BLOCK;
    if (share > (double) n)
        share = (double) n;
    p.bytes_pool = share * (4.0 * d + 12.0 * c + 2);
    p.bytes_matrices = matrix_bytes(&p);
    p.bytes_candidates = candidate_bytes(
        &p, share < (double) p.candidates ? share : (double) p.candidates, d);
    p.bytes = p.bytes_pool + p.bytes_matrices + p.bytes_candidates;
    *plan = p;
    return FMAL_OK;
}
