/* Weights to files and back, in other programs' names and types. */
#include "forge.h"

/* ---- There and back ---- */

static void test_round_trip(fmal_test *t, const char *file)
{
    fmal_net *net = small_net(1), *other = small_net(2);
    const char *path = fmal_test_path(t, file);
    bool has_head = false;

    fmal_test_status(t, fmal_weights_save(&t->ctx, path, net, "by hand"), FMAL_OK,
                     file);
    fmal_test_ok(t, !same_params(net, other), "%s: two networks", file);
    fmal_test_status(t, load_into(t, path, FMAL_HEAD_REQUIRED, other, &has_head),
                     FMAL_OK, file);
    fmal_test_ok(t, has_head && same_params(net, other), "%s: the same bits", file);

    fmal_weights_info info = { 0 };
    fmal_test_status(t, fmal_weights_look(path, &info), FMAL_OK, file);
    fmal_test_ok(t,
                 info.tensors == 3 && info.elements == SIZE &&
                     fmal_weights_is_safetensors(path) ==
                         (strcmp(info.format, "safetensors") == 0),
                 "%s: a look at it", file);
    fmal_net_destroy(&net);
    fmal_net_destroy(&other);
}

/* The bytes that the format's description asks for. */
static void test_bytes(fmal_test *t)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"hidden.weight\":{\"dtype\":\"F32\",\"shape\":[5,6],\"data_offsets\":[0,120]}"
        ","
        "\"hidden.bias\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[120,140]},"
        "\"head.weight\":{\"dtype\":\"F32\",\"shape\":[3,5],\"data_offsets\":[140,200]}"
        "}";
    const char *path = fmal_test_path(t, "bytes.safetensors");
    fmal_net *net = small_net(1);
    char *data = NULL;
    size_t bytes = 0, n = sizeof header - 1, padded = (n + 7) / 8 * 8;
    bool right = true;

    fmal_test_status(t, fmal_weights_save(&t->ctx, path, net, ""), FMAL_OK, "written");
    if (t->ctx.rank == 0) {
        right = fmal_file_read(path, 1 << 20, &data, &bytes) == FMAL_OK &&
                bytes == 8 + padded + 200 && (unsigned char) data[0] == padded % 256 &&
                (unsigned char) data[1] == padded / 256 &&
                memcmp(data + 2, "\0\0\0\0\0\0", 6) == 0 &&
                memcmp(data + 8, header, n) == 0;
        for (size_t i = n; right && i < padded; i++)
            right = data[8 + i] == ' ';
        /* This machine's order of bytes is that of the format. */
        right = right && memcmp(data + 8 + padded, fmal_net_params(net), 200) == 0;
    }
    fmal_test_ok(t, right, "header, blanks and numbers");
    fmal_free(&data);
    fmal_net_destroy(&net);
}

static void test_endings(fmal_test *t)
{
    static const char *const good[] = { "a.h5", "a/b.HDF5", "x.safetensors" };
    static const char *const bad[] = { "a", ".h5", "a.pt", "h5", "a.h5.gz", "" };
    fmal_net *net = small_net(1);

    for (int i = 0; i < FMAL_COUNT(good); i++)
        fmal_test_status(t, fmal_weights_check_name(good[i]), FMAL_OK, good[i]);
    for (int i = 0; i < FMAL_COUNT(bad); i++)
        fmal_test_status(t, fmal_weights_save(&t->ctx, bad[i], net, ""), FMAL_ERR_USAGE,
                         "no format");
    fmal_test_status(t,
                     fmal_weights_save(&t->ctx, "/nonexistent/a.safetensors", net, ""),
                     FMAL_ERR_IO, "no folder");
    fmal_net_destroy(&net);
}

/* ---- Names ---- */

static const struct {
    const char *name;
    const char *names[3];
    const char *rest;
} named[] = {
    { "ours", { "hidden.weight", "hidden.bias", "head.weight" }, "" },
    { "a head of torchvision", { "hidden.weight", "hidden.bias", "fc.weight" }, "" },
    { "a head of others",
      { "hidden.weight", "hidden.bias", "linear.weight" },
      ",\"__metadata__\":{\"format\":\"pt\",\"other\":\"text\"}" },
    { "of DataParallel",
      { "module.hidden.weight", "module.hidden.bias", "module.fc.weight" },
      "" },
    { "wrapped twice",
      { "_orig_mod.module.hidden.weight", "model.hidden.bias",
        "model.model.fc.weight" },
      "" },
    { "with a counter",
      { "hidden.weight", "hidden.bias", "classifier.weight" },
      ",\"bn1.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],"
      "\"data_offsets\":[200,208]}" },
    { "with a bias of zeros",
      { "hidden.weight", "hidden.bias", "fc.weight" },
      ",\"fc.bias\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[200,208]}" },
};

