/* What a machine can do, to set beside what we do. */
#include "harness.h"
#include "peak.h"
#include "fmal/la.h"
#include "fmal/mem.h"

#include <cblas.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ORDER = 1024, COUNT = 1 << 23, ROUNDS = 1 << 20, TAG = 1 };
enum { PIECE = 64 << 20 }; /* of a file that is read */

static fmal_status create_arrays(bench_limit *l, fmal_idx a, fmal_idx b, fmal_idx c)
{
    FMAL_TRY(FMAL_ALLOC(&l->a, a));
    FMAL_TRY(FMAL_ALLOC(&l->b, b));
    FMAL_TRY(FMAL_ALLOC(&l->c, c));
    /* Written before they are read: pages that never were are one page of zeros, which
       sits in the cache. */
    for (fmal_idx i = 0; i < a; i++)
        l->a[i] = 1 + (double) (i % 13);
    for (fmal_idx i = 0; i < b; i++)
        l->b[i] = 1 + (double) (i % 7);
    return FMAL_OK;
}

static void turn_to_floats(double *x, fmal_idx n)
{
    float *to = (float *) x;

    for (fmal_idx i = 0; i < n; i++)
        to[i] = (float) x[i];
}

static fmal_status open_here(bench_limit *l)
{
    const fmal_idx square = (fmal_idx) ORDER * ORDER;
    fmal_idx words = (fmal_idx) (l->bytes + 7) / 8;

    switch (l->kind) {
    case LIMIT_FMA_F32:
        l->amount = fmal_peak_here()->flops_f32 * ROUNDS;
        return FMAL_OK;
    case LIMIT_FMA_F64:
        l->amount = fmal_peak_here()->flops_f64 * ROUNDS;
        return FMAL_OK;
    case LIMIT_SGEMM:
        l->amount = 2.0 * ORDER * ORDER * ORDER;
        FMAL_TRY(create_arrays(l, square, square, square));
        turn_to_floats(l->a, square);
        turn_to_floats(l->b, square);
        return FMAL_OK;
    case LIMIT_DGEMM:
        l->amount = 2.0 * ORDER * ORDER * ORDER;
        return create_arrays(l, square, square, square);
    case LIMIT_TRIAD:
        l->amount = 3.0 * 8 * COUNT;
        return create_arrays(l, COUNT, COUNT, COUNT);
    case LIMIT_COPY:
        l->amount = 2.0 * 8 * COUNT;
        return create_arrays(l, COUNT, 0, COUNT);
    case LIMIT_EXCHANGE:
    case LIMIT_SEND:
        l->amount = l->ctx->rank == 0 ? (double) l->bytes : 0;
        return create_arrays(l, words, 0, words);
    case LIMIT_READ:
        l->amount = (double) l->bytes;
        return create_arrays(l, words < PIECE / 8 ? words : PIECE / 8, 0, 0);
    }
    return FMAL_OK;
}

static fmal_status open_limit(const fmal_bench_setup *s, bench_limit_kind kind,
                              size_t bytes, int ranks, bench_limit *out)
{
    *out = (bench_limit){ .kind = kind,
                          .ctx = s->ctx,
                          .active = s->ctx->rank < ranks,
                          .bytes = bytes,
                          .fd = -1 };
    fmal_status st = out->active ? open_here(out) : FMAL_OK;

    fmal_sum_f64(s->ctx, &out->amount, 1);
    return fmal_agree(s->ctx, st);
}

fmal_status fmal_bench_limit_open(const fmal_bench_setup *setup, bench_limit_kind kind,
                                  int ranks, bench_limit *out)
{
    return open_limit(setup, kind, 0, ranks, out);
}

fmal_status fmal_bench_message_open(const fmal_bench_setup *setup,
                                    bench_limit_kind kind, size_t bytes,
                                    bench_limit *out)
{
    return open_limit(setup, kind, bytes, setup->ctx->size, out);
}

static fmal_status open_file(const char *path, int *fd, size_t *bytes)
{
    struct stat about;

    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &about) != 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    *bytes = (size_t) about.st_size;
    return FMAL_OK;
}

