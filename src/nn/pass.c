/*
 * Forward, layer after layer in the order of the list; backward in the reverse order.
 * A layer's slope is complete when its turn comes, since all who read its output come
 * after it in the list. The first of them to send its share back writes it, and others
 * add theirs.
 */
#include "pass.h"
#include "wide.h"
#include "fmal/mem.h"

#include <assert.h>
#include <string.h>

const fmal_layer_ops *const FMAL_REAL(fmal_layer_table)[FMAL_LAYER_KINDS] = {
    [FMAL_DENSE] = &FMAL_REAL(fmal_dense),
    [FMAL_CONV] = &FMAL_REAL(fmal_convolution),
    [FMAL_BATCHNORM] = &FMAL_REAL(fmal_batchnorm),
    [FMAL_RELU] = &FMAL_REAL(fmal_relu),
    [FMAL_MAXPOOL] = &FMAL_REAL(fmal_maxpool),
    [FMAL_AVGPOOL] = &FMAL_REAL(fmal_avgpool),
    [FMAL_ADD] = &FMAL_REAL(fmal_add),
    [FMAL_DROPOUT] = &FMAL_REAL(fmal_dropout),
};

/* ---- Memory ---- */

static fmal_status take(fmal_pass *p, fmal_real **out, fmal_idx count)
{
    p->bytes += (double) count * sizeof **out;
    return FMAL_ALLOC(out, count);
}

fmal_status FMAL_REAL(fmal_pass_init)(fmal_pass *p, const fmal_net *net,
                                      const fmal_real *params, const fmal_real *stats,
                                      int room)
{
    fmal_idx widest = 0, work = 0;

    *p = (fmal_pass){ .net = net, .params = params, .stats = stats };
    for (int i = 0; i < net->n_layers; i++) {
        fmal_idx wanted = fmal_layer_work(&net->layers[i], room);

        work = wanted > work ? wanted : work;
    }
    for (int b = 0; b < net->n_buffers; b++)
        FMAL_TRY(take(p, &p->kept[b], room * net->buffers[b].width));
    for (int s = 0; s < net->n_slots; s++) {
        FMAL_TRY(take(p, &p->slots[s], room * net->slot_width[s]));
        widest = net->slot_width[s] > widest ? net->slot_width[s] : widest;
    }
    FMAL_TRY(take(p, &p->extra, room * widest));
    FMAL_TRY(take(p, &p->work, work));
    FMAL_TRY(FMAL_ALLOC(&p->probs, net->classes));
    FMAL_TRY(take(p, &p->batch_stats, net->stats_size));
    return take(p, &p->saved, net->stats_size);
}

void FMAL_REAL(fmal_pass_clear)(fmal_pass *p)
{
    for (int b = 0; b < FMAL_MAX_LAYERS; b++)
        fmal_free(&p->kept[b]);
    for (int s = 0; s < FMAL_MAX_SLOTS; s++)
        fmal_free(&p->slots[s]);
    fmal_free(&p->extra);
    fmal_free(&p->work);
    fmal_free(&p->probs);
    fmal_free(&p->batch_stats);
    fmal_free(&p->saved);
}

/* ---- Forward ---- */

/* What a layer gave. */
static fmal_real *output(const fmal_pass *p, int layer)
{
    int buffer = p->net->layers[layer].buffer;

    return p->keep ? p->kept[buffer] : p->slots[p->net->buffers[buffer].slot];
}

static const fmal_real *input(const fmal_pass *p, int from)
{
    if (from == FMAL_FROM_NONE)
        return NULL;
    return from == FMAL_FROM_INPUT ? p->x : output(p, from);
}

static fmal_call call_of(const fmal_pass *p, int layer)
{
    fmal_call c = p->call;

    c.layer = &p->net->layers[layer];
    c.place = layer;
    return c;
}

void FMAL_REAL(fmal_pass_run)(fmal_pass *p, const fmal_real *x, int n,
                              const fmal_net_batch *batch, bool keep)
{
    p->keep = keep;
    p->x = x;
    p->call = (fmal_call){ .n = n,
                           .params = p->params,
                           .stats = p->stats,
                           .batch = batch,
                           .batch_stats = p->batch_stats,
                           .saved = p->saved,
                           .work = p->work };
    for (int i = 0; i < p->net->n_layers; i++) {
        fmal_call c = call_of(p, i);
        const fmal_layer_ops *ops = FMAL_REAL(fmal_layer_table)[c.layer->kind];
        const int *from = c.layer->from;

        ops->forward(&c, input(p, from[0]), input(p, from[1]), output(p, i));
    }
}

