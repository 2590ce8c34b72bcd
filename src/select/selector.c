/*
 * The greedy search (Ash et al. 2021, algorithm 1; Woodbury and pruning as in the
 * public code), with per-candidate matrices instead of per-candidate rows:
 *
 *     score_i = tr((I + G_i)^-1 B_i)   the fall of tr(M^-1 F) when i is added
 *     loss_i  = tr((I - G_i)^-1 B_i)   its rise when i is removed
 *
 * G_i = V_i A V_i^T and B_i = V_i A F A V_i^T are updated at every step (inverse.c,
 * cells.c). Updates lose digits as scores fall, so everything is computed afresh when
 * the deciding score has fallen, or a loss risen, tenfold since the last time. What a
 * refresh computes depends on the set of samples alone, and so refreshes are where a
 * restarted selection begins again.
 */
#include "select_impl.h"
#include "fmal/log.h"
#include "fmal/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const double REFRESH_RATIO = 10;

/* ---- Lists of samples ---- */

static bool is_mine(const fmal_part *part, fmal_idx ig)
{
    return ig >= part->first && ig < part->first + part->count;
}

/* take = the samples that are in the batch now. */
void fmal_take_batch(fmal_selector *s)
{
    const fmal_part *part = s->problem.part;
    const fmal_select_state *state = &s->state;

    memset(s->take, 0, (size_t) part->count);
    for (fmal_idx i = 0; i < state->n_added; i++)
        if (is_mine(part, state->added[i]))
            s->take[state->added[i] - part->first] = 1;
    for (fmal_idx i = 0; i < state->n_removed; i++)
        if (is_mine(part, state->removed[i]))
            s->take[state->removed[i] - part->first] = 0;
}

void fmal_take_role(fmal_selector *s, fmal_role role)
{
    for (fmal_idx i = 0; i < s->problem.part->count; i++)
        s->take[i] = s->problem.role[i] == role;
}

void fmal_drop_chosen(fmal_selector *s)
{
    const fmal_select_state *state = &s->state;

    for (fmal_idx i = 0; i < state->n_added && !s->removing; i++)
        s->engine->drop(s, state->added[i]);
    for (fmal_idx i = 0; i < state->n_removed && s->removing; i++)
        s->engine->drop(s, state->removed[i]);
}

/* Of the factors of the batch in M: also where scores go without it (`top`). */
static double batch_scale(const fmal_selector *s)
{
    return sqrt((double) s->options.batch /
                (double) (s->plan.labelled + s->options.batch));
}

fmal_status fmal_sum_information(fmal_selector *s, fmal_add_information *add,
                                 double *flops)
{
    double labelled = (double) s->plan.labelled, batch = (double) s->options.batch;
    double scale = batch_scale(s);

    if (s->plan.labelled > 0) {
        double each = s->options.labelled_sum ? 1 : 1 / labelled;

        fmal_take_role(s, FMAL_LABELLED);
        FMAL_TRY(add(s, each * labelled / (labelled + batch), flops));
    }
    if (s->state.n_added == s->state.n_removed)
        return FMAL_OK;
    fmal_take_batch(s);
    return add(s, scale * scale, flops);
}

/* ---- Directions ---- */

static fmal_status refresh(fmal_selector *s)
{
    s->log.refreshes++;
    return s->engine->refresh(s);
}

static fmal_status begin_adding(fmal_selector *s)
{
    s->removing = false;
    fmal_take_role(s, FMAL_CANDIDATE);
    FMAL_TRY(s->engine->gather(s));
    return refresh(s);
}

/* All that were added, those that are removed again included: a restarted selection
   then passes over the same blocks as one that never stopped, and rounds alike. */
static fmal_status begin_removing(fmal_selector *s)
{
    fmal_idx removed = s->state.n_removed;

    s->removing = true;
    s->state.n_removed = 0;
    fmal_take_batch(s);
    s->state.n_removed = removed;
    FMAL_TRY(s->engine->gather(s));
    return refresh(s);
}

/* ---- Steps ---- */

fmal_idx fmal_selector_steps(const fmal_selector *s)
{
    return s->plan.forward + s->plan.backward;
}

fmal_idx fmal_selector_done(const fmal_selector *s)
{
    return s->state.n_added + s->state.n_removed;
}

bool fmal_selector_finished(const fmal_selector *s)
{
    return fmal_selector_done(s) == fmal_selector_steps(s);
}

const fmal_select_state *fmal_selector_state(const fmal_selector *s)
{
    return &s->state;
}

