/* Every method on made-up diagonals with ties; and masks made from samples. */
#include "fmal_test.h"
#include "slow.h"

#include "fmal/mask.h"

#include <stdio.h>
#include <string.h>

/* mlp of blobs: hidden.weight [5, 6] at 0, hidden.bias at 30, head.weight [3, 5] at 35.
 */
enum { HEAD = 35, HEAD_COUNT = 15 };

/* Values that decide: few are large, many are equal. */
static void fill(double value[SLOW_SIZE])
{
    for (int i = 0; i < SLOW_SIZE; i++)
        value[i] = 1;
    value[3] = value[17] = 5; /* a tie of two */
    value[29] = 7;
    value[32] = 6;   /* of the bias, whose mean is 2 */
    value[40] = 1e9; /* the head is not looked at */
}

static const struct {
    const char *name;
    fmal_mask_method method;
    double fraction;
    int extra;
    fmal_idx index[16]; /* outside of the head */
} table[] = {
    { "the head alone", FMAL_MASK_GLOBAL, 0.3, 0, { 0 } },
    { "the largest", FMAL_MASK_GLOBAL, 0.32, 1, { 29 } },
    { "a tie is cut at the lowest", FMAL_MASK_GLOBAL, 0.36, 3, { 3, 29, 32 } },
    { "the rest of a tie in order",
      FMAL_MASK_GLOBAL,
      0.42,
      6,
      { 0, 1, 3, 17, 29, 32 } },
    { "0.58 of 50 are 29, which a product misses",
      FMAL_MASK_GLOBAL,
      0.58,
      14,
      { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 17, 29, 32 } },
    { "a tenth of each tensor", FMAL_MASK_LAYERWISE, 0.1, 3, { 3, 17, 29 } },
    { "a fifth of each tensor",
      FMAL_MASK_LAYERWISE,
      0.2,
      7,
      { 0, 1, 2, 3, 17, 29, 32 } },
    { "too little of any tensor", FMAL_MASK_LAYERWISE, 0.01, 0, { 0 } },
    { "relative takes 2.5 % at most", FMAL_MASK_RELATIVE, 1, 0, { 0 } },
};

static bool is_mask(const fmal_mask *m, int row)
{
    bool good = m->extra == table[row].extra && m->count == m->extra + HEAD_COUNT &&
                m->size == SLOW_SIZE && !m->samples;

    for (int i = 0; good && i < m->extra; i++)
        good = m->index[i] == table[row].index[i];
    for (int i = 0; good && i < HEAD_COUNT; i++)
        good = m->index[m->extra + i] == HEAD + i;
    return good;
}

static void test_methods(fmal_test *t)
{
    fmal_net *net = blobs_net("mlp");
    double value[SLOW_SIZE];

    fill(value);
    for (int row = 0; row < FMAL_COUNT(table); row++) {
        fmal_mask_options o = { .method = table[row].method,
                                .fraction = table[row].fraction };
        fmal_mask m = { 0 };
        fmal_status st = fmal_mask_choose(net, &o, value, &m);
        bool values = st == FMAL_OK;

        for (fmal_idx i = 0; values && i < m.count; i++)
            values = m.value[i] == value[m.index[i]];
        fmal_test_ok(t, st == FMAL_OK && is_mask(&m, row) && values, "%s",
                     table[row].name);
        fmal_mask_clear(&m);
    }
    fmal_net_destroy(&net);
}

/* A tensor of 400, of which relative may take 10. */
static void test_relative(fmal_test *t)
{
    const int shape[3] = { 40, 1, 1 };
    fmal_mask_options o = { .method = FMAL_MASK_RELATIVE, .fraction = 0.5 };
    fmal_net *net = NULL;
    double value[10 * 40 + 10 + 20];
    fmal_mask m = { 0 };

    if (fmal_net_create("mlp", shape, 2, 10, 1, &net) != FMAL_OK)
        abort();
    for (int i = 0; i < FMAL_COUNT(value); i++)
        value[i] = 1;
    for (int i = 100; i < 104; i++)
        value[i] = 2.5;
    value[104] = 2.03; /* twice the mean is 2.035 */
    fmal_status st = fmal_mask_choose(net, &o, value, &m);
    fmal_test_ok(t, st == FMAL_OK && m.extra == 4 && m.index[0] == 100,
                 "relative: above twice the mean only");
    fmal_mask_clear(&m);
    for (int i = 60; i < 80; i++)
        value[i] = 9;
    st = fmal_mask_choose(net, &o, value, &m);
    fmal_test_ok(t, st == FMAL_OK && m.extra == 10 && m.index[9] == 69,
                 "relative: 2.5 %% of a tensor at most, the first of equals");
    fmal_mask_clear(&m);
    fmal_net_destroy(&net);
}

static void test_random(fmal_test *t)
{
    fmal_net *net = blobs_net("mlp");
    fmal_mask_options o = { .method = FMAL_MASK_RANDOM, .fraction = 0.5, .seed = 4 };
    fmal_mask a = { 0 }, b = { 0 }, c = { 0 };
    bool ok = fmal_mask_choose(net, &o, NULL, &a) == FMAL_OK &&
              fmal_mask_choose(net, &o, NULL, &b) == FMAL_OK;

    o.round = 1;
    ok = ok && fmal_mask_choose(net, &o, NULL, &c) == FMAL_OK;
    size_t bytes = 10 * sizeof *a.index;
    fmal_test_ok(t,
                 ok && a.extra == 10 && c.extra == 10 && !a.value &&
                     memcmp(a.index, b.index, bytes) == 0 &&
                     memcmp(a.index, c.index, bytes) != 0,
                 "random: keyed by seed and round");
    fmal_mask_clear(&a);
    fmal_mask_clear(&b);
    fmal_mask_clear(&c);
    fmal_net_destroy(&net);
}

