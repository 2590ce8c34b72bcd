/*
 * Sums of V^T V of mixed factors, V^T V = J^T (S^T S) J with J = [I (x) h^T, T].
 *
 * What belongs to the head alone is a Kronecker factor's sum (kron_gram.c). The rest
 * are products: with rows Y_k = T_k - p . T of a sample and weights w = p, or 1
 * unweighted,
 *
 *     tail with tail      sum over samples and classes of w_k Y_k^T Y_k
 *     class l with tail   sum over samples of h U_l,   U = S^T S T:
 *                         U_l = p_l Y_l,  or  Y_l - p_l (sum over k of Y_k) unweighted.
 *
 * All c classes are computed, though the last one of U is minus the sum of the others:
 * where the last class is improbable, that sum would have no digits. Y is made of
 * differences to the most probable class, of which no more is lost than there is: its
 * own row is minus the mean of the others.
 *
 * Partial sums of blocks are added exactly, with a power of two for each row and column
 * of the matrix from the largest block sum on its diagonal (kron_gram.c).
 */
#include "mixed_impl.h"
#include "fmal/mem.h"
#include "slab.h"

#include <math.h>
#include <string.h>

/* Columns of the tail at a time, and bytes of sums that these may take. */
enum { COLUMNS = 256, SUM_BYTES = 64 << 20 };

typedef struct {
    const fmal_factor *f;
    const mixed *own;
    const uint8_t *take;
    double *bound;    /* [D]: one block's sum of squares */
    double *down;     /* [D]: 2^-e with sqrt(largest block sum) <= 2^e */
    double *diagonal; /* [c]: of one sample's S^T S */
    double *mean;     /* [extra] */
    double *h;        /* [m, d]: features of the block's taken samples */
    double *rows;     /* [c, m, extra]: sqrt(w) Y */
    double *product;  /* [c, m, extra]: U */
    int most;         /* columns at a time */
    double *partial;  /* [most, D] */
    int64_t *sum;     /* [most, D] */
    double scale;     /* of the sum */
    double unit;      /* of the integers */
    int first, cols;  /* columns of the tail at hand, rows up to them */
    fmal_slab to;
} gram_job;

static void job_clear(gram_job *job)
{
    double **held[] = { &job->bound, &job->down, &job->diagonal, &job->mean,
                        &job->h,     &job->rows, &job->product,  &job->partial };

    for (int i = 0; i < FMAL_COUNT(held); i++)
        fmal_free(held[i]);
    fmal_free(&job->sum);
    fmal_slab_clear(&job->to);
}

static int columns_at_a_time(const fmal_factor *f, int extra)
{
    fmal_idx room = SUM_BYTES / 8 / f->order;

    room = room < 1 ? 1 : room < COLUMNS ? room : COLUMNS;
    return (int) (room < extra ? room : extra);
}

static fmal_status job_init(gram_job *job)
{
    const fmal_factor *f = job->f;
    const mixed *own = job->own;
    fmal_idx m = f->part.block, c = own->c, extra = own->extra;

    job->most = columns_at_a_time(f, own->extra);
    FMAL_TRY(FMAL_ALLOC(&job->bound, f->order));
    FMAL_TRY(FMAL_ALLOC(&job->down, f->order));
    FMAL_TRY(FMAL_ALLOC(&job->diagonal, c));
    FMAL_TRY(FMAL_ALLOC(&job->mean, extra));
    FMAL_TRY(FMAL_ALLOC(&job->h, m * own->d));
    FMAL_TRY(FMAL_ALLOC(&job->rows, c * m * extra));
    FMAL_TRY(FMAL_ALLOC(&job->product, c * m * extra));
    FMAL_TRY(FMAL_ALLOC(&job->partial, job->most * f->order));
    FMAL_TRY(FMAL_ALLOC(&job->sum, job->most * f->order));
    return fmal_slab_init(&job->to, &f->ctx, job->most, f->order);
}

/* Of the head's sums, or of the tail's, which come after them. An outline has no head,
   so that its sizes are put together here. */
