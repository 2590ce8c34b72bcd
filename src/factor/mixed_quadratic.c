/*
 * V_i A V_i^T of mixed factors, for every sample of a panel and several matrices A.
 *
 * With A' = A less, in rows and columns of the head, its last class block (mixed.c),
 * and T' [r, extra] the rows of the tail less the last one, V A V^T = S a S^T with
 *
 *     a = (I (x) h)^T A'_hh (I (x) h) + X T'^T + T' X^T + T' A_tt T'^T,
 *     X = (I (x) h)^T A'_ht,                                          [r, extra]
 *
 * I of order r. The first term takes all products of two features and one GEMM, as in
 * kron_quadratic.c. For the others, Z = X + T' A_tt / 2 is two GEMMs over a block of
 * samples, and a += Z T'^T + T' Z^T a small product for each sample: 2 r extra (d +
 * extra + r) flops, and no row of length D is ever formed.
 */
#include "mixed_impl.h"
#include "fmal/mem.h"

#include <string.h>

/* Bytes of coefficients, and of columns of A, at a time. */
static const double MOST_BYTES = 64 << 20;
enum { COLUMNS = 256 };

typedef struct {
    fmal_panel *panel;
    const mixed *own;
    int n; /* matrices */
    const fmal_dmat *const *a;
    double *const *g;
    int r, chunk;         /* class pairs at a time */
    double *square;       /* [d, d]: a block of a matrix */
    double *last;         /* [n, c, pairs]: coefficients of the last row of blocks */
    double *coefficients; /* [n, chunk, pairs], pairs = d (d + 1) / 2 */
    double *products;     /* [FMAL_KRON_PAIRS, m]: h_a h_b */
    double *forms;        /* [n, chunk, m] */
    int cols;             /* columns of the tail at a time */
    double *part;         /* [n, cols, D]: those columns of the matrices */
    double *head;         /* [n, r, cols, d]: of these A'_ht */
    double *tails;        /* [m, r, extra]: T' of a block's slots */
    double *z;            /* [m, r, cols] */
    double *cross;        /* [r, r] */
} quadratic_job;

static fmal_idx feature_pairs(const mixed *own)
{
    return (fmal_idx) own->d * (own->d + 1) / 2;
}

static fmal_idx class_pairs(const mixed *own)
{
    return (fmal_idx) own->c * (own->c - 1) / 2;
}

/* As many as fit, at least one. */
static int at_a_time(double bytes_each, double all)
{
    double room = MOST_BYTES / bytes_each;

    return (int) (room < 1 ? 1 : room < all ? room : all);
}

static int pairs_at_a_time(const mixed *own, int n)
{
    return at_a_time(8.0 * n * (double) feature_pairs(own), (double) class_pairs(own));
}

static int columns_at_a_time(const mixed *own, int n)
{
    int most = own->extra < COLUMNS ? own->extra : COLUMNS;

    return at_a_time(8.0 * n * (2.0 * own->c * own->d + own->extra), most);
}

double fmal_mixed_quadratic_bytes(const mixed *own, double m)
{
    double d = own->d, c = own->c, r = c - 1, extra = own->extra;
    double pairs = (double) feature_pairs(own), chunk = pairs_at_a_time(own, 2);
    double cols = columns_at_a_time(own, 2);

    return 8 * (d * d + 2 * pairs * (c + chunk) + (FMAL_KRON_PAIRS + 2 * chunk) * m +
                2 * cols * (c * d + extra + r * d) + m * r * (extra + cols) + r * r);
}

