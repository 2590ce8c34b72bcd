/*
 * Sums of Fisher information in the Kronecker form, never forming a row of length D.
 *
 * Block (k, l) of sum_i (diag p - p p^T) (x) h h^T is, for k != l, minus the Gram
 * matrix of the features with weights p_k p_l; and since rows of diag p - p p^T sum to
 * zero, a diagonal block is minus the sum of the others in its row, with no
 * cancellation: all weights p_k p_l are positive. So c (c - 1) / 2 weighted Grams are
 * all there is, each symmetric. They come from one product
 *
 *     [pairs of classes, samples] x [samples, pairs of features a <= b],
 *
 * cut into panels of feature pairs so that memory stays small whatever d and c.
 *
 * The other likelihoods take the weights of R^T R as they are, diagonal blocks too; and
 * so do sums of diagonal blocks alone.
 *
 * Partial sums of blocks of samples are added exactly (par.h). The scale of an entry is
 * a power of two from a bound on it: by Cauchy-Schwarz a block's sum of p_k p_l h_a h_b
 * is at most sqrt(t_ka t_lb), t_ka the largest over blocks of sum p_k (1 - p_k) h_a^2.
 * One scale for the whole matrix would lose the features that are small.
 */
#include "kron_impl.h"
#include "fmal/mem.h"
#include "slab.h"

#include <math.h>
#include <string.h>

/* Sums of so many feature pairs lie together: what ranks get whole (slab.h). */
enum { PANEL = FMAL_KRON_PAIRS, SLAB_BYTES = 64 << 20, GRANULE = 8 };

typedef struct {
    const fmal_factor *f;
    const kron *own;
    const uint8_t *take;
    double scale;             /* of the sum */
    fmal_slab to;             /* the whole matrix, or */
    const fmal_part *classes; /* the diagonal blocks of these classes: */
    double *blocks;           /* [classes->count, stride] */
    size_t stride;
    int pairs;        /* of classes */
    int *k, *l;       /* [pairs]: those classes, k >= l */
    double *down;     /* [c, d]: 2^-e of sqrt(t) */
    double unit;      /* of the integers */
    double *bound;    /* [c, d]: one block's sum of p_k (1 - p_k) h_a^2 */
    double *ht;       /* [d, m]: features of the block's taken samples */
    fmal_idx *taken;  /* [m]: local indices of those samples */
    double *weight;   /* [pairs, m]: p_k p_l */
    double *diagonal; /* [c]: of one sample's R^T R */
    double *products; /* [PANEL, m]: h_a h_b */
    double *partial;  /* [pairs, PANEL]; [d] if by_syrk */
    bool by_syrk;     /* one pair of classes, weights not negative, all in one slab */
    double *square;   /* [d, d], if so */
    fmal_idx slab;    /* feature pairs that are summed in one go over the samples */
    fmal_idx granule; /* feature pairs whose sums lie together */
    int64_t *sum;     /* [slab / granule, pairs, granule] */
    int64_t *room;    /* for sums of diagonal blocks */
    int *a, *b;       /* [slab]: the pairs of features, a <= b */
} gram_job;

static void job_clear(gram_job *job)
{
    fmal_free(&job->k);
    fmal_free(&job->l);
    fmal_free(&job->down);
    fmal_free(&job->bound);
    fmal_free(&job->ht);
    fmal_free(&job->taken);
    fmal_free(&job->weight);
    fmal_free(&job->diagonal);
    fmal_free(&job->products);
    fmal_free(&job->partial);
    fmal_free(&job->square);
    fmal_free(&job->sum);
    fmal_free(&job->room);
    fmal_free(&job->a);
    fmal_free(&job->b);
    fmal_slab_clear(&job->to);
}

/* All pairs of d features, in whole granules, or whole panels of them that keep the
   sums within bounds. */
static fmal_idx slab_width(fmal_idx pairs, fmal_idx d)
{
    fmal_idx all = (d * (d + 1) / 2 + GRANULE - 1) / GRANULE * GRANULE;
    fmal_idx room = SLAB_BYTES / 8 / pairs / PANEL * PANEL;

    if (room < PANEL)
        room = PANEL;
    return room < all ? room : all;
}

/* All pairs of classes whose weights make up the sum, in the order of
   fmal_kron_weights. */
static void list_pairs(gram_job *job)
{
    int n = 0;

    for (int k = 0; k < job->own->blocks; k++) {
        int first = job->classes ? k : 0;
        int last =
            job->own->likelihood == FMAL_LIKELIHOOD_FULL && !job->classes ? k - 1 : k;

        for (int l = first; l <= last; l++) {
            job->k[n] = k;
            job->l[n++] = l;
        }
    }
}

