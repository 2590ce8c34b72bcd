#include "fmal/par.h"

#include <stdio.h>
#include <string.h>

void fmal_mpi_check(int code, const char *call, const char *file, int line)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;

    if (code == MPI_SUCCESS)
        return;
    MPI_Error_string(code, text, &length);
    fprintf(stderr, "fmal: %s:%d: %.60s failed: %s\n", file, line, call, text);
    MPI_Abort(MPI_COMM_WORLD, 1); /* whatever communicator failed: all ranks end */
}

void fmal_ctx_init(fmal_ctx *ctx, MPI_Comm comm)
{
    MPI_Comm node;
    int node_rank, leader;

    ctx->comm = comm;
    FMAL_MPI(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
    FMAL_MPI(MPI_Comm_rank(comm, &ctx->rank));
    FMAL_MPI(MPI_Comm_size(comm, &ctx->size));

    FMAL_MPI(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
    FMAL_MPI(MPI_Comm_size(node, &ctx->node_size));
    FMAL_MPI(MPI_Comm_rank(node, &node_rank));
    FMAL_MPI(MPI_Comm_free(&node));
    leader = node_rank == 0;
    FMAL_MPI(MPI_Allreduce(&leader, &ctx->nodes, 1, MPI_INT, MPI_SUM, comm));
}

/* Give everyone the failure text of one rank. */
static void share_text(const fmal_ctx *ctx, int from)
{
    char text[2][1024] = { "", "" };

    if (ctx->rank == from) {
        snprintf(text[0], sizeof text[0], "%s", fmal_error_place());
        snprintf(text[1], sizeof text[1], "%s", fmal_error_text());
    }
    FMAL_MPI(MPI_Bcast(text[0], sizeof text, MPI_CHAR, from, ctx->comm));
    fmal_error_set(text[0], text[1]);
}

/* Parentheses, since for the analyzer the name is a macro too. */
fmal_status(fmal_agree)(const fmal_ctx *ctx, fmal_status st)
{
    struct {
        int status, rank;
    } mine = { (int) st, ctx->rank }, worst;

    /* MAXLOC breaks ties by the lowest rank. */
    FMAL_MPI(MPI_Allreduce(&mine, &worst, 1, MPI_2INT, MPI_MAXLOC, ctx->comm));
    if (worst.status != FMAL_OK)
        share_text(ctx, worst.rank);
    return (fmal_status) worst.status;
}

fmal_status fmal_agree_root(const fmal_ctx *ctx, fmal_status st)
{
    int status = (int) st;

    FMAL_MPI(MPI_Bcast(&status, 1, MPI_INT, 0, ctx->comm));
    if (status != FMAL_OK)
        share_text(ctx, 0);
    return (fmal_status) status;
}
