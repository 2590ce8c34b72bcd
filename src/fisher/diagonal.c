/*
 * The diagonal of the Fisher information, the same bits on any number of ranks.
 *
 * The list of samples is cut into batches of FMAL_FISHER_BATCH, whoever computes them,
 * and WAVE batches are a wave: within it batch j is computed by rank j modulo the
 * number of ranks. A batch's sum over its samples and classes has the same bits on
 * every rank. Sums of a wave are added as integers after a scaling that all ranks agree
 * on, tensor by tensor (fmal_exact_*), as gradients are in training: a rank keeps its
 * batches' sums until all are computed and the largest of each tensor is known. Waves
 * are added one after the other.
 */
#include "fisher_impl.h"
#include "fmal/mem.h"
#include "fmal/point.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { WAVE = 32 };

typedef struct {
    const fmal_ctx *ctx;
    fmal_net *net;
    const fmal_dataset *set;
    const fmal_split *split;
    const fmal_idx *samples;
    fmal_idx n;
    const fmal_watch *watch;
    fmal_progress progress;

    fmal_idx *want; /* [slots, BATCH] this rank's samples of a wave */
    char *rows;     /* the same samples, as they are stored */
    float *x;       /* one batch, [BATCH, inputs] */

    /* Sums over batches, `stride` floats apart, so that all are aligned alike. */
    fmal_idx stride;
    float *squares;  /* [slots, stride] */
    double *largest; /* [tensors] */
    int64_t *sums;   /* [size] */
} pass;

/* Batches [first, first + count) of the list. */
typedef struct {
    fmal_idx first;
    int count;
} wave;

static fmal_idx count_batches(fmal_idx n)
{
    return (n + FMAL_FISHER_BATCH - 1) / FMAL_FISHER_BATCH;
}

/* The most batches of a wave that one rank computes. */
static int most_slots(fmal_idx n, int ranks)
{
    fmal_idx batches = count_batches(n);
    int count = (int) (batches < WAVE ? batches : WAVE);

    return (count + ranks - 1) / ranks;
}

static int batch_samples(const pass *p, fmal_idx batch)
{
    fmal_idx left = p->n - batch * FMAL_FISHER_BATCH;

    return (int) (left < FMAL_FISHER_BATCH ? left : FMAL_FISHER_BATCH);
}

static fmal_idx stride_of(const fmal_net *net)
{
    return (fmal_net_size(net) + 15) / 16 * 16;
}

static fmal_status allocate(pass *p)
{
    fmal_idx slots = most_slots(p->n, p->ctx->size);

    p->stride = stride_of(p->net);
    FMAL_TRY(FMAL_ALLOC(&p->want, slots * FMAL_FISHER_BATCH));
    FMAL_TRY(fmal_alloc(&p->rows, slots * FMAL_FISHER_BATCH, p->set->row_bytes));
    FMAL_TRY(FMAL_ALLOC(&p->x, (fmal_idx) FMAL_FISHER_BATCH * p->set->inputs));
    FMAL_TRY(FMAL_ALLOC(&p->squares, slots * p->stride));
    FMAL_TRY(FMAL_ALLOC(&p->largest, fmal_net_tensors(p->net)));
    return FMAL_ALLOC(&p->sums, fmal_net_size(p->net));
}

static void pass_clear(pass *p)
{
    fmal_free(&p->want);
    fmal_free(&p->rows);
    fmal_free(&p->x);
    fmal_free(&p->squares);
    fmal_free(&p->largest);
    fmal_free(&p->sums);
}

double fmal_fisher_bytes(const fmal_net *net, const fmal_dataset *set, fmal_idx n,
                         int ranks)
{
    double slots = most_slots(n, ranks);

    return slots * FMAL_FISHER_BATCH * (sizeof(fmal_idx) + (double) set->row_bytes) +
           FMAL_FISHER_BATCH * 4.0 * set->inputs +
           slots * 4.0 * (double) stride_of(net) + 8.0 * fmal_net_tensors(net) +
           8.0 * (double) fmal_net_size(net) + fmal_net_squares_bytes(net);
}

/* ---- One wave ---- */

/* Rows of this rank's batches. @return how many batches it has */
static fmal_status fetch(pass *p, const wave *w, int *slots)
{
    fmal_idx n = 0;

    *slots = 0;
    for (int j = p->ctx->rank; j < w->count; j += p->ctx->size, ++*slots)
        for (int i = 0; i < batch_samples(p, w->first + j); i++)
            p->want[n++] = p->samples[(w->first + j) * FMAL_FISHER_BATCH + i];
    return fmal_fetch_rows(p->ctx, &p->split->part, p->split->rows, p->set->row_bytes,
                           p->want, n, p->rows);
}

static fmal_status compute(pass *p, fmal_idx batch, int slot)
{
    const char *rows = p->rows + (size_t) slot * FMAL_FISHER_BATCH * p->set->row_bytes;
    int n = batch_samples(p, batch);

    fmal_dataset_decode(p->set, rows, n, p->x);
    return fmal_net_squares(p->net, p->x, n, p->squares + slot * p->stride);
}

/* All ranks take as many steps, so that they can stop together; what goes wrong on one
   of them is known to all at the end. */
