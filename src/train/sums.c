/*
 * Sums of a batch over micro-batches and ranks that do not depend on either's order.
 *
 * Numbers are added as integers after a scaling that all ranks agree on (fmal_exact_*).
 * Each tensor has a scale of its own, from its largest number over the whole batch;
 * hence a rank keeps what its micro-batches gave until all have been computed.
 */
#include "train_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

/* A range of a micro-batch's numbers that has a scale of its own. */
typedef struct {
    fmal_idx first, count;
} range;

/* The tensors of parameters, then those of statistics. */
static range range_of(const fmal_sums *s, int tensor)
{
    int params = fmal_net_tensors(s->net);
    bool is_param = tensor < params;
    const fmal_tensor *t = is_param ? fmal_net_tensor(s->net, tensor)
                                    : fmal_net_stat_tensor(s->net, tensor - params);

    return (range){ (is_param ? 0 : fmal_net_size(s->net)) + t->offset, t->count };
}

fmal_status fmal_sums_init(fmal_sums *s, const fmal_ctx *ctx, const fmal_net *net,
                           int slots)
{
    fmal_idx size = fmal_net_size(net) + fmal_net_stats_size(net);
    int tensors = fmal_net_tensors(net) + fmal_net_stat_tensors(net);

    *s = (fmal_sums){ .ctx = ctx,
                      .net = net,
                      .stride = (size + 15) / 16 * 16,
                      .size = size,
                      .tensors = tensors };
    FMAL_TRY(FMAL_ALLOC(&s->numbers, slots * s->stride));
    FMAL_TRY(FMAL_ALLOC(&s->losses, slots));
    FMAL_TRY(FMAL_ALLOC(&s->largest, tensors + 1));
    return FMAL_ALLOC(&s->sums, size + 2);
}

void fmal_sums_clear(fmal_sums *s)
{
    fmal_free(&s->numbers);
    fmal_free(&s->losses);
    fmal_free(&s->largest);
    fmal_free(&s->sums);
}

float *fmal_sums_slot(fmal_sums *s, int slot)
{
    return s->numbers + slot * s->stride;
}

/* Largest number of each tensor and largest loss, over all micro-batches of all ranks.
   @return whether all are finite, the same on every rank */
static bool agree_largest(fmal_sums *s, int slots)
{
    bool finite = true;

    memset(s->largest, 0, (size_t) (s->tensors + 1) * sizeof *s->largest);
    for (int k = 0; k < slots; k++) {
        /* A NaN must not get into a maximum, which it would leave undefined. */
        double loss = isfinite(s->losses[k]) ? s->losses[k] : INFINITY;

        s->largest[s->tensors] = fmax(s->largest[s->tensors], loss);
        for (int i = 0; i < s->tensors; i++) {
            range r = range_of(s, i);
            const float *x = fmal_sums_slot(s, k) + r.first;

            s->largest[i] = fmax(s->largest[i], fmal_largest(x, r.count));
        }
    }
    fmal_max_f64(s->ctx, s->largest, s->tensors + 1);
    for (int i = 0; i <= s->tensors; i++)
        finite = finite && isfinite(s->largest[i]);
    return finite;
}

bool fmal_sums_reduce(fmal_sums *s, int parts, int slots, int64_t right)
{
    s->parts = parts;
    if (!agree_largest(s, slots))
        return false;
    memset(s->sums, 0, (size_t) (s->size + 2) * sizeof *s->sums);
    for (int i = 0; i < s->tensors; i++) {
        range r = range_of(s, i);
        int shift = fmal_exact_shift(s->largest[i], parts);

        for (int k = 0; k < slots; k++)
            fmal_exact_add_f32(s->sums + r.first, fmal_sums_slot(s, k) + r.first,
                               r.count, shift);
    }
    int shift = fmal_exact_shift(s->largest[s->tensors], parts);
    for (int k = 0; k < slots; k++)
        fmal_exact_add(&s->sums[s->size], &s->losses[k], 1, shift);
    s->sums[s->size + 1] = right;
    fmal_sum_i64(s->ctx, s->sums, s->size + 2);
    return true;
}

void fmal_sums_get(const fmal_sums *s, int tensor, fmal_idx first, int n, double *out)
{
    fmal_exact_get(out, s->sums + range_of(s, tensor).first + first, n,
                   fmal_exact_shift(s->largest[tensor], s->parts));
}

double fmal_sums_loss(const fmal_sums *s)
{
    double loss;

    fmal_exact_get(&loss, &s->sums[s->size], 1,
                   fmal_exact_shift(s->largest[s->tensors], s->parts));
    return loss;
}

int64_t fmal_sums_right(const fmal_sums *s)
{
    return s->sums[s->size + 1];
}
