#define FMAL_REAL_F64
#include "precise.h"
#include "pass.h"
#include "fmal/mem.h"

enum { ROOM = 4 }; /* samples at once: little memory */

struct fmal_precise {
    fmal_pass pass;
    double *params, *stats, *x;
};

static void widen(const float *from, fmal_idx n, double *to)
{
    for (fmal_idx i = 0; i < n; i++)
        to[i] = from[i];
}

static void narrow(const double *from, fmal_idx n, float *to)
{
    for (fmal_idx i = 0; i < n; i++)
        to[i] = (float) from[i];
}

static fmal_status set_up(fmal_precise *p, const fmal_net *net)
{
    FMAL_TRY(FMAL_ALLOC(&p->params, net->size));
    FMAL_TRY(FMAL_ALLOC(&p->stats, net->stats_size));
    FMAL_TRY(FMAL_ALLOC(&p->x, (fmal_idx) ROOM * net->inputs));
    widen(net->params, net->size, p->params);
    widen(net->stats, net->stats_size, p->stats);
    return fmal_pass_init_f64(&p->pass, net, p->params, p->stats, ROOM);
}

fmal_status fmal_precise_create(const fmal_net *net, fmal_precise **out)
{
    fmal_precise *p = NULL;
    fmal_status st;

    FMAL_TRY(FMAL_ALLOC(&p, 1));
    st = set_up(p, net);
    if (st == FMAL_OK)
        *out = p;
    else
        fmal_precise_destroy(&p);
    return st;
}

/* The pass in single precision has room for so many samples, of half the bytes. */
double fmal_precise_bytes(const fmal_net *net)
{
    int room = net->max_batch > net->piece ? net->max_batch : net->piece;

    return 8.0 * (double) (net->size + net->stats_size) + 8.0 * ROOM * net->inputs +
           2.0 * ROOM / room * fmal_net_bytes(net);
}

void fmal_precise_destroy(fmal_precise **p)
{
    if (!*p)
        return;
    fmal_pass_clear_f64(&(*p)->pass);
    fmal_free(&(*p)->params);
    fmal_free(&(*p)->stats);
    fmal_free(&(*p)->x);
    fmal_free(p);
}

void fmal_precise_outputs(fmal_precise *p, const float *x, int n, float *const *kept)
{
    const fmal_net *net = p->pass.net;

    for (fmal_idx first = 0; first < n; first += ROOM) {
        int rows = n - first < ROOM ? (int) (n - first) : ROOM;

        widen(x + first * net->inputs, (fmal_idx) rows * net->inputs, p->x);
        fmal_pass_run_f64(&p->pass, p->x, rows, NULL, true);
        for (int b = 0; b < net->n_buffers; b++) {
            fmal_idx width = net->buffers[b].width;

            narrow(p->pass.kept[b], rows * width, kept[b] + first * width);
        }
    }
}
