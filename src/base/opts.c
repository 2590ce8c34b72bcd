#include "fmal/opts.h"
#include "fmal/mem.h"

#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where a value came from; a later source overrides an earlier one. */
typedef enum { FROM_DEFAULT, FROM_FILE, FROM_ARGS } origin;

enum { MAX_OPTIONS = 64, MAX_TEXT = 4096 };

struct fmal_opts {
    const fmal_opt *table;
    char *target;
    int count;
    origin from[MAX_OPTIONS];
    bool has[MAX_OPTIONS];
};

/* ---- Values: text to target and back ---- */

static fmal_status bad_value(const char *source, const char *value, const char *want)
{
    return FMAL_FAIL(FMAL_ERR_USAGE, "%s: '%s' is not %s", source, value, want);
}

static fmal_status check_range(const fmal_opt *opt, double x, const char *value,
                               const char *source)
{
    if (opt->min == 0 && opt->max == 0)
        return FMAL_OK;
    if (!(x >= opt->min))
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s: %s is too small; at least %g", source,
                         value, opt->min);
    if (!(x <= opt->max))
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s: %s is too large; at most %g", source,
                         value, opt->max);
    return FMAL_OK;
}

static fmal_status set_flag(bool *target, const char *value, const char *source)
{
    static const char *const yes[] = { "true", "yes", "on", "1", NULL };
    static const char *const no[] = { "false", "no", "off", "0", NULL };

    for (int i = 0; yes[i]; i++) {
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *target = strcmp(value, yes[i]) == 0;
            return FMAL_OK;
        }
    }
    return bad_value(source, value, "true or false");
}

static fmal_status set_int(const fmal_opt *opt, int64_t *target, const char *value,
                           const char *source)
{
    char *end;

    errno = 0;
    long long x = strtoll(value, &end, 10);
    if (end == value || *end || errno)
        return bad_value(source, value, "a whole number");
    FMAL_TRY(check_range(opt, (double) x, value, source));
    *target = x;
    return FMAL_OK;
}

static fmal_status set_real(const fmal_opt *opt, double *target, const char *value,
                            const char *source)
{
    char *end;
    double x = strtod(value, &end);

    if (end == value || *end || !isfinite(x))
        return bad_value(source, value, "a number");
    FMAL_TRY(check_range(opt, x, value, source));
    *target = x;
    return FMAL_OK;
}

/* Slurm's habits, but a bare number is always seconds, and days want all of HH:MM:SS.
 */
static fmal_status set_seconds(const fmal_opt *opt, double *target, const char *value,
                               const char *source)
{
    static const char *const want = "a time (seconds, MM:SS, HH:MM:SS or D-HH:MM:SS)";
    size_t digits = strspn(value, "0123456789");
    bool has_days = digits > 0 && value[digits] == '-';
    const char *p = has_days ? value + digits + 1 : value;
    double total = 0;
    int parts = 0;
    char *end;

    do {
        double x = strtod(p, &end);

        if (end == p || !isfinite(x) || x < 0 || ++parts > 3)
            return bad_value(source, value, want);
        total = 60 * total + x;
        p = end + 1;
    } while (*end == ':');
    if (*end || (has_days && parts < 3))
        return bad_value(source, value, want);
    if (has_days)
        total += 86400 * strtod(value, NULL);
    FMAL_TRY(check_range(opt, total, value, source));
    *target = total;
    return FMAL_OK;
}

static fmal_status set_choice(const fmal_opt *opt, int *target, const char *value,
                              const char *source)
{
    char list[512] = "";
    size_t used = 0;

    for (int i = 0; opt->choices[i]; i++) {
        if (strcmp(value, opt->choices[i]) == 0) {
            *target = i;
            return FMAL_OK;
        }
        int more = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                            opt->choices[i]);
        used += (size_t) more < sizeof list - used ? (size_t) more : 0;
    }
    const char *near = fmal_nearest(value, opt->choices);
    if (near)
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s: unknown %s '%s'; did you mean '%s'? (%s)",
                         source, opt->name, value, near, list);
    return FMAL_FAIL(FMAL_ERR_USAGE, "%s: unknown %s '%s'; there are %s", source,
                     opt->name, value, list);
}

