#include "loop_impl.h"
#include "fmal/mem.h"

#include <math.h>
#include <string.h>

static fmal_status copy(void *to, const void *from, fmal_idx count, size_t size)
{
    void *held = NULL;

    FMAL_TRY(fmal_alloc(&held, count, size));
    if (count > 0)
        memcpy(held, from, (size_t) count * size);
    memcpy(to, &held, sizeof held);
    return FMAL_OK;
}

#define COPY(to, from, count) copy(&(to), (from), (count), sizeof *(from))

void fmal_select_state_clear(fmal_select_state *s)
{
    fmal_free(&s->added);
    fmal_free(&s->removed);
    fmal_free(&s->gain);
    fmal_free(&s->loss);
}

fmal_status fmal_select_state_copy(const fmal_select_state *from,
                                   fmal_select_state *out)
{
    fmal_select_state s = *from;
    fmal_status st;

    s.added = s.removed = NULL;
    s.gain = s.loss = NULL;
    st = COPY(s.added, from->added, from->n_added);
    if (st == FMAL_OK)
        st = COPY(s.gain, from->gain, from->n_added);
    if (st == FMAL_OK)
        st = COPY(s.removed, from->removed, from->n_removed);
    if (st == FMAL_OK)
        st = COPY(s.loss, from->loss, from->n_removed);
    if (st != FMAL_OK)
        fmal_select_state_clear(&s);
    else
        *out = s;
    return st;
}

void fmal_run_state_clear(fmal_run_state *state)
{
    fmal_free(&state->rounds);
    fmal_free(&state->right);
    fmal_free(&state->picks);
    fmal_free(&state->first_pick);
    fmal_free(&state->pick_labels);
    fmal_free(&state->pick_scores);
    fmal_free(&state->params);
    fmal_free(&state->stats);
    fmal_free(&state->optimizer);
    if (state->has_selection)
        fmal_select_state_clear(&state->selection);
    memset(state, 0, sizeof *state);
}

fmal_status fmal_state_create(const fmal_run_options *options, int classes,
                              fmal_run_state *out)
{
    fmal_idx rounds = options->rounds;
    fmal_idx picks = options->initial + rounds * options->select.batch;
    fmal_run_state s = { .stage = FMAL_STAGE_TRAIN, .classes = classes };
    fmal_status st = FMAL_ALLOC(&s.rounds, rounds + 1);

    if (st == FMAL_OK)
        st = FMAL_ALLOC(&s.right, (rounds + 1) * classes);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&s.first_pick, rounds + 2);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&s.picks, picks);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&s.pick_labels, picks);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&s.pick_scores, picks);
    if (st != FMAL_OK)
        fmal_run_state_clear(&s);
    else
        *out = s;
    return st;
}

/* Rounds whose batch is picked, and those of which anything is known. */
static int64_t rounds_picked(const fmal_run_state *s)
{
    return s->stage == FMAL_STAGE_PICK ? s->round : s->round + 1;
}

static int64_t rounds_kept(const fmal_run_state *s)
{
    return s->stage == FMAL_STAGE_TRAIN ? s->rounds_done + 1 : s->rounds_done;
}

/* Whether a training can have come so far; the first epoch is the best of one. */
static bool is_possible(const fmal_run_options *o, const fmal_train_count *t)
{
    bool judged = o->train.validation > 0 && t->epochs > 0;

    return t->epochs >= 0 && t->steps >= 0 && t->best_epoch >= judged &&
           t->best_epoch <= (judged ? t->epochs : 0) && isfinite(t->best_loss);
}

/* Whether the counts of a state are what a run with these options passes through. */
static bool is_consistent(const fmal_run_options *o, const fmal_run_state *s)
{
    bool training = s->stage == FMAL_STAGE_TRAIN;

    if (s->round < 0 || s->round > o->rounds || s->stage > FMAL_STAGE_DONE ||
        (s->stage == FMAL_STAGE_PICK && s->round == 0) ||
        (s->stage == FMAL_STAGE_DONE && s->round != o->rounds))
        return false;
    if (s->rounds_done != (s->stage == FMAL_STAGE_DONE ? s->round + 1 : s->round) ||
        s->n_picks != o->initial + (rounds_picked(s) - 1) * o->select.batch)
        return false;
    for (int64_t r = 0; r <= rounds_picked(s); r++)
        if (s->first_pick[r] != (r == 0 ? 0 : o->initial + (r - 1) * o->select.batch))
            return false;
    if (!is_possible(o, &s->trained) || (!training && s->trained.epochs > 0))
        return false;
    if (s->has_selection &&
        (s->stage != FMAL_STAGE_PICK || s->selection.n_removed < 0 ||
         s->selection.n_removed > s->selection.n_added))
        return false;
    /* Only a run that has not trained yet has no weights. */
    return s->n_params > 0 || (training && s->round == 0 && s->trained.epochs == 0);
}

