/* Strategies that are a greedy search by Fisher information (select.h). */
#include "strategy_impl.h"
#include "fmal/log.h"
#include "fmal/mem.h"
#include "fmal/point.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Whether the root's clock, or the count of steps, says to save. */
static int save_bit(const fmal_query *q, double last_save, fmal_idx steps_since)
{
    const fmal_keeper *k = &q->keeper;
    bool by_steps = k->every_steps > 0 && steps_since >= k->every_steps;
    bool by_time = q->ctx->rank == 0 && k->every_seconds > 0 &&
                   fmal_now() - last_save >= k->every_seconds;

    return k->save && (by_steps || by_time) ? FMAL_SAVE_DUE : 0;
}

static fmal_status save(const fmal_query *q, const fmal_selector *s)
{
    fmal_status st;

    if (!q->keeper.save)
        return FMAL_OK;
    fmal_phase_begin(q->phases, FMAL_PHASE_CHECKPOINT);
    st = q->keeper.save(q->keeper.arg, fmal_selector_state(s));
    fmal_phase_end(q->phases, 0, 0);
    return st;
}

static void show(fmal_progress *progress, const fmal_selector *s)
{
    const fmal_select_state *state = fmal_selector_state(s);
    char note[64];

    if (state->n_removed > 0)
        snprintf(note, sizeof note, "removing, loss %.4g",
                 state->loss[state->n_removed - 1]);
    else
        snprintf(note, sizeof note, "adding, gain %.4g",
                 state->gain[state->n_added - 1]);
    fmal_progress_at(progress, fmal_selector_done(s), note);
}

/* All steps that are left; FMAL_STOPPED after saving, when asked to stop. */
static fmal_status search(const fmal_query *q, fmal_selector *s)
{
    double last_save = fmal_now();
    fmal_idx since = 0;
    fmal_progress progress;
    fmal_status st = FMAL_OK;

    fmal_progress_begin(&progress, "select", "steps", fmal_selector_steps(s),
                        fmal_selector_done(s));
    while (st == FMAL_OK && !fmal_selector_finished(s)) {
        int flags = q->keeper.stop ? fmal_stop_bits(q->ctx, q->keeper.stop) : 0;

        flags |= save_bit(q, last_save, ++since);
        fmal_point("select-step");
        st = fmal_selector_step(s, &flags);
        if (st == FMAL_OK)
            show(&progress, s);
        if (st == FMAL_OK && flags) {
            st = save(q, s);
            last_save = fmal_now();
            since = 0;
        }
        if (st == FMAL_OK && (flags & ~FMAL_SAVE_DUE))
            st = FMAL_FAIL(FMAL_STOPPED, "%s", fmal_stop_reason(flags));
    }
    fmal_progress_end(&progress);
    return st;
}

/* How the steps of a search were decided. */
static void log_decisions(const fmal_query *q, const fmal_selection *sel)
{
    const fmal_select_log *l = &sel->log;
    int64_t roles[3] = { 0 };
    char margin[32] = "-";

    for (fmal_idx i = 0; i < q->part->count; i++)
        roles[q->role[i]]++;
    fmal_sum_i64(q->ctx, roles, 3);
    if (isfinite(l->margin))
        snprintf(margin, sizeof margin, "%.2g", l->margin);
    double scored = l->scored / (double) roles[FMAL_CANDIDATE] / (double) sel->forward;
    fmal_log(FMAL_LOG_INFO, "decisions",
             "refreshes=%" PRId64 " scored_a_step=%.3g%% rescored=%" PRId64
             " smallest_margin=%s largest_error=%.2g",
             l->refreshes, 100 * scored, l->rescored, margin, l->error);
}

fmal_status fmal_search(const fmal_query *q, const fmal_factor *factor, fmal_batch *out)
{
    fmal_problem problem = { q->ctx, factor, q->part, q->role };
    fmal_selector *s = NULL;
    fmal_selection sel = { 0 };
    fmal_status st;

    if (q->keeper.resume)
        st = fmal_selector_restore(&problem, &q->options, q->keeper.resume, q->phases,
                                   &s);
    else
        st = fmal_selector_create(&problem, &q->options, q->phases, &s);
    if (st == FMAL_OK)
        st = search(q, s);
    if (st == FMAL_OK)
        st = fmal_selector_finish(s, &sel);
    fmal_selector_destroy(&s);
    if (st == FMAL_OK && !q->options.top)
        log_decisions(q, &sel);
    if (st == FMAL_OK)
        *out = (fmal_batch){ .n = sel.n,
                             .index = sel.index,
                             .score = sel.score,
                             .has_objective = true,
                             .before = sel.before,
                             .after = sel.after,
                             .forward = sel.forward,
                             .backward = sel.backward,
                             .added = sel.added,
                             .removed = sel.removed,
                             .log = sel.log };
    return st;
}

