/* Pools that are hard on rounding: the same picks as in extended precision, streaming
   in either precision; and not the same from engines that do nothing about it. */
#include "hard_pools.h"

#include <stdio.h>

#define FULL   FMAL_LIKELIHOOD_FULL
#define TOPC   FMAL_LIKELIHOOD_TOPC
#define BINARY FMAL_LIKELIHOOD_BINARY

static const hard_case table[] = {
    /* name, n, d, c, labelled, batch, lambda, size, likelihood, top, traits, sum, seed
     */
    { "no label, full", 61, 5, 3, 0, 9, 1e-4, 1, FULL, 0, 0, false, 1 },
    { "no label, topc", 61, 5, 3, 0, 9, 1e-4, 1, TOPC, 2, 0, false, 1 },
    { "no label, binary", 61, 5, 3, 0, 9, 1e-4, 1, BINARY, 0, 0, false, 1 },
    { "few labels, full", 61, 5, 3, 2, 9, 1e-2, 30, FULL, 0, 0, false, 2 },
    { "few labels, topc", 61, 5, 3, 2, 9, 1e-4, 30, TOPC, 2, 0, false, 1 },
    { "few labels, binary", 61, 5, 3, 2, 9, 1e-4, 30, BINARY, 0, 0, false, 1 },
    { "large features, full", 67, 5, 3, 5, 9, 1e-2, 60, FULL, 0, 0, false, 4 },
    { "large features, topc", 67, 5, 3, 5, 9, 1e-4, 60, TOPC, 2, 0, false, 3 },
    { "large features, binary", 67, 5, 3, 5, 9, 1e-4, 60, BINARY, 0, 0, false, 2 },
    { "features of 400, full", 67, 4, 3, 3, 9, 1e-2, 400, FULL, 0, 0, false, 1 },
    { "features of 400, topc", 67, 4, 3, 3, 9, 1e-4, 400, TOPC, 2, 0, false, 5 },
    { "features of 400, binary", 67, 4, 3, 3, 9, 1e-2, 400, BINARY, 0, 0, false, 4 },
    { "graded features, full", 61, 6, 3, 3, 9, 1e-2, 1, FULL, 0, HARD_GRADED, false,
      1 },
    { "graded features, topc", 61, 6, 3, 3, 9, 1e-4, 1, TOPC, 2, HARD_GRADED, false,
      4 },
    { "graded features, binary", 61, 6, 3, 3, 9, 1e-4, 1, BINARY, 0, HARD_GRADED, false,
      1 },
    { "ever smaller features, full", 71, 5, 3, 4, 20, 1e-2, 60, FULL, 0, HARD_DECAYING,
      false, 1 },
    { "ever smaller features, topc", 71, 5, 3, 4, 20, 1e-4, 60, TOPC, 2, HARD_DECAYING,
      false, 1 },
    { "ever smaller features, binary", 71, 5, 3, 4, 20, 1e-4, 60, BINARY, 0,
      HARD_DECAYING, false, 1 },
    { "peaked, full", 61, 5, 4, 0, 9, 1e-4, 200, FULL, 0, HARD_PEAKED, false, 3 },
    { "peaked, topc", 61, 5, 4, 0, 9, 1e-4, 200, TOPC, 2, HARD_PEAKED, false, 14 },
    { "peaked, binary", 61, 5, 4, 0, 9, 1e-4, 200, BINARY, 0, HARD_PEAKED, false, 1 },
    { "one-hot or even odds, full", 60, 4, 4, 3, 9, 1e-2, 30, FULL, 0,
      HARD_ONE_HOT | HARD_FLAT, false, 6 },
    { "one-hot or even odds, topc", 60, 4, 4, 3, 9, 1e-4, 30, TOPC, 2,
      HARD_ONE_HOT | HARD_FLAT, false, 1 },
    { "one-hot or even odds, binary", 60, 4, 4, 3, 9, 1e-4, 30, BINARY, 0,
      HARD_ONE_HOT | HARD_FLAT, false, 3 },
    { "impossible classes, full", 61, 5, 6, 4, 9, 1e-2, 30, FULL, 0, HARD_ZERO_PROBS,
      false, 2 },
    { "impossible classes, topc", 61, 5, 6, 4, 9, 1e-4, 30, TOPC, 2, HARD_ZERO_PROBS,
      false, 1 },
    { "impossible classes, binary", 61, 5, 6, 4, 9, 1e-4, 30, BINARY, 0,
      HARD_ZERO_PROBS, false, 8 },
    { "hundreds of copies, full", 211, 4, 3, 3, 12, 1e-2, 30, FULL, 0, HARD_COPIES,
      false, 1 },
    { "hundreds of copies, topc", 211, 4, 3, 3, 12, 1e-4, 30, TOPC, 2, HARD_COPIES,
      false, 1 },
    { "hundreds of copies, binary", 211, 4, 3, 3, 12, 1e-4, 30, BINARY, 0, HARD_COPIES,
      false, 5 },
    { "opposites, full", 60, 5, 3, 2, 9, 1e-2, 30, FULL, 0, HARD_OPPOSITES, false, 1 },
    { "opposites, topc", 60, 5, 3, 2, 9, 1e-4, 30, TOPC, 2, HARD_OPPOSITES, false, 1 },
    { "opposites, binary", 60, 5, 3, 2, 9, 1e-4, 30, BINARY, 0, HARD_OPPOSITES, false,
      2 },
    { "no features for some, full", 60, 5, 3, 3, 9, 1e-2, 30, FULL, 0,
      HARD_NO_FEATURES | HARD_ONE_HOT, false, 1 },
    { "no features for some, topc", 60, 5, 3, 3, 9, 1e-4, 30, TOPC, 2,
      HARD_NO_FEATURES | HARD_ONE_HOT, false, 1 },
    { "no features for some, binary", 60, 5, 3, 3, 9, 1e-4, 30, BINARY, 0,
      HARD_NO_FEATURES | HARD_ONE_HOT, false, 3 },
    { "two classes, full", 61, 7, 2, 4, 9, 1e-4, 30, FULL, 0, 0, false, 1 },
    { "two classes, topc", 61, 7, 2, 4, 9, 1e-4, 30, TOPC, 1, 0, false, 3 },
    { "two classes, binary", 61, 7, 2, 4, 9, 1e-4, 30, BINARY, 0, 0, false, 6 },
    { "a hundred classes, full", 17, 1, 100, 2, 3, 1e-2, 30, FULL, 0, 0, false, 1 },
    { "a hundred classes, topc", 17, 1, 100, 2, 3, 1e-2, 30, TOPC, 2, 0, false, 1 },
    { "all of the pool, full", 23, 4, 3, 1, 22, 1e-2, 30, FULL, 0, 0, false, 2 },
    { "all of the pool, topc", 23, 4, 3, 1, 22, 1e-4, 30, TOPC, 2, 0, false, 1 },
    { "all of the pool, binary", 23, 4, 3, 1, 22, 1e-4, 30, BINARY, 0, 0, false, 1 },
    { "everything at once, full", 60, 5, 4, 3, 12, 1e-4, 400, FULL, 0,
      HARD_PEAKED | HARD_ONE_HOT | HARD_ZERO_PROBS | HARD_DECAYING | HARD_OPPOSITES,
      true, 2 },
    { "everything at once, topc", 60, 5, 4, 3, 12, 1e-4, 400, TOPC, 2,
      HARD_PEAKED | HARD_ONE_HOT | HARD_ZERO_PROBS | HARD_DECAYING | HARD_OPPOSITES,
      true, 2 },
    { "everything at once, binary", 60, 5, 4, 3, 12, 1e-4, 400, BINARY, 0,
      HARD_PEAKED | HARD_ONE_HOT | HARD_ZERO_PROBS | HARD_DECAYING | HARD_OPPOSITES,
      true, 2 },
};

