#include "h5_impl.h"
#include "fmal/mem.h"

#include <hdf5_hl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hid_t fmal_h5_memory_type(fmal_type type)
{
    switch (type) {
    case FMAL_U8:
        return H5T_NATIVE_UINT8;
    case FMAL_I32:
        return H5T_NATIVE_INT32;
    case FMAL_I64:
        return H5T_NATIVE_INT64;
    case FMAL_F32:
        return H5T_NATIVE_FLOAT;
    default:
        return H5T_NATIVE_DOUBLE;
    }
}

size_t fmal_h5_type_bytes(fmal_type type)
{
    static const size_t bytes[] = { 1, 4, 8, 4, 8, sizeof(char *) };

    return bytes[type];
}

fmal_status fmal_h5_failed(const fmal_h5 *h, const char *what, const char *name)
{
    return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot %s %s (%s)", h->path, what, name,
                     fmal_h5_reason());
}

/* ---- Looking ---- */

/* H5Lexists wants every group on the way to exist. */
static bool path_exists(hid_t file, const char *name)
{
    char prefix[256];

    if (!*name)
        return false;
    for (const char *p = name + 1;; p++) {
        if (*p != '/' && *p != 0)
            continue;
        snprintf(prefix, sizeof prefix, "%.*s", (int) (p - name), name);
        if (H5Lexists(file, prefix, H5P_DEFAULT) <= 0)
            return false;
        if (*p == 0)
            return H5Oexists_by_name(file, name, H5P_DEFAULT) > 0;
    }
}

void fmal_h5_info_of(fmal_h5 *h, const char *name, fmal_h5_info *info)
{
    hsize_t dims[H5S_MAX_RANK];

    memset(info, 0, sizeof *info);
    if (!path_exists(h->file, name))
        return;
    hid_t set = H5Dopen2(h->file, name, H5P_DEFAULT);
    if (set < 0) {
        H5Eclear2(H5E_DEFAULT);
        return;
    }
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    info->exists = true;
    info->ndims = H5Sget_simple_extent_dims(space, dims, NULL);
    for (int i = 0; i < info->ndims && i < FMAL_MAX_DIMS; i++)
        info->dims[i] = (fmal_idx) dims[i];
    info->bytes = (int) H5Tget_size(type);
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        info->kind = FMAL_H5_INTEGER;
        info->is_signed = H5Tget_sign(type) == H5T_SGN_2;
        break;
    case H5T_FLOAT:
        info->kind = FMAL_H5_FLOAT;
        break;
    case H5T_STRING:
        info->kind = FMAL_H5_STRING;
        break;
    default:
        info->kind = FMAL_H5_OTHER;
    }
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
}

/* ---- Whole datasets ---- */

