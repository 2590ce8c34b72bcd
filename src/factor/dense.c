/*
 * The dense form: V_i [r, D] given as numbers, any per-sample factor whose V_i^T V_i is
 * the sample's Fisher information.
 *
 * Nothing is known of the rows, so every pass costs n r D numbers read: sums are
 * products of a block's rows with themselves, first values one product of the rows with
 * A.
 */
#include "dense_impl.h"
#include "fmal/mem.h"
#include "slab.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { COLUMNS = 256 }; /* of a matrix at a time */

/* A panel's data. */
typedef struct {
    double *rows;    /* [m r, D]: the block at hand, zero in padding */
    double *w;       /* [cols, D] */
    double *y;       /* [m r, cols] */
    double *part;    /* [COLUMNS, D]: columns of a matrix */
    double *product; /* [m r, COLUMNS] */
} panel_data;

static void dense_destroy(fmal_factor *f)
{
    dense *own = f->own;

    if (!own)
        return;
    fmal_free(&own->sample);
    fmal_free(&own->rows);
    fmal_free(&f->own);
}

static void dense_row(const fmal_factor *f, fmal_idx index_g, double *v)
{
    dense *own = f->own;
    int owner = fmal_part_owner(&f->part, index_g);
    fmal_idx count = f->rank * f->order;

    if (f->ctx.rank == owner)
        memcpy(own->sample, own->v + (index_g - f->part.first) * count,
               sizeof(float) * (size_t) count);
    fmal_bcast(&f->ctx, own->sample, sizeof(float) * (size_t) count, owner);
    for (fmal_idx i = 0; i < count; i++)
        v[i] = own->sample[i];
}

static void dense_sample(const fmal_factor *f, fmal_idx index_g, double scale,
                         fmal_sample *out)
{
    const dense *own = f->own;

    dense_row(f, index_g, own->rows);
    for (fmal_idx i = 0; i < f->rank * f->order; i++)
        own->rows[i] *= scale;
    out->v = own->rows;
}

/* The diagonal alone: one block of weight 1. */
static void dense_cut(const fmal_factor *f, fmal_fisher fisher, fmal_idx il,
                      double *cut)
{
    const dense *own = f->own;
    const float *v = own->v + il * f->rank * f->order;

    assert(fisher == FMAL_FISHER_DIAG);
    (void) fisher;
    *cut++ = 1;
    for (fmal_idx j = 0; j < f->order; j++) {
        double sum = 0;

        for (int y = 0; y < f->rank; y++)
            sum += (double) v[y * f->order + j] * (double) v[y * f->order + j];
        cut[j] = sum;
    }
}

/* ---- Sums ---- */

typedef struct {
    const fmal_factor *f;
    const uint8_t *take;
    double *rows;    /* [m r, D]: rows of the block's taken samples */
    double *bound;   /* [D]: one block's sum of squares */
    double *down;    /* [D]: 2^-e with sqrt(largest block sum) <= 2^e */
    double *partial; /* [COLUMNS, D] */
    int64_t *sum;    /* [COLUMNS, D] */
    double scale;    /* of the sum */
    double unit;     /* of the integers */
    int first, cols; /* the columns at hand, rows up to them */
    fmal_slab to;
} gram_job;

static void job_clear(gram_job *job)
{
    fmal_free(&job->rows);
    fmal_free(&job->bound);
    fmal_free(&job->down);
    fmal_free(&job->partial);
    fmal_free(&job->sum);
    fmal_slab_clear(&job->to);
}

static fmal_status job_init(gram_job *job)
{
    const fmal_factor *f = job->f;
    fmal_idx order = f->order;

    FMAL_TRY(FMAL_ALLOC(&job->rows, f->part.block * f->rank * order));
    FMAL_TRY(FMAL_ALLOC(&job->bound, order));
    FMAL_TRY(FMAL_ALLOC(&job->down, order));
    FMAL_TRY(FMAL_ALLOC(&job->partial, COLUMNS * order));
    FMAL_TRY(FMAL_ALLOC(&job->sum, COLUMNS * order));
    return fmal_slab_init(&job->to, &f->ctx, COLUMNS, order);
}

static double dense_gram_bytes(const fmal_factor *f)
{
    double order = (double) f->order;

    return 8 * order * (f->part.block * f->rank + 2 + 2 * COLUMNS);
}

static double dense_gram_flops(const fmal_factor *f)
{
    return f->rank * (double) f->order * ((double) f->order + COLUMNS);
}

