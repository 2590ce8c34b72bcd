/**
 * Fisher factors: the V_i [r, D] of each sample, with V_i^T V_i its Fisher information.
 *
 * The greedy search knows samples only through this interface, and never sees the rows
 * of length D of a pool. The central objects are fmal_factor, the factors of this
 * rank's samples, and fmal_panel, some of those samples laid out for the passes of the
 * search.
 *
 *     fmal_factor_kron(ctx, &part, features, probs, d, c, &factor);
 *     fmal_factor_gram(factor, take, 1.0 / n, fisher);        sum of V_i^T V_i
 *     fmal_panel_create(factor, samples, n, scale, 2 * r, &panel);
 *     fmal_panel_quadratics(panel, a, g, e, b, NULL);  V_i A V_i^T, V_i E V_i^T
 *     fmal_panel_apply(panel, block, pq);                      V_i [W | Z]
 */
#ifndef FMAL_FACTOR_H
#define FMAL_FACTOR_H

#include "fmal/isa.h"
#include "fmal/la.h"
#include "fmal/par.h"
#include "fmal/rows.h"

/** Samples of a tile of a single-precision pass: one register of the widest kind. */
enum { FMAL_STREAM_LANES = 16 };

/** Samples of a panel are interleaved by this many: one register of the widest kind. */
enum { FMAL_LANES = 8 };

/** Factors of this rank's samples. Opaque: see src/factor/factor_impl.h. */
typedef struct fmal_factor fmal_factor;

/** A list of this rank's samples, ready for passes. Opaque. */
typedef struct fmal_panel fmal_panel;

/** The same in single precision, for passes that stream. Opaque. */
typedef struct fmal_stream fmal_stream;

/** What the labels of a sample are taken to be, when its information is averaged. */
typedef enum fmal_likelihood {
    FMAL_LIKELIHOOD_FULL,   /* every class, by its probability (BAIT) */
    FMAL_LIKELIHOOD_TOPC,   /* the few most probable classes, renormalised */
    FMAL_LIKELIHOOD_BINARY, /* right or wrong about the most probable class */
} fmal_likelihood;

/**
 * Last-layer Fisher factors of a softmax classifier.
 *
 * full    row y of V_i is sqrt(p_y) (e_y - p) (x) h_i, so that V_i^T V_i = (diag p - p
 * p^T) (x) h_i h_i^T, the Fisher information in the c d weights of a linear last layer,
 *         ordered class by class; the c rows have rank c - 1, and a rotation leaves r =
 *         c - 1 of them. D = c d.
 * topc    rows sqrt(q_y) (e_y - p) (x) h_i for the `top` most probable classes, q their
 *         probabilities renormalised, p all of them. r = top, D = c d.
 * binary  one row sqrt(p (1 - p)) h_i, p the largest probability. r = 1, D = d.
 *
 * Collective over ctx.
 *
 * @param part      who owns which sample; copied
 * @param features  h, [part->count, d]; borrowed
 * @param probs     p, [part->count, c], rows sum to 1; borrowed
 * @param d, c      features and classes, equal on all ranks; d >= 1, c >= 2
 * @param top       of topc: 1 to c
 * @return FMAL_ERR_NOMEM, agreed
 *
 * Source: full: Ash et al. 2021, arXiv:2106.09675 (docs/references.bib: ash2021bait);
 * topc, binary: Huseljic et al. 2024, arXiv:2404.08981 (huseljic2024fastfishing), where
 * the binary factor has two parallel rows; the rotation: docs/algorithms.md.
 */
fmal_status fmal_factor_kron_of(const fmal_ctx *ctx, const fmal_part *part,
                                const float *features, const double *probs, int d,
                                int c, fmal_likelihood likelihood, int top,
                                fmal_factor **out);

/**
 * The same with features that may be in a file: then no copy of them is kept, single
 * rows are read when they are asked for, and passes read block by block. Whatever reads
 * features fails, if it returns an agreed status, with that of fmal_factor_status;
 * after the others ask for that.
 *
 * @param features  h, rows of d numbers; borrowed
 */
fmal_status fmal_factor_kron_rows(const fmal_ctx *ctx, const fmal_part *part,
                                  fmal_rows features, const double *probs, int d, int c,
                                  fmal_likelihood likelihood, int top,
                                  fmal_factor **out);

/** Whether samples are read from a file when they are wanted, so that those that are
    wanted together should lie together. Not collective. */
bool fmal_factor_streams(const fmal_factor *f);

/** fmal_rows_status of the samples. Not collective: agree on it. */
fmal_status fmal_factor_status(const fmal_factor *f);

