#include "fmal/par.h"
#include "fmal/mem.h"

#include <string.h>

/* Buffers of one exchange round. asked[r] of my wishes go to rank r; sent likewise. */
typedef struct {
    int *asked, *asked_at, *given, *given_at;
    fmal_idx *ask, *give;
    int *slot; /* where in `out` the i-th row that arrives belongs */
    char *arrived, *leaving;
} buffers;

static void buffers_clear(buffers *b)
{
    fmal_free(&b->asked);
    fmal_free(&b->asked_at);
    fmal_free(&b->given);
    fmal_free(&b->given_at);
    fmal_free(&b->ask);
    fmal_free(&b->give);
    fmal_free(&b->slot);
    fmal_free(&b->arrived);
    fmal_free(&b->leaving);
}

static fmal_status buffers_init(buffers *b, int size, fmal_idx n, size_t row_bytes)
{
    memset(b, 0, sizeof *b);
    FMAL_TRY(FMAL_ALLOC(&b->asked, size));
    FMAL_TRY(FMAL_ALLOC(&b->asked_at, size + 1));
    FMAL_TRY(FMAL_ALLOC(&b->given, size));
    FMAL_TRY(FMAL_ALLOC(&b->given_at, size + 1));
    FMAL_TRY(FMAL_ALLOC(&b->ask, n));
    FMAL_TRY(FMAL_ALLOC(&b->slot, n));
    return fmal_alloc(&b->arrived, n, row_bytes);
}

static void running_sum(const int *count, int *at, int size)
{
    at[0] = 0;
    for (int r = 0; r < size; r++)
        at[r + 1] = at[r] + count[r];
}

/* Sort this round's wishes by owner, and tell every owner what is asked of it. */
static fmal_status exchange_wishes(const fmal_ctx *ctx, const fmal_part *part,
                                   const fmal_idx *want, int n, size_t row_bytes,
                                   buffers *b)
{
    fmal_status st;

    memset(b->asked, 0, (size_t) ctx->size * sizeof(int));
    for (int i = 0; i < n; i++)
        b->asked[fmal_part_owner(part, want[i])]++;
    running_sum(b->asked, b->asked_at, ctx->size);
    for (int i = 0; i < n; i++) {
        int at = b->asked_at[fmal_part_owner(part, want[i])]++;

        b->ask[at] = want[i];
        b->slot[at] = i;
    }
    running_sum(b->asked, b->asked_at, ctx->size);

    FMAL_MPI(MPI_Alltoall(b->asked, 1, MPI_INT, b->given, 1, MPI_INT, ctx->comm));
    running_sum(b->given, b->given_at, ctx->size);
    fmal_free(&b->give);
    fmal_free(&b->leaving);
    st = FMAL_ALLOC(&b->give, b->given_at[ctx->size]);
    if (st == FMAL_OK)
        st = fmal_alloc(&b->leaving, b->given_at[ctx->size], row_bytes);
    if ((st = fmal_agree(ctx, st)) != FMAL_OK)
        return st;
    FMAL_MPI(MPI_Alltoallv(b->ask, b->asked, b->asked_at, MPI_INT64_T, b->give,
                           b->given, b->given_at, MPI_INT64_T, ctx->comm));
    return FMAL_OK;
}

/* Fetch at most one round's worth of rows. */
static fmal_status fetch_round(const fmal_ctx *ctx, const fmal_part *part,
                               const char *rows, size_t row_bytes, MPI_Datatype row,
                               const fmal_idx *want, int n, char *out, buffers *b)
{
    FMAL_TRY(exchange_wishes(ctx, part, want, n, row_bytes, b));
    for (int i = 0; i < b->given_at[ctx->size]; i++)
        memcpy(b->leaving + (size_t) i * row_bytes,
               rows + (size_t) (b->give[i] - part->first) * row_bytes, row_bytes);
    FMAL_MPI(MPI_Alltoallv(b->leaving, b->given, b->given_at, row, b->arrived, b->asked,
                           b->asked_at, row, ctx->comm));
    for (int i = 0; i < n; i++)
        memcpy(out + (size_t) b->slot[i] * row_bytes,
               b->arrived + (size_t) i * row_bytes, row_bytes);
    return FMAL_OK;
}

fmal_status fmal_fetch_rows(const fmal_ctx *ctx, const fmal_part *part,
                            const void *rows, size_t row_bytes, const fmal_idx *want,
                            fmal_idx n_want, void *out)
{
    fmal_idx round_rows = (fmal_idx) (((size_t) 64 << 20) / (row_bytes + 1)) + 1;
    double rounds = (double) ((n_want + round_rows - 1) / round_rows);
    MPI_Datatype row;
    buffers b;
    fmal_status st;

    st = buffers_init(&b, ctx->size, round_rows < n_want ? round_rows : n_want,
                      row_bytes);
    if ((st = fmal_agree(ctx, st)) != FMAL_OK)
        goto done;
    FMAL_MPI(MPI_Type_contiguous((int) row_bytes, MPI_BYTE, &row));
    FMAL_MPI(MPI_Type_commit(&row));
    fmal_max_f64(ctx, &rounds, 1); /* the same number of rounds for everyone */
    for (fmal_idx r = 0; r < (fmal_idx) rounds && st == FMAL_OK; r++) {
        fmal_idx at = r * round_rows < n_want ? r * round_rows : n_want;
        fmal_idx n = n_want - at < round_rows ? n_want - at : round_rows;

        /* With nothing left to want, want and out may be NULL. */
        st = fetch_round(ctx, part, rows, row_bytes, row, n ? want + at : NULL, (int) n,
                         n ? (char *) out + (size_t) at * row_bytes : NULL, &b);
    }
    FMAL_MPI(MPI_Type_free(&row));
done:
    buffers_clear(&b);
    return st;
}
