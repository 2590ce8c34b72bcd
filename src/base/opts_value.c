/* Values of options: text to target and back. */
#include "opts_impl.h"
#include "fmal/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

void fmal_strings_clear(fmal_strings *list)
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

fmal_status fmal_opts_set_value(fmal_opts *o, int i, const char *value,
                                const char *source, fmal_opts_origin from)
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
            fmal_strings_clear((fmal_strings *) at);
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
