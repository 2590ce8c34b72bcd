/*
 * A run is a list of stages: train (round 0), pick, train (round 1), pick, train, ...
 * The state says which one is under way; a stage that is begun again from a saved state
 * does what it would have done, to the bit: training continues after the last finished
 * epoch, a selection after its last refresh, and everything random is keyed by (seed,
 * purpose, round, sample).
 */
#include "loop_impl.h"
#include "fmal/clock.h"
#include "fmal/log.h"
#include "fmal/mem.h"
#include "fmal/point.h"
#include "fmal/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const fmal_run_options *options_of(const fmal_run *run)
{
    return run->setup.options;
}

/* ---- Saving and stopping ---- */

static fmal_status save(fmal_run *run)
{
    const fmal_run_hooks *hooks = run->setup.hooks;
    fmal_status st = FMAL_OK;

    run->state.seconds = fmal_now() - run->began;
    run->state.net = run->net;
    run->state.set = run->setup.set;
    fmal_phase_begin(run->setup.phases, FMAL_PHASE_CHECKPOINT);
    fmal_point("checkpoint-begin");
    if (hooks->save)
        st = hooks->save(hooks->arg, &run->state);
    fmal_point("checkpoint-end");
    fmal_phase_end(run->setup.phases, 0, 0);
    return st;
}

/* Inside a selection: the state with the selector's steps, borrowed for the call. The
   engine's caller keeps the time of this phase. */
static fmal_status save_selection(void *arg, const fmal_select_state *selection)
{
    fmal_run *run = arg;
    const fmal_run_hooks *hooks = run->setup.hooks;
    fmal_status st = FMAL_OK;

    run->state.seconds = fmal_now() - run->began;
    run->state.net = run->net;
    run->state.set = run->setup.set;
    run->state.selection = *selection;
    run->state.has_selection = true;
    fmal_point("checkpoint-begin");
    if (hooks->save)
        st = hooks->save(hooks->arg, &run->state);
    fmal_point("checkpoint-end");
    memset(&run->state.selection, 0, sizeof run->state.selection);
    run->state.has_selection = false;
    return st;
}

/* ---- Labels ---- */

/* Who may be picked: what is labelled is not, nor what the oracle cannot label. */
static void set_roles(fmal_run *run)
{
    const fmal_split *train = &run->setup.set->train;

    for (fmal_idx i = 0; i < train->part.count; i++)
        run->role[i] = train->labels[i] < 0 ? FMAL_EXCLUDED : FMAL_CANDIDATE;
    for (int64_t i = 0; i < run->state.n_picks; i++) {
        fmal_idx il = run->state.picks[i] - train->part.first;

        if (il >= 0 && il < train->part.count)
            run->role[il] = FMAL_LABELLED;
    }
}

/* Ask the oracle, the data set's own labels, about a batch, and add it to the state. */
static fmal_status label_batch(fmal_run *run, const fmal_batch *batch)
{
    const fmal_split *train = &run->setup.set->train;
    fmal_run_state *s = &run->state;

    FMAL_TRY(fmal_fetch_rows(run->setup.ctx, &train->part, train->labels,
                             sizeof(int32_t), batch->index, batch->n,
                             s->pick_labels + s->n_picks));
    for (fmal_idx i = 0; i < batch->n; i++) {
        s->picks[s->n_picks + i] = batch->index[i];
        s->pick_scores[s->n_picks + i] = batch->score[i];
    }
    s->n_picks += batch->n;
    s->first_pick[s->round + 1] = s->n_picks;
    set_roles(run);
    return FMAL_OK;
}

static fmal_status label_initial(fmal_run *run)
{
    const fmal_run_options *o = options_of(run);
    const fmal_split *train = &run->setup.set->train;
    fmal_batch batch = { 0 };
    fmal_status st = fmal_draw(run->setup.ctx, &train->part, run->role, o->initial,
                               o->seed, FMAL_RNG_INITIAL, 0, &batch);

    if (st == FMAL_OK)
        st = label_batch(run, &batch);
    fmal_batch_clear(&batch);
    return st;
}

/* ---- Picking ---- */

/* Reasons to end while the pool is scored, which is then done again. One that is there
   already waits for the first step of the selection: every start gets somewhere. */
