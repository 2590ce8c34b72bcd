/* Makes pools for the tests of the command line, good and bad; see usage below. */
#include "fmal/io.h"
#include "fmal/mem.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const usage =
    "Usage: fmal_make_pool [--n N] [--d D] [--c C] [--labelled K] [--seed S]\n"
    "                      [--compress] [--last-layer] [--group NAME] [changes] FILE\n"
    "\n"
    "N samples of D features, logits of a linear model of C classes, K labelled\n"
    "samples spread over the pool. The datasets are features, logits, labelled; and\n"
    "exclude, labels, ids, probs, embeddings, which --add writes; all in the group.\n"
    "Changes, in their order:\n"
    "  --add NAME            write a dataset that pools may have; probs: instead of\n"
    "                        logits; embeddings [N, 2, D]: of features and logits;\n"
    "                        with --last-layer, [N, C - 1, C D]: the Fisher factors\n"
    "                        that features and logits have\n"
    "  --drop NAME           leave a dataset out\n"
    "  --type NAME=TYPE      f32, f64, i32, i64 (times 100, rounded) or text\n"
    "  --rank NAME=R         1: the first column alone; 2: rows as they are stored;\n"
    "                        3: a last dimension of 1\n"
    "  --rows NAME=N         the first N rows alone\n"
    "  --set NAME:ROW=X      one value, in column ROW modulo the columns\n"
    "  --fill NAME:ROW=X     a whole row\n"
    "  --scale NAME:ROW=X    a whole row times X\n"
    "  --list NAME=I,J,...   labelled or exclude, spelt out\n"
    "  --text ids:ROW=TEXT   one identifier\n";

/* A dataset in the making: values as doubles until the file is written. */
typedef struct {
    const char *name;
    bool there;
    fmal_type type;
    int ndims;
    fmal_idx rows, cols;
    fmal_idx inner; /* last dimension of three, 0 for 1 */
    double *value;  /* [rows, cols] */
    char **text;    /* [rows] or NULL: one for each row in place of its value */
    double factor;  /* of what becomes an integer */
} array;

enum { FEATURES, LOGITS, PROBS, LABELLED, EXCLUDE, LABELS, IDS, EMBEDDINGS, ARRAYS };

static array arrays[ARRAYS] = {
    { .name = "features", .there = true, .type = FMAL_F32, .ndims = 2, .factor = 100 },
    { .name = "logits", .there = true, .type = FMAL_F32, .ndims = 2, .factor = 100 },
    { .name = "probs", .type = FMAL_F64, .ndims = 2, .factor = 100 },
    { .name = "labelled", .there = true, .type = FMAL_I64, .ndims = 1, .factor = 1 },
    { .name = "exclude", .type = FMAL_I64, .ndims = 1, .factor = 1 },
    { .name = "labels", .type = FMAL_I32, .ndims = 1, .factor = 1 },
    { .name = "ids", .type = FMAL_STR, .ndims = 1, .factor = 1 },
    { .name = "embeddings", .type = FMAL_F32, .ndims = 3, .factor = 100 },
};

static void fail(const char *what, const char *word)
{
    fprintf(stderr, "fmal_make_pool: %s: %s\n\n%s", what, word, usage);
    exit(2);
}

static void must(fmal_status st)
{
    if (st == FMAL_OK)
        return;
    fprintf(stderr, "fmal_make_pool: %s\n", fmal_error_text());
    exit(1);
}

/* ---- Values ---- */

static uint64_t state;

/* splitmix64, to [-1, 1) with two decimals: the same pool in every type. */
static double draw(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return floor((double) (z >> 11) / 9007199254740992.0 * 200 - 100) / 100;
}

static void shape(array *a, fmal_idx rows, fmal_idx cols)
{
    a->rows = rows;
    a->cols = cols;
    must(FMAL_ALLOC(&a->value, rows * cols));
}

static void softmax(const double *logit, double *p, fmal_idx c)
{
    double sum = 0;

    for (fmal_idx k = 0; k < c; k++)
        sum += p[k] = exp(logit[k]);
    for (fmal_idx k = 0; k < c; k++)
        p[k] /= sum;
}

