/*
 * Which tensor of a file is which of a network. A file is taken as a whole or not at
 * all: a network that is half filled would train on, and nobody would notice.
 */
#include "fmal/weights.h"
#include "weights_impl.h"
#include "fmal/mem.h"
#include "fmal/opts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- A network's tensors ---- */

int fmal_slots(const fmal_net *net)
{
    return fmal_net_tensors(net) + fmal_net_stat_tensors(net);
}

fmal_slot fmal_slot_at(const fmal_net *net, int i)
{
    int weights = fmal_net_tensors(net);
    const fmal_tensor *t =
        i < weights ? fmal_net_tensor(net, i) : fmal_net_stat_tensor(net, i - weights);

    return (fmal_slot){ t, (i < weights ? 0 : fmal_net_size(net)) + t->offset,
                        i < weights };
}

float *fmal_slot_values(fmal_net *net, const fmal_slot *slot)
{
    float *block = slot->is_weight ? fmal_net_params(net) : fmal_net_stats(net);

    return block + slot->tensor->offset;
}

static fmal_idx block_size(const fmal_net *net)
{
    return fmal_net_size(net) + fmal_net_stats_size(net);
}

/* The last layer is the last of the parameters. */
static int head_slot(const fmal_net *net)
{
    return fmal_net_tensors(net) - 1;
}

/* ---- Matching names ---- */

/* Which tensor of the file fills which slot. A plain value; match_clear frees it. */
typedef struct {
    const fmal_store *store;
    const fmal_net *net;
    int *from; /* [slots] tensor of the file; -1: none */
    bool *odd; /* [store->n] tensors that nothing takes */
    int bias;  /* a bias of the head, which must be zero; -1: none */
} match;

static fmal_status match_init(match *m, const fmal_store *store, const fmal_net *net)
{
    int slots = fmal_slots(net);

    *m = (match){ .store = store, .net = net, .bias = -1 };
    FMAL_TRY(FMAL_ALLOC(&m->from, slots));
    FMAL_TRY(FMAL_ALLOC(&m->odd, store->n));
    for (int i = 0; i < slots; i++)
        m->from[i] = -1;
    return FMAL_OK;
}

static void match_clear(match *m)
{
    fmal_free(&m->from);
    fmal_free(&m->odd);
}

static int find_slot(const fmal_net *net, const char *name)
{
    int i = fmal_slots(net) - 1;

    while (i >= 0 && strcmp(fmal_slot_at(net, i).tensor->name, name) != 0)
        i--;
    return i;
}

static fmal_status match_one(match *m, int i)
{
    const char *name = m->store->tensor[i].name;
    char ours[FMAL_NAME_BYTES], label[FMAL_LABEL_BYTES], other[FMAL_LABEL_BYTES];
    int slot = find_slot(m->net, name);

    fmal_name_ours(name, ours);
    if (slot < 0)
        slot = find_slot(m->net, ours);
    int *taken = slot >= 0                        ? &m->from[slot]
                 : strcmp(ours, "head.bias") == 0 ? &m->bias
                                                  : NULL;
    if (!taken) {
        m->odd[i] = !fmal_name_is_counter(name);
        return FMAL_OK;
    }
    if (*taken >= 0)
        return FMAL_FAIL(
            FMAL_ERR_FORMAT, "%s: %s and %s are both %s; leave one of them out",
            m->store->path, fmal_name_label(m->store->tensor[*taken].name, other),
            fmal_name_label(name, label), ours);
    *taken = i;
    return FMAL_OK;
}

/* ---- What does not fit ---- */

/* A list of names that ends after a few of them. */
typedef struct {
    char text[400];
    int count;
} listing;

__attribute__((format(printf, 2, 3))) static void list_add(listing *l, const char *fmt,
                                                           ...)
{
    enum { SHOWN = 3 };
    size_t used = strlen(l->text);
    va_list ap;

    if (l->count++ < SHOWN) {
        used += (size_t) snprintf(l->text + used, sizeof l->text - used, "%s",
                                  used ? ", " : "");
        va_start(ap, fmt);
        vsnprintf(l->text + used, sizeof l->text - used, fmt, ap);
        va_end(ap);
    } else if (l->count == SHOWN + 1) {
        snprintf(l->text + used, sizeof l->text - used, ", ...");
    }
}

