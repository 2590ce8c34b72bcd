/* Networks: how they are built, their first weights, and what a forward pass promises.
 */
#include "fmal_test.h"

#include "fmal/nn.h"
#include "fmal/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 272, CLASSES = 7, HIDDEN = 13, BATCH = 32, WIDEST = 512 };

static const int shape[3] = { 1, 16, 17 };

static bool same_bits(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}

static fmal_net *make(const char *arch)
{
    fmal_net *net = NULL;

    if (fmal_net_create(arch, shape, CLASSES, HIDDEN, BATCH, &net) != FMAL_OK)
        abort();
    fmal_net_init(net, 42, 0);
    return net;
}

/* ---- Building ---- */

static const struct {
    const char *name, *arch;
    int features, tensors;
    fmal_idx size;
    double flops;
} archs[] = {
    { "logreg", "logreg", INPUTS, 1, CLASSES *INPUTS, 2.0 * CLASSES *INPUTS },
    { "mlp", "mlp", HIDDEN, 3, HIDDEN *INPUTS + HIDDEN + CLASSES *HIDDEN,
      2.0 * HIDDEN *INPUTS + HIDDEN + 2.0 * CLASSES *HIDDEN },
};

/* What the papers' networks have; 10 classes, 3 channels of 32 x 32 but for lenet. */
static const struct {
    const char *arch;
    int shape[3], hidden;
    fmal_idx size;
    int features, tensors, stat_tensors;
    double mflops; /* of convolutions and dense layers, rounded down */
} known[] = {
    { "lenet", { 1, 28, 28 }, 128, 186978, 128, 7, 0, 6.1 },
    { "resnet18-slim", { 3, 32, 32 }, 1, 701456, 128, 61, 40, 70.1 },
    { "resnet18", { 3, 32, 32 }, 1, 11173952, 512, 61, 40, 1110.8 },
    { "vgg11", { 3, 32, 32 }, 1, 9228352, 512, 25, 16, 305.5 },
};

static bool stats_cover(const fmal_net *net)
{
    fmal_idx at = 0;

    for (int i = 0; i < fmal_net_stat_tensors(net); i++) {
        const fmal_tensor *tensor = fmal_net_stat_tensor(net, i);

        if (tensor->offset != at || tensor->ndims != 1 ||
            tensor->count != tensor->dims[0])
            return false;
        at += tensor->count;
    }
    return at == fmal_net_stats_size(net);
}

static bool tensors_cover(const fmal_net *net)
{
    fmal_idx at = 0;

    for (int i = 0; i < fmal_net_tensors(net); i++) {
        const fmal_tensor *tensor = fmal_net_tensor(net, i);
        fmal_idx count = 1;

        for (int k = 0; k < tensor->ndims; k++)
            count *= tensor->dims[k];
        if (tensor->offset != at || tensor->count != count)
            return false;
        at += count;
    }
    return at == fmal_net_size(net);
}

static void test_build(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(archs); i++) {
        fmal_net *net = make(archs[i].arch);
        const fmal_tensor *head = fmal_net_tensor(net, fmal_net_tensors(net) - 1);

        fmal_test_ok(t,
                     fmal_net_inputs(net) == INPUTS &&
                         fmal_net_classes(net) == CLASSES &&
                         fmal_net_features(net) == archs[i].features,
                     "%s: widths", archs[i].name);
        fmal_test_ok(t,
                     fmal_net_tensors(net) == archs[i].tensors &&
                         fmal_net_size(net) == archs[i].size && tensors_cover(net),
                     "%s: tensors cover the parameters", archs[i].name);
        fmal_test_ok(t,
                     strcmp(head->name, "head.weight") == 0 && head->ndims == 2 &&
                         head->dims[0] == CLASSES && head->dims[1] == archs[i].features,
                     "%s: the head comes last, without bias", archs[i].name);
        fmal_test_ok(t, fmal_net_flops(net) == archs[i].flops, "%s: operations",
                     archs[i].name);
        fmal_net_destroy(&net);
    }
}

static void test_known(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(known); i++) {
        fmal_net *net = NULL;

        fmal_test_status(t,
                         fmal_net_create(known[i].arch, known[i].shape, 10,
                                         known[i].hidden, 2, &net),
                         FMAL_OK, known[i].arch);
        fmal_test_ok(t, fmal_net_size(net) == known[i].size, "%s: %d parameters",
                     known[i].arch, (int) fmal_net_size(net));
        fmal_test_ok(t,
                     fmal_net_features(net) == known[i].features &&
                         fmal_net_tensors(net) == known[i].tensors &&
                         fmal_net_stat_tensors(net) == known[i].stat_tensors &&
                         tensors_cover(net) && stats_cover(net),
                     "%s: tensors", known[i].arch);
        double mflops = fmal_net_flops(net) * 1e-6;
        fmal_test_ok(t, mflops > known[i].mflops && mflops < 1.02 * known[i].mflops,
                     "%s: %.1f million operations", known[i].arch, mflops);
        fmal_net_destroy(&net);
    }
}

