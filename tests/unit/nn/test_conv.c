/* Convolutions against the sums that define them, in double precision, for every
   instruction set of this processor. */
#include "fmal_test.h"

#include "fmal/mem.h"
#include "fmal/rng.h"

#include "conv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int in, height, width, out, kernel, stride, pad, n;
} table[] = {
    { "stem of three channels", 3, 32, 32, 16, 3, 1, 1, 3 },
    { "three by three, 32 pixels wide", 5, 5, 32, 7, 3, 1, 1, 2 },
    { "three by three, 16 pixels wide", 16, 16, 16, 17, 3, 1, 1, 5 },
    { "three by three, 8 pixels wide", 9, 8, 8, 32, 3, 1, 1, 7 },
    { "three by three, 4 pixels wide", 40, 4, 4, 70, 3, 1, 1, 11 },
    { "more images than lanes", 37, 4, 4, 33, 3, 1, 1, 37 },
    { "as many images as lanes, stride two", 5, 9, 8, 9, 3, 2, 1, 32 },
    { "images that are turned in bands", 64, 37, 16, 8, 3, 1, 1, 3 },
    { "bands of a stride", 3, 41, 39, 9, 5, 3, 1, 19 },
    { "stride two halves", 6, 16, 16, 8, 3, 2, 1, 3 },
    { "stride two on odd sizes", 3, 7, 9, 5, 3, 2, 1, 2 },
    { "one by one", 7, 6, 5, 11, 1, 1, 0, 3 },
    { "one by one with padding", 2, 3, 4, 3, 1, 1, 3, 2 },
    { "one by one, stride two", 8, 8, 8, 16, 1, 2, 0, 3 },
    { "one by one, stride three, odd", 3, 7, 8, 5, 1, 3, 1, 2 },
    { "one channel, five by five", 1, 28, 28, 20, 5, 1, 2, 2 },
    { "five by five without padding", 20, 14, 14, 50, 5, 1, 0, 2 },
    { "five by five, stride three", 3, 11, 13, 4, 5, 3, 2, 2 },
    { "seven by seven, stride two", 3, 17, 19, 5, 7, 2, 3, 3 },
    { "seven by seven on the least image", 1, 7, 7, 1, 7, 1, 0, 1 },
    { "padding wider than the image", 2, 2, 1, 3, 3, 1, 3, 2 },
    { "padding beyond the kernel, stride two", 2, 5, 4, 3, 3, 2, 3, 2 },
    { "rows that the stride leaves out", 3, 8, 9, 4, 3, 3, 0, 2 },
    { "kernel too large for kernels of our own", 2, 10, 9, 3, 8, 1, 3, 2 },
    { "one pixel, one channel, one sample", 1, 1, 1, 1, 1, 1, 0, 1 },
};

enum { PARTS = 5, GUARD = 16 }; /* y, dx, dw, squares, masked */
static const char *const part_names[PARTS] = { "forward", "backward", "gradient",
                                               "squares", "masked" };

typedef struct sizes {
    fmal_idx x, y, w, count; /* weights listed */
    fmal_idx part[PARTS];
} sizes;

static sizes sizes_of(const fmal_conv *c, int n)
{
    sizes s = { .x = (fmal_idx) n * c->in * c->height * c->width,
                .y = (fmal_idx) n * c->out * c->out_height * c->out_width,
                .w = (fmal_idx) c->out * c->in * c->kernel * c->kernel };

    s.count = (s.w + 2) / 3;
    s.part[0] = s.y;
    s.part[1] = s.x;
    s.part[2] = s.part[3] = s.w;
    s.part[4] = n * (s.count + 3);
    return s;
}

static void *grab(fmal_idx count, size_t size)
{
    void *p = NULL;

    if (fmal_alloc(&p, count, size) != FMAL_OK)
        abort();
    return p;
}

/* ---- The definition ---- */

/* Adds for every product w x of the sum that is y at sample i. */
static void define(const fmal_conv *c, const double *w, const double *x,
                   const double *dy, double *y, double *dx, double *d)
{
    for (int o = 0; o < c->out; o++)
        for (int p = 0; p < c->out_height; p++)
            for (int q = 0; q < c->out_width; q++, y++, dy++)
                for (int a = 0; a < c->in * c->kernel * c->kernel; a++) {
                    int k = a / c->kernel % c->kernel, l = a % c->kernel;
                    int row = p * c->stride + k - c->pad;
                    int column = q * c->stride + l - c->pad;
                    fmal_idx at =
                        ((fmal_idx) (a / c->kernel / c->kernel) * c->height + row) *
                            c->width +
                        column;
                    fmal_idx weight = (fmal_idx) o * c->in * c->kernel * c->kernel + a;

                    if (row < 0 || row >= c->height || column < 0 || column >= c->width)
                        continue;
                    *y += w[weight] * x[at];
                    dx[at] += w[weight] * *dy;
                    d[weight] += x[at] * *dy;
                }
}