const fmal_real *FMAL_REAL(fmal_pass_logits)(const fmal_pass *p)
{
    return output(p, p->net->n_layers - 1);
}

const fmal_real *FMAL_REAL(fmal_pass_features)(const fmal_pass *p)
{
    return input(p, p->net->layers[p->net->n_layers - 1].from[0]);
}

void FMAL_REAL(fmal_pass_forward)(fmal_pass *p, const fmal_real *x, int n,
                                  fmal_real *features, fmal_real *logits)
{
    int inputs = p->net->inputs, d = fmal_net_features(p->net), c = p->net->classes;

    for (int first = 0; first < n; first += p->net->piece) {
        int rows = n - first < p->net->piece ? n - first : p->net->piece;

        FMAL_REAL(fmal_pass_run)(p, x + (fmal_idx) first * inputs, rows, NULL, false);
        if (features)
            memcpy(features + (fmal_idx) first * d, FMAL_REAL(fmal_pass_features)(p),
                   (size_t) rows * (size_t) d * sizeof *features);
        if (logits)
            memcpy(logits + (fmal_idx) first * c, FMAL_REAL(fmal_pass_logits)(p),
                   (size_t) rows * (size_t) c * sizeof *logits);
    }
}

/* ---- Backward ---- */

static fmal_real *slope(const fmal_pass *p, int buffer)
{
    return p->slots[p->net->buffers[buffer].slot];
}

fmal_real *FMAL_REAL(fmal_pass_seeds)(const fmal_pass *p)
{
    return slope(p, p->net->layers[p->net->n_layers - 1].buffer);
}

/* Slopes of what a layer read, through its input k. written: buffers that have slopes
   already. */
static void send_back(fmal_pass *p, const fmal_call *c, int k, bool *written)
{
    const fmal_layer *l = c->layer;
    const fmal_layer_ops *ops = FMAL_REAL(fmal_layer_table)[l->kind];
    int to = p->net->layers[l->from[k]].buffer;
    const fmal_real *x = input(p, l->from[k]), *y = output(p, c->place);
    fmal_real *dy = slope(p, l->buffer), *dx = slope(p, to);
    fmal_idx count = (fmal_idx) c->n * p->net->buffers[to].width;

    if (to == l->buffer || !written[to]) {
        ops->backward(c, x, y, dy, dx);
    } else {
        ops->backward(c, x, y, dy, p->extra);
        fmal_add_to(dx, p->extra, count);
    }
    written[to] = true;
}

void FMAL_REAL(fmal_pass_back)(fmal_pass *p, int stop, fmal_pass_visit *visit,
                               void *own)
{
    bool written[FMAL_MAX_LAYERS] = { false };

    assert(p->keep);
    for (int i = p->net->n_layers - 1; i >= stop; i--) {
        fmal_call c = call_of(p, i);
        const fmal_layer *l = c.layer;

        if (l->weight >= 0)
            visit(&c, input(p, l->from[0]), slope(p, l->buffer), own);
        for (int k = 0; k < 2; k++)
            if (l->from[k] >= stop)
                send_back(p, &c, k, written);
    }
}

static void write_gradient(const fmal_call *c, const fmal_real *x, const fmal_real *dy,
                           void *own)
{
    FMAL_REAL(fmal_layer_table)[c->layer->kind]->gradient(c, x, dy, own);
}

void FMAL_REAL(fmal_pass_gradient)(fmal_pass *p, const fmal_real *x,
                                   const fmal_net_batch *batch, fmal_real *grad,
                                   fmal_real *stats, double *loss, int *correct)
{
    assert(batch->n >= 1 && batch->n <= p->net->max_batch);
    FMAL_REAL(fmal_pass_run)(p, x, batch->n, batch, true);
    FMAL_REAL(fmal_cross_entropy)
    (FMAL_REAL(fmal_pass_logits)(p), batch->labels, batch->n, p->net->classes,
     FMAL_REAL(fmal_pass_seeds)(p), loss, correct);
    p->call.grad = grad;
    FMAL_REAL(fmal_pass_back)(p, 0, write_gradient, grad);
    if (stats)
        memcpy(stats, p->batch_stats, (size_t) p->net->stats_size * sizeof *stats);
}
