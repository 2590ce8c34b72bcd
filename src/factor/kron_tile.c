/* Hot loops of the Kronecker form; compiled once for each instruction set. */
#include "kron_impl.h"

#ifndef FMAL_ISA
#define FMAL_ISA plain
#endif
#define PASTE(a, b)  a##b
#define NAMED(a, b)  PASTE(a, b)
#define KERNEL(name) NAMED(name##_, FMAL_ISA)

typedef double lanes __attribute__((vector_size(8 * FMAL_LANES), aligned(8)));

void KERNEL(fmal_kron_project)(int r, int cols, const double *y, int ld,
                               const double *root, const double *shift, double *out)
{
    const lanes *rt = (const lanes *) root, *sh = (const lanes *) shift;
    lanes *to = (lanes *) out;

    for (int j = 0; j < cols; j++, y += (size_t) r * (size_t) ld, to += r) {
        lanes mean = { 0 };

        for (int k = 0; k < r; k++)
            mean += sh[k] * *(const lanes *) (y + (size_t) k * (size_t) ld);
        for (int k = 0; k < r; k++)
            to[k] = rt[k] * (*(const lanes *) (y + (size_t) k * (size_t) ld) - mean);
    }
}
