/* backward.c
 *
 * The story of a model, backward: forward.c read from the last line to the first. Frozen tensors have no
 * gradient and their weight gradient is never computed; nothing is propagated below the lowest place that
 * trains.
 *
 *     d_stream is the gradient of the residual stream: each block adds what its branch contributes.
 */
#include "model/model.h"
#include "model/params.h"
#include "model/view.h"

#include <math.h>

static const glot_tensor *grad_of(const glot_param *p)
{
    return p && p->is_trainable ? &p->grad : NULL;
}

static bool trains(const glot_param *p)
{
    return p && (p->is_trainable || p->lora.a);
}

static bool attention_trains(const glot_layer *l)
{
    return trains(l->attn_norm) || trains(l->q) || trains(l->k) || trains(l->v) || trains(l->q_bias) ||
           trains(l->k_bias) || trains(l->v_bias) || trains(l->q_norm) || trains(l->k_norm) || trains(l->o);
}

static bool ffn_trains(const glot_layer *l)
{
    bool any = trains(l->ffn_norm) || trains(l->router) || trains(l->language_gate);
    for (int e = 0; e < l->n_experts; e++)
        any = any || trains(l->gate_proj[e]);
    return any;
}

/* The lowest layer with something to train; -1 where the embedding trains, n_layers where only what comes
 * after does. */
static int64_t lowest_trained_layer(const glot_model *m)
{
    if (trains(m->embedding))
        return -1;
    for (int64_t l = 0; l < m->config.n_layers; l++)
        if (attention_trains(&m->layers[l]) || ffn_trains(&m->layers[l]))
            return l;
    return m->config.n_layers;
}

/* ---- the head: logits, loss and their gradient, a few rows at a time ---- */

static void head_rows_backward(const glot_model *m, glot_workspace *ws, int64_t first, int64_t n,
                               double scale)
{
    glot_tensor normed = glot_tensor_slice(&ws->normed, first, n),
                d_normed = glot_tensor_slice(&ws->d_normed, first, n);
    glot_tensor logits = glot_tensor_slice(&ws->logits, 0, n), nll = glot_tensor_slice(&ws->nll, first, n);
    glot_tensor targets = glot_tensor_slice(&ws->targets, first, n);
    glot_linear head = glot_view_linear(m->lm_head, NULL);
    glot_linear_forward(ws->be, &logits, &normed, &head, &ws->lora_scratch);
    glot_op_cross_entropy(ws->be, &nll, &logits, &targets, scale); /* logits become their gradient */
    glot_linear_backward(ws->be, &d_normed, &logits, &normed, &head, &ws->lora_scratch, false);
}

static void head_backward(const glot_model *m, glot_workspace *ws, double scale)
{
    for (int64_t first = 0; first < ws->n_tokens; first += ws->head_rows) {
        int64_t n = ws->n_tokens - first < ws->head_rows ? ws->n_tokens - first : ws->head_rows;
        head_rows_backward(m, ws, first, n, scale);
    }
    glot_tensor nll = glot_view_1d(&ws->nll, ws), ce = glot_tensor_slice(&ws->losses, GLOT_LOSS_CE, 1);
    glot_op_sum(ws->be, &ce, &nll, false);
    glot_tensor d_stream = glot_view_rows(&ws->d_stream, ws), d_normed = glot_view_rows(&ws->d_normed, ws);
    glot_tensor output = glot_view_rows(&ws->output, ws);
    glot_op_rms_norm_backward(ws->be, &d_stream, grad_of(m->final_norm), &d_normed, &output,
                              &m->final_norm->weight, m->config.rms_norm_eps, false);
}

/* ---- one layer ---- */

/* METHOD 7: experts that count as home for each group; 0 for the newest, which has no LPR loss (and for all
 * but G0 if original only). */
static void count_allowed(int32_t *n_allowed, const glot_model_config *c, int64_t l, bool is_original_only)
{
    for (int g = 0; g < c->n_groups; g++) {
        n_allowed[g] = 0;
        if (g == c->n_groups - 1 || (is_original_only && g > 0))
            continue;
        for (int e = 0; e < c->n_experts[l]; e++)
            n_allowed[g] += c->expert_group[l][e] <= g;
    }
}

