/*
 * The Kronecker form: V_i = R_i (x) h_i^T, from features h and class probabilities p.
 *
 * Row k of R_i is root_k (e_pick - e_base - center) (kron_likelihood.c). But for the
 * binary likelihood every row sums to zero over classes, hence so do the class blocks
 * of A V^T for every matrix A that the search builds from lambda I and factors: y_c = -
 * sum of the others, and
 *
 *     row k of V_i w = root_k (y_pick - y_base
 *                              - sum over m < c of (center_m - center_c) y_m),
 *
 * y_m = h_i . w_m. "shift" below is center_m - center_c. Samples run along the fastest
 * index in all work arrays, so that the loops over them need no shuffles.
 */
#include "kron_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

static void kron_destroy(fmal_factor *f)
{
    kron *own = f->own;

    if (!own)
        return;
    fmal_free(&own->sample);
    fmal_free(&own->root);
    fmal_free(&own->pick);
    fmal_free(&own->center);
    fmal_free(&own->work);
    fmal_free(&own->left);
    fmal_free(&own->product);
    fmal_free(&f->own);
}

/* own->sample = features and probabilities, and its rows of R, on every rank. */
static void fetch_sample(const fmal_factor *f, fmal_idx index_g)
{
    kron *own = f->own;
    int d = own->d, c = own->c, owner = fmal_part_owner(&f->part, index_g);
    double *h = own->sample, *p = own->sample + d;

    if (f->ctx.rank == owner) {
        fmal_idx il = index_g - f->part.first;

        const float *row = fmal_rows_at(&own->h, il);

        for (int a = 0; a < d; a++)
            h[a] = row[a];
        memcpy(p, own->p + il * c, sizeof(double) * (size_t) c);
    }
    fmal_bcast(&f->ctx, own->sample, sizeof(double) * (size_t) (d + c), owner);
    fmal_kron_rows(own, p);
}

/* Element (k, m) of the fetched sample's R. */
static double row_element(const kron *own, int k, int m)
{
    return own->root[k] * ((own->pick[k] == m) - (own->base == m) - own->center[m]);
}

static void kron_row(const fmal_factor *f, fmal_idx index_g, double *v)
{
    const kron *own = f->own;

    fetch_sample(f, index_g);
    for (int k = 0; k < f->rank; k++)
        for (int m = 0; m < own->blocks; m++)
            for (int a = 0; a < own->d; a++)
                *v++ = row_element(own, k, m) * own->sample[a];
}

/* R x = sum over m < c of (R_m - R_c) x_m for x that sums to zero over classes. */
static void kron_sample(const fmal_factor *f, fmal_idx index_g, double scale,
                        fmal_sample *out)
{
    const kron *own = f->own;
    double *left = own->left;

    fetch_sample(f, index_g);
    for (int k = 0; k < f->rank; k++) {
        double last = own->zero_sum ? row_element(own, k, own->used) : 0;

        for (int m = 0; m < own->used; m++)
            *left++ = scale * (row_element(own, k, m) - last);
    }
    out->blocks = own->used;
    out->d = own->d;
    out->left = own->left;
    out->h = own->sample;
    out->work = own->product;
}

/* ---- Panels ---- */

static int block_slots(const fmal_panel *panel, fmal_idx b)
{
    return (int) (panel->first_group[b + 1] - panel->first_group[b]) * FMAL_LANES;
}

/* root, shift, pick and swap of every slot; padding stays zero, and so do its results.
 */
static void fill_rows(fmal_panel *panel)
{
    kron *own = panel->factor->own;
    kron_panel *data = panel->own;
    int r = panel->factor->rank, used = own->used;

    for (fmal_idx slot = 0; slot < panel->groups * FMAL_LANES; slot++) {
        fmal_idx il = panel->local[slot];
        fmal_idx group = slot / FMAL_LANES, lane = slot % FMAL_LANES;

        if (il < 0)
            continue;
        fmal_kron_rows(own, own->p + il * own->c);
        for (int k = 0; k < r; k++) {
            fmal_idx at = (group * r + k) * FMAL_LANES + lane;

            data->root[at] = panel->scale * own->root[k];
            if (data->pick)
                data->pick[at] = own->pick[k];
        }
        for (int m = 0; m < used; m++)
            data->shift[(group * used + m) * FMAL_LANES + lane] =
                fmal_kron_shift(own, m);
        if (data->swap)
            data->swap[slot] = fmal_kron_swap(own);
    }
}

