/* What options ask for, before and beside a training. */
#include "train_impl.h"

#include <inttypes.h>
#include <math.h>

const char *const fmal_optimizer_names[] = { "adam", "sgd", NULL };
const char *const fmal_schedule_names[] = { "constant", "cosine", "step", NULL };
const char *const fmal_augment_names[] = { "none", "crop-flip", NULL };

fmal_status fmal_train_check(const fmal_train_options *options, const fmal_dataset *set,
                             fmal_idx n)
{
    fmal_idx held = fmal_holdout_count(options, n);

    if (n < 1)
        return FMAL_FAIL(FMAL_ERR_EMPTY, "no labelled sample to train on");
    if (held >= n)
        return FMAL_FAIL(FMAL_ERR_EMPTY,
                         "validation holds out %" PRId64 " of %" PRId64
                         " labelled samples and leaves none to train on; label more, "
                         "or hold out a smaller share",
                         held, n);
    if (options->augment != FMAL_PLAIN && !set->has_images)
        return FMAL_FAIL(FMAL_ERR_ARG,
                         "%s: holds features, and only images can be cropped and "
                         "flipped; train without augmentation",
                         set->path);
    return FMAL_OK;
}

/* Cosine: Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5 without restarts
   (docs/references.bib: loshchilov2017sgdr). */
double fmal_train_rate(const fmal_train_options *options, int64_t epoch)
{
    const double pi = 3.14159265358979323846;

    switch (options->schedule) {
    case FMAL_COSINE:
        return options->rate * 0.5 *
               (1 + cos(pi * (double) epoch / options->max_epochs));
    case FMAL_STEP:
        return options->rate *
               pow(options->step_factor, (double) (epoch / options->step_epochs));
    case FMAL_CONSTANT:
        break;
    }
    return options->rate;
}

fmal_idx fmal_learnt_count(const fmal_net *net)
{
    return fmal_net_size(net) + fmal_net_stats_size(net);
}

double fmal_train_bytes(const fmal_train_options *options, const fmal_net *net,
                        int ranks)
{
    int parts = (options->batch - 1) / options->micro_batch + 1;
    int slots = (parts - 1) / ranks + 1;
    double learnt = (double) fmal_learnt_count(net);

    return 4.0 * (double) fmal_optim_count(options, fmal_net_size(net)) +
           (4.0 * slots + 8 + (options->validation > 0 ? 4 : 0)) * learnt;
}
