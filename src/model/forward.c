/* forward.c
 *
 * The story of a model, forward. T rows (tokens of all sequences of the batch, one behind the other) go
 * through
 *
 *     x = embedding[ids]
 *     every layer:   x = x + O attention(rope(norm_q(Q n)), rope(norm_k(K n)), V n)    n = rms_norm(x)
 *                    x = x + moe(rms_norm(x))
 *     normed = rms_norm(x)        logits = normed lm_head^T, a few rows at a time
 *
 * In training every layer keeps what its backward pass needs (glot_layer_acts), all of it or what the rest
 * can be made from again; in inference one set serves all layers and the residual stream is updated in place.
 */
#include "model/model.h"
#include "model/view.h"

#include <math.h>

/* Q, K and V of the normed input: projection, bias, norm per head (Qwen3; q_raw and k_raw keep the values
 * before it). */
static void project(const glot_model *m, glot_workspace *ws, const glot_layer *layer, const glot_acts_view *a)
{
    const glot_tensor *out[] = {layer->q_norm ? &a->q_raw : &a->q, layer->k_norm ? &a->k_raw : &a->k, &a->v};
    glot_linear linears[] = {glot_view_linear(layer->q, layer->q_bias),
                             glot_view_linear(layer->k, layer->k_bias),
                             glot_view_linear(layer->v, layer->v_bias)};
    glot_linears_forward(ws->be, out, &a->attn_in, linears, 3, &ws->lora_scratch);
    if (layer->q_norm)
        glot_op_rms_norm(ws->be, &a->q, &a->q_raw, &layer->q_norm->weight, m->config.rms_norm_eps);
    if (layer->k_norm)
        glot_op_rms_norm(ws->be, &a->k, &a->k_raw, &layer->k_norm->weight, m->config.rms_norm_eps);
}

static void copy_rows(glot_backend *be, const glot_tensor *to, int64_t first_to, const glot_tensor *from,
                      int64_t first_from, int64_t n)
{
    glot_tensor target = glot_tensor_slice(to, first_to, n), source = glot_tensor_slice(from, first_from, n);
    be->copy(be, &target, &source);
}

/* Puts the new keys and values of every segment behind the ones it has or gets from another. */
static void append_to_cache(glot_workspace *ws, const glot_kv_cache *cache, int64_t layer,
                            const glot_tensor *k, const glot_tensor *v)
{
    const glot_tensor *all_k = &cache->k[layer], *all_v = &cache->v[layer];
    for (int64_t s = 0, i = 0; s < ws->n_segments; s++) {
        for (; i < ws->n_shares && ws->shares[4 * i] == s; i++) {
            const int32_t *share = ws->shares + 4 * i;
            copy_rows(ws->be, all_k, share[1], all_k, share[2], share[3]);
            copy_rows(ws->be, all_v, share[1], all_v, share[2], share[3]);
        }
        const int32_t *segment = ws->host_segments + 4 * s;
        int64_t first_q = segment[0], n_q = segment[1],
                first_new = (int64_t)segment[2] + segment[3] - segment[1];
        copy_rows(ws->be, all_k, first_new, k, first_q, n_q);
        copy_rows(ws->be, all_v, first_new, v, first_q, n_q);
    }
}

/* middle [T, h] = input + attention of the normed input. */
static void attention_forward(const glot_model *m, glot_workspace *ws, int64_t l, const glot_acts_view *a,
                              const glot_kv_cache *cache)
{
    const glot_layer *layer = &m->layers[l];
    const glot_model_config *c = &m->config;
    glot_tensor positions = glot_view_positions(ws), segments = glot_view_segments(ws);
    glot_op_rms_norm(ws->be, &a->attn_in, &a->input, &layer->attn_norm->weight, c->rms_norm_eps);
    project(m, ws, layer, a);
    glot_op_rope(ws->be, &a->q, &positions, &ws->cos_table, &ws->sin_table, false);
    glot_op_rope(ws->be, &a->k, &positions, &ws->cos_table, &ws->sin_table, false);
    if (cache)
        append_to_cache(ws, cache, l, &a->k, &a->v);
    glot_op_attention(ws->be, &a->attn_out, &a->q, cache ? &cache->k[l] : &a->k, cache ? &cache->v[l] : &a->v,
                      &segments, 1.0 / sqrt((double)c->head_dim));
    glot_tensor flat = glot_tensor_as_2d(&a->attn_out, ws->n_tokens, c->n_heads * c->head_dim);
    glot_tensor branch = glot_view_rows(&ws->branch, ws);
    glot_linear o = glot_view_linear(layer->o, NULL);
    glot_linear_forward(ws->be, &branch, &flat, &o, &ws->lora_scratch);
    glot_op_add(ws->be, &a->middle, &a->input, &branch);
}

