#include "fmal/la.h"
#include "scalapack.h"

void fmal_grid_choose(fmal_idx n, int ranks, int *rows, int *cols)
{
    *rows = *cols = 1;
    if (n <= FMAL_ONE_RANK_ORDER)
        return;
    for (int r = 1; r * r <= ranks; r++) {
        int c = ranks / r;

        /* More ranks first; of equal numbers the squarer grid, which comes later. */
        if (r * c >= *rows * *cols) {
            *rows = r;
            *cols = c;
        }
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
