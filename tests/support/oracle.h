/**
 * BAIT's greedy selection by dense linear algebra and nothing clever: the answer that
 * the fast engine is compared with.
 *
 * Every sample's factor V_x is a [c, D] matrix, D = c d, row y of it
 * sqrt(p_y) (e_y - p) (x) h, so that V_x^T V_x is the sample's Fisher information in
 * the weights of the last layer. Each step builds M anew, inverts it, and scores every
 * sample from that inverse. Serial, without BLAS; cost n c D^2 multiplications a step.
 *
 * With a mask every V_x^T V_x is cut down to its diagonal d x d blocks, or to its
 * diagonal, before anything else.
 *
 *     fmal_oracle_problem p = { .n = n, .d = d, .c = c, .features = h, ... };
 *     fmal_oracle_bait(&p, picks, &before, &after, NULL);
 *
 * Source: Ash et al. 2021, arXiv:2106.09675 (docs/references.bib: ash2021bait).
 */
#ifndef FMAL_ORACLE_H
#define FMAL_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

/** What is kept of V_x^T V_x. */
typedef enum { ORACLE_ALL, ORACLE_BLOCKS, ORACLE_DIAGONAL } fmal_oracle_mask;

/** Rows of V_x: as above; sqrt(q_y) (e_y - p) for the topc most probable classes, q
    their probabilities renormalised; or, D = d, sqrt(p) (1 - p) and -sqrt(1 - p) p, p
   the largest probability. */
typedef enum { ORACLE_FULL, ORACLE_TOPC, ORACLE_BINARY } fmal_oracle_rows;

/** A selection to be made. A plain value; borrows its arrays. */
typedef struct fmal_oracle_problem {
    int n, d, c;
    const float *features; /* [n, d] */
    const double *probs;   /* [n, c]; rows sum to 1 */
    const int64_t *labelled;
    int n_labelled;
    const int64_t *excluded; /* never candidates, but still in F */
    int n_excluded;
    int batch;
    double lambda;
    double oversample; /* forward steps are ceil(oversample batch) */
    bool labelled_sum; /* F_L is the sum over the labelled samples, not their mean */
    fmal_oracle_mask mask;
    fmal_oracle_rows rows;
    int topc;
} fmal_oracle_problem;

/**
 * Pick a batch: forward steps, then removals down to the batch.
 *
 *     F    = mean over all n samples of V_x^T V_x
 *     M_0  = lambda I + F_L n_L / (n_L + B);  V_x <- V_x sqrt(B / (n_L + B))
 *     gain = tr(M^-1 F) - tr((M + V_x^T V_x)^-1 F)
 *     loss = tr((M - V_x^T V_x)^-1 F) - tr(M^-1 F)
 *
 * Ties, within 1e-9 relative, go to the lowest index, going forward and backward alike.
 *
 * @param[out] picks  [batch], in the order picked; -1 where candidates ran out
 * @param[out] objective_before  tr(M_0^-1 F)
 * @param[out] objective_after   tr(M^-1 F) of the final set
 * @param[out] smallest_margin   the smallest relative gap between best and second best
 * of all decisions, INFINITY if none had a second; may be NULL
 * @return 0, or -1 without memory
 */
int fmal_oracle_bait(const fmal_oracle_problem *p, int64_t *picks,
                     double *objective_before, double *objective_after,
                     double *smallest_margin);

/** tr(M^-1 F) with the n samples of `set` in M; NAN without memory. */
double fmal_oracle_objective(const fmal_oracle_problem *p, const int64_t *set, int n);

#endif