static void test_names(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(named); i++) {
        const char *path = fmal_test_path(t, "named");
        fmal_net *net = small_net(2);
        char header[2000];
        float data[SIZE + 2] = { 0 };
        bool has_head = false;
        size_t bytes = strstr(named[i].rest, "208") ? 208 : 200;

        for (int k = 0; k < SIZE; k++)
            data[k] = (float) (k + 1) / 8;
        small_header(header, sizeof header, named[i].names, named[i].rest);
        if (t->ctx.rank == 0 &&
            put_file(path, strlen(header), header, data, bytes) != FMAL_OK)
            abort();
        fmal_test_status(t, load_into(t, path, FMAL_HEAD_REQUIRED, net, &has_head),
                         FMAL_OK, named[i].name);
        fmal_test_ok(t,
                     has_head &&
                         memcmp(fmal_net_params(net), data, SIZE * sizeof(float)) == 0,
                     "%s: each where it belongs", named[i].name);
        fmal_net_destroy(&net);
    }
}

/* Without the last layer the network keeps its own, if that is allowed. */
static void test_without_head(fmal_test *t)
{
    static const char header[] =
        "{\"hidden.bias\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,20]},"
        "\"hidden.weight\":{\"dtype\":\"F32\",\"shape\":[5,6],\"data_offsets\":[20,140]"
        "}}";
    const char *path = fmal_test_path(t, "headless");
    fmal_net *net = small_net(2), *before = small_net(2);
    float data[35] = { 0.5f, 0, 0, 0, 0, 0.25f };
    bool has_head = true;

    if (t->ctx.rank == 0 &&
        put_file(path, sizeof header - 1, header, data, sizeof data) != FMAL_OK)
        abort();
    fmal_test_status(t, load_into(t, path, FMAL_HEAD_REQUIRED, net, &has_head),
                     FMAL_ERR_FORMAT, "a head that is needed");
    fmal_test_ok(t,
                 same_params(net, before) &&
                     strstr(fmal_error_text(), "1 missing: head.weight, 0 unexpected"),
                 "said '%s'", fmal_error_text());
    fmal_test_status(t, load_into(t, path, FMAL_HEAD_OPTIONAL, net, &has_head), FMAL_OK,
                     "a head that is not");
    const float *p = fmal_net_params(net);
    fmal_test_ok(t,
                 !has_head && p[0] == 0.25f && p[30] == 0.5f && p[1] == 0 &&
                     memcmp(p + 35, fmal_net_params(before) + 35, 60) == 0,
                 "is kept");
    fmal_net_destroy(&net);
    fmal_net_destroy(&before);
}

/* ---- Batch normalisation ---- */

static fmal_net *residual_net(uint64_t seed)
{
    fmal_net *net = NULL;

    if (fmal_net_create("resnet18-slim", (const int[]){ 3, 32, 32 }, 10, 1, 1, &net) !=
        FMAL_OK)
        abort();
    fmal_net_init(net, seed, 0);
    for (fmal_idx i = 0; i < fmal_net_stats_size(net); i++)
        fmal_net_stats(net)[i] = (float) (seed + 1) / (float) (i + 1);
    return net;
}

static bool same_net(fmal_net *a, fmal_net *b)
{
    return memcmp(fmal_net_params(a), fmal_net_params(b),
                  (size_t) fmal_net_size(a) * sizeof(float)) == 0 &&
           memcmp(fmal_net_stats(a), fmal_net_stats(b),
                  (size_t) fmal_net_stats_size(a) * sizeof(float)) == 0;
}