double fmal_mixed_gram_bytes(const fmal_factor *f)
{
    const mixed *own = f->own;
    double order = (double) f->order, c = own->c, d = own->d, extra = own->extra;
    double m = f->part.block, most = columns_at_a_time(f, own->extra);
    double tail =
        8 * (2 * order + c + extra + m * d + 2 * c * m * extra + 2 * most * order);
    kron head = { .d = own->d, .c = own->c, .blocks = own->c };
    const fmal_factor of_head = { .part = f->part, .own = &head };

    head.likelihood = FMAL_LIKELIHOOD_FULL;
    double first = fmal_kron_gram_bytes(&of_head);
    return own->extra > 0 && tail > first ? tail : first;
}

static int most_probable(const double *p, int c)
{
    int top = 0;

    for (int k = 1; k < c; k++)
        if (p[k] > p[top])
            top = k;
    return top;
}

/* Y of local sample il, its rows `stride` apart. */
static void center_tail(gram_job *job, fmal_idx il, size_t stride, double *y)
{
    const mixed *own = job->own;
    size_t extra = (size_t) own->extra;
    const double *p = own->p + il * own->c;
    const float *tail = own->tail + (size_t) il * (size_t) own->c * extra;
    const float *base = tail + (size_t) most_probable(p, own->c) * extra;

    memset(job->mean, 0, sizeof(double) * extra);
    for (int k = 0; k < own->c; k++)
        for (size_t j = 0; j < extra; j++)
            job->mean[j] +=
                p[k] * ((double) tail[(size_t) k * extra + j] - (double) base[j]);
    for (int k = 0; k < own->c; k++)
        for (size_t j = 0; j < extra; j++)
            y[(size_t) k * stride + j] =
                (double) tail[(size_t) k * extra + j] - (double) base[j] - job->mean[j];
}

/* From Y in `rows` to U in `product` and sqrt(w) Y, of one sample. */
static void weigh(const gram_job *job, const double *p, size_t stride, double *rows,
                  double *product)
{
    const mixed *own = job->own;

    for (int j = 0; j < own->extra; j++) {
        double sum = 0;

        for (int k = 0; k < own->c && own->unweighted; k++)
            sum += rows[(size_t) k * stride + (size_t) j];
        for (int k = 0; k < own->c; k++) {
            double *y = rows + (size_t) k * stride + (size_t) j;

            product[(size_t) k * stride + (size_t) j] =
                own->unweighted ? *y - p[k] * sum : p[k] * *y;
            *y *= own->unweighted ? 1 : sqrt(p[k]);
        }
    }
}

/* h, rows and product of block b's taken samples; returns their number. */
static int gather(gram_job *job, fmal_idx b)
{
    const mixed *own = job->own;
    const fmal_part *part = &job->f->part;
    fmal_idx first = b * part->block, end = first + fmal_part_block_rows(part, b);
    size_t extra = (size_t) own->extra, at = 0;
    int m = 0;

    for (fmal_idx i = first; i < end; i++)
        m += job->take[i] != 0;
    for (fmal_idx i = first; i < end; i++) {
        if (!job->take[i])
            continue;
        for (int a = 0; a < own->d; a++)
            job->h[at * (size_t) own->d + (size_t) a] = own->h[i * own->d + a];
        center_tail(job, i, (size_t) m * extra, job->rows + at * extra);
        weigh(job, own->p + i * own->c, (size_t) m * extra, job->rows + at * extra,
              job->product + at * extra);
        at++;
    }
    return m;
}