static fmal_status job_init(quadratic_job *job, fmal_panel *panel, int n)
{
    const mixed *own = panel->factor->own;
    fmal_idx d = own->d, c = own->c, r = c - 1, m = fmal_block_slots(panel->factor);
    fmal_idx pairs = feature_pairs(own);

    *job = (quadratic_job){ .panel = panel, .own = own, .n = n, .r = (int) r };
    job->chunk = pairs_at_a_time(own, n);
    job->cols = columns_at_a_time(own, n);
    fmal_idx rows = (fmal_idx) n * job->chunk, cols = job->cols;
    FMAL_TRY(FMAL_ALLOC(&job->square, d * d));
    FMAL_TRY(FMAL_ALLOC(&job->last, n * c * pairs));
    FMAL_TRY(FMAL_ALLOC(&job->coefficients, rows * pairs));
    FMAL_TRY(FMAL_ALLOC(&job->products, FMAL_KRON_PAIRS * m));
    FMAL_TRY(FMAL_ALLOC(&job->forms, rows * m));
    if (own->extra == 0)
        return FMAL_OK;
    FMAL_TRY(FMAL_ALLOC(&job->part, n * cols * panel->factor->order));
    FMAL_TRY(FMAL_ALLOC(&job->head, n * r * cols * d));
    FMAL_TRY(FMAL_ALLOC(&job->tails, m * r * own->extra));
    FMAL_TRY(FMAL_ALLOC(&job->z, m * r * cols));
    return FMAL_ALLOC(&job->cross, r * r);
}

static void job_clear(quadratic_job *job)
{
    double **held[] = { &job->square, &job->last, &job->coefficients, &job->products,
                        &job->forms,  &job->part, &job->head,         &job->tails,
                        &job->z,      &job->cross };

    for (int i = 0; i < FMAL_COUNT(held); i++)
        fmal_free(held[i]);
}

/* ---- Head with head ---- */

/* to [pairs] = coefficients of block (k, l) of a matrix. Collective. */
static void get_block(quadratic_job *job, const fmal_dmat *a, int k, int l, double *to)
{
    int d = job->own->d;
    const double *x = job->square;

    fmal_dmat_get(a, k * d, l * d, d, d, job->square);
    for (int j = 0; j < d; j++)
        for (int i = 0; i <= j; i++)
            *to++ = i == j ? x[i * d + i] : x[i * d + j] + x[j * d + i];
}

static void get_last(quadratic_job *job)
{
    double *to = job->last;

    for (int i = 0; i < job->n; i++)
        for (int l = 0; l <= job->r; l++, to += feature_pairs(job->own))
            get_block(job, job->a[i], job->r, l, to);
}

/* Coefficients of A'_hh for `count` class pairs from (k, l) on, of matrix i. Forms do
   not tell a block from its transpose, so A_rk stands for A_kr. Collective. */
static void get_coefficients(quadratic_job *job, int i, int k, int l, int count)
{
    size_t pairs = (size_t) feature_pairs(job->own);
    double *to = job->coefficients + (size_t) i * (size_t) count * pairs;
    const double *last = job->last + (size_t) (i * job->own->c) * pairs;
    const double *corner = last + (size_t) job->r * pairs;

    for (int pair = 0; pair < count; pair++, to += pairs) {
        const double *row = last + (size_t) k * pairs, *col = last + (size_t) l * pairs;

        get_block(job, job->a[i], k, l, to);
        for (size_t t = 0; t < pairs; t++)
            to[t] = (to[t] - row[t]) - (col[t] - corner[t]);
        if (l++ == k) {
            l = 0;
            k++;
        }
    }
}

/* Forms of `count` class pairs from `first` on to g, for all slots and matrices. */
static void put_forms(quadratic_job *job, fmal_idx first, int count)
{
    fmal_panel *panel = job->panel;
    const double *ht = ((const mixed_panel *) panel->own)->ht;
    fmal_idx all = class_pairs(job->own);
    int d = job->own->d;

    for (fmal_idx b = 0; b < panel->blocks; b++) {
        int m = fmal_mixed_turn(panel, b, job->own->h, NULL, d, d,
                                ((mixed_panel *) panel->own)->ht);

        fmal_forms(ht, d, m, job->coefficients, job->n * count, job->products,
                   job->forms);
        for (int row = 0; row < job->n * count; row++) {
            double *to =
                job->g[row / count] +
                (panel->first_group[b] * all + first + row % count) * FMAL_LANES;
            const double *from = job->forms + (size_t) row * (size_t) m;

            for (int s = 0; s < m; s += FMAL_LANES, to += all * FMAL_LANES)
                memcpy(to, from + s, FMAL_LANES * sizeof *to);
        }
    }
}

