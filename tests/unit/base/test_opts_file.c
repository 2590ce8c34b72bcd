/* Options read from an INI file. */
#include "fmal_test.h"

#include "fmal/mem.h"
#include "fmal/opts.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct values {
    bool force;
    int64_t batch;
    double lambda, limit;
    char *pool;
    int strategy;
    fmal_strings files;
};

static const char *const strategies[] = { "bait", "badge", NULL };

static const fmal_opt table[] = {
    { "force", 0, FMAL_OPT_FLAG, offsetof(struct values, force), .help = "replace" },
    { "batch", 0, FMAL_OPT_INT, offsetof(struct values, batch), .def = "100", .min = 1,
      .max = 1000, .help = "samples" },
    { "lambda", 0, FMAL_OPT_REAL, offsetof(struct values, lambda), .def = "1",
      .help = "ridge" },
    { "limit", 0, FMAL_OPT_SECONDS, offsetof(struct values, limit), .help = "time" },
    { "pool", 0, FMAL_OPT_STRING, offsetof(struct values, pool), .help = "pool" },
    { "strategy", 0, FMAL_OPT_CHOICE, offsetof(struct values, strategy), .def = "bait",
      .choices = strategies, .help = "how" },
    { "files", 0, FMAL_OPT_LIST, offsetof(struct values, files), .def = "d1 d2 d3",
      .help = "files" },
    { .name = NULL },
};

static const char *const sections[] = { "select", "run", NULL };

static void write_file(const char *path, const char *content)
{
    FILE *f = fopen(path, "wb");

    fputs(content, f);
    fclose(f);
}

#define X10     "xxxxxxxxxx"
#define X50     X10 X10 X10 X10 X10
#define LONGEST "pool = " X50 X50 X50 X10 X10 X10 X10 "x\n" /* 198 and the newline */

static const struct {
    const char *name, *content;
    const char *want; /* the configuration afterwards */
} good[] = {
    { "every type",
      "[select]\nforce = yes\nbatch = 7\nlambda = 0.5\nlimit = 1:30\npool = a.h5\n"
      "strategy = badge\nfiles = a b\n",
      "force = true\nbatch = 7\nlambda = 0.5\nlimit = 90\npool = a.h5\n"
      "strategy = badge\nfiles = a b\n" },
    { "an empty file", "", "" },
    { "comments, blank lines, spaces",
      "# a\n; b\n\n  [select]  \n\tbatch=7 ; why\n   \nlambda   =   2   \n",
      "batch = 7\nlambda = 2\n" },
    { "Windows line ends", "[select]\r\nbatch = 7\r\npool = a b.h5\r\n",
      "batch = 7\npool = a b.h5\n" },
    { "a byte order mark", "\xEF\xBB\xBF[select]\nbatch = 7\n", "batch = 7\n" },
    { "no newline at the end", "[select]\nbatch = 7", "batch = 7\n" },
    { "a colon instead of =", "[select]\nbatch: 7\n", "batch = 7\n" },
    { "another command's section is skipped",
      "[run]\nepochs = 3\nbatch = none\n[select]\nbatch = 7\n", "batch = 7\n" },
    { "a section twice", "[select]\nbatch = 7\n[run]\nx = 1\n[select]\nlambda = 2\n",
      "batch = 7\nlambda = 2\n" },
    { "the later of two values", "[select]\nbatch = 7\nbatch = 8\n", "batch = 8\n" },
    { "a list replaces its default", "[select]\nfiles = \ta   b\tc \n",
      "files = a b c\n" },
    { "a list on several lines", "[select]\nfiles = a b\n  c\n  d e\n",
      "files = a b c d e\n" },
    { "a value with = and #", "[select]\npool = x=y#z\n", "pool = x=y#z\n" },
    { "a line just short enough", "[select]\n" LONGEST, LONGEST },
};

