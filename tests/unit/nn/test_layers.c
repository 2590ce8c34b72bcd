/* Each kind of layer alone, in double precision: its derivatives against central
   differences of its forward pass, those of single samples against calls of one sample,
   and forward passes against plain loops. */
#include "fmal_test.h"
#include "nets.h"

#include <stdio.h>

enum { N = 5 };

static void dense(fmal_net *net, int hidden)
{
    fmal_net_append_dense(net, "a", hidden, false);
}

static void dense_bias(fmal_net *net, int hidden)
{
    fmal_net_append_dense(net, "a", hidden, true);
}

static void conv_1(fmal_net *net, int hidden)
{
    fmal_net_append_conv(net, "a", hidden, 1, 2, 0, false);
}

static void conv_3(fmal_net *net, int hidden)
{
    fmal_net_append_conv(net, "a", hidden, 3, 1, 1, false);
}

static void conv_5(fmal_net *net, int hidden)
{
    fmal_net_append_conv(net, "a", hidden, 5, 3, 2, true);
}

static void batchnorm(fmal_net *net, int hidden)
{
    (void) hidden;
    fmal_net_append_batchnorm(net, "a");
}

static void relu(fmal_net *net, int hidden)
{
    (void) hidden;
    fmal_net_append_relu(net);
}

static void maxpool_2(fmal_net *net, int hidden)
{
    (void) hidden;
    fmal_net_append_maxpool(net, 2, 2);
}

static void maxpool_3(fmal_net *net, int hidden)
{
    (void) hidden;
    fmal_net_append_maxpool(net, 3, 2);
}

static void avgpool(fmal_net *net, int hidden)
{
    (void) hidden;
    fmal_net_append_avgpool(net);
}

static void dropout(fmal_net *net, int hidden)
{
    (void) hidden;
    fmal_net_append_dropout(net, 0.4);
}

static const struct {
    const char *name;
    fmal_net_layers *layers;
    int shape[3];
    bool training;
} table[] = {
    { "dense", dense, { 2, 3, 5 }, false },
    { "dense with bias", dense_bias, { 11, 1, 1 }, false },
    { "convolution, 1 x 1, stride 2", conv_1, { 3, 5, 7 }, false },
    { "convolution, 3 x 3", conv_3, { 2, 6, 5 }, false },
    { "convolution, 5 x 5, stride 3, bias", conv_5, { 2, 9, 7 }, false },
    { "batch normalisation, evaluation", batchnorm, { 3, 5, 7 }, false },
    { "batch normalisation, training", batchnorm, { 3, 5, 7 }, true },
    { "batch normalisation of single numbers", batchnorm, { 7, 1, 1 }, true },
    { "rectifier", relu, { 3, 5, 7 }, false },
    { "max pooling, 2 x 2", maxpool_2, { 2, 5, 7 }, false },
    { "max pooling, overlapping", maxpool_3, { 2, 7, 8 }, false },
    { "average pooling", avgpool, { 3, 5, 7 }, false },
    { "dropout, evaluation", dropout, { 3, 5, 7 }, false },
    { "dropout, training", dropout, { 3, 5, 7 }, true },
};

/* A layer in a call; f = sum of dy * y. */
typedef struct {
    small_net small;
    const fmal_layer *layer;
    const fmal_layer_ops *ops;
    fmal_net_batch batch;
    fmal_call call;
    double *y, *dy, *dx, *grad, *batch_stats, *saved, *work;
} one_layer;

