/* Networks with batch normalisation and dropout: running statistics are what the
   micro-batches' own give, and all is the same on any number of ranks and after a
   restart. */
#include "fmal_test.h"
#include "blobs.h"
#include "pictures.h"
#include "recipes.h"

enum { TRAIN = 29, MOST = 23 };

/* Smallest images that the networks take: their last layers see single pixels. */
static const struct {
    const char *arch;
    int side;
} nets[] = { { "resnet18-slim", 8 }, { "vgg11", 16 } };
enum { RESNET, VGG };

typedef struct {
    fmal_dataset set;
    fmal_net *net;
    fmal_trainer *trainer;
} workshop;

static fmal_train_options options(void)
{
    return (fmal_train_options){
        .rate = 0.003,
        .augment = FMAL_CROP_FLIP,
        .batch = 9,
        .micro_batch = 4,
        .max_epochs = 2,
        .stop_accuracy = 2,
        .seed = 13,
        .round = 3,
    };
}

static void set_up(workshop *w, const fmal_ctx *ctx, int which,
                   const fmal_train_options *o, int n)
{
    int side = nets[which].side;
    fmal_idx index_g[MOST];

    for (int i = 0; i < n; i++)
        index_g[i] = i * 4 % TRAIN;
    *w = (workshop){ .set = pictures(ctx, TRAIN, side, side) };
    if (fmal_net_create(nets[which].arch, w->set.shape, PICTURE_CLASSES, 1,
                        o->micro_batch, &w->net) != FMAL_OK)
        abort();
    fmal_net_init(w->net, 1, 0);
    if (fmal_trainer_create(ctx, w->net, &w->set, o, index_g, n, &w->trainer) !=
        FMAL_OK)
        abort();
}

static void tear_down(workshop *w)
{
    fmal_trainer_destroy(&w->trainer);
    fmal_net_destroy(&w->net);
    pictures_clear(&w->set);
}

/* Train until the end. @return the last report */
static fmal_epoch finish(workshop *w)
{
    fmal_epoch report = { 0 };

    while (!report.finished)
        if (fmal_trainer_epoch(w->trainer, &report) != FMAL_OK)
            abort();
    return report;
}

static bool same_net(fmal_net *a, fmal_net *b)
{
    return same_bits(fmal_net_params(a), fmal_net_params(b),
                     (size_t) fmal_net_size(a) * sizeof(float)) &&
           same_bits(fmal_net_stats(a), fmal_net_stats(b),
                     (size_t) fmal_net_stats_size(a) * sizeof(float));
}

/* ---- Running statistics ---- */

/* Add n times the statistics of the samples order[0 .. n) to `sum`. */
static void add_micro(fmal_net *net, const fmal_dataset *whole, const fmal_idx *order,
                      int n, double *sum)
{
    float *x = NULL, *grad = NULL, *stats = NULL;
    int32_t labels[MOST];
    double loss;
    int correct;

    if (FMAL_ALLOC(&x, (fmal_idx) n * whole->inputs) ||
        FMAL_ALLOC(&grad, fmal_net_size(net)) ||
        FMAL_ALLOC(&stats, fmal_net_stats_size(net)))
        abort();
    for (int i = 0; i < n; i++) {
        const char *rows = whole->train.rows;

        fmal_dataset_decode(whole, rows + (size_t) order[i] * whole->row_bytes, 1,
                            x + i * whole->inputs);
        labels[i] = whole->train.labels[order[i]];
    }
    fmal_net_batch batch = { .x = x, .labels = labels, .n = n };
    fmal_net_gradient(net, &batch, grad, stats, &loss, &correct);
    for (fmal_idx i = 0; i < fmal_net_stats_size(net); i++)
        sum[i] += n * (double) stats[i];
    fmal_free(&x);
    fmal_free(&grad);
    fmal_free(&stats);
}

