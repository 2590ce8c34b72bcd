/* Shared by the files of the engine. */
#ifndef FMAL_SELECT_IMPL_H
#define FMAL_SELECT_IMPL_H

#include "fmal/inverse.h"
#include "fmal/scan.h"
#include "fmal/select.h"
#include "tile.h"

/*
 * Cells: samples that are being scored, with their r x r matrices G = V A V^T and
 * B = V A F A V^T, in the slots of a panel.
 */
typedef struct fmal_cells {
    fmal_panel *panel;
    const fmal_tile *tile;
    int r;
    double *g, *b; /* [groups, r (r + 1) / 2, LANES] */
    double *score; /* [groups, LANES] */
    bool *out;     /* [groups, LANES]: no longer to be chosen */
    double *pq;    /* [groups of a block, 2 r, r, LANES] */
    double *work;  /* of the tile's score */
} fmal_cells;

/* Not collective. samples: [n] local indices, ascending. */
fmal_status fmal_cells_create(const fmal_factor *f, const fmal_idx *samples, fmal_idx n,
                              double scale, fmal_cells **out);
void fmal_cells_destroy(fmal_cells **cells);

/* Bytes of n cells, and beside them of their refresh, at the most. */
double fmal_cells_bytes(const fmal_factor *f, fmal_idx n);
double fmal_cells_refresh_bytes(const fmal_factor *f, fmal_idx n);

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

/* The same in single precision (fmal/scan.h). */
struct fmal_scan {
    const fmal_problem *problem; /* borrowed */
    fmal_stream *stream;
    const fmal_tile *tile;
    int r;
    double scale;
    fmal_idx n, tiles;
    fmal_idx *samples; /* [n] local indices, ascending */
    fmal_idx *slot;    /* [part->count] where each sample is; -1: nowhere */
    float *g, *b;      /* [tiles, r (r + 1) / 2, LANES] */
    float *score; /* [tiles, LANES]: when last brought up to date; -INFINITY: out */
    float *best;  /* [tiles]: the largest of those */
    uint8_t *out; /* [tiles, LANES]: not to be chosen */
    int *done;    /* [tiles]: kept steps that are in G and B */
    float *pq, *work;
    bool lazy;      /* only tiles that may hold the best are brought up to date, */
    double slack;   /* those whose score then, times this, is enough; 0: proven */
    bool sorts;     /* samples lie in the order of their scores */
    float *phi;     /* [tiles]: largest tr(G (I + G)^-1) */
    double *beta;   /* [kept steps + 1]: sums of the steps' beta (docs/algorithms.md) */
    double ceiling; /* bounds up to this hold */
    int sorted;     /* kept steps when samples were last sorted */
    double most;    /* largest tr G at the last refresh, of all ranks */
    bool bad;       /* a score was not a finite number */
    double brought, applied; /* tiles brought up to date, steps applied to tiles */
};

/* Score a tile from its G and B. */
void fmal_scan_score(fmal_scan *scan, fmal_idx tile);

/* Sort the samples of all tiles that have seen more than `since` of the kept steps, and
   now have seen all, by their scores; nothing if some score was not a finite number.
   Not collective. */
fmal_status fmal_scan_sort(fmal_scan *scan, int since);

/* Bytes of a scan of n samples; beside it of their refresh, at the most. */
double fmal_scan_bytes(const fmal_factor *f, fmal_idx n, bool lazy);
double fmal_scan_refresh_bytes(const fmal_factor *f, fmal_idx n, bool lazy);
double fmal_scan_sort_bytes(fmal_idx n, int r);

/* A bound on the scores that a tile has now, from what they were when it was last up to
   date; INFINITY if there is none. Without lazy evaluation there never is. */
double fmal_scan_bound(const fmal_scan *scan, fmal_idx tile);