static fmal_status find_best(fmal_selector *s, int *flag, bool fresh, fmal_best *best,
                             bool *refresh_first)
{
    *refresh_first = false;
    FMAL_TRY(s->engine->best(s, flag, fresh, best, refresh_first));
    if (best->index_g == FMAL_IDX_NONE && !*refresh_first)
        return FMAL_FAIL(FMAL_ERR_EMPTY, "no candidate is left in the pool");
    return FMAL_OK;
}

static bool has_drifted(const fmal_selector *s, double score)
{
    double then = s->state.refresh_score;

    return score < then / REFRESH_RATIO ||
           (s->removing && score > then * REFRESH_RATIO);
}

/* The sample that the next step adds or removes; refreshes first where that is due. */
static fmal_status decide(fmal_selector *s, int *flag, fmal_best *best)
{
    bool fresh = s->state.refresh_step == fmal_selector_done(s), due;
    fmal_status st = find_best(s, flag, fresh, best, &due);

    if (st == FMAL_ERR_NUMERIC && s->removing)
        due = true;
    else if (st == FMAL_OK && !due && has_drifted(s, best->score))
        due = true;
    if (!fresh && due) {
        FMAL_TRY(refresh(s));
        s->state.refresh_step = fmal_selector_done(s);
        fresh = true;
        st = find_best(s, flag, fresh, best, &due);
        if (st == FMAL_OK)
            fmal_log(FMAL_LOG_STAT, "refresh", "step=%" PRId64 " before=%.6g now=%.6g",
                     fmal_selector_done(s), s->state.refresh_score, best->score);
    }
    if (st == FMAL_OK && fresh)
        s->state.refresh_score = best->score;
    return st;
}

/* Whether anything after this step needs A, E, G and B: a change of direction and the
   end compute what they need afresh. */
static bool is_last_of_direction(const fmal_selector *s)
{
    return s->removing ? s->state.n_removed + 1 == s->plan.backward
                       : s->state.n_added + 1 == s->plan.forward;
}

static fmal_status carry_out(fmal_selector *s, fmal_best best)
{
    fmal_select_state *state = &s->state;

    if (!is_last_of_direction(s))
        FMAL_TRY(s->engine->update(s, best.index_g));
    if (s->removing) {
        state->removed[state->n_removed] = best.index_g;
        state->loss[state->n_removed++] = best.score;
    } else {
        state->added[state->n_added] = best.index_g;
        state->gain[state->n_added++] = best.score;
    }
    return FMAL_OK;
}

/* Turn round when all forward steps are done. */
static fmal_status turn_if_due(fmal_selector *s)
{
    if (s->removing || s->state.n_added < s->plan.forward)
        return FMAL_OK;
    FMAL_TRY(begin_removing(s));
    s->state.refresh_step = fmal_selector_done(s);
    return FMAL_OK;
}

/* All of the batch at once: the best scores without any sample of it. */
static fmal_status take_top(fmal_selector *s)
{
    fmal_idx n = 0, found = 0;
    double *score = NULL;
    fmal_idx *index = NULL;
    fmal_best *best = NULL;
    fmal_status st = FMAL_ALLOC(&score, s->problem.part->count);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&index, s->problem.part->count);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&best, s->options.batch);
    if (st == FMAL_OK)
        n = s->engine->scores(s, score, index);
    st = fmal_agree(s->problem.ctx, st);
    if (st == FMAL_OK)
        st = fmal_topk(s->problem.ctx, score, index, n, s->options.batch, best, &found);
    for (fmal_idx i = 0; i < found && st == FMAL_OK; i++) {
        s->state.added[i] = best[i].index_g;
        s->state.gain[i] = best[i].score;
        s->state.n_added = i + 1;
    }
    fmal_free(&score);
    fmal_free(&index);
    fmal_free(&best);
    return st;
}

fmal_status fmal_selector_step(fmal_selector *s, int *flag)
{
    fmal_best best;

    if (s->options.top) {
        if (flag)
            FMAL_MPI(MPI_Allreduce(MPI_IN_PLACE, flag, 1, MPI_INT, MPI_BOR,
                                   s->problem.ctx->comm));
        return take_top(s);
    }
    FMAL_TRY(turn_if_due(s));
    fmal_status st = decide(s, flag, &best);
    if (st == FMAL_OK)
        st = carry_out(s, best);
    /* Passes of a step read without telling that they could not. */
    if (fmal_factor_streams(s->problem.factor)) {
        fmal_status read =
            fmal_agree(s->problem.ctx, fmal_factor_status(s->problem.factor));

        st = read != FMAL_OK ? read : st;
    }
    return st;
}

