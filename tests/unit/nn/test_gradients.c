/* Derivatives of whole networks, in double precision, against central differences of
   the loss and of the logits; those of single samples also against one pass for each
   sample and class. */
#include "fmal_test.h"
#include "nets.h"

#include <stdio.h>

static const struct {
    const char *name;
    fmal_net_layers *layers;
    int shape[3], classes, hidden, n;
} table[] = {
    { "dense", build_dense, { 7, 1, 1 }, 5, 11, 13 },
    { "dense of one unit, two classes, one sample", build_dense, { 3, 1, 1 }, 2, 1, 1 },
    { "convolutions", build_conv, { 2, 7, 6 }, 4, 5, 7 },
    { "residual", build_residual, { 3, 5, 6 }, 3, 0, 7 },
};

static double loss_of(small_net *s, const fmal_net_batch *batch)
{
    double loss;
    int correct;

    fmal_pass_run_f64(&s->pass, s->x, s->n, batch, false);
    fmal_cross_entropy_f64(fmal_pass_logits_f64(&s->pass), s->labels, s->n,
                           s->net->classes, NULL, &loss, &correct);
    return loss;
}

static void test_gradient(fmal_test *t, small_net *s, const char *name)
{
    const double h = 1e-5;
    fmal_idx size = s->net->size;
    fmal_net_batch batch = {
        .labels = s->labels, .n = s->n, .index_g = s->index_g, .seed = 3, .epoch = 2
    };
    double *grad = NULL, *want = NULL, loss;
    int correct = -1;

    if (FMAL_ALLOC(&grad, size) || FMAL_ALLOC(&want, size))
        goto done;
    for (fmal_idx i = 0; i < size; i++) {
        double held = s->params[i];

        s->params[i] = held + h;
        want[i] = loss_of(s, &batch);
        s->params[i] = held - h;
        want[i] = (want[i] - loss_of(s, &batch)) / (2 * h);
        s->params[i] = held;
        grad[i] = NAN; /* must be overwritten, not added to */
    }
    fmal_pass_gradient_f64(&s->pass, s->x, &batch, grad, NULL, &loss, &correct);
    fmal_test_ok(t, loss == loss_of(s, &batch), "%s: loss", name);
    fmal_test_ok(t, correct >= 0 && correct <= s->n, "%s: correct", name);
    double worst = worst_of(grad, want, size);
    fmal_test_ok(t, worst < 1e-6, "%s: gradient (%.1g)", name, worst);
done:
    fmal_free(&grad);
    fmal_free(&want);
}

/* ---- For each sample ---- */

/* d z_k / d theta of all samples, [n, c, size], by central differences. */
static void differences(small_net *s, double *out)
{
    const double h = 1e-5;
    fmal_idx size = s->net->size, wide = (fmal_idx) s->n * s->net->classes;

    for (fmal_idx j = 0; j < size; j++) {
        double held = s->params[j];

        s->params[j] = held + h;
        fmal_pass_run_f64(&s->pass, s->x, s->n, NULL, false);
        for (fmal_idx i = 0; i < wide; i++)
            out[i * size + j] = fmal_pass_logits_f64(&s->pass)[i];
        s->params[j] = held - h;
        fmal_pass_run_f64(&s->pass, s->x, s->n, NULL, false);
        for (fmal_idx i = 0; i < wide; i++)
            out[i * size + j] =
                (out[i * size + j] - fmal_pass_logits_f64(&s->pass)[i]) / (2 * h);
        s->params[j] = held;
    }
}

static void one_layer(const fmal_call *c, const double *x, const double *dy, void *own)
{
    fmal_layer_table_f64[c->layer->kind]->gradient(c, x, dy, own);
}

/* The same by one pass for each sample and class. */
static void one_by_one(small_net *s, double *out)
{
    int c = s->net->classes;

    for (fmal_idx i = 0; i < s->n; i++)
        for (int k = 0; k < c; k++) {
            fmal_pass_run_f64(&s->pass, s->x + i * s->net->inputs, 1, NULL, true);
            for (int m = 0; m < c; m++)
                fmal_pass_seeds_f64(&s->pass)[m] = m == k;
            fmal_pass_back_f64(&s->pass, 0, one_layer,
                               out + (i * c + k) * s->net->size);
        }
}

