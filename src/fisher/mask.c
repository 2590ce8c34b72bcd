/*
 * Which parameters.
 *
 * Every method marks the whole head and, outside of it, the best of one or several
 * ranges of positions; the marked positions, from the first to the last, are the mask.
 * A random mask is the global one of keyed draws in place of information.
 *
 * The public code of Gul et al. 2024 knows them as standard, dispersed and relative;
 * its relative method compares with the mean of another tensor, ours with its own.
 */
#include "fmal/mask.h"
#include "fisher_impl.h"
#include "fmal/mem.h"
#include "fmal/rng.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const fmal_mask_method_names[] = { "global", "layerwise", "relative",
                                               "random", NULL };
const char *const fmal_mask_images_names[] = { "random", "first", NULL };

/* FMAL_MASK_RELATIVE: above this many means, at most this share. */
static const double relative_means = 2, relative_share = 0.025;

/* ---- How many ---- */

/* A share of n, rounded down; 0.29 of 100 is 29, though 0.29 * 100 is less. */
static fmal_idx share_of(double fraction, fmal_idx n)
{
    fmal_idx m = (fmal_idx) floor(fraction * (double) n * (1 + 4 * DBL_EPSILON));

    return m < n ? m : n;
}

static const fmal_tensor *head_of(const fmal_net *net)
{
    return fmal_net_tensor(net, fmal_net_tensors(net) - 1);
}

/* The fraction that the head is, rounded up to six digits. */
static double least_fraction(fmal_idx head, fmal_idx size)
{
    double x = (double) head / (double) size;
    double unit = pow(10, floor(log10(x)) - 5);

    return fmin(ceil(x / unit * (1 - 4 * DBL_EPSILON)) * unit, 1);
}

fmal_status fmal_mask_check(const fmal_net *net, const fmal_mask_options *o)
{
    fmal_idx size = fmal_net_size(net), head = head_of(net)->count;
    fmal_idx m = share_of(o->fraction, size);

    if (o->method == FMAL_MASK_LAYERWISE || o->method == FMAL_MASK_RELATIVE ||
        m >= head)
        return FMAL_OK;
    return FMAL_FAIL(FMAL_ERR_USAGE,
                     "a mask of fraction %g has %" PRId64 " of %" PRId64
                     " parameters, but the head, which always belongs to it, has "
                     "%" PRId64 "; give a fraction of %.6g or more",
                     o->fraction, m, size, head, least_fraction(head, size));
}

fmal_idx fmal_mask_most_extra(const fmal_net *net, const fmal_mask_options *o)
{
    const double share = o->method == FMAL_MASK_RELATIVE ? relative_share : o->fraction;
    fmal_idx most = 0;

    if (o->method == FMAL_MASK_GLOBAL || o->method == FMAL_MASK_RANDOM)
        return share_of(o->fraction, fmal_net_size(net)) - head_of(net)->count;
    for (int i = 0; i < fmal_net_tensors(net) - 1; i++)
        most += share_of(share, fmal_net_tensor(net, i)->count);
    return most;
}

/* ---- Which ---- */

/* A position and what it is chosen by. */
typedef struct {
    double value;
    fmal_idx index;
} entry;

/* Largest value first; of equals, the lowest position. */
static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->index > y->index ? 1 : -1;
}

/* Mark the k best of positions [first, first + n). */
static void mark_best(const double *value, fmal_idx first, fmal_idx n, fmal_idx k,
                      entry *work, uint8_t *keep)
{
    if (k < 1)
        return;
    for (fmal_idx i = 0; i < n; i++)
        work[i] = (entry){ value[first + i], first + i };
    qsort(work, (size_t) n, sizeof *work, compare_entries);
    for (fmal_idx i = 0; i < k; i++)
        keep[work[i].index] = 1;
}

/* How many of a tensor's elements are above relative_means of its mean. */
static fmal_idx count_above(const double *value, const fmal_tensor *t)
{
    double sum = 0;
    fmal_idx above = 0;

    for (fmal_idx i = t->offset; i < t->offset + t->count; i++)
        sum += value[i];
    for (fmal_idx i = t->offset; i < t->offset + t->count; i++)
        above += value[i] > relative_means * (sum / (double) t->count);
    return above;
}

