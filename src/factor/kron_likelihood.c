/*
 * What one sample's probabilities say: the matrix R of its factor R (x) h^T.
 *
 * full    R = diag(s) (I - 1 p^T), s = sqrt(p), has s^T R = 0, so that its c rows have
 *         rank c - 1. A reflection that sends s to axis t turns row t to zero and
 *         leaves R^T R alone. With a = s_t / (1 + s_t) the other rows are
 *
 *             row k = s_k (e_k - q),    q = (1 - a) p + a e_t,    k != t.
 *
 *         t is the most probable class: then 1 - q_k is at least a half in all rows,
 *         and nothing cancels however sure the sample is. The row of the last class,
 *         unless that is t, takes the place of row t.
 * topc    row k = sqrt(q_k) (e_j - p), j the k-th most probable class, q renormalised.
 *         The first of them is t, and 1 - p_t is the sum of the others; so rows are
 *         given as e_j - e_t - (p - e_t).
 * binary  the rows sqrt(p) (1 - p) and -sqrt(1 - p) p of one class block are parallel:
 * one row sqrt(p (1 - p)).
 */
#include "kron_impl.h"

#include <math.h>
#include <string.h>

void fmal_kron_sizes(fmal_likelihood likelihood, int top, int d, int c, fmal_idx *order,
                     int *rank)
{
    *order = likelihood == FMAL_LIKELIHOOD_BINARY ? d : (fmal_idx) d * c;
    *rank = likelihood == FMAL_LIKELIHOOD_FULL   ? c - 1
            : likelihood == FMAL_LIKELIHOOD_TOPC ? top
                                                 : 1;
}

/* 1 - p_k of every class, as the sum of the others: no cancellation. */
static void rest_of(const double *p, int c, double *rest)
{
    double before = 0, after = 0;

    for (int k = 0; k < c; k++) {
        rest[k] = before;
        before += p[k];
    }
    for (int k = c - 1; k >= 0; k--) {
        rest[k] += after;
        after += p[k];
    }
}

/* The most probable class; of equals the first. */
static int first_class(const double *p, int c)
{
    int top = 0;

    for (int k = 1; k < c; k++)
        if (p[k] > p[top])
            top = k;
    return top;
}

/* 1 - p_k, the same way. */
static double rest_of_one(const double *p, int c, int k)
{
    double rest = 0;

    for (int m = 0; m < c; m++)
        rest += m == k ? 0 : p[m];
    return rest;
}

/* p (1 - p) of the most probable class. */
static double binary_weight(const double *p, int c)
{
    int top = first_class(p, c);

    return p[top] * rest_of_one(p, c, top);
}

/* The `top` most probable classes, of equals the first, and their share of all. */
static double top_classes(const double *p, int c, int top, int *pick)
{
    double sum = 0;

    for (int i = 0; i < top; i++) {
        int best = -1;

        for (int k = 0; k < c; k++) {
            bool taken = false;

            for (int j = 0; j < i; j++)
                taken = taken || pick[j] == k;
            if (!taken && (best < 0 || p[k] > p[best]))
                best = k;
        }
        pick[i] = best;
        sum += p[best];
    }
    return sum;
}

static void full_rows(const kron *own, const double *p)
{
    int c = own->c, top = first_class(p, c);
    double most = sqrt(p[top]), a = most / (1 + most);

    for (int k = 0; k < c; k++)
        own->center[k] = p[k] / (1 + most);
    own->center[top] += a;
    for (int k = 0; k < c - 1; k++) {
        own->pick[k] = k == top ? c - 1 : k;
        own->root[k] = sqrt(p[own->pick[k]]);
    }
}

static void topc_rows(kron *own, const double *p)
{
    double sum = top_classes(p, own->c, own->top, own->pick);

    for (int i = 0; i < own->top; i++)
        own->root[i] = sqrt(p[own->pick[i]] / sum);
    own->base = own->pick[0];
    memcpy(own->center, p, sizeof(double) * (size_t) own->c);
    own->center[own->base] = -rest_of_one(p, own->c, own->base);
}

void fmal_kron_rows(kron *own, const double *p)
{
    own->base = -1;
    switch (own->likelihood) {
    case FMAL_LIKELIHOOD_FULL:
        full_rows(own, p);
        break;
    case FMAL_LIKELIHOOD_TOPC:
        topc_rows(own, p);
        break;
    case FMAL_LIKELIHOOD_BINARY:
        own->root[0] = sqrt(binary_weight(p, own->c));
        own->pick[0] = 0;
        own->center[0] = 0;
    }
}

