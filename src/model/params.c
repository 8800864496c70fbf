/* params.c
 *
 * The table of parameters: one row per role gives name and shape; glot_param_list says which parameters a
 * configuration has and in which order they are saved; glot_model_link sorts the table into that order and
 * points the layers into it. A layer with one expert keeps the plain FFN's names, so a parameter's name may
 * change when experts are added: linking names them anew.
 */
#include "model/params.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

/* Sizes that shapes are made of. */
typedef enum dim { NONE, VOCAB, HIDDEN, FFN, Q_ROWS, KV_ROWS, HEAD, EXPERTS, CLASSES } dim;

typedef struct role_row {
    const char *name; /* what follows "model.layers.N." and, for experts, "mlp." or "mlp.experts.K." */
    dim rows, cols;   /* cols NONE: one dimension */
    bool is_layer, is_expert;
    size_t place; /* offset in glot_layer or glot_model of the pointer to it (experts: to their array) */
} role_row;

#define IN_MODEL(member) .place = offsetof(glot_model, member)
#define IN_LAYER(member) .is_layer = true, .place = offsetof(glot_layer, member)
#define IN_EXPERT(member) .is_layer = true, .is_expert = true, .place = offsetof(glot_layer, member)

static const role_row role_rows[] = {
    [GLOT_ROLE_EMBEDDING] = {"model.embed_tokens.weight", VOCAB, HIDDEN, IN_MODEL(embedding)},
    [GLOT_ROLE_ATTN_NORM] = {"input_layernorm.weight", HIDDEN, NONE, IN_LAYER(attn_norm)},
    [GLOT_ROLE_Q] = {"self_attn.q_proj.weight", Q_ROWS, HIDDEN, IN_LAYER(q)},
    [GLOT_ROLE_K] = {"self_attn.k_proj.weight", KV_ROWS, HIDDEN, IN_LAYER(k)},
    [GLOT_ROLE_V] = {"self_attn.v_proj.weight", KV_ROWS, HIDDEN, IN_LAYER(v)},
    [GLOT_ROLE_Q_BIAS] = {"self_attn.q_proj.bias", Q_ROWS, NONE, IN_LAYER(q_bias)},
    [GLOT_ROLE_K_BIAS] = {"self_attn.k_proj.bias", KV_ROWS, NONE, IN_LAYER(k_bias)},
    [GLOT_ROLE_V_BIAS] = {"self_attn.v_proj.bias", KV_ROWS, NONE, IN_LAYER(v_bias)},
    [GLOT_ROLE_Q_NORM] = {"self_attn.q_norm.weight", HEAD, NONE, IN_LAYER(q_norm)},
    [GLOT_ROLE_K_NORM] = {"self_attn.k_norm.weight", HEAD, NONE, IN_LAYER(k_norm)},
    [GLOT_ROLE_O] = {"self_attn.o_proj.weight", HIDDEN, Q_ROWS, IN_LAYER(o)},
    [GLOT_ROLE_FFN_NORM] = {"post_attention_layernorm.weight", HIDDEN, NONE, IN_LAYER(ffn_norm)},
    [GLOT_ROLE_ROUTER] = {"mlp.router.weight", EXPERTS, HIDDEN, IN_LAYER(router)},
    [GLOT_ROLE_LANGUAGE_GATE] = {"mlp.language_gate.weight", CLASSES, HIDDEN, IN_LAYER(language_gate)},
    [GLOT_ROLE_GATE_PROJ] = {"gate_proj.weight", FFN, HIDDEN, IN_EXPERT(gate_proj)},
    [GLOT_ROLE_UP_PROJ] = {"up_proj.weight", FFN, HIDDEN, IN_EXPERT(up_proj)},
    [GLOT_ROLE_DOWN_PROJ] = {"down_proj.weight", HIDDEN, FFN, IN_EXPERT(down_proj)},
    [GLOT_ROLE_FINAL_NORM] = {"model.norm.weight", HIDDEN, NONE, IN_MODEL(final_norm)},
    [GLOT_ROLE_LM_HEAD] = {"lm_head.weight", VOCAB, HIDDEN, IN_MODEL(lm_head)},
    [GLOT_ROLE_EXACT_EVIDENCE] = {"model.exact_evidence", VOCAB, NONE, IN_MODEL(exact_evidence)},
};

