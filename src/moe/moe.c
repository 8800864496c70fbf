/* moe.c
 *
 * One MoE layer, forward and backward side by side (METHOD 1):
 *
 *     z = W_r x          router_logits [T, E]        p = softmax(z)      S = top-k      w = p_S / sum p_S
 *     plan               rows of expert e one behind the other, in token order
 *     o = W_down (silu(W_gate x) * (W_up x))         per row, with its expert's matrices
 *     y = o_first + sum over the other slots of w (o - o_first)
 *
 * The last line makes upcycling exact: where the experts agree the result is theirs, bit for bit, whatever
 * the weights are.
 */
#include "moe/moe.h"

/* The layer's activations seen at this call's number of tokens and this layer's number of experts. */
typedef struct layer_view {
    int64_t n_tokens, n_rows;     /* T, R */
    glot_tensor logits, probs;    /* [T, E] */
    glot_tensor ids, weights;     /* [T, K] */
    glot_tensor gate, up, hidden; /* [R, f] */
    glot_tensor rows;             /* [R, h] */
    glot_dispatch plan;
} layer_view;

static int slots_of(const glot_moe_weights *w)
{
    return w->top_k < w->n_experts ? w->top_k : w->n_experts;
}

static glot_dispatch plan_view(const glot_dispatch *full, int64_t n_tokens, int n_experts, int k)
{
    glot_dispatch plan = {.n_experts = n_experts, .top_k = k};
    plan.tokens_per_expert = glot_tensor_prefix_1d(&full->tokens_per_expert, n_experts);
    plan.expert_offsets = glot_tensor_prefix_1d(&full->expert_offsets, n_experts + 1);
    plan.row_map = glot_tensor_prefix_1d(&full->row_map, n_tokens * k);
    plan.slot_rows = glot_tensor_prefix_2d(&full->slot_rows, n_tokens, k);
    return plan;
}

static layer_view view_of(const glot_moe_acts *acts, const glot_moe_scratch *scratch,
                          const glot_moe_weights *w, int64_t n_tokens)
{
    int k = slots_of(w);
    int64_t n_rows = n_tokens * k;
    int64_t ffn = glot_tensor_rows(w->gate_proj[0]), hidden = glot_tensor_cols(w->gate_proj[0]);
    layer_view v = {.n_tokens = n_tokens, .n_rows = n_rows};
    v.gate = glot_tensor_prefix_2d(&acts->gate, n_rows, ffn);
    v.up = glot_tensor_prefix_2d(&acts->up, n_rows, ffn);
    v.hidden = glot_tensor_prefix_2d(&scratch->hidden, n_rows, ffn);
    if (w->n_experts == 1)
        return v;
    v.logits = glot_tensor_prefix_2d(&acts->router_logits, n_tokens, w->n_experts);
    v.probs = glot_tensor_prefix_2d(&acts->router_probs, n_tokens, w->n_experts);
    v.ids = glot_tensor_prefix_2d(&acts->expert_ids, n_tokens, k);
    v.weights = glot_tensor_prefix_2d(&acts->combine_weights, n_tokens, k);
    v.rows = glot_tensor_prefix_2d(&acts->rows, n_rows, hidden);
    v.plan = plan_view(&acts->plan, n_tokens, w->n_experts, k);
    return v;
}

/* ---- one expert: a plain FFN ---- */

typedef struct ffn_layers {
    glot_linear gate, up, down;
} ffn_layers;

static ffn_layers ffn_of(const glot_moe_weights *w)
{
    return (ffn_layers){
        .gate = {.weight = w->gate_proj[0], .d_weight = w->d_gate_proj[0], .lora = w->gate_lora},
        .up = {.weight = w->up_proj[0], .d_weight = w->d_up_proj[0], .lora = w->up_lora},
        .down = {.weight = w->down_proj[0], .d_weight = w->d_down_proj[0], .lora = w->down_lora}};
}

static void ffn_inner(glot_backend *be, const glot_tensor *x, const glot_moe_weights *w, layer_view *v,
                      const glot_moe_scratch *scratch)
{
    ffn_layers layers = ffn_of(w);
    const glot_tensor *out[] = {&v->gate, &v->up};
    glot_linears_forward(be, out, x, (glot_linear[]){layers.gate, layers.up}, 2, &scratch->lora);
}

