/**
 * The candidate pass: G_i = V_i A V_i^T, B_i = V_i A F A V_i^T and scores of samples,
 * in single precision.
 *
 * One of the parts of a search (select.h), by itself for benchmarks and for searches of
 * another kind. The central object is fmal_scan, the samples of this rank that may be
 * chosen, in tiles of FMAL_STREAM_LANES.
 *
 *     fmal_scan_create(&problem, samples, n, scale, false, 0, &scan);
 *     fmal_scan_refresh(scan, a, e, NULL);          G, B and scores from A and E
 *     fmal_scan_lead(scan, margin, 0, &lead);       the best of this rank
 *     fmal_lead_of(ctx, &lead);                     the best of all
 *     fmal_scan_push(scan, wz, beta, ceiling);      what adding it changes
 *
 * The decision whether single precision is good enough is the caller's (select.h).
 */
#ifndef FMAL_SCAN_H
#define FMAL_SCAN_H

#include "fmal/select.h"

/** Samples that may be chosen. Opaque: see src/select/select_impl.h. */
typedef struct fmal_scan fmal_scan;

/**
 * All G and B zero.
 *
 * Not collective.
 *
 * @param problem  borrowed until the end
 * @param samples  [n] local indices, ascending; copied
 * @param scale    each factor is multiplied by this
 * @param lazy     keep many steps, and bring up to date only samples that may be the
 *                 best, by a proven bound
 * @param slack    or, if not 0, by a guess: their last score times this
 * @return FMAL_ERR_NOMEM
 */
fmal_status fmal_scan_create(const fmal_problem *problem, const fmal_idx *samples,
                             fmal_idx n, double scale, bool lazy, double slack,
                             fmal_scan **out);

/** Free *scan and set it to NULL; *scan may be NULL. Not collective. */
void fmal_scan_destroy(fmal_scan **scan);

/**
 * G and B afresh from A and E = A F A, in double precision and rounded once, and every
 * score.
 *
 * Collective over the problem's ctx.
 *
 * @param a, e  as for fmal_panel_quadratics
 * @param[out] flops  added: what this rank computed in products; may be NULL
 * @return FMAL_ERR_NOMEM, agreed
 */
fmal_status fmal_scan_refresh(fmal_scan *scan, const fmal_dmat *a, const fmal_dmat *e,
                              double *flops);

/**
 * Keep a step's W and Z, to be applied when a sample's turn comes.
 *
 * Not collective.
 *
 * @param wz    as for fmal_stream_push; copied
 * @param beta, ceiling  what the step does to bounds, if lazy (docs/algorithms.md)
 * @return FMAL_ERR_NOMEM, if lazy
 */
fmal_status fmal_scan_push(fmal_scan *scan, const double *wz, double beta,
                           double ceiling);

/** Never choose this sample. Not collective; nothing if it is another rank's. */
void fmal_scan_drop(fmal_scan *scan, fmal_idx index_g);

/** Among the flags of a lead: a score was not a finite number. */
enum { FMAL_SCAN_BAD = 1 << FMAL_FLAG_BITS };

/**
 * Bring up to date what may be within `margin`, relative, of the best; all, unless
 * lazy. Then the two largest scores of this rank among what is up to date, and flag.
 *
 * Collective if lazy.
 */
void fmal_scan_lead(fmal_scan *scan, double margin, int flag, fmal_lead *lead);

/** This rank's samples with a score of `bar` at least: their number, and the global
    indices of the first `room`. Not collective. */
fmal_idx fmal_scan_near(const fmal_scan *scan, double bar, fmal_idx *list,
                        fmal_idx room);

/** All of them: local indices, ascending, into a list with room. Not collective. */
fmal_idx fmal_scan_near_local(const fmal_scan *scan, double bar, fmal_idx *list);

/** Floating-point operations of one step and tile: product, update, score. */
double fmal_scan_flops(const fmal_scan *scan);

#endif
