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

#include "moe/linear.h"

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
    const glot_tensor *language_gate;       /* [2, h] or NULL: no gate */
    const glot_tensor *d_language_gate;
    const glot_tensor *const *d_gate_proj;  /* E entries, each NULL or a gradient */
    const glot_tensor *const *d_up_proj;
    const glot_tensor *const *d_down_proj;
    const glot_lora *gate_lora, *up_lora,
        *down_lora; /* beside the plain FFN's projections (E = 1); NULL: none */
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
    glot_tensor language_logits; /* [T, 2] of the language gate, where there is one */
} glot_moe_acts;

/* Memory that is free again after each call, shared by all layers. */
typedef struct glot_moe_scratch {
    glot_tensor hidden;            /* [R, f] */
    glot_tensor d_rows;            /* [R, h] */
    glot_tensor d_router_logits;   /* [T, E of the largest layer] */
    glot_tensor d_combine_weights; /* [T, K] */
    glot_tensor gate_input; /* [T, h] what a language gate looks at; these three only where there is one */
    glot_tensor is_original;       /* U8 [T] */
    glot_tensor d_language_logits; /* [T, 2] */
    glot_lora_scratch lora;        /* the caller's: shared with the other linear layers */
} glot_moe_scratch;

/* What decides, besides the router, which tokens take the original expert alone. */
typedef struct glot_moe_paths {
    const glot_tensor *is_exact;  /* U8 [T] 1: on the exact path (METHOD 8), no gate is asked; or NULL */
    const glot_tensor *ids;       /* I32 [T] */
    const glot_tensor *documents; /* I32 [D, 4] as op gate_input; NULL: no gate is asked (stage 1) */
    const glot_tensor *gate_sums; /* F64 [slots, h] of this layer; NULL where no document has a slot */
    int32_t skip_id;              /* BOS */
    bool is_sequence_sum;         /* the gate's form */
} glot_moe_paths;

/* The losses on router and gate; a scale of 0 leaves one out. The router's add their gradient to its
 * logits'. */
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
    double gate_scale;               /* METHOD 6; token_group 0 is class 0 */
    const glot_tensor *gate_loss;    /* F64 [1] += */
} glot_router_losses;

/* Places a layer's activations, or the scratch for the largest layer, for at most T tokens. is_training: the
 * backward pass will follow; has_gate: it, or some layer, has a language gate. acts_plan leaves out the large
 * ones
 * that glot_moe_recompute can make again, gate and up: these recomputed_plan places, after it. */
void glot_moe_acts_plan(glot_moe_acts *acts, glot_pool *pool, int64_t n_tokens, int n_experts, int top_k,
                        int64_t hidden, bool has_gate);
void glot_moe_recomputed_plan(glot_moe_acts *acts, glot_pool *pool, int64_t n_tokens, int n_experts,
                              int top_k, int64_t ffn);
void glot_moe_scratch_plan(glot_moe_scratch *scratch, glot_pool *pool, int64_t n_tokens, int max_experts,
                           int max_top_k, int64_t hidden, int64_t ffn, bool is_training, bool has_gate);

/* y [T, h] = the layer of x [T, h], the normed hidden states. */
void glot_moe_forward(glot_backend *be, const glot_tensor *y, const glot_tensor *x, const glot_moe_weights *w,
                      glot_moe_acts *acts, glot_moe_scratch *scratch, const glot_moe_paths *paths);

/* Makes gate and up again as the forward pass did, from what else it left. */
void glot_moe_recompute(glot_backend *be, const glot_tensor *x, const glot_moe_weights *w,
                        glot_moe_acts *acts, glot_moe_scratch *scratch);

/* dx [T, h] = gradient of x; `is_dx_needed` false: nothing trains below, dx is not written. Weight gradients
 * +=, but those of several experts = unless is_added. gate and up of acts are used up. losses may be NULL.
 * `paths` as the forward pass had it, documents without slots. */
void glot_moe_backward(glot_backend *be, const glot_tensor *dx, const glot_tensor *dy, const glot_tensor *x,
                       const glot_moe_weights *w, glot_moe_acts *acts, glot_moe_scratch *scratch,
                       const glot_moe_paths *paths, const glot_router_losses *losses, bool is_dx_needed,
                       bool is_added);

/* The language gate of a layer that has one, with paths that ask it (gate.c): is_original U8 [T] says which
 * tokens take the original expert alone. backward: the loss, the gate's gradient += and, with dx, the input's
 * +=. */
void glot_gate_forward(glot_backend *be, const glot_tensor *is_original, const glot_tensor *x,
                       const glot_moe_weights *w, glot_moe_acts *acts, glot_moe_scratch *scratch,
                       const glot_moe_paths *paths);
void glot_gate_backward(glot_backend *be, const glot_tensor *dx, const glot_tensor *x,
                        const glot_moe_weights *w, glot_moe_acts *acts, glot_moe_scratch *scratch,
                        const glot_moe_paths *paths, const glot_router_losses *losses);

#endif
