/**
 * Whole datasets of files that tests make.
 */
#ifndef FMAL_WRITE_ARRAY_H
#define FMAL_WRITE_ARRAY_H

#include "fmal/io.h"

/** Write a dataset into a file in the making. */
static inline fmal_status write_array(fmal_h5 *h, const char *name, fmal_type type,
                                      int ndims, const fmal_idx *dims, const void *data)
{
    fmal_h5_spec spec = {
        .name = name, .type = type, .ndims = ndims, .long_name = "for tests"
    };

    for (int i = 0; i < ndims; i++) {
        spec.dims[i] = dims[i];
        spec.label[i] = "dimension";
    }
    return fmal_h5_write(h, &spec, data);
}

#endif