static void test_good(fmal_test *t)
{
    const char *path = fmal_test_path(t, "good.ini");

    for (int i = 0; i < FMAL_COUNT(good); i++) {
        struct values v = { 0 };
        fmal_opts *o = NULL;
        fmal_status st = fmal_opts_create(table, &v, &o);

        write_file(path, good[i].content);
        if (st == FMAL_OK)
            st = fmal_opts_file(o, path, "select", sections);
        char *ini = fmal_opts_ini(o, true, false);
        fmal_test_ok(t, st == FMAL_OK && strcmp(ini, good[i].want) == 0, "%s",
                     good[i].name);
        if (st != FMAL_OK || strcmp(ini, good[i].want) != 0)
            printf("# %s\n# %s\n", st ? fmal_error_text() : "", ini);
        fmal_free(&ini);
        fmal_opts_destroy(&o);
    }
}

static const struct {
    const char *name, *content, *says;
} bad[] = {
    { "an unknown key", "[select]\n\nbacth = 7\n",
      "bad.ini:3: bacth: unknown option; did you mean 'batch'?" },
    { "an unknown key near none", "[select]\ntemperature = 7\n",
      ":2: temperature: unknown option" },
    { "an unknown section", "[slect]\nbatch = 7\n",
      ":2: section [slect] is unknown; this command reads [select]; did you mean "
      "[select]?" },
    { "an unknown section after ours", "[select]\nbatch = 7\n[other]\nx = 1\n",
      ":4: section [other] is unknown" },
    { "a key before any section", "batch = 7\n",
      ":1: batch: comes before any section; begin with [select]" },
    { "a key of the command line", "[select]\nhelp = true\n",
      ":2: help: belongs on the command line" },
    { "a malformed value", "[select]\nbatch = many\n",
      ":2: batch: 'many' is not a whole number" },
    { "a value out of range", "[select]\nbatch = 0\n", ":2: batch: 0 is too small" },
    { "a flag that is neither", "[select]\nforce = maybe\n",
      "'maybe' is not true or false" },
    { "an unknown choice", "[select]\nstrategy = bat\n", "did you mean 'bait'?" },
    { "an empty string", "[select]\npool =\n", ":2: pool: '' is not a name" },
    { "an empty list", "[select]\nfiles =\n", ":2: files: '' is not a name" },
    { "the first error of several", "[select]\nbatch = x\nlambda = y\n", ":2: batch" },
    { "a line without =", "[select]\nbatch 7\n",
      ":2: neither [section] nor key = value" },
    { "a section that does not end", "[select\nbatch = 7\n", ":1: neither" },
    { "a line too long", "[select]\nbatch = 7\npool = " X50 X50 X50 X50 "\n",
      ":3: the line is longer than 198 bytes" },
    { "a last line too long", "[select]\npool = " X50 X50 X50 X50,
      ":2: the line is longer" },
    { "a line one byte too long", "[select]\nx" LONGEST, ":2: the line is longer" },
};

static void test_bad(fmal_test *t)
{
    const char *path = fmal_test_path(t, "bad.ini");

    for (int i = 0; i < FMAL_COUNT(bad); i++) {
        struct values v = { 0 };
        fmal_opts *o = NULL;
        fmal_status st = fmal_opts_create(table, &v, &o);

        write_file(path, bad[i].content);
        if (st == FMAL_OK)
            st = fmal_opts_file(o, path, "select", sections);
        bool ok = st == FMAL_ERR_USAGE && strstr(fmal_error_text(), bad[i].says);
        fmal_test_ok(t, ok, "%s", bad[i].name);
        if (!ok)
            printf("# %s\n", fmal_error_text());
        fmal_opts_destroy(&o);
    }
}

static void test_no_file(fmal_test *t)
{
    struct values v = { 0 };
    fmal_opts *o = NULL;

    fmal_test_status(t, fmal_opts_create(table, &v, &o), FMAL_OK, "a table");
    fmal_status st =
        fmal_opts_file(o, fmal_test_path(t, "none.ini"), "select", sections);
    fmal_test_ok(t,
                 st == FMAL_ERR_IO &&
                     strstr(fmal_error_text(), "none.ini: cannot read: No such file"),
                 "a file that is not there");
    st = fmal_opts_file(o, fmal_test_dir(t), "select", sections);
    fmal_test_ok(
        t, st == FMAL_ERR_IO && strstr(fmal_error_text(), "cannot read: Is a dir"),
        "a directory");
    fmal_opts_destroy(&o);
}