/* The fraction that the message says is enough, and is the least of six digits. */
static void test_too_small(fmal_test *t)
{
    fmal_net *net = blobs_net("mlp");
    fmal_mask_options o = { .fraction = 0.29 };
    double value[SLOW_SIZE], said = 0;
    fmal_mask m = { 0 };

    fill(value);
    fmal_test_status(t, fmal_mask_choose(net, &o, value, &m), FMAL_ERR_USAGE,
                     "a head that is larger than the mask");
    const char *text = strstr(fmal_error_text(), "give a fraction of ");
    bool found = text && sscanf(text, "give a fraction of %lf", &said) == 1;
    fmal_test_ok(t, found && said == 0.3, "says what would do: %s", fmal_error_text());
    for (fmal_mask_method k = FMAL_MASK_LAYERWISE; k <= FMAL_MASK_RELATIVE; k++) {
        o.method = k;
        fmal_test_status(t, fmal_mask_check(net, &o), FMAL_OK,
                         "methods that know no total");
    }
    o.method = FMAL_MASK_RANDOM;
    fmal_test_status(t, fmal_mask_check(net, &o), FMAL_ERR_USAGE, "random knows it");
    fmal_net_destroy(&net);
}

/* ---- From samples ---- */

static const struct {
    const char *name;
    fmal_mask_images images;
    fmal_idx samples, want;
} made[] = {
    { "random images", FMAL_IMAGES_RANDOM, 17, 17 },
    { "the first images", FMAL_IMAGES_FIRST, 5, 5 },
    { "more images than there are", FMAL_IMAGES_RANDOM, 1000, 53 },
};

static bool same_mask(const fmal_mask *a, const fmal_mask *b)
{
    size_t n = (size_t) a->count;

    return a->count == b->count && a->extra == b->extra &&
           a->n_samples == b->n_samples &&
           same_bits(a->index, b->index, n * sizeof *a->index) &&
           same_bits(a->value, b->value, n * sizeof *a->value) &&
           same_bits(a->samples, b->samples,
                     (size_t) a->n_samples * sizeof *a->samples);
}

/* The mask of the diagonal by definition. */
static bool is_best(const fmal_mask *m, const float *params)
{
    double sum[SLOW_SIZE] = { 0 }, least = INFINITY;
    uint8_t masked[SLOW_SIZE] = { 0 };

    for (fmal_idx i = 0; i < m->n_samples; i++)
        slow_squares(params, m->samples[i], sum);
    for (fmal_idx i = 0; i < m->extra; i++) {
        masked[m->index[i]] = 1;
        least = fmin(least, sum[m->index[i]]);
    }
    for (int k = 0; k < HEAD; k++)
        if (!masked[k] && sum[k] > least * (1 + 1e-5))
            return false;
    return true;
}

static void test_made(fmal_test *t, const fmal_ctx *self, int row)
{
    fmal_dataset set = blobs(&t->ctx, 53, 1), whole = blobs(self, 53, 1);
    fmal_net *net = blobs_net("mlp");
    fmal_mask_options o = { .fraction = 0.5,
                            .images = made[row].images,
                            .samples = made[row].samples,
                            .seed = 3 };
    const fmal_watch unwatched = { 0 };
    fmal_mask a = { 0 }, b = { 0 };

    fmal_test_status(t, fmal_mask_make(&t->ctx, net, &set, &o, &unwatched, &a), FMAL_OK,
                     made[row].name);
    bool ascending = a.n_samples == made[row].want;
    for (fmal_idx i = 0; ascending && i < a.n_samples; i++)
        ascending = made[row].images == FMAL_IMAGES_FIRST
                        ? a.samples[i] == i
                        : i == 0 || a.samples[i] > a.samples[i - 1];
    fmal_test_ok(t, ascending && a.extra == 10, "%s: these many", made[row].name);
    fmal_test_ok(t, is_best(&a, fmal_net_params(net)), "%s: the most informative",
                 made[row].name);
    fmal_test_ok(t,
                 fmal_mask_make(self, net, &whole, &o, &unwatched, &b) == FMAL_OK &&
                     same_mask(&a, &b),
                 "%s: as on one rank", made[row].name);
    fmal_mask_clear(&a);
    fmal_mask_clear(&b);
    fmal_net_destroy(&net);
    blobs_clear(&set);
    blobs_clear(&whole);
}

static void test_empty(fmal_test *t)
{
    fmal_dataset set = blobs(&t->ctx, 0, 1);
    fmal_net *net = blobs_net("mlp");
    fmal_mask_options o = { .fraction = 0.5, .samples = 4 };
    const fmal_watch unwatched = { 0 };
    fmal_mask m = { 0 };

    fmal_test_status(t, fmal_mask_make(&t->ctx, net, &set, &o, &unwatched, &m),
                     FMAL_ERR_EMPTY, "a pool without samples");
    fmal_net_destroy(&net);
    blobs_clear(&set);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    test_methods(&t);
    test_relative(&t);
    test_random(&t);
    test_too_small(&t);
    for (int i = 0; i < FMAL_COUNT(made); i++)
        test_made(&t, &self, i);
    test_empty(&t);
    return fmal_test_end(&t);
}
