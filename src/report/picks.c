#include "fmal/report.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static fmal_status write_arrays(fmal_h5 *h, const fmal_picks *p)
{
    fmal_idx n = p->batch->n;
    fmal_h5_spec index = { .name = "/picks/index",
                           .type = FMAL_I64,
                           .ndims = 1,
                           .dims = { n },
                           .label = { "pick" },
                           .long_name = "picked samples, counted from 0, in order",
                           .units = "sample index" };
    fmal_h5_spec score = { .name = "/picks/score",
                           .type = FMAL_F64,
                           .ndims = 1,
                           .dims = { n },
                           .label = { "pick" },
                           .long_name = p->score,
                           .units = p->unit };
    fmal_h5_spec nearest = { .name = "/picks/nearest",
                             .type = FMAL_F64,
                             .ndims = 1,
                             .dims = { n },
                             .label = { "pick" },
                             .long_name = "Euclidean distance in feature space to the "
                                          "nearest other pick: small means redundant",
                             .units = "feature units" };
    fmal_h5_spec predicted = { .name = "/predicted/count",
                               .type = FMAL_I64,
                               .ndims = 1,
                               .dims = { p->c },
                               .label = { "class" },
                               .long_name = "picks by their most probable class",
                               .units = "samples" };
    fmal_h5_spec ids = { .name = "/picks/id",
                         .type = FMAL_STR,
                         .ndims = 1,
                         .dims = { n },
                         .label = { "pick" },
                         .long_name = "the pool's own identifiers of the picks" };

    FMAL_TRY(fmal_h5_write(h, &index, p->batch->index));
    FMAL_TRY(fmal_h5_write(h, &score, p->batch->score));
    if (p->nearest)
        FMAL_TRY(fmal_h5_write(h, &nearest, p->nearest));
    if (p->c > 0)
        FMAL_TRY(fmal_h5_write(h, &predicted, p->predicted));
    return p->ids ? fmal_h5_write(h, &ids, p->ids) : FMAL_OK;
}

/* How --lazy was in force. */
static const char *lazy_of(const fmal_select_log *log, char *text, size_t size)
{
    if (!log->lazy)
        return "off";
    if (log->slack == 0)
        return "exact";
    snprintf(text, size, "%g", log->slack);
    return text;
}

static fmal_status write_origin(fmal_h5 *h, const fmal_picks *p)
{
    char lazy[32];

    FMAL_TRY(fmal_h5_write_text(h, "/configuration/resolved", p->options,
                                "every option with the value in force"));
    FMAL_TRY(fmal_h5_write_text(h, "/configuration/fixed", p->fixed,
                                "options that make the picks what they are"));
    FMAL_TRY(fmal_h5_write_text(h, "/input/path", p->pool_path, "the pool"));
    FMAL_TRY(fmal_h5_write_text(h, "/input/checksum", p->pool_checksum,
                                "XXH3-128 of its content, over blocks of samples"));
    FMAL_TRY(fmal_h5_attr_text(h, "/", "strategy", p->strategy));
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "seed", p->seed));
    FMAL_TRY(fmal_h5_attr_i64(h, "/", "pool_samples", p->pool_n));
    if (!p->batch->has_objective)
        return FMAL_OK;
    FMAL_TRY(
        fmal_h5_attr_text(h, "/", "lazy", lazy_of(&p->batch->log, lazy, sizeof lazy)));
    FMAL_TRY(fmal_h5_attr_f64(h, "/", "objective_before", p->batch->before));
    return fmal_h5_attr_f64(h, "/", "objective_after", p->batch->after);
}

fmal_status fmal_picks_save(const char *path, const fmal_picks *picks)
{
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_h5_create_image(&h));
    fmal_status st = fmal_h5_stamp(h, FMAL_PICKS_SCHEMA, picks->history);
    if (st == FMAL_OK)
        st = write_arrays(h, picks);
    if (st == FMAL_OK)
        st = write_origin(h, picks);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, FMAL_SAVE_PLAIN);
    fmal_h5_close(&h);
    return st;
}

/* ---- Reading ---- */

/* A list of n numbers of 8 bytes, allocated. */
static fmal_status read_list(fmal_h5 *h, const char *name, fmal_type type, fmal_idx n,
                             void *out)
{
    fmal_h5_info info;
    int64_t *data = NULL;

    fmal_h5_info_of(h, name, &info);
    if (!info.exists || info.ndims != 1 || info.dims[0] != n ||
        (info.kind != FMAL_H5_INTEGER && info.kind != FMAL_H5_FLOAT))
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %s is no list of %" PRId64 " numbers",
                         fmal_h5_path(h), name, n);
    FMAL_TRY(FMAL_ALLOC(&data, n));
    fmal_status st = fmal_h5_read_rows(h, name, type, 0, n, data);
    if (st == FMAL_OK)
        memcpy(out, &data, sizeof data);
    else
        fmal_free(&data);
    return st;
}

/* How many there are: what the pool can have, before anything is allocated. */
static fmal_status count_picks(fmal_h5 *h, fmal_idx pool_n, fmal_idx *n)
{
    char schema[64] = "";
    fmal_h5_info info;

    FMAL_TRY(fmal_h5_get_text(h, "/", "schema", schema, sizeof schema));
    if (strcmp(schema, FMAL_PICKS_SCHEMA) != 0)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: is '%s', wanted '%s'", fmal_h5_path(h),
                         schema, FMAL_PICKS_SCHEMA);
    fmal_h5_info_of(h, "/picks/index", &info);
    if (!info.exists || info.ndims != 1 || info.dims[0] < 1 || info.dims[0] > pool_n)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: /picks/index is missing, or no picks of a pool of "
                         "%" PRId64,
                         fmal_h5_path(h), pool_n);
    *n = info.dims[0];
    return FMAL_OK;
}

