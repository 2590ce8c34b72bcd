/*
 * The candidates in single precision: what a step streams through.
 *
 * A refresh computes G and B in double precision, some blocks of samples at a time, and
 * rounds them once. Between refreshes every step's [W | Z] is kept, and a tile of
 * samples is brought up to date by applying those that it has not seen, one after the
 * other: the numbers that come out are the same whether that is done at every step or
 * once in a hundred.
 */
#include "select_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

enum { LANES = FMAL_STREAM_LANES };

/* Bytes of G, or B, or of the forms of one matrix, in double precision at a time during
   a refresh; and samples that are worth fetching the matrices again for. */
static const double REFRESH_BYTES = 64 << 20;
enum { REFRESH_SAMPLES = 2048 };

/* Steps after which the samples of the tiles that were scored since are sorted anew. */
enum { SORT_STEPS = 32 };

static size_t triangle(const fmal_scan *scan)
{
    return (size_t) scan->r * (size_t) (scan->r + 1) / 2 * LANES;
}

static fmal_status allocate(fmal_scan *scan, const fmal_idx *samples)
{
    fmal_idx slots = scan->tiles * LANES, r = scan->r;
    fmal_idx together = fmal_stream_together(scan->stream);

    FMAL_TRY(FMAL_ALLOC(&scan->samples, scan->n));
    FMAL_TRY(FMAL_ALLOC(&scan->slot, scan->problem->part->count));
    FMAL_TRY(FMAL_ALLOC(&scan->g, scan->tiles * (fmal_idx) triangle(scan)));
    FMAL_TRY(FMAL_ALLOC(&scan->b, scan->tiles * (fmal_idx) triangle(scan)));
    FMAL_TRY(FMAL_ALLOC(&scan->score, slots));
    FMAL_TRY(FMAL_ALLOC(&scan->out, slots));
    FMAL_TRY(FMAL_ALLOC(&scan->best, scan->tiles));
    FMAL_TRY(FMAL_ALLOC(&scan->done, scan->tiles));
    FMAL_TRY(FMAL_ALLOC(&scan->phi, scan->lazy ? slots : 0));
    FMAL_TRY(FMAL_ALLOC(&scan->beta, fmal_stream_capacity(scan->stream) + 1));
    FMAL_TRY(FMAL_ALLOC(&scan->work, FMAL_TILE_WORK(r) * LANES));
    FMAL_TRY(FMAL_ALLOC(&scan->pq, together * fmal_stream_most_steps(scan->stream) * 2 *
                                       r * r * LANES));
    for (fmal_idx il = 0; il < scan->problem->part->count; il++)
        scan->slot[il] = -1;
    for (fmal_idx i = 0; i < scan->n; i++) {
        scan->samples[i] = samples[i];
        scan->slot[samples[i]] = i;
    }
    for (fmal_idx slot = 0; slot < slots; slot++)
        scan->out[slot] = fmal_stream_local(scan->stream, slot) < 0;
    return FMAL_OK;
}

fmal_status fmal_scan_create(const fmal_problem *problem, const fmal_idx *samples,
                             fmal_idx n, double scale, bool lazy, double slack,
                             fmal_scan **out)
{
    fmal_scan *scan = NULL;
    const fmal_factor *f = problem->factor;

    FMAL_TRY(FMAL_ALLOC(&scan, 1));
    scan->problem = problem;
    scan->r = fmal_factor_rank(f);
    scan->n = n;
    scan->scale = scale;
    scan->lazy = lazy;
    scan->slack = slack;
    scan->sorts = lazy && !fmal_factor_streams(f); /* else one by one from the file */
    scan->tile = fmal_tile_for(fmal_factor_isa(f));
    fmal_status st = fmal_stream_create(f, samples, n, scale, !lazy, &scan->stream);
    if (st == FMAL_OK) {
        scan->tiles = fmal_stream_tiles(scan->stream);
        st = allocate(scan, samples);
    }
    if (st != FMAL_OK)
        fmal_scan_destroy(&scan);
    else
        *out = scan;
    return st;
}

double fmal_scan_bytes(const fmal_factor *f, fmal_idx n, bool lazy)
{
    double r = fmal_factor_rank(f), slots = (double) ((n + LANES - 1) / LANES * LANES);

    return fmal_stream_bytes(f, n, !lazy) + 2 * sizeof(fmal_idx) * (double) n +
           slots *
               (4 * r * (r + 1) + (lazy ? 2 : 1) * sizeof(float) + sizeof(uint8_t)) +
           slots / LANES * (2 * sizeof(float) + sizeof(int)) +
           4.0 * LANES * FMAL_STREAM_TOGETHER * 2 * r * r;
}

