/* workspace.c: memory of a running model, planned once: the same code first counts (measuring pool), then
 * places. */
#include "model/model.h"
#include "base/memory.h"
#include "model/view.h"

#include <string.h>

/* Rows of logits made at a time: with 49,152 entries 256 rows are 50 MB; never the whole batch. Arbitrary
 * within 2x either way. */
enum { HEAD_ROWS = 256 };

typedef struct sizes {
    int64_t n_tokens, n_segments, n_positions, n_keys, head_rows;
} sizes;

static glot_tensor taken(glot_pool *pool, glot_tensor t)
{
    glot_pool_take(pool, &t);
    return t;
}

static int max_experts(const glot_model_config *c)
{
    int most = 1;
    for (int64_t l = 0; l < c->n_layers; l++)
        most = c->n_experts[l] > most ? c->n_experts[l] : most;
    return most;
}

/* What every layer keeps in training. */
static void plan_kept(glot_layer_acts *a, glot_pool *pool, const glot_model_config *c, int64_t n_tokens,
                      int n_experts, bool has_gate)
{
    memset(a, 0, sizeof *a);
    a->input = taken(pool, glot_tensor_2d(pool->be->real, n_tokens, c->hidden_size));
    glot_moe_acts_plan(&a->moe, pool, n_tokens, n_experts, c->top_k, c->hidden_size, has_gate);
}

/* What can be made again from that. */
static void plan_recomputed(glot_layer_acts *a, glot_pool *pool, const glot_model_config *c, int64_t n_tokens,
                            int n_experts)
{
    glot_dtype real = pool->be->real;
    glot_tensor hidden = glot_tensor_2d(real, n_tokens, c->hidden_size);
    glot_tensor heads = glot_tensor_3d(real, n_tokens, c->n_heads, c->head_dim);
    glot_tensor kv_heads = glot_tensor_3d(real, n_tokens, c->n_kv_heads, c->head_dim);
    a->attn_in = taken(pool, hidden);
    a->q = taken(pool, heads);
    a->k = taken(pool, kv_heads);
    a->v = taken(pool, kv_heads);
    if (c->has_qk_norm) {
        a->q_raw = taken(pool, heads);
        a->k_raw = taken(pool, kv_heads);
    }
    a->attn_out = taken(pool, heads);
    a->middle = taken(pool, hidden);
    a->ffn_in = taken(pool, hidden);
    glot_moe_recomputed_plan(&a->moe, pool, n_tokens, n_experts, c->top_k, c->intermediate_size);
}

/* Every layer's activations; in mode RECOMPUTE the last thing in the pool, since all layers' lie over each
 * other. */
static void plan_layers(glot_workspace *ws, glot_pool *pool, const glot_model_config *c, int64_t n_tokens)
{
    for (int64_t l = 0; l < c->n_layers; l++)
        plan_kept(&ws->acts[l], pool, c, n_tokens, c->n_experts[l], glot_config_is_gated(c, l));
    size_t mark = glot_pool_mark(pool);
    for (int64_t l = 0; l < c->n_layers; l++) {
        if (ws->mode == GLOT_WORKSPACE_RECOMPUTE)
            glot_pool_return(pool, mark);
        plan_recomputed(&ws->acts[l], pool, c, n_tokens, c->n_experts[l]);
    }
}

static void plan_gradients(glot_workspace *ws, glot_pool *pool, const glot_model_config *c, int64_t n_tokens)
{
    glot_dtype real = pool->be->real;
    glot_tensor hidden = glot_tensor_2d(real, n_tokens, c->hidden_size);
    ws->d_stream = taken(pool, hidden);
    ws->d_branch = taken(pool, hidden);
    ws->d_normed = taken(pool, hidden);
    ws->d_q = taken(pool, glot_tensor_3d(real, n_tokens, c->n_heads, c->head_dim));
    ws->d_attn_out = taken(pool, glot_tensor_3d(real, n_tokens, c->n_heads, c->head_dim));
    ws->d_k = taken(pool, glot_tensor_3d(real, n_tokens, c->n_kv_heads, c->head_dim));
    ws->d_v = taken(pool, glot_tensor_3d(real, n_tokens, c->n_kv_heads, c->head_dim));
}

