/**
 * Greedy batch selection by Fisher information: the engine.
 *
 * From a pool with Fisher matrix F and labelled samples L, pick the batch S that makes
 * tr(M(S)^-1 F) small, M(S) = lambda I + weight (labelled information) + sum over S of
 * V_s^T V_s: add the best sample oversample x batch times, then remove the one whose
 * loss is least until the batch is left (Ash et al. 2021; docs/algorithms.md).
 *
 * The central object is fmal_selector; one call makes one step, so that the caller can
 * checkpoint and stop between steps.
 *
 *     fmal_selector_create(&problem, &options, &phases, &s);
 *     while (!fmal_selector_finished(s))
 *         FMAL_TRY(fmal_selector_step(s, &stop_bits));
 *     fmal_selector_finish(s, &result);
 *
 * Source: docs/references.bib: ash2021bait; the incremental equations:
 * docs/algorithms.md.
 */
#ifndef FMAL_SELECT_H
#define FMAL_SELECT_H

#include "fmal/clock.h"
#include "fmal/factor.h"
#include "fmal/pool.h"

/** A selection problem, this rank's share. A plain value; all is borrowed. */
typedef struct fmal_problem {
    const fmal_ctx *ctx;
    const fmal_factor *factor;
    const fmal_part *part;
    const uint8_t *role; /* [part->count], values of fmal_role */
} fmal_problem;

/** How to select. A plain value. */
typedef struct fmal_select_options {
    fmal_idx batch;     /* samples to pick, 1 to the number of candidates */
    double lambda;      /* ridge, > 0 */
    double oversample;  /* forward steps per sample of the batch, >= 1 */
    bool labelled_sum;  /* the labelled information is a sum, not a mean */
    fmal_fisher fisher; /* what is kept of every information matrix */
    bool top;           /* no search: the best first scores, of factors not scaled */
    fmal_likelihood likelihood; /* of the factors, for plans */
    int topc;                   /* of FMAL_LIKELIHOOD_TOPC */
    bool streamed;              /* features stay in their file; for plans */
    int grid_rows, grid_cols;   /* of the matrices' grid; 0: chosen by their order */
    bool double_precision;      /* stream in double precision, not in single */
    bool
        lazy; /* score only those candidates that may be the best, by a proven bound; */
    double slack; /* or, if not 0, by a guess: their last score times this; picks may
                     then depend on the number of ranks, and on restarts */
} fmal_select_options;

/** What a selection will take, before it starts. A plain value. */
typedef struct fmal_select_plan {
    fmal_idx n, candidates, labelled, order;
    fmal_idx most; /* samples of the fullest rank */
    int rank;
    fmal_fisher fisher;
    int blocks;                 /* class blocks on the diagonal */
    fmal_idx forward, backward; /* steps */
    int grid_rows, grid_cols;   /* 1 x 1 where fisher is not full */
    /* Of the fullest rank: what stays, and the buffers of the moment that takes most.
     */
    double bytes_matrices, bytes_candidates, bytes_pool, bytes_buffers;
    double bytes; /* their sum */
    double
        bytes_double; /* the same, should scores need double precision (tr G large) */
    double scored;    /* share of the candidates that a step scores: a guess if lazy */
    double flops, flops_single; /* of the rank with most, in double and in single
                                   precision: a guess, refreshes come as scores fall */
} fmal_select_plan;

/**
 * Plan any selection from sizes alone, as far as it does not depend on the strategy:
 * counts, and the bytes of the pool. Not collective.
 *
 * @return FMAL_ERR_ARG: a batch larger than the pool
 */
fmal_status fmal_select_plan_pool(const fmal_select_options *options,
                                  const fmal_pool_info *info, int ranks,
                                  fmal_select_plan *plan);

/**
 * Plan a search from sizes alone. Not collective.
 *
 * @param ranks         how many there are
 * @param d, c          features and classes of Kronecker factors
 * @return FMAL_ERR_ARG: a batch larger than the pool, a grid of more ranks than there
 * are, a grid where there is none
 */
fmal_status fmal_select_plan_make(const fmal_select_options *options, fmal_idx n,
                                  fmal_idx labelled, fmal_idx excluded, int d, int c,
                                  int ranks, fmal_select_plan *plan);

/** The same for dense factors of r rows and `order` columns; FMAL_ERR_ARG also for
    FMAL_FISHER_BLOCK: they have no class blocks. */
