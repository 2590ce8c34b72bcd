#include "outputs.h"
#include "fmal/mem.h"
#include "fmal/point.h"

#include <string.h>
#include <unistd.h>

void outputs_name(outputs *out, const char *picks, const char *csv)
{
    const char *dot = strrchr(picks, '.');
    int stem = dot && !strchr(dot, '/') ? (int) (dot - picks) : (int) strlen(picks);

    *out = (outputs){ .picks = picks, .lock = { .fd = -1 } };
    snprintf(out->part, sizeof out->part, "%s.part", picks);
    snprintf(out->jacobian, sizeof out->jacobian, "%s.jacobian", picks);
    snprintf(out->stop_file, sizeof out->stop_file, "%s.stop", picks);
    if (csv)
        snprintf(out->csv, sizeof out->csv, "%s", csv);
    else
        snprintf(out->csv, sizeof out->csv, "%.*s.csv", stem, picks);
}

/* Whether files can be made under these names, be they there or not. Root only. */
static fmal_status check_names(const outputs *out, const char *pool)
{
    FMAL_TRY(fmal_file_check_output(out->picks, true));
    FMAL_TRY(fmal_file_check_output(out->csv, true));
    if (fmal_file_same(out->picks, out->csv))
        return FMAL_FAIL(FMAL_ERR_USAGE,
                         "%s: is the name of the picks and of their CSV; give another "
                         "to --output or --csv",
                         out->csv);
    if (fmal_file_same(out->picks, pool) || fmal_file_same(out->csv, pool))
        return FMAL_FAIL(FMAL_ERR_USAGE, "%s: is the pool; give another name to %s",
                         pool, fmal_file_same(out->csv, pool) ? "--csv" : "--output");
    return FMAL_OK;
}

static fmal_status take_lock(outputs *out)
{
    char path[4200], busy[4200];

    snprintf(path, sizeof path, "%s.lock", out->picks);
    snprintf(busy, sizeof busy, "%s: a selection is under way for it", out->picks);
    return lockfile_take(&out->lock, path, busy, out->stop_file);
}

/* Whether the picks that are there were made with these options. Root only. */
static bool are_there(const outputs *out, const fmal_identity *id)
{
    fmal_h5 *h = NULL;

    if (!fmal_file_exists(out->picks) || fmal_h5_open(out->picks, &h) != FMAL_OK)
        return false;
    bool same = fmal_identity_compare_options(h, id) == FMAL_OK;
    fmal_h5_close(&h);
    return same;
}

/* Root only. What is there is looked at under the lock: it may just have been made. */
static fmal_status open_alone(outputs *out, const fmal_identity *id, bool force)
{
    FMAL_TRY(check_names(out, id->input));
    FMAL_TRY(take_lock(out));
    out->there = !force && are_there(out, id);
    if (out->there)
        return FMAL_OK;
    FMAL_TRY(fmal_file_check_output(out->picks, force));
    return fmal_file_check_output(out->csv, force);
}

fmal_status outputs_open(const fmal_ctx *ctx, outputs *out, const fmal_identity *id,
                         bool force)
{
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0)
        st = open_alone(out, id, force);
    if ((st = fmal_agree_root(ctx, st)) != FMAL_OK)
        outputs_close(out);
    fmal_bcast(ctx, &out->there, sizeof out->there, 0);
    return st;
}

void outputs_close(outputs *out)
{
    lockfile_drop(&out->lock, true);
}

static fmal_status load_alone(const outputs *out, const fmal_identity *id,
                              fmal_idx pool_n, fmal_batch *batch)
{
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_h5_open(out->picks, &h));
    fmal_status st = fmal_identity_compare_input(h, id);
    if (st == FMAL_ERR_MISMATCH)
        st = fmal_file_check_output(out->picks, false);
    else if (st == FMAL_OK)
        st = fmal_picks_load(h, pool_n, batch);
    fmal_h5_close(&h);
    return st;
}

fmal_status outputs_load(const fmal_ctx *ctx, const outputs *out,
                         const fmal_identity *id, fmal_idx pool_n, fmal_batch *batch)
{
    return fmal_agree_root(ctx, ctx->rank == 0 ? load_alone(out, id, pool_n, batch)
                                               : FMAL_OK);
}

/* ---- Writing ---- */

/* Whether two files that can be read have the same bytes. */
static bool same_bytes(const char *a, const char *b)
{
    enum { MOST_KB = 1 << 30 };
    char *data[2] = { NULL };
    size_t bytes[2] = { 0 };
    bool same =
        fmal_file_read(a, (size_t) MOST_KB << 10, &data[0], &bytes[0]) == FMAL_OK &&
        fmal_file_read(b, (size_t) MOST_KB << 10, &data[1], &bytes[1]) == FMAL_OK &&
        bytes[0] == bytes[1] && memcmp(data[0], data[1], bytes[0]) == 0;

    fmal_free(&data[0]);
    fmal_free(&data[1]);
    return same;
}

/* The CSV belongs to the picks: it is made if it is missing, and may not be another. */
static fmal_status write_csv(const outputs *out, const char *new_csv,
                             const fmal_picks *picks)
{
    FMAL_TRY(fmal_picks_csv(new_csv, picks));
    if (!fmal_file_exists(out->csv))
        return fmal_file_move(new_csv, out->csv);
    fmal_status st = same_bytes(new_csv, out->csv)
                         ? FMAL_OK
                         : fmal_file_check_output(out->csv, false);
    unlink(new_csv);
    return st;
}

/* Both are written beside their places, then renamed: first the picks, from which the
   CSV can be made again. */
static fmal_status write_both(const outputs *out, const char *new_csv,
                              const fmal_picks *picks)
{
    char new_picks[4096 + 8];

    snprintf(new_picks, sizeof new_picks, "%s.new", out->picks);
    fmal_status st = fmal_picks_csv(new_csv, picks);
    if (st == FMAL_OK)
        st = fmal_picks_save(new_picks, picks);
    if (st == FMAL_OK)
        st = fmal_file_move(new_picks, out->picks);
    fmal_point("picks-moved");
    if (st == FMAL_OK)
        st = fmal_file_move(new_csv, out->csv);
    if (st != FMAL_OK) {
        unlink(new_csv);
        unlink(new_picks);
    }
    return st;
}

fmal_status outputs_write(const outputs *out, const fmal_picks *picks)
{
    char new_csv[4096 + 8];

    snprintf(new_csv, sizeof new_csv, "%s.new", out->csv);
    if (out->there)
        FMAL_TRY(write_csv(out, new_csv, picks));
    else
        FMAL_TRY(write_both(out, new_csv, picks));
    unlink(out->part);
    unlink(out->jacobian);
    return FMAL_OK;
}