char *glot_param_name(const glot_model_config *c, glot_role role, int layer, int expert)
{
    const role_row *row = &role_rows[role];
    glot_str name = {0};
    if (row->is_layer)
        glot_str_printf(&name, "model.layers.%d.", layer);
    if (row->is_expert && c->n_experts[layer] > 1)
        glot_str_printf(&name, "mlp.experts.%d.", expert);
    else if (row->is_expert)
        glot_str_puts(&name, "mlp.");
    glot_str_puts(&name, row->name);
    char *text = name.failed ? NULL : glot_strdup(name.data);
    glot_str_release(&name);
    return text;
}

static int64_t size_of(const glot_model_config *c, dim d, int layer)
{
    const int64_t sizes[] = {
        [VOCAB] = c->vocab_size,
        [HIDDEN] = c->hidden_size,
        [FFN] = c->intermediate_size,
        [Q_ROWS] = c->n_heads * c->head_dim,
        [KV_ROWS] = c->n_kv_heads * c->head_dim,
        [HEAD] = c->head_dim,
        [EXPERTS] = layer >= 0 ? c->n_experts[layer] : 0,
        [CLASSES] = 2, /* of the language gate: old, new */
    };
    return sizes[d];
}

glot_tensor glot_param_shape(const glot_model_config *c, glot_role role, int layer)
{
    const role_row *row = &role_rows[role];
    if (row->cols == NONE)
        return glot_tensor_1d(GLOT_F32, size_of(c, row->rows, layer));
    return glot_tensor_2d(GLOT_F32, size_of(c, row->rows, layer), size_of(c, row->cols, layer));
}

/* ---- which parameters there are ---- */

static bool has_role(const glot_model_config *c, glot_role role, int layer)
{
    switch (role) {
    case GLOT_ROLE_Q_BIAS:
    case GLOT_ROLE_K_BIAS:
    case GLOT_ROLE_V_BIAS:
        return c->has_qkv_bias;
    case GLOT_ROLE_Q_NORM:
    case GLOT_ROLE_K_NORM:
        return c->has_qk_norm;
    case GLOT_ROLE_ROUTER:
        return c->n_experts[layer] > 1;
    case GLOT_ROLE_LANGUAGE_GATE:
        return glot_config_is_gated(c, layer);
    case GLOT_ROLE_LM_HEAD:
        return !c->has_tied_embeddings;
    case GLOT_ROLE_EXACT_EVIDENCE:
        return c->exact.is_on;
    default:
        return true;
    }
}

static glot_param_id *list_layer(glot_param_id *at, const glot_model_config *c, int layer)
{
    for (glot_role role = GLOT_ROLE_ATTN_NORM; role <= GLOT_ROLE_LANGUAGE_GATE; role++)
        if (has_role(c, role, layer))
            *at++ = (glot_param_id){role, layer, -1};
    for (int expert = 0; expert < c->n_experts[layer]; expert++)
        for (glot_role role = GLOT_ROLE_GATE_PROJ; role <= GLOT_ROLE_DOWN_PROJ; role++)
            *at++ = (glot_param_id){role, layer, expert};
    return at;
}

glot_status glot_param_list(glot_param_id **ids, size_t *n, const glot_model_config *c, glot_error *err)
{
    size_t most = 4; /* embedding, final norm, head, evidence */
    for (int64_t l = 0; l < c->n_layers; l++)
        most += GLOT_ROLE_GATE_PROJ - GLOT_ROLE_ATTN_NORM + 3 * (size_t)c->n_experts[l];
    glot_param_id *list;
    GLOT_TRY(glot_new(&list, most, sizeof *list, "the list of parameters", err));
    glot_param_id *at = list;
    *at++ = (glot_param_id){GLOT_ROLE_EMBEDDING, -1, -1};
    for (int l = 0; l < c->n_layers; l++)
        at = list_layer(at, c, l);
    for (glot_role role = GLOT_ROLE_FINAL_NORM; role <= GLOT_ROLE_EXACT_EVIDENCE; role++)
        if (has_role(c, role, -1))
            *at++ = (glot_param_id){role, -1, -1};
    *n = (size_t)(at - list);
    *ids = list;
    return GLOT_OK;
}

