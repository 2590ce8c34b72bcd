/*
 * What the Fisher information wants: derivatives for each sample, a batch at a time.
 *
 * Logits of a sample depend on that sample alone in evaluation mode. So one backward
 * pass carries one seed of every sample of a batch, and layers tell the samples apart
 * where it comes to their parameters.
 *
 * Squares. The Fisher information of a sample is J^T (diag(p) - p p^T) J, J the
 * Jacobian of its logits. The c rows sqrt(p_k) (e_k - p) are a factor of the matrix in
 * the middle, and s = sqrt(p) is normal to their columns; the reflection that sends s
 * to the axis of the most probable class t leaves c - 1 rows with the same product,
 *
 *     row k = s_k (e_k - q),  q = (1 - a) p + a e_t,  a = s_t / (1 + s_t),  k != t,
 *
 * in which nothing cancels (src/factor/kron_likelihood.c has the same for last layers).
 * The diagonal is then the sum over rows of squares of (row J).
 */
#include "pass.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- Squares ---- */

/* Probabilities of logits; the first most probable class. */
static int softmax(const fmal_real *z, int c, double *p)
{
    double sum = 0;
    int top = 0;

    for (int k = 1; k < c; k++)
        if (z[k] > z[top])
            top = k;
    for (int k = 0; k < c; k++)
        sum += p[k] = exp((double) z[k] - (double) z[top]);
    for (int k = 0; k < c; k++)
        p[k] /= sum;
    return top;
}

/* Row `row` of c - 1: the row of the last class takes the place of that of class t. */
static void factor_row(const double *p, int c, int top, int row, fmal_real *seed)
{
    int k = row == top ? c - 1 : row;
    double s = sqrt(p[k]), a = sqrt(p[top]) / (1 + sqrt(p[top]));

    for (int m = 0; m < c; m++)
        seed[m] = (fmal_real) (s * ((m == k) - (1 - a) * p[m] - (m == top ? a : 0)));
}

static void add_squares(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                        void *own)
{
    FMAL_REAL(fmal_layer_table)[c->layer->kind]->squares(c, x, dy, own);
}

/* A run whose outputs a backward pass in single precision may trust. */
static void run_precisely(fmal_pass *p, const fmal_real *x, int n)
{
    FMAL_REAL(fmal_pass_run)(p, x, n, NULL, true);
#ifndef FMAL_REAL_F64
    if (p->precise)
        fmal_precise_outputs(p->precise, x, n, p->kept);
#endif
}

static void squares_of_piece(fmal_pass *p, const fmal_real *x, int n, fmal_real *sum)
{
    int c = p->net->classes;
    fmal_real *seeds = FMAL_REAL(fmal_pass_seeds)(p);

    run_precisely(p, x, n);

    const fmal_real *logits = FMAL_REAL(fmal_pass_logits)(p);
    for (int row = 0; row < c - 1; row++) {
        for (int i = 0; i < n; i++) {
            int top = softmax(logits + (fmal_idx) i * c, c, p->probs);

            factor_row(p->probs, c, top, row, seeds + (fmal_idx) i * c);
        }
        FMAL_REAL(fmal_pass_back)(p, 0, add_squares, sum);
    }
}

void FMAL_REAL(fmal_pass_squares)(fmal_pass *p, const fmal_real *x, int n,
                                  fmal_real *squares)
{
    memset(squares, 0, (size_t) p->net->size * sizeof *squares);
    for (int first = 0; first < n; first += p->net->piece) {
        int rows = n - first < p->net->piece ? n - first : p->net->piece;

        squares_of_piece(p, x + (fmal_idx) first * p->net->inputs, rows, squares);
    }
}

/* ---- Jacobian ---- */

/* The listed parameters, and where one row of the Jacobian of every sample goes. */
typedef struct {
    const fmal_idx *index;
    fmal_idx count;
    fmal_real *out;
    fmal_idx stride; /* from sample to sample */
} listed;

/* How many listed positions lie below `position`. */
static fmal_idx below(const listed *list, fmal_idx position)
{
    fmal_idx low = 0, high = list->count;

    while (low < high) {
        fmal_idx middle = (low + high) / 2;

        if (list->index[middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void write_listed(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                         void *own)
{
    const listed *list = own;
    fmal_idx first = below(list, c->layer->weight), end = below(list, c->layer->end);

    const fmal_layer_ops *ops = FMAL_REAL(fmal_layer_table)[c->layer->kind];

    if (end > first)
        ops->masked(c, x, dy, list->index + first, end - first, list->out + first,
                    list->stride);
}

/* The lowest layer with a listed parameter: layers have theirs in their own order. */
static int lowest(const fmal_net *net, fmal_idx position)
{
    int i = 0;

    while (net->layers[i].weight < 0 || net->layers[i].end <= position)
        i++;
    return i;
}

/* e_k, or e_k less e_{c-1}, for every sample. */
static void set_seeds(fmal_pass *p, int n, int k, fmal_jacobian_rows rows)
{
    int c = p->net->classes;
    fmal_real *seed = FMAL_REAL(fmal_pass_seeds)(p);

    memset(seed, 0, (size_t) n * (size_t) c * sizeof *seed);
    for (int i = 0; i < n; i++, seed += c) {
        seed[k] = 1;
        if (rows == FMAL_RELATIVE)
            seed[c - 1] = -1;
    }
}

static void jacobian_of_piece(fmal_pass *p, const fmal_real *x, int n, listed list,
                              fmal_jacobian_rows rows)
{
    int c = p->net->classes, passes = rows == FMAL_RELATIVE ? c - 1 : c;
    int stop = lowest(p->net, list.index[0]);

    list.stride = c * list.count;
    FMAL_REAL(fmal_pass_run)(p, x, n, NULL, true);
    for (int k = 0; k < passes; k++, list.out += list.count) {
        set_seeds(p, n, k, rows);
        FMAL_REAL(fmal_pass_back)(p, stop, write_listed, &list);
    }
    for (int i = 0; passes < c && i < n; i++)
        memset(list.out + i * list.stride, 0, (size_t) list.count * sizeof *list.out);
}

void FMAL_REAL(fmal_pass_jacobian)(fmal_pass *p, const fmal_real *x, int n,
                                   const fmal_idx *index, fmal_idx count,
                                   fmal_jacobian_rows rows, fmal_real *jacobian)
{
    fmal_idx wide = p->net->classes * count;

    assert(count == 0 || index[count - 1] < p->net->size);
    for (int first = 0; count > 0 && first < n; first += p->net->piece) {
        int taken = n - first < p->net->piece ? n - first : p->net->piece;
        listed list = { .index = index,
                        .count = count,
                        .out = jacobian + first * wide };

        jacobian_of_piece(p, x + (fmal_idx) first * p->net->inputs, taken, list, rows);
    }
}
