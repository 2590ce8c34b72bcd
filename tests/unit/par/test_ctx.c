/* The context, and the spread of a number over its ranks. */
#include "fmal_test.h"

#include <math.h>

static void test_ctx(fmal_test *t)
{
    int rank, size;

    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    fmal_test_ok(t, t->ctx.rank == rank && t->ctx.size == size, "rank and size");
    fmal_test_ok(t, t->ctx.nodes == 1 && t->ctx.node_size == size,
                 "all ranks of a test are on one node");
}

/* A context over some of the ranks. */
static void test_part_of_world(fmal_test *t)
{
    MPI_Comm half;
    fmal_ctx ctx;

    MPI_Comm_split(t->ctx.comm, t->ctx.rank % 2, 0, &half);
    fmal_ctx_init(&ctx, half);
    int64_t sum = fmal_sum_one(&ctx, 1);
    fmal_test_ok(t, ctx.rank == t->ctx.rank / 2 && sum == ctx.size && ctx.nodes == 1,
                 "a context over every other rank");
    MPI_Comm_free(&half);
}

static void test_spread(fmal_test *t)
{
    double last = t->ctx.size - 1;
    fmal_spread s = fmal_spread_of(&t->ctx, 3.0 - t->ctx.rank);

    fmal_test_ok(t,
                 s.max == 3 && s.min == 3 - last && fabs(s.mean - 3 + last / 2) < 1e-15,
                 "the spread of a number");
    s = fmal_spread_of(&t->ctx, -7);
    fmal_test_ok(t, s.min == -7 && s.mean == -7 && s.max == -7,
                 "the spread of a number that is the same everywhere");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_ctx(&t);
    test_part_of_world(&t);
    test_spread(&t);
    return fmal_test_end(&t);
}
