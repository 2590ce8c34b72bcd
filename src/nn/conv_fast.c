/*
 * Convolutions in float with images along the lanes.
 *
 * Forward. 32 images are turned to [height, width, channels, 32]. At a pixel of the
 * output, 8 of its channels of all 32 images are a tile of sums in registers; a weight
 * (k, l) that meets a pixel of the image adds, for each channel of the input, the
 * product of 8 weights and of 32 neighbours in memory. Nothing is copied for a weight
 * or padded, any stride is alike, and a weight that meets no pixel costs nothing: of
 * the products of a 3 x 3 kernel on 4 x 4 images, these are three in ten.
 *
 * Backward is the same: a pixel r of dx is met at weight k by row (r + pad - k) / s of
 * dy, if s divides that.
 *
 * Gradient. Along the lanes are output channels: dy is turned to [images, pixels, 32];
 * the numbers that are broadcast are those of 8 channels of x, as they lie. Sums run
 * over the samples in one chain each; for squares, over the pixels of one sample.
 *
 * No chain of sums depends on how many images are computed, or on which lane.
 */
#include "conv_fast.h"

#include "conv_kernel.h"

#include <string.h>

enum {
    ROWS = FMAL_CONV_ROWS,
    LANES = FMAL_CONV_LANES,
    SIDE = 7,         /* of a kernel at most */
    BAND = 64,        /* pixels */
    CACHED = 64 << 10 /* numbers that stay in the second-level cache */
};

static int least(int a, int b)
{
    return a < b ? a : b;
}

static fmal_idx most(fmal_idx a, fmal_idx b)
{
    return a > b ? a : b;
}

