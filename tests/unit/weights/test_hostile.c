/* Files of weights that are damaged, of another network, or made to harm: each is
   refused with what is wrong, and the network keeps its weights. */
#include "forge.h"

#include <math.h>

static const char *const ours[3] = { "hidden.weight", "hidden.bias", "head.weight" };
static float zeros[SIZE + 64];

/* Loading fails, says so, and changes nothing. */
static void refused(fmal_test *t, const char *path, fmal_status want, const char *says,
                    const char *name)
{
    fmal_net *net = small_net(2), *before = small_net(2);
    bool has_head = true;

    fmal_test_status(t, load_into(t, path, FMAL_HEAD_REQUIRED, net, &has_head), want,
                     name);
    fmal_test_ok(t, strstr(fmal_error_text(), says) && same_params(net, before),
                 "%s: said '%s'", name, fmal_error_text());
    fmal_net_destroy(&net);
    fmal_net_destroy(&before);
}

static void refused_file(fmal_test *t, uint64_t length, const char *header,
                         size_t bytes, const char *says, const char *name)
{
    const char *path = fmal_test_path(t, "hostile");

    if (t->ctx.rank == 0 && put_file(path, length, header, zeros, bytes) != FMAL_OK)
        abort();
    refused(t, path, FMAL_ERR_FORMAT, says, name);
}

/* ---- Headers ---- */

/* Lengths that are not the header's. */
static const struct {
    const char *name;
    uint64_t length;
    const char *says;
} lengths[] = {
    { "a length beyond the file", 100000, "its header has 100000 bytes" },
    { "the largest length", UINT64_MAX, "its header has 18446744073709551615 bytes" },
    { "a negative length", (uint64_t) 1 << 63, "its header has 9223372036854775808" },
    { "a length that sums to the file", (uint64_t) -8, "its header has" },
    { "a header cut short", 100, "its header is no JSON object" },
    { "an empty header", 0, "its header is no JSON object" },
};

static const struct {
    const char *name, *header;
    size_t bytes;
    const char *says;
} headers[] = {
    { "a list", "{}]", 0, "no JSON object" },
    { "no end", "{\"a\":", 0, "no JSON object" },
    { "text after the end", "{} x", 0, "no JSON object" },
    { "not UTF-8", "{\"\xff\":1}", 0, "no JSON object" },
    { "a zero in a name", "{\"a\\u0000b\":1}", 0, "no JSON object" },
    { "a number too large", "{\"a\":{\"shape\":[99999999999999999999]}}", 0,
      "no JSON object" },
    { "a name twice",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
      8, "duplicate" },
    { "a tensor that is a number", "{\"a\":7}", 0, "a: its dtype is none" },
    { "no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
      "its dtype is none" },
    { "a dtype that is a number",
      "{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
      "its dtype is none" },
    { "an unknown dtype",
      "{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
      "its dtype is none" },
    { "no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4,
      "its shape" },
    { "a negative dimension",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
      "an impossible number" },
    { "half a dimension",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4,
      "an impossible number" },
    { "a product beyond 64 bits",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],"
      "\"data_offsets\":[0,0]}}",
      0, "an impossible number" },
    { "bytes beyond 64 bits",
      "{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],"
      "\"data_offsets\":[0,0]}}",
      0, "do not fit its shape" },
    { "nine dimensions",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],"
      "\"data_offsets\":[0,4]}}",
      4, "at most 8" },
    { "no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "no place" },
    { "one offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4,
      "no place" },
    { "three offsets",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 8,
      "no place" },
    { "a negative offset",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4,
      "no place" },
    { "an offset beyond the file",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4,
      "no place" },
    { "offsets turned round",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4,
      "no place" },
    { "too few bytes for the shape",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
      "do not fit its shape" },
    { "an overlap",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
      12, "b: it overlaps" },
    { "the same place twice",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
      8, "it overlaps" },
    { "a gap",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
      12, "b: there are bytes before it" },
    { "a gap in front",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
      "a: there are bytes before it" },
    { "bytes at the end",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 7,
      "3 bytes after the last tensor" },
    { "nothing at all", "{}", 0, "3 missing: hidden.weight, hidden.bias, head.weight" },
    { "a name that a terminal obeys",
      "{\"\\u001b[2J\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
      "1 unexpected: ?[2J" },
};

static void test_headers(fmal_test *t)
{
    char good[1000];

    small_header(good, sizeof good, ours, "");
    for (int i = 0; i < FMAL_COUNT(lengths); i++)
        refused_file(t, lengths[i].length, good, 200, lengths[i].says, lengths[i].name);
    for (int i = 0; i < FMAL_COUNT(headers); i++)
        refused_file(t, strlen(headers[i].header), headers[i].header, headers[i].bytes,
                     headers[i].says, headers[i].name);
}

