/* routing.c: where the tokens of a language go: share of each expert among the chosen slots, and the mean
 * router probability of each. */
#include "eval/eval.h"
#include "base/memory.h"
#include "model/view.h"

typedef struct routing_count {
    const glot_model *model;
    double *slots;   /* [n_layers][GLOT_MAX_EXPERTS] */
    double *p_sum;   /* [n_layers][GLOT_MAX_EXPERTS] */
    uint64_t n_tokens;
    int32_t *ids;    /* [rows * top_k] */
    float *probs;    /* [rows * experts] */
} routing_count;

/* glot_on_layer: adds the layer's choices of the batch that has just run. */
static void count_layer(void *user, glot_workspace *ws, int64_t layer)
{
    routing_count *count = user;
    const glot_model_config *c = &count->model->config;
    int n_experts = c->n_experts[layer], k = c->top_k < n_experts ? c->top_k : n_experts;
    if (n_experts == 1) {
        count->slots[layer * GLOT_MAX_EXPERTS] += (double)ws->n_tokens;
        count->p_sum[layer * GLOT_MAX_EXPERTS] += (double)ws->n_tokens;
        return;
    }
    glot_acts_view a = glot_view_acts(ws, layer);
    glot_tensor ids = glot_tensor_prefix_2d(&a.moe->expert_ids, ws->n_tokens, k);
    glot_tensor probs = glot_tensor_prefix_2d(&a.moe->router_probs, ws->n_tokens, n_experts);
    ws->be->download(ws->be, count->ids, &ids);
    glot_view_download(ws, count->probs, &probs);
    for (int64_t i = 0; i < ws->n_tokens * k; i++)
        if (count->ids[i] >= 0)
            count->slots[layer * GLOT_MAX_EXPERTS + count->ids[i]] += 1.0;
    for (int64_t t = 0; t < ws->n_tokens; t++)
        for (int e = 0; e < n_experts; e++)
            count->p_sum[layer * GLOT_MAX_EXPERTS + e] += (double)count->probs[t * n_experts + e];
}

static void to_shares(const routing_count *count, double *shares, double *probs)
{
    for (int64_t l = 0; l < count->model->config.n_layers; l++) {
        double total = 0.0;
        for (int e = 0; e < GLOT_MAX_EXPERTS; e++)
            total += count->slots[l * GLOT_MAX_EXPERTS + e];
        for (int64_t i = l * GLOT_MAX_EXPERTS; i < (l + 1) * GLOT_MAX_EXPERTS; i++) {
            shares[i] = total > 0.0 ? count->slots[i] / total : 0.0;
            probs[i] = count->n_tokens ? count->p_sum[i] / (double)count->n_tokens : 0.0;
        }
    }
}

glot_status glot_feed_documents(glot_session *session, int64_t most, const glot_token_store *store,
                                int32_t language, uint64_t max_tokens, uint64_t *n_tokens, glot_error *err)
{
    const float *log_probs;
    uint64_t first = glot_token_store_first_document(store, (size_t)language);
    uint64_t end = first + glot_token_store_language(store, (size_t)language)->n_documents;
    *n_tokens = 0;
    for (uint64_t i = first; i < end && *n_tokens < max_tokens; i++) {
        glot_document d = glot_token_store_document(store, i);
        int64_t n = d.n_ids < most ? d.n_ids : most;
        if (n == 0)
            continue;
        glot_session_reset(session);
        GLOT_TRY(glot_session_feed(session, d.ids, n, &log_probs, err));
        *n_tokens += (uint64_t)n;
    }
    return GLOT_OK;
}

glot_status glot_routing_shares(double *shares, double *probs, const glot_model *m,
                                const glot_token_store *store, int32_t language, uint64_t max_tokens,
                                glot_exact_choice exact, glot_error *err)
{
    glot_status status = GLOT_OK;
    routing_count count = {.model = m};
    glot_session *session = NULL;
    size_t n_layers = (size_t)m->config.n_layers;
    int64_t n_context = m->config.context_length < 512 ? m->config.context_length : 512;
    GLOT_TRY_OUT(
        glot_new(&count.slots, n_layers * GLOT_MAX_EXPERTS, sizeof *count.slots, "routing shares", err));
    GLOT_TRY_OUT(
        glot_new(&count.p_sum, n_layers * GLOT_MAX_EXPERTS, sizeof *count.p_sum, "routing shares", err));
    GLOT_TRY_OUT(glot_new(&count.ids, (size_t)(n_context * m->config.top_k), sizeof *count.ids,
                          "routing shares", err));
    GLOT_TRY_OUT(glot_new(&count.probs, (size_t)n_context * GLOT_MAX_EXPERTS, sizeof *count.probs,
                          "routing shares", err));
    GLOT_TRY_OUT(glot_session_create(&session, m, n_context, n_context, err));
    glot_session_set_exact(session, exact);
    glot_session_workspace(session)->on_layer = count_layer;
    glot_session_workspace(session)->on_layer_user = &count;
    GLOT_TRY_OUT(glot_feed_documents(session, n_context, store, language, max_tokens, &count.n_tokens, err));
    to_shares(&count, shares, probs);
out:
    glot_session_free(session);
    glot_free(count.slots);
    glot_free(count.p_sum);
    glot_free(count.ids);
    glot_free(count.probs);
    return status;
}
