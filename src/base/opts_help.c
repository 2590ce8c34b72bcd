#include "fmal/opts.h"

#include <stdarg.h>
#include <string.h>

enum { HELP_COLUMN = 28, LINE_WIDTH = 88 };

/* What stands for the value: the table's word, or the choices, or the kind of number.
 */
static const char *placeholder(const fmal_opt *opt)
{
    static const char *const by_type[] = { "",     "N",    "X",      "TIME",
                                           "TEXT", "NAME", "FILE..." };

    return opt->arg ? opt->arg : by_type[opt->type];
}

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *fmt, ...)
{
    size_t used = strlen(text);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text + used, size - used, fmt, ap);
    va_end(ap);
}

/* Everything after the option's name: sentence, unit, choices, default. */
static void describe(const fmal_opt *opt, char *text, size_t size)
{
    snprintf(text, size, "%s", opt->help);
    for (int i = 0; opt->choices && opt->choices[i]; i++)
        append(text, size, "%s%s", i ? ", " : ": ", opt->choices[i]);
    if (opt->type == FMAL_OPT_SECONDS)
        append(text, size, ": seconds, MM:SS, HH:MM:SS or D-HH:MM:SS");
    if (opt->unit)
        append(text, size, ", in %s", opt->unit);
    if (opt->required)
        append(text, size, " (required)");
    else if (opt->def)
        append(text, size, " (default %s)", opt->def);
}

/* Print text from the current column on, broken at spaces and indented to `indent`. */
static void print_wrapped(FILE *to, const char *text, int indent)
{
    int room = LINE_WIDTH - indent;

    while (*text) {
        int n = (int) strlen(text);

        if (n > room)
            for (n = room; n > 0 && text[n] != ' '; n--)
                ;
        if (n == 0)
            n = (int) strcspn(text, " ");
        fprintf(to, "%.*s\n", n, text);
        text += n;
        text += strspn(text, " ");
        if (*text)
            fprintf(to, "%*s", indent, "");
    }
}

void fmal_opts_help(const fmal_opt *table, FILE *to)
{
    char head[128], text[1024];

    for (const fmal_opt *opt = table; opt->name; opt++) {
        char letter[8] = "    ";

        if (opt->letter)
            snprintf(letter, sizeof letter, "-%c, ", opt->letter);
        int n = snprintf(head, sizeof head, "  %s--%s%s%s", letter, opt->name,
                         opt->type == FMAL_OPT_FLAG ? "" : " ", placeholder(opt));
        describe(opt, text, sizeof text);
        fprintf(to, "%s", head);
        if (n > HELP_COLUMN - 2)
            fprintf(to, "\n%*s", HELP_COLUMN, "");
        else
            fprintf(to, "%*s", HELP_COLUMN - n, "");
        print_wrapped(to, text, HELP_COLUMN);
    }
}

void fmal_opts_markdown(const fmal_opt *table, FILE *to)
{
    char text[1024];

    fprintf(to, "| option | meaning |\n|---|---|\n");
    for (const fmal_opt *opt = table; opt->name; opt++) {
        fprintf(to, "| `--%s%s%s`", opt->name, opt->type == FMAL_OPT_FLAG ? "" : " ",
                placeholder(opt));
        if (opt->letter)
            fprintf(to, ", `-%c`", opt->letter);
        describe(opt, text, sizeof text);
        fprintf(to, " | %s |\n", text);
    }
}
