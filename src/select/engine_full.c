/*
 * The Fisher information as it is: D x D matrices on a grid (inverse.c) and an r x r
 * pair of matrices for every sample that is scored.
 *
 * While samples are added, those pairs stream in single precision (scan.c) as long as
 * that decides as double precision would (single_decides); otherwise, and for removals,
 * they are held in double precision (cells.c).
 */
#include "select_impl.h"
#include "fmal/log.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- The matrix M of a set ---- */

static fmal_status add_information(fmal_selector *s, double weight, double *flops)
{
    return fmal_factor_gram(s->problem.factor, s->take, weight, s->full->sum_to, flops);
}

fmal_status fmal_full_information(fmal_selector *s, fmal_dmat *m, double *flops)
{
    s->full->sum_to = m;
    fmal_dmat_set_diagonal(m, s->options.lambda);
    return fmal_sum_information(s, add_information, flops);
}

/* n^3 for the inverse and 4 n^3 for A F A, shared by the ranks of the grid. */
static double refresh_flops(const fmal_inverse *inv)
{
    double n = (double) inv->order;

    return inv->grid.inside ? (1 + 4) * n * n * n / (inv->grid.rows * inv->grid.cols)
                            : 0;
}

/* End the scan; how much it did goes to the log. */
static void end_scan(fmal_selector *s)
{
    fmal_scan *scan = s->full->scan;

    if (scan)
        s->log.scored += scan->brought * FMAL_STREAM_LANES;
    fmal_scan_destroy(&s->full->scan);
}

static fmal_status full_measure(fmal_selector *s, double *objective)
{
    fmal_inverse *inv = s->full->inverse;
    double flops = refresh_flops(inv) / 5; /* the inverse alone */

    end_scan(s);
    fmal_phase_begin(s->phases, FMAL_PHASE_REFRESH);
    fmal_status st = fmal_full_information(s, s->full->inverse->a, &flops);
    if (st == FMAL_OK)
        st = fmal_dmat_invert(inv->a, inv->work);
    if (st == FMAL_OK)
        *objective = fmal_dmat_trace_product(inv->a, inv->f);
    fmal_phase_end(s->phases, flops, 0);
    return st;
}

static double full_trace(fmal_selector *s)
{
    return fmal_dmat_trace_product(s->full->inverse->a, s->full->inverse->f);
}

/* ---- Samples ---- */

/* Single precision holds while tr G is below this: its errors grow with it. */
static const double MOST_TRACE = 1e3;

/* Estimated relative error of scores in single precision: that of rounding r x r work,
   and what updates lose as the largest score falls (docs/algorithms.md). */
static double estimated_error(const fmal_selector *s, double doubt, double best)
{
    const fmal_scan *scan = s->full->scan;
    double fall = best > 0 ? s->state.refresh_score / best : 1;

    return doubt * 2.5e-7 * (4 + 0.25 * scan->r + scan->most) * (fall > 1 ? fall : 1);
}

static bool wants_single(const fmal_selector *s)
{
    return !s->options.double_precision && !s->options.top && !s->removing;
}

static fmal_status make_cells(fmal_selector *s)
{
    fmal_cells_destroy(&s->full->cells);
    fmal_status st = fmal_cells_create(s->problem.factor, s->full->samples, s->full->n,
                                       s->scale, &s->full->cells);
    return fmal_agree(s->problem.ctx, st);
}

static fmal_status make_scan(fmal_selector *s)
{
    fmal_scan_destroy(&s->full->scan);
    fmal_status st =
        fmal_scan_create(&s->problem, s->full->samples, s->full->n, s->scale,
                         s->options.lazy, s->options.slack, &s->full->scan);
    return fmal_agree(s->problem.ctx, st);
}

static fmal_status refresh_cells(fmal_selector *s, double *flops)
{
    const fmal_inverse *inv = s->full->inverse;

    if (!s->full->cells) {
        FMAL_TRY(make_cells(s));
        fmal_drop_chosen(s);
    }
    FMAL_TRY(fmal_cells_refresh(s->full->cells, inv->a, inv->e, flops));
    fmal_cells_score(s->full->cells, s->removing ? -1 : 1);
    return FMAL_OK;
}

static bool single_decides(const fmal_scan *scan)
{
    return !scan->bad && scan->most < MOST_TRACE;
}