/* ---- Life ---- */

static fmal_status allocate_state(fmal_selector *s)
{
    FMAL_TRY(FMAL_ALLOC(&s->take, s->problem.part->count));
    FMAL_TRY(FMAL_ALLOC(&s->state.added, s->plan.forward));
    FMAL_TRY(FMAL_ALLOC(&s->state.gain, s->plan.forward));
    FMAL_TRY(FMAL_ALLOC(&s->state.removed, s->plan.backward));
    return FMAL_ALLOC(&s->state.loss, s->plan.backward);
}

static fmal_status make_plan(fmal_selector *s)
{
    const fmal_problem *problem = &s->problem;
    int64_t roles[3] = { 0 };

    for (fmal_idx i = 0; i < problem->part->count; i++)
        roles[problem->role[i]]++;
    fmal_sum_i64(problem->ctx, roles, 3);
    FMAL_TRY(fmal_plan_steps(&s->options, problem->part->n, roles[FMAL_LABELLED],
                             roles[FMAL_EXCLUDED], fmal_factor_order(problem->factor),
                             fmal_factor_rank(problem->factor), problem->ctx->size,
                             &s->plan));
    s->scale = s->options.top ? 1 : batch_scale(s);
    return FMAL_OK;
}

static const fmal_engine *const engines[] = {
    [FMAL_FISHER_FULL] = &fmal_engine_full,
    [FMAL_FISHER_BLOCK] = &fmal_engine_block,
    [FMAL_FISHER_DIAG] = &fmal_engine_diag,
};

/* Everything but the first refresh. */
static fmal_status prepare(const fmal_problem *problem,
                           const fmal_select_options *options, fmal_phases *phases,
                           fmal_selector **out)
{
    fmal_selector *s = NULL;
    fmal_status st;

    FMAL_TRY(fmal_plan_check_fisher(options->fisher, problem->factor));
    st = FMAL_ALLOC(&s, 1);
    if (st == FMAL_OK) {
        s->problem = *problem;
        s->options = *options;
        s->phases = phases;
        s->engine = engines[options->fisher];
        s->log.margin = INFINITY;
    }
    if ((st = fmal_agree(problem->ctx, st)) == FMAL_OK)
        st = make_plan(s);
    if (st == FMAL_OK)
        st = fmal_agree(problem->ctx, allocate_state(s));
    if (st == FMAL_OK)
        st = s->engine->open(s);
    if (st != FMAL_OK)
        fmal_selector_destroy(&s);
    else
        *out = s;
    return st;
}

fmal_status fmal_selector_create(const fmal_problem *problem,
                                 const fmal_select_options *options,
                                 fmal_phases *phases, fmal_selector **out)
{
    fmal_selector *s = NULL;

    FMAL_TRY(prepare(problem, options, phases, &s));
    fmal_status st = begin_adding(s);
    if (st != FMAL_OK) {
        fmal_selector_destroy(&s);
        return st;
    }
    s->state.before = s->engine->trace(s);
    *out = s;
    return FMAL_OK;
}

/* Whether a saved list holds candidates of this pool, each once, and nothing else. */
static bool is_sound(fmal_selector *s, const fmal_idx *list, fmal_idx n, uint8_t was,
                     uint8_t becomes)
{
    const fmal_part *part = s->problem.part;
    fmal_idx sound = 0;

    for (fmal_idx i = 0; i < n; i++)
        if (is_mine(part, list[i]) && s->take[list[i] - part->first] == was) {
            s->take[list[i] - part->first] = becomes;
            sound++;
        }
    return fmal_sum_one(s->problem.ctx, sound) == n;
}

static fmal_status check_state(fmal_selector *s, const fmal_select_state *state)
{
    fmal_idx done = state->n_added + state->n_removed;
    bool fits = state->n_added >= 0 && state->n_added <= s->plan.forward &&
                state->n_removed >= 0 && state->n_removed <= s->plan.backward &&
                (state->n_removed == 0 || (state->n_added == s->plan.forward &&
                                           state->refresh_step >= s->plan.forward)) &&
                state->refresh_step >= 0 && state->refresh_step <= done;

    if (fits) {
        fmal_take_role(s, FMAL_CANDIDATE);
        fits = is_sound(s, state->added, state->n_added, 1, 2);
        fits = is_sound(s, state->removed, state->n_removed, 2, 3) && fits;
    }
    if (!fits)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "the saved selection does not fit this pool");
    return FMAL_OK;
}