/* Matrices of the search (fmal/inverse.h). */
struct fmal_inverse {
    fmal_grid grid;
    const fmal_ctx *ctx;
    const fmal_factor *factor; /* borrowed */
    int r, classes;
    fmal_idx order, leading; /* D; columns that steps work with (factor.h) */
    fmal_dmat *f, *a, *e, *work;
    fmal_lowrank *a_now, *e_now;
    double *wz; /* [2 r, leading]: columns of W, then of Z; then the traces */
    double *gs, *bs, *omega;  /* [r, r] */
    double sign;              /* of the step that is prepared: +1 adds, -1 removes */
    double gain;              /* what it changes tr(M^-1 F) by, positive */
    double pivot;             /* the smallest of I + sign V A V^T; 0 if not positive */
    bool has_m;               /* work = M of the set that A is of */
    double lambda, condition; /* tr M / lambda at the last refresh */
    struct fmal_growth *growth; /* if lazy, without slack */
    double beta, ceiling;       /* what it may add to scores, and where bounds end */
    fmal_idx prepared;          /* the sample, or FMAL_IDX_NONE */
    bool refined;               /* it was prepared by fmal_inverse_refine */
};

/* Bytes on a rank of a grid; beside them of a refresh, at the most. */
double fmal_inverse_bytes(const fmal_factor *f, int rows, int cols, bool bounds);
double fmal_inverse_refresh_bytes(const fmal_factor *f);

/* The same for removals in which I - G has a small pivot, without the cancellation;
   wants M in inv->work (has_m). Collective. @return also FMAL_ERR_NOMEM */
fmal_status fmal_inverse_refine(fmal_inverse *inv, const fmal_factor *factor,
                                fmal_idx index_g, double scale);

/* The square of the smallest element of the diagonal of l [r, r]. */
double fmal_smallest_pivot(int r, const double *l);

/* The end of both: from A V^T and E V^T in inv->wz, gs = I + sign G, omega = G and bs =
   B on the root. Collective. */
fmal_status fmal_inverse_complete(fmal_inverse *inv, fmal_idx index_g);

/* Whether lazy evaluation goes by bounds; with slack it goes by a guess. */
static inline bool fmal_bounds_are_proven(const fmal_select_options *o)
{
    return o->lazy && o->slack == 0;
}

/* What a step may add to scores (growth.c). */
typedef struct fmal_growth {
    int r, classes, order;
    fmal_lowrank *f;
    double *w, *fw; /* [r, order] */
    double *small;
} fmal_growth;

/* Not collective. */
fmal_status fmal_growth_create(const fmal_inverse *inv, fmal_growth **out);
void fmal_growth_destroy(fmal_growth **growth);
double fmal_growth_bytes(const fmal_factor *f);

/* Keep F W, on the root. Collective over the grid's ctx. w [r, order] */
void fmal_growth_multiply(fmal_growth *g, const double *w);

/* Beta of the step whose F W is kept, and up to what score bounds with it hold; root.
   omega: L^-1 G L^-T, k: L^-1 B L^-T, both [r, r]; z [r, order]: Z of the step. */
double fmal_growth_beta(fmal_growth *g, const double *omega, const double *k,
                        const double *z, double gain, double *ceiling);

/* A plan without bytes and flops: all but those follows from order and rank. */
fmal_status fmal_plan_steps(const fmal_select_options *options, fmal_idx n,
                            fmal_idx labelled, fmal_idx excluded, fmal_idx order,
                            int rank, int ranks, fmal_select_plan *plan);

/* Columns W that wait before they are folded in, for factors of rank r. */
int fmal_pending_columns(fmal_idx leading, int r);

/* Refuse what factors cannot give. Not collective. */
fmal_status fmal_plan_check_fisher(fmal_fisher fisher, const fmal_factor *f);

/* Bytes and flops of a plan that has its steps, where fisher is not full; `share`: the
   samples of the rank with most; d: features, or columns of dense factors; streamed:
   features stay in their file. */
void fmal_plan_cut(int d, double share, int ranks, bool streamed,
                   fmal_select_plan *plan);

/* Classes whose coefficients are with all ranks at a time in a refresh. */
int fmal_block_chunk(int c, int d);

/* m = M of the labelled samples and the batch so far; flops are added. Collective. */
fmal_status fmal_full_information(fmal_selector *s, fmal_dmat *m, double *flops);

/* Prepare the removal of a sample, with as many digits as its loss needs. Collective.
 */
