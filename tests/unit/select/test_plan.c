/* Plans: how many steps, on which grid, and what is refused. */
#include "fmal/select.h"
#include "fmal_test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    fmal_idx n, labelled, excluded, batch;
    double oversample;
    bool top;
    fmal_idx forward, backward;
} steps[] = {
    { "twice the batch", 100, 10, 0, 20, 2, false, 40, 20 },
    { "as many as the batch", 100, 10, 0, 20, 1, false, 20, 0 },
    { "a fraction of a step is a step", 100, 10, 0, 7, 1.5, false, 11, 4 },
    { "but not for rounding", 100, 0, 0, 10, 1.1, false, 11, 1 },
    { "no more than there are", 100, 10, 60, 20, 2, false, 30, 10 },
    { "all there is", 100, 10, 60, 30, 2, false, 30, 0 },
    { "one", 1, 0, 0, 1, 3, false, 1, 0 },
    { "no search", 100, 10, 0, 20, 2, true, 20, 0 },
};

static void test_steps(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(steps); i++) {
        fmal_select_options o = { .batch = steps[i].batch,
                                  .lambda = 1,
                                  .oversample = steps[i].oversample,
                                  .top = steps[i].top };
        fmal_select_plan p = { 0 };
        fmal_status st = fmal_select_plan_make(&o, steps[i].n, steps[i].labelled,
                                               steps[i].excluded, 8, 4, 1, &p);

        fmal_test_ok(t,
                     st == FMAL_OK && p.forward == steps[i].forward &&
                         p.backward == steps[i].backward &&
                         p.candidates ==
                             steps[i].n - steps[i].labelled - steps[i].excluded,
                     "steps: %s", steps[i].name);
    }
}

static const struct {
    const char *name;
    int d, c;
    fmal_likelihood likelihood;
    int topc;
    fmal_idx order;
    int rank;
} sizes[] = {
    { "full", 128, 10, FMAL_LIKELIHOOD_FULL, 0, 1280, 9 },
    { "two classes", 7, 2, FMAL_LIKELIHOOD_FULL, 0, 14, 1 },
    { "topc", 128, 10, FMAL_LIKELIHOOD_TOPC, 2, 1280, 2 },
    { "all classes by rank", 3, 4, FMAL_LIKELIHOOD_TOPC, 4, 12, 4 },
    { "binary", 128, 10, FMAL_LIKELIHOOD_BINARY, 0, 128, 1 },
};

static void test_sizes(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(sizes); i++) {
        fmal_select_options o = { .batch = 10,
                                  .lambda = 1,
                                  .oversample = 2,
                                  .likelihood = sizes[i].likelihood,
                                  .topc = sizes[i].topc };
        fmal_select_plan p = { 0 };
        fmal_status st =
            fmal_select_plan_make(&o, 1000, 5, 0, sizes[i].d, sizes[i].c, 1, &p);

        fmal_test_ok(
            t, st == FMAL_OK && p.order == sizes[i].order && p.rank == sizes[i].rank,
            "sizes: %s", sizes[i].name);
    }
    fmal_select_options o = { .batch = 10, .lambda = 1, .oversample = 2 };
    fmal_select_plan p = { 0 };
    fmal_status st = fmal_select_plan_dense(&o, 1000, 5, 0, 3, 77, 1, &p);
    fmal_test_ok(t, st == FMAL_OK && p.order == 77 && p.rank == 3 && p.forward == 20,
                 "sizes: dense");
}

static const struct {
    const char *name;
    int d, ranks, rows, cols, want_rows, want_cols;
} grids[] = {
    { "small ones are on one rank", 128, 16, 0, 0, 1, 1 },
    { "large ones are spread", 512, 16, 0, 0, 4, 4 },
    { "as given", 128, 16, 2, 3, 2, 3 },
    { "all ranks", 128, 6, 2, 3, 2, 3 },
};