static void plan_batch(glot_workspace *ws, glot_pool *pool, const glot_model_config *c, const sizes *s)
{
    ws->ids = taken(pool, glot_tensor_1d(GLOT_I32, s->n_tokens));
    ws->positions = taken(pool, glot_tensor_1d(GLOT_I32, s->n_tokens));
    ws->targets = taken(pool, glot_tensor_1d(GLOT_I32, s->n_tokens));
    ws->segments = taken(pool, glot_tensor_2d(GLOT_I32, s->n_segments, 4));
    ws->token_group = taken(pool, glot_tensor_1d(GLOT_U8, s->n_tokens));
    ws->is_exact = taken(pool, glot_tensor_1d(GLOT_U8, s->n_tokens));
    if (c->gate.n_layers)
        ws->documents = taken(pool, glot_tensor_2d(GLOT_I32, s->n_tokens, 4));
    ws->cos_table = taken(pool, glot_tensor_2d(GLOT_F32, s->n_positions, c->head_dim / 2));
    ws->sin_table = taken(pool, glot_tensor_2d(GLOT_F32, s->n_positions, c->head_dim / 2));
    ws->losses = taken(pool, glot_tensor_1d(GLOT_F64, GLOT_N_LOSSES));
}

static void plan_head(glot_workspace *ws, glot_pool *pool, const glot_model_config *c, const sizes *s)
{
    glot_dtype real = pool->be->real;
    ws->normed = taken(pool, glot_tensor_2d(real, s->n_tokens, c->hidden_size));
    ws->logits = taken(pool, glot_tensor_2d(real, s->head_rows, c->vocab_size));
    ws->nll = taken(pool, glot_tensor_1d(real, s->n_tokens));
    if (real != GLOT_F32) {
        int64_t n = s->head_rows * c->vocab_size;
        ws->staging = taken(pool, glot_tensor_1d(GLOT_F32, n > s->n_tokens ? n : s->n_tokens));
    }
}

/* Gives every tensor of the workspace its place in the pool. */
static void plan(glot_workspace *ws, glot_pool *pool, const sizes *s)
{
    const glot_model_config *c = &ws->model->config;
    glot_tensor hidden = glot_tensor_2d(pool->be->real, s->n_tokens, c->hidden_size);
    bool is_training = ws->mode != GLOT_WORKSPACE_INFER;
    plan_batch(ws, pool, c, s);
    ws->branch = taken(pool, hidden);
    if (is_training) {
        ws->output = taken(pool, hidden);
        plan_gradients(ws, pool, c, s->n_tokens);
    } else {
        plan_kept(&ws->acts[0], pool, c, s->n_tokens, max_experts(c), c->gate.n_layers > 0);
        plan_recomputed(&ws->acts[0], pool, c, s->n_tokens, max_experts(c));
        ws->output = ws->acts[0].input; /* updated in place, layer after layer */
    }
    glot_moe_scratch_plan(&ws->moe_scratch, pool, s->n_tokens, max_experts(c), c->top_k, c->hidden_size,
                          c->intermediate_size, is_training, c->gate.n_layers > 0);
    glot_lora_scratch_plan(&ws->lora_scratch, pool, s->n_tokens, ws->model->lora_rank, is_training);
    ws->moe_scratch.lora = ws->lora_scratch;
    plan_head(ws, pool, c, s);
    if (is_training)
        plan_layers(ws, pool, c, s->n_tokens);
}

static sizes sizes_of(int64_t max_tokens, int64_t n_positions, int64_t n_keys)
{
    return (sizes){.n_tokens = max_tokens,
                   .n_segments = max_tokens,
                   .n_positions = n_positions,
                   .n_keys = n_keys,
                   .head_rows = max_tokens < HEAD_ROWS ? max_tokens : HEAD_ROWS};
}

static glot_status reserve_scratch(const glot_workspace *ws, const sizes *s, glot_error *err)
{
    const glot_model_config *c = &ws->model->config;
    int64_t width = c->vocab_size;
    if (c->intermediate_size > width)
        width = c->intermediate_size;
    if (c->hidden_size > width)
        width = c->hidden_size;
    glot_limits limits = {.max_tokens = s->n_tokens, .max_keys = s->n_keys, .max_segments = s->n_segments,
                          .max_width = width, .max_head_dim = c->head_dim, .max_experts = max_experts(c),
                          .max_top_k = c->top_k};
    return ws->be->reserve(ws->be, &limits, err);
}

static glot_status upload_rope(glot_workspace *ws, int64_t n_positions, glot_error *err)
{
    float *cos_table = NULL, *sin_table = NULL;
    GLOT_TRY(glot_rope_tables(&cos_table, &sin_table, &ws->model->config, n_positions, err));
    ws->be->upload(ws->be, &ws->cos_table, cos_table);
    ws->be->upload(ws->be, &ws->sin_table, sin_table);
    glot_free(cos_table);
    glot_free(sin_table);
    return GLOT_OK;
}