static fmal_status set_string(char **target, const char *value)
{
    char *copy = fmal_strdup(value);

    if (!copy)
        return FMAL_ERR_NOMEM;
    fmal_free(target);
    *target = copy;
    return FMAL_OK;
}

static void strings_clear(fmal_strings *list)
{
    for (int i = 0; i < list->count; i++)
        fmal_free(&list->item[i]);
    fmal_free(&list->item);
    list->count = 0;
}

static fmal_status strings_add(fmal_strings *list, const char *word, size_t length)
{
    char **grown = NULL, *copy = NULL;
    fmal_status st = FMAL_ALLOC(&copy, (fmal_idx) length + 1);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&grown, list->count + 1);
    if (st != FMAL_OK) {
        fmal_free(&copy);
        return st;
    }
    memcpy(copy, word, length);
    for (int i = 0; i < list->count; i++)
        grown[i] = list->item[i];
    grown[list->count] = copy;
    fmal_free(&list->item);
    list->item = grown;
    list->count++;
    return FMAL_OK;
}

/* A list in a file is words separated by spaces; on the command line words add up. */
static fmal_status set_list(fmal_strings *list, const char *value, bool split)
{
    if (!split)
        return strings_add(list, value, strlen(value));
    for (;;) {
        value += strspn(value, " \t");
        if (!*value)
            return FMAL_OK;
        size_t length = strcspn(value, " \t");
        FMAL_TRY(strings_add(list, value, length));
        value += length;
    }
}

static fmal_status set_value(fmal_opts *o, int i, const char *value, const char *source,
                             origin from)
{
    const fmal_opt *opt = &o->table[i];
    char *at = o->target + opt->offset;

    switch (opt->type) {
    case FMAL_OPT_FLAG:
        return set_flag((bool *) at, value, source);
    case FMAL_OPT_INT:
        return set_int(opt, (int64_t *) at, value, source);
    case FMAL_OPT_REAL:
        return set_real(opt, (double *) at, value, source);
    case FMAL_OPT_SECONDS:
        return set_seconds(opt, (double *) at, value, source);
    case FMAL_OPT_CHOICE:
        return set_choice(opt, (int *) at, value, source);
    case FMAL_OPT_STRING:
        if (!*value)
            return bad_value(source, value, "a name");
        return set_string((char **) at, value);
    case FMAL_OPT_LIST:
        if (!*value)
            return bad_value(source, value, "a name");
        if (o->from[i] != from)
            strings_clear((fmal_strings *) at);
        return set_list((fmal_strings *) at, value, from != FROM_ARGS);
    }
    return FMAL_OK;
}

void fmal_opts_text(const fmal_opts *o, int i, char *text, size_t size)
{
    const fmal_opt *opt = &o->table[i];
    const char *at = o->target + opt->offset;
    size_t used = 0;

    text[0] = 0;
    if (!o->has[i])
        return;
    switch (opt->type) {
    case FMAL_OPT_FLAG:
        snprintf(text, size, "%s", *(const bool *) at ? "true" : "false");
        break;
    case FMAL_OPT_INT:
        snprintf(text, size, "%" PRId64, *(const int64_t *) at);
        break;
    case FMAL_OPT_REAL:
    case FMAL_OPT_SECONDS:
        /* As short as it can be and still read back as the same number. */
        snprintf(text, size, "%.15g", *(const double *) at);
        if (strtod(text, NULL) != *(const double *) at)
            snprintf(text, size, "%.17g", *(const double *) at);
        break;
    case FMAL_OPT_CHOICE:
        snprintf(text, size, "%s", opt->choices[*(const int *) at]);
        break;
    case FMAL_OPT_STRING:
        snprintf(text, size, "%s", *(char *const *) at);
        break;
    case FMAL_OPT_LIST:
        for (int j = 0; j < ((const fmal_strings *) at)->count && used < size; j++)
            used += (size_t) snprintf(text + used, size - used, "%s%s", j ? " " : "",
                                      ((const fmal_strings *) at)->item[j]);
        break;
    }
}