static fmal_stop *stop_of_scoring(const fmal_run *run)
{
    fmal_stop *stop = run->setup.hooks->stop;

    return stop && fmal_stop_agree(run->setup.ctx, stop) ? NULL : stop;
}

static fmal_status score_pool(fmal_run *run, float **features, double **probs)
{
    const fmal_split *train = &run->setup.set->train;
    int d = fmal_net_features(run->net), c = fmal_net_classes(run->net);
    fmal_idx n = train->part.count;
    float *logits = NULL;
    fmal_status st = FMAL_ALLOC(features, n * d);

    fmal_phase_begin(run->setup.phases, FMAL_PHASE_SCORE);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(probs, n * c);
    if (st == FMAL_OK)
        st = FMAL_ALLOC(&logits, n * c);
    if ((st = fmal_agree(run->setup.ctx, st)) == FMAL_OK)
        st = fmal_embed(run->setup.ctx, run->net, run->setup.set, train, *features,
                        logits, stop_of_scoring(run));
    if (st == FMAL_OK)
        fmal_softmax(logits, n, c, *probs);
    fmal_free(&logits);
    fmal_phase_end(run->setup.phases, (double) n * fmal_net_flops(run->net), 0);
    return st;
}

static fmal_status pick_batch(fmal_run *run, const float *features, const double *probs,
                              fmal_batch *batch)
{
    const fmal_run_options *o = options_of(run);
    const fmal_run_hooks *hooks = run->setup.hooks;
    fmal_query query = {
        .ctx = run->setup.ctx,
        .part = &run->setup.set->train.part,
        .features = features,
        .probs = probs,
        .role = run->role,
        .d = fmal_net_features(run->net),
        .c = fmal_net_classes(run->net),
        .net = run->net,
        .set = run->setup.set,
        .masking = &o->masking,
        .options = o->select,
        .seed = o->seed,
        .round = (uint32_t) run->state.round,
        .keeper = { .save = save_selection,
                    .arg = run,
                    .every_seconds = hooks->every_seconds,
                    .every_steps = hooks->every_steps,
                    .stop = hooks->stop,
                    .resume = run->has_resume ? &run->resume : NULL },
        .phases = run->setup.phases,
    };
    fmal_status st = fmal_strategy_pick(o->strategy, &query, batch);

    if (st != FMAL_STOPPED && run->has_resume) {
        fmal_select_state_clear(&run->resume);
        run->has_resume = false;
    }
    return st;
}

/* Its file was kept for a restart inside the pick. */
static void forget_jacobian(const fmal_run *run)
{
    const char *path = options_of(run)->masking.jacobian.path;

    if (path && run->setup.ctx->rank == 0)
        unlink(path);
}

static fmal_status pick_round(fmal_run *run)
{
    fmal_run_state *s = &run->state;
    const fmal_run_hooks *hooks = run->setup.hooks;
    double began = fmal_now();
    float *features = NULL;
    double *probs = NULL;
    fmal_batch batch = { 0 };
    fmal_status st = score_pool(run, &features, &probs);

    if (st == FMAL_OK)
        st = pick_batch(run, features, probs, &batch);
    fmal_free(&features);
    fmal_free(&probs);
    if (st == FMAL_OK)
        st = label_batch(run, &batch);
    if (st == FMAL_OK) {
        s->rounds[s->round] = (fmal_round){ .before = batch.before,
                                            .after = batch.after,
                                            .seconds_pick = fmal_now() - began };
        if (hooks->picked)
            st = hooks->picked(hooks->arg, s, s->round, &batch);
    }
    fmal_batch_clear(&batch);
    if (st != FMAL_OK)
        return st;
    s->stage = FMAL_STAGE_TRAIN;
    s->trained = (fmal_train_count){ 0 };
    fmal_point("picked");
    FMAL_TRY(save(run));
    fmal_point("jacobian-left");
    forget_jacobian(run);
    return FMAL_OK;
}

/* ---- Training ---- */

/* Fresh weights, or those that every training starts from, with a fresh last layer if
   they have none. It is the last of the parameters. */
