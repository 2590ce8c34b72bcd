/* The interface that a form of factor implements. */
#ifndef FMAL_FACTOR_IMPL_H
#define FMAL_FACTOR_IMPL_H

#include "fmal/factor.h"
#include "fmal/isa.h"

/* Operations of one form; `self` is the factor, `own` of a panel its form's data. */
typedef struct fmal_factor_ops {
    const char *name;
    void (*destroy)(fmal_factor *self);
    fmal_status (*gram)(const fmal_factor *self, const uint8_t *take, double weight,
                        fmal_dmat *out, double *flops);
    void (*row)(const fmal_factor *self, fmal_idx index_g, double *v);
    void (*sample)(const fmal_factor *self, fmal_idx index_g, double scale,
                   fmal_sample *out);
    fmal_status (*panel_open)(fmal_panel *panel, int max_cols);
    void (*panel_close)(fmal_panel *panel);
    fmal_status (*quadratic)(fmal_panel *panel, int n, const fmal_dmat *const *a,
                             double *const *g, double *flops); /* n: 1 or 2 */
    void (*load)(fmal_panel *panel, const double *w, int cols);
    void (*apply)(fmal_panel *panel, fmal_idx block, double *out);
    double (*bytes)(const fmal_factor *self);
    double (*gram_bytes)(const fmal_factor *self);
    double (*panel_bytes)(const fmal_factor *self, double slots, int max_cols);
    double (*quadratic_bytes)(const fmal_factor *self, double slots, int matrices);
    double (*stream_bytes)(const fmal_factor *self, double slots, bool one_step);
    double (*gram_flops)(const fmal_factor *self);       /* a sample */
    double (*quadratics_flops)(const fmal_factor *self); /* the same, of two matrices */
    double (*stream_flops)(const fmal_factor *self);     /* a sample and step */
    fmal_status (*stream_open)(fmal_stream *stream);
    void (*stream_close)(fmal_stream *stream);
    void (*stream_put)(fmal_stream *stream, fmal_idx tile); /* its samples are new */
    void (*stream_push)(fmal_stream *stream, int step, const double *wz);
    int (*stream_apply)(fmal_stream *stream, int first, int last, fmal_idx tile,
                        int n_tiles, float *pq);
    void (*cut)(const fmal_factor *self, fmal_fisher fisher, fmal_idx il, double *cut);
    fmal_status (*gram_blocks)(const fmal_factor *self, const uint8_t *take,
                               double weight, const fmal_part *classes, size_t stride,
                               double *out, double *flops); /* NULL: no class blocks */
} fmal_factor_ops;

struct fmal_factor {
    const fmal_factor_ops *ops;
    fmal_ctx ctx;
    fmal_part part;
    fmal_isa isa; /* the lowest of all ranks */
    fmal_idx order;
    int rank;
    int blocks;  /* of a sample in the Kronecker form, else 0 */
    int classes; /* blocks over which rows sum to zero, or 1 */
    int center;  /* the first blocks over which they do, more columns or not; or 1 */
    int block;   /* columns of each of those */
    int class_blocks; /* on the diagonal of the information */
    bool streams;     /* samples are read from a file */
    fmal_rows rows;   /* of those, if so */
    void *own;        /* the form's data */
};

struct fmal_panel {
    const fmal_factor *factor;
    double scale;
    fmal_idx blocks, groups;
    fmal_idx *first_group; /* [blocks + 1] */
    fmal_idx *local;       /* [groups, LANES]: local index, or -1 in padding */
    fmal_idx *index_g;     /* [groups, LANES] */
    int cols;              /* of the loaded W */
    void *own;
};

/* The most slots that a block takes: whole groups, whatever the size of a block. */
fmal_idx fmal_block_slots(const fmal_factor *f);

#endif
