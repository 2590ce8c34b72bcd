/* Hot loops of the Kronecker form; compiled once for each instruction set. */
#include "kron_impl.h"

#ifndef FMAL_ISA
#define FMAL_ISA plain
#endif
#define PASTE(a, b)  a##b
#define NAMED(a, b)  PASTE(a, b)
#define KERNEL(name) NAMED(name##_, FMAL_ISA)

typedef double lanes __attribute__((vector_size(8 * FMAL_LANES), aligned(8)));
typedef int64_t choice __attribute__((vector_size(8 * FMAL_LANES), aligned(8)));

static inline lanes choose(choice which, lanes yes, lanes no)
{
    return (lanes) ((which & (choice) yes) | (~which & (choice) no));
}

void KERNEL(fmal_kron_project)(int r, int cols, const double *y, int ld,
                               const double *root, const double *shift,
                               const int64_t *swap, double *out)
{
    const lanes *rt = (const lanes *) root, *sh = (const lanes *) shift;
    const choice sw = *(const choice *) swap;
    lanes *to = (lanes *) out;

    for (int j = 0; j < cols; j++, y += (size_t) r * (size_t) ld, to += r) {
        lanes mean = { 0 }, last = { 0 };

        for (int k = 0; k < r; k++) {
            lanes yk = *(const lanes *) (y + (size_t) k * (size_t) ld);

            mean += sh[k] * yk;
            last -= yk;
        }
        for (int k = 0; k < r; k++) {
            lanes yk = *(const lanes *) (y + (size_t) k * (size_t) ld);

            to[k] = rt[k] * (choose(sw == k, last, yk) - mean);
        }
    }
}
