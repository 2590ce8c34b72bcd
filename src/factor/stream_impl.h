/* Shared by the single-precision parts of all forms of factors. */
#ifndef FMAL_STREAM_IMPL_H
#define FMAL_STREAM_IMPL_H

#include "factor_impl.h"
#include "stream_kernel.h"

enum { LANES = FMAL_STREAM_LANES };

/*
 * [W | Z]^T of several steps, packed for the micro-kernel: a step has `rows` rows of
 * `depth` numbers, cut into chunks of whole units (the class blocks of one column), cut
 * into panels. Steps of few rows share a panel.
 */
typedef struct fmal_columns {
    int rows, unit, depth;
    int per_panel; /* steps of a panel */
    int chunk, chunks,
        panels; /* rows of a chunk; chunks of a step; panels of a chunk */
    float *w;
} fmal_columns;

/* Bytes that such columns take, and of the rows of a chunk and a panel more. */
double fmal_columns_bytes(int rows, int unit, int depth, bool one_step);
double fmal_columns_y_bytes(int rows, int unit, int depth);

/* Sets the stream's capacity, most_steps and cached too. */
fmal_status fmal_columns_create(fmal_stream *s, int rows, int unit, int depth,
                                fmal_columns *c);
void fmal_columns_clear(fmal_columns *c);

/* Take a step's rows: units lie `stride` apart in x, the rows of a unit side by side.
 */
void fmal_columns_pack(fmal_columns *c, int step, const double *x, size_t stride);

int fmal_columns_chunk_rows(const fmal_columns *c, int chunk);

/* y [steps, rows of the chunk, LANES] = the chunk of `steps` steps that share a panel,
   times h [depth, LANES]; y has room for a panel more. */
void fmal_columns_multiply(const fmal_columns *c, const fmal_stream_kernel *kernel,
                           int step, int steps, int chunk, const float *h, float *y);

/* How many of the steps [first, last) can be multiplied in one go. */
int fmal_columns_together(const fmal_columns *c, int first, int last);

struct fmal_stream {
    const fmal_factor *factor;
    const fmal_stream_kernel *kernel;
    double scale;
    fmal_idx tiles;
    fmal_idx *local; /* [tiles, LANES]: local index, -1 in padding */
    bool one_step;
    int capacity, steps; /* kept at most, and now */
    int most_steps;      /* that are applied in one go */
    bool cached;         /* a step's columns leave room in the cache for samples */
    double flops;        /* of one step and tile */
    void *own;           /* the form's data */
};

#endif
