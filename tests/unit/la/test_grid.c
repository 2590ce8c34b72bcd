/* Grids of ranks: how they are chosen, and who stands where. */
#include "matrices.h"

#include <math.h>
#include <stdio.h>

static const struct {
    const char *name;
    fmal_idx n;
    int ranks, rows, cols;
} chosen[] = {
    { "a small matrix is on one rank", 1, 64, 1, 1 },
    { "the largest on one rank", FMAL_ONE_RANK_ORDER, 64, 1, 1 },
    { "the first to be spread", FMAL_ONE_RANK_ORDER + 1, 64, 8, 8 },
    { "one rank", 100000, 1, 1, 1 },
    { "two", 100000, 2, 1, 2 },
    { "three", 2560, 3, 1, 3 },
    { "a prime, much to compute", 5000, 7, 1, 7 },
    { "a prime, much to send", 2560, 7, 2, 3 },
    { "a large prime", 100000, 61, 6, 10 },
    { "a larger one", 5000, 127, 9, 14 },
    { "a square", 100000, 9, 3, 3 },
    { "squarer comes before longer", 100000, 12, 3, 4 },
    { "twice a prime", 100000, 10, 2, 5 },
    { "twice a larger prime", 100000, 22, 2, 11 },
    { "twice a larger prime, less to compute", 5000, 22, 3, 7 },
    { "thrice a prime", 100000, 21, 3, 7 },
    { "beyond 2^31", (fmal_idx) 1 << 40, 6, 2, 3 },
};

static void test_choice(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(chosen); i++) {
        int rows = -1, cols = -1;

        fmal_grid_choose(chosen[i].n, chosen[i].ranks, &rows, &cols);
        bool right = rows == chosen[i].rows && cols == chosen[i].cols;
        if (!right && t->ctx.rank == 0)
            printf("# %d ranks: %d x %d\n", chosen[i].ranks, rows, cols);
        fmal_test_ok(t, right, "%s", chosen[i].name);
    }
}

/* What a rank computes and sends, of all grids that fit the least. */
static void test_best(fmal_test *t, fmal_idx n)
{
    int bad = 0;

    for (int ranks = 1; ranks <= 300; ranks++) {
        int rows, cols;
        double least = INFINITY;

        fmal_grid_choose(n, ranks, &rows, &cols);
        for (int r = 1; r <= ranks; r++)
            for (int c = 1; r * c <= ranks; c++) {
                double cost = (1 + 200.0 / (double) n * (r + c)) / (r * c);

                least = cost < least ? cost : least;
            }
        double cost = (1 + 200.0 / (double) n * (rows + cols)) / (rows * cols);
        bool best = rows >= 1 && rows <= cols && rows * cols <= ranks &&
                    cost <= least * (1 + 1e-12);
        if (!best && bad++ < 3 && t->ctx.rank == 0)
            printf("# %d ranks: %d x %d\n", ranks, rows, cols);
    }
    fmal_test_ok(t, bad == 0, "the least cost up to 300 ranks, order %d", (int) n);
}

/* Few ranks are left out. */
static void test_idle(fmal_test *t)
{
    double worst = 1;

    for (fmal_idx n = FMAL_ONE_RANK_ORDER + 1; n < 1000000; n *= 3)
        for (int ranks = 1; ranks <= 2000; ranks++) {
            int rows, cols;

            fmal_grid_choose(n, ranks, &rows, &cols);
            double used = rows * cols / (double) ranks;
            worst = used < worst ? used : worst;
        }
    fmal_test_ok(t, worst > 0.8, "at least %.3g of the ranks work", worst);
}

static void test_places(fmal_test *t, int rows, int cols)
{
    fmal_grid grid;
    bool inside = t->ctx.rank < rows * cols;

    fmal_grid_init(&grid, &t->ctx, rows, cols);
    bool right = grid.rows == rows && grid.cols == cols && grid.inside == inside &&
                 grid.row == (inside ? t->ctx.rank / cols : -1) &&
                 grid.col == (inside ? t->ctx.rank % cols : -1);
    fmal_test_ok(t, right, "%d x %d: places", rows, cols);

    fmal_grid_clear(&grid);
    fmal_test_ok(t, grid.rows == 0 && !grid.inside, "%d x %d: cleared", rows, cols);
    fmal_grid_clear(&grid);
}

/* A grid of only some of the processes, as the tests of the engine use them. */
static void test_part_of_the_world(fmal_test *t)
{
    fmal_ctx alone;
    fmal_grid grid;

    fmal_ctx_init(&alone, MPI_COMM_SELF);
    fmal_grid_init(&grid, &alone, 1, 1);
    fmal_dmat *m = spread(&grid, 3, NULL);
    fmal_dmat_set_diagonal(m, 2 + t->ctx.rank);
    double trace = fmal_dmat_trace_product(m, m), x = 2.0 + t->ctx.rank;
    fmal_test_ok(t, trace == 3 * x * x, "every rank has a grid of its own");
    fmal_dmat_destroy(&m);
    fmal_grid_clear(&grid);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_choice(&t);
    test_best(&t, 2049);
    test_best(&t, 3000);
    test_best(&t, 200000);
    test_idle(&t);
    for (int i = 0; i < FMAL_COUNT(grids); i++)
        if (grids[i].rows * grids[i].cols <= t.ctx.size)
            test_places(&t, grids[i].rows, grids[i].cols);
    test_part_of_the_world(&t);
    return fmal_test_end(&t);
}
