#include "imbalance.h"
#include "masking.h"
#include "network.h"
#include "fmal/log.h"
#include "fmal/mem.h"
#include "fmal/weights.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    common_options common;
    masking_options masking;
    imbalance_options imbalance;
    char *data, *weights, *output;
    network_options network;
    int64_t seed;
    bool dry_run, force;
} mask_options;

#define AT(member) offsetof(mask_options, member)
static const fmal_opt table[] = {
    { .name = "data",
      .letter = 'd',
      .type = FMAL_OPT_STRING,
      .offset = AT(data),
      .arg = "FILE",
      .required = true,
      .help = "data set (fmal import), HDF5" },
    { .name = "imbalance", .part = imbalance_table, .offset = AT(imbalance) },
    { .name = "network", .part = network_table, .offset = AT(network) },
    { .name = "weights",
      .letter = 'w',
      .type = FMAL_OPT_STRING,
      .offset = AT(weights),
      .arg = "FILE",
      .required = true,
      .help = "weights of the network, safetensors or HDF5 (docs/weights.md)" },
    { .name = "masking", .part = masking_table, .offset = AT(masking) },
    { .name = "seed",
      .type = FMAL_OPT_INT,
      .offset = AT(seed),
      .def = "1",
      .min = 0,
      .max = 9e18,
      .identity = true,
      .help = "seed of everything random" },
    { .name = "output",
      .letter = 'o',
      .type = FMAL_OPT_STRING,
      .offset = AT(output),
      .def = "mask.h5",
      .arg = "FILE",
      .help = "mask, HDF5" },
    { .name = "force",
      .type = FMAL_OPT_FLAG,
      .offset = AT(force),
      .help = "replace the output if it exists" },
    { .name = "dry-run",
      .letter = 'n',
      .type = FMAL_OPT_FLAG,
      .offset = AT(dry_run),
      .help = "print the plan and stop; exit code 1 if it does not fit" },
    { .name = NULL },
};

/* One mask under way. */
typedef struct {
    cli *c;
    const mask_options *o;
    fmal_mask_options options;
    fmal_dataset *set;
    fmal_net *net;
    fmal_mask mask;
    fmal_identity identity;
} job;

/* ---- Inputs ---- */

static fmal_status check_options(const job *j)
{
    FMAL_TRY(network_check(j->c->opts, &j->o->network));
    return imbalance_check(j->c->opts, &j->o->imbalance);
}

static fmal_status open_inputs(job *j)
{
    const fmal_ctx *ctx = &j->c->ctx;

    bool has_head;

    fmal_phase_begin(&j->c->phases, FMAL_PHASE_READ);
    fmal_status st = fmal_dataset_open(ctx, j->o->data, &j->set);
    if (st == FMAL_OK)
        st = imbalance_apply(ctx, &j->o->imbalance, j->o->seed, j->set);
    if (st == FMAL_OK)
        st = network_make(ctx, &j->o->network, j->set, FMAL_FISHER_BATCH, &j->net);
    if (st == FMAL_OK)
        st = fmal_weights_load(ctx, j->o->weights, FMAL_HEAD_REQUIRED, j->net,
                               &has_head);
    fmal_phase_end(&j->c->phases, 0,
                   st == FMAL_OK
                       ? (double) j->set->train.part.count * (double) j->set->row_bytes
                       : 0);
    return st;
}

/* ---- The plan ---- */

static fmal_status plan(job *j)
{
    const fmal_ctx *ctx = &j->c->ctx;
    fmal_idx size = fmal_net_size(j->net), n = j->options.samples;
    bool informed = j->options.method != FMAL_MASK_RANDOM;
    double bytes = 8.0 * (double) size; /* the diagonal */
    char all[32], data[32], network[32];

    FMAL_TRY(fmal_mask_check(j->net, &j->options));
    if (n > j->set->train.part.n)
        n = j->set->train.part.n;
    if (informed)
        bytes += fmal_fisher_bytes(j->net, j->set, n, ctx->size);
    double choice = 3 * 8.0 * (double) size; /* choosing, when the rest is over */
    bytes = bytes > choice ? bytes : choice;
    plan_line(j->c, j->o->dry_run,
              "samples=%" PRId64 " classes=%d parameters=%" PRId64 " head=%" PRId64
              " images=%" PRId64,
              j->set->train.part.n, j->set->classes, size,
              fmal_net_tensor(j->net, fmal_net_tensors(j->net) - 1)->count,
              informed ? n : 0);
    plan_line(j->c, j->o->dry_run, "memory a rank: %s, beside data %s and network %s",
              bytes_text(bytes, all, sizeof all),
              bytes_text((double) j->set->train.part.count * (double) j->set->row_bytes,
                         data, sizeof data),
              bytes_text(fmal_net_bytes(j->net) + 4.0 * (double) size, network,
                         sizeof network));
    return check_memory(ctx, bytes);
}

/* ---- Output ---- */

/* Whether the mask that is there was made of the same. Root only. */
static bool is_there(const job *j)
{
    char weights[33], *before = NULL;
    fmal_h5 *h = NULL;

    if (j->o->force || !fmal_h5_is_checked(j->o->output) ||
        fmal_h5_open_checked(j->o->output, &h) != FMAL_OK)
        return false;
    fmal_net_checksum(j->net, weights);
    bool same = fmal_identity_compare_options(h, &j->identity) == FMAL_OK &&
                fmal_identity_compare_input(h, &j->identity) == FMAL_OK &&
                fmal_h5_read_text(h, "/weights/checksum", &before) == FMAL_OK &&
                strcmp(before, weights) == 0;
    fmal_free(&before);
    fmal_h5_close(&h);
    return same;
}

