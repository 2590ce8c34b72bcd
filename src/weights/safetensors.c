/*
 * safetensors: eight bytes, the length n of the header, lowest first; n bytes of JSON,
 * {"name": {"dtype": "F32", "shape": [16, 3], "data_offsets": [begin, end]}, ...},
 * which may end in blanks and have texts under "__metadata__"; then the numbers,
 * row-major, lowest byte first, each tensor where its offsets say, without gaps or
 * overlaps.
 *
 * Described at https://github.com/huggingface/safetensors ("Format").
 *
 * A header is judged as a whole before any number is read: a file from anywhere can
 * promise anything. Numbers are read in pieces, into memory of the size that the
 * network has, whatever the file says.
 */
#include "weights_impl.h"
#include "fmal/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LENGTH_BYTES = 8,
    MOST_HEADER = 1 << 24, /* a hundred bytes a tensor are usual */
    PIECE = 1 << 18,       /* bytes that are converted at once */
};

/* ---- Bytes ---- */

static uint64_t number_of(const unsigned char *bytes, int n)
{
    uint64_t x = 0;

    for (int i = n - 1; i >= 0; i--)
        x = x << 8 | bytes[i];
    return x;
}

static void put_number(unsigned char *bytes, int n, uint64_t x)
{
    for (int i = 0; i < n; i++, x >>= 8)
        bytes[i] = (unsigned char) (x & 0xff);
}

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 1 bit of sign, 5 of exponent, 10 of mantissa (IEEE 754 binary16). */
static float half_of(uint32_t bits)
{
    int sign = bits >> 15 ? -1 : 1, exponent = bits >> 10 & 31, mantissa = bits & 1023;

    if (exponent == 31)
        return mantissa ? NAN : (float) sign * INFINITY;
    if (exponent == 0)
        return (float) sign * ldexpf((float) mantissa, -24);
    return (float) sign * ldexpf((float) (mantissa + 1024), exponent - 25);
}

static float value_of(const unsigned char *bytes, fmal_stored_type type)
{
    uint64_t bits;
    double x;

    switch (type) {
    case FMAL_STORED_F16:
        return half_of((uint32_t) number_of(bytes, 2));
    case FMAL_STORED_BF16: /* the upper half of a float */
        return float_of((uint32_t) number_of(bytes, 2) << 16);
    case FMAL_STORED_F64:
        bits = number_of(bytes, 8);
        memcpy(&x, &bits, sizeof x);
        return (float) x;
    default:
        return float_of((uint32_t) number_of(bytes, 4));
    }
}

static fmal_status read_at(const fmal_store *s, int64_t at, void *to, size_t bytes)
{
    for (size_t got = 0; got < bytes;) {
        ssize_t n = pread(s->fd, (char *) to + got, bytes - got, at + (int64_t) got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", s->path,
                             n < 0 ? strerror(errno) : "it became shorter");
        got += (size_t) n;
    }
    return FMAL_OK;
}

/* ---- The header ---- */

/* Types of the format. We read those of the first lines. */
static const struct {
    const char *name;
    fmal_stored_type type;
    int bytes;
} types[] = {
    { "F32", FMAL_STORED_F32, 4 },       { "F64", FMAL_STORED_F64, 8 },
    { "F16", FMAL_STORED_F16, 2 },       { "BF16", FMAL_STORED_BF16, 2 },
    { "BOOL", FMAL_STORED_OTHER, 1 },    { "U8", FMAL_STORED_OTHER, 1 },
    { "I8", FMAL_STORED_OTHER, 1 },      { "F8_E5M2", FMAL_STORED_OTHER, 1 },
    { "F8_E4M3", FMAL_STORED_OTHER, 1 }, { "I16", FMAL_STORED_OTHER, 2 },
    { "U16", FMAL_STORED_OTHER, 2 },     { "I32", FMAL_STORED_OTHER, 4 },
    { "U32", FMAL_STORED_OTHER, 4 },     { "I64", FMAL_STORED_OTHER, 8 },
    { "U64", FMAL_STORED_OTHER, 8 },
};

static fmal_status refuse(const fmal_store *s, const char *name, const char *what)
{
    char label[FMAL_LABEL_BYTES];

    return FMAL_FAIL(FMAL_ERR_FORMAT,
                     "%s: %s: %s; the file is damaged, export it again", s->path,
                     fmal_name_label(name, label), what);
}

