#include "fmal/pool.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_WIDTH = 1 << 24 }; /* features or classes beyond this are a mistaken file */

/* ---- What the header says ---- */

/* "[60000, 128] of 4-byte floats": what is there. */
static void describe(const fmal_h5_info *info, char *text, size_t size)
{
    static const char *const kinds[] = { "integers", "floats", "strings", "something" };
    size_t used = (size_t) snprintf(text, size, "[");

    for (int i = 0; i < info->ndims && i < FMAL_MAX_DIMS && used < size; i++)
        used += (size_t) snprintf(text + used, size - used, "%s%" PRId64, i ? ", " : "",
                                  info->dims[i]);
    if (used < size)
        snprintf(text + used, size - used, "%s] of %s",
                 info->ndims > FMAL_MAX_DIMS ? ", ..." : "", kinds[info->kind]);
}

static fmal_status refuse(fmal_h5 *h, const char *name, const fmal_h5_info *info,
                          const char *want)
{
    char there[128];

    if (!info->exists)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: dataset %s is missing; wanted %s",
                         fmal_h5_path(h), name, want);
    describe(info, there, sizeof there);
    bool empty = false;
    for (int i = 0; i < info->ndims && i < FMAL_MAX_DIMS; i++)
        empty = empty || info->dims[i] == 0;
    return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: dataset %s is %s; wanted %s%s",
                     fmal_h5_path(h), name, there, want,
                     empty ? ", at least 1 of each" : "");
}

/* Numbers of a width that machines have: a file may claim any. */
static bool is_number(const fmal_h5_info *info, bool integer_only)
{
    return info->bytes <= 16 && (info->kind == FMAL_H5_INTEGER ||
                                 (!integer_only && info->kind == FMAL_H5_FLOAT));
}

/* An array of numbers [n, width]. */
static fmal_status look_matrix(fmal_h5 *h, const char *name, const char *want,
                               fmal_idx *n, int *width)
{
    fmal_h5_info info;

    fmal_h5_info_of(h, name, &info);
    if (!info.exists || !is_number(&info, false) || info.ndims != 2 ||
        info.dims[0] < 1 || info.dims[1] < 1 || info.dims[1] > MAX_WIDTH)
        return refuse(h, name, &info, want);
    *n = info.dims[0];
    *width = (int) info.dims[1];
    return FMAL_OK;
}

/* An optional list; strings only where they are allowed. */
static fmal_status look_list(fmal_h5 *h, const char *name, bool strings,
                             const char *want, bool *there, fmal_idx *n)
{
    fmal_h5_info info;

    fmal_h5_info_of(h, name, &info);
    *there = info.exists;
    *n = 0;
    if (!info.exists)
        return FMAL_OK;
    if (info.ndims != 1 ||
        !(is_number(&info, true) || (strings && info.kind == FMAL_H5_STRING)))
        return refuse(h, name, &info, want);
    *n = info.dims[0];
    return FMAL_OK;
}

static fmal_status same_count(fmal_h5 *h, const char *name, fmal_idx n,
                              fmal_idx samples)
{
    if (n != samples)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: %s has %" PRId64 " rows, the pool has %" PRId64
                         "; they must agree",
                         fmal_h5_path(h), name, n, samples);
    return FMAL_OK;
}

/* Features, and what a model made of them. */
static fmal_status look_outputs(fmal_h5 *h, fmal_pool_info *out)
{
    fmal_pool_info info = *out;
    fmal_h5_info logits;
    fmal_idx n = 0;

    FMAL_TRY(
        look_matrix(h, "/features", "numbers [samples, features]", &info.n, &info.d));
    fmal_h5_info_of(h, "/logits", &logits);
    if (!logits.exists) {
        fmal_h5_info_of(h, "/probs", &logits);
        info.has_probs = logits.exists;
    }
    const char *outputs = info.has_probs ? "/probs" : "/logits";
    FMAL_TRY(
        look_matrix(h, outputs, "numbers [samples, classes] (or /probs)", &n, &info.c));
    FMAL_TRY(same_count(h, outputs, n, info.n));
    if (info.c < 2)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: %s has one column; wanted one for each class, 2 at least",
                         fmal_h5_path(h), outputs);
    *out = info;
    return FMAL_OK;
}

/* Embeddings [samples, rows, columns]; nothing to use if there are features, or
   neither. */
