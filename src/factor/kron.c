/*
 * The Kronecker form: V_i = R_i (x) h_i^T, from features h and class probabilities p.
 *
 * Row k of R_i is root_k (e_pick - center) (kron_likelihood.c). But for the binary
 * likelihood every row sums to zero over classes, hence so do the class blocks of A V^T
 * for every matrix A that the search builds from lambda I and factors: y_c = - sum of
 * the others, and
 *
 *     row k of V_i w = root_k (y_pick - sum over m < c of (center_m - center_c) y_m),
 *
 * y_m = h_i . w_m. "shift" below is center_m - center_c. Samples run along the fastest
 * index in all work arrays, so that the loops over them need no shuffles.
 */
#include "kron_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

/* A panel's data. */
typedef struct {
    double *root;         /* [groups, r, LANES] */
    double *shift;        /* [groups, used, LANES] */
    int *pick;            /* [groups, r, LANES]; NULL where row k picks class k */
    double *ht;           /* [d, m]: features of the block at hand, samples fastest */
    double *w;            /* [cols, used, d]: the loaded columns' blocks */
    double *y;            /* [cols, used, m] */
    int chunk;            /* class pairs at a time in quadratic */
    double *coefficients; /* [chunk, d (d + 1) / 2] */
    double *square;       /* [d, d]: a block of the matrix */
    double *products;     /* [FMAL_FORMS_WORK(m)] */
    double *forms;        /* [chunk, m] */
} panel_data;

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
    fmal_kron_rows(own, p);
    for (int k = 0; k < f->rank; k++)
        for (int m = 0; m < own->blocks; m++) {
            double x = own->root[k] * ((own->pick[k] == m) - own->center[m]);

            for (int a = 0; a < d; a++)
                *v++ = x * h[a];
        }
}

/* ---- Panels ---- */

static int block_slots(const fmal_panel *panel, fmal_idx b)
{
    return (int) (panel->first_group[b + 1] - panel->first_group[b]) * FMAL_LANES;
}

/* root, shift and pick of every slot; padding stays zero, and so do its results. */
static void fill_rows(fmal_panel *panel)
{
    const kron *own = panel->factor->own;
    panel_data *data = panel->own;
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
        for (int m = 0; m < used && own->zero_sum; m++)
            data->shift[(group * used + m) * FMAL_LANES + lane] =
                own->center[m] - own->center[used];
    }
}

/* Class pairs whose coefficients take 64 MiB together, at least one. */
static int pairs_at_a_time(int d, int used)
{
    double room = 64 * 1048576.0 / (4.0 * d * (d + 1));
    int all = used * (used + 1) / 2;

    if (room < 1)
        return 1;
    return room < all ? (int) room : all;
}

static fmal_status kron_panel_open(fmal_panel *panel, int max_cols)
{
    const kron *own = panel->factor->own;
    fmal_idx d = own->d, r = panel->factor->rank, m = fmal_block_slots(panel->factor);
    fmal_idx used = own->used, rows = panel->groups * r * FMAL_LANES;
    panel_data *data = NULL;

    FMAL_TRY(FMAL_ALLOC(&data, 1));
    panel->own = data;
    FMAL_TRY(FMAL_ALLOC(&data->root, rows));
    if (own->likelihood == FMAL_LIKELIHOOD_TOPC)
        FMAL_TRY(FMAL_ALLOC(&data->pick, rows));
    FMAL_TRY(FMAL_ALLOC(&data->shift, panel->groups * used * FMAL_LANES));
    FMAL_TRY(FMAL_ALLOC(&data->ht, d * m));
    FMAL_TRY(FMAL_ALLOC(&data->w, max_cols * used * d));
    FMAL_TRY(FMAL_ALLOC(&data->y, max_cols * used * m));
    data->chunk = pairs_at_a_time(own->d, own->used);
    FMAL_TRY(FMAL_ALLOC(&data->coefficients, data->chunk * (d * (d + 1) / 2)));
    FMAL_TRY(FMAL_ALLOC(&data->square, d * d));
    FMAL_TRY(FMAL_ALLOC(&data->products, FMAL_FORMS_WORK(m)));
    FMAL_TRY(FMAL_ALLOC(&data->forms, data->chunk * m));
    fill_rows(panel);
    return FMAL_OK;
}

static void kron_panel_close(fmal_panel *panel)
{
    panel_data *data = panel->own;

    fmal_free(&data->root);
    fmal_free(&data->shift);
    fmal_free(&data->pick);
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
    size_t all = (size_t) own->blocks * (size_t) own->d;
    size_t kept = (size_t) own->used * (size_t) own->d;

    for (int j = 0; j < cols; j++)
        memcpy(data->w + (size_t) j * kept, w + (size_t) j * all,
               kept * sizeof(double));
}