static fmal_status parse_shape(const fmal_store *s, const json_t *shape, fmal_stored *t)
{
    size_t ndims = json_array_size(shape);

    if (!json_is_array(shape) || ndims > FMAL_STORED_DIMS)
        return refuse(s, t->name, "its shape is no list of at most 8 numbers");
    t->ndims = (int) ndims;
    t->count = 1;
    for (int i = 0; i < t->ndims; i++) {
        const json_t *dim = json_array_get(shape, (size_t) i);

        t->dims[i] = json_integer_value(dim);
        if (!json_is_integer(dim) || t->dims[i] < 0 ||
            __builtin_mul_overflow(t->count, t->dims[i], &t->count))
            return refuse(s, t->name, "its shape has an impossible number");
    }
    return FMAL_OK;
}

static fmal_status parse_offsets(const fmal_store *s, const json_t *offsets,
                                 int element_bytes, fmal_stored *t)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    int64_t bytes;

    t->begin = json_integer_value(begin);
    t->end = json_integer_value(end);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) ||
        !json_is_integer(end) || t->begin < 0 || t->end < t->begin ||
        t->end > s->length)
        return refuse(s, t->name, "its data_offsets are no place in the file");
    if (__builtin_mul_overflow(t->count, element_bytes, &bytes) ||
        bytes != t->end - t->begin)
        return refuse(s, t->name, "its data_offsets do not fit its shape and dtype");
    return FMAL_OK;
}

static fmal_status parse_tensor(const fmal_store *s, const json_t *entry,
                                fmal_stored *t)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    int i = 0;

    while (dtype && i < FMAL_COUNT(types) && strcmp(dtype, types[i].name) != 0)
        i++;
    if (!dtype || i == FMAL_COUNT(types))
        return refuse(s, t->name, "its dtype is none that is known");
    t->type = types[i].type;
    FMAL_TRY(parse_shape(s, json_object_get(entry, "shape"), t));
    return parse_offsets(s, json_object_get(entry, "data_offsets"), types[i].bytes, t);
}

static int by_place(const void *a, const void *b)
{
    const fmal_stored *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Tensors follow each other without gaps; they are in the order of their places now. */
static fmal_status check_places(const fmal_store *s)
{
    int64_t at = 0;

    qsort(s->tensor, (size_t) s->n, sizeof *s->tensor, by_place);
    for (int i = 0; i < s->n; at = s->tensor[i++].end)
        if (s->tensor[i].begin != at)
            return refuse(s, s->tensor[i].name,
                          s->tensor[i].begin < at
                              ? "it overlaps another tensor"
                              : "there are bytes before it that belong to no tensor");
    if (at != s->length)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: %" PRId64 " bytes after the last tensor; the file is "
                         "damaged, export it again",
                         s->path, s->length - at);
    return FMAL_OK;
}

static fmal_status parse_tensors(fmal_store *s, json_t *header)
{
    const char *name;
    json_t *entry;

    if (json_object_size(header) > FMAL_STORED_MOST)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: has %zu tensors, %d are the most",
                         s->path, json_object_size(header), FMAL_STORED_MOST);
    FMAL_TRY(FMAL_ALLOC(&s->tensor, (fmal_idx) json_object_size(header)));
    json_object_foreach(header, name, entry)
    {
        fmal_stored *t = &s->tensor[s->n];

        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!(t->name = fmal_strdup(name)))
            return FMAL_ERR_NOMEM;
        s->n++;
        FMAL_TRY(parse_tensor(s, entry, t));
    }
    return check_places(s);
}

static fmal_status parse_header(fmal_store *s, const char *text, size_t bytes)
{
    json_error_t error;
    json_t *header = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    char label[FMAL_LABEL_BYTES];

    if (!json_is_object(header)) {
        json_decref(header);
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: its header is no JSON object (byte %d: %s); the file is "
                         "damaged, export it again",
                         s->path, header ? 0 : error.position,
                         header ? "another value" : fmal_name_label(error.text, label));
    }
    fmal_status st = parse_tensors(s, header);
    json_decref(header);
    return st;
}

static fmal_status read_header(fmal_store *s, uint64_t bytes)
{
    char *text = NULL;

    FMAL_TRY(fmal_alloc(&text, (fmal_idx) bytes, 1));
    fmal_status st = read_at(s, LENGTH_BYTES, text, bytes);
    if (st == FMAL_OK)
        st = parse_header(s, text, bytes);
    fmal_free(&text);
    return st;
}

