/* The hot loops for every instruction set that this processor has: the same as by their
   definition. */
#include "lowrank_impl.h"
#include "matrices.h"

#include <stdio.h>

static const struct {
    fmal_isa isa;
    const fmal_lowrank_kernel *of;
} kernels[] = {
    { FMAL_ISA_PLAIN, &fmal_lowrank_kernel_plain },
#ifdef FMAL_X86_ISA
    { FMAL_ISA_AVX2, &fmal_lowrank_kernel_avx2 },
    { FMAL_ISA_AVX512, &fmal_lowrank_kernel_avx512 },
#endif
};

static const struct {
    int rows, cols, ld;
} sizes[] = { { 0, 4, 9 },   { 1, 1, 1 },   { 7, 4, 8 },    { 8, 3, 9 },
              { 64, 4, 77 }, { 29, 9, 31 }, { 130, 8, 130 } };

/* The largest error in y and z, which have something in them before; arrays begin where
   nothing is aligned to more than 8 bytes. */
static double both_gap(const fmal_lowrank_kernel *of, int rows, int cols, int ld)
{
    double *a = normals((fmal_idx) ld * cols + 1, 1), *right = normals(cols + 1, 2);
    double *left = normals(rows + 1, 3), *y = normals(rows + 2, 4);
    double *z = normals(cols + 2, 5), *y0 = normals(rows + 2, 4);
    double *z0 = normals(cols + 2, 5), worst = 0;

    of->both(rows, cols, a + 1, ld, right + 1, left + 1, y + 1, z + 1);
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

static const struct {
    int rows, columns, count, ld;
} products[] = {
    { 1, 1, 1, 1 },   { 15, 3, 2, 17 },  { 16, 9, 8, 16 },     { 37, 6, 5, 37 },
    { 64, 7, 1, 70 }, { 53, 12, 4, 53 }, { 130, 29, 11, 131 },
};

/* The same of the terms' product; rows of `out` beyond those asked for are to stay. */
static double terms_gap(const fmal_lowrank_kernel *of, int rows, int columns, int count,
                        int ld)
{
    double *w = normals((fmal_idx) count * ld + 1, 1);
    double *s = normals((fmal_idx) count * columns + 1, 2);
    double *out = normals((fmal_idx) columns * ld + 1, 3);
    double *want = normals((fmal_idx) columns * ld + 1, 3);

    of->terms(rows, columns, count, w + 1, s + 1, (size_t) ld, out + 1);
    for (int c = 0; c < columns; c++)
        for (int i = 0; i < rows; i++)
            for (int k = 0; k < count; k++)
                want[1 + c * ld + i] += s[1 + k * columns + c] * w[1 + k * ld + i];
    double worst = largest_gap(out, want, columns * ld + 1);
    double *held[] = { w, s, out, want };
    for (int i = 0; i < FMAL_COUNT(held); i++)
        fmal_free(&held[i]);
    return worst;
}

static void test_kernel(fmal_test *t, const fmal_lowrank_kernel *of, const char *name)
{
    for (int i = 0; i < FMAL_COUNT(sizes); i++) {
        double gap = both_gap(of, sizes[i].rows, sizes[i].cols, sizes[i].ld);

        fmal_test_ok(t, gap < 1e-13, "%s: %d x %d, %.2g", name, sizes[i].rows,
                     sizes[i].cols, gap);
    }
    for (int i = 0; i < FMAL_COUNT(products); i++) {
        double gap = terms_gap(of, products[i].rows, products[i].columns,
                               products[i].count, products[i].ld);

        fmal_test_ok(t, gap < 1e-13, "%s: %d columns of %d rows, %d terms, %.2g", name,
                     products[i].columns, products[i].rows, products[i].count, gap);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(kernels); i++) {
        if (kernels[i].isa > fmal_isa_detect()) {
            printf("# this processor has no %s\n", fmal_isa_name(kernels[i].isa));
            continue;
        }
        test_kernel(&t, kernels[i].of, fmal_isa_name(kernels[i].isa));
    }
    return fmal_test_end(&t);
}