/* `job` says what is to be summed, and where to. */
static fmal_status job_init(gram_job *job)
{
    const fmal_factor *f = job->f;
    const kron *own = job->own = f->own;
    fmal_idx c = own->blocks, d = own->d, m = f->part.block;
    fmal_idx pairs = job->classes ? c : fmal_kron_weight_count(own);

    job->pairs = (int) pairs;
    FMAL_TRY(FMAL_ALLOC(&job->k, pairs));
    FMAL_TRY(FMAL_ALLOC(&job->l, pairs));
    list_pairs(job);
    FMAL_TRY(FMAL_ALLOC(&job->down, c * d));
    FMAL_TRY(FMAL_ALLOC(&job->bound, c * d));
    FMAL_TRY(FMAL_ALLOC(&job->ht, d * m));
    FMAL_TRY(FMAL_ALLOC(&job->taken, m));
    FMAL_TRY(FMAL_ALLOC(&job->weight, pairs * m));
    FMAL_TRY(FMAL_ALLOC(&job->diagonal, c));
    FMAL_TRY(FMAL_ALLOC(&job->products, PANEL * m));
    job->slab = slab_width(pairs, d);
    job->by_syrk = pairs == 1 && job->slab >= d * (d + 1) / 2;
    job->granule = job->classes ? job->slab : GRANULE;
    FMAL_TRY(FMAL_ALLOC(&job->square, job->by_syrk ? d * d : 0));
    FMAL_TRY(FMAL_ALLOC(&job->partial, job->by_syrk ? d : pairs * PANEL));
    FMAL_TRY(FMAL_ALLOC(&job->a, job->slab));
    FMAL_TRY(FMAL_ALLOC(&job->b, job->slab));
    FMAL_TRY(FMAL_ALLOC(&job->sum, pairs * job->slab));
    if (job->classes)
        return FMAL_ALLOC(&job->room, FMAL_SUM_ROOM);
    return fmal_slab_init(&job->to, &f->ctx, job->slab, c * c);
}

double fmal_kron_gram_bytes(const fmal_factor *f)
{
    const kron *own = f->own;
    double c = own->blocks, d = own->d, m = f->part.block;
    double pairs = fmal_kron_weight_count(own);
    fmal_idx slab = slab_width((fmal_idx) pairs, own->d);
    bool by_syrk = pairs == 1 && slab >= (fmal_idx) own->d * (own->d + 1) / 2;

    return 8 * (2 * c * d + d * m + m + pairs * m + c + PANEL * m +
                (by_syrk ? d * d + d : pairs * PANEL) + ((double) slab * (pairs + 1)));
}

double fmal_kron_gram_flops(const fmal_factor *f)
{
    const kron *own = f->own;

    return (double) fmal_kron_weight_count(own) * own->d * (own->d + 1.0);
}

/* The features of block b's taken samples, transposed; returns their number. */
static int gather(gram_job *job, fmal_idx b)
{
    const fmal_part *part = &job->f->part;
    int rows = fmal_part_block_rows(part, b), d = job->own->d, m = 0;
    fmal_idx first = b * part->block;

    for (int i = 0; i < rows; i++)
        if (job->take[first + i])
            job->taken[m++] = first + i;
    /* Some samples at a time: writes are then whole cache lines. */
    for (int i = 0; i < m; i += FMAL_LANES) {
        int lanes = m - i < FMAL_LANES ? m - i : FMAL_LANES;
        const float *h[FMAL_LANES];

        for (int lane = 0; lane < lanes; lane++)
            h[lane] = fmal_rows_at(&job->own->h, job->taken[i + lane]);
        for (int a = 0; a < d; a++)
            for (int lane = 0; lane < lanes; lane++)
                job->ht[(size_t) a * (size_t) m + (size_t) (i + lane)] = h[lane][a];
    }
    return m;
}

static void gather_weights(gram_job *job, int m)
{
    for (int i = 0; i < m; i++) {
        const double *p = job->own->p + job->taken[i] * job->own->c;

        if (!job->classes) {
            fmal_kron_weights(job->own, p, job->weight + i, m);
            continue;
        }
        fmal_kron_diagonal(job->own, p, job->diagonal);
        for (int k = 0; k < job->pairs; k++)
            job->weight[(size_t) k * (size_t) m + (size_t) i] = job->diagonal[k];
    }
}

static void add_bounds(gram_job *job, fmal_idx i)
{
    const float *h = fmal_rows_at(&job->own->h, i);
    double *to = job->bound;

    fmal_kron_diagonal(job->own, job->own->p + i * job->own->c, job->diagonal);
    for (int k = 0; k < job->own->blocks; k++, to += job->own->d)
        for (int a = 0; a < job->own->d; a++)
            to[a] += job->diagonal[k] * (double) h[a] * (double) h[a];
}