static fmal_status read_batch(fmal_h5 *h, fmal_idx pool_n, fmal_batch *b)
{
    FMAL_TRY(count_picks(h, pool_n, &b->n));
    FMAL_TRY(read_list(h, "/picks/index", FMAL_I64, b->n, &b->index));
    FMAL_TRY(read_list(h, "/picks/score", FMAL_F64, b->n, &b->score));
    for (fmal_idx i = 0; i < b->n; i++)
        if (b->index[i] < 0 || b->index[i] >= pool_n)
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: /picks/index[%" PRId64 "] is %" PRId64
                             "; the pool has samples 0 to %" PRId64,
                             fmal_h5_path(h), i, b->index[i], pool_n - 1);
    b->has_objective =
        fmal_h5_get_f64(h, "/", "objective_before", &b->before) == FMAL_OK &&
        fmal_h5_get_f64(h, "/", "objective_after", &b->after) == FMAL_OK;
    return FMAL_OK;
}

fmal_status fmal_picks_load(fmal_h5 *h, fmal_idx pool_n, fmal_batch *batch)
{
    fmal_batch b = { 0 };
    fmal_status st = read_batch(h, pool_n, &b);

    if (st != FMAL_OK)
        fmal_batch_clear(&b);
    else
        *batch = b;
    return st;
}

/* ---- As JSON, and distances ---- */

/* Text of any bytes: what is not UTF-8 becomes question marks. */
static json_t *any_text(const char *text)
{
    json_t *out = json_string(text);
    char *copy = out ? NULL : fmal_strdup(text);

    for (char *p = copy; p && *p; p++)
        if ((unsigned char) *p > 127)
            *p = '?';
    if (!out)
        out = json_string(copy ? copy : "?");
    fmal_free(&copy);
    return out;
}

json_t *fmal_picks_json(const fmal_picks *p)
{
    json_t *index = json_array(), *score = json_array(), *ids = json_array();
    json_t *out;

    for (fmal_idx i = 0; i < p->batch->n; i++) {
        json_array_append_new(index, json_integer(p->batch->index[i]));
        json_array_append_new(score, json_real(p->batch->score[i]));
        if (p->ids)
            json_array_append_new(ids, any_text(p->ids[i]));
    }
    out = json_pack("{s:s, s:o, s:o}", "strategy", p->strategy, "index", index, "score",
                    score);
    if (p->ids)
        json_object_set(out, "id", ids);
    json_decref(ids);
    if (p->batch->has_objective) {
        json_object_set_new(out, "objective_before", json_real(p->batch->before));
        json_object_set_new(out, "objective_after", json_real(p->batch->after));
    }
    return out;
}

static json_t *list_json(const fmal_idx *list, fmal_idx n)
{
    json_t *out = json_array();

    for (fmal_idx i = 0; i < n; i++)
        json_array_append_new(out, json_integer(list[i]));
    return out;
}

/* A number that there may be none of. */
static json_t *real_json(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *fmal_decisions_json(const fmal_batch *b)
{
    if (!b->has_objective)
        return json_object();
    return json_pack(
        "{s:o, s:o, s:I, s:I, s:o, s:o, s:f}", "added", list_json(b->added, b->forward),
        "removed", list_json(b->removed, b->backward), "refreshes",
        (json_int_t) b->log.refreshes, "rescored", (json_int_t) b->log.rescored,
        "scored_each_step", real_json(b->log.scored / (double) b->forward),
        "smallest_margin", real_json(b->log.margin), "largest_error", b->log.error);
}

/* Distances from |x|^2 + |y|^2 - 2 x.y lose digits to cancellation, so the nearest is
   found with them in blocks, and its distance is then computed from differences. */
static double distance(const float *x, const float *y, int d)
{
    double sum = 0;

    for (int a = 0; a < d; a++)
        sum += ((double) x[a] - y[a]) * ((double) x[a] - y[a]);
    return sqrt(sum);
}

/* The row that is nearest to row i, given its dot products with all. */
static fmal_idx nearest_of(fmal_idx i, fmal_idx n, const double *dots,
                           const double *square)
{
    fmal_idx near = -1;
    double least = INFINITY;

    for (fmal_idx j = 0; j < n; j++) {
        double squared = square[j] - 2 * dots[j]; /* but for |x_i|^2 */

        if (j != i && squared < least) {
            least = squared;
            near = j;
        }
    }
    return near;
}

fmal_status fmal_nearest_rows(const float *x, fmal_idx n, int d, double *out)
{
    enum { ROWS = 128 };
    double *wide = NULL, *dots = NULL, *square = NULL;
    fmal_status st = FMAL_ALLOC(&wide, n * d);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&dots, ROWS * n);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&square, n);
    for (fmal_idx i = 0; i < n && st == FMAL_OK; i++)
        for (int a = 0; a < d; a++) {
            wide[i * d + a] = x[i * d + a];
            square[i] += wide[i * d + a] * wide[i * d + a];
        }
    for (fmal_idx first = 0; first < n && st == FMAL_OK; first += ROWS) {
        int rows = (int) (n - first < ROWS ? n - first : ROWS);

        fmal_gemm(false, true, rows, (int) n, d, 1, wide + first * d, d, wide, d, 0,
                  dots, (int) n);
        for (fmal_idx i = first; i < first + rows; i++) {
            fmal_idx near = nearest_of(i, n, dots + (i - first) * n, square);

            out[i] = near < 0 ? 0 : distance(x + i * d, x + near * d, d);
        }
    }
    fmal_free(&wide);
    fmal_free(&dots);
    fmal_free(&square);
    return st;
}
