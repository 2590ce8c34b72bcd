#include "nn_impl.h"
#include "fmal/opts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Every network ends in a bias-free dense layer named "head". Tensors have the names
   and the order that torchvision gives them. */

static void append_head(fmal_net *net)
{
    fmal_net_append_dense(net, "head", net->classes, false);
}

static void build_logreg(fmal_net *net, int hidden)
{
    (void) hidden;
    append_head(net);
}

static void build_mlp(fmal_net *net, int hidden)
{
    assert(hidden >= 1);
    fmal_net_append_dense(net, "hidden", hidden, true);
    fmal_net_append_relu(net);
    append_head(net);
}

/* LeCun et al. 1998 (docs/references.bib: lecun1998gradient), as it is built today:
   rectifiers, max pooling, 20 and 50 maps. */
static void build_lenet(fmal_net *net, int hidden)
{
    assert(hidden >= 1);
    fmal_net_append_conv(net, "conv1", 20, 5, 1, 2, true);
    fmal_net_append_relu(net);
    fmal_net_append_maxpool(net, 2, 2);
    fmal_net_append_conv(net, "conv2", 50, 5, 1, 0, true);
    fmal_net_append_relu(net);
    fmal_net_append_maxpool(net, 2, 2);
    fmal_net_append_dense(net, "hidden", hidden, true);
    fmal_net_append_relu(net);
    append_head(net);
}

/* ---- Residual networks: He et al. 2016, arXiv:1512.03385 (he2016resnet) ---- */

/* Convolution "<block>conv<k>" and batch normalisation "<block>bn<k>". */
static void append_unit(fmal_net *net, const char *block, int k, int width, int stride)
{
    char name[40];

    snprintf(name, sizeof name, "%sconv%d", block, k);
    fmal_net_append_conv(net, name, width, 3, stride, 1, false);
    snprintf(name, sizeof name, "%sbn%d", block, k);
    fmal_net_append_batchnorm(net, name);
}

/* A convolution of single pixels, where input and output differ in shape. */
static void append_shortcut(fmal_net *net, const char *block, int width, int stride)
{
    char name[40];

    snprintf(name, sizeof name, "%sdownsample.0", block);
    fmal_net_append_conv(net, name, width, 1, stride, 0, false);
    snprintf(name, sizeof name, "%sdownsample.1", block);
    fmal_net_append_batchnorm(net, name);
}

static void append_block(fmal_net *net, const char *block, int width, int stride)
{
    int in = net->at, shape[3];

    fmal_net_shape(net, shape);
    append_unit(net, block, 1, width, stride);
    fmal_net_append_relu(net);
    append_unit(net, block, 2, width, 1);

    int out = net->at;
    net->at = in;
    if (stride != 1 || shape[0] != width)
        append_shortcut(net, block, width, stride);
    int other = net->at;
    net->at = out;
    fmal_net_append_add(net, other);
    fmal_net_append_relu(net);
}

/* Four stages of two blocks, each stage twice as wide as the one before. */
static void append_resnet18(fmal_net *net, int width)
{
    append_unit(net, "", 1, width, 1);
    fmal_net_append_relu(net);
    for (int stage = 0; stage < 4; stage++)
        for (int b = 0; b < 2; b++) {
            char block[24];

            snprintf(block, sizeof block, "layer%d.%d.", stage + 1, b);
            append_block(net, block, width << stage, stage > 0 && b == 0 ? 2 : 1);
        }
    fmal_net_append_avgpool(net);
    append_head(net);
}

static void build_resnet18_slim(fmal_net *net, int hidden)
{
    (void) hidden;
    append_resnet18(net, 16);
}

static void build_resnet18(fmal_net *net, int hidden)
{
    (void) hidden;
    append_resnet18(net, 64);
}

/* Simonyan and Zisserman 2015, arXiv:1409.1556, configuration A (simonyan2015vgg). The
   last max pooling and the three dense layers, made for large images, give way to
   global average pooling, dropout and the head. */