/* ---- Engines that one would write first ---- */

typedef struct {
    const double *p;
    double scale;
    int class; /* of (e_class - p), or -1: no such factor */
} naive_row;

static int naive_rows(const hard_case *q)
{
    return q->likelihood == FMAL_LIKELIHOOD_FULL   ? q->c
           : q->likelihood == FMAL_LIKELIHOOD_TOPC ? q->top
                                                   : 1;
}

static int class_at(const double *p, int c, int place)
{
    for (int k = 0; k < c; k++) {
        int before = 0;

        for (int m = 0; m < c; m++)
            before += p[m] > p[k] || (m < k && p[m] == p[k]);
        if (before == place)
            return k;
    }
    return -1;
}

static void naive_row_of(const hard_case *q, const double *p, int y, naive_row *row)
{
    double sum = 0, most = p[class_at(p, q->c, 0)];

    *row = (naive_row){ .p = p, .class = -1 };
    switch (q->likelihood) {
    case FMAL_LIKELIHOOD_FULL:
        row->class = y;
        row->scale = sqrt(p[y]);
        break;
    case FMAL_LIKELIHOOD_TOPC:
        for (int i = 0; i < q->top; i++)
            sum += p[class_at(p, q->c, i)];
        row->class = class_at(p, q->c, y);
        row->scale = sqrt(p[row->class] / sum);
        break;
    case FMAL_LIKELIHOOD_BINARY:
        row->scale = sqrt(most * (1 - most));
    }
}

