/* What the approximations have in common: which samples are scored, and choosing. */
#include "cut_impl.h"
#include "fmal/mem.h"

#include <math.h>

fmal_status fmal_cut_open(fmal_selector *s)
{
    const fmal_factor *f = s->problem.factor;
    fmal_cut *cut = NULL;
    fmal_status st = FMAL_ALLOC(&cut, 1);

    if (st == FMAL_OK) {
        s->cut = cut;
        cut->tile = fmal_cut_tile_for(fmal_factor_isa(f));
        cut->blocks = fmal_factor_class_blocks(f);
        cut->d = (int) (fmal_factor_order(f) / cut->blocks);
        st = FMAL_ALLOC(&cut->one, cut->blocks + cut->d);
    }
    return fmal_agree(s->problem.ctx, st);
}

static void clear_samples(fmal_cut *cut)
{
    fmal_panel_destroy(&cut->panel);
    fmal_free(&cut->score);
    fmal_free(&cut->out);
}

void fmal_cut_close(fmal_selector *s)
{
    if (!s->cut)
        return;
    clear_samples(s->cut);
    fmal_free(&s->cut->one);
    fmal_free(&s->cut);
}

static fmal_idx slots_of(const fmal_cut *cut)
{
    return fmal_panel_groups(cut->panel) * FMAL_LANES;
}

static fmal_status make_slots(fmal_selector *s, fmal_idx *samples)
{
    fmal_cut *cut = s->cut;
    fmal_idx n = 0;

    for (fmal_idx i = 0; i < s->problem.part->count; i++)
        if (s->take[i])
            samples[n++] = i;
    FMAL_TRY(fmal_panel_slots(s->problem.factor, samples, n, &cut->panel));
    FMAL_TRY(FMAL_ALLOC(&cut->score, slots_of(cut)));
    FMAL_TRY(FMAL_ALLOC(&cut->out, slots_of(cut)));
    for (fmal_idx i = 0; i < slots_of(cut); i++)
        cut->out[i] = fmal_panel_index(cut->panel)[i] == FMAL_IDX_NONE;
    return FMAL_OK;
}

fmal_status fmal_cut_gather(fmal_selector *s)
{
    fmal_idx *samples = NULL;
    fmal_status st = FMAL_ALLOC(&samples, s->problem.part->count);

    clear_samples(s->cut);
    if (st == FMAL_OK)
        st = make_slots(s, samples);
    fmal_free(&samples);
    FMAL_TRY(fmal_agree(s->problem.ctx, st));
    fmal_drop_chosen(s);
    return FMAL_OK;
}

static void scale_weights(fmal_selector *s)
{
    for (int k = 0; k < s->cut->blocks; k++)
        s->cut->one[k] *= s->scale * s->scale;
}

bool fmal_cut_load(fmal_selector *s, fmal_idx slot)
{
    fmal_idx index_g = fmal_panel_index(s->cut->panel)[slot];

    if (index_g == FMAL_IDX_NONE)
        return false;
    fmal_factor_cut_local(s->problem.factor, s->options.fisher,
                          index_g - s->problem.part->first, s->cut->one);
    scale_weights(s);
    return true;
}

const float *fmal_cut_features(const fmal_selector *s, fmal_idx slot)
{
    fmal_idx index_g = fmal_panel_index(s->cut->panel)[slot];

    return index_g == FMAL_IDX_NONE
               ? NULL
               : fmal_factor_features(s->problem.factor,
                                      index_g - s->problem.part->first);
}

fmal_status fmal_cut_status(const fmal_selector *s)
{
    const fmal_factor *f = s->problem.factor;

    return fmal_factor_streams(f) ? fmal_agree(s->problem.ctx, fmal_factor_status(f))
                                  : FMAL_OK;
}

void fmal_cut_fetch(fmal_selector *s, fmal_idx index_g)
{
    fmal_factor_cut(s->problem.factor, s->options.fisher, index_g, s->cut->one);
    scale_weights(s);
}

double fmal_cut_sign(const fmal_selector *s)
{
    return s->removing ? -1 : 1;
}

void fmal_cut_mark(fmal_selector *s)
{
    for (fmal_idx i = 0; i < slots_of(s->cut); i++)
        if (s->cut->out[i])
            s->cut->score[i] = -fmal_cut_sign(s) * INFINITY;
}

fmal_status fmal_cut_best(fmal_selector *s, int *flag, bool fresh, fmal_best *best,
                          bool *refresh_first)
{
    (void) fresh;
    *refresh_first = false;
    return fmal_argbest(s->problem.ctx, s->cut->score, fmal_panel_index(s->cut->panel),
                        slots_of(s->cut), s->removing, flag, best);
}

fmal_idx fmal_cut_scores(fmal_selector *s, double *score, fmal_idx *index_g)
{
    const fmal_cut *cut = s->cut;
    fmal_idx n = 0;

    for (fmal_idx i = 0; i < slots_of(cut); i++)
        if (!cut->out[i]) {
            score[n] = cut->score[i];
            index_g[n++] = fmal_panel_index(cut->panel)[i];
        }
    return n;
}

void fmal_cut_drop(fmal_selector *s, fmal_idx index_g)
{
    const fmal_idx *index = fmal_panel_index(s->cut->panel);

    for (fmal_idx i = 0; i < slots_of(s->cut); i++)
        if (index[i] == index_g)
            s->cut->out[i] = true;
}

fmal_status fmal_cut_not_positive(fmal_idx index_g)
{
    return FMAL_FAIL(FMAL_ERR_NUMERIC,
                     "removing sample %lld leaves information that is not positive "
                     "definite; give a larger --lambda",
                     (long long) index_g);
}
