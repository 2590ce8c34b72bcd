/* A matrix and its pending terms, against the whole matrix that they stand for. */
#include "matrices.h"

#include <stdio.h>

enum { CAPACITY = 12, MOST_COLUMNS = CAPACITY };

static const int orders[] = { 1, 37, 65, 130, 200 };

/* Columns of the terms that come one after the other: many more than the capacity. */
static const int terms[] = { 3, 5, 4, 1, 12, 2, 2, 7, 6, 6, 1, 11, 12, 12, 5 };

/* The whole matrix and what the fmal_lowrank holds of it. */
typedef struct {
    int n;
    double *whole, *left, *right;
    fmal_dmat *base;
    fmal_lowrank *m;
} fixture;

static fixture fixture_of(const fmal_grid *grid, int n)
{
    fixture f = { .n = n, .whole = positive(n, n, 1, 11) };

    f.left = zeros((fmal_idx) MOST_COLUMNS * n);
    f.right = zeros((fmal_idx) MOST_COLUMNS * n);
    f.base = spread(grid, n, f.whole);
    if (fmal_lowrank_create(f.base, CAPACITY, &f.m) != FMAL_OK)
        abort();
    return f;
}

static void fixture_clear(fixture *f)
{
    fmal_lowrank_destroy(&f->m);
    fmal_dmat_destroy(&f->base);
    fmal_free(&f->whole);
    fmal_free(&f->left);
    fmal_free(&f->right);
}

/* Add term number `number` to both. */
static void add_term(fixture *f, int number)
{
    int n = f->n, k = terms[number];
    double *left = normals((fmal_idx) k * n, 100 + (uint32_t) number);
    double *right = normals((fmal_idx) k * n, 200 + (uint32_t) number);
    double scale = number % 2 ? -0.5 : 0.25;

    for (int c = 0; c < k; c++)
        for (int j = 0; j < n; j++)
            for (int i = 0; i < n; i++)
                f->whole[j * n + i] += scale * left[c * n + i] * right[c * n + j];
    /* Copied: what is given may change at once. */
    memcpy(f->left, left, sizeof(double) * (size_t) k * (size_t) n);
    memcpy(f->right, right, sizeof(double) * (size_t) k * (size_t) n);
    fmal_lowrank_add(f->m, scale, f->left, f->right, k);
    memset(f->left, -1, sizeof(double) * (size_t) k * (size_t) n);
    memset(f->right, -1, sizeof(double) * (size_t) k * (size_t) n);
    fmal_free(&left);
    fmal_free(&right);
}

/* On the root: the product with k columns is right; scaled by norms and epsilon. */
static double product_gap(const fixture *f, int k)
{
    int n = f->n;
    double *u = normals((fmal_idx) k * n, 300 + (uint32_t) k), worst = 0;
    double *out = zeros((fmal_idx) k * n), norm = norm_of(f->whole, n);

    fmal_lowrank_apply(f->m, u, k, out);
    for (int c = 0; c < k && f->base->grid->ctx.rank == 0; c++)
        for (int i = 0; i < n; i++) {
            double sum = 0, size = 0;

            for (int j = 0; j < n; j++) {
                sum += f->whole[j * n + i] * u[c * n + j];
                size = fmax(size, fabs(u[c * n + j]));
            }
            double gap = fabs(out[c * n + i] - sum) / (DBL_EPSILON * norm * size);
            if (!(gap <= worst))
                worst = gap;
        }
    fmal_free(&u);
    fmal_free(&out);
    return worst;
}

static void test_terms(fmal_test *t, const fmal_grid *grid, int n)
{
    fixture f = fixture_of(grid, n);
    double worst = product_gap(&f, 3), bound = 20 + n;
    bool within = true;
    int folds = 0;

    for (int i = 0; i < FMAL_COUNT(terms); i++) {
        int pending = f.m->pending;

        add_term(&f, i);
        folds += f.m->pending < pending + terms[i];
        within = within && f.m->pending <= CAPACITY;
        worst = fmax(worst, product_gap(&f, 1 + i % 5));
    }
    worst = fmax(worst, product_gap(&f, CAPACITY));
    fmal_test_ok(t, worst < bound, "order %d: products, %.2g", n, worst);
    fmal_test_ok(t, within && (folds >= 5 || !grid->inside), "order %d: %d folds", n,
                 folds);

    /* Pending terms are beside the base, and forgotten when asked. */
    double *base = zeros((fmal_idx) n * n), before = product_gap(&f, 2);
    fmal_dmat_get(f.base, 0, 0, n, n, base);
    memcpy(f.whole, base, sizeof(double) * (size_t) n * (size_t) n);
    fmal_lowrank_reset(f.m);
    double after = product_gap(&f, 2);
    fmal_test_ok(t, f.m->pending == 0 && before < bound && after < bound,
                 "order %d: reset leaves the base", n);
    fmal_free(&base);
    fixture_clear(&f);
    fmal_test_ok(t, !f.m, "order %d: gone", n);
    fmal_lowrank_destroy(&f.m);
}

/* Terms that cancel: the base is what it was, up to rounding. */
static void test_there_and_back(fmal_test *t, const fmal_grid *grid)
{
    enum { N = 70, K = 4, TIMES = 20 };
    fixture f = fixture_of(grid, N);
    double *left = normals(K * N, 41), *right = normals(K * N, 42);

    for (int i = 0; i < TIMES; i++)
        fmal_lowrank_add(f.m, i % 2 ? -1 : 1, left, right, K);
    double gap = product_gap(&f, 3);
    fmal_test_ok(t, gap < 20 + N, "terms that cancel: %.2g", gap);
    fmal_free(&left);
    fmal_free(&right);
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
        for (int j = 0; j < FMAL_COUNT(orders); j++)
            test_terms(&t, &grid, orders[j]);
        test_there_and_back(&t, &grid);
        fmal_grid_clear(&grid);
    }
    return fmal_test_end(&t);
}
