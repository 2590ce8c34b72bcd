/* A mask as a file: positions by tensor, so that it means something without fmal, and
   what it was made from. Files carry a checksum; what they say is checked all the same,
   since whoever made one can compute it. */
#include "fmal/mask.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Writing ---- */

static fmal_status write_mask(fmal_h5 *h, const fmal_mask *mask)
{
    FMAL_TRY(fmal_h5_write_list(h, "/mask/index", FMAL_I64, mask->count,
                                "masked parameter",
                                "positions in the block of all parameters, ascending",
                                "parameter", mask->index));
    if (mask->value)
        FMAL_TRY(fmal_h5_write_list(
            h, "/mask/value", FMAL_F64, mask->count, "masked parameter",
            "Fisher information of each, averaged over the samples", NULL,
            mask->value));
    if (!mask->samples)
        return FMAL_OK;
    return fmal_h5_write_list(h, "/samples/index", FMAL_I64, mask->n_samples, "sample",
                              "training samples that the information was averaged over",
                              "sample index", mask->samples);
}

static fmal_status write_tensors(fmal_h5 *h, const fmal_masked_tensor *list, int n)
{
    const char **name = NULL;
    fmal_idx *offset = NULL, *count = NULL, *masked = NULL;
    fmal_status st = FMAL_ALLOC(&name, n);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&offset, n);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&count, n);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&masked, n);
    for (int i = 0; i < n && st == FMAL_OK; i++) {
        name[i] = list[i].name;
        offset[i] = list[i].offset;
        count[i] = list[i].count;
        masked[i] = list[i].masked;
    }
    if (st == FMAL_OK)
        st = fmal_h5_write_list(h, "/tensor/name", FMAL_STR, n, "tensor",
                                "tensors by name", NULL, name);
    if (st == FMAL_OK)
        st = fmal_h5_write_list(h, "/tensor/offset", FMAL_I64, n, "tensor",
                                "position of each one's first element", "parameter",
                                offset);
    if (st == FMAL_OK)
        st = fmal_h5_write_list(h, "/tensor/count", FMAL_I64, n, "tensor",
                                "elements of each", "parameters", count);
    if (st == FMAL_OK)
        st = fmal_h5_write_list(h, "/tensor/masked", FMAL_I64, n, "tensor",
                                "elements of each that are masked", "parameters",
                                masked);
    fmal_free(&name);
    fmal_free(&offset);
    fmal_free(&count);
    fmal_free(&masked);
    return st;
}

static fmal_status write_origin(fmal_h5 *h, fmal_net *net, const fmal_mask_origin *o)
{
    char weights[33];

    fmal_net_checksum(net, weights);
    FMAL_TRY(fmal_h5_attr_text(h, "/", "network", o->arch));
    FMAL_TRY(fmal_h5_attr_text(h, "/", "method", o->method));
    FMAL_TRY(fmal_h5_attr_f64(h, "/", "fraction", o->fraction));
    FMAL_TRY(fmal_h5_write_text(h, "/configuration/resolved", o->options,
                                "every option with the value in force"));
    FMAL_TRY(fmal_h5_write_text(h, "/configuration/fixed", o->fixed,
                                "options that make the mask what it is"));
    FMAL_TRY(fmal_h5_write_text(h, "/input/path", o->data, "the data set"));
    FMAL_TRY(fmal_h5_write_text(h, "/input/checksum", o->data_checksum,
                                "XXH3-128 of its content, over blocks of samples"));
    FMAL_TRY(fmal_h5_write_text(h, "/weights/path", o->weights, "the weights"));
    return fmal_h5_write_text(h, "/weights/checksum", weights,
                              "XXH3-128 of parameters and running statistics");
}

fmal_status fmal_mask_save(const char *path, fmal_net *net, const fmal_mask *mask,
                           const fmal_mask_origin *origin)
{
    fmal_masked_tensor *tensors = NULL;
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_mask_tensors(net, mask, &tensors));
    fmal_status st = fmal_h5_create_image(&h);
    if (st == FMAL_OK)
        st = fmal_h5_stamp(h, FMAL_MASK_SCHEMA, origin->history);
    if (st == FMAL_OK)
        st = write_mask(h, mask);
    if (st == FMAL_OK)
        st = write_tensors(h, tensors, fmal_net_tensors(net));
    if (st == FMAL_OK)
        st = write_origin(h, net, origin);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_CHECKED);
    fmal_h5_close(&h);
    fmal_free(&tensors);
    return st;
}

