/* The diagonal against its definition, and all ranks against one. */
#include "fmal_test.h"
#include "slow.h"

#include "fmal/fisher.h"

#include <stdio.h>
#include <string.h>

enum { POOL = 53, MOST = 1100 };

static const struct {
    const char *name;
    fmal_idx n, first, step; /* samples first + i step, modulo the pool */
} table[] = {
    { "one sample", 1, 7, 1 },
    { "a batch that is not full", 29, 3, 1 },
    { "several batches, backwards", 53, 52, POOL - 1 },
    { "more than a wave, with repeats", MOST, 0, 5 },
};

static const fmal_watch unwatched;

static void list_samples(int row, fmal_idx *samples)
{
    for (fmal_idx i = 0; i < table[row].n; i++)
        samples[i] = (table[row].first + i * table[row].step) % POOL;
}

static bool is_mean(const double *got, const float *params, const fmal_idx *samples,
                    fmal_idx n)
{
    double want[SLOW_SIZE] = { 0 }, most = 0;
    bool good = true;

    for (fmal_idx i = 0; i < n; i++)
        slow_squares(params, samples[i], want);
    for (int t = 0; t < SLOW_SIZE; t++)
        most = fmax(most, want[t] /= (double) n);
    for (int t = 0; t < SLOW_SIZE; t++)
        good = good && fabs(got[t] - want[t]) <= 1e-5 * want[t] + 1e-9 * most;
    return good && most > 0;
}

static void test_row(fmal_test *t, const fmal_ctx *self, int row)
{
    fmal_dataset set = blobs(&t->ctx, POOL, 1), whole = blobs(self, POOL, 1);
    fmal_net *net = blobs_net("mlp");
    fmal_idx samples[MOST];
    double together[SLOW_SIZE], alone[SLOW_SIZE];

    list_samples(row, samples);
    fmal_test_status(t,
                     fmal_fisher_diagonal(&t->ctx, net, &set, &set.train, samples,
                                          table[row].n, &unwatched, together),
                     FMAL_OK, table[row].name);
    fmal_test_ok(t, is_mean(together, fmal_net_params(net), samples, table[row].n),
                 "%s: by definition", table[row].name);
    fmal_test_ok(t,
                 fmal_fisher_diagonal(self, net, &whole, &whole.train, samples,
                                      table[row].n, &unwatched, alone) == FMAL_OK &&
                     same_bits(together, alone, sizeof alone),
                 "%s: as on one rank", table[row].name);
    fmal_net_destroy(&net);
    blobs_clear(&set);
    blobs_clear(&whole);
}

/* ---- What goes wrong ---- */

static void test_failures(fmal_test *t)
{
    fmal_dataset set = blobs(&t->ctx, POOL, 1);
    fmal_net *net = blobs_net("mlp");
    fmal_idx samples[] = { 1, 2, 3 };
    double out[SLOW_SIZE];
    fmal_stop late = { .deadline = fmal_now() - 1 };
    fmal_watch watch = { .stop = &late };

    fmal_test_status(t,
                     fmal_fisher_diagonal(&t->ctx, net, &set, &set.train, samples, 0,
                                          &unwatched, out),
                     FMAL_ERR_EMPTY, "no sample");
    fmal_test_status(
        t,
        fmal_fisher_diagonal(&t->ctx, net, &set, &set.train, samples, 3, &watch, out),
        FMAL_STOPPED, "a time limit stops it");
    fmal_test_ok(t, strstr(fmal_error_text(), "time limit"), "and says so");
    fmal_net_params(net)[fmal_net_tensor(net, 1)->offset] = INFINITY;
    fmal_test_status(t,
                     fmal_fisher_diagonal(&t->ctx, net, &set, &set.train, samples, 3,
                                          &unwatched, out),
                     FMAL_ERR_NUMERIC, "weights that are not finite");
    fmal_test_ok(t, strstr(fmal_error_text(), "hidden.weight"), "a tensor is named: %s",
                 fmal_error_text());
    fmal_net_destroy(&net);
    blobs_clear(&set);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    for (int i = 0; i < FMAL_COUNT(table); i++)
        test_row(&t, &self, i);
    test_failures(&t);
    return fmal_test_end(&t);
}
