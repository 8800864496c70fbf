/* upcycle.c: METHOD 1 "Upcycling" and METHOD 7. */
#include "expand/upcycle.h"
#include "model/exact.h"
#include "model/params.h"

#include <string.h>

static bool grows(const glot_model_config *c, const int32_t *n_experts)
{
    for (int l = 0; l < c->n_layers; l++)
        if (n_experts[l] > c->n_experts[l])
            return true;
    return false;
}

static glot_status check_layers(const glot_model *m, const int32_t *n_experts, const int32_t *source,
                                glot_error *err)
{
    const glot_model_config *c = &m->config;
    for (int l = 0; l < c->n_layers; l++) {
        if (n_experts[l] < c->n_experts[l])
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                             "layer %d has %d experts and cannot be left with %d: experts are only added", l,
                             c->n_experts[l], n_experts[l]);
        if (n_experts[l] > GLOT_MAX_EXPERTS)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "layer %d is to have %d experts, expected at most %d", l,
                             n_experts[l], GLOT_MAX_EXPERTS);
        if (source && (source[l] < 0 || source[l] >= c->n_experts[l]))
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "new experts of layer %d cannot copy expert %d of %d", l,
                             source[l], c->n_experts[l]);
    }
    return GLOT_OK;
}

static glot_status check_top_k(const glot_model *m, int top_k, glot_error *err)
{
    const glot_model_config *c = &m->config;
    if (top_k < 1 || top_k > GLOT_MAX_EXPERTS)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "a token cannot use %d experts, expected 1 to %d", top_k,
                         GLOT_MAX_EXPERTS);
    if (c->is_expanded && top_k != c->top_k)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "'%s': its tokens use %d experts each; growing keeps that, %d was asked for",
                         m->path, c->top_k, top_k);
    if (c->is_expanded && c->n_groups == GLOT_MAX_GROUPS)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "'%s': it already has %d language groups, the most there can be", m->path,
                         GLOT_MAX_GROUPS);
    return GLOT_OK;
}

/* The group that the new experts will form. A dense model becomes one with two groups: the old languages and
 * the new. What speaks for the languages added so far does not know those to come: it would keep their texts
 * on the exact path. */
static glot_status add_group(glot_model *m, int top_k, glot_error *err)
{
    glot_model_config *c = &m->config;
    int wanted = c->is_expanded ? c->n_groups + 1 : 2;
    if (!c->is_expanded)
        GLOT_TRY(glot_model_sha256(c->base_sha256, m, false, err));
    for (int g = c->n_groups; g < wanted; g++)
        GLOT_TRY(glot_config_add_group(c, "", err));
    c->is_expanded = true;
    c->top_k = top_k;
    glot_exact_remove(m);
    return GLOT_OK;
}

static glot_status add_expert(glot_model *m, int l, int expert, int source,
                              const glot_upcycle_settings *settings, glot_error *err)
{
    const glot_layer *layer = &m->layers[l];
    const glot_param *sources[] = {layer->gate_proj[source], layer->up_proj[source],
                                   layer->down_proj[source]};
    m->config.expert_group[l][expert] = (uint8_t)(m->config.n_groups - 1);
    for (size_t i = 0; i < 3; i++) {
        glot_param *p;
        bool is_copy = settings->init == GLOT_EXPERT_COPY;
        glot_dtype dtype = is_copy ? sources[i]->weight.dtype : m->be->real;
        GLOT_TRY(glot_model_add_param(&p, m, sources[i]->role, l, expert, dtype, err));
        if (is_copy)
            m->be->copy(m->be, &p->weight, &sources[i]->weight);
        else
            GLOT_TRY(glot_param_randomize(m, p, 0, settings->seed, err));
    }
    return GLOT_OK;
}

/* The router for the layer's new number of experts: old rows first (unless fresh), then rows drawn for the
 * new ones. Rows that exist are skipped in the generator, so that a later growth with the same seed does not
 * draw them again. */
static glot_status add_router(glot_model *m, int l, bool is_fresh, uint64_t seed, glot_error *err)
{
    glot_param *old = m->layers[l].router, *p;
    int64_t n_kept = old && !is_fresh ? glot_tensor_rows(&old->weight) : 0;
    GLOT_TRY(glot_model_add_param(&p, m, GLOT_ROLE_ROUTER, l, -1, m->be->real, err));
    if (n_kept > 0) {
        glot_tensor rows = glot_tensor_slice(&p->weight, 0, n_kept);
        m->be->copy(m->be, &rows, &old->weight);
    }
    GLOT_TRY(glot_param_randomize(m, p, n_kept, seed, err));
    if (old)
        glot_model_remove_param(m, old);
    m->layers[l].router = p;
    return GLOT_OK;
}

static glot_status grow_layer(glot_model *m, int l, int32_t n_experts, const glot_upcycle_settings *settings,
                              glot_error *err)
{
    int32_t n_before = m->config.n_experts[l];
    int source = settings->source_expert ? settings->source_expert[l] : GLOT_EXPERT_ORIGINAL;
    m->config.n_experts[l] = n_experts;
    for (int e = n_before; e < n_experts; e++)
        GLOT_TRY(add_expert(m, l, e, source, settings, err));
    if (n_experts > n_before || (n_experts > 1 && settings->is_router_fresh))
        GLOT_TRY(add_router(m, l, settings->is_router_fresh, settings->seed, err));
    return GLOT_OK;
}

glot_status glot_upcycle_check(const glot_model *m, const int32_t *n_experts,
                               const glot_upcycle_settings *settings, glot_error *err)
{
    GLOT_TRY(check_layers(m, n_experts, settings->source_expert, err));
    GLOT_TRY(check_top_k(m, settings->top_k, err));
    if (m->config.is_expanded && !grows(&m->config, n_experts))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': no layer would get a new expert", m->path);
    return GLOT_OK;
}

void glot_upcycle_config(glot_model_config *c, const int32_t *n_experts, int top_k)
{
    int newest = c->is_expanded ? c->n_groups : 1;
    if (!grows(c, n_experts))
        return;
    for (int64_t l = 0; l < c->n_layers; l++) {
        for (int e = c->n_experts[l]; e < n_experts[l]; e++)
            c->expert_group[l][e] = (uint8_t)newest;
        c->n_experts[l] = n_experts[l];
    }
    c->is_expanded = true;
    c->top_k = top_k;
    c->n_groups = newest + 1;
}

glot_status glot_upcycle(glot_model *m, const int32_t *n_experts, const glot_upcycle_settings *settings,
                         glot_error *err)
{
    GLOT_TRY(glot_upcycle_check(m, n_experts, settings, err));
    if (!grows(&m->config, n_experts))
        return GLOT_OK;
    GLOT_TRY(add_group(m, settings->top_k, err));
    for (int l = 0; l < m->config.n_layers; l++)
        GLOT_TRY(grow_layer(m, l, n_experts[l], settings, err));
    return glot_model_link(m, err);
}