static int round_up(int n, int unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Lanes that hold n images or channels, or as many of them as one tile does. */
static int lanes_of(int n)
{
    return n <= LANES / 2 ? LANES / 2 : LANES;
}

/* The images of one side of a convolution. */
typedef struct side {
    int channels, height, width;
} side;

static fmal_idx side_size(const side *s)
{
    return (fmal_idx) s->channels * s->height * s->width;
}

/* Numbers of a turned pixel: whole tiles of channels; and a line of the cache, so that
   pixels do not share the same few places in it. */
static fmal_idx pixel_size(const side *s, int lanes)
{
    return (fmal_idx) round_up(s->channels, ROWS) * lanes + 16;
}

static side side_in(const fmal_conv *c)
{
    return (side){ c->in, c->height, c->width };
}

static side side_out(const fmal_conv *c)
{
    return (side){ c->out, c->out_height, c->out_width };
}

bool fmal_conv_is_fast(const fmal_conv *c)
{
    return fmal_conv_kernel_for(c->isa) && c->kernel <= SIDE;
}

/* ---- Forward and backward ---- */

/* To one side of a convolution from the other. Rows are turned when they are needed,
   some at a time, into a ring, so that all that is turned stays in the cache. */
typedef struct pass {
    const fmal_conv *conv;
    const fmal_conv_kernel *kernel;
    bool backward;
    side from, to;
    int in_band, out_band; /* rows */
    int ring;              /* rows of x */
    float *weights;        /* [to.channels / ROWS, k, l, from.channels, ROWS] */
    float *x;              /* [ring, from.width, pixel_size] */
    float *y;              /* [out_band, to.width, pixel_size] */
    fmal_idx size;         /* of all three */
} pass;

/* Rows that are turned at a time: enough pixels that few of the pieces that lie
   together are shorter than lines of the cache. */
static int band_of(const side *s)
{
    return least((BAND + s->width - 1) / s->width, s->height);
}

/* Without working memory for its sizes alone. */
static pass make_pass(const fmal_conv *c, bool backward, float *work)
{
    pass p = { .conv = c,
               .kernel = fmal_conv_kernel_for(c->isa),
               .backward = backward,
               .from = backward ? side_out(c) : side_in(c),
               .to = backward ? side_in(c) : side_out(c) };

    p.in_band = band_of(&p.from);
    p.out_band = band_of(&p.to);
    /* What a band meets, and the rest of the bands that it begins and ends in. */
    int met = backward ? (p.out_band + c->kernel - 2) / c->stride + 2
                       : (p.out_band - 1) * c->stride + c->kernel;
    p.ring =
        least(round_up(met, p.in_band) + p.in_band, round_up(p.from.height, p.in_band));
    fmal_idx weights = (fmal_idx) c->kernel * c->kernel *
                       round_up(p.to.channels, 2 * ROWS) * p.from.channels;
    fmal_idx x = (fmal_idx) p.ring * p.from.width * pixel_size(&p.from, LANES);

    p.size =
        weights + x + (fmal_idx) p.out_band * p.to.width * pixel_size(&p.to, LANES);
    if (work) {
        p.weights = work;
        p.x = work + weights;
        p.y = p.x + x;
    }
    return p;
}

/* w [out, in, k, l]: what a tile's rows are, to.channels, goes innermost. */
static void turn_weights(const pass *p, const float *w)
{
    int taps = p->conv->kernel * p->conv->kernel, in = p->conv->in;
    int row = p->backward ? 1 : in, column = p->backward ? in : 1; /* channels of w */
    float *to = p->weights;

    for (int r = 0; r < p->to.channels; r += ROWS) {
        int rows = least(p->to.channels - r, ROWS);

        if (rows < ROWS)
            memset(to, 0, (size_t) (taps * p->from.channels * ROWS) * sizeof *to);
        for (int f = 0; f < p->from.channels; f++)
            p->kernel->turn(w + ((fmal_idx) r * row + (fmal_idx) f * column) * taps,
                            (fmal_idx) row * taps, rows, taps, to + f * ROWS,
                            (fmal_idx) p->from.channels * ROWS);
        to += (fmal_idx) taps * p->from.channels * ROWS;
    }
}

/* Weights k, and what they meet of the other side: rows or columns. */
typedef struct meeting {
    int n, k[SIDE], at[SIDE];
} meeting;

/* At a row (or column) of the result; the other side has `size`. */
static meeting meet(const pass *p, int position, int size)
{
    int stride = p->conv->stride;
    meeting m = { .n = 0 };

    for (int k = 0; k < p->conv->kernel; k++) {
        int at = p->backward ? position + p->conv->pad - k
                             : position * stride - p->conv->pad + k;

        if (p->backward && at % stride != 0)
            continue;
        at /= p->backward ? stride : 1;
        if (at >= 0 && at < size) {
            m.k[m.n] = k;
            m.at[m.n++] = at;
        }
    }
    return m;
}

/* The weights (k, l) and pixels that meet at a pixel of the result. @return how many.
 */
static int pair(const pass *p, const meeting *rows, int x, int lanes,
                fmal_conv_term *term)
{
    meeting columns = meet(p, x, p->from.width);
    fmal_idx weight = (fmal_idx) p->from.channels * ROWS;
    fmal_idx pixel = pixel_size(&p->from, lanes);
    int n = 0;

    for (int i = 0; i < rows->n; i++)
        for (int j = 0; j < columns.n; j++) {
            int tap = rows->k[i] * p->conv->kernel + columns.k[j];
            int at = rows->at[i] % p->ring * p->from.width + columns.at[j];

            term[n++] = (fmal_conv_term){ tap * weight, at * pixel };
        }
    return n;
}

/* A row of pixels: as many neighbours as let what they meet stay in the cache, for
   every tile of channels. */
static void compute_row(const pass *p, int y, int lanes, float *to)
{
    meeting rows = meet(p, y, p->from.height);
    int k = p->conv->kernel, depth = p->from.channels;
    int fit = CACHED / (k * depth * LANES) - k, block = fit < 4 ? 4 : fit;
    fmal_idx tile = (fmal_idx) k * k * depth, pixel = pixel_size(&p->to, lanes);

    for (int first = 0; first < p->to.width; first += block)
        for (int r = 0; r < p->to.channels; r += ROWS)
            for (int x = first; x < least(first + block, p->to.width); x++) {
                fmal_conv_term term[SIDE * SIDE];
                int terms = pair(p, &rows, x, lanes, term);

                p->kernel->multiply(term, terms, depth, p->weights + r * tile, p->x,
                                    lanes, to + x * pixel + (fmal_idx) r * lanes);
            }
}

/* Turn rows [first, last) of some images, or back. */
static void turn_in(const pass *p, const float *from, int images, int lanes, int first,
                    int last)
{
    int width = p->from.width, pixels = (last - first) * width;
    fmal_idx plane = (fmal_idx) p->from.height * width;
    fmal_idx deep = pixel_size(&p->from, lanes);
    float *to = p->x + first % p->ring * width * deep;

    if (images < lanes)
        memset(to, 0, (size_t) (pixels * deep) * sizeof *to);
    for (int c = 0; c < p->from.channels; c++)
        p->kernel->turn(from + c * plane + first * width, side_size(&p->from), images,
                        pixels, to + c * lanes, deep);
}

static void turn_out(const pass *p, float *to, int images, int lanes, int first,
                     int last)
{
    fmal_idx plane = (fmal_idx) p->to.height * p->to.width;
    fmal_idx wide = pixel_size(&p->to, lanes);

    for (int c = 0; c < p->to.channels; c++)
        p->kernel->turn(p->y + c * lanes, wide, (last - first) * p->to.width, images,
                        to + c * plane + first * p->to.width, side_size(&p->to));
}

/* Rows of `from` that the rows up to `last` of the result meet. */
static int rows_met(const pass *p, int last)
{
    const fmal_conv *c = p->conv;

    return least(p->backward ? (last - 1 + c->pad) / c->stride + 1
                             : (last - 1) * c->stride - c->pad + c->kernel,
                 p->from.height);
}

static void run_pass(const pass *p, const float *from, int n, float *to)
{
    for (int i = 0; i < n; i += LANES) {
        int images = least(n - i, LANES), lanes = lanes_of(images), turned = 0;
        fmal_idx row = p->to.width * pixel_size(&p->to, lanes);
        const float *x = from + i * side_size(&p->from);

        for (int y = 0; y < p->to.height; y += p->out_band) {
            int last = least(y + p->out_band, p->to.height), met = rows_met(p, last);

            for (; turned < met; turned += p->in_band)
                turn_in(p, x, images, lanes, turned,
                        least(turned + p->in_band, p->from.height));
            for (int k = y; k < last; k++)
                compute_row(p, k, lanes, p->y + (k - y) * row);
            turn_out(p, to + i * side_size(&p->to), images, lanes, y, last);
        }
    }
}

void fmal_conv_fast_forward(const fmal_conv *c, const float *w, const float *x, int n,
                            float *y, float *work)
{
    pass p = make_pass(c, false, work);

    turn_weights(&p, w);
    run_pass(&p, x, n, y);
}

void fmal_conv_fast_backward(const fmal_conv *c, const float *w, const float *dy, int n,
                             float *dx, float *work)
{
    pass p = make_pass(c, true, work);

    turn_weights(&p, w);
    run_pass(&p, dy, n, dx);
}

/* ---- Gradients ---- */

/* Images whose slopes are turned together for a gradient. */
static int together(const fmal_conv *c, int n)
{
    fmal_idx fit = CACHED / LANES / ((fmal_idx) c->out_height * c->out_width);

    return fit < 1 ? 1 : fit < n ? (int) fit : n;
}

/* The sums [out / lanes, k, l, in, lanes], and the slopes turned for them. */
typedef struct sums {
    const fmal_conv *conv;
    const fmal_conv_kernel *kernel;
    int lanes, deep; /* of output channels; input channels in whole blocks */
    fmal_idx group;  /* numbers for `lanes` output channels */
    float *sum, *dy;
} sums;

static sums begin_sums(const fmal_conv *c, float *work)
{
    sums s = { .conv = c,
               .kernel = fmal_conv_kernel_for(c->isa),
               .lanes = lanes_of(c->out),
               .deep = round_up(c->in, ROWS / 2),
               .sum = work };
    int groups = round_up(c->out, s.lanes) / s.lanes;

    s.group = (fmal_idx) c->kernel * c->kernel * s.deep * s.lanes;
    s.dy = s.sum + groups * s.group;
    memset(s.sum, 0, (size_t) (groups * s.group) * sizeof *s.sum);
    return s;
}

/* Weight (k, l) of all channels, and of the output channels of a group. */
static void add_weight(const sums *s, int k, int l, const float *x, int images,
                       bool square, float *sum)
{
    const fmal_conv *c = s->conv;
    fmal_idx plane = (fmal_idx) c->height * c->width;
    fmal_conv_range rows = fmal_conv_reach(c, k, c->height, c->out_height);
    fmal_conv_range columns = fmal_conv_reach(c, l, c->width, c->out_width);
    fmal_conv_walk walk = { .images = images,
                            .height = rows.last - rows.first,
                            .width = columns.last - columns.first,
                            .dy_image =
                                (fmal_idx) c->out_height * c->out_width * s->lanes,
                            .dy_row = (fmal_idx) c->out_width * s->lanes,
                            .x_image = c->in * plane,
                            .x_row = (fmal_idx) c->stride * c->width,
                            .x_column = c->stride };

    if (walk.height == 0 || walk.width == 0)
        return;
    x += (fmal_idx) (rows.first * c->stride + k - c->pad) * c->width +
         columns.first * c->stride + l - c->pad;
    for (int i = 0; i < s->deep; i += ROWS) {
        int height = least(s->deep - i, ROWS);
        const float *channel[ROWS];

        for (int r = 0; r < height; r++) /* those beyond the last are dropped */
            channel[r] = x + least(i + r, c->in - 1) * plane;
        s->kernel->gradient(&walk, channel, height,
                            s->dy + rows.first * walk.dy_row + columns.first * s->lanes,
                            s->lanes, square, sum + (fmal_idx) i * s->lanes);
    }
}

/* Add the gradient of some images, or the squares of one image's. */
static void add_images(const sums *s, const float *x, const float *dy, int images,
                       bool square)
{
    const fmal_conv *c = s->conv;
    int pixels = c->out_height * c->out_width, taps = c->kernel * c->kernel;

    for (int o = 0; o < c->out; o += s->lanes) {
        int wide = least(c->out - o, s->lanes);

        if (wide < s->lanes)
            memset(s->dy, 0, (size_t) (images * pixels * s->lanes) * sizeof *s->dy);
        for (int i = 0; i < images; i++)
            s->kernel->turn(dy + ((fmal_idx) i * c->out + o) * pixels, pixels, wide,
                            pixels, s->dy + (fmal_idx) i * pixels * s->lanes, s->lanes);
        for (int t = 0; t < taps; t++)
            add_weight(s, t / c->kernel, t % c->kernel, x, images, square,
                       s->sum + o / s->lanes * s->group +
                           (fmal_idx) t * s->deep * s->lanes);
    }
}

/* to [out, in, k, l] from the sums. */
static void end_sums(const sums *s, float *to)
{
    const fmal_conv *c = s->conv;
    int taps = c->kernel * c->kernel;

    for (int o = 0; o < c->out; o += s->lanes)
        for (int i = 0; i < c->in; i++)
            s->kernel->turn(
                s->sum + o / s->lanes * s->group + (fmal_idx) i * s->lanes,
                (fmal_idx) s->deep * s->lanes, taps, least(c->out - o, s->lanes),
                to + ((fmal_idx) o * c->in + i) * taps, (fmal_idx) c->in * taps);
}

void fmal_conv_fast_gradient(const fmal_conv *c, const float *x, const float *dy, int n,
                             float *dw, float *work)
{
    fmal_idx in = (fmal_idx) c->in * c->height * c->width;
    fmal_idx out = (fmal_idx) c->out * c->out_height * c->out_width;
    sums s = begin_sums(c, work);
    int group = together(c, n);

    for (int i = 0; i < n; i += group)
        add_images(&s, x + i * in, dy + i * out, least(n - i, group), false);
    end_sums(&s, dw);
}

void fmal_conv_fast_squares(const fmal_conv *c, const float *x, const float *dy, int n,
                            float *sum, float *work)
{
    fmal_idx in = (fmal_idx) c->in * c->height * c->width;
    fmal_idx out = (fmal_idx) c->out * c->out_height * c->out_width;
    fmal_idx weights = (fmal_idx) c->out * c->in * c->kernel * c->kernel;
    sums s = begin_sums(c, work);

    for (int i = 0; i < n; i++)
        add_images(&s, x + i * in, dy + i * out, 1, true);
    end_sums(&s, s.dy);
    for (fmal_idx j = 0; j < weights; j++)
        sum[j] += s.dy[j];
}

fmal_idx fmal_conv_fast_work(const fmal_conv *c, int n)
{
    fmal_idx taps = c->kernel * c->kernel, lanes = lanes_of(c->out);
    fmal_idx sum = taps * round_up(c->in, ROWS / 2) * round_up(c->out, (int) lanes);
    fmal_idx turned = (fmal_idx) together(c, n) * c->out_height * c->out_width * lanes;

    if (c->kernel > SIDE)
        return 0;
    fmal_idx forward = make_pass(c, false, NULL).size;
    fmal_idx backward = make_pass(c, true, NULL).size;
    fmal_idx gradient = sum + most(turned, sum); /* squares in order */

    return most(forward, most(backward, gradient));
}