static fmal_status kron_panel_open(fmal_panel *panel, int max_cols)
{
    const kron *own = panel->factor->own;
    fmal_idx d = own->d, r = panel->factor->rank, m = fmal_block_slots(panel->factor);
    fmal_idx used = own->used, rows = panel->groups * r * FMAL_LANES;
    kron_panel *data = NULL;

    FMAL_TRY(FMAL_ALLOC(&data, 1));
    panel->own = data;
    FMAL_TRY(FMAL_ALLOC(&data->root, rows));
    if (own->likelihood == FMAL_LIKELIHOOD_TOPC)
        FMAL_TRY(FMAL_ALLOC(&data->pick, rows));
    else
        FMAL_TRY(FMAL_ALLOC(&data->swap, panel->groups * FMAL_LANES));
    FMAL_TRY(FMAL_ALLOC(&data->shift, panel->groups * used * FMAL_LANES));
    FMAL_TRY(FMAL_ALLOC(&data->ht, d * m));
    FMAL_TRY(FMAL_ALLOC(&data->w, max_cols * used * d));
    FMAL_TRY(FMAL_ALLOC(&data->y, max_cols * used * m));
    fill_rows(panel);
    return FMAL_OK;
}

static double kron_panel_bytes(const fmal_factor *f, double slots, int max_cols)
{
    const kron *own = f->own;
    double r = f->rank, d = own->d, m = (double) fmal_block_slots(f), used = own->used;
    double pick = own->likelihood == FMAL_LIKELIHOOD_TOPC ? 4 * r : 0;

    return slots * (8 * (r + used) + pick) + 8 * (d * m + max_cols * used * (d + m));
}

static void kron_panel_close(fmal_panel *panel)
{
    kron_panel *data = panel->own;

    fmal_free(&data->root);
    fmal_free(&data->shift);
    fmal_free(&data->pick);
    fmal_free(&data->swap);
    fmal_free(&data->ht);
    fmal_free(&data->w);
    fmal_free(&data->y);
    fmal_free(&panel->own);
}

int fmal_kron_gather_block(fmal_panel *panel, fmal_idx b)
{
    const kron *own = panel->factor->own;
    kron_panel *data = panel->own;
    const fmal_idx *local = panel->local + panel->first_group[b] * FMAL_LANES;
    int d = own->d, m = block_slots(panel, b);

    /* A group of samples at a time: writes are then whole cache lines. */
    for (int i = 0; i < m; i += FMAL_LANES) {
        const float *h[FMAL_LANES];

        for (int lane = 0; lane < FMAL_LANES; lane++)
            h[lane] =
                local[i + lane] < 0 ? NULL : fmal_rows_at(&own->h, local[i + lane]);
        for (int a = 0; a < d; a++)
            for (int lane = 0; lane < FMAL_LANES; lane++)
                data->ht[(size_t) a * (size_t) m + (size_t) (i + lane)] =
                    local[i + lane] < 0 ? 0 : (double) h[lane][a];
    }
    return m;
}

static void kron_load(fmal_panel *panel, const double *w, int cols)
{
    const kron *own = panel->factor->own;
    kron_panel *data = panel->own;

    memcpy(data->w, w, sizeof(double) * (size_t) (cols * own->used) * (size_t) own->d);
}

