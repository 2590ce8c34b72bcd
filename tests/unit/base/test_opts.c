/* Option tables: values, the command line, the configuration as text. */
#include "fmal_test.h"

#include "fmal/mem.h"
#include "fmal/opts.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct values {
    bool force, quiet;
    int64_t batch, any;
    double lambda, limit;
    char *pool;
    int strategy;
    fmal_strings files;
    char *required;
};

static const char *const strategies[] = { "bait", "badge", "random", NULL };

static const fmal_opt table[] = {
    { "force", 'f', FMAL_OPT_FLAG, offsetof(struct values, force), .help = "replace" },
    { "quiet", 'q', FMAL_OPT_FLAG, offsetof(struct values, quiet), .def = "true",
      .help = "say less" },
    { "batch", 'n', FMAL_OPT_INT, offsetof(struct values, batch), .def = "100",
      .min = 1, .max = 1000, .help = "samples to pick", .identity = true },
    { "any", 0, FMAL_OPT_INT, offsetof(struct values, any), .help = "any number" },
    { "lambda", 0, FMAL_OPT_REAL, offsetof(struct values, lambda), .def = "1", .min = 0,
      .max = 10, .help = "ridge", .identity = true },
    { "limit", 0, FMAL_OPT_SECONDS, offsetof(struct values, limit), .help = "time" },
    { "pool", 'p', FMAL_OPT_STRING, offsetof(struct values, pool), .help = "pool",
      .identity = true },
    { "strategy", 0, FMAL_OPT_CHOICE, offsetof(struct values, strategy), .def = "badge",
      .choices = strategies, .help = "how", .identity = true },
    { "files", 0, FMAL_OPT_LIST, offsetof(struct values, files), .def = "x.h5 y.h5",
      .help = "files" },
    { "out", 0, FMAL_OPT_STRING, offsetof(struct values, required), .arg = "FILE",
      .help = "where to", .required = true },
    { .name = NULL },
};

static const double exact = 0.1 + 0.2; /* not 0.3 */

/* ---- Parsing ---- */

enum { MAX_WORDS = 10, MAX_POSITIONAL = 2 };

static int word_count(const char *const *words)
{
    int n = 0;

    while (n < MAX_WORDS && words[n])
        n++;
    return n;
}

/* Parse words; *o and *v stay for the caller to look at and to destroy. */
static fmal_status parse(const char *const *words, struct values *v, fmal_opts **o,
                         const char **positional, int *n_positional)
{
    static char copies[MAX_WORDS + 1][256];
    char *argv[MAX_WORDS + 2] = { copies[0] };
    int n = word_count(words);

    *v = (struct values){ 0 };
    snprintf(copies[0], sizeof copies[0], "fmal");
    for (int i = 0; i < n; i++) {
        snprintf(copies[i + 1], sizeof copies[0], "%s", words[i]);
        argv[i + 1] = copies[i + 1];
    }
    FMAL_TRY(fmal_opts_create(table, v, o));
    return fmal_opts_args(*o, n + 1, argv, positional, MAX_POSITIONAL, n_positional);
}

/* Value of an option as text. */
static void text_of(const fmal_opts *o, const char *name, char *text, size_t size)
{
    text[0] = 0;
    for (int i = 0; i < fmal_opts_count(o); i++)
        if (strcmp(fmal_opts_at(o, i)->name, name) == 0)
            fmal_opts_text(o, i, text, size);
}