/* Default < file < command line, in whichever order the two are read. */
static void test_order(fmal_test *t)
{
    const char *path = fmal_test_path(t, "order.ini");

    write_file(path, "[select]\nbatch = 7\nlambda = 3\nfiles = a b\n");
    for (int file_first = 0; file_first < 2; file_first++) {
        char words[5][16] = { "fmal", "--batch", "9", "--files", "c" };
        char *argv[] = { words[0], words[1], words[2], words[3], words[4], NULL };
        int n;
        struct values v = { 0 };
        fmal_opts *o = NULL;
        fmal_status st = fmal_opts_create(table, &v, &o);

        if (st == FMAL_OK && file_first)
            st = fmal_opts_file(o, path, "select", sections);
        if (st == FMAL_OK)
            st = fmal_opts_args(o, 5, argv, NULL, 0, &n);
        if (st == FMAL_OK && !file_first)
            st = fmal_opts_file(o, path, "select", sections);
        char *ini = fmal_opts_ini(o, false, false);
        fmal_test_ok(t,
                     st == FMAL_OK && strcmp(ini, "force = false\nbatch = 9\n"
                                                  "lambda = 3\nstrategy = bait\n"
                                                  "files = c\n") == 0,
                     "default, file, command line; the file %s",
                     file_first ? "first" : "last");
        fmal_test_ok(t, fmal_opts_given(o, "lambda") && !fmal_opts_given(o, "strategy"),
                     "what the file says was given");
        fmal_free(&ini);
        fmal_opts_destroy(&o);
    }
}

/* What fmal_opts_ini prints, fmal_opts_file reads. */
static void test_round_trip(fmal_test *t)
{
    const char *path = fmal_test_path(t, "round.ini");
    struct values v = { 0 }, w = { 0 };
    fmal_opts *o = NULL, *p = NULL;
    char file[1024];
    fmal_status st = fmal_opts_create(table, &v, &o);

    if (st == FMAL_OK)
        st = fmal_opts_create(table, &w, &p);
    v.lambda = 1.0 / 3;
    v.batch = 37;
    v.strategy = 1;
    if (st == FMAL_OK)
        st = fmal_opts_set(o, "pool", "/a b/c.h5", "test");
    if (st == FMAL_OK)
        st = fmal_opts_set(o, "limit", "1-02:03:04.5", "test");
    char *before = fmal_opts_ini(o, false, false);
    snprintf(file, sizeof file, "[select]\n%s", before);
    write_file(path, file);
    if (st == FMAL_OK)
        st = fmal_opts_file(p, path, "select", sections);
    char *after = fmal_opts_ini(p, false, false);
    fmal_test_ok(t,
                 st == FMAL_OK && strcmp(before, after) == 0 && w.lambda == v.lambda &&
                     w.limit == v.limit,
                 "a configuration survives being written and read");
    fmal_free(&before);
    fmal_free(&after);
    fmal_opts_destroy(&o);
    fmal_opts_destroy(&p);
}

/* ---- Printing ---- */

/* What fmal_opts_print prints; NULL if it refuses, and then prints nothing. */
static char *printed(const fmal_opts *o)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    fmal_status st = fmal_opts_print(o, "select", to);

    fclose(to);
    if (st == FMAL_OK)
        return text;
    if (size > 0)
        printf("# refused, and printed %s\n", text);
    free(text);
    return NULL;
}

