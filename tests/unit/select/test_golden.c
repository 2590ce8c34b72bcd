/* The engine gives the picks of the public implementations, in order. */
#include "pool_support.h"

#include <stdio.h>

#include "fmal/io.h"

static const struct {
    const char *method;
    fmal_likelihood likelihood;
    int topc;
    bool sum, top;
} methods[] = {
    { "bait", FMAL_LIKELIHOOD_FULL, 0, false, false },
    { "bait-sum", FMAL_LIKELIHOOD_FULL, 0, true, false },
    { "bait-topk", FMAL_LIKELIHOOD_FULL, 0, false, true },
    { "bait-topc2", FMAL_LIKELIHOOD_TOPC, 2, false, false },
    { "bait-topc5", FMAL_LIKELIHOOD_TOPC, 5, false, false },
    { "bait-binary", FMAL_LIKELIHOOD_BINARY, 0, false, false },
};

static const char *const files[] = { "iris.h5", "wine.h5", "fmnist_d16.h5" };

static fmal_status read_pool(const char *path, whole_pool *pool)
{
    fmal_h5 *h = NULL;
    fmal_h5_info info;
    float *logits = NULL;

    FMAL_TRY(fmal_h5_open(path, &h));
    fmal_h5_info_of(h, "/features", &info);
    pool->n = (int) info.dims[0];
    pool->d = (int) info.dims[1];
    fmal_h5_info_of(h, "/logits", &info);
    pool->c = (int) info.dims[1];
    fmal_h5_info_of(h, "/labelled", &info);
    pool->n_labelled = (int) info.dims[0];
    FMAL_TRY(FMAL_ALLOC(&pool->features, pool->n * pool->d));
    FMAL_TRY(FMAL_ALLOC(&pool->probs, pool->n * pool->c));
    FMAL_TRY(FMAL_ALLOC(&logits, pool->n * pool->c));
    FMAL_TRY(FMAL_ALLOC(&pool->labelled, pool->n_labelled));
    FMAL_TRY(fmal_h5_read(h, "/features", FMAL_F32, pool->features));
    FMAL_TRY(fmal_h5_read(h, "/logits", FMAL_F32, logits));
    FMAL_TRY(fmal_h5_read(h, "/labelled", FMAL_I64, pool->labelled));
    for (int i = 0; i < pool->n; i++)
        softmax(logits + i * pool->c, pool->c, pool->probs + i * pool->c);
    fmal_free(&logits);
    return fmal_h5_close(&h);
}

/* What is recorded for a pool and a method; not every method for every pool. */
typedef struct {
    bool exists;
    fmal_idx picks[64];
    double objective;
} answer;

static fmal_status read_answer(const char *path, const char *method,
                               fmal_select_options *options, answer *a)
{
    char group[128], name[160];
    fmal_h5_info info;
    fmal_h5 *h = NULL;

    snprintf(group, sizeof group, "/expected/%s", method);
    snprintf(name, sizeof name, "/expected/%s/picks", method);
    FMAL_TRY(fmal_h5_open(path, &h));
    fmal_h5_info_of(h, name, &info);
    a->exists = info.exists;
    if (a->exists) {
        FMAL_TRY(fmal_h5_get_i64(h, group, "k", &options->batch));
        FMAL_TRY(fmal_h5_get_f64(h, group, "lambda", &options->lambda));
        if (!options->top) /* not recorded where nothing is searched */
            FMAL_TRY(fmal_h5_get_f64(h, group, "objective", &a->objective));
        FMAL_TRY(fmal_h5_read(h, name, FMAL_I64, a->picks));
    }
    return fmal_h5_close(&h);
}

/* @return whether there was an answer to compare with */
static bool run_case(fmal_test *t, const char *path, const char *file, int row,
                     bool in_double)
{
    whole_pool pool = { 0 };
    fmal_selection sel = { 0 };
    fmal_select_options options = { .oversample = 2,
                                    .labelled_sum = methods[row].sum,
                                    .top = methods[row].top,
                                    .likelihood = methods[row].likelihood,
                                    .topc = methods[row].topc,
                                    .double_precision = in_double,
                                    .lazy = !in_double };
    answer want = { .exists = false };
    fmal_status st = read_answer(path, methods[row].method, &options, &want);

    if (st == FMAL_OK && want.exists)
        st = read_pool(path, &pool);
    if (st == FMAL_OK && want.exists)
        st = select_batch(&t->ctx, &pool, FMAL_BLOCK, &options, NULL, -1, NULL, &sel);
    fmal_test_status(t, st, FMAL_OK, file);
    if (!want.exists)
        return false;
    bool same = sel.n == options.batch;
    for (fmal_idx i = 0; same && i < sel.n; i++)
        same = sel.index[i] == want.picks[i];
    fmal_test_ok(t, same, "%s %s, %s: picks in order", file, methods[row].method,
                 in_double ? "double" : "mixed and lazy");
    if (!options.top)
        fmal_test_ok(t, fmal_test_close(sel.after, want.objective, 1e-8, 0),
                     "%s %s: objective %.12g is %.12g", file, methods[row].method,
                     sel.after, want.objective);
    fmal_selection_clear(&sel);
    pool_clear(&pool);
    return true;
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    const char *dir = getenv("FMAL_GOLDEN");
    char probe[1024];

    if (!dir)
        dir = FMAL_SOURCE_DIR "/../shared/golden";
    snprintf(probe, sizeof probe, "%s/iris.h5", dir);
    if (!fmal_file_exists(probe))
        return fmal_test_skip(&t, "no pools with known answers (set FMAL_GOLDEN)");
    int answers = 0;
    for (int f = 0; f < FMAL_COUNT(files); f++) {
        char path[1024];

        snprintf(path, sizeof path, "%s/%s", dir, files[f]);
        for (int row = 0; row < FMAL_COUNT(methods); row++)
            for (int in_double = 0; in_double < 2; in_double++)
                answers += run_case(&t, path, files[f], row, in_double);
    }
    fmal_test_ok(&t, answers >= 24, "%d answers", answers);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