static glot_status start(glot_workspace **out, const glot_model *m, glot_workspace_mode mode, const sizes *s,
                         glot_error *err)
{
    glot_workspace *ws;
    GLOT_TRY(glot_new(&ws, 1, sizeof *ws, "a workspace", err));
    *ws = (glot_workspace){.model = m, .be = m->be, .mode = mode, .max_tokens = s->n_tokens,
                           .max_segments = s->n_segments, .head_rows = s->head_rows};
    *out = ws;
    size_t n_acts = mode == GLOT_WORKSPACE_INFER ? 1 : (size_t)m->config.n_layers;
    GLOT_TRY(glot_new(&ws->acts, n_acts, sizeof *ws->acts, "activations", err));
    return glot_new(&ws->host_segments, (size_t)s->n_segments * 4, sizeof *ws->host_segments, "segments",
                    err);
}

glot_status glot_workspace_create(glot_workspace **out, const glot_model *m, glot_workspace_mode mode,
                                  int64_t max_tokens, int64_t n_positions, int64_t n_keys, glot_error *err)
{
    sizes s = sizes_of(max_tokens, n_positions, n_keys);
    glot_workspace *ws = NULL;
    glot_pool measure;
    glot_status status = start(&ws, m, mode, &s, err);
    if (status == GLOT_OK) {
        glot_pool_measure(&measure, m->be);
        plan(ws, &measure, &s);
        status = glot_pool_init(&ws->pool, m->be, measure.peak, "activations", err);
    }
    if (status == GLOT_OK) {
        plan(ws, &ws->pool, &s);
        status = upload_rope(ws, n_positions, err);
    }
    if (status == GLOT_OK)
        status = reserve_scratch(ws, &s, err);
    if (status != GLOT_OK) {
        glot_workspace_free(ws);
        return status;
    }
    *out = ws;
    return GLOT_OK;
}

glot_status glot_workspace_measure(size_t *bytes, const glot_model *m, glot_workspace_mode mode,
                                   int64_t max_tokens, int64_t n_positions, int64_t n_keys, glot_error *err)
{
    sizes s = sizes_of(max_tokens, n_positions, n_keys);
    glot_workspace *ws = NULL;
    glot_status status = start(&ws, m, mode, &s, err);
    if (status == GLOT_OK) {
        glot_pool measure;
        glot_pool_measure(&measure, m->be);
        plan(ws, &measure, &s);
        *bytes = measure.peak;
    }
    glot_workspace_free(ws);
    return status;
}

void glot_workspace_free(glot_workspace *ws)
{
    if (!ws)
        return;
    glot_pool_release(&ws->pool);
    glot_free(ws->acts);
    glot_free(ws->host_segments);
    glot_free(ws);
}

/* ---- taking a batch in ---- */

static glot_status check_batch(const glot_workspace *ws, const glot_batch *b, glot_error *err)
{
    const glot_model_config *c = &ws->model->config;
    GLOT_ASSERT(b->n_tokens <= ws->max_tokens && b->n_segments <= ws->max_segments);
    GLOT_ASSERT(b->n_documents <= b->n_tokens && (c->gate.n_layers == 0 || b->is_ungated || b->documents));
    int64_t n_positions = glot_tensor_rows(&ws->cos_table);
    for (int64_t t = 0; t < b->n_tokens; t++) {
        if (b->ids[t] < 0 || b->ids[t] >= c->vocab_size)
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "token id %d at place %" PRId64
                             " does not fit the model's vocabulary of %" PRId64,
                             b->ids[t], t, c->vocab_size);
        if (b->positions[t] < 0 || b->positions[t] >= n_positions)
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "position %d is outside the %" PRId64 " positions that were planned for",
                             b->positions[t], n_positions);
    }
    return GLOT_OK;
}

static void upload_prefix(glot_workspace *ws, const glot_tensor *t, int64_t n, const void *host)
{
    glot_tensor part = glot_tensor_prefix_1d(t, n);
    ws->be->upload(ws->be, &part, host);
}