static void first_weights(fmal_run *run)
{
    const fmal_run_options *o = options_of(run);
    fmal_net *start = o->start;

    fmal_net_init(run->net, o->seed, (uint32_t) run->state.round);
    if (!start)
        return;
    const fmal_tensor *head = fmal_net_tensor(start, fmal_net_tensors(start) - 1);
    fmal_idx n = o->start_head ? fmal_net_size(start) : head->offset;
    memcpy(fmal_net_params(run->net), fmal_net_params(start),
           sizeof(float) * (size_t) n);
    memcpy(fmal_net_stats(run->net), fmal_net_stats(start),
           sizeof(float) * (size_t) fmal_net_stats_size(start));
}

/* The weights that training starts from: the first ones, or those there are. */
static void set_weights(fmal_run *run)
{
    const fmal_run_options *o = options_of(run);
    const fmal_run_state *s = &run->state;

    if (s->trained.epochs == 0 && (s->round == 0 || !o->warm))
        first_weights(run);
    else
        fmal_state_use_net(s, run->net);
}

static fmal_status make_trainer(fmal_run *run, fmal_trainer **trainer)
{
    fmal_run_state *s = &run->state;
    fmal_train_options options = options_of(run)->train;
    fmal_idx count = 0;

    options.round = (uint32_t) s->round;
    set_weights(run);
    FMAL_TRY(fmal_trainer_create(run->setup.ctx, run->net, run->setup.set, &options,
                                 s->picks, s->n_picks, trainer));
    float *optimizer = fmal_trainer_state(*trainer, &count);
    if (s->trained.epochs > 0) {
        if (count != s->n_optimizer)
            return FMAL_FAIL(FMAL_ERR_FORMAT, "the saved optimizer is not this one");
        memcpy(optimizer, s->optimizer, sizeof(float) * (size_t) count);
        fmal_trainer_resume(*trainer, &s->trained);
    }
    return FMAL_OK;
}

/* Between epochs: weights and optimizer into the state, and the state to disk. */
static fmal_status save_training(fmal_run *run, fmal_trainer *trainer)
{
    fmal_status st = fmal_state_keep_net(&run->state, run->net);

    if (st == FMAL_OK)
        st = fmal_state_keep_trainer(&run->state, trainer);
    FMAL_TRY(fmal_agree(run->setup.ctx, st));
    return save(run);
}

/* Whether to save or stop now, the same on every rank: FMAL_STOP_* bits, or
 * FMAL_SAVE_DUE.
 */
static int look_up(fmal_run *run, double last_save)
{
    const fmal_run_hooks *hooks = run->setup.hooks;
    const fmal_ctx *ctx = run->setup.ctx;
    int bits = hooks->stop ? fmal_stop_bits(ctx, hooks->stop) : 0;

    if (ctx->rank == 0 && hooks->every_seconds > 0 &&
        fmal_now() - last_save >= hooks->every_seconds)
        bits |= FMAL_SAVE_DUE;
    FMAL_MPI(MPI_Allreduce(MPI_IN_PLACE, &bits, 1, MPI_INT, MPI_BOR, ctx->comm));
    return bits;
}

static void describe(const fmal_epoch *epoch, char *text, size_t size)
{
    int n =
        snprintf(text, size, "loss %.4f, accuracy %.4f", epoch->loss, epoch->accuracy);

    if (epoch->best > 0 && n > 0 && (size_t) n < size)
        snprintf(text + n, size - (size_t) n, ", held out %.4f, %.4f, best %d",
                 epoch->validation_loss, epoch->validation_accuracy, epoch->best);
}

static fmal_status train_epochs(fmal_run *run, fmal_trainer *trainer, fmal_epoch *epoch)
{
    const fmal_run_options *o = options_of(run);
    double last_save = fmal_now();
    double flops = 3 * (double) run->state.n_picks * fmal_net_flops(run->net) /
                   run->setup.ctx->size;
    fmal_progress progress;
    char note[96];
    fmal_status st = FMAL_OK;

    fmal_progress_begin(&progress, "train", "epochs", o->train.max_epochs,
                        run->state.trained.epochs);
    while (st == FMAL_OK && !epoch->finished) {
        fmal_phase_begin(run->setup.phases, FMAL_PHASE_TRAIN);
        st = fmal_trainer_epoch(trainer, epoch);
        fmal_phase_end(run->setup.phases, flops, 0);
        if (st != FMAL_OK)
            break;
        describe(epoch, note, sizeof note);
        fmal_progress_at(&progress, epoch->epoch, note);
        int bits = look_up(run, last_save);
        /* After the last epoch the round ends at once, and is saved then. */
        if (bits && !epoch->finished) {
            st = save_training(run, trainer);
            last_save = fmal_now();
        }
        if (st == FMAL_OK && (bits & ~FMAL_SAVE_DUE) && !epoch->finished)
            st = FMAL_FAIL(FMAL_STOPPED, "%s", fmal_stop_reason(bits));
    }
    fmal_progress_end(&progress);
    return st;
}

