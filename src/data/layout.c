/* What a data set file may say. Nothing here trusts it: rank, type and extent of every
 * array are checked before anyone allocates for it. */
#include "data_impl.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A class name is a word or two; longer ones come from a damaged file. */
enum { MAX_NAME_BYTES = 1024 };

/* ---- Messages ---- */

/* "u8 [60000, 28, 28]" */
static void describe(const fmal_h5_info *info, char *text, size_t size)
{
    char type[32];
    int at = 0;

    if (!info->exists) {
        snprintf(text, size, "missing");
        return;
    }
    if (info->kind == FMAL_H5_INTEGER)
        snprintf(type, sizeof type, "%c%lld", info->is_signed ? 'i' : 'u',
                 8LL * info->bytes);
    else if (info->kind == FMAL_H5_FLOAT)
        snprintf(type, sizeof type, "f%lld", 8LL * info->bytes);
    else
        snprintf(type, sizeof type, "%s",
                 info->kind == FMAL_H5_STRING ? "text" : "another type");
    at = snprintf(text, size, "%s [", type);
    for (int i = 0; i < info->ndims && i < FMAL_MAX_DIMS; i++)
        at += snprintf(text + at, size - (size_t) at, "%s%" PRIu64, i ? ", " : "",
                       (uint64_t) info->dims[i]);
    snprintf(text + at, size - (size_t) at, "%s]",
             info->ndims > FMAL_MAX_DIMS ? ", ..." : "");
}

__attribute__((format(printf, 4, 5))) static fmal_status
refuse(const fmal_h5 *h, const char *name, const fmal_h5_info *info, const char *fmt,
       ...)
{
    char is[160], wanted[160];
    va_list ap;

    describe(info, is, sizeof is);
    va_start(ap, fmt);
    vsnprintf(wanted, sizeof wanted, fmt, ap);
    va_end(ap);
    return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s: %s; wanted %s", fmal_h5_path(h), name,
                     is, wanted);
}

/* Numbers of a usual size: HDF5 would take any, from a damaged header. */
static bool is_number(const fmal_h5_info *info, int kind)
{
    return info->exists && (int) info->kind == kind && info->bytes >= 1 &&
           info->bytes <= 16;
}

/* ---- Samples ---- */

const char *fmal_layout_rows(const fmal_layout *layout, const char *split,
                             char name[32])
{
    snprintf(name, 32, "/%s/%s", split, layout->has_images ? "images" : "features");
    return name;
}

static bool right_type(const fmal_layout *l, const fmal_h5_info *info)
{
    if (l->has_images)
        return is_number(info, FMAL_H5_INTEGER) && info->bytes == 1 &&
               !info->is_signed && info->ndims == 4;
    return is_number(info, FMAL_H5_FLOAT) && info->ndims == 2;
}

/* Take the shape of a sample from the training split. */
static fmal_status take_shape(const fmal_h5 *h, const char *name,
                              const fmal_h5_info *info, fmal_layout *l)
{
    int64_t inputs = 1;

    for (int i = 0; i < info->ndims; i++)
        if (info->dims[i] < 1)
            return refuse(h, name, info, "at least 1 in every dimension");
    if (l->has_images && info->dims[1] > FMAL_MAX_CHANNELS)
        return refuse(h, name, info, "1 to %d channels", FMAL_MAX_CHANNELS);
    for (int i = 0; i < 3; i++) {
        int64_t dim = i + 1 < info->ndims ? info->dims[i + 1] : 1;

        /* Row bytes are an int where MPI moves rows. */
        if (dim > INT_MAX / (int) sizeof(float) / inputs)
            return refuse(h, name, info, "samples of less than 2 GiB");
        inputs *= dim;
        l->shape[i] = (int) dim;
    }
    l->inputs = (int) inputs;
    l->row_bytes = (size_t) inputs * (l->has_images ? 1 : sizeof(float));
    return FMAL_OK;
}

static fmal_status check_labels(fmal_h5 *h, const char *split, fmal_idx n)
{
    char name[32];
    fmal_h5_info info;

    snprintf(name, sizeof name, "/%s/labels", split);
    fmal_h5_info_of(h, name, &info);
    if (!is_number(&info, FMAL_H5_INTEGER) || info.ndims != 1 || info.dims[0] != n)
        return refuse(h, name, &info, "i32 [%" PRId64 "], one for each sample", n);
    return FMAL_OK;
}