/* Names and order are torchvision's, so that weights can come from there. */
static void test_names(fmal_test *t)
{
    static const char *const begin[] = {
        "conv1.weight",          "bn1.weight",          "bn1.bias",
        "layer1.0.conv1.weight", "layer1.0.bn1.weight", "layer1.0.bn1.bias",
        "layer1.0.conv2.weight", "layer1.0.bn2.weight", "layer1.0.bn2.bias",
        "layer1.1.conv1.weight"
    };
    static const char *const second[] = { "layer2.0.conv1.weight",
                                          "layer2.0.bn1.weight",
                                          "layer2.0.bn1.bias",
                                          "layer2.0.conv2.weight",
                                          "layer2.0.bn2.weight",
                                          "layer2.0.bn2.bias",
                                          "layer2.0.downsample.0.weight",
                                          "layer2.0.downsample.1.weight",
                                          "layer2.0.downsample.1.bias",
                                          "layer2.1.conv1.weight" };
    fmal_net *net = make("resnet18-slim");
    bool ok = true;

    for (int i = 0; i < FMAL_COUNT(begin); i++)
        ok = ok && strcmp(fmal_net_tensor(net, i)->name, begin[i]) == 0;
    for (int i = 0; i < FMAL_COUNT(second); i++)
        ok = ok && strcmp(fmal_net_tensor(net, 15 + i)->name, second[i]) == 0;
    fmal_test_ok(t, ok, "resnet18-slim: names of parameters");
    fmal_test_ok(t,
                 strcmp(fmal_net_stat_tensor(net, 0)->name, "bn1.running_mean") == 0 &&
                     strcmp(fmal_net_stat_tensor(net, 1)->name, "bn1.running_var") ==
                         0 &&
                     strcmp(fmal_net_stat_tensor(net, 14)->name,
                            "layer2.0.downsample.1.running_mean") == 0,
                 "resnet18-slim: names of statistics");
    fmal_net_destroy(&net);
}

static const struct {
    const char *arch, *text;
    int shape[3];
} misfits[] = {
    { "lenet", "at least 12 x 12", { 1, 28, 11 } },
    { "resnet18-slim", "at least 8 x 8", { 784, 1, 1 } },
    { "vgg11", "at least 16 x 16", { 3, 15, 32 } },
    { "resnet18", "too large", { 3, 4096, 4096 } },
};

static void test_misfits(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(misfits); i++) {
        fmal_net *net = NULL;
        fmal_status st = fmal_net_create(misfits[i].arch, misfits[i].shape, CLASSES,
                                         HIDDEN, BATCH, &net);

        fmal_test_ok(t,
                     st == FMAL_ERR_USAGE && !net &&
                         strstr(fmal_error_text(), misfits[i].text),
                     "%s: %s", misfits[i].arch, misfits[i].text);
    }
}

static const struct {
    const char *name, *arch, *text;
} misspelt[] = {
    { "the nearest name is offered", "mpl", "did you mean 'mlp'" },
    { "also for a long one", "logred", "did you mean 'logreg'" },
    { "with none near, all are listed", "transformer", "there are logreg, mlp" },
};

static void test_unknown(fmal_test *t)
{
    fmal_net *net = NULL;

    for (int i = 0; i < FMAL_COUNT(misspelt); i++) {
        fmal_status st =
            fmal_net_create(misspelt[i].arch, shape, CLASSES, HIDDEN, BATCH, &net);

        fmal_test_ok(t,
                     st == FMAL_ERR_USAGE && !net &&
                         strstr(fmal_error_text(), misspelt[i].text),
                     "%s", misspelt[i].name);
    }
    int names = 0, summaries = 0;
    while (fmal_arch_names[names])
        names++;
    while (fmal_arch_summaries[summaries])
        summaries++;
    fmal_test_ok(t,
                 names == FMAL_COUNT(archs) + FMAL_COUNT(known) && summaries == names,
                 "every network has a summary and a test");
}

/* ---- First weights ---- */

