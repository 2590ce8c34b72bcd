#include "fmal/par.h"

#include <math.h>

void fmal_lead_add(fmal_lead *lead, double score, fmal_idx index_g)
{
    if (score > lead->first || (score == lead->first && index_g < lead->index_g)) {
        if (lead->index_g != FMAL_IDX_NONE)
            lead->second = lead->first;
        lead->first = score;
        lead->index_g = index_g;
    } else if (score > lead->second) {
        lead->second = score;
    }
}

/* MPI_User_function: the order of ranks does not matter. */
static void merge(void *in, void *inout, int *n, MPI_Datatype *type)
{
    const fmal_lead *from = in;
    fmal_lead *to = inout;

    (void) type;
    for (int i = 0; i < *n; i++, from++, to++) {
        if (from->index_g != FMAL_IDX_NONE)
            fmal_lead_add(to, from->first, from->index_g);
        if (from->second > to->second)
            to->second = from->second;
        to->flags |= from->flags;
    }
}

void fmal_lead_of(const fmal_ctx *ctx, fmal_lead *lead)
{
    MPI_Datatype type;
    MPI_Op op;

    if (ctx->size == 1)
        return;
    FMAL_MPI(MPI_Type_contiguous((int) sizeof *lead, MPI_BYTE, &type));
    FMAL_MPI(MPI_Type_commit(&type));
    FMAL_MPI(MPI_Op_create(merge, 1, &op));
    FMAL_MPI(MPI_Allreduce(MPI_IN_PLACE, lead, 1, type, op, ctx->comm));
    FMAL_MPI(MPI_Op_free(&op));
    FMAL_MPI(MPI_Type_free(&type));
}
