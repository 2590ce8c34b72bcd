/*
 * The Jacobian of the logits in the masked parameters, sample by sample.
 *
 * A rank computes its own samples, a block after the other, each in batches of
 * FMAL_FISHER_BATCH counted from the block's beginning: what a block gives does not
 * depend on the rank that has it. With a file, each block goes there when it is done,
 * and is looked for there first.
 *
 * Ranks have blocks of different numbers, but take as many steps, so that they can stop
 * together. What goes wrong on one of them is kept until the end of all steps: it then
 * does nothing more, and all agree.
 */
#include "fisher_impl.h"
#include "fmal/blocks.h"
#include "fmal/mask.h"
#include "fmal/mem.h"
#include "fmal/point.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const fmal_ctx *ctx;
    fmal_net *net;
    const fmal_dataset *set;
    const fmal_split *split;
    const fmal_mask *mask;
    const fmal_jacobian_options *options;
    const fmal_watch *watch;
    fmal_idx row; /* numbers of a sample: c extra */
    float *x;     /* one batch, [BATCH, inputs] */
    float *batch; /* its Jacobian, [BATCH, row] */
    float *block; /* of one block, [block, row], unless all are held */
    double flops;
} pass;

double fmal_jacobian_bytes(fmal_idx count, int classes, fmal_idx extra)
{
    return 4.0 * (double) count * classes * (double) extra;
}

void fmal_jacobian_clear(fmal_jacobian *j)
{
    fmal_free(&j->held);
    fmal_blocks_close(&j->file);
    *j = (fmal_jacobian){ 0 };
}

/* ---- One block ---- */

/* A network's results go through one buffer: where the caller's lies in memory cannot
   matter to their bits. */
static fmal_status compute_block(pass *p, fmal_idx b, float *to)
{
    fmal_idx first = b * p->split->part.block;
    int rows = fmal_part_block_rows(&p->split->part, b);

    for (int at = 0; at < rows; at += FMAL_FISHER_BATCH) {
        int n = rows - at < FMAL_FISHER_BATCH ? rows - at : FMAL_FISHER_BATCH;
        const char *stored = p->split->rows;

        stored += (size_t) (first + at) * p->set->row_bytes;
        fmal_dataset_decode(p->set, stored, n, p->x);
        fmal_net_jacobian(p->net, p->x, n, p->mask->index, p->mask->extra,
                          p->options->rows, p->batch);
        for (int i = 0; i < n; i++)
            if (!fmal_all_finite(p->batch + i * p->row, p->row))
                return FMAL_FAIL(FMAL_ERR_NUMERIC,
                                 "sample %" PRId64
                                 ": the Jacobian of its logits is not "
                                 "finite; train with a lower learning rate",
                                 p->split->part.first + first + at + i);
        memcpy(to + at * p->row, p->batch, (size_t) (n * p->row) * sizeof *to);
    }
    p->flops += (double) rows * fmal_net_flops(p->net) * fmal_net_classes(p->net);
    return FMAL_OK;
}

/* Read it, or compute and keep it. */
static fmal_status do_block(pass *p, fmal_jacobian *j, fmal_idx b)
{
    float *to = j->held ? j->held + b * p->split->part.block * p->row : p->block;

    if (j->file && fmal_blocks_get(j->file, b, to)) {
        j->found++;
        return FMAL_OK;
    }
    FMAL_TRY(compute_block(p, b, to));
    if (j->file)
        FMAL_TRY(fmal_blocks_put(j->file, b, to));
    fmal_point("jacobian-block");
    return FMAL_OK;
}

/* ---- All of them ---- */

static fmal_status do_blocks(pass *p, fmal_jacobian *j)
{
    const fmal_part *part = &p->split->part;
    double most = (double) part->block_count;
    fmal_progress progress;
    fmal_status st = FMAL_OK;
    int bits = 0;

    fmal_max_f64(p->ctx, &most, 1);
    fmal_progress_begin(&progress, "jacobian", "images", part->n, 0);
    for (fmal_idx b = 0; b < (fmal_idx) most && !bits; b++) {
        if (b < part->block_count && st == FMAL_OK)
            st = do_block(p, j, b);
        fmal_idx done = (b + 1) * part->block * p->ctx->size;
        fmal_progress_at(&progress, done < part->n ? done : part->n, NULL);
        bits = fmal_watch_stop(p->ctx, p->watch);
    }
    fmal_progress_end(&progress);
    st = fmal_agree(p->ctx, st);
    if (st == FMAL_OK && bits)
        st = FMAL_FAIL(FMAL_STOPPED, "%s", fmal_stop_reason(bits));
    return st;
}

