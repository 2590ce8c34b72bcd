#include "masking.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define AT(member) offsetof(masking_options, member)
const fmal_opt masking_table[] = {
    { .name = "mask-method",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(method),
      .def = "global",
      .choices = fmal_mask_method_names,
      .arg = "HOW",
      .identity = true,
      .help =
          "how parameters outside of the head are chosen: the most informative of all, "
          "those of each tensor, those far above their tensor's mean, or any" },
    { .name = "mask-fraction",
      .type = FMAL_OPT_REAL,
      .offset = AT(fraction),
      .def = "0.002",
      .min = 1e-9,
      .max = 1,
      .identity = true,
      .help = "share of the parameters that is masked, the head included" },
    { .name = "mask-samples",
      .type = FMAL_OPT_INT,
      .offset = AT(samples),
      .def = "1024",
      .min = 1,
      .max = 1e12,
      .identity = true,
      .unit = "images",
      .help = "over which the information of parameters is averaged" },
    { .name = "mask-images",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(images),
      .def = "random",
      .choices = fmal_mask_images_names,
      .arg = "WHICH",
      .identity = true,
      .help = "which of the pool these are: drawn by the seed, or the first" },
    { .name = NULL },
};

static fmal_status void_option(const char *option, const char *method)
{
    return FMAL_FAIL(FMAL_ERR_USAGE,
                     "--%s: --mask-method %s does not use it; leave it out", option,
                     method);
}

fmal_status masking_map(const fmal_opts *opts, const masking_options *o, int64_t seed,
                        fmal_mask_options *out)
{
    static const char *const informed[] = { "mask-samples", "mask-images" };

    for (int i = 0; i < FMAL_COUNT(informed); i++)
        if (o->method == FMAL_MASK_RANDOM && fmal_opts_given(opts, informed[i]))
            return void_option(informed[i], "random");
    if (o->method == FMAL_MASK_RELATIVE && fmal_opts_given(opts, "mask-fraction"))
        return void_option("mask-fraction", "relative");
    *out = (fmal_mask_options){ .method = (fmal_mask_method) o->method,
                                .images = (fmal_mask_images) o->images,
                                .fraction = o->fraction,
                                .samples = o->samples,
                                .seed = (uint64_t) seed };
    return FMAL_OK;
}

/* ---- In words ---- */

static void print_row(const char *name, int width, fmal_idx masked, fmal_idx count,
                      FILE *to)
{
    fprintf(to, "%-*s %12" PRId64 " %10" PRId64 " %8.2f %%\n", width, name, count,
            masked, 100 * (double) masked / (double) count);
}

void masking_print(const fmal_masked_tensor *tensors, int n, FILE *to)
{
    fmal_idx masked = 0, count = 0;
    int width = 6;

    for (int i = 0; i < n; i++)
        if ((int) strlen(tensors[i].name) > width)
            width = (int) strlen(tensors[i].name);
    fprintf(to, "%-*s %12s %10s %10s\n", width, "tensor", "parameters", "masked",
            "share");
    for (int i = 0; i < n; i++) {
        print_row(tensors[i].name, width, tensors[i].masked, tensors[i].count, to);
        masked += tensors[i].masked;
        count += tensors[i].count;
    }
    print_row("all", width, masked, count, to);
}

json_t *masking_json(const fmal_masked_tensor *tensors, int n)
{
    json_t *out = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(out,
                              json_pack("{s:s, s:I, s:I}", "name", tensors[i].name,
                                        "parameters", (json_int_t) tensors[i].count,
                                        "masked", (json_int_t) tensors[i].masked));
    return out;
}
