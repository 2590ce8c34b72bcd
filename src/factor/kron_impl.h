/* Shared by the files of the Kronecker form. */
#ifndef FMAL_KRON_IMPL_H
#define FMAL_KRON_IMPL_H

#include "factor_impl.h"

/*
 * The factor's data. V_i = R_i (x) h_i^T with row k of R_i
 *
 *     root_k (e_pick_k - e_base - center)      over the class blocks,
 *
 * whatever the likelihood (kron_likelihood.c); e_base is 0 if there is no base. Where
 * rows sum to zero over classes the last class block follows from the others and is not
 * computed.
 */
typedef struct kron {
    fmal_rows h;     /* [n_l, d], borrowed */
    const double *p; /* [n_l, c], borrowed */
    fmal_likelihood likelihood;
    int d, c;
    int top;          /* of topc */
    int blocks, used; /* class blocks of a matrix: c or 1; those computed: c - 1 or 1 */
    bool zero_sum;    /* rows of R sum to zero */
    bool unweighted;  /* of full: R^T R without the probabilities' square roots */
    double *sample;   /* [d + c]: features and probabilities of one sample */
    double *root;     /* [r]: its rows of R */
    int *pick;        /* [r] */
    int base;         /* or -1 */
    double *center;   /* [blocks] */
    double *work;     /* [blocks] */
    double *left;     /* [r, used]: R of one sample, for leading columns */
    double *product;  /* [used, used d], of at least 2 r rows: work of a sample */
} kron;

/* A panel's data. */
typedef struct {
    double *root;  /* [groups, r, LANES] */
    double *shift; /* [groups, used, LANES] */
    int *pick;     /* [groups, r, LANES], of topc; NULL where row k picks class k but */
    int64_t *swap; /* [groups, LANES]: for this row, which picks the last; -1: none */
    double *ht;    /* [d, m]: features of the block at hand, samples fastest */
    double *w;     /* [cols, used, d]: the loaded columns' blocks */
    double *y;     /* [cols, used, m] */
} kron_panel;

/* data->ht = the features of a block's slots, zero in padding; returns their number. */
int fmal_kron_gather_block(fmal_panel *panel, fmal_idx b);

/* Forms of several matrices at once (kron_quadratic.c). */
fmal_status fmal_kron_quadratic(fmal_panel *panel, int n, const fmal_dmat *const *a,
                                double *const *g, double *flops);
double fmal_kron_quadratic_bytes(const fmal_factor *f, double slots, int n);
double fmal_kron_quadratics_flops(const fmal_factor *f);

/* A sample's rows, to root, pick, base and center of own. Row k of topc picks the k-th
   most probable class, base is the first of them. Row k of the full likelihood picks
   class k, or the last; there is no base. */
void fmal_kron_rows(kron *own, const double *p);

/* Of the rows of own, for x that sums to zero over classes,

       R x = root_k (x_pick_k - x_base - sum over m < used of shift_m x_m). */
double fmal_kron_shift(const kron *own, int m);

/* The row of own that picks the last class instead of its own, or -1. */
int fmal_kron_swap(const kron *own);

/* Class pairs k >= l whose weights make up sums of V^T V. Of the full likelihood only k
   > l: its diagonal blocks are minus the sums of the others. */
int fmal_kron_weight_count(const kron *own);

/* Weights of those pairs, `stride` apart: of the full likelihood p_k p_l, or p_k + p_l
   - c p_k p_l if unweighted, whose block is minus that; else the entry (k, l) of R^T R.
   Packed by rows k. */
void fmal_kron_weights(const kron *own, const double *p, double *weight,
                       fmal_idx stride);

/* Diagonal of R^T R, [blocks], without cancellation; own->work and own->center are
 * lost.
 */
void fmal_kron_diagonal(const kron *own, const double *p, double *diagonal);

fmal_status fmal_kron_gram(const fmal_factor *f, const uint8_t *take, double weight,
                           fmal_dmat *out, double *flops);
double fmal_kron_gram_bytes(const fmal_factor *f);
double fmal_kron_gram_flops(const fmal_factor *f);

fmal_status fmal_kron_gram_blocks(const fmal_factor *f, const uint8_t *take,
                                  double weight, const fmal_part *classes,
                                  size_t stride, double *out, double *flops);

void fmal_kron_cut(const fmal_factor *f, fmal_fisher fisher, fmal_idx il, double *cut);

double fmal_kron_stream_bytes(const fmal_factor *f, double slots, bool one_step);
double fmal_kron_stream_flops(const fmal_factor *f);
fmal_status fmal_kron_stream_open(fmal_stream *s);
void fmal_kron_stream_close(fmal_stream *s);
void fmal_kron_stream_put(fmal_stream *s, fmal_idx tile);
void fmal_kron_stream_push(fmal_stream *s, int step, const double *wz);
int fmal_kron_stream_apply(fmal_stream *s, int first, int last, fmal_idx tile,
                           int n_tiles, float *pq);

/* Products of two features are made so many at a time: 256 samples of them fill the L2
   cache. */
enum { FMAL_KRON_PAIRS = 512 };

/* products [width, m]: h_a h_b of samples ht [d, m], for `width` pairs a <= b from (*a,
 *b) on, a running fastest; advances (*a, *b). */
void fmal_kron_products(const double *ht, int m, int width, int *a, int *b,
                        double *products);

/*
 * Loops over lanes; one copy for each instruction set.
 *
 * y      [cols, r, ld]: rows of H W, samples along ld
 * root, shift  [r, LANES]
 * swap   [LANES]
 * out    [cols, r, LANES]: root_k (y_k - sum_m shift_m y_m), but in row `swap` with
 *        minus the sum of all y_m for y_k
 */
#define FMAL_KRON_TILE(isa)                                                            \
    void fmal_kron_project_##isa(int r, int cols, const double *y, int ld,             \
                                 const double *root, const double *shift,              \
                                 const int64_t *swap, double *out)

FMAL_KRON_TILE(plain);
#ifdef FMAL_X86_ISA
FMAL_KRON_TILE(avx2);
FMAL_KRON_TILE(avx512);
#endif

#endif