/* Rows of block b's taken samples; returns the number of rows. */
static int gather_taken(gram_job *job, fmal_idx b)
{
    const fmal_factor *f = job->f;
    fmal_idx first = b * f->part.block, count = f->rank * f->order;
    int samples = fmal_part_block_rows(&f->part, b);
    double *to = job->rows;

    for (fmal_idx i = first; i < first + samples; i++)
        for (fmal_idx e = 0; job->take[i] && e < count; e++)
            *to++ = ((const dense *) f->own)->v[i * count + e];
    return (int) ((to - job->rows) / f->order);
}

static void find_scales(gram_job *job)
{
    const fmal_factor *f = job->f;

    for (fmal_idx b = 0; b < f->part.block_count; b++) {
        int rows = gather_taken(job, b);

        memset(job->bound, 0, sizeof(double) * (size_t) f->order);
        for (int i = 0; i < rows; i++)
            for (fmal_idx j = 0; j < f->order; j++)
                job->bound[j] +=
                    job->rows[i * f->order + j] * job->rows[i * f->order + j];
        for (fmal_idx j = 0; j < f->order; j++)
            if (job->bound[j] > job->down[j])
                job->down[j] = job->bound[j];
    }
    fmal_max_f64(&f->ctx, job->down, f->order);
    for (fmal_idx j = 0; j < f->order; j++)
        job->down[j] = fmal_exact_down(job->down[j]);
    job->unit = ldexp(1, fmal_exact_bits(f->part.blocks));
}

/* Add block b's columns [first, first + cols) of V^T V, rows up to them. */
static void add_block(gram_job *job, fmal_idx b, double *flops)
{
    int order = (int) job->f->order, rows = gather_taken(job, b);
    int first = job->first, cols = job->cols, last = first + cols;

    if (rows == 0)
        return;
    fmal_gemm(true, false, cols, last, rows, 1, job->rows + first, order, job->rows,
              order, 0, job->partial, last);
    for (int j = 0; j < cols; j++)
        for (int i = 0; i <= first + j; i++)
            job->sum[(size_t) j * (size_t) last + (size_t) i] +=
                llrint(job->partial[(size_t) j * (size_t) last + (size_t) i] *
                       job->down[first + j] * job->down[i] * job->unit);
    if (flops)
        *flops += 2.0 * cols * last * rows;
}

/* Column j of those at hand, down to the diagonal. */
static void patch_of(const void *arg, fmal_idx j, fmal_patch *patch)
{
    int column = ((const gram_job *) arg)->first + (int) j;

    *patch = (fmal_patch){ .row_step = 1,
                           .rows = column + 1,
                           .col = column,
                           .col_step = 1,
                           .cols = 1,
                           .mirrored = column };
}

static void values_of(const void *arg, fmal_idx j, double *x)
{
    const gram_job *job = arg;
    int column = job->first + (int) j;
    const int64_t *sum = job->sum + j * (job->first + job->cols);

    for (int i = 0; i <= column; i++)
        x[i] = job->scale *
               ((double) sum[i] / job->unit / job->down[column] / job->down[i]);
}

static fmal_status dense_gram(const fmal_factor *f, const uint8_t *take, double weight,
                              fmal_dmat *out, double *flops)
{
    gram_job job = { .f = f, .take = take, .scale = weight };

    job.to =
        (fmal_slab){ .out = out, .job = &job, .patch = patch_of, .values = values_of };
    fmal_status st = fmal_agree(&f->ctx, job_init(&job));
    if (st == FMAL_OK)
        find_scales(&job);
    for (; st == FMAL_OK && job.first < f->order; job.first += COLUMNS) {
        int left = (int) f->order - job.first;

        job.cols = left < COLUMNS ? left : COLUMNS;
        fmal_idx rows = job.first + job.cols;
        memset(job.sum, 0, sizeof(int64_t) * (size_t) (job.cols * rows));
        for (fmal_idx b = 0; b < f->part.block_count; b++)
            add_block(&job, b, flops);
        fmal_slab_finish(&job.to, job.sum, job.cols, 1, rows);
    }
    job_clear(&job);
    return st;
}

/* ---- Panels ---- */