static fmal_status pick_kron(const fmal_query *q, fmal_likelihood likelihood,
                             fmal_batch *out)
{
    fmal_factor *factor = NULL;

    fmal_rows features = { .all = q->features, .width = q->d, .file = q->file };

    FMAL_TRY(fmal_factor_kron_rows(q->ctx, q->part, features, q->probs, q->d, q->c,
                                   likelihood, q->options.topc, &factor));
    fmal_status st = fmal_search(q, factor, out);
    fmal_factor_destroy(&factor);
    return st;
}

static fmal_status pick_dense(const fmal_query *q, fmal_batch *out)
{
    fmal_factor *factor = NULL;

    FMAL_TRY(fmal_factor_dense(q->ctx, q->part, q->embeddings, q->rows, q->columns,
                               &factor));
    fmal_status st = fmal_search(q, factor, out);
    fmal_factor_destroy(&factor);
    return st;
}

static fmal_status pick_bait(const fmal_query *q, fmal_batch *out)
{
    return q->embeddings ? pick_dense(q, out) : pick_kron(q, FMAL_LIKELIHOOD_FULL, out);
}

static fmal_status pick_topc(const fmal_query *q, fmal_batch *out)
{
    return pick_kron(q, FMAL_LIKELIHOOD_TOPC, out);
}

static fmal_status pick_binary(const fmal_query *q, fmal_batch *out)
{
    return pick_kron(q, FMAL_LIKELIHOOD_BINARY, out);
}

static const char *const bait_options[] = { "lambda", "oversample", "labelled-fisher",
                                            "grid",   "select",     "precision",
                                            "lazy",   "fisher",     NULL };
static const char *const topc_options[] = { "lambda", "oversample", "labelled-fisher",
                                            "grid",   "select",     "precision",
                                            "lazy",   "fisher",     "topc",
                                            NULL };

const fmal_strategy fmal_strategy_bait = {
    .name = "bait",
    .summary = "the batch that makes tr(M^-1 F) small: BAIT, exact (Ash et al. 2021)",
    .score = "fall of tr(M^-1 F) when added",
    .unit = NULL,
    .time = "1.5 n c^2 d^2 / P flops once, then 4 n c^2 d / P a step, 2 k steps and k "
            "removals",
    .memory =
        "n (8 d + 16 c + 4 c^2) / P + 32 D^2 / (ranks of the grid) bytes, D = c d",
    .options = bait_options,
    .likelihood = FMAL_LIKELIHOOD_FULL,
    .searches = true,
    .takes_embeddings = true,
    .pick = pick_bait,
};

const fmal_strategy fmal_strategy_bait_topc = {
    .name = "bait-topc",
    .summary =
        "bait with the information of the few most probable classes (Huseljic et "
        "al. 2024)",
    .score = "fall of tr(M^-1 F) when added",
    .unit = NULL,
    .time = "as bait, but 4 n c t d / P flops a step, t classes",
    .memory =
        "n (8 d + 12 c + 4 t^2) / P + 32 D^2 / (ranks of the grid) bytes, D = c d",
    .options = topc_options,
    .likelihood = FMAL_LIKELIHOOD_TOPC,
    .searches = true,
    .pick = pick_topc,
};

const fmal_strategy fmal_strategy_bait_binary = {
    .name = "bait-binary",
    .summary =
        "bait with the information of being right or wrong (Huseljic et al. 2024)",
    .score = "fall of tr(M^-1 F) when added",
    .unit = NULL,
    .time = "1.5 n d^2 / P flops once, then 4 n d / P a step, 2 k steps and k removals",
    .memory = "n (8 d + 8 c + 60) / P + 32 d^2 / (ranks of the grid) bytes",
    .options = bait_options,
    .likelihood = FMAL_LIKELIHOOD_BINARY,
    .searches = true,
    .pick = pick_binary,
};