/* Begin again at the saved refresh, then redo the steps since. */
static fmal_status replay(fmal_selector *s, const fmal_select_state *from)
{
    fmal_select_state *to = &s->state;
    fmal_idx done = from->refresh_step;

    to->n_added = done < s->plan.forward ? done : s->plan.forward;
    to->n_removed = done - to->n_added;
    for (fmal_idx i = 0; i < to->n_added; i++) { /* the lists of no step may be NULL */
        to->added[i] = from->added[i];
        to->gain[i] = from->gain[i];
    }
    for (fmal_idx i = 0; i < to->n_removed; i++) {
        to->removed[i] = from->removed[i];
        to->loss[i] = from->loss[i];
    }
    to->refresh_step = done;
    to->refresh_score = from->refresh_score;
    to->before = from->before;
    if (to->n_added < s->plan.forward)
        FMAL_TRY(begin_adding(s));
    else
        FMAL_TRY(begin_removing(s));
    while (to->n_added < from->n_added)
        FMAL_TRY(carry_out(
            s, (fmal_best){ from->gain[to->n_added], from->added[to->n_added] }));
    while (to->n_removed < from->n_removed)
        FMAL_TRY(carry_out(
            s, (fmal_best){ from->loss[to->n_removed], from->removed[to->n_removed] }));
    return FMAL_OK;
}

fmal_status fmal_selector_restore(const fmal_problem *problem,
                                  const fmal_select_options *options,
                                  const fmal_select_state *state, fmal_phases *phases,
                                  fmal_selector **out)
{
    fmal_selector *s = NULL;

    FMAL_TRY(prepare(problem, options, phases, &s));
    fmal_status st = check_state(s, state);
    if (st == FMAL_OK)
        st = replay(s, state);
    if (st != FMAL_OK) {
        fmal_selector_destroy(&s);
        return st;
    }
    *out = s;
    return FMAL_OK;
}

void fmal_selector_destroy(fmal_selector **s)
{
    if (!*s)
        return;
    if ((*s)->engine)
        (*s)->engine->close(*s);
    fmal_free(&(*s)->take);
    fmal_free(&(*s)->state.added);
    fmal_free(&(*s)->state.gain);
    fmal_free(&(*s)->state.removed);
    fmal_free(&(*s)->state.loss);
    fmal_free(s);
}

/* ---- Result ---- */

static bool was_removed(const fmal_select_state *state, fmal_idx index_g)
{
    for (fmal_idx i = 0; i < state->n_removed; i++)
        if (state->removed[i] == index_g)
            return true;
    return false;
}

static fmal_status copy_list(const fmal_idx *list, fmal_idx n, fmal_idx **out)
{
    FMAL_TRY(FMAL_ALLOC(out, n));
    for (fmal_idx i = 0; i < n; i++) /* the list of no step may be NULL */
        (*out)[i] = list[i];
    return FMAL_OK;
}

fmal_status fmal_selector_finish(fmal_selector *s, fmal_selection *out)
{
    const fmal_select_state *state = &s->state;
    fmal_selection sel = { .before = state->before,
                           .forward = s->plan.forward,
                           .backward = s->plan.backward };
    fmal_status st = FMAL_ALLOC(&sel.index, s->options.batch);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&sel.score, s->options.batch);
    if (st == FMAL_OK)
        st = copy_list(state->added, state->n_added, &sel.added);
    if (st == FMAL_OK)
        st = copy_list(state->removed, state->n_removed, &sel.removed);
    st = fmal_agree(s->problem.ctx, st);
    if (st == FMAL_OK)
        st = s->engine->measure(s, &sel.after);
    if (st != FMAL_OK) {
        fmal_selection_clear(&sel);
        return st;
    }
    for (fmal_idx i = 0; i < state->n_added; i++)
        if (!was_removed(state, state->added[i])) {
            sel.index[sel.n] = state->added[i];
            sel.score[sel.n++] = state->gain[i];
        }
    sel.log = s->log;
    sel.log.lazy = s->options.lazy && s->options.fisher == FMAL_FISHER_FULL;
    sel.log.slack = s->options.slack;
    fmal_sum_f64(s->problem.ctx, &sel.log.scored, 1);
    *out = sel;
    return FMAL_OK;
}

void fmal_selection_clear(fmal_selection *sel)
{
    fmal_free(&sel->index);
    fmal_free(&sel->score);
    fmal_free(&sel->added);
    fmal_free(&sel->removed);
}