/* Tensors that nothing takes, each with the missing one whose name is nearest. */
static void list_odd(const match *m, const char *const *missing, listing *out)
{
    char label[FMAL_LABEL_BYTES], ours[FMAL_NAME_BYTES];

    for (int i = 0; i < m->store->n; i++) {
        if (!m->odd[i])
            continue;
        fmal_name_ours(m->store->tensor[i].name, ours);
        const char *near = fmal_nearest(ours, missing);
        fmal_name_label(m->store->tensor[i].name, label);
        if (near)
            list_add(out, "%s (did you mean %s?)", label, near);
        else
            list_add(out, "%s", label);
    }
}

static fmal_status check_names(const match *m, fmal_head head)
{
    const char **missing = NULL;
    listing lost = { "", 0 }, odd = { "", 0 };
    int slots = fmal_slots(m->net);

    FMAL_TRY(FMAL_ALLOC(&missing, slots + 1));
    for (int i = 0; i < slots; i++)
        if (m->from[i] < 0 && !(i == head_slot(m->net) && head == FMAL_HEAD_OPTIONAL)) {
            missing[lost.count] = fmal_slot_at(m->net, i).tensor->name;
            list_add(&lost, "%s", missing[lost.count]);
        }
    list_odd(m, missing, &odd);
    fmal_free(&missing);
    if (lost.count == 0 && odd.count == 0)
        return FMAL_OK;
    return FMAL_FAIL(FMAL_ERR_FORMAT,
                     "%s: is of another network: of %d tensors %d missing%s%s, "
                     "%d unexpected%s%s; choose the network by --model, or export by "
                     "these names (docs/weights.md)",
                     m->store->path, slots, lost.count, lost.count ? ": " : "",
                     lost.text, odd.count, odd.count ? ": " : "", odd.text);
}

static void shape_text(const fmal_idx *dims, int ndims, char text[160])
{
    int at = snprintf(text, 160, "[");

    for (int i = 0; i < ndims; i++)
        at += snprintf(text + at, (size_t) (160 - at), "%s%" PRId64, i ? ", " : "",
                       dims[i]);
    snprintf(text + at, (size_t) (160 - at), "]");
}

static fmal_status check_shape(const match *m, int slot)
{
    const fmal_tensor *want = fmal_slot_at(m->net, slot).tensor;
    const fmal_stored *is = &m->store->tensor[m->from[slot]];
    fmal_idx dims[4];
    char label[FMAL_LABEL_BYTES], there[160], wanted[160];
    bool same = is->ndims == want->ndims;

    for (int k = 0; k < want->ndims; k++) {
        dims[k] = want->dims[k];
        same = same && is->dims[k] == want->dims[k];
    }
    if (same)
        return FMAL_OK;
    shape_text(is->dims, is->ndims, there);
    shape_text(dims, want->ndims, wanted);
    return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s: %s; wanted %s%s", m->store->path,
                     fmal_name_label(is->name, label), there, wanted,
                     slot == head_slot(m->net)
                         ? ", a row for each class of the data: leave it out of the "
                           "file for a fresh one"
                         : "");
}

/* A bias of the head that does nothing is nothing. */
static fmal_status check_bias(const match *m)
{
    const fmal_stored *t = m->bias >= 0 ? &m->store->tensor[m->bias] : NULL;
    char label[FMAL_LABEL_BYTES];
    float *values = NULL;
    bool zero = true;

    if (!t)
        return FMAL_OK;
    if (t->ndims != 1 || t->count > FMAL_STORED_MOST * 16)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s: is no bias of classes",
                         m->store->path, fmal_name_label(t->name, label));
    FMAL_TRY(FMAL_ALLOC(&values, t->count));
    fmal_status st = fmal_store_read(m->store, m->bias, values);
    for (fmal_idx j = 0; j < t->count; j++)
        zero &= values[j] == 0;
    fmal_free(&values);
    if (st == FMAL_OK && !zero)
        st = FMAL_FAIL(FMAL_ERR_FORMAT,
                       "%s: %s: is not zero, and the last layer of these networks has "
                       "no bias; train with bias=False (docs/weights.md)",
                       m->store->path, fmal_name_label(t->name, label));
    return st;
}

