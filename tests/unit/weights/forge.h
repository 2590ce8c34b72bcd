/**
 * Files of weights made by hand, right or wrong, and a small network for them.
 */
#ifndef FMAL_TEST_FORGE_H
#define FMAL_TEST_FORGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fmal/io.h"
#include "fmal/mem.h"
#include "fmal/weights.h"
#include "fmal_test.h"

/* mlp: hidden.weight [5, 6], hidden.bias [5], head.weight [3, 5]. */
enum { INPUTS = 6, HIDDEN = 5, CLASSES = 3, SIZE = 30 + 5 + 15 };

static inline fmal_net *small_net(uint64_t seed)
{
    const int shape[3] = { INPUTS, 1, 1 };
    fmal_net *net = NULL;

    if (fmal_net_create("mlp", shape, CLASSES, HIDDEN, 4, &net) != FMAL_OK)
        abort();
    fmal_net_init(net, seed, 0);
    return net;
}

static inline bool same_params(fmal_net *a, fmal_net *b)
{
    return memcmp(fmal_net_params(a), fmal_net_params(b), SIZE * sizeof(float)) == 0;
}

/** A safetensors file: the length of the header, or another number; the header; bytes.
    Root only. */
static inline fmal_status put_file(const char *path, uint64_t length,
                                   const char *header, const void *data, size_t bytes)
{
    size_t n = strlen(header);
    unsigned char *file = malloc(8 + n + bytes + 1);

    if (!file)
        abort();
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char) (length >> 8 * i & 255);
    memcpy(file + 8, header, n);
    if (bytes > 0)
        memcpy(file + 8 + n, data, bytes);
    fmal_status st = fmal_file_replace(path, file, 8 + n + bytes);
    free(file);
    return st;
}

/** A header of the small network's three tensors under these names, in single precision
    and in this order, and any other entries after them. */
static inline void small_header(char *text, size_t size, const char *const names[3],
                                const char *rest)
{
    snprintf(text, size,
             "{\"%s\":{\"dtype\":\"F32\",\"shape\":[5,6],\"data_offsets\":[0,120]},"
             "\"%s\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[120,140]},"
             "\"%s\":{\"dtype\":\"F32\",\"shape\":[3,5],\"data_offsets\":[140,200]}%s}",
             names[0], names[1], names[2], rest);
}

/** Loading it into a network of other weights; the text of a failure is kept. */
static inline fmal_status load_into(fmal_test *t, const char *path, fmal_head head,
                                    fmal_net *net, bool *has_head)
{
    fmal_error_set("", "");
    return fmal_weights_load(&t->ctx, path, head, net, has_head);
}

#endif