/* How many of a tensor outside of the head the method takes. */
static fmal_idx tensor_share(const fmal_mask_options *o, const double *value,
                             const fmal_tensor *t)
{
    if (o->method == FMAL_MASK_LAYERWISE)
        return share_of(o->fraction, t->count);
    fmal_idx above = count_above(value, t), most = share_of(relative_share, t->count);
    return above < most ? above : most;
}

static void mark(const fmal_net *net, const fmal_mask_options *o, const double *value,
                 entry *work, uint8_t *keep)
{
    const fmal_tensor *head = head_of(net);

    memset(keep + head->offset, 1, (size_t) head->count);
    if (o->method == FMAL_MASK_GLOBAL || o->method == FMAL_MASK_RANDOM) {
        fmal_idx m = share_of(o->fraction, fmal_net_size(net));

        mark_best(value, 0, head->offset, m - head->count, work, keep);
        return;
    }
    for (int i = 0; i < fmal_net_tensors(net) - 1; i++) {
        const fmal_tensor *t = fmal_net_tensor(net, i);

        mark_best(value, t->offset, t->count, tensor_share(o, value, t), work, keep);
    }
}

/* ---- As a mask ---- */

/* The marked positions, in order. */
static fmal_status collect(const uint8_t *keep, const double *value, fmal_mask *mask)
{
    for (fmal_idx i = 0; i < mask->size; i++)
        mask->count += keep[i];
    FMAL_TRY(FMAL_ALLOC(&mask->index, mask->count));
    if (value)
        FMAL_TRY(FMAL_ALLOC(&mask->value, mask->count));
    fmal_idx n = 0;
    for (fmal_idx i = 0; i < mask->size; i++) {
        if (!keep[i])
            continue;
        if (value)
            mask->value[n] = value[i];
        mask->index[n++] = i;
    }
    return FMAL_OK;
}

static void draw_values(const fmal_mask_options *o, fmal_idx n, double *value)
{
    for (fmal_idx i = 0; i < n; i++) {
        fmal_rng r = fmal_rng_stream(o->seed, FMAL_RNG_MASK, o->round, (uint64_t) i);

        value[i] = fmal_rng_uniform(&r);
    }
}

fmal_status fmal_mask_choose(const fmal_net *net, const fmal_mask_options *o,
                             const double *diagonal, fmal_mask *out)
{
    fmal_mask mask = { .size = fmal_net_size(net) };
    double *drawn = NULL;
    entry *work = NULL;
    uint8_t *keep = NULL;
    bool random = o->method == FMAL_MASK_RANDOM;

    FMAL_TRY(fmal_mask_check(net, o));
    fmal_status st = FMAL_ALLOC(&work, mask.size);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&keep, mask.size);
    if (st == FMAL_OK && random)
        st = FMAL_ALLOC(&drawn, mask.size);
    if (st == FMAL_OK) {
        if (random)
            draw_values(o, mask.size, drawn);
        mark(net, o, random ? drawn : diagonal, work, keep);
        st = collect(keep, random ? NULL : diagonal, &mask);
    }
    fmal_free(&work);
    fmal_free(&keep);
    fmal_free(&drawn);
    mask.extra = mask.count - head_of(net)->count;
    if (st == FMAL_OK)
        *out = mask;
    else
        fmal_mask_clear(&mask);
    return st;
}

void fmal_mask_clear(fmal_mask *mask)
{
    fmal_free(&mask->index);
    fmal_free(&mask->value);
    fmal_free(&mask->samples);
    *mask = (fmal_mask){ 0 };
}

fmal_status fmal_mask_tensors(const fmal_net *net, const fmal_mask *mask,
                              fmal_masked_tensor **out)
{
    fmal_masked_tensor *list = NULL;
    fmal_idx at = 0;

    FMAL_TRY(FMAL_ALLOC(&list, fmal_net_tensors(net)));
    for (int i = 0; i < fmal_net_tensors(net); i++) {
        const fmal_tensor *t = fmal_net_tensor(net, i);

        memcpy(list[i].name, t->name, sizeof list[i].name);
        list[i].offset = t->offset;
        list[i].count = t->count;
        for (; at < mask->count && mask->index[at] < t->offset + t->count; at++)
            list[i].masked++;
    }
    *out = list;
    return FMAL_OK;
}

