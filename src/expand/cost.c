/* cost.c: sums over the parameter table of a configuration. */
#include "expand/cost.h"
#include "base/memory.h"

static bool is_new(const glot_model_config *c, const glot_param_id *id)
{
    return id->role == GLOT_ROLE_ROUTER || id->role == GLOT_ROLE_LANGUAGE_GATE ||
           (id->expert > 0 && c->n_experts[id->layer] > 1);
}

static int64_t elements_of(const glot_model_config *c, const glot_param_id *id)
{
    glot_tensor shape = glot_param_shape(c, id->role, id->layer);
    return glot_tensor_elements(&shape);
}

/* How many tokens of one go through a matrix: a token takes K of E experts. */
static double uses_of(const glot_model_config *c, const glot_param_id *id)
{
    if (id->expert < 0)
        return 1.0;
    int e = c->n_experts[id->layer], k = c->top_k < e ? c->top_k : e;
    return (double)k / e;
}

static bool is_product(const glot_param_id *id)
{
    switch (id->role) {
    case GLOT_ROLE_Q: case GLOT_ROLE_K: case GLOT_ROLE_V: case GLOT_ROLE_O: case GLOT_ROLE_ROUTER:
    case GLOT_ROLE_GATE_PROJ: case GLOT_ROLE_UP_PROJ: case GLOT_ROLE_DOWN_PROJ: case GLOT_ROLE_LM_HEAD:
        return true;
    default:
        return false;
    }
}

/* The lowest layer that trains: what its own input would need is not computed, nor anything below it. */
static int64_t lowest_layer(const glot_model_config *c, const glot_param_id *ids, size_t n,
                            glot_trainable what)
{
    int64_t lowest = what == GLOT_TRAIN_ALL || what == GLOT_TRAIN_LORA ? -1 : c->n_layers;
    for (size_t i = 0; i < n; i++)
        if (ids[i].layer >= 0 && ids[i].layer < lowest && glot_trains(c, ids[i], what))
            lowest = ids[i].layer;
    return lowest;
}

/* LoRA trains beside everything: only the first layer's q, k and v have nothing below them. Routers need
 * nothing of the experts in the lowest layer but their outputs. */
static bool has_input_gradient(const glot_param_id *id, glot_trainable what, int64_t lowest)
{
    if (what == GLOT_TRAIN_LORA)
        return id->layer != 0 ||
               (id->role != GLOT_ROLE_Q && id->role != GLOT_ROLE_K && id->role != GLOT_ROLE_V);
    if (id->layer < 0 || id->layer > lowest)
        return true;
    return id->layer == lowest && id->role == GLOT_ROLE_DOWN_PROJ && what != GLOT_TRAIN_ROUTERS;
}

static double matrix_flops(const glot_model_config *c, const glot_param_id *id, glot_trainable what,
                           int64_t lowest)
{
    double products = 1.0 + has_input_gradient(id, what, lowest) + glot_trains(c, *id, what);
    return 2.0 * products * uses_of(c, id) * (double)elements_of(c, id);
}

/* Adds a matrix's products to the totals. */
static void add_matrix(glot_cost *out, const glot_model_config *c, const glot_param_id *id,
                       glot_trainable what, int64_t lowest)
{
    out->flops_per_token += matrix_flops(c, id, what, lowest);
    double forward = 2.0 * uses_of(c, id) * (double)elements_of(c, id);
    out->forward_flops_per_token += forward;
    bool is_made_again =
        id->role != GLOT_ROLE_ROUTER && id->role != GLOT_ROLE_DOWN_PROJ; /* their results are kept */
    if (is_made_again && id->layer >= lowest && id->layer >= 0 && id->layer < c->n_layers - 1)
        out->recomputed_flops_per_token += forward;
}

static void add_attention(glot_cost *out, const glot_model_config *c, int64_t length, int64_t lowest)
{
    double pairs = (double)length / 2.0 * (double)(c->n_heads * c->head_dim);
    double back = (double)(lowest < 0 ? c->n_layers : c->n_layers - lowest - 1);
    if (back < 0.0)
        back = 0.0;
    double forward = 2.0 * pairs * 2.0 * (double)c->n_layers; /* scores, values */
    out->flops_per_token += forward + 2.0 * pairs * 5.0 * back; /* scores again, dP, dQ, dK, dV */
    out->forward_flops_per_token += forward;
    out->recomputed_flops_per_token += forward / (double)c->n_layers * (lowest < 0 ? back - 1.0 : back);
}

glot_status glot_cost_of(glot_cost *out, const glot_model_config *c, glot_trainable what, int64_t length,
                         glot_error *err)
{
    glot_param_id *ids = NULL;
    size_t n = 0;
    GLOT_TRY(glot_param_list(&ids, &n, c, err));
    int64_t lowest = lowest_layer(c, ids, n, what);
    *out = (glot_cost){0};
    for (size_t i = 0; i < n; i++) {
        uint64_t elements = (uint64_t)elements_of(c, &ids[i]);
        out->n_parameters += elements;
        out->n_new += is_new(c, &ids[i]) ? elements : 0;
        out->n_trained += glot_trains(c, ids[i], what) ? elements : 0;
        if (is_product(&ids[i]))
            add_matrix(out, c, &ids[i], what, lowest);
    }
    if (c->has_tied_embeddings) { /* the head is the embedding's matrix */
        glot_param_id head = {GLOT_ROLE_EMBEDDING, -1, -1};
        add_matrix(out, c, &head, what, lowest);
    }
    add_attention(out, c, length, lowest);
    glot_free(ids);
    return GLOT_OK;
}

void glot_cost_add_lora(glot_cost *cost, const glot_model_config *c, int64_t rank)
{
    uint64_t n = glot_lora_elements(c, rank);
    cost->n_trained += n;
    cost->forward_flops_per_token += 2.0 * (double)n;
    /* forward; back: x A^T again, through B and A, and both gradients, the A half three times and the B half
     * twice */
    cost->flops_per_token += 2.0 * (1.0 + 2.5) * (double)n;
}