/* All that the rows depend on, in 32 digits. Collective. */
static fmal_status make_key(const pass *p, char key[33])
{
    const fmal_dataset *set = p->set;
    char text[512], rows[33], net[33], mask[33], decode[33];
    float scale[2][FMAL_MAX_CHANNELS];

    memcpy(scale[0], set->mean, sizeof set->mean);
    memcpy(scale[1], set->std, sizeof set->std);
    fmal_checksum(scale, sizeof scale, decode);
    fmal_net_checksum(p->net, net);
    fmal_checksum(p->mask->index, (size_t) p->mask->extra * sizeof *p->mask->index,
                  mask);
    FMAL_TRY(fmal_checksum_rows(p->ctx, &p->split->part, p->split->rows, set->row_bytes,
                                rows));
    snprintf(text, sizeof text, "%s %s %s %s images %d rows %d classes %d", rows,
             decode, net, mask, set->has_images, p->options->rows,
             fmal_net_classes(p->net));
    fmal_checksum(text, strlen(text), key);
    return FMAL_OK;
}

static fmal_status allocate(pass *p, fmal_jacobian *j)
{
    const fmal_part *part = &p->split->part;
    double bytes =
        fmal_jacobian_bytes(part->count, fmal_net_classes(p->net), p->mask->extra);
    bool hold = p->options->most <= 0 || bytes <= p->options->most;

    if (!hold && !p->options->path)
        return FMAL_FAIL(FMAL_ERR_NOMEM,
                         "the Jacobian takes %.1f MB on a rank, and may have %.1f; use "
                         "more ranks, a smaller mask, or a file for it",
                         bytes / 1e6, p->options->most / 1e6);
    FMAL_TRY(FMAL_ALLOC(&p->x, (fmal_idx) FMAL_FISHER_BATCH * p->set->inputs));
    FMAL_TRY(FMAL_ALLOC(&p->batch, FMAL_FISHER_BATCH * p->row));
    return hold ? FMAL_ALLOC(&j->held, part->count * p->row)
                : FMAL_ALLOC(&p->block, part->block * p->row);
}

static fmal_status open_file(const pass *p, fmal_jacobian *j)
{
    char key[33];

    if (!p->options->path)
        return FMAL_OK;
    FMAL_TRY(make_key(p, key));
    return fmal_blocks_open(p->ctx, p->options->path, key, &p->split->part,
                            (size_t) p->row * sizeof(float), &j->file);
}

/* Where the rows are, after all are there. */
static fmal_status point_rows(fmal_jacobian *j)
{
    const void *rows = NULL;

    if (j->held) {
        j->rows = j->held;
        return FMAL_OK;
    }
    FMAL_TRY(fmal_blocks_map(j->file, &rows));
    j->rows = rows;
    return FMAL_OK;
}

static fmal_status run(pass *p, fmal_jacobian *j)
{
    FMAL_TRY(fmal_agree(p->ctx, allocate(p, j)));
    FMAL_TRY(open_file(p, j));
    FMAL_TRY(do_blocks(p, j));
    return fmal_agree(p->ctx, point_rows(j));
}

fmal_status fmal_fisher_jacobian(const fmal_ctx *ctx, fmal_net *net,
                                 const fmal_dataset *set, const fmal_split *split,
                                 const fmal_mask *mask,
                                 const fmal_jacobian_options *options,
                                 const fmal_watch *watch, fmal_jacobian *out)
{
    fmal_jacobian j = { 0 };
    pass p = { .ctx = ctx,
               .net = net,
               .set = set,
               .split = split,
               .mask = mask,
               .options = options,
               .watch = watch,
               .row = fmal_net_classes(net) * mask->extra };

    assert(fmal_net_inputs(net) == set->inputs && mask->size == fmal_net_size(net));
    if (mask->extra == 0) { /* a mask of the head alone */
        *out = j;
        return FMAL_OK;
    }
    fmal_phase_begin(watch->phases, FMAL_PHASE_JACOBIAN);
    fmal_status st = run(&p, &j);
    fmal_phase_end(watch->phases, p.flops, 0);
    fmal_free(&p.x);
    fmal_free(&p.batch);
    fmal_free(&p.block);
    if (st == FMAL_OK)
        *out = j;
    else
        fmal_jacobian_clear(&j);
    return st;
}
