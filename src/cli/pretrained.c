#include "pretrained.h"
#include "fmal/log.h"
#include "fmal/weights.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#define AT(member) offsetof(pretrained_options, member)
const fmal_opt pretrained_table[] = {
    { .name = "weights",
      .type = FMAL_OPT_STRING,
      .offset = AT(weights),
      .arg = "FILE",
      .identity = true,
      .help = "start every training from these weights (safetensors or HDF5); a file "
              "without the last layer leaves that to chance" },
    { .name = "save-weights",
      .type = FMAL_OPT_STRING,
      .offset = AT(save),
      .arg = "FILE",
      .help = "write the last round's weights to FILE.safetensors or FILE.h5 at the "
              "end, over weights that are there; also of a run that was finished "
              "before" },
    { .name = NULL },
};

/* Root only. */
static fmal_status check_save(const char *save, const char *const *inputs, int n)
{
    fmal_weights_info info;

    for (int i = 0; i < n; i++)
        if (inputs[i] && fmal_file_same(save, inputs[i]))
            return FMAL_FAIL(FMAL_ERR_USAGE,
                             "%s: is read; give another name to --save-weights", save);
    FMAL_TRY(fmal_file_check_output(save, true));
    if (fmal_file_exists(save) && fmal_weights_look(save, &info) != FMAL_OK)
        return FMAL_FAIL(FMAL_ERR_EXISTS,
                         "%s: exists and holds no weights; give another name to "
                         "--save-weights, or remove it",
                         save);
    return FMAL_OK;
}

fmal_status pretrained_check(const fmal_ctx *ctx, const pretrained_options *o,
                             const char *data, const char *mask)
{
    const char *inputs[] = { data, mask, o->weights };
    fmal_status st = FMAL_OK;

    if (!o->save)
        return FMAL_OK;
    FMAL_TRY(fmal_weights_check_name(o->save));
    if (ctx->rank == 0)
        st = check_save(o->save, inputs, FMAL_COUNT(inputs));
    return fmal_agree_root(ctx, st);
}

fmal_status pretrained_load(const fmal_ctx *ctx, const pretrained_options *o,
                            const fmal_dataset *set, fmal_run_options *run)
{
    fmal_net *net = NULL;

    if (!o->weights)
        return FMAL_OK;
    /* Nothing is computed with it: room for one sample is the least there is. */
    fmal_status st =
        fmal_agree(ctx, fmal_net_create(run->arch, set->shape, set->classes,
                                        run->hidden, 1, &net));
    if (st == FMAL_OK)
        st = fmal_weights_load(ctx, o->weights, FMAL_HEAD_OPTIONAL, net,
                               &run->start_head);
    if (st != FMAL_OK) {
        fmal_net_destroy(&net);
        return st;
    }
    fmal_log(FMAL_LOG_INFO, "weights", "from %s, %s", o->weights,
             run->start_head ? "with the last layer" : "a fresh last layer");
    run->start = net;
    return FMAL_OK;
}

void pretrained_checksum(const fmal_dataset *set, const fmal_run_options *run,
                         char hex[33])
{
    char text[128], weights[33], stats[33];

    snprintf(hex, 33, "%s", set->checksum);
    if (!run->start)
        return;
    fmal_checksum(fmal_net_params(run->start),
                  sizeof(float) * (size_t) fmal_net_size(run->start), weights);
    fmal_checksum(fmal_net_stats(run->start),
                  sizeof(float) * (size_t) fmal_net_stats_size(run->start), stats);
    int n = snprintf(text, sizeof text, "%s %s %s", set->checksum, weights, stats);
    fmal_checksum(text, (size_t) n, hex);
}

fmal_status pretrained_save(const cli *c, const pretrained_options *o, fmal_run *run)
{
    if (!o->save)
        return FMAL_OK;
    FMAL_TRY(fmal_weights_save(&c->ctx, o->save, fmal_run_net(run), c->history));
    fmal_log(FMAL_LOG_INFO, "weights", "written to %s", o->save);
    return FMAL_OK;
}