static fmal_status dense_panel_open(fmal_panel *panel, int max_cols)
{
    const fmal_factor *f = panel->factor;
    fmal_idx rows = fmal_block_slots(f) * f->rank;
    panel_data *data = NULL;

    FMAL_TRY(FMAL_ALLOC(&data, 1));
    panel->own = data;
    FMAL_TRY(FMAL_ALLOC(&data->rows, rows * f->order));
    FMAL_TRY(FMAL_ALLOC(&data->w, max_cols * f->order));
    FMAL_TRY(FMAL_ALLOC(&data->y, rows * max_cols));
    FMAL_TRY(FMAL_ALLOC(&data->part, COLUMNS * f->order));
    return FMAL_ALLOC(&data->product, rows * COLUMNS);
}

static double dense_panel_bytes(const fmal_factor *f, double slots, int max_cols)
{
    double rows = (double) fmal_block_slots(f) * f->rank, order = (double) f->order;

    (void) slots; /* samples are read where they are */
    return 8 * (rows * (order + max_cols + COLUMNS) + order * (max_cols + COLUMNS));
}

static void dense_panel_close(fmal_panel *panel)
{
    panel_data *data = panel->own;

    fmal_free(&data->rows);
    fmal_free(&data->w);
    fmal_free(&data->y);
    fmal_free(&data->part);
    fmal_free(&data->product);
    fmal_free(&panel->own);
}

/* data->rows = scaled rows of a block's slots; returns the number of slots. */
static int gather_slots(fmal_panel *panel, fmal_idx b)
{
    const fmal_factor *f = panel->factor;
    const dense *own = f->own;
    panel_data *data = panel->own;
    const fmal_idx *local = panel->local + panel->first_group[b] * FMAL_LANES;
    int m = (int) (panel->first_group[b + 1] - panel->first_group[b]) * FMAL_LANES;
    fmal_idx count = f->rank * f->order;

    for (int i = 0; i < m; i++)
        for (fmal_idx e = 0; e < count; e++)
            data->rows[i * count + e] =
                local[i] < 0 ? 0 : panel->scale * own->v[local[i] * count + e];
    return m;
}

static void dense_load(fmal_panel *panel, const double *w, int cols)
{
    panel_data *data = panel->own;

    memcpy(data->w, w, sizeof(double) * (size_t) cols * (size_t) panel->factor->order);
}

static void dense_apply(fmal_panel *panel, fmal_idx b, double *out)
{
    const fmal_factor *f = panel->factor;
    panel_data *data = panel->own;
    int r = f->rank, cols = panel->cols, order = (int) f->order;
    int m = gather_slots(panel, b);

    fmal_gemm(false, true, m * r, cols, order, 1, data->rows, order, data->w, order, 0,
              data->y, cols);
    for (int i = 0; i < m; i++)
        for (int k = 0; k < r; k++)
            for (int j = 0; j < cols; j++)
                out[(((size_t) (i / FMAL_LANES) * (size_t) cols + (size_t) j) *
                         (size_t) r +
                     (size_t) k) *
                        FMAL_LANES +
                    (size_t) (i % FMAL_LANES)] =
                    data->y[((size_t) i * (size_t) r + (size_t) k) * (size_t) cols +
                            (size_t) j];
}

/* g of a block += (rows A_J) (rows_J)^T per sample, for columns J = [first, first +
   cols) of A in data->part. */
static void add_columns(fmal_panel *panel, fmal_idx b, int first, int cols, double *g)
{
    const fmal_factor *f = panel->factor;
    panel_data *data = panel->own;
    int r = f->rank, order = (int) f->order, m = gather_slots(panel, b);
    fmal_idx triangle = (fmal_idx) r * (r + 1) / 2;

    fmal_gemm(false, true, m * r, cols, order, 1, data->rows, order, data->part, order,
              0, data->product, cols);
    for (int i = 0; i < m; i++) {
        fmal_idx group = panel->first_group[b] + i / FMAL_LANES;
        double *to = g + group * triangle * FMAL_LANES + i % FMAL_LANES;
        const double *x = data->product + (size_t) i * (size_t) r * (size_t) cols;
        const double *v = data->rows + (size_t) i * (size_t) r * (size_t) order + first;

        for (int k = 0; k < r; k++)
            for (int l = 0; l <= k; l++, to += FMAL_LANES)
                for (int j = 0; j < cols; j++)
                    *to +=
                        x[k * cols + j] * v[(size_t) l * (size_t) order + (size_t) j];
    }
}

