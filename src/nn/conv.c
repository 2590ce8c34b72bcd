/*
 * Convolutions by im2col and OpenBLAS: the reference, and what double uses.
 *
 * The columns of some images side by side are a matrix C [in k k, pixels], in which row
 * (c, k, l) holds what weight (., c, k, l) meets at each pixel of the output. Then
 *
 *     forward   Y = W C;
 *     backward  the columns' slopes are W^T dY, and a pixel's slope is the sum of those
 *               of the columns that it is in;
 *     gradient  dW = dY C^T;
 *     squares   the same for one image at a time, squared while in cache.
 *
 * As many images share one GEMM as keep C in the second-level cache: those of the last
 * layers have a few pixels each.
 */
#include "conv.h"

#include "conv_fast.h"
#include "real.h"

#include <string.h>

enum { CACHED = 128 * 1024 }; /* numbers of C */

/* Sizes, and where the reference keeps what. */
typedef struct plan {
    int pixels, depth, weights;   /* of an output channel, of C, of w */
    int together;                 /* images of a GEMM */
    fmal_idx in, out;             /* numbers of an image */
    fmal_idx rows, products, end; /* offsets in the working memory, where C is first */
} plan;

static plan make_plan(const fmal_conv *c, int n)
{
    plan p = { .pixels = c->out_height * c->out_width,
               .depth = c->in * c->kernel * c->kernel,
               .in = (fmal_idx) c->in * c->height * c->width };
    fmal_idx fit = CACHED / ((fmal_idx) p.depth * p.pixels);

    p.out = (fmal_idx) c->out * p.pixels;
    p.weights = c->out * p.depth;
    p.together = fit < 1 ? 1 : fit < n ? (int) fit : n;
    p.rows = (fmal_idx) p.depth * p.together * p.pixels;
    p.products = p.rows + p.together * p.out;
    p.end = p.products + p.weights;
    return p;
}

#ifndef FMAL_REAL_F64

fmal_conv fmal_conv_make(int in, int height, int width, int out, int kernel, int stride,
                         int pad)
{
    fmal_conv c = { in, height, width, out, kernel, stride, pad, 0, 0, FMAL_ISA_PLAIN };

    if (height + 2 * pad >= kernel)
        c.out_height = (height + 2 * pad - kernel) / stride + 1;
    if (width + 2 * pad >= kernel)
        c.out_width = (width + 2 * pad - kernel) / stride + 1;
    return c;
}

fmal_idx fmal_conv_work(const fmal_conv *c, int n)
{
    fmal_idx reference = make_plan(c, n).end, fast = fmal_conv_fast_work(c, n);

    return reference > fast ? reference : fast;
}

double fmal_conv_flops(const fmal_conv *c)
{
    return 2.0 * c->out * c->in * c->kernel * c->kernel * c->out_height * c->out_width;
}

fmal_conv_range fmal_conv_reach(const fmal_conv *c, int k, int size, int outputs)
{
    int below = c->pad - k, above = size + c->pad - k, s = c->stride;
    fmal_conv_range r = { below > 0 ? (below + s - 1) / s : 0,
                          above > 0 ? (above + s - 1) / s : 0 };

    if (r.last > outputs)
        r.last = outputs;
    if (r.first > r.last)
        r.first = r.last;
    return r;
}

#endif

/* The kernels of our own compute in float only; true if they took the call. */
#ifdef FMAL_REAL_F64
#define FAST(c, call) false
#else
#define FAST(c, call) (fmal_conv_is_fast(c) && (fmal_conv_fast_##call, true))
#endif

/* ---- Between images and the matrices of a GEMM ---- */

/* What weight (k, l) meets in a channel: the part of the output, and where it begins in
   the channel. Zeros around the image are left out. */
typedef struct patch {
    fmal_conv_range rows, columns;
    fmal_idx at, row; /* first pixel; from one row of the output to the next */
} patch;

static patch patch_of(const fmal_conv *c, int tap)
{
    int k = tap / c->kernel, l = tap % c->kernel;
    patch p = { .rows = fmal_conv_reach(c, k, c->height, c->out_height),
                .columns = fmal_conv_reach(c, l, c->width, c->out_width),
                .row = (fmal_idx) c->stride * c->width };

    if (p.rows.first < p.rows.last && p.columns.first < p.columns.last)
        p.at = (fmal_idx) (p.rows.first * c->stride + k - c->pad) * c->width +
               p.columns.first * c->stride + l - c->pad;
    return p;
}

