#include "harness.h"

const char *const fmal_bench_factor_names[] = { "full",  "topc", "binary",
                                                "dense", "all",  NULL };

/* What the limits take, whatever the sizes. */
static fmal_status few_bytes(const fmal_bench_setup *setup, double *bytes)
{
    (void) setup;
    *bytes = 512 << 20;
    return FMAL_OK;
}

const fmal_bench_case fmal_bench_cases[] = {
    { "gemm", "SGEMM and DGEMM, beside the multiply-adds of registers", false,
      few_bytes, fmal_bench_gemm },
    { "syrk", "DSYRK, beside DGEMM", false, few_bytes, fmal_bench_syrk },
    { "triad", "memory bandwidth, beside memcpy", false, few_bytes, fmal_bench_triad },
    { "allreduce", "sums, broadcasts and decisions, beside messages of neighbours",
      false, few_bytes, fmal_bench_allreduce },
    { "cholesky", "inverse of a matrix of order D = c d on its grid, beside DGEMM",
      false, fmal_bench_cholesky_bytes, fmal_bench_cholesky },
    { "fisher", "F of the pool, beside DGEMM", true, fmal_bench_fisher_bytes,
      fmal_bench_fisher },
    { "initial", "first G, B and score of every candidate, beside DGEMM", true,
      fmal_bench_initial_bytes, fmal_bench_initial },
    { "step", "candidate pass of a step, beside SGEMM (binary: triad)", true,
      fmal_bench_step_bytes, fmal_bench_step },
    { "update", "matrices of order D in a step, beside the triad", true,
      fmal_bench_update_bytes, fmal_bench_update },
    { "select", "whole selection, beside SGEMM and DGEMM", true,
      fmal_bench_select_bytes, fmal_bench_select },
    { "read", "pool file, read by all ranks, beside read(2)", false,
      fmal_bench_read_bytes, fmal_bench_read },
    { "train", "training of a network, beside SGEMM", false, fmal_bench_net_bytes,
      fmal_bench_train },
    { "infer", "logits of images, beside SGEMM", false, fmal_bench_net_bytes,
      fmal_bench_infer },
    { "squares", "Fisher diagonal of a network, beside SGEMM", false,
      fmal_bench_net_bytes, fmal_bench_squares },
    { "jacobian", "Jacobian of the logits in a mask, beside SGEMM", false,
      fmal_bench_jacobian_bytes, fmal_bench_jacobian },
    { NULL, NULL, false, NULL, NULL },
};
