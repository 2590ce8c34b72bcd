/* Timing, and the limits that results stand beside. */
#ifndef FMAL_HARNESS_H
#define FMAL_HARNESS_H

#include "fmal/bench.h"
#include "fmal/select.h"

/* ---- Limits ---- */

typedef enum bench_limit_kind {
    LIMIT_FMA_F32, /* multiply-adds on registers */
    LIMIT_FMA_F64,
    LIMIT_SGEMM,
    LIMIT_DGEMM,
    LIMIT_TRIAD,
    LIMIT_COPY,     /* bytes read and written */
    LIMIT_EXCHANGE, /* each rank sends to the next and receives from the one before */
    LIMIT_SEND,     /* each even rank sends to the next */
    LIMIT_READ,     /* each rank reads its part of a file, by read(2) */
} bench_limit_kind;

/* What some ranks do all at once, the others idle. */
typedef struct bench_limit {
    bench_limit_kind kind;
    const fmal_ctx *ctx;
    bool active;   /* this rank takes part */
    double amount; /* flops or bytes of all ranks in one go; of a message, its bytes */
    size_t bytes;  /* of a message, or of this rank's part of a file */
    double *a, *b, *c;
    int fd; /* of a file; -1: none */
    size_t first;
} bench_limit;

/* The first `ranks` ranks take part. Collective; cleared by fmal_bench_limit_close even
   after a failure. @return FMAL_ERR_NOMEM, agreed */
fmal_status fmal_bench_limit_open(const fmal_bench_setup *setup, bench_limit_kind kind,
                                  int ranks, bench_limit *out);

/* LIMIT_EXCHANGE or LIMIT_SEND of so many bytes. */
fmal_status fmal_bench_message_open(const fmal_bench_setup *setup,
                                    bench_limit_kind kind, size_t bytes,
                                    bench_limit *out);

/* The bytes of a file, shared by the ranks. @return FMAL_ERR_IO too */
fmal_status fmal_bench_file_open(const fmal_bench_setup *setup, const char *path,
                                 bench_limit *out);

void fmal_bench_limit_close(bench_limit *limit);

/* Once; arg is the limit. Collective for messages and files. */
fmal_status fmal_bench_limit_run(void *arg);

/* ---- Timing ---- */

/* A piece of work. */
typedef struct bench_work {
    fmal_status (*run)(void *arg);     /* status agreed if it is not FMAL_OK */
    fmal_status (*prepare)(void *arg); /* before each run, not timed; may be NULL */
    void *arg;
} bench_work;

/*
 * Fill the row's seconds and limit, and the share that one flop or byte in a run would
 * have: limit and work take turns, setup->repeats times, after one turn that tells how
 * often each has to run to be long enough for the clock.
 * Collective.
 */
fmal_status fmal_bench_measure(const fmal_bench_setup *setup, const bench_work *work,
                               bench_limit *limit, fmal_bench_result *row);

/* The same with a limit that is opened and closed here. */
fmal_status fmal_bench_beside(const fmal_bench_setup *setup, const bench_work *work,
                              bench_limit_kind kind, int ranks, fmal_bench_result *row);

/* Flops or bytes a second of a limit by itself. Collective. */
fmal_status fmal_bench_limit_rate(const fmal_bench_setup *setup, bench_limit_kind kind,
                                  double *rate);

/* The row's rate and its share of the limit: `amount` flops or bytes of all ranks in
   one run. */
void fmal_bench_rate(fmal_bench_result *row, double amount, bool is_bytes);

/* The middle one of n numbers, which are sorted. */
double fmal_bench_median(double *x, int n);

/* "n 10000, d 128, c 10" and the like. */
void fmal_bench_sizes(const fmal_bench_setup *setup, fmal_bench_result *row);

/* ---- A made-up pool ---- */

typedef struct bench_pool {
    fmal_part part;
    float *features, *logits; /* of dense factors: the factors */
    double *probs;
    uint8_t *role;
    fmal_factor *factor;
    fmal_problem problem;
} bench_pool;

/* This rank's share, with factors of the setup's form. Collective. @return
   FMAL_ERR_NOMEM, agreed */
fmal_status fmal_bench_pool_create(const fmal_bench_setup *setup, bench_pool *out);
void fmal_bench_pool_clear(bench_pool *pool);

/* D and rows of the setup's factors. Not collective. */
void fmal_bench_factor_sizes(const fmal_bench_setup *setup, fmal_idx *order, int *rank);

/* How much a selection takes; of the setup's batch, or of one if that is 0. */
fmal_status fmal_bench_plan(const fmal_bench_setup *setup, fmal_idx batch,
                            fmal_select_plan *plan);

/* ---- Cases ---- */

typedef fmal_status bench_run(const fmal_bench_setup *setup, fmal_bench_result *rows,
                              int *n);
typedef fmal_status bench_bytes(const fmal_bench_setup *setup, double *bytes);

bench_run fmal_bench_gemm, fmal_bench_syrk, fmal_bench_triad, fmal_bench_cholesky,
    fmal_bench_fisher, fmal_bench_initial, fmal_bench_step, fmal_bench_update,
    fmal_bench_select, fmal_bench_allreduce, fmal_bench_read, fmal_bench_train,
    fmal_bench_infer, fmal_bench_squares, fmal_bench_jacobian;

bench_bytes fmal_bench_cholesky_bytes, fmal_bench_fisher_bytes,
    fmal_bench_initial_bytes, fmal_bench_step_bytes, fmal_bench_update_bytes,
    fmal_bench_select_bytes, fmal_bench_read_bytes, fmal_bench_net_bytes,
    fmal_bench_jacobian_bytes;

#endif
