#include "h5_impl.h"
#include "fmal/mem.h"
#include "fmal/point.h"
#include "fmal/version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* First block of a checked file; HDF5 looks for its own data at 0, 512, 1024, ... */
enum { HEAD_BYTES = 512 };
#define HEAD_FORMAT "fmal checked file\nbytes %zu\nxxh3-128 %s\n"

static herr_t keep_innermost(unsigned n, const H5E_error2_t *error, void *to)
{
    (void) n;
    /* Walking upward, the innermost error is the first. */
    if (!*(char *) to && error->desc)
        snprintf(to, 400, "%s", error->desc);
    return 0;
}

const char *fmal_h5_reason(void)
{
    static char text[400];

    text[0] = 0;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, text);
    H5Eclear2(H5E_DEFAULT);
    return text;
}

static fmal_status handle_create(hid_t file, const char *path, fmal_h5 **out)
{
    fmal_h5 *h = NULL;
    fmal_status st = FMAL_ALLOC(&h, 1);

    if (st == FMAL_OK && !(h->path = fmal_strdup(path)))
        st = FMAL_ERR_NOMEM;
    if (st != FMAL_OK) {
        fmal_free(&h);
        H5Fclose(file);
        return st;
    }
    h->file = file;
    *out = h;
    return FMAL_OK;
}

/* Our own closing never leaves objects open; strong makes a forgotten one harmless. */
static hid_t access_list(void)
{
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);

    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
    return list;
}

static fmal_status cannot_open(const char *path, int error)
{
    const char *why = fmal_h5_reason();

    if (error == EAGAIN || error == EWOULDBLOCK || strstr(why, "unable to lock"))
        return FMAL_FAIL(FMAL_ERR_IO,
                         "%s: locked by another process (%s); wait for it, or set "
                         "HDF5_USE_FILE_LOCKING=FALSE on a file system without locks",
                         path, why);
    return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: not a readable HDF5 file (%s)", path, why);
}

fmal_status fmal_h5_open(const char *path, fmal_h5 **out)
{
    FILE *probe = fopen(path, "rb");

    if (!probe)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    int byte = fgetc(probe);
    int error = errno;
    bool is_directory = byte == EOF && ferror(probe);
    fclose(probe);
    if (is_directory)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path, strerror(error));

    hid_t list = access_list();
    errno = 0;
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, list);
    error = errno;
    /* Ask for the reason first: any other call empties HDF5's error stack. */
    fmal_status st = file < 0 ? cannot_open(path, error) : FMAL_OK;
    H5Pclose(list);
    return st == FMAL_OK ? handle_create(file, path, out) : st;
}

/* Whether this process sees the file that the root saw: a path on one node's own disk
   is not there on the others. */
static fmal_status can_read_here(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        int error = errno;
        char host[64] = "?";

        gethostname(host, sizeof host - 1);
        return FMAL_FAIL(
            FMAL_ERR_IO,
            "%s: cannot read on node %s: %s; put it where every node sees it", path,
            host, strerror(error));
    }
    close(fd);
    return FMAL_OK;
}

fmal_status fmal_h5_open_all(const fmal_ctx *ctx, const char *path, fmal_h5 **out)
{
    fmal_h5 *h = NULL;
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0)
        st = fmal_h5_open(path, &h);
    fmal_h5_close(&h);
    if ((st = fmal_agree_root(ctx, st)) != FMAL_OK)
        return st;
    /* MPI-IO waits for ever where one rank cannot open what the others can. */
    if ((st = fmal_agree(ctx, can_read_here(path))) != FMAL_OK)
        return st;

    hid_t list = access_list();
    H5Pset_fapl_mpio(list, ctx->comm, MPI_INFO_NULL);
    H5Pset_all_coll_metadata_ops(list, 1);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, list);
    if (file < 0)
        st = cannot_open(path, 0);
    else
        st = handle_create(file, path, &h);
    H5Pclose(list);
    if ((st = fmal_agree(ctx, st)) != FMAL_OK)
        return st; /* h, if any, stays open: closing takes all ranks */
    h->parallel = true;
    h->ctx = *ctx;
    *out = h;
    return FMAL_OK;
}

