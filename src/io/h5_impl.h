/* Shared by the HDF5 files of this module. */
#ifndef FMAL_H5_IMPL_H
#define FMAL_H5_IMPL_H

#include <hdf5.h>

#include "fmal/io.h"

struct fmal_h5 {
    hid_t file;
    char *path;
    bool parallel;
    fmal_ctx ctx;      /* if parallel; borrows the communicator */
    int *stream_error; /* if streamed into: the first errno, 0 if none; else NULL */
};

/* The innermost reason on HDF5's error stack, "" if it has none. */
const char *fmal_h5_reason(void);

/* The HDF5 type of an element in memory (not FMAL_STR). */
hid_t fmal_h5_memory_type(fmal_type type);

/* Bytes of an element in memory. */
size_t fmal_h5_type_bytes(fmal_type type);

/* Let an access list open files through the driver of h5stream.c, whose writes never
   fail; the first error is kept in *error, which has to outlive the file. */
bool fmal_h5_use_stream(hid_t list, int *error);

/* Failure of what was streamed so far, if any. */
fmal_status fmal_h5_streamed(const fmal_h5 *h);

#endif
