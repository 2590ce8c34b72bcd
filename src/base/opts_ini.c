/* Options as INI text: read from a file, written, compared. */
#include "opts_impl.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* ---- The INI file ---- */

typedef struct {
    fmal_opts *o;
    FILE *file;
    const char *path, *section;
    const char *const *sections;
    int line; /* counted here: inih tells its handler no line number */
    fmal_status st;
} ini_job;

/* Keys that make no sense in a file. */
static bool is_for_args_only(const char *name)
{
    static const char *const names[] = { "config", "help", "print-config" };

    for (int i = 0; i < FMAL_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

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
    if (strcmp(section, job->section) == 0 && is_for_args_only(name)) {
        job->st = FMAL_FAIL(FMAL_ERR_USAGE, "%s: belongs on the command line", source);
        return 0;
    }
    if (strcmp(section, job->section) == 0) {
        job->st = fmal_opts_set_from(job->o, name, value, source, FROM_FILE);
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

/* ---- Configurations as text ---- */

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

/* Whether a value comes back from a line of an INI file. inih cuts it at a comment and
   takes the blanks around it away; in a list, blanks end a word. */
static bool fits_line(const char *name, const char *value, bool is_word)
{
    size_t length = strlen(value);

    for (const char *p = value; *p; p++)
        if (*p == '\n' || *p == '\r' || (is_word && strchr(" \t", *p)) ||
            (*p == ';' && (p == value || strchr(" \t", p[-1]))))
            return false;
    return length > 0 && !strchr(" \t", value[0]) &&
           !strchr(" \t", value[length - 1]) && !(is_word && value[0] == '#') &&
           strlen(name) + 3 + length < INI_MAX_LINE - 1;
}

static fmal_status print_line(const char *name, const char *value, bool is_word,
                              bool is_first, FILE *to)
{
    if (!fits_line(name, value, is_word))
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--%s: an INI file cannot hold '%s': a line has at most %d "
                         "bytes, and blanks and semicolons have a meaning; give it on "
                         "the command line",
                         name, value, INI_MAX_LINE - 2);
    if (is_first)
        fprintf(to, "%s = %s\n", name, value);
    else /* an indented line goes on with the list */
        fprintf(to, "    %s\n", value);
    return FMAL_OK;
}

static fmal_status print_option(const fmal_opts *o, int i, FILE *to)
{
    const fmal_opt *opt = &o->table[i];
    char value[MAX_TEXT];

    if (!o->has[i]) {
        fprintf(to, "; %s =\n", opt->name);
        return FMAL_OK;
    }
    if (opt->type != FMAL_OPT_LIST) {
        fmal_opts_text(o, i, value, sizeof value);
        return print_line(opt->name, value, false, true, to);
    }
    const fmal_strings *list = (const fmal_strings *) (o->target + opt->offset);
    for (int k = 0; k < list->count; k++)
        FMAL_TRY(print_line(opt->name, list->item[k], true, k == 0, to));
    return FMAL_OK;
}

fmal_status fmal_opts_print(const fmal_opts *o, const char *section, FILE *to)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    fmal_status st = FMAL_OK;

    if (!memory)
        return FMAL_FAIL(FMAL_ERR_NOMEM, "no memory for the options");
    for (int i = 0; i < o->count && st == FMAL_OK; i++)
        if (!is_for_args_only(o->table[i].name))
            st = print_option(o, i, memory);
    fclose(memory);
    if (st == FMAL_OK)
        fprintf(to, "[%s]\n%s", section, text);
    free(text);
    return st;
}

const char *fmal_opts_defaults(const fmal_opts *o)
{
    return o->defaults;
}

/* The value of a key in INI text, up to the end of its line; NULL if there is none. */
static const char *find_key(const char *ini, const char *key, size_t length)
{
    for (const char *p = ini; p && *p; p += strcspn(p, "\n"), p += *p == '\n')
        if (strncmp(p, key, length) == 0 && strncmp(p + length, " = ", 3) == 0)
            return p + length + 3;
    return NULL;
}

static const char *value_of(const char *ini, const char *defaults, const char *key,
                            size_t length)
{
    const char *value = find_key(ini, key, length);

    if (!value)
        value = find_key(defaults, key, length);
    return value ? value : "(not set)";
}

bool fmal_opts_is_default(const fmal_opts *o, int i)
{
    const char *name = o->table[i].name;
    const char *before = find_key(o->defaults, name, strlen(name));
    char value[MAX_TEXT];

    fmal_opts_text(o, i, value, sizeof value);
    return before && strcspn(before, "\n") == strlen(value) &&
           strncmp(before, value, strlen(value)) == 0;
}

/* Whether two texts differ in a key of the first argument. */
static bool differ_in(const char *keys, const char *before, const char *now,
                      const char *defaults, char *message, size_t size)
{
    for (const char *p = keys; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        size_t key = strcspn(p, " ");
        const char *a = value_of(before, defaults, p, key);
        const char *b = value_of(now, defaults, p, key);
        int na = (int) strcspn(a, "\n"), nb = (int) strcspn(b, "\n");

        if (na != nb || strncmp(a, b, (size_t) na) != 0) {
            snprintf(message, size, "%.*s was %.*s, now %.*s", (int) key, p, na, a, nb,
                     b);
            return true;
        }
    }
    return false;
}

bool fmal_opts_differ(const char *before, const char *now, const char *defaults,
                      char *message, size_t size)
{
    return differ_in(before, before, now, defaults, message, size) ||
           differ_in(now, before, now, defaults, message, size);
}
