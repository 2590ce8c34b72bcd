/**
 * Samples for the tests of factors: whole arrays that every rank makes for itself, and
 * this rank's share of them as a factor.
 */
#ifndef FMAL_TEST_SAMPLES_H
#define FMAL_TEST_SAMPLES_H

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fmal/factor.h"
#include "fmal/mem.h"
#include "fmal/rng.h"
#include "fmal_test.h"

/** What class probabilities look like. */
typedef enum {
    SMOOTH, /* softmax of normal numbers */
    ZEROS,  /* some are zero */
    PEAKED, /* 0.999999 for one class */
    ONE_HOT,
    MIXED, /* one of the above, sample by sample */
} prob_kind;

typedef struct {
    int n, d, c;
    float *h;  /* [n, d] */
    double *p; /* [n, c] */
} samples;

static inline void *zeros_of(fmal_idx count, size_t size)
{
    void *x = NULL;

    if (fmal_alloc(&x, count, size) != FMAL_OK)
        abort();
    return x;
}

static inline double *zeros(fmal_idx count)
{
    return zeros_of(count, sizeof(double));
}

static inline void fill_probs(fmal_rng *r, prob_kind kind, int c, double *p)
{
    int top = (int) fmal_rng_below(r, (uint64_t) c);
    double sum = 0;

    if (kind == MIXED)
        kind = (prob_kind) fmal_rng_below(r, MIXED);
    for (int k = 0; k < c; k++) {
        p[k] = kind == ONE_HOT ? 0 : exp(fmal_rng_normal(r));
        if (k == top && kind == ONE_HOT)
            p[k] = 1;
        if (k != top && kind == ZEROS && fmal_rng_below(r, 2) == 0)
            p[k] = 0;
        sum += kind == PEAKED && k == top ? 0 : p[k];
    }
    for (int k = 0; k < c; k++)
        p[k] = (kind == PEAKED ? 1e-6 : 1) * p[k] / sum;
    if (kind == PEAKED)
        p[top] = 0.999999;
}

/** Feature a of all samples is multiplied by scale_first, ..., scale_last, evenly in
   the logarithm. */
static inline samples samples_make(int n, int d, int c, prob_kind kind,
                                   double scale_first, double scale_last, uint32_t seed)
{
    samples s = { n, d, c, zeros_of((fmal_idx) n * d, sizeof(float)),
                  zeros((fmal_idx) n * c) };

    for (int i = 0; i < n; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INITIAL, 0, (uint64_t) i);

        for (int a = 0; a < d; a++) {
            double scale =
                scale_first * pow(scale_last / scale_first, d > 1 ? a / (d - 1.0) : 0);

            s.h[i * d + a] = (float) (scale * fmal_rng_normal(&r));
        }
        fill_probs(&r, kind, c, s.p + i * c);
    }
    return s;
}

static inline void samples_clear(samples *s)
{
    fmal_free(&s->h);
    fmal_free(&s->p);
}

/** This rank's share. part is kept by the caller. */
static inline fmal_factor *factor_of(const fmal_ctx *ctx, const samples *s, int block,
                                     fmal_part *part)
{
    fmal_factor *f = NULL;

    *part = fmal_part_make(s->n, block, ctx);
    if (fmal_factor_kron(ctx, part, s->h + part->first * s->d,
                         s->p + part->first * s->c, s->d, s->c, &f) != FMAL_OK)
        abort();
    return f;
}

/** (diag p - p p^T)_kl of sample i, without cancellation. */
static inline long double information(const samples *s, int i, int k, int l)
{
    const double *p = s->p + i * s->c;
    long double rest = 0;

    if (k != l)
        return -(long double) p[k] * p[l];
    for (int m = 0; m < s->c; m++)
        rest += m == k ? 0 : p[m];
    return p[k] * rest;
}

/** A matrix of order n, whole, on one rank of ctx or spread, from column-major a. */
static inline fmal_dmat *spread(const fmal_grid *grid, int n, const double *a)
{
    fmal_dmat *m = NULL;

    if (fmal_dmat_create(grid, n, &m) != FMAL_OK)
        abort();
    for (int j = 0; a && j < n; j++)
        for (int i = 0; i < n; i++)
            fmal_dmat_add_at(m, i, j, a[j * n + i]);
    return m;
}

static inline double *whole_of(const fmal_dmat *m)
{
    double *a = zeros((fmal_idx) m->n * m->n);

    fmal_dmat_get(m, 0, 0, m->n, m->n, a);
    return a;
}

static inline bool same_bits(const double *a, const double *b, fmal_idx count)
{
    return count == 0 || memcmp(a, b, sizeof(double) * (size_t) count) == 0;
}

#endif