#define REAL       float
#define NAME(name) name##_float
#include "naive_body.h"
#undef REAL
#undef NAME
#define REAL       double
#define NAME(name) name##_double
#include "naive_body.h"

/* ---- Cases ---- */

/* What the rank whose turn it is found out. A plain value. */
typedef struct {
    fmal_long_answer want;
    bool float_differs, double_differs;
} case_answer;

static bool differs(const int64_t *a, const int64_t *b, int n)
{
    return memcmp(a, b, sizeof *a * (size_t) n) != 0;
}

static case_answer answer_of(const hard_case *q)
{
    whole_pool pool = hard_pool(q);
    case_answer a = { .want = hard_answer(q, &pool) };
    int64_t *picks = NULL;

    if (FMAL_ALLOC(&picks, q->batch))
        abort();
    select_float(q, &pool, picks);
    a.float_differs = differs(picks, a.want.picks, q->batch);
    select_double(q, &pool, picks);
    a.double_differs = differs(picks, a.want.picks, q->batch);
    fmal_free(&picks);
    pool_clear(&pool);
    return a;
}

static void share_answer(fmal_test *t, const hard_case *q, case_answer *a, int owner)
{
    int64_t *picks = a->want.picks;

    if (t->ctx.rank != owner && FMAL_ALLOC(&picks, q->batch))
        abort();
    fmal_bcast(&t->ctx, a, sizeof *a, owner);
    fmal_bcast(&t->ctx, picks, sizeof *picks * (size_t) q->batch, owner);
    a->want.picks = picks;
}

static void run_case(fmal_test *t, const hard_case *q, const case_answer *a,
                     bool in_double)
{
    whole_pool pool = hard_pool(q);
    fmal_select_options options = hard_options(q);
    fmal_selection sel = { 0 };

    options.double_precision = in_double;
    fmal_status st = select_batch(&t->ctx, &pool, 8, &options, NULL, -1, NULL, &sel);
    if (st != FMAL_OK)
        printf("# %s\n", fmal_error_text());
    fmal_test_ok(t,
                 st == FMAL_OK && sel.n == q->batch &&
                     !differs(sel.index, a->want.picks, q->batch),
                 "%s, %s: lead %.1e, objective off by %.1e", q->name,
                 in_double ? "double" : "mixed", a->want.lead,
                 fabs(sel.after - a->want.after) / a->want.after);
    fmal_selection_clear(&sel);
    pool_clear(&pool);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    static case_answer answers[FMAL_COUNT(table)];
    int wrong[2] = { 0, 0 };

    /* Ranks take turns in asking those that are slow. */
    for (int i = t.ctx.rank; i < FMAL_COUNT(table); i += t.ctx.size)
        answers[i] = answer_of(&table[i]);
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        const hard_case *q = &table[i];

        share_answer(&t, q, &answers[i], i % t.ctx.size);
        fmal_test_ok(&t, answers[i].want.lead > 1e-8 && answers[i].want.tie < 1e-10,
                     "%s: decisions are clear", q->name);
        run_case(&t, q, &answers[i], false);
        run_case(&t, q, &answers[i], true);
        wrong[0] += answers[i].float_differs;
        wrong[1] += answers[i].double_differs;
        fmal_free(&answers[i].want.picks);
    }
    fmal_test_ok(&t, wrong[0] * 4 >= 3 * FMAL_COUNT(table),
                 "all in single precision, %d of %d pools come out wrong", wrong[0],
                 (int) FMAL_COUNT(table));
    fmal_test_ok(&t, wrong[1] * 2 >= FMAL_COUNT(table),
                 "in double precision never computed afresh, %d of %d", wrong[1],
                 (int) FMAL_COUNT(table));
    return fmal_test_end(&t);
}