static void head_forms(quadratic_job *job)
{
    fmal_idx all = class_pairs(job->own);
    int k = 0, l = 0;

    get_last(job);
    for (fmal_idx first = 0; first < all; first += job->chunk) {
        int count = (int) (all - first < job->chunk ? all - first : job->chunk);

        for (int i = 0; i < job->n; i++)
            get_coefficients(job, i, k, l, count);
        put_forms(job, first, count);
        for (int i = 0; i < count; i++)
            if (l++ == k) {
                l = 0;
                k++;
            }
    }
}

/* ---- What has to do with the tail ---- */

/* part and head of matrix i, for columns [first, first + cols) of the tail. Collective.
 */
static void get_columns(quadratic_job *job, int i, int first, int cols)
{
    int r = job->r, d = job->own->d, order = (int) job->panel->factor->order;
    double *part = job->part + (size_t) i * (size_t) job->cols * (size_t) order;
    double *to = job->head + (size_t) i * (size_t) (r * job->cols) * (size_t) d;

    fmal_dmat_get(job->a[i], 0, (r + 1) * d + first, order, cols, part);
    for (int k = 0; k < r; k++)
        for (int j = 0; j < cols; j++) {
            const double *x = part + (size_t) j * (size_t) order;

            for (int a = 0; a < d; a++)
                *to++ = x[k * d + a] - x[r * d + a];
        }
}

/* T' of a block's slots, zero in padding. */
static void gather_tails(quadratic_job *job, fmal_idx b, int m)
{
    const fmal_idx *local = job->panel->local + job->panel->first_group[b] * FMAL_LANES;
    fmal_idx extra = job->own->extra, c = job->own->c;
    double *to = job->tails;

    for (int i = 0; i < m; i++) {
        bool is_sample = local[i] >= 0;
        const float *x = job->own->tail + (is_sample ? local[i] * c * extra : 0);
        const float *last = x + job->r * extra;

        for (fmal_idx e = 0; e < job->r * extra; e++)
            *to++ = is_sample ? (double) x[e] - (double) last[e % extra] : 0;
    }
}

/* Z of a block's slots, of matrix i. */
static void make_z(quadratic_job *job, int i, int m, int cols)
{
    int r = job->r, d = job->own->d, extra = job->own->extra;
    int order = (int) job->panel->factor->order;
    const double *ht = ((const mixed_panel *) job->panel->own)->ht;
    const double *part = job->part + (size_t) i * (size_t) job->cols * (size_t) order;
    const double *head = job->head + (size_t) i * (size_t) (r * job->cols) * (size_t) d;

    fmal_gemm(true, true, m, r * cols, d, 1, ht, m, head, d, 0, job->z, r * cols);
    fmal_gemm(false, true, m * r, cols, extra, 0.5, job->tails, extra,
              part + (r + 1) * d, order, 1, job->z, cols);
}

/* a += Z T'^T + T' Z^T for the columns at hand, of one slot. */
static void add_cross(quadratic_job *job, int slot, int first, int cols, double *a)
{
    int r = job->r, extra = job->own->extra;
    const double *z = job->z + (size_t) slot * (size_t) (r * cols);
    const double *tails = job->tails + (size_t) slot * (size_t) r * (size_t) extra;

    fmal_gemm(false, true, r, r, cols, 1, z, cols, tails + first, extra, 0, job->cross,
              r);
    for (int k = 0; k < r; k++)
        for (int l = 0; l <= k; l++, a += FMAL_LANES)
            *a += job->cross[k * r + l] + job->cross[l * r + k];
}