static fmal_status record_round(fmal_run *run, const fmal_epoch *epoch, double began)
{
    fmal_run_state *s = &run->state;
    fmal_round *round = &s->rounds[s->round];
    const fmal_dataset *set = run->setup.set;
    fmal_evaluation test;
    fmal_status st;

    fmal_phase_begin(run->setup.phases, FMAL_PHASE_EVALUATE);
    st = fmal_evaluate_classes(run->setup.ctx, run->net, set, &set->test, &test,
                               s->right + s->round * s->classes);
    fmal_phase_end(run->setup.phases,
                   (double) set->test.part.count * fmal_net_flops(run->net), 0);
    FMAL_TRY(st);
    round->labelled = s->n_picks;
    round->epochs = epoch->epoch;
    round->train_accuracy = epoch->accuracy;
    round->train_loss = epoch->loss;
    round->test_accuracy = test.accuracy;
    round->test_loss = test.loss;
    round->seconds_train = fmal_now() - began;
    s->rounds_done = s->round + 1;
    return FMAL_OK;
}

static fmal_status train_round(fmal_run *run)
{
    fmal_run_state *s = &run->state;
    const fmal_run_hooks *hooks = run->setup.hooks;
    double began = fmal_now();
    fmal_trainer *trainer = NULL;
    fmal_epoch epoch = { 0 };
    fmal_status st = make_trainer(run, &trainer);

    if (st == FMAL_OK)
        st = train_epochs(run, trainer, &epoch);
    fmal_trainer_destroy(&trainer);
    if (st == FMAL_OK)
        st = record_round(run, &epoch, began);
    if (st == FMAL_OK)
        st = fmal_agree(run->setup.ctx, fmal_state_keep_net(s, run->net));
    if (st == FMAL_OK && hooks->round)
        st = hooks->round(hooks->arg, s, s->round);
    if (st != FMAL_OK)
        return st;
    fmal_free(&s->optimizer);
    s->n_optimizer = 0;
    s->trained = (fmal_train_count){ 0 };
    if (s->round == options_of(run)->rounds) {
        s->stage = FMAL_STAGE_DONE;
    } else {
        s->stage = FMAL_STAGE_PICK;
        s->round++;
    }
    fmal_point("round-end");
    return save(run);
}

fmal_status fmal_run_rounds(fmal_run *run)
{
    const fmal_run_hooks *hooks = run->setup.hooks;

    while (run->state.stage != FMAL_STAGE_DONE) {
        if (run->state.stage == FMAL_STAGE_PICK)
            FMAL_TRY(pick_round(run));
        else
            FMAL_TRY(train_round(run));
        int bits = hooks->stop ? fmal_stop_agree(run->setup.ctx, hooks->stop) : 0;
        if (bits && run->state.stage != FMAL_STAGE_DONE)
            return FMAL_FAIL(FMAL_STOPPED, "%s", fmal_stop_reason(bits));
    }
    forget_jacobian(run); /* a crash may have left it after the last pick */
    return FMAL_OK;
}

/* ---- Life ---- */

fmal_status fmal_run_check(const fmal_run_setup *setup)
{
    const fmal_run_options *o = setup->options;
    const fmal_split *train = &setup->set->train;
    fmal_idx known = 0, wanted = o->initial + o->rounds * o->select.batch;

    FMAL_TRY(fmal_train_check(&o->train, setup->set, o->initial));
    for (fmal_idx i = 0; i < train->part.count; i++)
        known += train->labels[i] >= 0;
    known = fmal_sum_one(setup->ctx, known);
    if (wanted > known)
        return FMAL_FAIL(
            FMAL_ERR_ARG,
            "%" PRId64 " initial samples and %" PRId64 " rounds of %" PRId64
            " are %" PRId64 " labels; %s has %" PRId64 " training samples with a label",
            o->initial, o->rounds, o->select.batch, wanted, setup->set->path, known);
    return FMAL_OK;
}

