/* What a run will take, before it starts. */
#include "loop_impl.h"

/* Of the first batch. */
static fmal_status plan_selection(const fmal_run_setup *setup, const fmal_net *net,
                                  fmal_run_plan *p)
{
    const fmal_run_options *o = setup->options;
    const fmal_network_sizes sizes = { net, setup->set, &o->masking };
    const fmal_pool_info info = {
        .n = p->n, .labelled = o->initial, .d = p->d, .c = p->c
    };

    FMAL_TRY(fmal_strategy_plan(o->strategy, &o->select, &info, &sizes,
                                setup->ctx->size, &p->select));
    p->steps = p->select.forward + p->select.backward;
    p->bytes += p->select.bytes;
    return FMAL_OK;
}

/* Of the trainer, when all samples that there will be are labelled. */
static double trainer_bytes(const fmal_run_setup *setup, const fmal_net *net,
                            int64_t labelled)
{
    fmal_train_options options = setup->options->train;

    if (options.batch > labelled)
        options.batch = (int) labelled;
    return fmal_train_bytes(&options, net, setup->ctx->size);
}

fmal_status fmal_run_plan_make(const fmal_run_setup *setup, fmal_run_plan *plan)
{
    const fmal_run_options *o = setup->options;
    const fmal_dataset *set = setup->set;
    fmal_run_plan p = { .n = set->train.part.n, .test = set->test.part.n };
    fmal_net *net = NULL;
    double share = (double) (p.n + p.test) / setup->ctx->size + 2 * FMAL_BLOCK;

    FMAL_TRY(fmal_run_check(setup));
    FMAL_TRY(fmal_agree(setup->ctx, fmal_run_net_make(setup, &net)));
    p.d = fmal_net_features(net);
    p.c = fmal_net_classes(net);
    p.params = fmal_net_size(net);
    p.labelled_at_end = o->initial + o->rounds * o->select.batch;
    p.bytes_data = share * ((double) set->row_bytes + 4);
    /* the network, the trainer, the state for checkpoints: weights and three of their
       size */
    double learnt = (double) (p.params + fmal_net_stats_size(net));
    p.bytes_network = learnt * (4 + 4 + 12) + fmal_net_bytes(net) +
                      trainer_bytes(setup, net, p.labelled_at_end);
    p.has_selection = o->strategy->searches;
    p.bytes = p.bytes_data + p.bytes_network;
    fmal_status st =
        p.has_selection && o->rounds > 0 ? plan_selection(setup, net, &p) : FMAL_OK;
    fmal_net_destroy(&net);
    FMAL_TRY(st);
    *plan = p;
    return FMAL_OK;
}
