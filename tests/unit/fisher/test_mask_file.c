/* Mask files: there and back; of other networks; and those that lie, with a right
   checksum. */
#include "fmal_test.h"
#include "slow.h"

#include "fmal/mask.h"

#include <string.h>

static const fmal_mask_origin origin = {
    .arch = "mlp",
    .method = "global",
    .fraction = 0.5,
    .data = "blobs.h5",
    .data_checksum = "0123456789abcdef0123456789abcdef",
    .weights = "weights.h5",
    .options = "mask-fraction = 0.5\n",
    .fixed = "mask-fraction = 0.5\n",
    .history = "fmal mask",
};

static fmal_mask made_mask(fmal_net *net, fmal_mask_method method)
{
    fmal_mask_options o = { .method = method, .fraction = 0.5 };
    double value[SLOW_SIZE];
    fmal_mask m = { 0 };

    for (int i = 0; i < SLOW_SIZE; i++)
        value[i] = i * 7 % 31;
    if (fmal_mask_choose(net, &o, value, &m) != FMAL_OK)
        abort();
    if (method == FMAL_MASK_RANDOM)
        return m;
    m.n_samples = 3;
    if (FMAL_ALLOC(&m.samples, 3) != FMAL_OK)
        abort();
    m.samples[1] = 4;
    m.samples[2] = 9;
    return m;
}

static bool same_list(const void *a, const void *b, fmal_idx n)
{
    return (!a && !b) || (a && b && same_bits(a, b, (size_t) n * 8));
}

static bool same_mask(const fmal_mask *a, const fmal_mask *b)
{
    return a->size == b->size && a->count == b->count && a->extra == b->extra &&
           a->n_samples == b->n_samples && same_list(a->index, b->index, a->count) &&
           same_list(a->value, b->value, a->count) &&
           same_list(a->samples, b->samples, a->n_samples);
}

/* By the root; with the verdict of all. */
static fmal_status save(fmal_test *t, const char *path, fmal_net *net,
                        const fmal_mask *mask)
{
    fmal_status st = FMAL_OK;

    if (t->ctx.rank == 0)
        st = fmal_mask_save(path, net, mask, &origin);
    return fmal_agree_root(&t->ctx, st);
}

static void test_round_trip(fmal_test *t, fmal_mask_method method)
{
    const char *path = fmal_test_path(t, "mask.h5");
    fmal_net *net = blobs_net("mlp");
    fmal_mask a = made_mask(net, method), b = { 0 };

    fmal_test_status(t, save(t, path, net, &a), FMAL_OK, "a mask is saved");
    fmal_test_status(t, fmal_mask_load(&t->ctx, path, net, &b), FMAL_OK, "and loaded");
    fmal_test_ok(t, same_mask(&a, &b), "as it was");
    fmal_mask_clear(&a);
    fmal_mask_clear(&b);
    fmal_net_destroy(&net);
}

static void test_record(fmal_test *t)
{
    const char *path = fmal_test_path(t, "mask.h5");
    fmal_net *net = blobs_net("mlp");
    fmal_mask mask = made_mask(net, FMAL_MASK_GLOBAL);
    fmal_mask_record r = { 0 };
    fmal_h5 *h = NULL;
    fmal_status st = save(t, path, net, &mask);

    if (st == FMAL_OK)
        st = fmal_h5_open_checked(path, &h);
    if (st == FMAL_OK)
        st = fmal_mask_read(h, &r);
    fmal_h5_close(&h);
    fmal_test_status(t, st, FMAL_OK, "a mask file without its network");
    fmal_test_ok(t,
                 st == FMAL_OK && r.n_tensors == 3 && strcmp(r.arch, "mlp") == 0 &&
                     strcmp(r.method, "global") == 0 && r.fraction == 0.5 &&
                     strcmp(r.tensors[0].name, "hidden.weight") == 0 &&
                     r.tensors[0].masked + r.tensors[1].masked == 10 &&
                     r.tensors[2].masked == 15,
                 "says how many of each tensor");
    fmal_mask_record_clear(&r);
    fmal_mask_clear(&mask);
    fmal_net_destroy(&net);
}

