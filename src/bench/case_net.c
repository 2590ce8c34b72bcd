/* train, infer, squares, jacobian: what is done with a network, on made-up images. */
#include "harness.h"
#include "fmal/mask.h"
#include "fmal/mem.h"
#include "fmal/rng.h"
#include "fmal/train.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

/* Blocks are small, so that few images are enough for all ranks. */
enum { SIDE = 32, BLOCK = 32, HIDDEN = 128, BATCH = 128, MICRO = 32 };

static const fmal_train_options recipe = { .optimizer = FMAL_ADAM,
                                           .rate = 1e-3,
                                           .augment = FMAL_CROP_FLIP,
                                           .batch = BATCH,
                                           .micro_batch = MICRO,
                                           .max_epochs = INT_MAX };

/* ---- A network and its images ---- */

typedef struct {
    const fmal_ctx *ctx;
    fmal_net *net;
    fmal_dataset set;
    fmal_idx *samples; /* [images] all of them */
    double forward;    /* flops of an image */

    /* Of one case each. */
    fmal_trainer *trainer;
    float *logits;
    double *diagonal;
    fmal_mask mask;
} net_job;

/* 3 x 32 x 32 pixels, without the images themselves. */
static fmal_dataset describe_images(const fmal_bench_setup *s)
{
    return (fmal_dataset){ .classes = s->c,
                           .shape = { 3, SIDE, SIDE },
                           .has_images = true,
                           .inputs = 3 * SIDE * SIDE,
                           .row_bytes = 3 * SIDE * SIDE,
                           .mean = { 0.5f, 0.5f, 0.5f },
                           .std = { 0.25f, 0.25f, 0.25f } };
}

static fmal_status make_images(const fmal_bench_setup *s, fmal_dataset *set)
{
    fmal_split *split = &set->train;
    uint8_t *rows = NULL;

    split->part = fmal_part_make(s->images, BLOCK, s->ctx);
    FMAL_TRY(fmal_alloc(&split->rows, split->part.count, set->row_bytes));
    FMAL_TRY(FMAL_ALLOC(&split->labels, split->part.count));
    rows = split->rows;
    for (fmal_idx i = 0; i < split->part.count; i++) {
        fmal_idx ig = split->part.first + i;
        fmal_rng r = fmal_rng_stream(s->seed, FMAL_RNG_SYNTH, 3, (uint64_t) ig);

        for (int k = 0; k < set->inputs; k++)
            *rows++ = (uint8_t) fmal_rng_below(&r, 256);
        split->labels[i] = (int32_t) (ig % s->c);
    }
    return FMAL_OK;
}

static fmal_status make_net(const fmal_bench_setup *s, fmal_net **net)
{
    const int shape[3] = { 3, SIDE, SIDE };

    return fmal_net_create(s->model, shape, s->c, HIDDEN, MICRO, net);
}

static fmal_status make_all(const fmal_bench_setup *s, net_job *job)
{
    FMAL_TRY(make_net(s, &job->net));
    fmal_net_init(job->net, s->seed, 0);
    job->forward = fmal_net_flops(job->net);
    FMAL_TRY(make_images(s, &job->set));
    FMAL_TRY(FMAL_ALLOC(&job->samples, s->images));
    for (fmal_idx i = 0; i < s->images; i++)
        job->samples[i] = i;
    return FMAL_OK;
}

/* Collective; cleared by job_clear even after a failure. */
static fmal_status job_create(const fmal_bench_setup *s, net_job *job)
{
    *job = (net_job){ .ctx = s->ctx, .set = describe_images(s) };
    FMAL_TRY(fmal_agree(s->ctx, make_all(s, job)));
    fmal_net_set_isa(job->net, fmal_agree_isa(s->ctx));
    return FMAL_OK;
}

static void job_clear(net_job *job)
{
    fmal_trainer_destroy(&job->trainer);
    fmal_mask_clear(&job->mask);
    fmal_free(&job->logits);
    fmal_free(&job->diagonal);
    fmal_free(&job->samples);
    fmal_free(&job->set.train.rows);
    fmal_free(&job->set.train.labels);
    fmal_net_destroy(&job->net);
}

/* Measure `run`, which does the work of `passes` forward passes with each image. */
static fmal_status measure(const fmal_bench_setup *s, net_job *job,
                           fmal_status (*run)(void *), double passes,
                           fmal_bench_result *row)
{
    const bench_work work = { .run = run, .arg = job };
    double images = (double) s->images;

    FMAL_TRY(fmal_bench_beside(s, &work, LIMIT_SGEMM, s->ctx->size, row));
    fmal_bench_rate(row, passes * job->forward * images, false);
    row->images = images / row->slowest;
    snprintf(row->sizes, sizeof row->sizes, "%s, %" PRId64 " images, c %d", s->model,
             s->images, s->c);
    return FMAL_OK;
}

/* ---- Training ---- */

/* An epoch, as `fmal run` has them: the images move to their ranks, are augmented and
   decoded; gradients are added exactly and Adam steps. */
static fmal_status train_epoch(void *arg)
{
    net_job *job = arg;
    fmal_epoch report;

    return fmal_trainer_epoch(job->trainer, &report);
}

fmal_status fmal_bench_train(const fmal_bench_setup *s, fmal_bench_result *rows, int *n)
{
    net_job job;
    fmal_status st = job_create(s, &job);

    rows[0] = (fmal_bench_result){ .what = "training, batches of 128" };
    *n = 1;
    if (st == FMAL_OK)
        st = fmal_trainer_create(s->ctx, job.net, &job.set, &recipe, job.samples,
                                 s->images, &job.trainer);
    if (st == FMAL_OK)
        st = measure(s, &job, train_epoch, 3, &rows[0]);
    job_clear(&job);
    return st;
}