double fmal_kron_shift(const kron *own, int m)
{
    return own->zero_sum ? own->center[m] - own->center[own->used] : 0;
}

int fmal_kron_swap(const kron *own)
{
    if (own->likelihood == FMAL_LIKELIHOOD_FULL)
        for (int k = 0; k < own->used; k++)
            if (own->pick[k] != k)
                return k;
    return -1;
}

int fmal_kron_weight_count(const kron *own)
{
    int n = own->blocks;

    return own->likelihood == FMAL_LIKELIHOOD_FULL ? n * (n - 1) / 2 : n * (n + 1) / 2;
}

/*
 * Of topc: R^T R = diag q - q p^T - p q^T + p p^T, since q sums to 1. With S the sum of
 * the top classes' p and T that of the others, q_k = p_k / S in the top ones and 0
 * elsewhere, element (k, l) is p_k p_l times
 *
 *     -(1 + T) / S   both in the top,     -T / S   one of them,    1   neither,
 *
 * and element (k, k) is q_k (1 - p_k)^2 + (1 - q_k) p_k^2.
 */
typedef struct {
    double both, one; /* those factors */
    double sum;       /* S */
} top_factors;

/* Also own->work = 1 in the top classes and 0 elsewhere. */
static top_factors find_top(const kron *own, const double *p)
{
    top_factors f = { .sum = top_classes(p, own->c, own->top, own->pick) };
    double others = 0;

    memset(own->work, 0, sizeof(double) * (size_t) own->c);
    for (int i = 0; i < own->top; i++)
        own->work[own->pick[i]] = 1;
    for (int k = 0; k < own->c; k++)
        others += own->work[k] > 0 ? 0 : p[k];
    f.both = -(1 + others) / f.sum;
    f.one = -others / f.sum;
    return f;
}

static double topc_diagonal(const kron *own, const double *p, const top_factors *f,
                            int k)
{
    double rest = rest_of_one(p, own->c, k), left = 0;

    if (own->work[k] == 0)
        return p[k] * p[k];
    for (int i = 0; i < own->top; i++)
        left += own->pick[i] == k ? 0 : p[own->pick[i]];
    return (p[k] * rest * rest + left * p[k] * p[k]) / f->sum;
}

static double topc_element(const kron *own, const double *p, const top_factors *f,
                           int k, int l)
{
    double in = own->work[k] + own->work[l];

    return p[k] * p[l] * (in > 1 ? f->both : in > 0 ? f->one : 1);
}

void fmal_kron_weights(const kron *own, const double *p, double *weight,
                       fmal_idx stride)
{
    top_factors f;

    switch (own->likelihood) {
    case FMAL_LIKELIHOOD_FULL:
        for (int k = 0; k < own->c; k++)
            for (int l = 0; l < k; l++, weight += stride)
                *weight =
                    own->unweighted ? p[k] + p[l] - own->c * p[k] * p[l] : p[k] * p[l];
        break;
    case FMAL_LIKELIHOOD_TOPC:
        f = find_top(own, p);
        for (int k = 0; k < own->c; k++) {
            for (int l = 0; l < k; l++, weight += stride)
                *weight = topc_element(own, p, &f, k, l);
            *weight = topc_diagonal(own, p, &f, k);
            weight += stride;
        }
        break;
    case FMAL_LIKELIHOOD_BINARY:
        *weight = binary_weight(p, own->c);
    }
}

void fmal_kron_diagonal(const kron *own, const double *p, double *diagonal)
{
    top_factors f;

    switch (own->likelihood) {
    case FMAL_LIKELIHOOD_FULL:
        rest_of(p, own->c, diagonal);
        for (int k = 0; k < own->c; k++)
            diagonal[k] = own->unweighted
                              ? diagonal[k] * diagonal[k] + (own->c - 1) * p[k] * p[k]
                              : diagonal[k] * p[k];
        break;
    case FMAL_LIKELIHOOD_TOPC:
        f = find_top(own, p);
        for (int k = 0; k < own->c; k++)
            diagonal[k] = topc_diagonal(own, p, &f, k);
        break;
    case FMAL_LIKELIHOOD_BINARY:
        diagonal[0] = binary_weight(p, own->c);
    }
}
