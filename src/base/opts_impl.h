/* What the sources of option tables share. */
#ifndef FMAL_OPTS_IMPL_H
#define FMAL_OPTS_IMPL_H

#include "fmal/opts.h"

/* Where a value came from; a later source overrides an earlier one. */
typedef enum { FROM_DEFAULT, FROM_FILE, FROM_ARGS } fmal_opts_origin;

enum { MAX_TEXT = 4096 };

struct fmal_opts {
    const fmal_opt *table;
    char *target;
    char *defaults; /* text of all values before anything was given */
    int count;
    fmal_opts_origin from[FMAL_MAX_OPTIONS];
    bool has[FMAL_MAX_OPTIONS];
};

/* Text to the target of option i, whatever was there before. */
fmal_status fmal_opts_set_value(fmal_opts *o, int i, const char *value,
                                const char *source, fmal_opts_origin from);

/* The same by name, unless a later source has given it. */
fmal_status fmal_opts_set_from(fmal_opts *o, const char *name, const char *value,
                               const char *source, fmal_opts_origin from);

/* Whether option i has the value that it had at first. */
bool fmal_opts_is_default(const fmal_opts *o, int i);

void fmal_strings_clear(fmal_strings *list);

#endif