static const struct {
    const char *name;
    const char *words[MAX_WORDS];
    const char *option, *value; /* what it is afterwards */
    int n_positional;
    const char *positional[MAX_POSITIONAL];
} good[] = {
    { "defaults", { NULL }, "batch", "100", 0, { NULL } },
    { "no default", { NULL }, "pool", "", 0, { NULL } },
    { "a flag is off without one", { NULL }, "force", "false", 0, { NULL } },
    { "a flag", { "--force" }, "force", "true", 0, { NULL } },
    { "a flag by letter", { "-f" }, "force", "true", 0, { NULL } },
    { "a value in the next word", { "--batch", "7" }, "batch", "7", 0, { NULL } },
    { "a value after =", { "--batch=7" }, "batch", "7", 0, { NULL } },
    { "a value by letter", { "-n", "7" }, "batch", "7", 0, { NULL } },
    { "a value stuck to its letter", { "-n7" }, "batch", "7", 0, { NULL } },
    { "letters in one word", { "-fqn7" }, "batch", "7", 0, { NULL } },
    { "an unambiguous beginning", { "--bat", "7" }, "batch", "7", 0, { NULL } },
    { "the last of several", { "-n", "7", "-n8" }, "batch", "8", 0, { NULL } },
    { "the smallest", { "--batch", "1" }, "batch", "1", 0, { NULL } },
    { "the largest", { "--batch", "1000" }, "batch", "1000", 0, { NULL } },
    { "a negative number", { "--any", "-3" }, "any", "-3", 0, { NULL } },
    { "the most negative number",
      { "--any", "-9223372036854775808" },
      "any",
      "-9223372036854775808",
      0,
      { NULL } },
    { "a real", { "--lambda", "0.25" }, "lambda", "0.25", 0, { NULL } },
    { "a short real stays short", { "--lambda", "0.1" }, "lambda", "0.1", 0, { NULL } },
    { "a real with an exponent",
      { "--lambda", "1e-3" },
      "lambda",
      "0.001",
      0,
      { NULL } },
    { "the range's end", { "--lambda", "0" }, "lambda", "0", 0, { NULL } },
    { "a string", { "--pool", "a b.h5" }, "pool", "a b.h5", 0, { NULL } },
    { "a string that looks like an option",
      { "--pool", "-x" },
      "pool",
      "-x",
      0,
      { NULL } },
    { "a choice", { "--strategy", "random" }, "strategy", "random", 0, { NULL } },
    { "a list by default", { NULL }, "files", "x.h5 y.h5", 0, { NULL } },
    { "a list of one", { "--files", "a" }, "files", "a", 0, { NULL } },
    { "a list of several",
      { "--files", "a", "b", "c", "-f" },
      "files",
      "a b c",
      0,
      { NULL } },
    { "a list in pieces",
      { "--files", "a", "-f", "--files", "b" },
      "files",
      "a b",
      0,
      { NULL } },
    { "a list after =", { "--files=a", "b" }, "files", "a b", 0, { NULL } },
    { "a word", { "one" }, "batch", "100", 1, { "one" } },
    { "words around options",
      { "one", "--batch", "7", "two" },
      "batch",
      "7",
      2,
      { "one", "two" } },
    { "a single dash is a word", { "-" }, "batch", "100", 1, { "-" } },
    { "words after --",
      { "-n7", "--", "-f", "--batch" },
      "batch",
      "7",
      2,
      { "-f", "--batch" } },
    { "-- ends a list", { "--files", "a", "--", "b" }, "files", "a", 1, { "b" } },
    { "-- at the end", { "-n7", "--" }, "batch", "7", 0, { NULL } },
    { "a word before --", { "one", "--", "-f" }, "force", "false", 2, { "one", "-f" } },
};

static void test_good(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(good); i++) {
        const char *positional[MAX_POSITIONAL];
        int n = -1;
        struct values v;
        fmal_opts *o = NULL;
        char text[256];
        bool ok = parse(good[i].words, &v, &o, positional, &n) == FMAL_OK;

        text_of(o, good[i].option, text, sizeof text);
        ok = ok && strcmp(text, good[i].value) == 0 && n == good[i].n_positional;
        for (int k = 0; ok && k < n; k++)
            ok = strcmp(positional[k], good[i].positional[k]) == 0;
        fmal_test_ok(t, ok, "%s", good[i].name);
        if (!ok)
            printf("# %s = %s, %d words\n", good[i].option, text, n);
        fmal_opts_destroy(&o);
    }
}

