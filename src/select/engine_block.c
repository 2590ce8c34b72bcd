/*
 * The Fisher information cut down to its class blocks on the diagonal, d x d each, as
 * in the rounding step of Approx-FIRAL (docs/references.bib: chen2024approxfiral): c
 * small matrices (block_inverse.c) in place of one of order c d.
 *
 * A sample's block k is w_k h h^T, of rank one. With G_k = h^T A_k h, B_k = h^T E_k h,
 *
 *     score = sum over k of w_k B_k / (1 + sign w_k G_k),
 *
 * and a step changes them by P_k = h^T W_k and Q_k = h^T Z_k: one product of the
 * features with 2 c columns for all samples, block of samples by block. Everything is
 * in double precision. Features that stay in their file are read in every pass.
 */
#include "cut_impl.h"
#include "fmal/mem.h"

#include <string.h>

struct fmal_block {
    fmal_block_inverse *inverse;
    float *x;       /* by blocks of m slots: [d, m], features; NULL: in their file */
    double *w;      /* by blocks: [c, m], scaled weights */
    double *g, *b;  /* the same */
    double *xd;     /* [d, m], the block at hand */
    double *y;      /* [2 c, m] */
    double *work;   /* of fmal_forms */
    int chunk;      /* classes at a time in a refresh */
    double *coeffs; /* [chunk, 2, d (d + 1) / 2] */
};

/* Bytes of coefficients at a time, where one class does not take more. */
static const double COEFFICIENT_BYTES = 64 << 20;

int fmal_block_chunk(int c, int d)
{
    double fit = COEFFICIENT_BYTES / (8.0 * d * (d + 1));

    return fit < 1 ? 1 : fit < c ? (int) fit : c;
}

/* ---- The matrices of a set ---- */

/* M += the blocks of s->take. */
static fmal_status add_information(fmal_selector *s, double weight, double *flops)
{
    fmal_block_inverse *inv = s->block->inverse;

    return fmal_factor_gram_blocks(s->problem.factor, s->take, weight, &inv->classes,
                                   inv->stride, inv->a, flops);
}

static fmal_status build_information(fmal_selector *s, double *flops)
{
    fmal_block_inverse *inv = s->block->inverse;

    memset(inv->a, 0, sizeof(double) * inv->stride * (size_t) inv->classes.count);
    for (fmal_idx k = 0; k < inv->classes.count; k++)
        for (int i = 0; i < inv->d; i++)
            inv->a[(size_t) k * inv->stride + (size_t) i * (size_t) (inv->d + 1)] =
                s->options.lambda;
    return fmal_sum_information(s, add_information, flops);
}

static fmal_status rebuild(fmal_selector *s, bool only_a, double *flops)
{
    fmal_block_inverse *inv = s->block->inverse;
    double before = inv->flops;

    FMAL_TRY(build_information(s, flops));
    fmal_status st = fmal_block_inverse_refresh(inv, only_a);
    *flops += inv->flops - before;
    return st;
}

static fmal_status block_measure(fmal_selector *s, double *objective)
{
    double flops = 0;

    fmal_phase_begin(s->phases, FMAL_PHASE_REFRESH);
    fmal_status st = rebuild(s, true, &flops);
    if (st == FMAL_OK)
        *objective = fmal_block_inverse_trace(s->block->inverse);
    fmal_phase_end(s->phases, flops, 0);
    return st;
}

static double block_trace(fmal_selector *s)
{
    return fmal_block_inverse_trace(s->block->inverse);
}

/* ---- Samples ---- */

/* Slots of a block of samples, and those before it. */
static int block_slots(const fmal_cut *cut, fmal_idx b, size_t *before)
{
    fmal_idx first = fmal_panel_first_group(cut->panel, b);

    *before = (size_t) first * FMAL_LANES;
    return (int) (fmal_panel_first_group(cut->panel, b + 1) - first) * FMAL_LANES;
}

/* Features and weights of all slots; padding stays zero. */
static void fill(fmal_selector *s)
{
    const fmal_cut *cut = s->cut;
    fmal_block *own = s->block;

    for (fmal_idx b = 0; b < fmal_panel_blocks(cut->panel); b++) {
        size_t before, m = (size_t) block_slots(cut, b, &before);
        float *x = own->x ? own->x + before * (size_t) cut->d : NULL;
        double *w = own->w + before * (size_t) cut->blocks;

        for (size_t i = 0; i < m; i++) {
            if (!fmal_cut_load(s, (fmal_idx) (before + i)))
                continue;
            for (size_t k = 0; k < (size_t) cut->blocks; k++)
                w[k * m + i] = cut->one[k];
            for (size_t a = 0; x && a < (size_t) cut->d; a++)
                x[a * m + i] = (float) cut->one[(size_t) cut->blocks + a];
        }
    }
}