/* ---- Loading ---- */

static bool ends_in(const char *text, const char *ending)
{
    size_t n = strlen(text), tail = strlen(ending);

    return n > tail && strcasecmp(text + n - tail, ending) == 0;
}

/* A variance below zero has no square root. */
static fmal_status check_variance(const match *m, const fmal_tensor *t,
                                  const float *values)
{
    for (fmal_idx j = 0; j < t->count && ends_in(t->name, ".running_var"); j++)
        if (values[j] < 0)
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: %s: element %" PRId64
                             " is %g; a variance is at least 0",
                             m->store->path, t->name, j, (double) values[j]);
    return FMAL_OK;
}

static fmal_status read_slots(const match *m, float *block)
{
    for (int i = 0; i < fmal_slots(m->net); i++) {
        fmal_slot slot = fmal_slot_at(m->net, i);

        if (m->from[i] < 0)
            continue;
        FMAL_TRY(check_shape(m, i));
        FMAL_TRY(fmal_store_read(m->store, m->from[i], block + slot.at));
        FMAL_TRY(check_variance(m, slot.tensor, block + slot.at));
    }
    return check_bias(m);
}

/* Numbers of all slots in block [block_size]; of the head, if the file has one. */
static fmal_status load_alone(const char *path, fmal_head head, const fmal_net *net,
                              float *block, bool *has_head)
{
    fmal_store store;
    match m = { 0 };
    fmal_status st = fmal_store_open(path, &store);

    if (st == FMAL_OK)
        st = match_init(&m, &store, net);
    for (int i = 0; i < store.n && st == FMAL_OK; i++)
        st = match_one(&m, i);
    if (st == FMAL_OK)
        st = check_names(&m, head);
    if (st == FMAL_OK)
        st = read_slots(&m, block);
    if (st == FMAL_OK)
        *has_head = m.from[head_slot(net)] >= 0;
    match_clear(&m);
    fmal_store_close(&store);
    return st;
}

static void fill(fmal_net *net, const float *block, bool with_head)
{
    for (int i = 0; i < fmal_slots(net); i++) {
        fmal_slot slot = fmal_slot_at(net, i);

        if (with_head || i != head_slot(net))
            memcpy(fmal_slot_values(net, &slot), block + slot.at,
                   sizeof(float) * (size_t) slot.tensor->count);
    }
}

fmal_status fmal_weights_load(const fmal_ctx *ctx, const char *path, fmal_head head,
                              fmal_net *net, bool *has_head)
{
    fmal_idx n = block_size(net);
    float *block = NULL;
    bool with_head = false;
    fmal_status st = fmal_agree(ctx, FMAL_ALLOC(&block, n));

    if (st == FMAL_OK && ctx->rank == 0)
        st = load_alone(path, head, net, block, &with_head);
    if ((st = fmal_agree_root(ctx, st)) == FMAL_OK) {
        fmal_bcast(ctx, &with_head, sizeof with_head, 0);
        fmal_bcast(ctx, block, (size_t) n * sizeof *block, 0);
        fill(net, block, with_head);
        *has_head = with_head;
    }
    fmal_free(&block);
    return st;
}

/* ---- Saving ---- */

fmal_status fmal_weights_check_name(const char *path)
{
    if (ends_in(path, ".safetensors") || ends_in(path, ".h5") || ends_in(path, ".hdf5"))
        return FMAL_OK;
    return FMAL_FAIL(FMAL_ERR_USAGE,
                     "%s: its name does not say in which format; let it end in "
                     ".safetensors or .h5",
                     path);
}

fmal_status fmal_weights_save(const fmal_ctx *ctx, const char *path, fmal_net *net,
                              const char *history)
{
    fmal_status st = FMAL_OK;

    FMAL_TRY(fmal_weights_check_name(path)); /* the same verdict everywhere */
    if (ctx->rank == 0)
        st = ends_in(path, ".safetensors") ? fmal_safetensors_save(path, net)
                                           : fmal_store_h5_save(path, net, history);
    return fmal_agree_root(ctx, st);
}
