#include "cli_impl.h"
#include "fmal/log.h"
#include "fmal/version.h"

#include <stddef.h>
#include <string.h>

const command *const commands[] = { &command_import,  &command_select,
                                    &command_run,     &command_mask,
                                    &command_inspect, &command_bench,
                                    &command_info,    NULL };

#define AT(member) offsetof(common_options, member)
static const fmal_opt common_table[] = {
    { .name = "config",
      .type = FMAL_OPT_STRING,
      .offset = AT(config),
      .arg = "FILE",
      .help = "INI file with options in a section named after the command" },
    { .name = "print-config",
      .type = FMAL_OPT_FLAG,
      .offset = AT(print_config),
      .help = "print every option as it is resolved, as such a file, and stop" },
    { .name = "log-level",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(log_level),
      .def = "info",
      .choices = fmal_log_level_names,
      .arg = "LEVEL",
      .help = "least important lines to print" },
    { .name = "progress",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(progress),
      .def = "auto",
      .choices = fmal_progress_mode_names,
      .arg = "WHEN",
      .help = "show a progress bar" },
    { .name = "quiet",
      .letter = 'q',
      .type = FMAL_OPT_FLAG,
      .offset = AT(quiet),
      .help = "print warnings and errors only" },
    { .name = "help",
      .letter = 'h',
      .type = FMAL_OPT_FLAG,
      .offset = AT(help),
      .help = "print this help" },
    { .name = NULL },
};

static const fmal_opt json_table[] = {
    { .name = "json",
      .type = FMAL_OPT_FLAG,
      .offset = AT(json),
      .help = "print results as JSON" },
    { .name = NULL },
};

/* Commands whose results have a form for programs. */
static bool has_json(const command *c)
{
    return c == &command_select || c == &command_mask || c == &command_inspect ||
           c == &command_bench || c == &command_info;
}

void command_table(const command *c, fmal_opt table[FMAL_MAX_OPTIONS])
{
    memset(table, 0, FMAL_MAX_OPTIONS * sizeof *table);
    fmal_opts_join(table, c->options);
    if (has_json(c))
        fmal_opts_join(table, json_table);
    fmal_opts_join(table, common_table);
}

void print_help(const command *c, FILE *to)
{
    fmal_opt table[FMAL_MAX_OPTIONS];

    command_table(c, table);
    fprintf(to, "Usage: fmal %s %s\n\n%s\n\nOptions:\n", c->name, c->usage, c->text);
    fmal_opts_help(table, to);
}

void print_overview(FILE *to)
{
    fprintf(to,
            "fmal %s: distributed batch active learning by Fisher information\n\n"
            "Usage: fmal COMMAND [options]\n"
            "       mpirun -np RANKS fmal COMMAND [options]\n\nCommands:\n",
            FMAL_VERSION);
    for (const command *const *c = commands; *c; c++)
        fprintf(to, "  %-9s %s\n", (*c)->name, (*c)->summary);
    fprintf(to, "  %-9s %s\n", "help", "help on a command: fmal help COMMAND");
    fprintf(to,
            "\nfmal --version prints the version. Results go to standard output, all "
            "else to\nstandard error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 "
            "stopped early with\na checkpoint: start the same command again.\n");
}

/* The indented lines of a help text are commands to try. */
static void print_paragraphs(const char *text, FILE *to)
{
    bool in_code = false;

    while (*text) {
        int n = (int) strcspn(text, "\n");
        bool is_code = strncmp(text, "  ", 2) == 0;

        if (is_code != in_code)
            fprintf(to, "%s\n", is_code ? "```sh" : "```");
        in_code = is_code;
        fprintf(to, "%.*s\n", is_code ? n - 2 : n, text + (is_code ? 2 : 0));
        text += n + (text[n] == '\n');
    }
    fprintf(to, "%s\n", in_code ? "```\n" : "");
}

void print_markdown(FILE *to)
{
    fmal_opt table[FMAL_MAX_OPTIONS];

    fprintf(to,
            "# Command line\n\nMade by `tools/make_cli_docs` from the option tables; "
            "do not edit.\n\nEvery option is also a key of an INI file (`--config`) in "
            "a section named after\nthe command, without the dashes; the command line "
            "overrides the file.\n");
    for (const command *const *c = commands; *c; c++) {
        command_table(*c, table);
        fprintf(to, "\n## `fmal %s %s`\n\n", (*c)->name, (*c)->usage);
        print_paragraphs((*c)->text, to);
        fmal_opts_markdown(table, to);
    }
}
