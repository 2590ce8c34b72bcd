/* resnet18-slim in single precision: squares and Jacobians against one pass for each
   sample and class, and in pieces. */
#include "fmal_test.h"

#include "pass.h"

#include "fmal/mem.h"
#include "fmal/rng.h"

#include <math.h>
#include <string.h>

enum { CLASSES = 5, MOST = 700 };

typedef struct {
    fmal_net *net;
    int n;
    fmal_idx size;
    float *x, *dz;             /* dz: of one sample and all classes, [c, size] */
    float *squares, *jacobian; /* jacobian [n, c, count] */
    double *want;
    fmal_idx index[MOST], count; /* parameters of the Jacobian */
} residual;

static void draw(float *x, fmal_idx n, uint64_t which)
{
    fmal_rng r = fmal_rng_stream(5, FMAL_RNG_INITIAL, 0, which);

    for (fmal_idx i = 0; i < n; i++)
        x[i] = (float) fmal_rng_normal(&r);
}

/* With the statistics of the first samples, so that signals stay of size 1. */
static fmal_status make(residual *r, int n, const int shape[3])
{
    *r = (residual){ .n = n };
    FMAL_TRY(fmal_net_create("resnet18-slim", shape, CLASSES, 1, 8, &r->net));
    fmal_net_init(r->net, 42, 0);
    r->size = fmal_net_size(r->net);
    FMAL_TRY(FMAL_ALLOC(&r->x, (fmal_idx) n * r->net->inputs));
    FMAL_TRY(FMAL_ALLOC(&r->dz, CLASSES * r->size));
    FMAL_TRY(FMAL_ALLOC(&r->squares, r->size));
    FMAL_TRY(FMAL_ALLOC(&r->want, r->size));
    FMAL_TRY(FMAL_ALLOC(&r->jacobian, (fmal_idx) n * CLASSES * MOST));
    draw(r->x, (fmal_idx) n * r->net->inputs, 0);
    fmal_net_batch batch = { .x = r->x, .labels = (const int32_t[5]){ 0 }, .n = 5 };
    double loss;
    int correct;
    fmal_net_gradient(r->net, &batch, r->squares, fmal_net_stats(r->net), &loss,
                      &correct);
    return FMAL_OK;
}

static void clear(residual *r)
{
    fmal_net_destroy(&r->net);
    fmal_free(&r->x);
    fmal_free(&r->dz);
    fmal_free(&r->squares);
    fmal_free(&r->want);
    fmal_free(&r->jacobian);
}

/* Parameters from `first` on, `step` apart, but for the head. */
static void list_some(residual *r, fmal_idx first, fmal_idx step)
{
    r->count = 0;
    for (fmal_idx j = first; j < r->size - CLASSES * 128 && r->count < MOST; j += step)
        r->index[r->count++] = j;
}

/* ---- One pass for each sample and class ---- */

static void one_layer(const fmal_call *c, const float *x, const float *dy, void *own)
{
    fmal_layer_table_f32[c->layer->kind]->gradient(c, x, dy, own);
}

static void one_sample(residual *r, int i)
{
    fmal_pass *p = r->net->memory;

    for (int k = 0; k < CLASSES; k++) {
        fmal_pass_run_f32(p, r->x + (fmal_idx) i * r->net->inputs, 1, NULL, true);
        for (int m = 0; m < CLASSES; m++)
            fmal_pass_seeds_f32(p)[m] = m == k;
        fmal_pass_back_f32(p, 0, one_layer, r->dz + k * r->size);
    }
}

/* want += sum over classes of p_k (d log p_k)^2 of the last sample. */
static void add_squares(residual *r)
{
    const float *z = fmal_pass_logits_f32(r->net->memory);
    double p[CLASSES], all = 0;

    for (int k = 0; k < CLASSES; k++)
        all += p[k] = exp(z[k]);
    for (fmal_idx j = 0; j < r->size; j++) {
        double mean = 0;

        for (int k = 0; k < CLASSES; k++)
            mean += p[k] / all * r->dz[k * r->size + j];
        for (int k = 0; k < CLASSES; k++)
            r->want[j] += p[k] / all * pow(r->dz[k * r->size + j] - mean, 2);
    }
}

