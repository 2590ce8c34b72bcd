/* A symmetric matrix and its waiting terms, against the whole matrix that they stand
   for. */
#include "matrices.h"

#include <stdio.h>

enum { CAPACITY = 12, MOST_COLUMNS = 67 };

/* Order of the base, leading rows and columns of it, length of the factor in products
   with I (x) h. */
static const struct {
    int n, order, d;
} sizes[] = {
    { 1, 1, 1 },      { 37, 37, 37 },   { 65, 52, 13 },    { 67, 67, 1 },
    { 130, 128, 64 }, { 200, 180, 60 }, { 200, 199, 199 }, { 286, 273, 91 },
};

/* Columns of the terms that come one after the other: many more than the capacity. */
static const int terms[] = { 3, 5, 4, 1, 12, 2, 2, 7, 6, 6, 1, 11, 12, 12, 5 };

/* The leading part of the whole matrix, [order, order], and what holds it. */
typedef struct {
    int n, order, d;
    bool pairs;
    double *whole, norm; /* the largest norm that it had */
    fmal_dmat *base;
    fmal_lowrank *m;
} fixture;

/* All but the lower triangle of what leads is NaN: nobody may read it. */
static fixture fixture_of(const fmal_grid *grid, int n, int order, int d, bool pairs)
{
    fixture f = { .n = n, .order = order, .d = d, .pairs = pairs };
    double *a = positive(n, n, 1, 11);

    f.whole = zeros((fmal_idx) order * order);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++)
            if (i < order && j < order)
                f.whole[j * order + i] = a[j * n + i];
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++)
            if (i < j || i >= order)
                a[j * n + i] = NAN;
    f.norm = norm_of(f.whole, order);
    f.base = spread(grid, n, a);
    if (fmal_lowrank_create(f.base, order, CAPACITY, MOST_COLUMNS, pairs, &f.m) !=
        FMAL_OK)
        abort();
    fmal_free(&a);
    return f;
}

static void fixture_clear(fixture *f)
{
    fmal_lowrank_destroy(&f->m);
    fmal_dmat_destroy(&f->base);
    fmal_free(&f->whole);
}

/* Add k columns to both. */
static void add_columns(fixture *f, double scale, int k, uint32_t seed)
{
    int n = f->order;
    double *w = normals((fmal_idx) k * n, seed);
    double *z = normals((fmal_idx) k * n, f->pairs ? seed + 100 : seed);

    for (int c = 0; c < k; c++)
        for (int j = 0; j < n; j++)
            for (int i = 0; i < n; i++)
                f->whole[j * n + i] +=
                    scale * (w[c * n + i] * z[c * n + j] +
                             (f->pairs ? z[c * n + i] * w[c * n + j] : 0));
    f->norm = fmax(f->norm, norm_of(f->whole, n));
    fmal_lowrank_add(f->m, scale, w, f->pairs ? z : NULL, k);
    fmal_free(&w); /* copied */
    fmal_free(&z);
}

/* On the root: the error of out [k, order] as the product with u [k, order], scaled by
   norms and epsilon. */
static double gap_of(const fixture *f, const double *u, int k, const double *out)
{
    int n = f->order;
    double worst = 0;

    for (int c = 0; c < k && f->base->grid->ctx.rank == 0; c++) {
        double size = 0;

        for (int j = 0; j < n; j++)
            size = fmax(size, fabs(u[c * n + j]));
        for (int i = 0; i < n; i++) {
            double sum = 0;

            for (int j = 0; j < n; j++)
                sum += f->whole[j * n + i] * u[c * n + j];
            double gap = fabs(out[c * n + i] - sum) / (DBL_EPSILON * f->norm * size);
            if (!(gap <= worst))
                worst = gap;
        }
    }
    return worst;
}

static double product_gap(const fixture *f, int k)
{
    double *u = normals((fmal_idx) k * f->order, 300 + (uint32_t) k);
    double *out = zeros((fmal_idx) k * f->order);

    fmal_lowrank_apply(f->m, u, k, out);
    double worst = gap_of(f, u, k, out);
    fmal_free(&u);
    fmal_free(&out);
    return worst;
}

/* The same of I (x) h. */
static double blocks_gap(const fixture *f)
{
    int n = f->order, blocks = n / f->d;
    double *h = normals(f->d, 400), *u = zeros((fmal_idx) blocks * n);
    double *out = zeros((fmal_idx) blocks * n);

    for (int i = 0; i < n; i++)
        u[i / f->d * n + i] = h[i % f->d];
    fmal_lowrank_apply_blocks(f->m, h, f->d, blocks, NULL, out);
    double worst = gap_of(f, u, blocks, out);
    fmal_free(&h);
    fmal_free(&u);
    fmal_free(&out);
    return worst;
}

/* The same of I (x) h above whole columns, about half of each. */
static double mixed_gap(const fixture *f)
{
    int n = f->order, blocks = (n / f->d + 1) / 2, left = n - blocks * f->d;
    double *h = normals(f->d, 400), *u = zeros((fmal_idx) blocks * n);
    double *tail = normals((fmal_idx) blocks * left + 1, 401);
    double *out = zeros((fmal_idx) blocks * n);

    for (int l = 0; l < blocks; l++)
        for (int i = 0; i < n; i++)
            u[l * n + i] = i >= blocks * f->d ? tail[l * left + i - blocks * f->d]
                           : i / f->d == l    ? h[i % f->d]
                                              : 0;
    fmal_lowrank_apply_blocks(f->m, h, f->d, blocks, tail, out);
    double worst = gap_of(f, u, blocks, out);
    fmal_free(&h);
    fmal_free(&u);
    fmal_free(&tail);
    fmal_free(&out);
    return worst;
}

