#include "network.h"

#include <stddef.h>
#include <string.h>

#define AT(member) offsetof(network_options, member)
const fmal_opt network_table[] = {
    { .name = "model",
      .letter = 'm',
      .type = FMAL_OPT_CHOICE,
      .offset = AT(model),
      .def = "mlp",
      .choices = fmal_arch_names,
      .arg = "NAME",
      .identity = true,
      .help = "network" },
    { .name = "hidden",
      .type = FMAL_OPT_INT,
      .offset = AT(hidden),
      .def = "128",
      .min = 1,
      .max = 65536,
      .identity = true,
      .unit = "units",
      .help = "width of the hidden layer (mlp, lenet)" },
    { .name = NULL },
};

const char *network_arch(const network_options *o)
{
    return fmal_arch_names[o->model];
}

fmal_status network_check(const fmal_opts *opts, const network_options *o)
{
    const char *arch = network_arch(o);

    if (fmal_opts_given(opts, "hidden") && strcmp(arch, "mlp") != 0 &&
        strcmp(arch, "lenet") != 0)
        return FMAL_FAIL(FMAL_ERR_USAGE, "--hidden: the model '%s' has no hidden layer",
                         arch);
    return FMAL_OK;
}

fmal_status network_make(const fmal_ctx *ctx, const network_options *o,
                         const fmal_dataset *set, int max_batch, fmal_net **out)
{
    FMAL_TRY(fmal_agree(ctx, fmal_net_create(network_arch(o), set->shape, set->classes,
                                             (int) o->hidden, max_batch, out)));
    fmal_net_set_isa(*out, fmal_agree_isa(ctx));
    return FMAL_OK;
}
