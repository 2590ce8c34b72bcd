#include "fisher_impl.h"
#include "fmal/mask.h"

#include <stdio.h>

int fmal_watch_stop(const fmal_ctx *ctx, const fmal_watch *watch)
{
    return watch->stop ? fmal_stop_agree(ctx, watch->stop) : 0;
}

bool fmal_all_finite(const float *x, fmal_idx n)
{
    for (fmal_idx i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

void fmal_net_checksum(fmal_net *net, char hex[33])
{
    char both[2][33];

    fmal_checksum(fmal_net_params(net), (size_t) fmal_net_size(net) * sizeof(float),
                  both[0]);
    fmal_checksum(fmal_net_stats(net),
                  (size_t) fmal_net_stats_size(net) * sizeof(float), both[1]);
    fmal_checksum(both, sizeof both, hex);
}
