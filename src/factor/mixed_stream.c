/*
 * Single-precision passes over mixed factors. The head is multiplied as in the
 * Kronecker form, by columns less their last class block. A row of the tails of sixteen
 * samples, less the last one, is turned to [extra, LANES] when it is needed
 * (dense_stream.c). What it gives waits in the place of the results, which have the
 * same shape, until the head's products are there and S takes both.
 */
#include "mixed_impl.h"
#include "stream_impl.h"
#include "fmal/mem.h"

#include <assert.h>
#include <string.h>

typedef struct {
    fmal_columns
        head; /* a unit: the class blocks of a column of W or Z, but the last */
    fmal_columns tail; /* the rest of each column */
    float *h;          /* [tiles, d, LANES] */
    float *root;       /* [tiles, r, LANES] */
    float *rest;       /* the same; NULL unless unweighted */
    float *shift;      /* the same */
    float *turned;     /* [extra, LANES] */
    float *y;          /* [rows of a chunk and a panel more, LANES] */
    double *blocks;    /* [2 r, r, d]: a step's columns less their last block */
} stream_data;

static void pack_sample(fmal_stream *s, fmal_idx slot)
{
    const mixed *own = s->factor->own;
    stream_data *data = s->own;
    int d = own->d, r = s->factor->rank;
    fmal_idx tile = slot / LANES, lane = slot % LANES, il = s->local[slot];

    for (int a = 0; a < d; a++)
        data->h[(tile * d + a) * LANES + lane] = il < 0 ? 0 : own->h[il * d + a];
    if (il < 0) /* padding: its results are not looked at */
        return;
    fmal_mixed_rows(own, own->p + il * own->c);
    for (int k = 0; k < r; k++) {
        fmal_idx at = (tile * r + k) * LANES + lane;

        data->root[at] = (float) (s->scale * own->root[k]);
        data->shift[at] = (float) own->center[k];
        if (data->rest)
            data->rest[at] = (float) (s->scale * own->rest[k]);
    }
}

void fmal_mixed_stream_put(fmal_stream *s, fmal_idx tile)
{
    for (fmal_idx slot = tile * LANES; slot < (tile + 1) * LANES; slot++)
        pack_sample(s, slot);
}

/* Columns of head and tail; what the stream says of steps holds for both. */
static fmal_status open_columns(fmal_stream *s)
{
    const mixed *own = s->factor->own;
    stream_data *data = s->own;
    int r = s->factor->rank;

    FMAL_TRY(fmal_columns_create(s, 2 * r * r, r, own->d, &data->head));
    if (own->extra == 0)
        return FMAL_OK;
    int capacity = s->capacity, most_steps = s->most_steps;
    bool cached = s->cached;
    FMAL_TRY(fmal_columns_create(s, 2 * r, 1, own->extra, &data->tail));
    /* Steps that share a panel of the head share one of the tail too. */
    assert(data->tail.per_panel % data->head.per_panel == 0);
    s->capacity = capacity < s->capacity ? capacity : s->capacity;
    s->most_steps = most_steps < s->most_steps ? most_steps : s->most_steps;
    s->cached = cached && s->cached;
    return FMAL_OK;
}

fmal_status fmal_mixed_stream_open(fmal_stream *s)
{
    const mixed *own = s->factor->own;
    fmal_idx d = own->d, r = s->factor->rank, rows = s->tiles * r * LANES;
    stream_data *data = NULL;

    FMAL_TRY(FMAL_ALLOC(&data, 1));
    s->own = data;
    FMAL_TRY(open_columns(s));
    s->flops = 2.0 * 2 * (double) (r * r) * (own->d + own->extra) * LANES;
    FMAL_TRY(FMAL_ALLOC(&data->h, s->tiles * d * LANES));
    FMAL_TRY(FMAL_ALLOC(&data->root, rows));
    FMAL_TRY(FMAL_ALLOC(&data->shift, rows));
    if (own->unweighted)
        FMAL_TRY(FMAL_ALLOC(&data->rest, rows));
    FMAL_TRY(FMAL_ALLOC(&data->turned, (fmal_idx) own->extra * LANES));
    int chunk =
        data->head.chunk > data->tail.chunk ? data->head.chunk : data->tail.chunk;
    FMAL_TRY(FMAL_ALLOC(&data->y, (fmal_idx) (chunk + FMAL_PANEL_ROWS) * LANES));
    FMAL_TRY(FMAL_ALLOC(&data->blocks, 2 * r * r * d));
    for (fmal_idx slot = 0; slot < s->tiles * LANES; slot++)
        if (s->local[slot] >= 0)
            pack_sample(s, slot);
    return FMAL_OK;
}