fmal_status fmal_h5_read(fmal_h5 *h, const char *name, fmal_type type, void *out)
{
    hid_t set = H5Dopen2(h->file, name, H5P_DEFAULT);
    fmal_status st = FMAL_OK;

    if (set < 0)
        return fmal_h5_failed(h, "open", name);
    if (H5Dread(set, fmal_h5_memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        st = fmal_h5_failed(h, "read", name);
    H5Dclose(set);
    return st;
}

/* ---- Text ---- */

/* One string element selected in `space`, fixed or variable length, to a fresh copy. */
static fmal_status read_string(fmal_h5 *h, const char *name, hid_t set, hid_t memory,
                               hid_t space, char **text)
{
    hid_t type = H5Dget_type(set);
    size_t size = H5Tget_size(type);
    fmal_status st = FMAL_OK;
    char *copy = NULL;

    if (H5Tis_variable_str(type) > 0) {
        char *held = NULL;

        if (H5Dread(set, type, memory, space, H5P_DEFAULT, &held) < 0)
            st = fmal_h5_failed(h, "read", name);
        else if (!(copy = fmal_strdup(held ? held : "")))
            st = FMAL_ERR_NOMEM;
        H5free_memory(held);
    } else {
        st = fmal_alloc(&copy, (fmal_idx) size + 1, 1);
        if (st == FMAL_OK && H5Dread(set, type, memory, space, H5P_DEFAULT, copy) < 0) {
            fmal_free(&copy);
            st = fmal_h5_failed(h, "read", name);
        }
    }
    H5Tclose(type);
    if (st == FMAL_OK)
        *text = copy;
    return st;
}

fmal_status fmal_h5_read_text(fmal_h5 *h, const char *name, char **text)
{
    fmal_h5_info info;

    fmal_h5_info_of(h, name, &info);
    if (!info.exists || info.kind != FMAL_H5_STRING || info.ndims != 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s is missing or no text", h->path,
                         name);
    hid_t set = H5Dopen2(h->file, name, H5P_DEFAULT);
    fmal_status st = read_string(h, name, set, H5S_ALL, H5S_ALL, text);
    H5Dclose(set);
    return st;
}

fmal_status fmal_h5_read_text_at(fmal_h5 *h, const char *name, fmal_idx at, char **text)
{
    fmal_h5_info info;
    hsize_t start = (hsize_t) at, one = 1;
    int64_t number = 0;
    char decimal[32];
    fmal_status st = FMAL_OK;

    fmal_h5_info_of(h, name, &info);
    if (!info.exists || info.ndims != 1)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s is missing or no list", h->path,
                         name);
    hid_t set = H5Dopen2(h->file, name, H5P_DEFAULT);
    hid_t space = H5Dget_space(set), memory = H5Screate_simple(1, &one, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &one, NULL);
    if (info.kind == FMAL_H5_STRING) {
        st = read_string(h, name, set, memory, space, text);
    } else if (H5Dread(set, H5T_NATIVE_INT64, memory, space, H5P_DEFAULT, &number) <
               0) {
        st = fmal_h5_failed(h, "read", name);
    } else {
        snprintf(decimal, sizeof decimal, "%" PRId64, number);
        *text = fmal_strdup(decimal);
        st = *text ? FMAL_OK : FMAL_ERR_NOMEM;
    }
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(set);
    return st;
}

/* ---- Writing ---- */

static hid_t string_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, bytes);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static hid_t file_type(fmal_type type)
{
    switch (type) {
    case FMAL_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case FMAL_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case FMAL_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case FMAL_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    case FMAL_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    default:
        return string_type(H5T_VARIABLE);
    }
}

static hid_t creation_list(const fmal_h5_spec *spec)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[FMAL_MAX_DIMS] = { 0 };

    /* No times in the file: the same content is the same bytes. */
    H5Pset_obj_track_times(list, 0);
    if (!spec->compress || spec->ndims == 0)
        return list;
    for (int i = 0; i < spec->ndims; i++) {
        chunk[i] = (hsize_t) spec->dims[i];
        if (chunk[i] == 0)
            return list; /* nothing to compress, and no chunk may be empty */
    }
    if (chunk[0] > FMAL_BLOCK)
        chunk[0] = FMAL_BLOCK; /* a rank's share is then whole chunks */
    H5Pset_chunk(list, spec->ndims, chunk);
    H5Pset_shuffle(list);
    H5Pset_deflate(list, 4);
    return list;
}

static fmal_status label(fmal_h5 *h, const fmal_h5_spec *spec, hid_t set)
{
    for (int i = 0; i < spec->ndims; i++)
        if (spec->label[i] && H5DSset_label(set, (unsigned) i, spec->label[i]) < 0)
            return fmal_h5_failed(h, "label", spec->name);
    if (spec->long_name)
        FMAL_TRY(fmal_h5_attr_text(h, spec->name, "long_name", spec->long_name));
    if (spec->units)
        FMAL_TRY(fmal_h5_attr_text(h, spec->name, "units", spec->units));
    return FMAL_OK;
}