/* ---- The object ---- */

fmal_status fmal_opts_create(const fmal_opt *table, void *target, fmal_opts **out)
{
    fmal_opts *o = NULL;

    FMAL_TRY(FMAL_ALLOC(&o, 1));
    o->table = table;
    o->target = target;
    for (o->count = 0; table[o->count].name; o->count++) {
        int i = o->count;

        if (i == MAX_OPTIONS)
            abort(); /* our table outgrew MAX_OPTIONS */
        if (table[i].def) {
            fmal_status st = set_value(o, i, table[i].def, table[i].name, FROM_DEFAULT);
            if (st != FMAL_OK) {
                fmal_opts_destroy(&o);
                return st;
            }
        }
        o->has[i] = table[i].def || table[i].type == FMAL_OPT_FLAG;
    }
    *out = o;
    return FMAL_OK;
}

void fmal_opts_destroy(fmal_opts **o)
{
    if (!*o)
        return;
    for (int i = 0; i < (*o)->count; i++) {
        char *at = (*o)->target + (*o)->table[i].offset;

        if ((*o)->table[i].type == FMAL_OPT_STRING)
            fmal_free(at);
        else if ((*o)->table[i].type == FMAL_OPT_LIST)
            strings_clear((fmal_strings *) at);
    }
    fmal_free(o);
}

static int find(const fmal_opts *o, const char *name)
{
    for (int i = 0; i < o->count; i++)
        if (strcmp(o->table[i].name, name) == 0)
            return i;
    return -1;
}

static fmal_status unknown(const fmal_opts *o, const char *name, const char *source)
{
    const char *names[MAX_OPTIONS + 1] = { NULL };
    const char *near;

    for (int i = 0; i < o->count; i++)
        names[i] = o->table[i].name;
    near = fmal_nearest(name, names);
    if (near)
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s: unknown option; did you mean '%s'?",
                         source, near);
    return FMAL_FAIL(FMAL_ERR_USAGE, "%s: unknown option; see --help", source);
}

static fmal_status set_from(fmal_opts *o, const char *name, const char *value,
                            const char *source, origin from)
{
    int i = find(o, name);

    if (i < 0)
        return unknown(o, name, source);
    if (o->from[i] > from)
        return FMAL_OK;
    FMAL_TRY(set_value(o, i, value, source, from));
    o->from[i] = from;
    o->has[i] = true;
    return FMAL_OK;
}

fmal_status fmal_opts_set(fmal_opts *o, const char *name, const char *value,
                          const char *source)
{
    return set_from(o, name, value, source, FROM_ARGS);
}

/* ---- The command line ---- */

/* The table in getopt_long's shape; option i is reported as 256 + i. */
static void getopt_tables(const fmal_opts *o, struct option *longs, char *shorts)
{
    *shorts++ =
        '+'; /* stop at the first word that is no option: we take it ourselves */
    *shorts++ = ':'; /* report a missing value as ':' */
    for (int i = 0; i < o->count; i++) {
        bool takes = o->table[i].type != FMAL_OPT_FLAG;

        longs[i] =
            (struct option){ o->table[i].name, takes ? required_argument : no_argument,
                             NULL, 256 + i };
        if (o->table[i].letter) {
            *shorts++ = o->table[i].letter;
            if (takes)
                *shorts++ = ':';
        }
    }
    longs[o->count] = (struct option){ 0 };
    *shorts = 0;
}

