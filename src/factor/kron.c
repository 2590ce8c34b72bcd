/*
 * The Kronecker form: V_i = R_i (x) h_i^T, from features h and class probabilities p.
 *
 * R_i = diag(s) (I - 1 p^T), s = sqrt(p), has s^T R_i = 0, so that its c rows have rank
 * c - 1. A reflection that sends s to the last axis turns the last row to zero and
 * leaves V_i^T V_i alone. With a = s_c / (1 + s_c) the other rows are
 *
 *     row k = s_k (e_k - q),    q = (1 - a) p + a e_c,    k < c.
 *
 * Every row sums to zero over classes, hence so do the class blocks of A V^T for every
 * matrix A that the search builds from lambda I and factors: y_c = - sum of the others,
 * and
 *
 *     row k of V_i w = s_k (y_k - sum over m < c of (q_m - q_c) y_m),  y_m = h_i . w_m.
 *
 * "root" below is s (times the panel's scale), "shift" is q_m - q_c. Samples run along
 * the fastest index in all work arrays, so that the loops over them need no shuffles.
 */
#include "kron_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

/* A panel's data. */
typedef struct {
    double *root, *shift; /* [groups, r, LANES] */
    double *ht;           /* [d, m]: features of the block at hand, samples fastest */
    double *w;            /* [cols, r, d]: the loaded columns but for the last class */
    double *y;            /* [cols, r, m] */
    double *part;         /* [(c - 1) d, d]: class row of a matrix, in quadratic */
    double *product;      /* [d, m] */
    double *form;         /* [m] */
} panel_data;

void fmal_kron_rotation(const double *p, int c, double *root, double *q)
{
    double last = sqrt(p[c - 1]), a = last / (1 + last);

    for (int k = 0; k < c; k++)
        q[k] = (1 - a) * p[k];
    q[c - 1] += a;
    for (int k = 0; k < c - 1; k++)
        root[k] = sqrt(p[k]);
}

static void kron_destroy(fmal_factor *f)
{
    kron *own = f->own;

    if (!own)
        return;
    fmal_free(&own->sample);
    fmal_free(&own->root);
    fmal_free(&own->q);
    fmal_free(&f->own);
}

static void kron_row(const fmal_factor *f, fmal_idx index_g, double *v)
{
    kron *own = f->own;
    int d = own->d, c = own->c, owner = fmal_part_owner(&f->part, index_g);
    double *h = own->sample, *p = own->sample + d;

    if (f->ctx.rank == owner) {
        fmal_idx il = index_g - f->part.first;

        for (int a = 0; a < d; a++)
            h[a] = own->h[il * d + a];
        memcpy(p, own->p + il * c, sizeof(double) * (size_t) c);
    }
    fmal_bcast(&f->ctx, own->sample, sizeof(double) * (size_t) (d + c), owner);
    fmal_kron_rotation(p, c, own->root, own->q);
    for (int k = 0; k < c - 1; k++)
        for (int m = 0; m < c; m++) {
            double x = own->root[k] * ((k == m) - own->q[m]);

            for (int a = 0; a < d; a++)
                *v++ = x * h[a];
        }
}

/* ---- Panels -------------------------------------------------------------------------
 */

static int block_slots(const fmal_panel *panel, fmal_idx b)
{
    return (int) (panel->first_group[b + 1] - panel->first_group[b]) * FMAL_LANES;
}

/* root and shift of every slot; padding stays zero, and so do its results. */
static void fill_rotations(fmal_panel *panel)
{
    const kron *own = panel->factor->own;
    panel_data *data = panel->own;
    int c = own->c, r = c - 1;

    for (fmal_idx slot = 0; slot < panel->groups * FMAL_LANES; slot++) {
        fmal_idx il = panel->local[slot];
        fmal_idx at = slot / FMAL_LANES * r * FMAL_LANES + slot % FMAL_LANES;

        if (il < 0)
            continue;
        fmal_kron_rotation(own->p + il * c, c, own->root, own->q);
        for (int k = 0; k < r; k++) {
            data->root[at + (fmal_idx) k * FMAL_LANES] = panel->scale * own->root[k];
            data->shift[at + (fmal_idx) k * FMAL_LANES] = own->q[k] - own->q[r];
        }
    }
}

static fmal_status kron_panel_open(fmal_panel *panel, int max_cols)
{
    const kron *own = panel->factor->own;
    fmal_idx d = own->d, r = own->c - 1, m = panel->factor->part.block;
    fmal_idx rotations = panel->groups * r * FMAL_LANES;
    panel_data *data = NULL;

    FMAL_TRY(FMAL_ALLOC(&data, 1));
    panel->own = data;
    FMAL_TRY(FMAL_ALLOC(&data->root, rotations));
    FMAL_TRY(FMAL_ALLOC(&data->shift, rotations));
    FMAL_TRY(FMAL_ALLOC(&data->ht, d * m));
    FMAL_TRY(FMAL_ALLOC(&data->w, max_cols * r * d));
    FMAL_TRY(FMAL_ALLOC(&data->y, max_cols * r * m));
    FMAL_TRY(FMAL_ALLOC(&data->part, r * d * d));
    FMAL_TRY(FMAL_ALLOC(&data->product, d * m));
    FMAL_TRY(FMAL_ALLOC(&data->form, m));
    fill_rotations(panel);
    return FMAL_OK;
}