static const struct {
    const char *name;
    const char *words[MAX_WORDS];
    const char *says; /* part of the message */
} bad[] = {
    { "an unknown option",
      { "--temperature", "7" },
      "--temperature: unknown option; see --help" },
    { "an unknown option near another", { "--bacth", "7" }, "did you mean '--batch'?" },
    { "an unknown option with a value", { "--lamda=7" }, "did you mean '--lambda'?" },
    { "an unknown letter", { "-z" }, "-z: unknown option" },
    { "an ambiguous beginning", { "--f" }, "--f: unknown option" },
    { "a value missing", { "--batch" }, "--batch: a value is missing" },
    { "a value missing by letter", { "-n" }, "-n: a value is missing" },
    { "a value missing after others",
      { "-f", "one", "--batch" },
      "--batch: a value is missing" },
    { "a value given to a flag", { "--force=yes" }, "--force=yes: takes no value" },
    { "a word too many", { "one", "two", "three" }, "'three': an unexpected word" },
    { "a word too many after --", { "one", "--", "two", "three" }, "'three'" },
    { "an integer with a fraction", { "--batch", "1.5" }, "'1.5' is not a whole" },
    { "an integer that is a word",
      { "--batch", "many" },
      "--batch: 'many' is not a whole number" },
    { "an empty integer", { "--batch=" }, "'' is not a whole number" },
    { "an integer too large for 64 bits",
      { "--any", "9223372036854775808" },
      "is not a whole number" },
    { "too small", { "--batch", "0" }, "--batch: 0 is too small; at least 1" },
    { "too large", { "--batch", "1001" }, "1001 is too large; at most 1000" },
    { "too small by letter", { "-n0" }, "--batch: 0 is too small" },
    { "a real that is a word", { "--lambda", "x" }, "--lambda: 'x' is not a number" },
    { "a real with a tail", { "--lambda", "1.5x" }, "'1.5x' is not a number" },
    { "infinity", { "--lambda", "inf" }, "'inf' is not a number" },
    { "not a number", { "--lambda", "nan" }, "'nan' is not a number" },
    { "a real past its range", { "--lambda", "10.5" }, "at most 10" },
    { "a real overflowing", { "--lambda", "1e999" }, "is not a number" },
    { "a negative real", { "--lambda", "-1" }, "-1 is too small; at least 0" },
    { "an empty string", { "--pool=" }, "--pool: '' is not a name" },
    { "an empty word of a list", { "--files=" }, "--files: '' is not a name" },
    { "an empty later word of a list", { "--files", "a", "" }, "'' is not a name" },
    { "a choice near another",
      { "--strategy", "bdage" },
      "unknown strategy 'bdage'; did you mean 'badge'? (bait, badge, random)" },
    { "a choice near none",
      { "--strategy", "xyz" },
      "unknown strategy 'xyz'; there are bait, badge, random" },
    { "a choice in capitals", { "--strategy", "BAIT" }, "unknown strategy 'BAIT'" },
};

static void test_bad(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(bad); i++) {
        const char *positional[MAX_POSITIONAL];
        int n = -1;
        struct values v;
        fmal_opts *o = NULL;
        fmal_status st = parse(bad[i].words, &v, &o, positional, &n);
        bool ok = st == FMAL_ERR_USAGE && strstr(fmal_error_text(), bad[i].says);

        fmal_test_ok(t, ok && n == -1, "%s", bad[i].name);
        if (!ok)
            printf("# %s\n", fmal_error_text());
        fmal_opts_destroy(&o);
    }
}

/* ---- Times ---- */

static const struct {
    const char *text;
    double seconds; /* negative: refused */
} times[] = {
    { "0", 0 },
    { "90", 90 },
    { "1.5", 1.5 },
    { "1e3", 1000 },
    { "1e-3", 0.001 },
    { "2:30", 150 },
    { "100:00", 6000 },
    { "1:02:03", 3723 },
    { "00:00:00.5", 0.5 },
    { "1-00:00:00", 86400 },
    { "2-03:04:05", 183845 },
    { "0-00:01:00", 60 },
    { "", -1 },
    { "soon", -1 },
    { "-5", -1 },
    { "1:-5", -1 },
    { "-1-00:00:00", -1 },
    { "1-12", -1 }, /* a day and 12 hours to Slurm, 12 seconds otherwise */
    { "1-12:00", -1 },
    { "1-", -1 },
    { "1-2-03:04:05", -1 },
    { "1.5-00:00:00", -1 },
    { "nan", -1 },
    { "inf", -1 },
    { "nan-00:00:00", -1 },
    { "inf-00:00:00", -1 },
    { "1:2:3:4", -1 },
    { "1:2:", -1 },
    { ":30", -1 },
    { "30s", -1 },
    { "1:30m", -1 },
};

