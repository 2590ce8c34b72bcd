#include "factor_impl.h"
#include "fmal/mem.h"
#include "slab.h"

void fmal_factor_destroy(fmal_factor **f)
{
    if (!*f)
        return;
    (*f)->ops->destroy(*f);
    fmal_free(f);
}

fmal_idx fmal_factor_order(const fmal_factor *f)
{
    return f->order;
}

int fmal_factor_rank(const fmal_factor *f)
{
    return f->rank;
}

int fmal_factor_classes(const fmal_factor *f)
{
    return f->classes;
}

fmal_idx fmal_factor_leading(const fmal_factor *f)
{
    return f->classes > 1 ? f->order / f->classes * (f->classes - 1) : f->order;
}

fmal_status fmal_factor_center(const fmal_factor *f, fmal_dmat *a)
{
    return f->center > 1 ? fmal_dmat_center(a, f->center, f->block) : FMAL_OK;
}

bool fmal_factor_streams(const fmal_factor *f)
{
    return f->streams;
}

fmal_status fmal_factor_status(const fmal_factor *f)
{
    return f->streams ? fmal_rows_status(&f->rows) : FMAL_OK;
}

const float *fmal_factor_features(const fmal_factor *f, fmal_idx il)
{
    return fmal_rows_at(&f->rows, il);
}

fmal_isa fmal_factor_isa(const fmal_factor *f)
{
    return f->isa;
}

fmal_status fmal_factor_gram(const fmal_factor *f, const uint8_t *take, double weight,
                             fmal_dmat *out, double *flops)
{
    return f->ops->gram(f, take, weight, out, flops);
}

void fmal_factor_row(const fmal_factor *f, fmal_idx index_g, double *v)
{
    f->ops->row(f, index_g, v);
}

/* ---- One sample ---- */

void fmal_factor_sample(const fmal_factor *f, fmal_idx index_g, double scale,
                        fmal_sample *out)
{
    *out = (fmal_sample){ .r = f->rank, .order = (int) fmal_factor_leading(f) };
    f->ops->sample(f, index_g, scale, out);
}

int fmal_factor_product_columns(const fmal_factor *f)
{
    return f->blocks > 0 ? f->blocks : f->rank;
}

void fmal_sample_multiply(const fmal_sample *s, fmal_lowrank *m, double *out)
{
    if (!s->left) {
        fmal_lowrank_apply(m, s->v, s->r, out);
        return;
    }
    fmal_lowrank_apply_blocks(m, s->h, s->d, s->blocks, s->tail, s->work);
    fmal_gemm(false, false, s->r, s->order, s->blocks, 1, s->left, s->blocks, s->work,
              s->order, 0, out, s->order);
}

void fmal_sample_project(const fmal_sample *s, const double *w, int cols, double *out)
{
    if (!s->left) {
        fmal_gemm(false, true, cols, s->r, s->order, 1, w, s->order, s->v, s->order, 0,
                  out, s->r);
        return;
    }
    /* Every class block of every column times h, what follows times the tail, then
       left. */
    int together = s->extra > 0 ? 1 : cols; /* columns whose blocks are side by side */
    for (int j = 0; j < cols; j += together)
        fmal_gemm(false, false, together * s->blocks, 1, s->d, 1,
                  w + (size_t) j * (size_t) s->order, s->d, s->h, 1, 0,
                  s->work + j * s->blocks, 1);
    if (s->extra > 0)
        fmal_gemm(false, true, cols, s->blocks, s->extra, 1, w + s->blocks * s->d,
                  s->order, s->tail, s->extra, 1, s->work, s->blocks);
    fmal_gemm(false, true, cols, s->r, s->blocks, 1, s->work, s->blocks, s->left,
              s->blocks, 0, out, s->r);
}

/* ---- Panels: which sample sits in which slot ---- */

fmal_idx fmal_block_slots(const fmal_factor *f)
{
    return (fmal_idx) (f->part.block + FMAL_LANES - 1) / FMAL_LANES * FMAL_LANES;
}

/* Blocks of the partition that hold samples, and the groups that they need. */
static void count_groups(fmal_panel *panel, const fmal_idx *samples, fmal_idx n)
{
    int block = panel->factor->part.block;

    for (fmal_idx i = 0; i < n;) {
        fmal_idx b = samples[i] / block, begin = i;

        while (i < n && samples[i] / block == b)
            i++;
        panel->blocks++;
        panel->groups += (i - begin + FMAL_LANES - 1) / FMAL_LANES;
    }
}