void fmal_scan_destroy(fmal_scan **scan)
{
    fmal_scan *s = *scan;

    if (!s)
        return;
    fmal_stream_destroy(&s->stream);
    fmal_free(&s->samples);
    fmal_free(&s->slot);
    fmal_free(&s->g);
    fmal_free(&s->b);
    fmal_free(&s->score);
    fmal_free(&s->out);
    fmal_free(&s->best);
    fmal_free(&s->done);
    fmal_free(&s->phi);
    fmal_free(&s->beta);
    fmal_free(&s->work);
    fmal_free(&s->pq);
    fmal_free(scan);
}

/* Four chains of comparisons: one would take as long as a sample's score if r is 1. */
static void find_best(fmal_scan *scan, fmal_idx tile)
{
    const float *score = scan->score + tile * LANES;
    float best[4] = { score[0], score[1], score[2], score[3] };

    for (int lane = 4; lane < LANES; lane += 4)
        for (int i = 0; i < 4; i++)
            best[i] = score[lane + i] > best[i] ? score[lane + i] : best[i];
    for (int i = 1; i < 4; i++)
        best[0] = best[i] > best[0] ? best[i] : best[0];
    scan->best[tile] = best[0];
}

/* tr(G (I + G)^-1) of a tile's samples: the score kernel with G for B. */
static void find_phi(fmal_scan *scan, fmal_idx tile)
{
    const float *g = scan->g + (size_t) tile * triangle(scan);

    scan->tile->score_f32(scan->r, 1, g, g, scan->work, scan->phi + tile * LANES);
}

void fmal_scan_score(fmal_scan *scan, fmal_idx tile)
{
    size_t at = (size_t) tile * triangle(scan);
    float *score = scan->score + tile * LANES;
    const uint8_t *out = scan->out + tile * LANES;

    scan->tile->score_f32(scan->r, 1, scan->g + at, scan->b + at, scan->work, score);
    for (int lane = 0; lane < LANES; lane++) {
        if (out[lane])
            score[lane] = -INFINITY;
        else if (!isfinite(score[lane]))
            scan->bad = true;
    }
    find_best(scan, tile);
    if (scan->lazy && scan->slack == 0)
        find_phi(scan, tile);
}

static void forget_steps(fmal_scan *scan)
{
    fmal_stream_forget(scan->stream);
    memset(scan->done, 0, sizeof(int) * (size_t) scan->tiles);
    scan->beta[0] = 0;
    scan->ceiling = INFINITY;
    scan->sorted = 0;
}

/* ---- Afresh ---- */

/* Numbers that a refresh holds of a sample and matrix: G, or B, or the forms that it is
   made of where these are kept apart and are more. */
static double numbers_of_sample(const fmal_factor *f)
{
    double r = fmal_factor_rank(f), g = r * (r + 1) / 2;
    double forms = (fmal_panel_quadratic_bytes(f, FMAL_LANES, 1) -
                    fmal_panel_quadratic_bytes(f, 0, 1)) /
                   (8.0 * FMAL_LANES);

    return forms > g ? forms : g;
}

/* Blocks of a batch. */
static fmal_idx batch_blocks(const fmal_factor *f, int block)
{
    double fit = REFRESH_BYTES / (8 * numbers_of_sample(f));
    fmal_idx most = fit < REFRESH_SAMPLES ? REFRESH_SAMPLES : (fmal_idx) fit;

    return most / block + 1;
}

/* The end of a batch of samples from `begin` on: whole blocks. */
static fmal_idx batch_end(const fmal_scan *scan, fmal_idx begin)
{
    const fmal_part *part = scan->problem->part;

    if (begin >= scan->n)
        return scan->n;
    fmal_idx blocks = batch_blocks(scan->problem->factor, part->block);
    fmal_idx bound = (scan->samples[begin] / part->block + blocks) * part->block;
    fmal_idx end = begin;
    while (end < scan->n && scan->samples[end] < bound)
        end++;
    return end;
}