static bool make(one_layer *o, int row)
{
    *o = (one_layer){ 0 };
    if (!small_net_make(&o->small, table[row].layers, table[row].shape, 2, 4, N))
        return false;
    fmal_net *net = o->small.net;
    o->layer = &net->layers[0];
    o->ops = fmal_layer_table_f64[o->layer->kind];
    if (FMAL_ALLOC(&o->y, (fmal_idx) N * o->layer->outputs) ||
        FMAL_ALLOC(&o->dy, (fmal_idx) N * o->layer->outputs) ||
        FMAL_ALLOC(&o->dx, (fmal_idx) N * o->layer->inputs) ||
        FMAL_ALLOC(&o->grad, net->size) ||
        FMAL_ALLOC(&o->batch_stats, net->stats_size) ||
        FMAL_ALLOC(&o->saved, net->stats_size) ||
        FMAL_ALLOC(&o->work, fmal_layer_work(o->layer, N)))
        return false;
    draw_f64(o->dy, (fmal_idx) N * o->layer->outputs, 9);
    o->batch = (fmal_net_batch){ .index_g = o->small.index_g, .seed = 5 };
    o->call = (fmal_call){ .layer = o->layer,
                           .n = N,
                           .params = o->small.params,
                           .stats = o->small.stats,
                           .batch = table[row].training ? &o->batch : NULL,
                           .batch_stats = o->batch_stats,
                           .saved = o->saved,
                           .grad = o->grad,
                           .work = o->work };
    return true;
}

static void clear(one_layer *o)
{
    small_net_clear(&o->small);
    fmal_free(&o->y);
    fmal_free(&o->dy);
    fmal_free(&o->dx);
    fmal_free(&o->grad);
    fmal_free(&o->batch_stats);
    fmal_free(&o->saved);
    fmal_free(&o->work);
}

static double value(one_layer *o)
{
    double sum = 0;

    o->ops->forward(&o->call, o->small.x, NULL, o->y);
    for (fmal_idx i = 0; i < (fmal_idx) N * o->layer->outputs; i++)
        sum += o->dy[i] * o->y[i];
    return sum;
}

/* Central differences of f by each of n numbers. */
static void differences(one_layer *o, double *at, fmal_idx n, double *out)
{
    const double h = 1e-5;

    for (fmal_idx i = 0; i < n; i++) {
        double held = at[i], up, down;

        at[i] = held + h;
        up = value(o);
        at[i] = held - h;
        down = value(o);
        at[i] = held;
        out[i] = (up - down) / (2 * h);
    }
}

/* Results must be overwritten, not added to. */
static void spoil(double *x, fmal_idx n)
{
    for (fmal_idx i = 0; i < n; i++)
        x[i] = NAN;
}

static void test_slopes(fmal_test *t, one_layer *o, const char *name)
{
    fmal_idx size = o->small.net->size, inputs = (fmal_idx) N * o->layer->inputs;
    double *want = NULL;

    if (FMAL_ALLOC(&want, inputs + size))
        return;
    differences(o, o->small.x, inputs, want);
    differences(o, o->small.params, size, want + inputs);
    spoil(o->dx, inputs);
    spoil(o->grad, size);
    value(o);
    if (size > 0)
        o->ops->gradient(&o->call, o->small.x, o->dy, o->grad);
    o->ops->backward(&o->call, o->small.x, o->y, o->dy, o->dx);
    double by_input = worst_of(o->dx, want, inputs);
    double by_params = worst_of(o->grad, want + inputs, size);
    fmal_test_ok(t, by_input < 1e-6, "%s: slopes of the input (%.1g)", name, by_input);
    if (size > 0)
        fmal_test_ok(t, by_params < 1e-6, "%s: gradient (%.1g)", name, by_params);
    fmal_free(&want);
}

/* Gradients of single samples, [N, size]. */
static void one_by_one(one_layer *o, double *d)
{
    fmal_call c = o->call;
    const fmal_layer *l = o->layer;

    c.n = 1;
    for (fmal_idx i = 0; i < N; i++)
        o->ops->gradient(&c, o->small.x + i * l->inputs, o->dy + i * l->outputs,
                         d + i * o->small.net->size);
}