static fmal_status cannot_create(const char *path, int error)
{
    if (error == EWOULDBLOCK)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: another process is writing it", path);
    return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot create: %s", path,
                     error ? strerror(error) : fmal_h5_reason());
}

fmal_status fmal_h5_create(const char *path, fmal_h5 **out)
{
    int *error = NULL;

    FMAL_TRY(FMAL_ALLOC(&error, 1));
    hid_t list = access_list();
    hid_t file = fmal_h5_use_stream(list, error)
                     ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, list)
                     : H5I_INVALID_HID;
    fmal_status st =
        file < 0 ? cannot_create(path, *error) : handle_create(file, path, out);
    H5Pclose(list);
    if (st == FMAL_OK)
        (*out)->stream_error = error;
    else
        fmal_free(&error);
    return st;
}

fmal_status fmal_h5_streamed(const fmal_h5 *h)
{
    if (!h->stream_error || *h->stream_error == 0)
        return FMAL_OK;
    return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write: %s", h->path,
                     strerror(*h->stream_error));
}

fmal_status fmal_h5_create_image(fmal_h5 **out)
{
    hid_t list = access_list();
    enum { GROW_BYTES = 1 << 20 };

    H5Pset_fapl_core(list, GROW_BYTES, 0); /* no backing store: memory only */
    hid_t file = H5Fcreate("fmal-image", H5F_ACC_TRUNC, H5P_DEFAULT, list);
    fmal_status st =
        file < 0 ? FMAL_FAIL(FMAL_ERR_NOMEM, "cannot build a file in memory (%s)",
                             fmal_h5_reason())
                 : handle_create(file, "(memory)", out);
    H5Pclose(list);
    return st;
}

fmal_status fmal_h5_save(fmal_h5 *h, const char *path, fmal_save how)
{
    size_t head = how == FMAL_SAVE_CHECKED ? HEAD_BYTES : 0;
    char *bytes = NULL, sum[33];
    fmal_status st;

    H5Fflush(h->file, H5F_SCOPE_GLOBAL);
    ssize_t size = H5Fget_file_image(h->file, NULL, 0);
    if (size < 0)
        return FMAL_FAIL(FMAL_ERR_NOMEM, "%s: cannot build the file (%s)", path,
                         fmal_h5_reason());
    FMAL_TRY(fmal_alloc(&bytes, (fmal_idx) head + size, 1));
    if (H5Fget_file_image(h->file, bytes + head, (size_t) size) < 0) {
        fmal_free(&bytes);
        return FMAL_FAIL(FMAL_ERR_NOMEM, "%s: cannot build the file (%s)", path,
                         fmal_h5_reason());
    }
    if (head > 0) {
        fmal_checksum(bytes + head, (size_t) size, sum);
        snprintf(bytes, head, HEAD_FORMAT, (size_t) size, sum);
    }
    st = fmal_file_replace(path, bytes, head + (size_t) size);
    fmal_free(&bytes);
    return st;
}

static fmal_status check_head(const char *path, const char *data, size_t bytes)
{
    char sum[33], want[HEAD_BYTES] = "";

    if (bytes < HEAD_BYTES || strncmp(data, HEAD_FORMAT, 18) != 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: does not begin as a checked fmal file",
                         path);
    fmal_checksum(data + HEAD_BYTES, bytes - HEAD_BYTES, sum);
    snprintf(want, sizeof want, HEAD_FORMAT, bytes - HEAD_BYTES, sum);
    if (memcmp(data, want, HEAD_BYTES) != 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: size or checksum is not what its first block says: the "
                         "file is damaged",
                         path);
    return FMAL_OK;
}

