/**
 * The loop of active learning: train, evaluate, score, pick, label, again.
 *
 * The central object is fmal_run, whose fmal_run_state holds everything that a restart
 * needs. After every round and inside long phases it calls back, so that its program
 * can save and report.
 *
 *     fmal_run_start(&setup, &run);             or fmal_run_resume(&setup, state, &run)
 *     st = fmal_run_rounds(run);                FMAL_OK, or FMAL_STOPPED
 *     fmal_run_end(&run);
 */
#ifndef FMAL_LOOP_H
#define FMAL_LOOP_H

#include "fmal/strategy.h"
#include "fmal/train.h"

/** What a run does. A plain value; equal on all ranks. */
typedef struct fmal_run_options {
    const char *arch; /* network; borrowed */
    int hidden;       /* its hidden units */
    const fmal_strategy *strategy;
    fmal_idx initial;           /* samples labelled at the start */
    fmal_idx rounds;            /* batches to pick */
    fmal_select_options select; /* the batch and how it is picked */
    fmal_masking masking; /* for strategies that need a network; the Jacobian's file is
                             removed after every pick */
    fmal_train_options train; /* round is set by the loop */
    bool warm;                /* keep the weights from round to round */
    fmal_net *start; /* weights that trainings start from, of a network of this kind;
                        borrowed; NULL: fresh ones */
    bool start_head; /* those of its last layer, too; else that begins afresh */
    uint64_t seed;
} fmal_run_options;

/** One round's numbers. A plain value. Round 0 is the initial set. */
typedef struct fmal_round {
    int64_t labelled; /* samples the model was trained on */
    int64_t epochs;
    double train_accuracy, train_loss; /* over the last epoch */
    double test_accuracy, test_loss;
    double before, after; /* tr(M^-1 F) of the pick; 0 for strategies without */
    double seconds_pick, seconds_train;
} fmal_round;

/** Where a run is. */
typedef enum fmal_stage {
    FMAL_STAGE_PICK,  /* a batch is being picked */
    FMAL_STAGE_TRAIN, /* the network is being trained on what is labelled */
    FMAL_STAGE_DONE,
} fmal_stage;

/** Everything a restart needs. Owned by the run or by who restored it; a plain value.
 */
typedef struct fmal_run_state {
    int64_t round; /* the one under way */
    fmal_stage stage;
    int64_t rounds_done;  /* entries of rounds */
    fmal_round *rounds;   /* [options.rounds + 1] */
    int classes;          /* of the data */
    int64_t *right;       /* [options.rounds + 1, classes] test samples right in each
                             round; -1: unknown, the state is of an older version */
    int64_t n_picks;      /* samples labelled so far, the initial ones first */
    fmal_idx *picks;      /* [initial + rounds x batch], in order */
    int64_t *first_pick;  /* [options.rounds + 2]: where each round's picks begin */
    int32_t *pick_labels; /* [n_picks] */
    double *pick_scores;  /* [n_picks] */
    float *params;        /* network's parameters */
    fmal_idx n_params;
    float *stats; /* its running statistics */
    fmal_idx n_stats;
    float *optimizer; /* fmal_trainer_state, if a training is under way */
    fmal_idx n_optimizer;
    fmal_train_count trained;    /* how far the training under way is */
    fmal_select_state selection; /* if has_selection */
    bool has_selection;
    const fmal_net *net;     /* borrowed, for the names of tensors; NULL if restored */
    const fmal_dataset *set; /* borrowed, for normalisation; NULL if restored */
    int64_t events_bytes;    /* of events.jsonl that belong to this state */
    double seconds;          /* of all starts so far */
} fmal_run_state;

/** Free what a state holds. Not collective. */
void fmal_run_state_clear(fmal_run_state *state);

/** A run in progress. Read-only outside of this module. */
typedef struct fmal_run fmal_run;

/** What the loop calls back. A plain value; borrowed. */
typedef struct fmal_run_hooks {
    void *arg;
    /* Save the state. Collective; returns an agreed status. */
    fmal_status (*save)(void *arg, const fmal_run_state *state);
    /* A round is finished: its numbers and picks are in the state. Collective. */
    fmal_status (*round)(void *arg, const fmal_run_state *state, int64_t round);
    /* A batch was picked. Collective. */
    fmal_status (*picked)(void *arg, const fmal_run_state *state, int64_t round,
                          const fmal_batch *batch);
    fmal_stop *stop;
    double every_seconds; /* between saves inside a phase; 0: not by time */
    fmal_idx every_steps; /* between saves inside a selection; 0: not by steps */
} fmal_run_hooks;

/** What a run works on. A plain value; all is borrowed until fmal_run_end. */
typedef struct fmal_run_setup {
    const fmal_ctx *ctx;
    const fmal_dataset *set;
    const fmal_run_options *options;
    const fmal_run_hooks *hooks;
    fmal_phases *phases; /* may be NULL */
} fmal_run_setup;

/**
 * Begin a run: label the initial samples.
 *
 * Collective.
 * @return FMAL_ERR_ARG: more samples asked for than there are with a label;
 *         FMAL_ERR_NOMEM; agreed
 */
fmal_status fmal_run_start(const fmal_run_setup *setup, fmal_run **out);

/**
 * Go on from a saved state.
 *
 * Collective; state equal on all ranks; copied.
 * @return FMAL_ERR_FORMAT if the state does not fit the setup; FMAL_ERR_NOMEM; agreed
 */
fmal_status fmal_run_resume(const fmal_run_setup *setup, const fmal_run_state *state,
                            fmal_run **out);

/**
 * All rounds that are left.
 *
 * Collective.
 * @return FMAL_STOPPED after saving, when asked to stop; what training, selection and
 * the hooks return
 */
fmal_status fmal_run_rounds(fmal_run *run);

/** The state; borrowed. Not collective. */
const fmal_run_state *fmal_run_now(const fmal_run *run);

/** The network, with the weights it has now; borrowed. Not collective. */
fmal_net *fmal_run_net(fmal_run *run);

/** Free *run and set it to NULL; *run may be NULL. Not collective. */
void fmal_run_end(fmal_run **run);

/** What a run will take, before it starts. A plain value. */
typedef struct fmal_run_plan {
    fmal_idx n, test, labelled_at_end, steps; /* steps: of each selection */
    int d, c;
    fmal_idx params;
    bool has_selection;      /* the strategy searches by Fisher information */
    fmal_select_plan select; /* of the first batch, if so */
    double bytes_data, bytes_network;
    double bytes; /* of the fullest rank */
} fmal_run_plan;

/** Plan a run. Collective. @return as fmal_run_start */
fmal_status fmal_run_plan_make(const fmal_run_setup *setup, fmal_run_plan *plan);

/** How evenly classes are represented in counts [c]: entropy over log c, 1 if even. */
double fmal_class_balance(const int64_t *counts, int c);

/** Class counts of picks [first, end) of a state, to counts [c]. */
void fmal_class_counts(const fmal_run_state *state, int64_t first, int64_t end, int c,
                       int64_t *counts);

#endif
