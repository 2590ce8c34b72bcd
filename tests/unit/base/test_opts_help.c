/* Options as help text and as a table of the manual. */
#include "fmal_test.h"

#include "fmal/mem.h"
#include "fmal/opts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const strategies[] = { "bait", "badge", NULL };

static const fmal_opt table[] = {
    { "force", 'f', FMAL_OPT_FLAG, 0, .help = "replace the output" },
    { "batch", 'n', FMAL_OPT_INT, 0, .def = "100", .unit = "samples",
      .help = "samples to pick" },
    { "pool", 0, FMAL_OPT_STRING, 0, .arg = "FILE", .required = true,
      .help = "pool to pick from" },
    { "strategy", 0, FMAL_OPT_CHOICE, 0, .def = "bait", .choices = strategies,
      .help = "how to pick" },
    { "a-name-that-fills-its-column", 0, FMAL_OPT_REAL, 0, .help = "short" },
    { "wordy", 0, FMAL_OPT_SECONDS, 0,
      .help = "a sentence that goes on for so long that it cannot be printed on one "
              "line, nor on two lines, since it has far more to say than there is "
              "room for beside the names" },
    { "unbroken", 0, FMAL_OPT_LIST, 0,
      .help = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "
              "after" },
    { .name = NULL },
};

typedef void printer(const fmal_opt *table, FILE *to);

static char *printed(printer *print)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    print(table, to);
    fclose(to);
    return text;
}

static const struct {
    const char *name, *text;
} help[] = {
    { "a flag with a letter", "  -f, --force               replace the output\n" },
    { "a number, its unit, its default",
      "  -n, --batch N             samples to pick, in samples (default 100)\n" },
    { "an argument's name, required",
      "      --pool FILE           pool to pick from (required)\n" },
    { "choices",
      "      --strategy NAME       how to pick: bait, badge (default bait)\n" },
    { "a long name has its own line", "      --a-name-that-fills-its-column X\n"
                                      "                            short\n" },
    { "a time", "      --wordy TIME          a sentence" },
    { "words are not broken",
      "      --unbroken FILE...    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
      "xxxxxxxxxxxxxxxxxxxx\n                            after\n" },
};

static bool lines_fit(const char *text, const char *but)
{
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        size_t length = strcspn(p, "\n");

        if (length > 88 && !memmem(p, length, but, strlen(but)))
            return false;
        if (length > 0 && p[length - 1] == ' ')
            return false;
    }
    return true;
}

/* The words of a long sentence, joined again. */
static void unwrap(const char *text, char *out)
{
    bool space = false;

    for (; *text; text++) {
        if (*text == ' ' || *text == '\n') {
            space = true;
            continue;
        }
        if (space)
            *out++ = ' ';
        space = false;
        *out++ = *text;
    }
    *out = 0;
}

static void test_help(fmal_test *t)
{
    char *text = printed(fmal_opts_help);
    char *joined = malloc(strlen(text) + 1);

    for (int i = 0; i < FMAL_COUNT(help); i++)
        fmal_test_ok(t, strstr(text, help[i].text), "help: %s", help[i].name);
    fmal_test_ok(t, lines_fit(text, "xxx"), "no line is too long or ends in a space");
    unwrap(text, joined);
    fmal_test_ok(t, strstr(joined, table[5].help), "a long text is whole");
    if (!strstr(text, help[0].text))
        printf("%s", text);
    free(joined);
    free(text);
}

static void test_markdown(fmal_test *t)
{
    char *text = printed(fmal_opts_markdown);

    fmal_test_ok(t, strstr(text, "| option | meaning |\n|---|---|\n") == text,
                 "markdown: the head");
    fmal_test_ok(t, strstr(text, "\n| `--force`, `-f` | replace the output |\n"),
                 "markdown: a flag");
    fmal_test_ok(t,
                 strstr(text, "\n| `--strategy NAME` | how to pick: bait, badge "
                              "(default bait) |\n"),
                 "markdown: a choice");
    fmal_test_ok(t, strstr(text, table[5].help), "markdown: nothing is cut");
    free(text);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_help(&t);
    test_markdown(&t);
    return fmal_test_end(&t);
}
