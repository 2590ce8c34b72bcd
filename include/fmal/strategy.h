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
 *         larger than the number of candidates; FMAL_ERR_NUMERIC, FMAL_ERR_NOMEM;
 * agreed
 */
fmal_status fmal_strategy_pick(const fmal_strategy *strategy, const fmal_query *query,
                               fmal_batch *out);

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