static void ffn_backward(const glot_model *m, glot_workspace *ws, int64_t l, const glot_acts_view *a,
                         const glot_loss_settings *settings, bool is_input_needed, bool is_added)
{
    const glot_layer *layer = &m->layers[l];
    int32_t n_allowed[GLOT_MAX_GROUPS];
    count_allowed(n_allowed, &m->config, l, settings->is_lpr_original_only);
    int k0 = m->config.top_k < layer->n_experts ? m->config.top_k : layer->n_experts;
    glot_tensor token_group = glot_view_1d(&ws->token_group, ws);
    glot_tensor balance = glot_tensor_slice(&ws->losses, GLOT_LOSS_BALANCE, 1);
    glot_tensor lpr = glot_tensor_slice(&ws->losses, GLOT_LOSS_LPR, 1);
    glot_tensor gate = glot_tensor_slice(&ws->losses, GLOT_LOSS_GATE, 1);
    glot_router_losses losses = {.balance_factor = settings->is_balance_released
                                                       ? (double)m->config.n_experts[0] * k0
                                                       : (double)layer->n_experts,
                                 .balance_scale = settings->balance_scale,
                                 .balance_loss = &balance,
                                 .lpr_scale = settings->lpr_scale,
                                 .lpr_form = settings->lpr_form,
                                 .lpr_loss = &lpr,
                                 .token_group = &token_group,
                                 .n_allowed = n_allowed,
                                 .n_groups = m->config.n_groups,
                                 .gate_scale = settings->gate_scale,
                                 .gate_loss = &gate};
    glot_paths_view paths;
    glot_view_paths(&paths, ws, l);

    bool is_dx_needed = is_input_needed || trains(layer->ffn_norm);
    glot_tensor d_stream = glot_view_rows(&ws->d_stream, ws), d_branch = glot_view_rows(&ws->d_branch, ws);
    glot_moe_backward(ws->be, &d_branch, &d_stream, &a->ffn_in, &layer->moe, a->moe, &ws->moe_scratch,
                      &paths.paths, &losses, is_dx_needed, is_added);
    if (is_dx_needed)
        glot_op_rms_norm_backward(ws->be, &d_stream, grad_of(layer->ffn_norm), &d_branch, &a->middle,
                                  &layer->ffn_norm->weight, m->config.rms_norm_eps, true);
}

/* From the gradient of a projection's output (rope undone here) to its weights and, added, to the normed
 * input's. */
static void project_backward(const glot_model *m, glot_workspace *ws, const glot_tensor *d_out,
                             const glot_tensor *raw, const glot_tensor *x, const glot_param *w,
                             const glot_param *bias, const glot_param *norm, const glot_tensor *dx,
                             bool is_first)
{
    int64_t n_tokens = glot_tensor_rows(x);
    if (norm)
        glot_op_rms_norm_backward(ws->be, d_out, grad_of(norm), d_out, raw, &norm->weight,
                                  m->config.rms_norm_eps, false);
    glot_tensor flat = glot_tensor_as_2d(d_out, n_tokens, glot_tensor_cols(d_out));
    glot_linear linear = glot_view_linear(w, bias);
    glot_linear_backward(ws->be, dx, &flat, x, &linear, &ws->lora_scratch, !is_first);
}

