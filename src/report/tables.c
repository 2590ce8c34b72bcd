#include "fmal/report.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Text in memory ---- */

typedef struct {
    char *data;
    size_t size;
    FILE *to;
} text;

static fmal_status text_open(text *t)
{
    memset(t, 0, sizeof *t);
    t->to = open_memstream(&t->data, &t->size);
    if (!t->to)
        return FMAL_FAIL(FMAL_ERR_NOMEM, "cannot build a table in memory");
    return FMAL_OK;
}

static fmal_status text_save(text *t, const char *path)
{
    bool whole = fclose(t->to) == 0;
    fmal_status st = whole
                         ? fmal_file_replace(path, t->data, t->size)
                         : FMAL_FAIL(FMAL_ERR_NOMEM, "cannot build %s in memory", path);

    free(t->data);
    return st;
}

/* A field of RFC 4180: quoted if it holds a comma, a quote or a line's end. */
static void put_field(FILE *to, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        fputs(s, to);
        return;
    }
    fputc('"', to);
    for (; *s; s++) {
        if (*s == '"')
            fputc('"', to);
        fputc(*s, to);
    }
    fputc('"', to);
}

/* ---- metrics.csv ---- */

static void put_metrics(FILE *to, const fmal_run_state *s, int c, int64_t *counts)
{
    fprintf(to,
            "round,labelled,epochs,train_accuracy,train_loss,test_accuracy,test_loss,"
            "batch_balance,labelled_balance");
    for (int k = 0; k < c; k++)
        fprintf(to, ",picked_%d", k);
    fputc('\n', to);
    for (int64_t r = 0; r < s->rounds_done; r++) {
        const fmal_round *round = &s->rounds[r];

        fprintf(to, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%.6f,%.6f,%.6f,%.6f", r,
                round->labelled, round->epochs, round->train_accuracy,
                round->train_loss, round->test_accuracy, round->test_loss);
        fmal_class_counts(s, s->first_pick[r], s->first_pick[r + 1], c, counts);
        fprintf(to, ",%.6f", fmal_class_balance(counts, c));
        fmal_class_counts(s, 0, s->first_pick[r + 1], c, counts);
        fprintf(to, ",%.6f", fmal_class_balance(counts, c));
        fmal_class_counts(s, s->first_pick[r], s->first_pick[r + 1], c, counts);
        for (int k = 0; k < c; k++)
            fprintf(to, ",%" PRId64, counts[k]);
        fputc('\n', to);
    }
}

static fmal_status save_metrics(const char *dir, const fmal_run_state *s, int c)
{
    char path[4096];
    int64_t *counts = NULL;
    text t;

    FMAL_TRY(FMAL_ALLOC(&counts, c));
    fmal_status st = text_open(&t);
    if (st == FMAL_OK) {
        put_metrics(t.to, s, c, counts);
        snprintf(path, sizeof path, "%s/metrics.csv", dir);
        st = text_save(&t, path);
    }
    fmal_free(&counts);
    return st;
}

/* ---- classes.csv ---- */

/* Samples of each class. */
typedef struct {
    int64_t *pool, *test;       /* that there are */
    int64_t *picked, *labelled; /* by a round, and up to it */
} class_counts;

static void counts_clear(class_counts *n)
{
    fmal_free(&n->pool);
    fmal_free(&n->test);
    fmal_free(&n->picked);
    fmal_free(&n->labelled);
}

/* Collective. */
static fmal_status counts_init(const fmal_ctx *ctx, const fmal_dataset *set,
                               class_counts *n)
{
    fmal_status st = FMAL_ALLOC(&n->pool, set->classes);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&n->test, set->classes);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&n->picked, set->classes);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&n->labelled, set->classes);
    FMAL_TRY(fmal_agree(ctx, st));
    fmal_split_count(ctx, &set->train, set->classes, n->pool);
    fmal_split_count(ctx, &set->test, set->classes, n->test);
    return FMAL_OK;
}