static void test_times(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(times); i++) {
        struct values v = { .limit = 0 };
        fmal_opts *o = NULL;
        fmal_status st = fmal_opts_create(table, &v, &o);

        if (st == FMAL_OK)
            st = fmal_opts_set(o, "limit", times[i].text, "--limit");
        if (times[i].seconds < 0)
            fmal_test_ok(t,
                         st == FMAL_ERR_USAGE && v.limit == 0 &&
                             strstr(fmal_error_text(), "is not a time"),
                         "'%s' is no time", times[i].text);
        else
            fmal_test_ok(t, st == FMAL_OK && v.limit == times[i].seconds,
                         "'%s' is %g seconds", times[i].text, times[i].seconds);
        fmal_opts_destroy(&o);
    }
}

/* ---- Flags by text, as in a file ---- */

static const struct {
    const char *text;
    int want; /* -1: refused */
} flags[] = {
    { "true", 1 },   { "yes", 1 }, { "on", 1 },    { "1", 1 },
    { "false", 0 },  { "no", 0 },  { "off", 0 },   { "0", 0 },
    { "maybe", -1 }, { "", -1 },   { "TRUE", -1 },
};

static void test_flags(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(flags); i++) {
        struct values v = { 0 };
        fmal_opts *o = NULL;
        fmal_status st = fmal_opts_create(table, &v, &o);

        v.force = flags[i].want == 0;
        if (st == FMAL_OK)
            st = fmal_opts_set(o, "force", flags[i].text, "a.ini:3: force");
        bool ok = flags[i].want < 0 ? st == FMAL_ERR_USAGE &&
                                          strstr(fmal_error_text(), "a.ini:3: force")
                                    : st == FMAL_OK && v.force == flags[i].want;
        fmal_test_ok(t, ok, "a flag by the word '%s'", flags[i].text);
        fmal_opts_destroy(&o);
    }
}

/* ---- The object ---- */

static void test_object(fmal_test *t)
{
    struct values v = { 0 };
    fmal_opts *o = NULL;
    fmal_status st = fmal_opts_create(table, &v, &o);

    fmal_test_status(t, st, FMAL_OK, "a table is bound");
    fmal_test_ok(t,
                 v.batch == 100 && v.lambda == 1 && v.strategy == 1 && v.quiet &&
                     !v.pool && v.files.count == 2 &&
                     strcmp(v.files.item[1], "y.h5") == 0,
                 "the target has the defaults");
    fmal_test_ok(t, fmal_opts_count(o) == FMAL_COUNT(table) - 1, "it counts options");

    st = fmal_opts_set(o, "bogus", "1", "here");
    fmal_test_ok(t, st == FMAL_ERR_USAGE, "an unknown name is refused");

    fmal_test_ok(t, !fmal_opts_given(o, "batch") && !fmal_opts_given(o, "bogus"),
                 "a default was not given");
    st = fmal_opts_set(o, "batch", "100", "--batch");
    fmal_test_ok(t, st == FMAL_OK && fmal_opts_given(o, "batch"),
                 "the default's value, given, is given");

    st = fmal_opts_set(o, "pool", "a", "--pool");
    if (st == FMAL_OK)
        st = fmal_opts_set(o, "pool", "b", "--pool");
    fmal_test_ok(t, st == FMAL_OK && strcmp(v.pool, "b") == 0, "a string is replaced");
    st = fmal_opts_set(o, "batch", "0", "--batch");
    fmal_test_ok(t, st == FMAL_ERR_USAGE && v.batch == 100,
                 "a refused value leaves the old one");

    st = fmal_opts_check(o);
    fmal_test_ok(t,
                 st == FMAL_ERR_USAGE &&
                     strstr(fmal_error_text(), "--out FILE is missing: where to"),
                 "a required option is missed");
    st = fmal_opts_set(o, "out", "x", "--out");
    fmal_test_ok(t, st == FMAL_OK && fmal_opts_check(o) == FMAL_OK,
                 "until it is there");

    fmal_opts_destroy(&o);
    fmal_test_ok(t, !o && !v.pool && v.files.count == 0, "all is freed");
    fmal_opts_destroy(&o);
}

/* ---- Tables of parts ---- */

struct part {
    int64_t size;
    char *name;
};

struct nest {
    struct part inner;
    bool flag;
};

struct whole {
    int64_t first;
    struct nest nest;
    double last;
};

static const fmal_opt part_table[] = {
    { "size", 's', FMAL_OPT_INT, offsetof(struct part, size), .def = "3" },
    { "name", 0, FMAL_OPT_STRING, offsetof(struct part, name), .help = "" },
    { .name = NULL },
};

