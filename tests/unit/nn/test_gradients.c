/* Gradients against central differences of the loss, which is computed here once more,
   by plain loops in double precision, so that differences keep their digits. */
#include "fmal_test.h"

#include "fmal/mem.h"
#include "fmal/nn.h"
#include "fmal/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 64 }; /* units of a layer */

static const struct {
    const char *name, *arch;
    int shape[3], classes, hidden, n;
} table[] = {
    { "logreg", "logreg", { 1, 3, 5 }, 7, 1, 13 },
    { "logreg of two classes and one sample", "logreg", { 5, 1, 1 }, 2, 1, 1 },
    { "mlp", "mlp", { 7, 1, 1 }, 5, 11, 13 },
    { "mlp on an image", "mlp", { 3, 2, 3 }, 3, 31, 17 },
    { "mlp of one unit", "mlp", { 3, 1, 1 }, 2, 1, 7 },
};

/* First parameter of a tensor, or NULL if the network has none of this name. */
static const double *tensor(const fmal_net *net, const double *params, const char *name)
{
    for (int i = 0; i < fmal_net_tensors(net); i++)
        if (strcmp(fmal_net_tensor(net, i)->name, name) == 0)
            return params + fmal_net_tensor(net, i)->offset;
    return NULL;
}

/* y [outputs] = W x + b */
static void affine(const double *weight, const double *bias, const double *x,
                   int inputs, int outputs, double *y)
{
    for (int k = 0; k < outputs; k++) {
        y[k] = bias ? bias[k] : 0;
        for (int j = 0; j < inputs; j++)
            y[k] += weight[k * inputs + j] * x[j];
    }
}

static double cross_entropy(const double *z, int classes, int label)
{
    double sum = 0;

    for (int k = 0; k < classes; k++)
        sum += exp(z[k]);
    return log(sum) - z[label];
}

/* Summed loss; *margin is the least distance of a unit from its kink. */
static double reference(const fmal_net *net, const double *params, const float *x,
                        const int32_t *labels, int n, double *margin)
{
    const double *hidden = tensor(net, params, "hidden.weight");
    int inputs = fmal_net_inputs(net), d = fmal_net_features(net);
    int classes = fmal_net_classes(net);
    double in[MOST], h[MOST], z[MOST], sum = 0;

    for (int i = 0; i < n; i++) {
        for (int j = 0; j < inputs; j++)
            in[j] = x[i * inputs + j];
        if (hidden)
            affine(hidden, tensor(net, params, "hidden.bias"), in, inputs, d, h);
        else
            memcpy(h, in, sizeof h);
        for (int k = 0; hidden && k < d; k++) {
            *margin = fmin(*margin, fabs(h[k]));
            h[k] = fmax(h[k], 0);
        }
        affine(tensor(net, params, "head.weight"), NULL, h, d, classes, z);
        sum += cross_entropy(z, classes, labels[i]);
    }
    return sum;
}

/* Largest error of grad, relative to a gradient of size 1. */
static double worst_error(const fmal_net *net, double *params, const float *x,
                          const int32_t *labels, int n, const float *grad)
{
    const double h = 1e-4;
    double worst = 0, ignored = 0;

    for (fmal_idx i = 0; i < fmal_net_size(net); i++) {
        double held = params[i], up, down;

        params[i] = held + h;
        up = reference(net, params, x, labels, n, &ignored);
        params[i] = held - h;
        down = reference(net, params, x, labels, n, &ignored);
        params[i] = held;

        double slope = (up - down) / (2 * h);
        worst = fmax(worst, fabs(grad[i] - slope) / fmax(fabs(slope), 1));
    }
    return worst;
}

static void draw(float *x, fmal_idx n)
{
    fmal_rng r = fmal_rng_stream(11, FMAL_RNG_INITIAL, 0, 0);

    for (fmal_idx i = 0; i < n; i++)
        x[i] = (float) fmal_rng_normal(&r);
}

static void test_case(fmal_test *t, int row)
{
    int n = table[row].n, correct = -1;
    double loss = 0, margin = INFINITY, *params = NULL;
    float *x = NULL, *grad = NULL;
    int32_t labels[MOST];
    fmal_net *net = NULL;

    fmal_test_status(t,
                     fmal_net_create(table[row].arch, table[row].shape,
                                     table[row].classes, table[row].hidden, n, &net),
                     FMAL_OK, table[row].name);
    fmal_idx size = fmal_net_size(net), inputs = fmal_net_inputs(net);
    if (FMAL_ALLOC(&x, n * inputs) || FMAL_ALLOC(&grad, size) ||
        FMAL_ALLOC(&params, size))
        goto done;
    draw(x, n * inputs);
    fmal_net_init(net, 3, 1);
    for (int i = 0; i < n; i++)
        labels[i] = (5 * i + 1) % table[row].classes;
    for (fmal_idx i = 0; i < size; i++) {
        params[i] = fmal_net_params(net)[i];
        grad[i] = NAN; /* must be overwritten, not added to */
    }

    fmal_net_gradient(net, x, labels, n, grad, &loss, &correct);
    double want = reference(net, params, x, labels, n, &margin);
    fmal_test_ok(t, margin > 1e-3, "%s: no unit is near its kink", table[row].name);
    fmal_test_ok(t, fmal_test_close(loss, want, 1e-6, 1), "%s: loss", table[row].name);
    double worst = worst_error(net, params, x, labels, n, grad);
    printf("# %s: worst error %.2g\n", table[row].name, worst);
    fmal_test_ok(t, worst < 3e-6, "%s: gradient", table[row].name);
done:
    fmal_free(&x);
    fmal_free(&grad);
    fmal_free(&params);
    fmal_net_destroy(&net);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(table); i++)
        test_case(&t, i);
    return fmal_test_end(&t);
}
