/*
 * Uncertainty of the model's own prediction (Settles 2009, section 3.1): the samples
 * whose class probabilities p are least decided.
 */
#include "strategy_impl.h"
#include "fmal/mem.h"

#include <math.h>

/* - sum p log p, nats; 0 log 0 = 0. */
static double entropy(const double *p, int c)
{
    double sum = 0;

    for (int k = 0; k < c; k++)
        if (p[k] > 0)
            sum -= p[k] * log(p[k]);
    return sum;
}

/* Minus the lead of the most probable class over the next. */
static double margin(const double *p, int c)
{
    double first = 0, second = 0;

    for (int k = 0; k < c; k++) {
        if (p[k] > first) {
            second = first;
            first = p[k];
        } else if (p[k] > second) {
            second = p[k];
        }
    }
    return second - first;
}

/* The probability that the most probable class is wrong. */
static double doubt(const double *p, int c)
{
    double first = 0;

    for (int k = 0; k < c; k++)
        if (p[k] > first)
            first = p[k];
    return 1 - first;
}

static fmal_status pick_by(const fmal_query *q, fmal_idx k,
                           double (*uncertainty)(const double *, int), fmal_batch *out)
{
    double *score = NULL;
    fmal_status st = fmal_agree(q->ctx, FMAL_ALLOC(&score, q->part->count));

    for (fmal_idx i = 0; i < q->part->count && st == FMAL_OK; i++)
        score[i] = uncertainty(q->probs + i * q->c, q->c);
    if (st == FMAL_OK)
        st = fmal_pick_best(q->ctx, q->part, q->role, score, k, out);
    fmal_free(&score);
    return st;
}

fmal_status fmal_pick_entropy(const fmal_query *q, fmal_idx k, fmal_batch *out)
{
    return pick_by(q, k, entropy, out);
}

static fmal_status pick_entropy(const fmal_query *q, fmal_batch *out)
{
    return fmal_pick_entropy(q, q->options.batch, out);
}

static fmal_status pick_margin(const fmal_query *q, fmal_batch *out)
{
    return pick_by(q, q->options.batch, margin, out);
}

static fmal_status pick_confidence(const fmal_query *q, fmal_batch *out)
{
    return pick_by(q, q->options.batch, doubt, out);
}

static const char *const no_options[] = { NULL };

const fmal_strategy fmal_strategy_entropy = {
    .name = "entropy",
    .summary = "samples with the largest entropy of class probabilities",
    .score = "entropy",
    .unit = "nat",
    .time = "n c / P",
    .memory = "n (4 d + 12 c + 10) / P bytes",
    .options = no_options,
    .pick = pick_entropy,
};

const fmal_strategy fmal_strategy_margin = {
    .name = "margin",
    .summary = "samples with the smallest lead of the first class over the second",
    .score = "minus the lead of the first class",
    .unit = NULL,
    .time = "n c / P",
    .memory = "n (4 d + 12 c + 10) / P bytes",
    .options = no_options,
    .pick = pick_margin,
};

const fmal_strategy fmal_strategy_confidence = {
    .name = "confidence",
    .summary = "samples whose most probable class is least probable",
    .score = "1 - probability of the first class",
    .unit = NULL,
    .time = "n c / P",
    .memory = "n (4 d + 12 c + 10) / P bytes",
    .options = no_options,
    .pick = pick_confidence,
};
