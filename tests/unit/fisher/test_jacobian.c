/* The Jacobian against its definition, all ranks against one, and what its file keeps.
 */
#include "fmal_test.h"
#include "slow.h"

#include "fmal/mask.h"

#include <stdio.h>
#include <string.h>

enum { EXTRA = 7, ROW = BLOB_CLASSES * EXTRA };

static const fmal_watch unwatched;

/* Some of each tensor, and the head. */
static fmal_mask made_mask(void)
{
    static const fmal_idx some[EXTRA] = { 1, 5, 6, 17, 29, 30, 34 };
    fmal_mask m = { .size = SLOW_SIZE, .count = EXTRA + 15, .extra = EXTRA };

    if (FMAL_ALLOC(&m.index, m.count) != FMAL_OK)
        abort();
    for (int i = 0; i < m.count; i++)
        m.index[i] = i < EXTRA ? some[i] : 35 + i - EXTRA;
    return m;
}

typedef struct {
    fmal_dataset set;
    fmal_net *net;
    fmal_mask mask;
    fmal_idx n;
} bench;

static bench bench_make(const fmal_ctx *ctx, fmal_idx n)
{
    return (bench){ blobs(ctx, n, 1), blobs_net("mlp"), made_mask(), n };
}

static void bench_clear(bench *b)
{
    blobs_clear(&b->set);
    fmal_net_destroy(&b->net);
    fmal_mask_clear(&b->mask);
}

static fmal_status compute(const fmal_ctx *ctx, bench *b, fmal_jacobian_rows rows,
                           const char *path, double most, fmal_jacobian *out)
{
    fmal_jacobian_options o = { .rows = rows, .most = most, .path = path };

    return fmal_fisher_jacobian(ctx, b->net, &b->set, &b->set.train, &b->mask, &o,
                                &unwatched, out);
}

/* ---- By definition ---- */

static bool is_jacobian(const bench *b, const float *got, fmal_jacobian_rows rows)
{
    const fmal_part *part = &b->set.train.part;
    const float *params = fmal_net_params(b->net);
    bool good = true;

    for (fmal_idx il = 0; il < part->count; il++) {
        double x[BLOB_INPUTS], h[BLOB_HIDDEN], p[BLOB_CLASSES], grad[SLOW_SIZE];

        slow_sample(part->first + il, x);
        slow_forward(params, x, h, p);
        for (int k = 0; k < BLOB_CLASSES; k++) {
            double seed[BLOB_CLASSES] = { 0 };

            seed[k] += 1;
            if (rows == FMAL_RELATIVE)
                seed[BLOB_CLASSES - 1] -= 1;
            slow_gradient(params, x, h, seed, grad);
            for (int e = 0; e < EXTRA; e++)
                good = good && fabs(*got++ - grad[b->mask.index[e]]) <= 1e-5;
        }
    }
    return good;
}

static void test_rows(fmal_test *t, const fmal_ctx *self, fmal_idx n,
                      fmal_jacobian_rows rows, const char *name)
{
    bench all = bench_make(&t->ctx, n), one = bench_make(self, n);
    fmal_jacobian a = { 0 }, b = { 0 };
    const fmal_part *part = &all.set.train.part;

    fmal_test_status(t, compute(&t->ctx, &all, rows, NULL, 0, &a), FMAL_OK, name);
    fmal_test_ok(t, is_jacobian(&all, a.rows, rows), "%s: by definition", name);
    fmal_test_ok(t,
                 compute(self, &one, rows, NULL, 0, &b) == FMAL_OK &&
                     same_bits(a.rows, b.rows + part->first * ROW,
                               (size_t) (part->count * ROW) * sizeof(float)),
                 "%s: as on one rank", name);
    fmal_jacobian_clear(&a);
    fmal_jacobian_clear(&b);
    bench_clear(&all);
    bench_clear(&one);
}

/* ---- What the file keeps ---- */

static bool same_rows(const bench *b, const fmal_jacobian *x, const fmal_jacobian *y)
{
    return same_bits(x->rows, y->rows,
                     (size_t) (b->set.train.part.count * ROW) * sizeof(float));
}