static void normed_ffn_input(const glot_model *m, glot_workspace *ws, int64_t l, const glot_acts_view *a)
{
    glot_op_rms_norm(ws->be, &a->ffn_in, &a->middle, &m->layers[l].ffn_norm->weight, m->config.rms_norm_eps);
}

/* output [T, h] = middle + moe of the normed middle. */
static void ffn_forward(const glot_model *m, glot_workspace *ws, int64_t l, const glot_acts_view *a,
                        const glot_tensor *output)
{
    const glot_layer *layer = &m->layers[l];
    glot_tensor branch = glot_view_rows(&ws->branch, ws);
    glot_paths_view paths;
    glot_view_paths(&paths, ws, l);
    normed_ffn_input(m, ws, l, a);
    glot_moe_forward(ws->be, &branch, &a->ffn_in, &layer->moe, a->moe, &ws->moe_scratch, &paths.paths);
    glot_op_add(ws->be, output, &a->middle, &branch);
}

void glot_model_forward(const glot_model *m, glot_workspace *ws, glot_kv_cache *cache)
{
    glot_tensor ids = glot_view_1d(&ws->ids, ws);
    glot_tensor first = glot_view_input(ws, 0);
    glot_op_embed(ws->be, &first, &m->embedding->weight, &ids);
    for (int64_t l = 0; l < m->config.n_layers; l++) {
        glot_acts_view a = glot_view_acts(ws, l);
        glot_tensor output = glot_view_input(ws, l + 1);
        attention_forward(m, ws, l, &a, cache);
        ffn_forward(m, ws, l, &a, &output);
        if (ws->on_layer)
            ws->on_layer(ws->on_layer_user, ws, l);
    }
    glot_tensor output = glot_view_rows(&ws->output, ws), normed = glot_view_rows(&ws->normed, ws);
    glot_op_rms_norm(ws->be, &normed, &output, &m->final_norm->weight, m->config.rms_norm_eps);
}

void glot_model_recompute(const glot_model *m, glot_workspace *ws, int64_t l)
{
    GLOT_ASSERT(ws->mode == GLOT_WORKSPACE_RECOMPUTE);
    glot_acts_view a = glot_view_acts(ws, l);
    attention_forward(m, ws, l, &a, NULL);
    normed_ffn_input(m, ws, l, &a);
    glot_moe_recompute(ws->be, &a.ffn_in, &m->layers[l].moe, a.moe, &ws->moe_scratch);
}

/* logits of rows [first, first + n) of the batch. */
static glot_tensor head_forward(const glot_model *m, glot_workspace *ws, int64_t first, int64_t n)
{
    glot_tensor rows = glot_tensor_slice(&ws->normed, first, n);
    glot_tensor logits = glot_tensor_slice(&ws->logits, 0, n);
    glot_linear head = glot_view_linear(m->lm_head, NULL);
    glot_linear_forward(ws->be, &logits, &rows, &head, &ws->lora_scratch);
    return logits;
}

void glot_model_nll(const glot_model *m, glot_workspace *ws, int64_t first, float *nll)
{
    for (int64_t row = first, n; row < ws->n_tokens; row += n) {
        n = ws->n_tokens - row < ws->head_rows ? ws->n_tokens - row : ws->head_rows;
        glot_tensor logits = head_forward(m, ws, row, n);
        glot_tensor targets = glot_tensor_slice(&ws->targets, row, n),
                    out = glot_tensor_slice(&ws->nll, row, n);
        glot_op_cross_entropy(ws->be, &out, &logits, &targets, 0.0);
    }
    glot_tensor wanted = glot_tensor_slice(&ws->nll, first, ws->n_tokens - first);
    glot_view_download(ws, nll, &wanted);
}

void glot_model_log_probs(const glot_model *m, glot_workspace *ws, int64_t first, int64_t n, float *log_probs)
{
    glot_tensor logits = head_forward(m, ws, first, n);
    glot_op_log_softmax(ws->be, &logits);
    glot_view_download(ws, log_probs, &logits);
}
