/* Imbalanced pools against a rule that is applied sample by sample. */
#include "fmal/data.h"
#include "fmal/mem.h"
#include "fmal/rng.h"
#include "fmal_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Few samples a block, so that shares are uneven; class k of the pool has SIZES[k]. */
enum { CLASSES = 5, BLOCK = 7, TRAIN = 211, TEST = 53, SEED = 11 };
static const int sizes[CLASSES] = { 80, 1, 61, 40, 20 }; /* the rest has no label */

/* ---- A data set whose rows say where they were ---- */

/* Classes lie mixed: 37 and 211 have no common divisor. */
static int32_t train_label(fmal_idx i)
{
    fmal_idx at = i * 37 % TRAIN;

    for (int k = 0; k < CLASSES; k++) {
        if (at < sizes[k])
            return k;
        at -= sizes[k];
    }
    return -1;
}

static int32_t test_label(fmal_idx i)
{
    return (int32_t) (i % (CLASSES + 1)) - 1;
}

static void fill(fmal_split *split, const fmal_ctx *ctx, fmal_idx n,
                 int32_t (*label)(fmal_idx))
{
    int64_t *rows = NULL;

    split->part = fmal_part_make(n, BLOCK, ctx);
    if (FMAL_ALLOC(&rows, split->part.count) ||
        FMAL_ALLOC(&split->labels, split->part.count))
        abort();
    for (fmal_idx il = 0; il < split->part.count; il++) {
        rows[il] = 1000 + split->part.first + il;
        split->labels[il] = label(split->part.first + il);
    }
    split->rows = rows;
}

static fmal_dataset *make(const fmal_ctx *ctx)
{
    static const char *const names[CLASSES] = { "ant", "bee", "cow", "dog", "eel" };
    fmal_dataset *set = NULL;

    if (FMAL_ALLOC(&set, 1) || FMAL_ALLOC(&set->class_names, CLASSES))
        abort();
    set->path = fmal_strdup("set.h5");
    set->classes = CLASSES;
    set->row_bytes = sizeof(int64_t);
    for (int k = 0; k < CLASSES; k++)
        set->class_names[k] = fmal_strdup(names[k]);
    fill(&set->train, ctx, TRAIN, train_label);
    fill(&set->test, ctx, TEST, test_label);
    return set;
}

/* ---- The rule ---- */

static uint64_t key_of(uint64_t seed, fmal_idx i)
{
    fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_SKEW, 0, (uint64_t) i);

    return fmal_rng_u64(&r);
}

/* A sample stays if fewer than `want` of its class have lower keys. */
static bool stays(uint64_t seed, fmal_idx i, fmal_idx want)
{
    fmal_idx lower = 0;

    for (fmal_idx j = 0; j < TRAIN; j++)
        lower += train_label(j) == train_label(i) && key_of(seed, j) < key_of(seed, i);
    return lower < want;
}

/* This rank's share of a split is right: these samples of the file in their order, and
   what belongs to each. */
static bool right_split(const fmal_split *split, const fmal_idx *file, fmal_idx n,
                        int32_t (*label)(fmal_idx), const int *renamed)
{
    const int64_t *rows = split->rows;
    bool right = split->part.n == n && split->part.block == BLOCK && split->origin;

    for (fmal_idx i = 0; right && i < n; i++) {
        fmal_idx il = i - split->part.first;

        right = fmal_split_origin(split, i) == file[i];
        if (il >= 0 && il < split->part.count)
            right = right && rows[il] == 1000 + file[i] &&
                    split->labels[il] == renamed[label(file[i])];
    }
    return right;
}

/* ---- Counts and tails ---- */

