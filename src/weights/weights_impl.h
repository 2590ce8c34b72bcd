/* Shared by the sources of this module. Nothing here is collective. */
#ifndef FMAL_WEIGHTS_IMPL_H
#define FMAL_WEIGHTS_IMPL_H

#include "fmal/weights.h"

/* Numbers that weights may be stored as. */
typedef enum fmal_stored_type {
    FMAL_STORED_F16,
    FMAL_STORED_BF16,
    FMAL_STORED_F32,
    FMAL_STORED_F64,
    FMAL_STORED_OTHER, /* not to be read */
} fmal_stored_type;

enum { FMAL_STORED_DIMS = 8, FMAL_STORED_MOST = 65536 };

/* A tensor of a file. */
typedef struct fmal_stored {
    char *name; /* as in the file: anything */
    fmal_stored_type type;
    int ndims;
    fmal_idx dims[FMAL_STORED_DIMS];
    fmal_idx count;     /* of elements */
    int64_t begin, end; /* safetensors: bytes, counted from the end of the header */
} fmal_stored;

/* An open file of weights. */
typedef struct fmal_store {
    const char *path; /* borrowed */
    fmal_stored *tensor;
    int n;
    fmal_h5 *h;           /* HDF5, or else */
    int fd;               /* safetensors; -1: none */
    int64_t data, length; /* where its tensors begin, and how many bytes they have */
} fmal_store;

/* Open a file and check everything but the numbers. The caller closes it even after a
   failure of this. */
fmal_status fmal_store_open(const char *path, fmal_store *s);
void fmal_store_close(fmal_store *s);

/* Numbers of tensor i, [count], converted; FMAL_ERR_FORMAT if one is not finite. */
fmal_status fmal_store_read(const fmal_store *s, int i, float *out);

/* The same for each format; s->path is set. */
fmal_status fmal_safetensors_open(fmal_store *s);
fmal_status fmal_safetensors_read(const fmal_store *s, int i, float *out);
fmal_status fmal_store_h5_open(fmal_store *s);
fmal_status fmal_store_h5_read(const fmal_store *s, int i, float *out);

/* A network to a file, all or nothing. */
fmal_status fmal_safetensors_save(const char *path, fmal_net *net);
fmal_status fmal_store_h5_save(const char *path, fmal_net *net, const char *history);

/* A tensor of a network: parameters first, then running statistics. */
typedef struct fmal_slot {
    const fmal_tensor *tensor;
    fmal_idx at;    /* in one block of parameters and statistics */
    bool is_weight; /* a parameter */
} fmal_slot;

int fmal_slots(const fmal_net *net);
fmal_slot fmal_slot_at(const fmal_net *net, int i);

/* Numbers of a slot in the network. */
float *fmal_slot_values(fmal_net *net, const fmal_slot *slot);

/* ---- Names ---- */

enum { FMAL_NAME_BYTES = 256, FMAL_LABEL_BYTES = 64 };

/* What we call a tensor that others call `name`; clipped. */
void fmal_name_ours(const char *name, char ours[FMAL_NAME_BYTES]);

/* Whether a tensor counts batches, which nothing here depends on. */
bool fmal_name_is_counter(const char *name);

/* A name for messages: clipped, and nothing in it that a terminal obeys. */
const char *fmal_name_label(const char *name, char label[FMAL_LABEL_BYTES]);

#endif
