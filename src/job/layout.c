#include "job/layout.h"
#include "expand/gates.h"

#include <math.h>
#include <string.h>

bool glot_recipe_is_layerwise(const glot_recipe *r)
{
    return r->experts.allocation == GLOT_RECIPE_LAYERWISE;
}

/* The key that gives the budget. */
static const char *budget_key(const glot_recipe *r)
{
    return r->experts.new_total >= 0 ? "new_total" : r->experts.new_bytes >= 0 ? "new_bytes" : "delta";
}

static glot_status budget_of(glot_budget *out, const glot_recipe *r, const glot_model_config *base,
                             glot_error *err)
{
    uint64_t expert = glot_expert_bytes(base);
    *out = (glot_budget){.delta = r->experts.delta};
    if (r->experts.new_total >= 0)
        out->n_new = r->experts.new_total;
    if (r->experts.new_bytes >= 0) {
        out->n_new = (int64_t)((uint64_t)r->experts.new_bytes / expert);
        if (out->n_new == 0)
            return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_EXPERTS, "new_bytes", err,
                                    "is less than one new expert of the base, which takes %" PRIu64 " bytes",
                                    expert);
    }
    return GLOT_OK;
}

/* As many new experts as the budget can give, the first layers one more. A delta D gives fewer than D new
 * ones, since ceil(x) - 1 < x. */
static void spread(glot_allocation *a, const glot_budget *budget, const glot_model_config *base)
{
    double most = (double)GLOT_MAX_EXPERTS * (double)base->n_layers;
    int64_t n_new = budget->n_new ? budget->n_new : (int64_t)fmin(ceil(budget->delta), most);
    for (int64_t l = 0; l < base->n_layers; l++) {
        int64_t n = base->n_experts[l] + n_new / base->n_layers + (l < n_new % base->n_layers);
        a->n_experts[l] = (int32_t)(n < GLOT_MAX_EXPERTS ? n : GLOT_MAX_EXPERTS);
    }
}

static glot_status allocate(glot_allocation *a, const glot_recipe *r, const glot_model_config *base,
                            const double *s, const glot_layout_format *format, glot_error *err)
{
    glot_budget budget;
    glot_error problem = {0};
    GLOT_TRY(budget_of(&budget, r, base, err));
    if (!s) {
        spread(a, &budget, base);
        return GLOT_OK;
    }
    glot_status status = glot_allocate(a, s, base->n_experts, base->n_layers, &budget, &problem);
    if (status == GLOT_OK)
        status = glot_allocation_fit(a, format, s, base->n_experts, &problem);
    if (status != GLOT_OK)
        return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_EXPERTS, budget_key(r), err,
                                "cannot be met: %s", problem.message);
    return GLOT_OK;
}

/* One count for every layer, or the list's. */
static glot_status take_counts(glot_allocation *a, const glot_recipe *r, const glot_model_config *base,
                               const glot_layout_format *format, glot_error *err)
{
    bool is_listed = r->experts.allocation == GLOT_RECIPE_AS_LISTED;
    if (is_listed && (int64_t)r->experts.list.n != base->n_layers)
        return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_EXPERTS, "list", err,
                                "has %zu numbers, but the base has %" PRId64 " layers", r->experts.list.n,
                                base->n_layers);
    for (int64_t l = 0; l < base->n_layers; l++)
        a->n_experts[l] = (int32_t)(is_listed ? r->experts.list.items[l] : r->experts.per_layer);
    if (!glot_layout_holds(format, a->n_experts, base->n_layers))
        return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_EXPERTS, "for", err,
                                "is %s, which holds %s; experts.list asks for another layout", format->name,
                                format->holds);
    return GLOT_OK;
}

glot_status glot_recipe_format(const glot_layout_format **out, const glot_recipe *r, glot_error *err)
{
    return glot_layout_find(out, r->experts.format ? r->experts.format : "hf", err);
}

glot_status glot_recipe_layout(glot_allocation *out, const glot_recipe *r, const glot_model_config *base,
                               const double *s, glot_error *err)
{
    const glot_layout_format *format = NULL;
    *out = (glot_allocation){.n_layers = base->n_layers};
    if (r->job != GLOT_JOB_EXPAND) {
        memcpy(out->n_experts, base->n_experts, sizeof out->n_experts);
    } else {
        GLOT_TRY(glot_recipe_format(&format, r, err));
        GLOT_TRY(glot_recipe_is_layerwise(r) ? allocate(out, r, base, s, format, err)
                                             : take_counts(out, r, base, format, err));
    }
    glot_allocation_sum(out, base->n_experts);
    return GLOT_OK;
}

/* The layers of the list, in the type of a layer's number. */
static glot_status listed_gates(glot_gate_config *gate, const glot_recipe *r, const glot_model_config *c,
                                glot_error *err)
{
    int32_t layers[GLOT_MAX_LAYERS];
    const glot_recipe_ints *list = &r->gate.layers.list;
    size_t n = list->n < GLOT_MAX_LAYERS ? list->n : GLOT_MAX_LAYERS;
    for (size_t i = 0; i < n; i++)
        layers[i] = (int32_t)list->items[i];
    return glot_gates_listed(gate, c, layers, n, err);
}

glot_status glot_recipe_gates(glot_gate_config *gate, const glot_recipe *r, const glot_model_config *c,
                              const double *similarity, glot_error *err)
{
    static const double unknown[GLOT_MAX_LAYERS];
    static const char *const form_names[] = {"causal", "sequence_sum"};
    glot_error problem = {0};
    bool is_sequence_sum = r->gate.form == GLOT_RECIPE_SEQUENCE_SUM;
    bool is_listed = r->gate.layers.count < 0, is_layout_known = similarity || !glot_recipe_is_layerwise(r);
    int64_t count = is_listed ? (int64_t)r->gate.layers.list.n : r->gate.layers.count;
    *gate = c->gate;
    if (count == 0)
        return GLOT_OK;
    if (c->gate.n_layers && c->gate.is_sequence_sum != is_sequence_sum)
        return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_GATE, "form", err,
                                "is %s, but the language gates of the base are %s, and a model has one form",
                                form_names[is_sequence_sum], form_names[!is_sequence_sum]);
    glot_status status =
        is_listed && is_layout_known
            ? listed_gates(gate, r, c, &problem)
            : glot_gates_most_similar(gate, c, similarity ? similarity : unknown, count, &problem);
    if (status != GLOT_OK)
        return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_GATE, "layers", err, "cannot be met: %s",
                                problem.message);
    gate->is_sequence_sum = is_sequence_sum;
    return GLOT_OK;
}
