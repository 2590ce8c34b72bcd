/*
 * From sums over samples to the ranks that own elements made of them.
 *
 * A sum is needed in several places of the matrix: at two mirrored ones, and in the
 * Kronecker form in diagonal blocks besides. These are mostly of different ranks, so
 * that a reduction to each would send a sum several times, as one to all does, whatever
 * the number of ranks P. Here it is sent once: units are dealt out to the ranks of the
 * grid, and each rank receives the sums of its own units (fmal_sum_i64_parts), makes
 * elements of them, and sends every element to the rank that has its place. With N sums
 * and D^2 elements a rank sends, of numbers,
 *
 *     N (P - 1) / P  +  D^2 (P - 1) / P^2,
 *
 * where a reduction to all sends 2 N (P - 1) / P. N is about D^2 / 4 in the Kronecker
 * form and D^2 / 2 in the others. Ranks outside of the grid send sums and receive
 * nothing.
 *
 * Both sides go through the same units in the same order, so that elements travel
 * without their places. A grid of one rank takes the sums themselves.
 */
#include "slab.h"
#include "fmal/mem.h"

enum { TAG_ELEMENTS = 11, TOGETHER = 1 << 17 }; /* elements of a rank in an exchange */

static int grid_ranks(const fmal_slab *slab)
{
    return slab->out->grid->rows * slab->out->grid->cols;
}

static fmal_idx units_together(fmal_idx units, fmal_idx most)
{
    fmal_idx fit = most < TOGETHER ? TOGETHER / most : 1;

    return fit < units ? fit : units > 0 ? units : 1;
}

/* Who has which rows and columns, and where this rank has its own. */
static void find_places(fmal_slab *slab)
{
    const fmal_dmat *m = slab->out;

    for (int i = 0; i < m->n; i++) {
        slab->row_proc[i] = i / FMAL_DMAT_BLOCK % m->grid->rows;
        slab->col_proc[i] = i / FMAL_DMAT_BLOCK % m->grid->cols;
    }
    for (int il = 0; il < m->rows_l; il++)
        slab->row_l[fmal_dmat_row(m, il)] = il;
    for (int jl = 0; jl < m->cols_l; jl++)
        slab->col_l[fmal_dmat_col(m, jl)] = jl;
}

fmal_status fmal_slab_init(fmal_slab *slab, const fmal_ctx *ctx, fmal_idx units,
                           fmal_idx most)
{
    fmal_idx n = slab->out->n, exchanged;

    slab->ctx = *ctx;
    slab->most = most;
    slab->together = units_together(units, most);
    exchanged = grid_ranks(slab) > 1 ? 2 * slab->together * most : 0;
    int **tables[] = { &slab->row_proc, &slab->col_proc, &slab->row_l,
                       &slab->col_l,    &slab->hit_rows, &slab->hit_cols };
    for (int i = 0; i < FMAL_COUNT(tables); i++)
        FMAL_TRY(FMAL_ALLOC(tables[i], n));
    find_places(slab);
    FMAL_TRY(FMAL_ALLOC(&slab->x, slab->together * most));
    FMAL_TRY(FMAL_ALLOC(&slab->outgoing, exchanged));
    FMAL_TRY(FMAL_ALLOC(&slab->arrived, exchanged));
    return FMAL_ALLOC(&slab->room, exchanged > 0 ? FMAL_SUM_ROOM : 0);
}

void fmal_slab_clear(fmal_slab *slab)
{
    fmal_free(&slab->row_proc);
    fmal_free(&slab->col_proc);
    fmal_free(&slab->row_l);
    fmal_free(&slab->col_l);
    fmal_free(&slab->hit_rows);
    fmal_free(&slab->hit_cols);
    fmal_free(&slab->x);
    fmal_free(&slab->outgoing);
    fmal_free(&slab->arrived);
    fmal_free(&slab->room);
}

double fmal_slab_bytes(fmal_idx order, fmal_idx most)
{
    double x = most > TOGETHER ? (double) most : TOGETHER;

    return 8 * (5 * x + FMAL_SUM_ROOM) + 6.0 * sizeof(int) * (double) order;
}

/* ---- Elements of one rank ---- */

/* Those i for which index first + i step is of process row or column `want`. */
static int find_hits(const int *proc, int want, int first, int step, int n, int *hits)
{
    int found = 0;

    for (int i = 0; i < n; i++)
        if (proc[first + i * step] == want)
            hits[found++] = i;
    return found;
}

/* Some of a rank's units. */
typedef struct {
    fmal_idx first, count;
} unit_range;

/* Elements on their way. */
typedef struct {
    enum { KEPT, SENT, ARRIVED } way; /* unit to place; unit to line; line to place */
    const double *x;  /* of the unit, [rows, cols], unless they arrived */
    double *line;     /* between ranks, one after the other, unless they are kept */
    fmal_idx in_line; /* so far */
} flow;

