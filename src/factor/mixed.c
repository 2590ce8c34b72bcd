/*
 * The mixed form: V_i = S_i [ I (x) h_i^T , T_i ], the weights of a linear last layer
 * and `extra` other parameters, T_i [c, extra] the Jacobian of the logits in these.
 *
 * With y the derivative of the logits along a column w, y_m = h_i . w_m + T_i[m] .
 * w_tail, V_i w = S_i y. Both kinds of S have rows that sum to zero, so that of y only
 * the differences y' to the last logit count, and c - 1 class blocks, of w less its
 * last one, are all that passes multiply with. The rows of the tail are used as
 * differences too.
 *
 * weighted    S = diag(s) (I - 1 p^T), s = sqrt(p), rotated as in kron_likelihood.c:
 *
 *                 row k = s_k (e_k - q),    q = (1 - a) p + a e_c,    a = s_c / (1 +
 * s_c).
 *
 * unweighted  S = I - 1 p^T has p^T S = 0. With u = p / |p|, the reflection that sends
 * u to -e_c turns the last row to zero, and the others to
 *
 *                 row k = (e_k - p) - b_k (e_c - p),    b_k = u_k / (1 + u_c)
 *                       = (1 - b_k) (e_k - p) + b_k (e_k - e_c).
 *
 * The last class block of the head is minus the sum of the others, of centered matrices
 * too, but the tail comes after it, so that it is not what is left over when the
 * leading columns are cut off. So fmal_factor_classes is 1: a step's columns, A and E
 * keep all D rows, d of them more than needed.
 */
#include "mixed_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

void fmal_mixed_rows(const mixed *own, const double *p)
{
    int c = own->c, r = c - 1;
    double last = sqrt(p[r]), a = last / (1 + last), square = 0;

    for (int k = 0; k < c; k++)
        square += p[k] * p[k];
    for (int k = 0; k < c; k++)
        own->center[k] = own->unweighted ? p[k] : (1 - a) * p[k];
    if (!own->unweighted)
        own->center[r] += a;
    for (int k = 0; k < r; k++) {
        own->rest[k] = own->unweighted ? p[k] / (sqrt(square) + p[r]) : 0;
        own->root[k] = own->unweighted ? 1 - own->rest[k] : sqrt(p[k]);
    }
}

/* ---- One sample ---- */

static void mixed_destroy(fmal_factor *f)
{
    mixed *own = f->own;

    if (!own)
        return;
    fmal_factor_destroy(&own->head);
    fmal_free(&own->sample);
    double **held[] = { &own->probs, &own->root,   &own->rest, &own->center,
                        &own->left,  &own->h_wide, &own->lead, &own->product };
    for (int i = 0; i < FMAL_COUNT(held); i++)
        fmal_free(held[i]);
    fmal_free(&f->own);
}

/* own->left = S, own->h_wide and own->lead of that sample, on every rank. */
static void fetch_sample(const fmal_factor *f, fmal_idx index_g, double scale)
{
    const mixed *own = f->own;
    int d = own->d, c = own->c, r = c - 1, owner = fmal_part_owner(&f->part, index_g);
    fmal_idx il = index_g - f->part.first, extra = own->extra;
    float *tail = own->sample + d;

    if (f->ctx.rank == owner) {
        memcpy(own->sample, own->h + il * d, sizeof(float) * (size_t) d);
        memcpy(own->probs, own->p + il * c, sizeof(double) * (size_t) c);
        if (extra > 0)
            memcpy(tail, own->tail + il * c * extra,
                   sizeof(float) * (size_t) (c * extra));
    }
    fmal_bcast(&f->ctx, own->sample, sizeof(float) * (size_t) (d + c * extra), owner);
    fmal_bcast(&f->ctx, own->probs, sizeof(double) * (size_t) c, owner);

    for (int a = 0; a < d; a++)
        own->h_wide[a] = own->sample[a];
    for (fmal_idx i = 0; i < c * extra; i++)
        own->lead[i] = (double) tail[i] - (double) tail[r * extra + i % extra];
    fmal_mixed_rows(own, own->probs);
    for (int k = 0; k < r; k++) {
        for (int m = 0; m < r; m++)
            own->left[k * c + m] = scale * (own->root[k] * ((k == m) - own->center[m]) +
                                            own->rest[k] * (k == m));
        own->left[k * c + r] = -scale * (own->root[k] * own->center[r] + own->rest[k]);
    }
}

