/*
 * Imbalanced pools. The root sees all labels and decides which samples stay; every
 * sample has a key of (seed, its place in the file), and a class keeps those of the
 * lowest keys, so that the choice depends neither on ranks nor on the other classes.
 * The split is then dealt out anew, since shares are contiguous runs of whole blocks: a
 * pool of a few samples from all over the file would leave ranks with little or
 * nothing, and samples that are only marked as excluded would still count in the
 * pool's Fisher information.
 */
#include "data_impl.h"
#include "fmal/mem.h"
#include "fmal/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

fmal_idx fmal_split_origin(const fmal_split *split, fmal_idx i)
{
    return split->origin ? split->origin[i] : i;
}

void fmal_split_count(const fmal_ctx *ctx, const fmal_split *split, int classes,
                      int64_t *counts)
{
    memset(counts, 0, sizeof *counts * (size_t) classes);
    for (fmal_idx il = 0; il < split->part.count; il++)
        if (split->labels[il] >= 0)
            counts[split->labels[il]]++;
    fmal_sum_i64(ctx, counts, classes);
}

/* ---- What is wanted of each class ---- */

/* Equal on all ranks. A plain value; plan_clear frees the arrays. */
typedef struct {
    fmal_idx *want;   /* [classes of the file] samples to keep */
    int32_t *renamed; /* [the same] label from now on; -1: the class goes */
    int classes;      /* that stay */
} plan;

static void plan_clear(plan *p)
{
    fmal_free(&p->want);
    fmal_free(&p->renamed);
}

static fmal_status check_count(const fmal_dataset *set, const fmal_class_count *c,
                               const int64_t *have, const fmal_idx *want)
{
    if (c->label < 0 || c->label >= set->classes)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "there is no class %d: %s has classes 0 to %d; name one of "
                         "these",
                         c->label, set->path, set->classes - 1);
    if (want[c->label] > 0)
        return FMAL_FAIL(FMAL_ERR_USAGE, "class %d is named twice; name it once",
                         c->label);
    if (c->count < 1 || c->count > have[c->label])
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "class %d cannot keep %" PRId64 " samples: %s has %" PRId64
                         " of it ('%s') for training; ask for 1 to %" PRId64,
                         c->label, c->count, set->path, have[c->label],
                         set->class_names[c->label], have[c->label]);
    return FMAL_OK;
}

static fmal_status plan_counts(const fmal_skew *skew, const fmal_dataset *set,
                               const int64_t *have, plan *p)
{
    for (int i = 0; i < skew->n_counts; i++) {
        FMAL_TRY(check_count(set, &skew->counts[i], have, p->want));
        p->want[skew->counts[i].label] = skew->counts[i].count;
    }
    if (skew->n_counts < 2)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "only one class stays, and there is nothing to tell it from; "
                         "name two at least");
    for (int k = 0; k < set->classes; k++)
        p->renamed[k] = p->want[k] > 0 ? p->classes++ : -1;
    return FMAL_OK;
}

static fmal_status plan_tail(const fmal_skew *skew, const fmal_dataset *set,
                             const int64_t *have, plan *p)
{
    /* Where m f^(i/(c-1)) is a whole number, rounding must not take one from it. */
    const double slack = 1 + 1e-12;
    int64_t most = 0;

    if (!(skew->long_tail > 0 && skew->long_tail <= 1))
        return FMAL_FAIL(FMAL_ERR_USAGE, "a tail of %g; give a factor above 0, up to 1",
                         skew->long_tail);
    for (int k = 0; k < set->classes; k++)
        most = have[k] > most ? have[k] : most;
    p->classes = set->classes;
    for (int k = 0; k < set->classes; k++) {
        double share = pow(skew->long_tail, (double) k / (set->classes - 1));
        fmal_idx left = (fmal_idx) floor((double) most * share * slack);

        if (left < 1 && have[k] > 0)
            return FMAL_FAIL(FMAL_ERR_USAGE,
                             "class %d ('%s') of %s keeps no sample of %" PRId64
                             "; give a larger factor than %g",
                             k, set->class_names[k], set->path, have[k],
                             skew->long_tail);
        p->want[k] = left < have[k] ? left : have[k];
        p->renamed[k] = k;
    }
    return FMAL_OK;
}

/* Collective; the verdict is the same everywhere, but for memory. */
static fmal_status plan_make(const fmal_ctx *ctx, const fmal_skew *skew,
                             const fmal_dataset *set, plan *p)
{
    int64_t *have = NULL;
    int c = set->classes;
    int failed = FMAL_ALLOC(&have, c) | FMAL_ALLOC(&p->want, c) | /* try them all */
                 FMAL_ALLOC(&p->renamed, c);
    fmal_status st = fmal_agree(ctx, failed ? FMAL_ERR_NOMEM : FMAL_OK);

    if (st == FMAL_OK) {
        fmal_split_count(ctx, &set->train, set->classes, have);
        st = skew->n_counts > 0 ? plan_counts(skew, set, have, p)
                                : plan_tail(skew, set, have, p);
    }
    fmal_free(&have);
    return st;
}

/* ---- Which samples ---- */

typedef struct {
    int32_t label;
    uint64_t key;
    fmal_idx index;
} ticket;

