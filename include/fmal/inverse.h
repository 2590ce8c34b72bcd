/**
 * The D x D matrices of the search: the inverse A = M^-1, but for what no factor
 * reaches, and E = A F A, and what a step does to them.
 *
 * One of the parts of a search (select.h), by itself for benchmarks. The central object
 * is fmal_inverse.
 *
 *     fmal_inverse_create(&problem, &options, &inv);
 *     fmal_inverse_matrices(inv, &f, &a, &e);       fill f with F and a with M
 *     fmal_inverse_refresh(inv);
 *     fmal_inverse_prepare(inv, factor, index, scale, 1);
 *     fmal_inverse_commit(inv);
 */
#ifndef FMAL_INVERSE_H
#define FMAL_INVERSE_H

#include "fmal/select.h"

/** A, E and F on their grid. Opaque: see src/select/select_impl.h. */
typedef struct fmal_inverse fmal_inverse;

/**
 * Zero matrices.
 *
 * Collective.
 * @param problem, options  equal on all ranks; of the options the grid counts
 * @return FMAL_ERR_NOMEM, agreed
 */
fmal_status fmal_inverse_create(const fmal_problem *problem,
                                const fmal_select_options *options, fmal_inverse **out);

/** Free *inv and set it to NULL; *inv may be NULL. Collective. */
void fmal_inverse_destroy(fmal_inverse **inv);

/** The matrices themselves, borrowed: F, which the caller fills; M before a refresh and
    A after it; E. Not collective. */
void fmal_inverse_matrices(fmal_inverse *inv, fmal_dmat **f, fmal_dmat **a,
                           fmal_dmat **e);

/** A, from M in its place, and E. Collective. @return FMAL_ERR_NUMERIC, agreed */
fmal_status fmal_inverse_refresh(fmal_inverse *inv);

/** Forget all steps: the caller has set A and E themselves. Not collective. */
void fmal_inverse_forget(fmal_inverse *inv);

/**
 * The step that adds (sign +1) or removes (-1) scale V_s: its W and Z on every rank,
 * and what it changes tr(M^-1 F) by. Nothing if that is prepared already.
 *
 * Collective.
 * @return FMAL_ERR_NUMERIC, agreed
 */
fmal_status fmal_inverse_prepare(fmal_inverse *inv, const fmal_factor *factor,
                                 fmal_idx index_g, double scale, double sign);

/** Carry out what was prepared last: A and E change. Not collective. */
void fmal_inverse_commit(fmal_inverse *inv);

/** Floating-point operations of this rank in all steps so far. Not collective. */
double fmal_inverse_step_flops(const fmal_inverse *inv);

#endif
