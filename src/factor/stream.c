/*
 * Single-precision passes: which sample sits in which lane, and the packed columns that
 * all forms of factors multiply by.
 */
#include "stream_impl.h"
#include "fmal/mem.h"

#include <string.h>

/* Bytes of packed columns that steps may pile up to, and of those that leave room in
   the L2 cache for samples. */
static const double MOST_COLUMNS = 32 << 20, CACHED_COLUMNS = 512 << 10;

/* Rows of a step that are multiplied in one go: their results stay in the L1 cache. */
enum { CHUNK_ROWS = 162, MOST_STEPS = 4096 };

/* ---- Packed columns ---- */

static void columns_plan(fmal_columns *c, int rows, int unit, int depth)
{
    *c = (fmal_columns){ .rows = rows, .unit = unit, .depth = depth };
    if (rows <= FMAL_PANEL_ROWS / 2) {
        c->per_panel = FMAL_PANEL_ROWS / rows;
        c->chunk = rows;
        c->chunks = c->panels = 1;
        return;
    }
    int units = CHUNK_ROWS / unit, all = rows / unit;

    c->per_panel = 1;
    c->chunk = unit * (units < 1 ? 1 : units > all ? all : units);
    c->chunks = (rows + c->chunk - 1) / c->chunk;
    c->panels = (c->chunk + FMAL_PANEL_ROWS - 1) / FMAL_PANEL_ROWS;
}

static size_t panel_floats(const fmal_columns *c)
{
    return (size_t) c->depth * FMAL_PANEL_ROWS;
}

static double step_bytes(const fmal_columns *c)
{
    return 4.0 * (double) panel_floats(c) * c->panels * c->chunks / c->per_panel;
}

/* Steps that fit into a bounded store. */
static int steps_that_fit(const fmal_columns *c)
{
    double steps = MOST_COLUMNS / step_bytes(c);

    return steps < 1 ? 1 : steps > MOST_STEPS ? MOST_STEPS : (int) steps;
}

/* Numbers of a store for so many steps. */
static fmal_idx store_floats(const fmal_columns *c, int capacity)
{
    fmal_idx steps = (capacity + c->per_panel - 1) / c->per_panel;

    return (fmal_idx) panel_floats(c) * c->panels * c->chunks * steps;
}

fmal_status fmal_columns_create(fmal_stream *s, int rows, int unit, int depth,
                                fmal_columns *c)
{
    columns_plan(c, rows, unit, depth);
    s->capacity = s->one_step ? 1 : steps_that_fit(c);
    s->most_steps = s->capacity < c->per_panel ? s->capacity : c->per_panel;
    s->cached = step_bytes(c) <= CACHED_COLUMNS;
    return FMAL_ALLOC(&c->w, store_floats(c, s->capacity));
}

double fmal_columns_bytes(int rows, int unit, int depth, bool one_step)
{
    fmal_columns c;

    columns_plan(&c, rows, unit, depth);
    return 4.0 * (double) store_floats(&c, one_step ? 1 : steps_that_fit(&c));
}

double fmal_columns_y_bytes(int rows, int unit, int depth)
{
    fmal_columns c;

    columns_plan(&c, rows, unit, depth);
    return 4.0 * (c.chunk + FMAL_PANEL_ROWS) * LANES;
}

void fmal_columns_clear(fmal_columns *c)
{
    fmal_free(&c->w);
}

/* The panel that holds row `row` of a step. */
static float *panel_of(const fmal_columns *c, int step, int row)
{
    size_t panel = ((size_t) (step / c->per_panel) * (size_t) c->chunks +
                    (size_t) (row / c->chunk)) *
                       (size_t) c->panels +
                   (size_t) (row % c->chunk / FMAL_PANEL_ROWS);

    return c->w + panel * panel_floats(c);
}

/* Place of that row in its panel. */
static int place_of(const fmal_columns *c, int step, int row)
{
    return step % c->per_panel * c->rows + row % c->chunk % FMAL_PANEL_ROWS;
}

void fmal_columns_pack(fmal_columns *c, int step, const double *x, size_t stride)
{
    for (int row = 0; row < c->rows; row++) {
        const double *from = x + (size_t) (row / c->unit) * stride +
                             (size_t) (row % c->unit) * (size_t) c->depth;
        float *to = panel_of(c, step, row) + place_of(c, step, row);

        for (int a = 0; a < c->depth; a++)
            to[(size_t) a * FMAL_PANEL_ROWS] = (float) from[a];
    }
}

