/* A file driver under HDF5 that cannot fail to write.
 *
 * HDF5 1.10 does not survive a full disk: writes are buffered, most of them happen in
 * H5Fclose, and when one fails the file stays half open and the library crashes at its
 * next attempt to flush it, at the latest at exit. Reserving space beforehand would
 * leave quotas, file size limits, and errors of the device. So this driver keeps the
 * first error to itself, drops what is written after it, and lets HDF5 close a file
 * that it believes to be whole; the caller asks for the error and throws the file
 * away. */
#include "h5_impl.h"
#include "fmal/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the access list carries to the driver. */
typedef struct {
    int *error; /* the first errno, 0 if none */
} settings;

typedef struct {
    H5FD_t public; /* HDF5's part; has to be first */
    int fd;
    int *error;
    haddr_t eoa, eof;
} stream;

static void keep(stream *s, int error)
{
    if (*s->error == 0)
        *s->error = error ? error : EIO;
}

static int open_flags(unsigned flags)
{
    return ((flags & H5F_ACC_RDWR) ? O_RDWR : O_RDONLY) |
           ((flags & H5F_ACC_CREAT) ? O_CREAT : 0) |
           ((flags & H5F_ACC_EXCL) ? O_EXCL : 0);
}

static H5FD_t *stream_open(const char *name, unsigned flags, hid_t list,
                           haddr_t max_address)
{
    const settings *given = H5Pget_driver_info(list);
    stream *s = NULL;
    struct stat about;

    (void) max_address;
    int fd = open(name, open_flags(flags) | O_CLOEXEC, 0666);
    if (fd < 0) {
        *given->error = errno;
        return NULL;
    }
    /* Emptied only under the lock: two writers must not share a file. Where the file
       system knows no locks there is nothing to heed. */
    if ((flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) ||
        ((flags & H5F_ACC_TRUNC) && ftruncate(fd, 0) != 0) || fstat(fd, &about) != 0) {
        *given->error = errno;
        close(fd);
        return NULL;
    }
    if (FMAL_ALLOC(&s, 1) != FMAL_OK) {
        *given->error = ENOMEM;
        close(fd);
        return NULL;
    }
    *given->error = 0; /* HDF5 first tries to open without creating */
    s->fd = fd;
    s->error = given->error;
    s->eof = (haddr_t) about.st_size;
    return &s->public;
}

static herr_t stream_close(H5FD_t *file)
{
    stream *s = (stream *) file;

    if (*s->error == 0 && fsync(s->fd) != 0 && errno != EINVAL)
        keep(s, errno);
    if (close(s->fd) != 0)
        keep(s, errno);
    fmal_free(&s);
    return 0;
}

static herr_t stream_query(const H5FD_t *file, unsigned long *flags)
{
    (void) file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA |
             H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_AGGREGATE_SMALLDATA |
             H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t stream_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void) type;
    return ((const stream *) file)->eoa;
}

static herr_t stream_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address)
{
    (void) type;
    ((stream *) file)->eoa = address;
    return 0;
}

static haddr_t stream_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void) type;
    return ((const stream *) file)->eof;
}

/* What lies past the end, or was dropped, reads as zeros. */
static herr_t stream_read(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t address,
                          size_t bytes, void *to)
{
    stream *s = (stream *) file;
    char *at = to;

    (void) type;
    (void) list;
    while (bytes > 0) {
        ssize_t n = pread(s->fd, at, bytes, (off_t) address);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            keep(s, errno);
        if (n <= 0)
            break;
        at += n;
        address += (haddr_t) n;
        bytes -= (size_t) n;
    }
    memset(at, 0, bytes);
    return 0;
}

static herr_t stream_write(H5FD_t *file, H5FD_mem_t type, hid_t list, haddr_t address,
                           size_t bytes, const void *from)
{
    stream *s = (stream *) file;
    const char *at = from;

    (void) type;
    (void) list;
    if (s->eof < address + bytes)
        s->eof = address + bytes;
    while (bytes > 0 && *s->error == 0) {
        ssize_t n = pwrite(s->fd, at, bytes, (off_t) address);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            keep(s, n < 0 ? errno : ENOSPC);
            break;
        }
        at += n;
        address += (haddr_t) n;
        bytes -= (size_t) n;
    }
    return 0;
}

static herr_t stream_truncate(H5FD_t *file, hid_t list, hbool_t closing)
{
    stream *s = (stream *) file;

    (void) list;
    (void) closing;
    if (s->eoa == s->eof)
        return 0;
    if (*s->error == 0 && ftruncate(s->fd, (off_t) s->eoa) != 0)
        keep(s, errno);
    s->eof = s->eoa;
    return 0;
}

static const H5FD_class_t driver_class = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t) 600, /* any above those that HDF5 keeps to itself */
#endif
    .name = "fmal-stream",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(settings),
    .open = stream_open,
    .close = stream_close,
    .query = stream_query,
    .get_eoa = stream_get_eoa,
    .set_eoa = stream_set_eoa,
    .get_eof = stream_get_eof,
    .read = stream_read,
    .write = stream_write,
    .truncate = stream_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

bool fmal_h5_use_stream(hid_t list, int *error)
{
    settings carried = { error };
    hid_t driver = H5FDregister(&driver_class);

    /* The list, and then the file, hold the driver; our own hold ends here. */
    bool ok = driver >= 0 && H5Pset_driver(list, driver, &carried) >= 0;
    if (driver >= 0)
        H5FDunregister(driver);
    return ok;
}
