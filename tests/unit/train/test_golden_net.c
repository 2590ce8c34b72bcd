/* A trained resnet18-slim on real images against an independent computation in double
   precision: logits, features, the diagonal of the Fisher information, a Jacobian. */
#include "fmal_test.h"
#include "golden_net.h"

#include "fmal/mem.h"

#include <math.h>

enum { N = GOLDEN_N, CLASSES = GOLDEN_CLASSES, INPUTS = GOLDEN_INPUTS };
enum { FEATURES = 128, SIZE = 701456, IMAGES = 64, SAMPLE = 20 };
enum { MASKED = 1402, HEAD = 1280, LISTED = MASKED - HEAD };

/* Everything the file has, and room for results. */
typedef struct {
    unsigned char *images;
    float *x, *features, *logits, *squares, *jacobian;
    double *want_features, *want_logits, *want_squares, *want_jacobian;
    fmal_idx *mask;
    fmal_net *net;
} golden;

static fmal_status allocate(golden *g)
{
    FMAL_TRY(FMAL_ALLOC(&g->images, N * INPUTS));
    FMAL_TRY(FMAL_ALLOC(&g->x, N * INPUTS));
    FMAL_TRY(FMAL_ALLOC(&g->features, N * FEATURES));
    FMAL_TRY(FMAL_ALLOC(&g->logits, N * CLASSES));
    FMAL_TRY(FMAL_ALLOC(&g->squares, SIZE));
    FMAL_TRY(FMAL_ALLOC(&g->jacobian, 2 * CLASSES * LISTED));
    FMAL_TRY(FMAL_ALLOC(&g->want_features, N * FEATURES));
    FMAL_TRY(FMAL_ALLOC(&g->want_logits, N * CLASSES));
    FMAL_TRY(FMAL_ALLOC(&g->want_squares, SIZE));
    FMAL_TRY(FMAL_ALLOC(&g->want_jacobian, CLASSES * MASKED));
    return FMAL_ALLOC(&g->mask, MASKED);
}

static void clear(golden *g)
{
    fmal_free(&g->images);
    fmal_free(&g->x);
    fmal_free(&g->features);
    fmal_free(&g->logits);
    fmal_free(&g->squares);
    fmal_free(&g->jacobian);
    fmal_free(&g->want_features);
    fmal_free(&g->want_logits);
    fmal_free(&g->want_squares);
    fmal_free(&g->want_jacobian);
    fmal_free(&g->mask);
    fmal_net_destroy(&g->net);
}

static fmal_status read_all(fmal_h5 *h, golden *g)
{
    float mean[3], std[3];

    FMAL_TRY(golden_net(h, &g->net));
    FMAL_TRY(fmal_h5_read(h, "/images", FMAL_U8, g->images));
    FMAL_TRY(fmal_h5_read(h, "/mean", FMAL_F32, mean));
    FMAL_TRY(fmal_h5_read(h, "/std", FMAL_F32, std));
    for (int i = 0; i < N * INPUTS; i++) {
        int channel = i % INPUTS / 1024;

        g->x[i] = ((float) g->images[i] / 255 - mean[channel]) / std[channel];
    }
    FMAL_TRY(fmal_h5_read(h, "/expected/features", FMAL_F64, g->want_features));
    FMAL_TRY(fmal_h5_read(h, "/expected/logits", FMAL_F64, g->want_logits));
    FMAL_TRY(fmal_h5_read(h, "/expected/fisher_diagonal", FMAL_F64, g->want_squares));
    FMAL_TRY(fmal_h5_read(h, "/expected/mask", FMAL_I64, g->mask));
    return fmal_h5_read(h, "/expected/jacobian_sample_20", FMAL_F64, g->want_jacobian);
}

static double worst_of(const float *got, const double *want, int n)
{
    double worst = 0;

    for (int i = 0; i < n; i++) {
        if (isnan(got[i]))
            return INFINITY;
        worst = fmax(worst, fabs(got[i] - want[i]));
    }
    return worst;
}

static void test_forward(fmal_test *t, golden *g)
{
    fmal_net_forward(g->net, g->x, N, g->features, g->logits);
    double logits = worst_of(g->logits, g->want_logits, N * CLASSES);
    double features = worst_of(g->features, g->want_features, N * FEATURES);

    fmal_test_ok(t, logits < 1e-4, "logits to 1e-4 (%.1g)", logits);
    fmal_test_ok(t, features < 1e-4, "features to 1e-4 (%.1g)", features);
}

static void test_squares(fmal_test *t, golden *g)
{
    double largest = 0;

    fmal_test_status(t, fmal_net_squares(g->net, g->x, IMAGES, g->squares), FMAL_OK,
                     "squares");
    for (int j = 0; j < SIZE; j++) {
        g->squares[j] /= IMAGES;
        largest = fmax(largest, g->want_squares[j]);
    }
    double worst = worst_of(g->squares, g->want_squares, SIZE) / largest;
    fmal_test_ok(t, worst < 1e-4, "Fisher diagonal to 1e-4 of its largest (%.1g)",
                 worst);
}

/* The file has gradients of log p_c: those of z_c less their mean by p. */
static double log_gradient(const golden *g, const float *jacobian, int c, int j)
{
    const double *z = g->want_logits + SAMPLE * CLASSES;
    double all = 0, mean = 0;

    for (int k = 0; k < CLASSES; k++)
        all += exp(z[k]);
    for (int k = 0; k < CLASSES; k++)
        mean += exp(z[k]) / all * jacobian[k * LISTED + j];
    return jacobian[c * LISTED + j] - mean;
}

static void test_jacobian(fmal_test *t, golden *g, fmal_jacobian_rows rows)
{
    double worst = 0, largest = 0;

    /* the head is the end of the mask; the sample is the first of two */
    fmal_net_jacobian(g->net, g->x + SAMPLE * INPUTS, 2, g->mask, LISTED, rows,
                      g->jacobian);
    for (int c = 0; c < CLASSES; c++)
        for (int j = 0; j < LISTED; j++) {
            double want = g->want_jacobian[c * MASKED + j];

            largest = fmax(largest, fabs(want));
            worst = fmax(worst, fabs(log_gradient(g, g->jacobian, c, j) - want));
        }
    fmal_test_ok(
        t, g->mask[LISTED] == SIZE - HEAD && largest > 0 && worst < 1e-4 * largest,
        "Jacobian, %s rows, to 1e-4 of its largest (%.1g)",
        rows == FMAL_RELATIVE ? "relative" : "absolute", worst / largest);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    char path[1024];
    golden g = { 0 };
    fmal_h5 *h = NULL;

    if (!golden_path(path, sizeof path))
        return fmal_test_skip(&t, "no network with known answers (set FMAL_GOLDEN)");
    fmal_status st = allocate(&g);
    if (st == FMAL_OK)
        st = fmal_h5_open(path, &h);
    if (st == FMAL_OK)
        st = read_all(h, &g);
    fmal_test_status(&t, st, FMAL_OK, path);
    if (st == FMAL_OK) {
        test_forward(&t, &g);
        test_squares(&t, &g);
        test_jacobian(&t, &g, FMAL_ABSOLUTE);
        test_jacobian(&t, &g, FMAL_RELATIVE);
    }
    fmal_h5_close(&h);
    clear(&g);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
