/* What a search will take, whatever the strategy's factors are made of. */
#include "strategy_impl.h"

#include <limits.h>

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Parameters outside of the head, as many as the mask may have. */
static fmal_idx extra_of(const fmal_network_sizes *sizes)
{
    const fmal_masking *masking = sizes->masking;

    return masking->mask ? masking->mask->extra
                         : fmal_mask_most_extra(sizes->net, &masking->make);
}

/* The mask comes first and goes before the search; the Jacobian stays, in memory or in
   its file. */
static void add_network(const fmal_network_sizes *sizes, int extra, int ranks,
                        fmal_select_plan *p)
{
    const fmal_masking *masking = sizes->masking;
    int c = fmal_net_classes(sizes->net);
    double held = fmal_jacobian_bytes(p->most, c, extra), mask = 0;
    double pass = fmal_net_flops(sizes->net), n = (double) masking->make.samples;

    if (masking->jacobian.most > 0 && held > masking->jacobian.most)
        held = 0;
    if (!masking->mask && masking->make.method != FMAL_MASK_RANDOM) {
        n = n < (double) p->n ? n : (double) p->n;
        mask = 8.0 * (double) fmal_net_size(sizes->net) +
               fmal_fisher_bytes(sizes->net, sizes->set, (fmal_idx) n, ranks);
        p->flops_single += 2 * n / ranks * pass * c;
    }
    p->flops_single += 2 * (double) p->most * pass * c;
    p->bytes_pool += held;
    p->bytes_double += held;
    p->bytes = larger(p->bytes + held, p->bytes_pool - held + mask);
    p->bytes_double = larger(p->bytes_double, p->bytes);
    p->bytes_buffers =
        p->bytes - p->bytes_pool - p->bytes_matrices - p->bytes_candidates;
}

static fmal_status plan_masked(const fmal_strategy *strategy,
                               const fmal_select_options *o, const fmal_pool_info *info,
                               const fmal_network_sizes *sizes, int ranks,
                               fmal_select_plan *plan)
{
    fmal_select_options rest = *o;
    fmal_idx labelled = info->labelled, extra;
    fmal_select_plan counts;

    FMAL_TRY(fmal_select_plan_pool(o, info, ranks, &counts)); /* the whole batch */
    if (!sizes->masking->mask)
        FMAL_TRY(fmal_mask_check(sizes->net, &sizes->masking->make));
    extra = extra_of(sizes);
    if (extra + (fmal_idx) info->c * info->d > INT_MAX / 2)
        return FMAL_FAIL(FMAL_ERR_ARG, "the mask is too large; take a smaller "
                                       "--mask-fraction");
    if (strategy == &fmal_strategy_fishent && o->batch > 1) {
        labelled += fmal_entropy_half(o->batch);
        rest.batch -= fmal_entropy_half(o->batch);
    }
    FMAL_TRY(fmal_select_plan_mixed(&rest, info->n, labelled, info->excluded, info->d,
                                    info->c, (int) extra, sizes->masking->unweighted,
                                    ranks, plan));
    add_network(sizes, (int) extra, ranks, plan);
    return FMAL_OK;
}

fmal_status fmal_strategy_plan(const fmal_strategy *strategy,
                               const fmal_select_options *options,
                               const fmal_pool_info *info,
                               const fmal_network_sizes *sizes, int ranks,
                               fmal_select_plan *plan)
{
    fmal_select_options o = *options;

    o.likelihood = strategy->likelihood;
    if (strategy->needs_network)
        return plan_masked(strategy, &o, info, sizes, ranks, plan);
    return fmal_select_plan_make(&o, info->n, info->labelled, info->excluded, info->d,
                                 info->c, ranks, plan);
}