static void tail_forms(quadratic_job *job)
{
    fmal_panel *panel = job->panel;
    int d = job->own->d, extra = job->own->extra;
    fmal_idx all = class_pairs(job->own);

    for (int first = 0; first < extra; first += job->cols) {
        int cols = extra - first < job->cols ? extra - first : job->cols;

        for (int i = 0; i < job->n; i++)
            get_columns(job, i, first, cols);
        for (fmal_idx b = 0; b < panel->blocks; b++) {
            int m = fmal_mixed_turn(panel, b, job->own->h, NULL, d, d,
                                    ((mixed_panel *) panel->own)->ht);

            gather_tails(job, b, m);
            for (int i = 0; i < job->n; i++) {
                make_z(job, i, m, cols);
                for (int s = 0; s < m; s++)
                    add_cross(job, s, first, cols,
                              job->g[i] +
                                  (panel->first_group[b] + s / FMAL_LANES) * all *
                                      FMAL_LANES +
                                  s % FMAL_LANES);
            }
        }
    }
}

/* ---- From forms to V A V^T ---- */

/*
 * One group's forms a, packed, to S a S^T, in place. With u = a shift and t = root +
 * rest,
 *
 *     (S a S^T)_kl = t_k t_l a_kl - t_k root_l u_k - root_k t_l u_l
 *                    + root_k root_l (shift . u).
 */
static void rotate_lane(int r, const double *root, const double *rest,
                        const double *shift, double *u, double *a)
{
    double both = 0, *at = a;

    memset(u, 0, sizeof *u * (size_t) r);
    for (int k = 0; k < r; k++)
        for (int l = 0; l <= k; l++, at += FMAL_LANES) {
            u[k] += shift[l * FMAL_LANES] * *at;
            if (l < k)
                u[l] += shift[k * FMAL_LANES] * *at;
        }
    for (int k = 0; k < r; k++)
        both += shift[k * FMAL_LANES] * u[k];
    for (int k = 0; k < r; k++)
        for (int l = 0; l <= k; l++, a += FMAL_LANES) {
            int x = k * FMAL_LANES, y = l * FMAL_LANES;
            double tk = root[x], tl = root[y];

            if (!rest) {
                *a = tk * tl * (*a - u[k] - u[l] + both);
                continue;
            }
            tk += rest[x];
            tl += rest[y];
            *a = tk * tl * *a - tk * root[y] * u[k] - root[x] * tl * u[l] +
                 root[x] * root[y] * both;
        }
}

static void rotate_all(const quadratic_job *job, double *g)
{
    const mixed_panel *data = job->panel->own;
    fmal_idx r = job->r, all = class_pairs(job->own);

    for (fmal_idx slot = 0; slot < job->panel->groups * FMAL_LANES; slot++) {
        fmal_idx group = slot / FMAL_LANES, lane = slot % FMAL_LANES;
        fmal_idx at = group * r * FMAL_LANES + lane;

        rotate_lane((int) r, data->root + at, data->rest ? data->rest + at : NULL,
                    data->shift + at, job->own->center,
                    g + group * all * FMAL_LANES + lane);
    }
}

fmal_status fmal_mixed_quadratic(fmal_panel *panel, int n, const fmal_dmat *const *a,
                                 double *const *g, double *flops)
{
    const mixed *own = panel->factor->own;
    double slots = (double) panel->groups * FMAL_LANES, r = own->c - 1;
    quadratic_job job;
    fmal_status st = fmal_agree(&panel->factor->ctx, job_init(&job, panel, n));

    job.a = a;
    job.g = g;
    if (st == FMAL_OK) {
        head_forms(&job);
        tail_forms(&job);
        for (int i = 0; i < n; i++)
            rotate_all(&job, g[i]);
    }
    job_clear(&job);
    if (flops)
        *flops += 2.0 * n * slots *
                  ((double) feature_pairs(own) * (double) class_pairs(own) +
                   r * own->extra * (own->d + own->extra + r));
    return st;
}
