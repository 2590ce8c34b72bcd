/**
 * The trained network with known answers, where the file is there: 220 images, and what
 * they give in double precision. Found in $FMAL_GOLDEN, or beside the source tree; a
 * test that includes this defines FMAL_SOURCE_DIR.
 */
#ifndef FMAL_GOLDEN_NET_H
#define FMAL_GOLDEN_NET_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fmal/io.h"
#include "fmal/nn.h"

enum { GOLDEN_N = 220, GOLDEN_CLASSES = 10, GOLDEN_INPUTS = 3072 };

/** Path of the file; whether it is there. */
static inline bool golden_path(char *path, size_t size)
{
    const char *dir = getenv("FMAL_GOLDEN");

    snprintf(path, size, "%s/fishermask_cifar.h5",
             dir ? dir : FMAL_SOURCE_DIR "/../shared/golden");
    return fmal_file_exists(path);
}

/** The file's name of a tensor: layer2.0.bn1.weight is L.2.b1.weight there, and so on.
 */
static inline void golden_name(const char *name, char *there, size_t room)
{
    int stage, block, k;
    char part[32];

    if (sscanf(name, "layer%d.%d.downsample.%d.%31s", &stage, &block, &k, part) == 4)
        snprintf(there, room, "/weights/L.%d.sc.%d.%s", 2 * (stage - 1) + block, k,
                 part);
    else if (sscanf(name, "layer%d.%d.conv%d.%31s", &stage, &block, &k, part) == 4)
        snprintf(there, room, "/weights/L.%d.c%d.%s", 2 * (stage - 1) + block, k, part);
    else if (sscanf(name, "layer%d.%d.bn%d.%31s", &stage, &block, &k, part) == 4)
        snprintf(there, room, "/weights/L.%d.b%d.%s", 2 * (stage - 1) + block, k, part);
    else
        snprintf(there, room, "/weights/%s%s",
                 strncmp(name, "conv1", 5) == 0 ? "c"
                 : strncmp(name, "bn1", 3) == 0 ? "b"
                                                : "f",
                 strchr(name, '.'));
}

static inline fmal_status golden_tensor(fmal_h5 *h, const fmal_tensor *tensor,
                                        float *block)
{
    char there[80];

    golden_name(tensor->name, there, sizeof there);
    return fmal_h5_read(h, there, FMAL_F32, block + tensor->offset);
}

/** Make the network, with its weights and statistics. */
static inline fmal_status golden_net(fmal_h5 *h, fmal_net **net)
{
    FMAL_TRY(fmal_net_create("resnet18-slim", (const int[]){ 3, 32, 32 },
                             GOLDEN_CLASSES, 1, 32, net));
    for (int i = 0; i < fmal_net_tensors(*net); i++)
        FMAL_TRY(golden_tensor(h, fmal_net_tensor(*net, i), fmal_net_params(*net)));
    for (int i = 0; i < fmal_net_stat_tensors(*net); i++)
        FMAL_TRY(golden_tensor(h, fmal_net_stat_tensor(*net, i), fmal_net_stats(*net)));
    return FMAL_OK;
}

#endif
