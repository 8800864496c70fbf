/* upcycle.h
 *
 * From a dense model to a mixture of experts, or from an expanded model to a larger one (METHOD 1, 7). Expert
 * 0 stays the original FFN and every expert that is there stays as it is; new experts come behind them as
 * copies of one of the layer's experts, and the router gets a row for each. Right after the upcycling of a
 * dense model the new one computes the same function, bit for bit, whatever the router says.
 */
#ifndef GLOT_EXPAND_UPCYCLE_H
#define GLOT_EXPAND_UPCYCLE_H

#include "model/model.h"

typedef enum glot_expert_init {
    GLOT_EXPERT_COPY,   /* of the source expert */
    GLOT_EXPERT_RANDOM, /* normal, std 0.02: the papers' ablation */
} glot_expert_init;

typedef struct glot_upcycle_settings {
    int top_k; /* an expanded model's own must be kept */
    glot_expert_init init;
    const int32_t *source_expert; /* [n_layers] whom a layer's new ones copy; NULL: the original everywhere */
    bool is_router_fresh; /* all router rows drawn anew; else the rows that exist are kept */
    uint64_t seed;
} glot_upcycle_settings;

/* Gives layer l n_experts[l] experts (totals, the original included, never fewer than it has). New router
 * rows are Xavier-normal, std sqrt(2 / (h + E)), drawn by (seed, the router's name). The new experts form a
 * new language group without languages yet; a dense model also gets group 0 and the SHA-256 of its weights as
 * base_sha256. A dense model whose layers all keep one expert is left as it is; an expanded model must grow
 * somewhere, and loses the evidence of the exact path, which does not know the languages to come. New experts
 * have the type of what they copy. After a failure the model can only be closed. */
glot_status glot_upcycle(glot_model *m, const int32_t *n_experts, const glot_upcycle_settings *settings,
                         glot_error *err);
/* Only its refusals: GLOT_BAD_ARGUMENT for fewer experts than there are, none more at all, too many experts
 * or groups, another top_k. */
glot_status glot_upcycle_check(const glot_model *m, const int32_t *n_experts,
                               const glot_upcycle_settings *settings, glot_error *err);
/* The shape that a configuration would have then; names of the new group's languages are left out. */
void glot_upcycle_config(glot_model_config *c, const int32_t *n_experts, int top_k);

#endif