/* A batch, or what sorting takes: places, and a second G or B. */
double fmal_scan_refresh_bytes(const fmal_factor *f, fmal_idx n, bool lazy)
{
    int r = fmal_factor_rank(f);
    fmal_idx most = batch_blocks(f, FMAL_BLOCK) * FMAL_BLOCK,
             batch = n < most ? n : most;
    double forms = fmal_panel_bytes(f, batch, 0) + 8.0 * r * (r + 1) * (double) batch +
                   fmal_panel_quadratic_bytes(f, batch, 2);
    double sort = lazy && !fmal_factor_streams(f) ? fmal_scan_sort_bytes(n, r) : 0;

    return forms > sort ? forms : sort;
}

/* Matrices of a panel's slots [groups, r (r + 1) / 2, FMAL_LANES] to the tiles of those
   samples, which begin at `begin` of the list. */
static void round_panel(fmal_scan *scan, const fmal_panel *panel, fmal_idx begin,
                        const double *from, float *to)
{
    const fmal_idx *index = fmal_panel_index(panel);
    size_t count = triangle(scan) / LANES;
    fmal_idx i = begin;

    for (fmal_idx at = 0; at < fmal_panel_groups(panel) * FMAL_LANES; at++) {
        if (index[at] == FMAL_IDX_NONE)
            continue;
        fmal_idx slot = scan->slot[scan->samples[i++]];
        const double *x = from + (size_t) (at / FMAL_LANES) * count * FMAL_LANES +
                          (size_t) (at % FMAL_LANES);
        float *y =
            to + (size_t) (slot / LANES) * count * LANES + (size_t) (slot % LANES);

        for (size_t e = 0; e < count; e++)
            y[e * LANES] = (float) x[e * FMAL_LANES];
    }
}

/* The largest trace of a panel's G. */
static double largest_trace(const fmal_panel *panel, int r, const double *g)
{
    double most = 0;
    size_t count = (size_t) r * (size_t) (r + 1) / 2;

    for (fmal_idx at = 0; at < fmal_panel_groups(panel) * FMAL_LANES; at++) {
        const double *x = g + (size_t) (at / FMAL_LANES) * count * FMAL_LANES +
                          (size_t) (at % FMAL_LANES);
        double sum = 0;

        for (int k = 0; k < r; k++)
            sum += x[((size_t) k * (size_t) (k + 3) / 2) * FMAL_LANES];
        if (sum > most)
            most = sum;
    }
    return most;
}

static fmal_status refresh_batch(fmal_scan *scan, fmal_idx begin, fmal_idx end,
                                 const fmal_dmat *a, const fmal_dmat *e, double *flops)
{
    fmal_panel *panel = NULL;
    double *g = NULL, *b = NULL;
    fmal_idx triangles = (fmal_idx) scan->r * (scan->r + 1) / 2 * FMAL_LANES;
    fmal_status st = fmal_panel_create(scan->problem->factor, scan->samples + begin,
                                       end - begin, scan->scale, 0, &panel);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&g, fmal_panel_groups(panel) * triangles);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&b, fmal_panel_groups(panel) * triangles);
    st = fmal_agree(scan->problem->ctx, st);
    if (st == FMAL_OK)
        st = fmal_panel_quadratics(panel, a, g, e, b, flops);
    if (st == FMAL_OK) {
        double most = largest_trace(panel, scan->r, g);

        scan->most = most > scan->most ? most : scan->most;
        round_panel(scan, panel, begin, g, scan->g);
        round_panel(scan, panel, begin, b, scan->b);
    }
    fmal_panel_destroy(&panel);
    fmal_free(&g);
    fmal_free(&b);
    return st;
}

/* All ranks go on in the same precision. Collective. */
static void agree_on_quality(fmal_scan *scan)
{
    double all[2] = { scan->most, scan->bad };

    fmal_max_f64(scan->problem->ctx, all, 2);
    scan->most = all[0];
    scan->bad = all[1] != 0;
}

fmal_status fmal_scan_refresh(fmal_scan *scan, const fmal_dmat *a, const fmal_dmat *e,
                              double *flops)
{
    double batches = 0;
    fmal_idx begin = 0;
    fmal_status st = FMAL_OK;

    for (fmal_idx i = 0; i < scan->n; i = batch_end(scan, i))
        batches++;
    fmal_max_f64(scan->problem->ctx, &batches, 1); /* quadratic forms are collective */
    scan->most = 0;
    scan->bad = false;
    for (int i = 0; i < (int) batches && st == FMAL_OK; i++) {
        fmal_idx end = batch_end(scan, begin);

        st = refresh_batch(scan, begin, end, a, e, flops);
        begin = end;
    }
    forget_steps(scan);
    for (fmal_idx tile = 0; tile < scan->tiles && st == FMAL_OK; tile++)
        fmal_scan_score(scan, tile);
    agree_on_quality(scan);
    if (st == FMAL_OK && scan->sorts)
        st = fmal_scan_sort(scan, -1);
    return fmal_agree(scan->problem->ctx, st);
}

