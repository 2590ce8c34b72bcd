/* Shared by the files of the Kronecker form. */
#ifndef FMAL_KRON_IMPL_H
#define FMAL_KRON_IMPL_H

#include "factor_impl.h"

/*
 * The factor's data. V_i = R_i (x) h_i^T with row k of R_i
 *
 *     root_k (e_pick_k - center)      over the class blocks,
 *
 * whatever the likelihood (kron_likelihood.c). Where rows sum to zero over classes the
 * last class block follows from the others and is not computed.
 */
typedef struct kron {
    fmal_rows h;     /* [n_l, d], borrowed */
    const double *p; /* [n_l, c], borrowed */
    fmal_likelihood likelihood;
    int d, c;
    int top;          /* of topc */
    int blocks, used; /* class blocks of a matrix: c or 1; those computed: c - 1 or 1 */
    bool zero_sum;    /* rows of R sum to zero */
    double *sample;   /* [d + c]: features and probabilities of one sample */
    double *root;     /* [r]: its rows of R */
    int *pick;        /* [r] */
    double *center;   /* [blocks] */
    double *work;     /* [blocks] */
    double *left;     /* [r, used]: R of one sample, for leading columns */
    double *product;  /* [used, used d], of at least 2 r rows: work of a sample */
} kron;

/* A panel's data. */
typedef struct {
    double *root;  /* [groups, r, LANES] */
    double *shift; /* [groups, used, LANES] */
    int *pick;     /* [groups, r, LANES]; NULL where row k picks class k */
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

/* root, pick and center of a sample into own->root, own->pick, own->center. */
void fmal_kron_rows(const kron *own, const double *p);

/* Class pairs k >= l whose weights make up sums of V^T V. Of the full likelihood only k
   > l: its diagonal blocks are minus the sums of the others. */
int fmal_kron_weight_count(const kron *own);

/* Weights of those pairs, `stride` apart: of the full likelihood p_k p_l, whose block
   is minus that; else the entry (k, l) of R^T R. Packed by rows k. */
void fmal_kron_weights(const kron *own, const double *p, double *weight,
                       fmal_idx stride);

/* Diagonal of R^T R, [blocks], without cancellation. */
void fmal_kron_diagonal(const kron *own, const double *p, double *diagonal);

fmal_status fmal_kron_gram(const fmal_factor *f, const uint8_t *take, double weight,
                           fmal_dmat *out, double *flops);
double fmal_kron_gram_bytes(const fmal_factor *f);
double fmal_kron_gram_flops(const fmal_factor *f);

double fmal_kron_stream_bytes(const fmal_factor *f, double slots, bool one_step);
double fmal_kron_stream_flops(const fmal_factor *f);
fmal_status fmal_kron_stream_open(fmal_stream *s);
void fmal_kron_stream_close(fmal_stream *s);
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
 * out    [cols, r, LANES]: root_k (y_k - sum_m shift_m y_m)
 */
#define FMAL_KRON_TILE(isa)                                                            \
    void fmal_kron_project_##isa(int r, int cols, const double *y, int ld,             \
                                 const double *root, const double *shift, double *out)

FMAL_KRON_TILE(plain);
#ifdef FMAL_X86_ISA
FMAL_KRON_TILE(avx2);
FMAL_KRON_TILE(avx512);
#endif

#endif