/* ---- By the data ---- */

static int compare_index(const void *a, const void *b)
{
    const fmal_idx *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The k samples of a split with the largest draws; collective. */
static fmal_status draw_samples(const fmal_ctx *ctx, const fmal_part *part,
                                const fmal_mask_options *o, fmal_idx k, fmal_idx *out)
{
    double *score = NULL;
    fmal_idx *index = NULL, found = 0;
    fmal_best *best = NULL;
    fmal_status st = FMAL_ALLOC(&score, part->count);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&index, part->count);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&best, k);
    for (fmal_idx il = 0; il < part->count && st == FMAL_OK; il++) {
        index[il] = part->first + il;
        fmal_rng r =
            fmal_rng_stream(o->seed, FMAL_RNG_IMAGES, o->round, (uint64_t) index[il]);
        score[il] = fmal_rng_uniform(&r);
    }
    if ((st = fmal_agree(ctx, st)) == FMAL_OK)
        st = fmal_topk(ctx, score, index, part->count, k, best, &found);
    for (fmal_idx i = 0; i < found && st == FMAL_OK; i++)
        out[i] = best[i].index_g;
    qsort(out, (size_t) found, sizeof *out, compare_index);
    fmal_free(&score);
    fmal_free(&index);
    fmal_free(&best);
    return st;
}

/* Samples to average over, to *out [*n]; collective. */
static fmal_status choose_samples(const fmal_ctx *ctx, const fmal_part *part,
                                  const fmal_mask_options *o, fmal_idx **out,
                                  fmal_idx *n)
{
    fmal_idx k = o->samples < part->n ? o->samples : part->n;

    FMAL_TRY(fmal_agree(ctx, FMAL_ALLOC(out, k)));
    *n = k;
    if (o->images == FMAL_IMAGES_RANDOM && k > 0)
        return draw_samples(ctx, part, o, k, *out);
    for (fmal_idx i = 0; i < k; i++)
        (*out)[i] = i;
    return FMAL_OK;
}

static fmal_status make_informed(const fmal_ctx *ctx, fmal_net *net,
                                 const fmal_dataset *set, const fmal_mask_options *o,
                                 const fmal_watch *watch, fmal_mask *out)
{
    fmal_idx *samples = NULL, n = 0;
    double *diagonal = NULL;
    fmal_status st = fmal_agree(ctx, FMAL_ALLOC(&diagonal, fmal_net_size(net)));

    if (st == FMAL_OK)
        st = choose_samples(ctx, &set->train.part, o, &samples, &n);
    if (st == FMAL_OK)
        st = fmal_fisher_diagonal(ctx, net, set, &set->train, samples, n, watch,
                                  diagonal);
    fmal_status mine = st == FMAL_OK ? fmal_mask_choose(net, o, diagonal, out) : st;
    if (st == FMAL_OK && (st = fmal_agree(ctx, mine)) != FMAL_OK && mine == FMAL_OK)
        fmal_mask_clear(out);
    fmal_free(&diagonal);
    if (st == FMAL_OK) {
        out->samples = samples;
        out->n_samples = n;
    } else {
        fmal_free(&samples);
    }
    return st;
}

fmal_status fmal_mask_make(const fmal_ctx *ctx, fmal_net *net, const fmal_dataset *set,
                           const fmal_mask_options *o, const fmal_watch *watch,
                           fmal_mask *out)
{
    FMAL_TRY(fmal_mask_check(net, o)); /* before the work; the same on every rank */
    if (o->method != FMAL_MASK_RANDOM)
        return make_informed(ctx, net, set, o, watch, out);
    fmal_status mine = fmal_mask_choose(net, o, NULL, out), st = fmal_agree(ctx, mine);
    if (st != FMAL_OK && mine == FMAL_OK)
        fmal_mask_clear(out);
    return st;
}
