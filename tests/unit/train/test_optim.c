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
    bool nesterov;
    double clamp;
    fmal_schedule schedule;
} table[] = {
    { "SGD", FMAL_SGD, 0.1, 0, 0, false, 0, FMAL_CONSTANT },
    { "SGD with momentum", FMAL_SGD, 0.1, 0.9, 0, false, 0, FMAL_CONSTANT },
    { "SGD with momentum and weight decay", FMAL_SGD, 0.1, 0.9, 0.01, false, 0,
      FMAL_CONSTANT },
    { "SGD with Nesterov's momentum", FMAL_SGD, 0.1, 0.9, 0, true, 0, FMAL_CONSTANT },
    { "the same with weight decay", FMAL_SGD, 0.1, 0.9, 0.01, true, 0, FMAL_CONSTANT },
    { "SGD with clamped gradients and weight decay", FMAL_SGD, 0.1, 0.9, 0.3, false,
      0.3, FMAL_CONSTANT },
    { "SGD along a cosine", FMAL_SGD, 0.1, 0.9, 0, false, 0, FMAL_COSINE },
    { "SGD in steps", FMAL_SGD, 0.1, 0.9, 0, true, 0, FMAL_STEP },
    { "Adam", FMAL_ADAM, 0.01, 0, 0, false, 0, FMAL_CONSTANT },
    { "Adam with weight decay", FMAL_ADAM, 0.01, 0, 0.1, false, 0, FMAL_CONSTANT },
    { "Adam with clamped gradients", FMAL_ADAM, 0.01, 0, 0.1, false, 0.3,
      FMAL_CONSTANT },
    { "Adam along a cosine", FMAL_ADAM, 0.01, 0, 0, false, 0, FMAL_COSINE },
    { "Adam in steps", FMAL_ADAM, 0.01, 0, 0, false, 0, FMAL_STEP },
};

/* Shares of the learning rate in each epoch: a fifth of half a cosine an epoch,
   (1 + cos 36 degrees) / 2 and so on; and a third after every second epoch. */
static const double shares[][EPOCHS] = {
    [FMAL_CONSTANT] = { 1, 1, 1, 1, 1 },
    [FMAL_COSINE] = { 1, 0.90450849718747, 0.65450849718747, 0.34549150281253,
                      0.09549150281253 },
    [FMAL_STEP] = { 1, 1, 1.0 / 3, 1.0 / 3, 1.0 / 9 },
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

static double clamped(double x, double most)
{
    if (most > 0 && x > most)
        return most;
    return most > 0 && x < -most ? -most : x;
}

/* Whether a clamp is between the smallest and the largest element: it does something,
   and not to all. */
static bool clamps_some(const double *g, double most)
{
    int cut = 0;

    for (int i = 0; i < SIZE; i++)
        cut += fabs(g[i]) > most;
    return cut > 0 && cut < SIZE;
}

/* The textbook: w changes by one step; m and v are kept between steps. */
static void expected_step(int row, int step, const double *g, double *m, double *v,
                          double *w)
{
    double rate = table[row].rate * shares[table[row].schedule][step - 1];

    for (int i = 0; i < SIZE; i++) {
        double gi = clamped(g[i], table[row].clamp) + table[row].decay * w[i];

        if (table[row].optimizer == FMAL_SGD) {
            m[i] = table[row].momentum * m[i] + gi;
            w[i] -=
                rate * (table[row].nesterov ? gi + table[row].momentum * m[i] : m[i]);
            continue;
        }
        m[i] = 0.9 * m[i] + 0.1 * gi;
        v[i] = 0.999 * v[i] + 0.001 * gi * gi;
        w[i] -= rate * (m[i] / (1 - pow(0.9, step))) /
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
        if (step == 1 && table[row].clamp > 0 && !clamps_some(g, table[row].clamp))
            return false;
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
        .nesterov = table[row].nesterov,
        .clamp = table[row].clamp,
        .schedule = table[row].schedule,
        .step_epochs = 2,
        .step_factor = 1.0 / 3,
        .batch = TRAIN,
        .micro_batch = 8,
        .max_epochs = EPOCHS,
        .stop_accuracy = 2,
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
