/* Augmentation of images in training: training on them is, to the bit, training on
   images that were cropped and flipped by hand. */
#include "fmal_test.h"
#include "blobs.h"
#include "pictures.h"

enum { TRAIN = 53, LABELLED = 37, HEIGHT = 6, WIDTH = 5 };
enum { PLANE = HEIGHT * WIDTH, PIXELS = PICTURE_CHANNELS * PLANE };

/* A pixel of the image in a black frame of 4 pixels. */
static uint8_t framed(const uint8_t *plane, int y, int x)
{
    bool inside = y >= 4 && y < 4 + HEIGHT && x >= 4 && x < 4 + WIDTH;

    return inside ? plane[(y - 4) * WIDTH + x - 4] : 0;
}

/* A window of the framed image, from its top left corner (top, left), maybe mirrored.
   Sample, seed, round and epoch are the key of where it is. */
static void change_sample(uint8_t *pixels, fmal_idx ig, uint64_t seed, uint32_t round,
                          uint64_t epoch)
{
    fmal_rng r =
        fmal_rng_stream(seed, FMAL_RNG_AUGMENT, round, epoch << 40 | (uint64_t) ig);
    int top = (int) fmal_rng_below(&r, 9), left = (int) fmal_rng_below(&r, 9);
    bool mirrored = fmal_rng_below(&r, 2) == 1;
    uint8_t before[PIXELS];

    memcpy(before, pixels, PIXELS);
    for (int c = 0; c < PICTURE_CHANNELS; c++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                pixels[c * PLANE + y * WIDTH + (mirrored ? WIDTH - 1 - x : x)] =
                    framed(before + c * PLANE, top + y, left + x);
}

static void change_all(fmal_split *split, const fmal_train_options *o, int64_t epoch)
{
    for (fmal_idx il = 0; il < split->part.count; il++)
        change_sample((uint8_t *) split->rows + il * PIXELS, split->part.first + il,
                      o->seed, o->round, (uint64_t) epoch);
}

static fmal_train_options options(void)
{
    return (fmal_train_options){
        .optimizer = FMAL_ADAM,
        .rate = 0.01,
        .augment = FMAL_CROP_FLIP,
        .batch = 16,
        .micro_batch = 5,
        .max_epochs = 1000,
        .stop_accuracy = 2,
        .seed = 11,
        .round = 2,
    };
}

typedef struct {
    float params[PICTURE_CLASSES * PIXELS];
    fmal_epoch last;
} outcome;

/* Epochs from `first` on, from fresh weights. */
static fmal_status train(const fmal_ctx *ctx, fmal_dataset *set,
                         const fmal_train_options *o, int64_t first, int epochs,
                         outcome *out)
{
    fmal_train_count count = { .epochs = first };
    fmal_idx index_g[LABELLED];
    fmal_trainer *trainer = NULL;
    fmal_net *net = NULL;

    for (int i = 0; i < LABELLED; i++)
        index_g[i] = TRAIN - 1 - i;
    memset(out, 0, sizeof *out);
    if (fmal_net_create("logreg", set->shape, PICTURE_CLASSES, 1, 64, &net) != FMAL_OK)
        abort();
    fmal_net_init(net, 1, 0);
    fmal_status st = fmal_trainer_create(ctx, net, set, o, index_g, LABELLED, &trainer);
    if (st == FMAL_OK)
        fmal_trainer_resume(trainer, &count);
    for (int i = 0; i < epochs && st == FMAL_OK; i++)
        st = fmal_trainer_epoch(trainer, &out->last);
    memcpy(out->params, fmal_net_params(net), sizeof out->params);
    fmal_trainer_destroy(&trainer);
    fmal_net_destroy(&net);
    return st;
}

static void test_by_hand(fmal_test *t, const char *name, uint64_t seed, uint32_t round,
                         int64_t epoch)
{
    fmal_train_options o = options(), plain;
    fmal_dataset set = pictures(&t->ctx, TRAIN, HEIGHT, WIDTH);
    static outcome changed, by_hand, as_is;

    o.seed = seed;
    o.round = round;
    plain = o;
    plain.augment = FMAL_PLAIN;
    fmal_test_status(t, train(&t->ctx, &set, &o, epoch, 1, &changed), FMAL_OK, name);
    if (train(&t->ctx, &set, &plain, epoch, 1, &as_is) != FMAL_OK)
        abort();
    change_all(&set.train, &o, epoch);
    if (train(&t->ctx, &set, &plain, epoch, 1, &by_hand) != FMAL_OK)
        abort();
    fmal_test_ok(t,
                 same_bits(changed.params, by_hand.params, sizeof changed.params) &&
                     changed.last.loss == by_hand.last.loss,
                 "%s: as images changed by hand", name);
    fmal_test_ok(t, !same_bits(changed.params, as_is.params, sizeof changed.params),
                 "%s: not as they are", name);
    pictures_clear(&set);
}

static void test_ranks(fmal_test *t, const fmal_ctx *self)
{
    fmal_train_options o = options();
    fmal_dataset set = pictures(&t->ctx, TRAIN, HEIGHT, WIDTH),
                 whole = pictures(self, TRAIN, HEIGHT, WIDTH);
    static outcome together, alone;

    fmal_test_ok(t,
                 train(&t->ctx, &set, &o, 0, 3, &together) == FMAL_OK &&
                     train(self, &whole, &o, 0, 3, &alone) == FMAL_OK &&
                     same_bits(&together, &alone, sizeof together),
                 "the same as on one rank");
    pictures_clear(&set);
    pictures_clear(&whole);
}

static void test_refused(fmal_test *t)
{
    fmal_train_options o = options();
    fmal_dataset set = pictures(&t->ctx, TRAIN, HEIGHT, WIDTH);
    static outcome out;

    set.has_images = false;
    set.path = fmal_strdup("features.h5");
    fmal_test_status(t, train(&t->ctx, &set, &o, 0, 1, &out), FMAL_ERR_ARG, "features");
    fmal_test_ok(t, strstr(fmal_error_text(), "features.h5: holds features"),
                 "said: %s", fmal_error_text());
    fmal_free(&set.path);
    pictures_clear(&set);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    test_by_hand(&t, "the first epoch", 11, 2, 0);
    test_by_hand(&t, "another epoch", 11, 2, 1);
    test_by_hand(&t, "a late epoch", 11, 2, 9999999);
    test_by_hand(&t, "another round", 11, 3, 0);
    test_by_hand(&t, "another seed", 12, 2, 0);
    test_ranks(&t, &self);
    test_refused(&t);
    return fmal_test_end(&t);
}