static fmal_status look_embeddings(fmal_h5 *h, fmal_pool_info *out)
{
    fmal_h5_info features, info;

    fmal_h5_info_of(h, "/features", &features);
    fmal_h5_info_of(h, "/embeddings", &info);
    out->spare_embeddings = features.exists && info.exists;
    if (features.exists || !info.exists)
        return FMAL_OK;
    if (!is_number(&info, false) || info.ndims != 3 || info.dims[0] < 1 ||
        info.dims[1] < 1 || info.dims[1] > MAX_WIDTH || info.dims[2] < 1 ||
        info.dims[2] > MAX_WIDTH)
        return refuse(h, "/embeddings", &info, "numbers [samples, rows, columns]");
    if (info.dims[1] * info.dims[2] > INT_MAX)
        return refuse(h, "/embeddings", &info, "fewer than 2^31 values a sample");
    out->n = info.dims[0];
    out->rows = (int) info.dims[1];
    out->columns = info.dims[2];
    return FMAL_OK;
}

static fmal_status look(fmal_h5 *h, fmal_pool_info *out)
{
    fmal_pool_info info = { 0 };
    fmal_idx n = 0;
    bool there;

    FMAL_TRY(look_embeddings(h, &info));
    if (info.rows == 0)
        FMAL_TRY(look_outputs(h, &info));
    FMAL_TRY(look_list(h, "/labelled", false, "integer indices [labelled samples]",
                       &there, &info.labelled));
    FMAL_TRY(look_list(h, "/exclude", false, "integer indices [excluded samples]",
                       &there, &info.excluded));
    FMAL_TRY(
        look_list(h, "/labels", false, "integers [samples]", &info.has_labels, &n));
    if (info.has_labels)
        FMAL_TRY(same_count(h, "/labels", n, info.n));
    FMAL_TRY(
        look_list(h, "/ids", true, "integers or strings [samples]", &info.has_ids, &n));
    if (info.has_ids)
        FMAL_TRY(same_count(h, "/ids", n, info.n));
    if (info.labelled + info.excluded > info.n)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: /labelled and /exclude list %" PRId64
                         " samples, the pool has %" PRId64,
                         fmal_h5_path(h), info.labelled + info.excluded, info.n);
    /* Also keeps every product of sizes below 2^63. */
    double width =
        (double) info.d + info.c + (double) info.rows * (double) info.columns;
    if ((double) info.n * width > 1e15)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "%s: %" PRId64 " x %.0f values fit no memory",
                         fmal_h5_path(h), info.n, width);
    *out = info;
    return FMAL_OK;
}

fmal_status fmal_pool_look(const char *path, fmal_pool_info *info)
{
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_h5_open(path, &h));
    fmal_status st = look(h, info);
    fmal_h5_close(&h);
    return st;
}

/* ---- Samples ---- */

void fmal_softmax(const float *logits, fmal_idx n, int c, double *probs)
{
    for (fmal_idx i = 0; i < n; i++, logits += c, probs += c) {
        double top = logits[0], sum = 0;

        for (int k = 1; k < c; k++)
            if (logits[k] > top)
                top = logits[k];
        for (int k = 0; k < c; k++)
            sum += probs[k] = exp(logits[k] - top);
        for (int k = 0; k < c; k++)
            probs[k] /= sum;
    }
}

static fmal_status check_finite(const fmal_pool *pool, const char *name, const float *x,
                                fmal_idx width)
{
    for (fmal_idx i = 0; i < pool->part.count * width; i++)
        if (!isfinite(x[i]))
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: %s of sample %" PRId64 ", column %" PRId64
                             " is %s; every value must be finite",
                             pool->path, name, pool->part.first + i / width, i % width,
                             isnan(x[i]) ? "NaN" : "infinite");
    return FMAL_OK;
}

static fmal_status read_embeddings(fmal_pool *pool, fmal_h5 *h, const fmal_ctx *ctx)
{
    fmal_idx width = pool->info.rows * pool->info.columns;
    fmal_status st = FMAL_ALLOC(&pool->embeddings, pool->part.count * width);

    FMAL_TRY(fmal_agree(ctx, st));
    FMAL_TRY(fmal_h5_read_rows(h, "/embeddings", FMAL_F32, pool->part.first,
                               pool->part.count, pool->embeddings));
    return fmal_agree(ctx, check_finite(pool, "/embeddings", pool->embeddings, width));
}

static fmal_status read_features(fmal_pool *pool, fmal_h5 *h, const fmal_ctx *ctx)
{
    fmal_status st = FMAL_ALLOC(&pool->features, pool->part.count * pool->info.d);

    FMAL_TRY(fmal_agree(ctx, st));
    FMAL_TRY(fmal_h5_read_rows(h, "/features", FMAL_F32, pool->part.first,
                               pool->part.count, pool->features));
    st = check_finite(pool, "/features", pool->features, pool->info.d);
    return fmal_agree(ctx, st);
}