static const struct {
    const char *name;
    fmal_class_count counts[CLASSES];
    int n_counts;
    double tail;
    fmal_idx want[CLASSES];
    int renamed[CLASSES];
    int classes;
    const char *last; /* name of the last class */
} table[] = {
    { "two classes",
      { { 2, 60 }, { 0, 5 } },
      2,
      1,
      { 5, 0, 60 },
      { 0, -1, 1, -1, -1 },
      2,
      "cow" },
    { "all of all classes, in any order",
      { { 4, 20 }, { 1, 1 }, { 3, 40 }, { 0, 80 }, { 2, 61 } },
      5,
      1,
      { 80, 1, 61, 40, 20 },
      { 0, 1, 2, 3, 4 },
      5,
      "eel" },
    { "fewer samples than ranks",
      { { 1, 1 }, { 4, 1 } },
      2,
      1,
      { 0, 1, 0, 0, 1 },
      { -1, 0, -1, -1, 1 },
      2,
      "eel" },
    { "the last class apart",
      { { 3, 7 }, { 4, 19 }, { 0, 33 } },
      3,
      1,
      { 33, 0, 0, 7, 19 },
      { 0, -1, -1, 1, 2 },
      3,
      "eel" },
    /* 80 x 1/16^(i/4) = 80, 40, 20, 10, 5: whole numbers are not rounded down */
    { "a tail of a sixteenth",
      { { 0 } },
      0,
      0.0625,
      { 80, 1, 20, 10, 5 },
      { 0, 1, 2, 3, 4 },
      5,
      "eel" },
    /* 80 x 0.1^(i/4) = 80, 44.99, 25.30, 14.23, 8 */
    { "a tail of a tenth",
      { { 0 } },
      0,
      0.1,
      { 80, 1, 25, 14, 8 },
      { 0, 1, 2, 3, 4 },
      5,
      "eel" },
    /* 80 x 0.5^(i/4) = 80, 67.3, 56.6, 47.6, 40 */
    { "a tail longer than classes",
      { { 0 } },
      0,
      0.5,
      { 80, 1, 56, 40, 20 },
      { 0, 1, 2, 3, 4 },
      5,
      "eel" },
};

static void test_table(fmal_test *t)
{
    for (int k = 0; k < FMAL_COUNT(table); k++) {
        fmal_skew skew = { table[k].counts, table[k].n_counts, table[k].tail, SEED };
        fmal_dataset *set = make(&t->ctx);
        fmal_idx train[TRAIN], test[TEST], n_train = 0, n_test = 0;

        for (fmal_idx i = 0; i < TRAIN; i++)
            if (train_label(i) >= 0 && stays(SEED, i, table[k].want[train_label(i)]))
                train[n_train++] = i;
        for (fmal_idx i = 0; i < TEST; i++)
            if (test_label(i) >= 0 && table[k].renamed[test_label(i)] >= 0)
                test[n_test++] = i;
        fmal_test_status(t, fmal_dataset_skew(&t->ctx, &skew, set), FMAL_OK,
                         table[k].name);
        fmal_test_ok(
            t, right_split(&set->train, train, n_train, train_label, table[k].renamed),
            "%s: the pool", table[k].name);
        if (table[k].n_counts > 0)
            fmal_test_ok(
                t, right_split(&set->test, test, n_test, test_label, table[k].renamed),
                "%s: all test samples of these classes", table[k].name);
        else
            fmal_test_ok(t, set->test.part.n == TEST && !set->test.origin,
                         "%s: the test split is left alone", table[k].name);
        fmal_test_ok(t,
                     set->classes == table[k].classes &&
                         strcmp(set->class_names[set->classes - 1], table[k].last) == 0,
                     "%s: classes", table[k].name);
        fmal_dataset_close(&set);
    }
}

/* Counted over ranks, without what has no label. */
static void test_count(fmal_test *t)
{
    fmal_dataset *set = make(&t->ctx);
    int64_t counts[CLASSES];
    bool right = true;

    fmal_split_count(&t->ctx, &set->train, CLASSES, counts);
    for (int k = 0; k < CLASSES; k++)
        right &= counts[k] == sizes[k];
    fmal_test_ok(t, right, "samples of each class");
    fmal_test_ok(t, fmal_split_origin(&set->train, 17) == 17,
                 "a sample of the whole file is where it is");
    fmal_dataset_close(&set);
}

