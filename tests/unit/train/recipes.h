/**
 * Ways to train, to see that each gives the same bits on any number of ranks and after
 * a restart.
 */
#ifndef FMAL_TEST_RECIPES_H
#define FMAL_TEST_RECIPES_H

#include "fmal/train.h"

typedef struct recipe {
    const char *name;
    void (*change)(fmal_train_options *o);
} recipe;

static inline void recipe_adam(fmal_train_options *o)
{
    o->optimizer = FMAL_ADAM;
}

static inline void recipe_sgd(fmal_train_options *o)
{
    o->optimizer = FMAL_SGD;
    o->momentum = 0.8;
}

static inline void recipe_nesterov(fmal_train_options *o)
{
    recipe_sgd(o);
    o->nesterov = true;
    o->weight_decay = 0.01;
}

static inline void recipe_clamp(fmal_train_options *o)
{
    o->clamp = 0.05;
}

static inline void recipe_cosine(fmal_train_options *o)
{
    o->schedule = FMAL_COSINE;
}

static inline void recipe_step(fmal_train_options *o)
{
    o->schedule = FMAL_STEP;
    o->step_epochs = 2;
    o->step_factor = 0.3;
}

static inline void recipe_validation(fmal_train_options *o)
{
    o->validation = 0.3;
}

static inline void recipe_everything(fmal_train_options *o)
{
    recipe_nesterov(o);
    recipe_clamp(o);
    recipe_cosine(o);
    recipe_validation(o);
}

static const recipe recipes[] = {
    { "Adam", recipe_adam },
    { "SGD", recipe_sgd },
    { "Nesterov's momentum", recipe_nesterov },
    { "clamped gradients", recipe_clamp },
    { "a cosine", recipe_cosine },
    { "steps", recipe_step },
    { "validation", recipe_validation },
    { "everything", recipe_everything },
};

#endif