/* job->bound = sums of the diagonal of V^T V over block b's taken samples. */
static void find_bounds(gram_job *job, fmal_idx b)
{
    const mixed *own = job->own;
    const fmal_part *part = &job->f->part;
    fmal_idx first = b * part->block, end = first + fmal_part_block_rows(part, b);
    int head = own->c * own->d, rows = own->c * gather(job, b);

    memset(job->bound, 0, sizeof(double) * (size_t) job->f->order);
    for (fmal_idx i = first; i < end; i++) {
        if (!job->take[i])
            continue;
        fmal_kron_diagonal(own->head->own, own->p + i * own->c, job->diagonal);
        for (int x = 0; x < head; x++) {
            double h = own->h[i * own->d + x % own->d];

            job->bound[x] += job->diagonal[x / own->d] * h * h;
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < own->extra; j++) {
            double y = job->rows[(size_t) i * (size_t) own->extra + (size_t) j];

            job->bound[head + j] += y * y;
        }
}

/* Collective. */
static void find_scales(gram_job *job)
{
    const fmal_factor *f = job->f;

    for (fmal_idx b = 0; b < f->part.block_count; b++) {
        find_bounds(job, b);
        for (fmal_idx j = 0; j < f->order; j++)
            if (job->bound[j] > job->down[j])
                job->down[j] = job->bound[j];
    }
    fmal_max_f64(&f->ctx, job->down, f->order);
    for (fmal_idx j = 0; j < f->order; j++)
        job->down[j] = fmal_exact_down(job->down[j]);
    job->unit = ldexp(1, fmal_exact_bits(f->part.blocks));
}

/* Add block b's sums for columns [first, first + cols) of the tail, rows up to them. */
static void add_block(gram_job *job, fmal_idx b, double *flops)
{
    const mixed *own = job->own;
    int d = own->d, c = own->c, extra = own->extra, m = gather(job, b);
    int first = job->first, cols = job->cols;
    int head = c * d, last = first + cols, all = head + last;

    if (m == 0)
        return;
    for (int l = 0; l < c; l++)
        fmal_gemm(true, false, cols, d, m, 1,
                  job->product + (size_t) l * (size_t) m * (size_t) extra + first,
                  extra, job->h, d, 0, job->partial + l * d, all);
    fmal_gemm(true, false, cols, last, c * m, 1, job->rows + first, extra, job->rows,
              extra, 0, job->partial + head, all);
    for (int j = 0; j < cols; j++)
        for (int i = 0; i <= head + first + j; i++) {
            size_t at = (size_t) j * (size_t) all + (size_t) i;

            job->sum[at] += llrint(job->partial[at] * job->down[head + first + j] *
                                   job->down[i] * job->unit);
        }
    if (flops)
        *flops += 2.0 * cols * c * m * (d + last);
}

/* Column j of those at hand, down to the diagonal. */
static void patch_of(const void *arg, fmal_idx j, fmal_patch *patch)
{
    const gram_job *job = arg;
    int column = job->own->c * job->own->d + job->first + (int) j;

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
    int column = job->own->c * job->own->d + job->first + (int) j;
    const int64_t *sum = job->sum + j * (column - j + job->cols);

    for (int i = 0; i <= column; i++)
        x[i] = job->scale *
               ((double) sum[i] / job->unit / job->down[column] / job->down[i]);
}

/* What has to do with the tail. */
static fmal_status add_tail(const fmal_factor *f, const uint8_t *take, double weight,
                            fmal_dmat *out, double *flops)
{
    const mixed *own = f->own;
    gram_job job = { .f = f, .own = own, .take = take, .scale = weight };

    job.to =
        (fmal_slab){ .out = out, .job = &job, .patch = patch_of, .values = values_of };
    fmal_status st = fmal_agree(&f->ctx, job_init(&job));
    if (st == FMAL_OK)
        find_scales(&job);
    for (; st == FMAL_OK && job.first < own->extra; job.first += job.most) {
        int left = own->extra - job.first;

        job.cols = left < job.most ? left : job.most;
        fmal_idx rows = own->c * own->d + job.first + job.cols;
        memset(job.sum, 0, sizeof(int64_t) * (size_t) (job.cols * rows));
        for (fmal_idx b = 0; b < f->part.block_count; b++)
            add_block(&job, b, flops);
        fmal_slab_finish(&job.to, job.sum, job.cols, 1, rows);
    }
    job_clear(&job);
    return st;
}

fmal_status fmal_mixed_gram(const fmal_factor *f, const uint8_t *take, double weight,
                            fmal_dmat *out, double *flops)
{
    const mixed *own = f->own;

    FMAL_TRY(fmal_factor_gram(own->head, take, weight, out, flops));
    return own->extra > 0 ? add_tail(f, take, weight, out, flops) : FMAL_OK;
}
