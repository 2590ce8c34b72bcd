/**
 * Checkpoints: the state of a run or of a selection in one checked HDF5 file.
 *
 * A run's checkpoint is DIR/checkpoint.h5; the one before it stays as
 * DIR/checkpoint.prev.h5 and is used when the newest is damaged. Every write is whole
 * or not at all. Files carry size and checksum, their schema and the configuration.
 *
 *     fmal_ckpt_save_run(ctx, dir, &identity, state);
 *     fmal_ckpt_load_run(ctx, dir, &identity, &state, &found);
 */
#ifndef FMAL_CKPT_H
#define FMAL_CKPT_H

#include "fmal/loop.h"

#define FMAL_RUN_SCHEMA    "fmal-checkpoint-1"
#define FMAL_SELECT_SCHEMA "fmal-selection-1"

/** What a checkpoint belongs to. Texts are those of fmal_opts_ini; a plain value. */
typedef struct fmal_identity {
    char *given;          /* what the user gave */
    char *resolved;       /* every option's value */
    char *fixed;          /* the options that may not change between starts */
    const char *defaults; /* of these options, for files that are older than one of
                             them; NULL: there are none */
    const char *input;    /* path of the data set or pool */
    const char *checksum; /* of its content */
    const char *history;  /* the command line */
} fmal_identity;

/**
 * Whether a file of ours (a checkpoint, picks) was made with these options, and from
 * these data.
 *
 * Not collective.
 * @return FMAL_ERR_MISMATCH naming the option that differs with both values, or the
 *         checksums; FMAL_ERR_FORMAT if the file does not say
 */
fmal_status fmal_identity_compare_options(fmal_h5 *h, const fmal_identity *identity);
fmal_status fmal_identity_compare_input(fmal_h5 *h, const fmal_identity *identity);

/**
 * Save a run, keeping the checkpoint before.
 *
 * Collective over ctx: the root writes, everyone learns the outcome.
 * @return FMAL_ERR_IO; the old checkpoint is then intact
 */
fmal_status fmal_ckpt_save_run(const fmal_ctx *ctx, const char *dir,
                               const fmal_identity *identity,
                               const fmal_run_state *state);

/**
 * Load a run's newest sound checkpoint.
 *
 * Collective over ctx. If the newest is damaged, says so on the log, takes the one
 * before it, and puts that in the newest's place.
 *
 * @param identity    of the start at hand; NULL compares nothing
 * @param[out] state  freed by fmal_run_state_clear; only if *found
 * @param[out] found  false if the directory holds no checkpoint
 * @return FMAL_ERR_MISMATCH naming the option that differs, or the data;
 * FMAL_ERR_FORMAT if there are checkpoints and none is sound; agreed
 */
fmal_status fmal_ckpt_load_run(const fmal_ctx *ctx, const char *dir,
                               const fmal_identity *identity, fmal_run_state *state,
                               bool *found);

/** Save a selection under way to one file. Collective. @return FMAL_ERR_IO */
fmal_status fmal_ckpt_save_select(const fmal_ctx *ctx, const char *path,
                                  const fmal_identity *identity,
                                  const fmal_select_state *state);

/** Load it. As fmal_ckpt_load_run; *found is false if there is no such file. Removes
   what an interrupted save left beside it. */
fmal_status fmal_ckpt_load_select(const fmal_ctx *ctx, const char *path,
                                  const fmal_identity *identity,
                                  fmal_select_state *state, bool *found);

/** Free the arrays of a loaded selection. Not collective. */
void fmal_ckpt_clear_select(fmal_select_state *state);

/** Paths of a run's two checkpoints, in a buffer of the caller. */
void fmal_ckpt_path(const char *dir, bool previous, char *path, size_t size);

/** Read a run's state from an open checkpoint. Not collective. */
fmal_status fmal_ckpt_read_run(fmal_h5 *h, fmal_run_state *state);

#endif