/* sum over samples and classes of p_k (d log p_k)^2, from d z. */
static void sum_squares(small_net *s, const double *dz, double *sum)
{
    int c = s->net->classes;
    fmal_idx size = s->net->size;

    memset(sum, 0, (size_t) size * sizeof *sum);
    fmal_pass_run_f64(&s->pass, s->x, s->n, NULL, false);
    for (int i = 0; i < s->n; i++, dz += c * size) {
        const double *z = fmal_pass_logits_f64(&s->pass) + (fmal_idx) i * c;
        double all = 0;

        for (int k = 0; k < c; k++)
            all += exp(z[k]);
        for (fmal_idx j = 0; j < size; j++) {
            double mean = 0;

            for (int k = 0; k < c; k++)
                mean += exp(z[k]) / all * dz[k * size + j];
            for (int k = 0; k < c; k++)
                sum[j] += exp(z[k]) / all * pow(dz[k * size + j] - mean, 2);
        }
    }
}

/* Every third parameter from `first` on but for the head. */
static fmal_idx list_some(const small_net *s, fmal_idx first, fmal_idx *index)
{
    fmal_idx count = 0, end = s->net->layers[s->net->n_layers - 1].weight;

    for (fmal_idx j = first; j < end; j += 3)
        index[count++] = j;
    return count;
}

/* The worst error of a Jacobian of listed parameters, from dz. */
static double jacobian_error(small_net *s, const double *dz, const fmal_idx *index,
                             fmal_idx count, fmal_jacobian_rows rows, double *jacobian)
{
    int c = s->net->classes;
    fmal_idx size = s->net->size;
    double worst = 0, scale = 0;

    for (fmal_idx i = 0; i < s->n * c * count; i++)
        jacobian[i] = NAN;
    fmal_pass_jacobian_f64(&s->pass, s->x, s->n, index, count, rows, jacobian);
    for (fmal_idx i = 0; i < (fmal_idx) s->n * c; i++)
        for (fmal_idx j = 0; j < count; j++) {
            double want = dz[i * size + index[j]];
            double last = dz[(i / c * c + c - 1) * size + index[j]];
            double off = fabs(jacobian[i * count + j] - want +
                              (rows == FMAL_RELATIVE ? last : 0));

            if (isnan(off))
                return INFINITY;
            scale = fmax(scale, fabs(want));
            worst = fmax(worst, off);
        }
    return worst / scale;
}

static void test_samples(fmal_test *t, small_net *s, const char *name)
{
    int c = s->net->classes;
    fmal_idx size = s->net->size, all = (fmal_idx) s->n * c * size;
    double *rough = NULL, *exact = NULL, *want = NULL, *sum = NULL, *jacobian = NULL;
    fmal_idx *index = NULL;

    if (FMAL_ALLOC(&rough, all) || FMAL_ALLOC(&exact, all) || FMAL_ALLOC(&want, size) ||
        FMAL_ALLOC(&sum, size) || FMAL_ALLOC(&jacobian, all) ||
        FMAL_ALLOC(&index, size))
        goto done;
    differences(s, rough);
    one_by_one(s, exact);
    fmal_test_ok(t, worst_of(exact, rough, all) < 1e-6,
                 "%s: one pass for each sample and class", name);

    for (fmal_idx j = 0; j < size; j++)
        sum[j] = NAN;
    fmal_pass_squares_f64(&s->pass, s->x, s->n, sum);
    sum_squares(s, rough, want);
    fmal_test_ok(t, worst_of(sum, want, size) < 1e-6,
                 "%s: squares, by differences (%.1g)", name, worst_of(sum, want, size));
    sum_squares(s, exact, want);
    fmal_test_ok(t, worst_of(sum, want, size) < 1e-10, "%s: squares, one by one (%.1g)",
                 name, worst_of(sum, want, size));

    fmal_idx starts[] = { 0, size / 3, size / 2 };
    for (int i = 0; i < FMAL_COUNT(starts); i++)
        for (int rows = FMAL_ABSOLUTE; rows <= FMAL_RELATIVE; rows++) {
            fmal_idx count = list_some(s, starts[i], index);
            double a = jacobian_error(s, rough, index, count, rows, jacobian);
            double b = jacobian_error(s, exact, index, count, rows, jacobian);

            fmal_test_ok(t, count > 0 && a < 1e-6 && b < 1e-12,
                         "%s: Jacobian of %d from %d on, %s (%.1g, %.1g)", name,
                         (int) count, (int) starts[i],
                         rows == FMAL_RELATIVE ? "relative" : "absolute", a, b);
        }
done:
    fmal_free(&rough);
    fmal_free(&exact);
    fmal_free(&want);
    fmal_free(&sum);
    fmal_free(&jacobian);
    fmal_free(&index);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(table); i++) {
        small_net s;

        if (!small_net_make(&s, table[i].layers, table[i].shape, table[i].classes,
                            table[i].hidden, table[i].n))
            return 1;
        test_gradient(&t, &s, table[i].name);
        test_samples(&t, &s, table[i].name);
        small_net_clear(&s);
    }
    return fmal_test_end(&t);
}
