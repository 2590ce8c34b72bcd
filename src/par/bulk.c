#include "fmal/par.h"
#include "fmal/mem.h"

#include <string.h>

/* Open MPI's shared-memory transport is three times faster in pieces of this size than
   in one long call, and every count stays an int. */
enum { PIECE = 4 << 20 };

void fmal_bcast(const fmal_ctx *ctx, void *data, size_t bytes, int root)
{
    char *p = data;

    if (ctx->size == 1)
        return;
    for (size_t at = 0; at < bytes; at += PIECE) {
        size_t n = bytes - at < PIECE ? bytes - at : PIECE;

        FMAL_MPI(MPI_Bcast(p + at, (int) n, MPI_BYTE, root, ctx->comm));
    }
}

static void reduce(const fmal_ctx *ctx, void *x, fmal_idx n, MPI_Datatype type,
                   MPI_Op op)
{
    char *p = x;
    enum { COUNT = PIECE / 8 };

    if (ctx->size == 1)
        return;
    for (fmal_idx at = 0; at < n; at += COUNT) {
        fmal_idx count = n - at < COUNT ? n - at : COUNT;

        FMAL_MPI(
            MPI_Allreduce(MPI_IN_PLACE, p + 8 * at, (int) count, type, op, ctx->comm));
    }
}

void fmal_sum_i64(const fmal_ctx *ctx, int64_t *x, fmal_idx n)
{
    reduce(ctx, x, n, MPI_INT64_T, MPI_SUM);
}

void fmal_sum_i64_to(const fmal_ctx *ctx, int64_t *x, fmal_idx n, int root)
{
    enum { COUNT = PIECE / sizeof *x };

    if (ctx->size == 1)
        return;
    for (fmal_idx at = 0; at < n; at += COUNT) {
        int count = (int) (n - at < COUNT ? n - at : COUNT);

        if (ctx->rank == root)
            FMAL_MPI(MPI_Reduce(MPI_IN_PLACE, x + at, count, MPI_INT64_T, MPI_SUM, root,
                                ctx->comm));
        else
            FMAL_MPI(
                MPI_Reduce(x + at, NULL, count, MPI_INT64_T, MPI_SUM, root, ctx->comm));
    }
}

enum { TAG_GATHER = 1, TAG_PARTS };

/* Where the numbers of one rank lie in x [blocks, block width], and how many. */
static fmal_idx share_of(const fmal_part *part, fmal_idx width, int rank,
                         fmal_idx *first)
{
    if (rank >= part->size)
        return 0;
    fmal_part share = fmal_part_of(part->n, part->block, rank, part->size);
    *first = share.first_block * part->block * width;
    return share.block_count * part->block * width;
}

/* Send n numbers to one rank, and add the m that come from another, in pieces. */
static void send_and_add(const fmal_ctx *ctx, const int64_t *out, fmal_idx n, int to,
                         int64_t *in, fmal_idx m, int from, int64_t *room)
{
    for (fmal_idx at = 0; at < n || at < m; at += FMAL_SUM_ROOM) {
        fmal_idx n_out = n - at < FMAL_SUM_ROOM ? n - at : FMAL_SUM_ROOM;
        fmal_idx n_in = m - at < FMAL_SUM_ROOM ? m - at : FMAL_SUM_ROOM;

        FMAL_MPI(MPI_Sendrecv(n_out > 0 ? out + at : NULL, n_out > 0 ? (int) n_out : 0,
                              MPI_INT64_T, n_out > 0 ? to : MPI_PROC_NULL, TAG_PARTS,
                              room, n_in > 0 ? (int) n_in : 0, MPI_INT64_T,
                              n_in > 0 ? from : MPI_PROC_NULL, TAG_PARTS, ctx->comm,
                              MPI_STATUS_IGNORE));
        for (fmal_idx i = 0; i < n_in; i++)
            in[at + i] += room[i];
    }
}

void fmal_sum_i64_parts(const fmal_ctx *ctx, const fmal_part *part, fmal_idx width,
                        int64_t *x, int64_t *room)
{
    fmal_idx own = 0, theirs = 0;
    fmal_idx m = share_of(part, width, ctx->rank, &own);

    for (int step = 1; step < ctx->size; step++) {
        int to = (ctx->rank + step) % ctx->size;
        int from = (ctx->rank - step + ctx->size) % ctx->size;
        fmal_idx n = share_of(part, width, to, &theirs);

        send_and_add(ctx, x + theirs, n, to, x + own, m, from, room);
    }
}

void fmal_sum_f64(const fmal_ctx *ctx, double *x, fmal_idx n)
{
    reduce(ctx, x, n, MPI_DOUBLE, MPI_SUM);
}

void fmal_max_f64(const fmal_ctx *ctx, double *x, fmal_idx n)
{
    reduce(ctx, x, n, MPI_DOUBLE, MPI_MAX);
}

int64_t fmal_sum_one(const fmal_ctx *ctx, int64_t x)
{
    fmal_sum_i64(ctx, &x, 1);
    return x;
}

fmal_status fmal_gather(const fmal_ctx *ctx, const void *mine, size_t bytes, void *all,
                        size_t *total)
{
    fmal_status st = FMAL_OK;
    uint64_t my_bytes = bytes;
    uint64_t *each = NULL;
    char *joined = NULL;
    size_t sum = 0;

    if (ctx->rank == 0)
        st = FMAL_ALLOC(&each, ctx->size);
    if ((st = fmal_agree_root(ctx, st)) != FMAL_OK)
        return st;
    FMAL_MPI(
        MPI_Gather(&my_bytes, 1, MPI_UINT64_T, each, 1, MPI_UINT64_T, 0, ctx->comm));
    for (int r = 0; ctx->rank == 0 && r < ctx->size; r++)
        sum += each[r];
    if (ctx->rank == 0)
        st = FMAL_ALLOC(&joined, (fmal_idx) sum);
    if ((st = fmal_agree_root(ctx, st)) != FMAL_OK)
        goto done;

    const char *from = mine;
    if (ctx->rank != 0) {
        for (size_t at = 0; at < bytes; at += PIECE)
            FMAL_MPI(MPI_Send(from + at,
                              (int) (bytes - at < PIECE ? bytes - at : PIECE), MPI_BYTE,
                              0, TAG_GATHER, ctx->comm));
    } else {
        size_t to = bytes;

        if (bytes > 0)
            memcpy(joined, mine, bytes);
        for (int r = 1; r < ctx->size; r++)
            for (size_t at = 0; at < each[r]; at += PIECE) {
                size_t n = each[r] - at < PIECE ? each[r] - at : PIECE;

                FMAL_MPI(MPI_Recv(joined + to, (int) n, MPI_BYTE, r, TAG_GATHER,
                                  ctx->comm, MPI_STATUS_IGNORE));
                to += n;
            }
    }
    memcpy(all, &joined, sizeof joined);
    *total = sum;
done:
    fmal_free(&each);
    return st;
}
