/* The dense oracle against hand-made answers, and against the recorded picks of the
   public implementations. */
#include "fmal_test.h"
#include "oracle.h"

#include "fmal/clock.h"
#include "fmal/io.h"
#include "fmal/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- By hand ---- */

enum { SMALL = 6 };

/* One feature, two classes at even odds: I(x) has the eigenvalues 0 and h^2 / 2. */
static const double even[2 * SMALL] = {
    .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5, .5
};

static const struct {
    const char *name;
    int n;
    float h[SMALL];
    int n_labelled, n_excluded, batch;
    int64_t labelled[SMALL], excluded[SMALL];
    double oversample;
    bool labelled_sum;
    int64_t picks[SMALL];
    double before, after;
} small[] = {
    { .name = "one sample",
      .n = 1,
      .h = { 1 },
      .batch = 1,
      .oversample = 1,
      .picks = { 0 },
      .before = 0.5,
      .after = 1.0 / 3 },
    { .name = "the largest first, and removals keep the order",
      .n = 4,
      .h = { 1, 4, 2, 8 },
      .batch = 2,
      .oversample = 2,
      .picks = { 3, 1 },
      .before = 85.0 / 8,
      .after = 85.0 / 8 / (1 + 32 + 8) },
    { .name = "ties go to the lowest index both ways",
      .n = 4,
      .h = { 2, 2, 2, 2 },
      .batch = 1,
      .oversample = 2,
      .picks = { 1 },
      .before = 2,
      .after = 2.0 / 3 },
    { .name = "labelled and excluded are never picked, but are in F",
      .n = 4,
      .h = { 8, 4, 2, 1 },
      .n_labelled = 1,
      .labelled = { 0 },
      .n_excluded = 1,
      .excluded = { 1 },
      .batch = 1,
      .oversample = 1,
      .picks = { 2 },
      .before = 85.0 / 8 / (1 + 16),
      .after = 85.0 / 8 / (1 + 16 + 1) },
    { .name = "the sum over the labelled",
      .n = 4,
      .h = { 8, 4, 2, 1 },
      .n_labelled = 2,
      .labelled = { 1, 0 },
      .batch = 2,
      .oversample = 1,
      .labelled_sum = true,
      .picks = { 2, 3 },
      .before = 85.0 / 8 / (1 + 20),
      .after = 85.0 / 8 / (1 + 20 + 1 + 0.25) },
    { .name = "candidates run out",
      .n = 3,
      .h = { 2, 2, 4 },
      .n_labelled = 1,
      .labelled = { 0 },
      .batch = 3,
      .oversample = 2,
      .picks = { 2, 1, -1 },
      .before = 4.0 / (1 + 0.5),
      .after = 4.0 / (1 + 0.5 + 0.75 * 10) },
    { .name = "a fraction of a step is a step",
      .n = 4,
      .h = { 1, 2, 4, 8 },
      .batch = 3,
      .oversample = 1.1,
      .picks = { 3, 2, 1 },
      .before = 85.0 / 8,
      .after = 85.0 / 8 / (1 + 32 + 8 + 2) },
};

static bool same_picks(const int64_t *got, const int64_t *want, int n)
{
    bool same = true;

    for (int i = 0; i < n; i++)
        same = same && got[i] == want[i];
    for (int i = 0; !same && i < n; i++)
        printf("# pick %d: %lld, wanted %lld\n", i, (long long) got[i],
               (long long) want[i]);
    return same;
}

static bool near(const char *what, double got, double want, double tolerance)
{
    bool close = fmal_test_close(got, want, tolerance, 0);

    if (!close)
        printf("# %s: %.17g, wanted %.17g\n", what, got, want);
    return close;
}

static void test_small(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(small); i++) {
        fmal_oracle_problem p = { .n = small[i].n,
                                  .d = 1,
                                  .c = 2,
                                  .features = small[i].h,
                                  .probs = even,
                                  .labelled = small[i].labelled,
                                  .n_labelled = small[i].n_labelled,
                                  .excluded = small[i].excluded,
                                  .n_excluded = small[i].n_excluded,
                                  .batch = small[i].batch,
                                  .lambda = 1,
                                  .oversample = small[i].oversample,
                                  .labelled_sum = small[i].labelled_sum };
        int64_t picks[SMALL];
        double before = 0, after = 0;
        bool ok = fmal_oracle_bait(&p, picks, &before, &after, NULL) == 0;

        fmal_test_ok(t,
                     ok && same_picks(picks, small[i].picks, p.batch) &&
                         near("before", before, small[i].before, 1e-13) &&
                         near("after", after, small[i].after, 1e-13),
                     "%s", small[i].name);
    }
}

static void test_margin(fmal_test *t)
{
    static const float h[4] = { 1, 2, 2, 3 };
    fmal_oracle_problem p = { .n = 4,
                              .d = 1,
                              .c = 2,
                              .features = h,
                              .probs = even,
                              .batch = 1,
                              .lambda = 1,
                              .oversample = 1 };
    int64_t picks[2];
    double before, after, margin = -1;

    /* F = f u u^T, I(x) = h^2/2 u u^T: the gain is f a / (1 + a) with a = h^2 / 2. */
    double best = 4.5 / 5.5, second = 2.0 / 3;
    fmal_oracle_bait(&p, picks, &before, &after, &margin);
    fmal_test_ok(t, near("margin", margin, (best - second) / best, 1e-12),
                 "the margin of one step");

    p.batch = 2;
    fmal_oracle_bait(&p, picks, &before, &after, &margin);
    fmal_test_ok(t, margin >= 0 && margin < 1e-12, "a tie is a margin of 0");

    p.n = 1;
    p.batch = 1;
    fmal_oracle_bait(&p, picks, &before, &after, &margin);
    fmal_test_ok(t, margin == INFINITY, "one candidate has no margin");
}