/* Rows of given probabilities to sum 1. */
static fmal_status renormalise(const fmal_pool *pool)
{
    int c = pool->info.c;
    double *p = pool->probs;

    for (fmal_idx i = 0; i < pool->part.count; i++, p += c) {
        double sum = 0;

        for (int k = 0; k < c; k++) {
            if (!(p[k] >= 0 && isfinite(p[k])))
                return FMAL_FAIL(FMAL_ERR_FORMAT,
                                 "%s: /probs of sample %" PRId64 ", class %d is %g; "
                                 "wanted finite values, 0 at least",
                                 pool->path, pool->part.first + i, k, p[k]);
            sum += p[k];
        }
        if (!(sum > 0))
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: /probs of sample %" PRId64 " are all 0", pool->path,
                             pool->part.first + i);
        for (int k = 0; k < c; k++)
            p[k] /= sum;
    }
    return FMAL_OK;
}

static fmal_status read_probs(fmal_pool *pool, fmal_h5 *h, const fmal_ctx *ctx)
{
    const fmal_part *part = &pool->part;
    fmal_idx values = part->count * pool->info.c;
    float *logits = NULL;
    fmal_status st = FMAL_ALLOC(&pool->probs, values);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&logits, pool->info.has_probs ? 0 : values);
    if ((st = fmal_agree(ctx, st)) != FMAL_OK)
        goto done;
    if (pool->info.has_probs) {
        st = fmal_h5_read_rows(h, "/probs", FMAL_F64, part->first, part->count,
                               pool->probs);
        if (st == FMAL_OK)
            st = fmal_agree(ctx, renormalise(pool));
    } else {
        st =
            fmal_h5_read_rows(h, "/logits", FMAL_F32, part->first, part->count, logits);
        if (st == FMAL_OK)
            st = fmal_agree(ctx, check_finite(pool, "/logits", logits, pool->info.c));
        if (st == FMAL_OK)
            fmal_softmax(logits, part->count, pool->info.c, pool->probs);
    }
done:
    fmal_free(&logits);
    return st;
}

/* Give the listed samples a role. Every rank reads the whole list: it is one number a
   labelled sample. */
static fmal_status read_roles(fmal_pool *pool, fmal_h5 *h, const fmal_ctx *ctx,
                              const char *name, fmal_idx count, fmal_role role)
{
    static const char *const what[] = { "a candidate", "labelled", "excluded" };
    const fmal_part *part = &pool->part;
    fmal_idx *list = NULL;
    fmal_status st = fmal_agree(ctx, FMAL_ALLOC(&list, count));

    if (st == FMAL_OK && count > 0)
        st = fmal_h5_read_rows(h, name, FMAL_I64, 0, count, list);
    for (fmal_idx i = 0; i < count && st == FMAL_OK; i++) {
        fmal_idx il = list[i] - part->first;

        if (list[i] < 0 || list[i] >= part->n)
            st = FMAL_FAIL(FMAL_ERR_FORMAT,
                           "%s: %s[%" PRId64 "] is %" PRId64 "; the pool has samples 0 "
                           "to %" PRId64,
                           pool->path, name, i, list[i], part->n - 1);
        else if (il >= 0 && il < part->count && pool->role[il] != FMAL_CANDIDATE)
            st =
                FMAL_FAIL(FMAL_ERR_FORMAT,
                          "%s: %s[%" PRId64 "]: sample %" PRId64 " is listed twice; it "
                          "is already %s",
                          pool->path, name, i, list[i], what[pool->role[il]]);
        else if (il >= 0 && il < part->count)
            pool->role[il] = (uint8_t) role;
    }
    fmal_free(&list);
    return fmal_agree(ctx, st);
}

static fmal_status read_labels(fmal_pool *pool, fmal_h5 *h, const fmal_ctx *ctx)
{
    if (!pool->info.has_labels)
        return FMAL_OK;
    FMAL_TRY(fmal_agree(ctx, FMAL_ALLOC(&pool->labels, pool->part.count)));
    return fmal_h5_read_rows(h, "/labels", FMAL_I32, pool->part.first, pool->part.count,
                             pool->labels);
}

fmal_rows fmal_pool_features(const fmal_pool *pool)
{
    return (
        fmal_rows){ .all = pool->features, .width = pool->info.d, .file = pool->file };
}

static fmal_status sum_pool(fmal_pool *pool, const fmal_ctx *ctx)
{
    const fmal_part *part = &pool->part;
    fmal_rows features = fmal_pool_features(pool);
    char sums[3][33];

    if (pool->embeddings)
        FMAL_TRY(fmal_checksum_rows(ctx, part, pool->embeddings,
                                    sizeof(float) * (size_t) pool->info.rows *
                                        (size_t) pool->info.columns,
                                    sums[0]));
    else
        FMAL_TRY(fmal_rows_checksum(ctx, part, &features, sums[0]));
    FMAL_TRY(fmal_checksum_rows(ctx, part, pool->probs,
                                sizeof(double) * (size_t) pool->info.c, sums[1]));
    FMAL_TRY(fmal_checksum_rows(ctx, part, pool->role, 1, sums[2]));
    fmal_checksum(sums, sizeof sums, pool->checksum);
    return FMAL_OK;
}

