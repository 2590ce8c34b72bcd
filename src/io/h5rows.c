/* Rows of datasets, some at a time. */
#include "h5_impl.h"

#include <string.h>

static fmal_status job_open(fmal_h5 *h, const char *name, fmal_type type,
                            fmal_h5_rows *job)
{
    job->set = H5Dopen2(h->file, name, H5P_DEFAULT);
    if (job->set < 0)
        return fmal_h5_failed(h, "open", name);
    job->space = H5Dget_space(job->set);
    job->ndims = H5Sget_simple_extent_dims(job->space, job->dims, NULL);
    job->type = fmal_h5_memory_type(type);
    job->row_bytes = fmal_h5_type_bytes(type);
    for (int i = 1; i < job->ndims; i++)
        job->row_bytes *= job->dims[i];
    return FMAL_OK;
}

static void job_close(fmal_h5_rows *job)
{
    H5Sclose(job->space);
    H5Dclose(job->set);
}

void fmal_h5_rows_close(fmal_h5_rows *rows)
{
    if (rows->set >= 0)
        job_close(rows);
    rows->set = -1;
}

/* Select `count` rows from `first` in the file; returns the matching memory space. */
static hid_t select_rows(fmal_h5_rows *job, fmal_idx first, fmal_idx count)
{
    hsize_t start[H5S_MAX_RANK] = { 0 }, extent[H5S_MAX_RANK];

    memcpy(extent, job->dims, sizeof extent);
    start[0] = (hsize_t) first;
    extent[0] = (hsize_t) count;
    hid_t memory = H5Screate_simple(job->ndims, extent, NULL);
    if (count > 0) {
        H5Sselect_hyperslab(job->space, H5S_SELECT_SET, start, NULL, extent, NULL);
    } else {
        H5Sselect_none(job->space);
        H5Sselect_none(memory);
    }
    return memory;
}

/* Whether chunks are what HDF5 itself writes: no larger than the array, and of one size
 * where no filter changes it. 1.10 believes a damaged header that says otherwise, and
 * reads past the end of what it loaded. */
static bool chunks_fit(const fmal_h5_rows *job)
{
    hsize_t chunk[H5S_MAX_RANK], most[H5S_MAX_RANK];
    hid_t list = H5Dget_create_plist(job->set), type = H5Dget_type(job->set);
    hsize_t bytes = H5Tget_size(type);
    bool fit = true;

    if (H5Pget_layout(list) == H5D_CHUNKED) {
        int ndims = H5Pget_chunk(list, H5S_MAX_RANK, chunk);

        H5Sget_simple_extent_dims(job->space, NULL, most);
        for (int i = 0; i < ndims; i++) {
            fit = fit && i < job->ndims && chunk[i] <= most[i]; /* or unlimited */
            bytes *= chunk[i];
        }
        if (H5Pget_nfilters(list) == 0)
            fit = fit && bytes > 0 && H5Dget_storage_size(job->set) % bytes == 0;
    }
    H5Tclose(type);
    H5Pclose(list);
    return fit;
}

static fmal_status check_chunks(const fmal_h5 *h, const fmal_h5_rows *job,
                                const char *name)
{
    if (!chunks_fit(job))
        return FMAL_FAIL(FMAL_ERR_IO,
                         "%s: cannot read %s: its chunks are of a wrong size; the file "
                         "is damaged",
                         h->path, name);
    return FMAL_OK;
}

/* Room for all chunks that a row touches, so that each is unpacked once in a pass. */
static hid_t access_chunks(const fmal_h5_rows *rows, size_t most)
{
    hsize_t chunk[H5S_MAX_RANK];
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS), list = H5Dget_create_plist(rows->set);
    hid_t type = H5Dget_type(rows->set);

    if (H5Pget_layout(list) == H5D_CHUNKED) {
        int ndims = H5Pget_chunk(list, H5S_MAX_RANK, chunk);
        double bytes = (double) H5Tget_size(type) * (double) chunk[0];

        for (int i = 1; i < ndims; i++)
            bytes *= (double) ((rows->dims[i] + chunk[i] - 1) / chunk[i] * chunk[i]);
        if (bytes > 1 << 20) /* what HDF5 keeps anyway */
            H5Pset_chunk_cache(access, 521,
                               bytes < (double) most ? (size_t) bytes : most, 1);
    }
    H5Tclose(type);
    H5Pclose(list);
    return access;
}

