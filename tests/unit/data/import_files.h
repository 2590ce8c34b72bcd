/* Files to import, made in memory, spoiled by a test, and written plain or gzip. */
#ifndef FMAL_TEST_IMPORT_FILES_H
#define FMAL_TEST_IMPORT_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "fmal/data.h"
#include "fmal/mem.h"
#include "fmal_test.h"

/* Content of a file. A plain value of fixed capacity. */
typedef struct blob {
    unsigned char data[1 << 20];
    size_t size;
} blob;

static inline void blob_add(blob *b, const void *bytes, size_t n)
{
    memcpy(b->data + b->size, bytes, n);
    b->size += n;
}

/* Append a big-endian word. */
static inline void blob_word(blob *b, uint32_t w)
{
    unsigned char bytes[4] = { (unsigned char) (w >> 24), (unsigned char) (w >> 16),
                               (unsigned char) (w >> 8), (unsigned char) w };

    blob_add(b, bytes, sizeof bytes);
}

/* Overwrite the big-endian word at an offset. */
static inline void blob_set(blob *b, size_t at, uint32_t w)
{
    size_t size = b->size;

    b->size = at;
    blob_word(b, w);
    b->size = size;
}

/* Replace a content by its gzip stream. */
static inline void blob_gzip(blob *b)
{
    static blob packed;
    z_stream z = { .next_in = b->data, .avail_in = (uInt) b->size };

    z.next_out = packed.data;
    z.avail_out = sizeof packed.data;
    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    packed.size = z.total_out;
    deflateEnd(&z);
    *b = packed;
}

static inline void blob_write(const blob *b, const char *path)
{
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(b->data, 1, b->size, f) != b->size || fclose(f) != 0)
        abort();
}

/* Pixels that compress little: a test then knows how large a file becomes. */
static inline unsigned char noise(unsigned i)
{
    i = (i ^ 61) ^ (i >> 16);
    i *= 9;
    i ^= i >> 4;
    i *= 0x27d4eb2d;
    return (unsigned char) (i ^ (i >> 15));
}

/* Whether all words, up to a NULL or three, are in the text of the last failure. */
static inline bool error_says(const char *const words[3])
{
    for (int i = 0; i < 3 && words[i]; i++)
        if (!strstr(fmal_error_text(), words[i])) {
            printf("# '%s' is not in '%s'\n", words[i], fmal_error_text());
            return false;
        }
    return true;
}

/* What a refused import must leave alone. */
static inline void precious_write(const char *path)
{
    static const blob precious = { "precious", 8 };

    blob_write(&precious, path);
}

static inline bool precious_intact(const char *path)
{
    char *data = NULL, temporary[600];
    size_t bytes = 0;
    bool same;

    snprintf(temporary, sizeof temporary, "%s.new", path);
    if (fmal_file_read(path, 100, &data, &bytes) != FMAL_OK)
        return false;
    same = bytes == 8 && memcmp(data, "precious", 8) == 0;
    fmal_free(&data);
    return same && !fmal_file_exists(temporary);
}

#endif
