/* Evaluation and embedding: all ranks together against every rank alone. */
#include "fmal_test.h"
#include "blobs.h"

#include "fmal/clock.h"
#include "fmal/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *arch;
    fmal_idx n;
    int unknown; /* every so many labels is unknown; 0: none is */
} table[] = {
    { "mlp", "mlp", 37, 0 },
    { "logreg", "logreg", 41, 0 },
    { "unknown labels are left out", "mlp", 37, 3 },
    { "fewer blocks than ranks", "mlp", 5, 0 },
    { "one sample", "logreg", 1, 0 },
    { "no sample", "mlp", 0, 0 },
    { "no label is known", "mlp", 11, 1 },
};

static fmal_dataset test_set(const fmal_ctx *ctx, int row)
{
    fmal_dataset set = blobs(ctx, 3, table[row].n);

    for (fmal_idx ig = 0; table[row].unknown && ig < table[row].n; ig++)
        if (ig % table[row].unknown == 0)
            blobs_label(&set.test, ig, -1);
    return set;
}

/* The mean loss and the hits of logits, in one go. */
static fmal_evaluation reference(const fmal_split *split, const float *logits)
{
    fmal_evaluation e = { 0 };

    for (fmal_idx i = 0; i < split->part.count; i++) {
        double loss;
        int correct;

        fmal_softmax_loss(logits + i * BLOB_CLASSES, split->labels + i, 1, BLOB_CLASSES,
                          NULL, &loss, &correct);
        e.n += split->labels[i] >= 0;
        e.correct += correct;
        e.loss += loss;
    }
    double n = e.n > 0 ? (double) e.n : 1;
    e.loss /= n;
    e.accuracy = (double) e.correct / n;
    return e;
}

/* Hits of each class: what the loss calls correct when only its samples have labels. */
static void reference_classes(const fmal_split *split, const float *logits,
                              int64_t *right)
{
    for (int k = 0; k < BLOB_CLASSES; k++) {
        right[k] = 0;
        for (fmal_idx i = 0; i < split->part.count; i++) {
            int32_t label = split->labels[i] == k ? k : -1;
            double loss;
            int correct;

            fmal_softmax_loss(logits + i * BLOB_CLASSES, &label, 1, BLOB_CLASSES, NULL,
                              &loss, &correct);
            right[k] += correct;
        }
    }
}

static bool equal(const fmal_evaluation *a, const fmal_evaluation *b)
{
    return a->n == b->n && a->correct == b->correct && a->accuracy == b->accuracy &&
           a->loss == b->loss;
}

/* Features and logits of a rank's share; of the whole set on one rank. */
typedef struct {
    float *features, *logits;
} embedding;

static void embedding_init(embedding *e, fmal_net *net, const fmal_split *split)
{
    if (FMAL_ALLOC(&e->features, split->part.count * fmal_net_features(net)) ||
        FMAL_ALLOC(&e->logits, split->part.count * BLOB_CLASSES))
        abort();
}

static void embedding_clear(embedding *e)
{
    fmal_free(&e->features);
    fmal_free(&e->logits);
}

/* Whether `mine` is the part of `all` that begins at a rank's first sample. */
static bool is_part(const embedding *mine, const embedding *all, const fmal_part *part,
                    int d)
{
    size_t n = (size_t) part->count;

    return same_bits(mine->features, all->features + part->first * d,
                     n * (size_t) d * sizeof(float)) &&
           same_bits(mine->logits, all->logits + part->first * BLOB_CLASSES,
                     n * BLOB_CLASSES * sizeof(float));
}