/* down[k, a] = 2^-e, the largest e with sqrt(t_ka) <= 2^e; collective. */
static void find_scales(gram_job *job)
{
    const fmal_part *part = &job->f->part;
    fmal_idx entries = (fmal_idx) job->own->blocks * job->own->d;

    for (fmal_idx b = 0; b < part->block_count; b++) {
        fmal_idx first = b * part->block, end = first + fmal_part_block_rows(part, b);

        memset(job->bound, 0, sizeof(double) * (size_t) entries);
        for (fmal_idx i = first; i < end; i++)
            if (job->take[i])
                add_bounds(job, i);
        for (fmal_idx e = 0; e < entries; e++)
            if (job->bound[e] > job->down[e])
                job->down[e] = job->bound[e];
    }
    fmal_max_f64(&job->f->ctx, job->down, entries);
    for (fmal_idx e = 0; e < entries; e++)
        job->down[e] = fmal_exact_down(job->down[e]);
    job->unit = ldexp(1, fmal_exact_bits(part->blocks));
}

void fmal_kron_products(const double *ht, int m, int width, int *a, int *b,
                        double *products)
{
    for (int t = 0; t < width; t++, products += m) {
        const double *x = ht + (size_t) *a * (size_t) m;
        const double *y = ht + (size_t) *b * (size_t) m;

        for (int i = 0; i < m; i++)
            products[i] = x[i] * y[i];
        if ((*a)++ == *b) {
            *a = 0;
            (*b)++;
        }
    }
}

/* Where the sum of a pair of classes and feature pair t of the slab is. */
static fmal_idx place(const gram_job *job, int pair, fmal_idx t)
{
    return (t / job->granule * job->pairs + pair) * job->granule + t % job->granule;
}

/* sum += partial in fixed point, for feature pairs [first, first + width) of the slab.
   Scaling by powers of two is exact. */
static void add_partial(gram_job *job, fmal_idx first, int width)
{
    int d = job->own->d, granule = (int) job->granule;
    const double *partial = job->partial;
    const int *a = job->a + first, *b = job->b + first;

    for (int pair = 0; pair < job->pairs; pair++, partial += width) {
        const double *down_k = job->down + (size_t) job->k[pair] * (size_t) d;
        const double *down_l = job->down + (size_t) job->l[pair] * (size_t) d;

        for (int t = 0, end; t < width; t = end) {
            int64_t *sum = job->sum + place(job, pair, first + t) - t;

            end = t + granule - (int) ((first + t) % granule);
            end = end < width ? end : width;
            for (; t < end; t++)
                sum[t] += llrint(partial[t] * down_k[a[t]] * down_l[b[t]] * job->unit);
        }
    }
}

/* The same for one pair of classes: sqrt(w) h times its transpose, row by row of the
   lower triangle, which is the order of the pairs. */
static void add_square(gram_job *job, int m)
{
    int d = job->own->d;
    fmal_idx first = 0;

    for (int i = 0; i < m; i++)
        job->weight[i] = sqrt(job->weight[i]);
    for (int a = 0; a < d; a++)
        for (int i = 0; i < m; i++)
            job->ht[(size_t) a * (size_t) m + (size_t) i] *= job->weight[i];
    fmal_syrk(d, m, job->ht, job->square);
    for (int b = 0; b < d; b++) {
        memcpy(job->partial, job->square + (size_t) b * (size_t) d,
               sizeof(double) * (size_t) (b + 1));
        add_partial(job, first, b + 1);
        first += b + 1;
    }
}

/* Add block b's sums for the `count` feature pairs of the slab. */
static void add_block(gram_job *job, fmal_idx b, fmal_idx count, double *flops)
{
    int m = gather(job, b), a = job->a[0], b_feature = job->b[0];

    if (m == 0)
        return;
    gather_weights(job, m);
    if (job->by_syrk)
        add_square(job, m);
    for (fmal_idx first = 0; first < count && !job->by_syrk; first += PANEL) {
        int width = (int) (count - first < PANEL ? count - first : PANEL);

        fmal_kron_products(job->ht, m, width, &a, &b_feature, job->products);
        fmal_gemm(false, true, job->pairs, width, m, 1, job->weight, m, job->products,
                  m, 0, job->partial, width);
        add_partial(job, first, width);
    }
    if (flops)
        *flops += 2.0 * job->pairs * (double) count * m;
}

/* The sum of a pair of classes and feature pair t, as a number. */
static double number_of(const gram_job *job, int64_t sum, int pair, fmal_idx t)
{
    size_t d = (size_t) job->own->d, k = (size_t) job->k[pair],
           l = (size_t) job->l[pair];

    return job->scale *
           ((double) sum / job->unit / job->down[k * d + (size_t) job->a[t]] /
            job->down[l * d + (size_t) job->b[t]]);
}

