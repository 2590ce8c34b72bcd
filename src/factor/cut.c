/* Samples' information cut down to its diagonal, or to the class blocks there. */
#include "factor_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

int fmal_factor_class_blocks(const fmal_factor *f)
{
    return f->class_blocks;
}

bool fmal_factor_can_cut(const fmal_factor *f, fmal_fisher fisher)
{
    if (fisher == FMAL_FISHER_FULL)
        return true;
    return fisher == FMAL_FISHER_BLOCK ? f->ops->gram_blocks != NULL
                                       : f->ops->cut != NULL;
}

void fmal_factor_cut_local(const fmal_factor *f, fmal_fisher fisher, fmal_idx il,
                           double *cut)
{
    f->ops->cut(f, fisher, il, cut);
}

/* Weights and x together. */
static fmal_idx cut_size(const fmal_factor *f)
{
    return f->class_blocks + f->order / f->class_blocks;
}

void fmal_factor_cut(const fmal_factor *f, fmal_fisher fisher, fmal_idx index_g,
                     double *cut)
{
    int owner = fmal_part_owner(&f->part, index_g);

    if (f->ctx.rank == owner)
        f->ops->cut(f, fisher, index_g - f->part.first, cut);
    fmal_bcast(&f->ctx, cut, sizeof(double) * (size_t) cut_size(f), owner);
}

fmal_status fmal_factor_gram_blocks(const fmal_factor *f, const uint8_t *take,
                                    double weight, const fmal_part *classes,
                                    size_t stride, double *out, double *flops)
{
    return f->ops->gram_blocks(f, take, weight, classes, stride, out, flops);
}

/* ---- Diagonals ---- */

typedef struct {
    const fmal_factor *f;
    const uint8_t *take;
    double *cut;     /* of one sample */
    double *partial; /* [D]: sum of one block of samples */
    double *most;    /* [D]: the largest of those, then what scales to integers */
    int64_t *sum;    /* [D] */
} diagonal_job;

static fmal_status job_init(diagonal_job *job, const fmal_factor *f,
                            const uint8_t *take)
{
    *job = (diagonal_job){ .f = f, .take = take };
    FMAL_TRY(FMAL_ALLOC(&job->cut, cut_size(f)));
    FMAL_TRY(FMAL_ALLOC(&job->partial, f->order));
    FMAL_TRY(FMAL_ALLOC(&job->most, f->order));
    return FMAL_ALLOC(&job->sum, f->order);
}

static void job_clear(diagonal_job *job)
{
    fmal_free(&job->cut);
    fmal_free(&job->partial);
    fmal_free(&job->most);
    fmal_free(&job->sum);
}

/* job->partial = the sum over block b's taken samples. */
static void sum_block(diagonal_job *job, fmal_idx b)
{
    const fmal_factor *f = job->f;
    fmal_idx first = b * f->part.block, end = first + fmal_part_block_rows(&f->part, b);
    fmal_idx d = f->order / f->class_blocks;
    const double *x = job->cut + f->class_blocks;

    memset(job->partial, 0, sizeof(double) * (size_t) f->order);
    for (fmal_idx il = first; il < end; il++) {
        if (!job->take[il])
            continue;
        f->ops->cut(f, FMAL_FISHER_DIAG, il, job->cut);
        for (int k = 0; k < f->class_blocks; k++)
            for (fmal_idx a = 0; a < d; a++)
                job->partial[k * d + a] += job->cut[k] * x[a];
    }
}

/* Every element has its own scale: one for all would lose the features that are small.
 */
static void find_scales(diagonal_job *job)
{
    const fmal_factor *f = job->f;

    for (fmal_idx b = 0; b < f->part.block_count; b++) {
        sum_block(job, b);
        for (fmal_idx j = 0; j < f->order; j++)
            job->most[j] = fmax(job->most[j], job->partial[j]);
    }
    fmal_max_f64(&f->ctx, job->most, f->order);
    for (fmal_idx j = 0; j < f->order; j++)
        job->most[j] = ldexp(1, fmal_exact_shift(job->most[j], f->part.blocks));
}

fmal_status fmal_factor_diagonal(const fmal_factor *f, const uint8_t *take,
                                 double weight, double *out)
{
    diagonal_job job;
    fmal_status st = fmal_agree(&f->ctx, job_init(&job, f, take));

    if (st == FMAL_OK) {
        find_scales(&job);
        for (fmal_idx b = 0; b < f->part.block_count; b++) {
            sum_block(&job, b);
            for (fmal_idx j = 0; j < f->order; j++)
                job.sum[j] += llrint(job.partial[j] * job.most[j]);
        }
        fmal_sum_i64(&f->ctx, job.sum, f->order);
        for (fmal_idx j = 0; j < f->order; j++)
            out[j] += weight * ((double) job.sum[j] / job.most[j]);
    }
    job_clear(&job);
    return f->streams ? fmal_agree(&f->ctx, st == FMAL_OK ? fmal_factor_status(f) : st)
                      : st;
}