/* ---- Which tiles can wait ---- */

/* score + beta phi, valid up to scan->ceiling (docs/algorithms.md); with slack, a
   guess. */
double fmal_scan_bound(const fmal_scan *scan, fmal_idx tile)
{
    const float *score = scan->score + tile * LANES, *phi = scan->phi + tile * LANES;
    float grown = (float) (scan->beta[fmal_stream_steps(scan->stream)] -
                           scan->beta[scan->done[tile]]),
          bound = -INFINITY;

    if (!scan->lazy)
        return INFINITY;
    if (scan->slack > 0)
        return scan->best[tile] * scan->slack;
    if (!isfinite(grown)) /* a step whose beta is not known */
        return INFINITY;
    for (int lane = 0; lane < LANES; lane++) { /* who is out has a score of -INFINITY */
        float of = score[lane] + grown * phi[lane];

        bound = of > bound ? of : bound;
    }
    return bound * (1 + 1e-6) <= scan->ceiling ? bound * (1 + 1e-6) : INFINITY;
}

/* The tile that was best when it was last up to date. */
static fmal_idx likeliest(const fmal_scan *scan)
{
    fmal_idx top = 0;

    for (fmal_idx tile = 1; tile < scan->tiles; tile++)
        if (scan->best[tile] > scan->best[top])
            top = tile;
    return top;
}

/* ---- Steps ---- */

/* Bring `count` tiles up to date; all have seen as many steps. */
static void bring(fmal_scan *scan, fmal_idx tile, int count)
{
    size_t tri = triangle(scan), one = 2 * (size_t) (scan->r * scan->r) * LANES;
    int now = fmal_stream_steps(scan->stream), took;

    for (int first = scan->done[tile]; first < now; first += took) {
        took = fmal_stream_apply(scan->stream, first, now, tile, count, scan->pq);
        for (int i = 0; i < count; i++)
            for (int step = 0; step < took; step++)
                scan->tile->update_f32(scan->r, 1,
                                       scan->pq + (size_t) (i * took + step) * one,
                                       scan->g + (size_t) (tile + i) * tri,
                                       scan->b + (size_t) (tile + i) * tri);
        scan->applied += (double) took * count;
    }
    for (int i = 0; i < count; i++) {
        scan->done[tile + i] = now;
        fmal_scan_score(scan, tile + i);
    }
    scan->brought += count;
}

/* Tiles from `tile` on, `most` of them, that have seen as many steps and may hold the
   best: those that can be brought up to date together. */
static int run_of(const fmal_scan *scan, fmal_idx tile, double bar, int most)
{
    int count = 0;

    while (count < most && tile + count < scan->tiles &&
           scan->done[tile + count] == scan->done[tile] &&
           fmal_scan_bound(scan, tile + count) >= bar)
        count++;
    return count;
}

/* Bring every tile up to date that is behind and may hold a score of `bar`, or of
   `keep` times the best that turns up. */
static void bring_above(fmal_scan *scan, double bar, double keep)
{
    int most = fmal_stream_together(scan->stream),
        now = fmal_stream_steps(scan->stream);

    for (fmal_idx tile = 0; tile < scan->tiles;) {
        int count = scan->done[tile] < now ? run_of(scan, tile, bar, most) : 0;

        if (count > 0)
            bring(scan, tile, count);
        for (int i = 0; i < count; i++)
            bar = scan->best[tile + i] * keep > bar ? scan->best[tile + i] * keep : bar;
        tile += count > 0 ? count : 1;
    }
}

/* Bring all tiles up to date, whatever they may hold. */
static void bring_all(fmal_scan *scan)
{
    int most = fmal_stream_together(scan->stream),
        now = fmal_stream_steps(scan->stream), count;

    for (fmal_idx tile = 0; tile < scan->tiles; tile += count) {
        for (count = 1; count < most && tile + count < scan->tiles &&
                        scan->done[tile + count] == scan->done[tile];)
            count++;
        if (scan->done[tile] < now)
            bring(scan, tile, count);
    }
}

