/*
 * V_i A V_i^T for every sample of a panel and several matrices A.
 *
 * h^T A_kl h = sum over a <= b of C_kl,ab h_a h_b, with C_kl,ab = A_kl,ab + A_kl,ba off
 * the diagonal: half the work of the product A_kl h, and one GEMM for all class pairs
 * (k, l) of all matrices, which share the products h_a h_b.
 *
 * With one class block that product would be a thin one, slower than making its right
 * side. There h^T A h = 2 h . (T h), T the lower triangle of A with half its diagonal:
 * as many multiplications, by a triangular product.
 */
#include "kron_impl.h"
#include "fmal/mem.h"

#include <string.h>

/* Bytes of coefficients at a time. */
static const double MOST_BYTES = 64 << 20;

typedef struct {
    fmal_panel *panel;
    int n;                /* matrices */
    int chunk;            /* class pairs at a time */
    bool triangular;      /* one class block */
    double *coefficients; /* [n, chunk, d (d + 1) / 2]; T [n, d, d] if triangular */
    double *square;       /* [d, d]: a block of a matrix */
    double
        *products; /* [FMAL_FORMS_WORK(m)], of fmal_forms; T h [d, m] if triangular */
    double *forms; /* [n, chunk, m] */
    double *const *to; /* [n]: forms of all slots, [groups, class pairs, LANES] */
} quadratic_job;

static const kron *kron_of(const quadratic_job *job)
{
    return job->panel->factor->own;
}

static fmal_idx feature_pairs(const kron *own)
{
    return (fmal_idx) own->d * (own->d + 1) / 2;
}

static fmal_idx class_pairs(const kron *own)
{
    return (fmal_idx) own->used * (own->used + 1) / 2;
}

/* Class pairs whose coefficients fit, at least one. */
static int pairs_at_a_time(const kron *own, int n)
{
    double room = MOST_BYTES / (8.0 * n * (double) feature_pairs(own));
    double all = (double) class_pairs(own);

    if (room < 1)
        return 1;
    return (int) (room < all ? room : all);
}

static fmal_status job_init(quadratic_job *job, fmal_panel *panel, int n)
{
    const kron *own = panel->factor->own;
    fmal_idx d = own->d, m = fmal_block_slots(panel->factor);

    *job = (quadratic_job){ .panel = panel, .n = n, .chunk = pairs_at_a_time(own, n) };
    job->triangular = own->used == 1;
    fmal_idx rows = (fmal_idx) n * job->chunk;
    fmal_idx each = job->triangular ? d * d : feature_pairs(own);
    FMAL_TRY(FMAL_ALLOC(&job->coefficients, rows * each));
    FMAL_TRY(FMAL_ALLOC(&job->square, d * d));
    FMAL_TRY(FMAL_ALLOC(&job->products, job->triangular ? d * m : FMAL_FORMS_WORK(m)));
    return FMAL_ALLOC(&job->forms, rows * m);
}

/* Forms that do not go where they stay (place_forms) count too. */
double fmal_kron_quadratic_bytes(const fmal_factor *f, double slots, int n)
{
    const kron *own = f->own;
    double d = own->d, m = (double) fmal_block_slots(f);
    double rows = (double) n * pairs_at_a_time(own, n);
    bool triangular = own->used == 1;
    double each = triangular ? d * d : (double) feature_pairs(own);
    double apart = own->likelihood == FMAL_LIKELIHOOD_TOPC
                       ? slots * n * (double) class_pairs(own)
                       : 0;

    return 8 *
           (rows * (each + m) + d * d + (triangular ? d : FMAL_KRON_PAIRS) * m + apart);
}

double fmal_kron_quadratics_flops(const fmal_factor *f)
{
    return 4.0 * (double) feature_pairs(f->own) * (double) class_pairs(f->own);
}

static void job_clear(quadratic_job *job)
{
    fmal_free(&job->coefficients);
    fmal_free(&job->square);
    fmal_free(&job->products);
    fmal_free(&job->forms);
}

/* ---- Forms ---- */

/* Coefficients of `count` class pairs from (k, l) on, to job->coefficients + at.
   Collective. */
static void get_coefficients(quadratic_job *job, const fmal_dmat *a, int k, int l,
                             int count, double *to)
{
    int d = kron_of(job)->d;
    const double *x = job->square;

    for (int pair = 0; pair < count; pair++) {
        fmal_dmat_get(a, k * d, l * d, d, d, job->square);
        for (int j = 0; j < d; j++)
            for (int i = 0; i <= j; i++)
                *to++ = i == j ? x[i * d + i] : x[i * d + j] + x[j * d + i];
        if (l++ == k) {
            l = 0;
            k++;
        }
    }
}