/* The base's lower triangle is what the whole matrix is from now on. */
static void take_base(fixture *f)
{
    int n = f->order;
    double *base = zeros((fmal_idx) n * n);

    fmal_dmat_get(f->base, 0, 0, n, n, base);
    for (int j = 0; j < n; j++)
        for (int i = j; i < n; i++)
            f->whole[j * n + i] = f->whole[i * n + j] = base[j * n + i];
    fmal_free(&base);
}

static void test_terms(fmal_test *t, const fmal_grid *grid, int row, bool pairs)
{
    fixture f = fixture_of(grid, sizes[row].n, sizes[row].order, sizes[row].d, pairs);
    int n = f.order, folds = 0;
    double worst = fmax(product_gap(&f, 3), blocks_gap(&f)), bound = 20 + n;
    double mixed = mixed_gap(&f);
    bool within = true;

    for (int i = 0; i < FMAL_COUNT(terms); i++) {
        int pending = f.m->pending;

        /* Other scales do not wait together. */
        add_columns(&f, i < 9 ? 0.25 : -0.5, terms[i], 100 + (uint32_t) i);
        folds += f.m->pending < pending + terms[i];
        within = within && f.m->pending <= CAPACITY;
        worst = fmax(worst, fmax(product_gap(&f, 1 + i % 5), blocks_gap(&f)));
        mixed = fmax(mixed, mixed_gap(&f));
    }
    worst = fmax(worst, product_gap(&f, CAPACITY));
    fmal_test_ok(t, worst < bound && mixed < bound,
                 "order %d of %d, d %d%s: products, %.2g, %.2g", n, f.n, f.d,
                 pairs ? ", pairs" : "", worst, mixed);
    fmal_test_ok(t, within && (folds >= 5 || !grid->inside), "order %d: %d folds", n,
                 folds);

    /* Terms wait beside the base, and are forgotten when asked. */
    double before = product_gap(&f, 2), apart = 0;
    take_base(&f);
    apart = product_gap(&f, 2);
    fmal_lowrank_reset(f.m);
    double after = fmax(product_gap(&f, 2), blocks_gap(&f));
    fmal_test_ok(t,
                 f.m->pending == 0 && before < bound && after < bound &&
                     (apart > bound || grid->ctx.rank > 0),
                 "order %d: reset leaves the base", n);
    fmal_test_ok(t, f.m->flops > 0 || !grid->inside || grid->ctx.rank > 0,
                 "order %d: operations are counted", n);
    fixture_clear(&f);
    fmal_test_ok(t, !f.m, "order %d: gone", n);
    fmal_lowrank_destroy(&f.m);
}

/* Terms that cancel: the base is what it was, up to rounding. */
static void test_there_and_back(fmal_test *t, const fmal_grid *grid, bool pairs)
{
    enum { N = 70, K = 4, TIMES = 20 };
    fixture f = fixture_of(grid, N, N, N / 2, pairs);

    for (int i = 0; i < TIMES; i++)
        add_columns(&f, i % 2 ? -1 : 1, K, 41);
    double gap = fmax(product_gap(&f, 3), blocks_gap(&f));
    fmal_test_ok(t, gap < 20 + N, "terms that cancel: %.2g", gap);
    fixture_clear(&f);
}

/* The most columns that wait while many come, a few at a time. */
static int most_pending(fixture *f)
{
    enum { K = 7, TIMES = 120 };
    int most = 0;

    for (int i = 0; i < TIMES; i++) {
        add_columns(f, 1e-3, K, 51);
        most = f->m->pending > most ? f->m->pending : most;
    }
    return most;
}

/* All that there is room for wait until the first fold, then fewer. */
static void test_room(fmal_test *t, const fmal_grid *grid)
{
    enum { N = 20, ROOM = 500, LATER = 256 };
    fixture f = fixture_of(grid, N, N, N, false);

    fmal_lowrank_destroy(&f.m);
    if (fmal_lowrank_create(f.base, N, ROOM, MOST_COLUMNS, false, &f.m) != FMAL_OK)
        abort();
    int first = most_pending(&f), later = most_pending(&f);
    double gap = product_gap(&f, 3);
    fmal_lowrank_reset(f.m);
    int again = most_pending(&f);
    fmal_test_ok(
        t,
        !grid->inside || (first > LATER && first <= ROOM && later > LATER - 7 &&
                          later <= LATER && again == first && gap < 20 + ROOM),
        "columns that wait: %d, %d, after a reset %d; %.2g", first, later, again, gap);
    fixture_clear(&f);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FMAL_COUNT(grids); i++) {
        fmal_grid grid;

        if (grids[i].rows * grids[i].cols > t.ctx.size)
            continue;
        if (t.ctx.rank == 0)
            printf("# %d x %d\n", grids[i].rows, grids[i].cols);
        fmal_grid_init(&grid, &t.ctx, grids[i].rows, grids[i].cols);
        for (int pairs = 0; pairs < 2; pairs++) {
            for (int row = 0; row < FMAL_COUNT(sizes); row++)
                test_terms(&t, &grid, row, pairs);
            test_there_and_back(&t, &grid, pairs);
        }
        test_room(&t, &grid);
        fmal_grid_clear(&grid);
    }
    return fmal_test_end(&t);
}