static void ffn_forward(glot_backend *be, const glot_tensor *y, const glot_tensor *x,
                        const glot_moe_weights *w, layer_view *v, const glot_moe_scratch *scratch)
{
    ffn_layers layers = ffn_of(w);
    ffn_inner(be, x, w, v, scratch);
    glot_op_swiglu(be, &v->hidden, &v->gate, &v->up);
    glot_linear_forward(be, y, &v->hidden, &layers.down, &scratch->lora);
}

static void ffn_backward(glot_backend *be, const glot_tensor *dx, const glot_tensor *dy, const glot_tensor *x,
                         const glot_moe_weights *w, layer_view *v, glot_moe_scratch *scratch,
                         bool is_dx_needed)
{
    ffn_layers layers = ffn_of(w);
    bool is_trained = layers.gate.d_weight || layers.gate.lora;
    if (!is_trained && !is_dx_needed)
        return;
    const glot_tensor *d_input = is_dx_needed ? dx : NULL, *d_gate = &v->gate, *d_up = &v->up;
    if (is_trained)
        glot_op_swiglu(be, &v->hidden, &v->gate, &v->up);
    glot_linear_backward(be, &v->hidden, dy, &v->hidden, &layers.down, &scratch->lora, false);
    glot_op_swiglu_backward(be, d_gate, d_up, NULL, &v->hidden, &v->gate, &v->up);
    glot_linear_backward(be, d_input, d_gate, x, &layers.gate, &scratch->lora, false);
    glot_linear_backward(be, d_input, d_up, x, &layers.up, &scratch->lora, true);
}

/* ---- several experts ---- */

static bool is_gated(const glot_moe_weights *w, const glot_moe_paths *paths)
{
    return w->language_gate && paths->documents;
}

/* The products of routers and gates are never in bf16 (DESIGN). Gives back what the others are in. */
static glot_dtype float32_products(glot_backend *be)
{
    glot_dtype products = be->products;
    be->products = be->real;
    return products;
}

/* Every token has logits and probabilities, the LPR loss needs them; one that the gate or the exact path
 * sends past the router has no choice of experts. */
static void route(glot_backend *be, const glot_tensor *x, const glot_moe_weights *w, layer_view *v,
                  glot_moe_acts *acts, glot_moe_scratch *scratch, const glot_moe_paths *paths)
{
    const glot_tensor *is_original = paths->is_exact;
    glot_tensor decisions;
    glot_dtype products = float32_products(be);
    if (is_gated(w, paths)) {
        decisions = glot_tensor_prefix_1d(&scratch->is_original, v->n_tokens);
        glot_gate_forward(be, &decisions, x, w, acts, scratch, paths);
        is_original = &decisions;
    }
    glot_op_linear(be, &v->logits, x, w->router, NULL);
    be->products = products;
    glot_op_router_topk(be, &v->probs, &v->ids, &v->weights, &v->logits, is_original);
    glot_op_dispatch(be, &v->plan, &v->ids);
}

static void experts_inner(glot_backend *be, const glot_tensor *x, const glot_moe_weights *w, layer_view *v)
{
    const glot_projection inner[] = {{&v->gate, w->gate_proj, NULL}, {&v->up, w->up_proj, NULL}};
    glot_op_grouped_linears(be, inner, 2, x, &v->plan, true);
}

void glot_moe_forward(glot_backend *be, const glot_tensor *y, const glot_tensor *x, const glot_moe_weights *w,
                      glot_moe_acts *acts, glot_moe_scratch *scratch, const glot_moe_paths *paths)
{
    layer_view v = view_of(acts, scratch, w, glot_tensor_rows(x));
    if (w->n_experts == 1) {
        ffn_forward(be, y, x, w, &v, scratch);
        return;
    }
    route(be, x, w, &v, acts, scratch, paths);
    experts_inner(be, x, w, &v);
    glot_op_swiglu(be, &v.hidden, &v.gate, &v.up);
    glot_op_grouped_linear(be, &v.rows, &v.hidden, w->down_proj, &v.plan, false);
    glot_op_moe_combine(be, y, &v.rows, &v.weights, &v.plan);
}

void glot_moe_recompute(glot_backend *be, const glot_tensor *x, const glot_moe_weights *w,
                        glot_moe_acts *acts, glot_moe_scratch *scratch)
{
    layer_view v = view_of(acts, scratch, w, glot_tensor_rows(x));
    if (w->n_experts == 1)
        ffn_inner(be, x, w, &v, scratch);
    else
        experts_inner(be, x, w, &v);
}