/* ---- the table ---- */

glot_status glot_model_create_empty(glot_model **out, glot_backend *be, const glot_model_config *config,
                                    const char *path, glot_error *err)
{
    glot_model *m = NULL;
    glot_status status;
    GLOT_TRY(glot_new(&m, 1, sizeof *m, "a model", err));
    m->be = be;
    GLOT_TRY_OUT(glot_config_copy(&m->config, config, err));
    m->path = glot_strdup(path);
    if (!m->path) {
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of a model");
        goto out;
    }
    GLOT_TRY_OUT(
        glot_new(&m->layers, (size_t)config->n_layers, sizeof *m->layers, "the layers of a model", err));
    *out = m;
    return GLOT_OK;
out:
    glot_model_close(m);
    return status;
}

static void free_owned(glot_model *m, glot_tensor *t)
{
    if (t->addr)
        m->be->free(m->be, t->addr);
    t->addr = NULL;
}

void glot_param_free(glot_model *m, glot_param *p)
{
    if (!p)
        return;
    if (p->is_owned)
        free_owned(m, &p->weight);
    free_owned(m, &p->grad);
    glot_free(p->name);
    glot_free(p);
}

void glot_model_close(glot_model *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_params; i++)
        glot_param_free(m, m->params[i]);
    for (size_t i = 0; i < m->n_adapters; i++)
        glot_param_free(m, m->adapters[i]);
    glot_free(m->params);
    glot_free(m->adapters);
    glot_free(m->layers);
    glot_free(m->link_memory);
    glot_safetensors_close(m->safetensors);
    if (m->gguf)
        glot_gguf_close(m->gguf);
    json_decref(m->base_config);
    glot_config_release(&m->config);
    glot_free(m->path);
    glot_free(m);
}

glot_status glot_model_add_unplaced(glot_param **out, glot_model *m, const glot_param_id *id, glot_error *err)
{
    glot_param *p;
    GLOT_TRY(glot_grow(&m->params, &m->params_capacity, m->n_params + 1, sizeof *m->params,
                       "the table of parameters", err));
    GLOT_TRY(glot_new(&p, 1, sizeof *p, "a parameter", err));
    *p = (glot_param){.role = id->role, .layer = id->layer, .expert = id->expert};
    p->name = glot_param_name(&m->config, id->role, id->layer, id->expert);
    if (!p->name) {
        glot_free(p);
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of a parameter");
    }
    p->weight = glot_param_shape(&m->config, id->role, id->layer);
    p->weight.dtype = m->be->real;
    m->params[m->n_params++] = p;
    *out = p;
    return GLOT_OK;
}

glot_status glot_param_place(glot_model *m, glot_param *p, glot_error *err)
{
    size_t bytes;
    if (!glot_tensor_bytes_checked(&bytes, &p->weight))
        return GLOT_FAIL(err, GLOT_NOMEM, "tensor '%s' is too large for this machine", p->name);
    GLOT_TRY(m->be->alloc(m->be, &p->weight.addr, bytes, p->name, err));
    p->is_owned = true;
    return GLOT_OK;
}

glot_status glot_model_add_param(glot_param **out, glot_model *m, glot_role role, int layer, int expert,
                                 glot_dtype dtype, glot_error *err)
{
    glot_param *p = NULL;
    GLOT_TRY(glot_model_add_unplaced(&p, m, &(glot_param_id){role, layer, expert}, err));
    p->weight.dtype = dtype;
    GLOT_TRY(glot_param_place(m, p, err));
    *out = p;
    return GLOT_OK;
}

void glot_model_remove_param(glot_model *m, glot_param *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n_params; i++)
        if (m->params[i] != p)
            m->params[kept++] = m->params[i];
    m->n_params = kept;
    glot_param_free(m, p);
}

/* ---- linking ---- */