/* ---- Recorded answers ---- */

/* The largest takes minutes under a sanitizer. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static const struct {
    const char *pool, *method;
    bool labelled_sum;
} golden[] = {
    { "iris", "bait", false },       { "iris", "bait-sum", true },
    { "wine", "bait", false },       { "wine", "bait-sum", true },
    { "fmnist_d16", "bait", false },
};

typedef struct {
    fmal_oracle_problem p;
    float *features;
    double *probs;
    int64_t *labelled, *want, *picks;
    double objective; /* of the recorded picks */
} pool;

static void pool_clear(pool *q)
{
    fmal_free(&q->features);
    fmal_free(&q->probs);
    fmal_free(&q->labelled);
    fmal_free(&q->want);
    fmal_free(&q->picks);
}

static void softmax(double *x, int c)
{
    double max = -INFINITY, sum = 0;

    for (int k = 0; k < c; k++)
        max = fmax(max, x[k]);
    for (int k = 0; k < c; k++)
        sum += x[k] = exp(x[k] - max);
    for (int k = 0; k < c; k++)
        x[k] /= sum;
}

static fmal_status read_pool(fmal_h5 *h, pool *q)
{
    fmal_h5_info features, logits, labelled;

    fmal_h5_info_of(h, "/features", &features);
    fmal_h5_info_of(h, "/logits", &logits);
    fmal_h5_info_of(h, "/labelled", &labelled);
    q->p.n = (int) features.dims[0];
    q->p.d = (int) features.dims[1];
    q->p.c = (int) logits.dims[1];
    q->p.n_labelled = (int) labelled.dims[0];
    FMAL_TRY(FMAL_ALLOC(&q->features, q->p.n * q->p.d));
    FMAL_TRY(FMAL_ALLOC(&q->probs, q->p.n * q->p.c));
    FMAL_TRY(FMAL_ALLOC(&q->labelled, q->p.n_labelled));
    FMAL_TRY(fmal_h5_read(h, "/features", FMAL_F32, q->features));
    FMAL_TRY(fmal_h5_read(h, "/logits", FMAL_F64, q->probs));
    FMAL_TRY(fmal_h5_read(h, "/labelled", FMAL_I64, q->labelled));
    for (int i = 0; i < q->p.n; i++)
        softmax(q->probs + i * q->p.c, q->p.c);
    q->p.features = q->features;
    q->p.probs = q->probs;
    q->p.labelled = q->labelled;
    q->p.oversample = 2;
    return FMAL_OK;
}

static fmal_status read_answer(fmal_h5 *h, const char *method, pool *q)
{
    char group[64], picks[96];
    int64_t k;

    snprintf(group, sizeof group, "/expected/%s", method);
    snprintf(picks, sizeof picks, "%s/picks", group);
    FMAL_TRY(fmal_h5_get_i64(h, group, "k", &k));
    FMAL_TRY(fmal_h5_get_f64(h, group, "lambda", &q->p.lambda));
    FMAL_TRY(fmal_h5_get_f64(h, group, "objective", &q->objective));
    FMAL_TRY(FMAL_ALLOC(&q->want, k));
    FMAL_TRY(FMAL_ALLOC(&q->picks, k));
    q->p.batch = (int) k;
    return fmal_h5_read(h, picks, FMAL_I64, q->want);
}

static void test_golden(fmal_test *t, const char *directory, int i)
{
    char path[512];
    fmal_h5 *h = NULL;
    pool q = { .p = { .labelled_sum = golden[i].labelled_sum } };
    double before = 0, after = 0, margin = 0, began = fmal_now();

    snprintf(path, sizeof path, "%s/%s.h5", directory, golden[i].pool);
    fmal_status st = fmal_h5_open(path, &h);
    if (st == FMAL_OK)
        st = read_pool(h, &q);
    if (st == FMAL_OK)
        st = read_answer(h, golden[i].method, &q);
    if (st == FMAL_OK && fmal_oracle_bait(&q.p, q.picks, &before, &after, &margin) != 0)
        st = FMAL_ERR_NOMEM;
    fmal_test_status(t, st, FMAL_OK, path);
    if (st == FMAL_OK) {
        fmal_test_ok(t, same_picks(q.picks, q.want, q.p.batch), "%s, %s: picks",
                     golden[i].pool, golden[i].method);
        fmal_test_ok(t, near("objective", after, q.objective, 1e-8),
                     "%s, %s: objective", golden[i].pool, golden[i].method);
        printf("# %.6g to %.6g, smallest margin %.1e, %.1f s\n", before, after, margin,
               fmal_now() - began);
    }
    pool_clear(&q);
    fmal_h5_close(&h);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    const char *directory = getenv("FMAL_GOLDEN");
    char iris[512];

    if (!directory)
        directory = FMAL_SOURCE_DIR "/../shared/golden";
    snprintf(iris, sizeof iris, "%s/iris.h5", directory);
    if (!fmal_file_exists(iris))
        return fmal_test_skip(&t,
                              "no recorded answers: set FMAL_GOLDEN to their place");

    test_small(&t);
    test_margin(&t);
    for (int i = 0; i < FMAL_COUNT(golden) - SANITIZED; i++)
        test_golden(&t, directory, i);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