static void quadratic_of(fmal_panel *panel, const fmal_dmat *a, double *g,
                         double *flops)
{
    const fmal_factor *f = panel->factor;
    panel_data *data = panel->own;
    int r = f->rank, order = (int) f->order;
    size_t count =
        (size_t) panel->groups * (size_t) (r * (r + 1) / 2) * FMAL_LANES * sizeof *g;

    memset(g, 0, count);
    for (int first = 0; first < order; first += COLUMNS) {
        int cols = order - first < COLUMNS ? order - first : COLUMNS;

        fmal_dmat_get(a, 0, first, order, cols, data->part);
        for (fmal_idx b = 0; b < panel->blocks; b++)
            add_columns(panel, b, first, cols, g);
    }
    if (flops)
        *flops += 2.0 * (double) panel->groups * FMAL_LANES * r * (double) order *
                  (double) order;
}

static fmal_status dense_quadratic(fmal_panel *panel, int n, const fmal_dmat *const *a,
                                   double *const *g, double *flops)
{
    for (int i = 0; i < n; i++)
        quadratic_of(panel, a[i], g[i], flops);
    return FMAL_OK;
}

static double dense_quadratic_bytes(const fmal_factor *f, double slots, int matrices)
{
    (void) f;
    (void) slots;
    (void) matrices;
    return 0; /* all of it is the panel's */
}

static double dense_quadratics_flops(const fmal_factor *f)
{
    return 4.0 * f->rank * (double) f->order * (double) f->order;
}

static double dense_bytes(const fmal_factor *f)
{
    return 12.0 * f->rank * (double) f->order;
}

static const fmal_factor_ops dense_ops = {
    .name = "dense",
    .destroy = dense_destroy,
    .gram = dense_gram,
    .row = dense_row,
    .sample = dense_sample,
    .panel_open = dense_panel_open,
    .panel_close = dense_panel_close,
    .quadratic = dense_quadratic,
    .load = dense_load,
    .apply = dense_apply,
    .bytes = dense_bytes,
    .gram_bytes = dense_gram_bytes,
    .panel_bytes = dense_panel_bytes,
    .quadratic_bytes = dense_quadratic_bytes,
    .stream_bytes = fmal_dense_stream_bytes,
    .gram_flops = dense_gram_flops,
    .quadratics_flops = dense_quadratics_flops,
    .stream_flops = fmal_dense_stream_flops,
    .stream_open = fmal_dense_stream_open,
    .stream_close = fmal_dense_stream_close,
    .stream_put = fmal_dense_stream_put,
    .stream_push = fmal_dense_stream_push,
    .stream_apply = fmal_dense_stream_apply,
    .cut = dense_cut,
};

fmal_status fmal_factor_dense_outline(const fmal_part *part, int r, fmal_idx order,
                                      fmal_factor **out)
{
    fmal_factor *f = NULL;
    dense *own = NULL;

    FMAL_TRY(FMAL_ALLOC(&f, 1));
    fmal_status st = FMAL_ALLOC(&own, 1);
    if (st != FMAL_OK) {
        fmal_free(&f);
        return st;
    }
    *f = (fmal_factor){ .ops = &dense_ops,
                        .part = *part,
                        .order = order,
                        .rank = r,
                        .classes = 1,
                        .class_blocks = 1,
                        .center = 1,
                        .own = own };
    *out = f;
    return FMAL_OK;
}

static fmal_status dense_create(const fmal_ctx *ctx, const fmal_part *part,
                                const float *v, int r, fmal_idx order,
                                fmal_factor **out)
{
    fmal_factor *f = NULL;

    FMAL_TRY(fmal_factor_dense_outline(part, r, order, &f));
    dense *own = f->own;
    own->v = v;
    f->ctx = *ctx;
    fmal_status st = FMAL_ALLOC(&own->sample, r * order);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->rows, r * order);
    if (st != FMAL_OK)
        fmal_factor_destroy(&f);
    else
        *out = f;
    return st;
}

fmal_status fmal_factor_dense(const fmal_ctx *ctx, const fmal_part *part,
                              const float *v, int r, fmal_idx order, fmal_factor **out)
{
    fmal_factor *f = NULL;
    double isa = -(double) fmal_isa_detect();
    fmal_status st = fmal_agree(ctx, dense_create(ctx, part, v, r, order, &f));

    if (st != FMAL_OK) {
        fmal_factor_destroy(&f);
        return st;
    }
    fmal_max_f64(ctx, &isa, 1);
    f->isa = (fmal_isa) -isa;
    *out = f;
    return FMAL_OK;
}
