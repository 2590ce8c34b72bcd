#include "fmal/par.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static fmal_status nan_score(fmal_idx index_g)
{
    return FMAL_FAIL(FMAL_ERR_NUMERIC,
                     "the score of sample %" PRId64
                     " is not a finite number; its features or logits are too large",
                     index_g);
}

/* The larger end of this rank's scores. */
static fmal_status local_max(const double *score, const fmal_idx *index_g, fmal_idx n,
                             double sign, double *max)
{
    *max = -INFINITY;
    for (fmal_idx i = 0; i < n; i++) {
        /* An infinity of the wrong sign marks nothing: it has overflowed. */
        if (isnan(score[i]) || sign * score[i] == INFINITY)
            return nan_score(index_g[i]);
        if (sign * score[i] > *max)
            *max = sign * score[i];
    }
    return FMAL_OK;
}

fmal_status fmal_argbest(const fmal_ctx *ctx, const double *score,
                         const fmal_idx *index_g, fmal_idx n, bool smallest, int *flag,
                         fmal_best *best)
{
    double sign = smallest ? -1 : 1, max;
    fmal_status st = local_max(score, index_g, n, sign, &max);

    /* A failed rank still takes part: its status rides along, as do the bits of flag.
     */
    double all[2 + FMAL_FLAG_BITS] = { max, st != FMAL_OK };
    for (int bit = 0; bit < FMAL_FLAG_BITS; bit++)
        all[2 + bit] = flag && (*flag >> bit & 1);
    fmal_max_f64(ctx, all, 2 + FMAL_FLAG_BITS);
    if (all[1] != 0)
        return fmal_agree(ctx, st);
    for (int bit = 0; flag && bit < FMAL_FLAG_BITS; bit++)
        *flag |= (all[2 + bit] != 0) << bit;

    double bar = all[0] - FMAL_TIE * fabs(all[0]);
    struct {
        double index; /* exact: indices stay below 2^53 */
        int rank;
    } mine = { INFINITY, ctx->rank }, won;
    fmal_idx at = 0;
    while (at < n && !(sign * score[at] >= bar && isfinite(score[at])))
        at++;
    if (at < n)
        mine.index = (double) index_g[at];
    FMAL_MPI(MPI_Allreduce(&mine, &won, 1, MPI_DOUBLE_INT, MPI_MINLOC, ctx->comm));
    if (isinf(won.index)) {
        *best = (fmal_best){ 0, FMAL_IDX_NONE };
        return FMAL_OK;
    }
    best->index_g = (fmal_idx) won.index;
    best->score = at < n ? score[at] : 0;
    FMAL_MPI(MPI_Bcast(&best->score, 1, MPI_DOUBLE, won.rank, ctx->comm));
    return FMAL_OK;
}

static int by_score_then_index(const void *a, const void *b)
{
    const fmal_best *x = a, *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->index_g > y->index_g) - (x->index_g < y->index_g);
}

fmal_status fmal_topk(const fmal_ctx *ctx, const double *score, const fmal_idx *index_g,
                      fmal_idx n, fmal_idx k, fmal_best *best, fmal_idx *found)
{
    fmal_best *mine = NULL, *all = NULL;
    size_t bytes = 0;
    fmal_status st = FMAL_ALLOC(&mine, n);

    for (fmal_idx i = 0; i < n && st == FMAL_OK; i++) {
        mine[i] = (fmal_best){ score[i], index_g[i] };
        if (isnan(score[i]))
            st = nan_score(index_g[i]);
    }
    if ((st = fmal_agree(ctx, st)) != FMAL_OK)
        goto done;
    qsort(mine, (size_t) n, sizeof *mine, by_score_then_index);

    st = fmal_gather(ctx, mine, (size_t) (n < k ? n : k) * sizeof *mine, &all, &bytes);
    if (st != FMAL_OK)
        goto done;
    fmal_idx count = (fmal_idx) (bytes / sizeof *all);
    if (ctx->rank == 0)
        qsort(all, (size_t) count, sizeof *all, by_score_then_index);
    if (count > k)
        count = k;
    FMAL_MPI(MPI_Bcast(&count, 1, MPI_INT64_T, 0, ctx->comm));
    if (ctx->rank == 0 && count > 0)
        memcpy(best, all, (size_t) count * sizeof *all);
    fmal_bcast(ctx, best, (size_t) count * sizeof *best, 0);
    *found = count;
done:
    fmal_free(&mine);
    fmal_free(&all);
    return st;
}

fmal_spread fmal_spread_of(const fmal_ctx *ctx, double x)
{
    double ends[2] = { -x, x }, sum = x;

    fmal_max_f64(ctx, ends, 2);
    fmal_sum_f64(ctx, &sum, 1);
    return (fmal_spread){ -ends[0], sum / ctx->size, ends[1] };
}
