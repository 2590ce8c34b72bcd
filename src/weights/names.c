/* What others call the tensors of a network. Ours are torchvision's names of ResNets,
   but for the last layer, which is "head" in all networks. */
#include "weights_impl.h"

#include <stdio.h>
#include <string.h>

/* What wrappers put before all names. */
static const char *const prefixes[] = { "module.", "model.", "_orig_mod." };

/* Last layers of other programs' networks; ours are linear, without a bias. */
static const char *const heads[] = { "fc", "linear", "classifier" };

static const char *without_prefixes(const char *name)
{
    for (int i = 0; i < FMAL_COUNT(prefixes); i++) {
        size_t n = strlen(prefixes[i]);

        if (strncmp(name, prefixes[i], n) == 0) {
            name += n;
            i = -1; /* from the first again: wrappers are wrapped */
        }
    }
    return name;
}

/* "fc.weight" to "head.weight"; "fc.1.weight" is no last layer of ours. */
static bool rename_head(const char *name, char *ours)
{
    for (int i = 0; i < FMAL_COUNT(heads); i++) {
        size_t n = strlen(heads[i]);

        if (strncmp(name, heads[i], n) == 0 &&
            (strcmp(name + n, ".weight") == 0 || strcmp(name + n, ".bias") == 0)) {
            snprintf(ours, FMAL_NAME_BYTES, "head%s", name + n);
            return true;
        }
    }
    return false;
}

void fmal_name_ours(const char *name, char ours[FMAL_NAME_BYTES])
{
    static const char theirs[] = ".shortcut.";
    const char *p = without_prefixes(name), *found = strstr(p, theirs);

    if (rename_head(p, ours))
        return;
    if (found)
        snprintf(ours, FMAL_NAME_BYTES, "%.*s.downsample.%s", (int) (found - p), p,
                 found + strlen(theirs));
    else
        snprintf(ours, FMAL_NAME_BYTES, "%s", p);
}

bool fmal_name_is_counter(const char *name)
{
    static const char counter[] = "num_batches_tracked";
    size_t n = strlen(name), tail = strlen(counter);

    return n > tail && strcmp(name + n - tail, counter) == 0 &&
           name[n - tail - 1] == '.';
}

const char *fmal_name_label(const char *name, char label[FMAL_LABEL_BYTES])
{
    int i = 0;

    for (; name[i] && i < FMAL_LABEL_BYTES - 4; i++)
        label[i] = name[i] < 0x20 || name[i] > 0x7e ? '?' : name[i];
    strcpy(label + i, name[i] ? "..." : "");
    return label;
}
