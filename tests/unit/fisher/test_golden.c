/* A trained resnet18-slim against an independent computation in double precision: the
   Fisher diagonal of 64 images, the mask, the Jacobian of one. */
#include "fmal_test.h"
#include "golden_images.h"

#include "fmal/mask.h"
#include "fmal/mem.h"

#include <math.h>

enum { IMAGES = 64, SAMPLE = 20, MOST_MASKED = 2000 };

typedef struct {
    fmal_dataset set; /* its images */
    fmal_net *net;
    double *diagonal;
    fmal_idx mask[MOST_MASKED], n_mask;
    double *jacobian; /* [c, n_mask] of log p_c of sample SAMPLE */
    double logits[GOLDEN_CLASSES];
    double fraction;
} golden;

static fmal_status read_answers(fmal_h5 *h, golden *g)
{
    double logits[GOLDEN_N][GOLDEN_CLASSES];
    fmal_h5_info info;

    fmal_h5_info_of(h, "/expected/mask", &info);
    g->n_mask = info.dims[0];
    if (g->n_mask < 1 || g->n_mask > MOST_MASKED)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "no mask");
    FMAL_TRY(FMAL_ALLOC(&g->diagonal, fmal_net_size(g->net)));
    FMAL_TRY(FMAL_ALLOC(&g->jacobian, GOLDEN_CLASSES * g->n_mask));
    FMAL_TRY(fmal_h5_get_f64(h, "/expected/mask", "fraction", &g->fraction));
    FMAL_TRY(fmal_h5_read(h, "/expected/mask", FMAL_I64, g->mask));
    FMAL_TRY(fmal_h5_read(h, "/expected/fisher_diagonal", FMAL_F64, g->diagonal));
    FMAL_TRY(fmal_h5_read(h, "/expected/logits", FMAL_F64, logits));
    memcpy(g->logits, logits[SAMPLE], sizeof g->logits);
    return fmal_h5_read(h, "/expected/jacobian_sample_20", FMAL_F64, g->jacobian);
}

static fmal_status read_all(const fmal_ctx *ctx, const char *path, golden *g)
{
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_open(path, &h);

    if (st == FMAL_OK)
        st = golden_net(h, &g->net);
    if (st == FMAL_OK)
        st = golden_images(ctx, h, &g->set);
    if (st == FMAL_OK)
        st = read_answers(h, g);
    fmal_h5_close(&h);
    return fmal_agree(ctx, st);
}

static void clear(golden *g)
{
    golden_images_clear(&g->set);
    fmal_free(&g->diagonal);
    fmal_free(&g->jacobian);
    fmal_net_destroy(&g->net);
}

static void test_diagonal(fmal_test *t, golden *g)
{
    fmal_idx samples[IMAGES], size = fmal_net_size(g->net);
    const fmal_watch unwatched = { 0 };
    double *got = NULL, worst = 0, largest = 0;

    if (FMAL_ALLOC(&got, size) != FMAL_OK)
        abort();
    for (int i = 0; i < IMAGES; i++)
        samples[i] = i;
    fmal_test_status(t,
                     fmal_fisher_diagonal(&t->ctx, g->net, &g->set, &g->set.train,
                                          samples, IMAGES, &unwatched, got),
                     FMAL_OK, "a diagonal");
    for (fmal_idx i = 0; i < size; i++) {
        worst = fmax(worst, fabs(got[i] - g->diagonal[i]));
        largest = fmax(largest, g->diagonal[i]);
    }
    fmal_test_ok(t, largest > 0 && worst < 1e-4 * largest,
                 "to 1e-4 of its largest value (%.1g)", worst / largest);
    fmal_free(&got);
}

static void test_mask(fmal_test *t, golden *g, fmal_mask *mask)
{
    fmal_mask_options o = { .images = FMAL_IMAGES_FIRST,
                            .fraction = g->fraction,
                            .samples = IMAGES };
    const fmal_watch unwatched = { 0 };

    fmal_test_status(t, fmal_mask_make(&t->ctx, g->net, &g->set, &o, &unwatched, mask),
                     FMAL_OK, "a mask");
    fmal_test_ok(
        t,
        mask->count == g->n_mask && mask->extra == g->n_mask - 1280 &&
            memcmp(mask->index, g->mask, (size_t) g->n_mask * sizeof *g->mask) == 0,
        "position for position");
}

/* The file has gradients of log p_c: those of z_c less their mean by p. */
static double log_gradient(const golden *g, const float *t, fmal_idx extra, int c,
                           fmal_idx j)
{
    double all = 0, mean = 0;

    for (int k = 0; k < GOLDEN_CLASSES; k++)
        all += exp(g->logits[k]);
    for (int k = 0; k < GOLDEN_CLASSES; k++)
        mean += exp(g->logits[k]) / all * t[k * extra + j];
    return t[c * extra + j] - mean;
}

static void test_jacobian(fmal_test *t, golden *g, const fmal_mask *mask)
{
    fmal_jacobian_options o = { .rows = FMAL_RELATIVE };
    const fmal_watch unwatched = { 0 };
    fmal_jacobian j = { 0 };
    fmal_idx il = SAMPLE - g->set.train.part.first, extra = mask->extra;
    double worst = 0, largest = 0;

    fmal_test_status(t,
                     fmal_fisher_jacobian(&t->ctx, g->net, &g->set, &g->set.train, mask,
                                          &o, &unwatched, &j),
                     FMAL_OK, "a Jacobian");
    for (fmal_idx i = 0; i < GOLDEN_CLASSES * extra && j.rows; i++) {
        double want = g->jacobian[i / extra * mask->count + i % extra];

        largest = fmax(largest, fabs(want));
        if (il >= 0 && il < g->set.train.part.count)
            worst = fmax(
                worst, fabs(want - log_gradient(g, j.rows + il * GOLDEN_CLASSES * extra,
                                                extra, (int) (i / extra), i % extra)));
    }
    fmal_test_ok(t, largest > 0 && worst < 1e-4 * largest,
                 "of one image, to 1e-4 of its largest value (%.1g)", worst / largest);
    fmal_jacobian_clear(&j);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    char path[1024];
    golden g = { 0 };
    fmal_mask mask = { 0 };

    if (!golden_path(path, sizeof path))
        return fmal_test_skip(&t, "no network with known answers (set FMAL_GOLDEN)");
    fmal_status st = read_all(&t.ctx, path, &g);
    fmal_test_status(&t, st, FMAL_OK, path);
    if (st == FMAL_OK) {
        test_diagonal(&t, &g);
        test_mask(&t, &g, &mask);
        test_jacobian(&t, &g, &mask);
    }
    fmal_mask_clear(&mask);
    clear(&g);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