static void test_row(fmal_test *t, const fmal_ctx *self, int row)
{
    const char *name = table[row].name;
    fmal_dataset set = test_set(&t->ctx, row), whole = test_set(self, row);
    fmal_net *net = blobs_net(table[row].arch);
    fmal_evaluation together = { 0 }, alone = { 0 };
    embedding mine, all;

    fmal_test_status(t, fmal_evaluate(&t->ctx, net, &set, &set.test, &together),
                     FMAL_OK, name);
    fmal_test_ok(t,
                 fmal_evaluate(self, net, &whole, &whole.test, &alone) == FMAL_OK &&
                     equal(&together, &alone),
                 "%s: evaluated as on one rank", name);

    embedding_init(&mine, net, &set.test);
    embedding_init(&all, net, &whole.test);
    fmal_test_status(
        t, fmal_embed(&t->ctx, net, &set, &set.test, mine.features, mine.logits, NULL),
        FMAL_OK, name);
    fmal_test_ok(t,
                 fmal_embed(self, net, &whole, &whole.test, all.features, all.logits,
                            NULL) == FMAL_OK &&
                     is_part(&mine, &all, &set.test.part, fmal_net_features(net)),
                 "%s: embedded as on one rank", name);
    fmal_test_ok(t,
                 fmal_embed(&t->ctx, net, &set, &set.test, NULL, mine.logits, NULL) ==
                         FMAL_OK &&
                     is_part(&mine, &all, &set.test.part, fmal_net_features(net)),
                 "%s: embedded without features", name);

    fmal_evaluation again = { 0 };
    int64_t by_class[BLOB_CLASSES] = { 5, 6, 7 }, all_by_class[BLOB_CLASSES];
    fmal_test_status(
        t, fmal_evaluate_classes(&t->ctx, net, &set, &set.test, &again, by_class),
        FMAL_OK, name);
    reference_classes(&whole.test, all.logits, all_by_class);
    fmal_test_ok(
        t, equal(&again, &alone) && same_bits(by_class, all_by_class, sizeof by_class),
        "%s: the same by class", name);

    fmal_evaluation want = reference(&whole.test, all.logits);
    fmal_test_ok(t,
                 alone.n == want.n && alone.correct == want.correct &&
                     alone.accuracy == want.accuracy &&
                     fmal_test_close(alone.loss, want.loss, 1e-12, 1),
                 "%s: the evaluation of these logits", name);
    embedding_clear(&mine);
    embedding_clear(&all);
    fmal_net_destroy(&net);
    blobs_clear(&set);
    blobs_clear(&whole);
}

/* Ranks with blocks to go and ranks without end together, or not at all. */
static void test_stop(fmal_test *t)
{
    fmal_dataset set = blobs(&t->ctx, 37, 5000);
    fmal_net *net = blobs_net("logreg");
    fmal_stop now = { .deadline = 1e-9 }, later = { .deadline = fmal_now() + 3600 };
    embedding mine;

    embedding_init(&mine, net, &set.test);
    fmal_test_status(
        t, fmal_embed(&t->ctx, net, &set, &set.test, mine.features, mine.logits, &now),
        FMAL_STOPPED, "an embedding is stopped between blocks");
    fmal_test_ok(t, strcmp(fmal_error_text(), "time limit") == 0, "and says by what");
    fmal_error_set("", "");
    fmal_test_status(
        t,
        fmal_embed(&t->ctx, net, &set, &set.test, mine.features, mine.logits, &later),
        FMAL_OK, "or else it ends");
    embedding_clear(&mine);
    fmal_net_destroy(&net);
    blobs_clear(&set);
}

/* ---- What goes wrong ---- */

static void test_not_finite(fmal_test *t, const char *arch, float bad)
{
    fmal_dataset set = blobs(&t->ctx, 37, 37);
    fmal_net *net = blobs_net(arch);
    fmal_evaluation e = { .n = -1 };
    embedding mine;

    embedding_init(&mine, net, &set.test);
    for (fmal_idx ig = 9; ig < 37; ig += 13)
        blobs_poke(&set.test, ig, bad);
    fmal_test_status(
        t, fmal_embed(&t->ctx, net, &set, &set.test, mine.features, mine.logits, NULL),
        FMAL_ERR_NUMERIC, "an embedding that is not finite fails on every rank");
    fmal_test_ok(t, strstr(fmal_error_text(), "test sample 9:"),
                 "%s: the first such sample is named", arch);
    fmal_error_set("", "");
    fmal_test_status(t, fmal_evaluate(&t->ctx, net, &set, &set.test, &e),
                     FMAL_ERR_NUMERIC, "and so does an evaluation");
    fmal_test_ok(t, strstr(fmal_error_text(), "test sample 9:") && e.n == -1,
                 "%s: with the same name, and no result", arch);
    fmal_test_status(t, fmal_evaluate(&t->ctx, net, &set, &set.train, &e), FMAL_OK,
                     "the other split is well");
    embedding_clear(&mine);
    fmal_net_destroy(&net);
    blobs_clear(&set);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    for (int i = 0; i < FMAL_COUNT(table); i++)
        test_row(&t, &self, i);
    test_stop(&t);
    test_not_finite(&t, "mlp", NAN);
    test_not_finite(&t, "logreg", INFINITY);
    return fmal_test_end(&t);
}