fmal_status fmal_select_plan_dense(const fmal_select_options *options, fmal_idx n,
                                   fmal_idx labelled, fmal_idx excluded, int r,
                                   fmal_idx order, int ranks, fmal_select_plan *plan);

/** The same for mixed factors, less the Jacobian, which is the caller's; FMAL_ERR_ARG
    also unless the information is kept whole. */
fmal_status fmal_select_plan_mixed(const fmal_select_options *options, fmal_idx n,
                                   fmal_idx labelled, fmal_idx excluded, int d, int c,
                                   int extra, bool unweighted, int ranks,
                                   fmal_select_plan *plan);

/** A selection in progress. Opaque: see src/select/select_impl.h. */
typedef struct fmal_selector fmal_selector;

/** Everything a restart needs beside the problem: the steps so far. A plain value, read
    from a running selector (its arrays are borrowed) or given to a new one. */
typedef struct fmal_select_state {
    fmal_idx n_added, n_removed;
    fmal_idx *added, *removed; /* global indices in order */
    double *gain, *loss;       /* what each step changed the objective by */
    fmal_idx refresh_step; /* steps done when A, G and B were last computed afresh */
    double refresh_score;  /* the deciding score then */
    double before;         /* objective without the batch */
} fmal_select_state;

/**
 * Set up: F, M_0, their inverse, and the first score of every candidate.
 *
 * Collective; options equal on all ranks.
 *
 * @param phases  receives seconds and flops; borrowed; may be NULL
 * @return FMAL_ERR_ARG (as of plans), FMAL_ERR_NUMERIC, FMAL_ERR_NOMEM
 */
fmal_status fmal_selector_create(const fmal_problem *problem,
                                 const fmal_select_options *options,
                                 fmal_phases *phases, fmal_selector **out);

/**
 * The same, from a saved state: computed afresh at its last refresh, then the steps
 * since are replayed, so that what follows has the same bits as without the
 * interruption.
 *
 * Collective; state equal on all ranks, borrowed.
 * @return as above; FMAL_ERR_FORMAT if the state does not fit the problem
 */
fmal_status fmal_selector_restore(const fmal_problem *problem,
                                  const fmal_select_options *options,
                                  const fmal_select_state *state, fmal_phases *phases,
                                  fmal_selector **out);

/** Free *s and set it to NULL; *s may be NULL. Collective. */
void fmal_selector_destroy(fmal_selector **s);

/** Steps in all and done. Not collective. */
fmal_idx fmal_selector_steps(const fmal_selector *s);
fmal_idx fmal_selector_done(const fmal_selector *s);
bool fmal_selector_finished(const fmal_selector *s);

/**
 * Add or remove one sample.
 *
 * Collective.
 * @param flag  bits that travel with the decision: on return the union of all ranks'
 * bits (fmal_stop_bits); the step is done all the same; may be NULL
 * @return FMAL_ERR_NUMERIC
 */
fmal_status fmal_selector_step(fmal_selector *s, int *flag);

/** The steps so far; borrowed until the next step. Not collective. */
const fmal_select_state *fmal_selector_state(const fmal_selector *s);

/** How the decisions were made. A plain value. */
typedef struct fmal_select_log {
    fmal_idx refreshes;
    fmal_idx rescored; /* candidates scored again in double precision */
    double scored;     /* candidates scored in single precision, over all steps */
    double margin;     /* the smallest relative lead by which a sample was added;
                          INFINITY: none is known */
    double error;      /* the largest relative error of such a score that was seen */
    bool lazy;         /* only candidates that might be the best were scored, */
    double slack;      /* by this guess; 0: by the proven bound */
} fmal_select_log;

/** The batch. A plain value. */
typedef struct fmal_selection {
    fmal_idx n;
    fmal_idx *index;      /* [n] global, in the order they were added; fmal_free */
    double *score;        /* [n] fall of the objective when each was added; fmal_free */
    double before, after; /* tr(M^-1 F) without the batch and with it */
    fmal_idx forward, backward; /* steps */
    fmal_idx *added, *removed;  /* [forward], [backward] global, in order; fmal_free */
    fmal_select_log log;
} fmal_selection;

/** The batch and its objective, computed afresh. Collective; once, when finished. */
fmal_status fmal_selector_finish(fmal_selector *s, fmal_selection *out);

/** Free what a selection holds. Not collective. */
void fmal_selection_clear(fmal_selection *sel);

#endif