/* Brackets within brackets, which would exhaust the stack of a careless reader. */
static void test_deep(fmal_test *t)
{
    enum { DEPTH = 1000000 };
    char *header = malloc(DEPTH + 6);

    if (!header)
        abort();
    memset(header, '[', DEPTH + 5);
    memcpy(header, "{\"a\":", 5);
    header[DEPTH + 5] = 0;
    refused_file(t, DEPTH + 5, header, 0, "no JSON object", "a million brackets");
    free(header);
}

/* ---- Another network ---- */

#define EXTRA(name)                                                                    \
    ",\"" name "\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[200,212]}"

static const struct {
    const char *name;
    const char *names[3];
    const char *rest;
    const char *says;
} others[] = {
    { "a slip",
      { "hidden.wieght", "hidden.bias", "head.weight" },
      "",
      "1 missing: hidden.weight, 1 unexpected: hidden.wieght (did you mean "
      "hidden.weight?)" },
    { "all others",
      { "a", "b", "c" },
      EXTRA("d"),
      "3 missing: hidden.weight, hidden.bias, head.weight, 4 unexpected: a, b, c, "
      "...;" },
    { "one too many",
      { "hidden.weight", "hidden.bias", "head.weight" },
      EXTRA("layer1.0.conv1.weight"),
      "0 missing, 1 unexpected: layer1.0.conv1.weight;" },
    { "two heads",
      { "hidden.weight", "hidden.bias", "head.weight" },
      EXTRA("fc.weight"),
      "head.weight and fc.weight are both head.weight" },
    { "the same of two wrappers",
      { "hidden.weight", "hidden.bias", "fc.weight" },
      EXTRA("module.hidden.bias"),
      "are both hidden.bias" },
    { "shapes of others",
      { "hidden.weight", "head.weight", "hidden.bias" },
      "",
      "hidden.bias: [3, 5]; wanted [5]" },
    { "weights as biases",
      { "hidden.bias", "hidden.weight", "head.weight" },
      "",
      "hidden.weight: [5]; wanted [5, 6]" },
};

static void test_others(fmal_test *t)
{
    char header[2000];

    for (int i = 0; i < FMAL_COUNT(others); i++) {
        small_header(header, sizeof header, others[i].names, others[i].rest);
        refused_file(t, strlen(header), header, others[i].rest[0] ? 212 : 200,
                     others[i].says, others[i].name);
    }
}

/* ---- Numbers ---- */

static const struct {
    const char *name;
    int at;
    float value;
    const char *says;
} numbers[] = {
    { "a NaN", 7, NAN, "hidden.weight: element 7 is" },
    { "an infinity", 34, INFINITY, "hidden.bias: element 4 is inf" },
    { "an infinity below", 35, -INFINITY, "head.weight: element 0 is -inf" },
    { "a bias of the head", 52, 1e-30f, "fc.bias: is not zero" },
    { "a NaN as a bias", 50, NAN, "fc.bias: element 0 is" },
};

static void test_numbers(fmal_test *t)
{
    char header[2000];

    small_header(header, sizeof header, ours, EXTRA("fc.bias"));
    for (int i = 0; i < FMAL_COUNT(numbers); i++) {
        zeros[numbers[i].at] = numbers[i].value;
        refused_file(t, strlen(header), header, 212, numbers[i].says, numbers[i].name);
        zeros[numbers[i].at] = 0;
    }
}

/* A head of integers, and one of numbers beyond single precision. */
static void test_types(fmal_test *t)
{
    static const char *const format =
        "{\"hidden.bias\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,20]},"
        "\"hidden.weight\":{\"dtype\":\"F32\",\"shape\":[5,6],\"data_offsets\":[20,140]"
        "},"
        "\"head.weight\":{\"dtype\":\"%s\",\"shape\":[3,5],\"data_offsets\":[140,%d]}}";
    char header[1000];
    double large = 1e39;

    snprintf(header, sizeof header, format, "I32", 200);
    refused_file(t, strlen(header), header, 200, "head.weight: wanted floating-point",
                 "integers");
    snprintf(header, sizeof header, format, "F64", 260);
    memcpy((char *) zeros + 140 + 8, &large, sizeof large);
    refused_file(t, strlen(header), header, 260, "head.weight: element 1 is inf",
                 "a number too large");
    memset(zeros, 0, sizeof zeros);
}

/* ---- Files ---- */