/* ---- Reading ---- */

static fmal_status wrong(fmal_h5 *h, const char *what)
{
    return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s; make the mask again", fmal_h5_path(h),
                     what);
}

/* A list of 1 to `most` numbers, allocated. */
static fmal_status read_list(fmal_h5 *h, const char *name, fmal_type type,
                             fmal_idx most, fmal_idx *n, void *out)
{
    fmal_h5_info info;
    int64_t *data = NULL; /* or doubles: as wide */

    fmal_h5_info_of(h, name, &info);
    if (!info.exists || info.ndims != 1 || info.dims[0] < 1 || info.dims[0] > most ||
        info.kind != (type == FMAL_F64 ? FMAL_H5_FLOAT : FMAL_H5_INTEGER))
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: %s is no list of 1 to %" PRId64
                         " numbers; make the mask again",
                         fmal_h5_path(h), name, most);
    FMAL_TRY(FMAL_ALLOC(&data, info.dims[0]));
    fmal_status st = fmal_h5_read_rows(h, name, type, 0, info.dims[0], data);
    if (st != FMAL_OK) {
        fmal_free(&data);
        return st;
    }
    memcpy(out, &data, sizeof data);
    *n = info.dims[0];
    return FMAL_OK;
}

/* No list of the file has more numbers than the file has room for. */
static fmal_idx most_numbers(fmal_h5 *h)
{
    struct stat about;

    return stat(fmal_h5_path(h), &about) == 0 ? about.st_size / 8 : 0;
}

/* Letters and signs without blanks: what can be printed in a table. */
static bool is_word(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static fmal_status read_word(fmal_h5 *h, const char *name, char *out, size_t size)
{
    char text[64] = "";

    FMAL_TRY(fmal_h5_get_text(h, "/", name, text, sizeof text));
    if (!is_word(text) || strlen(text) >= size)
        return wrong(h, "the name of its network or method is damaged");
    memcpy(out, text, strlen(text) + 1);
    return FMAL_OK;
}

static fmal_status read_header(fmal_h5 *h, fmal_mask_record *r)
{
    char schema[64] = "";

    FMAL_TRY(fmal_h5_get_text(h, "/", "schema", schema, sizeof schema));
    if (strcmp(schema, FMAL_MASK_SCHEMA) != 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: is '%s', wanted '%s'", fmal_h5_path(h),
                         schema, FMAL_MASK_SCHEMA);
    FMAL_TRY(read_word(h, "network", r->arch, sizeof r->arch));
    FMAL_TRY(read_word(h, "method", r->method, sizeof r->method));
    FMAL_TRY(fmal_h5_get_f64(h, "/", "fraction", &r->fraction));
    if (!(r->fraction > 0 && r->fraction <= 1))
        return wrong(h, "its fraction is not in (0, 1]");
    for (int i = 0; fmal_mask_method_names[i]; i++)
        if (strcmp(r->method, fmal_mask_method_names[i]) == 0)
            return FMAL_OK;
    return wrong(h, "its method is unknown");
}

static fmal_status read_names(fmal_h5 *h, fmal_mask_record *r)
{
    fmal_h5_info info;

    fmal_h5_info_of(h, "/tensor/name", &info);
    if (!info.exists || info.kind != FMAL_H5_STRING || info.ndims != 1 ||
        info.dims[0] != r->n_tensors || info.bytes > (int) sizeof r->tensors[0].name)
        return wrong(h, "/tensor/name is no list of the tensors' names");
    for (int i = 0; i < r->n_tensors; i++) {
        char *name = NULL;

        FMAL_TRY(fmal_h5_read_text_at(h, "/tensor/name", i, &name));
        bool good = is_word(name) && strlen(name) < sizeof r->tensors[i].name;
        if (good)
            memcpy(r->tensors[i].name, name, strlen(name) + 1);
        fmal_free(&name);
        if (!good)
            return wrong(h, "a tensor's name is damaged");
    }
    return FMAL_OK;
}

/* Tensors follow one another without gaps. */
static fmal_status read_tensors(fmal_h5 *h, fmal_mask_record *r)
{
    const fmal_idx most = 4096, most_params = (fmal_idx) 1 << 48;
    fmal_idx *offset = NULL, *count = NULL, n = 0, n_counts = 0;
    fmal_status st = read_list(h, "/tensor/offset", FMAL_I64, most, &n, &offset);

    if (st == FMAL_OK)
        st = read_list(h, "/tensor/count", FMAL_I64, most, &n_counts, &count);
    if (st == FMAL_OK && n != n_counts)
        st = wrong(h, "/tensor/offset and /tensor/count differ in length");
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&r->tensors, n);
    r->n_tensors = (int) n;
    for (int i = 0; i < n && st == FMAL_OK; i++) {
        if (offset[i] != r->mask.size || count[i] < 1 ||
            count[i] > most_params - r->mask.size)
            st = wrong(h, "its tensors do not follow one another");
        r->tensors[i].offset = offset[i];
        r->tensors[i].count = count[i];
        r->mask.size += st == FMAL_OK ? count[i] : 0;
    }
    fmal_free(&offset);
    fmal_free(&count);
    return st == FMAL_OK ? read_names(h, r) : st;
}