static void test_grids(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(grids); i++) {
        fmal_select_options o = { .batch = 10,
                                  .lambda = 1,
                                  .oversample = 2,
                                  .grid_rows = grids[i].rows,
                                  .grid_cols = grids[i].cols };
        fmal_select_plan p = { 0 };
        fmal_status st =
            fmal_select_plan_make(&o, 1000, 5, 0, grids[i].d, 10, grids[i].ranks, &p);

        fmal_test_ok(t,
                     st == FMAL_OK && p.grid_rows == grids[i].want_rows &&
                         p.grid_cols == grids[i].want_cols,
                     "grid: %s", grids[i].name);
    }
}

static const struct {
    const char *name;
    fmal_select_options options;
    int d, ranks;
    const char *says;
} refused[] = {
    { "a batch of none",
      { .batch = 0, .oversample = 2 },
      8,
      4,
      "--batch 0: the pool has 85 candidates (100 samples, 10 labelled, 5 excluded)" },
    { "a negative batch", { .batch = -1, .oversample = 2 }, 8, 4, "--batch -1" },
    { "more than there are", { .batch = 86, .oversample = 2 }, 8, 4, "--batch 86" },
    { "a grid of more ranks than there are",
      { .batch = 5, .oversample = 2, .grid_rows = 2, .grid_cols = 3 },
      8,
      5,
      "--grid 2x3 needs 6 ranks; there are 5" },
    { "more top classes than classes",
      { .batch = 5, .oversample = 2, .likelihood = FMAL_LIKELIHOOD_TOPC, .topc = 11 },
      8,
      4,
      "--topc 11: there are 10 classes" },
    { "matrices beyond ScaLAPACK",
      { .batch = 5, .oversample = 2, .grid_rows = 1, .grid_cols = 1 },
      5000,
      4,
      "use more ranks" },
};

static void test_refused(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(refused); i++) {
        fmal_select_plan p = { .n = -99 };

        fmal_error_set("", "");
        fmal_status st = fmal_select_plan_make(&refused[i].options, 100, 10, 5,
                                               refused[i].d, 10, refused[i].ranks, &p);
        fmal_test_ok(t,
                     st == FMAL_ERR_ARG && p.n == -99 &&
                         strstr(fmal_error_text(), refused[i].says),
                     "refused: %s", refused[i].name);
    }
}

/* Bytes are those of the parts, and more ranks need fewer each. */
static void test_bytes(fmal_test *t)
{
    fmal_select_options o = { .batch = 100, .lambda = 1, .oversample = 2 };
    fmal_select_plan one, four;
    fmal_status st = fmal_select_plan_make(&o, 100000, 100, 0, 512, 10, 1, &one);

    if (st == FMAL_OK)
        st = fmal_select_plan_make(&o, 100000, 100, 0, 512, 10, 4, &four);
    fmal_test_ok(t,
                 st == FMAL_OK &&
                     fabs(one.bytes - (one.bytes_pool + one.bytes_matrices +
                                       one.bytes_candidates + one.bytes_buffers)) < 1 &&
                     one.bytes_buffers > 0 && one.bytes_double >= one.bytes &&
                     one.bytes_pool > 100000 * 4.0 * 512 &&
                     one.bytes_matrices > 4 * 8.0 * 5120 * 5120 &&
                     one.bytes_candidates > 99900 * 4.0 * (9 * 10 + 512),
                 "bytes: the sum of the parts");
    fmal_test_ok(t,
                 st == FMAL_OK && four.bytes_pool < 0.3 * one.bytes_pool &&
                     four.bytes_candidates < one.bytes_candidates - 5e7 &&
                     four.bytes_matrices < 0.5 * one.bytes_matrices,
                 "bytes: shared by ranks");
}