/* Rows that pick any class: that of each lane is another. */
static void project_picked(int r, int used, int cols, const double *y, int m,
                           const double *root, const double *shift, const int *pick,
                           double *out)
{
    for (int j = 0; j < cols; j++, y += (size_t) used * (size_t) m)
        for (int lane = 0; lane < FMAL_LANES; lane++) {
            double mean = 0, last = 0; /* last: the class that is not computed */

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

                out[((size_t) j * (size_t) r + (size_t) k) * FMAL_LANES +
                    (size_t) lane] = root[k * FMAL_LANES + lane] * (yk - mean);
            }
        }
}

static void project(const fmal_panel *panel, int cols, const double *y, int m,
                    fmal_idx group, double *out)
{
    const panel_data *data = panel->own;
    int r = panel->factor->rank, used = ((const kron *) panel->factor->own)->used;
    const double *root = data->root + group * r * FMAL_LANES;
    const double *shift = data->shift + group * used * FMAL_LANES;

    if (data->pick) {
        project_picked(r, used, cols, y, m, root, shift,
                       data->pick + group * r * FMAL_LANES, out);
        return;
    }
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

    fmal_gemm(false, false, cols * own->used, m, d, 1, data->w, d, data->ht, m, 0,
              data->y, m);
    for (fmal_idx g = panel->first_group[b]; g < panel->first_group[b + 1]; g++) {
        int i = (int) (g - panel->first_group[b]) * FMAL_LANES;

        project(panel, cols, data->y + i, m, g, out);
        out += (size_t) cols * (size_t) r * FMAL_LANES;
    }
}

static double kron_apply_flops(const fmal_panel *panel)
{
    const kron *own = panel->factor->own;

    return 2.0 * (double) panel->groups * FMAL_LANES * own->d * own->used * panel->cols;
}

/* ---- First values ---- */

/* Position of (k, l), k >= l, in a packed lower triangle. */
static fmal_idx packed(int k, int l)
{
    return (fmal_idx) k * (k + 1) / 2 + l;
}

/* Coefficients (fmal_forms) of the next `count` class pairs, to data->coefficients.
   Collective. (k, l) walks along with the pairs. */
static void get_coefficients(panel_data *data, const fmal_dmat *a, int d, int *k,
                             int *l, int count)
{
    double *to = data->coefficients;

    for (int pair = 0; pair < count; pair++) {
        fmal_dmat_get(a, *k * d, *l * d, d, d, data->square);
        for (int j = 0; j < d; j++)
            for (int i = 0; i <= j; i++)
                *to++ = i == j ? data->square[i * d + i]
                               : data->square[i * d + j] + data->square[j * d + i];
        if ((*l)++ == *k) {
            *l = 0;
            (*k)++;
        }
    }
}

/* Forms of `count` class pairs from `first` on, for all slots, into the triangles g. */
static void scatter_forms(fmal_panel *panel, fmal_idx first, int count, double *g)
{
    panel_data *data = panel->own;
    const kron *own = panel->factor->own;
    int d = own->d;
    fmal_idx triangle = (fmal_idx) own->used * (own->used + 1) / 2;

    for (fmal_idx b = 0; b < panel->blocks; b++) {
        int m = gather_block(panel, b);

        fmal_forms(data->ht, d, m, data->coefficients, count, data->products,
                   data->forms);
        for (int pair = 0; pair < count; pair++)
            for (int i = 0; i < m; i++) {
                fmal_idx group = panel->first_group[b] + i / FMAL_LANES;

                g[(group * triangle + first + pair) * FMAL_LANES + i % FMAL_LANES] =
                    data->forms[(size_t) pair * (size_t) m + (size_t) i];
            }
    }
}

/* Element (k, l) of a lane's packed triangle. */
static double element(const double *a, int k, int l)
{
    return a[(k >= l ? packed(k, l) : packed(l, k)) * FMAL_LANES];
}

/*
 * One slot's forms a [used, packed] to (R a R^T) [r, packed]; g may be a where rows
 * pick their own class. With u = a shift,
 *
 *     (R a R^T)_kl = root_k root_l (a_kl - u_k - u_l + shift . u),
 *
 * k and l read through pick; the forms of the last class are minus the sums of the
 * others. u has room for used + 1 numbers, sum for as many.
 */
static void rotate_forms(int r, int used, const double *root, const double *shift,
                         const int *pick, const double *a, double *u, double *sum,
                         double *g)
{
    double both = 0, last = 0;

    u[used] = sum[used] = 0;
    for (int k = 0; k < used; k++) {
        u[k] = sum[k] = 0;
        for (int m = 0; m < used; m++) {
            u[k] += shift[m * FMAL_LANES] * element(a, k, m);
            sum[k] -= element(a, k, m);
        }
        both += shift[k * FMAL_LANES] * u[k];
        u[used] -= u[k];
        last -= sum[k];
    }
    for (int k = 0; k < r; k++)
        for (int l = 0; l <= k; l++) {
            int i = pick ? pick[k * FMAL_LANES] : k,
                j = pick ? pick[l * FMAL_LANES] : l;
            double form = i == used && j == used ? last
                          : i == used            ? sum[j]
                          : j == used            ? sum[i]
                                                 : element(a, i, j);

            g[packed(k, l) * FMAL_LANES] = root[k * FMAL_LANES] * root[l * FMAL_LANES] *
                                           (form - u[i] - u[j] + both);
        }
}

