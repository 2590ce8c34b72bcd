/*
 * Rows that stay in their file.
 *
 * A pass asks for rows in ascending order and comes back to the first one in the next
 * pass, so a window of one block of samples is kept, and the system is told which
 * blocks come next while this one is worked on. A second pass over a file that fits in
 * memory finds it in the system's cache.
 *
 * The file may be cut or written to meanwhile, and HDF5 takes what is missing for
 * zeros. So before each read the file is looked at: it must have the size and the time
 * of its last change that it had when it was opened.
 */
#include "fmal/rows.h"
#include "fmal/mem.h"
#include "h5_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Blocks that are fetched ahead; bytes of chunks that are kept, where there are any. */
enum { AHEAD = 8, CHUNK_BYTES = 64 << 20 };

struct fmal_rows_file {
    fmal_h5 *h;
    char *name;
    fmal_h5_rows rows;
    fmal_part part;
    fmal_idx width;
    float *window;  /* [part.block, width] */
    fmal_idx block; /* of this rank, whose rows the window holds; -1: none */
    fmal_idx ahead; /* blocks before this one were asked for */
    haddr_t
        offset; /* of the numbers in the file; HADDR_UNDEF: in chunks, or converted */
    int fd;
    struct stat opened;
    fmal_phases *phases;
    fmal_status failed; /* of the first read that did, and what it said */
    char text[512];
};

static fmal_status changed(const fmal_rows_file *f, const char *how)
{
    return FMAL_FAIL(FMAL_ERR_IO,
                     "%s: cannot read %s: the file was %s while it was in "
                     "use; start again when it is whole",
                     fmal_h5_path(f->h), f->name, how);
}

static fmal_status check_unchanged(const fmal_rows_file *f)
{
    struct stat now;

    if (fstat(f->fd, &now) != 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read %s: %s", fmal_h5_path(f->h),
                         f->name, strerror(errno));
    if (now.st_size < f->opened.st_size)
        return changed(f, "cut short");
    if (now.st_size != f->opened.st_size ||
        now.st_mtim.tv_sec != f->opened.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != f->opened.st_mtim.tv_nsec)
        return changed(f, "changed");
    return FMAL_OK;
}

static fmal_status check_finite(const fmal_rows_file *f, fmal_idx first_g,
                                fmal_idx count, const float *x)
{
    for (fmal_idx i = 0; i < count * f->width; i++)
        if (!isfinite(x[i]))
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: %s of sample %" PRId64 ", column %" PRId64
                             " is %s; every value must be finite",
                             fmal_h5_path(f->h), f->name, first_g + i / f->width,
                             i % f->width, isnan(x[i]) ? "NaN" : "infinite");
    return FMAL_OK;
}

/* Rows [first_g, first_g + count) of all. */
static fmal_status read_rows(fmal_rows_file *f, fmal_idx first_g, fmal_idx count,
                             float *to)
{
    double began = fmal_now();
    fmal_status st = check_unchanged(f);

    if (st == FMAL_OK)
        st = fmal_h5_rows_get(f->h, &f->rows, f->name, first_g, count, to);
    if (st == FMAL_OK)
        st = check_unchanged(f);
    if (st == FMAL_OK)
        st = check_finite(f, first_g, count, to);
    if (f->phases) {
        double seconds = fmal_now() - began;

        f->phases->seconds[FMAL_PHASE_READ] += seconds;
        f->phases->bytes[FMAL_PHASE_READ] +=
            (double) count * (double) f->rows.row_bytes;
        f->phases->began += seconds; /* so that the phase at hand does not count it */
    }
    return st;
}

/* Have the system fetch the blocks that follow, some at a time. */
static void fetch_ahead(fmal_rows_file *f, fmal_idx block)
{
    fmal_idx block_bytes = f->part.block * (fmal_idx) f->rows.row_bytes;
    fmal_idx end = block + 1 + AHEAD;

    if (f->offset == HADDR_UNDEF)
        return; /* the system notices that the file is read in order */
    if (f->ahead > end || f->ahead <= block)
        f->ahead = block + 1; /* a new pass, or a leap */
    if (f->ahead > block + AHEAD / 2)
        return;
    posix_fadvise(f->fd,
                  (off_t) f->offset + (f->part.first_block + f->ahead) * block_bytes,
                  (end - f->ahead) * block_bytes, POSIX_FADV_WILLNEED);
    f->ahead = end;
}

