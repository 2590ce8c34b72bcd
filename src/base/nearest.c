#include "fmal/opts.h"

#include <string.h>

enum { LONGEST = 64 };

/* Optimal string alignment distance: insert, delete, replace, swap neighbours. */
static int distance(const char *a, const char *b)
{
    int na = (int) strlen(a), nb = (int) strlen(b);
    int d[3][LONGEST + 1];

    if (na > LONGEST || nb > LONGEST)
        return LONGEST;
    for (int j = 0; j <= nb; j++)
        d[0][j] = j;
    for (int i = 1; i <= na; i++) {
        int *row = d[i % 3], *up = d[(i - 1) % 3], *up2 = d[(i + 1) % 3];

        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int best = up[j - 1] + (a[i - 1] != b[j - 1]);

            if (up[j] + 1 < best)
                best = up[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            row[j] = best;
        }
    }
    return d[na % 3][nb];
}

const char *fmal_nearest(const char *word, const char *const *list)
{
    const char *best = NULL;
    int length = (int) strlen(word);
    int least = length / 3 + 2; /* further off is no slip of the finger */

    for (; *list; list++) {
        int d = distance(word, *list);

        /* A word cut short is near, however much is missing. */
        if (length >= 2 && strncmp(word, *list, (size_t) length) == 0)
            d = 1;
        if (d < least) {
            least = d;
            best = *list;
        }
    }
    return best;
}