static void rotate_all(fmal_panel *panel, const double *forms, double *g)
{
    const kron *own = panel->factor->own;
    const panel_data *data = panel->own;
    fmal_idx r = panel->factor->rank, used = own->used;

    for (fmal_idx slot = 0; slot < panel->groups * FMAL_LANES; slot++) {
        fmal_idx group = slot / FMAL_LANES, lane = slot % FMAL_LANES;
        fmal_idx rows = group * r * FMAL_LANES + lane;

        rotate_forms((int) r, (int) used, data->root + rows,
                     data->shift + group * used * FMAL_LANES + lane,
                     data->pick ? data->pick + rows : NULL,
                     forms + group * (used * (used + 1) / 2) * FMAL_LANES + lane,
                     own->center, own->work,
                     g + group * (r * (r + 1) / 2) * FMAL_LANES + lane);
    }
}

static fmal_status kron_quadratic(fmal_panel *panel, const fmal_dmat *a, double *g,
                                  double *flops)
{
    const kron *own = panel->factor->own;
    panel_data *data = panel->own;
    int d = own->d, k = 0, l = 0;
    fmal_idx triangle = (fmal_idx) own->used * (own->used + 1) / 2;
    double *forms = g, *apart = NULL;
    fmal_status st = FMAL_OK;

    if (data->pick) { /* other triangles than g's */
        st = FMAL_ALLOC(&apart, panel->groups * triangle * FMAL_LANES);
        forms = apart;
    }
    FMAL_TRY(fmal_agree(&panel->factor->ctx, st));
    for (fmal_idx first = 0; first < triangle; first += data->chunk) {
        int count =
            (int) (triangle - first < data->chunk ? triangle - first : data->chunk);

        get_coefficients(data, a, d, &k, &l, count);
        scatter_forms(panel, first, count, forms);
    }
    rotate_all(panel, forms, g);
    fmal_free(&apart);
    if (flops)
        *flops += (double) d * (d + 1) * (double) triangle * (double) panel->groups *
                  FMAL_LANES;
    return FMAL_OK;
}

static double kron_bytes(const fmal_factor *f, fmal_idx n)
{
    const kron *own = f->own;
    double r = f->rank, d = own->d, m = (double) fmal_block_slots(f), u = own->used;

    double chunk = pairs_at_a_time(own->d, own->used);

    return 8 * ((double) n * (r + u) + d * m + 2 * r * (u * d + u * m) +
                chunk * (d * (d + 1) / 2 + m) + d * d + (double) FMAL_FORMS_WORK(m));
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
    .stream_open = fmal_kron_stream_open,
    .stream_close = fmal_kron_stream_close,
    .stream_push = fmal_kron_stream_push,
    .stream_apply = fmal_kron_stream_apply,
    .cut = fmal_kron_cut,
    .gram_blocks = fmal_kron_gram_blocks,
};

static fmal_status kron_create(const fmal_ctx *ctx, const fmal_part *part,
                               const kron *given, fmal_factor **out)
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
    *f = (fmal_factor){ .ops = &kron_ops, .ctx = *ctx, .part = *part, .own = own };
    f->classes = own->zero_sum ? own->c : 1;
    f->class_blocks = own->blocks;
    fmal_kron_sizes(own->likelihood, own->top, own->d, own->c, &f->order, &f->rank);
    st = FMAL_ALLOC(&own->sample, own->d + own->c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->root, own->c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->pick, own->c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->center, own->c + 1);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&own->work, own->c + 1);
    if (st != FMAL_OK)
        fmal_factor_destroy(&f);
    else
        *out = f;
    return st;
}

fmal_status fmal_factor_kron_of(const fmal_ctx *ctx, const fmal_part *part,
                                const float *features, const double *probs, int d,
                                int c, fmal_likelihood likelihood, int top,
                                fmal_factor **out)
{
    bool binary = likelihood == FMAL_LIKELIHOOD_BINARY;
    kron given = { .h = features,
                   .p = probs,
                   .likelihood = likelihood,
                   .d = d,
                   .c = c,
                   .top = top,
                   .blocks = binary ? 1 : c,
                   .used = binary ? 1 : c - 1,
                   .zero_sum = !binary };
    fmal_factor *f = NULL;
    double isa = -(double) fmal_isa_detect();
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

fmal_status fmal_factor_kron(const fmal_ctx *ctx, const fmal_part *part,
                             const float *features, const double *probs, int d, int c,
                             fmal_factor **out)
{
    return fmal_factor_kron_of(ctx, part, features, probs, d, c, FMAL_LIKELIHOOD_FULL,
                               0, out);
}