void fmal_mixed_stream_close(fmal_stream *s)
{
    stream_data *data = s->own;

    fmal_columns_clear(&data->head);
    fmal_columns_clear(&data->tail);
    fmal_free(&data->h);
    fmal_free(&data->root);
    fmal_free(&data->rest);
    fmal_free(&data->shift);
    fmal_free(&data->turned);
    fmal_free(&data->y);
    fmal_free(&data->blocks);
    fmal_free(&s->own);
}

void fmal_mixed_stream_push(fmal_stream *s, int step, const double *wz)
{
    const mixed *own = s->factor->own;
    stream_data *data = s->own;
    int r = s->factor->rank, d = own->d;
    size_t order = (size_t) s->factor->order;
    double *to = data->blocks;

    for (int j = 0; j < 2 * r; j++) {
        const double *w = wz + (size_t) j * order;

        for (int x = 0; x < r * d; x++)
            *to++ = w[x] - w[r * d + x % d];
    }
    fmal_columns_pack(&data->head, step, data->blocks, (size_t) r * (size_t) d);
    if (own->extra > 0)
        fmal_columns_pack(&data->tail, step, wz + (r + 1) * d, order);
}

/* data->turned = row k less the last row of a tile's tails, zero in padding. */
static void turn(const fmal_stream *s, fmal_idx tile, int k)
{
    const mixed *own = s->factor->own;
    fmal_idx extra = own->extra;
    const float *from[LANES], *less[LANES];
    float *to = ((stream_data *) s->own)->turned;

    for (int lane = 0; lane < LANES; lane++) {
        fmal_idx il = s->local[tile * LANES + lane];

        less[lane] = own->tail + ((il < 0 ? 0 : il) * own->c + own->c - 1) * extra;
        from[lane] = il < 0 ? less[lane] : less[lane] - (own->c - 1 - k) * extra;
    }
    for (fmal_idx a = 0; a < extra; a++, to += LANES)
        for (int lane = 0; lane < LANES; lane++)
            to[lane] = from[lane][a] - less[lane][a];
}

/* out [2 r steps, r, LANES] = the tail's share of y, of one tile. */
static void apply_tail(fmal_stream *s, int first, int steps, fmal_idx tile, float *out)
{
    stream_data *data = s->own;
    const fmal_columns *c = &data->tail;
    int r = s->factor->rank;

    for (int k = 0; k < r; k++) {
        turn(s, tile, k);
        for (int chunk = 0, col = 0; chunk < c->chunks; chunk++) {
            int cols = steps * fmal_columns_chunk_rows(c, chunk);

            fmal_columns_multiply(c, s->kernel, first, steps, chunk, data->turned,
                                  data->y);
            for (int j = 0; j < cols; j++, col++)
                memcpy(out + ((size_t) col * (size_t) r + (size_t) k) * LANES,
                       data->y + j * LANES, sizeof(float) * LANES);
        }
    }
}

/* out [cols, r, LANES] = S (y + out), y in data->y. */
static void project(fmal_stream *s, fmal_idx tile, int cols, float *out)
{
    /* Every row picks its own class. */
    static const int32_t swap[LANES] = { -1, -1, -1, -1, -1, -1, -1, -1,
                                         -1, -1, -1, -1, -1, -1, -1, -1 };
    const stream_data *data = s->own;
    int r = s->factor->rank, count = cols * r * LANES;
    const float *rest = data->rest ? data->rest + tile * r * LANES : NULL;
    float *y = data->y;

    if (((const mixed *) s->factor->own)->extra > 0)
        for (int i = 0; i < count; i++)
            y[i] += out[i];
    s->kernel->project(r, cols, y, data->root + tile * r * LANES,
                       data->shift + tile * r * LANES, swap, out);
    for (int j = 0; rest && j < cols; j++)
        for (int i = 0; i < r * LANES; i++)
            out[j * r * LANES + i] += rest[i] * y[j * r * LANES + i];
}

int fmal_mixed_stream_apply(fmal_stream *s, int first, int last, fmal_idx tile,
                            int n_tiles, float *pq)
{
    const mixed *own = s->factor->own;
    stream_data *data = s->own;
    const fmal_columns *c = &data->head;
    int r = s->factor->rank, steps = fmal_columns_together(c, first, last);
    size_t per_tile = (size_t) steps * 2 * (size_t) (r * r) * LANES;

    for (int t = 0; t < n_tiles && own->extra > 0; t++)
        apply_tail(s, first, steps, tile + t, pq + (size_t) t * per_tile);
    for (int chunk = 0; chunk < c->chunks; chunk++) {
        int cols = fmal_columns_chunk_rows(c, chunk) / r;
        size_t before = (size_t) (chunk * (c->chunk / r)) * (size_t) r * LANES;

        for (int t = 0; t < n_tiles; t++) {
            fmal_columns_multiply(c, s->kernel, first, steps, chunk,
                                  data->h + (tile + t) * own->d * LANES, data->y);
            project(s, tile + t, steps * cols, pq + (size_t) t * per_tile + before);
        }
    }
    return steps;
}