static void kron_panel_close(fmal_panel *panel)
{
    panel_data *data = panel->own;

    fmal_free(&data->root);
    fmal_free(&data->shift);
    fmal_free(&data->ht);
    fmal_free(&data->w);
    fmal_free(&data->y);
    fmal_free(&data->part);
    fmal_free(&data->product);
    fmal_free(&data->form);
    fmal_free(&panel->own);
}

/* data->ht = the features of a block's slots, zero in padding; returns their number. */
static int gather_block(fmal_panel *panel, fmal_idx b)
{
    const kron *own = panel->factor->own;
    panel_data *data = panel->own;
    const fmal_idx *local = panel->local + panel->first_group[b] * FMAL_LANES;
    int d = own->d, m = block_slots(panel, b);

    for (int i = 0; i < m; i++) {
        const float *h = local[i] < 0 ? NULL : own->h + local[i] * d;

        for (int a = 0; a < d; a++)
            data->ht[(size_t) a * (size_t) m + (size_t) i] = h ? (double) h[a] : 0;
    }
    return m;
}

static void kron_load(fmal_panel *panel, const double *w, int cols)
{
    const kron *own = panel->factor->own;
    panel_data *data = panel->own;
    size_t all = (size_t) own->c * (size_t) own->d, kept = all - (size_t) own->d;

    for (int j = 0; j < cols; j++)
        memcpy(data->w + (size_t) j * kept, w + (size_t) j * all,
               kept * sizeof(double));
}

static void project(const fmal_panel *panel, int cols, const double *y, int m,
                    fmal_idx group, double *out)
{
    const panel_data *data = panel->own;
    int r = panel->factor->rank;
    const double *root = data->root + group * r * FMAL_LANES;
    const double *shift = data->shift + group * r * FMAL_LANES;

    switch (panel->factor->isa) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        fmal_kron_project_avx512(r, cols, y, m, root, shift, out);
        return;
    case FMAL_ISA_AVX2:
        fmal_kron_project_avx2(r, cols, y, m, root, shift, out);
        return;
#endif
    default:
        fmal_kron_project_plain(r, cols, y, m, root, shift, out);
    }
}

static void dot(const fmal_panel *panel, int m, double *out)
{
    const panel_data *data = panel->own;
    int d = ((const kron *) panel->factor->own)->d;

    switch (panel->factor->isa) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        fmal_kron_dot_avx512(d, m, data->product, data->ht, out);
        return;
    case FMAL_ISA_AVX2:
        fmal_kron_dot_avx2(d, m, data->product, data->ht, out);
        return;
#endif
    default:
        fmal_kron_dot_plain(d, m, data->product, data->ht, out);
    }
}

static void kron_apply(fmal_panel *panel, fmal_idx b, double *out)
{
    const kron *own = panel->factor->own;
    panel_data *data = panel->own;
    int r = panel->factor->rank, d = own->d, cols = panel->cols;
    int m = gather_block(panel, b);

    fmal_gemm(false, false, cols * r, m, d, 1, data->w, d, data->ht, m, 0, data->y, m);
    for (fmal_idx g = panel->first_group[b]; g < panel->first_group[b + 1]; g++) {
        int i = (int) (g - panel->first_group[b]) * FMAL_LANES;

        project(panel, cols, data->y + i, m, g, out);
        out += (size_t) cols * (size_t) r * FMAL_LANES;
    }
}

static double kron_apply_flops(const fmal_panel *panel)
{
    const kron *own = panel->factor->own;

    return 2.0 * (double) panel->groups * FMAL_LANES * own->d * (own->c - 1) *
           panel->cols;
}

/* ---- First values -------------------------------------------------------------------
 */

/* Position of (k, l), k >= l, in a packed lower triangle. */
static fmal_idx packed(int k, int l)
{
    return (fmal_idx) k * (k + 1) / 2 + l;
}

/* Forms h^T A_kl h of class row k of A, l >= k, for every slot, into row l, column k of
   the packed triangles g. data->part holds blocks A_kk, A_k,k+1, ... */
