#include "outputs.h"

#include <string.h>
#include <unistd.h>

void outputs_name(outputs *out, const char *picks, const char *csv)
{
    const char *dot = strrchr(picks, '.');
    int stem = dot && !strchr(dot, '/') ? (int) (dot - picks) : (int) strlen(picks);

    *out = (outputs){ .picks = picks, .lock = { .fd = -1 } };
    snprintf(out->part, sizeof out->part, "%s.part", picks);
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

/* Root only. What is there is looked at under the lock: it may just have been made. */
static fmal_status open_alone(outputs *out, const char *pool, bool force)
{
    FMAL_TRY(check_names(out, pool));
    FMAL_TRY(take_lock(out));
    FMAL_TRY(fmal_file_check_output(out->picks, force));
    return fmal_file_check_output(out->csv, force);
}

fmal_status outputs_open(const fmal_ctx *ctx, outputs *out, const char *pool,
                         bool force)
{
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0)
        st = open_alone(out, pool, force);
    if ((st = fmal_agree_root(ctx, st)) != FMAL_OK)
        outputs_close(out);
    return st;
}

void outputs_close(outputs *out)
{
    lockfile_drop(&out->lock, true);
}

fmal_status outputs_write(const outputs *out, const fmal_picks *picks)
{
    char new_picks[4096 + 8], csv[4096 + 8];

    /* Beside their places, then renamed. */
    snprintf(new_picks, sizeof new_picks, "%s.new", out->picks);
    snprintf(csv, sizeof csv, "%s.new", out->csv);
    fmal_status st = fmal_picks_csv(csv, picks);
    if (st == FMAL_OK)
        st = fmal_picks_save(new_picks, picks);
    if (st == FMAL_OK)
        st = fmal_file_move(csv, out->csv);
    if (st == FMAL_OK)
        st = fmal_file_move(new_picks, out->picks);
    if (st != FMAL_OK) {
        unlink(csv);
        unlink(new_picks);
        return st;
    }
    unlink(out->part);
    return FMAL_OK;
}
