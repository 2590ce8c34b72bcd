/* Single-precision passes over Kronecker factors. */
#include "kron_impl.h"
#include "stream_impl.h"
#include "fmal/mem.h"

#include <string.h>

/* Features that are in a file are packed when a pass comes to them, a few tiles at a
   time. */
typedef struct {
    fmal_columns columns;
    fmal_idx first, held; /* tiles that are packed: all, or those at hand */
    float *h;             /* [tiles, d, LANES] */
    float *root;          /* [tiles, r, LANES] */
    float *shift;         /* [tiles, used, LANES] */
    int *pick;   /* [tiles, r, LANES], of topc; NULL where row k picks class k but */
    int *swap;   /* [tiles, LANES]: for this row, which picks the last; -1: none */
    float *y;    /* [rows of a chunk and a panel more, LANES] */
    float *pair; /* [d, 2]: [W | Z]^T of the last step, if that is two rows */
    int last;    /* that step */
} stream_data;

/* What a sample's probabilities say, to tile `tile` of those that are packed. */
static void pack_rows(fmal_stream *s, fmal_idx il, fmal_idx tile, fmal_idx lane)
{
    kron *own = s->factor->own;
    stream_data *data = s->own;
    int r = s->factor->rank, used = own->used;

    fmal_kron_rows(own, own->p + il * own->c);
    for (int k = 0; k < r; k++) {
        fmal_idx at = (tile * r + k) * LANES + lane;

        data->root[at] = (float) (s->scale * own->root[k]);
        if (data->pick)
            data->pick[at] = own->pick[k];
    }
    for (int m = 0; m < used; m++)
        data->shift[(tile * used + m) * LANES + lane] = (float) fmal_kron_shift(own, m);
    if (data->swap)
        data->swap[tile * LANES + lane] = fmal_kron_swap(own);
}

/* The features of a tile's samples, local [LANES]; whatever they are in padding, which
   is at the end. From memory all at once, from a file row by row. */
static void pack_features(fmal_stream *s, const fmal_idx *local, fmal_idx tile)
{
    const kron *own = s->factor->own;
    float *h = ((stream_data *) s->own)->h + tile * own->d * LANES;
    const float *rows[LANES];

    for (fmal_idx lane = 0; lane < LANES; lane++) {
        rows[lane] = fmal_rows_at(&own->h, local[local[lane] < 0 ? 0 : lane]);
        for (int a = 0; s->factor->streams && a < own->d; a++)
            h[a * LANES + lane] = rows[lane][a];
    }
    if (!s->factor->streams)
        s->kernel->turn(own->d, rows, 1, h);
}

/* Tile `from` of the stream, to tile `to` of those that are packed. */
static void pack_tile(fmal_stream *s, fmal_idx from, fmal_idx to)
{
    const fmal_idx *local = s->local + from * LANES;

    pack_features(s, local, to);
    for (fmal_idx lane = 0; lane < LANES; lane++)
        if (local[lane] >= 0)
            pack_rows(s, local[lane], to, lane);
}

void fmal_kron_stream_put(fmal_stream *s, fmal_idx tile)
{
    pack_tile(s, tile, tile);
}

/* Pack tiles [first, first + count); what was there before is lost. */
static void pack_tiles(fmal_stream *s, fmal_idx first, fmal_idx count)
{
    const kron *own = s->factor->own;
    stream_data *data = s->own;
    size_t r = (size_t) s->factor->rank * LANES, used = (size_t) own->used * LANES;

    if (first == data->first && count <= data->held)
        return;
    for (fmal_idx tile = 0; tile < count; tile++)
        pack_tile(s, first + tile, tile);
    /* Padding, in the last tile alone: without rows nothing else counts. */
    for (fmal_idx lane = 0; lane < LANES && count > 0; lane++)
        if (s->local[(first + count - 1) * LANES + lane] < 0) {
            for (size_t k = 0; k < r; k += LANES)
                data->root[(size_t) (count - 1) * r + k + (size_t) lane] = 0;
            for (size_t k = 0; k < used; k += LANES)
                data->shift[(size_t) (count - 1) * used + k + (size_t) lane] = 0;
        }
    data->first = first;
    data->held = count;
}

/* Tiles that there is room for. */
static fmal_idx tiles_held(const fmal_factor *f, fmal_idx tiles)
{
    return f->streams && tiles > FMAL_STREAM_TOGETHER ? FMAL_STREAM_TOGETHER : tiles;
}

fmal_status fmal_kron_stream_open(fmal_stream *s)
{
    const kron *own = s->factor->own;
    fmal_idx d = own->d, r = s->factor->rank, used = own->used;
    fmal_idx held = tiles_held(s->factor, s->tiles);
    int rows = (int) (2 * r * used);
    stream_data *data = NULL;

    FMAL_TRY(FMAL_ALLOC(&data, 1));
    s->own = data;
    FMAL_TRY(fmal_columns_create(s, rows, own->used, own->d, &data->columns));
    s->flops = 2.0 * rows * own->d * LANES;
    FMAL_TRY(FMAL_ALLOC(&data->h, held * d * LANES));
    FMAL_TRY(FMAL_ALLOC(&data->root, held * r * LANES));
    FMAL_TRY(FMAL_ALLOC(&data->shift, held * used * LANES));
    if (own->likelihood == FMAL_LIKELIHOOD_TOPC)
        FMAL_TRY(FMAL_ALLOC(&data->pick, held * r * LANES));
    else
        FMAL_TRY(FMAL_ALLOC(&data->swap, held * LANES));
    FMAL_TRY(FMAL_ALLOC(&data->y, (data->columns.chunk + FMAL_PANEL_ROWS) * LANES));
    if (rows == 2)
        FMAL_TRY(FMAL_ALLOC(&data->pair, 2 * d));
    data->first = -1;
    if (!s->factor->streams)
        pack_tiles(s, 0, s->tiles);
    return FMAL_OK;
}

