/* Shared by the files of the engine. */
#ifndef FMAL_SELECT_IMPL_H
#define FMAL_SELECT_IMPL_H

#include "fmal/select.h"
#include "tile.h"

/*
 * Cells: samples that are being scored, with their r x r matrices G = V A V^T and
 * B = V A F A V^T, in the slots of a panel.
 */
typedef struct fmal_cells {
    fmal_panel *panel;
    fmal_tile tile;
    int r;
    double *g, *b; /* [groups, r (r + 1) / 2, LANES] */
    double *score; /* [groups, LANES] */
    bool *out;     /* [groups, LANES]: no longer to be chosen */
    double *pq;    /* [groups of a block, 2 r, r, LANES] */
    double *work;  /* [r (r + 1), LANES] */
} fmal_cells;

/* Not collective. samples: [n] local indices, ascending. */
fmal_status fmal_cells_create(const fmal_factor *f, const fmal_idx *samples, fmal_idx n,
                              double scale, fmal_cells **out);
void fmal_cells_destroy(fmal_cells **cells);

/* G and B afresh from A and E = A F A. Collective. */
fmal_status fmal_cells_refresh(fmal_cells *cells, const fmal_dmat *a,
                               const fmal_dmat *e, double *flops);

/* G and B after a step: wz [2 r, leading] holds the columns of W, then of Z. Not
   collective. */
void fmal_cells_update(fmal_cells *cells, double sign, const double *wz);

/* Scores afresh; sign is that of the next step: +1 adding, -1 removing. */
void fmal_cells_score(fmal_cells *cells, double sign);

/* Never choose this sample again. Not collective; nothing if it is another rank's. */
void fmal_cells_drop(fmal_cells *cells, fmal_idx index_g);

/*
 * The inverse A = M^-1, but for what no factor reaches, and E = A F A, and what a step
 * does to them.
 */
typedef struct fmal_inverse {
    fmal_grid grid;
    const fmal_ctx *ctx;
    int r, classes;
    fmal_idx order, leading; /* D; columns that steps work with (factor.h) */
    fmal_dmat *f, *a, *e, *work;
    fmal_lowrank *a_now, *e_now;
    double *wz;      /* [2 r, leading]: columns of W, then of Z; then the traces */
    double *gs, *bs; /* [r, r] */
    double gain;     /* of the last step: what it changed tr(M^-1 F) by, positive */
    double trace_g;  /* of the last step: tr(V A V^T) before it */
} fmal_inverse;

fmal_status fmal_inverse_create(const fmal_problem *problem,
                                const fmal_select_options *options, fmal_inverse **out);
void fmal_inverse_destroy(fmal_inverse **inv);

/* A, from M in inv->a, and E. Collective. */
fmal_status fmal_inverse_refresh(fmal_inverse *inv);

/* The step that adds (sign +1) or removes (-1) scale V_s: fills inv->wz, gain and
   trace_g on every rank and updates A and E, of which only what leads, and of that the
   lower triangle, is good until the next refresh. Collective. */
fmal_status fmal_inverse_step(fmal_inverse *inv, const fmal_factor *factor,
                              fmal_idx index_g, double scale, double sign);

/* Floating-point operations of all steps so far, of this rank. */
double fmal_inverse_step_flops(const fmal_inverse *inv);

/* A plan without its bytes: all but those follows from order and rank. */
fmal_status fmal_plan_steps(const fmal_select_options *options, fmal_idx n,
                            fmal_idx labelled, fmal_idx excluded, fmal_idx order,
                            int rank, int ranks, fmal_select_plan *plan);

/* Columns W that wait before they are folded in, for factors of rank r. */
int fmal_pending_columns(fmal_idx leading, int r);

struct fmal_selector {
    fmal_problem problem;
    fmal_select_options options;
    fmal_select_plan plan;
    fmal_phases *phases;
    fmal_inverse *inverse;
    fmal_cells *cells; /* of the candidates, then of the added ones */
    bool removing;     /* cells are those of the added ones */
    double scale;      /* of a candidate's factor, sqrt(batch / (labelled + batch)) */
    uint8_t *take;     /* [count], work */
    fmal_select_state state;
    fmal_idx refreshes;
};

#endif
