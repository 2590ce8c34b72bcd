/* Timing, and the limits that results stand beside. */
#ifndef FMAL_HARNESS_H
#define FMAL_HARNESS_H

#include "fmal/bench.h"

/* Median over setup->repeats of the slowest rank's seconds in work(arg), after one
   repetition that is not counted. Collective. */
double fmal_bench_time(const fmal_bench_setup *setup, void (*work)(void *arg),
                       void *arg);

/* Rates of all ranks together, all working at once. Collective; 0 if out of memory. */
double fmal_bench_dgemm(const fmal_bench_setup *setup);
double fmal_bench_dsyrk(const fmal_bench_setup *setup);
double fmal_bench_triad(const fmal_bench_setup *setup);

#endif