glot_status glot_workspace_load(glot_workspace *ws, const glot_batch *b, glot_error *err)
{
    const glot_model_config *c = &ws->model->config;
    GLOT_TRY(check_batch(ws, b, err));
    ws->n_tokens = b->n_tokens;
    ws->n_segments = b->n_segments;
    ws->has_exact = b->is_exact != NULL;
    ws->n_documents = c->gate.n_layers && !b->is_ungated ? b->n_documents : 0;
    ws->gate_sums = b->gate_sums;
    ws->shares = b->shares;
    ws->n_shares = b->n_shares;
    memcpy(ws->host_segments, b->segments, (size_t)b->n_segments * 4 * sizeof *b->segments);
    upload_prefix(ws, &ws->ids, b->n_tokens, b->ids);
    upload_prefix(ws, &ws->positions, b->n_tokens, b->positions);
    upload_prefix(ws, &ws->segments, b->n_segments * 4, b->segments);
    if (b->targets)
        upload_prefix(ws, &ws->targets, b->n_tokens, b->targets);
    if (b->token_group)
        upload_prefix(ws, &ws->token_group, b->n_tokens, b->token_group);
    if (b->is_exact)
        upload_prefix(ws, &ws->is_exact, b->n_tokens, b->is_exact);
    if (ws->n_documents)
        upload_prefix(ws, &ws->documents, ws->n_documents * 4, b->documents);
    return GLOT_OK;
}

/* ---- views at the batch's size ---- */

static glot_tensor heads_view(const glot_tensor *t, int64_t n_tokens)
{
    return t->addr ? glot_tensor_prefix_3d(t, n_tokens, t->shape[1], t->shape[2]) : *t;
}

glot_tensor glot_view_rows(const glot_tensor *t, const glot_workspace *ws)
{
    return glot_tensor_prefix_2d(t, ws->n_tokens, glot_tensor_cols(t));
}

glot_tensor glot_view_1d(const glot_tensor *t, const glot_workspace *ws)
{
    return glot_tensor_prefix_1d(t, ws->n_tokens);
}

glot_tensor glot_view_positions(const glot_workspace *ws)
{
    return glot_view_1d(&ws->positions, ws);
}

glot_tensor glot_view_segments(const glot_workspace *ws)
{
    return glot_tensor_prefix_2d(&ws->segments, ws->n_segments, 4);
}

void glot_view_paths(glot_paths_view *v, const glot_workspace *ws, int64_t layer)
{
    const glot_model_config *c = &ws->model->config;
    *v = (glot_paths_view){.is_exact = glot_view_1d(&ws->is_exact, ws), .ids = glot_view_1d(&ws->ids, ws)};
    v->paths = (glot_moe_paths){.is_exact = ws->has_exact ? &v->is_exact : NULL,
                                .ids = &v->ids,
                                .gate_sums = ws->gate_sums ? &ws->gate_sums->layers[layer] : NULL,
                                .skip_id = glot_config_start_id(c),
                                .is_sequence_sum = c->gate.is_sequence_sum};
    if (ws->n_documents) {
        v->documents = glot_tensor_prefix_2d(&ws->documents, ws->n_documents, 4);
        v->paths.documents = &v->documents;
    }
}

static glot_layer_acts *acts_of(glot_workspace *ws, int64_t layer)
{
    return &ws->acts[ws->mode == GLOT_WORKSPACE_INFER ? 0 : layer];
}

glot_tensor glot_view_input(glot_workspace *ws, int64_t layer)
{
    bool is_last = layer == ws->model->config.n_layers;
    return glot_view_rows(is_last ? &ws->output : &acts_of(ws, layer)->input, ws);
}

glot_acts_view glot_view_acts(glot_workspace *ws, int64_t layer)
{
    glot_layer_acts *a = acts_of(ws, layer);
    return (glot_acts_view){.input = glot_view_rows(&a->input, ws),
                            .attn_in = glot_view_rows(&a->attn_in, ws),
                            .middle = glot_view_rows(&a->middle, ws),
                            .ffn_in = glot_view_rows(&a->ffn_in, ws),
                            .q = heads_view(&a->q, ws->n_tokens),
                            .k = heads_view(&a->k, ws->n_tokens),
                            .v = heads_view(&a->v, ws->n_tokens),
                            .q_raw = heads_view(&a->q_raw, ws->n_tokens),
                            .k_raw = heads_view(&a->k_raw, ws->n_tokens),
                            .attn_out = heads_view(&a->attn_out, ws->n_tokens),
                            .moe = &a->moe};
}

void glot_view_download(const glot_workspace *ws, float *out, const glot_tensor *t)
{
    if (t->dtype == GLOT_F32) {
        ws->be->download(ws->be, out, t);
        return;
    }
    glot_tensor staged = glot_tensor_prefix_2d(&ws->staging, glot_tensor_rows(t), glot_tensor_cols(t));
    ws->be->copy(ws->be, &staged, t);
    ws->be->download(ws->be, out, &staged);
}
