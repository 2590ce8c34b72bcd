/**
 * What people and scripts read: tables, events, the picks file, a job's last lines.
 *
 *     fmal_report_tables(ctx, dir, state, set);         metrics.csv, classes.csv,
 * picks.csv fmal_events_open(ctx, path, bytes, &events);      events.jsonl
 *     fmal_picks_save("picks.h5", &picks);           fmal_picks_load(h, n, &batch);
 *     fmal_report_phases(ctx, &phases, seconds);
 */
#ifndef FMAL_REPORT_H
#define FMAL_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "fmal/loop.h"

/**
 * Write DIR/metrics.csv, DIR/classes.csv and DIR/picks.csv from a state: the same bytes
 * on any number of ranks. Each is written anew, all or nothing, and so never holds a
 * row that is not in the state.
 *
 * Collective: the root writes, everyone learns the outcome.
 * @return FMAL_ERR_IO
 */
fmal_status fmal_report_tables(const fmal_ctx *ctx, const char *dir,
                               const fmal_run_state *state, const fmal_dataset *set);

/** Print the rounds as a table to a stream. Not collective. */
void fmal_report_rounds(const fmal_run_state *state, FILE *to);

/** A file of events, one JSON object a line, appended by the root. Opaque. */
typedef struct fmal_events fmal_events;

/**
 * Open or make a file of events, cutting what lies beyond `keep` bytes.
 *
 * Collective.
 * @param keep  bytes that belong to the state at hand
 * @return FMAL_ERR_IO, FMAL_ERR_NOMEM; agreed
 */
fmal_status fmal_events_open(const fmal_ctx *ctx, const char *path, int64_t keep,
                             fmal_events **out);

/** Append an event with its time; takes the reference to fields (on the root; elsewhere
    NULL). Collective. @return FMAL_ERR_IO, agreed */
fmal_status fmal_events_add(fmal_events *events, const char *event, json_t *fields);

/** See to it that what was added is on disk, before a checkpoint counts on it.
   Collective.
    @return FMAL_ERR_IO, agreed */
fmal_status fmal_events_sync(fmal_events *events);

/** Bytes so far, the same on every rank. Not collective. */
int64_t fmal_events_bytes(const fmal_events *events);

/** Close and set to NULL; *events may be NULL. Not collective. */
void fmal_events_close(fmal_events **events);

#define FMAL_PICKS_SCHEMA "fmal-picks-1"

/** What a picks file holds. A plain value; all is borrowed; filled on the root. */
typedef struct fmal_picks {
    const fmal_batch *batch;
    const char *strategy, *score,
        *unit;           /* its name; what its scores are, their unit or NULL */
    const char *options; /* as resolved, INI text */
    const char *fixed;   /* those that make the picks */
    const char *history; /* the command line */
    const char *pool_path, *pool_checksum;
    char **ids;            /* [n] or NULL */
    const double *nearest; /* [n] distance to the nearest other pick; NULL: unknown */
    const int64_t *predicted; /* [c] picks by predicted class */
    int c;                    /* 0: classes are not known */
    fmal_idx pool_n;
    int64_t seed;
} fmal_picks;

/** Write a picks file, all or nothing. Root only. @return FMAL_ERR_IO */
fmal_status fmal_picks_save(const char *path, const fmal_picks *picks);

/**
 * Read the batch of a picks file: all but the counts of its steps. Not collective.
 *
 * @param      pool_n  samples that its pool has
 * @param[out] batch   cleared by the caller
 * @return FMAL_ERR_FORMAT: no picks file, or an index that the pool does not have
 */
fmal_status fmal_picks_load(fmal_h5 *h, fmal_idx pool_n, fmal_batch *batch);

/** Write picks as CSV: order,index,score[,id]. Root only. @return FMAL_ERR_IO */
fmal_status fmal_picks_csv(const char *path, const fmal_picks *picks);

/** A batch as JSON; a new reference. Root only. */
json_t *fmal_picks_json(const fmal_picks *picks);

/** How a batch was searched for, as fields of an event (docs/formats.md); a new
    reference; without fields if it was not. Root only. */
json_t *fmal_decisions_json(const fmal_batch *batch);

/** Distance of each row of x [n, d] to the nearest other row, to out [n]; 0 if n is 1.
    Root only. @return FMAL_ERR_NOMEM */
fmal_status fmal_nearest_rows(const float *x, fmal_idx n, int d, double *out);

/** Per phase: seconds, share, GFLOP/s or GB/s, imbalance; and peak memory. Collective;
    printed by the root on stderr. */
void fmal_report_phases(const fmal_ctx *ctx, const fmal_phases *phases, double seconds);

/** The same as JSON, on the root; elsewhere NULL. Collective. */
json_t *fmal_phases_json(const fmal_ctx *ctx, const fmal_phases *phases);

#endif
