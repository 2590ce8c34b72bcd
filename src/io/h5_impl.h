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

/* FMAL_ERR_IO: "PATH: cannot WHAT NAME", with HDF5's reason. */
fmal_status fmal_h5_failed(const fmal_h5 *h, const char *what, const char *name);

/* The HDF5 type of an element in memory (not FMAL_STR). */
hid_t fmal_h5_memory_type(fmal_type type);

/* Bytes of an element in memory. */
size_t fmal_h5_type_bytes(fmal_type type);

/* Let an access list open files through the driver of h5stream.c, whose writes never
   fail; the first error is kept in *error, which has to outlive the file. */
bool fmal_h5_use_stream(hid_t list, int *error);

/* A dataset whose rows are read or written. */
typedef struct fmal_h5_rows {
    hid_t set, space, type; /* type: in memory */
    hsize_t dims[H5S_MAX_RANK];
    int ndims;
    size_t row_bytes; /* in memory */
} fmal_h5_rows;

/* Open a dataset whose rows will be read as floats, a few at a time; up to chunk_bytes
   of chunks stay in memory. Closing is fine where set is -1. */
fmal_status fmal_h5_rows_open(fmal_h5 *h, const char *name, size_t chunk_bytes,
                              fmal_h5_rows *rows);
void fmal_h5_rows_close(fmal_h5_rows *rows);

/* Rows [first, first + count). */
fmal_status fmal_h5_rows_get(fmal_h5 *h, fmal_h5_rows *rows, const char *name,
                             fmal_idx first, fmal_idx count, void *out);

/* Where in the file the first row is, if rows lie there one after the other and as they
   are in memory; else HADDR_UNDEF. */
haddr_t fmal_h5_rows_offset(const fmal_h5_rows *rows);

/* Failure of what was streamed so far, if any. */
fmal_status fmal_h5_streamed(const fmal_h5 *h);

#endif