static void reference(const fmal_conv *c, int n, const double *w, const double *x,
                      const double *dy, const fmal_idx *index, double *part[PARTS])
{
    sizes s = sizes_of(c, n);
    double *d = grab(s.w, sizeof *d);

    for (int i = 0; i < n; i++) {
        memset(d, 0, (size_t) s.w * sizeof *d);
        define(c, w, x + i * (s.x / n), dy + i * (s.y / n), part[0] + i * (s.y / n),
               part[1] + i * (s.x / n), d);
        for (fmal_idx j = 0; j < s.w; j++) {
            part[2][j] += d[j];
            part[3][j] += d[j] * d[j];
        }
        for (fmal_idx j = 0; j < s.count; j++)
            part[4][i * (s.count + 3) + j] = d[index[j]];
    }
    fmal_free(&d);
}

/* ---- What is tested ---- */

/* Outputs begin as NaN (squares are added to), and so does the working memory. */
#define DEFINE_COMPUTE(real, type)                                                     \
    static void compute_##type(const fmal_conv *c, int n, const real *w,               \
                               const real *x, const real *dy, const fmal_idx *index,   \
                               real *part[PARTS])                                      \
    {                                                                                  \
        sizes s = sizes_of(c, n);                                                      \
        fmal_idx room = fmal_conv_work(c, n);                                          \
        real *work = grab(room + GUARD, sizeof *work);                                 \
                                                                                       \
        for (int k = 0; k < PARTS; k++)                                                \
            for (fmal_idx j = 0; j < s.part[k] + GUARD; j++)                           \
                part[k][j] = k == 3 ? 0 : (real) NAN;                                  \
        for (int k = 0; k < PARTS; k++) {                                              \
            for (fmal_idx j = 0; j < room + GUARD; j++)                                \
                work[j] = j < room ? (real) NAN : 7;                                   \
            if (k == 0)                                                                \
                fmal_conv_forward_##type(c, w, x, n, part[0], work);                   \
            else if (k == 1)                                                           \
                fmal_conv_backward_##type(c, w, dy, n, part[1], work);                 \
            else if (k == 2)                                                           \
                fmal_conv_gradient_##type(c, x, dy, n, part[2], work);                 \
            else if (k == 3)                                                           \
                fmal_conv_squares_##type(c, x, dy, n, part[3], work);                  \
            else                                                                       \
                fmal_conv_masked_##type(c, x, dy, n, index, s.count, part[4],          \
                                        s.count + 3, work);                            \
            for (int j = 0; j < GUARD; j++)                                            \
                if (work[room + j] != 7)                                               \
                    part[k][0] = (real) NAN;                                           \
        }                                                                              \
        fmal_free(&work);                                                              \
    }                                                                                  \
                                                                                       \
    /* Largest error over the largest number; what lies between and after the outputs  \
       must not have been written. */                                                  \
    static double error_##type(const sizes *s, int k, const real *got,                 \
                               const double *want)                                     \
    {                                                                                  \
        double worst = 0, scale = 0;                                                   \
                                                                                       \
        for (fmal_idx j = 0; j < s->part[k]; j++) {                                    \
            bool gap = k == 4 && j % (s->count + 3) >= s->count;                       \
                                                                                       \
            if (gap != !!isnan(got[j]))                                                \
                return INFINITY;                                                       \
            if (!gap)                                                                  \
                worst = fmax(worst, fabs(got[j] - want[j]));                           \
            scale = fmax(scale, fabs(want[j]));                                        \
        }                                                                              \
        for (int j = 0; j < GUARD; j++)                                                \
            if (k == 3 ? got[s->part[k] + j] != 0 : !isnan(got[s->part[k] + j]))       \
                return INFINITY;                                                       \
        return scale > 0 ? worst / scale : worst;                                      \
    }

DEFINE_COMPUTE(float, f32)
DEFINE_COMPUTE(double, f64)

/* Single-precision numbers in both types, so that inputs are the same. */
static void draw(uint64_t key, fmal_idx count, float *f, double *d)
{
    fmal_rng r = fmal_rng_stream(3, FMAL_RNG_SYNTH, 0, key);

    for (fmal_idx j = 0; j < count; j++)
        d[j] = f[j] = (float) (2 * fmal_rng_uniform(&r) - 1);
}

typedef struct fixture {
    fmal_conv c;
    sizes s;
    int n;
    float *w, *x, *dy, *part[PARTS];
    double *wd, *xd, *dyd, *want[PARTS], *got[PARTS];
    fmal_idx *index;
} fixture;

