/* plan.c: the memory of one MoE layer. */
#include "moe/moe.h"

#include <string.h>

static glot_tensor taken(glot_pool *pool, glot_tensor t)
{
    glot_pool_take(pool, &t);
    return t;
}

static void dispatch_plan(glot_dispatch *plan, glot_pool *pool, int64_t n_tokens, int n_experts, int top_k)
{
    plan->n_experts = n_experts;
    plan->top_k = top_k;
    plan->tokens_per_expert = taken(pool, glot_tensor_1d(GLOT_I32, n_experts));
    plan->expert_offsets = taken(pool, glot_tensor_1d(GLOT_I32, n_experts + 1));
    plan->row_map = taken(pool, glot_tensor_1d(GLOT_I32, n_tokens * top_k));
    plan->slot_rows = taken(pool, glot_tensor_2d(GLOT_I32, n_tokens, top_k));
}

void glot_moe_acts_plan(glot_moe_acts *acts, glot_pool *pool, int64_t n_tokens, int n_experts, int top_k,
                        int64_t hidden, bool has_gate)
{
    glot_dtype real = pool->be->real;
    int k = top_k < n_experts ? top_k : n_experts;
    memset(acts, 0, sizeof *acts);
    if (n_experts == 1)
        return;
    acts->router_logits = taken(pool, glot_tensor_2d(real, n_tokens, n_experts));
    acts->router_probs = taken(pool, glot_tensor_2d(real, n_tokens, n_experts));
    acts->expert_ids = taken(pool, glot_tensor_2d(GLOT_I32, n_tokens, k));
    acts->combine_weights = taken(pool, glot_tensor_2d(real, n_tokens, k));
    acts->rows = taken(pool, glot_tensor_2d(real, n_tokens * k, hidden));
    dispatch_plan(&acts->plan, pool, n_tokens, n_experts, k);
    if (has_gate)
        acts->language_logits = taken(pool, glot_tensor_2d(real, n_tokens, 2));
}

void glot_moe_recomputed_plan(glot_moe_acts *acts, glot_pool *pool, int64_t n_tokens, int n_experts,
                              int top_k, int64_t ffn)
{
    int k = top_k < n_experts ? top_k : n_experts;
    acts->gate = taken(pool, glot_tensor_2d(pool->be->real, n_tokens * k, ffn));
    acts->up = taken(pool, glot_tensor_2d(pool->be->real, n_tokens * k, ffn));
}

void glot_moe_scratch_plan(glot_moe_scratch *scratch, glot_pool *pool, int64_t n_tokens, int max_experts,
                           int max_top_k, int64_t hidden, int64_t ffn, bool is_training, bool has_gate)
{
    glot_dtype real = pool->be->real;
    int64_t n_rows = n_tokens * max_top_k;
    memset(scratch, 0, sizeof *scratch);
    scratch->hidden = taken(pool, glot_tensor_2d(real, n_rows, ffn));
    if (has_gate) {
        scratch->gate_input = taken(pool, glot_tensor_2d(real, n_tokens, hidden));
        scratch->is_original = taken(pool, glot_tensor_1d(GLOT_U8, n_tokens));
    }
    if (!is_training)
        return;
    if (has_gate)
        scratch->d_language_logits = taken(pool, glot_tensor_2d(real, n_tokens, 2));
    scratch->d_rows = taken(pool, glot_tensor_2d(real, n_rows, hidden));
    scratch->d_router_logits = taken(pool, glot_tensor_2d(real, n_tokens, max_experts));
    scratch->d_combine_weights = taken(pool, glot_tensor_2d(real, n_tokens, max_top_k));
}
