/* Which word was meant. */
#include "fmal_test.h"

#include "fmal/opts.h"

#include <string.h>

static const char *const words[] = { "batch",  "lambda", "oversample", "pool",
                                     "output", "seed",   "bait",       NULL };
static const char *const nothing[] = { NULL };

static const struct {
    const char *name, *word;
    const char *const *list;
    const char *want;
} table[] = {
    { "the word itself", "batch", words, "batch" },
    { "neighbours swapped", "bacth", words, "batch" },
    { "a letter missing", "lamda", words, "lambda" },
    { "a letter too many", "seeed", words, "seed" },
    { "a letter replaced", "oatput", words, "output" },
    { "two slips in a long word", "oversmaplee", words, "oversample" },
    { "cut short", "over", words, "oversample" },
    { "of two near ones the nearer", "baits", words, "bait" },
    { "far from all", "temperature", words, NULL },
    { "short and far", "xy", words, NULL },
    { "an empty word", "", words, NULL },
    { "an empty list", "batch", nothing, NULL },
    { "longer than any option",
      "batchbatchbatchbatchbatchbatchbatchbatchbatchbatchbatchbatchbatchbatch", words,
      NULL },
};

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(table); i++) {
        const char *got = fmal_nearest(table[i].word, table[i].list);
        bool ok = got && table[i].want ? strcmp(got, table[i].want) == 0
                                       : got == table[i].want;

        fmal_test_ok(&t, ok, "%s: %s", table[i].name, got ? got : "none");
    }
    return fmal_test_end(&t);
}
