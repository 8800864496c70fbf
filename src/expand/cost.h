/* cost.h: what a model costs before it exists: parameters, trained ones, and the work of one training step,
 * counted from shapes. */
#ifndef GLOT_EXPAND_COST_H
#define GLOT_EXPAND_COST_H

#include "expand/trainable.h"

typedef struct glot_cost {
    uint64_t n_parameters;     /* all of the expanded model */
    uint64_t n_new;            /* new experts and routers */
    uint64_t n_trained;
    double flops_per_token; /* multiplications and additions of the products of one training step: forward,
                               gradients to inputs where anything trains below, gradients of trained weights;
                               attention over half of `length` keys; experts evenly used */
    double forward_flops_per_token; /* those of the forward pass alone */
    double recomputed_flops_per_token; /* what a step does twice with `recompute` (glot_model_recompute) */
} glot_cost;

/* config: the expanded model's (n_experts, top_k set). */
glot_status glot_cost_of(glot_cost *out, const glot_model_config *config, glot_trainable what, int64_t length,
                         glot_error *err);
/* What adapters of this rank add, for GLOT_TRAIN_LORA. */
void glot_cost_add_lora(glot_cost *cost, const glot_model_config *config, int64_t rank);

#endif