/* Positions ascend, and are counted tensor by tensor; the last tensor has all. */
static fmal_status check_index(fmal_h5 *h, fmal_mask_record *r)
{
    const fmal_mask *mask = &r->mask;
    int at = 0;

    for (fmal_idx i = 0; i < mask->count; i++) {
        fmal_idx x = mask->index[i];

        if (x < 0 || x >= mask->size || (i > 0 && x <= mask->index[i - 1]))
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: /mask/index[%" PRId64 "] is %" PRId64
                             "; positions ascend, from 0 to %" PRId64
                             "; make the mask again",
                             fmal_h5_path(h), i, x, mask->size - 1);
        while (x >= r->tensors[at].offset + r->tensors[at].count)
            at++;
        r->tensors[at].masked++;
    }
    const fmal_masked_tensor *head = &r->tensors[r->n_tensors - 1];
    if (head->masked != head->count)
        return wrong(h, "the mask has not the whole head");
    return FMAL_OK;
}

static fmal_status read_values(fmal_h5 *h, fmal_mask_record *r)
{
    fmal_h5_info info;
    fmal_idx n = 0;

    fmal_h5_info_of(h, "/mask/value", &info);
    if (!info.exists)
        return FMAL_OK; /* a random mask */
    FMAL_TRY(read_list(h, "/mask/value", FMAL_F64, r->mask.count, &n, &r->mask.value));
    if (n != r->mask.count)
        return wrong(h, "/mask/value is not as long as /mask/index");
    for (fmal_idx i = 0; i < n; i++)
        if (!(isfinite(r->mask.value[i]) && r->mask.value[i] >= 0))
            return wrong(h, "a number of /mask/value is negative or not finite");
    return FMAL_OK;
}

static fmal_status read_samples(fmal_h5 *h, fmal_mask *mask)
{
    fmal_h5_info info;

    fmal_h5_info_of(h, "/samples/index", &info);
    if (!info.exists)
        return FMAL_OK;
    FMAL_TRY(read_list(h, "/samples/index", FMAL_I64, most_numbers(h), &mask->n_samples,
                       &mask->samples));
    for (fmal_idx i = 0; i < mask->n_samples; i++)
        if (mask->samples[i] < 0 || (i > 0 && mask->samples[i] <= mask->samples[i - 1]))
            return wrong(h, "/samples/index does not ascend");
    return FMAL_OK;
}

