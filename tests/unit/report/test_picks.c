/* A picks file gives its batch back; one that does not fit the pool is refused. */
#include "fmal_test.h"

#include "fmal/mem.h"
#include "fmal/report.h"

#include <math.h>
#include <string.h>

enum { N = 3, POOL = 7 };

static fmal_idx indices[N] = { 6, 0, 2 };
static double scores[N] = { 0.1 + 0.2, -1, 1e-300 };

static fmal_picks some_picks(const fmal_batch *batch)
{
    return (fmal_picks){ .batch = batch,
                         .strategy = "some",
                         .score = "a score",
                         .options = "a = 1\nb = 2\n",
                         .fixed = "a = 1\n",
                         .history = "fmal select",
                         .pool_path = "pool.h5",
                         .pool_checksum = "0",
                         .pool_n = POOL };
}

static void test_round_trip(fmal_test *t, bool has_objective)
{
    const char *path = fmal_test_path(t, "picks.h5");
    fmal_batch batch = { .n = N,
                         .index = indices,
                         .score = scores,
                         .has_objective = has_objective,
                         .before = 1.0 / 3,
                         .after = 0.25 };
    fmal_batch got = { 0 };
    fmal_picks picks = some_picks(&batch);
    fmal_h5 *h = NULL;
    fmal_status st = fmal_picks_save(path, &picks);

    if (st == FMAL_OK)
        st = fmal_h5_open(path, &h);
    if (st == FMAL_OK)
        st = fmal_picks_load(h, POOL, &got);
    fmal_test_ok(
        t,
        st == FMAL_OK && got.n == N &&
            memcmp(got.index, indices, sizeof indices) == 0 &&
            memcmp(got.score, scores, sizeof scores) == 0 &&
            got.has_objective == has_objective &&
            (!has_objective || (got.before == batch.before && got.after == 0.25)),
        "a batch comes back, %s objective", has_objective ? "with" : "without");
    fmal_batch_clear(&got);
    st = fmal_picks_load(h, POOL - 1, &got);
    fmal_test_ok(t,
                 st == FMAL_ERR_FORMAT && !got.index &&
                     strstr(fmal_error_text(), "/picks/index[0] is 6"),
                 "of a smaller pool: %s", fmal_error_text());
    st = fmal_picks_load(h, N - 1, &got);
    fmal_test_ok(t, st == FMAL_ERR_FORMAT && !got.index, "of fewer samples than picks");
    fmal_h5_close(&h);
}

/* Fields of an event, on every rank. */
static void test_decisions(fmal_test *t)
{
    fmal_idx added[] = { 5, 2, 9, 7 }, removed[] = { 9 };
    fmal_batch batch = { .n = 3,
                         .has_objective = true,
                         .forward = 4,
                         .backward = 1,
                         .added = added,
                         .removed = removed,
                         .log = { .refreshes = 3,
                                  .rescored = 17,
                                  .scored = 10,
                                  .margin = INFINITY,
                                  .error = 0.5 } };
    json_t *want =
        json_pack("{s:[i,i,i,i], s:[i], s:i, s:i, s:f, s:n, s:f}", "added", 5, 2, 9, 7,
                  "removed", 9, "refreshes", 3, "rescored", 17, "scored_each_step", 2.5,
                  "smallest_margin", "largest_error", 0.5);
    json_t *got = fmal_decisions_json(&batch);

    fmal_test_ok(t, want && json_equal(got, want), "decisions, without a margin");
    json_decref(got);
    batch.log.margin = 0.125;
    got = fmal_decisions_json(&batch);
    fmal_test_ok(t, json_real_value(json_object_get(got, "smallest_margin")) == 0.125,
                 "with one");
    json_decref(got);
    batch.has_objective = false;
    got = fmal_decisions_json(&batch);
    fmal_test_ok(t, json_is_object(got) && json_object_size(got) == 0,
                 "none without a search");
    json_decref(got);
    json_decref(want);
}

static const struct {
    const char *name, *schema;
    fmal_idx n_index, n_score; /* -1: not there */
    fmal_idx first;            /* element of the index */
    const char *says;
} bad[] = {
    { "another schema", "fmal-picks-2", N, N, 0, "is 'fmal-picks-2'" },
    { "no indices", FMAL_PICKS_SCHEMA, -1, N, 0, "/picks/index is missing" },
    { "no scores", FMAL_PICKS_SCHEMA, N, -1, 0, "/picks/score is no list of 3" },
    { "fewer scores", FMAL_PICKS_SCHEMA, N, N - 1, 0, "/picks/score is no list of 3" },
    { "a negative index", FMAL_PICKS_SCHEMA, N, N, -1, "/picks/index[0] is -1" },
};

static fmal_status write_list(fmal_h5 *h, const char *name, fmal_type type, fmal_idx n,
                              const void *data)
{
    fmal_h5_spec spec = { .name = name,
                          .type = type,
                          .ndims = 1,
                          .dims = { n },
                          .label = { "pick" },
                          .long_name = "a list" };

    return n < 0 ? FMAL_OK : fmal_h5_write(h, &spec, data);
}

static void test_bad(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(bad); i++) {
        fmal_idx index[N] = { bad[i].first, 1, 2 };
        fmal_batch got = { 0 };
        fmal_h5 *h = NULL;
        fmal_status st = fmal_h5_create_image(&h);

        if (st == FMAL_OK)
            st = fmal_h5_stamp(h, bad[i].schema, "test");
        if (st == FMAL_OK)
            st = write_list(h, "/picks/index", FMAL_I64, bad[i].n_index, index);
        if (st == FMAL_OK)
            st = write_list(h, "/picks/score", FMAL_F64, bad[i].n_score, scores);
        if (st == FMAL_OK)
            st = fmal_picks_load(h, POOL, &got);
        fmal_test_ok(t,
                     st == FMAL_ERR_FORMAT && !got.index &&
                         strstr(fmal_error_text(), bad[i].says),
                     "%s: %s", bad[i].name, fmal_error_text());
        fmal_h5_close(&h);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_round_trip(&t, true);
    test_round_trip(&t, false);
    test_bad(&t);
    test_decisions(&t);
    return fmal_test_end(&t);
}