/* Where this rank keeps an element that is its own. */
static double *place_of(const fmal_slab *slab, int row, int col)
{
    const fmal_dmat *m = slab->out;

    return m->a + (size_t) slab->col_l[col] * (size_t) m->rows_l +
           (size_t) slab->row_l[row];
}

static void pass(const fmal_slab *slab, flow *f, int row, int col, fmal_idx at)
{
    switch (f->way) {
    case KEPT:
        *place_of(slab, row, col) += f->x[at];
        break;
    case SENT:
        f->line[f->in_line++] = f->x[at];
        break;
    case ARRIVED:
        *place_of(slab, row, col) += f->line[f->in_line++];
        break;
    }
}

/* The elements of a patch that belong to one rank of the grid. */
static void pass_patch(fmal_slab *slab, const fmal_patch *p, int rank, flow *f)
{
    int row_proc = rank / slab->out->grid->cols,
        col_proc = rank % slab->out->grid->cols;
    int *rows = slab->hit_rows, *cols = slab->hit_cols;
    int n_rows =
        find_hits(slab->row_proc, row_proc, p->row, p->row_step, p->rows, rows);
    int n_cols =
        find_hits(slab->col_proc, col_proc, p->col, p->col_step, p->cols, cols);

    for (int k = 0; k < n_rows; k++)
        for (int l = 0; l < n_cols; l++)
            pass(slab, f, p->row + rows[k] * p->row_step,
                 p->col + cols[l] * p->col_step,
                 (fmal_idx) rows[k] * p->cols + cols[l]);
    n_rows =
        find_hits(slab->col_proc, col_proc, p->row, p->row_step, p->mirrored, rows);
    n_cols = find_hits(slab->row_proc, row_proc, p->col, p->col_step, p->cols, cols);
    for (int k = 0; k < n_rows; k++)
        for (int l = 0; l < n_cols; l++)
            pass(slab, f, p->col + cols[l] * p->col_step,
                 p->row + rows[k] * p->row_step,
                 (fmal_idx) rows[k] * p->cols + cols[l]);
}

/* Those of some units. */
static void pass_units(fmal_slab *slab, unit_range units, int rank, flow f,
                       fmal_idx *count)
{
    fmal_patch patch;

    for (fmal_idx u = 0; u < units.count; u++) {
        slab->patch(slab->job, units.first + u, &patch);
        pass_patch(slab, &patch, rank, &f);
        if (f.way != ARRIVED)
            f.x += slab->most;
    }
    *count = f.in_line;
}

/* ---- Between ranks ---- */

/* Units [at, at + together) of a rank's share. */
static unit_range units_of(const fmal_slab *slab, const fmal_part *all, int rank,
                           fmal_idx at)
{
    fmal_part part = fmal_part_of(all->n, all->block, rank, all->size);
    fmal_idx left = part.count - at;

    left = left < 0 ? 0 : left < slab->together ? left : slab->together;
    return (unit_range){ part.first + at, left };
}

/* Every rank of the grid makes elements of some of its units, and all get theirs. */
static void exchange(fmal_slab *slab, const fmal_part *all, fmal_idx at)
{
    int rank = slab->ctx.rank, ranks = all->size;
    unit_range mine = units_of(slab, all, rank, at);
    fmal_idx count = 0;

    for (fmal_idx u = 0; u < mine.count; u++)
        slab->values(slab->job, mine.first + u, slab->x + u * slab->most);
    pass_units(slab, mine, rank, (flow){ KEPT, .x = slab->x }, &count);
    for (int step = 1; step < ranks; step++) {
        int to = (rank + step) % ranks, from = (rank - step + ranks) % ranks;

        pass_units(slab, mine, to, (flow){ SENT, .x = slab->x, .line = slab->outgoing },
                   &count);
        FMAL_MPI(MPI_Sendrecv(slab->outgoing, (int) count, MPI_DOUBLE, to, TAG_ELEMENTS,
                              slab->arrived, (int) (2 * slab->together * slab->most),
                              MPI_DOUBLE, from, TAG_ELEMENTS, slab->ctx.comm,
                              MPI_STATUS_IGNORE));
        pass_units(slab, units_of(slab, all, from, at), rank,
                   (flow){ ARRIVED, .line = slab->arrived }, &count);
    }
}

void fmal_slab_finish(fmal_slab *slab, int64_t *sum, fmal_idx units, int block,
                      fmal_idx width)
{
    int ranks = grid_ranks(slab);
    fmal_part all = fmal_part_of(units, block, 0, ranks);
    fmal_idx longest = (all.blocks + ranks - 1) / ranks * block;

    if (ranks == 1)
        fmal_sum_i64_to(&slab->ctx, sum, all.blocks * block * width, 0);
    else
        fmal_sum_i64_parts(&slab->ctx, &all, width, sum, slab->room);
    for (fmal_idx at = 0; at < longest && slab->out->grid->inside; at += slab->together)
        exchange(slab, &all, at);
}