static fmal_status copy_arrays(const fmal_run_state *from, fmal_run_state *s)
{
    size_t picks = (size_t) from->n_picks;
    fmal_idx results = from->rounds_done * s->classes;

    for (fmal_idx i = 0; i < results; i++)
        s->right[i] = from->right ? from->right[i] : -1;
    memcpy(s->rounds, from->rounds, (size_t) rounds_kept(from) * sizeof *s->rounds);
    memcpy(s->first_pick, from->first_pick,
           (size_t) (rounds_picked(from) + 1) * sizeof *s->first_pick);
    memcpy(s->picks, from->picks, picks * sizeof *s->picks);
    memcpy(s->pick_labels, from->pick_labels, picks * sizeof *s->pick_labels);
    memcpy(s->pick_scores, from->pick_scores, picks * sizeof *s->pick_scores);
    FMAL_TRY(COPY(s->params, from->params, from->n_params));
    FMAL_TRY(COPY(s->stats, from->stats, from->n_stats));
    FMAL_TRY(COPY(s->optimizer, from->optimizer, from->n_optimizer));
    if (from->has_selection)
        FMAL_TRY(fmal_select_state_copy(&from->selection, &s->selection));
    s->has_selection = from->has_selection;
    return FMAL_OK;
}

fmal_status fmal_state_copy(const fmal_run_options *options, int classes,
                            const fmal_run_state *from, fmal_run_state *out)
{
    fmal_run_state s = { 0 };

    if (!is_consistent(options, from) || (from->right && from->classes != classes))
        return FMAL_FAIL(FMAL_ERR_FORMAT, "the saved state is not one of this run");
    FMAL_TRY(fmal_state_create(options, classes, &s));
    fmal_status st = copy_arrays(from, &s);
    if (st != FMAL_OK) {
        fmal_run_state_clear(&s);
        return st;
    }
    s.round = from->round;
    s.stage = from->stage;
    s.rounds_done = from->rounds_done;
    s.n_picks = from->n_picks;
    s.n_params = from->n_params;
    s.n_stats = from->n_stats;
    s.n_optimizer = from->n_optimizer;
    s.trained = from->trained;
    s.events_bytes = from->events_bytes;
    s.seconds = from->seconds;
    *out = s;
    return FMAL_OK;
}

/* Copy numbers into an array of the state, which is made anew if it is of another
   length. */
static fmal_status keep(float **to, fmal_idx *count, const float *from, fmal_idx n)
{
    if (!*to || *count != n) {
        fmal_free(to);
        FMAL_TRY(FMAL_ALLOC(to, n));
    }
    if (n > 0)
        memcpy(*to, from, sizeof(float) * (size_t) n);
    *count = n;
    return FMAL_OK;
}

fmal_status fmal_state_keep_net(fmal_run_state *state, fmal_net *net)
{
    FMAL_TRY(keep(&state->params, &state->n_params, fmal_net_params(net),
                  fmal_net_size(net)));
    return keep(&state->stats, &state->n_stats, fmal_net_stats(net),
                fmal_net_stats_size(net));
}

fmal_status fmal_state_keep_trainer(fmal_run_state *state, fmal_trainer *trainer)
{
    fmal_idx n = 0;
    const float *numbers = fmal_trainer_state(trainer, &n);

    state->trained = fmal_trainer_counters(trainer);
    return keep(&state->optimizer, &state->n_optimizer, numbers, n);
}

void fmal_state_use_net(const fmal_run_state *state, fmal_net *net)
{
    memcpy(fmal_net_params(net), state->params,
           sizeof(float) * (size_t) state->n_params);
    if (state->n_stats > 0)
        memcpy(fmal_net_stats(net), state->stats,
               sizeof(float) * (size_t) state->n_stats);
}

double fmal_class_balance(const int64_t *counts, int c)
{
    double total = 0, entropy = 0;

    for (int k = 0; k < c; k++)
        total += (double) counts[k];
    for (int k = 0; k < c; k++)
        if (counts[k] > 0)
            entropy -= (double) counts[k] / total * log((double) counts[k] / total);
    return total > 0 ? entropy / log(c) : 0;
}

void fmal_class_counts(const fmal_run_state *state, int64_t first, int64_t end, int c,
                       int64_t *counts)
{
    memset(counts, 0, sizeof *counts * (size_t) c);
    for (int64_t i = first; i < end; i++)
        if (state->pick_labels[i] >= 0 && state->pick_labels[i] < c)
            counts[state->pick_labels[i]]++;
}