/** Of factors that stream: features of this rank's sample il, good until those of a
    sample of another block are wanted. Not collective. */
const float *fmal_factor_features(const fmal_factor *f, fmal_idx il);

/** The same with FMAL_LIKELIHOOD_FULL. */
fmal_status fmal_factor_kron(const fmal_ctx *ctx, const fmal_part *part,
                             const float *features, const double *probs, int d, int c,
                             fmal_factor **out);

/**
 * Any factors, given as numbers.
 *
 * Collective over ctx.
 *
 * @param v      V, [part->count, r, order]; borrowed
 * @param r      rows of a factor, at least 1; order: its columns, D; equal on all ranks
 * @return FMAL_ERR_NOMEM, agreed
 * Cost: passes read n r D numbers; first values take 2 n r D^2 flops.
 */
fmal_status fmal_factor_dense(const fmal_ctx *ctx, const fmal_part *part,
                              const float *v, int r, fmal_idx order, fmal_factor **out);

/**
 * Factors without samples: good for what the functions of sizes, bytes and flops say,
 * and for nothing else.
 *
 * Not collective.
 * @param part     of the rank in question; the rest as above
 * @param streams  features are in a file
 */
fmal_status fmal_factor_kron_outline(const fmal_part *part, int d, int c,
                                     fmal_likelihood likelihood, int top, bool streams,
                                     fmal_factor **out);
fmal_status fmal_factor_dense_outline(const fmal_part *part, int r, fmal_idx order,
                                      fmal_factor **out);
fmal_status fmal_factor_mixed_outline(const fmal_part *part, int d, int c, int extra,
                                      bool unweighted, fmal_factor **out);

/**
 * Factors of a last layer and of some parameters outside of it (FisherMask).
 *
 *     V_i = S_i [ I_c (x) h_i^T , T_i ],
 *
 * T_i [c, extra] the Jacobian of the logits in those parameters, S_i as below. D = c d
 * + extra: the weights of the last layer, class by class, then the others. r = c - 1.
 *
 * weighted    rows of S_i are sqrt(p_y) (e_y - p), rotated, so that V_i^T V_i is the
 *             Fisher information in all these parameters
 * unweighted  rows e_y - p, rotated: a sum over classes in place of the expectation
 *
 * Collective over ctx.
 *
 * @param features  h, [part->count, d]; borrowed
 * @param probs     p, [part->count, c], rows sum to 1; borrowed
 * @param tail      T, [part->count, c, extra]; borrowed; may be NULL if extra is 0
 * @param d, c      features and classes, equal on all ranks; d >= 1, c >= 2
 * @param extra     columns of the tail, at least 0; equal on all ranks
 * @return FMAL_ERR_NOMEM, agreed
 * Cost: 4 n_l c extra bytes of the caller; passes multiply (c - 1) (d + extra) numbers
 * a sample and column, first values take about c^2 d^2 / 2 + 2 c extra (d + extra)
 * flops a sample. Source: Gul et al. 2024, arXiv:2411.05752 (docs/references.bib:
 * gul2024fishermask), whose public code is the unweighted form.
 */
fmal_status fmal_factor_mixed(const fmal_ctx *ctx, const fmal_part *part,
                              const float *features, const double *probs,
                              const float *tail, int d, int c, int extra,
                              bool unweighted, fmal_factor **out);

/** D and r of Kronecker factors. Not collective. */
void fmal_kron_sizes(fmal_likelihood likelihood, int top, int d, int c, fmal_idx *order,
                     int *rank);

/** Free *f and set it to NULL; *f may be NULL. Not collective. */
void fmal_factor_destroy(fmal_factor **f);

/** D, the columns of a factor; r, its rows. */
fmal_idx fmal_factor_order(const fmal_factor *f);
int fmal_factor_rank(const fmal_factor *f);

/** Class blocks over which the rows of every factor sum to zero; 1 if they do not. */
int fmal_factor_classes(const fmal_factor *f);

/**
 * Columns that steps work with: D, but without the last class block where rows sum to
 * zero over classes. That block of a column A V^T, and of A itself
 * (fmal_factor_center), is minus the sum of the others.
 */
fmal_idx fmal_factor_leading(const fmal_factor *f);

/**
 * Take out of a symmetric matrix of order D what no factor reaches: a = P a P, with P x
 * = x for the rows x of all factors. Forms and products of centered matrices are those
 * of the matrix itself, with less rounding.
 *
 * Collective over the grid's ctx of the matrix.
 * @return FMAL_ERR_NOMEM, agreed
 */