/* Rows that pick any class: that of each lane is another. The first picks the base. */
static void project_picked(int r, int used, int cols, const double *y, int m,
                           const double *root, const double *shift, const int *pick,
                           double *out)
{
    for (int j = 0; j < cols; j++, y += (size_t) used * (size_t) m)
        for (int lane = 0; lane < FMAL_LANES; lane++) {
            double mean = 0, last = 0; /* last: the class that is not computed */
            double base = 0;

            for (int k = 0; k < used; k++) {
                double yk = y[(size_t) k * (size_t) m + (size_t) lane];

                mean += shift[k * FMAL_LANES + lane] * yk;
                last -= yk;
            }
            for (int k = 0; k < r; k++) {
                int class = pick[k * FMAL_LANES + lane];
                double yk = class < used
                                ? y[(size_t) class * (size_t) m + (size_t) lane]
                                : last;

                base = k == 0 ? yk : base;
                out[((size_t) j * (size_t) r + (size_t) k) * FMAL_LANES +
                    (size_t) lane] = root[k * FMAL_LANES + lane] * (yk - base - mean);
            }
        }
}

static void project(const fmal_panel *panel, int cols, const double *y, int m,
                    fmal_idx group, double *out)
{
    const kron_panel *data = panel->own;
    int r = panel->factor->rank, used = ((const kron *) panel->factor->own)->used;
    const double *root = data->root + group * r * FMAL_LANES;
    const double *shift = data->shift + group * used * FMAL_LANES;

    if (data->pick) {
        project_picked(r, used, cols, y, m, root, shift,
                       data->pick + group * r * FMAL_LANES, out);
        return;
    }
    const int64_t *swap = data->swap + group * FMAL_LANES;
    switch (panel->factor->isa) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        fmal_kron_project_avx512(r, cols, y, m, root, shift, swap, out);
        return;
    case FMAL_ISA_AVX2:
        fmal_kron_project_avx2(r, cols, y, m, root, shift, swap, out);
        return;
#endif
    default:
        fmal_kron_project_plain(r, cols, y, m, root, shift, swap, out);
    }
}

static void kron_apply(fmal_panel *panel, fmal_idx b, double *out)
{
    const kron *own = panel->factor->own;
    kron_panel *data = panel->own;
    int r = panel->factor->rank, d = own->d, cols = panel->cols;
    int m = fmal_kron_gather_block(panel, b);

    fmal_gemm(false, false, cols * own->used, m, d, 1, data->w, d, data->ht, m, 0,
              data->y, m);
    for (fmal_idx g = panel->first_group[b]; g < panel->first_group[b + 1]; g++) {
        int i = (int) (g - panel->first_group[b]) * FMAL_LANES;

        project(panel, cols, data->y + i, m, g, out);
        out += (size_t) cols * (size_t) r * FMAL_LANES;
    }
}

static double kron_bytes(const fmal_factor *f)
{
    const kron *own = f->own;
    double r = f->rank, d = own->d, c = own->c, used = own->used;

    return 8 * (d + 4 * c + 2 + r * used + used * (used * d + 2 * r)) + 4 * c;
}

static const fmal_factor_ops kron_ops = {
    .name = "kronecker",
    .destroy = kron_destroy,
    .gram = fmal_kron_gram,
    .row = kron_row,
    .sample = kron_sample,
    .panel_open = kron_panel_open,
    .panel_close = kron_panel_close,
    .quadratic = fmal_kron_quadratic,
    .load = kron_load,
    .apply = kron_apply,
    .bytes = kron_bytes,
    .gram_bytes = fmal_kron_gram_bytes,
    .panel_bytes = kron_panel_bytes,
    .quadratic_bytes = fmal_kron_quadratic_bytes,
    .stream_bytes = fmal_kron_stream_bytes,
    .gram_flops = fmal_kron_gram_flops,
    .quadratics_flops = fmal_kron_quadratics_flops,
    .stream_flops = fmal_kron_stream_flops,
    .stream_open = fmal_kron_stream_open,
    .stream_close = fmal_kron_stream_close,
    .stream_put = fmal_kron_stream_put,
    .stream_push = fmal_kron_stream_push,
    .stream_apply = fmal_kron_stream_apply,
    .cut = fmal_kron_cut,
    .gram_blocks = fmal_kron_gram_blocks,
};

