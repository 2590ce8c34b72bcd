#include "h5_impl.h"
#include "fmal/mem.h"

#include <stdio.h>
#include <string.h>

static fmal_status put(fmal_h5 *h, const char *object, const char *name, hid_t type,
                       const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t at = H5Oopen(h->file, object, H5P_DEFAULT);
    fmal_status st = FMAL_OK;

    if (at >= 0 && H5Aexists(at, name) > 0)
        H5Adelete(at, name);
    hid_t attr =
        at < 0 ? -1 : H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0 || H5Awrite(attr, type, value) < 0)
        st = FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write attribute %s of %s (%s)", h->path,
                       name, object, fmal_h5_reason());
    if (attr >= 0)
        H5Aclose(attr);
    if (at >= 0)
        H5Oclose(at);
    H5Sclose(space);
    return st;
}

fmal_status fmal_h5_attr_text(fmal_h5 *h, const char *object, const char *name,
                              const char *value)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, strlen(value) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    fmal_status st = put(h, object, name, type, value);
    H5Tclose(type);
    return st;
}

fmal_status fmal_h5_attr_i64(fmal_h5 *h, const char *object, const char *name,
                             int64_t value)
{
    return put(h, object, name, H5T_NATIVE_INT64, &value);
}

fmal_status fmal_h5_attr_f64(fmal_h5 *h, const char *object, const char *name,
                             double value)
{
    return put(h, object, name, H5T_NATIVE_DOUBLE, &value);
}

/* Open a scalar attribute of one of the two classes; -1 if there is none such. */
static hid_t open_scalar(fmal_h5 *h, const char *object, const char *name,
                         H5T_class_t a, H5T_class_t b)
{
    hid_t attr = -1;

    if (H5Aexists_by_name(h->file, object, name, H5P_DEFAULT) > 0)
        attr = H5Aopen_by_name(h->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0) {
        H5Eclear2(H5E_DEFAULT);
        return -1;
    }
    hid_t type = H5Aget_type(attr), space = H5Aget_space(attr);
    H5T_class_t class = H5Tget_class(type);
    bool fits = (class == a || class == b) && H5Sget_simple_extent_npoints(space) == 1;
    H5Tclose(type);
    H5Sclose(space);
    if (!fits) {
        H5Aclose(attr);
        return -1;
    }
    return attr;
}

bool fmal_h5_has_attr(fmal_h5 *h, const char *object, const char *name)
{
    return H5Aexists_by_name(h->file, object, name, H5P_DEFAULT) > 0;
}

static fmal_status absent(fmal_h5 *h, const char *object, const char *name)
{
    return FMAL_FAIL(FMAL_ERR_FORMAT,
                     "%s: attribute %s of %s is missing or of a wrong "
                     "type",
                     h->path, name, object);
}

fmal_status fmal_h5_get_text(fmal_h5 *h, const char *object, const char *name,
                             char *value, size_t size)
{
    hid_t attr = open_scalar(h, object, name, H5T_STRING, H5T_STRING);

    if (attr < 0)
        return absent(h, object, name);
    hid_t type = H5Aget_type(attr);
    char *held = NULL; /* of HDF5 if the length is variable, else ours */
    bool variable = H5Tis_variable_str(type) > 0;
    fmal_status st = FMAL_OK;
    if (!variable)
        st = FMAL_ALLOC(&held, (fmal_idx) H5Tget_size(type) + 1);
    if (st == FMAL_OK && H5Aread(attr, type, variable ? (void *) &held : held) < 0)
        st = absent(h, object, name);
    if (st == FMAL_OK)
        snprintf(value, size, "%s", held ? held : "");
    if (variable)
        H5free_memory(held);
    else
        fmal_free(&held);
    H5Tclose(type);
    H5Aclose(attr);
    return st;
}

fmal_status fmal_h5_get_i64(fmal_h5 *h, const char *object, const char *name,
                            int64_t *value)
{
    hid_t attr = open_scalar(h, object, name, H5T_INTEGER, H5T_INTEGER);

    if (attr < 0)
        return absent(h, object, name);
    H5Aread(attr, H5T_NATIVE_INT64, value);
    H5Aclose(attr);
    return FMAL_OK;
}

fmal_status fmal_h5_get_f64(fmal_h5 *h, const char *object, const char *name,
                            double *value)
{
    hid_t attr = open_scalar(h, object, name, H5T_FLOAT, H5T_INTEGER);

    if (attr < 0)
        return absent(h, object, name);
    H5Aread(attr, H5T_NATIVE_DOUBLE, value);
    H5Aclose(attr);
    return FMAL_OK;
}