static fmal_status check_size(const fmal_h5 *h, const char *name,
                              const fmal_h5_info *info, const fmal_layout *l)
{
    if (info->dims[0] < 0 ||
        info->dims[0] > INT64_MAX / 4 / (fmal_idx) (l->row_bytes + sizeof(int32_t)))
        return refuse(h, name, info, "a size that fits in 64 bits");
    return FMAL_OK;
}

static fmal_status check_train(fmal_h5 *h, fmal_layout *l)
{
    fmal_h5_info images, features;
    char name[32];

    fmal_h5_info_of(h, "/train/images", &images);
    fmal_h5_info_of(h, "/train/features", &features);
    if (images.exists == features.exists)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: /train/images, /train/features: %s; wanted one of u8 [n, "
                         "channels, height, width] and f32 [n, d]",
                         fmal_h5_path(h), images.exists ? "both" : "missing");
    l->has_images = images.exists;
    const fmal_h5_info *info = l->has_images ? &images : &features;
    fmal_layout_rows(l, "train", name);
    if (!right_type(l, info))
        return refuse(h, name, info, "%s",
                      l->has_images ? "u8 [n, channels, height, width]" : "f32 [n, d]");
    FMAL_TRY(take_shape(h, name, info, l));
    FMAL_TRY(check_size(h, name, info, l));
    l->n_train = info->dims[0];
    return check_labels(h, "train", l->n_train);
}

/* No test split at all is legal. */
static fmal_status check_test(fmal_h5 *h, fmal_layout *l)
{
    fmal_h5_info info, labels, other;
    char name[32];

    fmal_h5_info_of(h, fmal_layout_rows(l, "test", name), &info);
    fmal_h5_info_of(h, "/test/labels", &labels);
    fmal_h5_info_of(h, l->has_images ? "/test/features" : "/test/images", &other);
    if (!info.exists && !labels.exists && !other.exists)
        return FMAL_OK;
    bool same = info.exists && right_type(l, &info);
    for (int i = 1; same && i < info.ndims; i++)
        same = info.dims[i] == l->shape[i - 1];
    if (!same && l->has_images)
        return refuse(h, name, &info, "u8 [n, %d, %d, %d] as in training", l->shape[0],
                      l->shape[1], l->shape[2]);
    if (!same)
        return refuse(h, name, &info, "f32 [n, %d] as in training", l->inputs);
    FMAL_TRY(check_size(h, name, &info, l));
    l->n_test = info.dims[0];
    return check_labels(h, "test", l->n_test);
}

/* Refuse now what would end in the middle of a long job, or of the node. */
static fmal_status check_memory(const fmal_h5 *h, const fmal_ctx *ctx,
                                const fmal_layout *l)
{
    double bytes = ((double) l->n_train + (double) l->n_test) *
                   (double) (l->row_bytes + sizeof(int32_t));
    double node = bytes * ctx->node_size / ctx->size;
    double available = fmal_mem_available();

    if (available > 0 && node > available)
        return FMAL_FAIL(FMAL_ERR_NOMEM,
                         "%s: needs %.1f GB on a node, %.1f GB are available; use more "
                         "nodes",
                         fmal_h5_path(h), node / 1e9, available / 1e9);
    return FMAL_OK;
}

/* ---- Classes ---- */

/* Length of the UTF-8 character at s if it is well formed and prints, else 0. */
static int character_bytes(const unsigned char *s)
{
    int n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (s[0] < 0x20 || s[0] == 0x7f || s[0] > 0xf4)
        return 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0; /* overlong, half of a pair, or past the last character */
    return n;
}

/* Names end up on terminals, in CSV and in JSON. */
static bool is_printable(const char *text)
{
    const unsigned char *s = (const unsigned char *) text;

    while (*s) {
        int n = character_bytes(s);

        if (n == 0)
            return false;
        s += n;
    }
    return true;
}

static fmal_status append_name(fmal_h5 *h, int class, fmal_bytes *all, size_t *used)
{
    char *name = NULL;
    fmal_status st = fmal_h5_read_text_at(h, "/classes", class, &name);

    if (st == FMAL_OK && (strlen(name) >= MAX_NAME_BYTES || !is_printable(name)))
        st = FMAL_FAIL(FMAL_ERR_FORMAT,
                       "%s: /classes: the name of class %d is too long or does not "
                       "print; wanted UTF-8 text of less than %d bytes",
                       fmal_h5_path(h), class, MAX_NAME_BYTES);
    size_t bytes = st == FMAL_OK ? strlen(name) + 1 : 0;
    if (st == FMAL_OK && (!all->data || *used + bytes > all->size)) {
        fmal_bytes larger = { NULL, 2 * all->size + MAX_NAME_BYTES };

        st = fmal_alloc(&larger.data, (fmal_idx) larger.size, 1);
        if (st == FMAL_OK) {
            if (all->data)
                memcpy(larger.data, all->data, *used);
            fmal_free(&all->data);
            *all = larger;
        }
    }
    if (st == FMAL_OK) {
        memcpy(all->data + *used, name, bytes);
        *used += bytes;
    }
    fmal_free(&name);
    return st;
}

