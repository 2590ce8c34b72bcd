/*
 * A pool file of any size from a little memory: ranks make chunks of samples, and the
 * root writes them in order.
 */
#include "fmal/pool.h"
#include "fmal/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 16 << 20, TAG = 1 };

typedef struct {
    const fmal_ctx *ctx;
    fmal_idx n;
    int d, c;
    uint64_t seed;
    fmal_idx rows;            /* of a chunk */
    float *features, *logits; /* [rows, d], [rows, c] */
    char temporary[4096];
    fmal_h5 *file; /* of the root */
} job;

static fmal_status create_rows(job *j, const char *name, int width, const char *label,
                               const char *long_name)
{
    return fmal_h5_create_rows(j->file, &(fmal_h5_spec){ .name = name,
                                                         .type = FMAL_F32,
                                                         .ndims = 2,
                                                         .dims = { j->n, width },
                                                         .label = { "samples", label },
                                                         .long_name = long_name });
}

static fmal_status write_labelled(job *j)
{
    fmal_idx count = fmal_pool_synth_labelled(j->n), *index = NULL;

    FMAL_TRY(FMAL_ALLOC(&index, count));
    for (fmal_idx i = 0; i < count; i++)
        index[i] = i;
    fmal_status st = fmal_h5_write(
        j->file,
        &(fmal_h5_spec){ .name = "/labelled",
                         .type = FMAL_I64,
                         .ndims = 1,
                         .dims = { count },
                         .label = { "labelled" },
                         .long_name = "indices of the samples that have labels" },
        index);
    fmal_free(&index);
    return st;
}

/* The root alone. */
static fmal_status file_begin(job *j, const char *path, const char *history)
{
    char about[8192]; /* an attribute has to be small */

    if (snprintf(j->temporary, sizeof j->temporary, "%s.new", path) >=
        (int) sizeof j->temporary) {
        j->temporary[0] = 0;
        return FMAL_FAIL(FMAL_ERR_ARG, "%.80s...: the name is too long", path);
    }
    fmal_status st = fmal_h5_create(j->temporary, &j->file);
    if (st != FMAL_OK) {
        j->temporary[0] = 0; /* not ours to remove: another process may write it */
        return st;
    }
    snprintf(about, sizeof about, "%s", history ? history : "");
    FMAL_TRY(
        create_rows(j, "/features", j->d, "features", "made-up input of a last layer"));
    FMAL_TRY(create_rows(j, "/logits", j->c, "classes",
                         "made-up logits: a random linear head of the features"));
    FMAL_TRY(write_labelled(j));
    FMAL_TRY(fmal_h5_attr_text(j->file, "/", "title", "made-up pool"));
    return fmal_h5_stamp(j->file, "fmal-pool-1", about);
}

static fmal_status write_chunk(job *j, fmal_idx first, fmal_idx count)
{
    FMAL_TRY(
        fmal_h5_write_rows(j->file, "/features", FMAL_F32, first, count, j->features));
    return fmal_h5_write_rows(j->file, "/logits", FMAL_F32, first, count, j->logits);
}

static fmal_idx chunk_count(const job *j, fmal_idx first)
{
    fmal_idx left = j->n - first;

    return left < 0 ? 0 : left < j->rows ? left : j->rows;
}

static void send_chunk(const job *j, fmal_idx count)
{
    FMAL_MPI(
        MPI_Send(j->features, (int) (count * j->d), MPI_FLOAT, 0, TAG, j->ctx->comm));
    FMAL_MPI(
        MPI_Send(j->logits, (int) (count * j->c), MPI_FLOAT, 0, TAG, j->ctx->comm));
}

static void receive_chunk(const job *j, int rank, fmal_idx count)
{
    FMAL_MPI(MPI_Recv(j->features, (int) (count * j->d), MPI_FLOAT, rank, TAG,
                      j->ctx->comm, MPI_STATUS_IGNORE));
    FMAL_MPI(MPI_Recv(j->logits, (int) (count * j->c), MPI_FLOAT, rank, TAG,
                      j->ctx->comm, MPI_STATUS_IGNORE));
}

/* One chunk of every rank, of samples from `first` on. All chunks travel, even if one
   could not be made or written. */
static fmal_status round_of_chunks(job *j, fmal_idx first)
{
    fmal_idx mine = first + j->ctx->rank * j->rows, count = chunk_count(j, mine);
    fmal_part part = { .n = j->n, .first = mine, .count = count };
    fmal_status st =
        fmal_pool_synth(&part, j->d, j->c, j->seed, j->features, j->logits);

    if (j->ctx->rank > 0 && count > 0)
        send_chunk(j, count);
    for (int rank = 0; rank < j->ctx->size && j->ctx->rank == 0; rank++) {
        fmal_idx at = first + rank * j->rows, got = chunk_count(j, at);

        if (rank > 0 && got > 0)
            receive_chunk(j, rank, got);
        if (got > 0 && st == FMAL_OK)
            st = write_chunk(j, at, got);
    }
    return fmal_agree(j->ctx, st);
}

/* Into place, or away; a file that is thrown away may fail to close: that is not the
   news. The root alone. */
static fmal_status file_end(job *j, const char *path, fmal_status st)
{
    char text[1024], place[256];

    if (st == FMAL_OK)
        st = fmal_h5_close(&j->file); /* and sync */
    if (st == FMAL_OK)
        return fmal_file_move(j->temporary, path);
    snprintf(text, sizeof text, "%s", fmal_error_text());
    snprintf(place, sizeof place, "%s", fmal_error_place());
    fmal_h5_close(&j->file);
    if (j->temporary[0])
        unlink(j->temporary);
    fmal_error_set(place, text);
    return st;
}

static fmal_status make_chunks(job *j)
{
    fmal_progress progress;
    fmal_status st = FMAL_OK;

    fmal_progress_begin(&progress, "generate", "samples", j->n, 0);
    for (fmal_idx first = 0; first < j->n && st == FMAL_OK;) {
        st = round_of_chunks(j, first);
        first += j->rows * j->ctx->size;
        fmal_progress_at(&progress, first < j->n ? first : j->n, NULL);
    }
    fmal_progress_end(&progress);
    return st;
}

fmal_status fmal_pool_generate(const fmal_ctx *ctx, const char *path, fmal_idx n, int d,
                               int c, uint64_t seed, const char *history)
{
    job j = { .ctx = ctx, .n = n, .d = d, .c = c, .seed = seed };

    j.rows = CHUNK_BYTES / (4 * ((fmal_idx) d + c));
    j.rows = j.rows < 1 ? 1 : j.rows > n ? n : j.rows;
    fmal_status st = FMAL_ALLOC(&j.features, j.rows * d);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&j.logits, j.rows * c);
    if (st == FMAL_OK && ctx->rank == 0)
        st = file_begin(&j, path, history);
    st = fmal_agree(ctx, st);
    if (st == FMAL_OK)
        st = make_chunks(&j);
    if (ctx->rank == 0)
        st = file_end(&j, path, st);
    fmal_free(&j.features);
    fmal_free(&j.logits);
    return fmal_agree_root(ctx, st);
}