fmal_status fmal_factor_center(const fmal_factor *f, fmal_dmat *a);

/** The instruction set that all ranks have. */
fmal_isa fmal_factor_isa(const fmal_factor *f);

/**
 * out += weight * sum over taken samples of all ranks of V_i^T V_i.
 *
 * Collective over ctx. The same bits on any number of ranks: partial sums of blocks of
 * samples are added exactly.
 *
 * @param take  [part.count]: nonzero for the samples to take; borrowed
 * @param out   of order D; its grid may be smaller than ctx
 * @param[out] flops  added: what this rank computed; may be NULL
 * @return FMAL_ERR_NOMEM, agreed
 * Cost: a rank sends its part of N sums once, and D^2 / P elements that it makes of its
 * share of them, P the ranks of the grid; N is about D^2 / 4 in the Kronecker form, D^2
 * / 2 in the others. On a grid of one rank, the sums alone.
 */
fmal_status fmal_factor_gram(const fmal_factor *f, const uint8_t *take, double weight,
                             fmal_dmat *out, double *flops);

/**
 * One sample's factor, unscaled, on every rank.
 *
 * Collective over ctx.
 * @param index_g  global index
 * @param[out] v   [r, D]
 */
void fmal_factor_row(const fmal_factor *f, fmal_idx index_g, double *v);

/**
 * One sample's factor in its own form, for products with the leading rows and columns
 * of matrices: V x for every x that sums to zero over classes, where rows do, and has
 * these leading elements. A plain value; the arrays are the factor's.
 */
typedef struct fmal_sample {
    int r, order;       /* rows; columns, as many as fmal_factor_leading says */
    int blocks, d;      /* Kronecker form: V = left (x) h^T, order = blocks d */
    int extra;          /* mixed form: V = left [I (x) h^T, tail], with more columns */
    const double *left; /* [r, blocks]; NULL in the dense form */
    const double *h;    /* [d] */
    const double *tail; /* [blocks, extra] */
    const double *v;    /* [r, order], dense form */
    double *work;       /* [blocks, order] at least */
} fmal_sample;

/**
 * One sample's factor, on every rank.
 *
 * Collective over ctx.
 * @param index_g  global index
 * @param scale    the factor is multiplied by this
 * @param[out] out  good until the next call of this function or the factor's end
 */
void fmal_factor_sample(const fmal_factor *f, fmal_idx index_g, double scale,
                        fmal_sample *out);

/** The most columns that fmal_sample_multiply asks of a fmal_lowrank's products. */
int fmal_factor_product_columns(const fmal_factor *f);

/**
 * out = m V^T.
 *
 * Collective over the grid's ctx. In the Kronecker form one product of m with I (x) h,
 * whatever r is; in the mixed form as many columns as blocks only where they meet the
 * tail.
 * @param m         symmetric, of the sample's order; where rows sum to zero over
 * classes, what leads of a centered matrix
 * @param[out] out  [r, order]: column after column; complete on the root, undefined
 *                  elsewhere
 */
void fmal_sample_multiply(const fmal_sample *s, fmal_lowrank *m, double *out);

/**
 * out = (V w)^T.
 *
 * Not collective.
 * @param w         [cols, order]: column after column; cols <= 2 r
 * @param[out] out  [cols, r]
 */
void fmal_sample_project(const fmal_sample *s, const double *w, int cols, double *out);

/**
 * Lay out samples for passes. Samples of one block of the partition stay together and
 * are padded to whole groups of FMAL_LANES; results of a block depend on nothing else.
 *
 * Not collective.
 *
 * @param samples  [n] local indices, ascending; copied
 * @param scale    each factor is multiplied by this
 * @param max_cols the most columns W of fmal_panel_load will have
 */
fmal_status fmal_panel_create(const fmal_factor *f, const fmal_idx *samples, fmal_idx n,
                              double scale, int max_cols, fmal_panel **out);

void fmal_panel_destroy(fmal_panel **panel);

/** Blocks that hold samples; groups of all of them; group range of one; slots = groups
   x FMAL_LANES. */
fmal_idx fmal_panel_blocks(const fmal_panel *panel);
fmal_idx fmal_panel_groups(const fmal_panel *panel);
fmal_idx fmal_panel_first_group(const fmal_panel *panel, fmal_idx block);

/** Global index of every slot, FMAL_IDX_NONE in padding; ascending but for padding. */
const fmal_idx *fmal_panel_index(const fmal_panel *panel);