static void test_other_nets(fmal_test *t)
{
    const char *path = fmal_test_path(t, "mask.h5");
    fmal_net *mlp = blobs_net("mlp"), *logreg = blobs_net("logreg"), *wide = NULL;
    const int shape[3] = { BLOB_INPUTS + 1, 1, 1 };
    fmal_mask mask = made_mask(mlp, FMAL_MASK_GLOBAL), got = { 0 };

    if (fmal_net_create("mlp", shape, BLOB_CLASSES, BLOB_HIDDEN, 1, &wide) != FMAL_OK)
        abort();
    fmal_test_status(t, save(t, path, mlp, &mask), FMAL_OK, "a mask of mlp");
    fmal_test_status(t, fmal_mask_load(&t->ctx, path, logreg, &got), FMAL_ERR_MISMATCH,
                     "is none of logreg");
    fmal_test_status(t, fmal_mask_load(&t->ctx, path, wide, &got), FMAL_ERR_MISMATCH,
                     "nor of a wider mlp");
    fmal_test_ok(t, strstr(fmal_error_text(), "hidden.weight of 30"), "names it: %s",
                 fmal_error_text());
    fmal_mask_clear(&mask);
    fmal_net_destroy(&mlp);
    fmal_net_destroy(&logreg);
    fmal_net_destroy(&wide);
}

/* ---- Files that lie ---- */

typedef struct {
    const char *schema, *method, *network;
    double fraction;
    fmal_idx index[5], n_index;
    double value[5];
    fmal_idx n_value; /* 0: none */
    fmal_idx offset[3], count[3], n_tensors;
    const char *names[3];
    fmal_idx samples[3], n_samples;
    const char *huge; /* a list that says it is, and takes no room */
} content;

static const content sound = {
    .schema = FMAL_MASK_SCHEMA,
    .method = "global",
    .network = "tiny",
    .fraction = 0.5,
    .index = { 1, 3, 6, 7 },
    .n_index = 4,
    .value = { 4, 3, 2, 1 },
    .n_value = 4,
    .offset = { 0, 4, 6 },
    .count = { 4, 2, 2 },
    .n_tensors = 3,
    .names = { "a.weight", "a.bias", "head.weight" },
    .samples = { 0, 5, 6 },
    .n_samples = 3,
};

static fmal_status put(fmal_h5 *h, const content *c, const char *name, fmal_type type,
                       fmal_idx n, const void *data)
{
    fmal_h5_spec spec = { .name = name, .type = type, .ndims = 1, .dims = { n } };

    if (c->huge && strcmp(c->huge, name) == 0) {
        spec.dims[0] = (fmal_idx) 1 << 45;
        spec.compress = true;
        return fmal_h5_create_rows(h, &spec);
    }
    return n > 0 ? fmal_h5_write(h, &spec, data) : FMAL_OK;
}

static fmal_status write_content(const char *path, const content *c)
{
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create_image(&h);

    if (st == FMAL_OK)
        st = fmal_h5_stamp(h, c->schema, "test");
    if (st == FMAL_OK)
        st = fmal_h5_attr_text(h, "/", "method", c->method);
    if (st == FMAL_OK)
        st = fmal_h5_attr_text(h, "/", "network", c->network);
    if (st == FMAL_OK)
        st = fmal_h5_attr_f64(h, "/", "fraction", c->fraction);
    if (st == FMAL_OK)
        st = put(h, c, "/mask/index", FMAL_I64, c->n_index, c->index);
    if (st == FMAL_OK)
        st = put(h, c, "/mask/value", FMAL_F64, c->n_value, c->value);
    if (st == FMAL_OK)
        st = put(h, c, "/tensor/offset", FMAL_I64, c->n_tensors, c->offset);
    if (st == FMAL_OK)
        st = put(h, c, "/tensor/count", FMAL_I64, c->n_tensors, c->count);
    if (st == FMAL_OK)
        st = put(h, c, "/tensor/name", FMAL_STR, c->n_tensors, c->names);
    if (st == FMAL_OK)
        st = put(h, c, "/samples/index", FMAL_I64, c->n_samples, c->samples);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_CHECKED);
    fmal_h5_close(&h);
    return st;
}

/* Lie number i: what it makes of sound content, and what is then said. @return its
   name; NULL after the last one. */