/* Scores afresh, in the precision that they need now. */
static fmal_status refresh_samples(fmal_selector *s, double *flops)
{
    const fmal_inverse *inv = s->full->inverse;

    if (!wants_single(s))
        return refresh_cells(s, flops);
    if (!s->full->scan) {
        fmal_cells_destroy(&s->full->cells);
        FMAL_TRY(make_scan(s));
        fmal_drop_chosen(s);
    }
    s->full->last_gain = s->state.refresh_score;
    FMAL_TRY(fmal_scan_refresh(s->full->scan, inv->a, inv->e, flops));
    if (single_decides(s->full->scan))
        return FMAL_OK;
    fmal_log(FMAL_LOG_STAT, "precision", "double: tr_G=%.3g", s->full->scan->most);
    end_scan(s);
    return refresh_cells(s, flops);
}

static fmal_status full_refresh(fmal_selector *s)
{
    double flops = refresh_flops(s->full->inverse);

    fmal_phase_begin(s->phases, FMAL_PHASE_REFRESH);
    fmal_status st = fmal_full_information(s, s->full->inverse->a, &flops);
    if (st == FMAL_OK)
        st = fmal_inverse_refresh(s->full->inverse);
    if (st == FMAL_OK)
        st = refresh_samples(s, &flops);
    fmal_phase_end(s->phases, flops, 0);
    return st;
}

static fmal_status full_gather(fmal_selector *s)
{
    const fmal_part *part = s->problem.part;
    fmal_full *full = s->full;

    fmal_cells_destroy(&full->cells);
    end_scan(s);
    fmal_losses_destroy(&full->losses);
    full->n = 0;
    for (fmal_idx i = 0; i < part->count; i++)
        if (s->take[i])
            full->samples[full->n++] = i;
    return FMAL_OK;
}

static void full_drop(fmal_selector *s, fmal_idx index_g)
{
    if (s->full->scan)
        fmal_scan_drop(s->full->scan, index_g);
    else
        fmal_cells_drop(s->full->cells, index_g);
}

/* ---- Choosing ---- */

/* Samples whose scores in single precision may be the largest: more of them than this
   make a refresh worth its price. */
enum { MOST_NEAR = 32 };

/* Every sample of all ranks with a score of `bar` at least, to list [room]; returns how
   many there are, which may be more. Collective. */
static fmal_status collect_near(fmal_selector *s, double bar, fmal_idx *list, int room,
                                fmal_idx *found)
{
    const fmal_ctx *ctx = s->problem.ctx;
    fmal_idx mine[MOST_NEAR + 1], n = fmal_scan_near(s->full->scan, bar, mine, room);
    fmal_idx *all = NULL;
    size_t bytes = 0;

    *found = fmal_sum_one(ctx, n);
    if (*found > room)
        return FMAL_OK;
    FMAL_TRY(fmal_gather(ctx, mine, (size_t) n * sizeof *mine, &all, &bytes));
    if (ctx->rank == 0)
        memcpy(list, all, bytes);
    fmal_bcast(ctx, list, (size_t) *found * sizeof *list, 0);
    fmal_free(&all);
    return FMAL_OK;
}

/* By how much the best of those that may be added led, if there was another one. */
static void note_margin(fmal_selector *s, const fmal_lead *lead)
{
    double margin = (lead->first - lead->second) / fabs(lead->first);

    s->log.margin = margin < s->log.margin ? margin : s->log.margin;
}

/* The best of a few samples by their gains in double precision. Collective. */
static fmal_status choose_exactly(fmal_selector *s, const fmal_idx *list, fmal_idx n,
                                  fmal_best *best)
{
    double gain[MOST_NEAR];
    fmal_lead lead = FMAL_LEAD_NONE;

    for (fmal_idx i = 0; i < n; i++) {
        FMAL_TRY(fmal_inverse_prepare(s->full->inverse, s->problem.factor, list[i],
                                      s->scale, 1));
        gain[i] = s->full->inverse->gain;
        fmal_lead_add(&lead, gain[i], list[i]);
    }
    *best = (fmal_best){ 0, FMAL_IDX_NONE };
    for (fmal_idx i = 0; i < n; i++)
        if (gain[i] >= lead.first - FMAL_TIE * fabs(lead.first) &&
            (best->index_g == FMAL_IDX_NONE || list[i] < best->index_g))
            *best = (fmal_best){ gain[i], list[i] };
    note_margin(s, &lead);
    s->log.rescored += n;
    return FMAL_OK;
}