static const struct {
    const char *name, *content;
    size_t bytes;
    const char *says;
} files[] = {
    { "an empty file", "", 0, "neither HDF5 nor safetensors" },
    { "a few bytes", "1234567", 7, "neither HDF5 nor safetensors" },
    { "text", "no weights at all", 17, "neither HDF5 nor safetensors" },
    { "a zip of torch.save", "PK\3\4abcdefgh", 12, "made by torch.save" },
    { "a pickle of torch.save", "\x80\2\x8a\nabcdefgh", 12, "made by torch.save" },
    { "the beginning of HDF5", "\x89HDF\r\n\x1a\n", 8, "not a readable HDF5 file" },
    { "a checkpoint", "fmal checked file\nbytes 0\n", 26, "written by --save-weights" },
};

static void test_files(fmal_test *t)
{
    const char *path = fmal_test_path(t, "file");

    for (int i = 0; i < FMAL_COUNT(files); i++) {
        if (t->ctx.rank == 0 &&
            fmal_file_replace(path, files[i].content, files[i].bytes) != FMAL_OK)
            abort();
        refused(t, path, FMAL_ERR_FORMAT, files[i].says, files[i].name);
    }
    refused(t, "/nonexistent/w.h5", FMAL_ERR_IO, "/nonexistent/w.h5: cannot read",
            "no file");
    refused(t, fmal_test_dir(t), FMAL_ERR_IO, "cannot read", "a folder");
}

/* ---- HDF5 ---- */

typedef enum { NO_GROUP, DEEP, TABLE, HUGE, WORDS, WHOLE, NANS } fault;

static const struct {
    const char *name;
    fault fault;
    const char *says;
} faults[] = {
    { "no group", NO_GROUP, "has no group /weights" },
    { "groups in it", DEEP, "/weights/hidden: is no dataset" },
    { "another shape", TABLE,
      "head.weight: [15]; wanted [3, 5], a row for each class" },
    { "a huge shape", HUGE, "head.weight: [1125899906842624, 5]; wanted [3, 5]" },
    { "text", WORDS, "head.weight: wanted floating-point" },
    { "integers", WHOLE, "head.weight: wanted floating-point" },
    { "not a number", NANS, "hidden.weight: element 0 is" },
};

static fmal_status put_head(fmal_h5 *h, fault f)
{
    static const char *const words[15] = { "a", "a", "a", "a", "a", "a", "a", "a",
                                           "a", "a", "a", "a", "a", "a", "a" };
    fmal_h5_spec spec = {
        .name = "/weights/head.weight", .type = FMAL_F32, .ndims = 2, .dims = { 3, 5 }
    };
    const void *data = zeros;

    if (f == TABLE) {
        spec.ndims = 1;
        spec.dims[0] = 15;
    }
    if (f == WHOLE)
        spec.type = FMAL_I32;
    if (f == WORDS) {
        spec.type = FMAL_STR;
        data = words;
    }
    if (f == HUGE) {
        spec.dims[0] = (fmal_idx) 1 << 50;
        spec.compress = true;
        return fmal_h5_create_rows(h, &spec);
    }
    return fmal_h5_write(h, &spec, data);
}

static fmal_status put_h5(const char *path, fault f)
{
    fmal_h5_spec bias = {
        .name = "/weights/hidden.bias", .type = FMAL_F32, .ndims = 1, .dims = { 5 }
    };
    fmal_h5_spec weight = { .name = f == DEEP ? "/weights/hidden/weight"
                                              : "/weights/hidden.weight",
                            .type = FMAL_F32,
                            .ndims = 2,
                            .dims = { 5, 6 } };
    fmal_h5 *h = NULL;

    if (f == NO_GROUP)
        bias.name = "/hidden.bias";
    zeros[0] = f == NANS ? NAN : 0;
    FMAL_TRY(fmal_h5_create(path, &h));
    fmal_status st = fmal_h5_write(h, &bias, zeros + 1);
    if (st == FMAL_OK && f != NO_GROUP)
        st = fmal_h5_write(h, &weight, zeros);
    if (st == FMAL_OK && f != NO_GROUP)
        st = put_head(h, f);
    fmal_status closed = fmal_h5_close(&h);
    zeros[0] = 0;
    return st == FMAL_OK ? closed : st;
}

static void test_h5(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(faults); i++) {
        const char *path = fmal_test_path(t, "hostile.h5");
        fmal_status st = FMAL_OK;

        if (t->ctx.rank == 0)
            st = put_h5(path, faults[i].fault);
        fmal_test_status(t, fmal_agree_root(&t->ctx, st), FMAL_OK, faults[i].name);
        refused(t, path, FMAL_ERR_FORMAT, faults[i].says, faults[i].name);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_headers(&t);
    test_deep(&t);
    test_others(&t);
    test_numbers(&t);
    test_types(&t);
    test_files(&t);
    test_h5(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
