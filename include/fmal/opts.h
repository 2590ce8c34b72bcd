/**
 * Option tables: one list of options makes the command-line parser, the help text, the
 * keys of the INI file, docs/cli.md and the configuration kept in outputs.
 *
 *     struct my { char *pool; int64_t batch; };
 *     static const fmal_opt table[] = {
 *         { "pool", 0, FMAL_OPT_STRING, offsetof(struct my, pool), .required = true,
 *           .arg = "FILE", .help = "pool to pick from" },
 *         { "batch", 0, FMAL_OPT_INT, offsetof(struct my, batch), .def = "100",
 *           .min = 1, .max = 1e9, .unit = "samples", .help = "samples to pick" },
 *         { .name = NULL },
 *     };
 *     fmal_opts *o; fmal_opts_create(table, &my, &o); fmal_opts_args(o, argc, argv,
 * ...);
 *
 * A value comes from the table's default, then the file, then the command line.
 */
#ifndef FMAL_OPTS_H
#define FMAL_OPTS_H

#include <stdbool.h>
#include <stdio.h>

#include "fmal/status.h"

typedef enum fmal_opt_type {
    FMAL_OPT_FLAG, /* bool; takes no value on the command line, true|false in a file */
    FMAL_OPT_INT,  /* int64_t */
    FMAL_OPT_REAL, /* double */
    FMAL_OPT_SECONDS, /* double; S, MM:SS, HH:MM:SS, D-HH:MM:SS */
    FMAL_OPT_STRING,  /* char *, NULL if not given */
    FMAL_OPT_CHOICE,  /* int, the position in choices */
    FMAL_OPT_LIST,    /* fmal_strings: one word or more, up to the next option */
} fmal_opt_type;

/** Target of FMAL_OPT_LIST. */
typedef struct fmal_strings {
    char **item;
    int count;
} fmal_strings;

/**
 * One option. offset is into the struct that fmal_opts_create is given.
 *
 * An entry with a `part` stands for all options of another table, whose offsets are
 * into a struct at `offset`; fmal_opts_join spells it out.
 */
typedef struct fmal_opt {
    const char *name; /* without dashes; NULL ends a table */
    char letter;      /* short form, 0 for none */
    fmal_opt_type type;
    size_t offset;
    const char *def;            /* default as a user would type it; NULL: none */
    double min, max;            /* of numbers, inclusive; both 0: any */
    const char *const *choices; /* of FMAL_OPT_CHOICE, ended by NULL */
    const char *arg;            /* what stands for the value in the help: FILE, N */
    const char *unit;           /* NULL if it has none */
    const char *help;           /* one sentence without a full stop */
    bool required;
    /* A run with another value of it is another run. One that is added later must by
       default do what was done before it: files that do not name it had that. */
    bool identity;
    const struct fmal_opt *part;
} fmal_opt;

enum { FMAL_MAX_OPTIONS = 64 }; /* of one table, with its end */

/** Values of one table, and where each came from. Opaque. */
typedef struct fmal_opts fmal_opts;

/**
 * Append a table and the parts it names to a table that is being put together, which
 * begins as all zero. The other functions take tables without parts.
 */
void fmal_opts_join(fmal_opt to[FMAL_MAX_OPTIONS], const fmal_opt *table);

/**
 * Bind a table to its target struct and set the defaults.
 *
 * Not collective, as everything here.
 *
 * @param[in] table   options, ended by a NULL name; borrowed
 * @param[in] target  struct that receives the values; borrowed; fmal_opts_destroy frees
 *                    the strings in it
 */
fmal_status fmal_opts_create(const fmal_opt *table, void *target, fmal_opts **out);

/** Free *o and the strings of its target, and set it to NULL. */
void fmal_opts_destroy(fmal_opts **o);

/**
 * Set one option from text.
 *
 * @param source  where the text is from, for messages: "--batch", "file.ini:12: batch"
 * @return FMAL_ERR_USAGE: unknown name (with the nearest one), or a value that is
 *         malformed or out of range
 */
fmal_status fmal_opts_set(fmal_opts *o, const char *name, const char *value,
                          const char *source);

/**
 * Read [section] of an INI file. Values already given on the command line stay.
 *
 * @param sections  all legal section names, ended by NULL; others than `section` are
 *                  skipped, unknown ones are refused
 * @return FMAL_ERR_USAGE with file and line: unknown key or section, bad value, line
 * too long; FMAL_ERR_IO
 */
fmal_status fmal_opts_file(fmal_opts *o, const char *path, const char *section,
                           const char *const *sections);

/**
 * Parse a command line. Each positional word goes to positional[0 .. max_positional).
 *
 * @param argv            argv[0] is skipped; borrowed, and so are the positional words
 * @param[out] n_positional  how many there were
 * @return FMAL_ERR_USAGE with the nearest option's name where one is near
 */
fmal_status fmal_opts_args(fmal_opts *o, int argc, char **argv, const char **positional,
                           int max_positional, int *n_positional);

/** FMAL_ERR_USAGE naming the first required option that has no value. */
fmal_status fmal_opts_check(const fmal_opts *o);

/** Whether an option was given, on the command line or in a file. What a file gives as
    the default is not given: a file of fmal_opts_print names every option. */
bool fmal_opts_given(const fmal_opts *o, const char *name);

/** Number of options, and the name of option i. */
int fmal_opts_count(const fmal_opts *o);
const fmal_opt *fmal_opts_at(const fmal_opts *o, int i);

/** Value of option i as text, in a buffer of the caller; "" if it has none. */
void fmal_opts_text(const fmal_opts *o, int i, char *text, size_t size);

/**
 * The configuration as INI text, "key = value" lines in the table's order.
 *
 * @param only_given     leave out what no one gave
 * @param only_identity  leave out what may differ between starts of one run
 * @return text freed by fmal_free, or NULL
 */
char *fmal_opts_ini(const fmal_opts *o, bool only_given, bool only_identity);

/**
 * Print the configuration as an INI file with one section, which fmal_opts_file reads
 * back as the same values. Options without a value stand there as comments, those of
 * the command line alone (config, help, print-config) do not.
 *
 * @return FMAL_ERR_USAGE, having printed nothing, if an INI file cannot hold a value;
 * FMAL_ERR_NOMEM
 */
fmal_status fmal_opts_print(const fmal_opts *o, const char *section, FILE *to);

/** What fmal_opts_ini(o, false, false) gave before anything was given; borrowed. */
const char *fmal_opts_defaults(const fmal_opts *o);

/**
 * Compare two texts of fmal_opts_ini.
 *
 * @param      defaults values of keys that are in only one of the two, since the option
 *             is younger than the other; NULL: they have none
 * @param[out] message  of size bytes: the first key that differs, with both values
 * @return whether they differ
 */
bool fmal_opts_differ(const char *before, const char *now, const char *defaults,
                      char *message, size_t size);

/** Print the options as help text, or as a Markdown table. */
void fmal_opts_help(const fmal_opt *table, FILE *to);
void fmal_opts_markdown(const fmal_opt *table, FILE *to);

/** The word of list (ended by NULL) that is nearest to word, or NULL if none is near.
 */
const char *fmal_nearest(const char *word, const char *const *list);

#endif