/**
 * V_i A V_i^T and V_i E V_i^T of every sample of the panel.
 *
 * Collective over ctx: parts of A and E travel to all ranks.
 *
 * @param a, e   symmetric, of order D; centered (fmal_factor_center)
 * @param[out] g, b  [groups, r (r + 1) / 2, FMAL_LANES]: packed lower triangles
 * @param[out] flops  added: what this rank computed; may be NULL
 * @return FMAL_ERR_NOMEM, agreed
 * Cost: of Kronecker factors about c^2 d^2 flops a sample.
 */
fmal_status fmal_panel_quadratics(fmal_panel *panel, const fmal_dmat *a, double *g,
                                  const fmal_dmat *e, double *b, double *flops);

/**
 * Take the columns that the next applications multiply by.
 *
 * Not collective.
 * @param w  [cols, fmal_factor_leading]: column after column, what leads of columns in
 *           the span of factors' rows; copied
 */
void fmal_panel_load(fmal_panel *panel, const double *w, int cols);

/**
 * V_i W of the samples of one block.
 *
 * Not collective.
 * @param[out] out  [groups of the block, cols, r, FMAL_LANES]
 */
void fmal_panel_apply(fmal_panel *panel, fmal_idx block, double *out);

/* ---- Bytes, each at its most; not collective ---- */

/** Of the factors, samples apart; of fmal_factor_gram under way, and whether that is
    into a matrix on a grid of several ranks. */
double fmal_factor_bytes(const fmal_factor *f);
double fmal_factor_gram_bytes(const fmal_factor *f, bool spread);

/** Of a panel of n samples, and beside it of forms of `matrices` matrices under way. */
double fmal_panel_bytes(const fmal_factor *f, fmal_idx n, int max_cols);
double fmal_panel_quadratic_bytes(const fmal_factor *f, fmal_idx n, int matrices);

/** Of a stream (below) of n samples. */
double fmal_stream_bytes(const fmal_factor *f, fmal_idx n, bool one_step);

/** Floating-point operations of fmal_factor_gram and fmal_panel_quadratics, each for a
    sample, and of fmal_stream_apply for a sample and step. Not collective. */
double fmal_factor_gram_flops(const fmal_factor *f);
double fmal_panel_quadratics_flops(const fmal_factor *f);
double fmal_stream_sample_flops(const fmal_factor *f);

/**
 * Slots alone: fmal_panel_blocks, _groups, _first_group and _index work on it, passes
 * do not. Not collective.
 */
fmal_status fmal_panel_slots(const fmal_factor *f, const fmal_idx *samples, fmal_idx n,
                             fmal_panel **out);

/* ---- Information cut down to its diagonal ---- */

/** What is kept of a sample's Fisher information V^T V. */
typedef enum fmal_fisher {
    FMAL_FISHER_FULL,
    FMAL_FISHER_BLOCK, /* its class blocks on the diagonal, d x d each */
    FMAL_FISHER_DIAG,  /* its diagonal */
} fmal_fisher;

/** How many class blocks there are on the diagonal, of D / that rows each; 1 in the
   dense form. Not collective. */
int fmal_factor_class_blocks(const fmal_factor *f);

/** Whether such a part of the information can be had: blocks only of Kronecker factors,
    and diagonals of all but mixed ones. Not collective. */
bool fmal_factor_can_cut(const fmal_factor *f, fmal_fisher fisher);

/**
 * What is kept of one sample, in short: weights and x, such that
 *
 *     FMAL_FISHER_BLOCK  block k of the information is weight_k x x^T,  x = h
 *     FMAL_FISHER_DIAG   block k of its diagonal is weight_k x
 *
 * weight_k is p_k (1 - p_k) of the full likelihood, in general the diagonal of R^T R;
 * in the dense form there is one block of weight 1.
 *
 * Not collective.
 * @param il        local index
 * @param[out] cut  [class blocks + D / class blocks]: the weights, then x
 */
void fmal_factor_cut_local(const fmal_factor *f, fmal_fisher fisher, fmal_idx il,
                           double *cut);

/** The same of any sample, on every rank. Collective over ctx. */
void fmal_factor_cut(const fmal_factor *f, fmal_fisher fisher, fmal_idx index_g,
                     double *cut);

/**
 * out += weight * diagonal of the sum over taken samples of all ranks of V_i^T V_i.
 *
 * Collective over ctx. The same bits on any number of ranks, as fmal_factor_gram.
 *
 * @param take      [part.count]: nonzero for the samples to take; borrowed
 * @param[out] out  [D], complete on every rank
 * @return FMAL_ERR_NOMEM, and of fmal_factor_status; agreed
 */
