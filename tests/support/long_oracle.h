/**
 * The greedy selection by dense linear algebra in extended precision, for any
 * likelihood: what hard pools are compared with, where double precision has its own
 * troubles. It also says how close its decisions were.
 *
 * As oracle.h, but that everything, inputs apart, is long double; that probabilities
 * are made to sum to 1 and 1 - p is the sum of the others; and that the forms
 * V X V^T = R ((I (x) h^T) X (I (x) h)) R^T are used, which makes it cheap. Serial;
 * cost 2 n D^2 + 2 D^3 multiplications a step.
 *
 *     fmal_long_problem p = { .n = n, .d = d, .c = c, .features = h, ... };
 *     fmal_long_select(&p, &answer);
 */
#ifndef FMAL_LONG_ORACLE_H
#define FMAL_LONG_ORACLE_H

#include "fmal/factor.h"

/** A selection to be made. A plain value; borrows its arrays. */
typedef struct fmal_long_problem {
    int n, d, c;
    const float *features; /* [n, d] */
    const double *probs;   /* [n, c] */
    const int64_t *labelled;
    int n_labelled;
    int batch;
    double lambda;
    double oversample; /* forward steps are ceil(oversample batch) */
    bool labelled_sum; /* F_L is the sum over the labelled samples, not their mean */
    fmal_likelihood likelihood;
    int top; /* of FMAL_LIKELIHOOD_TOPC */
} fmal_long_problem;

/** A plain value. `lead` and `tie` are relative gaps between the best score of a
    decision and another one, of all decisions: the smallest that decided, INFINITY if
    none did, and the largest that was a tie. */
typedef struct fmal_long_answer {
    int64_t *picks; /* [batch], of the caller: in the order picked; -1: none left */
    double before, after; /* tr(M_0^-1 F), and tr(M^-1 F) of the final set */
    double lead, tie;
} fmal_long_answer;

/** Pick a batch, by the formulas and the rule for ties of fmal_oracle_bait.
    @return 0, or -1 without memory */
int fmal_long_select(const fmal_long_problem *p, fmal_long_answer *answer);

#endif
