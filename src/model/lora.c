/* lora.c: adapters put beside the linear layers of a dense model, and taken into its weights (moe/linear.h
 * has what they compute). They stand outside the table of parameters: what a model has and what is saved of
 * it stays the configuration's. */
#include "model/params.h"
#include "base/memory.h"
#include "base/str.h"

#include <string.h>

bool glot_lora_adapts(glot_role role)
{
    switch (role) {
    case GLOT_ROLE_Q: case GLOT_ROLE_K: case GLOT_ROLE_V: case GLOT_ROLE_O:
    case GLOT_ROLE_GATE_PROJ: case GLOT_ROLE_UP_PROJ: case GLOT_ROLE_DOWN_PROJ:
        return true;
    default:
        return false;
    }
}

uint64_t glot_lora_elements(const glot_model_config *c, int64_t rank)
{
    uint64_t n = 0;
    for (int l = 0; l < c->n_layers; l++)
        for (glot_role role = GLOT_ROLE_ATTN_NORM; role <= GLOT_ROLE_DOWN_PROJ; role++)
            if (glot_lora_adapts(role)) {
                glot_tensor w = glot_param_shape(c, role, l);
                n += (uint64_t)(rank * (w.shape[0] + w.shape[1]));
            }
    return n;
}

glot_status glot_model_check_lora(const glot_model *m, const glot_lora_settings *s, glot_error *err)
{
    char shape[96];
    for (int64_t l = 0; l < m->config.n_layers; l++)
        if (m->config.n_experts[l] > 1)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                             "'%s': layer %" PRId64 " has %d experts; LoRA is for dense models", m->path, l,
                             m->config.n_experts[l]);
    for (size_t i = 0; i < m->n_params; i++) {
        const glot_tensor *w = &m->params[i]->weight;
        if (glot_lora_adapts(m->params[i]->role) && (s->rank > w->shape[0] || s->rank > w->shape[1]))
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "rank %" PRId64 " is larger than '%s' %s is wide",
                             s->rank, m->params[i]->name, glot_tensor_shape_text(w, shape));
    }
    return GLOT_OK;
}

/* "NAME.lora_A" of "NAME.weight"; the caller frees. */
static char *adapter_name(const glot_param *beside, glot_role role)
{
    glot_str name = {0};
    glot_str_append(&name, beside->name, strlen(beside->name) - strlen("weight"));
    glot_str_puts(&name, role == GLOT_ROLE_LORA_A ? "lora_A" : "lora_B");
    char *text = name.failed ? NULL : glot_strdup(name.data);
    glot_str_release(&name);
    return text;
}

/* One matrix [rank, cols] behind the others; the model's from the start. */
static glot_status add_matrix(glot_param **out, glot_model *m, const glot_param *beside, glot_role role,
                              int64_t cols, uint64_t seed, glot_error *err)
{
    glot_param *p;
    GLOT_TRY(glot_new(&p, 1, sizeof *p, "an adapter", err));
    m->adapters[m->n_adapters++] = p;
    *p = (glot_param){.name = adapter_name(beside, role), .role = role, .layer = beside->layer, .expert = -1,
                      .is_trainable = true, .weight = glot_tensor_2d(m->be->real, m->lora_rank, cols)};
    if (!p->name)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of an adapter");
    GLOT_TRY(glot_param_place(m, p, err));
    *out = p;
    return glot_param_randomize(m, p, 0, seed, err);
}

static glot_status add_adapter(glot_model *m, glot_param *beside, double scale, uint64_t seed,
                               glot_error *err)
{
    glot_param *a = NULL, *b = NULL;
    GLOT_TRY(add_matrix(&a, m, beside, GLOT_ROLE_LORA_A, beside->weight.shape[1], seed, err));
    GLOT_TRY(add_matrix(&b, m, beside, GLOT_ROLE_LORA_B, beside->weight.shape[0], seed, err));
    beside->lora =
        (glot_lora){.a = &a->weight, .b = &b->weight, .d_a = &a->grad, .d_b = &b->grad, .scale = scale};
    return GLOT_OK;
}

glot_status glot_model_add_lora(glot_model *m, const glot_lora_settings *s, uint64_t seed, glot_error *err)
{
    GLOT_ASSERT(m->n_adapters == 0 && s->rank > 0);
    GLOT_TRY(glot_model_check_lora(m, s, err));
    GLOT_TRY(glot_new(&m->adapters, 2 * m->n_params, sizeof *m->adapters, "the adapters", err));
    m->lora_rank = s->rank;
    for (size_t i = 0; i < m->n_params; i++)
        if (glot_lora_adapts(m->params[i]->role))
            GLOT_TRY(add_adapter(m, m->params[i], s->alpha / (double)s->rank, seed, err));
    return glot_model_link(m, err);
}

/* W [n, k] += s B A: the gradient of a weight that saw rows of A and got rows of s B^T. Never in bf16: W
 * keeps its digits. */
static glot_status merge(glot_model *m, glot_param *p, glot_error *err)
{
    const glot_lora *lora = &p->lora;
    GLOT_TRY(glot_param_own(m, p, m->be->real, err));
    glot_dtype products = m->be->products;
    m->be->products = m->be->real;
    glot_op_scale(m->be, lora->b, lora->b, lora->scale);
    glot_op_linear_backward_weight(m->be, &p->weight, lora->b, lora->a);
    m->be->products = products;
    p->lora = (glot_lora){0};
    return m->be->check(m->be, err);
}

glot_status glot_model_merge_lora(glot_model *m, glot_error *err)
{
    for (size_t i = 0; i < m->n_params; i++)
        if (m->params[i]->lora.a)
            GLOT_TRY(merge(m, m->params[i], err));
    for (size_t i = 0; i < m->n_adapters; i++)
        glot_param_free(m, m->adapters[i]);
    glot_free(m->adapters);
    m->adapters = NULL;
    m->n_adapters = 0;
    m->lora_rank = 0;
    return glot_model_link(m, err);
}