static void mixed_row(const fmal_factor *f, fmal_idx index_g, double *v)
{
    const mixed *own = f->own;
    int c = own->c, d = own->d, head = c * d, order = (int) f->order;

    fetch_sample(f, index_g, 1);
    for (int k = 0; k < f->rank; k++)
        for (int x = 0; x < head; x++)
            v[(size_t) k * (size_t) order + (size_t) x] =
                own->left[k * c + x / d] * own->h_wide[x % d];
    if (own->extra > 0)
        fmal_gemm(false, false, f->rank, own->extra, c, 1, own->left, c, own->lead,
                  own->extra, 0, v + head, order);
}

static void mixed_sample(const fmal_factor *f, fmal_idx index_g, double scale,
                         fmal_sample *out)
{
    const mixed *own = f->own;

    fetch_sample(f, index_g, scale);
    out->blocks = own->c;
    out->d = own->d;
    out->extra = own->extra;
    out->left = own->left;
    out->h = own->h_wide;
    out->tail = own->lead;
    out->work = own->product;
}

/* ---- Panels ---- */

/* root, rest and shift of every slot; padding stays zero, and so do its results. */
static void fill_rows(fmal_panel *panel)
{
    const mixed *own = panel->factor->own;
    mixed_panel *data = panel->own;
    int r = panel->factor->rank;

    for (fmal_idx slot = 0; slot < panel->groups * FMAL_LANES; slot++) {
        fmal_idx il = panel->local[slot];

        if (il < 0)
            continue;
        fmal_mixed_rows(own, own->p + il * own->c);
        for (int k = 0; k < r; k++) {
            fmal_idx at = (slot / FMAL_LANES * r + k) * FMAL_LANES + slot % FMAL_LANES;

            data->root[at] = panel->scale * own->root[k];
            data->shift[at] = own->center[k];
            if (data->rest)
                data->rest[at] = panel->scale * own->rest[k];
        }
    }
}

static fmal_status mixed_panel_open(fmal_panel *panel, int max_cols)
{
    const mixed *own = panel->factor->own;
    fmal_idx r = panel->factor->rank, m = fmal_block_slots(panel->factor);
    fmal_idx rows = panel->groups * r * FMAL_LANES;
    mixed_panel *data = NULL;

    FMAL_TRY(FMAL_ALLOC(&data, 1));
    panel->own = data;
    FMAL_TRY(FMAL_ALLOC(&data->root, rows));
    FMAL_TRY(FMAL_ALLOC(&data->shift, rows));
    if (own->unweighted)
        FMAL_TRY(FMAL_ALLOC(&data->rest, rows));
    FMAL_TRY(FMAL_ALLOC(&data->ht, own->d * m));
    FMAL_TRY(FMAL_ALLOC(&data->tt, own->extra * m));
    FMAL_TRY(FMAL_ALLOC(&data->w, max_cols * r * own->d));
    FMAL_TRY(FMAL_ALLOC(&data->w_tail, (fmal_idx) max_cols * own->extra));
    FMAL_TRY(FMAL_ALLOC(&data->y, max_cols * r * m));
    fill_rows(panel);
    return FMAL_OK;
}

static void mixed_panel_close(fmal_panel *panel)
{
    mixed_panel *data = panel->own;
    double **held[] = { &data->root, &data->rest, &data->shift,  &data->ht,
                        &data->tt,   &data->w,    &data->w_tail, &data->y };

    for (int i = 0; i < FMAL_COUNT(held); i++)
        fmal_free(held[i]);
    fmal_free(&panel->own);
}

int fmal_mixed_turn(const fmal_panel *panel, fmal_idx b, const float *from,
                    const float *less, fmal_idx stride, int columns, double *to)
{
    const fmal_idx *local = panel->local + panel->first_group[b] * FMAL_LANES;
    int m = (int) (panel->first_group[b + 1] - panel->first_group[b]) * FMAL_LANES;

    /* A group of samples at a time: writes are then whole cache lines. */
    for (int i = 0; i < m; i += FMAL_LANES)
        for (int a = 0; a < columns; a++)
            for (int lane = 0; lane < FMAL_LANES; lane++) {
                fmal_idx il = local[i + lane], at = il * stride + a;

                to[(size_t) a * (size_t) m + (size_t) (i + lane)] =
                    il < 0 ? 0 : (double) from[at] - (less ? (double) less[at] : 0);
            }
    return m;
}

static void mixed_load(fmal_panel *panel, const double *w, int cols)
{
    const mixed *own = panel->factor->own;
    mixed_panel *data = panel->own;
    int d = own->d, r = panel->factor->rank;
    double *to = data->w, *to_tail = data->w_tail;

    for (int j = 0; j < cols; j++, w += panel->factor->order) {
        for (int x = 0; x < r * d; x++)
            *to++ = w[x] - w[r * d + x % d];
        for (int x = 0; x < own->extra; x++)
            *to_tail++ = w[(r + 1) * d + x];
    }
}

