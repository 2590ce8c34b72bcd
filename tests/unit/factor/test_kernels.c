/* The hot loops for every instruction set that this processor has: the same as by their
   definition. */
#include "kron_impl.h"
#include "samples.h"

#include <stdio.h>

typedef void project_kernel(int r, int cols, const double *y, int ld,
                            const double *root, const double *shift,
                            const int64_t *swap, double *out);

static const struct {
    fmal_isa isa;
    project_kernel *project;
} kernels[] = {
    { FMAL_ISA_PLAIN, fmal_kron_project_plain },
#ifdef FMAL_X86_ISA
    { FMAL_ISA_AVX2, fmal_kron_project_avx2 },
    { FMAL_ISA_AVX512, fmal_kron_project_avx512 },
#endif
};

static double *normals(fmal_idx count, uint32_t seed)
{
    double *x = zeros(count);

    for (fmal_idx i = 0; i < count; i++) {
        fmal_rng r = fmal_rng_stream(seed, FMAL_RNG_INIT, 0, (uint64_t) i);

        x[i] = fmal_rng_normal(&r);
    }
    return x;
}

static const struct {
    int r, cols, ld;
} sizes[] = { { 1, 1, 8 },  { 1, 2, 24 },  { 2, 4, 8 },
              { 3, 1, 16 }, { 9, 18, 40 }, { 29, 3, 8 } };

/* y in row k: in the row of the swap minus the sum of all. */
static long double picked(const double *y, int r, int ld, int k, int64_t swap)
{
    long double sum = 0;

    for (int m = 0; m < r; m++)
        sum += y[m * ld];
    return k == swap ? -sum : y[k * ld];
}

/* out is aligned to 8 bytes only where y is: rows of a block begin anywhere. */
static double gap_of(project_kernel *project, int row)
{
    int r = sizes[row].r, cols = sizes[row].cols, ld = sizes[row].ld;
    fmal_idx count = (fmal_idx) cols * r * FMAL_LANES;
    double *y = normals((fmal_idx) cols * r * ld + 1, 1),
           *root = normals(r * FMAL_LANES, 2);
    double *shift = normals(r * FMAL_LANES, 3), *out = zeros(count + 1), worst = 0;

    int64_t swap[FMAL_LANES];
    out[count] = 12345;
    for (int lane = 0; lane < FMAL_LANES; lane++)
        swap[lane] = lane % (r + 1) - 1;
    project(r, cols, y + 1, ld, root, shift, swap, out);
    for (int j = 0; j < cols; j++)
        for (int k = 0; k < r; k++)
            for (int lane = 0; lane < FMAL_LANES; lane++) {
                const double *x = y + 1 + (fmal_idx) j * r * ld + lane;
                long double mean = 0;

                for (int m = 0; m < r; m++)
                    mean += (long double) shift[m * FMAL_LANES + lane] * x[m * ld];
                long double want = root[k * FMAL_LANES + lane] *
                                   (picked(x, r, ld, k, swap[lane]) - mean);
                worst =
                    fmax(worst,
                         fabs((double) (out[(j * r + k) * FMAL_LANES + lane] - want)));
            }
    if (out[count] != 12345)
        worst = INFINITY;
    fmal_free(&y);
    fmal_free(&root);
    fmal_free(&shift);
    fmal_free(&out);
    return worst;
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(kernels); i++) {
        if (kernels[i].isa > fmal_isa_detect()) {
            printf("# this processor has no %s\n", fmal_isa_name(kernels[i].isa));
            continue;
        }
        for (int row = 0; row < FMAL_COUNT(sizes); row++) {
            double gap = gap_of(kernels[i].project, row);

            fmal_test_ok(&t, gap < 1e-13, "%s, %d rows, %d columns: %.2g",
                         fmal_isa_name(kernels[i].isa), sizes[row].r, sizes[row].cols,
                         gap);
        }
    }
    return fmal_test_end(&t);
}
