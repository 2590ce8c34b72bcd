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

/** Forms of factors; the last two are mixed. */
typedef enum { FULL, TOPC, BINARY, DENSE, MASKED, UNWEIGHTED } form_kind;

/** What class probabilities look like. */
typedef enum {
    SMOOTH, /* softmax of normal numbers */
    ZEROS,  /* some are zero */
    PEAKED, /* 0.999999 for one class */
    ONE_HOT,
    MIXED, /* one of the above, sample by sample */
    EVEN,  /* all equal */
} prob_kind;

typedef struct {
    int n, d, c;
    float *h;  /* [n, d] */
    double *p; /* [n, c] */
    form_kind form;
    int top; /* of TOPC: classes; of DENSE: rows; of mixed forms: columns of the tail */
    float *v; /* of DENSE: [n, top, c d] */
    float *t; /* of mixed forms: [n, c, top] */
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
        p[k] = kind == ONE_HOT ? 0 : kind == EVEN ? 1 : exp(fmal_rng_normal(r));
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
    samples s = { .n = n,
                  .d = d,
                  .c = c,
                  .h = zeros_of((fmal_idx) n * d, sizeof(float)),
                  .p = zeros((fmal_idx) n * c) };

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

static inline bool is_mixed(const samples *s)
{
    return s->form == MASKED || s->form == UNWEIGHTED;
}

static inline float *normal_floats(fmal_idx count, uint32_t seed)
{
    float *x = zeros_of(count, sizeof(float));

    for (fmal_idx i = 0; i < count; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INIT, 0, (uint64_t) i);

        x[i] = (float) fmal_rng_normal(&r);
    }
    return x;
}

/** Give samples another form; top as in the struct. */
static inline void samples_form(samples *s, form_kind form, int top)
{
    s->form = form;
    s->top = top;
    if (form == DENSE)
        s->v = normal_floats((fmal_idx) s->n * top * s->c * s->d, 19);
    if (is_mixed(s))
        s->t = normal_floats((fmal_idx) s->n * s->c * top, 20);
}

static inline void samples_clear(samples *s)
{
    fmal_free(&s->h);
    fmal_free(&s->p);
    fmal_free(&s->v);
    fmal_free(&s->t);
}

/** Columns and rows of their factors. */
static inline int order_of(const samples *s)
{
    return s->form == BINARY ? s->d : s->c * s->d + (is_mixed(s) ? s->top : 0);
}

static inline int rank_of(const samples *s)
{
    return s->form == FULL || is_mixed(s) ? s->c - 1 : s->form == BINARY ? 1 : s->top;
}

/** This rank's share. part is kept by the caller. */
static inline fmal_factor *factor_of(const fmal_ctx *ctx, const samples *s, int block,
                                     fmal_part *part)
{
    static const fmal_likelihood likelihoods[] = { FMAL_LIKELIHOOD_FULL,
                                                   FMAL_LIKELIHOOD_TOPC,
                                                   FMAL_LIKELIHOOD_BINARY };
    fmal_factor *f = NULL;
    fmal_status st;

    *part = fmal_part_make(s->n, block, ctx);
    if (s->form == DENSE)
        st = fmal_factor_dense(ctx, part, s->v + part->first * s->top * order_of(s),
                               s->top, order_of(s), &f);
    else if (is_mixed(s))
        st = fmal_factor_mixed(ctx, part, s->h + part->first * s->d,
                               s->p + part->first * s->c,
                               s->top ? s->t + part->first * s->c * s->top : NULL, s->d,
                               s->c, s->top, s->form == UNWEIGHTED, &f);
    else if (s->form == FULL)
        st = fmal_factor_kron(ctx, part, s->h + part->first * s->d,
                              s->p + part->first * s->c, s->d, s->c, &f);
    else
        st = fmal_factor_kron_of(ctx, part, s->h + part->first * s->d,
                                 s->p + part->first * s->c, s->d, s->c,
                                 likelihoods[s->form], s->top, &f);
    if (st != FMAL_OK)
        abort();
    return f;
}

/** Class number `place` by probability, of equals the first. */
static inline int ranked_class(const double *p, int c, int place)
{
    for (int k = 0; k < c; k++) {
        int before = 0;

        for (int m = 0; m < c; m++)
            before += p[m] > p[k] || (p[m] == p[k] && m < k);
        if (before == place)
            return k;
    }
    return -1;
}

/** 1 - p_k as the sum of the others: p is never rounded to 1. */
static inline double rest_of(const double *p, int c, int k)
{
    double rest = 0;

    for (int m = 0; m < c; m++)
        rest += m == k ? 0 : p[m];
    return rest;
}

/** Rows of mixed forms: sqrt(p_y), or 1, times (e_y - p) [I (x) h, T]. */
static inline void mixed_rows(const samples *s, int i, double *v)
{
    const double *p = s->p + i * s->c;
    int order = order_of(s), head = s->c * s->d;

    for (int y = 0; y < s->c; y++)
        for (int x = 0; x < order; x++) {
            long double sum = 0;

            for (int k = 0; k < s->c; k++) {
                double slope = x >= head ? s->t[(i * s->c + k) * s->top + x - head]
                               : x / s->d == k ? s->h[i * s->d + x % s->d]
                                               : 0;
                long double rest = 0; /* 1 - p_y, as the sum of the others */

                for (int m = 0; m < s->c && k == y; m++)
                    rest += m == y ? 0 : p[m];
                sum += (k == y ? rest : -(long double) p[k]) * slope;
            }
            v[y * order + x] = (double) ((s->form == MASKED ? sqrtl(p[y]) : 1) * sum);
        }
}

/** Rows sqrt(q_y) (e_y - p) (x) h of the Kronecker forms, as the papers have them.
    @return how many; v has room for c rows. */
static inline int rows_by_definition(const samples *s, int i, double *v)
{
    const double *p = s->p + i * s->c;
    const float *h = s->h + i * s->d;
    int rows = s->form == FULL   ? s->c
               : s->form == TOPC ? s->top
                                 : 2,
        order = order_of(s);
    int first = ranked_class(p, s->c, 0);
    double sum = 0, rest = rest_of(p, s->c, first);

    if (s->form == DENSE) {
        for (int x = 0; x < s->top * order; x++)
            v[x] = s->v[i * s->top * order + x];
        return s->top;
    }
    if (is_mixed(s)) {
        mixed_rows(s, i, v);
        return s->c;
    }
    for (int y = 0; y < s->top && s->form == TOPC; y++)
        sum += p[ranked_class(p, s->c, y)];
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < order; x++) {
            int class = s->form == TOPC ? ranked_class(p, s->c, y) : y;
            double weight = s->form == TOPC ? sqrt(p[class] / sum) : sqrt(p[class]);
            double slope = x / s->d == class ? rest_of(p, s->c, class) : -p[x / s->d];

            if (s->form == BINARY) { /* right, and wrong */
                weight = y == 0 ? sqrt(p[first]) : sqrt(rest);
                slope = y == 0 ? rest : -p[first];
            }
            v[y * order + x] = weight * slope * (double) h[x % s->d];
        }
    return rows;
}

/** (diag p - p p^T)_kl of sample i, of the full form, without cancellation. */
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
