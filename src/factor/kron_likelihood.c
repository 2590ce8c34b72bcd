/*
 * What one sample's probabilities say: the matrix R of its factor R (x) h^T.
 *
 * full    R = diag(s) (I - 1 p^T), s = sqrt(p), has s^T R = 0, so that its c rows have
 *         rank c - 1. A reflection that sends s to the last axis turns the last row to
 *         zero and leaves R^T R alone. With a = s_c / (1 + s_c) the other rows are
 *
 *             row k = s_k (e_k - q),    q = (1 - a) p + a e_c,    k < c.
 *
 * topc    row k = sqrt(q_k) (e_j - p), j the k-th most probable class, q renormalised.
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

/* 1 - p_k for every class, as the sum of the others: no cancellation. */
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

/* p (1 - p) of the most probable class. */
static double binary_weight(const double *p, int c)
{
    int top = first_class(p, c);
    double rest = 0;

    for (int k = 0; k < c; k++)
        rest += k == top ? 0 : p[k];
    return p[top] * rest;
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
    int c = own->c;
    double last = sqrt(p[c - 1]), a = last / (1 + last);

    for (int k = 0; k < c; k++)
        own->center[k] = (1 - a) * p[k];
    own->center[c - 1] += a;
    for (int k = 0; k < c - 1; k++) {
        own->root[k] = sqrt(p[k]);
        own->pick[k] = k;
    }
}

void fmal_kron_rows(const kron *own, const double *p)
{
    switch (own->likelihood) {
    case FMAL_LIKELIHOOD_FULL:
        full_rows(own, p);
        break;
    case FMAL_LIKELIHOOD_TOPC: {
        double sum = top_classes(p, own->c, own->top, own->pick);

        for (int i = 0; i < own->top; i++)
            own->root[i] = sqrt(p[own->pick[i]] / sum);
        memcpy(own->center, p, sizeof(double) * (size_t) own->c);
        break;
    }
    case FMAL_LIKELIHOOD_BINARY:
        own->root[0] = sqrt(binary_weight(p, own->c));
        own->pick[0] = 0;
        own->center[0] = 0;
    }
}

int fmal_kron_weight_count(const kron *own)
{
    int n = own->blocks;

    return own->likelihood == FMAL_LIKELIHOOD_FULL ? n * (n - 1) / 2 : n * (n + 1) / 2;
}

/* own->work = q of all classes: renormalised in the top ones, else 0. */
static void top_probabilities(const kron *own, const double *p)
{
    double sum = top_classes(p, own->c, own->top, own->pick);

    memset(own->work, 0, sizeof(double) * (size_t) own->c);
    for (int i = 0; i < own->top; i++)
        own->work[own->pick[i]] = p[own->pick[i]] / sum;
}

void fmal_kron_weights(const kron *own, const double *p, double *weight,
                       fmal_idx stride)
{
    const double *q = own->work;

    switch (own->likelihood) {
    case FMAL_LIKELIHOOD_FULL:
        for (int k = 0; k < own->c; k++)
            for (int l = 0; l < k; l++, weight += stride)
                *weight =
                    own->unweighted ? p[k] + p[l] - own->c * p[k] * p[l] : p[k] * p[l];
        break;
    case FMAL_LIKELIHOOD_TOPC: /* diag q - q p^T - p q^T + p p^T, since q sums to 1 */
        top_probabilities(own, p);
        for (int k = 0; k < own->c; k++) {
            for (int l = 0; l < k; l++, weight += stride)
                *weight = p[k] * p[l] - q[k] * p[l] - p[k] * q[l];
            *weight = q[k] * (1 - p[k]) * (1 - p[k]) + (1 - q[k]) * p[k] * p[k];
            weight += stride;
        }
        break;
    case FMAL_LIKELIHOOD_BINARY:
        *weight = binary_weight(p, own->c);
    }
}

void fmal_kron_diagonal(const kron *own, const double *p, double *diagonal)
{
    switch (own->likelihood) {
    case FMAL_LIKELIHOOD_FULL:
        rest_of(p, own->c, diagonal);
        for (int k = 0; k < own->c; k++)
            diagonal[k] = own->unweighted
                              ? diagonal[k] * diagonal[k] + (own->c - 1) * p[k] * p[k]
                              : diagonal[k] * p[k];
        break;
    case FMAL_LIKELIHOOD_TOPC:
        top_probabilities(own, p);
        for (int k = 0; k < own->c; k++)
            diagonal[k] = own->work[k] * (1 - p[k]) * (1 - p[k]) +
                          (1 - own->work[k]) * p[k] * p[k];
        break;
    case FMAL_LIKELIHOOD_BINARY:
        diagonal[0] = binary_weight(p, own->c);
    }
}