/* Saving order: embedding, layers (experts last and together), final norm, head, evidence. */
static int compare_params(const void *a, const void *b)
{
    const glot_param *p = *(glot_param *const *)a, *q = *(glot_param *const *)b;
    bool p_is_layer = p->layer >= 0, q_is_layer = q->layer >= 0;
    if (!p_is_layer || !q_is_layer) /* the roles of layers lie between those before and those behind them */
        return (p->role > q->role) - (p->role < q->role);
    if (p->layer != q->layer)
        return (p->layer > q->layer) - (p->layer < q->layer);
    if (p->expert != q->expert)
        return (p->expert > q->expert) - (p->expert < q->expert);
    return (p->role > q->role) - (p->role < q->role);
}

static glot_status rename_params(glot_model *m, glot_error *err)
{
    for (size_t i = 0; i < m->n_params; i++) {
        glot_param *p = m->params[i];
        char *name = glot_param_name(&m->config, p->role, p->layer, p->expert);
        if (!name)
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of a parameter");
        glot_free(p->name);
        p->name = name;
    }
    return GLOT_OK;
}

/* The sorted table must be the configuration's list, no parameter more or less. */
static glot_status check_complete(const glot_model *m, glot_error *err)
{
    glot_param_id *ids;
    size_t n;
    GLOT_TRY(glot_param_list(&ids, &n, &m->config, err));
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < n && status == GLOT_OK; i++) {
        const glot_param *p = i < m->n_params ? m->params[i] : NULL;
        if (p && p->role == ids[i].role && p->layer == ids[i].layer && p->expert == ids[i].expert)
            continue;
        char *name = glot_param_name(&m->config, ids[i].role, ids[i].layer, ids[i].expert);
        status = GLOT_FAIL(err, GLOT_INTERNAL, "'%s': the table of parameters has '%s' where '%s' belongs",
                           m->path, p ? p->name : "nothing", name ? name : "another");
        glot_free(name);
    }
    glot_free(ids);
    if (status == GLOT_OK && n != m->n_params)
        status = GLOT_FAIL(err, GLOT_INTERNAL, "'%s': the table of parameters has '%s' too much", m->path,
                           m->params[n]->name);
    return status;
}

/* Arrays over the experts of all layers: 3 of parameters, 6 of tensors. */
static glot_status allocate_links(glot_model *m, glot_error *err)
{
    size_t n_experts = 0;
    for (int64_t l = 0; l < m->config.n_layers; l++)
        n_experts += (size_t)m->config.n_experts[l];
    glot_free(m->link_memory);
    m->link_memory = NULL;
    GLOT_TRY(glot_new(&m->link_memory, n_experts, 9 * sizeof(void *), "the layers of a model", err));
    void **at = (void **)m->link_memory;
    for (int64_t l = 0; l < m->config.n_layers; l++) {
        glot_layer *layer = &m->layers[l];
        int n = m->config.n_experts[l];
        *layer = (glot_layer){.n_experts = n};
        layer->gate_proj = (glot_param **)at, layer->up_proj = (glot_param **)(at + n);
        layer->down_proj = (glot_param **)(at + 2 * n);
        layer->moe.gate_proj = (const glot_tensor *const *)(at + 3 * n);
        layer->moe.up_proj = (const glot_tensor *const *)(at + 4 * n);
        layer->moe.down_proj = (const glot_tensor *const *)(at + 5 * n);
        layer->moe.d_gate_proj = (const glot_tensor *const *)(at + 6 * n);
        layer->moe.d_up_proj = (const glot_tensor *const *)(at + 7 * n);
        layer->moe.d_down_proj = (const glot_tensor *const *)(at + 8 * n);
        at += 9 * n;
    }
    return GLOT_OK;
}

/* Where the model or one of its layers keeps the pointer to a parameter. */
static glot_param **place_of(glot_model *m, const glot_param *p)
{
    const role_row *row = &role_rows[p->role];
    char *place = (row->is_layer ? (char *)&m->layers[p->layer] : (char *)m) + row->place;
    if (!row->is_expert)
        return (glot_param **)(void *)place;
    glot_param **of_layer = *(glot_param ***)(void *)place;
    return &of_layer[p->expert];
}