/* Logits are features times fixed weights; labels are those of a noisy teacher. */
static void make_samples(fmal_idx n, fmal_idx d, fmal_idx c)
{
    double *weight = NULL;

    shape(&arrays[FEATURES], n, d);
    shape(&arrays[LOGITS], n, c);
    shape(&arrays[PROBS], n, c);
    shape(&arrays[LABELS], n, 1);
    shape(&arrays[IDS], n, 1);
    must(FMAL_ALLOC(&weight, d * c));
    for (fmal_idx i = 0; i < d * c; i++)
        weight[i] = draw();
    for (fmal_idx i = 0; i < n; i++) {
        double *x = arrays[FEATURES].value + i * d, *y = arrays[LOGITS].value + i * c;
        fmal_idx top = 0;

        for (fmal_idx j = 0; j < d; j++)
            x[j] = draw();
        for (fmal_idx k = 0; k < c; k++) {
            for (fmal_idx j = 0; j < d; j++)
                y[k] += x[j] * weight[j * c + k];
            y[k] = (double) (float) y[k]; /* as the file holds it */
            if (y[k] + draw() > y[top])
                top = k;
        }
        softmax(y, arrays[PROBS].value + i * c, c);
        arrays[LABELS].value[i] = (double) top;
        arrays[IDS].value[i] = 100000 + 7 * (double) i;
    }
    fmal_free(&weight);
}

static void make_embeddings(fmal_idx n, fmal_idx d)
{
    array *a = &arrays[EMBEDDINGS];

    shape(a, n, 2 * d);
    a->inner = d;
    for (fmal_idx i = 0; i < n * 2 * d; i++)
        a->value[i] = draw();
}

/* Row k of a sample: sqrt(p_k) (e_k - q) (x) features, q as in docs/algorithms.md. */
static void make_factors(fmal_idx n, fmal_idx d, fmal_idx c)
{
    array *a = &arrays[EMBEDDINGS];

    shape(a, n, (c - 1) * c * d);
    a->inner = c * d;
    for (fmal_idx i = 0; i < n; i++) {
        const double *p = arrays[PROBS].value + i * c;
        double last = sqrt(p[c - 1]), share = last / (1 + last);
        double *v = a->value + i * a->cols;

        for (fmal_idx k = 0; k < c - 1; k++)
            for (fmal_idx m = 0; m < c; m++)
                for (fmal_idx j = 0; j < d; j++) {
                    double q = (1 - share) * p[m] + (m == c - 1 ? share : 0);

                    *v++ = sqrt(p[k]) * ((m == k) - q) *
                           (float) arrays[FEATURES].value[i * d + j];
                }
    }
}

static void make_labelled(fmal_idx n, fmal_idx labelled)
{
    shape(&arrays[LABELLED], labelled, 1);
    for (fmal_idx i = 0; i < labelled; i++)
        arrays[LABELLED].value[i] = (double) (i * n / labelled);
    shape(&arrays[EXCLUDE], 0, 1);
}

/* ---- Changes ---- */

/* Split "NAME=VALUE" or "NAME:ROW=VALUE"; row is -1 without one. */
static array *parse(const char *option, char *word, fmal_idx *row, const char **value)
{
    char *name = strdup(word), *equals = strchr(name, '=');
    array *found = NULL;

    *value = NULL;
    *row = -1;
    if (equals) {
        *equals = 0;
        *value = strchr(word, '=') + 1;
    }
    char *colon = strchr(name, ':');
    if (colon) {
        *colon = 0;
        *row = atoll(colon + 1);
    }
    for (int i = 0; i < ARRAYS; i++)
        if (strcmp(arrays[i].name, name) == 0)
            found = &arrays[i];
    if (!found || (colon && (*row < 0 || *row >= found->rows)))
        fail(option, word);
    free(name);
    return found;
}

static fmal_type parse_type(const char *text)
{
    static const char *const names[] = { "u8", "i32", "i64", "f32", "f64", "text" };

    for (int i = 0; i < FMAL_COUNT(names); i++)
        if (strcmp(names[i], text) == 0)
            return (fmal_type) i;
    fail("--type", text);
    return FMAL_F32;
}

static void set_list(array *a, const char *value)
{
    fmal_idx n = 1;

    for (const char *p = value; *p; p++)
        n += *p == ',';
    fmal_free(&a->value);
    shape(a, n, 1);
    for (fmal_idx i = 0; i < n; i++, value = strchr(value, ',') + 1)
        a->value[i] = strtod(value, NULL);
    a->there = true;
}

static void set_text(array *a, fmal_idx row, const char *value)
{
    if (!a->text)
        must(FMAL_ALLOC(&a->text, a->rows));
    a->text[row] = strdup(value);
}

