#include "fmal/train.h"
#include "train_impl.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A pass over this rank's samples of a split. Blocks are decoded and computed one by
   one, never cut or joined, so that the shapes of all products, and with them the bits,
   do not depend on the number of ranks. */
typedef struct {
    fmal_net *net;
    const fmal_dataset *set;
    const fmal_split *split;
    float *x; /* [block, inputs] */
} pass;

static fmal_status pass_init(pass *p, fmal_net *net, const fmal_dataset *set,
                             const fmal_split *split)
{
    *p = (pass){ .net = net, .set = set, .split = split };
    return FMAL_ALLOC(&p->x, (fmal_idx) split->part.block * set->inputs);
}

static void pass_clear(pass *p)
{
    fmal_free(&p->x);
}

/* The first sample of [n, width] numbers that are not all finite; n if none is. */
static int first_bad(const float *x, int n, int width)
{
    for (int i = 0; i < n; i++)
        if (!isfinite(fmal_largest(x + (fmal_idx) i * width, width)))
            return i;
    return n;
}

static const char *split_name(const pass *p)
{
    if (p->split == &p->set->test)
        return "test";
    return p->split == &p->set->train ? "training" : "held-out";
}

/* Features [rows, d] (unless NULL) and logits [rows, c] of this rank's block b, which
   begins at its sample `at`. */
static fmal_status pass_block(pass *p, fmal_idx at, int rows, float *features,
                              float *logits)
{
    const char *stored = p->split->rows;

    fmal_dataset_decode(p->set, stored + (size_t) at * p->set->row_bytes, rows, p->x);
    fmal_net_forward(p->net, p->x, rows, features, logits);

    int bad = first_bad(logits, rows, fmal_net_classes(p->net));
    if (features) {
        int other = first_bad(features, rows, fmal_net_features(p->net));

        bad = other < bad ? other : bad;
    }
    if (bad < rows)
        return FMAL_FAIL(FMAL_ERR_NUMERIC,
                         "%s sample %" PRId64 ": the network's output is not finite; "
                         "train with a lower learning rate",
                         split_name(p),
                         fmal_split_origin(p->split, p->split->part.first + at + bad));
    return FMAL_OK;
}

/* The most blocks that a rank has. Collective. */
static fmal_idx most_blocks(const fmal_ctx *ctx, const fmal_part *part)
{
    double most = (double) part->block_count;

    fmal_max_f64(ctx, &most, 1);
    return (fmal_idx) most;
}

/* Ranks hold samples in ascending order, and an agreed failure has the text of the
   lowest rank: it names the lowest sample. A rank that has failed, or has no more
   blocks, goes on asking with the others whether to stop. */
fmal_status fmal_embed(const fmal_ctx *ctx, fmal_net *net, const fmal_dataset *set,
                       const fmal_split *split, float *features, float *logits,
                       fmal_stop *stop)
{
    enum { ASK_BLOCKS = 4 };
    fmal_idx d = fmal_net_features(net), c = fmal_net_classes(net);
    fmal_idx blocks = most_blocks(ctx, &split->part);
    int bits = 0;
    pass p;
    fmal_status st = pass_init(&p, net, set, split);

    for (fmal_idx b = 0; b < blocks && bits == 0; b++) {
        fmal_idx at = b * split->part.block;

        if (b < split->part.block_count && st == FMAL_OK)
            st = pass_block(&p, at, fmal_part_block_rows(&split->part, b),
                            features ? features + at * d : NULL, logits + at * c);
        if (stop && b % ASK_BLOCKS == ASK_BLOCKS - 1)
            bits = fmal_stop_agree(ctx, stop);
    }
    pass_clear(&p);
    FMAL_TRY(fmal_agree(ctx, st));
    return bits ? FMAL_FAIL(FMAL_STOPPED, "%s", fmal_stop_reason(bits)) : FMAL_OK;
}

/* ---- Evaluation ---- */

/* What a rank found. */
typedef struct {
    fmal_idx n, correct;
    int64_t *classes; /* correct ones of each class; borrowed; NULL: not wanted */
    float *logits;    /* of one block */
    fmal_idx blocks;
    double *losses; /* [blocks] */
} tally;