static const glot_tensor *grad_of(const glot_param *p)
{
    return p && p->grad.addr ? &p->grad : NULL;
}

static const glot_lora *lora_of(const glot_param *p)
{
    return p->lora.a ? &p->lora : NULL;
}

/* The layer's moe weights are its parameters seen as tensors. The arrays were laid out by allocate_links as
 * plain pointers. */
static void link_moe(const glot_model *m, glot_layer *layer)
{
    glot_moe_weights *w = &layer->moe;
    int n = layer->n_experts;
    w->n_experts = n;
    w->top_k = m->config.top_k < n ? m->config.top_k : n;
    w->router = layer->router ? &layer->router->weight : NULL;
    w->d_router = grad_of(layer->router);
    w->language_gate = layer->language_gate ? &layer->language_gate->weight : NULL;
    w->d_language_gate = grad_of(layer->language_gate);
    for (int e = 0; e < n; e++) {
        ((const glot_tensor **)w->gate_proj)[e] = &layer->gate_proj[e]->weight;
        ((const glot_tensor **)w->up_proj)[e] = &layer->up_proj[e]->weight;
        ((const glot_tensor **)w->down_proj)[e] = &layer->down_proj[e]->weight;
        ((const glot_tensor **)w->d_gate_proj)[e] = grad_of(layer->gate_proj[e]);
        ((const glot_tensor **)w->d_up_proj)[e] = grad_of(layer->up_proj[e]);
        ((const glot_tensor **)w->d_down_proj)[e] = grad_of(layer->down_proj[e]);
    }
    w->gate_lora = lora_of(layer->gate_proj[0]);
    w->up_lora = lora_of(layer->up_proj[0]);
    w->down_lora = lora_of(layer->down_proj[0]);
}

glot_status glot_model_link(glot_model *m, glot_error *err)
{
    GLOT_TRY(rename_params(m, err));
    qsort(m->params, m->n_params, sizeof *m->params, compare_params);
    GLOT_TRY(check_complete(m, err));
    GLOT_TRY(allocate_links(m, err));
    m->lm_head = m->exact_evidence = NULL;
    for (size_t i = 0; i < m->n_params; i++)
        *place_of(m, m->params[i]) = m->params[i];
    if (m->config.has_tied_embeddings)
        m->lm_head = m->embedding;
    for (int64_t l = 0; l < m->config.n_layers; l++)
        link_moe(m, &m->layers[l]);
    return GLOT_OK;
}

/* ---- gradients ---- */

/* The table and the adapters, one behind the other. */
static glot_param *param_at(const glot_model *m, size_t i)
{
    return i < m->n_params ? m->params[i] : m->adapters[i - m->n_params];
}

static size_t n_all(const glot_model *m)
{
    return m->n_params + m->n_adapters;
}

glot_status glot_param_own(glot_model *m, glot_param *p, glot_dtype dtype, glot_error *err)
{
    if (p->is_owned && p->weight.dtype == dtype)
        return GLOT_OK;
    glot_tensor own = p->weight;
    own.dtype = dtype;
    own.addr = NULL;
    GLOT_TRY(m->be->alloc(m->be, &own.addr, glot_tensor_bytes(&own), p->name, err));
    m->be->copy(m->be, &own, &p->weight);
    if (p->is_owned)
        free_owned(m, &p->weight);
    p->weight = own;
    p->is_owned = true;
    return GLOT_OK;
}

static glot_status allocate_grad(glot_model *m, glot_param *p, glot_error *err)
{
    if (!p->is_trainable) {
        free_owned(m, &p->grad);
        return GLOT_OK;
    }
    GLOT_TRY(glot_param_own(m, p, m->be->real, err));
    if (p->grad.addr)
        return GLOT_OK;
    p->grad = p->weight;
    p->grad.addr = NULL;
    return m->be->alloc(m->be, &p->grad.addr, glot_tensor_bytes(&p->grad), p->name, err);
}