/* C of some images. */
static void cut_columns(const fmal_conv *c, const plan *p, const fmal_real *x,
                        int count, fmal_real *column)
{
    int taps = c->kernel * c->kernel, s = c->stride;

    memset(column, 0, (size_t) ((fmal_idx) p->depth * count * p->pixels) * sizeof *x);
    for (int a = 0; a < p->depth; a++) {
        patch q = patch_of(c, a % taps);

        for (int i = 0; i < count; i++, column += p->pixels) {
            const fmal_real *from =
                x + i * p->in + (fmal_idx) (a / taps) * c->height * c->width + q.at;

            for (int y = q.rows.first; y < q.rows.last; y++, from += q.row)
                for (int j = q.columns.first; j < q.columns.last; j++)
                    column[y * c->out_width + j] = from[(j - q.columns.first) * s];
        }
    }
}

/* The way back: every pixel is the sum of its copies in C. */
static void add_columns(const fmal_conv *c, const plan *p, const fmal_real *column,
                        int count, fmal_real *x)
{
    int taps = c->kernel * c->kernel, s = c->stride;

    memset(x, 0, (size_t) (count * p->in) * sizeof *x);
    for (int a = 0; a < p->depth; a++) {
        patch q = patch_of(c, a % taps);

        for (int i = 0; i < count; i++, column += p->pixels) {
            fmal_real *to =
                x + i * p->in + (fmal_idx) (a / taps) * c->height * c->width + q.at;

            for (int y = q.rows.first; y < q.rows.last; y++, to += q.row)
                for (int j = q.columns.first; j < q.columns.last; j++)
                    to[(j - q.columns.first) * s] += column[y * c->out_width + j];
        }
    }
}

/* to [b, a, pixels] = from [a, b, pixels]: images by channels and back. */
static void swap(const fmal_real *from, int a, int b, int pixels, fmal_real *to)
{
    for (int j = 0; j < b; j++)
        for (int i = 0; i < a; i++, to += pixels)
            memcpy(to, from + ((fmal_idx) i * b + j) * pixels,
                   (size_t) pixels * sizeof *to);
}