/* out [cols, r, LANES] = S of a group's samples times y [cols, r, m]. */
static void project(const fmal_panel *panel, fmal_idx group, const double *y, int m,
                    double *out)
{
    const mixed_panel *data = panel->own;
    int r = panel->factor->rank, cols = panel->cols;
    const double *root = data->root + group * r * FMAL_LANES;
    const double *shift = data->shift + group * r * FMAL_LANES;
    /* Every row picks its own class. */
    static const int64_t swap[FMAL_LANES] = { -1, -1, -1, -1, -1, -1, -1, -1 };

    switch (panel->factor->isa) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        fmal_kron_project_avx512(r, cols, y, m, root, shift, swap, out);
        break;
    case FMAL_ISA_AVX2:
        fmal_kron_project_avx2(r, cols, y, m, root, shift, swap, out);
        break;
#endif
    default:
        fmal_kron_project_plain(r, cols, y, m, root, shift, swap, out);
    }
    if (!data->rest)
        return;
    const double *rest = data->rest + group * r * FMAL_LANES;
    for (int row = 0; row < cols * r; row++, y += m, out += FMAL_LANES)
        for (int lane = 0; lane < FMAL_LANES; lane++)
            out[lane] += rest[row % r * FMAL_LANES + lane] * y[lane];
}

static void mixed_apply(fmal_panel *panel, fmal_idx b, double *out)
{
    const mixed *own = panel->factor->own;
    mixed_panel *data = panel->own;
    int r = panel->factor->rank, d = own->d, extra = own->extra, cols = panel->cols;
    int m = fmal_mixed_turn(panel, b, own->h, NULL, d, d, data->ht);
    const float *last = own->tail + (size_t) r * (size_t) extra;

    fmal_gemm(false, false, cols * r, m, d, 1, data->w, d, data->ht, m, 0, data->y, m);
    for (int l = 0; l < r && extra > 0; l++) {
        fmal_mixed_turn(panel, b, own->tail + (size_t) l * (size_t) extra, last,
                        (fmal_idx) own->c * extra, extra, data->tt);
        fmal_gemm(false, false, cols, m, extra, 1, data->w_tail, extra, data->tt, m, 1,
                  data->y + (size_t) l * (size_t) m, r * m);
    }
    for (fmal_idx g = panel->first_group[b]; g < panel->first_group[b + 1]; g++) {
        project(panel, g, data->y + (g - panel->first_group[b]) * FMAL_LANES, m, out);
        out += (size_t) cols * (size_t) r * FMAL_LANES;
    }
}

/* ---- What it takes ---- */

static double mixed_bytes(const fmal_factor *f)
{
    const mixed *own = f->own;
    double c = own->c, r = f->rank, d = own->d, extra = own->extra;

    return 4 * (d + c * extra) + 8 * (c + 2 * r + c + r * c + d + c * extra) +
           8 * c * ((double) f->order + 2 * r);
}

static double mixed_panel_bytes(const fmal_factor *f, double slots, int max_cols)
{
    const mixed *own = f->own;
    double r = f->rank, d = own->d, extra = own->extra;
    double m = (double) fmal_block_slots(f);

    return 8 * (slots * r * (own->unweighted ? 3 : 2) + (d + extra) * m +
                max_cols * (r * d + extra + r * m));
}

static double mixed_quadratic_bytes(const fmal_factor *f, double slots, int matrices)
{
    (void) slots;
    (void) matrices; /* planned for two */
    return fmal_mixed_quadratic_bytes(f->own, (double) fmal_block_slots(f));
}

static double mixed_stream_bytes(const fmal_factor *f, double slots, bool one_step)
{
    const mixed *own = f->own;
    double r = f->rank, step = 4.0 * 2 * r * (r * own->d + own->extra);
    double kept = one_step ? step : 32 << 20;

    return 4 * slots * (own->d + 3 * r) + (kept > step ? kept : step) +
           4.0 * FMAL_STREAM_LANES * (own->extra + 180 + 18) + 8 * 2 * r * r * own->d;
}

static double mixed_gram_flops(const fmal_factor *f)
{
    const mixed *own = f->own;
    double r = f->rank, head = own->c * (own->c - 1.0) / 2 * own->d * (own->d + 1.0);

    return head + 2 * r * own->extra * (double) f->order;
}

static double mixed_quadratics_flops(const fmal_factor *f)
{
    const mixed *own = f->own;
    double r = f->rank, extra = own->extra;

    return 2 * (r * (r + 1) / 2 * own->d * (own->d + 1.0) +
                2 * r * extra * (r * own->d + extra));
}