static fmal_status compute_wave(pass *p, const wave *w)
{
    int most = (w->count + p->ctx->size - 1) / p->ctx->size;
    fmal_status st = FMAL_OK;

    for (int slot = 0; slot < most; slot++) {
        int j = p->ctx->rank + slot * p->ctx->size;

        fmal_point("fisher-batch");
        if (j < w->count && st == FMAL_OK)
            st = compute(p, w->first + j, slot);
        int bits = fmal_watch_stop(p->ctx, p->watch);
        if (bits)
            return FMAL_FAIL(FMAL_STOPPED, "%s", fmal_stop_reason(bits));
        fmal_idx done =
            (w->first + (slot + 1) * (fmal_idx) p->ctx->size) * FMAL_FISHER_BATCH;
        fmal_progress_at(&p->progress, done < p->n ? done : p->n, NULL);
    }
    return fmal_agree(p->ctx, st);
}

/* Largest sum of each tensor over all batches of all ranks. */
static fmal_status agree_largest(pass *p, int slots)
{
    int tensors = fmal_net_tensors(p->net);

    memset(p->largest, 0, (size_t) tensors * sizeof *p->largest);
    for (int i = 0; i < tensors; i++) {
        const fmal_tensor *t = fmal_net_tensor(p->net, i);

        for (int s = 0; s < slots; s++) {
            const float *sum = p->squares + s * p->stride + t->offset;

            if (!fmal_all_finite(sum, t->count))
                p->largest[i] = INFINITY; /* a NaN has no place in a maximum */
            for (fmal_idx k = 0; k < t->count; k++)
                p->largest[i] = sum[k] > p->largest[i] ? sum[k] : p->largest[i];
        }
    }
    fmal_max_f64(p->ctx, p->largest, tensors);
    for (int i = 0; i < tensors; i++)
        if (!isfinite(p->largest[i]))
            return FMAL_FAIL(FMAL_ERR_NUMERIC,
                             "the Fisher information of %s is not finite; train with a "
                             "lower learning rate, or give other weights",
                             fmal_net_tensor(p->net, i)->name);
    return FMAL_OK;
}

/* out += sums of the wave over all ranks. */
static void add_up(pass *p, const wave *w, int slots, double *out)
{
    enum { PIECE = 512 };
    double piece[PIECE];

    memset(p->sums, 0, (size_t) fmal_net_size(p->net) * sizeof *p->sums);
    for (int i = 0; i < fmal_net_tensors(p->net); i++) {
        const fmal_tensor *t = fmal_net_tensor(p->net, i);
        int shift = fmal_exact_shift(p->largest[i], w->count);

        for (int s = 0; s < slots; s++)
            fmal_exact_add_f32(p->sums + t->offset,
                               p->squares + s * p->stride + t->offset, t->count, shift);
    }
    fmal_sum_i64(p->ctx, p->sums, fmal_net_size(p->net));
    for (int i = 0; i < fmal_net_tensors(p->net); i++) {
        const fmal_tensor *t = fmal_net_tensor(p->net, i);
        int shift = fmal_exact_shift(p->largest[i], w->count);

        for (fmal_idx at = t->offset; at < t->offset + t->count; at += PIECE) {
            fmal_idx left = t->offset + t->count - at;
            int n = (int) (left < PIECE ? left : PIECE);

            fmal_exact_get(piece, p->sums + at, n, shift);
            for (int k = 0; k < n; k++)
                out[at + k] += piece[k];
        }
    }
}

/* ---- All of them ---- */

static fmal_status run(pass *p, double *out)
{
    fmal_idx batches = count_batches(p->n);

    memset(out, 0, (size_t) fmal_net_size(p->net) * sizeof *out);
    for (fmal_idx first = 0; first < batches; first += WAVE) {
        fmal_idx left = batches - first;
        wave w = { first, (int) (left < WAVE ? left : WAVE) };
        int slots;

        FMAL_TRY(fetch(p, &w, &slots));
        FMAL_TRY(compute_wave(p, &w));
        FMAL_TRY(agree_largest(p, slots));
        add_up(p, &w, slots, out);
    }
    for (fmal_idx i = 0; i < fmal_net_size(p->net); i++)
        out[i] /= (double) p->n;
    return FMAL_OK;
}

/* A backward pass to parameters and inputs costs twice a forward pass. */
static double flops_of(const fmal_net *net, fmal_idx n)
{
    return (double) n * fmal_net_flops(net) * (1 + 2.0 * (fmal_net_classes(net) - 1));
}

fmal_status fmal_fisher_diagonal(const fmal_ctx *ctx, fmal_net *net,
                                 const fmal_dataset *set, const fmal_split *split,
                                 const fmal_idx *samples, fmal_idx n,
                                 const fmal_watch *watch, double *out)
{
    pass p = { .ctx = ctx,
               .net = net,
               .set = set,
               .split = split,
               .samples = samples,
               .n = n,
               .watch = watch };

    assert(fmal_net_inputs(net) == set->inputs);
    if (n < 1)
        return FMAL_FAIL(FMAL_ERR_EMPTY, "no sample to take Fisher information of");
    fmal_phase_begin(watch->phases, FMAL_PHASE_MASK);
    fmal_progress_begin(&p.progress, "mask", "images", n, 0);
    fmal_status st = fmal_agree(ctx, allocate(&p));
    if (st == FMAL_OK)
        st = run(&p, out);
    fmal_progress_end(&p.progress);
    fmal_phase_end(watch->phases, flops_of(net, n) / ctx->size, 0);
    pass_clear(&p);
    return st;
}