double fmal_kron_stream_bytes(const fmal_factor *f, double slots, bool one_step)
{
    const kron *own = f->own;
    int rows = 2 * f->rank * own->used;
    double pick = own->likelihood == FMAL_LIKELIHOOD_TOPC ? f->rank : 0;
    double held = (double) tiles_held(f, (fmal_idx) slots / LANES) * LANES;

    return held * 4 * (own->d + f->rank + own->used + pick) +
           fmal_columns_bytes(rows, own->used, own->d, one_step) +
           fmal_columns_y_bytes(rows, own->used, own->d) +
           (rows == 2 ? 8.0 * own->d : 0);
}

double fmal_kron_stream_flops(const fmal_factor *f)
{
    const kron *own = f->own;

    return 4.0 * f->rank * own->used * own->d;
}

void fmal_kron_stream_close(fmal_stream *s)
{
    stream_data *data = s->own;

    fmal_columns_clear(&data->columns);
    fmal_free(&data->h);
    fmal_free(&data->root);
    fmal_free(&data->shift);
    fmal_free(&data->pick);
    fmal_free(&data->swap);
    fmal_free(&data->y);
    fmal_free(&data->pair);
    fmal_free(&s->own);
}

void fmal_kron_stream_push(fmal_stream *s, int step, const double *wz)
{
    const kron *own = s->factor->own;
    stream_data *data = s->own;

    fmal_columns_pack(&data->columns, step, wz, (size_t) own->used * (size_t) own->d);
    data->last = step;
    for (int a = 0; data->pair && a < own->d; a++)
        for (int row = 0; row < 2; row++)
            data->pair[2 * a + row] = (float) wz[row * own->d + a];
}

/* Rows that pick any class: that of each lane is another. The first picks the base. */
static void project_picked(int r, int used, int cols, const float *y, const float *root,
                           const float *shift, const int *pick, float *out)
{
    for (int j = 0; j < cols; j++, y += used * LANES, out += r * LANES) {
        float mean[LANES] = { 0 }, last[LANES] = { 0 }; /* the class not computed */
        float base[LANES];

        for (int k = 0; k < used; k++)
            for (int lane = 0; lane < LANES; lane++) {
                mean[lane] += shift[k * LANES + lane] * y[k * LANES + lane];
                last[lane] -= y[k * LANES + lane];
            }
        for (int k = 0; k < r; k++)
            for (int lane = 0; lane < LANES; lane++) {
                int at = k * LANES + lane, class = pick[at];
                float picked = class < used ? y[class * LANES + lane] : last[lane];

                base[lane] = k == 0 ? picked : base[lane];
                out[at] = root[at] * (picked - base[lane] - mean[lane]);
            }
    }
}

static void project(const fmal_stream *s, fmal_idx tile, int cols, const float *y,
                    float *out)
{
    const stream_data *data = s->own;
    int r = s->factor->rank, used = ((const kron *) s->factor->own)->used;
    const float *root = data->root + tile * r * LANES;
    const float *shift = data->shift + tile * used * LANES;

    if (data->pick)
        project_picked(r, used, cols, y, root, shift, data->pick + tile * r * LANES,
                       out);
    else
        s->kernel->project(r, cols, y, root, shift, data->swap + tile * LANES, out);
}

/* The last step, which is two rows. */
static void apply_pair(const fmal_stream *s, fmal_idx tile, int n_tiles, float *pq)
{
    const kron *own = s->factor->own;
    const stream_data *data = s->own;

    for (int t = 0; t < n_tiles; t++, pq += 2 * LANES) {
        s->kernel->multiply_pair(own->d, data->pair,
                                 data->h + (tile + t) * own->d * LANES, data->y);
        project(s, tile + t, 2, data->y, pq);
    }
}

int fmal_kron_stream_apply(fmal_stream *s, int first, int last, fmal_idx tile,
                           int n_tiles, float *pq)
{
    const kron *own = s->factor->own;
    stream_data *data = s->own;
    const fmal_columns *c = &data->columns;
    int r = s->factor->rank, steps = fmal_columns_together(c, first, last);
    fmal_idx at = s->factor->streams ? 0 : tile; /* of the tiles that are packed */
    size_t per_tile = (size_t) steps * 2 * (size_t) (r * r) * LANES;

    if (s->factor->streams)
        pack_tiles(s, tile, n_tiles);
    if (data->pair && steps == 1 && first == data->last) {
        apply_pair(s, at, n_tiles, pq);
        return 1;
    }
    for (int chunk = 0; chunk < c->chunks; chunk++) {
        int cols = fmal_columns_chunk_rows(c, chunk) / own->used;
        size_t before = (size_t) (chunk * (c->chunk / own->used)) * (size_t) r * LANES;

        for (int t = 0; t < n_tiles; t++) {
            fmal_columns_multiply(c, s->kernel, first, steps, chunk,
                                  data->h + (at + t) * own->d * LANES, data->y);
            project(s, at + t, steps * cols, data->y,
                    pq + (size_t) t * per_tile + before);
        }
    }
    return steps;
}