fmal_status fmal_run_net_make(const fmal_run_setup *setup, fmal_net **net)
{
    const fmal_run_options *o = setup->options;

    return fmal_net_create(o->arch, setup->set->shape, setup->set->classes, o->hidden,
                           o->train.micro_batch, net);
}

static fmal_status create(const fmal_run_setup *setup, fmal_run **out)
{
    fmal_run *run = NULL;
    fmal_status st = FMAL_ALLOC(&run, 1);

    if (st == FMAL_OK) {
        run->setup = *setup;
        run->began = fmal_now();
        st = FMAL_ALLOC(&run->role, setup->set->train.part.count);
    }
    if (st == FMAL_OK)
        st = fmal_run_net_make(setup, &run->net);
    if ((st = fmal_agree(setup->ctx, st)) == FMAL_OK) {
        fmal_net_set_isa(run->net, fmal_agree_isa(setup->ctx));
        st = fmal_run_check(setup);
    }
    if (st != FMAL_OK)
        fmal_run_end(&run);
    else
        *out = run;
    return st;
}

fmal_status fmal_run_start(const fmal_run_setup *setup, fmal_run **out)
{
    fmal_run *run = NULL;

    FMAL_TRY(create(setup, &run));
    fmal_status st =
        fmal_state_create(setup->options, setup->set->classes, &run->state);
    if ((st = fmal_agree(setup->ctx, st)) == FMAL_OK) {
        set_roles(run);
        st = label_initial(run);
    }
    if (st == FMAL_OK)
        st = save(run);
    if (st != FMAL_OK)
        fmal_run_end(&run);
    else
        *out = run;
    return st;
}

/* Everything in a state that the options do not already say. Each rank looks for
   repeated picks among its own samples; the verdict is agreed by the caller. */
static fmal_status check_state(fmal_run *run)
{
    const fmal_run_state *s = &run->state;
    const fmal_part *part = &run->setup.set->train.part;
    bool fits = s->n_params == 0 || (s->n_params == fmal_net_size(run->net) &&
                                     s->n_stats == fmal_net_stats_size(run->net));

    for (int64_t i = 0; fits && i < s->n_picks; i++) {
        fmal_idx il = s->picks[i] - part->first;

        fits = s->picks[i] >= 0 && s->picks[i] < part->n;
        if (il >= 0 && il < part->count) {
            fits &= run->role[il] != FMAL_LABELLED;
            run->role[il] = FMAL_LABELLED;
        }
    }
    if (!fits)
        return FMAL_FAIL(FMAL_ERR_FORMAT, "the saved state is not one of this run");
    return FMAL_OK;
}

fmal_status fmal_run_resume(const fmal_run_setup *setup, const fmal_run_state *state,
                            fmal_run **out)
{
    fmal_run *run = NULL;

    FMAL_TRY(create(setup, &run));
    fmal_status st =
        fmal_state_copy(setup->options, setup->set->classes, state, &run->state);
    if (st == FMAL_OK)
        st = check_state(run);
    if ((st = fmal_agree(setup->ctx, st)) != FMAL_OK) {
        fmal_run_end(&run);
        return st;
    }
    run->began -= run->state.seconds;
    run->resume = run->state.selection;
    run->has_resume = run->state.has_selection;
    run->state.has_selection = false;
    if (run->state.n_params > 0)
        fmal_state_use_net(&run->state, run->net);
    set_roles(run);
    *out = run;
    return FMAL_OK;
}

const fmal_run_state *fmal_run_now(const fmal_run *run)
{
    return &run->state;
}

fmal_net *fmal_run_net(fmal_run *run)
{
    return run->net;
}

void fmal_run_end(fmal_run **run)
{
    if (!*run)
        return;
    fmal_net_destroy(&(*run)->net);
    fmal_free(&(*run)->role);
    if ((*run)->has_resume)
        fmal_select_state_clear(&(*run)->resume);
    fmal_run_state_clear(&(*run)->state);
    fmal_free(run);
}