/* T of each matrix, to job->coefficients. Collective. */
static void get_triangles(quadratic_job *job, const fmal_dmat *const *a)
{
    int d = kron_of(job)->d;

    for (int i = 0; i < job->n; i++) {
        double *t = job->coefficients + (size_t) i * (size_t) d * (size_t) d;

        fmal_dmat_get(a[i], 0, 0, d, d, t);
        for (int j = 0; j < d; j++)
            t[j * d + j] /= 2;
    }
}

/* Forms of a block's slots by the triangles, for all matrices. */
static void triangular_forms(quadratic_job *job, int m)
{
    int d = kron_of(job)->d;
    const double *h = ((const kron_panel *) job->panel->own)->ht;

    for (int i = 0; i < job->n; i++) {
        double *form = job->forms + (size_t) i * (size_t) m, *y = job->products;

        memcpy(y, h, sizeof *y * (size_t) d * (size_t) m);
        fmal_trmm(d, m, job->coefficients + (size_t) i * (size_t) d * (size_t) d, y);
        memset(form, 0, sizeof *form * (size_t) m);
        for (int a = 0; a < d; a++)
            for (int s = 0; s < m; s++)
                form[s] += 2 * h[(size_t) a * (size_t) m + (size_t) s] *
                           y[(size_t) a * (size_t) m + (size_t) s];
    }
}

/* Row `row` of job->forms to class pair `pair` of a block's slots. */
static void scatter(const quadratic_job *job, fmal_idx b, int m, int row, fmal_idx pair,
                    double *to)
{
    const double *from = job->forms + (size_t) row * (size_t) m;
    fmal_idx pairs = class_pairs(kron_of(job)), group = job->panel->first_group[b];

    for (int i = 0; i < m; i += FMAL_LANES, group++)
        memcpy(to + (group * pairs + pair) * FMAL_LANES, from + i,
               FMAL_LANES * sizeof *to);
}

/* Forms of `count` class pairs from `first` on, for all slots and matrices. */
static void all_forms(quadratic_job *job, fmal_idx first, int count)
{
    const kron_panel *data = job->panel->own;

    for (fmal_idx b = 0; b < job->panel->blocks; b++) {
        int m = fmal_kron_gather_block(job->panel, b);

        if (job->triangular)
            triangular_forms(job, m);
        else
            fmal_forms(data->ht, kron_of(job)->d, m, job->coefficients, job->n * count,
                       job->products, job->forms);
        for (int i = 0; i < job->n; i++)
            for (int pair = 0; pair < count; pair++)
                scatter(job, b, m, i * count + pair, first + pair, job->to[i]);
    }
}

/* ---- From forms to V A V^T ---- */

/* Position of (k, l), k >= l, in a packed lower triangle. */
static fmal_idx packed(int k, int l)
{
    return (fmal_idx) k * (k + 1) / 2 + l;
}

/* Element (k, l) of a lane's packed triangle. */
static double element(const double *a, int k, int l)
{
    return a[(k >= l ? packed(k, l) : packed(l, k)) * FMAL_LANES];
}

/* One slot's forms of all classes: the last class's are minus the sums of the others.
 */
typedef struct {
    int used;
    const double *a;   /* [used, packed] */
    const double *sum; /* [used]: forms of the last class with the others */
    double last;       /* and with itself */
} slot_forms;

static double form_of(const slot_forms *f, int i, int j)
{
    if (i == f->used && j == f->used)
        return f->last;
    return i == f->used ? f->sum[j] : j == f->used ? f->sum[i] : element(f->a, i, j);
}

/* (e_i - e_base) a (e_j - e_base)^T, if there is a base. */
static double form_from(const slot_forms *f, int base, int i, int j)
{
    double form = form_of(f, i, j);

    if (base < 0)
        return form;
    return form - form_of(f, i, base) - form_of(f, base, j) + form_of(f, base, base);
}

/*
 * One slot's forms a [used, packed] to (R a R^T) [r, packed]; g may be a where rows
 * pick their own class. With u = a shift, and x_k = e_pick_k - e_base,
 *
 *     (R a R^T)_kl = root_k root_l (x_k a x_l^T - x_k u - x_l u + shift . u).
 *
 * u has room for used + 1 numbers, sum for as many.
 */