static fmal_status create(fmal_h5 *h, const fmal_h5_spec *spec, hid_t type)
{
    hsize_t dims[FMAL_MAX_DIMS];
    hid_t links = H5Pcreate(H5P_LINK_CREATE), list = creation_list(spec);
    fmal_status st;

    for (int i = 0; i < spec->ndims; i++)
        dims[i] = (hsize_t) spec->dims[i];
    hid_t space =
        spec->ndims ? H5Screate_simple(spec->ndims, dims, NULL) : H5Screate(H5S_SCALAR);
    H5Pset_create_intermediate_group(links, 1);
    hid_t set = H5Dcreate2(h->file, spec->name, type, space, links, list, H5P_DEFAULT);
    st = set < 0 ? fmal_h5_failed(h, "create", spec->name) : label(h, spec, set);
    if (set >= 0)
        H5Dclose(set);
    H5Sclose(space);
    H5Pclose(list);
    H5Pclose(links);
    return st;
}

fmal_status fmal_h5_create_rows(fmal_h5 *h, const fmal_h5_spec *spec)
{
    hid_t type = file_type(spec->type);
    fmal_status st = create(h, spec, type);

    H5Tclose(type);
    return st;
}

static fmal_idx element_count(const fmal_h5_spec *spec)
{
    fmal_idx n = 1;

    for (int i = 0; i < spec->ndims; i++)
        n *= spec->dims[i];
    return n;
}

/* Fill a dataset with data of a type in memory. */
static fmal_status fill(fmal_h5 *h, const fmal_h5_spec *spec, hid_t type,
                        const void *data)
{
    fmal_status st = FMAL_OK;

    if (element_count(spec) == 0)
        return FMAL_OK;
    hid_t set = H5Dopen2(h->file, spec->name, H5P_DEFAULT);
    if (set < 0)
        return fmal_h5_failed(h, "open", spec->name);
    if (H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        st = fmal_h5_failed(h, "write", spec->name);
    H5Dclose(set);
    return st;
}

/* Strings are stored at the length of the longest. HDF5 1.10 keeps strings of variable
 * length in a heap that it reads without checks: one damaged byte there, and opening
 * the file crashes or never ends. */
static fmal_status write_strings(fmal_h5 *h, const fmal_h5_spec *spec,
                                 const char *const *text)
{
    fmal_idx n = element_count(spec);
    size_t bytes = 1;
    char *packed = NULL;

    for (fmal_idx i = 0; i < n; i++)
        if (strlen(text[i]) >= bytes)
            bytes = strlen(text[i]) + 1;
    FMAL_TRY(fmal_alloc(&packed, n, bytes));
    for (fmal_idx i = 0; i < n; i++)
        memcpy(packed + (size_t) i * bytes, text[i], strlen(text[i]));
    hid_t type = string_type(bytes);
    fmal_status st = create(h, spec, type);
    if (st == FMAL_OK)
        st = fill(h, spec, type, packed);
    H5Tclose(type);
    fmal_free(&packed);
    return st;
}

fmal_status fmal_h5_write(fmal_h5 *h, const fmal_h5_spec *spec, const void *data)
{
    if (spec->type == FMAL_STR)
        return write_strings(h, spec, data);
    FMAL_TRY(fmal_h5_create_rows(h, spec));
    return fill(h, spec, fmal_h5_memory_type(spec->type), data);
}

fmal_status fmal_h5_write_list(fmal_h5 *h, const char *name, fmal_type type, fmal_idx n,
                               const char *label, const char *long_name,
                               const char *units, const void *data)
{
    fmal_h5_spec spec = { .name = name,
                          .type = type,
                          .ndims = 1,
                          .dims = { n },
                          .label = { label },
                          .long_name = long_name,
                          .units = units };

    return fmal_h5_write(h, &spec, data);
}

fmal_status fmal_h5_write_text(fmal_h5 *h, const char *name, const char *text,
                               const char *long_name)
{
    return fmal_h5_write(
        h, &(fmal_h5_spec){ .name = name, .type = FMAL_STR, .long_name = long_name },
        &text);
}
