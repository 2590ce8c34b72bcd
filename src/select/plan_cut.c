/* What the approximations take. */
#include "cut_impl.h"

static double least(double a, double b)
{
    return a < b ? a : b;
}

fmal_status fmal_plan_check_fisher(fmal_fisher fisher, const fmal_factor *f)
{
    if (fmal_factor_can_cut(f, fisher))
        return FMAL_OK;
    if (!fmal_factor_can_cut(f, FMAL_FISHER_DIAG))
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "--fisher block, diag: information in a mask is kept whole; "
                         "take full");
    return FMAL_FAIL(FMAL_ERR_ARG,
                     "--fisher block: factors given as /embeddings have no class "
                     "blocks; take full or diag");
}

static const double REFRESHES = 5; /* expected in a search */

static void plan_block(double d, double share, int ranks, bool streamed,
                       fmal_select_plan *p)
{
    double c = p->blocks, m = FMAL_BLOCK, pairs = d * (d + 1) / 2;
    double own = (p->blocks + ranks - 1) / ranks;
    double candidates = least(share, (double) p->candidates);
    double sums = least(64 << 20, 8 * c * pairs);
    double slab = sums + (ranks > 1 ? least(8 * FMAL_SUM_ROOM, sums / ranks) : 0);
    double steps = (double) p->forward, all = steps + (double) p->backward;

    p->bytes_matrices =
        8 * (own * (3 * d * d + FMAL_BLOCK_WAITING * 2 * d) + d * d + 2 * c * d +
             2 * pairs * fmal_block_chunk(p->blocks, (int) d));
    p->bytes_candidates =
        candidates *
            ((streamed ? 0 : 4 * d) + 3 * 8 * c + 8 + 1 + 2 * sizeof(fmal_idx)) +
        8 * m * (2 * d + 4 * c + 2 * 512) + 8 * c * (512 + 2 * d) + slab;
    p->flops = share * (2 * c * pairs + REFRESHES * 4 * c * pairs + steps * 4 * c * d) +
               own * ((REFRESHES + 2) * 5 * d * d * d +
                      all * (4 + 3) * d * (d + FMAL_BLOCK_WAITING));
}

/* A term of a score takes as long as this many flops of a matrix product. */
static const double TERM_FLOPS = 12;

static void plan_diag(double d, double share, bool streamed, fmal_select_plan *p)
{
    double c = p->blocks, candidates = least(share, (double) p->candidates);

    p->bytes_matrices = 8 * 8 * c * (d + FMAL_CUT_QUAD);
    p->bytes_candidates = candidates * ((streamed ? 0 : 8 * (d + FMAL_CUT_QUAD)) +
                                        8 * c + 8 + 1 + 2 * sizeof(fmal_idx));
    p->flops = share * TERM_FLOPS * c * d * ((double) p->forward + REFRESHES);
}

void fmal_plan_cut(int d, double share, int ranks, bool streamed,
                   fmal_select_plan *plan)
{
    if (plan->fisher == FMAL_FISHER_BLOCK)
        plan_block(d, share, ranks, streamed, plan);
    else
        plan_diag(d, share, streamed, plan);
    plan->bytes = plan->bytes_pool + plan->bytes_matrices + plan->bytes_candidates;
}