static const fmal_opt nest_table[] = {
    { .name = "inner", .part = part_table, .offset = offsetof(struct nest, inner) },
    { "flag", 0, FMAL_OPT_FLAG, offsetof(struct nest, flag), .help = "" },
    { .name = NULL },
};

static const fmal_opt whole_table[] = {
    { "first", 0, FMAL_OPT_INT, offsetof(struct whole, first), .def = "1" },
    { .name = "nest", .part = nest_table, .offset = offsetof(struct whole, nest) },
    { "last", 0, FMAL_OPT_REAL, offsetof(struct whole, last), .def = "0.5" },
    { .name = NULL },
};

static void test_parts(fmal_test *t)
{
    static const fmal_opt more[] = {
        { "name2", 0, FMAL_OPT_STRING, offsetof(struct whole, nest.inner.name),
          .help = "" },
        { .name = NULL },
    };
    char words[][16] = { "fmal", "-s", "7", "--name", "x", "--flag" };
    char *argv[] = { words[0], words[1], words[2], words[3], words[4], words[5], NULL };
    fmal_opt joined[FMAL_MAX_OPTIONS] = { { .name = NULL } };
    struct whole v = { 0 };
    fmal_opts *o = NULL;
    int n;

    fmal_opts_join(joined, whole_table);
    fmal_status st = fmal_opts_create(joined, &v, &o);
    if (st == FMAL_OK)
        st = fmal_opts_args(o, 6, argv, NULL, 0, &n);
    fmal_test_ok(t,
                 st == FMAL_OK && v.first == 1 && v.nest.inner.size == 7 &&
                     strcmp(v.nest.inner.name, "x") == 0 && v.nest.flag &&
                     v.last == 0.5,
                 "parts of parts go to their places");
    char *ini = fmal_opts_ini(o, false, false);
    fmal_test_ok(
        t, strcmp(ini, "first = 1\nsize = 7\nname = x\nflag = true\nlast = 0.5\n") == 0,
        "in the order in which they stand");
    fmal_free(&ini);
    fmal_opts_destroy(&o);
    fmal_test_ok(t, !v.nest.inner.name, "and are freed there");

    fmal_opts_join(joined, more);
    fmal_test_ok(t, strcmp(joined[5].name, "name2") == 0 && !joined[6].name,
                 "a second table follows the first");
}

static void test_bad_default(fmal_test *t)
{
    static const fmal_opt broken[] = {
        { "files", 0, FMAL_OPT_LIST, offsetof(struct values, files), .def = "a b" },
        { "batch", 0, FMAL_OPT_INT, offsetof(struct values, batch), .def = "none" },
        { .name = NULL },
    };
    struct values v = { 0 };
    fmal_opts *o = NULL;

    fmal_test_ok(t, fmal_opts_create(broken, &v, &o) == FMAL_ERR_USAGE && !o,
                 "a malformed default is refused");
}

/* ---- The configuration as text ---- */

static void test_ini(fmal_test *t)
{
    static const char *const words[] = { "-n7", "--pool", "a b.h5", "--files",
                                         "x",   "y",      "-f",     NULL };
    const char *positional[MAX_POSITIONAL];
    int n;
    struct values v;
    fmal_opts *o = NULL;
    fmal_status st = parse(words, &v, &o, positional, &n);
    char *all = fmal_opts_ini(o, false, false);
    char *given = fmal_opts_ini(o, true, false);
    char *identity = fmal_opts_ini(o, false, true);
    char *both = fmal_opts_ini(o, true, true);

    fmal_test_ok(t,
                 st == FMAL_OK && strcmp(all, "force = true\n"
                                              "quiet = true\n"
                                              "batch = 7\n"
                                              "lambda = 1\n"
                                              "pool = a b.h5\n"
                                              "strategy = badge\n"
                                              "files = x y\n") == 0,
                 "all that has a value, in the table's order");
    fmal_test_ok(t,
                 strcmp(given, "force = true\nbatch = 7\npool = a b.h5\n"
                               "files = x y\n") == 0,
                 "what was given");
    fmal_test_ok(t,
                 strcmp(identity, "batch = 7\nlambda = 1\npool = a b.h5\n"
                                  "strategy = badge\n") == 0,
                 "what makes the run");
    fmal_test_ok(t, strcmp(both, "batch = 7\npool = a b.h5\n") == 0, "both");
    fmal_test_ok(t,
                 strcmp(fmal_opts_defaults(o), "force = false\n"
                                               "quiet = true\n"
                                               "batch = 100\n"
                                               "lambda = 1\n"
                                               "strategy = badge\n"
                                               "files = x.h5 y.h5\n") == 0,
                 "what there was before");
    fmal_free(&all);
    fmal_free(&given);
    fmal_free(&identity);
    fmal_free(&both);
    fmal_opts_destroy(&o);
}

