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

enum { TAG_GATHER = 1 };

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