static int option_of(const fmal_opts *o, int reported)
{
    if (reported >= 256)
        return reported - 256;
    for (int i = 0; i < o->count; i++)
        if (o->table[i].letter && o->table[i].letter == reported)
            return i;
    return -1;
}

static fmal_status unknown_word(const fmal_opts *o, const char *word)
{
    char name[64];

    if (word[0] != '-')
        return FMAL_FAIL(FMAL_ERR_USAGE, "'%s': an unexpected word; see --help", word);
    snprintf(name, sizeof name, "%s", word + strspn(word, "-"));
    name[strcspn(name, "=")] = 0;
    if (find(o, name) >= 0)
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s: takes no value", word);
    return unknown(o, name, word);
}

fmal_status fmal_opts_args(fmal_opts *o, int argc, char **argv, const char **positional,
                           int max_positional, int *n_positional)
{
    struct option longs[MAX_OPTIONS + 1];
    char shorts[2 * MAX_OPTIONS + 3];
    char source[80];
    int n = 0;
    bool only_words = false; /* after -- */

    getopt_tables(o, longs, shorts);
    opterr = 0;
    optind = 0; /* glibc: start afresh */
    for (;;) {
        int at = optind > 0 ? optind : 1;
        int got = only_words ? -1 : getopt_long(argc, argv, shorts, longs, NULL);

        if (got == -1) {
            if (optind > at)
                only_words = true;
            if (optind >= argc)
                break;
            if (n == max_positional)
                return unknown_word(o, argv[optind]);
            positional[n++] = argv[optind++];
            continue;
        }
        if (got == ':')
            return FMAL_FAIL(FMAL_ERR_USAGE, "%s: a value is missing", argv[at]);
        int i = option_of(o, got);
        if (got == '?' || i < 0)
            return unknown_word(o, argv[at]);
        snprintf(source, sizeof source, "--%s", o->table[i].name);
        FMAL_TRY(
            set_from(o, o->table[i].name, optarg ? optarg : "true", source, FROM_ARGS));
        while (o->table[i].type == FMAL_OPT_LIST && optind < argc &&
               argv[optind][0] != '-')
            FMAL_TRY(set_from(o, o->table[i].name, argv[optind++], source, FROM_ARGS));
    }
    *n_positional = n;
    return FMAL_OK;
}

fmal_status fmal_opts_check(const fmal_opts *o)
{
    for (int i = 0; i < o->count; i++)
        if (o->table[i].required && !o->has[i])
            return FMAL_FAIL(FMAL_ERR_USAGE, "--%s%s%s is missing: %s",
                             o->table[i].name, o->table[i].arg ? " " : "",
                             o->table[i].arg ? o->table[i].arg : "", o->table[i].help);
    return FMAL_OK;
}

/* ---- The INI file ---- */

typedef struct {
    fmal_opts *o;
    FILE *file;
    const char *path, *section;
    const char *const *sections;
    int line; /* counted here: inih tells its handler no line number */
    fmal_status st;
} ini_job;

/* inih's fgets. A line that does not fit its buffer would be cut in two, so refuse it.
 */
static char *read_line(char *text, int size, void *stream)
{
    ini_job *job = stream;

    if (job->st != FMAL_OK || !fgets(text, size, job->file))
        return NULL;
    job->line++;
    if (!strchr(text, '\n') && !feof(job->file)) {
        job->st = FMAL_FAIL(FMAL_ERR_USAGE, "%s:%d: the line is longer than %d bytes",
                            job->path, job->line, size - 2);
        return NULL;
    }
    return text;
}