glot_status glot_model_allocate_grads(glot_model *m, glot_error *err)
{
    for (size_t i = 0; i < n_all(m); i++)
        GLOT_TRY(allocate_grad(m, param_at(m, i), err));
    glot_model_zero_grads(m);
    return glot_model_link(m, err);
}

glot_status glot_model_store_as(glot_model *m, glot_dtype dtype, glot_error *err)
{
    for (size_t i = 0; i < m->n_params; i++)
        if (m->params[i]->weight.n_dims > 1)
            GLOT_TRY(glot_param_own(m, m->params[i], dtype, err));
    return GLOT_OK;
}

/* All, or those alone that are sums from the start (glot_params_zero_sums). */
static void zero_grads(const glot_model *m, bool is_sums_alone)
{
    for (size_t i = 0; i < n_all(m); i++) {
        const glot_param *p = param_at(m, i);
        bool is_set = is_sums_alone && p->expert >= 0 && m->config.n_experts[p->layer] > 1;
        if (p->grad.addr && !is_set)
            m->be->zero(m->be, &p->grad);
    }
}

void glot_model_zero_grads(const glot_model *m)
{
    zero_grads(m, false);
}

void glot_params_zero_sums(const glot_model *m)
{
    zero_grads(m, true);
}

size_t glot_model_trained(const glot_model *m, glot_param **out)
{
    size_t n = 0;
    for (size_t i = 0; i < n_all(m); i++) {
        if (param_at(m, i)->is_trainable && out)
            out[n] = param_at(m, i);
        n += param_at(m, i)->is_trainable;
    }
    return n;
}

size_t glot_model_trained_bytes(const glot_model *m)
{
    size_t elements = 0;
    for (size_t i = 0; i < n_all(m); i++)
        if (param_at(m, i)->is_trainable)
            elements += (size_t)glot_tensor_elements(&param_at(m, i)->weight);
    return elements * glot_dtype_block_bytes(m->be->real);
}

/* ---- numbers between backend and host ---- */

static glot_tensor elements_of(const glot_tensor *t, int64_t first, int64_t n)
{
    glot_tensor flat = glot_tensor_prefix_1d(t, glot_tensor_elements(t));
    return glot_tensor_slice(&flat, first, n);
}

void glot_param_read(void *host, const glot_model *m, const glot_tensor *weight, int64_t first, int64_t n)
{
    glot_tensor part = elements_of(weight, first, n);
    m->be->download(m->be, host, &part);
}

void glot_values_to_f32(float *out, const void *values, glot_dtype dtype, int64_t n)
{
    const uint16_t *halves = values;
    const double *doubles = values;
    switch (dtype) {
    case GLOT_F32:
        memmove(out, values, (size_t)n * sizeof *out);
        break;
    case GLOT_F16:
        for (int64_t i = 0; i < n; i++)
            out[i] = glot_f16_to_f32(halves[i]);
        break;
    case GLOT_BF16:
        for (int64_t i = 0; i < n; i++)
            out[i] = glot_bf16_to_f32(halves[i]);
        break;
    default:
        GLOT_ASSERT(dtype == GLOT_F64);
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)doubles[i];
    }
}

static void values_from_f32(void *out, glot_dtype dtype, const float *values, int64_t n)
{
    uint16_t *halves = out;
    double *doubles = out;
    switch (dtype) {
    case GLOT_F32:
        memcpy(out, values, (size_t)n * sizeof *values);
        break;
    case GLOT_F16:
        for (int64_t i = 0; i < n; i++)
            halves[i] = glot_f32_to_f16(values[i]);
        break;
    case GLOT_BF16:
        for (int64_t i = 0; i < n; i++)
            halves[i] = glot_f32_to_bf16(values[i]);
        break;
    default:
        GLOT_ASSERT(dtype == GLOT_F64);
        for (int64_t i = 0; i < n; i++)
            doubles[i] = (double)values[i];
    }
}

void glot_param_write(const glot_model *m, const glot_tensor *weight, int64_t first, int64_t n,
                      const float *values, void *scratch)
{
    glot_tensor part = elements_of(weight, first, n);
    values_from_f32(scratch, weight->dtype, values, n);
    m->be->upload(m->be, &part, scratch);
}