/* Everything that is held in memory. */
static fmal_status read_pool(fmal_pool *pool, const fmal_ctx *ctx)
{
    const fmal_pool_info *info = &pool->info;
    fmal_h5 *h = NULL;

    FMAL_TRY(fmal_h5_open_all(ctx, pool->path, &h));
    fmal_status st = info->rows > 0 ? read_embeddings(pool, h, ctx) : FMAL_OK;
    if (st == FMAL_OK && info->rows == 0 && !info->streamed)
        st = read_features(pool, h, ctx);
    if (st == FMAL_OK && info->rows == 0)
        st = read_probs(pool, h, ctx);
    if (st == FMAL_OK)
        st = read_roles(pool, h, ctx, "/labelled", info->labelled, FMAL_LABELLED);
    if (st == FMAL_OK)
        st = read_roles(pool, h, ctx, "/exclude", info->excluded, FMAL_EXCLUDED);
    if (st == FMAL_OK)
        st = read_labels(pool, h, ctx);
    fmal_h5_close(&h);
    return st;
}

static fmal_status pool_open(const fmal_ctx *ctx, const char *path, bool streamed,
                             fmal_phases *phases, fmal_pool **out)
{
    fmal_pool *pool = NULL;
    fmal_pool_info info = { 0 };
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0)
        st = fmal_pool_look(path, &info);
    if (ctx->rank == 0 && st == FMAL_OK && streamed && info.rows > 0)
        st = FMAL_FAIL(FMAL_ERR_ARG,
                       "%s: has /embeddings; only /features can be left in the file",
                       path);
    FMAL_TRY(fmal_agree_root(ctx, st));
    fmal_bcast(ctx, &info, sizeof info, 0);
    info.streamed = streamed;

    st = FMAL_ALLOC(&pool, 1);
    if (st == FMAL_OK) {
        pool->info = info;
        pool->part = fmal_part_make(info.n, FMAL_BLOCK, ctx);
        pool->path = fmal_strdup(path);
        st = pool->path ? FMAL_ALLOC(&pool->role, pool->part.count) : FMAL_ERR_NOMEM;
    }
    if ((st = fmal_agree(ctx, st)) == FMAL_OK)
        st = read_pool(pool, ctx);
    if (st == FMAL_OK && streamed)
        st = fmal_agree(
            ctx, fmal_rows_open(path, "/features", &pool->part, phases, &pool->file));
    if (st == FMAL_OK)
        st = sum_pool(pool, ctx);
    if (st != FMAL_OK)
        fmal_pool_close(&pool);
    else
        *out = pool;
    return st;
}

fmal_status fmal_pool_open(const fmal_ctx *ctx, const char *path, fmal_pool **out)
{
    return pool_open(ctx, path, false, NULL, out);
}

fmal_status fmal_pool_open_streamed(const fmal_ctx *ctx, const char *path,
                                    fmal_phases *phases, fmal_pool **out)
{
    return pool_open(ctx, path, true, phases, out);
}

double fmal_pool_bytes(const fmal_pool_info *info, fmal_idx samples)
{
    double each = sizeof(uint8_t) + (info->has_labels ? sizeof(int32_t) : 0);

    if (info->rows > 0)
        each += (double) info->rows * (double) info->columns * sizeof(float);
    else
        each +=
            (info->streamed ? 0 : info->d * sizeof(float)) + info->c * sizeof(double);
    return (double) samples * each + (info->streamed ? fmal_rows_bytes(info->d) : 0);
}

/* Logits beside probabilities. */
double fmal_pool_open_bytes(const fmal_pool_info *info, fmal_idx samples)
{
    bool logits = info->rows == 0 && !info->has_probs;

    return fmal_pool_bytes(info, samples) +
           (logits ? (double) samples * info->c * sizeof(float) : 0);
}

void fmal_pool_close(fmal_pool **pool)
{
    if (!*pool)
        return;
    fmal_free(&(*pool)->path);
    fmal_free(&(*pool)->features);
    fmal_rows_close(&(*pool)->file);
    fmal_free(&(*pool)->probs);
    fmal_free(&(*pool)->embeddings);
    fmal_free(&(*pool)->role);
    fmal_free(&(*pool)->labels);
    fmal_free(pool);
}
