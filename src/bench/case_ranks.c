/* allreduce: what a search asks of the network. */
#include "harness.h"
#include "fmal/mem.h"

#include <stdio.h>

typedef struct {
    const fmal_ctx *ctx;
    double *x;
    fmal_idx n;
} message;

static fmal_status sum(void *arg)
{
    message *m = arg;

    fmal_sum_f64(m->ctx, m->x, m->n);
    return FMAL_OK;
}

static fmal_status broadcast(void *arg)
{
    message *m = arg;

    fmal_bcast(m->ctx, m->x, sizeof(double) * (size_t) m->n, 0);
    return FMAL_OK;
}

static fmal_status decide(void *arg)
{
    message *m = arg;
    fmal_lead lead = FMAL_LEAD_NONE;

    fmal_lead_add(&lead, 1 + m->ctx->rank, m->ctx->rank);
    fmal_lead_of(m->ctx, &lead);
    return FMAL_OK;
}

static const char *bytes_text(double bytes, char *text, size_t size)
{
    if (bytes < 1 << 10)
        snprintf(text, size, "%.0f bytes", bytes);
    else if (bytes < 1 << 20)
        snprintf(text, size, "%.0f KiB", bytes / (1 << 10));
    else
        snprintf(text, size, "%.0f MiB", bytes / (1 << 20));
    return text;
}

/* Beside as many bytes between neighbours: both ways for a sum, one way for a
   broadcast. */
static fmal_status measure(const fmal_bench_setup *s, const char *what,
                           fmal_status (*run)(void *), message *m,
                           bench_limit_kind kind, fmal_bench_result *row)
{
    const bench_work work = { .run = run, .arg = m };
    size_t bytes = sizeof(double) * (size_t) m->n;
    bench_limit limit;
    fmal_status st = fmal_bench_message_open(s, kind, bytes, &limit);

    *row = (fmal_bench_result){ .what = what, .size = (int64_t) bytes };
    bytes_text((double) bytes, row->sizes, sizeof row->sizes);
    if (st == FMAL_OK)
        st = fmal_bench_measure(s, &work, &limit, row);
    if (st == FMAL_OK)
        fmal_bench_rate(row, limit.amount, true);
    if (s->ctx->size == 1) { /* nothing travels */
        row->rate = 0;
        row->limit = NULL;
    }
    fmal_bench_limit_close(&limit);
    return st;
}

fmal_status fmal_bench_allreduce(const fmal_bench_setup *s, fmal_bench_result *rows,
                                 int *n)
{
    static const fmal_idx counts[] = { 1, 1 << 12, 1 << 17, 1 << 22 };
    message m = { .ctx = s->ctx };
    fmal_status st =
        fmal_agree(s->ctx, FMAL_ALLOC(&m.x, counts[FMAL_COUNT(counts) - 1]));

    *n = 0;
    for (int i = 0; i < FMAL_COUNT(counts) && st == FMAL_OK; i++) {
        m.n = counts[i];
        st = measure(s, "allreduce", sum, &m, LIMIT_EXCHANGE, &rows[(*n)++]);
        if (st == FMAL_OK)
            st = measure(s, "broadcast", broadcast, &m, LIMIT_SEND, &rows[(*n)++]);
    }
    m.n = 4; /* words of a lead */
    if (st == FMAL_OK)
        st =
            measure(s, "decision of a step", decide, &m, LIMIT_EXCHANGE, &rows[(*n)++]);
    fmal_free(&m.x);
    return st;
}
