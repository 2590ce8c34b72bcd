/* Optimizers against their formulas: with one batch an epoch, the gradient of a step is
   that of the whole set. */
#include "fmal_test.h"
#include "blobs.h"

#include "fmal/train.h"

#include <math.h>
#include <string.h>

enum { TRAIN = 29, SIZE = BLOB_INPUTS * BLOB_CLASSES, EPOCHS = 5 };

static const struct {
    const char *name;
    fmal_optimizer optimizer;
    double rate, momentum, decay;
} table[] = {
    { "SGD", FMAL_SGD, 0.1, 0, 0 },
    { "SGD with momentum", FMAL_SGD, 0.1, 0.9, 0 },
    { "SGD with momentum and weight decay", FMAL_SGD, 0.1, 0.9, 0.01 },
    { "Adam", FMAL_ADAM, 0.01, 0, 0 },
    { "Adam with weight decay", FMAL_ADAM, 0.01, 0, 0.1 },
};

/* Mean gradient of all samples at the network's weights. */
static void full_gradient(fmal_net *net, const fmal_dataset *set, double *g)
{
    float sum[SIZE];
    double loss;
    int correct;

    fmal_net_batch all = { .x = set->train.rows,
                           .labels = set->train.labels,
                           .n = TRAIN };
    fmal_net_gradient(net, &all, sum, NULL, &loss, &correct);
    for (int i = 0; i < SIZE; i++)
        g[i] = sum[i] / (double) TRAIN;
}

/* The textbook: w changes by one step; m and v are kept between steps. */
static void expected_step(int row, int step, const double *g, double *m, double *v,
                          double *w)
{
    for (int i = 0; i < SIZE; i++) {
        double gi = g[i] + table[row].decay * w[i];

        if (table[row].optimizer == FMAL_SGD) {
            m[i] = table[row].momentum * m[i] + gi;
            w[i] -= table[row].rate * m[i];
            continue;
        }
        m[i] = 0.9 * m[i] + 0.1 * gi;
        v[i] = 0.999 * v[i] + 0.001 * gi * gi;
        w[i] -= table[row].rate * (m[i] / (1 - pow(0.9, step))) /
                (sqrt(v[i] / (1 - pow(0.999, step))) + 1e-8);
    }
}

/* Weights of every epoch against the formula, from the weights of the epoch before. */
static bool agrees(fmal_trainer *trainer, fmal_net *net, const fmal_dataset *whole,
                   int row)
{
    double g[SIZE], m[SIZE] = { 0 }, v[SIZE] = { 0 }, want[SIZE];
    fmal_epoch report;

    for (int step = 1; step <= EPOCHS; step++) {
        full_gradient(net, whole, g);
        for (int i = 0; i < SIZE; i++)
            want[i] = fmal_net_params(net)[i];
        expected_step(row, step, g, m, v, want);
        if (fmal_trainer_epoch(trainer, &report) != FMAL_OK)
            return false;
        for (int i = 0; i < SIZE; i++)
            if (!fmal_test_close(fmal_net_params(net)[i], want[i], 1e-6, 1))
                return false;
    }
    return true;
}

static void test_row(fmal_test *t, const fmal_ctx *self, int row)
{
    fmal_dataset set = blobs(&t->ctx, TRAIN, 0), whole = blobs(self, TRAIN, 0);
    fmal_net *net = blobs_net("logreg");
    fmal_train_options options = {
        .optimizer = table[row].optimizer,
        .rate = table[row].rate,
        .momentum = table[row].momentum,
        .weight_decay = table[row].decay,
        .batch = TRAIN,
        .micro_batch = 8,
        .max_epochs = EPOCHS,
    };
    fmal_trainer *trainer = NULL;
    fmal_idx index_g[TRAIN];

    for (int i = 0; i < TRAIN; i++)
        index_g[i] = i;
    fmal_test_status(
        t, fmal_trainer_create(&t->ctx, net, &set, &options, index_g, TRAIN, &trainer),
        FMAL_OK, table[row].name);
    fmal_test_ok(t, agrees(trainer, net, &whole, row), "%s: as the formula says",
                 table[row].name);
    fmal_trainer_destroy(&trainer);
    fmal_net_destroy(&net);
    blobs_clear(&set);
    blobs_clear(&whole);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    for (int i = 0; i < FMAL_COUNT(table); i++)
        test_row(&t, &self, i);
    fmal_test_ok(&t,
                 strcmp(fmal_optimizer_names[FMAL_ADAM], "adam") == 0 &&
                     strcmp(fmal_optimizer_names[FMAL_SGD], "sgd") == 0 &&
                     !fmal_optimizer_names[FMAL_SGD + 1],
                 "names");
    return fmal_test_end(&t);
}