fmal_status fmal_safetensors_open(fmal_store *s)
{
    unsigned char length[LENGTH_BYTES];
    struct stat about;

    s->fd = open(s->path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &about) != 0)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", s->path, strerror(errno));
    if (!S_ISREG(about.st_mode) || about.st_size < LENGTH_BYTES)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: is no file of at least %d bytes",
                         s->path, LENGTH_BYTES);
    FMAL_TRY(read_at(s, 0, length, sizeof length));
    uint64_t header = number_of(length, LENGTH_BYTES);
    if (header > (uint64_t) about.st_size - LENGTH_BYTES || header > MOST_HEADER)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: its header has %" PRIu64 " bytes, the file %lld, and %d "
                         "are the most; it is cut off or no file of weights",
                         s->path, header, (long long) about.st_size, MOST_HEADER);
    s->data = LENGTH_BYTES + (int64_t) header;
    s->length = about.st_size - s->data;
    return read_header(s, header);
}

/* ---- Numbers ---- */

fmal_status fmal_safetensors_read(const fmal_store *s, int i, float *out)
{
    const fmal_stored *t = &s->tensor[i];
    unsigned char *piece = NULL;
    int64_t bytes = t->count > 0 ? (t->end - t->begin) / t->count : 1;
    fmal_idx most = PIECE / bytes;
    fmal_status st = FMAL_ALLOC(&piece, PIECE);

    for (fmal_idx at = 0; at < t->count && st == FMAL_OK; at += most) {
        fmal_idx n = t->count - at < most ? t->count - at : most;

        st = read_at(s, s->data + t->begin + at * bytes, piece, (size_t) (n * bytes));
        for (fmal_idx j = 0; j < n && st == FMAL_OK; j++)
            out[at + j] = value_of(piece + j * bytes, t->type);
    }
    fmal_free(&piece);
    return st;
}

/* ---- Writing ---- */

static json_t *entry_of(const fmal_tensor *tensor, int64_t begin)
{
    json_t *shape = json_array();
    json_int_t bytes = tensor->count * (json_int_t) sizeof(float);

    for (int i = 0; i < tensor->ndims; i++)
        json_array_append_new(shape, json_integer(tensor->dims[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape,
                     "data_offsets", (json_int_t) begin, begin + bytes);
}

/* As text of so many bytes, with blanks up to a multiple of 8, so that numbers are
   aligned; freed by free. NULL without memory. */
static char *header_of(const fmal_net *net, int *bytes, int64_t *data_bytes)
{
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    bool whole = header != NULL;
    char *text = NULL, *padded = NULL;

    *data_bytes = 0;
    for (int i = 0; i < fmal_slots(net); i++) {
        const fmal_tensor *t = fmal_slot_at(net, i).tensor;

        whole &= json_object_set_new(header, t->name, entry_of(t, *data_bytes)) == 0;
        *data_bytes += t->count * (int64_t) sizeof(float);
    }
    if (whole)
        text = json_dumps(header, JSON_COMPACT);
    *bytes =
        text ? asprintf(&padded, "%s%*s", text, (int) (-strlen(text) & 7), "") : -1;
    free(text);
    json_decref(header);
    return *bytes < 0 ? NULL : padded;
}

static void put_values(fmal_net *net, unsigned char *to)
{
    for (int i = 0; i < fmal_slots(net); i++) {
        fmal_slot slot = fmal_slot_at(net, i);
        const float *values = fmal_slot_values(net, &slot);

        for (fmal_idx j = 0; j < slot.tensor->count; j++, to += sizeof(float)) {
            uint32_t bits;

            memcpy(&bits, &values[j], sizeof bits);
            put_number(to, sizeof bits, bits);
        }
    }
}

fmal_status fmal_safetensors_save(const char *path, fmal_net *net)
{
    unsigned char *file = NULL;
    int64_t data_bytes;
    int n;
    char *header = header_of(net, &n, &data_bytes);
    size_t begin = LENGTH_BYTES + (size_t) n; /* of the numbers */
    fmal_status st =
        header ? FMAL_OK
               : FMAL_FAIL(FMAL_ERR_NOMEM, "%s: no memory for its header", path);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&file, (fmal_idx) begin + data_bytes);
    if (st == FMAL_OK) {
        put_number(file, LENGTH_BYTES, (uint64_t) n);
        memcpy(file + LENGTH_BYTES, header, (size_t) n);
        put_values(net, file + begin);
        st = fmal_file_replace(path, file, begin + (size_t) data_bytes);
    }
    free(header);
    fmal_free(&file);
    return st;
}
