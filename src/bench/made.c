/* The made-up pool that cases work on. */
#include "harness.h"
#include "fmal/mem.h"

#include <string.h>

static const fmal_likelihood likelihoods[] = { FMAL_LIKELIHOOD_FULL,
                                               FMAL_LIKELIHOOD_TOPC,
                                               FMAL_LIKELIHOOD_BINARY };

static int top_of(const fmal_bench_setup *s)
{
    return s->topc < s->c ? s->topc : s->c;
}

void fmal_bench_factor_sizes(const fmal_bench_setup *s, fmal_idx *order, int *rank)
{
    if (s->factor == FMAL_BENCH_DENSE) {
        *order = s->d;
        *rank = s->c;
    } else {
        fmal_kron_sizes(likelihoods[s->factor], top_of(s), s->d, s->c, order, rank);
    }
}

fmal_status fmal_bench_plan(const fmal_bench_setup *s, fmal_idx batch,
                            fmal_select_plan *plan)
{
    fmal_select_options options = {
        .batch = batch > 0 ? batch : 1, .lambda = 1, .oversample = 2, .topc = top_of(s)
    };
    fmal_idx labelled = fmal_pool_synth_labelled(s->n);

    if (s->factor == FMAL_BENCH_DENSE)
        return fmal_select_plan_dense(&options, s->n, labelled, 0, s->c, s->d,
                                      s->ctx->size, plan);
    options.likelihood = likelihoods[s->factor];
    return fmal_select_plan_make(&options, s->n, labelled, 0, s->d, s->c, s->ctx->size,
                                 plan);
}

static fmal_status make_samples(const fmal_bench_setup *s, bench_pool *p)
{
    bool dense = s->factor == FMAL_BENCH_DENSE;
    int width = dense ? s->c * s->d : s->d, outputs = dense ? 2 : s->c;

    FMAL_TRY(FMAL_ALLOC(&p->features, p->part.count * width));
    FMAL_TRY(FMAL_ALLOC(&p->logits, p->part.count * outputs));
    FMAL_TRY(FMAL_ALLOC(&p->probs, p->part.count * outputs));
    FMAL_TRY(FMAL_ALLOC(&p->role, p->part.count));
    FMAL_TRY(
        fmal_pool_synth(&p->part, width, outputs, s->seed, p->features, p->logits));
    fmal_softmax(p->logits, p->part.count, outputs, p->probs);
    for (fmal_idx i = 0; i < p->part.count; i++)
        p->role[i] = p->part.first + i < fmal_pool_synth_labelled(s->n)
                         ? FMAL_LABELLED
                         : FMAL_CANDIDATE;
    return FMAL_OK;
}

fmal_status fmal_bench_pool_create(const fmal_bench_setup *s, bench_pool *p)
{
    memset(p, 0, sizeof *p);
    p->part = fmal_part_make(s->n, FMAL_BLOCK, s->ctx);
    fmal_status st = fmal_agree(s->ctx, make_samples(s, p));

    if (st == FMAL_OK && s->factor == FMAL_BENCH_DENSE)
        st = fmal_factor_dense(s->ctx, &p->part, p->features, s->c, s->d, &p->factor);
    else if (st == FMAL_OK)
        st = fmal_factor_kron_of(s->ctx, &p->part, p->features, p->probs, s->d, s->c,
                                 likelihoods[s->factor], top_of(s), &p->factor);
    p->problem = (fmal_problem){ s->ctx, p->factor, &p->part, p->role };
    if (st != FMAL_OK)
        fmal_bench_pool_clear(p);
    return st;
}

void fmal_bench_pool_clear(bench_pool *p)
{
    fmal_factor_destroy(&p->factor);
    fmal_free(&p->features);
    fmal_free(&p->logits);
    fmal_free(&p->probs);
    fmal_free(&p->role);
}