/* d_stream through the output projection and attention to d_q, d_k, d_v, rotation undone. */
static void attention_core_backward(const glot_model *m, glot_workspace *ws, const glot_layer *layer,
                                    const glot_acts_view *a, const glot_acts_view *d)
{
    const glot_model_config *c = &m->config;
    glot_tensor d_stream = glot_view_rows(&ws->d_stream, ws), positions = glot_view_positions(ws);
    glot_tensor segments = glot_view_segments(ws);
    glot_tensor flat = glot_tensor_as_2d(&a->attn_out, ws->n_tokens, c->n_heads * c->head_dim);
    glot_tensor d_flat = glot_tensor_as_2d(&d->attn_out, ws->n_tokens, c->n_heads * c->head_dim);
    glot_linear o = glot_view_linear(layer->o, NULL);
    glot_linear_backward(ws->be, &d_flat, &d_stream, &flat, &o, &ws->lora_scratch, false);
    glot_op_attention_backward(ws->be, &d->q, &d->k, &d->v, &d->attn_out, &a->attn_out, &a->q, &a->k, &a->v,
                               &segments, 1.0 / sqrt((double)c->head_dim));
    glot_op_rope(ws->be, &d->q, &positions, &ws->cos_table, &ws->sin_table, true);
    glot_op_rope(ws->be, &d->k, &positions, &ws->cos_table, &ws->sin_table, true);
}

static void attention_backward(const glot_model *m, glot_workspace *ws, int64_t l, const glot_acts_view *a,
                               bool is_input_needed)
{
    const glot_layer *layer = &m->layers[l];
    const glot_model_config *c = &m->config;
    glot_tensor d_stream = glot_view_rows(&ws->d_stream, ws), d_branch = glot_view_rows(&ws->d_branch, ws);
    glot_acts_view d = {
        .q = glot_tensor_prefix_3d(&ws->d_q, ws->n_tokens, c->n_heads, c->head_dim),
        .k = glot_tensor_prefix_3d(&ws->d_k, ws->n_tokens, c->n_kv_heads, c->head_dim),
        .v = glot_tensor_prefix_3d(&ws->d_v, ws->n_tokens, c->n_kv_heads, c->head_dim),
        .attn_out = glot_tensor_prefix_3d(&ws->d_attn_out, ws->n_tokens, c->n_heads, c->head_dim)};
    attention_core_backward(m, ws, layer, a, &d);

    bool is_dx_needed = is_input_needed || trains(layer->attn_norm);
    const glot_tensor *dx = is_dx_needed ? &d_branch : NULL;
    project_backward(m, ws, &d.q, &a->q_raw, &a->attn_in, layer->q, layer->q_bias, layer->q_norm, dx, true);
    project_backward(m, ws, &d.k, &a->k_raw, &a->attn_in, layer->k, layer->k_bias, layer->k_norm, dx, false);
    project_backward(m, ws, &d.v, NULL, &a->attn_in, layer->v, layer->v_bias, NULL, dx, false);
    if (is_dx_needed)
        glot_op_rms_norm_backward(ws->be, &d_stream, grad_of(layer->attn_norm), &d_branch, &a->input,
                                  &layer->attn_norm->weight, c->rms_norm_eps, true);
}

void glot_model_backward(const glot_model *m, glot_workspace *ws, const glot_loss_settings *settings,
                         bool is_added)
{
    GLOT_ASSERT(ws->mode != GLOT_WORKSPACE_INFER);
    int64_t lowest = lowest_trained_layer(m);
    ws->be->zero(ws->be, &ws->losses);
    if (!is_added)
        glot_params_zero_sums(m);
    head_backward(m, ws, settings->ce_scale);
    for (int64_t l = m->config.n_layers - 1; l >= 0 && l >= lowest; l--) {
        glot_acts_view a = glot_view_acts(ws, l);
        bool is_forward_there =
            ws->mode == GLOT_WORKSPACE_TRAIN || l == m->config.n_layers - 1; /* the last one ran last */
        if (!is_forward_there)
            glot_model_recompute(m, ws, l);
        bool is_lower_needed = l > lowest,
             is_attention_needed = is_lower_needed || attention_trains(&m->layers[l]);
        ffn_backward(m, ws, l, &a, settings, is_attention_needed, is_added);
        if (is_attention_needed)
            attention_backward(m, ws, l, &a, is_lower_needed);
    }
    if (trains(m->embedding)) {
        glot_tensor ids = glot_view_1d(&ws->ids, ws), d_stream = glot_view_rows(&ws->d_stream, ws);
        glot_op_embed_backward(ws->be, &m->embedding->grad, &d_stream, &ids);
    }
}