static void clear_samples(fmal_block *own)
{
    fmal_free(&own->x);
    fmal_free(&own->w);
    fmal_free(&own->g);
    fmal_free(&own->b);
}

static fmal_status block_gather(fmal_selector *s)
{
    fmal_block *own = s->block;

    clear_samples(own);
    FMAL_TRY(fmal_cut_gather(s));
    fmal_idx slots = fmal_panel_groups(s->cut->panel) * FMAL_LANES;
    fmal_idx c = s->cut->blocks;
    fmal_status st = FMAL_ALLOC(&own->w, slots * c);
    if (st == FMAL_OK && !fmal_factor_streams(s->problem.factor))
        st = FMAL_ALLOC(&own->x, slots * s->cut->d);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->g, slots * c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->b, slots * c);
    if (st == FMAL_OK)
        fill(s);
    return fmal_agree(s->problem.ctx, st);
}

/* to [d, m] = features of m slots, from their file; zeros in padding. */
static void read_features(fmal_selector *s, size_t before, int m, double *to)
{
    for (int i = 0; i < m; i++) {
        const float *h = fmal_cut_features(s, (fmal_idx) before + i);

        for (int a = 0; a < s->cut->d; a++)
            to[(size_t) a * (size_t) m + (size_t) i] = h ? h[a] : 0;
    }
}

/* own->xd = features of a block of m slots. */
static void widen(fmal_selector *s, size_t before, int m)
{
    size_t d = (size_t) s->cut->d;
    const float *x = s->block->x;

    if (!x)
        read_features(s, before, m, s->block->xd);
    for (size_t i = 0; x && i < d * (size_t) m; i++)
        s->block->xd[i] = x[before * d + i];
}

/* G and B of one block of samples for classes [first, first + count). */
static void block_forms(fmal_selector *s, fmal_idx b, int first, int count)
{
    const fmal_cut *cut = s->cut;
    fmal_block *own = s->block;
    size_t before;
    int m = block_slots(cut, b, &before);
    size_t at = before * (size_t) cut->blocks + (size_t) first * (size_t) m;
    size_t row = (size_t) m * sizeof(double);

    widen(s, before, m);
    fmal_forms(own->xd, cut->d, m, own->coeffs, 2 * count, own->work, own->y);
    for (size_t k = 0; k < (size_t) count; k++) {
        memcpy(own->g + at + k * (size_t) m, own->y + 2 * k * (size_t) m, row);
        memcpy(own->b + at + k * (size_t) m, own->y + (2 * k + 1) * (size_t) m, row);
    }
}

/* Scores of one block of samples, after a step if y is not NULL. */
static void score_block(fmal_selector *s, fmal_idx b, const double *y)
{
    const fmal_cut *cut = s->cut;
    fmal_block *own = s->block;
    size_t before;
    int m = block_slots(cut, b, &before);
    size_t at = before * (size_t) cut->blocks;

    cut->tile->block(m, cut->blocks, fmal_cut_sign(s), y, own->w + at, own->g + at,
                     own->b + at, cut->score + before);
}

/* G, B and scores afresh, from A and E. Collective. */
static void refresh_samples(fmal_selector *s, double *flops)
{
    const fmal_cut *cut = s->cut;
    fmal_idx blocks = fmal_panel_blocks(cut->panel);

    for (int first = 0; first < cut->blocks; first += s->block->chunk) {
        int left = cut->blocks - first,
            count = left < s->block->chunk ? left : s->block->chunk;

        fmal_block_inverse_coefficients(s->block->inverse, first, count,
                                        s->block->coeffs);
        for (fmal_idx b = 0; b < blocks; b++)
            block_forms(s, b, first, count);
    }
    for (fmal_idx b = 0; b < blocks; b++)
        score_block(s, b, NULL);
    fmal_cut_mark(s);
    *flops += 2.0 * cut->blocks * cut->d * (cut->d + 1) *
              (double) (fmal_panel_groups(cut->panel) * FMAL_LANES);
}