/* ---- Inference ---- */

static fmal_status embed(void *arg)
{
    net_job *job = arg;

    return fmal_embed(job->ctx, job->net, &job->set, &job->set.train, NULL, job->logits,
                      NULL);
}

fmal_status fmal_bench_infer(const fmal_bench_setup *s, fmal_bench_result *rows, int *n)
{
    net_job job;
    fmal_status st = job_create(s, &job);

    rows[0] = (fmal_bench_result){ .what = "logits of images" };
    *n = 1;
    if (st == FMAL_OK)
        st = fmal_agree(s->ctx,
                        FMAL_ALLOC(&job.logits, job.set.train.part.count * s->c));
    if (st == FMAL_OK)
        st = measure(s, &job, embed, 1, &rows[0]);
    job_clear(&job);
    return st;
}

/* ---- Fisher information ---- */

static fmal_status sum_squares(void *arg)
{
    const fmal_watch nobody = { NULL, NULL };
    net_job *job = arg;

    return fmal_fisher_diagonal(job->ctx, job->net, &job->set, &job->set.train,
                                job->samples, job->set.train.part.n, &nobody,
                                job->diagonal);
}

fmal_status fmal_bench_squares(const fmal_bench_setup *s, fmal_bench_result *rows,
                               int *n)
{
    net_job job;
    fmal_status st = job_create(s, &job);

    rows[0] = (fmal_bench_result){ .what = "Fisher diagonal" };
    *n = 1;
    if (st == FMAL_OK)
        st = fmal_agree(s->ctx, FMAL_ALLOC(&job.diagonal, fmal_net_size(job.net)));
    if (st == FMAL_OK)
        st = measure(s, &job, sum_squares, 2 * s->c - 1, &rows[0]);
    job_clear(&job);
    return st;
}

static fmal_status compute_jacobian(void *arg)
{
    const fmal_watch nobody = { NULL, NULL };
    const fmal_jacobian_options options = { .rows = FMAL_RELATIVE };
    net_job *job = arg;
    fmal_jacobian jacobian;

    FMAL_TRY(fmal_fisher_jacobian(job->ctx, job->net, &job->set, &job->set.train,
                                  &job->mask, &options, &nobody, &jacobian));
    fmal_jacobian_clear(&jacobian);
    return FMAL_OK;
}

/* The default fraction; where the head alone is more, the head and a tenth of that. */
static fmal_mask_options mask_options(const fmal_bench_setup *s, const fmal_net *net)
{
    const fmal_tensor *head = fmal_net_tensor(net, fmal_net_tensors(net) - 1);
    double least = 1.1 * (double) head->count / (double) fmal_net_size(net);

    return (fmal_mask_options){ .method = FMAL_MASK_GLOBAL,
                                .fraction = least > 0.002 ? least : 0.002,
                                .seed = s->seed };
}

/* The head and the first parameters: those of trained networks that inform most are in
   the first layer for the greater part, and then passes go back to it. */
static fmal_status choose_mask(net_job *job, const fmal_mask_options *options)
{
    fmal_idx size = fmal_net_size(job->net);
    double *falling = NULL;

    FMAL_TRY(FMAL_ALLOC(&falling, size));
    for (fmal_idx i = 0; i < size; i++)
        falling[i] = (double) (size - i);
    fmal_status st = fmal_mask_choose(job->net, options, falling, &job->mask);
    fmal_free(&falling);
    return st;
}

fmal_status fmal_bench_jacobian(const fmal_bench_setup *s, fmal_bench_result *rows,
                                int *n)
{
    net_job job;
    fmal_status st = job_create(s, &job);

    rows[0] = (fmal_bench_result){ .what = "masked Jacobian" };
    *n = 1;
    if (st == FMAL_OK) {
        const fmal_mask_options options = mask_options(s, job.net);

        st = fmal_agree(s->ctx, choose_mask(&job, &options));
    }
    if (st == FMAL_OK)
        st = measure(s, &job, compute_jacobian, s->c, &rows[0]);
    job_clear(&job);
    return st;
}

/* ---- Bytes ---- */

/* Enough for any of them. */
static double bytes_of(const fmal_bench_setup *s, const fmal_net *net)
{
    const fmal_dataset set = describe_images(s);
    int ranks = s->ctx->size;
    double images = (double) fmal_part_of(s->images, BLOCK, 0, ranks).count;
    double params = (double) fmal_net_size(net);
    double numbers = (double) set.row_bytes + 4.0 * s->c;

    numbers += 4.0 * s->c * params * mask_options(s, net).fraction;
    return fmal_net_bytes(net) + 12 * params + 2 * numbers * images +
           fmal_train_bytes(&recipe, net, ranks) +
           fmal_fisher_bytes(net, &set, s->images, ranks);
}

fmal_status fmal_bench_net_bytes(const fmal_bench_setup *s, double *bytes)
{
    fmal_net *net = NULL;

    FMAL_TRY(make_net(s, &net));
    *bytes = bytes_of(s, net);
    fmal_net_destroy(&net);
    return FMAL_OK;
}

fmal_status fmal_bench_jacobian_bytes(const fmal_bench_setup *s, double *bytes)
{
    fmal_net *net = NULL;

    FMAL_TRY(make_net(s, &net));
    bool bare = fmal_net_tensors(net) == 1;
    *bytes = bytes_of(s, net);
    fmal_net_destroy(&net);
    return bare ? FMAL_FAIL(FMAL_ERR_USAGE,
                            "--model: '%s' is a head and nothing else, which has no "
                            "Jacobian to compute; give another model",
                            s->model)
                : FMAL_OK;
}
