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
    int chunk;            /* class pairs at a time in quadratic */
    double *coefficients; /* [chunk, d (d + 1) / 2] */
    double *square;       /* [d, d]: a block of the matrix */
    double *products;     /* [FMAL_KRON_PAIRS, m]: h_a h_b */
    double *forms;        /* [chunk, m] */
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

/* ---- Panels ---- */

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

/* Class pairs whose coefficients take 64 MiB together, at least one. */
static int pairs_at_a_time(int d, int r)
{
    double room = 64 * 1048576.0 / (4.0 * d * (d + 1));
    int all = r * (r + 1) / 2;

    if (room < 1)
        return 1;
    return room < all ? (int) room : all;
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
    data->chunk = pairs_at_a_time(own->d, panel->factor->rank);
    FMAL_TRY(FMAL_ALLOC(&data->coefficients, data->chunk * (d * (d + 1) / 2)));
    FMAL_TRY(FMAL_ALLOC(&data->square, d * d));
    FMAL_TRY(FMAL_ALLOC(&data->products, FMAL_KRON_PAIRS * m));
    FMAL_TRY(FMAL_ALLOC(&data->forms, data->chunk * m));
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
    fmal_free(&data->coefficients);
    fmal_free(&data->square);
    fmal_free(&data->products);
    fmal_free(&data->forms);
    fmal_free(&panel->own);
}

/* data->ht = the features of a block's slots, zero in padding; returns their number. */
static int gather_block(fmal_panel *panel, fmal_idx b)
{
    const kron *own = panel->factor->own;
    panel_data *data = panel->own;
    const fmal_idx *local = panel->local + panel->first_group[b] * FMAL_LANES;
    int d = own->d, m = block_slots(panel, b);

    /* A group of samples at a time: writes are then whole cache lines. */
    for (int i = 0; i < m; i += FMAL_LANES) {
        const float *h[FMAL_LANES];

        for (int lane = 0; lane < FMAL_LANES; lane++)
            h[lane] = own->h + (local[i + lane] < 0 ? 0 : local[i + lane]) * d;
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

/* ---- First values ---- */

/* Position of (k, l), k >= l, in a packed lower triangle. */
static fmal_idx packed(int k, int l)
{
    return (fmal_idx) k * (k + 1) / 2 + l;
}

/*
 * h^T A_kl h = sum over a <= b of C_kl,ab h_a h_b, with C_kl,ab = A_kl,ab + A_kl,ba off
 * the diagonal: half the work of the product A_kl h, and one GEMM for many (k, l).
 */

/* Coefficients of `count` class pairs from `first` on, to data->coefficients.
   Collective. (k, l) walks along with the pairs. */
static void get_coefficients(panel_data *data, const fmal_dmat *a, int d,
                             double diagonal, int *k, int *l, int count)
{
    double *to = data->coefficients;

    for (int pair = 0; pair < count; pair++) {
        fmal_dmat_get(a, *k * d, *l * d, d, d, data->square);
        for (int j = 0; j < d; j++)
            for (int i = 0; i <= j; i++)
                *to++ = i == j ? data->square[i * d + i] - diagonal
                               : data->square[i * d + j] + data->square[j * d + i];
        if ((*l)++ == *k) {
            *l = 0;
            (*k)++;
        }
    }
}

/* forms [count, m] = coefficients times products of the block's features. */
static void block_forms(panel_data *data, int d, int m, int count)
{
    fmal_idx pairs = (fmal_idx) d * (d + 1) / 2;
    int a = 0, b = 0;

    for (fmal_idx first = 0; first < pairs; first += FMAL_KRON_PAIRS) {
        int width =
            (int) (pairs - first < FMAL_KRON_PAIRS ? pairs - first : FMAL_KRON_PAIRS);

        fmal_kron_products(data->ht, m, width, &a, &b, data->products);
        fmal_gemm(false, false, count, m, width, 1, data->coefficients + first,
                  (int) pairs, data->products, m, first > 0, data->forms, m);
    }
}

/* Forms of `count` class pairs from `first` on, for all slots, into the triangles g. */
static void scatter_forms(fmal_panel *panel, fmal_idx first, int count, double *g)
{
    panel_data *data = panel->own;
    int r = panel->factor->rank, d = ((const kron *) panel->factor->own)->d;
    fmal_idx triangle = (fmal_idx) r * (r + 1) / 2;

    for (fmal_idx b = 0; b < panel->blocks; b++) {
        int m = gather_block(panel, b);

        block_forms(data, d, m, count);
        for (int pair = 0; pair < count; pair++)
            for (int i = 0; i < m; i++) {
                fmal_idx group = panel->first_group[b] + i / FMAL_LANES;

                g[(group * triangle + first + pair) * FMAL_LANES + i % FMAL_LANES] =
                    data->forms[(size_t) pair * (size_t) m + (size_t) i];
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
    int r = panel->factor->rank, d = own->d, k = 0, l = 0;
    fmal_idx triangle = (fmal_idx) r * (r + 1) / 2;

    for (fmal_idx first = 0; first < triangle; first += data->chunk) {
        int count =
            (int) (triangle - first < data->chunk ? triangle - first : data->chunk);

        /* The null space is 1 (x) u: null_value / c (1 1^T) (x) I goes out of A. */
        get_coefficients(data, a, d, null_value / own->c, &k, &l, count);
        scatter_forms(panel, first, count, g);
    }
    for (fmal_idx slot = 0; slot < panel->groups * FMAL_LANES; slot++) {
        fmal_idx group = slot / FMAL_LANES, lane = slot % FMAL_LANES;

        rotate_forms(r, data->root + group * r * FMAL_LANES + lane,
                     data->shift + group * r * FMAL_LANES + lane,
                     g + group * triangle * FMAL_LANES + lane, own->root);
    }
    if (flops)
        *flops += (double) d * (d + 1) * (double) triangle * (double) panel->groups *
                  FMAL_LANES;
    return FMAL_OK;
}

static double kron_bytes(const fmal_factor *f, fmal_idx n)
{
    const kron *own = f->own;
    double r = f->rank, d = own->d, m = f->part.block;

    double chunk = pairs_at_a_time(own->d, f->rank);

    return 8 * (2 * (double) n * r + d * m + 2 * r * (r * d + r * m) +
                chunk * (d * (d + 1) / 2 + m) + d * d + FMAL_KRON_PAIRS * m);
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