fmal_status fmal_h5_rows_open(fmal_h5 *h, const char *name, size_t chunk_bytes,
                              fmal_h5_rows *rows)
{
    fmal_h5_rows job = { 0 };

    FMAL_TRY(job_open(h, name, FMAL_F32, &job));
    fmal_status st = check_chunks(h, &job, name);
    if (st == FMAL_OK) {
        hid_t access = access_chunks(&job, chunk_bytes);

        H5Dclose(job.set);
        job.set = H5Dopen2(h->file, name, access);
        H5Pclose(access);
        if (job.set < 0) {
            st = fmal_h5_failed(h, "open", name);
            H5Sclose(job.space);
        }
    } else {
        job_close(&job);
    }
    if (st == FMAL_OK)
        *rows = job;
    return st;
}

fmal_status fmal_h5_rows_get(fmal_h5 *h, fmal_h5_rows *rows, const char *name,
                             fmal_idx first, fmal_idx count, void *out)
{
    hid_t memory = select_rows(rows, first, count);
    fmal_status st = FMAL_OK;

    if (H5Dread(rows->set, rows->type, memory, rows->space, H5P_DEFAULT, out) < 0)
        st = fmal_h5_failed(h, "read", name);
    H5Sclose(memory);
    return st;
}

haddr_t fmal_h5_rows_offset(const fmal_h5_rows *rows)
{
    hid_t type = H5Dget_type(rows->set);
    bool same = H5Tget_size(type) == H5Tget_size(rows->type);

    H5Tclose(type);
    haddr_t at = same ? H5Dget_offset(rows->set) : HADDR_UNDEF;
    H5Eclear2(H5E_DEFAULT);
    return at;
}

fmal_status fmal_h5_read_rows(fmal_h5 *h, const char *name, fmal_type type,
                              fmal_idx first, fmal_idx count, void *out)
{
    enum { PIECE_BYTES = 256 << 20 };
    fmal_h5_rows job = { 0 };

    FMAL_TRY(job_open(h, name, type, &job)); /* same verdict everywhere: metadata */
    fmal_status st = check_chunks(h, &job, name);
    fmal_idx piece = (fmal_idx) (PIECE_BYTES / (job.row_bytes + 1)) + 1;
    for (fmal_idx at = 0; at < count && st == FMAL_OK; at += piece) {
        /* Each rank by itself: their rows are apart, so there is nothing to merge, and
           where one rank meets a damaged chunk, a collective read would leave the
           others waiting for it. */
        st = fmal_h5_rows_get(h, &job, name, first + at,
                              count - at < piece ? count - at : piece,
                              (char *) out + (size_t) at * job.row_bytes);
    }
    job_close(&job);
    return h->parallel ? fmal_agree(&h->ctx, st) : st;
}

fmal_status fmal_h5_write_rows(fmal_h5 *h, const char *name, fmal_type type,
                               fmal_idx first, fmal_idx count, const void *data)
{
    fmal_h5_rows job = { 0 };
    fmal_status st = FMAL_OK;

    FMAL_TRY(job_open(h, name, type, &job));
    hid_t memory = select_rows(&job, first, count);
    if (H5Dwrite(job.set, job.type, memory, job.space, H5P_DEFAULT, data) < 0)
        st = fmal_h5_failed(h, "write", name);
    H5Sclose(memory);
    job_close(&job);
    return st == FMAL_OK ? fmal_h5_streamed(h) : st;
}
