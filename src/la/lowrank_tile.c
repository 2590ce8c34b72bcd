/*
 * The hot loops of products with a symmetric matrix and its waiting terms; compiled
 * once for each instruction set.
 *
 * The part of the matrix below its diagonal, and the part above that mirrors it, are
 * one pass over memory. Some columns go side by side: the more, the less often y is
 * read and written, and the more streams keep the memory busy.
 *
 * The terms are a product with few columns of the result, W^T S: a piece of some rows
 * of all these columns stays in registers, and every number of W is loaded once for all
 * of them. BLAS would copy W first, and that copy would take as long as the product.
 */
#include "lowrank_impl.h"

#ifndef FMAL_ISA
#define FMAL_ISA plain
#endif
#define PASTE(a, b)  a##b
#define NAMED(a, b)  PASTE(a, b)
#define KERNEL(name) NAMED(name##_, FMAL_ISA)

/* Numbers in a register; columns of the matrix, and of the terms' product, that there
   are registers for. */
#if defined(__AVX512F__)
enum { WIDTH = 8, SIDE_BY_SIDE = 8, MOST = 12 };
#elif defined(__AVX2__)
enum { WIDTH = 4, SIDE_BY_SIDE = 4, MOST = 6 };
#else
enum { WIDTH = 2, SIDE_BY_SIDE = 4, MOST = 6 };
#endif

typedef double vec __attribute__((vector_size(8 * WIDTH), aligned(8)));

static double sum_of(vec x)
{
    double sum = 0;

    for (int i = 0; i < WIDTH; i++)
        sum += x[i];
    return sum;
}

static inline vec at(const double *x)
{
    return *(const vec *) x;
}

/* SIDE_BY_SIDE columns, so that y is read and written once for all. */
static void beside(int rows, const double *a, size_t ld, const double *right,
                   const double *left, double *restrict y, double *z)
{
    vec sums[SIDE_BY_SIDE] = { 0 };
    int i = 0;

    for (; i + WIDTH <= rows; i += WIDTH) {
        vec x = at(left + i), to = at(y + i);

        _Pragma("GCC unroll 8") for (int j = 0; j < SIDE_BY_SIDE; j++)
        {
            vec column = at(a + (size_t) j * ld + i);

            to += column * right[j];
            sums[j] += column * x;
        }
        *(vec *) (y + i) = to;
    }
    for (int j = 0; j < SIDE_BY_SIDE; j++) {
        const double *column = a + (size_t) j * ld;
        double sum = sum_of(sums[j]);

        for (int k = i; k < rows; k++) {
            y[k] += column[k] * right[j];
            sum += column[k] * left[k];
        }
        z[j] += sum;
    }
}

static void both(int rows, int cols, const double *a, int ld, const double *right,
                 const double *left, double *y, double *z)
{
    int j = 0;

    for (; j + SIDE_BY_SIDE <= cols; j += SIDE_BY_SIDE)
        beside(rows, a + (size_t) j * (size_t) ld, (size_t) ld, right + j, left, y,
               z + j);
    for (; j < cols; j++) {
        const double *x = a + (size_t) j * (size_t) ld;
        double sum = 0;

        for (int i = 0; i < rows; i++) {
            y[i] += x[i] * right[j];
            sum += x[i] * left[i];
        }
        z[j] += sum;
    }
}

/* Two registers of rows, n columns of the result; s has `columns` in a row. */
static inline __attribute__((always_inline)) void piece(const int n, int count,
                                                        const double *w, size_t ld,
                                                        const double *s, int columns,
                                                        double *out)
{
    vec acc[MOST][2];
    size_t ahead = (size_t) count * ld;

    _Pragma("GCC unroll 12") for (int c = 0; c < n; c++)
    {
        acc[c][0] = at(out + (size_t) c * ld);
        acc[c][1] = at(out + (size_t) c * ld + WIDTH);
    }
    for (int k = 0; k < count; k++, w += ld, s += columns) {
        vec low = at(w), high = at(w + WIDTH);

        __builtin_prefetch(w + ahead, 0, 2);
        __builtin_prefetch(w + ahead + WIDTH, 0, 2);
        _Pragma("GCC unroll 12") for (int c = 0; c < n; c++)
        {
            acc[c][0] += low * s[c];
            acc[c][1] += high * s[c];
        }
    }
    _Pragma("GCC unroll 12") for (int c = 0; c < n; c++)
    {
        *(vec *) (out + (size_t) c * ld) = acc[c][0];
        *(vec *) (out + (size_t) c * ld + WIDTH) = acc[c][1];
    }
}

/* n of them: the number that a loop unrolls by has to be a constant. */
static void piece_of(int n, int count, const double *w, size_t ld, const double *s,
                     int columns, double *out)
{
    switch (n) {
#define CASE(n)                                                                        \
    case n:                                                                            \
        piece(n, count, w, ld, s, columns, out);                                       \
        break;
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
#if defined(__AVX512F__)
        CASE(7)
        CASE(8)
        CASE(9)
        CASE(10)
        CASE(11)
        CASE(12)
#endif
    }
}

static void terms(int rows, int columns, int count, const double *w, const double *s,
                  size_t ld, double *out)
{
    int i = 0;

    for (; i + 2 * WIDTH <= rows; i += 2 * WIDTH)
        for (int c = 0; c < columns; c += MOST)
            piece_of(columns - c < MOST ? columns - c : MOST, count, w + i, ld, s + c,
                     columns, out + (size_t) c * ld + i);
    for (int c = 0; c < columns; c++)
        for (int at = i; at < rows; at++)
            for (int k = 0; k < count; k++)
                out[(size_t) c * ld + at] += s[k * columns + c] * w[k * ld + at];
}

const fmal_lowrank_kernel KERNEL(fmal_lowrank_kernel) = { both, terms };
