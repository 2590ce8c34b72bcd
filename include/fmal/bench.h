/**
 * Benchmarks, each beside the limit that the same process measures.
 *
 *     fmal_bench_result results[FMAL_BENCH_MAX];
 *     fmal_bench_cases[i].run(&setup, results, &n);
 */
#ifndef FMAL_BENCH_H
#define FMAL_BENCH_H

#include "fmal/strategy.h"

enum { FMAL_BENCH_MAX = 8 };

/** What is measured. A plain value; equal on all ranks. */
typedef struct fmal_bench_setup {
    const fmal_ctx *ctx;
    fmal_idx n;     /* samples of all ranks */
    int d, c;       /* features, classes */
    fmal_idx batch; /* of a selection */
    int repeats;    /* timed repetitions; the median is reported */
    uint64_t seed;
} fmal_bench_setup;

/** One row of a report. Rates are of all ranks together. A plain value. */
typedef struct fmal_bench_result {
    const char *what; /* "step (candidate pass)" */
    char sizes[64];   /* "n 10000, d 128, c 10" */
    double seconds;   /* median over repetitions of the slowest rank */
    double rate;      /* flops or bytes a second; 0 if neither is counted */
    bool is_bytes;
    const char *limit; /* what the limit is: "DGEMM", "triad"; NULL: none */
    double limit_rate; /* measured in this process */
} fmal_bench_result;

/** A benchmark. */
typedef struct fmal_bench_case {
    const char *name, *summary;
    /* Collective. Adds up to FMAL_BENCH_MAX rows. */
    fmal_status (*run)(const fmal_bench_setup *setup, fmal_bench_result *rows, int *n);
} fmal_bench_case;

/** All cases, ended by one whose name is NULL; and their names, ended by NULL. */
extern const fmal_bench_case fmal_bench_cases[];
extern const char *const fmal_bench_case_names[];

#endif