/* Largest error of the Jacobian of sample i, and of its numbers. */
static void compare_rows(const residual *r, int i, double *worst, double *largest)
{
    const float *row = r->jacobian + (fmal_idx) i * CLASSES * r->count;

    for (int k = 0; k < CLASSES; k++)
        for (fmal_idx j = 0; j < r->count; j++, row++) {
            double last = r->dz[(CLASSES - 1) * r->size + r->index[j]];
            double want = r->dz[k * r->size + r->index[j]] - last;

            *largest = fmax(*largest, fabs(want));
            *worst = isnan(*row) ? INFINITY : fmax(*worst, fabs(*row - want));
        }
}

static void test_one_by_one(fmal_test *t)
{
    double worst = 0, largest = 0, off = 0, most = 0;
    residual r;

    if (make(&r, 5, (const int[]){ 3, 16, 16 }))
        return;
    list_some(&r, 5, 997);
    fmal_net_jacobian(r.net, r.x, r.n, r.index, r.count, FMAL_RELATIVE, r.jacobian);
    fmal_test_status(t, fmal_net_squares(r.net, r.x, r.n, r.squares), FMAL_OK,
                     "squares");
    for (int i = 0; i < r.n; i++) {
        one_sample(&r, i);
        add_squares(&r);
        compare_rows(&r, i, &worst, &largest);
    }
    fmal_test_ok(t, largest > 0 && worst < 1e-4 * largest,
                 "Jacobian of %d parameters, one by one (%.1g)", (int) r.count,
                 worst / largest);
    for (fmal_idx j = 0; j < r.size; j++) {
        off =
            isnan(r.squares[j]) ? INFINITY : fmax(off, fabs(r.squares[j] - r.want[j]));
        most = fmax(most, r.want[j]);
    }
    fmal_test_ok(t, most > 0 && off < 1e-4 * most, "squares, one by one (%.1g)",
                 off / most);
    clear(&r);
}

/* ---- Pieces ---- */

/* More samples than evaluation takes at once: the same as piece after piece. */
static void test_pieces(fmal_test *t)
{
    float logits[40 * CLASSES], again[40 * CLASSES], *half = NULL, *rows = NULL;
    residual r;

    if (make(&r, 40, (const int[]){ 1, 32, 32 }))
        return;
    int piece = r.net->piece, inputs = r.net->inputs, rest = r.n - piece;
    fmal_test_ok(t, piece > r.net->max_batch && rest > 0, "%d samples, %d at once", r.n,
                 piece);
    list_some(&r, r.size / 2, 997);
    if (FMAL_ALLOC(&half, r.size) || FMAL_ALLOC(&rows, r.n * CLASSES * r.count))
        goto done;
    fmal_net_forward(r.net, r.x, r.n, NULL, logits);
    fmal_net_forward(r.net, r.x, piece, NULL, again);
    fmal_net_forward(r.net, r.x + piece * inputs, rest, NULL, again + piece * CLASSES);
    fmal_test_ok(t, memcmp(logits, again, sizeof logits) == 0, "logits in pieces");
    fmal_net_jacobian(r.net, r.x, r.n, r.index, r.count, FMAL_ABSOLUTE, rows);
    fmal_net_jacobian(r.net, r.x + piece * inputs, rest, r.index, r.count,
                      FMAL_ABSOLUTE, r.jacobian);
    fmal_test_ok(t,
                 memcmp(rows + piece * CLASSES * r.count, r.jacobian,
                        (size_t) (rest * CLASSES * r.count) * sizeof *rows) == 0,
                 "Jacobians in pieces");
    bool ok = fmal_net_squares(r.net, r.x, r.n, r.squares) == FMAL_OK &&
              fmal_net_squares(r.net, r.x, piece, half) == FMAL_OK;
    for (fmal_idx j = 0; j < r.size; j++)
        r.want[j] = half[j];
    ok = ok && fmal_net_squares(r.net, r.x + piece * inputs, rest, half) == FMAL_OK;
    for (fmal_idx j = 0; j < r.size; j++)
        ok = ok && fmal_test_close(r.squares[j], r.want[j] + half[j], 1e-5, 1e-6);
    fmal_test_ok(t, ok, "squares in pieces");
done:
    fmal_free(&half);
    fmal_free(&rows);
    clear(&r);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_one_by_one(&t);
    test_pieces(&t);
    return fmal_test_end(&t);
}