static bool in_range(fmal_net *net)
{
    const float *w = fmal_net_params(net);

    for (int i = 0; i < fmal_net_tensors(net); i++) {
        const fmal_tensor *tensor = fmal_net_tensor(net, i);
        float bound = (float) (1 / sqrt(tensor->fan_in)), largest = 0;

        for (fmal_idx k = 0; tensor->fan_in == 0 && k < tensor->count; k++)
            if (w[tensor->offset + k] != tensor->initial)
                return false;
        if (tensor->fan_in == 0)
            continue;

        for (fmal_idx k = 0; k < tensor->count; k++)
            largest = fmaxf(largest, fabsf(w[tensor->offset + k]));
        if (largest > bound || largest < 0.5f * bound)
            return false;
    }
    return true;
}

static void test_init(fmal_test *t)
{
    fmal_net *mlp = make("mlp"), *logreg = make("logreg"), *again = make("mlp");
    size_t bytes = (size_t) fmal_net_size(mlp) * sizeof(float);
    float *w = fmal_net_params(mlp), *v = fmal_net_params(again);

    fmal_test_ok(t, in_range(mlp) && in_range(logreg), "weights fill their range");
    for (int i = 0; i < FMAL_COUNT(known); i++) {
        fmal_net *net = make(known[i].arch);
        const fmal_tensor *var = fmal_net_stat_tensor(net, 1);

        fmal_test_ok(t, in_range(net), "%s: weights fill their range", known[i].arch);
        if (known[i].stat_tensors > 0)
            fmal_test_ok(
                t, fmal_net_stats(net)[0] == 0 && fmal_net_stats(net)[var->offset] == 1,
                "%s: mean 0, variance 1", known[i].arch);
        fmal_net_destroy(&net);
    }
    fmal_test_ok(t, same_bits(w, v, bytes), "the same seed gives the same weights");
    fmal_net_init(again, 42, 1);
    fmal_test_ok(t, !same_bits(w, v, bytes), "another round gives others");
    fmal_net_init(again, 43, 0);
    fmal_test_ok(t, !same_bits(w, v, bytes), "another seed gives others");
    fmal_net_init(again, 42, 0);
    fmal_test_ok(t, same_bits(w, v, bytes), "what was there before does not matter");
    fmal_test_ok(t,
                 same_bits(w, fmal_net_params(logreg),
                           (size_t) fmal_net_size(logreg) * sizeof *w),
                 "a weight depends on its position, not on the network around it");
    fmal_net_destroy(&mlp);
    fmal_net_destroy(&logreg);
    fmal_net_destroy(&again);
}

/* ---- Forward ---- */

static void draw(float *x, int n)
{
    fmal_rng r = fmal_rng_stream(5, FMAL_RNG_INITIAL, 0, 0);

    for (int i = 0; i < n; i++)
        x[i] = (float) fmal_rng_normal(&r);
}

/* Two blocks of unequal size one after the other, the second alone, and into memory
   that is not aligned. */
static void test_repeat(fmal_test *t, const char *arch)
{
    enum { FIRST = BATCH, SECOND = 11 };
    static float x[(FIRST + SECOND) * INPUTS], z[(FIRST + SECOND) * CLASSES];
    static float h[(FIRST + SECOND) * WIDEST], z2[SECOND * CLASSES + 1];
    static float h2[SECOND * WIDEST + 1];
    fmal_net *net = make(arch);
    int d = fmal_net_features(net);

    draw(x, FMAL_COUNT(x));
    fmal_net_forward(net, x, FIRST, h, z);
    fmal_net_forward(net, x + FIRST * INPUTS, SECOND, h + FIRST * d,
                     z + FIRST * CLASSES);
    fmal_net_forward(net, x + FIRST * INPUTS, SECOND, h2 + 1, z2 + 1);
    fmal_test_ok(
        t,
        same_bits(z2 + 1, z + FIRST * CLASSES, SECOND * CLASSES * sizeof *z) &&
            same_bits(h2 + 1, h + FIRST * d, (size_t) (SECOND * d) * sizeof *h),
        "%s: a block has the same bits after another one", arch);
    memset(z2, 0, sizeof z2);
    fmal_net_forward(net, x + FIRST * INPUTS, SECOND, NULL, z2);
    fmal_test_ok(t, same_bits(z2, z + FIRST * CLASSES, SECOND * CLASSES * sizeof *z),
                 "%s: logits without features", arch);
    memset(h2, 0, sizeof h2);
    fmal_net_forward(net, x + FIRST * INPUTS, SECOND, h2, NULL);
    fmal_test_ok(t, same_bits(h2, h + FIRST * d, (size_t) (SECOND * d) * sizeof *h),
                 "%s: features without logits", arch);
    fmal_net_destroy(&net);
}

/* A sample among others, and at another place of a batch as long, where OpenBLAS may
   round in another way: its kernels for Haswell and Zen do. */
