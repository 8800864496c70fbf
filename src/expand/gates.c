/* gates.c: METHOD 6, which layers have a language gate. */
#include "expand/gates.h"
#include "model/params.h"

#include <string.h>

/* Layers as a set, and back to the ascending list of a configuration. */
typedef struct layer_set {
    bool has[GLOT_MAX_LAYERS];
    int n;
} layer_set;

static layer_set gated_layers(const glot_model_config *c)
{
    layer_set set = {.n = c->gate.n_layers};
    for (int i = 0; i < c->gate.n_layers; i++)
        set.has[c->gate.layers[i]] = true;
    return set;
}

static void insert(layer_set *set, int32_t layer)
{
    set->n += !set->has[layer];
    set->has[layer] = true;
}

static glot_gate_config to_config(const layer_set *set, const glot_model_config *c)
{
    glot_gate_config gate = {.is_sequence_sum = c->gate.is_sequence_sum};
    for (int32_t l = 0; l < c->n_layers; l++)
        if (set->has[l])
            gate.layers[gate.n_layers++] = l;
    return gate;
}

/* The most similar layer that has a router and is not in the set; there is one. */
static int32_t next_layer(const layer_set *set, const glot_model_config *c, const double *similarity)
{
    int32_t best = -1;
    for (int32_t l = 0; l < c->n_layers; l++)
        if (c->n_experts[l] > 1 && !set->has[l] && (best < 0 || similarity[l] > similarity[best]))
            best = l;
    return best;
}

glot_status glot_gates_most_similar(glot_gate_config *gate, const glot_model_config *c,
                                    const double *similarity, int64_t count, glot_error *err)
{
    int n_routers = 0;
    for (int64_t l = 0; l < c->n_layers; l++)
        n_routers += c->n_experts[l] > 1;
    if (count > n_routers)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "%" PRId64 " layers are to have a language gate, but only %d have a router", count,
                         n_routers);
    layer_set set = gated_layers(c);
    while (set.n < count)
        insert(&set, next_layer(&set, c, similarity));
    *gate = to_config(&set, c);
    return GLOT_OK;
}

glot_status glot_gates_listed(glot_gate_config *gate, const glot_model_config *c, const int32_t *layers,
                              size_t n, glot_error *err)
{
    layer_set set = gated_layers(c);
    for (size_t i = 0; i < n; i++) {
        if (layers[i] < 0 || layers[i] >= c->n_layers)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                             "layer %d is to have a language gate, but the layers are 0 to %" PRId64,
                             layers[i], c->n_layers - 1);
        if (c->n_experts[layers[i]] == 1)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "layer %d is to have a language gate, but has no router",
                             layers[i]);
        insert(&set, layers[i]);
    }
    *gate = to_config(&set, c);
    return GLOT_OK;
}

static glot_status check_form(const glot_model *m, const glot_gate_config *gate, glot_error *err)
{
    static const char *const names[] = {"causal", "sequence_sum"};
    const glot_gate_config *old = &m->config.gate;
    if (old->n_layers == 0 || old->is_sequence_sum == gate->is_sequence_sum)
        return GLOT_OK;
    return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                     "'%s': its language gates have the form '%s' and cannot have '%s' besides", m->path,
                     names[old->is_sequence_sum], names[gate->is_sequence_sum]);
}

glot_status glot_gates_add(glot_model *m, const glot_gate_config *gate, uint64_t seed, glot_error *err)
{
    GLOT_TRY(check_form(m, gate, err));
    layer_set old = gated_layers(&m->config);
    m->config.gate = *gate;
    for (int i = 0; i < gate->n_layers; i++) {
        glot_param *p;
        if (old.has[gate->layers[i]])
            continue;
        GLOT_TRY(glot_model_add_param(&p, m, GLOT_ROLE_LANGUAGE_GATE, gate->layers[i], -1, m->be->real, err));
        GLOT_TRY(glot_param_randomize(m, p, 0, seed, err));
    }
    return glot_model_link(m, err);
}
