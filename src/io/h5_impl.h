/* Shared by the HDF5 files of this module. */
#ifndef FMAL_H5_IMPL_H
#define FMAL_H5_IMPL_H

#include <hdf5.h>

#include "fmal/io.h"

struct fmal_h5 {
    hid_t file;
    char *path;
    bool parallel;
    fmal_ctx ctx; /* if parallel; borrows the communicator */
};

/* The innermost reason on HDF5's error stack, "" if it has none. */
const char *fmal_h5_reason(void);

/* The HDF5 type of an element in memory (not FMAL_STR). */
hid_t fmal_h5_memory_type(fmal_type type);

/* Bytes of an element in memory. */
size_t fmal_h5_type_bytes(fmal_type type);

#endif
