/* Single-precision passes against the rows of every sample, and to the bit in whatever
   tiles and portions. */
#include "samples.h"

#include <stdio.h>

enum { LANES = FMAL_STREAM_LANES, STEPS = 5 };

static const struct {
    const char *name;
    int n, d, c;
    prob_kind kind;
    form_kind form;
    int top;
} table[] = {
    { "full", 67, 5, 4, SMOOTH, FULL, 0 },
    { "two classes", 150, 3, 2, ZEROS, FULL, 0 },
    { "more rows than a chunk", 37, 3, 11, SMOOTH, FULL, 0 },
    { "the two top classes", 37, 4, 5, SMOOTH, TOPC, 2 },
    { "right or wrong", 150, 6, 4, MIXED, BINARY, 0 },
    { "numbers", 37, 3, 4, SMOOTH, DENSE, 2 },
    { "head and tail", 67, 5, 4, SMOOTH, MASKED, 7 },
    { "two classes and a tail", 150, 1, 2, SMOOTH, MASKED, 3 },
    { "three classes and a tail", 37, 4, 3, ZEROS, MASKED, 19 },
    { "more rows than a chunk, with a tail", 37, 3, 11, SMOOTH, MASKED, 5 },
    { "no tail", 37, 3, 4, SMOOTH, MASKED, 0 },
    { "fewer samples than ranks, with a tail", 2, 3, 3, SMOOTH, MASKED, 2 },
    { "unweighted", 67, 5, 4, ZEROS, UNWEIGHTED, 7 },
    { "unweighted, two classes", 37, 2, 2, SMOOTH, UNWEIGHTED, 3 },
};

/* A factor, columns of W and Z in the span of its rows, and its rows. */
typedef struct {
    fmal_factor *f;
    fmal_part part;
    int r, order, leading;
    double *rows; /* [n, r, order] */
    double *wz;   /* [STEPS, 2 r, order] */
    double *lead; /* [STEPS, 2 r, leading] */
} setting;

static const double scale = 0.3;

static void make_columns(setting *q, int n)
{
    int cols = STEPS * 2 * q->r, count = n * q->r;

    q->wz = zeros((fmal_idx) cols * q->order);
    q->lead = zeros((fmal_idx) cols * q->leading);
    for (int j = 0; j < cols; j++) {
        fmal_rng r = fmal_rng_stream(31, FMAL_RNG_INIT, 0, (uint64_t) j);

        for (int turn = 0; turn < 3; turn++) {
            double times = fmal_rng_normal(&r);
            const double *v =
                q->rows + (fmal_idx) fmal_rng_below(&r, (uint64_t) count) * q->order;

            for (int x = 0; x < q->order; x++)
                q->wz[j * q->order + x] += times * v[x];
        }
        memcpy(q->lead + j * q->leading, q->wz + j * q->order,
               sizeof(double) * (size_t) q->leading);
    }
}

static setting setting_of(const fmal_ctx *ctx, const samples *s)
{
    setting q = { .r = rank_of(s), .order = order_of(s) };

    q.f = factor_of(ctx, s, 16, &q.part);
    q.leading = (int) fmal_factor_leading(q.f);
    q.rows = zeros((fmal_idx) s->n * q.r * q.order);
    for (int i = 0; i < s->n; i++)
        fmal_factor_row(q.f, i, q.rows + (fmal_idx) i * q.r * q.order);
    make_columns(&q, s->n);
    return q;
}

static void setting_clear(setting *q)
{
    fmal_factor_destroy(&q->f);
    fmal_free(&q->rows);
    fmal_free(&q->wz);
    fmal_free(&q->lead);
}

/* Products of one slot's sample with a portion of steps to its place in out. */
static void put(const setting *q, const float *pq, int first, int steps, int lane,
                float *out)
{
    int each = 2 * q->r * q->r;

    for (int i = 0; i < steps * each; i++)
        out[first * each + i] = pq[(size_t) i * LANES + (size_t) lane];
}

/* out [part.count, STEPS, 2 r, r]: of all local samples, packed in order or backwards;
   up to `most` steps and `together` tiles at a time. */
