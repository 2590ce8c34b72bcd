#include "nn_impl.h"
#include "fmal/opts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Every network ends in a bias-free dense layer named "head". */

static void build_logreg(fmal_net *net, int hidden)
{
    (void) hidden;
    fmal_net_append_dense(net, "head", net->classes, false);
}

static void build_mlp(fmal_net *net, int hidden)
{
    assert(hidden >= 1);
    fmal_net_append_dense(net, "hidden", hidden, true);
    fmal_net_append_relu(net);
    fmal_net_append_dense(net, "head", net->classes, false);
}

/* Name, and a line on it. */
#define ARCH_LIST(X)                                                                   \
    X(logreg, "logistic regression: a linear head on the input")                       \
    X(mlp, "one hidden layer of rectified linear units")

typedef void arch_build(fmal_net *net, int hidden);

#define NAME(name, summary)    #name,
#define SUMMARY(name, summary) summary,
#define BUILD(name, summary)   build_##name,
const char *const fmal_arch_names[] = { ARCH_LIST(NAME) NULL };
const char *const fmal_arch_summaries[] = { ARCH_LIST(SUMMARY) NULL };
static arch_build *const builders[] = { ARCH_LIST(BUILD) };

static fmal_status unknown(const char *arch)
{
    char list[256] = "";
    const char *near = fmal_nearest(arch, fmal_arch_names);

    for (int i = 0; fmal_arch_names[i]; i++) {
        size_t used = strlen(list);

        snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "",
                 fmal_arch_names[i]);
    }
    if (near)
        return FMAL_FAIL(FMAL_ERR_USAGE, "unknown network '%s'; did you mean '%s'?",
                         arch, near);
    return FMAL_FAIL(FMAL_ERR_USAGE, "unknown network '%s'; there are %s", arch, list);
}

fmal_status fmal_arch_build(fmal_net *net, const char *arch, int hidden)
{
    for (int i = 0; i < FMAL_COUNT(builders); i++)
        if (strcmp(arch, fmal_arch_names[i]) == 0) {
            builders[i](net, hidden);
            return FMAL_OK;
        }
    return unknown(arch);
}