static const char *tell_lie(int i, content *c, const char **says)
{
    int at = 0;

#define LIE(name, text, change)                                                        \
    if (i == at++) {                                                                   \
        change;                                                                        \
        *says = text;                                                                  \
        return name;                                                                   \
    }
    LIE("another schema", "wanted 'fmal-mask-1'", c->schema = "fmal-mask-2")
    LIE("an unknown method", "method is unknown", c->method = "best")
    LIE("a network that cannot be printed", "is damaged", c->network = "\033[2J")
    LIE("an empty network", "is damaged", c->network = "")
    LIE("a fraction of 0", "not in (0, 1]", c->fraction = 0)
    LIE("a fraction that is NaN", "not in (0, 1]", c->fraction = NAN)
    LIE("no position", "/mask/index is no list", c->n_index = 0)
    LIE("more positions than room", "/mask/index is no list", c->huge = "/mask/index")
    LIE("a position below 0", "/mask/index[0] is -1", c->index[0] = -1)
    LIE("a position beyond", "/mask/index[3] is 8", c->index[3] = 8)
    LIE("positions that fall", "/mask/index[1] is 0", c->index[1] = 0)
    LIE("a position twice", "/mask/index[1] is 1", c->index[1] = 1)
    LIE("half a head", "not the whole head", c->index[2] = 5)
    LIE("no head", "not the whole head", c->n_index = 2; c->n_value = 2)
    LIE("fewer values than positions", "not as long", c->n_value = 3)
    LIE("more values than positions", "/mask/value is no list", c->n_value = 5)
    LIE("a value below 0", "negative or not finite", c->value[3] = -1)
    LIE("a value that is NaN", "negative or not finite", c->value[1] = NAN)
    LIE("no tensor", "/tensor/offset is no list", c->n_tensors = 0)
    LIE("too many tensors", "/tensor/count is no list", c->huge = "/tensor/count")
    LIE("names without end", "/tensor/name is no list", c->huge = "/tensor/name")
    LIE("tensors that overlap", "do not follow", c->offset[1] = 3)
    LIE("a gap", "do not follow", c->offset[1] = 5)
    LIE("an empty tensor", "do not follow", c->count[1] = 0; c->offset[2] = 4)
    LIE("a tensor without end", "do not follow", c->count[2] = INT64_MAX)
    LIE("a name that is empty", "name is damaged", c->names[1] = "")
    LIE("a name of two words", "name is damaged", c->names[1] = "b c")
    LIE("a name that is long", "/tensor/name is no list",
        c->names[2] = "an_endless_name_of_more_than_forty_eight_letters_and_more")
    LIE("samples that fall", "does not ascend", c->samples[1] = 9)
    LIE("a sample below 0", "does not ascend", c->samples[0] = -1)
    LIE("more samples than room", "/samples/index is no list",
        c->huge = "/samples/index")
#undef LIE
    return NULL;
}

/* @return false after the last one */
static bool test_lie(fmal_test *t, int i)
{
    const char *path = fmal_test_path(t, "lie.h5"), *says = "";
    content c = sound;
    const char *name = tell_lie(i, &c, &says);

    if (!name)
        return false;
    fmal_net *net = blobs_net("mlp");
    fmal_mask mask = { .size = -1 };
    fmal_status st = FMAL_OK;

    if (t->ctx.rank == 0)
        st = write_content(path, &c);
    fmal_test_status(t, fmal_agree_root(&t->ctx, st), FMAL_OK, name);
    fmal_test_status(t, fmal_mask_load(&t->ctx, path, net, &mask), FMAL_ERR_FORMAT,
                     name);
    fmal_test_ok(t, strstr(fmal_error_text(), says) && mask.size == -1, "%s: %s", name,
                 fmal_error_text());
    fmal_net_destroy(&net);
    return true;
}

/* Without any lie the same content is refused for its network alone. */
static void test_sound(fmal_test *t)
{
    const char *path = fmal_test_path(t, "sound.h5");
    fmal_net *net = blobs_net("mlp");
    fmal_mask mask = { 0 };
    fmal_status st = FMAL_OK;

    if (t->ctx.rank == 0)
        st = write_content(path, &sound);
    fmal_test_status(t, fmal_agree_root(&t->ctx, st), FMAL_OK, "sound content");
    fmal_test_status(t, fmal_mask_load(&t->ctx, path, net, &mask), FMAL_ERR_MISMATCH,
                     "is of another network");
    fmal_net_destroy(&net);
}

static void test_damage(fmal_test *t)
{
    const char *path = fmal_test_path(t, "sound.h5");
    fmal_net *net = blobs_net("mlp");
    fmal_mask mask = { 0 };
    char *bytes = NULL;
    size_t n = 0;
    fmal_status st = FMAL_OK;

    if (t->ctx.rank == 0) {
        st = fmal_file_read(path, 1 << 20, &bytes, &n);
        if (st == FMAL_OK) {
            bytes[n / 2] ^= 1;
            st = fmal_file_replace(path, bytes, n);
        }
        fmal_free(&bytes);
    }
    fmal_test_status(t, fmal_agree_root(&t->ctx, st), FMAL_OK, "one bit changes");
    fmal_test_status(t, fmal_mask_load(&t->ctx, path, net, &mask), FMAL_ERR_FORMAT,
                     "and the checksum tells");
    fmal_test_status(t,
                     fmal_mask_load(&t->ctx, fmal_test_path(t, "none.h5"), net, &mask),
                     FMAL_ERR_IO, "a file that is not there");
    fmal_net_destroy(&net);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_round_trip(&t, FMAL_MASK_GLOBAL);
    test_round_trip(&t, FMAL_MASK_RANDOM);
    test_record(&t);
    test_other_nets(&t);
    test_sound(&t);
    test_damage(&t);
    for (int i = 0; test_lie(&t, i); i++)
        continue;
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
