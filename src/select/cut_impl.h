/*
 * Shared by the engines of the approximations, which keep of every information matrix
 * its diagonal class blocks (engine_block.c) or its diagonal (engine_diag.c).
 */
#ifndef FMAL_CUT_IMPL_H
#define FMAL_CUT_IMPL_H

#include "cut_tile.h"
#include "select_impl.h"

/* The samples that are scored, in the slots of a panel. */
struct fmal_cut {
    const fmal_cut_tile *tile;
    int blocks, d; /* class blocks, and their order */
    double *one;   /* [blocks + d]: weights and x of one sample */
    fmal_panel *panel;
    double *score; /* [groups, LANES] */
    bool *out;     /* [groups, LANES]: no longer to be chosen */
};

/* Part of an engine's open and close. */
fmal_status fmal_cut_open(fmal_selector *s);
void fmal_cut_close(fmal_selector *s);

/* Slots for the samples of s->take; those chosen in this direction are out. Collective;
   agreed. */
fmal_status fmal_cut_gather(fmal_selector *s);

/* Weights and x of the sample in a slot, scaled as candidates are, to s->cut->one;
   false in padding. */
bool fmal_cut_load(fmal_selector *s, fmal_idx slot);

/* Of factors that stream: features of the sample in a slot, good until the next call;
   NULL in padding. */
const float *fmal_cut_features(const fmal_selector *s, fmal_idx slot);

/* Whether features were read while samples were scored. Collective; agreed. */
fmal_status fmal_cut_status(const fmal_selector *s);

/* fmal_cut_load of any sample, on every rank. Collective. */
void fmal_cut_fetch(fmal_selector *s, fmal_idx index_g);

/* Scores of samples that are out, to what fmal_argbest passes over. */
void fmal_cut_mark(fmal_selector *s);

/* +1 while adding, -1 while removing. */
double fmal_cut_sign(const fmal_selector *s);

/* As in fmal_engine. */
fmal_status fmal_cut_best(fmal_selector *s, int *flag, bool fresh, fmal_best *best,
                          bool *refresh_first);
fmal_idx fmal_cut_scores(fmal_selector *s, double *score, fmal_idx *index_g);
void fmal_cut_drop(fmal_selector *s, fmal_idx index_g);

/* A step would leave information that is not positive definite. */
fmal_status fmal_cut_not_positive(fmal_idx index_g);

/*
 * The inverse A of a block-diagonal M, and E = A F A, each class's blocks on the rank
 * that owns the class.
 */
typedef struct fmal_block_inverse {
    const fmal_ctx *ctx;
    fmal_part classes; /* who owns which */
    int c, d;
    size_t stride;     /* from block to block: d d, in whole cache lines */
    double *f, *a, *e; /* [classes.count, stride]; of A and E the lower triangles */
    double *work;      /* [d, d] */
    double *wz;        /* [c, 2, d]: a step's W and Z of every class */
    double *waiting;   /* [classes.count, FMAL_BLOCK_WAITING, 2, d] */
    int n_waiting;
    double sign;          /* of the steps that wait */
    double *dots;         /* [2 FMAL_BLOCK_WAITING] */
    double *traces;       /* [c] */
    int *counts, *firsts; /* [ranks]: classes */
    double flops;         /* of this rank's steps and refreshes so far */
} fmal_block_inverse;

/* Steps whose terms wait before they are folded into A and E. */
enum { FMAL_BLOCK_WAITING = 16 };

/* Collective; agreed. */
fmal_status fmal_block_inverse_create(const fmal_ctx *ctx, int c, int d,
                                      fmal_block_inverse **out);
void fmal_block_inverse_destroy(fmal_block_inverse **inv);

/* M in inv->a to A; and E, unless only A is wanted. Collective; agreed. */
fmal_status fmal_block_inverse_refresh(fmal_block_inverse *inv, bool only_a);

/* tr(A F) after a refresh, on every rank. Collective. */
double fmal_block_inverse_trace(fmal_block_inverse *inv);

/* Coefficients (fmal_forms) of A_k and E_k for classes [first, first + count) after a
   refresh, to out [count, 2, d (d + 1) / 2] of every rank. Collective. */
void fmal_block_inverse_coefficients(fmal_block_inverse *inv, int first, int count,
                                     double *out);

/* The step that adds (sign +1) or removes (-1) blocks weight_k h h^T: fills inv->wz on
   every rank and updates A and E. Collective; agreed. FMAL_ERR_NUMERIC has no text. */
fmal_status fmal_block_inverse_step(fmal_block_inverse *inv, const double *weight,
                                    const double *h, double sign);

#endif