static void test_place(fmal_test *t, const char *arch)
{
    static float x[BATCH * INPUTS], z[BATCH * CLASSES], moved[BATCH * CLASSES];
    enum { FROM = 3, TO = 29 };
    fmal_net *net = make(arch);
    bool ok = true;

    draw(x, FMAL_COUNT(x));
    fmal_net_forward(net, x, BATCH, NULL, z);
    memcpy(x + TO * INPUTS, x + FROM * INPUTS, INPUTS * sizeof *x);
    for (int i = 0; i < FROM * INPUTS; i++)
        x[i] *= 3;
    fmal_net_forward(net, x, BATCH, NULL, moved);
    fmal_test_ok(
        t,
        same_bits(moved + FROM * CLASSES, z + FROM * CLASSES, CLASSES * sizeof *z) &&
            !same_bits(moved, z, CLASSES * sizeof *z),
        "%s: a sample has the same bits among others", arch);
    for (int k = 0; k < CLASSES; k++)
        ok = ok &&
             fmal_test_close(moved[TO * CLASSES + k], z[FROM * CLASSES + k], 1e-5, 0.1);
    fmal_test_ok(t, ok, "%s: the same elsewhere, but for rounding", arch);
    fmal_net_destroy(&net);
}

/* Logits are the head times the features, in double precision here. */
static void test_head(fmal_test *t, const char *arch)
{
    static float x[BATCH * INPUTS], h[BATCH * WIDEST], z[BATCH * CLASSES];
    fmal_net *net = make(arch);
    int d = fmal_net_features(net);
    const float *head =
        fmal_net_params(net) + fmal_net_tensor(net, fmal_net_tensors(net) - 1)->offset;
    bool ok = true;

    draw(x, FMAL_COUNT(x));
    fmal_net_forward(net, x, BATCH, h, z);
    for (int i = 0; i < BATCH; i++)
        for (int k = 0; k < CLASSES; k++) {
            double sum = 0;

            for (int j = 0; j < d; j++)
                sum += (double) h[i * d + j] * head[k * d + j];
            ok = ok && fmal_test_close(sum, z[i * CLASSES + k], 1e-6, 1);
        }
    fmal_test_ok(t, ok, "%s: logits are the head times the features", arch);
    fmal_net_destroy(&net);
}

/* Kernels of all instruction sets give the same but for rounding, in the memory that
   the network has. */
static void test_isa(fmal_test *t, const char *arch)
{
    enum { FEW = 3 };
    static float x[FEW * INPUTS], best[FEW * CLASSES], z[FEW * CLASSES];
    fmal_net *net = make(arch);
    bool ok = true;

    draw(x, FMAL_COUNT(x));
    fmal_net_forward(net, x, FEW, NULL, best);
    for (int isa = FMAL_ISA_PLAIN; isa <= (int) fmal_isa_detect(); isa++) {
        fmal_net_set_isa(net, (fmal_isa) isa);
        fmal_net_forward(net, x, FEW, NULL, z);
        for (int i = 0; i < FEW * CLASSES; i++)
            ok = ok && fmal_test_close(z[i], best[i], 1e-4, 0.1);
    }
    fmal_test_ok(t, ok && same_bits(z, best, sizeof z),
                 "%s: every instruction set, the best one by default", arch);
    fmal_net_destroy(&net);
}

static void test_logreg_features(fmal_test *t)
{
    static float x[BATCH * INPUTS], h[BATCH * INPUTS];
    fmal_net *net = make("logreg");

    draw(x, FMAL_COUNT(x));
    fmal_net_forward(net, x, BATCH, h, NULL);
    fmal_test_ok(t, same_bits(x, h, sizeof x), "logreg: features are the input");
    fmal_net_destroy(&net);
}

static void test_nan(fmal_test *t, const char *arch)
{
    static float x[INPUTS], z[CLASSES];
    fmal_net *net = make(arch);

    x[3] = NAN;
    fmal_net_forward(net, x, 1, NULL, z);
    fmal_test_ok(t, isnan(z[0]) && isnan(z[CLASSES - 1]), "%s: a NaN is not hidden",
                 arch);
    fmal_net_destroy(&net);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_build(&t);
    test_known(&t);
    test_names(&t);
    test_misfits(&t);
    test_unknown(&t);
    test_init(&t);
    for (int i = 0; fmal_arch_names[i]; i++) {
        test_repeat(&t, fmal_arch_names[i]);
        test_head(&t, fmal_arch_names[i]);
        test_place(&t, fmal_arch_names[i]);
        test_nan(&t, fmal_arch_names[i]);
        test_isa(&t, fmal_arch_names[i]);
    }
    test_logreg_features(&t);
    return fmal_test_end(&t);
}
