#include "data_impl.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Opening ---- */

/* The root judges the file; everyone learns its verdict, or the layout and the names.
 * Collective. */
static fmal_status learn_layout(const fmal_ctx *ctx, const char *path,
                                fmal_layout *layout, char **names)
{
    fmal_h5 *h = NULL;
    fmal_status st = FMAL_OK;

    if (ctx->rank == 0) {
        st = fmal_h5_open(path, &h);
        if (st == FMAL_OK)
            st = fmal_layout_read(h, ctx, layout, names);
        fmal_h5_close(&h);
    }
    if ((st = fmal_agree_root(ctx, st)) != FMAL_OK)
        return st;
    fmal_bcast(ctx, layout, sizeof *layout, 0);
    if (ctx->rank != 0)
        st = fmal_alloc(names, (fmal_idx) layout->name_bytes, 1);
    if ((st = fmal_agree(ctx, st)) == FMAL_OK)
        fmal_bcast(ctx, *names, layout->name_bytes, 0);
    return st;
}

static fmal_status split_create(const fmal_ctx *ctx, fmal_idx n, size_t row_bytes,
                                fmal_split *split)
{
    split->part = fmal_part_make(n, FMAL_BLOCK, ctx);
    FMAL_TRY(fmal_alloc(&split->rows, split->part.count, row_bytes));
    return FMAL_ALLOC(&split->labels, split->part.count);
}

/* Space for this rank's share. On failure the caller closes what there is. */
static fmal_status set_create(const fmal_ctx *ctx, const char *path,
                              const fmal_layout *l, fmal_dataset **out)
{
    fmal_dataset *set;

    FMAL_TRY(FMAL_ALLOC(out, 1));
    set = *out;
    if (!(set->path = fmal_strdup(path)))
        return FMAL_ERR_NOMEM;
    set->has_images = l->has_images;
    memcpy(set->shape, l->shape, sizeof set->shape);
    set->inputs = l->inputs;
    set->row_bytes = l->row_bytes;
    memcpy(set->mean, l->mean, sizeof set->mean);
    memcpy(set->std, l->std, sizeof set->std);
    FMAL_TRY(split_create(ctx, l->n_train, l->row_bytes, &set->train));
    return split_create(ctx, l->n_test, l->row_bytes, &set->test);
}

/* Collective. */
static fmal_status split_read(fmal_h5 *h, const fmal_layout *l, const char *name,
                              fmal_split *split)
{
    char path[32];

    if (split->part.n == 0)
        return FMAL_OK; /* there may be nothing of that name */
    FMAL_TRY(fmal_h5_read_rows(h, fmal_layout_rows(l, name, path),
                               l->has_images ? FMAL_U8 : FMAL_F32, split->part.first,
                               split->part.count, split->rows));
    snprintf(path, sizeof path, "/%s/labels", name);
    return fmal_h5_read_rows(h, path, FMAL_I32, split->part.first, split->part.count,
                             split->labels);
}

/* Collective. */
static fmal_status set_read(const fmal_ctx *ctx, const fmal_layout *l,
                            fmal_dataset *set)
{
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_open_all(ctx, set->path, &h);

    if (st == FMAL_OK)
        st = fmal_agree(ctx, fmal_layout_confirm(h, l));
    if (st == FMAL_OK)
        st = split_read(h, l, "train", &set->train);
    if (st == FMAL_OK)
        st = split_read(h, l, "test", &set->test);
    fmal_h5_close(&h);
    return st;
}

/* ---- Classes ---- */

static int32_t largest_label(const fmal_split *split)
{
    int32_t largest = -1;

    for (fmal_idx il = 0; il < split->part.count; il++)
        if (split->labels[il] > largest)
            largest = split->labels[il];
    return largest;
}

/* As many classes as the file names, or else as the labels of all ranks ask for.
 * Collective. */
static fmal_status find_classes(const fmal_ctx *ctx, const fmal_layout *l,
                                fmal_dataset *set)
{
    double largest = fmax(largest_label(&set->train), largest_label(&set->test));

    set->classes = l->classes;
    if (l->classes > 0)
        return FMAL_OK;
    fmal_max_f64(ctx, &largest, 1);
    if (largest < 1 || largest >= FMAL_MAX_CLASSES)
        return FMAL_FAIL(FMAL_ERR_FORMAT,
                         "%s: /train/labels: the largest label is %.0f, and /classes "
                         "is missing; wanted 2 to %d classes",
                         set->path, largest, FMAL_MAX_CLASSES);
    set->classes = 1 + (int) largest;
    return FMAL_OK;
}

/* Names one after the other, or NULL for numbers. */
static fmal_status name_classes(fmal_dataset *set, const char *names)
{
    char number[16];

    FMAL_TRY(FMAL_ALLOC(&set->class_names, set->classes));
    for (int k = 0; k < set->classes; k++) {
        snprintf(number, sizeof number, "%d", k);
        set->class_names[k] = fmal_strdup(names ? names : number);
        if (!set->class_names[k])
            return FMAL_ERR_NOMEM;
        if (names)
            names += strlen(names) + 1;
    }
    return FMAL_OK;
}