static void rotate_forms(int r, int used, const double *root, const double *shift,
                         const int *pick, int swap, const double *a, double *u,
                         double *sum, double *g)
{
    slot_forms f = { used, a, sum, 0 };
    int base = pick ? pick[0] : -1;
    double both = 0;

    u[used] = sum[used] = 0;
    for (int k = 0; k < used; k++) {
        u[k] = sum[k] = 0;
        for (int m = 0; m < used; m++) {
            u[k] += shift[m * FMAL_LANES] * element(a, k, m);
            sum[k] -= element(a, k, m);
        }
        both += shift[k * FMAL_LANES] * u[k];
        u[used] -= u[k];
        f.last -= sum[k];
    }
    double off = base < 0 ? 0 : u[base];
    for (int k = 0; k < r; k++)
        for (int l = 0; l <= k; l++) {
            int i = pick        ? pick[k * FMAL_LANES]
                    : k == swap ? used
                                : k,
                j = pick        ? pick[l * FMAL_LANES]
                    : l == swap ? used
                                : l;

            g[packed(k, l) * FMAL_LANES] =
                root[k * FMAL_LANES] * root[l * FMAL_LANES] *
                (form_from(&f, base, i, j) - (u[i] - off) - (u[j] - off) + both);
        }
}

static void rotate_all(fmal_panel *panel, const double *forms, double *g)
{
    const kron *own = panel->factor->own;
    const kron_panel *data = panel->own;
    fmal_idx r = panel->factor->rank, used = own->used, pairs = class_pairs(own);

    for (fmal_idx slot = 0; slot < panel->groups * FMAL_LANES; slot++) {
        fmal_idx group = slot / FMAL_LANES, lane = slot % FMAL_LANES;
        fmal_idx rows = group * r * FMAL_LANES + lane;

        rotate_forms((int) r, (int) used, data->root + rows,
                     data->shift + group * used * FMAL_LANES + lane,
                     data->pick ? data->pick + rows : NULL,
                     data->swap ? (int) data->swap[slot] : -1,
                     forms + group * pairs * FMAL_LANES + lane, own->center, own->work,
                     g + group * (r * (r + 1) / 2) * FMAL_LANES + lane);
    }
}

enum { MOST_MATRICES = 2 };

/* Where the forms of each matrix go: to its g, or apart where g has other triangles. */
static fmal_status place_forms(quadratic_job *job, double *const *g, double **apart)
{
    const kron_panel *data = job->panel->own;
    fmal_idx count = job->panel->groups * class_pairs(kron_of(job)) * FMAL_LANES;

    job->to = data->pick ? apart : g;
    for (int i = 0; i < job->n && data->pick; i++)
        FMAL_TRY(FMAL_ALLOC(&apart[i], count));
    return FMAL_OK;
}

fmal_status fmal_kron_quadratic(fmal_panel *panel, int n, const fmal_dmat *const *a,
                                double *const *g, double *flops)
{
    const kron *own = panel->factor->own;
    fmal_idx all = class_pairs(own), pairs = feature_pairs(own);
    double *apart[MOST_MATRICES] = { NULL };
    quadratic_job job;
    int k = 0, l = 0;
    fmal_status st = job_init(&job, panel, n);

    if (st == FMAL_OK)
        st = place_forms(&job, g, apart);
    st = fmal_agree(&panel->factor->ctx, st);
    for (fmal_idx first = 0; first < all && st == FMAL_OK; first += job.chunk) {
        int count = (int) (all - first < job.chunk ? all - first : job.chunk);

        if (job.triangular)
            get_triangles(&job, a);
        for (int i = 0; i < n && !job.triangular; i++)
            get_coefficients(&job, a[i], k, l, count,
                             job.coefficients +
                                 (size_t) i * (size_t) count * (size_t) pairs);
        all_forms(&job, first, count);
        for (int i = 0; i < count; i++)
            if (l++ == k) {
                l = 0;
                k++;
            }
    }
    for (int i = 0; i < n && st == FMAL_OK; i++)
        rotate_all(panel, job.to[i], g[i]);
    for (int i = 0; i < n; i++)
        fmal_free(&apart[i]);
    job_clear(&job);
    if (flops)
        *flops += 2.0 * (double) pairs * (double) all * n * (double) panel->groups *
                  FMAL_LANES;
    if (panel->factor->streams)
        st = fmal_agree(&panel->factor->ctx,
                        st == FMAL_OK ? fmal_factor_status(panel->factor) : st);
    return st;
}
