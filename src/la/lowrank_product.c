/*
 * Products of a symmetric matrix and its waiting terms.
 *
 * Only the lower triangle of the base is read, in strips of columns: a strip's diagonal
 * part is a small symmetric matrix, and each element below stands for its mirror image
 * too. With one vector, and with I (x) h, which is one vector as far as the base is
 * concerned, nothing is left to the product but to stream that triangle from memory.
 *
 * Columns of I (x) h differ in the block that an element belongs to. So the same loop
 * serves both: strips and runs of rows stay within a block, and the block says to which
 * column of the result something is added. A product with whole columns has one block.
 * Where whole columns stand below I (x) h, elements meet the one or the other on either
 * side of the diagonal.
 */
#include "lowrank_impl.h"

#include <cblas.h>
#include <string.h>

static const fmal_lowrank_kernel *kernel_for(fmal_isa isa)
{
    switch (isa) {
#ifdef FMAL_X86_ISA
    case FMAL_ISA_AVX512:
        return &fmal_lowrank_kernel_avx512;
    case FMAL_ISA_AVX2:
        return &fmal_lowrank_kernel_avx2;
#endif
    default:
        return &fmal_lowrank_kernel_plain;
    }
}

/* Columns of the base that one vector is multiplied with at a time. */
enum { FEW_COLUMNS = 8 };

/* out [columns, order] = m times what is I (x) u^T in the first `head` rows, u [k, d],
   and the transpose of `tail` [columns, order - head] below. */
typedef struct product {
    fmal_lowrank *m;
    const fmal_lowrank_kernel *kernel;
    const double *u;
    int k, d, head;
    const double *tail;
    int columns;
    double *out;
} product;

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* How many columns of the matrix from j on are in one block. */
static int run_at(const product *p, int j)
{
    return j < p->head ? p->d - j % p->d : p->m->order - j;
}

/* What the elements of column j, and those that follow in its block, are multiplied by:
   so many numbers each, so far apart. */
static const double *factor_at(const product *p, int j)
{
    return j < p->head ? p->u + j % p->d : p->tail + (j - p->head);
}

static int width_at(const product *p, int j)
{
    return j < p->head ? p->k : p->columns;
}

static int stride_at(const product *p, int j)
{
    return j < p->head ? p->d : p->m->order - p->head;
}

/* Where their products go from row i on. */
static double *result_at(const product *p, int i, int j)
{
    int column = j < p->head ? j / p->d * p->k : 0;

    return p->out + (size_t) column * (size_t) p->m->order + (size_t) i;
}

static void multiply_both_columns(const product *p, const double *a, int i, int rows,
                                  int j, int cols)
{
    int n = p->m->order, ld = p->m->base->rows_l;

    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, rows, width_at(p, j), cols,
                1, a, ld, factor_at(p, j), stride_at(p, j), 1, result_at(p, i, j), n);
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, cols, width_at(p, i), rows, 1,
                a, ld, factor_at(p, i), stride_at(p, i), 1, result_at(p, j, i), n);
}

/* Columns from local column jl on, in local rows [il, end), all below the diagonal. */
static void multiply_below(const product *p, int il, int end, int jl, int cols)
{
    enum { TALLEST = 512 }; /* with a strip's columns, half of an L2 cache */
    const fmal_dmat *base = p->m->base;
    int j = fmal_dmat_col(base, jl);

    while (il < end) {
        int i = fmal_dmat_row(base, il), rows = least(end - il, TALLEST);
        const double *a = base->a + (size_t) jl * (size_t) base->rows_l + (size_t) il;

        rows = least(rows, run_at(p, i));
        if (base->grid->rows > 1)
            rows = least(rows, FMAL_DMAT_BLOCK - i % FMAL_DMAT_BLOCK);
        if (width_at(p, i) == 1 && width_at(p, j) == 1)
            p->kernel->both(rows, cols, a, base->rows_l, factor_at(p, j),
                            factor_at(p, i), result_at(p, i, j), result_at(p, j, i));
        else
            multiply_both_columns(p, a, i, rows, j, cols);
        p->m->flops += 2.0 * rows * cols * (width_at(p, i) + width_at(p, j));
        il += rows;
    }
}

/* A triangle on the diagonal, from local row il and column jl on. */
static void multiply_diagonal(const product *p, int il, int jl, int cols)
{
    const fmal_dmat *base = p->m->base;
    int n = p->m->order, j = fmal_dmat_col(base, jl), ld = base->rows_l;
    int k = width_at(p, j);
    const double *a = base->a + (size_t) jl * (size_t) ld + (size_t) il;

    cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, cols, k, 1, a, ld,
                factor_at(p, j), stride_at(p, j), 1, result_at(p, j, j), n);
    p->m->flops += 2.0 * cols * cols * k;
}

/* The same for one vector and a few columns. */
static void multiply_corner(const product *p, int il, int jl, int cols)
{
    const fmal_dmat *base = p->m->base;
    int j = fmal_dmat_col(base, jl), ld = base->rows_l;
    const double *a = base->a + (size_t) jl * (size_t) ld + (size_t) il;
    const double *u = factor_at(p, j);
    double *out = result_at(p, j, j);

    for (int c = 0; c < cols; c++, a += ld) {
        out[c] += a[c] * u[c];
        for (int i = c + 1; i < cols; i++) {
            out[i] += a[i] * u[c];
            out[c] += a[i] * u[i];
        }
    }
    p->m->flops += 2.0 * cols * cols;
}

/* `cols` columns from local column jl on, as far down as one vector is the factor: a
   few of them at a time from top to bottom, as they lie in memory. */