static void change(const char *option, char *word)
{
    const char *value;
    fmal_idx row;
    array *a = parse(option, word, &row, &value);

    if (strcmp(option, "--add") == 0) {
        a->there = true;
        if (a == &arrays[PROBS] || a == &arrays[EMBEDDINGS])
            arrays[LOGITS].there = false;
        if (a == &arrays[EMBEDDINGS])
            arrays[FEATURES].there = false;
    } else if (strcmp(option, "--drop") == 0) {
        a->there = false;
    } else if (!value) {
        fail(option, word);
    } else if (strcmp(option, "--type") == 0) {
        a->type = parse_type(value);
    } else if (strcmp(option, "--rank") == 0) {
        a->ndims = atoi(value);
    } else if (strcmp(option, "--rows") == 0) {
        a->rows = atoll(value);
    } else if (strcmp(option, "--list") == 0) {
        set_list(a, value);
    } else if (row < 0) {
        fail(option, word);
    } else if (strcmp(option, "--set") == 0) {
        a->value[row * a->cols + row % a->cols] = strtod(value, NULL);
    } else if (strcmp(option, "--text") == 0) {
        set_text(a, row, value);
    } else {
        bool scale = strcmp(option, "--scale") == 0;

        if (!scale && strcmp(option, "--fill") != 0)
            fail("unknown option", option);
        for (fmal_idx k = 0; k < a->cols; k++) {
            double *x = &a->value[row * a->cols + k];

            *x = strtod(value, NULL) * (scale ? *x : 1);
        }
    }
}

/* ---- Writing ---- */

/* A text for each value that has none. */
static void spell_out(array *a, fmal_idx count)
{
    char text[32];

    if (!a->text)
        must(FMAL_ALLOC(&a->text, count));
    for (fmal_idx i = 0; i < count; i++)
        if (!a->text[i]) {
            snprintf(text, sizeof text, "sample-%.0f", a->value[i]);
            a->text[i] = strdup(text);
        }
}

/* Values in the type of the file. */
static void *packed(const array *a, fmal_idx count, fmal_idx stride)
{
    static const size_t bytes[] = { 1, 4, 8, 4, 8, sizeof(char *) };
    char *data = NULL;

    must(fmal_alloc(&data, count, bytes[a->type]));
    for (fmal_idx i = 0; i < count; i++) {
        double x = a->value[i * stride];
        char *to = data + (size_t) i * bytes[a->type];

        if (a->type == FMAL_I32)
            *(int32_t *) to = (int32_t) lround(x * a->factor);
        else if (a->type == FMAL_I64)
            *(int64_t *) to = llround(x * a->factor);
        else if (a->type == FMAL_F32)
            *(float *) to = (float) x;
        else if (a->type == FMAL_F64)
            *(double *) to = x;
        else if (a->type == FMAL_STR)
            *(char **) to = a->text[i];
    }
    return data;
}

static void write_array(fmal_h5 *h, array *a, const char *group, bool compress)
{
    char name[64];
    fmal_idx inner = a->inner && a->ndims == 3 ? a->inner : 1;
    fmal_h5_spec spec = { .name = name,
                          .type = a->type,
                          .ndims = a->ndims,
                          .dims = { a->rows, a->cols / inner, inner },
                          .compress = compress };
    fmal_idx count = a->rows * (a->ndims > 1 ? a->cols : 1);
    if (a->type == FMAL_STR)
        spell_out(a, count);
    void *data = packed(a, count, a->ndims > 1 ? 1 : a->cols);

    snprintf(name, sizeof name, "%s/%s", group, a->name);
    must(fmal_h5_write(h, &spec, data));
    fmal_free(&data);
}

int main(int argc, char **argv)
{
    fmal_idx n = 37, d = 5, c = 3, labelled = 4;
    bool compress = false, last_layer = false;
    const char *group = "";
    fmal_h5 *h = NULL;
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        fmal_idx *size = strcmp(argv[at], "--n") == 0          ? &n
                         : strcmp(argv[at], "--d") == 0        ? &d
                         : strcmp(argv[at], "--c") == 0        ? &c
                         : strcmp(argv[at], "--labelled") == 0 ? &labelled
                                                               : NULL;

        if (strcmp(argv[at], "--compress") == 0)
            compress = true;
        else if (strcmp(argv[at], "--last-layer") == 0)
            last_layer = true;
        else if (at + 1 == argc)
            fail("a value is missing", argv[at]);
        else if (size)
            *size = atoll(argv[++at]);
        else if (strcmp(argv[at], "--seed") == 0)
            state = (uint64_t) atoll(argv[++at]);
        else if (strcmp(argv[at], "--group") == 0)
            group = argv[++at];
        else
            break;
    }
    make_samples(n, d, c);
    make_labelled(n, labelled);
    if (last_layer)
        make_factors(n, d, c);
    else
        make_embeddings(n, d);
    for (; at + 1 < argc; at += 2)
        change(argv[at], argv[at + 1]);
    if (at + 1 != argc)
        fail("a file name is missing", argv[argc - 1]);

    must(fmal_h5_create_image(&h));
    for (int i = 0; i < ARRAYS; i++)
        if (arrays[i].there)
            write_array(h, &arrays[i], group, compress);
    must(fmal_h5_save(h, argv[at], FMAL_SAVE_PLAIN));
    fmal_h5_close(&h);
    fmal_h5_shutdown();
    return 0;
}
