/* metrics.csv and picks.csv of a small state, byte for byte, and the picks as CSV. */
#include "fmal_test.h"

#include "fmal/io.h"
#include "fmal/mem.h"
#include "fmal/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two rounds done and a third batch picked; classes whose names want quotes. */
enum { CLASSES = 4, ROUNDS = 2, PICKS = 7 };

static char *names[CLASSES] = { "plain", "a, b", "say \"cheese\"", "two\nlines" };

static fmal_round rounds[ROUNDS] = {
    { .labelled = 3,
      .epochs = 12,
      .train_accuracy = 1,
      .train_loss = 0.125,
      .test_accuracy = 0.5,
      .test_loss = 1.0 / 3 },
    { .labelled = 5,
      .epochs = 7,
      .train_accuracy = 0.99,
      .train_loss = 1e-9,
      .test_accuracy = 2.0 / 3,
      .test_loss = 12345.678 },
};

static fmal_idx picks[PICKS] = { 5, 0, 3, (fmal_idx) 1 << 40, 7, 2, 9 };
static int64_t first_pick[] = { 0, 3, 5, 7 };
static int32_t labels[PICKS] = { 0, 1, 1, 2, 3, -1, 0 };

static const char *const metrics =
    "round,labelled,epochs,train_accuracy,train_loss,test_accuracy,test_loss,"
    "batch_balance,labelled_balance,picked_0,picked_1,picked_2,picked_3\n"
    "0,3,12,1.000000,0.125000,0.500000,0.333333,0.459148,0.459148,1,2,0,0\n"
    "1,5,7,0.990000,0.000000,0.666667,12345.678000,0.500000,0.960964,0,0,1,1\n";

static const char *const picked = "round,order,index,label,class\n"
                                  "0,0,5,0,plain\n"
                                  "0,1,0,1,\"a, b\"\n"
                                  "0,2,3,1,\"a, b\"\n"
                                  "1,0,1099511627776,2,\"say \"\"cheese\"\"\"\n"
                                  "1,1,7,3,\"two\nlines\"\n"
                                  "2,0,2,-1,\n"
                                  "2,1,9,0,plain\n";

/* Test samples right, of 2, 4, 0 and 3; the first round is of an older version. */
static int64_t right[ROUNDS * CLASSES] = { -1, -1, -1, -1, 2, 1, 0, 0 };
static int32_t test_labels[] = { 1, 3, 0, 1, -1, 3, 1, 0, 3, 1 };
static int32_t train_labels[] = { 3, 3, -1, 2, 0 };

static const char *const classes = "round,label,class,pool,picked,labelled,test,"
                                   "test_accuracy\n"
                                   "0,0,plain,1,1,1,2,\n"
                                   "0,1,\"a, b\",0,2,2,4,\n"
                                   "0,2,\"say \"\"cheese\"\"\",1,0,0,0,\n"
                                   "0,3,\"two\nlines\",2,0,0,3,\n"
                                   "1,0,plain,1,0,1,2,1.000000\n"
                                   "1,1,\"a, b\",0,0,2,4,0.250000\n"
                                   "1,2,\"say \"\"cheese\"\"\",1,1,1,0,\n"
                                   "1,3,\"two\nlines\",2,1,1,3,0.000000\n";

static fmal_run_state state_of(int64_t rounds_done, int64_t n_picks)
{
    return (fmal_run_state){ .round = rounds_done,
                             .stage = FMAL_STAGE_TRAIN,
                             .rounds_done = rounds_done,
                             .rounds = rounds,
                             .classes = CLASSES,
                             .right = right,
                             .n_picks = n_picks,
                             .picks = picks,
                             .first_pick = first_pick,
                             .pick_labels = labels };
}

static bool holds(const char *path, const char *want)
{
    char *data = NULL;
    size_t bytes = 0;
    bool same = fmal_file_read(path, 1 << 20, &data, &bytes) == FMAL_OK &&
                bytes == strlen(want) && memcmp(data, want, bytes) == 0;

    if (!same && data)
        printf("# %s holds:\n%.*s", path, (int) bytes, data);
    fmal_free(&data);
    return same;
}

static bool root_holds(fmal_test *t, const char *file, const char *want)
{
    const char *path = fmal_test_path(t, file);

    return t->ctx.rank != 0 || holds(path, want);
}

