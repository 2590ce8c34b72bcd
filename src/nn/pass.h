/**
 * Passes through a network, forward and backward, in one number type (real.h).
 */
#ifndef FMAL_PASS_H
#define FMAL_PASS_H

#include "layer.h"
#include "precise.h"

/** A network with memory to compute in. The network and its blocks are borrowed. */
typedef struct FMAL_REAL(fmal_pass) {
    const fmal_net *net;
    const fmal_real *params; /* [size], and [stats_size]; may change between calls */
    const fmal_real *stats;

    fmal_real *kept[FMAL_MAX_LAYERS]; /* outputs kept for a backward pass, by buffer */
    fmal_real *slots[FMAL_MAX_SLOTS]; /* slopes, or outputs that are not kept */
    fmal_real *extra; /* slopes, before they are added to what is there */
    fmal_real *work;
    fmal_real *batch_stats, *saved; /* [stats_size], of fmal_call */
    double *probs;                  /* [classes], of one sample */
    fmal_precise *precise; /* for squares in single precision; may be NULL; borrowed */
    double bytes;          /* of all of this */

    /* Of the run under way. */
    bool keep;
    const fmal_real *x;
    fmal_call call; /* but for the layer */
} fmal_pass;

/** Memory for runs of `room` samples. @return FMAL_ERR_NOMEM */
fmal_status FMAL_REAL(fmal_pass_init)(fmal_pass *p, const fmal_net *net,
                                      const fmal_real *params, const fmal_real *stats,
                                      int room);
void FMAL_REAL(fmal_pass_clear)(fmal_pass *p);

/* Of all of these: see fmal/nn.h. The keys of a training batch are in `batch`, its
   samples in x. */
void FMAL_REAL(fmal_pass_gradient)(fmal_pass *p, const fmal_real *x,
                                   const fmal_net_batch *batch, fmal_real *grad,
                                   fmal_real *stats, double *loss, int *correct);
void FMAL_REAL(fmal_pass_forward)(fmal_pass *p, const fmal_real *x, int n,
                                  fmal_real *features, fmal_real *logits);
void FMAL_REAL(fmal_pass_squares)(fmal_pass *p, const fmal_real *x, int n,
                                  fmal_real *squares);
void FMAL_REAL(fmal_pass_jacobian)(fmal_pass *p, const fmal_real *x, int n,
                                   const fmal_idx *index, fmal_idx count,
                                   fmal_jacobian_rows rows, fmal_real *jacobian);

/* ---- What the above are made of ---- */

/** All outputs for n samples; of training if batch is not NULL. keep: for a backward
    pass. */
void FMAL_REAL(fmal_pass_run)(fmal_pass *p, const fmal_real *x, int n,
                              const fmal_net_batch *batch, bool keep);

/** What the last run gave: logits [n, c], features [n, d]. */
const fmal_real *FMAL_REAL(fmal_pass_logits)(const fmal_pass *p);
const fmal_real *FMAL_REAL(fmal_pass_features)(const fmal_pass *p);

/** Where a backward pass finds the slopes by the logits, [n, c]. */
fmal_real *FMAL_REAL(fmal_pass_seeds)(const fmal_pass *p);

/** What is done about the parameters of a layer; x: its input, dy: slopes of its
    output. */
typedef void fmal_pass_visit(const fmal_call *c, const fmal_real *x,
                             const fmal_real *dy, void *own);

/** After a run that kept its outputs: visit all layers with parameters from the last
    down to layer `stop`. */
void FMAL_REAL(fmal_pass_back)(fmal_pass *p, int stop, fmal_pass_visit *visit,
                               void *own);

/** fmal_softmax_loss. */
void FMAL_REAL(fmal_cross_entropy)(const fmal_real *logits, const int32_t *labels,
                                   int n, int c, fmal_real *slope, double *loss,
                                   int *correct);

extern const fmal_layer_ops *const FMAL_REAL(fmal_layer_table)[FMAL_LAYER_KINDS];

#endif