static void test_samples(fmal_test *t, one_layer *o, const char *name)
{
    fmal_idx size = o->small.net->size, count = 0;
    double *d = NULL, *sum = NULL, *want = NULL, *out = NULL;
    fmal_idx *index = NULL;

    if (FMAL_ALLOC(&d, N * size) || FMAL_ALLOC(&sum, size) || FMAL_ALLOC(&want, size) ||
        FMAL_ALLOC(&out, N * size) || FMAL_ALLOC(&index, size))
        goto done;
    value(o);
    one_by_one(o, d);
    for (fmal_idx j = 0; j < size; j++) {
        sum[j] = want[j] = (double) j;
        for (int i = 0; i < N; i++)
            want[j] += d[i * size + j] * d[i * size + j];
    }
    o->ops->squares(&o->call, o->small.x, o->dy, sum);
    double worst = worst_of(sum, want, size);
    fmal_test_ok(t, worst < 1e-10, "%s: squares are added (%.1g)", name, worst);

    for (fmal_idx j = 1; j < size; j += 2)
        index[count++] = j;
    spoil(out, N * size);
    o->ops->masked(&o->call, o->small.x, o->dy, index, count, out, size);
    bool ok = count > 0;
    for (int i = 0; i < N; i++)
        for (fmal_idx j = 0; j < count; j++)
            ok = ok && fabs(out[i * size + j] - d[i * size + index[j]]) < 1e-10;
    fmal_test_ok(t, ok, "%s: listed parameters", name);
done:
    fmal_free(&d);
    fmal_free(&sum);
    fmal_free(&want);
    fmal_free(&out);
    fmal_free(&index);
}

/* ---- Forward, by plain loops ---- */

/* Output (i, k, a, b) of layers whose numbers do not depend on other samples. */
static double expected(const one_layer *o, int i, int k, int a, int b)
{
    const fmal_layer *l = o->layer;
    const fmal_conv *c = &l->conv;
    const double *x = o->small.x + (fmal_idx) i * l->inputs, *p = o->small.params;
    double sum = l->bias >= 0 ? p[l->bias + k] : 0, best = -INFINITY;
    int plane = l->inputs / l->channels;

    switch (l->kind) {
    case FMAL_DENSE:
        for (int j = 0; j < l->inputs; j++)
            sum += p[l->weight + k * l->inputs + j] * x[j];
        return sum;
    case FMAL_CONV:
        for (int j = 0; j < c->in * c->kernel * c->kernel; j++) {
            int y = a * c->stride + j / c->kernel % c->kernel - c->pad;
            int z = b * c->stride + j % c->kernel - c->pad;
            int m = j / (c->kernel * c->kernel);

            if (y >= 0 && y < c->height && z >= 0 && z < c->width)
                sum += p[l->weight + k * c->in * c->kernel * c->kernel + j] *
                       x[(m * c->height + y) * c->width + z];
        }
        return sum;
    case FMAL_BATCHNORM:
        return p[l->weight + k] *
                   (x[(k * l->height + a) * l->width + b] -
                    o->small.stats[l->mean + k]) /
                   sqrt(o->small.stats[l->variance + k] + 1e-5) +
               sum;
    case FMAL_MAXPOOL:
        for (int j = 0; j < c->kernel * c->kernel; j++)
            best = fmax(best,
                        x[(k * c->height + a * c->stride + j / c->kernel) * c->width +
                          b * c->stride + j % c->kernel]);
        return best;
    case FMAL_AVGPOOL:
        for (int j = 0; j < plane; j++)
            sum += x[k * plane + j] / plane;
        return sum;
    case FMAL_RELU:
        return fmax(x[(k * l->height + a) * l->width + b], 0);
    default: /* dropout */
        return x[(k * l->height + a) * l->width + b];
    }
}

static void test_forward(fmal_test *t, one_layer *o, const char *name)
{
    const fmal_layer *l = o->layer;
    double worst = 0;
    bool all = true;
    const double *y = o->y;

    spoil(o->y, (fmal_idx) N * l->outputs);
    value(o);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < l->channels; k++)
            for (int a = 0; a < l->height; a++)
                for (int b = 0; b < l->width; b++, y++) {
                    double off = fabs(*y - expected(o, i, k, a, b));

                    all = all && !isnan(off);
                    worst = fmax(worst, off);
                }
    fmal_test_ok(t, all && worst < 1e-12, "%s: forward (%.1g)", name, worst);
}

/* Numbers of a channel have mean bias and variance weight^2; the statistics are those
   of the input. */
