#include "select_impl.h"
#include "fmal/mem.h"

#include <math.h>

static fmal_idx triangle(const fmal_cells *cells)
{
    return (fmal_idx) cells->r * (cells->r + 1) / 2 * FMAL_LANES;
}

/* The most groups that a block has. */
static fmal_idx largest_block(const fmal_panel *panel)
{
    fmal_idx most = 0;

    for (fmal_idx b = 0; b < fmal_panel_blocks(panel); b++) {
        fmal_idx n =
            fmal_panel_first_group(panel, b + 1) - fmal_panel_first_group(panel, b);

        if (n > most)
            most = n;
    }
    return most;
}

static fmal_status allocate(fmal_cells *cells)
{
    fmal_idx groups = fmal_panel_groups(cells->panel), r = cells->r;

    FMAL_TRY(FMAL_ALLOC(&cells->g, groups * triangle(cells)));
    FMAL_TRY(FMAL_ALLOC(&cells->b, groups * triangle(cells)));
    FMAL_TRY(FMAL_ALLOC(&cells->score, groups * FMAL_LANES));
    FMAL_TRY(FMAL_ALLOC(&cells->out, groups * FMAL_LANES));
    FMAL_TRY(FMAL_ALLOC(&cells->work, FMAL_TILE_WORK(r) * FMAL_LANES));
    return FMAL_ALLOC(&cells->pq, largest_block(cells->panel) * 2 * r * r * FMAL_LANES);
}

fmal_status fmal_cells_create(const fmal_factor *f, const fmal_idx *samples, fmal_idx n,
                              double scale, fmal_cells **out)
{
    fmal_cells *cells = NULL;
    fmal_status st;

    FMAL_TRY(FMAL_ALLOC(&cells, 1));
    cells->r = fmal_factor_rank(f);
    cells->tile = fmal_tile_for(fmal_factor_isa(f));
    st = fmal_panel_create(f, samples, n, scale, 2 * cells->r, &cells->panel);
    if (st == FMAL_OK)
        st = allocate(cells);
    if (st != FMAL_OK) {
        fmal_cells_destroy(&cells);
        return st;
    }
    for (fmal_idx i = 0; i < fmal_panel_groups(cells->panel) * FMAL_LANES; i++)
        cells->out[i] = fmal_panel_index(cells->panel)[i] == FMAL_IDX_NONE;
    *out = cells;
    return FMAL_OK;
}

double fmal_cells_bytes(const fmal_factor *f, fmal_idx n)
{
    double r = fmal_factor_rank(f), slots = (double) (n + FMAL_LANES - 1);

    return fmal_panel_bytes(f, n, 2 * (int) r) +
           slots * (8 * r * (r + 1) + sizeof(double) + sizeof(bool)) +
           8 * (2 * r * r * FMAL_BLOCK + FMAL_LANES * (double) FMAL_TILE_WORK(r));
}

double fmal_cells_refresh_bytes(const fmal_factor *f, fmal_idx n)
{
    return fmal_panel_quadratic_bytes(f, n, 2);
}

void fmal_cells_destroy(fmal_cells **cells)
{
    if (!*cells)
        return;
    fmal_panel_destroy(&(*cells)->panel);
    fmal_free(&(*cells)->g);
    fmal_free(&(*cells)->b);
    fmal_free(&(*cells)->score);
    fmal_free(&(*cells)->out);
    fmal_free(&(*cells)->pq);
    fmal_free(&(*cells)->work);
    fmal_free(cells);
}

fmal_status fmal_cells_refresh(fmal_cells *cells, const fmal_dmat *a,
                               const fmal_dmat *e, double *flops)
{
    return fmal_panel_quadratics(cells->panel, a, cells->g, e, cells->b, flops);
}

void fmal_cells_update(fmal_cells *cells, double sign, const double *wz)
{
    fmal_idx tile = triangle(cells), r = cells->r;

    fmal_panel_load(cells->panel, wz, 2 * cells->r);
    for (fmal_idx block = 0; block < fmal_panel_blocks(cells->panel); block++) {
        fmal_idx first = fmal_panel_first_group(cells->panel, block);
        fmal_idx end = fmal_panel_first_group(cells->panel, block + 1);

        fmal_panel_apply(cells->panel, block, cells->pq);
        for (fmal_idx group = first; group < end; group++)
            cells->tile->update(cells->r, sign,
                                cells->pq + (group - first) * 2 * r * r * FMAL_LANES,
                                cells->g + group * tile, cells->b + group * tile);
    }
}

void fmal_cells_score(fmal_cells *cells, double sign)
{
    fmal_idx tile = triangle(cells);

    for (fmal_idx group = 0; group < fmal_panel_groups(cells->panel); group++) {
        double *score = cells->score + group * FMAL_LANES;

        cells->tile->score(cells->r, sign, cells->g + group * tile,
                           cells->b + group * tile, cells->work, score);
        for (int lane = 0; lane < FMAL_LANES; lane++)
            if (cells->out[group * FMAL_LANES + lane])
                score[lane] = -sign * INFINITY;
    }
}

void fmal_cells_drop(fmal_cells *cells, fmal_idx index_g)
{
    const fmal_idx *index = fmal_panel_index(cells->panel);

    for (fmal_idx i = 0; i < fmal_panel_groups(cells->panel) * FMAL_LANES; i++)
        if (index[i] == index_g) {
            cells->out[i] = true;
            cells->score[i] = NAN; /* until the next scoring */
        }
}