static fmal_status read_all(fmal_h5 *h, fmal_mask_record *r)
{
    FMAL_TRY(read_header(h, r));
    FMAL_TRY(read_tensors(h, r));
    fmal_idx most = most_numbers(h);
    FMAL_TRY(read_list(h, "/mask/index", FMAL_I64,
                       most < r->mask.size ? most : r->mask.size, &r->mask.count,
                       &r->mask.index));
    FMAL_TRY(check_index(h, r));
    r->mask.extra = r->mask.count - r->tensors[r->n_tensors - 1].count;
    FMAL_TRY(read_values(h, r));
    return read_samples(h, &r->mask);
}

fmal_status fmal_mask_read(fmal_h5 *h, fmal_mask_record *out)
{
    fmal_mask_record r = { 0 };
    fmal_status st = read_all(h, &r);

    if (st == FMAL_OK)
        *out = r;
    else
        fmal_mask_record_clear(&r);
    return st;
}

void fmal_mask_record_clear(fmal_mask_record *record)
{
    fmal_mask_clear(&record->mask);
    fmal_free(&record->tensors);
}

/* ---- For a network ---- */

static fmal_status check_net(const char *path, const fmal_mask_record *r,
                             const fmal_net *net)
{
    int n = fmal_net_tensors(net);

    for (int i = 0; i < n || i < r->n_tensors; i++) {
        const fmal_tensor *t = i < n ? fmal_net_tensor(net, i) : NULL;
        const fmal_masked_tensor *m = i < r->n_tensors ? &r->tensors[i] : NULL;

        if (!t || !m || strcmp(t->name, m->name) != 0 || t->count != m->count)
            return FMAL_FAIL(FMAL_ERR_MISMATCH,
                             "%s: is of another network: tensor %d is %s of %" PRId64
                             ", and %s of %" PRId64 " in the network at hand; make a "
                             "mask of this one",
                             path, i, m ? m->name : "none", m ? m->count : 0,
                             t ? t->name : "none", t ? t->count : 0);
    }
    return FMAL_OK;
}

/* The root's mask to all; the arrays that it has are known by its counts. */
static fmal_status share_mask(const fmal_ctx *ctx, fmal_mask *mask)
{
    bool has_values = mask->value != NULL;
    fmal_status st = FMAL_OK;

    fmal_bcast(ctx, &has_values, sizeof has_values, 0);
    fmal_mask all = *mask;
    fmal_bcast(ctx, &all, sizeof all, 0); /* its addresses mean nothing here */
    if (ctx->rank != 0) {
        *mask = (fmal_mask){ .size = all.size,
                             .count = all.count,
                             .extra = all.extra,
                             .n_samples = all.n_samples };
        st = FMAL_ALLOC(&mask->index, mask->count);
        if (st == FMAL_OK && has_values)
            st = FMAL_ALLOC(&mask->value, mask->count);
        if (st == FMAL_OK && mask->n_samples > 0)
            st = FMAL_ALLOC(&mask->samples, mask->n_samples);
    }
    FMAL_TRY(fmal_agree(ctx, st));
    fmal_bcast(ctx, mask->index, (size_t) mask->count * sizeof *mask->index, 0);
    if (has_values)
        fmal_bcast(ctx, mask->value, (size_t) mask->count * sizeof *mask->value, 0);
    fmal_bcast(ctx, mask->samples, (size_t) mask->n_samples * sizeof *mask->samples, 0);
    return FMAL_OK;
}

/* Root only. */
static fmal_status load_alone(const char *path, const fmal_net *net,
                              fmal_mask_record *r)
{
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_h5_open_checked(path, &h));
    fmal_status st = fmal_mask_read(h, r);
    if (st == FMAL_OK)
        st = check_net(path, r, net);
    fmal_h5_close(&h);
    return st;
}

fmal_status fmal_mask_load(const fmal_ctx *ctx, const char *path, const fmal_net *net,
                           fmal_mask *out)
{
    fmal_mask_record r = { 0 };
    fmal_status st =
        fmal_agree_root(ctx, ctx->rank == 0 ? load_alone(path, net, &r) : FMAL_OK);

    if (st == FMAL_OK)
        st = share_mask(ctx, &r.mask);
    if (st == FMAL_OK) {
        *out = r.mask;
        r.mask = (fmal_mask){ 0 };
    }
    fmal_mask_record_clear(&r);
    return st;
}