/* The pool of one count and seed, of classes 0 and 2. */
static fmal_dataset *pool_of(fmal_test *t, fmal_idx count, uint64_t seed)
{
    fmal_class_count counts[] = { { 0, count }, { 2, 30 } };
    fmal_dataset *set = make(&t->ctx);

    fmal_test_status(
        t, fmal_dataset_skew(&t->ctx, &(fmal_skew){ counts, 2, 1, seed }, set), FMAL_OK,
        "a pool");
    return set;
}

static bool holds(const fmal_split *split, fmal_idx origin)
{
    for (fmal_idx i = 0; i < split->part.n; i++)
        if (fmal_split_origin(split, i) == origin)
            return true;
    return false;
}

static void test_draws(fmal_test *t)
{
    fmal_dataset *small = pool_of(t, 20, SEED), *large = pool_of(t, 50, SEED),
                 *other = pool_of(t, 20, SEED + 1);
    bool nested = true, same = true;

    for (fmal_idx i = 0; i < small->train.part.n; i++) {
        nested &= holds(&large->train, fmal_split_origin(&small->train, i));
        same &= holds(&other->train, fmal_split_origin(&small->train, i));
    }
    fmal_test_ok(t, nested, "a larger pool holds the smaller one");
    fmal_test_ok(t, !same, "another seed draws other samples");
    fmal_dataset_close(&small);
    fmal_dataset_close(&large);
    fmal_dataset_close(&other);
}

/* ---- What cannot be ---- */

static const struct {
    const char *name;
    fmal_class_count counts[3];
    int n_counts;
    double tail;
    const char *says;
} errors[] = {
    { "an unknown class",
      { { 0, 1 }, { 5, 1 } },
      2,
      1,
      "no class 5: set.h5 has classes 0 to 4" },
    { "a negative class", { { -1, 1 }, { 0, 1 } }, 2, 1, "no class -1" },
    { "a class twice",
      { { 0, 1 }, { 2, 1 }, { 0, 3 } },
      3,
      1,
      "class 0 is named twice" },
    { "more than there are",
      { { 0, 1 }, { 2, 62 } },
      2,
      1,
      "set.h5 has 61 of it ('cow') for training" },
    { "none of a class", { { 0, 0 }, { 2, 1 } }, 2, 1, "class 0 cannot keep 0" },
    { "less than none",
      { { 0, INT64_MIN }, { 2, 1 } },
      2,
      1,
      "class 0 cannot keep -9" },
    { "one class", { { 0, 5 } }, 1, 1, "only one class stays" },
    { "a tail of zero", { { 0 } }, 0, 0, "above 0, up to 1" },
    { "a tail above one", { { 0 } }, 0, 1.5, "above 0, up to 1" },
    { "a tail without end", { { 0 } }, 0, 1e-3, "class 3 ('dog') of set.h5 keeps no" },
};

static void test_errors(fmal_test *t)
{
    for (int k = 0; k < FMAL_COUNT(errors); k++) {
        fmal_skew skew = { errors[k].counts, errors[k].n_counts, errors[k].tail, SEED };
        fmal_dataset *set = make(&t->ctx);

        fmal_test_status(t, fmal_dataset_skew(&t->ctx, &skew, set), FMAL_ERR_USAGE,
                         errors[k].name);
        fmal_test_ok(t, strstr(fmal_error_text(), errors[k].says), "%s: said '%s'",
                     errors[k].name, fmal_error_text());
        fmal_test_ok(t,
                     set->train.part.n == TRAIN && set->test.part.n == TEST &&
                         set->classes == CLASSES && !set->train.origin,
                     "%s: the set is as it was", errors[k].name);
        fmal_dataset_close(&set);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_count(&t);
    test_table(&t);
    test_draws(&t);
    test_errors(&t);
    return fmal_test_end(&t);
}
