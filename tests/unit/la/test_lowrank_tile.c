/* The hot loop for every instruction set that this processor has: the same as by its
   definition. */
#include "lowrank_impl.h"
#include "matrices.h"

#include <stdio.h>

typedef void both_kernel(int rows, int cols, const double *a, int ld,
                         const double *right, const double *left, double *y, double *z);

static const struct {
    fmal_isa isa;
    both_kernel *both;
} kernels[] = {
    { FMAL_ISA_PLAIN, fmal_lowrank_both_plain },
#ifdef FMAL_X86_ISA
    { FMAL_ISA_AVX2, fmal_lowrank_both_avx2 },
    { FMAL_ISA_AVX512, fmal_lowrank_both_avx512 },
#endif
};

static const struct {
    int rows, cols, ld;
} sizes[] = { { 0, 4, 9 },   { 1, 1, 1 },   { 7, 4, 8 },    { 8, 3, 9 },
              { 64, 4, 77 }, { 29, 9, 31 }, { 130, 8, 130 } };

/* The largest error in y and z, which have something in them before; arrays begin where
   nothing is aligned to more than 8 bytes. */
static double gap_at(both_kernel *both, int rows, int cols, int ld)
{
    double *a = normals((fmal_idx) ld * cols + 1, 1), *right = normals(cols + 1, 2);
    double *left = normals(rows + 1, 3), *y = normals(rows + 2, 4);
    double *z = normals(cols + 2, 5), *y0 = normals(rows + 2, 4);
    double *z0 = normals(cols + 2, 5), worst = 0;

    both(rows, cols, a + 1, ld, right + 1, left + 1, y + 1, z + 1);
    for (int j = 0; j < cols; j++)
        for (int i = 0; i < rows; i++) {
            y0[1 + i] += a[1 + j * ld + i] * right[1 + j];
            z0[1 + j] += a[1 + j * ld + i] * left[1 + i];
        }
    worst = fmax(largest_gap(y, y0, rows + 2), largest_gap(z, z0, cols + 2));
    double *held[] = { a, right, left, y, z, y0, z0 };
    for (int i = 0; i < FMAL_COUNT(held); i++)
        fmal_free(&held[i]);
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
        for (int j = 0; j < FMAL_COUNT(sizes); j++) {
            double gap =
                gap_at(kernels[i].both, sizes[j].rows, sizes[j].cols, sizes[j].ld);

            fmal_test_ok(&t, gap < 1e-13, "%s: %d x %d, %.2g",
                         fmal_isa_name(kernels[i].isa), sizes[j].rows, sizes[j].cols,
                         gap);
        }
    }
    return fmal_test_end(&t);
}