static void test_text_reads_back(fmal_test *t)
{
    struct values v = { 0 };
    fmal_opts *o = NULL;
    char text[64];
    fmal_status st = fmal_opts_create(table, &v, &o);

    v.lambda = exact;
    text_of(o, "lambda", text, sizeof text);
    if (st == FMAL_OK)
        st = fmal_opts_set(o, "lambda", text, "text");
    fmal_test_ok(t, st == FMAL_OK && v.lambda == exact,
                 "a real as text reads back as the same number: %s", text);
    text_of(o, "files", text, 4);
    fmal_test_ok(t, strcmp(text, "x.h") == 0, "a text too long is cut");
    fmal_opts_destroy(&o);
}

static char long_a[1200], long_b[1200];

static const struct {
    const char *name, *before, *now, *defaults, *says; /* NULL: they do not differ */
} pairs[] = {
    { "the same", "a = 1\nb = 2\n", "a = 1\nb = 2\n", NULL, NULL },
    { "another order", "a = 1\nb = 2\n", "b = 2\na = 1\n", NULL, NULL },
    { "both empty", "", "", NULL, NULL },
    { "a value", "a = 1\nb = 2\n", "a = 1\nb = 3\n", NULL, "b was 2, now 3" },
    { "a value that begins alike", "a = 1\n", "a = 10\n", NULL, "a was 1, now 10" },
    { "one that went", "a = 1\nb = 2\n", "a = 1\n", NULL, "b was 2, now (not set)" },
    { "one that came", "a = 1\n", "a = 1\nb = 2\n", NULL, "b was (not set), now 2" },
    { "one that begins alike", "ab = 1\n", "abc = 1\n", NULL,
      "ab was 1, now (not set)" },
    { "a value with spaces and signs", "a = x = y\n", "a = x = z\n", NULL,
      "a was x = y, now x = z" },
    { "an end without a newline", "a = 1\nb = 2", "a = 1\nb = 2\n", NULL, NULL },
    { "long values that differ at the end", long_a, long_b, NULL, "files was xxx" },
    { "a new option at its default", "a = 1\n", "a = 1\nb = 2\n", "b = 2\n", NULL },
    { "a new option, changed", "a = 1\n", "b = 3\na = 1\n", "b = 2\n",
      "b was 2, now 3" },
    { "a default that changed", "a = 1\n", "a = 2\n", "a = 2\n", "a was 1, now 2" },
    { "an option that went", "a = 1\nb = 2\n", "a = 1\n", "a = 5\n",
      "b was 2, now (not set)" },
};

static void test_differ(fmal_test *t)
{
    memset(long_a, 'x', sizeof long_a - 1);
    memcpy(long_a, "files = ", 8);
    memcpy(long_b, long_a, sizeof long_a);
    long_b[sizeof long_b - 2] = 'y';

    for (int i = 0; i < FMAL_COUNT(pairs); i++) {
        char message[128] = "nothing";
        bool differ = fmal_opts_differ(pairs[i].before, pairs[i].now, pairs[i].defaults,
                                       message, sizeof message);
        const char *want = pairs[i].says ? pairs[i].says : "nothing";

        fmal_test_ok(
            t, differ == !!pairs[i].says && strncmp(message, want, strlen(want)) == 0,
            "comparing: %s", pairs[i].name);
        if (strncmp(message, want, strlen(want)) != 0)
            printf("# %s\n", message);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_good(&t);
    test_bad(&t);
    test_times(&t);
    test_flags(&t);
    test_object(&t);
    test_parts(&t);
    test_bad_default(&t);
    test_ini(&t);
    test_text_reads_back(&t);
    test_differ(&t);
    return fmal_test_end(&t);
}