/* The best of cells that may be added. Collective; flag as of fmal_argbest. */
static fmal_status best_of_cells(fmal_selector *s, const fmal_cells *cells, int *flag,
                                 fmal_best *best)
{
    const fmal_idx *index = fmal_panel_index(cells->panel);
    fmal_idx slots = fmal_panel_groups(cells->panel) * FMAL_LANES;
    fmal_lead lead = FMAL_LEAD_NONE;

    FMAL_TRY(
        fmal_argbest(s->problem.ctx, cells->score, index, slots, false, flag, best));
    for (fmal_idx i = 0; i < slots; i++)
        if (!cells->out[i])
            fmal_lead_add(&lead, cells->score[i], index[i]);
    fmal_lead_of(s->problem.ctx, &lead);
    note_margin(s, &lead);
    return FMAL_OK;
}

/* Too many are near, though all is fresh: ties made on purpose, say. Score those that
   are near in double precision, where they are. Collective. */
static fmal_status choose_among_many(fmal_selector *s, double bar, fmal_best *best)
{
    const fmal_inverse *inv = s->full->inverse;
    fmal_cells *cells = NULL;
    fmal_idx *near = NULL, n = 0;
    fmal_status st = FMAL_ALLOC(&near, s->full->n);

    if (st == FMAL_OK) {
        n = fmal_scan_near_local(s->full->scan, bar, near);
        st = fmal_cells_create(s->problem.factor, near, n, s->scale, &cells);
    }
    if ((st = fmal_agree(s->problem.ctx, st)) == FMAL_OK)
        st = fmal_cells_refresh(cells, inv->a, inv->e, NULL);
    if (st == FMAL_OK) {
        fmal_cells_score(cells, 1);
        st = best_of_cells(s, cells, NULL, best);
        s->log.rescored += fmal_sum_one(s->problem.ctx, n);
    }
    fmal_cells_destroy(&cells);
    fmal_free(&near);
    return st;
}

/* The largest scores of all ranks, complete within twice the estimated error. */
static void find_lead(fmal_selector *s, int flag, double doubt, double *error,
                      fmal_lead *lead)
{
    double margin = 4 * estimated_error(s, doubt, s->full->last_gain) + FMAL_TIE;

    for (;;) {
        fmal_phase_begin(s->phases, FMAL_PHASE_STEP);
        double applied = s->full->scan->applied;
        fmal_scan_lead(s->full->scan, margin, flag, lead);
        fmal_phase_end(
            s->phases,
            fmal_scan_flops(s->full->scan) * (s->full->scan->applied - applied), 0);
        fmal_lead_of(s->problem.ctx, lead);
        *error = estimated_error(s, doubt, lead->first);
        if (2 * *error + FMAL_TIE <= margin || !s->options.lazy)
            return;
        margin = 4 * *error + FMAL_TIE;
    }
}

/* The best sample by scores in single precision, whose estimated error is multiplied by
   `doubt`, or *refresh_first. */
static fmal_status choose_single(fmal_selector *s, int *flag, bool fresh, double doubt,
                                 double *error, fmal_best *best, bool *refresh_first)
{
    fmal_lead lead;
    fmal_idx near[MOST_NEAR], found = 1;

    find_lead(s, flag ? *flag : 0, doubt, error, &lead);
    if (flag)
        *flag |= (int) (lead.flags & (FMAL_SCAN_BAD - 1));
    *best = (fmal_best){ lead.first, lead.index_g };
    *refresh_first = lead.flags & FMAL_SCAN_BAD; /* to double precision, if it must */
    if (*refresh_first || lead.index_g == FMAL_IDX_NONE)
        return FMAL_OK;

    double bar = lead.first - (2 * *error + FMAL_TIE) * fabs(lead.first);
    near[0] = lead.index_g;
    if (lead.second < bar) {
        note_margin(s, &lead);
        return FMAL_OK;
    }
    FMAL_TRY(collect_near(s, bar, near, MOST_NEAR, &found));
    *refresh_first = found > MOST_NEAR && !fresh;
    if (*refresh_first)
        return FMAL_OK;
    if (found > MOST_NEAR)
        return choose_among_many(s, bar, best);
    return choose_exactly(s, near, found, best);
}

/* Single precision until its error, measured by the gain in double precision of what it
   chose, is as small as was assumed. What one decision learns of it is forgotten at the
   next, so that a resumed selection decides alike. */