static fmal_idx found_by_all(const fmal_test *t, const fmal_jacobian *j)
{
    return fmal_sum_one(&t->ctx, j->found);
}

/* Change a byte of the file, counted from its end. */
static void poke(const fmal_test *t, const char *path, size_t from_end)
{
    char *bytes = NULL;
    size_t n = 0;

    if (t->ctx.rank == 0) {
        if (fmal_file_read(path, 1 << 24, &bytes, &n) != FMAL_OK)
            abort();
        bytes[n - from_end] ^= 1;
        if (fmal_file_replace(path, bytes, n) != FMAL_OK)
            abort();
        fmal_free(&bytes);
    }
    MPI_Barrier(t->ctx.comm);
}

/* A start after `before`: how many blocks it finds, with the same rows. */
static void again(fmal_test *t, bench *b, const char *path, double most,
                  const fmal_jacobian *want, fmal_idx found, const char *name)
{
    fmal_jacobian j = { 0 };

    fmal_test_status(t, compute(&t->ctx, b, FMAL_RELATIVE, path, most, &j), FMAL_OK,
                     name);
    fmal_test_ok(t, same_rows(b, want, &j), "%s: the same rows", name);
    fmal_test_ok(t, found_by_all(t, &j) == found, "%s: found %d", name, (int) found);
    fmal_test_ok(t, most > 0 ? !j.held : j.held != NULL, "%s: %s", name,
                 most > 0 ? "mapped" : "in memory");
    fmal_jacobian_clear(&j);
}

static void test_file(fmal_test *t, fmal_idx n)
{
    char path[512];
    bench b = bench_make(&t->ctx, n);
    fmal_idx blocks = b.set.train.part.blocks;
    fmal_jacobian plain = { 0 };

    snprintf(path, sizeof path, "%s", fmal_test_path(t, "jacobian.part"));
    fmal_test_status(t, compute(&t->ctx, &b, FMAL_RELATIVE, NULL, 0, &plain), FMAL_OK,
                     "without a file");
    again(t, &b, path, 0, &plain, 0, "a new file");
    again(t, &b, path, 0, &plain, blocks, "a whole one");
    again(t, &b, path, 1e-9, &plain, blocks, "a whole one, and no memory");
    poke(t, path, 1);
    again(t, &b, path, 0, &plain, blocks - 1, "one block is damaged");
    poke(t, path, 1);
    again(t, &b, path, 1e-9, &plain, blocks - 1, "the same, and no memory");

    /* Another network, mask or pool is another Jacobian. */
    fmal_net_params(b.net)[0] += 1;
    fmal_jacobian other = { 0 };
    fmal_test_ok(t,
                 compute(&t->ctx, &b, FMAL_RELATIVE, path, 0, &other) == FMAL_OK &&
                     found_by_all(t, &other) == 0,
                 "other weights begin it anew");
    fmal_jacobian_clear(&other);
    fmal_net_params(b.net)[0] -= 1;
    b.mask.index[0]++;
    fmal_test_ok(t,
                 compute(&t->ctx, &b, FMAL_RELATIVE, path, 0, &other) == FMAL_OK &&
                     found_by_all(t, &other) == 0,
                 "and another mask");
    fmal_jacobian_clear(&other);
    fmal_test_ok(t,
                 compute(&t->ctx, &b, FMAL_ABSOLUTE, path, 0, &other) == FMAL_OK &&
                     found_by_all(t, &other) == 0,
                 "and other rows");
    fmal_jacobian_clear(&other);
    fmal_jacobian_clear(&plain);
    bench_clear(&b);
}