static fmal_status block_refresh(fmal_selector *s)
{
    double flops = 0;

    fmal_phase_begin(s->phases, FMAL_PHASE_REFRESH);
    fmal_status st = rebuild(s, false, &flops);
    if (st == FMAL_OK) {
        refresh_samples(s, &flops);
        st = fmal_cut_status(s);
    }
    fmal_phase_end(s->phases, flops, 0);
    return st;
}

/* ---- Steps ---- */

/* P and Q of every sample, then G, B and scores. */
static void update_samples(fmal_selector *s)
{
    const fmal_cut *cut = s->cut;
    fmal_block *own = s->block;
    int c = cut->blocks, d = cut->d;

    for (fmal_idx b = 0; b < fmal_panel_blocks(cut->panel); b++) {
        size_t before;
        int m = block_slots(cut, b, &before);

        widen(s, before, m);
        fmal_gemm(false, false, 2 * c, m, d, 1, own->inverse->wz, d, own->xd, m, 0,
                  own->y, m);
        score_block(s, b, own->y);
    }
    fmal_cut_mark(s);
}

static fmal_status block_update(fmal_selector *s, fmal_idx index_g)
{
    const fmal_cut *cut = s->cut;
    fmal_block_inverse *inv = s->block->inverse;
    double before = inv->flops;

    fmal_phase_begin(s->phases, FMAL_PHASE_UPDATE);
    fmal_cut_fetch(s, index_g);
    fmal_status st = fmal_block_inverse_step(inv, cut->one, cut->one + cut->blocks,
                                             fmal_cut_sign(s));
    fmal_phase_end(s->phases, inv->flops - before, 0);
    if (st != FMAL_OK)
        return fmal_cut_not_positive(index_g);

    fmal_phase_begin(s->phases, FMAL_PHASE_STEP);
    fmal_cut_drop(s, index_g);
    update_samples(s);
    fmal_phase_end(s->phases,
                   4.0 * cut->blocks * cut->d *
                       (double) (fmal_panel_groups(cut->panel) * FMAL_LANES),
                   0);
    return FMAL_OK;
}

/* ---- Life ---- */

static fmal_status allocate(fmal_selector *s)
{
    fmal_idx c = s->cut->blocks, d = s->cut->d, block = s->problem.part->block;
    fmal_idx m = (block + FMAL_LANES - 1) / FMAL_LANES * FMAL_LANES;
    fmal_block *own = NULL;

    FMAL_TRY(FMAL_ALLOC(&own, 1));
    s->block = own;
    own->chunk = fmal_block_chunk((int) c, (int) d);
    FMAL_TRY(FMAL_ALLOC(&own->xd, d * m));
    FMAL_TRY(FMAL_ALLOC(&own->y, 2 * c * m));
    FMAL_TRY(FMAL_ALLOC(&own->work, FMAL_FORMS_WORK(m)));
    return FMAL_ALLOC(&own->coeffs, own->chunk * d * (d + 1));
}

static fmal_status block_open(fmal_selector *s)
{
    double flops = 0;

    FMAL_TRY(fmal_cut_open(s));
    FMAL_TRY(fmal_agree(s->problem.ctx, allocate(s)));
    FMAL_TRY(fmal_block_inverse_create(s->problem.ctx, s->cut->blocks, s->cut->d,
                                       &s->block->inverse));
    fmal_block_inverse *inv = s->block->inverse;
    fmal_phase_begin(s->phases, FMAL_PHASE_FISHER);
    memset(s->take, 1, (size_t) s->problem.part->count);
    fmal_status st = fmal_factor_gram_blocks(
        s->problem.factor, s->take, 1 / (double) s->problem.part->n, &inv->classes,
        inv->stride, inv->f, &flops);
    fmal_phase_end(s->phases, flops, 0);
    return st;
}

static void block_close(fmal_selector *s)
{
    if (s->block) {
        clear_samples(s->block);
        fmal_block_inverse_destroy(&s->block->inverse);
        fmal_free(&s->block->xd);
        fmal_free(&s->block->y);
        fmal_free(&s->block->work);
        fmal_free(&s->block->coeffs);
        fmal_free(&s->block);
    }
    fmal_cut_close(s);
}

const fmal_engine fmal_engine_block = {
    .name = "block",
    .open = block_open,
    .close = block_close,
    .gather = block_gather,
    .refresh = block_refresh,
    .trace = block_trace,
    .measure = block_measure,
    .best = fmal_cut_best,
    .scores = fmal_cut_scores,
    .update = block_update,
    .drop = fmal_cut_drop,
};