fmal_status fmal_factor_diagonal(const fmal_factor *f, const uint8_t *take,
                                 double weight, double *out);

/**
 * The class blocks on the diagonal of the same sum, each to the rank that owns it.
 *
 * Collective over ctx; Kronecker form only.
 *
 * @param classes  who owns which class block; as many ranks as ctx
 * @param stride   numbers from a block to the next
 * @param[out] out [classes->count, stride]: symmetric d x d blocks, both triangles;
 * added to
 * @param[out] flops  added: what this rank computed; may be NULL
 * @return FMAL_ERR_NOMEM, agreed
 * Cost: n c d (d + 1) flops of all ranks.
 */
fmal_status fmal_factor_gram_blocks(const fmal_factor *f, const uint8_t *take,
                                    double weight, const fmal_part *classes,
                                    size_t stride, double *out, double *flops);

/** Numbers of the work array of fmal_forms for m samples. */
#define FMAL_FORMS_WORK(m) ((fmal_idx) 512 * (m))

/**
 * forms [count, m] = x_i^T C_j x_i for samples i and symmetric matrices j.
 *
 * With only the products x_a x_b, a <= b, and all matrices in one GEMM: half the work
 * of C x. Not collective.
 *
 * @param xt            [d, m]: samples fastest
 * @param coefficients  [count, d (d + 1) / 2]: columns b, rows a <= b; C_bb on the
 *                      diagonal, C_ab + C_ba off it
 * @param work          [FMAL_FORMS_WORK(m)]
 * Cost: count m d (d + 1) flops.
 */
void fmal_forms(const double *xt, int d, int m, const double *coefficients, int count,
                double *work, double *forms);

/* ---- Passes in single precision ---- */

/**
 * Pack samples in tiles of FMAL_STREAM_LANES for passes that multiply by the columns of
 * many steps. What comes out for a sample depends neither on its tile nor on how many
 * steps are applied in one call, to the bit.
 *
 * Not collective.
 *
 * @param samples   [n] local indices, in the order in which they are to be packed;
 *                  copied
 * @param scale     each factor is multiplied by this
 * @param one_step  keep the columns of one step only
 * @return FMAL_ERR_NOMEM
 */
fmal_status fmal_stream_create(const fmal_factor *f, const fmal_idx *samples,
                               fmal_idx n, double scale, bool one_step,
                               fmal_stream **out);

/** Free *s and set it to NULL; *s may be NULL. Not collective. */
void fmal_stream_destroy(fmal_stream **s);

fmal_idx fmal_stream_tiles(const fmal_stream *s);

/** Pack other samples into a tile: local indices [FMAL_STREAM_LANES], -1 for none at
   the end of the last one. Not for samples in a file. Not collective. */
void fmal_stream_put(fmal_stream *s, fmal_idx tile, const fmal_idx *local);

/** Local index of the sample in a slot (tile FMAL_STREAM_LANES + lane), -1 in padding.
 */
fmal_idx fmal_stream_local(const fmal_stream *s, fmal_idx slot);

/**
 * Keep the columns of one more step: W and Z, [2 r, fmal_factor_leading], as for
 * fmal_panel_load.
 * fmal_stream_steps tells how many are kept, of fmal_stream_capacity at most;
 * fmal_stream_forget drops them all. Not collective.
 */
void fmal_stream_push(fmal_stream *s, const double *wz);
int fmal_stream_steps(const fmal_stream *s);
int fmal_stream_capacity(const fmal_stream *s);
void fmal_stream_forget(fmal_stream *s);

/** The number of tiles that fmal_stream_apply should get, where there are so many;
    FMAL_STREAM_TOGETHER at the most. */
enum { FMAL_STREAM_TOGETHER = 16 };
int fmal_stream_together(const fmal_stream *s);

/**
 * V_i [W | Z] of the samples of some tiles and of the kept steps [first, last), or of
 * as many of those as it can take in one go.
 *
 * Not collective.
 *
 * @param[out] pq  [n_tiles, steps, 2 r, r, FMAL_STREAM_LANES]; room for
 *                 fmal_stream_most_steps of them
 * @return the number of steps taken, at least 1
 */
int fmal_stream_apply(fmal_stream *s, int first, int last, fmal_idx tile, int n_tiles,
                      float *pq);
int fmal_stream_most_steps(const fmal_stream *s);

/** Floating-point operations of one step and one tile, of the products alone. */
double fmal_stream_flops(const fmal_stream *s);

#endif
