/* view.h: a workspace is planned for its largest batch; these give its tensors at the size of the batch that
 * is loaded. Used by forward.c and backward.c only. */
#ifndef GLOT_MODEL_VIEW_H
#define GLOT_MODEL_VIEW_H

#include "model/model.h"

/* One layer's activations at the batch's size; names as in glot_layer_acts. */
typedef struct glot_acts_view {
    glot_tensor input, attn_in, middle, ffn_in; /* [T, h] */
    glot_tensor q, q_raw, attn_out;             /* [T, n_heads, d] */
    glot_tensor k, k_raw, v;                    /* [T, n_kv_heads, d] */
    glot_moe_acts *moe;
} glot_acts_view;

glot_acts_view glot_view_acts(glot_workspace *ws, int64_t layer);
/* Where layer `layer` reads its input; layer n_layers: the last one's output. */
glot_tensor glot_view_input(glot_workspace *ws, int64_t layer);

/* Which tokens take the original expert alone, for layer `layer`; `paths` points at the other three. */
typedef struct glot_paths_view {
    glot_moe_paths paths;
    glot_tensor is_exact, ids, documents;
} glot_paths_view;
void glot_view_paths(glot_paths_view *v, const glot_workspace *ws, int64_t layer);

/* A weight of the table, with its bias (or NULL), as a linear layer. */
static inline glot_linear glot_view_linear(const glot_param *w, const glot_param *bias)
{
    return (glot_linear){.weight = &w->weight,
                         .bias = bias ? &bias->weight : NULL,
                         .d_weight = w->is_trainable ? &w->grad : NULL,
                         .d_bias = bias && bias->is_trainable ? &bias->grad : NULL,
                         .lora = w->lora.a ? &w->lora : NULL};
}

glot_tensor glot_view_rows(const glot_tensor *t, const glot_workspace *ws); /* first n_tokens rows */
glot_tensor glot_view_1d(const glot_tensor *t, const glot_workspace *ws);
glot_tensor glot_view_positions(const glot_workspace *ws);
glot_tensor glot_view_segments(const glot_workspace *ws);
/* A tensor of be->real into host memory as float32. */
void glot_view_download(const glot_workspace *ws, float *out, const glot_tensor *t);

#endif