static fmal_status tally_init(tally *t, const pass *p, int64_t *classes)
{
    const fmal_part *part = &p->split->part;

    *t = (tally){ .classes = classes };
    FMAL_TRY(FMAL_ALLOC(&t->logits, (fmal_idx) part->block * fmal_net_classes(p->net)));
    FMAL_TRY(FMAL_ALLOC(&t->losses, part->block_count));
    t->blocks = part->block_count;
    return FMAL_OK;
}

static void tally_clear(tally *t)
{
    fmal_free(&t->logits);
    fmal_free(&t->losses);
}

/* Samples whose largest logit is their label's (ties: lowest class), by class. */
static void count_right(const float *logits, const int32_t *labels, int n, int c,
                        int64_t *classes)
{
    for (int i = 0; i < n; i++, logits += c) {
        int best = 0;

        for (int k = 1; k < c; k++)
            if (logits[k] > logits[best])
                best = k;
        if (best == labels[i])
            classes[best]++;
    }
}

static fmal_status tally_blocks(tally *t, pass *p)
{
    const fmal_part *part = &p->split->part;

    for (fmal_idx b = 0; b < t->blocks; b++) {
        const int32_t *labels = p->split->labels + b * part->block;
        int rows = fmal_part_block_rows(part, b), correct;

        FMAL_TRY(pass_block(p, b * part->block, rows, NULL, t->logits));
        fmal_softmax_loss(t->logits, labels, rows, fmal_net_classes(p->net), NULL,
                          &t->losses[b], &correct);
        t->correct += correct;
        if (t->classes)
            count_right(t->logits, labels, rows, fmal_net_classes(p->net), t->classes);
        for (int i = 0; i < rows; i++)
            t->n += labels[i] >= 0;
    }
    return FMAL_OK;
}

/* Losses of blocks are added exactly. */
static void tally_sum(const fmal_ctx *ctx, const tally *t, const fmal_part *part,
                      fmal_evaluation *out)
{
    int64_t sums[3] = { t->n, t->correct, 0 };
    double largest = 0, loss;

    for (fmal_idx b = 0; b < t->blocks; b++)
        largest = fmax(largest, t->losses[b]);
    fmal_max_f64(ctx, &largest, 1);

    int shift = fmal_exact_shift(largest, part->blocks);
    for (fmal_idx b = 0; b < t->blocks; b++)
        fmal_exact_add(&sums[2], &t->losses[b], 1, shift);
    fmal_sum_i64(ctx, sums, 3);
    fmal_exact_get(&loss, &sums[2], 1, shift);

    double n = sums[0] > 0 ? (double) sums[0] : 1;
    *out = (fmal_evaluation){ .n = sums[0],
                              .correct = sums[1],
                              .accuracy = (double) sums[1] / n,
                              .loss = loss / n };
}

static fmal_status evaluate(const fmal_ctx *ctx, fmal_net *net, const fmal_dataset *set,
                            const fmal_split *split, fmal_evaluation *out,
                            int64_t *classes)
{
    tally t = { 0 };
    pass p;
    fmal_status st = pass_init(&p, net, set, split);

    if (st == FMAL_OK)
        st = tally_init(&t, &p, classes);
    if (st == FMAL_OK)
        st = tally_blocks(&t, &p);
    st = fmal_agree(ctx, st);
    if (st == FMAL_OK)
        tally_sum(ctx, &t, &split->part, out);
    tally_clear(&t);
    pass_clear(&p);
    return st;
}

fmal_status fmal_evaluate(const fmal_ctx *ctx, fmal_net *net, const fmal_dataset *set,
                          const fmal_split *split, fmal_evaluation *out)
{
    return evaluate(ctx, net, set, split, out, NULL);
}

fmal_status fmal_evaluate_classes(const fmal_ctx *ctx, fmal_net *net,
                                  const fmal_dataset *set, const fmal_split *split,
                                  fmal_evaluation *out, int64_t *correct)
{
    memset(correct, 0, sizeof *correct * (size_t) set->classes);
    FMAL_TRY(evaluate(ctx, net, set, split, out, correct));
    fmal_sum_i64(ctx, correct, set->classes);
    return FMAL_OK;
}