/* Labels of a few samples, in blocks of one. */
static fmal_split split_of(const fmal_ctx *ctx, int32_t *all, fmal_idx n)
{
    fmal_split split = { .part = fmal_part_make(n, 1, ctx) };

    split.labels = all + split.part.first;
    return split;
}

static void test_tables(fmal_test *t, const fmal_dataset *set)
{
    fmal_run_state state = state_of(ROUNDS, PICKS), nothing = state_of(0, 0);
    const char *dir = fmal_test_dir(t);

    fmal_test_status(t, fmal_report_tables(&t->ctx, dir, &state, set), FMAL_OK,
                     "tables");
    fmal_test_ok(t, root_holds(t, "metrics.csv", metrics), "metrics.csv");
    fmal_test_ok(t, root_holds(t, "classes.csv", classes), "classes.csv");
    fmal_test_ok(t, root_holds(t, "picks.csv", picked), "picks.csv");

    fmal_test_status(t, fmal_report_tables(&t->ctx, dir, &nothing, set), FMAL_OK,
                     "tables of nothing");
    fmal_test_ok(t,
                 root_holds(t, "picks.csv", "round,order,index,label,class\n") &&
                     root_holds(t, "metrics.csv",
                                "round,labelled,epochs,train_accuracy,train_loss,test_"
                                "accuracy,test_loss,batch_balance,labelled_balance,"
                                "picked_0,picked_1,picked_2,picked_3\n"),
                 "rows that are not in the state are gone");
    fmal_test_ok(t,
                 fmal_report_tables(&t->ctx, fmal_test_path(t, "no/folder"), &state,
                                    set) == FMAL_ERR_IO,
                 "a folder that is not there fails on all ranks");
}

static void test_rounds(fmal_test *t)
{
    fmal_run_state state = state_of(ROUNDS, PICKS);
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);

    fmal_report_rounds(&state, to);
    fclose(to);
    fmal_test_ok(t,
                 strcmp(text,
                        "round  labels  epochs  train accuracy  test accuracy\n"
                        "    0       3      12          1.0000         0.5000\n"
                        "    1       5       7          0.9900         0.6667\n") == 0,
                 "rounds for people");
    free(text);
}

static void test_picks_csv(fmal_test *t)
{
    fmal_idx index[] = { 17, 4 };
    double score[] = { 0.1, 1e-17 };
    char *ids[] = { "a\"b", "c" };
    fmal_batch batch = { .n = 2, .index = index, .score = score };
    fmal_picks p = { .batch = &batch };
    fmal_status st = FMAL_OK;

    if (t->ctx.rank == 0)
        st = fmal_picks_csv(fmal_test_path(t, "out.csv"), &p);
    fmal_test_ok(
        t,
        st == FMAL_OK &&
            root_holds(t, "out.csv", "order,index,score\n0,17,0.1\n1,4,1e-17\n"),
        "picks as CSV");
    p.ids = ids;
    if (t->ctx.rank == 0)
        st = fmal_picks_csv(fmal_test_path(t, "out.csv"), &p);
    fmal_test_ok(
        t,
        st == FMAL_OK &&
            root_holds(t, "out.csv",
                       "order,index,score,id\n0,17,0.1,\"a\"\"b\"\n1,4,1e-17,c\n"),
        "picks as CSV, with identifiers");
}

/* Balance: entropy over its largest value. */
static void test_balance(fmal_test *t)
{
    int64_t even[] = { 5, 5, 5, 5 }, one[] = { 0, 9, 0, 0 }, none[] = { 0, 0, 0, 0 };
    int64_t half[] = { 3, 3, 0, 0 };

    fmal_test_ok(t,
                 fmal_test_close(fmal_class_balance(even, 4), 1, 1e-15, 1) &&
                     fmal_class_balance(one, 4) == 0 &&
                     fmal_class_balance(none, 4) == 0 &&
                     fmal_test_close(fmal_class_balance(half, 4), 0.5, 1e-15, 1),
                 "balance of classes");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_dataset set = {
        .classes = CLASSES,
        .class_names = names,
        .train = split_of(&t.ctx, train_labels, FMAL_COUNT(train_labels)),
        .test = split_of(&t.ctx, test_labels, FMAL_COUNT(test_labels)),
    };

    test_tables(&t, &set);
    test_rounds(&t);
    test_picks_csv(&t);
    test_balance(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
