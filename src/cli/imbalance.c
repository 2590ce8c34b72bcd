#include "imbalance.h"
#include "fmal/log.h"
#include "fmal/mem.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(imbalance_options, member)
const fmal_opt imbalance_table[] = {
    { .name = "pool-counts",
      .type = FMAL_OPT_STRING,
      .offset = AT(pool_counts),
      .arg = "CLASS:N,...",
      .identity = true,
      .help = "keep these classes only, and so many training samples of each, drawn by "
              "the seed; the test split keeps all samples of these classes" },
    { .name = "long-tail",
      .type = FMAL_OPT_REAL,
      .offset = AT(long_tail),
      .def = "1",
      .min = 1e-9,
      .max = 1,
      .arg = "FACTOR",
      .identity = true,
      .help = "training samples of the last class for each of the first; those "
              "between fall off geometrically; 1: all that there are" },
    { .name = NULL },
};

/* ---- CLASS:N,CLASS:N ---- */

/* A number of decimal digits alone. */
static bool read_number(const char **p, int64_t most, int64_t *out)
{
    char *end;

    if (!isdigit((unsigned char) **p))
        return false;
    errno = 0;
    *out = strtoll(*p, &end, 10);
    *p = end;
    return errno == 0 && *out <= most;
}

static bool read_pair(const char **p, fmal_class_count *out)
{
    int64_t label;

    if (!read_number(p, INT_MAX, &label) || *(*p)++ != ':' ||
        !read_number(p, INT64_MAX, &out->count))
        return false;
    out->label = (int) label;
    return **p == ',' || **p == 0;
}

/* As many elements as there are commas, and one. */
static fmal_status parse(const char *text, fmal_class_count **counts, int *n)
{
    enum { MOST_BYTES = 4000 }; /* of an option that is kept whole in checkpoints */
    const char *p = text;
    int room = 1;

    if (strlen(text) > MOST_BYTES)
        return FMAL_FAIL(FMAL_ERR_USAGE, "--pool-counts: is longer than %d bytes",
                         MOST_BYTES);
    for (const char *c = text; *c; c++)
        room += *c == ',';
    FMAL_TRY(FMAL_ALLOC(counts, room));
    for (*n = 0; *n < room; (*n)++, p++) {
        const char *begin = p;

        if (read_pair(&p, &(*counts)[*n]))
            continue;
        fmal_free(counts);
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--pool-counts: '%.*s' is no CLASS:N, as in 0:250,1:5000",
                         (int) strcspn(begin, ","), begin);
    }
    return FMAL_OK;
}

fmal_status imbalance_check(const fmal_opts *opts, const imbalance_options *o)
{
    fmal_class_count *counts = NULL;
    int n;

    if (!o->pool_counts)
        return FMAL_OK;
    if (fmal_opts_given(opts, "long-tail"))
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--pool-counts and --long-tail: both say how many samples a "
                         "class keeps; leave one of them out");
    FMAL_TRY(parse(o->pool_counts, &counts, &n));
    fmal_free(&counts);
    return FMAL_OK;
}

/* ---- The data set ---- */

static void log_classes(const fmal_ctx *ctx, const fmal_dataset *set, fmal_idx before)
{
    enum { SHOWN = 10 };
    char list[256] = "";
    int64_t *counts = NULL;

    if (fmal_agree(ctx, FMAL_ALLOC(&counts, set->classes)) == FMAL_OK) {
        fmal_split_count(ctx, &set->train, set->classes, counts);
        for (int k = 0; k < set->classes && k < SHOWN; k++)
            snprintf(list + strlen(list), sizeof list - strlen(list), " %" PRId64,
                     counts[k]);
        fmal_log(FMAL_LOG_INFO, "pool",
                 "samples=%" PRId64 " (of %" PRId64 ") test=%" PRId64
                 " classes=%d: %s%s",
                 set->train.part.n, before, set->test.part.n, set->classes, list + 1,
                 set->classes > SHOWN ? " ..." : "");
    }
    fmal_free(&counts);
}

fmal_status imbalance_apply(const fmal_ctx *ctx, const imbalance_options *o,
                            int64_t seed, fmal_dataset *set)
{
    fmal_class_count *counts = NULL;
    fmal_skew skew = { .long_tail = o->long_tail, .seed = (uint64_t) seed };
    fmal_idx before = set->train.part.n;
    fmal_status st = FMAL_OK;

    if (!o->pool_counts && o->long_tail >= 1)
        return FMAL_OK;
    if (o->pool_counts)
        st = parse(o->pool_counts, &counts, &skew.n_counts);
    skew.counts = counts;
    if ((st = fmal_agree(ctx, st)) == FMAL_OK) {
        st = fmal_dataset_skew(ctx, &skew, set);
        if (st == FMAL_ERR_USAGE)
            st = FMAL_FAIL(st, "--%s: %s", o->pool_counts ? "pool-counts" : "long-tail",
                           fmal_error_text());
    }
    fmal_free(&counts);
    if (st == FMAL_OK)
        log_classes(ctx, set, before);
    return st;
}
