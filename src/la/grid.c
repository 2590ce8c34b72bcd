/*
 * Which grid is best is a question of how much is computed and how much is sent. What a
 * refresh does with matrices of order n on R x C ranks takes about
 *
 *     5 n^3 / (R C) flops   and   5 n^2 (1 / R + 1 / C) numbers sent by a rank,
 *
 * since panels travel along rows and columns of the grid. So most ranks win when n is
 * large, square grids when n is small or ranks are many: a prime number of them would
 * otherwise stand in one row, in which every rank receives all of every panel.
 */
#include "fmal/la.h"
#include "scalapack.h"

/* Flops in the time that a number takes to be sent, and waited for. A guess, from 40
   GFLOP/s and 1.5 GB/s of a rank; it decides between grids that are about as fast. */
static const double FLOPS_A_NUMBER = 200;

/* In shares of the flops of one rank alone. */
static double cost_of(fmal_idx n, int rows, int cols)
{
    double r = rows, c = cols;

    return 1 / (r * c) + FLOPS_A_NUMBER / (double) n * (1 / r + 1 / c);
}

void fmal_grid_choose(fmal_idx n, int ranks, int *rows, int *cols)
{
    *rows = *cols = 1;
    if (n <= FMAL_ONE_RANK_ORDER)
        return;
    *cols = ranks;
    for (int r = 2; r * r <= ranks; r++)
        if (cost_of(n, r, ranks / r) < cost_of(n, *rows, *cols)) {
            *rows = r;
            *cols = ranks / r;
        }
}

void fmal_grid_init(fmal_grid *grid, const fmal_ctx *ctx, int rows, int cols)
{
    int got_rows, got_cols;

    *grid =
        (fmal_grid){ .ctx = *ctx, .rows = rows, .cols = cols, .row = -1, .col = -1 };
    grid->blacs_comm = Csys2blacs_handle(ctx->comm);
    grid->context = grid->blacs_comm;
    Cblacs_gridinit(&grid->context, "Row", rows, cols);
    grid->inside = ctx->rank < rows * cols;
    if (grid->inside)
        Cblacs_gridinfo(grid->context, &got_rows, &got_cols, &grid->row, &grid->col);
}

void fmal_grid_clear(fmal_grid *grid)
{
    if (grid->rows == 0)
        return;
    if (grid->inside)
        Cblacs_gridexit(grid->context);
    Cfree_blacs_system_handle(grid->blacs_comm);
    *grid = (fmal_grid){ 0 };
}
