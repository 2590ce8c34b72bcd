/* Weights as HDF5: one dataset a tensor, /weights/NAME. */
#include "weights_impl.h"
#include "fmal/mem.h"

#include <stdio.h>

static const char group[] = "/weights";

/* ---- Reading ---- */

static void dataset_name(const char *tensor, char name[FMAL_NAME_BYTES])
{
    snprintf(name, FMAL_NAME_BYTES, "%s/%s", group, tensor);
}

static fmal_status describe(const fmal_store *s, fmal_stored *t)
{
    fmal_h5_info info;
    char name[FMAL_NAME_BYTES], label[FMAL_LABEL_BYTES];

    dataset_name(t->name, name);
    fmal_h5_info_of(s->h, name, &info);
    if (!info.exists || info.ndims > FMAL_MAX_DIMS)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: %s/%s: is no dataset of at most %d dimensions; wanted "
                         "one for each tensor",
                         s->path, group, fmal_name_label(t->name, label),
                         FMAL_MAX_DIMS);
    t->ndims = info.ndims;
    t->count = 1;
    for (int i = 0; i < info.ndims; i++) {
        t->dims[i] = info.dims[i];
        if (t->dims[i] < 0 || __builtin_mul_overflow(t->count, t->dims[i], &t->count))
            return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s/%s: has an impossible shape",
                             s->path, group, fmal_name_label(t->name, label));
    }
    t->type = info.kind == FMAL_H5_FLOAT && info.bytes == 2   ? FMAL_STORED_F16
              : info.kind == FMAL_H5_FLOAT && info.bytes == 4 ? FMAL_STORED_F32
              : info.kind == FMAL_H5_FLOAT && info.bytes == 8 ? FMAL_STORED_F64
                                                              : FMAL_STORED_OTHER;
    return FMAL_OK;
}

fmal_status fmal_store_h5_open(fmal_store *s)
{
    char **names = NULL;
    int n = 0;

    FMAL_TRY(fmal_h5_open(s->path, &s->h));
    FMAL_TRY(fmal_h5_list(s->h, group, FMAL_STORED_MOST, &names, &n));
    fmal_status st = FMAL_ALLOC(&s->tensor, n);
    for (int i = 0; i < n && st == FMAL_OK; i++) {
        s->tensor[s->n++].name = names[i]; /* taken */
        names[i] = NULL;
        st = describe(s, &s->tensor[i]);
    }
    for (int i = 0; i < n; i++)
        fmal_free(&names[i]);
    fmal_free(&names);
    return st;
}

fmal_status fmal_store_h5_read(const fmal_store *s, int i, float *out)
{
    char name[FMAL_NAME_BYTES];

    dataset_name(s->tensor[i].name, name);
    return s->tensor[i].count > 0 ? fmal_h5_read(s->h, name, FMAL_F32, out) : FMAL_OK;
}

/* ---- Writing ---- */

static fmal_status write_slot(fmal_h5 *h, fmal_net *net, const fmal_slot *slot)
{
    static const char *const labels[] = { "out", "in", "height", "width" };
    const fmal_tensor *t = slot->tensor;
    char name[FMAL_NAME_BYTES];
    fmal_h5_spec spec = { .name = name,
                          .type = FMAL_F32,
                          .ndims = t->ndims,
                          .long_name = slot->is_weight
                                           ? "parameter of the network"
                                           : "running statistic of the network" };

    dataset_name(t->name, name);
    for (int i = 0; i < t->ndims; i++) {
        spec.dims[i] = t->dims[i];
        spec.label[i] = labels[i];
    }
    return fmal_h5_write(h, &spec, fmal_slot_values(net, slot));
}

fmal_status fmal_store_h5_save(const char *path, fmal_net *net, const char *history)
{
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = fmal_h5_stamp(h, FMAL_WEIGHTS_SCHEMA, history);
    for (int i = 0; i < fmal_slots(net) && st == FMAL_OK; i++) {
        fmal_slot slot = fmal_slot_at(net, i);

        st = write_slot(h, net, &slot);
    }
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    return st;
}