/* ---- The whole matrix ---- */

/* Features a and b of all pairs of classes, both ways round. */
static void patch_of(const void *arg, fmal_idx t, fmal_patch *patch)
{
    const gram_job *job = arg;
    int a = job->a[t], b = job->b[t], c = job->own->blocks, d = job->own->d;

    *patch = (fmal_patch){ .row = a,
                           .row_step = d,
                           .rows = c,
                           .col = b,
                           .col_step = d,
                           .cols = c,
                           .mirrored = a == b ? 0 : c };
}

/* The sums of features a and b to x [c, c], the same both ways round in classes. */
static void values_of(const void *arg, fmal_idx t, double *x)
{
    const gram_job *job = arg;
    int c = job->own->blocks;
    bool full = job->own->likelihood == FMAL_LIKELIHOOD_FULL;
    const int64_t *sum = job->sum + place(job, 0, t);

    for (int k = 0; k < c; k++)
        x[k * c + k] = 0;
    for (int pair = 0; pair < job->pairs; pair++, sum += GRANULE) {
        int k = job->k[pair], l = job->l[pair];
        double y = number_of(job, *sum, pair, t);

        x[k * c + l] = x[l * c + k] = full ? -y : y;
        if (full) {
            x[k * c + k] += y;
            x[l * c + l] += y;
        }
    }
}

/* ---- Diagonal blocks ---- */

/* The slab's finished sums to the blocks of this rank's classes. */
static void put_blocks(const gram_job *job, fmal_idx count)
{
    int d = job->own->d;

    for (fmal_idx k = 0; k < job->classes->count; k++) {
        double *block = job->blocks + (size_t) k * job->stride;
        int pair = (int) (job->classes->first + k);
        const int64_t *sum = job->sum + place(job, pair, 0);

        for (fmal_idx t = 0; t < count; t++) {
            int a = job->a[t], b = job->b[t];
            double x = number_of(job, sum[t], pair, t);

            block[a * d + b] += x;
            if (a != b)
                block[b * d + a] += x;
        }
    }
}

static fmal_status run(gram_job *job, double *flops)
{
    const fmal_factor *f = job->f;
    int d = ((const kron *) f->own)->d, a = 0, b = 0;
    fmal_status st = fmal_agree(&f->ctx, job_init(job));

    if (st == FMAL_OK)
        find_scales(job);
    while (st == FMAL_OK && b < d) {
        fmal_idx count = 0;

        for (; count < job->slab && b < d; count++) {
            job->a[count] = a;
            job->b[count] = b;
            if (a++ == b) {
                a = 0;
                b++;
            }
        }
        memset(job->sum, 0, sizeof(int64_t) * (size_t) (job->pairs * job->slab));
        for (fmal_idx block = 0; block < f->part.block_count; block++)
            add_block(job, block, count, flops);
        if (!job->classes) {
            fmal_slab_finish(&job->to, job->sum, count, GRANULE, job->pairs);
            continue;
        }
        fmal_sum_i64_parts(&f->ctx, job->classes, job->slab, job->sum, job->room);
        put_blocks(job, count);
    }
    job_clear(job);
    return f->streams ? fmal_agree(&f->ctx, st == FMAL_OK ? fmal_factor_status(f) : st)
                      : st;
}

fmal_status fmal_kron_gram(const fmal_factor *f, const uint8_t *take, double weight,
                           fmal_dmat *out, double *flops)
{
    gram_job job = { .f = f, .take = take, .scale = weight };

    job.to =
        (fmal_slab){ .out = out, .job = &job, .patch = patch_of, .values = values_of };
    return run(&job, flops);
}

fmal_status fmal_kron_gram_blocks(const fmal_factor *f, const uint8_t *take,
                                  double weight, const fmal_part *classes,
                                  size_t stride, double *out, double *flops)
{
    gram_job job = { .f = f,
                     .take = take,
                     .scale = weight,
                     .classes = classes,
                     .blocks = out,
                     .stride = stride };

    return run(&job, flops);
}

void fmal_kron_cut(const fmal_factor *f, fmal_fisher fisher, fmal_idx il, double *cut)
{
    const kron *own = f->own;
    const float *h = fmal_rows_at(&own->h, il);
    double *x = cut + own->blocks;

    fmal_kron_diagonal(own, own->p + il * own->c, cut);
    for (int a = 0; a < own->d; a++)
        x[a] = fisher == FMAL_FISHER_DIAG ? (double) h[a] * (double) h[a] : h[a];
}