fmal_status fmal_prepare_removal(fmal_selector *s, fmal_idx index_g);

/* The sample whose loss is least, and that loss. Collective; flag as of fmal_argbest.
 */
fmal_status fmal_least_loss(fmal_selector *s, int *flag, fmal_best *best);

/* Lists of this rank's samples, in s->take. */
void fmal_take_role(fmal_selector *s, fmal_role role);
void fmal_take_batch(fmal_selector *s);

/* The information of the labelled samples and of the batch so far, by calls of `add`
   for the samples of s->take, with their weight. flops is passed on. */
typedef fmal_status fmal_add_information(fmal_selector *s, double weight,
                                         double *flops);
fmal_status fmal_sum_information(fmal_selector *s, fmal_add_information *add,
                                 double *flops);

/* Drop, of the samples that are scored, those that are in the batch already, or were
   removed from it. */
void fmal_drop_chosen(fmal_selector *s);

/*
 * One way to measure the information of a set of samples: what it keeps of matrices and
 * of the samples that are scored. All functions but `drop`, `scores` and `close` are
 * collective, and so are the statuses that they return agreed.
 */
typedef struct fmal_engine {
    const char *name;

    /* Allocate, and sum the pool's information F. */
    fmal_status (*open)(fmal_selector *s);
    void (*close)(fmal_selector *s);

    /* Score the samples of s->take from now on, to add or (s->removing) to remove; a
       refresh follows. */
    fmal_status (*gather)(fmal_selector *s);

    /* Everything afresh from the labelled samples and the batch so far. Samples that
       were chosen in this direction are out. */
    fmal_status (*refresh)(fmal_selector *s);

    /* tr(M^-1 F): after a refresh, before the next step; and afresh, when all steps are
       done. */
    double (*trace)(fmal_selector *s);
    fmal_status (*measure)(fmal_selector *s, double *objective);

    /* The sample to add or remove, FMAL_IDX_NONE if there is none; or *refresh_first.
       `fresh`: there was a refresh since the last step. flag as of fmal_argbest. */
    fmal_status (*best)(fmal_selector *s, int *flag, bool fresh, fmal_best *best,
                        bool *refresh_first);

    /* All scores of this rank; returns their number. */
    fmal_idx (*scores)(fmal_selector *s, double *score, fmal_idx *index_g);

    /* Add or remove that sample, and drop it. */
    fmal_status (*update)(fmal_selector *s, fmal_idx index_g);

    /* Never choose it again; nothing if it is another rank's. */
    void (*drop)(fmal_selector *s, fmal_idx index_g);
} fmal_engine;

extern const fmal_engine fmal_engine_full;
extern const fmal_engine fmal_engine_block;
extern const fmal_engine fmal_engine_diag;

/* What the engines of the approximations hold: cut_impl.h. */
typedef struct fmal_cut fmal_cut;
typedef struct fmal_block fmal_block;
typedef struct fmal_diag fmal_diag;

/* What is known of losses that are not certain (losses.c). */
typedef struct fmal_losses fmal_losses;
void fmal_losses_destroy(fmal_losses **l);

/* What the full engine holds: scan while it adds in single precision, else cells. */
typedef struct fmal_full {
    fmal_dmat *sum_to; /* where information is being added up */
    fmal_inverse *inverse;
    fmal_cells *cells;
    fmal_scan *scan;
    fmal_idx *samples, n; /* [n] local indices of those to score, ascending */
    fmal_losses *losses;  /* while removing, once it was needed */
    double last_gain;     /* of the last step, or the score at the refresh */
} fmal_full;

struct fmal_selector {
    fmal_problem problem;
    fmal_select_options options;
    fmal_select_plan plan;
    fmal_phases *phases;
    const fmal_engine *engine;
    fmal_full *full; /* each engine's own */
    fmal_cut *cut;
    fmal_block *block;
    fmal_diag *diag;
    bool removing; /* samples are scored to be removed */
    double scale;  /* of a factor that is scored, sqrt(batch / (labelled + batch)); 1 if
                      top */
    uint8_t *take; /* [count], work */
    fmal_select_state state;
    fmal_select_log log;
};

#endif
