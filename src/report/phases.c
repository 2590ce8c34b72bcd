#include "fmal/report.h"
#include "fmal/mem.h"

/* One phase over all ranks. */
typedef struct {
    fmal_spread seconds;
    double flops, bytes; /* of all ranks */
} phase_total;

static phase_total total_of(const fmal_ctx *ctx, const fmal_phases *p, int phase)
{
    phase_total t = { .seconds = fmal_spread_of(ctx, p->seconds[phase]) };
    double work[2] = { p->flops[phase], p->bytes[phase] };

    fmal_sum_f64(ctx, work, 2);
    t.flops = work[0];
    t.bytes = work[1];
    return t;
}

/* Work per second of the slowest rank, with its unit; "" if no work was counted. */
static void rate_text(const phase_total *t, char *text, size_t size)
{
    text[0] = 0;
    if (t->seconds.max <= 0)
        return;
    if (t->flops > 0)
        snprintf(text, size, "%.1f GFLOP/s", t->flops / t->seconds.max / 1e9);
    else if (t->bytes > 0)
        snprintf(text, size, "%.2f GB/s", t->bytes / t->seconds.max / 1e9);
}

void fmal_report_phases(const fmal_ctx *ctx, const fmal_phases *phases, double seconds)
{
    fmal_spread memory = fmal_spread_of(ctx, fmal_mem_peak());
    bool prints = ctx->rank == 0;
    char rate[48];

    if (prints)
        fprintf(stderr,
                "phase        seconds  share  rate              max/mean of %d "
                "ranks\n",
                ctx->size);
    for (int phase = 0; phase < FMAL_PHASES; phase++) {
        phase_total t = total_of(ctx, phases, phase);

        if (!prints || t.seconds.max <= 0)
            continue;
        rate_text(&t, rate, sizeof rate);
        fprintf(stderr, "%-10s %9.2f  %4.0f %%  %-16s  %.2f\n",
                fmal_phase_name((fmal_phase) phase), t.seconds.max,
                100 * t.seconds.max / seconds, rate, t.seconds.max / t.seconds.mean);
    }
    if (prints)
        fprintf(stderr,
                "total      %9.2f  peak memory a rank %.0f MB, of all ranks %.0f "
                "MB\n",
                seconds, memory.max / 1e6, memory.mean * ctx->size / 1e6);
}

json_t *fmal_phases_json(const fmal_ctx *ctx, const fmal_phases *phases)
{
    fmal_spread memory = fmal_spread_of(ctx, fmal_mem_peak());
    json_t *out = ctx->rank == 0 ? json_object() : NULL;

    for (int phase = 0; phase < FMAL_PHASES; phase++) {
        phase_total t = total_of(ctx, phases, phase);

        if (out && t.seconds.max > 0)
            json_object_set_new(out, fmal_phase_name((fmal_phase) phase),
                                json_pack("{s:f, s:f, s:f, s:f}", "seconds",
                                          t.seconds.max, "seconds_mean", t.seconds.mean,
                                          "flops", t.flops, "bytes", t.bytes));
    }
    if (out)
        json_object_set_new(out, "peak_bytes", json_real(memory.max));
    return out;
}
