/* linear.h
 *
 * A linear layer, forward and backward, with everything that belongs to it: its weight, a bias, and LoRA (Hu
 * et al., arXiv 2106.09685) beside the weight:
 *
 *     y = x W^T + bias + s (x A^T) B^T        s = alpha / r
 *
 * What is frozen has no gradient and none is computed; with LoRA that is W.
 */
#ifndef GLOT_MOE_LINEAR_H
#define GLOT_MOE_LINEAR_H

#include "tensor/backend.h"

/* The adapter of a weight [n, k]. B is kept as its transpose: then every product below is one that the ops
 * have. */
typedef struct glot_lora {
    const glot_tensor *a, *b;     /* [r, k], [r, n] */
    const glot_tensor *d_a, *d_b; /* += by the backward pass */
    double scale;                 /* s */
} glot_lora;

/* Memory that is free again after each call; u, d_u [T, r] where some layer has an adapter. */
typedef struct glot_lora_scratch {
    glot_tensor u, d_u; /* s x A^T and the gradient of x A^T */
} glot_lora_scratch;

typedef struct glot_linear {
    const glot_tensor *weight, *bias;     /* [n, k]; [n] or NULL */
    const glot_tensor *d_weight, *d_bias; /* NULL: frozen */
    const glot_lora *lora;                /* NULL: none */
} glot_linear;

/* u and d_u for at most T tokens; d_u only where the backward pass will follow. */
void glot_lora_scratch_plan(glot_lora_scratch *scratch, glot_pool *pool, int64_t n_tokens, int64_t rank,
                            bool is_training);

enum { GLOT_MAX_LINEARS = 3 };

/* y[i] [T, n] = layer i of x [T, k], for at most GLOT_MAX_LINEARS layers: at once, so that a single row finds
 * enough work. */
void glot_linears_forward(glot_backend *be, const glot_tensor *const *y, const glot_tensor *x,
                          const glot_linear *l, int count, const glot_lora_scratch *scratch);
static inline void glot_linear_forward(glot_backend *be, const glot_tensor *y, const glot_tensor *x,
                                       const glot_linear *l, const glot_lora_scratch *scratch)
{
    glot_linears_forward(be, &y, x, l, 1, scratch);
}
/* dx [T, k] = (or, is_added, +=) the gradient of x, unless NULL; gradients of what trains +=. dx may be x:
 * that is read before. */
void glot_linear_backward(glot_backend *be, const glot_tensor *dx, const glot_tensor *dy,
                          const glot_tensor *x, const glot_linear *l, const glot_lora_scratch *scratch,
                          bool is_added);

#endif