/* One step on seven samples, in micro-batches of 2, 2 and 3. */
static void test_average(fmal_test *t, const fmal_ctx *self)
{
    enum { N = 7 };
    static const int sizes[] = { 2, 2, 3 };
    fmal_train_options o = options();
    fmal_dataset whole = pictures(self, TRAIN, 8, 8);
    fmal_idx order[N] = { 0, 4, 8, 12, 16, 20, 24 };
    fmal_rng r = fmal_rng_stream(o.seed, FMAL_RNG_SHUFFLE, o.round, 0);
    double *sum = NULL;
    workshop w;
    bool close = true;

    o.augment = FMAL_PLAIN;
    o.batch = N;
    o.micro_batch = 3;
    o.max_epochs = 1;
    set_up(&w, &t->ctx, RESNET, &o, N);
    fmal_idx count = fmal_net_stats_size(w.net);
    if (FMAL_ALLOC(&sum, count))
        abort();
    fmal_rng_shuffle(&r, order, N);
    for (int i = 0, at = 0; i < FMAL_COUNT(sizes); at += sizes[i++])
        add_micro(w.net, &whole, order + at, sizes[i], sum);
    for (fmal_idx i = 0; i < count; i++)
        sum[i] = 0.9 * fmal_net_stats(w.net)[i] + 0.1 * sum[i] / N;
    finish(&w);
    for (fmal_idx i = 0; i < count; i++)
        close = close && fmal_test_close(fmal_net_stats(w.net)[i], sum[i], 1e-6, 1);
    fmal_test_ok(t, count > 0 && close,
                 "%d running statistics are averages of micro-batches", (int) count);
    fmal_free(&sum);
    tear_down(&w);
    pictures_clear(&whole);
}

/* ---- Ranks, restarts, the best weights ---- */

static void test_ranks(fmal_test *t, const fmal_ctx *self, int which, int n,
                       const fmal_train_options *o, const char *name)
{
    workshop together, alone;

    set_up(&together, &t->ctx, which, o, n);
    set_up(&alone, self, which, o, n);
    fmal_epoch a = finish(&together), b = finish(&alone);
    fmal_test_ok(t, a.loss == b.loss && same_net(together.net, alone.net),
                 "%s, %s: the same as on one rank", nets[which].arch, name);
    tear_down(&together);
    tear_down(&alone);
}

/* All that a checkpoint keeps, from one workshop to another. */
static void hand_over(workshop *from, workshop *to)
{
    fmal_idx n;
    fmal_train_count count = fmal_trainer_counters(from->trainer);

    memcpy(fmal_net_params(to->net), fmal_net_params(from->net),
           (size_t) fmal_net_size(to->net) * sizeof(float));
    memcpy(fmal_net_stats(to->net), fmal_net_stats(from->net),
           (size_t) fmal_net_stats_size(to->net) * sizeof(float));
    const float *state = fmal_trainer_state(from->trainer, &n);
    memcpy(fmal_trainer_state(to->trainer, &n), state, (size_t) n * sizeof *state);
    fmal_trainer_resume(to->trainer, &count);
}

static void test_resume(fmal_test *t, const fmal_train_options *o)
{
    workshop whole, half, rest;
    fmal_epoch report;

    set_up(&whole, &t->ctx, RESNET, o, MOST);
    set_up(&half, &t->ctx, RESNET, o, MOST);
    set_up(&rest, &t->ctx, RESNET, o, MOST);
    finish(&whole);
    if (fmal_trainer_epoch(half.trainer, &report) != FMAL_OK || report.finished)
        abort();
    hand_over(&half, &rest);
    finish(&rest);
    fmal_test_ok(t, same_net(whole.net, rest.net), "resumed to the same bits");
    tear_down(&whole);
    tear_down(&half);
    tear_down(&rest);
}

static void test_best(fmal_test *t)
{
    fmal_train_options o = options();
    workshop whole, upto;

    recipe_validation(&o);
    o.max_epochs = 4;
    set_up(&whole, &t->ctx, RESNET, &o, MOST);
    int best = finish(&whole).best;
    o.max_epochs = best;
    set_up(&upto, &t->ctx, RESNET, &o, MOST);
    finish(&upto);
    fmal_test_ok(t, best < 4 && same_net(whole.net, upto.net),
                 "the best weights and statistics, of epoch %d, are what is left",
                 best);
    tear_down(&whole);
    tear_down(&upto);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_train_options plain = options(), all = options(), single = options();
    fmal_train_options dropped = options();
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    recipe_everything(&all);
    single.micro_batch = 1;
    single.batch = 4;
    single.max_epochs = 1;
    dropped.max_epochs = 1;
    test_average(&t, &self);
    test_ranks(&t, &self, RESNET, MOST, &plain, "Adam");
    test_ranks(&t, &self, RESNET, MOST, &all, "everything");
    test_ranks(&t, &self, RESNET, 8, &single, "micro-batches of one sample");
    test_ranks(&t, &self, VGG, 9, &dropped, "dropout");
    test_resume(&t, &all);
    test_best(&t);
    return fmal_test_end(&t);
}