static fmal_status best_single(fmal_selector *s, int *flag, bool fresh, fmal_best *best,
                               bool *refresh_first)
{
    fmal_inverse *inv = s->full->inverse;
    double doubt = 1;

    for (;;) {
        double error;

        FMAL_TRY(choose_single(s, flag, fresh, doubt, &error, best, refresh_first));
        if (*refresh_first || best->index_g == FMAL_IDX_NONE)
            return FMAL_OK;
        FMAL_TRY(
            fmal_inverse_prepare(inv, s->problem.factor, best->index_g, s->scale, 1));
        double off = inv->gain > 0 ? fabs(best->score - inv->gain) / inv->gain : 0;
        best->score = inv->gain;
        if (off > s->log.error)
            s->log.error = off;
        if (!(off > error))
            return FMAL_OK;
        doubt *= 2 * off / error;
        fmal_log(FMAL_LOG_DEBUG, "precision", "error=%.2g expected=%.2g", off, error);
    }
}

static fmal_status full_best(fmal_selector *s, int *flag, bool fresh, fmal_best *best,
                             bool *refresh_first)
{
    *refresh_first = false;
    if (s->full->scan)
        return best_single(s, flag, fresh, best, refresh_first);
    if (s->removing)
        return fmal_least_loss(s, flag, best);
    return best_of_cells(s, s->full->cells, flag, best);
}

static fmal_idx full_scores(fmal_selector *s, double *score, fmal_idx *index_g)
{
    const fmal_cells *cells = s->full->cells;
    const fmal_idx *index = fmal_panel_index(cells->panel);
    fmal_idx n = 0;

    for (fmal_idx i = 0; i < fmal_panel_groups(cells->panel) * FMAL_LANES; i++)
        if (!cells->out[i]) {
            score[n] = cells->score[i];
            index_g[n++] = index[i];
        }
    return n;
}

/* ---- Steps ---- */

static fmal_status full_update(fmal_selector *s, fmal_idx index_g)
{
    fmal_inverse *inv = s->full->inverse;
    double sign = s->removing ? -1 : 1, before = fmal_inverse_step_flops(inv);

    fmal_phase_begin(s->phases, FMAL_PHASE_UPDATE);
    fmal_status st = s->removing ? fmal_prepare_removal(s, index_g)
                                 : fmal_inverse_prepare(inv, s->problem.factor, index_g,
                                                        s->scale, sign);
    if (st == FMAL_OK)
        fmal_inverse_commit(inv);
    fmal_phase_end(s->phases, fmal_inverse_step_flops(inv) - before, 0);
    FMAL_TRY(st);

    fmal_phase_begin(s->phases, FMAL_PHASE_STEP);
    if (s->full->scan) {
        fmal_scan_drop(s->full->scan, index_g);
        st = fmal_scan_push(s->full->scan, inv->wz, inv->beta, inv->ceiling);
        s->full->last_gain = inv->gain;
    } else {
        fmal_cells_update(s->full->cells, sign, inv->wz);
        fmal_cells_drop(s->full->cells, index_g);
        fmal_cells_score(s->full->cells, sign);
    }
    fmal_phase_end(s->phases, 0, 0);
    return s->options.lazy ? fmal_agree(s->problem.ctx, st) : st;
}

/* ---- Life ---- */

static fmal_status full_open(fmal_selector *s)
{
    double flops = 0;
    fmal_status st = FMAL_ALLOC(&s->full, 1);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&s->full->samples, s->problem.part->count);
    FMAL_TRY(fmal_agree(s->problem.ctx, st));
    FMAL_TRY(fmal_inverse_create(&s->problem, &s->options, &s->full->inverse));
    fmal_phase_begin(s->phases, FMAL_PHASE_FISHER);
    memset(s->take, 1, (size_t) s->problem.part->count);
    st = fmal_factor_gram(s->problem.factor, s->take, 1 / (double) s->problem.part->n,
                          s->full->inverse->f, &flops);
    fmal_phase_end(s->phases, flops, 0);
    return st;
}

static void full_close(fmal_selector *s)
{
    if (!s->full)
        return;
    fmal_cells_destroy(&s->full->cells);
    fmal_scan_destroy(&s->full->scan);
    fmal_losses_destroy(&s->full->losses);
    fmal_inverse_destroy(&s->full->inverse);
    fmal_free(&s->full->samples);
    fmal_free(&s->full);
}

const fmal_engine fmal_engine_full = {
    .name = "full",
    .open = full_open,
    .close = full_close,
    .gather = full_gather,
    .refresh = full_refresh,
    .trace = full_trace,
    .measure = full_measure,
    .best = full_best,
    .scores = full_scores,
    .update = full_update,
    .drop = full_drop,
};
