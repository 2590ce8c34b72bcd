/*
 * Single-precision passes over dense factors. Row k of sixteen samples' factors is
 * turned to [D, LANES] when it is needed: a turned copy of all would take as much
 * memory as the factors themselves, and turning costs less than the product that
 * follows.
 */
#include "dense_impl.h"
#include "stream_impl.h"
#include "fmal/mem.h"

#include <string.h>

typedef struct {
    fmal_columns
        columns; /* rows: the columns of W and Z; one "class block" of order D */
    float *rows; /* [D, LANES]: row k of a tile */
    float *y;    /* [2 r steps and a panel more, LANES] */
} stream_data;

fmal_status fmal_dense_stream_open(fmal_stream *s)
{
    int r = s->factor->rank, order = (int) s->factor->order;
    stream_data *data = NULL;

    FMAL_TRY(FMAL_ALLOC(&data, 1));
    s->own = data;
    FMAL_TRY(fmal_columns_create(s, 2 * r, 1, order, &data->columns));
    s->flops = 2.0 * 2 * r * r * order * LANES;
    FMAL_TRY(FMAL_ALLOC(&data->rows, (fmal_idx) order * LANES));
    return FMAL_ALLOC(&data->y,
                      (fmal_idx) (data->columns.chunk + FMAL_PANEL_ROWS) * LANES);
}

double fmal_dense_stream_bytes(const fmal_factor *f, double slots, bool one_step)
{
    int rows = 2 * f->rank, order = (int) f->order;

    (void) slots; /* samples are read where they are */
    return fmal_columns_bytes(rows, 1, order, one_step) + 4.0 * order * LANES +
           fmal_columns_y_bytes(rows, 1, order);
}

double fmal_dense_stream_flops(const fmal_factor *f)
{
    return 4.0 * f->rank * f->rank * (double) f->order;
}

void fmal_dense_stream_close(fmal_stream *s)
{
    stream_data *data = s->own;

    fmal_columns_clear(&data->columns);
    fmal_free(&data->rows);
    fmal_free(&data->y);
    fmal_free(&s->own);
}

void fmal_dense_stream_put(fmal_stream *s, fmal_idx tile)
{
    (void) s; /* rows are read where they are */
    (void) tile;
}

void fmal_dense_stream_push(fmal_stream *s, int step, const double *wz)
{
    stream_data *data = s->own;

    fmal_columns_pack(&data->columns, step, wz, (size_t) s->factor->order);
}

/* data->rows = row k of a tile's samples; in padding that of some other sample. */
static void turn(const fmal_stream *s, fmal_idx tile, int k)
{
    const fmal_factor *f = s->factor;
    const float *v = ((const dense *) f->own)->v, *from[LANES];

    for (int lane = 0; lane < LANES; lane++) {
        fmal_idx il = s->local[tile * LANES + lane];

        from[lane] =
            v + ((il < 0 ? s->local[tile * LANES] : il) * f->rank + k) * f->order;
    }
    s->kernel->turn((int) f->order, from, (float) s->scale,
                    ((stream_data *) s->own)->rows);
}

int fmal_dense_stream_apply(fmal_stream *s, int first, int last, fmal_idx tile,
                            int n_tiles, float *pq)
{
    stream_data *data = s->own;
    const fmal_columns *c = &data->columns;
    int r = s->factor->rank, steps = fmal_columns_together(c, first, last);
    size_t per_tile = (size_t) steps * 2 * (size_t) (r * r) * LANES;

    for (int t = 0; t < n_tiles; t++, pq += per_tile)
        for (int k = 0; k < r; k++) {
            turn(s, tile + t, k);
            for (int chunk = 0, col = 0; chunk < c->chunks; chunk++) {
                int cols = steps * fmal_columns_chunk_rows(c, chunk);

                fmal_columns_multiply(c, s->kernel, first, steps, chunk, data->rows,
                                      data->y);
                for (int j = 0; j < cols; j++, col++)
                    memcpy(pq + ((size_t) col * (size_t) r + (size_t) k) * LANES,
                           data->y + j * LANES, sizeof(float) * LANES);
            }
        }
    return steps;
}
