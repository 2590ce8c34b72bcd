#include "outputs.h"

#include <string.h>
#include <unistd.h>

void outputs_name(outputs *out, const char *picks, const char *csv)
{
    const char *dot = strrchr(picks, '.');
    int stem = dot && !strchr(dot, '/') ? (int) (dot - picks) : (int) strlen(picks);

    out->picks = picks;
    snprintf(out->part, sizeof out->part, "%s.part", picks);
    snprintf(out->stop_file, sizeof out->stop_file, "%s.stop", picks);
    if (csv)
        snprintf(out->csv, sizeof out->csv, "%s", csv);
    else
        snprintf(out->csv, sizeof out->csv, "%.*s.csv", stem, picks);
}

/* Root only. */
static fmal_status check_alone(const outputs *out, const char *pool, bool force)
{
    FMAL_TRY(fmal_file_check_output(out->picks, force));
    FMAL_TRY(fmal_file_check_output(out->csv, force));
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

fmal_status outputs_check(const fmal_ctx *ctx, const outputs *out, const char *pool,
                          bool force)
{
    return fmal_agree_root(ctx,
                           ctx->rank == 0 ? check_alone(out, pool, force) : FMAL_OK);
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
