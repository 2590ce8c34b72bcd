#include "ckpt_impl.h"
#include "fmal/log.h"
#include "fmal/point.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void fmal_ckpt_path(const char *dir, bool previous, char *path, size_t size)
{
    snprintf(path, size, "%s/checkpoint%s.h5", dir, previous ? ".prev" : "");
}

/* ---- Saving ---- */

static fmal_status begin_file(const fmal_identity *identity, const char *schema,
                              fmal_h5 **h)
{
    FMAL_TRY(fmal_h5_create_image(h));
    FMAL_TRY(fmal_h5_stamp(*h, schema, identity->history));
    return fmal_identity_write(*h, identity);
}

static fmal_status save_run_alone(const char *dir, const fmal_identity *identity,
                                  const fmal_run_state *state)
{
    char path[4096], previous[4096], next[4096];
    fmal_h5 *h = NULL;
    fmal_status st = begin_file(identity, FMAL_RUN_SCHEMA, &h);

    snprintf(next, sizeof next, "%s/checkpoint.next.h5", dir);
    fmal_ckpt_path(dir, false, path, sizeof path);
    fmal_ckpt_path(dir, true, previous, sizeof previous);
    if (st == FMAL_OK)
        st = fmal_run_state_write(h, state);
    /* Whole and on disk before anything becomes of the old ones. */
    if (st == FMAL_OK)
        st = fmal_h5_save(h, next, FMAL_SAVE_CHECKED);
    if (st == FMAL_OK)
        st = fmal_file_keep(path, previous);
    fmal_point("checkpoint-kept");
    if (st == FMAL_OK)
        st = fmal_file_move(next, path);
    fmal_h5_close(&h);
    return st;
}

fmal_status fmal_ckpt_save_run(const fmal_ctx *ctx, const char *dir,
                               const fmal_identity *identity,
                               const fmal_run_state *state)
{
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0)
        st = save_run_alone(dir, identity, state);
    return fmal_agree_root(ctx, st);
}

fmal_status fmal_ckpt_save_select(const fmal_ctx *ctx, const char *path,
                                  const fmal_identity *identity,
                                  const fmal_select_state *state)
{
    fmal_h5 *h = NULL;
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0) {
        st = begin_file(identity, FMAL_SELECT_SCHEMA, &h);
        if (st == FMAL_OK)
            st = fmal_selection_write(h, state);
        if (st == FMAL_OK)
            st = fmal_h5_save(h, path, FMAL_SAVE_CHECKED);
        fmal_h5_close(&h);
    }
    return fmal_agree_root(ctx, st);
}

/* ---- Loading ---- */

/* Open a checkpoint that is whole, of this schema, and belongs to what is being
   started. Collective; the handle is each rank's own. */
static fmal_status open_mine(const fmal_ctx *ctx, const char *path, const char *schema,
                             const fmal_identity *identity, fmal_h5 **h)
{
    char found[64] = "";

    FMAL_TRY(fmal_h5_open_checked_all(ctx, path, h));
    fmal_status st = fmal_h5_get_text(*h, "/", "schema", found, sizeof found);
    if (st == FMAL_OK && strcmp(found, schema) != 0)
        st =
            FMAL_FAIL(FMAL_ERR_FORMAT, "%s: is '%s', wanted '%s'", path, found, schema);
    if (st == FMAL_OK && identity)
        st = fmal_identity_compare_options(*h, identity);
    if (st == FMAL_OK && identity)
        st = fmal_identity_compare_input(*h, identity);
    if ((st = fmal_agree(ctx, st)) != FMAL_OK)
        fmal_h5_close(h);
    return st;
}

static fmal_status load_run_from(const fmal_ctx *ctx, const char *path,
                                 const fmal_identity *identity, fmal_run_state *state)
{
    fmal_h5 *h = NULL;

    FMAL_TRY(open_mine(ctx, path, FMAL_RUN_SCHEMA, identity, &h));
    fmal_status mine = fmal_ckpt_read_run(h, state);
    fmal_status st = fmal_agree(ctx, mine);
    if (st != FMAL_OK && mine == FMAL_OK)
        fmal_run_state_clear(state);
    fmal_h5_close(&h);
    return st;
}

/* Whether the root sees a file. Collective. */
static bool exists(const fmal_ctx *ctx, const char *path)
{
    int there = ctx->rank == 0 && fmal_file_exists(path);

    fmal_bcast(ctx, &there, sizeof there, 0);
    return there;
}

static bool is_damaged(fmal_status st)
{
    return st == FMAL_ERR_FORMAT || st == FMAL_ERR_IO;
}

/* Let the newest be the one that was loaded: the next save keeps the newest as the one
   before it, and must not replace the only sound file by a damaged one. */
static fmal_status restore_newest(const fmal_ctx *ctx, const char *path,
                                  const char *previous, fmal_run_state *state)
{
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0)
        st = fmal_file_keep(previous, path);
    if ((st = fmal_agree_root(ctx, st)) != FMAL_OK)
        fmal_run_state_clear(state);
    return st;
}

fmal_status fmal_ckpt_load_run(const fmal_ctx *ctx, const char *dir,
                               const fmal_identity *identity, fmal_run_state *state,
                               bool *found)
{
    char path[4096], previous[4096];
    fmal_status st = FMAL_ERR_FORMAT;

    fmal_ckpt_path(dir, false, path, sizeof path);
    fmal_ckpt_path(dir, true, previous, sizeof previous);
    bool has_newest = exists(ctx, path), has_previous = exists(ctx, previous);

    *found = has_newest || has_previous;
    if (!*found)
        return FMAL_OK;
    if (has_newest)
        st = load_run_from(ctx, path, identity, state);
    if (!is_damaged(st) && has_newest)
        return st; /* good, or good and not ours */
    if (has_previous) {
        fmal_log(FMAL_LOG_WARN, "checkpoint", "%s; using the one before it, %s",
                 has_newest ? fmal_error_text() : "the newest is missing", previous);
        st = load_run_from(ctx, previous, identity, state);
    }
    if (st == FMAL_OK)
        return restore_newest(ctx, path, previous, state);
    if (is_damaged(st))
        st = FMAL_FAIL(st,
                       "%s; there is no sound checkpoint in %s: put a copy back, or "
                       "start in another directory",
                       fmal_error_text(), dir);
    return st;
}

fmal_status fmal_ckpt_load_select(const fmal_ctx *ctx, const char *path,
                                  const fmal_identity *identity,
                                  fmal_select_state *state, bool *found)
{
    char unfinished[4096];
    fmal_h5 *h = NULL;

    /* What a killed save left behind: there may be no further save to replace it. */
    snprintf(unfinished, sizeof unfinished, "%s.new", path);
    if (ctx->rank == 0)
        unlink(unfinished);
    *found = exists(ctx, path);
    if (!*found)
        return FMAL_OK;
    fmal_status st = open_mine(ctx, path, FMAL_SELECT_SCHEMA, identity, &h);
    if (st == FMAL_OK)
        st = fmal_agree(ctx, fmal_selection_read(h, state));
    fmal_h5_close(&h);
    if (is_damaged(st))
        st = FMAL_FAIL(st, "%s; remove it to begin the selection again",
                       fmal_error_text());
    return st;
}