static int take_pair(void *user, const char *section, const char *name,
                     const char *value)
{
    ini_job *job = user;
    char source[512];

    if (job->st != FMAL_OK)
        return 0;
    snprintf(source, sizeof source, "%s:%d: %s", job->path, job->line, name);
    if (!*section) {
        job->st =
            FMAL_FAIL(FMAL_ERR_USAGE, "%s: comes before any section; begin with [%s]",
                      source, job->section);
        return 0;
    }
    if (strcmp(section, job->section) == 0 &&
        (strcmp(name, "help") == 0 || strcmp(name, "config") == 0)) {
        job->st = FMAL_FAIL(FMAL_ERR_USAGE, "%s: belongs on the command line", source);
        return 0;
    }
    if (strcmp(section, job->section) == 0) {
        job->st = set_from(job->o, name, value, source, FROM_FILE);
        return job->st == FMAL_OK;
    }
    for (int i = 0; job->sections[i]; i++)
        if (strcmp(section, job->sections[i]) == 0)
            return 1;
    const char *near = fmal_nearest(section, job->sections);
    job->st = FMAL_FAIL(
        FMAL_ERR_USAGE, "%s:%d: section [%s] is unknown; this command reads [%s]%s%s%s",
        job->path, job->line, section, job->section, near ? "; did you mean [" : "",
        near ? near : "", near ? "]?" : "");
    return 0;
}

fmal_status fmal_opts_file(fmal_opts *o, const char *path, const char *section,
                           const char *const *sections)
{
    ini_job job = { .o = o, .path = path, .section = section, .sections = sections };

    job.file = fopen(path, "r");
    if (!job.file)
        return FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    int line = ini_parse_stream(read_line, &job, take_pair, &job);
    if (ferror(job.file)) /* a directory opens, but cannot be read */
        job.st = FMAL_FAIL(FMAL_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    fclose(job.file);
    if (job.st != FMAL_OK && (line == 0 || line >= job.line))
        return job.st;
    if (line != 0) /* inih goes on after it; the first error is the one to mend */
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s:%d: neither [section] nor key = value",
                         path, line);
    return FMAL_OK;
}

/* ---- Looking ---- */

bool fmal_opts_given(const fmal_opts *o, const char *name)
{
    int i = find(o, name);

    return i >= 0 && o->from[i] != FROM_DEFAULT;
}

int fmal_opts_count(const fmal_opts *o)
{
    return o->count;
}

const fmal_opt *fmal_opts_at(const fmal_opts *o, int i)
{
    return &o->table[i];
}

char *fmal_opts_ini(const fmal_opts *o, bool only_given, bool only_identity)
{
    char value[MAX_TEXT];
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    for (int i = 0; i < o->count; i++) {
        if (!o->has[i] || (only_given && o->from[i] == FROM_DEFAULT) ||
            (only_identity && !o->table[i].identity))
            continue;
        fmal_opts_text(o, i, value, sizeof value);
        fprintf(to, "%s = %s\n", o->table[i].name, value);
    }
    fclose(to);
    return text;
}

/* The value of a key in INI text, up to the end of its line; or that there is none. */
static const char *find_key(const char *ini, const char *key, size_t key_length)
{
    for (const char *p = ini; *p; p += strcspn(p, "\n"), p += *p == '\n')
        if (strncmp(p, key, key_length) == 0 && strncmp(p + key_length, " = ", 3) == 0)
            return p + key_length + 3;
    return "(not set)";
}

static bool differ_one_way(const char *from, const char *in, char *message, size_t size,
                           bool swapped)
{
    for (const char *p = from; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        int key = (int) strcspn(p, " ");
        const char *a = find_key(p, p, (size_t) key);
        const char *b = find_key(in, p, (size_t) key);
        int na = (int) strcspn(a, "\n"), nb = (int) strcspn(b, "\n");

        if (na != nb || strncmp(a, b, (size_t) na) != 0) {
            snprintf(message, size, "%.*s was %.*s, now %.*s", key, p,
                     swapped ? nb : na, swapped ? b : a, swapped ? na : nb,
                     swapped ? a : b);
            return true;
        }
    }
    return false;
}

bool fmal_opts_differ(const char *before, const char *now, char *message, size_t size)
{
    return differ_one_way(before, now, message, size, false) ||
           differ_one_way(now, before, message, size, true);
}