static void test_print(fmal_test *t)
{
    const char *path = fmal_test_path(t, "printed.ini");
    struct values v = { 0 }, w = { 0 };
    fmal_opts *o = NULL, *p = NULL;
    fmal_status st = fmal_opts_create(table, &v, &o);

    if (st == FMAL_OK)
        st = fmal_opts_create(table, &w, &p);
    if (st == FMAL_OK)
        st = fmal_opts_set(o, "limit", "1:30", "test");
    for (int i = 0; i < 3 && st == FMAL_OK; i++)
        st = fmal_opts_set(o, "files", (const char *[]){ "a", "[b]", "c=#;d" }[i], "");
    char *before = printed(o);
    fmal_test_ok(t,
                 st == FMAL_OK && before &&
                     strcmp(before, "[select]\nforce = false\nbatch = 100\nlambda = 1\n"
                                    "limit = 90\n; pool =\nstrategy = bait\n"
                                    "files = a\n    [b]\n    c=#;d\n") == 0,
                 "every option; without a value, as a comment; a list, word by word");
    write_file(path, before ? before : "");
    if (st == FMAL_OK)
        st = fmal_opts_file(p, path, "select", sections);
    char *after = printed(p);
    fmal_test_ok(t, st == FMAL_OK && before && after && strcmp(before, after) == 0,
                 "reads back as the same");
    fmal_test_ok(t, fmal_opts_given(p, "limit") && fmal_opts_given(p, "files"),
                 "what is no default is given");
    fmal_test_ok(t, !fmal_opts_given(p, "lambda") && !fmal_opts_given(p, "force"),
                 "a default in a file is not given");
    char *given = fmal_opts_ini(p, true, false);
    fmal_test_ok(t, strstr(given, "lambda = 1\n"),
                 "but stands among what the file says");
    fmal_free(&given);
    free(before);
    free(after);
    fmal_opts_destroy(&o);
    fmal_opts_destroy(&p);
}

#define NAME_191 X50 X50 X50 X10 X10 X10 X10 "x"

/* A value that a file gives back is printed; any other is refused. */
static const struct {
    const char *option, *value;
    bool fits;
} values_to_print[] = {
    { "pool", "a b.h5", true },   { "pool", "a;b", true },
    { "pool", "#a", true },       { "pool", "[a]", true },
    { "pool", "a = b", true },    { "pool", "a ;b", false },
    { "pool", ";a", false },      { "pool", "a\t;b", false },
    { "pool", " a", false },      { "pool", "a ", false },
    { "pool", "a\nb", false },    { "pool", "a\r", false },
    { "pool", NAME_191, true },   { "pool", NAME_191 "x", false },
    { "files", "a;b", true },     { "files", "a b", false },
    { "files", "a\tb", false },   { "files", "#a", false },
    { "files", NAME_191, false },
};

static void test_print_values(fmal_test *t)
{
    const char *path = fmal_test_path(t, "value.ini");

    for (int i = 0; i < FMAL_COUNT(values_to_print); i++) {
        struct values v = { 0 }, w = { 0 };
        fmal_opts *o = NULL, *p = NULL;
        const char *value = values_to_print[i].value;
        fmal_status st = fmal_opts_create(table, &v, &o);

        if (st == FMAL_OK)
            st = fmal_opts_create(table, &w, &p);
        if (st == FMAL_OK)
            st = fmal_opts_set(o, values_to_print[i].option, "first", "test");
        if (st == FMAL_OK)
            st = fmal_opts_set(o, values_to_print[i].option, value, "test");
        char *text = printed(o);
        bool same = !text;
        if (text) {
            write_file(path, text);
            same = fmal_opts_file(p, path, "select", sections) == FMAL_OK &&
                   (v.pool ? strcmp(v.pool, w.pool) == 0
                           : w.files.count == 2 &&
                                 strcmp(v.files.item[1], w.files.item[1]) == 0);
        }
        fmal_test_ok(t, st == FMAL_OK && !!text == values_to_print[i].fits && same,
                     "value %d, of %s, %s", i, values_to_print[i].option,
                     values_to_print[i].fits ? "comes back" : "is refused");
        free(text);
        fmal_opts_destroy(&o);
        fmal_opts_destroy(&p);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_good(&t);
    test_bad(&t);
    test_no_file(&t);
    test_order(&t);
    test_round_trip(&t);
    test_print(&t);
    test_print_values(&t);
    return fmal_test_end(&t);
}