bool fmal_h5_is_checked(const char *path)
{
    char head[18] = "";
    FILE *f = fopen(path, "rb");

    if (!f)
        return false;
    bool whole = fread(head, 1, sizeof head, f) == sizeof head;
    fclose(f);
    return whole && strncmp(head, HEAD_FORMAT, sizeof head) == 0;
}

fmal_status fmal_h5_open_checked(const char *path, fmal_h5 **out)
{
    char *data = NULL;
    size_t bytes = 0;

    FMAL_TRY(fmal_file_read(path, (size_t) 1 << 40, &data, &bytes));
    fmal_status st = check_head(path, data, bytes);
    fmal_free(&data);
    FMAL_TRY(st);
    return fmal_h5_open(path, out);
}

/* Open a file whose bytes are in memory. HDF5 copies them. */
static fmal_status open_bytes(const char *path, char *data, size_t bytes, fmal_h5 **out)
{
    hid_t list = access_list();
    char name[4200];

    /* HDF5 refuses to open bytes under the name of a file; below a file is none. */
    snprintf(name, sizeof name, "%s/image", path);
    H5Pset_fapl_core(list, 1 << 20, 0);
    H5Pset_file_image(list, data, bytes);
    hid_t file = H5Fopen(name, H5F_ACC_RDONLY, list);
    fmal_status st = file < 0 ? cannot_open(path, 0) : handle_create(file, path, out);
    H5Pclose(list);
    return st;
}

fmal_status fmal_h5_open_checked_all(const fmal_ctx *ctx, const char *path,
                                     fmal_h5 **out)
{
    char *data = NULL;
    size_t bytes = 0;
    fmal_h5 *h = NULL;
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0)
        st = fmal_file_read(path, (size_t) 1 << 40, &data, &bytes);
    if (ctx->rank == 0 && st == FMAL_OK)
        st = check_head(path, data, bytes);
    if ((st = fmal_agree_root(ctx, st)) != FMAL_OK)
        goto done;
    fmal_bcast(ctx, &bytes, sizeof bytes, 0);
    if (ctx->rank != 0)
        st = fmal_alloc(&data, (fmal_idx) bytes, 1);
    if ((st = fmal_agree(ctx, st)) != FMAL_OK)
        goto done;
    fmal_bcast(ctx, data, bytes, 0);
    st = open_bytes(path, data + HEAD_BYTES, bytes - HEAD_BYTES, &h);
    if ((st = fmal_agree(ctx, st)) == FMAL_OK)
        *out = h;
    else
        fmal_h5_close(&h);
done:
    fmal_free(&data);
    return st;
}

fmal_status fmal_h5_close(fmal_h5 **h)
{
    fmal_status st = FMAL_OK;

    if (!*h)
        return FMAL_OK;
    if (H5Fclose((*h)->file) < 0)
        st = FMAL_FAIL(FMAL_ERR_IO, "%s: cannot write (%s)", (*h)->path,
                       fmal_h5_reason());
    else
        st = fmal_h5_streamed(*h);
    fmal_free(&(*h)->stream_error);
    fmal_free(&(*h)->path);
    fmal_free(h);
    return st;
}

void fmal_h5_shutdown(void)
{
    H5close();
}

const char *fmal_h5_path(const fmal_h5 *h)
{
    return h->path;
}

void fmal_h5_version(char *text, size_t size)
{
    unsigned major, minor, release;

    H5get_libversion(&major, &minor, &release);
    snprintf(text, size, "%u.%u.%u", major, minor, release);
}

fmal_status fmal_h5_stamp(fmal_h5 *h, const char *schema, const char *history)
{
    char clipped[4096]; /* an attribute dies at 64 KiB, and a list of files may be long
                         */

    snprintf(clipped, sizeof clipped, "%s", history);
    FMAL_TRY(fmal_h5_attr_text(h, "/", "schema", schema));
    FMAL_TRY(fmal_h5_attr_text(h, "/", "version", "fmal " FMAL_VERSION));
    return fmal_h5_attr_text(h, "/", "history", clipped);
}