/* Words of the header exchanged for others, everywhere; the rest of the file stays. */
static void rename_in(const char *path, const char *to, const char *const *words, int n)
{
    char *data = NULL, *header = calloc(1, 1 << 16);
    size_t bytes = 0, at = 0, used = 0;

    if (!header || fmal_file_read(path, 16 << 20, &data, &bytes) != FMAL_OK)
        abort();
    size_t length = (unsigned char) data[0] + 256u * (unsigned char) data[1];
    while (at < length) {
        const char *p = data + 8 + at;
        int k = 0;

        while (k < n && strncmp(p, words[2 * k], strlen(words[2 * k])) != 0)
            k++;
        if (k < n) {
            used += (size_t) sprintf(header + used, "%s", words[2 * k + 1]);
            at += strlen(words[2 * k]);
        } else {
            header[used++] = *p;
            at++;
        }
    }
    if (put_file(to, used, header, data + 8 + length, bytes - 8 - length) != FMAL_OK)
        abort();
    fmal_free(&data);
    free(header);
}

/* As torchvision and others call it: statistics come along. */
static void test_residual(fmal_test *t)
{
    static const char *const words[] = { "head.weight", "fc.weight", ".downsample.",
                                         ".shortcut.",  "\"conv1",   "\"module.conv1" };
    static const char *const slip[] = { "\"bn1.running_var", "\"bn1.running_vat" };
    char path[600], other[600];
    fmal_net *net = residual_net(1), *back = residual_net(2), *before = residual_net(2);
    bool has_head;

    snprintf(path, sizeof path, "%s", fmal_test_path(t, "residual.safetensors"));
    snprintf(other, sizeof other, "%s", fmal_test_path(t, "renamed"));
    fmal_test_status(t, fmal_weights_save(&t->ctx, path, net, ""), FMAL_OK,
                     "a residual network");
    if (t->ctx.rank == 0)
        rename_in(path, other, slip, 1);
    fmal_test_status(t, load_into(t, other, FMAL_HEAD_REQUIRED, back, &has_head),
                     FMAL_ERR_FORMAT, "without one of its statistics");
    fmal_test_ok(t,
                 same_net(back, before) &&
                     strstr(fmal_error_text(),
                            "of 101 tensors 1 missing: bn1.running_var, 1 unexpected: "
                            "bn1.running_vat (did you mean bn1.running_var?)"),
                 "said '%s'", fmal_error_text());
    if (t->ctx.rank == 0)
        rename_in(path, other, words, 3);
    fmal_test_status(t, load_into(t, other, FMAL_HEAD_REQUIRED, back, &has_head),
                     FMAL_OK, "by the names of others");
    fmal_test_ok(t, has_head && same_net(back, net), "all of it comes back");

    fmal_net_stats(net)[40] = -1; /* layer1.0.bn1: 16 means follow 2 x 16 of bn1 */
    fmal_net_stats(net)[50] = -1;
    fmal_test_status(t, fmal_weights_save(&t->ctx, path, net, ""), FMAL_OK, "saved");
    fmal_test_status(t, load_into(t, path, FMAL_HEAD_REQUIRED, back, &has_head),
                     FMAL_ERR_FORMAT, "a variance below zero");
    fmal_test_ok(t, strstr(fmal_error_text(), "layer1.0.bn1.running_var: element 2 is"),
                 "said '%s'", fmal_error_text());
    fmal_net_destroy(&net);
    fmal_net_destroy(&back);
    fmal_net_destroy(&before);
}

/* ---- Types ---- */

/* Bits by the definitions of the formats, and what they are. */
static const struct {
    uint16_t bits;
    float value;
} halves[15] = {
    { 0x3c00, 1 },          { 0xc000, -2 },          { 0x7bff, 65504 },
    { 0x0001, 0x1p-24f },   { 0x8400, -0x1p-14f },   { 0x03ff, 0x3ffp-24f },
    { 0x3555, 0x555p-12f }, { 0x0000, 0 },           { 0x3800, 0.5f },
    { 0x4248, 3.140625f },  { 0xfbff, -65504 },      { 0x2e66, 0x666p-14f },
    { 0x5640, 100 },        { 0xb555, -0x555p-12f }, { 0x3c01, 0x401p-10f },
}, brains[15] = {
    { 0x3f80, 1 },        { 0xc000, -2 },     { 0x4049, 3.140625f },
    { 0x7f7f, 0xffp120f }, { 0x0080, 0x1p-126f }, { 0x0000, 0 },
    { 0x3f00, 0.5f },     { 0x42c8, 100 },    { 0xc2c8, -100 },
    { 0x3f81, 0x81p-7f }, { 0x4780, 65536 },  { 0xbf80, -1 },
    { 0x0001, 0x1p-133f }, { 0x3e80, 0.25f },  { 0x4000, 2 },
};