static fmal_status check_output(const job *j, bool *there)
{
    const mask_options *o = j->o;

    *there = is_there(j);
    if (*there)
        return FMAL_OK;
    FMAL_TRY(fmal_file_check_output(o->output, o->force));
    if (fmal_file_same(o->output, o->data) || fmal_file_same(o->output, o->weights))
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s: is read; give another name to --output",
                         o->output);
    return FMAL_OK;
}

static fmal_status save(const job *j)
{
    fmal_mask_origin origin = { .arch = network_arch(&j->o->network),
                                .method = fmal_mask_method_names[j->options.method],
                                .fraction = j->options.fraction,
                                .data = j->o->data,
                                .data_checksum = j->set->checksum,
                                .weights = j->o->weights,
                                .options = j->identity.resolved,
                                .fixed = j->identity.fixed,
                                .history = j->c->history };

    return fmal_mask_save(j->o->output, j->net, &j->mask, &origin);
}

/* Root only. */
static fmal_status print_mask(const job *j)
{
    fmal_masked_tensor *tensors = NULL;
    int n = fmal_net_tensors(j->net);

    FMAL_TRY(fmal_mask_tensors(j->net, &j->mask, &tensors));
    if (j->o->common.json) {
        json_t *out =
            json_pack("{s:s, s:I, s:I, s:I, s:o}", "mask", j->o->output, "parameters",
                      (json_int_t) j->mask.size, "masked", (json_int_t) j->mask.count,
                      "outside_of_head", (json_int_t) j->mask.extra, "tensors",
                      masking_json(tensors, n));

        json_dumpf(out, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(out);
    } else {
        masking_print(tensors, n, stdout);
        printf("mask: %s\n", j->o->output);
    }
    fmal_free(&tensors);
    return FMAL_OK;
}

/* ---- The command ---- */

static fmal_status make_or_load(job *j, bool there)
{
    const fmal_ctx *ctx = &j->c->ctx;
    const fmal_watch watch = { .phases = &j->c->phases };

    if (there) {
        fmal_log(FMAL_LOG_INFO, "done", "this mask was made before");
        return fmal_mask_load(ctx, j->o->output, j->net, &j->mask);
    }
    FMAL_TRY(fmal_mask_make(ctx, j->net, j->set, &j->options, &watch, &j->mask));
    fmal_phase_begin(&j->c->phases, FMAL_PHASE_WRITE);
    fmal_status st = fmal_agree_root(ctx, ctx->rank == 0 ? save(j) : FMAL_OK);
    fmal_phase_end(&j->c->phases, 0, 0);
    return st;
}

static fmal_status make(job *j)
{
    const fmal_ctx *ctx = &j->c->ctx;
    bool there = false;
    fmal_status st = FMAL_OK;

    FMAL_TRY(job_identity(j->c, j->o->data, &j->identity));
    j->identity.checksum = j->set->checksum;
    if (ctx->rank == 0)
        st = check_output(j, &there);
    FMAL_TRY(fmal_agree_root(ctx, st));
    fmal_bcast(ctx, &there, sizeof there, 0);
    FMAL_TRY(make_or_load(j, there));
    FMAL_TRY(fmal_agree_root(ctx, ctx->rank == 0 ? print_mask(j) : FMAL_OK));
    job_end(j->c);
    return FMAL_OK;
}

static fmal_status run(cli *c, void *given)
{
    const mask_options *o = given;
    job j = { .c = c, .o = o };

    FMAL_TRY(check_singleton(&c->ctx));
    FMAL_TRY(masking_map(c->opts, &o->masking, o->seed, &j.options));
    FMAL_TRY(check_options(&j));
    job_begin(c);
    fmal_status st = open_inputs(&j);
    if (st == FMAL_OK)
        st = plan(&j);
    if (st == FMAL_OK && !o->dry_run)
        st = make(&j);
    job_identity_clear(&j.identity);
    fmal_mask_clear(&j.mask);
    fmal_net_destroy(&j.net);
    fmal_dataset_close(&j.set);
    return st;
}

const command command_mask = {
    .name = "mask",
    .summary = "the parameters of a network that its Fisher information is largest in",
    .usage = "--data FILE --model NAME --weights FILE [-o FILE] [options]",
    .text =
        "Averages the diagonal of the Fisher information over images of the training "
        "split, and\nwrites which parameters it is largest in: the mask of FisherMask. "
        "The whole head, the\nlast layer's weights, always belongs to it. The same "
        "mask "
        "on any number of ranks. Started\nagain after its end, it says that the mask "
        "is "
        "there; after an interruption, it begins\nanew.\n\n"
        "  fmal run --data cifar10.h5 --run RUN --model resnet18-slim --save-weights "
        "model.h5\n"
        "  mpirun -np 2 fmal mask --data cifar10.h5 --model resnet18-slim \\\n"
        "      --weights model.h5 -o mask.h5",
    .options = table,
    .size = sizeof(mask_options),
    .uses_mpi = true,
    .run = run,
};