static fixture set_up(int row)
{
    fixture f = { .n = table[row].n };

    f.c = fmal_conv_make(table[row].in, table[row].height, table[row].width,
                         table[row].out, table[row].kernel, table[row].stride,
                         table[row].pad);
    f.s = sizes_of(&f.c, f.n);
    f.w = grab(f.s.w, sizeof *f.w);
    f.x = grab(f.s.x, sizeof *f.x);
    f.dy = grab(f.s.y, sizeof *f.dy);
    f.wd = grab(f.s.w, sizeof *f.wd);
    f.xd = grab(f.s.x, sizeof *f.xd);
    f.dyd = grab(f.s.y, sizeof *f.dyd);
    f.index = grab(f.s.count, sizeof *f.index);
    draw(3 * row, f.s.w, f.w, f.wd);
    draw(3 * row + 1, f.s.x, f.x, f.xd);
    draw(3 * row + 2, f.s.y, f.dy, f.dyd);
    for (fmal_idx j = 0; j < f.s.count; j++)
        f.index[j] = 3 * j;
    for (int k = 0; k < PARTS; k++) {
        f.part[k] = grab(f.s.part[k] + GUARD, sizeof **f.part);
        f.want[k] = grab(f.s.part[k] + GUARD, sizeof **f.want);
        f.got[k] = grab(f.s.part[k] + GUARD, sizeof **f.got);
    }
    return f;
}

static void tear_down(fixture *f)
{
    void *all[] = { &f->w, &f->x, &f->dy, &f->wd, &f->xd, &f->dyd, &f->index };

    for (size_t j = 0; j < sizeof all / sizeof *all; j++)
        fmal_free(all[j]);
    for (int k = 0; k < PARTS; k++) {
        fmal_free(&f->part[k]);
        fmal_free(&f->want[k]);
        fmal_free(&f->got[k]);
    }
}

static void test_values(fmal_test *t, int row)
{
    fixture f = set_up(row);

    reference(&f.c, f.n, f.wd, f.xd, f.dyd, f.index, f.want);
    compute_f64(&f.c, f.n, f.wd, f.xd, f.dyd, f.index, f.got);
    for (int k = 0; k < PARTS; k++) {
        double e = error_f64(&f.s, k, f.got[k], f.want[k]);

        fmal_test_ok(t, e <= 1e-12, "%s: %s in double: %.1e", table[row].name,
                     part_names[k], e);
    }
    for (fmal_isa isa = FMAL_ISA_PLAIN; isa <= fmal_isa_detect(); isa++) {
        f.c.isa = isa;
        compute_f32(&f.c, f.n, f.w, f.x, f.dy, f.index, f.part);
        for (int k = 0; k < PARTS; k++) {
            double e = error_f32(&f.s, k, f.part[k], f.want[k]);

            fmal_test_ok(t, e <= 1e-5, "%s: %s in float, %s: %.1e", table[row].name,
                         part_names[k], fmal_isa_name(isa), e);
        }
    }
    tear_down(&f);
}

/* The kernels of our own: a sample alone, from another place in memory, and with the
   other instruction set. */
static void test_bits(fmal_test *t, int row)
{
    fixture f = set_up(row), alone = set_up(row);
    fmal_idx x1 = f.s.x / f.n, y1 = f.s.y / f.n;
    float *x = grab(x1 + 1, sizeof *x), *dy = grab(y1 + 1, sizeof *dy);
    int last = f.n - 1;

    f.c.isa = fmal_isa_detect();
    alone.c.isa = FMAL_ISA_AVX2;
    compute_f32(&f.c, f.n, f.w, f.x, f.dy, f.index, f.part);
    memcpy(x + 1, f.x + last * x1, (size_t) x1 * sizeof *x);
    memcpy(dy + 1, f.dy + last * y1, (size_t) y1 * sizeof *dy);
    compute_f32(&alone.c, 1, f.w, x + 1, dy + 1, f.index, alone.part);
    fmal_test_ok(
        t, memcmp(alone.part[0], f.part[0] + last * y1, (size_t) y1 * sizeof *x) == 0,
        "%s: forward of a sample alone, the same bits", table[row].name);
    fmal_test_ok(
        t, memcmp(alone.part[1], f.part[1] + last * x1, (size_t) x1 * sizeof *x) == 0,
        "%s: backward of a sample alone, the same bits", table[row].name);
    compute_f32(&alone.c, f.n, f.w, f.x, f.dy, f.index, alone.part);
    for (int k = 2; k < PARTS; k++)
        fmal_test_ok(
            t, memcmp(alone.part[k], f.part[k], (size_t) f.s.part[k] * sizeof *x) == 0,
            "%s: %s with both instruction sets, the same bits", table[row].name,
            part_names[k]);
    fmal_free(&x);
    fmal_free(&dy);
    tear_down(&f);
    tear_down(&alone);
}

static void test_sizes(fmal_test *t)
{
    fmal_conv c = fmal_conv_make(16, 32, 31, 8, 3, 2, 1);

    fmal_test_ok(t, c.out_height == 16 && c.out_width == 16, "sizes of the output");
    fmal_test_ok(t, fmal_conv_flops(&c) == 2.0 * 8 * 16 * 9 * 16 * 16, "operations");
    c = fmal_conv_make(1, 2, 9, 1, 5, 1, 1);
    fmal_test_ok(t, c.out_height < 1 && c.out_width == 7, "a kernel that does not fit");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_sizes(&t);
    for (int row = 0; row < (int) (sizeof table / sizeof *table); row++) {
        test_values(&t, row);
        if (fmal_isa_detect() >= FMAL_ISA_AVX2 &&
            table[row].kernel * table[row].kernel <= 49)
            test_bits(&t, row);
    }
    return fmal_test_end(&t);
}
