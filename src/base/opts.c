#include "opts_impl.h"
#include "fmal/mem.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

/* ---- Tables ---- */

/* From entry n on, with offsets from `at`; returns where it ends. */
static int join(fmal_opt to[FMAL_MAX_OPTIONS], int n, const fmal_opt *table, size_t at)
{
    for (; table->name; table++) {
        if (table->part) {
            n = join(to, n, table->part, at + table->offset);
            continue;
        }
        if (n == FMAL_MAX_OPTIONS - 1)
            abort(); /* our tables outgrew it */
        to[n] = *table;
        to[n++].offset += at;
    }
    return n;
}

void fmal_opts_join(fmal_opt to[FMAL_MAX_OPTIONS], const fmal_opt *table)
{
    int n = 0;

    while (to[n].name)
        n++;
    join(to, n, table, 0);
}

/* ---- The object ---- */

static int find(const fmal_opts *o, const char *name)
{
    for (int i = 0; i < o->count; i++)
        if (strcmp(o->table[i].name, name) == 0)
            return i;
    return -1;
}

static fmal_status set_defaults(fmal_opts *o)
{
    for (const fmal_opt *opt = o->table; opt->name; opt++) {
        int i = o->count++;

        if (i == FMAL_MAX_OPTIONS || find(o, opt->name) < i)
            abort(); /* our table is too long, or has one name twice */
        if (opt->def)
            FMAL_TRY(fmal_opts_set_value(o, i, opt->def, opt->name, FROM_DEFAULT));
        o->has[i] = opt->def || opt->type == FMAL_OPT_FLAG;
    }
    return FMAL_OK;
}

fmal_status fmal_opts_create(const fmal_opt *table, void *target, fmal_opts **out)
{
    fmal_opts *o = NULL;

    FMAL_TRY(FMAL_ALLOC(&o, 1));
    o->table = table;
    o->target = target;
    fmal_status st = set_defaults(o);
    if (st == FMAL_OK && !(o->defaults = fmal_opts_ini(o, false, false)))
        st = FMAL_FAIL(FMAL_ERR_NOMEM, "no memory for the options");
    if (st != FMAL_OK)
        fmal_opts_destroy(&o);
    else
        *out = o;
    return st;
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
            fmal_strings_clear((fmal_strings *) at);
    }
    fmal_free(&(*o)->defaults);
    fmal_free(o);
}

/* The nearest name is spelt as it would be where this one stood. */
static fmal_status unknown(const fmal_opts *o, const char *name, const char *source,
                           fmal_opts_origin from)
{
    const char *names[FMAL_MAX_OPTIONS + 1] = { NULL };
    const char *near;

    for (int i = 0; i < o->count; i++)
        names[i] = o->table[i].name;
    near = fmal_nearest(name, names);
    if (near)
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s: unknown option; did you mean '%s%s'?",
                         source, from == FROM_ARGS ? "--" : "", near);
    return FMAL_FAIL(FMAL_ERR_USAGE, "%s: unknown option; see --help", source);
}

fmal_status fmal_opts_set_from(fmal_opts *o, const char *name, const char *value,
                               const char *source, fmal_opts_origin from)
{
    int i = find(o, name);

    if (i < 0)
        return unknown(o, name, source, from);
    if (o->from[i] > from)
        return FMAL_OK;
    FMAL_TRY(fmal_opts_set_value(o, i, value, source, from));
    o->from[i] = from;
    o->has[i] = true;
    return FMAL_OK;
}

fmal_status fmal_opts_set(fmal_opts *o, const char *name, const char *value,
                          const char *source)
{
    return fmal_opts_set_from(o, name, value, source, FROM_ARGS);
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
    return unknown(o, name, word, FROM_ARGS);
}

fmal_status fmal_opts_args(fmal_opts *o, int argc, char **argv, const char **positional,
                           int max_positional, int *n_positional)
{
    struct option longs[FMAL_MAX_OPTIONS + 1];
    char shorts[2 * FMAL_MAX_OPTIONS + 3];
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
        FMAL_TRY(fmal_opts_set_from(o, o->table[i].name, optarg ? optarg : "true",
                                    source, FROM_ARGS));
        while (o->table[i].type == FMAL_OPT_LIST && optind < argc &&
               argv[optind][0] != '-')
            FMAL_TRY(fmal_opts_set_from(o, o->table[i].name, argv[optind++], source,
                                        FROM_ARGS));
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

/* ---- Looking ---- */

bool fmal_opts_given(const fmal_opts *o, const char *name)
{
    int i = find(o, name);

    return i >= 0 && (o->from[i] == FROM_ARGS ||
                      (o->from[i] == FROM_FILE && !fmal_opts_is_default(o, i)));
}

int fmal_opts_count(const fmal_opts *o)
{
    return o->count;
}

const fmal_opt *fmal_opts_at(const fmal_opts *o, int i)
{
    return &o->table[i];
}
