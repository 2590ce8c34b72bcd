/* Shared by the files of the mixed form. */
#ifndef FMAL_MIXED_IMPL_H
#define FMAL_MIXED_IMPL_H

#include "kron_impl.h"

/*
 * The factor's data. V_i = S_i [I (x) h_i^T, T_i]. Rows of S_i sum to zero, so that of
 * the c logits only the differences to the last one count: with r = c - 1,
 *
 *     row k of S_i y = (root_k + rest_k) y'_k - root_k sum over m < r of center_m y'_m,
 *     y'_m = y_m - y_last,
 *
 * rest being 0 unless unweighted (mixed.c).
 */
typedef struct mixed {
    const float *h;    /* [n_l, d], borrowed */
    const double *p;   /* [n_l, c], borrowed */
    const float *tail; /* [n_l, c, extra], borrowed */
    int d, c, extra;
    bool unweighted;
    fmal_factor *head; /* the Kronecker form of the head alone, for its sums */
    float *sample;     /* [d + c extra]: features and tail of one sample */
    double *probs;     /* [c] */
    double *root;      /* [r]: its rows of S */
    double *rest;      /* [r] */
    double *center;    /* [c] */
    double *left;      /* [r, c]: S */
    double *h_wide;    /* [d] */
    double *lead;      /* [c, extra]: rows of its tail less the last one */
    double *product;   /* [c, D + 2 r]: work of a sample */
} mixed;

/* A panel's data. */
typedef struct {
    double *root;   /* [groups, r, LANES] */
    double *rest;   /* [groups, r, LANES]; NULL unless unweighted */
    double *shift;  /* [groups, r, LANES]: center without its last element */
    double *ht;     /* [d, m]: features of the block at hand, samples fastest */
    double *tt;     /* [extra, m]: one row of its tails, less the last */
    double *w;      /* [cols, r, d]: the loaded columns' blocks, less the last */
    double *w_tail; /* [cols, extra] */
    double *y;      /* [cols, r, m] */
} mixed_panel;

/* root, rest and center of a sample into own. */
void fmal_mixed_rows(const mixed *own, const double *p);

/* to [columns, m] = numbers of a block's slots, samples fastest, zero in padding: those
   at from + local index * stride, less those at `less` (unless NULL). Returns m. */
int fmal_mixed_turn(const fmal_panel *panel, fmal_idx b, const float *from,
                    const float *less, fmal_idx stride, int columns, double *to);

fmal_status fmal_mixed_gram(const fmal_factor *f, const uint8_t *take, double weight,
                            fmal_dmat *out, double *flops);
double fmal_mixed_gram_bytes(const fmal_factor *f);

/* Forms of several matrices at once, and the bytes that takes for blocks of m slots. */
fmal_status fmal_mixed_quadratic(fmal_panel *panel, int n, const fmal_dmat *const *a,
                                 double *const *g, double *flops);
double fmal_mixed_quadratic_bytes(const mixed *own, double m);

fmal_status fmal_mixed_stream_open(fmal_stream *s);
void fmal_mixed_stream_close(fmal_stream *s);
void fmal_mixed_stream_put(fmal_stream *s, fmal_idx tile);
void fmal_mixed_stream_push(fmal_stream *s, int step, const double *wz);
int fmal_mixed_stream_apply(fmal_stream *s, int first, int last, fmal_idx tile,
                            int n_tiles, float *pq);

#endif
