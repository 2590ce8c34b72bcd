/*
 * Convolution as a matrix product, one image at a time. col [in k k, pixels] holds in
 * column q what output pixel q reads, so that
 *
 *     y = W col,    dcol = W^T dy,    dW = dy col^T,
 *
 * and dx is dcol added up where windows overlap.
 */
#include "conv.h"

#include <string.h>

static int taps(const fmal_conv *c)
{
    return c->in * c->kernel * c->kernel;
}

static int pixels(const fmal_conv *c)
{
    return c->out_height * c->out_width;
}

static fmal_idx image(const fmal_conv *c)
{
    return (fmal_idx) c->in * c->height * c->width;
}

static fmal_idx result(const fmal_conv *c)
{
    return (fmal_idx) c->out * pixels(c);
}

#ifndef FMAL_REAL_F64
fmal_idx fmal_conv_work(const fmal_conv *c, int n)
{
    (void) n; /* one image at a time */
    return (fmal_idx) taps(c) * (pixels(c) + c->out);
}
#endif

/* The row of col that weight (channel, a, b) multiplies, from a channel's image. */
static void gather(const fmal_conv *c, const fmal_real *x, int a, int b, fmal_real *row)
{
    for (int i = 0; i < c->out_height; i++) {
        int from = i * c->stride + a - c->pad;
        const fmal_real *line = x + (fmal_idx) from * c->width;

        for (int j = 0; j < c->out_width; j++, row++) {
            int at = j * c->stride + b - c->pad;

            *row = from >= 0 && from < c->height && at >= 0 && at < c->width ? line[at]
                                                                             : 0;
        }
    }
}

/* Its transpose: add the row up in a channel's image. */
static void scatter(const fmal_conv *c, const fmal_real *row, int a, int b,
                    fmal_real *x)
{
    for (int i = 0; i < c->out_height; i++) {
        int from = i * c->stride + a - c->pad;

        for (int j = 0; j < c->out_width; j++, row++) {
            int at = j * c->stride + b - c->pad;

            if (from >= 0 && from < c->height && at >= 0 && at < c->width)
                x[(fmal_idx) from * c->width + at] += *row;
        }
    }
}

static void gather_all(const fmal_conv *c, const fmal_real *x, fmal_real *col)
{
    for (int m = 0; m < c->in; m++)
        for (int a = 0; a < c->kernel; a++)
            for (int b = 0; b < c->kernel; b++, col += pixels(c))
                gather(c, x + (fmal_idx) m * c->height * c->width, a, b, col);
}

void FMAL_REAL(fmal_conv_forward)(const fmal_conv *c, const fmal_real *w,
                                  const fmal_real *x, int n, fmal_real *y,
                                  fmal_real *work)
{
    for (int i = 0; i < n; i++) {
        gather_all(c, x + i * image(c), work);
        fmal_gemm_real(CblasRowMajor, CblasNoTrans, CblasNoTrans, c->out, pixels(c),
                       taps(c), 1, w, taps(c), work, pixels(c), 0, y + i * result(c),
                       pixels(c));
    }
}

void FMAL_REAL(fmal_conv_backward)(const fmal_conv *c, const fmal_real *w,
                                   const fmal_real *dy, int n, fmal_real *dx,
                                   fmal_real *work)
{
    memset(dx, 0, (size_t) (n * image(c)) * sizeof *dx);
    for (int i = 0; i < n; i++) {
        const fmal_real *row = work;

        fmal_gemm_real(CblasRowMajor, CblasTrans, CblasNoTrans, taps(c), pixels(c),
                       c->out, 1, w, taps(c), dy + i * result(c), pixels(c), 0, work,
                       pixels(c));
        for (int m = 0; m < c->in; m++)
            for (int a = 0; a < c->kernel; a++)
                for (int b = 0; b < c->kernel; b++, row += pixels(c))
                    scatter(c, row, a, b,
                            dx + i * image(c) + (fmal_idx) m * c->height * c->width);
    }
}

/* dw = beta dw + the gradient of one image. */
static void gradient_of_one(const fmal_conv *c, const fmal_real *x, const fmal_real *dy,
                            fmal_real beta, fmal_real *dw, fmal_real *work)
{
    gather_all(c, x, work);
    fmal_gemm_real(CblasRowMajor, CblasNoTrans, CblasTrans, c->out, taps(c), pixels(c),
                   1, dy, pixels(c), work, pixels(c), beta, dw, taps(c));
}

void FMAL_REAL(fmal_conv_gradient)(const fmal_conv *c, const fmal_real *x,
                                   const fmal_real *dy, int n, fmal_real *dw,
                                   fmal_real *work)
{
    for (int i = 0; i < n; i++)
        gradient_of_one(c, x + i * image(c), dy + i * result(c), i > 0, dw, work);
}

void FMAL_REAL(fmal_conv_squares)(const fmal_conv *c, const fmal_real *x,
                                  const fmal_real *dy, int n, fmal_real *sum,
                                  fmal_real *work)
{
    fmal_real *d = work + (fmal_idx) taps(c) * pixels(c);

    for (int i = 0; i < n; i++) {
        gradient_of_one(c, x + i * image(c), dy + i * result(c), 0, d, work);
        for (fmal_idx j = 0; j < (fmal_idx) c->out * taps(c); j++)
            sum[j] += d[j] * d[j];
    }
}

void FMAL_REAL(fmal_conv_masked)(const fmal_conv *c, const fmal_real *x,
                                 const fmal_real *dy, int n, const fmal_idx *index,
                                 fmal_idx count, fmal_real *out, fmal_idx stride,
                                 fmal_real *work)
{
    int k = c->kernel;

    for (int i = 0; i < n; i++)
        for (fmal_idx j = 0; j < count; j++) {
            fmal_idx o = index[j] / taps(c), tap = index[j] % taps(c);
            const fmal_real *from =
                x + i * image(c) + tap / (k * k) * c->height * c->width;
            const fmal_real *slope = dy + i * result(c) + o * pixels(c);
            fmal_real sum = 0;

            gather(c, from, (int) (tap / k % k), (int) (tap % k), work);
            for (int q = 0; q < pixels(c); q++)
                sum += work[q] * slope[q];
            out[i * stride + j] = sum;
        }
}