static void fill_slots(fmal_panel *panel, const fmal_idx *samples, fmal_idx n)
{
    int block = panel->factor->part.block;
    fmal_idx slot = 0, blocks = 0;

    for (fmal_idx i = 0; i < n;) {
        fmal_idx b = samples[i] / block;

        panel->first_group[blocks++] = slot / FMAL_LANES;
        for (; i < n && samples[i] / block == b; i++, slot++) {
            panel->local[slot] = samples[i];
            panel->index_g[slot] = panel->factor->part.first + samples[i];
        }
        for (; slot % FMAL_LANES != 0; slot++) {
            panel->local[slot] = -1;
            panel->index_g[slot] = FMAL_IDX_NONE;
        }
    }
    panel->first_group[blocks] = panel->groups;
}

fmal_status fmal_panel_slots(const fmal_factor *f, const fmal_idx *samples, fmal_idx n,
                             fmal_panel **out)
{
    fmal_panel *panel = NULL;
    fmal_status st;

    FMAL_TRY(FMAL_ALLOC(&panel, 1));
    panel->factor = f;
    count_groups(panel, samples, n);
    st = FMAL_ALLOC(&panel->first_group, panel->blocks + 1);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&panel->local, panel->groups * FMAL_LANES);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&panel->index_g, panel->groups * FMAL_LANES);
    if (st != FMAL_OK) {
        fmal_panel_destroy(&panel);
        return st;
    }
    fill_slots(panel, samples, n);
    *out = panel;
    return FMAL_OK;
}

fmal_status fmal_panel_create(const fmal_factor *f, const fmal_idx *samples, fmal_idx n,
                              double scale, int max_cols, fmal_panel **out)
{
    fmal_panel *panel = NULL;

    FMAL_TRY(fmal_panel_slots(f, samples, n, &panel));
    panel->scale = scale;
    fmal_status st = f->ops->panel_open(panel, max_cols);
    if (st != FMAL_OK)
        fmal_panel_destroy(&panel);
    else
        *out = panel;
    return st;
}

void fmal_panel_destroy(fmal_panel **panel)
{
    if (!*panel)
        return;
    if ((*panel)->own)
        (*panel)->factor->ops->panel_close(*panel);
    fmal_free(&(*panel)->first_group);
    fmal_free(&(*panel)->local);
    fmal_free(&(*panel)->index_g);
    fmal_free(panel);
}

fmal_idx fmal_panel_blocks(const fmal_panel *panel)
{
    return panel->blocks;
}

fmal_idx fmal_panel_groups(const fmal_panel *panel)
{
    return panel->groups;
}

fmal_idx fmal_panel_first_group(const fmal_panel *panel, fmal_idx block)
{
    return panel->first_group[block];
}

const fmal_idx *fmal_panel_index(const fmal_panel *panel)
{
    return panel->index_g;
}

fmal_status fmal_panel_quadratics(fmal_panel *panel, const fmal_dmat *a, double *g,
                                  const fmal_dmat *e, double *b, double *flops)
{
    const fmal_dmat *matrices[] = { a, e };
    double *forms[] = { g, b };

    return panel->factor->ops->quadratic(panel, 2, matrices, forms, flops);
}

void fmal_panel_load(fmal_panel *panel, const double *w, int cols)
{
    panel->cols = cols;
    panel->factor->ops->load(panel, w, cols);
}

void fmal_panel_apply(fmal_panel *panel, fmal_idx block, double *out)
{
    panel->factor->ops->apply(panel, block, out);
}

/* ---- Bytes and flops ---- */

/* Slots of n samples; padding within blocks is little. */
static double slots_of(fmal_idx n)
{
    return (double) ((n + FMAL_LANES - 1) / FMAL_LANES * FMAL_LANES);
}

double fmal_factor_bytes(const fmal_factor *f)
{
    return f->ops->bytes(f);
}

double fmal_factor_gram_bytes(const fmal_factor *f, bool spread)
{
    fmal_idx blocks = f->class_blocks, order = f->order;
    fmal_idx most = blocks * blocks > order ? blocks * blocks : order;

    return f->ops->gram_bytes(f) + (spread ? fmal_slab_bytes(order, most) : 0);
}

double fmal_panel_bytes(const fmal_factor *f, fmal_idx n, int max_cols)
{
    return slots_of(n) * 2 * sizeof(fmal_idx) +
           f->ops->panel_bytes(f, slots_of(n), max_cols);
}

double fmal_panel_quadratic_bytes(const fmal_factor *f, fmal_idx n, int matrices)
{
    return f->ops->quadratic_bytes(f, slots_of(n), matrices);
}

double fmal_factor_gram_flops(const fmal_factor *f)
{
    return f->ops->gram_flops(f);
}

double fmal_panel_quadratics_flops(const fmal_factor *f)
{
    return f->ops->quadratics_flops(f);
}

double fmal_stream_sample_flops(const fmal_factor *f)
{
    return f->ops->stream_flops(f);
}