static bool any_trained(const glot_moe_weights *w)
{
    for (int e = 0; e < w->n_experts; e++)
        if (w->d_gate_proj[e])
            return true;
    return false;
}

/* d_rows [R, h] -> the experts' weight gradients and, where something trains below, dx. The gradients of gate
 * and up take their places, and hidden, which is not kept for every layer, is made again in that of its own
 * gradient. */
static void experts_backward(glot_backend *be, const glot_tensor *dx, const glot_tensor *d_rows,
                             const glot_tensor *x, const glot_moe_weights *w, layer_view *v,
                             bool is_dx_needed, bool is_added)
{
    const glot_tensor *d_gate = &v->gate, *d_up = &v->up, *d_hidden = &v->hidden;
    bool is_trained = any_trained(w);
    if (!is_trained && !is_dx_needed)
        return;
    glot_op_grouped_linear_backward_input(be, d_hidden, d_rows, w->down_proj, &v->plan, false);
    glot_op_swiglu_backward(be, d_gate, d_up, is_trained ? &v->hidden : NULL, d_hidden, &v->gate, &v->up);
    if (is_trained) {
        glot_op_grouped_linear_backward_weight(be, w->d_down_proj, d_rows, &v->hidden, &v->plan, false,
                                               is_added);
        glot_op_grouped_linear_backward_weight(be, w->d_gate_proj, d_gate, x, &v->plan, true, is_added);
        glot_op_grouped_linear_backward_weight(be, w->d_up_proj, d_up, x, &v->plan, true, is_added);
    }
    if (is_dx_needed) { /* d_rows has been used up: it takes the rows of dx */
        glot_op_grouped_linear_backward_input(be, d_rows, d_gate, w->gate_proj, &v->plan, false);
        glot_op_grouped_linear_backward_input(be, d_rows, d_up, w->up_proj, &v->plan, true);
        glot_op_moe_scatter(be, dx, d_rows, &v->plan, false);
    }
}

static void router_losses(glot_backend *be, const glot_tensor *d_logits, layer_view *v,
                          const glot_router_losses *losses)
{
    if (losses->balance_scale != 0.0)
        glot_op_balance_loss(be, losses->balance_loss, d_logits, &v->probs, &v->plan, losses->balance_factor,
                             losses->balance_scale);
    if (losses->lpr_scale != 0.0)
        glot_op_lpr_loss(be, losses->lpr_loss, d_logits, &v->logits, losses->token_group, losses->n_allowed,
                         losses->n_groups, losses->lpr_form, losses->lpr_scale);
}

void glot_moe_backward(glot_backend *be, const glot_tensor *dx, const glot_tensor *dy, const glot_tensor *x,
                       const glot_moe_weights *w, glot_moe_acts *acts, glot_moe_scratch *scratch,
                       const glot_moe_paths *paths, const glot_router_losses *losses, bool is_dx_needed,
                       bool is_added)
{
    layer_view v = view_of(acts, scratch, w, glot_tensor_rows(x));
    if (w->n_experts == 1) {
        ffn_backward(be, dx, dy, x, w, &v, scratch, is_dx_needed);
        return;
    }
    int k = slots_of(w);
    glot_tensor d_rows = glot_tensor_prefix_2d(&scratch->d_rows, v.n_rows, glot_tensor_cols(&v.rows));
    glot_tensor d_weights = glot_tensor_prefix_2d(&scratch->d_combine_weights, v.n_tokens, k);
    glot_tensor d_logits = glot_tensor_prefix_2d(&scratch->d_router_logits, v.n_tokens, w->n_experts);

    glot_op_moe_combine_backward(be, &d_rows, &d_weights, dy, &v.rows, &v.weights, &v.plan);
    experts_backward(be, dx, &d_rows, x, w, &v, is_dx_needed, is_added);

    glot_op_router_topk_backward(be, &d_logits, &d_weights, &v.weights, &v.ids);
    if (losses)
        router_losses(be, &d_logits, &v, losses);
    glot_dtype products = float32_products(be);
    if (w->d_router)
        glot_op_linear_backward_weight(be, w->d_router, &d_logits, x);
    if (is_dx_needed)
        glot_op_linear_backward_input(be, dx, &d_logits, w->router, true);
    if (losses && losses->gate_scale != 0.0 && is_gated(w, paths))
        glot_gate_backward(be, is_dx_needed ? dx : NULL, x, w, acts, scratch, paths, losses);
    be->products = products;
}