static void test_batch_stats(fmal_test *t, one_layer *o, const char *name)
{
    const fmal_layer *l = o->layer;
    int plane = l->height * l->width, m = N * plane;
    bool ok = true;

    value(o);
    for (int k = 0; k < l->channels; k++) {
        double mean = 0, square = 0, in_mean = 0, in_square = 0;

        for (int i = 0; i < m; i++) {
            fmal_idx at = (fmal_idx) (i / plane) * l->outputs + k * plane + i % plane;

            mean += o->y[at] / m;
            square += o->y[at] * o->y[at] / m;
            in_mean += o->small.x[at] / m;
            in_square += o->small.x[at] * o->small.x[at] / m;
        }
        double variance = in_square - in_mean * in_mean;
        double scale = o->small.params[l->weight + k];
        ok =
            ok && fabs(mean - o->small.params[l->bias + k]) < 1e-12 &&
            fmal_test_close(square - mean * mean,
                            scale * scale * variance / (variance + 1e-5), 1e-9, 1e-3) &&
            fabs(o->batch_stats[l->mean + k] - in_mean) < 1e-12 &&
            fmal_test_close(o->batch_stats[l->variance + k], variance * m / (m - 1),
                            1e-12, 1e-3);
    }
    fmal_test_ok(t, ok, "%s: statistics", name);
}

/* Dropping depends on the sample, not on its place, and keeps the mean. */
static void test_dropping(fmal_test *t, one_layer *o, const char *name)
{
    fmal_idx width = o->layer->outputs, zeros = 0;
    double first[1024];
    bool scaled = true;

    value(o);
    for (fmal_idx j = 0; j < N * width; j++) {
        zeros += o->y[j] == 0;
        scaled = scaled && (o->y[j] == 0 ||
                            fmal_test_close(o->y[j], o->small.x[j] / 0.6, 1e-12, 0));
    }
    fmal_test_ok(t, scaled && fabs((double) zeros / (double) (N * width) - 0.4) < 0.1,
                 "%s: %d of %d dropped", name, (int) zeros, (int) (N * width));
    memcpy(first, o->y + 3 * width, (size_t) width * sizeof *first);
    o->batch.index_g = o->small.index_g + 3;
    o->call.n = 1;
    o->ops->forward(&o->call, o->small.x + 3 * width, NULL, o->y);
    fmal_test_ok(t, memcmp(first, o->y, (size_t) width * sizeof *first) == 0,
                 "%s: a sample alone loses the same", name);
    o->batch.epoch = 1;
    o->ops->forward(&o->call, o->small.x + 3 * width, NULL, o->y);
    fmal_test_ok(t, memcmp(first, o->y, (size_t) width * sizeof *first) != 0,
                 "%s: another epoch drops others", name);
}

/* A single number has no variance: nothing of it is left but the shift. */
static void test_single(fmal_test *t)
{
    double loss, *g = NULL;
    small_net s;
    int correct;

    if (!small_net_make(&s, build_residual, (const int[]){ 3, 2, 2 }, 3, 1, 1))
        return;
    fmal_net_batch batch = { .labels = s.labels, .n = 1, .index_g = s.index_g };
    if (FMAL_ALLOC(&g, s.net->size + s.net->stats_size) == FMAL_OK) {
        fmal_pass_gradient_f64(&s.pass, s.x, &batch, g, g + s.net->size, &loss,
                               &correct);
        bool ok = isfinite(loss);
        for (fmal_idx i = 0; i < s.net->size + s.net->stats_size; i++)
            ok = ok && isfinite(g[i]);
        /* bn3 sees one number: its variance, the second of its tensors, is 0 */
        fmal_idx at = s.net->size + s.net->stat_tensors[5].offset;
        fmal_test_ok(t, ok && g[at] == 0, "one number alone: finite, variance 0");
    }
    fmal_free(&g);
    small_net_clear(&s);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(table); i++) {
        const char *name = table[i].name;
        one_layer o;

        if (!make(&o, i))
            return 1;
        test_slopes(&t, &o, name);
        if (!table[i].training)
            test_forward(&t, &o, name);
        if (!table[i].training && o.small.net->size > 0)
            test_samples(&t, &o, name);
        if (table[i].training && o.layer->kind == FMAL_BATCHNORM)
            test_batch_stats(&t, &o, name);
        if (table[i].training && o.layer->kind == FMAL_DROPOUT)
            test_dropping(&t, &o, name);
        clear(&o);
    }
    test_single(&t);
    return fmal_test_end(&t);
}