static void build_vgg11(fmal_net *net, int hidden)
{
    enum { POOL = 0 };
    static const int widths[] = { 64,   POOL, 128, POOL, 256, 256,
                                  POOL, 512,  512, POOL, 512, 512 };

    (void) hidden;
    for (int i = 0, k = 0; i < FMAL_COUNT(widths); i++) {
        if (widths[i] == POOL) {
            fmal_net_append_maxpool(net, 2, 2);
            continue;
        }
        append_unit(net, "", ++k, widths[i], 1);
        fmal_net_append_relu(net);
    }
    fmal_net_append_avgpool(net);
    fmal_net_append_dropout(net, 0.5);
    append_head(net);
}

/* ---- By name ---- */

/* Builder, name, least height and width, largest number of channels inside, and a line
   on it. */
#define ARCH_LIST(X)                                                                   \
    X(logreg, "logreg", 1, 1, "logistic regression: a linear head on the input")       \
    X(mlp, "mlp", 1, 1, "one hidden layer of rectified linear units")                  \
    X(lenet, "lenet", 12, 50,                                                          \
      "LeNet of two 5 x 5 convolutions (20, 50), max pooling and a hidden layer")      \
    X(resnet18_slim, "resnet18-slim", 8, 128,                                          \
      "ResNet-18 of widths 16 to 128, with a 3 x 3 stem")                              \
    X(resnet18, "resnet18", 8, 512,                                                    \
      "ResNet-18 of widths 64 to 512, with a 3 x 3 stem")                              \
    X(vgg11, "vgg11", 16, 512,                                                         \
      "VGG-11 with batch normalisation, global average pooling and dropout")

#define NAME(builder, name, least, channels, summary)    name,
#define SUMMARY(builder, name, least, channels, summary) summary,
#define ROW(builder, name, least, channels, summary)                                   \
    { build_##builder, least, channels },
const char *const fmal_arch_names[] = { ARCH_LIST(NAME) NULL };
const char *const fmal_arch_summaries[] = { ARCH_LIST(SUMMARY) NULL };
static const struct {
    fmal_net_layers *layers;
    int least, channels;
} archs[] = { ARCH_LIST(ROW) };

static fmal_status unknown(const char *arch)
{
    char list[256] = "";
    const char *near = fmal_nearest(arch, fmal_arch_names);

    for (int i = 0; fmal_arch_names[i]; i++) {
        size_t used = strlen(list);

        snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "",
                 fmal_arch_names[i]);
    }
    if (near)
        return FMAL_FAIL(FMAL_ERR_USAGE, "unknown network '%s'; did you mean '%s'?",
                         arch, near);
    return FMAL_FAIL(FMAL_ERR_USAGE, "unknown network '%s'; there are %s", arch, list);
}

/* No layer is larger than the input with the most channels of any layer. */
static fmal_status check_shape(int i, const int shape[3])
{
    double pixels = (double) shape[1] * shape[2];

    if (shape[1] < archs[i].least || shape[2] < archs[i].least)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "the network '%s' wants images of at least %d x %d pixels; "
                         "these have %d x %d: take mlp or logreg",
                         fmal_arch_names[i], archs[i].least, archs[i].least, shape[1],
                         shape[2]);
    if (pixels * archs[i].channels > INT32_MAX)
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "images of %d x %d pixels are too large for the network '%s'",
                         shape[1], shape[2], fmal_arch_names[i]);
    return FMAL_OK;
}

fmal_status fmal_arch_find(const char *arch, const int shape[3],
                           fmal_net_layers **layers)
{
    for (int i = 0; i < FMAL_COUNT(archs); i++)
        if (strcmp(arch, fmal_arch_names[i]) == 0) {
            FMAL_TRY(check_shape(i, shape));
            *layers = archs[i].layers;
            return FMAL_OK;
        }
    return unknown(arch);
}
