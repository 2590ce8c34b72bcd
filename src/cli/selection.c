#include "selection.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const labelled_names[] = { "mean", "sum", NULL };
enum { MEAN, SUM };
/* In the order of fmal_fisher. */
static const char *const fisher_names[] = { "full", "block", "diag", NULL };

static const char *const select_names[] = { "greedy", "top", NULL };
enum { GREEDY, TOP };

static const char *const precision_names[] = { "mixed", "double", NULL };
enum { MIXED, DOUBLE };

#define AT(member) offsetof(selection_options, member)
const fmal_opt selection_table[] = {
    { .name = "strategy",
      .letter = 's',
      .type = FMAL_OPT_CHOICE,
      .offset = AT(strategy),
      .def = "bait",
      .choices = fmal_strategy_names,
      .arg = "NAME",
      .identity = true,
      .help = "how to pick" },
    { .name = "batch",
      .letter = 'b',
      .type = FMAL_OPT_INT,
      .offset = AT(batch),
      .def = "100",
      .min = 1,
      .max = 1e12,
      .arg = "K",
      .identity = true,
      .help = "samples to pick in a batch" },
    { .name = "lambda",
      .type = FMAL_OPT_REAL,
      .offset = AT(lambda),
      .def = "1",
      .min = 1e-12,
      .max = 1e12,
      .identity = true,
      .help = "ridge added to the information of the labelled samples" },
    { .name = "oversample",
      .type = FMAL_OPT_REAL,
      .offset = AT(oversample),
      .def = "2",
      .min = 1,
      .max = 1e6,
      .identity = true,
      .help = "samples added per sample of the batch, before removals" },
    { .name = "fisher",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(fisher),
      .def = "full",
      .choices = fisher_names,
      .arg = "WHAT",
      .identity = true,
      .help =
          "of information matrices: all, their class blocks on the diagonal, or the "
          "diagonal" },
    { .name = "labelled-fisher",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(labelled_fisher),
      .def = "mean",
      .choices = labelled_names,
      .arg = "HOW",
      .identity = true,
      .help = "how the information of the labelled samples counts" },
    { .name = "topc",
      .type = FMAL_OPT_INT,
      .offset = AT(topc),
      .def = "2",
      .min = 1,
      .max = 1e5,
      .identity = true,
      .help = "most probable classes whose information counts (bait-topc)" },
    { .name = "select",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(select),
      .def = "greedy",
      .choices = select_names,
      .arg = "HOW",
      .identity = true,
      .help = "search, or take the best first scores" },
    { .name = "precision",
      .type = FMAL_OPT_CHOICE,
      .offset = AT(precision),
      .def = "mixed",
      .choices = precision_names,
      .arg = "HOW",
      .identity = true,
      .help =
          "of passes over candidates: single precision with decisions as in double, "
          "or double" },
    { .name = "lazy",
      .type = FMAL_OPT_STRING,
      .offset = AT(lazy),
      .def = "auto",
      .arg = "HOW",
      .identity = true,
      .help =
          "score only candidates that may be the best: exact (proven), off, auto, or "
          "a slack of 1 or more (a guess: picks may depend on the number of ranks and "
          "on "
          "restarts)" },
    { .name = "grid",
      .type = FMAL_OPT_STRING,
      .offset = AT(grid),
      .def = "auto",
      .arg = "RxC",
      .identity = true,
      .help = "ranks that share the matrices, as rows x columns, or auto" },
    { .name = "seed",
      .type = FMAL_OPT_INT,
      .offset = AT(seed),
      .def = "1",
      .min = 0,
      .max = 9e18,
      .identity = true,
      .help = "seed of everything random" },
    { .name = NULL },
};

const fmal_strategy *selection_strategy(const selection_options *o)
{
    return fmal_strategy_at(o->strategy);
}

/* Whether an option is some strategy's own; the others are everybody's. */
static bool is_strategys_own(const char *name)
{
    for (int i = 0; i < fmal_strategy_count(); i++)
        if (fmal_strategy_honours(fmal_strategy_at(i), name))
            return true;
    return false;
}

/* An option that the strategy does not use is an error, not ignored. */
static fmal_status check_honoured(const fmal_opts *opts, const selection_options *o)
{
    const fmal_strategy *strategy = selection_strategy(o);

    for (int i = 0; i < fmal_opts_count(opts); i++) {
        const char *name = fmal_opts_at(opts, i)->name;

        if (fmal_opts_given(opts, name) && is_strategys_own(name) &&
            !fmal_strategy_honours(strategy, name))
            return FMAL_FAIL(FMAL_ERR_USAGE,
                             "--%s: the strategy '%s' does not use it; leave it out",
                             name, strategy->name);
    }
    if (o->select == TOP && fmal_opts_given(opts, "oversample"))
        return FMAL_FAIL(
            FMAL_ERR_USAGE,
            "--oversample: --select top adds nothing to remove again; leave "
            "one of them out");
    return FMAL_OK;
}