static void row_of_forms(fmal_panel *panel, int k, double *g)
{
    const kron *own = panel->factor->own;
    panel_data *data = panel->own;
    int r = panel->factor->rank, d = own->d;
    fmal_idx triangle = (fmal_idx) r * (r + 1) / 2;

    for (fmal_idx b = 0; b < panel->blocks; b++) {
        int m = gather_block(panel, b);

        for (int l = k; l < r; l++) {
            fmal_gemm(false, false, d, m, d, 1,
                      data->part + (size_t) (l - k) * (size_t) d * (size_t) d, d,
                      data->ht, m, 0, data->product, m);
            dot(panel, m, data->form);
            for (int i = 0; i < m; i++) {
                fmal_idx group = panel->first_group[b] + i / FMAL_LANES;

                g[(group * triangle + packed(l, k)) * FMAL_LANES + i % FMAL_LANES] =
                    data->form[i];
            }
        }
    }
}

/* One slot's forms a_kl to (R a R^T)_kl, in place: the rotation on both sides. u [r].
 */
static void rotate_forms(int r, const double *root, const double *shift, double *a,
                         double *u)
{
    double both = 0;

    for (int k = 0; k < r; k++) {
        u[k] = 0;
        for (int m = 0; m < r; m++)
            u[k] += shift[m * FMAL_LANES] *
                    a[(k >= m ? packed(k, m) : packed(m, k)) * FMAL_LANES];
        both += shift[k * FMAL_LANES] * u[k];
    }
    for (int k = 0; k < r; k++)
        for (int l = 0; l <= k; l++) {
            double *at = a + packed(k, l) * FMAL_LANES;

            *at = root[k * FMAL_LANES] * root[l * FMAL_LANES] *
                  (*at - u[k] - u[l] + both);
        }
}

static fmal_status kron_quadratic(fmal_panel *panel, const fmal_dmat *a,
                                  double null_value, double *g, double *flops)
{
    const kron *own = panel->factor->own;
    panel_data *data = panel->own;
    int r = panel->factor->rank, d = own->d;
    fmal_idx triangle = (fmal_idx) r * (r + 1) / 2;

    for (int k = 0; k < r; k++) {
        fmal_dmat_get(a, k * d, k * d, d, (r - k) * d, data->part);
        /* The null space is 1 (x) u: take null_value / c (1 1^T) (x) I out of A. */
        for (int l = k; l < r; l++)
            for (int i = 0; i < d; i++)
                data->part[((size_t) (l - k) * (size_t) d + (size_t) i) * (size_t) d +
                           (size_t) i] -= null_value / own->c;
        row_of_forms(panel, k, g);
    }
    for (fmal_idx slot = 0; slot < panel->groups * FMAL_LANES; slot++) {
        fmal_idx group = slot / FMAL_LANES, lane = slot % FMAL_LANES;

        rotate_forms(r, data->root + group * r * FMAL_LANES + lane,
                     data->shift + group * r * FMAL_LANES + lane,
                     g + group * triangle * FMAL_LANES + lane, own->root);
    }
    if (flops)
        *flops += 2.0 * d * d * (double) triangle * (double) panel->groups * FMAL_LANES;
    return FMAL_OK;
}

static double kron_bytes(const fmal_factor *f, fmal_idx n)
{
    const kron *own = f->own;
    double r = f->rank, d = own->d, m = f->part.block;

    return 8 * (2 * (double) n * r + 2 * d * m + 2 * r * (r * d + r * m) + r * d * d);
}

static const fmal_factor_ops kron_ops = {
    .name = "kronecker",
    .destroy = kron_destroy,
    .gram = fmal_kron_gram,
    .row = kron_row,
    .panel_open = kron_panel_open,
    .panel_close = kron_panel_close,
    .quadratic = kron_quadratic,
    .load = kron_load,
    .apply = kron_apply,
    .apply_flops = kron_apply_flops,
    .bytes = kron_bytes,
};

fmal_status fmal_factor_kron(const fmal_ctx *ctx, const fmal_part *part,
                             const float *features, const double *probs, int d, int c,
                             fmal_factor **out)
{
    fmal_factor *f = NULL;
    kron *own = NULL;
    fmal_status st = FMAL_ALLOC(&f, 1);
    double isa = -(double) fmal_isa_detect();

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own, 1);
    if (st == FMAL_OK) {
        *own = (kron){ .h = features, .p = probs, .d = d, .c = c };
        *f = (fmal_factor){ .ops = &kron_ops,
                            .ctx = *ctx,
                            .part = *part,
                            .order = (fmal_idx) d * c,
                            .rank = c - 1,
                            .own = own };
        st = FMAL_ALLOC(&own->sample, d + c);
    }
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->root, c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->q, c);
    st = fmal_agree(ctx, st);
    if (st != FMAL_OK) {
        if (f && f->ops)
            fmal_factor_destroy(&f);
        else
            fmal_free(&f);
        return st;
    }
    fmal_max_f64(ctx, &isa, 1); /* the lowest set of all ranks: all round alike */
    f->isa = (fmal_isa) -isa;
    *out = f;
    return FMAL_OK;
}