static double mixed_stream_flops(const fmal_factor *f)
{
    const mixed *own = f->own;

    return 4.0 * f->rank * f->rank * (own->d + own->extra);
}

/* ---- The factor ---- */

static const fmal_factor_ops mixed_ops = {
    .name = "mixed",
    .destroy = mixed_destroy,
    .gram = fmal_mixed_gram,
    .row = mixed_row,
    .sample = mixed_sample,
    .panel_open = mixed_panel_open,
    .panel_close = mixed_panel_close,
    .quadratic = fmal_mixed_quadratic,
    .load = mixed_load,
    .apply = mixed_apply,
    .bytes = mixed_bytes,
    .gram_bytes = fmal_mixed_gram_bytes,
    .panel_bytes = mixed_panel_bytes,
    .quadratic_bytes = mixed_quadratic_bytes,
    .stream_bytes = mixed_stream_bytes,
    .gram_flops = mixed_gram_flops,
    .quadratics_flops = mixed_quadratics_flops,
    .stream_flops = mixed_stream_flops,
    .stream_open = fmal_mixed_stream_open,
    .stream_close = fmal_mixed_stream_close,
    .stream_put = fmal_mixed_stream_put,
    .stream_push = fmal_mixed_stream_push,
    .stream_apply = fmal_mixed_stream_apply,
};

/* What one sample needs. */
static fmal_status allocate(mixed *own, fmal_idx order)
{
    fmal_idx c = own->c, r = c - 1, d = own->d, extra = own->extra;

    FMAL_TRY(FMAL_ALLOC(&own->sample, d + c * extra));
    FMAL_TRY(FMAL_ALLOC(&own->probs, c));
    FMAL_TRY(FMAL_ALLOC(&own->root, r));
    FMAL_TRY(FMAL_ALLOC(&own->rest, r));
    FMAL_TRY(FMAL_ALLOC(&own->center, c));
    FMAL_TRY(FMAL_ALLOC(&own->left, r * c));
    FMAL_TRY(FMAL_ALLOC(&own->h_wide, d));
    FMAL_TRY(FMAL_ALLOC(&own->lead, c * extra));
    return FMAL_ALLOC(&own->product, c * (order + 2 * r));
}

static fmal_status mixed_outline(const fmal_part *part, const mixed *given,
                                 fmal_factor **out)
{
    fmal_factor *f = NULL;
    mixed *own = NULL;

    FMAL_TRY(FMAL_ALLOC(&f, 1));
    fmal_status st = FMAL_ALLOC(&own, 1);
    if (st != FMAL_OK) {
        fmal_free(&f);
        return st;
    }
    *own = *given;
    *f = (fmal_factor){ .ops = &mixed_ops,
                        .part = *part,
                        .order = (fmal_idx) own->c * own->d + own->extra,
                        .rank = own->c - 1,
                        .blocks = own->c,
                        .classes = 1,
                        .class_blocks = 1,
                        .center = own->c,
                        .block = own->d,
                        .own = own };
    *out = f;
    return FMAL_OK;
}

fmal_status fmal_factor_mixed_outline(const fmal_part *part, int d, int c, int extra,
                                      bool unweighted, fmal_factor **out)
{
    const mixed given = { .d = d, .c = c, .extra = extra, .unweighted = unweighted };

    return mixed_outline(part, &given, out);
}

static fmal_status mixed_create(const fmal_ctx *ctx, const fmal_part *part,
                                const mixed *given, fmal_factor **out)
{
    fmal_factor *f = NULL;

    FMAL_TRY(mixed_outline(part, given, &f));
    f->ctx = *ctx;
    fmal_status st = allocate(f->own, f->order);
    if (st != FMAL_OK)
        fmal_factor_destroy(&f);
    else
        *out = f;
    return st;
}

fmal_status fmal_factor_mixed(const fmal_ctx *ctx, const fmal_part *part,
                              const float *features, const double *probs,
                              const float *tail, int d, int c, int extra,
                              bool unweighted, fmal_factor **out)
{
    static const float none[1];
    mixed given = { .h = features,
                    .p = probs,
                    .tail = tail ? tail : none,
                    .d = d,
                    .c = c,
                    .extra = extra,
                    .unweighted = unweighted };
    fmal_factor *f = NULL, *head = NULL;
    fmal_status st = fmal_agree(ctx, mixed_create(ctx, part, &given, &f));

    if (st == FMAL_OK)
        st = fmal_factor_kron(ctx, part, features, probs, d, c, &head);
    if (st != FMAL_OK) {
        fmal_factor_destroy(&f);
        return st;
    }
    ((kron *) head->own)->unweighted = unweighted;
    ((mixed *) f->own)->head = head;
    f->isa = head->isa;
    *out = f;
    return FMAL_OK;
}
