/*
 * The Fisher information cut down to its diagonal: M, F and a sample's information are
 * D numbers each. With w_j = weight_k x_a at j = (k, a),
 *
 *     score = sum over j of F_j w_j / (M_j (M_j + sign w_j))
 *           = sum over j of (F_j / M_j^2) w_j / (1 + sign w_j / M_j).
 *
 * A step changes all of M, and so every score is computed from it anew: there is
 * nothing to update and nothing that loses digits. Every rank holds M and F whole.
 * Features that stay in their file are read in every pass.
 */
#include "cut_impl.h"
#include "fmal/mem.h"

#include <string.h>

struct fmal_diag {
    int padded;              /* d, in whole quads */
    double *f, *m;           /* [blocks, d] */
    double *inverse, *ratio; /* [blocks, padded]: 1 / M and F / M^2; 0 in padding */
    double *weight;          /* [groups, blocks, LANES], scaled */
    double *x;               /* [groups, padded, LANES]; of one group if they are */
    bool streams;            /* in their file */
};

/* ---- The diagonal of a set ---- */

static fmal_idx order_of(const fmal_selector *s)
{
    return (fmal_idx) s->cut->blocks * s->cut->d;
}

static fmal_status add_information(fmal_selector *s, double weight, double *flops)
{
    (void) flops; /* no matrix products */
    return fmal_factor_diagonal(s->problem.factor, s->take, weight, s->diag->m);
}

static fmal_status build_information(fmal_selector *s)
{
    for (fmal_idx j = 0; j < order_of(s); j++)
        s->diag->m[j] = s->options.lambda;
    return fmal_sum_information(s, add_information, NULL);
}

static double diag_trace(fmal_selector *s)
{
    double sum = 0;

    for (fmal_idx j = 0; j < order_of(s); j++)
        sum += s->diag->f[j] / s->diag->m[j];
    return sum;
}

static fmal_status diag_measure(fmal_selector *s, double *objective)
{
    fmal_phase_begin(s->phases, FMAL_PHASE_REFRESH);
    fmal_status st = build_information(s);
    if (st == FMAL_OK)
        *objective = diag_trace(s);
    fmal_phase_end(s->phases, 0, 0);
    return st;
}

/* ---- Samples ---- */

static void fill(fmal_selector *s)
{
    const fmal_cut *cut = s->cut;
    fmal_diag *own = s->diag;

    for (fmal_idx slot = 0; slot < fmal_panel_groups(cut->panel) * FMAL_LANES; slot++) {
        fmal_idx group = slot / FMAL_LANES, lane = slot % FMAL_LANES;
        double *weight = own->weight + group * cut->blocks * FMAL_LANES + lane;
        double *x =
            own->x + (own->streams ? 0 : group) * own->padded * FMAL_LANES + lane;

        if (!fmal_cut_load(s, slot))
            continue;
        for (int k = 0; k < cut->blocks; k++)
            weight[k * FMAL_LANES] = cut->one[k];
        for (int a = 0; a < cut->d && !own->streams; a++)
            x[(fmal_idx) a * FMAL_LANES] = cut->one[cut->blocks + a];
    }
}

/* x of a group: squared features, zeros in padding. */
static const double *group_x(fmal_selector *s, fmal_idx group)
{
    fmal_diag *own = s->diag;

    if (!own->streams)
        return own->x + group * own->padded * FMAL_LANES;
    for (int lane = 0; lane < FMAL_LANES; lane++) {
        const float *h = fmal_cut_features(s, group * FMAL_LANES + lane);

        for (int a = 0; a < s->cut->d; a++)
            own->x[a * FMAL_LANES + lane] = h ? (double) h[a] * (double) h[a] : 0;
    }
    return own->x;
}

static fmal_status diag_gather(fmal_selector *s)
{
    fmal_diag *own = s->diag;

    fmal_free(&own->weight);
    fmal_free(&own->x);
    FMAL_TRY(fmal_cut_gather(s));
    fmal_idx slots = fmal_panel_groups(s->cut->panel) * FMAL_LANES;
    fmal_status st = FMAL_ALLOC(&own->weight, slots * s->cut->blocks);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->x, (own->streams ? FMAL_LANES : slots) * own->padded);
    if (st == FMAL_OK)
        fill(s);
    return fmal_agree(s->problem.ctx, st);
}

