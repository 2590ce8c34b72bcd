/*
 * Rows kept block by block.
 *
 *     header   HEADER bytes of text: what this is, its key and its shape
 *     table    SUM bytes for each block of all ranks: the block's checksum, as text
 *     rows     from a whole number of pages on, one after the other
 *
 * Places follow from the shape alone, so that ranks write without knowing of each
 * other, and a start on other ranks finds its blocks. The checksum is written after the
 * rows, but nothing is synced: whatever a crash leaves of the two does not agree, and
 * the block is done again. Rows lie without gaps, so that a rank's share can be mapped
 * as the array that it is.
 */
#include "fmal/blocks.h"
#include "fmal/io.h"
#include "fmal/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 512, SUM = 32 };
static const char magic[] = "fmal blocks file\n";

struct fmal_blocks {
    int fd;
    char *path;
    fmal_part part;
    size_t row_bytes;
    off_t rows;       /* place of row 0 */
    char (*sums)[33]; /* [part.block_count] of blocks that were got or put */
    void *map;
    size_t map_bytes;
};

static fmal_status failed(const fmal_blocks *b, const char *what)
{
    return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot %s: %s", b->path, what, strerror(errno));
}

/* ---- Reading and writing at a place ---- */

static bool read_at(int fd, void *to, size_t bytes, off_t at)
{
    char *p = to;

    while (bytes > 0) {
        ssize_t n = pread(fd, p, bytes, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        at += n;
        bytes -= (size_t) n;
    }
    return true;
}

static bool write_at(int fd, const void *from, size_t bytes, off_t at)
{
    const char *p = from;

    while (bytes > 0) {
        ssize_t n = pwrite(fd, p, bytes, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        p += n;
        at += n;
        bytes -= (size_t) n;
    }
    return true;
}

/* ---- Places ---- */

static off_t page_bytes(void)
{
    return (off_t) sysconf(_SC_PAGESIZE);
}

static off_t sum_place(const fmal_blocks *b, fmal_idx block)
{
    return HEADER + (off_t) SUM * (b->part.first_block + block);
}

static off_t row_place(const fmal_blocks *b, fmal_idx row_g)
{
    return b->rows + (off_t) row_g * (off_t) b->row_bytes;
}

static off_t block_place(const fmal_blocks *b, fmal_idx block)
{
    return row_place(b, b->part.first + block * b->part.block);
}

static size_t block_bytes(const fmal_blocks *b, fmal_idx block)
{
    return (size_t) fmal_part_block_rows(&b->part, block) * b->row_bytes;
}

/* ---- Opening ---- */

/* A file of ours, or one whose first page a crash of the machine has left as zeros. */
static bool is_ours(int fd, char before[HEADER])
{
    static const char nothing[HEADER];

    return read_at(fd, before, HEADER, 0) &&
           (memcmp(before, magic, strlen(magic)) == 0 ||
            memcmp(before, nothing, HEADER) == 0);
}

/* Keep what is there if it has this header, else begin anew. Root only. */
static fmal_status prepare(const fmal_blocks *b, const char header[HEADER])
{
    char before[HEADER] = { 0 };
    struct stat about;
    fmal_status st = FMAL_OK;
    int fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

    if (fd < 0)
        return failed(b, "open");
    if (fstat(fd, &about) != 0)
        st = failed(b, "open");
    else if (about.st_size > 0 && !is_ours(fd, before))
        st = FMAL_FAIL(FMAL_ERR_EXISTS,
                       "%s: is another kind of file; move it away, or give another "
                       "name",
                       b->path);
    else if (memcmp(before, header, HEADER) != 0 &&
             (ftruncate(fd, 0) != 0 || !write_at(fd, header, HEADER, 0)))
        st = failed(b, "write");
    if (st == FMAL_OK && ftruncate(fd, row_place(b, b->part.n)) != 0)
        st = failed(b, "write"); /* what was cut off, or never written, is zeros */
    close(fd);
    return st;
}

static fmal_status open_mine(fmal_blocks *b)
{
    FMAL_TRY(fmal_alloc(&b->sums, b->part.block_count, sizeof *b->sums));
    b->fd = open(b->path, O_RDWR | O_CLOEXEC);
    return b->fd < 0 ? failed(b, "open") : FMAL_OK;
}

static fmal_status create(const char *path, const fmal_part *part, size_t row_bytes,
                          fmal_blocks **out)
{
    fmal_blocks *b = NULL;
    off_t page = page_bytes();

    FMAL_TRY(FMAL_ALLOC(&b, 1));
    *b = (fmal_blocks){ .fd = -1, .part = *part, .row_bytes = row_bytes };
    b->rows = (HEADER + (off_t) SUM * part->blocks + page - 1) / page * page;
    b->path = fmal_strdup(path);
    if (!b->path) {
        fmal_blocks_close(&b);
        return FMAL_ERR_NOMEM;
    }
    *out = b;
    return FMAL_OK;
}

fmal_status fmal_blocks_open(const fmal_ctx *ctx, const char *path, const char *key,
                             const fmal_part *part, size_t row_bytes, fmal_blocks **out)
{
    char header[HEADER] = { 0 };
    fmal_blocks *b = NULL;
    fmal_status st = fmal_agree(ctx, create(path, part, row_bytes, &b));

    snprintf(header, sizeof header,
             "%skey %s\nrows %" PRId64 "\nblock %d\nrow bytes %zu\n", magic, key,
             part->n, part->block, row_bytes);
    if (st == FMAL_OK)
        st = fmal_agree_root(ctx, ctx->rank == 0 ? prepare(b, header) : FMAL_OK);
    if (st == FMAL_OK)
        st = fmal_agree(ctx, open_mine(b));
    if (st == FMAL_OK)
        *out = b;
    else
        fmal_blocks_close(&b);
    return st;
}

/* Blocks with a checksum, of a file of n of them. */
static fmal_idx count_sums(int fd, fmal_idx n)
{
    char sum[SUM];
    fmal_idx done = 0;

    for (fmal_idx b = 0; b < n && read_at(fd, sum, SUM, HEADER + (off_t) SUM * b); b++)
        done += sum[0] != 0;
    return done;
}

bool fmal_blocks_count(const char *path, fmal_idx *done, fmal_idx *all)
{
    char header[HEADER + 1] = { 0 };
    fmal_idx rows = 0;
    int block = 0, fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool ours = read_at(fd, header, HEADER, 0) &&
                memcmp(header, magic, strlen(magic)) == 0 &&
                sscanf(header + strlen(magic), "key %*s\nrows %" SCNd64 "\nblock %d",
                       &rows, &block) == 2 &&
                rows >= 0 && block >= 1;
    if (ours) {
        *all = rows / block + (rows % block > 0);
        *done = count_sums(fd, *all);
    }
    close(fd);
    return ours;
}

void fmal_blocks_close(fmal_blocks **b)
{
    if (!*b)
        return;
    if ((*b)->map)
        munmap((*b)->map, (*b)->map_bytes);
    if ((*b)->fd >= 0)
        close((*b)->fd);
    fmal_free(&(*b)->path);
    fmal_free(&(*b)->sums);
    fmal_free(b);
}

/* ---- Blocks ---- */

bool fmal_blocks_get(fmal_blocks *b, fmal_idx block, void *rows)
{
    char wanted[SUM], *found = b->sums[block];

    if (!read_at(b->fd, wanted, SUM, sum_place(b, block)) || wanted[0] == 0)
        return false; /* never written: its rows need not be read */
    if (!read_at(b->fd, rows, block_bytes(b, block), block_place(b, block)))
        return false;
    fmal_checksum(rows, block_bytes(b, block), found);
    return memcmp(found, wanted, SUM) == 0;
}

fmal_status fmal_blocks_put(fmal_blocks *b, fmal_idx block, const void *rows)
{
    fmal_checksum(rows, block_bytes(b, block), b->sums[block]);
    if (!write_at(b->fd, rows, block_bytes(b, block), block_place(b, block)) ||
        !write_at(b->fd, b->sums[block], SUM, sum_place(b, block)))
        return failed(b, "write");
    return FMAL_OK;
}

/* Maps begin at pages: `skip` bytes before the first row of this rank. */
static fmal_status check_map(const fmal_blocks *b, const char *rows)
{
    char found[33];

    for (fmal_idx i = 0; i < b->part.block_count; i++) {
        fmal_checksum(rows, block_bytes(b, i), found);
        if (memcmp(found, b->sums[i], SUM) != 0)
            return FMAL_FAIL(FMAL_ERR_IO,
                             "%s: the rows from %" PRId64 " on are not what was "
                             "written; remove the file and start again",
                             b->path, b->part.first + i * b->part.block);
        rows += block_bytes(b, i);
    }
    return FMAL_OK;
}

fmal_status fmal_blocks_map(fmal_blocks *b, const void **rows)
{
    off_t at = row_place(b, b->part.first), skip = at % page_bytes();
    size_t bytes = (size_t) b->part.count * b->row_bytes;
    struct stat about;

    if (bytes == 0) {
        *rows = b->sums; /* no row, but no NULL either */
        return FMAL_OK;
    }
    if (fstat(b->fd, &about) != 0 || about.st_size < row_place(b, b->part.n))
        return FMAL_FAIL(FMAL_ERR_IO, "%s: was cut short while it was in use", b->path);
    b->map_bytes = bytes + (size_t) skip;
    void *map = mmap(NULL, b->map_bytes, PROT_READ, MAP_SHARED, b->fd, at - skip);
    if (map == MAP_FAILED)
        return failed(b, "map");
    b->map = map;
    FMAL_TRY(check_map(b, (const char *) map + skip));
    *rows = (const char *) map + skip;
    return FMAL_OK;
}