/* Bring up to date the tiles that were so since samples were last sorted. */
static void bring_hot(fmal_scan *scan)
{
    int now = fmal_stream_steps(scan->stream);

    for (fmal_idx tile = 0; tile < scan->tiles; tile++)
        if (scan->done[tile] > scan->sorted && scan->done[tile] < now)
            bring(scan, tile, 1);
}

fmal_status fmal_scan_push(fmal_scan *scan, const double *wz, double beta,
                           double ceiling)
{
    int step = fmal_stream_steps(scan->stream);

    if (step == fmal_stream_capacity(scan->stream)) {
        bring_all(scan);
        if (scan->sorts)
            FMAL_TRY(fmal_scan_sort(scan, -1));
        forget_steps(scan);
        step = 0;
    } else if (scan->sorts && step >= scan->sorted + SORT_STEPS) {
        bring_hot(scan);
        FMAL_TRY(fmal_scan_sort(scan, scan->sorted));
        scan->sorted = step;
    }
    fmal_stream_push(scan->stream, wz);
    scan->beta[step + 1] = scan->beta[step] + beta;
    scan->ceiling = ceiling < scan->ceiling ? ceiling : scan->ceiling;
    return FMAL_OK;
}

void fmal_scan_drop(fmal_scan *scan, fmal_idx index_g)
{
    const fmal_part *part = scan->problem->part;
    fmal_idx il = index_g - part->first;

    if (il < 0 || il >= part->count || scan->slot[il] < 0)
        return;
    scan->out[scan->slot[il]] = 1;
    scan->score[scan->slot[il]] = -INFINITY;
    find_best(scan, scan->slot[il] / LANES);
}

/* Index_g of a slot. */
static fmal_idx global_of(const fmal_scan *scan, fmal_idx slot)
{
    return scan->problem->part->first + fmal_stream_local(scan->stream, slot);
}

/* Bring up to date what may be best: first one tile of each rank, for a score to beat.
   Collective if lazy. */
static void bring_contenders(fmal_scan *scan, double margin)
{
    double bar = -INFINITY;

    if (scan->lazy && scan->tiles > 0) {
        fmal_idx tile = likeliest(scan);

        if (scan->done[tile] < fmal_stream_steps(scan->stream))
            bring(scan, tile, 1);
        bar = scan->best[tile];
    }
    if (scan->lazy)
        fmal_max_f64(scan->problem->ctx, &bar, 1);
    bring_above(scan, bar > 0 ? bar * (1 - margin) : bar, 1 - margin);
}

void fmal_scan_lead(fmal_scan *scan, double margin, int flag, fmal_lead *lead)
{
    int now = fmal_stream_steps(scan->stream);

    *lead = FMAL_LEAD_NONE;
    bring_contenders(scan, margin);
    for (fmal_idx tile = 0; tile < scan->tiles; tile++) {
        if (scan->done[tile] < now || !(scan->best[tile] > lead->second))
            continue;
        for (fmal_idx slot = tile * LANES; slot < (tile + 1) * LANES; slot++)
            if (!scan->out[slot])
                fmal_lead_add(lead, scan->score[slot], global_of(scan, slot));
    }
    lead->flags = flag | (scan->bad ? FMAL_SCAN_BAD : 0);
}

fmal_idx fmal_scan_near(const fmal_scan *scan, double bar, fmal_idx *list,
                        fmal_idx room)
{
    int now = fmal_stream_steps(scan->stream);
    fmal_idx n = 0;

    for (fmal_idx tile = 0; tile < scan->tiles; tile++) {
        if (scan->done[tile] < now || !(scan->best[tile] >= bar))
            continue;
        for (fmal_idx slot = tile * LANES; slot < (tile + 1) * LANES; slot++)
            if (!scan->out[slot] && scan->score[slot] >= bar) {
                if (n < room)
                    list[n] = global_of(scan, slot);
                n++;
            }
    }
    return n;
}

fmal_idx fmal_scan_near_local(const fmal_scan *scan, double bar, fmal_idx *list)
{
    int now = fmal_stream_steps(scan->stream);
    fmal_idx n = 0;

    for (fmal_idx i = 0; i < scan->n; i++) {
        fmal_idx slot = scan->slot[scan->samples[i]];

        if (!scan->out[slot] && scan->done[slot / LANES] == now &&
            scan->score[slot] >= bar)
            list[n++] = scan->samples[i];
    }
    return n;
}

double fmal_scan_flops(const fmal_scan *scan)
{
    double r = scan->r;

    return fmal_stream_flops(scan->stream) + LANES * (3 * r * r * (r + 1) + r * r * r);
}