static void score_samples(fmal_selector *s)
{
    const fmal_cut *cut = s->cut;
    fmal_diag *own = s->diag;

    for (int k = 0; k < cut->blocks; k++)
        for (int a = 0; a < cut->d; a++) {
            size_t from = (size_t) k * (size_t) cut->d + (size_t) a;
            size_t to = (size_t) k * (size_t) own->padded + (size_t) a;

            own->inverse[to] = 1 / own->m[from];
            own->ratio[to] = own->f[from] / own->m[from] / own->m[from];
        }
    for (fmal_idx g = 0; g < fmal_panel_groups(cut->panel); g++)
        cut->tile->diag(cut->blocks, own->padded, fmal_cut_sign(s),
                        own->weight + g * cut->blocks * FMAL_LANES, group_x(s, g),
                        own->inverse, own->ratio, cut->score + g * FMAL_LANES);
    fmal_cut_mark(s);
}

static fmal_status diag_refresh(fmal_selector *s)
{
    fmal_phase_begin(s->phases, FMAL_PHASE_REFRESH);
    fmal_status st = build_information(s);
    if (st == FMAL_OK) {
        score_samples(s);
        st = fmal_cut_status(s);
    }
    fmal_phase_end(s->phases, 0, 0);
    return st;
}

/* M changes alike on every rank. */
static fmal_status diag_update(fmal_selector *s, fmal_idx index_g)
{
    const fmal_cut *cut = s->cut;
    const double *weight = cut->one, *x = cut->one + cut->blocks;
    double sign = fmal_cut_sign(s), *m = s->diag->m;
    bool positive = true;

    fmal_phase_begin(s->phases, FMAL_PHASE_STEP);
    fmal_cut_fetch(s, index_g);
    for (int k = 0; k < cut->blocks; k++)
        for (int a = 0; a < cut->d; a++, m++) {
            *m += sign * (weight[k] * x[a]);
            positive = positive && *m > 0;
        }
    if (positive) {
        fmal_cut_drop(s, index_g);
        score_samples(s);
    }
    fmal_phase_end(s->phases, 0, 0);
    return positive ? FMAL_OK : fmal_cut_not_positive(index_g);
}

/* ---- Life ---- */

static fmal_status allocate(fmal_selector *s)
{
    fmal_diag *own = NULL;

    FMAL_TRY(FMAL_ALLOC(&own, 1));
    s->diag = own;
    own->streams = fmal_factor_streams(s->problem.factor);
    own->padded = (s->cut->d + FMAL_CUT_QUAD - 1) / FMAL_CUT_QUAD * FMAL_CUT_QUAD;
    fmal_idx padded = (fmal_idx) s->cut->blocks * own->padded;
    FMAL_TRY(FMAL_ALLOC(&own->f, order_of(s)));
    FMAL_TRY(FMAL_ALLOC(&own->m, order_of(s)));
    FMAL_TRY(FMAL_ALLOC(&own->inverse, padded));
    return FMAL_ALLOC(&own->ratio, padded);
}

static fmal_status diag_open(fmal_selector *s)
{
    FMAL_TRY(fmal_cut_open(s));
    FMAL_TRY(fmal_agree(s->problem.ctx, allocate(s)));
    fmal_phase_begin(s->phases, FMAL_PHASE_FISHER);
    memset(s->take, 1, (size_t) s->problem.part->count);
    fmal_status st = fmal_factor_diagonal(s->problem.factor, s->take,
                                          1 / (double) s->problem.part->n, s->diag->f);
    fmal_phase_end(s->phases, 0, 0);
    return st;
}

static void diag_close(fmal_selector *s)
{
    if (s->diag) {
        fmal_free(&s->diag->f);
        fmal_free(&s->diag->m);
        fmal_free(&s->diag->inverse);
        fmal_free(&s->diag->ratio);
        fmal_free(&s->diag->weight);
        fmal_free(&s->diag->x);
        fmal_free(&s->diag);
    }
    fmal_cut_close(s);
}

const fmal_engine fmal_engine_diag = {
    .name = "diag",
    .open = diag_open,
    .close = diag_close,
    .gather = diag_gather,
    .refresh = diag_refresh,
    .trace = diag_trace,
    .measure = diag_measure,
    .best = fmal_cut_best,
    .scores = fmal_cut_scores,
    .update = diag_update,
    .drop = fmal_cut_drop,
};
