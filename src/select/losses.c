/*
 * Which sample to remove, where losses have few digits.
 *
 * A loss tr((I - G)^-1 B) is wrong by about 1e-16 kappa / pivot, relative, kappa =
 * tr M / lambda and pivot the smallest of I - G: rounding of A over what is left of I -
 * G. Of 8,000 losses of random pools, all were within 0.6 of that with kappa up to 1e8,
 * and all but one within 3 of it above. The pivot is at least 1 / (1 + kappa), so that
 * there is nothing to do while kappa is below 1e4. Above, samples whose loss is that
 * uncertain and may be the least are looked at one by one: removal is prepared with
 * refinement (refine.c), which gives the loss with the digits that M has.
 */
#include "select_impl.h"
#include "fmal/mem.h"

#include <math.h>

/* Losses are refined if their error may be larger than this. */
static const double MOST_ERROR = 1e-7;

struct fmal_losses {
    fmal_idx slots;
    double *value;  /* [slots]: the loss as far as it is certain, else INFINITY */
    double *low;    /* [slots]: a bound from below for the others, else INFINITY */
    double *square; /* [r, r], work */
};

static double error_of(const fmal_inverse *inv, double pivot)
{
    return pivot > 0 ? 4e-16 * inv->condition / pivot : INFINITY;
}

fmal_status fmal_prepare_removal(fmal_selector *s, fmal_idx index_g)
{
    fmal_inverse *inv = s->full->inverse;
    fmal_status st =
        fmal_inverse_prepare(inv, s->problem.factor, index_g, s->scale, -1);

    if (error_of(inv, inv->pivot) <= MOST_ERROR ||
        (st != FMAL_OK && st != FMAL_ERR_NUMERIC))
        return st;
    if (inv->refined) /* and prepared already */
        return st;
    if (!inv->has_m)
        FMAL_TRY(fmal_full_information(s, inv->work, NULL));
    inv->has_m = true;
    return fmal_inverse_refine(inv, s->problem.factor, index_g, s->scale);
}

void fmal_losses_destroy(fmal_losses **l)
{
    if (!*l)
        return;
    fmal_free(&(*l)->value);
    fmal_free(&(*l)->low);
    fmal_free(&(*l)->square);
    fmal_free(l);
}

static fmal_status losses_create(const fmal_cells *cells, fmal_losses **out)
{
    fmal_losses *l = NULL;

    FMAL_TRY(FMAL_ALLOC(&l, 1));
    l->slots = fmal_panel_groups(cells->panel) * FMAL_LANES;
    fmal_status st = FMAL_ALLOC(&l->value, l->slots);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&l->low, l->slots);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&l->square, (fmal_idx) cells->r * cells->r);
    if (st != FMAL_OK)
        fmal_losses_destroy(&l);
    else
        *out = l;
    return st;
}

/* The smallest pivot of I - G of a slot; 0 if not positive. */
static double pivot_of(const fmal_cells *cells, fmal_idx slot, double *square)
{
    int r = cells->r;
    fmal_idx triangle = (fmal_idx) r * (r + 1) / 2 * FMAL_LANES;
    const double *g = cells->g + slot / FMAL_LANES * triangle + slot % FMAL_LANES;

    for (int i = 0; i < r; i++)
        for (int j = 0; j <= i; j++, g += FMAL_LANES)
            square[i * r + j] = (i == j) - *g;
    return fmal_cholesky(r, square) ? fmal_smallest_pivot(r, square) : 0;
}

/* Every slot's loss if it is certain, or a bound. */
static void sort_out(const fmal_selector *s, fmal_losses *l)
{
    const fmal_cells *cells = s->full->cells;

    for (fmal_idx i = 0; i < l->slots; i++) {
        double score = cells->score[i];

        l->value[i] = l->low[i] = INFINITY;
        if (cells->out[i])
            continue;
        double error = error_of(s->full->inverse, pivot_of(cells, i, l->square));
        if (error <= MOST_ERROR) {
            l->value[i] = score;
            continue;
        }
        l->low[i] = error < 0.1 ? score * (1 - error) : 0;
    }
}

static double smallest(const fmal_ctx *ctx, const double *x, fmal_idx n)
{
    double most = -INFINITY;

    for (fmal_idx i = 0; i < n; i++)
        most = fmax(most, -x[i]);
    fmal_max_f64(ctx, &most, 1);
    return -most;
}

/* From now on this is its loss, on the rank that has it. */
static void settle(const fmal_selector *s, fmal_losses *l, fmal_idx index_g,
                   double loss)
{
    const fmal_idx *index = fmal_panel_index(s->full->cells->panel);

    for (fmal_idx i = 0; i < l->slots; i++)
        if (index[i] == index_g) {
            l->value[i] = loss;
            l->low[i] = INFINITY;
        }
}

/* Refine, the likeliest first, until no other can be the least. */
static fmal_status settle_contenders(fmal_selector *s, fmal_losses *l)
{
    const fmal_ctx *ctx = s->problem.ctx;
    const fmal_idx *index = fmal_panel_index(s->full->cells->panel);

    for (;;) {
        double bar = smallest(ctx, l->value, l->slots);
        fmal_best next;

        FMAL_TRY(fmal_argbest(ctx, l->low, index, l->slots, true, NULL, &next));
        if (next.index_g == FMAL_IDX_NONE || next.score > bar + FMAL_TIE * fabs(bar))
            return FMAL_OK;
        FMAL_TRY(fmal_prepare_removal(s, next.index_g));
        settle(s, l, next.index_g, s->full->inverse->gain);
        s->log.rescored++;
    }
}

fmal_status fmal_least_loss(fmal_selector *s, int *flag, fmal_best *best)
{
    const fmal_ctx *ctx = s->problem.ctx;
    const fmal_cells *cells = s->full->cells;
    const fmal_inverse *inv = s->full->inverse;
    const fmal_idx *index = fmal_panel_index(cells->panel);
    fmal_idx slots = fmal_panel_groups(cells->panel) * FMAL_LANES;

    if (error_of(inv, 1 / (1 + inv->condition)) <= MOST_ERROR)
        return fmal_argbest(ctx, cells->score, index, slots, true, flag, best);
    if (!s->full->losses)
        FMAL_TRY(fmal_agree(ctx, losses_create(cells, &s->full->losses)));
    sort_out(s, s->full->losses);
    FMAL_TRY(settle_contenders(s, s->full->losses));
    return fmal_argbest(ctx, s->full->losses->value, index, slots, true, flag, best);
}
