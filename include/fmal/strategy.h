/**
 * Query strategies: given features and class probabilities of a pool, pick a batch.
 *
 * A strategy is a const struct with a name, a line of description, the options it
 * honours and one function. Adding one means a new file and a line in the registry.
 *
 *     fmal_strategy_pick(fmal_strategy_at(choice), &query, &batch);
 */
#ifndef FMAL_STRATEGY_H
#define FMAL_STRATEGY_H

#include "fmal/mask.h"
#include "fmal/select.h"

/**
 * How a long selection is saved and stopped. A plain value; all zero never does either.
 */
typedef struct fmal_keeper {
    /* Save the steps so far. Collective; returns an agreed status. NULL: never. */
    fmal_status (*save)(void *arg, const fmal_select_state *state);
    void *arg;
    double every_seconds;            /* between saves; 0: not by time */
    fmal_idx every_steps;            /* between saves; 0: not by steps */
    fmal_stop *stop;                 /* NULL: never stop early */
    const fmal_select_state *resume; /* NULL: start at the beginning */
} fmal_keeper;

/** How strategies look into a network by a mask of its parameters. A plain value; equal
    on all ranks; all is borrowed. */
typedef struct fmal_masking {
    const fmal_mask *mask;          /* this one; NULL: one is made for every query */
    fmal_mask_options make;         /* so; seed and round are the query's */
    bool unweighted;                /* of fmal_factor_mixed */
    fmal_jacobian_options jacobian; /* a file of it stays until the caller has saved the
                                       batch and removes it */
} fmal_masking;

/** What to pick from and how, this rank's share. A plain value; all is borrowed. */
typedef struct fmal_query {
    const fmal_ctx *ctx;
    const fmal_part *part;
    const float *features; /* [part->count, d]; NULL: they are read from `file` */
    fmal_rows_file *file;
    const double *probs; /* [part->count, c] */
    const float
        *embeddings;     /* [part->count, rows, columns] in place of both, or NULL */
    const uint8_t *role; /* [part->count], values of fmal_role */
    int d, c;
    int rows;
    fmal_idx columns;
    fmal_net *net; /* that gave features and probabilities, and the data set */
    const fmal_dataset *set;     /* whose training split the pool is; NULL: unknown */
    const fmal_masking *masking; /* for strategies that need a network, else NULL */
    fmal_select_options options; /* batch, and what the strategy honours */
    uint64_t seed;
    uint32_t round; /* keys random picks with the seed */
    fmal_keeper keeper;
    fmal_phases *phases; /* may be NULL */
} fmal_query;

/** A batch. A plain value, cleared by fmal_batch_clear. */
typedef struct fmal_batch {
    fmal_idx n;
    fmal_idx *index; /* [n] global, in the order picked */
    double *score;   /* [n] by which they were picked; larger is better */
    bool has_objective;
    double before, after;       /* tr(M^-1 F) without the batch and with it */
    fmal_idx forward, backward; /* steps; without a search 0 */
    fmal_idx *added, *removed;  /* [forward], [backward] global, in order */
    fmal_select_log log;
} fmal_batch;

/** A strategy. */
typedef struct fmal_strategy {
    const char *name;
    const char *summary;        /* one line */
    const char *score;          /* what its scores are */
    const char *unit;           /* of its scores; NULL: none */
    const char *time, *memory;  /* cost in n samples, d, c, k picks, D = c d, P ranks */
    const char *const *options; /* of select and run that it honours beyond --batch and
                                   --seed; ended by NULL */
    bool searches; /* by Fisher information: fmal_select_plan_make applies */
    fmal_likelihood likelihood; /* of its factors, if so */
    bool takes_embeddings;      /* in place of features and probabilities */
    bool needs_network;         /* query->net, set and masking; what its search takes is
                                   for fmal_strategy_plan to say */
    fmal_status (*pick)(const fmal_query *query, fmal_batch *out);
} fmal_strategy;

/** Names of the strategies, ended by NULL, for option tables; how many there are; and
    strategy i of the names' order. */
extern const char *const fmal_strategy_names[];
int fmal_strategy_count(void);
const fmal_strategy *fmal_strategy_at(int i);

/** Whether a strategy honours an option of that name. Not collective. */
bool fmal_strategy_honours(const fmal_strategy *strategy, const char *option);

/**
 * Pick a batch.
 *
 * Collective; the query equal on all ranks but for the arrays.
 *
 * @param[out] out  the same on every rank
 * @return FMAL_STOPPED after saving, when asked to stop; FMAL_ERR_ARG: a batch of 0 or
 *         larger than the number of candidates, no network for a strategy that needs
 *         one; FMAL_ERR_NUMERIC, FMAL_ERR_NOMEM; what fmal_mask_make and
 *         fmal_fisher_jacobian return; agreed
 */
fmal_status fmal_strategy_pick(const fmal_strategy *strategy, const fmal_query *query,
                               fmal_batch *out);

/** What a strategy that needs a network is planned from. A plain value; borrowed. */
typedef struct fmal_network_sizes {
    const fmal_net *net;
    const fmal_dataset *set;
    const fmal_masking *masking;
} fmal_network_sizes;

/**
 * Plan the search of a strategy. As fmal_select_plan_make; for strategies that need a
 * network, bytes_pool counts the Jacobian and bytes the mask too, flops_single the
 * passes through the network.
 *
 * Not collective.
 * @param options  likelihood is set to the strategy's
 * @param info     n, labelled, excluded, d, c
 * @param sizes    for strategies that need a network, else NULL
 * @return as fmal_select_plan_make and fmal_mask_check
 */
fmal_status fmal_strategy_plan(const fmal_strategy *strategy,
                               const fmal_select_options *options,
                               const fmal_pool_info *info,
                               const fmal_network_sizes *sizes, int ranks,
                               fmal_select_plan *plan);

/** Bytes that strategies without a search take at the most for so many samples, beside
    the pool. Not collective. */
double fmal_pick_best_bytes(fmal_idx samples);

/** Free what a batch holds. Not collective. */
void fmal_batch_clear(fmal_batch *batch);

/**
 * The k candidates with the smallest random keys: a draw without replacement that
 * depends on (seed, purpose, round) and the samples' indices alone. Collective.
 *
 * @param role  [part->count]; candidates are drawn
 * @param[out] out  cleared by the caller; score holds 1 - key
 */
fmal_status fmal_draw(const fmal_ctx *ctx, const fmal_part *part, const uint8_t *role,
                      fmal_idx k, uint64_t seed, int purpose, uint32_t round,
                      fmal_batch *out);

#endif
