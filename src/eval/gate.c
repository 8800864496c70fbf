/* gate.c: how often the language gates are right (METHOD 6), after few tokens and over all. */
#include "eval/eval.h"
#include "base/memory.h"
#include "model/view.h"

const int64_t glot_gate_positions[GLOT_N_GATE_POSITIONS] = {1, 4, 16, 64};

enum { MAX_ROWS = 512 }; /* of a document that are looked at */

/* Decisions over all gated layers: how many, and how many of them right. */
typedef struct gate_count {
    int own_class; /* of the language */
    double n[GLOT_N_GATE_POSITIONS], n_right[GLOT_N_GATE_POSITIONS], n_all, n_all_right;
    float logits[MAX_ROWS][2];
} gate_count;

/* glot_on_layer: a whole document has just gone through. */
static void count_layer(void *user, glot_workspace *ws, int64_t layer)
{
    gate_count *count = user;
    if (!glot_config_is_gated(&ws->model->config, layer))
        return;
    glot_acts_view a = glot_view_acts(ws, layer);
    glot_tensor logits = glot_tensor_prefix_2d(&a.moe->language_logits, ws->n_tokens, 2);
    glot_view_download(ws, count->logits[0], &logits);
    for (int64_t t = 0; t < ws->n_tokens; t++) {
        int class = count->logits[t][0] > count->logits[t][1] ? 0 : 1;
        bool is_right = class == count->own_class;
        count->n_all += 1.0;
        count->n_all_right += is_right;
        for (int i = 0; i < GLOT_N_GATE_POSITIONS; i++)
            if (t + 1 == glot_gate_positions[i]) {
                count->n[i] += 1.0;
                count->n_right[i] += is_right;
            }
    }
}

glot_status glot_gate_accuracy_measure(glot_gate_accuracy *out, const glot_model *m,
                                       const glot_token_store *store, int32_t language, int32_t group,
                                       uint64_t max_tokens, glot_error *err)
{
    int64_t most = m->config.context_length < MAX_ROWS ? m->config.context_length : MAX_ROWS;
    uint64_t n_tokens;
    gate_count *count = NULL;
    glot_session *session = NULL;
    GLOT_TRY(glot_new(&count, 1, sizeof *count, "the gates' accuracy", err));
    count->own_class = group > 0;
    glot_status status = glot_session_create(&session, m, most, most, err);
    if (status == GLOT_OK) {
        glot_session_workspace(session)->on_layer = count_layer;
        glot_session_workspace(session)->on_layer_user = count;
        status = glot_feed_documents(session, most, store, language, max_tokens, &n_tokens, err);
    }
    for (int i = 0; i < GLOT_N_GATE_POSITIONS; i++)
        out->after[i] = count->n_right[i] / count->n[i];
    out->all = count->n_all_right / count->n_all;
    glot_session_free(session);
    glot_free(count);
    return status;
}