/* What goes with information matrices that are cut down. */
static fmal_status check_fisher(const fmal_opts *opts, const selection_options *o)
{
    static const char *const full_only[] = { "grid", "precision", "lazy" };

    if (o->fisher == FMAL_FISHER_FULL)
        return FMAL_OK;
    for (int i = 0; i < FMAL_COUNT(full_only); i++)
        if (fmal_opts_given(opts, full_only[i]))
            return FMAL_FAIL(FMAL_ERR_USAGE,
                             "--%s: only --fisher full uses it; leave one of them out",
                             full_only[i]);
    if (o->fisher == FMAL_FISHER_BLOCK &&
        selection_strategy(o)->likelihood == FMAL_LIKELIHOOD_BINARY)
        return FMAL_FAIL(
            FMAL_ERR_USAGE,
            "--fisher block: the information of '%s' is one block, so that "
            "this is what it does anyway; leave it out, or take diag",
            selection_strategy(o)->name);
    return FMAL_OK;
}

/* "auto" or "2x3" to rows and columns; 0 and 0 for auto. */
static fmal_status parse_grid(const char *text, int *rows, int *cols)
{
    char rest;

    *rows = *cols = 0;
    if (strcmp(text, "auto") == 0)
        return FMAL_OK;
    if (sscanf(text, "%dx%d%c", rows, cols, &rest) != 2 || *rows < 1 || *cols < 1 ||
        *rows > 1 << 15 || *cols > 1 << 15)
        return FMAL_FAIL(FMAL_ERR_USAGE, "--grid: '%s' is neither auto nor ROWSxCOLS",
                         text);
    return FMAL_OK;
}

/* "exact", "off", "auto" or a number; auto is exact for the strategies that it speeds
   up. */
static fmal_status parse_lazy(const char *text, const fmal_strategy *strategy,
                              fmal_select_options *s)
{
    char *end;

    s->lazy = strcmp(text, "off") != 0;
    if (strcmp(text, "auto") == 0)
        s->lazy = strategy->searches && strategy->likelihood == FMAL_LIKELIHOOD_BINARY;
    if (strcmp(text, "off") == 0 || strcmp(text, "exact") == 0 ||
        strcmp(text, "auto") == 0)
        return FMAL_OK;
    s->slack = strtod(text, &end);
    if (end == text || *end || !(s->slack >= 1 && s->slack <= 1e6))
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "--lazy: '%s' is neither exact, off, auto nor a slack of 1 to "
                         "1e6",
                         text);
    return FMAL_OK;
}

fmal_status selection_map(const fmal_opts *opts, const selection_options *o,
                          fmal_select_options *out)
{
    fmal_select_options s = {
        .batch = o->batch,
        .lambda = o->lambda,
        .oversample = o->oversample,
        .fisher = (fmal_fisher) o->fisher,
        .labelled_sum = o->labelled_fisher == SUM,
        .top = o->select == TOP,
        .double_precision = o->precision == DOUBLE,
        .likelihood = selection_strategy(o)->likelihood,
        .topc = (int) o->topc,
    };

    FMAL_TRY(check_honoured(opts, o));
    FMAL_TRY(check_fisher(opts, o));
    FMAL_TRY(parse_grid(o->grid, &s.grid_rows, &s.grid_cols));
    FMAL_TRY(parse_lazy(o->lazy, selection_strategy(o), &s));
    if (o->fisher != FMAL_FISHER_FULL)
        s.lazy = false;
    if (s.double_precision || s.top) {
        if (s.lazy && strcmp(o->lazy, "auto") != 0)
            return FMAL_FAIL(
                FMAL_ERR_USAGE,
                "--lazy %s: %s scores every candidate; leave one of them out", o->lazy,
                s.top ? "--select top" : "--precision double");
        s.lazy = false;
    }
    *out = s;
    return FMAL_OK;
}

void selection_print(const cli *c, bool dry_run, const fmal_select_plan *plan,
                     const char *of)
{
    char matrices[80];

    if (plan->fisher == FMAL_FISHER_FULL)
        snprintf(matrices, sizeof matrices, "grid=%dx%d factor_rank=%d",
                 plan->grid_rows, plan->grid_cols, plan->rank);
    else
        snprintf(matrices, sizeof matrices, "fisher=%s blocks=%d",
                 fisher_names[plan->fisher], plan->blocks);
    plan_line(c, dry_run,
              "D=%" PRId64 " %s steps=%" PRId64 "+%" PRId64 " (added+removed)%s",
              plan->order, matrices, plan->forward, plan->backward, of);
}
