/*
 * How fast convolutions are, by shape and direction, beside SGEMM of the same process:
 * those of the slim ResNet-18 on 32 x 32 images, a micro-batch at a time. Not a test:
 * what it prints is for docs/performance.md. Time is the thread's, so that other
 * processes disturb little; the least of some rounds, in which all take turns.
 */
#include "fmal/mem.h"

#include "conv.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N = 32, ROUNDS = 15, ORDER = 768, DIRECTIONS = 4, WAYS = FMAL_ISA_AVX512 + 1 };

static const struct {
    int in, size, out, kernel, stride, times; /* in the network */
} shapes[] = {
    { 3, 32, 16, 3, 1, 1 },  { 16, 32, 16, 3, 1, 4 },  { 16, 32, 32, 3, 2, 1 },
    { 16, 32, 32, 1, 2, 1 }, { 32, 16, 32, 3, 1, 3 },  { 32, 16, 64, 3, 2, 1 },
    { 32, 16, 64, 1, 2, 1 }, { 64, 8, 64, 3, 1, 3 },   { 64, 8, 128, 3, 2, 1 },
    { 64, 8, 128, 1, 2, 1 }, { 128, 4, 128, 3, 1, 3 },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static float *make(fmal_idx count)
{
    float *x = NULL;

    if (fmal_alloc(&x, count, sizeof *x) != FMAL_OK)
        exit(1);
    for (fmal_idx j = 0; j < count; j++)
        x[j] = (float) (j * 7919 % 1009) / 1009 - 0.5F;
    return x;
}

static double gemm_seconds(const float *a, float *c)
{
    double start = now();

    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, ORDER, ORDER, ORDER, 1, a,
                ORDER, a, ORDER, 0, c, ORDER);
    return now() - start;
}

/* The arrays are large enough for any of the shapes. */
static double seconds(const fmal_conv *c, int direction, const float *w, const float *x,
                      const float *dy, float *result, float *work)
{
    double start = now();

    if (direction == 0)
        fmal_conv_forward_f32(c, w, x, N, result, work);
    else if (direction == 1)
        fmal_conv_backward_f32(c, w, dy, N, result, work);
    else if (direction == 2)
        fmal_conv_gradient_f32(c, x, dy, N, result, work);
    else
        fmal_conv_squares_f32(c, x, dy, N, result, work);
    return now() - start;
}

static void keep_least(double *least, double x)
{
    if (*least == 0 || x < *least)
        *least = x;
}

/* Add the seconds of an image to total[way][direction]. */
static void measure(int row, double total[WAYS][DIRECTIONS])
{
    fmal_conv c = fmal_conv_make(shapes[row].in, shapes[row].size, shapes[row].size,
                                 shapes[row].out, shapes[row].kernel,
                                 shapes[row].stride, shapes[row].kernel / 2);
    fmal_idx most = (fmal_idx) N * 32 * 32 * 32, room = fmal_conv_work(&c, N);
    double least[WAYS][DIRECTIONS] = { { 0 } }, gemm = 0;
    double flops = N * fmal_conv_flops(&c);
    int best = fmal_isa_detect();

    c.isa = (fmal_isa) best;
    if (fmal_conv_work(&c, N) > room)
        room = fmal_conv_work(&c, N);
    float *w = make(most), *x = make(most), *dy = make(most), *result = make(most);
    float *work = make(room);

    for (int round = 0; round < ROUNDS; round++) {
        keep_least(&gemm, gemm_seconds(x, result));
        for (int way = 0; way <= best; way++)
            for (int d = 0; d < DIRECTIONS; d++) {
                c.isa = (fmal_isa) way;
                keep_least(&least[way][d], seconds(&c, d, w, x, dy, result, work));
            }
    }
    gemm = 2.0 * ORDER * ORDER * ORDER / gemm;
    printf(
        "%d -> %d, %d x %d, kernel %d, stride %d, times %d; SGEMM %.0f GFLOP/s:", c.in,
        c.out, c.height, c.width, c.kernel, c.stride, shapes[row].times, gemm * 1e-9);
    for (int way = 0; way <= best; way++) {
        printf("  %s", fmal_isa_name((fmal_isa) way));
        for (int d = 0; d < DIRECTIONS; d++) {
            printf(" %.0f %%", 100 * flops / least[way][d] / gemm);
            total[way][d] += shapes[row].times * least[way][d] / N;
        }
    }
    printf("\n");
    fmal_free(&w);
    fmal_free(&x);
    fmal_free(&dy);
    fmal_free(&result);
    fmal_free(&work);
}

int main(void)
{
    double total[WAYS][DIRECTIONS] = { { 0 } };

    printf("percent of SGEMM: forward, backward, gradient, squares\n");
    for (int row = 0; row < SHAPES; row++)
        measure(row, total);
    for (int way = 0; way <= (int) fmal_isa_detect(); way++)
        printf("%s: ms an image %.2f forward, %.2f backward, %.2f gradient, "
               "%.2f squares\n",
               fmal_isa_name((fmal_isa) way), 1e3 * total[way][0], 1e3 * total[way][1],
               1e3 * total[way][2], 1e3 * total[way][3]);
    return 0;
}