static int compare(const void *a, const void *b)
{
    const ticket *x = a, *y = b;

    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Mark the want[label] lowest keys of each class in keep [n]; returns how many. */
static fmal_idx draw(ticket *tickets, fmal_idx count, const fmal_idx *want,
                     uint8_t *keep)
{
    fmal_idx kept = 0, before = 0; /* of the same class */

    qsort(tickets, (size_t) count, sizeof *tickets, compare);
    for (fmal_idx i = 0; i < count; i++) {
        before = i > 0 && tickets[i].label == tickets[i - 1].label ? before + 1 : 0;
        if (before < want[tickets[i].label]) {
            keep[tickets[i].index] = 1;
            kept++;
        }
    }
    return kept;
}

/* Indices of the samples that stay, ascending, from all labels [n]. */
static fmal_status choose(const int32_t *labels, fmal_idx n, const fmal_idx *want,
                          uint64_t seed, fmal_idx **index, fmal_idx *kept)
{
    ticket *tickets = NULL;
    uint8_t *keep = NULL;
    fmal_idx count = 0, at = 0;
    fmal_status st = FMAL_ALLOC(&tickets, n);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&keep, n);
    for (fmal_idx i = 0; i < n && st == FMAL_OK; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SKEW, 0, (uint64_t) i);

        if (labels[i] >= 0 && want[labels[i]] > 0)
            tickets[count++] = (ticket){ labels[i], fmal_rng_u64(&r), i };
    }
    if (st == FMAL_OK) {
        *kept = draw(tickets, count, want, keep);
        st = FMAL_ALLOC(index, *kept);
    }
    for (fmal_idx i = 0; i < n && st == FMAL_OK; i++)
        if (keep[i])
            (*index)[at++] = i;
    fmal_free(&tickets);
    fmal_free(&keep);
    return st;
}

/* The root chooses, everyone learns what. Collective. */
static fmal_status choose_together(const fmal_ctx *ctx, const fmal_split *split,
                                   const fmal_idx *want, uint64_t seed,
                                   fmal_idx **index, fmal_idx *kept)
{
    int32_t *labels = NULL;
    size_t bytes = 0;
    fmal_status st =
        fmal_gather(ctx, split->labels, (size_t) split->part.count * sizeof *labels,
                    &labels, &bytes);

    if (st != FMAL_OK)
        return st;
    if (ctx->rank == 0)
        st = choose(labels, split->part.n, want, seed, index, kept);
    fmal_free(&labels);
    FMAL_TRY(fmal_agree_root(ctx, st));
    fmal_bcast(ctx, kept, sizeof *kept, 0);
    if (ctx->rank != 0)
        st = FMAL_ALLOC(index, *kept);
    if ((st = fmal_agree(ctx, st)) == FMAL_OK)
        fmal_bcast(ctx, *index, (size_t) *kept * sizeof **index, 0);
    else
        fmal_free(index);
    return st;
}

/* ---- The splits anew ---- */

static void split_clear(fmal_split *split)
{
    fmal_free(&split->rows);
    fmal_free(&split->labels);
    fmal_free(&split->origin);
}

/* Samples [part.n] of origin, dealt out evenly. Collective. */
static fmal_status deal(const fmal_ctx *ctx, const fmal_dataset *set,
                        const fmal_split *from, const int32_t *renamed, fmal_split *to)
{
    const fmal_idx *mine = to->origin + to->part.first;
    fmal_idx count = to->part.count;
    fmal_status st = fmal_alloc(&to->rows, count, set->row_bytes);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&to->labels, count);
    FMAL_TRY(fmal_agree(ctx, st));
    FMAL_TRY(fmal_fetch_rows(ctx, &from->part, from->rows, set->row_bytes, mine, count,
                             to->rows));
    FMAL_TRY(fmal_fetch_rows(ctx, &from->part, from->labels, sizeof *to->labels, mine,
                             count, to->labels));
    for (fmal_idx il = 0; il < count; il++)
        to->labels[il] = renamed[to->labels[il]];
    return FMAL_OK;
}

/* Collective; on failure *out holds nothing. */
static fmal_status cut(const fmal_ctx *ctx, const fmal_dataset *set,
                       const fmal_split *from, const plan *p, uint64_t seed,
                       fmal_split *out)
{
    fmal_split to = { 0 };
    fmal_idx n = 0;

    FMAL_TRY(choose_together(ctx, from, p->want, seed, &to.origin, &n));
    to.part = fmal_part_make(n, from->part.block, ctx);
    fmal_status st = deal(ctx, set, from, p->renamed, &to);
    if (st == FMAL_OK)
        *out = to;
    else
        split_clear(&to);
    return st;
}

/* Names of classes that stay move up; the others are freed. */
static void rename_classes(fmal_dataset *set, const plan *p)
{
    for (int k = 0; k < set->classes; k++) {
        char *name = set->class_names[k];

        set->class_names[k] = NULL;
        if (p->renamed[k] >= 0)
            set->class_names[p->renamed[k]] = name;
        else
            fmal_free(&name);
    }
    set->classes = p->classes;
}

/* All test samples of the classes that stay. Collective. */
static fmal_status cut_test(const fmal_ctx *ctx, const fmal_dataset *set, plan *p,
                            uint64_t seed, fmal_split *test)
{
    for (int k = 0; k < set->classes; k++)
        p->want[k] = p->renamed[k] >= 0 ? INT64_MAX : 0;
    return cut(ctx, set, &set->test, p, seed, test);
}

fmal_status fmal_dataset_skew(const fmal_ctx *ctx, const fmal_skew *skew,
                              fmal_dataset *set)
{
    plan p = { 0 };
    fmal_split train = { 0 }, test = { 0 };
    fmal_status st = plan_make(ctx, skew, set, &p);

    if (st == FMAL_OK)
        st = cut(ctx, set, &set->train, &p, skew->seed, &train);
    if (st == FMAL_OK && skew->n_counts > 0)
        st = cut_test(ctx, set, &p, skew->seed, &test);
    if (st == FMAL_OK) {
        split_clear(&set->train);
        set->train = train;
        if (skew->n_counts > 0) {
            split_clear(&set->test);
            set->test = test;
        }
        rename_classes(set, &p);
    } else {
        split_clear(&train);
    }
    plan_clear(&p);
    return st;
}