fmal_status fmal_bench_file_open(const fmal_bench_setup *s, const char *path,
                                 bench_limit *out)
{
    size_t bytes = 0, ranks = (size_t) s->ctx->size, rank = (size_t) s->ctx->rank;
    int fd;
    fmal_status st = open_file(path, &fd, &bytes);
    size_t first = bytes / ranks * rank;

    bytes = rank + 1 < ranks ? bytes / ranks : bytes - first;
    fmal_status opened = open_limit(s, LIMIT_READ, bytes, s->ctx->size, out);
    out->fd = fd;
    out->first = first;
    return opened == FMAL_OK ? fmal_agree(s->ctx, st) : opened;
}

void fmal_bench_limit_close(bench_limit *limit)
{
    if (limit->fd >= 0)
        close(limit->fd);
    fmal_free(&limit->a);
    fmal_free(&limit->b);
    fmal_free(&limit->c);
}

static void exchange(const bench_limit *l)
{
    int size = l->ctx->size, next = (l->ctx->rank + 1) % size,
        before = (l->ctx->rank + size - 1) % size;

    FMAL_MPI(MPI_Sendrecv(l->a, (int) l->bytes, MPI_BYTE, next, TAG, l->c,
                          (int) l->bytes, MPI_BYTE, before, TAG, l->ctx->comm,
                          MPI_STATUS_IGNORE));
}

static void send_on(const bench_limit *l)
{
    int rank = l->ctx->rank, bytes = (int) l->bytes;

    if (rank % 2 == 1)
        FMAL_MPI(MPI_Recv(l->c, bytes, MPI_BYTE, rank - 1, TAG, l->ctx->comm,
                          MPI_STATUS_IGNORE));
    else if (rank + 1 < l->ctx->size)
        FMAL_MPI(MPI_Send(l->a, bytes, MPI_BYTE, rank + 1, TAG, l->ctx->comm));
}

static void sgemm(const bench_limit *l)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, ORDER, ORDER, ORDER, 1,
                (const float *) l->a, ORDER, (const float *) l->b, ORDER, 0,
                (float *) l->c, ORDER);
}

static void triad(const bench_limit *l)
{
    for (fmal_idx i = 0; i < COUNT; i++)
        l->c[i] = l->a[i] + 3 * l->b[i];
}

static fmal_status read_part(const bench_limit *l)
{
    for (size_t done = 0; done < l->bytes;) {
        size_t left = l->bytes - done, want = left < PIECE ? left : PIECE;
        ssize_t got = pread(l->fd, l->a, want, (off_t) (l->first + done));

        if (got <= 0)
            return FMAL_FAIL(FMAL_ERR_IO, "cannot read the pool file: %s",
                             got < 0 ? strerror(errno) : "it became shorter");
        done += (size_t) got;
    }
    return FMAL_OK;
}

fmal_status fmal_bench_limit_run(void *arg)
{
    bench_limit *l = arg;
    float x = 1;
    double y = 1;

    if (!l->active)
        return FMAL_OK;
    switch (l->kind) {
    case LIMIT_FMA_F32:
        fmal_peak_here()->f32(ROUNDS, &x);
        break;
    case LIMIT_FMA_F64:
        fmal_peak_here()->f64(ROUNDS, &y);
        break;
    case LIMIT_SGEMM:
        sgemm(l);
        break;
    case LIMIT_DGEMM:
        fmal_gemm(false, false, ORDER, ORDER, ORDER, 1, l->a, ORDER, l->b, ORDER, 0,
                  l->c, ORDER);
        break;
    case LIMIT_TRIAD:
        triad(l);
        break;
    case LIMIT_COPY:
        memcpy(l->c, l->a, sizeof(double) * COUNT);
        break;
    case LIMIT_EXCHANGE:
        exchange(l);
        break;
    case LIMIT_SEND:
        send_on(l);
        break;
    case LIMIT_READ:
        return fmal_agree(l->ctx, read_part(l));
    }
    return FMAL_OK;
}