/* dy as a matrix [out, pixels of all images]; one image is one already. */
static const fmal_real *rows_of(const fmal_conv *c, const plan *p, const fmal_real *dy,
                                int count, fmal_real *work)
{
    if (count == 1)
        return dy;
    swap(dy, count, c->out, p->pixels, work + p->rows);
    return work + p->rows;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* ---- The reference ---- */

void FMAL_REAL(fmal_conv_forward)(const fmal_conv *c, const fmal_real *w,
                                  const fmal_real *x, int n, fmal_real *y,
                                  fmal_real *work)
{
    plan p = make_plan(c, n);

    if (FAST(c, forward(c, w, x, n, y, work)))
        return;
    for (int i = 0; i < n; i += p.together) {
        int count = least(n - i, p.together), wide = count * p.pixels;
        fmal_real *to = count == 1 ? y + i * p.out : work + p.rows;

        cut_columns(c, &p, x + i * p.in, count, work);
        fmal_gemm_real(CblasRowMajor, CblasNoTrans, CblasNoTrans, c->out, wide, p.depth,
                       1, w, p.depth, work, wide, 0, to, wide);
        if (count > 1)
            swap(to, c->out, count, p.pixels, y + i * p.out);
    }
}

void FMAL_REAL(fmal_conv_backward)(const fmal_conv *c, const fmal_real *w,
                                   const fmal_real *dy, int n, fmal_real *dx,
                                   fmal_real *work)
{
    plan p = make_plan(c, n);

    if (FAST(c, backward(c, w, dy, n, dx, work)))
        return;
    for (int i = 0; i < n; i += p.together) {
        int count = least(n - i, p.together), wide = count * p.pixels;
        const fmal_real *rows = rows_of(c, &p, dy + i * p.out, count, work);

        fmal_gemm_real(CblasRowMajor, CblasTrans, CblasNoTrans, p.depth, wide, c->out,
                       1, w, p.depth, rows, wide, 0, work, wide);
        add_columns(c, &p, work, count, dx + i * p.in);
    }
}

/* dw = beta dw + the gradient of some images. */
static void add_gradient(const fmal_conv *c, const plan *p, const fmal_real *x,
                         const fmal_real *dy, int count, fmal_real beta, fmal_real *dw,
                         fmal_real *work)
{
    const fmal_real *rows = rows_of(c, p, dy, count, work);
    int wide = count * p->pixels;

    cut_columns(c, p, x, count, work);
    fmal_gemm_real(CblasRowMajor, CblasNoTrans, CblasTrans, c->out, p->depth, wide, 1,
                   rows, wide, work, wide, beta, dw, p->depth);
}

void FMAL_REAL(fmal_conv_gradient)(const fmal_conv *c, const fmal_real *x,
                                   const fmal_real *dy, int n, fmal_real *dw,
                                   fmal_real *work)
{
    plan p = make_plan(c, n);

    if (FAST(c, gradient(c, x, dy, n, dw, work)))
        return;
    memset(dw, 0, (size_t) p.weights * sizeof *dw);
    for (int i = 0; i < n; i += p.together)
        add_gradient(c, &p, x + i * p.in, dy + i * p.out, least(n - i, p.together), 1,
                     dw, work);
}

void FMAL_REAL(fmal_conv_squares)(const fmal_conv *c, const fmal_real *x,
                                  const fmal_real *dy, int n, fmal_real *sum,
                                  fmal_real *work)
{
    plan p = make_plan(c, n);
    fmal_real *d = work + p.products;

    if (FAST(c, squares(c, x, dy, n, sum, work)))
        return;
    for (int i = 0; i < n; i++) {
        add_gradient(c, &p, x + i * p.in, dy + i * p.out, 1, 0, d, work);
        for (int j = 0; j < p.weights; j++)
            sum[j] += d[j] * d[j];
    }
}

/* ---- Single weights ---- */

enum { LANES = 16 / sizeof(fmal_real) };
typedef fmal_real vec __attribute__((vector_size(16), aligned(sizeof(fmal_real))));

/* Along a row of the output, with stride 1, both are contiguous. */
static fmal_real dot(const fmal_real *a, const fmal_real *b, int count)
{
    vec even = { 0 }, odd = { 0 };
    fmal_real sum = 0;
    int j = 0;

    for (; j + 2 * LANES <= count; j += 2 * LANES) {
        even += *(const vec *) (a + j) * *(const vec *) (b + j);
        odd += *(const vec *) (a + j + LANES) * *(const vec *) (b + j + LANES);
    }
    even += odd;
    for (int l = 0; j > 0 && l < LANES; l++)
        sum += even[l];
    for (; j < count; j++)
        sum += a[j] * b[j];
    return sum;
}

/* dy [out_height, out_width] by what weight (k, l) meets in a channel x. */
static fmal_real slope(const fmal_conv *c, const patch *q, const fmal_real *x,
                       const fmal_real *dy)
{
    int count = q->columns.last - q->columns.first;
    fmal_real sum = 0;

    x += q->at;
    dy += (fmal_idx) q->rows.first * c->out_width + q->columns.first;
    for (int y = q->rows.first; y < q->rows.last;
         y++, x += q->row, dy += c->out_width) {
        if (c->stride == 1)
            sum += dot(dy, x, count);
        else
            for (int j = 0; j < count; j++)
                sum += dy[j] * x[j * c->stride];
    }
    return sum;
}

void FMAL_REAL(fmal_conv_masked)(const fmal_conv *c, const fmal_real *x,
                                 const fmal_real *dy, int n, const fmal_idx *index,
                                 fmal_idx count, fmal_real *out, fmal_idx ostride,
                                 fmal_real *work)
{
    plan p = make_plan(c, n);
    int taps = c->kernel * c->kernel, plane = c->height * c->width;

    (void) work;
    for (fmal_idx j = 0; j < count; j++) {
        int weight = (int) index[j], o = weight / p.depth, row = weight % p.depth;
        patch q = patch_of(c, row % taps);

        for (int i = 0; i < n; i++)
            out[i * ostride + j] =
                slope(c, &q, x + i * p.in + (fmal_idx) (row / taps) * plane,
                      dy + i * p.out + (fmal_idx) o * p.pixels);
    }
}
