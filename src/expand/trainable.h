/* trainable.h: which parameters a stage trains; everything else is frozen. */
#ifndef GLOT_EXPAND_TRAINABLE_H
#define GLOT_EXPAND_TRAINABLE_H

#include "model/params.h"

typedef enum glot_trainable {
    GLOT_TRAIN_NEW_EXPERTS, /* stage 1 (METHOD 2): the experts of the newest language group, and every router
                             */
    GLOT_TRAIN_ALL_EXPERTS, /* every expert of every layer that has a router, the original too, and the
                               routers */
    GLOT_TRAIN_ALL,         /* everything but language gates and the exact path's evidence */
    GLOT_TRAIN_LORA,        /* the adapters of a dense model (glot_model_add_lora) */
    GLOT_TRAIN_ROUTERS,     /* stage 2, review (METHOD 3): routers and language gates */
} glot_trainable;

/* Whether the parameter trains in a model of this configuration. */
bool glot_trains(const glot_model_config *c, glot_param_id id, glot_trainable what);

/* Sets is_trainable of every parameter; gradients follow with glot_model_allocate_grads. GLOT_BAD_ARGUMENT
 * where nothing would train. */
glot_status glot_set_trainable(glot_model *m, glot_trainable what, glot_error *err);

#endif