/* What one rank alone left is found by all. */
static void test_other_ranks(fmal_test *t, const fmal_ctx *self)
{
    char path[512];
    bench all = bench_make(&t->ctx, 41), one = bench_make(self, 41);
    fmal_jacobian a = { 0 }, b = { 0 };
    fmal_status st = FMAL_OK;

    snprintf(path, sizeof path, "%s", fmal_test_path(t, "moved.part"));
    if (t->ctx.rank == 0)
        st = compute(self, &one, FMAL_RELATIVE, path, 0, &a);
    fmal_test_status(t, fmal_agree_root(&t->ctx, st), FMAL_OK, "a file of one rank");
    fmal_test_status(t, compute(&t->ctx, &all, FMAL_RELATIVE, path, 0, &b), FMAL_OK,
                     "for all ranks");
    fmal_test_ok(t, found_by_all(t, &b) == all.set.train.part.blocks,
                 "all blocks are found");
    fmal_jacobian_clear(&a);
    fmal_jacobian_clear(&b);
    bench_clear(&all);
    bench_clear(&one);
}

/* ---- Stops, failures ---- */

static void test_stop(fmal_test *t)
{
    bench b = bench_make(&t->ctx, 41);
    fmal_stop late = { .deadline = fmal_now() - 1 };
    fmal_watch watch = { .stop = &late };
    fmal_jacobian_options o = { .path = fmal_test_path(t, "stopped.part") };
    fmal_jacobian j = { 0 };

    fmal_test_status(t,
                     fmal_fisher_jacobian(&t->ctx, b.net, &b.set, &b.set.train, &b.mask,
                                          &o, &watch, &j),
                     FMAL_STOPPED, "stopped after the first blocks");
    fmal_test_status(t,
                     fmal_fisher_jacobian(&t->ctx, b.net, &b.set, &b.set.train, &b.mask,
                                          &o, &unwatched, &j),
                     FMAL_OK, "gone on with");
    fmal_test_ok(t, found_by_all(t, &j) == t->ctx.size, "these are kept");
    fmal_test_ok(t, is_jacobian(&b, j.rows, FMAL_ABSOLUTE), "and right");
    fmal_jacobian_clear(&j);
    bench_clear(&b);
}

static void test_failures(fmal_test *t)
{
    bench b = bench_make(&t->ctx, 41);
    fmal_jacobian j = { .found = -1 };
    char path[512];

    fmal_test_status(t, compute(&t->ctx, &b, FMAL_RELATIVE, NULL, 10, &j),
                     FMAL_ERR_NOMEM, "neither memory nor a file");
    snprintf(path, sizeof path, "%s", fmal_test_path(t, "notes.txt"));
    if (t->ctx.rank == 0 && fmal_file_replace(path, "my notes", 8) != FMAL_OK)
        abort();
    fmal_test_status(t, compute(&t->ctx, &b, FMAL_RELATIVE, path, 0, &j),
                     FMAL_ERR_EXISTS, "another kind of file is not written over");
    fmal_test_status(t, compute(&t->ctx, &b, FMAL_RELATIVE, "/nowhere/x.part", 0, &j),
                     FMAL_ERR_IO, "a folder that is not there");
    blobs_poke(&b.set.train, 9, INFINITY);
    blobs_poke(&b.set.train, 23, NAN);
    fmal_test_status(t, compute(&t->ctx, &b, FMAL_RELATIVE, NULL, 0, &j),
                     FMAL_ERR_NUMERIC, "samples that are not finite");
    fmal_test_ok(t, strstr(fmal_error_text(), "sample 9:") && j.found == -1,
                 "the first is named: %s", fmal_error_text());
    b.mask.extra = 0;
    fmal_test_status(t, compute(&t->ctx, &b, FMAL_RELATIVE, NULL, 0, &j), FMAL_OK,
                     "a mask of the head alone");
    fmal_test_ok(t, !j.rows, "has no Jacobian");
    bench_clear(&b);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    fmal_ctx self;

    fmal_ctx_init(&self, MPI_COMM_SELF);
    test_rows(&t, &self, 41, FMAL_ABSOLUTE, "absolute");
    test_rows(&t, &self, 41, FMAL_RELATIVE, "relative");
    test_rows(&t, &self, 3, FMAL_RELATIVE, "fewer blocks than ranks");
    test_rows(&t, &self, 0, FMAL_RELATIVE, "no sample");
    test_file(&t, 41);
    test_other_ranks(&t, &self);
    test_stop(&t);
    test_failures(&t);
    return fmal_test_end(&t);
}
