#include "layer.h"

#include <math.h>
#include <string.h>

/* Where the largest number of a window is, counted from its corner: the first of
   equals, or the first NaN. */
static int largest(const fmal_conv *p, const fmal_real *corner)
{
    int best = 0;

    for (int a = 0; a < p->kernel; a++)
        for (int b = 0; b < p->kernel; b++) {
            int at = a * p->width + b;

            if (isnan(corner[best]))
                return best;
            if (corner[at] > corner[best] || isnan(corner[at]))
                best = at;
        }
    return best;
}

/* Corner of the window of output (i, j) in a channel. */
static fmal_idx corner_at(const fmal_conv *p, int i, int j)
{
    return (fmal_idx) i * p->stride * p->width + j * p->stride;
}

static void forward(const fmal_call *c, const fmal_real *x, const fmal_real *x2,
                    fmal_real *y)
{
    const fmal_conv *p = &c->layer->conv;

    (void) x2;
    for (fmal_idx k = 0; k < (fmal_idx) c->n * p->in; k++, x += p->height * p->width)
        for (int i = 0; i < p->out_height; i++)
            for (int j = 0; j < p->out_width; j++) {
                const fmal_real *corner = x + corner_at(p, i, j);

                *y++ = corner[largest(p, corner)];
            }
}

static void backward(const fmal_call *c, const fmal_real *x, const fmal_real *y,
                     const fmal_real *dy, fmal_real *dx)
{
    const fmal_conv *p = &c->layer->conv;
    fmal_idx plane = (fmal_idx) p->height * p->width, planes = (fmal_idx) c->n * p->in;

    (void) y;
    memset(dx, 0, (size_t) (planes * plane) * sizeof *dx);
    for (fmal_idx k = 0; k < planes; k++, x += plane, dx += plane)
        for (int i = 0; i < p->out_height; i++)
            for (int j = 0; j < p->out_width; j++) {
                fmal_idx corner = corner_at(p, i, j);

                dx[corner + largest(p, x + corner)] += *dy++;
            }
}

const fmal_layer_ops FMAL_REAL(fmal_maxpool) = { .forward = forward,
                                                 .backward = backward };