static fmal_status read_classes(fmal_h5 *h, fmal_layout *l, char **names)
{
    fmal_h5_info info;
    fmal_bytes all = { NULL, 0 };
    fmal_status st = FMAL_OK;

    fmal_h5_info_of(h, "/classes", &info);
    if (!info.exists)
        return FMAL_OK;
    bool text =
        info.kind == FMAL_H5_STRING && info.bytes >= 1 && info.bytes <= MAX_NAME_BYTES;
    if ((!text && !is_number(&info, FMAL_H5_INTEGER)) || info.ndims != 1 ||
        info.dims[0] < 2 || info.dims[0] > FMAL_MAX_CLASSES)
        return refuse(h, "/classes", &info,
                      "the names of 2 to %d classes, each of less than %d bytes",
                      FMAL_MAX_CLASSES, MAX_NAME_BYTES);
    l->classes = (int) info.dims[0];
    for (int k = 0; k < l->classes && st == FMAL_OK; k++)
        st = append_name(h, k, &all, &l->name_bytes);
    if (st != FMAL_OK)
        fmal_free(&all.data);
    *names = (char *) all.data;
    return st;
}

/* ---- Normalisation ---- */

static fmal_status read_channels(fmal_h5 *h, const char *name, int channels,
                                 float absent, float *value)
{
    fmal_h5_info info;

    for (int k = 0; k < channels; k++)
        value[k] = absent;
    fmal_h5_info_of(h, name, &info);
    if (!info.exists)
        return FMAL_OK;
    if (!is_number(&info, FMAL_H5_FLOAT) || info.ndims != 1 || info.dims[0] != channels)
        return refuse(h, name, &info, "f32 [%d], one for each channel", channels);
    return fmal_h5_read(h, name, FMAL_F32, value);
}

static fmal_status read_normalisation(fmal_h5 *h, fmal_layout *l)
{
    const char *path = fmal_h5_path(h);

    if (!l->has_images)
        return FMAL_OK; /* features are used as they are */
    FMAL_TRY(read_channels(h, "/mean", l->shape[0], 0, l->mean));
    FMAL_TRY(read_channels(h, "/std", l->shape[0], 1, l->std));
    for (int k = 0; k < l->shape[0]; k++) {
        if (!isfinite(l->mean[k]))
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: /mean: %g for channel %d; wanted a finite number",
                             path, (double) l->mean[k], k);
        /* A pixel must stay finite after the division, too. */
        if (!(l->std[k] > 0) || !isfinite(l->std[k]) ||
            !isfinite((fabsf(l->mean[k]) + 1) / l->std[k]))
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: /std: %g for channel %d; wanted a positive number to "
                             "divide by",
                             path, (double) l->std[k], k);
    }
    return FMAL_OK;
}

/* ---- The whole ---- */

fmal_status fmal_layout_read(fmal_h5 *h, const fmal_ctx *ctx, fmal_layout *layout,
                             char **names)
{
    fmal_layout l;

    memset(&l, 0, sizeof l); /* it travels as bytes, padding and all */
    FMAL_TRY(check_train(h, &l));
    FMAL_TRY(check_test(h, &l));
    FMAL_TRY(check_memory(h, ctx, &l));
    FMAL_TRY(read_normalisation(h, &l));
    FMAL_TRY(read_classes(h, &l, names));
    memcpy(layout, &l, sizeof l);
    return FMAL_OK;
}

fmal_status fmal_layout_confirm(fmal_h5 *h, const fmal_layout *layout)
{
    fmal_layout now;

    memset(&now, 0, sizeof now);
    FMAL_TRY(check_train(h, &now));
    FMAL_TRY(check_test(h, &now));
    if (now.has_images != layout->has_images || now.n_train != layout->n_train ||
        now.n_test != layout->n_test ||
        memcmp(now.shape, layout->shape, sizeof now.shape) != 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: was replaced while it was opened",
                         fmal_h5_path(h));
    return FMAL_OK;
}