static void test_type(fmal_test *t, const char *dtype, const void *head, int bytes,
                      const float want[15])
{
    const char *path = fmal_test_path(t, dtype);
    fmal_net *net = small_net(2);
    unsigned char data[140 + 15 * 8] = { 0 };
    char header[1000];
    bool has_head;

    snprintf(
        header, sizeof header,
        "{\"hidden.bias\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,20]},"
        "\"hidden.weight\":{\"dtype\":\"F32\",\"shape\":[5,6],\"data_offsets\":[20,140]"
        "},"
        "\"head.weight\":{\"dtype\":\"%s\",\"shape\":[3,5],\"data_offsets\":[140,%d]}} "
        " ",
        dtype, 140 + 15 * bytes);
    memcpy(data + 140, head, (size_t) (15 * bytes));
    if (t->ctx.rank == 0 && put_file(path, strlen(header), header, data,
                                     (size_t) (140 + 15 * bytes)) != FMAL_OK)
        abort();
    fmal_test_status(t, load_into(t, path, FMAL_HEAD_REQUIRED, net, &has_head), FMAL_OK,
                     dtype);
    fmal_test_ok(t, memcmp(fmal_net_params(net) + 35, want, 60) == 0, "%s: values",
                 dtype);
    fmal_net_destroy(&net);
}

static void test_types(fmal_test *t)
{
    uint16_t half[15], brain[15];
    double wide[15];
    float values[3][15];

    for (int i = 0; i < 15; i++) {
        half[i] = halves[i].bits;
        values[0][i] = halves[i].value;
        brain[i] = brains[i].bits;
        values[1][i] = brains[i].value;
        wide[i] = i == 3 ? 1e-300 : 1.0 / (i - 7.5) + 1e-12;
        values[2][i] = (float) wide[i];
    }
    test_type(t, "F16", half, 2, values[0]);
    test_type(t, "BF16", brain, 2, values[1]);
    test_type(t, "F64", wide, 8, values[2]);
    test_type(t, "F32", values[2], 4, values[2]);
}

/* As h5py writes a state_dict, in double precision. */
static void test_h5_double(fmal_test *t)
{
    const char *path = fmal_test_path(t, "double.h5");
    fmal_h5_spec spec[] = {
        { .name = "/weights/fc.weight",
          .type = FMAL_F64,
          .ndims = 2,
          .dims = { 3, 5 } },
        { .name = "/weights/hidden.bias", .type = FMAL_F64, .ndims = 1, .dims = { 5 } },
        { .name = "/weights/hidden.weight",
          .type = FMAL_F64,
          .ndims = 2,
          .dims = { 5, 6 } },
        { .name = "/weights/bn.num_batches_tracked", .type = FMAL_I64 },
    };
    fmal_net *net = small_net(2);
    double data[30];
    fmal_h5 *h = NULL;
    fmal_status st = FMAL_OK;
    bool has_head;

    for (int i = 0; i < 30; i++)
        data[i] = 1.0 / (i + 1);
    if (t->ctx.rank == 0) {
        st = fmal_h5_create_image(&h);
        for (int i = 0; i < FMAL_COUNT(spec) && st == FMAL_OK; i++)
            st = fmal_h5_write(h, &spec[i], data);
        if (st == FMAL_OK)
            st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
        fmal_h5_close(&h);
    }
    fmal_test_status(t, fmal_agree_root(&t->ctx, st), FMAL_OK, "a file of doubles");
    fmal_test_status(t, load_into(t, path, FMAL_HEAD_REQUIRED, net, &has_head), FMAL_OK,
                     "is read");
    const float *p = fmal_net_params(net);
    fmal_test_ok(t,
                 p[29] == (float) (1.0 / 30) && p[34] == (float) (1.0 / 5) &&
                     p[49] == (float) (1.0 / 15),
                 "and rounded");
    fmal_net_destroy(&net);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_round_trip(&t, "round.h5");
    test_round_trip(&t, "round.safetensors");
    test_bytes(&t);
    test_endings(&t);
    test_names(&t);
    test_without_head(&t);
    test_residual(&t);
    test_types(&t);
    test_h5_double(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