/* All but the arrays of one sample. */
static fmal_status kron_outline(const fmal_part *part, const kron *given,
                                fmal_factor **out)
{
    fmal_factor *f = NULL;
    kron *own = NULL;

    FMAL_TRY(FMAL_ALLOC(&f, 1));
    fmal_status st = FMAL_ALLOC(&own, 1);
    if (st != FMAL_OK) {
        fmal_free(&f);
        return st;
    }
    *own = *given;
    *f = (fmal_factor){ .ops = &kron_ops, .part = *part, .own = own };
    f->classes = f->center = own->zero_sum ? own->c : 1;
    f->block = own->d;
    f->blocks = own->used;
    f->class_blocks = own->blocks;
    fmal_kron_sizes(own->likelihood, own->top, own->d, own->c, &f->order, &f->rank);
    *out = f;
    return FMAL_OK;
}

static fmal_status kron_create(const fmal_ctx *ctx, const fmal_part *part,
                               const kron *given, fmal_factor **out)
{
    fmal_factor *f = NULL;

    FMAL_TRY(kron_outline(part, given, &f));
    kron *own = f->own;
    f->ctx = *ctx;
    f->rows = own->h;
    f->streams = own->h.file != NULL;
    fmal_status st = FMAL_ALLOC(&own->sample, own->d + own->c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->root, own->c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->pick, own->c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->center, own->c + 1);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->work, own->c + 1);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->left, f->rank * own->used);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->product,
                        own->used * ((fmal_idx) own->used * own->d + 2 * f->rank));
    if (st != FMAL_OK)
        fmal_factor_destroy(&f);
    else
        *out = f;
    return st;
}

static kron sizes_of(int d, int c, fmal_likelihood likelihood, int top)
{
    bool binary = likelihood == FMAL_LIKELIHOOD_BINARY;

    return (kron){ .likelihood = likelihood,
                   .d = d,
                   .c = c,
                   .top = top,
                   .blocks = binary ? 1 : c,
                   .used = binary ? 1 : c - 1,
                   .zero_sum = !binary };
}

fmal_status fmal_factor_kron_outline(const fmal_part *part, int d, int c,
                                     fmal_likelihood likelihood, int top, bool streams,
                                     fmal_factor **out)
{
    kron given = sizes_of(d, c, likelihood, top);

    FMAL_TRY(kron_outline(part, &given, out));
    (*out)->streams = streams;
    return FMAL_OK;
}

fmal_status fmal_factor_kron_rows(const fmal_ctx *ctx, const fmal_part *part,
                                  fmal_rows features, const double *probs, int d, int c,
                                  fmal_likelihood likelihood, int top,
                                  fmal_factor **out)
{
    kron given = sizes_of(d, c, likelihood, top);
    fmal_factor *f = NULL;
    double isa = -(double) fmal_isa_detect();

    given.h = features;
    given.p = probs;
    fmal_status st = fmal_agree(ctx, kron_create(ctx, part, &given, &f));
    if (st != FMAL_OK) {
        fmal_factor_destroy(&f);
        return st;
    }
    fmal_max_f64(ctx, &isa, 1); /* the lowest set of all ranks: all round alike */
    f->isa = (fmal_isa) -isa;
    *out = f;
    return FMAL_OK;
}

fmal_status fmal_factor_kron_of(const fmal_ctx *ctx, const fmal_part *part,
                                const float *features, const double *probs, int d,
                                int c, fmal_likelihood likelihood, int top,
                                fmal_factor **out)
{
    fmal_rows rows = { .all = features, .width = d };

    return fmal_factor_kron_rows(ctx, part, rows, probs, d, c, likelihood, top, out);
}

fmal_status fmal_factor_kron(const fmal_ctx *ctx, const fmal_part *part,
                             const float *features, const double *probs, int d, int c,
                             fmal_factor **out)
{
    return fmal_factor_kron_of(ctx, part, features, probs, d, c, FMAL_LIKELIHOOD_FULL,
                               0, out);
}
