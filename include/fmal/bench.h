/**
 * Benchmarks, each beside a limit that the same process measures in the same seconds.
 *
 *     fmal_bench_result results[FMAL_BENCH_MAX];
 *     fmal_bench_cases[i].run(&setup, results, &n);
 */
#ifndef FMAL_BENCH_H
#define FMAL_BENCH_H

#include "fmal/par.h"

enum { FMAL_BENCH_MAX = 16 };

/** Forms of the factors that are measured. */
typedef enum fmal_bench_factor {
    FMAL_BENCH_FULL,
    FMAL_BENCH_TOPC,
    FMAL_BENCH_BINARY,
    FMAL_BENCH_DENSE, /* as many rows as classes, of as many columns as features */
    FMAL_BENCH_FACTORS,
} fmal_bench_factor;

/** Their names, then "all", ended by NULL. */
extern const char *const fmal_bench_factor_names[];

/** What is measured. A plain value; equal on all ranks. */
typedef struct fmal_bench_setup {
    const fmal_ctx *ctx;
    fmal_idx n;     /* samples of all ranks */
    int d, c;       /* features, classes */
    fmal_idx batch; /* of a selection */
    int topc;       /* classes that count for FMAL_BENCH_TOPC */
    fmal_bench_factor factor;
    int repeats; /* timed repetitions; medians are reported */
    uint64_t seed;
    const char *pool;    /* file to read; NULL: one is made and removed */
    const char *scratch; /* name for that one */
    const char *model;   /* network, of fmal_arch_names */
    fmal_idx images;     /* of all ranks, at least 1 */
} fmal_bench_setup;

/** One row of a report. Rates are of all ranks together. A plain value. */
typedef struct fmal_bench_result {
    const char *what; /* "candidate pass" */
    char sizes[64];   /* "n 10000, d 128, c 10" */
    int64_t size;     /* bytes of a message, order of a matrix; else 0 */
    double median;    /* seconds: the median of repetitions, of the mean over ranks */
    double slowest;   /* the same of the slowest rank, by which rates go */
    double rate;      /* flops or bytes a second; 0 if neither is counted */
    bool is_bytes;
    double images;     /* a second; 0: there are none */
    const char *limit; /* what the limit is: "DGEMM", "triad"; NULL: none */
    double limit_rate; /* measured in turns with the case */
    double share;      /* of the limit: the median over turns */
} fmal_bench_result;

/** A benchmark. */
typedef struct fmal_bench_case {
    const char *name, *summary;
    bool by_factor; /* another one for each form of factors */
    /* Bytes that the fullest rank needs. Not collective. */
    fmal_status (*bytes)(const fmal_bench_setup *setup, double *bytes);
    /* Collective. Gives up to FMAL_BENCH_MAX rows. */
    fmal_status (*run)(const fmal_bench_setup *setup, fmal_bench_result *rows, int *n);
} fmal_bench_case;

/** All cases, ended by one whose name is NULL. */
extern const fmal_bench_case fmal_bench_cases[];

#endif