/* Accuracy is left out where it is not known. */
static void put_round_classes(FILE *to, const fmal_run_state *s, int64_t r,
                              const fmal_dataset *set, class_counts *n)
{
    int c = set->classes;

    fmal_class_counts(s, s->first_pick[r], s->first_pick[r + 1], c, n->picked);
    fmal_class_counts(s, 0, s->first_pick[r + 1], c, n->labelled);
    for (int k = 0; k < c; k++) {
        int64_t right = s->right ? s->right[r * c + k] : -1;

        fprintf(to, "%" PRId64 ",%d,", r, k);
        put_field(to, set->class_names[k]);
        fprintf(to, ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",", n->pool[k],
                n->picked[k], n->labelled[k], n->test[k]);
        if (right >= 0 && n->test[k] > 0)
            fprintf(to, "%.6f", (double) right / (double) n->test[k]);
        fputc('\n', to);
    }
}

static fmal_status save_classes(const char *dir, const fmal_run_state *s,
                                const fmal_dataset *set, class_counts *n)
{
    char path[4096];
    text t;

    FMAL_TRY(text_open(&t));
    fprintf(t.to, "round,label,class,pool,picked,labelled,test,test_accuracy\n");
    for (int64_t r = 0; r < s->rounds_done; r++)
        put_round_classes(t.to, s, r, set, n);
    snprintf(path, sizeof path, "%s/classes.csv", dir);
    return text_save(&t, path);
}

/* ---- picks.csv ---- */

static void put_picks(FILE *to, const fmal_run_state *s, const fmal_dataset *set)
{
    int64_t round = 0;

    fprintf(to, "round,order,index,label,class\n");
    for (int64_t i = 0; i < s->n_picks; i++) {
        int32_t label = s->pick_labels[i];

        while (i >= s->first_pick[round + 1])
            round++;
        fprintf(to, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%d,", round,
                i - s->first_pick[round], fmal_split_origin(&set->train, s->picks[i]),
                label);
        put_field(to,
                  label >= 0 && label < set->classes ? set->class_names[label] : "");
        fputc('\n', to);
    }
}

static fmal_status save_picks(const char *dir, const fmal_run_state *s,
                              const fmal_dataset *set)
{
    char path[4096];
    text t;

    FMAL_TRY(text_open(&t));
    put_picks(t.to, s, set);
    snprintf(path, sizeof path, "%s/picks.csv", dir);
    return text_save(&t, path);
}

fmal_status fmal_report_tables(const fmal_ctx *ctx, const char *dir,
                               const fmal_run_state *state, const fmal_dataset *set)
{
    class_counts n = { 0 };
    fmal_status st = counts_init(ctx, set, &n);

    if (st == FMAL_OK && ctx->rank == 0) {
        st = save_metrics(dir, state, set->classes);
        if (st == FMAL_OK)
            st = save_classes(dir, state, set, &n);
        if (st == FMAL_OK)
            st = save_picks(dir, state, set);
    }
    counts_clear(&n);
    return fmal_agree_root(ctx, st);
}

/* ---- For people ---- */

void fmal_report_rounds(const fmal_run_state *s, FILE *to)
{
    fprintf(to, "round  labels  epochs  train accuracy  test accuracy\n");
    for (int64_t r = 0; r < s->rounds_done; r++)
        fprintf(to, "%5" PRId64 "  %6" PRId64 "  %6" PRId64 "  %14.4f  %13.4f\n", r,
                s->rounds[r].labelled, s->rounds[r].epochs, s->rounds[r].train_accuracy,
                s->rounds[r].test_accuracy);
}

/* ---- The picks as CSV ---- */

fmal_status fmal_picks_csv(const char *path, const fmal_picks *picks)
{
    text t;

    FMAL_TRY(text_open(&t));
    fprintf(t.to, "order,index,score%s\n", picks->ids ? ",id" : "");
    for (fmal_idx i = 0; i < picks->batch->n; i++) {
        fprintf(t.to, "%" PRId64 ",%" PRId64 ",%.10g", i, picks->batch->index[i],
                picks->batch->score[i]);
        if (picks->ids) {
            fputc(',', t.to);
            put_field(t.to, picks->ids[i]);
        }
        fputc('\n', t.to);
    }
    return text_save(&t, path);
}
