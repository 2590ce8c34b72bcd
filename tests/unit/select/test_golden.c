/* The engine gives the picks of the public implementations, in order. */
#include "pool_support.h"

#include <stdio.h>

#include "fmal/io.h"

static const struct {
    const char *file, *method;
    bool sum;
} table[] = {
    { "iris.h5", "bait", false },       { "iris.h5", "bait-sum", true },
    { "wine.h5", "bait", false },       { "wine.h5", "bait-sum", true },
    { "fmnist_d16.h5", "bait", false }, { "fmnist_d16.h5", "bait-sum", true },
};

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

static void pool_clear(whole_pool *pool)
{
    fmal_free(&pool->features);
    fmal_free(&pool->probs);
    fmal_free(&pool->labelled);
}

static void run_case(fmal_test *t, const char *dir, int row)
{
    whole_pool pool = { 0 };
    fmal_selection sel = { 0 };
    fmal_select_options options = { .oversample = 2, .labelled_sum = table[row].sum };
    char path[1024], group[128], name[160];
    fmal_idx wanted[64];
    double objective = 0;
    fmal_h5 *h = NULL;

    snprintf(path, sizeof path, "%s/%s", dir, table[row].file);
    snprintf(group, sizeof group, "/expected/%s", table[row].method);
    snprintf(name, sizeof name, "/expected/%s/picks", table[row].method);
    fmal_status st = read_pool(path, &pool);
    if (st == FMAL_OK)
        st = fmal_h5_open(path, &h);
    if (st == FMAL_OK) {
        fmal_h5_get_i64(h, group, "k", &options.batch);
        fmal_h5_get_f64(h, group, "lambda", &options.lambda);
        fmal_h5_get_f64(h, group, "objective", &objective);
        st = fmal_h5_read(h, name, FMAL_I64, wanted);
    }
    if (st == FMAL_OK)
        st = select_batch(&t->ctx, &pool, FMAL_BLOCK, &options, NULL, -1, NULL, &sel);
    fmal_test_status(t, st, FMAL_OK, table[row].file);
    bool same = sel.n == options.batch;
    for (fmal_idx i = 0; same && i < sel.n; i++)
        same = sel.index[i] == wanted[i];
    fmal_test_ok(t, same, "%s %s: picks in order", table[row].file, table[row].method);
    fmal_test_ok(t, fmal_test_close(sel.after, objective, 1e-8, 0),
                 "%s %s: objective %.12g is %.12g", table[row].file, table[row].method,
                 sel.after, objective);
    fmal_h5_close(&h);
    fmal_selection_clear(&sel);
    pool_clear(&pool);
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
    for (int i = 0; i < FMAL_COUNT(table); i++)
        run_case(&t, dir, i);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