static void multiply_narrow(const product *p, int jl, int cols, int head)
{
    const fmal_lowrank *m = p->m;

    for (int at = 0, few; at < cols; at += few) {
        int j = fmal_dmat_col(m->base, jl + at);

        few = least(cols - at, FEW_COLUMNS);
        int above = fmal_lowrank_rows_before(m, j);
        int below = fmal_lowrank_rows_before(m, j + few);
        if (below > above)
            multiply_corner(p, above, jl + at, few);
        multiply_below(p, below, head, jl + at, few);
    }
}

/* out += the local part of the base, by strips of columns that lie in one block of the
   layout and one of the factor. */
static void multiply_base(const product *p)
{
    const fmal_lowrank *m = p->m;
    int head = fmal_lowrank_rows_before(m, p->head);

    for (int jl = 0, cols; jl < m->cols_l; jl += cols) {
        int j = fmal_dmat_col(m->base, jl);

        cols = least(FMAL_DMAT_BLOCK - j % FMAL_DMAT_BLOCK, run_at(p, j));
        cols = least(cols, m->order - j);
        int above = fmal_lowrank_rows_before(m, j);
        int below = fmal_lowrank_rows_before(m, j + cols);
        if (p->k == 1 && j < p->head) {
            multiply_narrow(p, jl, cols, head);
        } else {
            if (below > above)
                multiply_diagonal(p, above, jl, cols);
            multiply_below(p, below, head, jl, cols);
        }
        multiply_below(p, below > head ? below : head, m->rows_l, jl, cols);
    }
}

/* As `coefficients`, where a tail follows: blocks of one waiting column at a time. */
static void coefficients_with_tail(const product *p, const double *from, int count,
                                   double *s)
{
    int n = p->m->order, columns = p->columns, left = n - p->head;

    for (int i = 0; i < count; i++)
        cblas_dgemv(CblasRowMajor, CblasNoTrans, columns, p->d, 1,
                    from + (size_t) i * (size_t) n, p->d, p->u, 1, 0, s + i * columns,
                    1);
    fmal_gemm(false, true, count, columns, left, 1, from + p->head, n, p->tail, left, 1,
              s, columns);
}

/* s [count, columns] = the waiting columns `from`, [count, order], times the factor. */
static void coefficients(const product *p, const double *from, int count, double *s)
{
    int rows = count * (p->m->order / p->d);

    if (p->head < p->m->order)
        coefficients_with_tail(p, from, count, s);
    else if (p->k == 1)
        cblas_dgemv(CblasRowMajor, CblasNoTrans, rows, p->d, 1, from, p->d, p->u, 1, 0,
                    s, 1);
    else
        fmal_gemm(false, true, rows, p->k, p->d, 1, from, p->d, p->u, p->d, 0, s, p->k);
}

/* out += scale (S^T from), S [count, columns]. */
static void add_terms(const product *p, double *s, const double *from, int count)
{
    for (int i = 0; i < count * p->columns; i++)
        s[i] *= p->m->scale;
    p->kernel->terms(p->m->order, p->columns, count, from, s, (size_t) p->m->order,
                     p->out);
}

/* out += `count` of the waiting terms from number `first` on. */
static void multiply_terms(const product *p, int first, int count)
{
    fmal_lowrank *m = p->m;
    int n = m->order, columns = p->columns;
    const double *w = m->w + (size_t) first * (size_t) n;
    double *s = m->small, *t = s + (size_t) count * (size_t) columns;

    coefficients(p, w, count, s);
    m->flops += 2.0 * count * n * (p->k + columns) * (m->z ? 2 : 1);
    if (!m->z) {
        add_terms(p, s, w, count);
        return;
    }
    const double *z = m->z + (size_t) first * (size_t) n;
    coefficients(p, z, count, t);
    add_terms(p, t, w, count);
    add_terms(p, s, z, count);
}

/* The ranks of the grid share the terms out. */
static void multiply_pending(const product *p)
{
    const fmal_lowrank *m = p->m;
    const fmal_grid *grid = m->base->grid;
    int ranks = grid->rows * grid->cols, place = grid->row * grid->cols + grid->col;
    int chunk = m->z ? FMAL_LOWRANK_CHUNK / 2 : FMAL_LOWRANK_CHUNK;

    if (!grid->inside)
        return;
    int first = (int) ((fmal_idx) m->pending * place / ranks);
    int end = (int) ((fmal_idx) m->pending * (place + 1) / ranks);
    for (; first < end; first += chunk)
        multiply_terms(p, first, least(end - first, chunk));
}

static void multiply(const product *p)
{
    const fmal_grid *grid = p->m->base->grid;
    fmal_idx count = (fmal_idx) p->columns * p->m->order;

    memset(p->out, 0, sizeof(double) * (size_t) count);
    multiply_base(p);
    multiply_pending(p);
    if (grid->rows * grid->cols > 1)
        fmal_sum_f64(&grid->ctx, p->out, count);
}

void fmal_lowrank_apply(fmal_lowrank *m, const double *u, int k, double *out)
{
    multiply(&(product){ .m = m,
                         .kernel = kernel_for(m->isa),
                         .u = u,
                         .k = k,
                         .d = m->order,
                         .head = m->order,
                         .columns = k,
                         .out = out });
}

void fmal_lowrank_apply_blocks(fmal_lowrank *m, const double *h, int d, int blocks,
                               const double *tail, double *out)
{
    multiply(&(product){ .m = m,
                         .kernel = kernel_for(m->isa),
                         .u = h,
                         .k = 1,
                         .d = d,
                         .head = blocks * d,
                         .tail = tail,
                         .columns = blocks,
                         .out = out });
}
