/* moe.h
 *
 * One mixture-of-experts layer (METHOD 1): router, dispatch, experts, combine; forward and backward, with the
 * load-balancing loss (METHOD 2) and the LPR loss (METHOD 3, 7) on its router. A layer with one expert is a
 * plain FFN and goes through the same door.
 *
 * Shapes: T tokens, h hidden size, f FFN size, E experts, K = min(top_k, E), R = T * K rows of experts.
 */
#ifndef GLOT_MOE_MOE_H
#define GLOT_MOE_MOE_H

#include "tensor/backend.h"

/* The expert that is the untouched original FFN. */
enum { GLOT_EXPERT_ORIGINAL = 0 };

/* Weights of one layer and the gradients they accumulate into; a gradient that is NULL is never computed
 * (frozen). */
typedef struct glot_moe_weights {
    int n_experts, top_k;                   /* E, K; E = 1: plain FFN, no router */
    const glot_tensor *router;              /* [E, h] */
    const glot_tensor *const *gate_proj;    /* E times [f, h] */
    const glot_tensor *const *up_proj;      /* E times [f, h] */
    const glot_tensor *const *down_proj;    /* E times [h, f] */
    const glot_tensor *d_router;
    const glot_tensor *const *d_gate_proj;  /* E entries, each NULL or a gradient */
    const glot_tensor *const *d_up_proj;
    const glot_tensor *const *d_down_proj;
} glot_moe_weights;

/* What the forward pass leaves for the backward pass. For E = 1 only gate and up ([T, f]). */
typedef struct glot_moe_acts {
    glot_tensor router_logits;   /* [T, E] */
    glot_tensor router_probs;    /* [T, E] */
    glot_tensor expert_ids;      /* I32 [T, K] */
    glot_tensor combine_weights; /* [T, K] */
    glot_dispatch plan;
    glot_tensor gate, up;        /* [R, f] */
    glot_tensor rows;            /* [R, h] outputs of the experts, before combining */
} glot_moe_acts;

/* Memory that is free again after each call, shared by all layers. */
typedef struct glot_moe_scratch {
    glot_tensor hidden;            /* [R, f] */
    glot_tensor d_rows;            /* [R, h] */
    glot_tensor d_gate, d_up;      /* [R, f] */
    glot_tensor d_router_logits;   /* [T, E of the largest layer] */
    glot_tensor d_combine_weights; /* [T, K] */
} glot_moe_scratch;

/* The losses on the router; a scale of 0 leaves one out. Both add their gradient to the router logits'. */
typedef struct glot_router_losses {
    double balance_factor;           /* E (paper), or E of layer 0 times K (released form) */
    double balance_scale;            /* coefficient and means: multiplies the gradient only */
    const glot_tensor *balance_loss; /* F64 [1] +=, without coefficient and means */
    double lpr_scale;
    glot_lpr_form lpr_form;
    const glot_tensor *token_group;  /* U8 [T] */
    const int32_t *n_allowed;        /* [n_groups], this layer's: see ops.inc lpr_loss */
    int n_groups;
    const glot_tensor *lpr_loss;     /* F64 [1] += */
} glot_router_losses;

/* Places a layer's activations, or the scratch for the largest layer, for at most T tokens. is_training: the
 * backward pass will follow. */
void glot_moe_acts_plan(glot_moe_acts *acts, glot_pool *pool, int64_t n_tokens, int n_experts, int top_k,
                        int64_t hidden, int64_t ffn);
void glot_moe_scratch_plan(glot_moe_scratch *scratch, glot_pool *pool, int64_t n_tokens, int max_experts,
                           int max_top_k, int64_t hidden, int64_t ffn, bool is_training);

/* y [T, h] = the layer of x [T, h], the normed hidden states. is_exact U8 [T] (or NULL): 1 takes the original
 * expert alone, weight 1. */
void glot_moe_forward(glot_backend *be, const glot_tensor *y, const glot_tensor *x, const glot_moe_weights *w,
                      glot_moe_acts *acts, glot_moe_scratch *scratch, const glot_tensor *is_exact);

/* dx [T, h] = gradient of x; weight gradients += . `is_dx_needed` false: nothing trains below, dx is not
 * written. losses may be NULL. */
void glot_moe_backward(glot_backend *be, const glot_tensor *dx, const glot_tensor *dy, const glot_tensor *x,
                       const glot_moe_weights *w, glot_moe_acts *acts, glot_moe_scratch *scratch,
                       const glot_router_losses *losses, bool is_dx_needed);

#endif