int fmal_columns_chunk_rows(const fmal_columns *c, int chunk)
{
    int left = c->rows - chunk * c->chunk;

    return left < c->chunk ? left : c->chunk;
}

void fmal_columns_multiply(const fmal_columns *c, const fmal_stream_kernel *kernel,
                           int step, int steps, int chunk, const float *h, float *y)
{
    int rows = steps * fmal_columns_chunk_rows(c, chunk), first = chunk * c->chunk;

    for (int row = 0; row < rows;
         row += FMAL_PANEL_ROWS, y += FMAL_PANEL_ROWS * LANES) {
        int take = rows - row < FMAL_PANEL_ROWS ? rows - row : FMAL_PANEL_ROWS;

        kernel->multiply(take, c->depth, panel_of(c, step, first + row),
                         place_of(c, step, first + row), h, y);
    }
}

int fmal_columns_together(const fmal_columns *c, int first, int last)
{
    int end = (first / c->per_panel + 1) * c->per_panel;

    return (last < end ? last : end) - first;
}

/* ---- Streams ---- */

fmal_status fmal_stream_create(const fmal_factor *f, const fmal_idx *samples,
                               fmal_idx n, double scale, bool one_step,
                               fmal_stream **out)
{
    fmal_stream *s = NULL;
    fmal_status st;

    FMAL_TRY(FMAL_ALLOC(&s, 1));
    s->factor = f;
    s->scale = scale;
    s->one_step = one_step;
    s->kernel = fmal_stream_kernel_for(f->isa);
    s->tiles = (n + LANES - 1) / LANES;
    st = FMAL_ALLOC(&s->local, s->tiles * LANES);
    for (fmal_idx i = 0; i < s->tiles * LANES && st == FMAL_OK; i++)
        s->local[i] = i < n ? samples[i] : -1;
    if (st == FMAL_OK)
        st = f->ops->stream_open(s);
    if (st != FMAL_OK)
        fmal_stream_destroy(&s);
    else
        *out = s;
    return st;
}

double fmal_stream_bytes(const fmal_factor *f, fmal_idx n, bool one_step)
{
    double slots = (double) ((n + LANES - 1) / LANES * LANES);

    return slots * sizeof(fmal_idx) + f->ops->stream_bytes(f, slots, one_step);
}

void fmal_stream_destroy(fmal_stream **s)
{
    if (!*s)
        return;
    if ((*s)->own)
        (*s)->factor->ops->stream_close(*s);
    fmal_free(&(*s)->local);
    fmal_free(s);
}

void fmal_stream_put(fmal_stream *s, fmal_idx tile, const fmal_idx *local)
{
    fmal_idx *held = s->local + tile * LANES;

    if (memcmp(held, local, LANES * sizeof *local) == 0)
        return;
    memcpy(held, local, LANES * sizeof *local);
    s->factor->ops->stream_put(s, tile);
}

fmal_idx fmal_stream_tiles(const fmal_stream *s)
{
    return s->tiles;
}

fmal_idx fmal_stream_local(const fmal_stream *s, fmal_idx slot)
{
    return s->local[slot];
}

int fmal_stream_capacity(const fmal_stream *s)
{
    return s->capacity;
}

int fmal_stream_steps(const fmal_stream *s)
{
    return s->steps;
}

void fmal_stream_push(fmal_stream *s, const double *wz)
{
    s->factor->ops->stream_push(s, s->steps++, wz);
}

void fmal_stream_forget(fmal_stream *s)
{
    s->steps = 0;
}

int fmal_stream_together(const fmal_stream *s)
{
    return s->cached && s->factor->rank > 1 ? 1 : FMAL_STREAM_TOGETHER;
}

int fmal_stream_apply(fmal_stream *s, int first, int last, fmal_idx tile, int n_tiles,
                      float *pq)
{
    return s->factor->ops->stream_apply(s, first, last, tile, n_tiles, pq);
}

int fmal_stream_most_steps(const fmal_stream *s)
{
    return s->most_steps;
}

double fmal_stream_flops(const fmal_stream *s)
{
    return s->flops;
}
