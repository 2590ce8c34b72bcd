/* Hot loops of the engine; compiled once for each instruction set (see tile.h). */
#include "tile.h"

#include <math.h>

#ifndef FMAL_ISA
#define FMAL_ISA plain
#endif
#define PASTE(a, b)  a##b
#define NAMED(a, b)  PASTE(a, b)
#define KERNEL(name) NAMED(name##_, FMAL_ISA)

typedef double lanes __attribute__((vector_size(8 * FMAL_LANES), aligned(8)));

void KERNEL(fmal_tile_update)(int r, double sign, const double *pq, double *g,
                              double *b)
{
    const lanes *p = (const lanes *) pq, *q = p + r * r;
    lanes *gt = (lanes *) g, *bt = (lanes *) b;

    for (int k = 0; k < r; k++) {
        for (int l = 0; l <= k; l++, gt++, bt++) {
            lanes pp = { 0 }, pqk = { 0 }, qpk = { 0 };

            for (int j = 0; j < r * r; j += r) {
                pp += p[j + k] * p[j + l];
                pqk += p[j + k] * q[j + l];
                qpk += q[j + k] * p[j + l];
            }
            *gt -= sign * pp;
            *bt -= sign * (pqk + qpk);
        }
    }
}

/*
 * The derivative of log det(M + t B) at t = 0 is tr(M^-1 B). So eliminate M = I + sign
 * G and carry along the derivative B of every entry: the score is the sum over pivots
 * of (derivative / pivot). It takes r^3 / 2 multiply-adds, no solve and no trace.
 */
void KERNEL(fmal_tile_score)(int r, double sign, const double *g, const double *b,
                             double *work, double *out)
{
    int triangle = r * (r + 1) / 2;
    lanes *m = (lanes *) work, *t = m + triangle;
    const lanes *gl = (const lanes *) g, *bl = (const lanes *) b;
    lanes score = { 0 }, bad = { 0 };

    for (int i = 0; i < triangle; i++) {
        m[i] = sign * gl[i];
        t[i] = bl[i];
    }
    for (int j = 0; j < r; j++) {
        lanes *mj = m + j * (j + 1) / 2, *tj = t + j * (j + 1) / 2;
        lanes pivot = 1 + mj[j], inverse = 1 / pivot, ratio = tj[j] * inverse;

        score += ratio;
        for (int lane = 0; lane < FMAL_LANES; lane++)
            if (!(pivot[lane] > 0))
                bad[lane] = NAN;
        for (int i = j + 1; i < r; i++) {
            lanes *mi = m + i * (i + 1) / 2, *ti = t + i * (i + 1) / 2;
            lanes factor = mi[j] * inverse;
            lanes rate = ti[j] * inverse - factor * ratio;

            for (int l = j + 1; l <= i; l++) {
                lanes ml = m[l * (l + 1) / 2 + j], tl = t[l * (l + 1) / 2 + j];

                mi[l] -= factor * ml;
                ti[l] -= rate * ml + factor * tl;
            }
        }
    }
    *(lanes *) out = score + bad;
}