/* What is there only for a moment, but is as large as what stays. */
static void test_buffers(fmal_test *t)
{
    fmal_select_options o = { .batch = 100,
                              .lambda = 1,
                              .oversample = 2,
                              .likelihood = FMAL_LIKELIHOOD_TOPC,
                              .topc = 2 };
    fmal_select_plan p = { 0 };
    fmal_status st = fmal_select_plan_make(&o, 100000, 100, 0, 64, 50, 1, &p);

    /* Forms of 49 x 50 / 2 pairs of classes; of all samples they would be 2 GB. */
    fmal_test_ok(t, st == FMAL_OK && p.bytes_buffers > 1e8 && p.bytes_buffers < 5e8,
                 "buffers: forms of topc a batch at a time, %.3g", p.bytes_buffers);
    o.likelihood = FMAL_LIKELIHOOD_FULL;
    st = fmal_select_plan_mixed(&o, 1000, 5, 0, 64, 10, 4000, false, 1, &p);
    fmal_test_ok(t, st == FMAL_OK && p.bytes_buffers > 2 * 8.0 * 10 * 256 * 4000,
                 "buffers: tails of a block of samples, %.3g", p.bytes_buffers);
}

/* Blocks and diagonals need no matrices of order c d, and share blocks by ranks. */
static void test_fisher(fmal_test *t)
{
    fmal_select_options o = { .batch = 100, .lambda = 1, .oversample = 2 };
    fmal_select_plan full, block, four, diag, p = { .n = -99 };
    fmal_status st = fmal_select_plan_make(&o, 100000, 100, 0, 512, 40, 1, &full);

    o.fisher = FMAL_FISHER_BLOCK;
    if (st == FMAL_OK)
        st = fmal_select_plan_make(&o, 100000, 100, 0, 512, 40, 1, &block);
    if (st == FMAL_OK)
        st = fmal_select_plan_make(&o, 100000, 100, 0, 512, 40, 4, &four);
    o.fisher = FMAL_FISHER_DIAG;
    if (st == FMAL_OK)
        st = fmal_select_plan_make(&o, 100000, 100, 0, 512, 40, 1, &diag);
    fmal_test_ok(t,
                 st == FMAL_OK && block.bytes_matrices > 3 * 8.0 * 40 * 512 * 512 &&
                     block.bytes_matrices < full.bytes_matrices / 20 &&
                     four.bytes_matrices < 0.5 * block.bytes_matrices &&
                     diag.bytes_matrices < block.bytes_matrices / 20,
                 "fisher: bytes of matrices");
    fmal_test_ok(t,
                 st == FMAL_OK && block.blocks == 40 && block.order == 512 * 40 &&
                     block.forward == 200 && block.backward == 100 &&
                     block.fisher == FMAL_FISHER_BLOCK && block.grid_rows == 1 &&
                     block.flops < full.flops / 20 && four.flops < 0.3 * block.flops &&
                     block.bytes == block.bytes_pool + block.bytes_matrices +
                                        block.bytes_candidates,
                 "fisher: steps and flops");

    /* Matrices of order c d would be beyond ScaLAPACK. */
    st = fmal_select_plan_make(&o, 1000, 100, 0, 5000, 1000, 4, &p);
    fmal_test_ok(t, st == FMAL_OK && p.order == 5000000, "fisher: any order");
    o.grid_rows = o.grid_cols = 1;
    st = fmal_select_plan_make(&o, 1000, 100, 0, 8, 4, 4, &p);
    fmal_test_ok(t, st == FMAL_ERR_ARG && strstr(fmal_error_text(), "--grid"),
                 "refused: a grid of blocks");
    o.grid_rows = o.grid_cols = 0;
    st = fmal_select_plan_dense(&o, 1000, 5, 0, 3, 77, 1, &p);
    fmal_test_ok(t, st == FMAL_OK && p.blocks == 1, "fisher: the diagonal, dense");
    o.fisher = FMAL_FISHER_BLOCK;
    st = fmal_select_plan_dense(&o, 1000, 5, 0, 3, 77, 1, &p);
    fmal_test_ok(t, st == FMAL_ERR_ARG && strstr(fmal_error_text(), "no class blocks"),
                 "refused: blocks of dense factors");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_steps(&t);
    test_sizes(&t);
    test_grids(&t);
    test_refused(&t);
    test_bytes(&t);
    test_buffers(&t);
    test_fisher(&t);
    return fmal_test_end(&t);
}