/* ---- Checking samples ---- */

static fmal_status check_labels(const fmal_dataset *set, const char *name,
                                const fmal_split *split)
{
    for (fmal_idx il = 0; il < split->part.count; il++)
        if (split->labels[il] < -1 || split->labels[il] >= set->classes)
            return FMAL_FAIL(FMAL_ERR_FORMAT,
                             "%s: /%s/labels: %" PRId32 " for sample %" PRId64
                             "; wanted 0 to %d, or -1 for unknown",
                             set->path, name, split->labels[il], split->part.first + il,
                             set->classes - 1);
    return FMAL_OK;
}

static fmal_status check_features(const fmal_dataset *set, const char *name,
                                  const fmal_split *split)
{
    const float *row = split->rows;

    if (set->has_images)
        return FMAL_OK;
    for (fmal_idx il = 0; il < split->part.count; il++, row += set->inputs)
        for (int j = 0; j < set->inputs; j++)
            if (!isfinite(row[j]))
                return FMAL_FAIL(FMAL_ERR_FORMAT,
                                 "%s: /%s/features: %g in column %d of sample %" PRId64
                                 "; wanted finite numbers",
                                 set->path, name, (double) row[j], j,
                                 split->part.first + il);
    return FMAL_OK;
}

static fmal_status check_split(const fmal_dataset *set, const char *name,
                               const fmal_split *split)
{
    FMAL_TRY(check_labels(set, name, split));
    return check_features(set, name, split);
}

/* ---- Checksum ---- */

/* The shape goes in as well: the same bytes may be other images. Collective. */
static fmal_status sum_set(const fmal_ctx *ctx, fmal_dataset *set)
{
    const fmal_split *splits[] = { &set->train, &set->test };
    char sums[4][33], text[256];

    for (int i = 0; i < 2; i++) {
        FMAL_TRY(fmal_checksum_rows(ctx, &splits[i]->part, splits[i]->rows,
                                    set->row_bytes, sums[2 * i]));
        FMAL_TRY(fmal_checksum_rows(ctx, &splits[i]->part, splits[i]->labels,
                                    sizeof(int32_t), sums[2 * i + 1]));
    }
    int n = snprintf(text, sizeof text, "%s %d %d %d %s %s %s %s",
                     set->has_images ? "images" : "features", set->shape[0],
                     set->shape[1], set->shape[2], sums[0], sums[1], sums[2], sums[3]);
    fmal_checksum(text, (size_t) n, set->checksum);
    return FMAL_OK;
}

/* ---- The whole ---- */

fmal_status fmal_dataset_open(const fmal_ctx *ctx, const char *path, fmal_dataset **out)
{
    fmal_dataset *set = NULL;
    fmal_layout layout;
    char *names = NULL;
    fmal_status st = learn_layout(ctx, path, &layout, &names);

    if (st == FMAL_OK)
        st = fmal_agree(ctx, set_create(ctx, path, &layout, &set));
    if (st == FMAL_OK)
        st = set_read(ctx, &layout, set);
    if (st == FMAL_OK)
        st = find_classes(ctx, &layout, set); /* the same verdict everywhere */
    if (st == FMAL_OK) {
        st = name_classes(set, layout.classes > 0 ? names : NULL);
        if (st == FMAL_OK)
            st = check_split(set, "train", &set->train);
        if (st == FMAL_OK)
            st = check_split(set, "test", &set->test);
        st = fmal_agree(ctx, st);
    }
    if (st == FMAL_OK)
        st = sum_set(ctx, set);
    fmal_free(&names);
    if (st == FMAL_OK)
        *out = set;
    else
        fmal_dataset_close(&set);
    return st;
}

static void split_clear(fmal_split *split)
{
    fmal_free(&split->rows);
    fmal_free(&split->labels);
    fmal_free(&split->origin);
}

void fmal_dataset_close(fmal_dataset **set)
{
    fmal_dataset *s = *set;

    if (!s)
        return;
    for (int k = 0; s->class_names && k < s->classes; k++)
        fmal_free(&s->class_names[k]);
    fmal_free(&s->class_names);
    split_clear(&s->train);
    split_clear(&s->test);
    fmal_free(&s->path);
    fmal_free(set);
}

void fmal_dataset_decode(const fmal_dataset *set, const void *rows, fmal_idx n,
                         float *x)
{
    const uint8_t *pixel = rows;
    fmal_idx plane = (fmal_idx) set->shape[1] * set->shape[2];

    if (!set->has_images) {
        if (n > 0)
            memcpy(x, rows, (size_t) n * set->row_bytes);
        return;
    }
    for (fmal_idx i = 0; i < n * set->shape[0]; i++) {
        float mean = set->mean[i % set->shape[0]], std = set->std[i % set->shape[0]];

        for (fmal_idx j = 0; j < plane; j++)
            x[j] = ((float) pixel[j] / 255.0f - mean) / std;
        pixel += plane;
        x += plane;
    }
}
