#include "masked.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

static const char *const weighting_names[] = { "fisher", "unweighted", NULL };
enum { FISHER, UNWEIGHTED };

#define AT(member) offsetof(masked_options, member)
const fmal_opt masked_table[] = {
    { .name = "mask",
      .type = FMAL_OPT_STRING,
      .offset = AT(mask),
      .arg = "FILE",
      .identity = true,
      .help = "use this mask (fmal mask) instead of making one for every batch" },
    { .name = "weighting",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(weighting),
      .def = "fisher",
      .choices = weighting_names,
      .arg = "HOW",
      .identity = true,
      .help = "of a sample's gradients for its classes: by their probabilities, or all "
              "alike, as the public code of FisherMask" },
    { .name = "jacobian-memory",
      .type = FMAL_OPT_REAL,
      .offset = AT(jacobian_memory),
      .def = "0",
      .min = 0,
      .max = 1e9,
      .arg = "MB",
      .help = "the most that a rank holds of the Jacobian in memory; a larger one is "
              "read from its file when it is wanted; 0: any" },
    { .name = NULL },
};

/* How to make a mask is void if there is one. */
static fmal_status check_given(const fmal_opts *opts, const masked_options *o)
{
    for (int i = 0; i < fmal_opts_count(opts) && o->mask; i++) {
        const char *name = fmal_opts_at(opts, i)->name;

        if (strncmp(name, "mask-", 5) == 0 && fmal_opts_given(opts, name))
            return FMAL_FAIL(FMAL_ERR_USAGE,
                             "--%s: --mask gives a mask that was made before; leave "
                             "one of them out",
                             name);
    }
    return FMAL_OK;
}

fmal_status masked_map(const fmal_opts *opts, const masking_options *making,
                       const masked_options *o, int64_t seed, fmal_masking *out)
{
    fmal_masking m = { .unweighted = o->weighting == UNWEIGHTED,
                       .jacobian = { .rows = FMAL_RELATIVE,
                                     .most = 1e6 * o->jacobian_memory } };

    FMAL_TRY(check_given(opts, o));
    FMAL_TRY(masking_map(opts, making, seed, &m.make));
    *out = m;
    return FMAL_OK;
}

fmal_status masked_load(const fmal_ctx *ctx, const masked_options *o,
                        const fmal_net *net, fmal_mask *mask, fmal_masking *masking)
{
    if (!o->mask)
        return FMAL_OK;
    FMAL_TRY(fmal_mask_load(ctx, o->mask, net, mask));
    masking->mask = mask;
    return FMAL_OK;
}

void masked_checksum(const fmal_masking *masking, char hex[33])
{
    const fmal_mask *mask = masking->mask;
    char both[2][33];

    if (!mask)
        return;
    memcpy(both[0], hex, sizeof both[0]);
    fmal_checksum(mask->index, (size_t) mask->count * sizeof *mask->index, both[1]);
    fmal_checksum(both, sizeof both, hex);
}

void masked_print(const cli *c, bool dry_run, const fmal_select_plan *plan, int d,
                  int classes, const fmal_masking *masking)
{
    fmal_idx extra = plan->order - (fmal_idx) classes * d;
    double bytes = fmal_jacobian_bytes(plan->most, classes, extra);
    bool held = masking->jacobian.most <= 0 || bytes <= masking->jacobian.most;
    char text[32];

    plan_line(
        c, dry_run,
        "mask: %" PRId64 " parameters outside of the head%s; their Jacobian: %s a "
        "rank, in %s",
        extra,
        !masking->mask && masking->make.method == FMAL_MASK_RELATIVE ? " at most" : "",
        bytes_text(bytes, text, sizeof text), held ? "memory" : "its file");
}