const float *fmal_rows_load(fmal_rows_file *f, fmal_idx il)
{
    fmal_idx block = il / f->part.block, first = block * f->part.block;

    if (block != f->block && f->failed == FMAL_OK) {
        fmal_idx count = fmal_part_block_rows(&f->part, block);

        fetch_ahead(f, block);
        f->failed = read_rows(f, f->part.first + first, count, f->window);
        f->block = block;
        if (f->failed != FMAL_OK) {
            snprintf(f->text, sizeof f->text, "%s", fmal_error_text());
            memset(f->window, 0,
                   sizeof *f->window * (size_t) f->part.block * (size_t) f->width);
        }
    }
    return f->window + (il - first) * f->width;
}

fmal_status fmal_rows_read(fmal_rows_file *f, fmal_idx index_g, float *row)
{
    return read_rows(f, index_g, 1, row);
}

fmal_status fmal_rows_status(const fmal_rows *rows)
{
    if (rows->all || rows->file->failed == FMAL_OK)
        return FMAL_OK;
    return FMAL_FAIL(rows->file->failed, "%s", rows->file->text);
}

fmal_status fmal_rows_checksum(const fmal_ctx *ctx, const fmal_part *part,
                               const fmal_rows *rows, char hex[33])
{
    size_t row_bytes = (size_t) rows->width * sizeof(float);
    char(*sums)[33] = NULL;
    fmal_status st =
        fmal_agree(ctx, fmal_alloc(&sums, part->block_count, sizeof *sums));

    for (fmal_idx b = 0; b < part->block_count && st == FMAL_OK; b++)
        fmal_checksum(fmal_rows_at(rows, b * part->block),
                      (size_t) fmal_part_block_rows(part, b) * row_bytes, sums[b]);
    if (st == FMAL_OK)
        st = fmal_agree(ctx, fmal_rows_status(rows));
    if (st == FMAL_OK)
        st = fmal_checksum_blocks(ctx, part, sums, hex);
    fmal_free(&sums);
    return st;
}

double fmal_rows_bytes(fmal_idx width)
{
    return (double) FMAL_BLOCK * (double) width * sizeof(float);
}

/* ---- Life ---- */

fmal_status fmal_rows_open(const char *path, const char *name, const fmal_part *part,
                           fmal_phases *phases, fmal_rows_file **out)
{
    fmal_rows_file *f = NULL;

    FMAL_TRY(FMAL_ALLOC(&f, 1));
    f->rows.set = -1;
    f->block = -1;
    f->part = *part;
    f->phases = phases;
    f->name = fmal_strdup(name);
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    fmal_status st = f->name ? FMAL_OK : FMAL_ERR_NOMEM;
    if (st == FMAL_OK && (f->fd < 0 || fstat(f->fd, &f->opened) != 0))
        st = FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    if (st == FMAL_OK)
        st = fmal_h5_open(path, &f->h);
    if (st == FMAL_OK)
        st = fmal_h5_rows_open(f->h, name, CHUNK_BYTES, &f->rows);
    if (st == FMAL_OK) {
        f->width = (fmal_idx) (f->rows.row_bytes / sizeof(float));
        f->offset = fmal_h5_rows_offset(&f->rows);
        st = FMAL_ALLOC(&f->window, part->block * f->width);
    }
    if (st != FMAL_OK)
        fmal_rows_close(&f);
    else
        *out = f;
    return st;
}

void fmal_rows_close(fmal_rows_file **f)
{
    if (!*f)
        return;
    fmal_h5_rows_close(&(*f)->rows);
    fmal_h5_close(&(*f)->h);
    if ((*f)->fd >= 0)
        close((*f)->fd);
    fmal_free(&(*f)->name);
    fmal_free(&(*f)->window);
    fmal_free(f);
}