static float *products_of(const setting *q, bool backwards, int most, int together)
{
    fmal_idx n = q->part.count, each = (fmal_idx) STEPS * 2 * q->r * q->r;
    fmal_idx *list = zeros_of(n, sizeof *list);
    float *out = zeros_of(n * each, sizeof *out);
    fmal_stream *s = NULL;

    for (fmal_idx i = 0; i < n; i++)
        list[backwards ? n - 1 - i : i] = i;
    if (fmal_stream_create(q->f, list, n, scale, false, &s) != FMAL_OK)
        abort();
    for (int step = 0; step < STEPS; step++)
        fmal_stream_push(s, q->lead + (fmal_idx) step * 2 * q->r * q->leading);
    float *pq = zeros_of(together * (fmal_idx) fmal_stream_most_steps(s) * 2 * q->r *
                             q->r * LANES,
                         sizeof *pq);
    for (fmal_idx tile = 0; tile < fmal_stream_tiles(s); tile += together) {
        int tiles = (int) (fmal_stream_tiles(s) - tile);

        tiles = tiles < together ? tiles : together;
        for (int first = 0, steps; first < STEPS; first += steps) {
            int last = first + most < STEPS ? first + most : STEPS;

            steps = fmal_stream_apply(s, first, last, tile, tiles, pq);
            for (int slot = 0; slot < tiles * LANES; slot++) {
                fmal_idx il = fmal_stream_local(s, tile * LANES + slot);

                if (il >= 0)
                    put(q,
                        pq + (size_t) (slot / LANES * steps * 2 * q->r * q->r) * LANES,
                        first, steps, slot % LANES, out + il * each);
            }
        }
    }
    fmal_stream_destroy(&s);
    fmal_free(&list);
    fmal_free(&pq);
    return out;
}

/* The largest error relative to |row| |column|. */
static double gap_of(const setting *q, const float *out)
{
    double worst = 0;

    for (fmal_idx i = 0; i < q->part.count; i++)
        for (int j = 0; j < STEPS * 2 * q->r; j++)
            for (int k = 0; k < q->r; k++) {
                const double *v = q->rows + ((q->part.first + i) * q->r + k) * q->order;
                const double *w = q->wz + (fmal_idx) j * q->order;
                double sum = 0, vv = 0, ww = 0;

                for (int x = 0; x < q->order; x++) {
                    sum += v[x] * w[x];
                    vv += v[x] * v[x];
                    ww += w[x] * w[x];
                }
                double got = out[(i * STEPS * 2 * q->r + j) * q->r + k];
                double gap = fabs(got - scale * sum);
                gap = gap == 0 ? 0 : gap / sqrt(vv * ww);
                if (!(gap <= worst))
                    worst = gap;
            }
    return worst;
}

static void test_stream(fmal_test *t, int row)
{
    samples s = samples_make(table[row].n, table[row].d, table[row].c, table[row].kind,
                             1, 1, 210 + (uint32_t) row);
    samples_form(&s, table[row].form, table[row].top);
    setting q = setting_of(&t->ctx, &s);
    fmal_idx count = q.part.count * STEPS * 2 * q.r * q.r;
    float *out = products_of(&q, false, STEPS, 16);
    float *other = products_of(&q, false, 1, 1), *third = products_of(&q, true, 2, 5);
    double gap = gap_of(&q, out);

    fmal_test_ok(t, gap < 1e-6, "%s: products to %.2g", table[row].name, gap);
    fmal_test_ok(t,
                 count == 0 || (memcmp(out, other, sizeof *out * (size_t) count) == 0 &&
                                memcmp(out, third, sizeof *out * (size_t) count) == 0),
                 "%s: the same bits in other tiles and portions", table[row].name);
    fmal_free(&out);
    fmal_free(&other);
    fmal_free(&third);
    setting_clear(&q);
    samples_clear(&s);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int row = 0; row < FMAL_COUNT(table); row++)
        test_stream(&t, row);
    return fmal_test_end(&t);
}
