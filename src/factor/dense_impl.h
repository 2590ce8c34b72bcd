/* Shared by the files of the dense form. */
#ifndef FMAL_DENSE_IMPL_H
#define FMAL_DENSE_IMPL_H

#include "factor_impl.h"

typedef struct dense {
    const float *v; /* [n_l, r, D], borrowed */
    float *sample;  /* [r, D] */
    double *rows;   /* [r, D]: of one sample */
} dense;

double fmal_dense_stream_bytes(const fmal_factor *f, double slots, bool one_step);
double fmal_dense_stream_flops(const fmal_factor *f);
fmal_status fmal_dense_stream_open(fmal_stream *s);
void fmal_dense_stream_close(fmal_stream *s);
void fmal_dense_stream_put(fmal_stream *s, fmal_idx tile);
void fmal_dense_stream_push(fmal_stream *s, int step, const double *wz);
int fmal_dense_stream_apply(fmal_stream *s, int first, int last, fmal_idx tile,
                            int n_tiles, float *pq);

#endif
