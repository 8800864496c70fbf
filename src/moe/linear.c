/* linear.c: a linear layer and its adapter. Nothing of the adapter is kept for the backward pass: x A^T is
 * made again, which costs r / n of the layer. */
#include "moe/linear.h"

void glot_lora_scratch_plan(glot_lora_scratch *scratch, glot_pool *pool, int64_t n_tokens, int64_t rank,
                            bool is_training)
{
    *scratch = (glot_lora_scratch){0};
    if (rank == 0)
        return;
    scratch->u = scratch->d_u = glot_tensor_2d(pool->be->real, n_tokens, rank);
    glot_pool_take(pool, &scratch->u);
    if (is_training)
        glot_pool_take(pool, &scratch->d_u);
}

/* u [T, r] = s x A^T, or (w: B) s dy B. */
static glot_tensor narrow(glot_backend *be, const glot_tensor *room, const glot_tensor *x,
                          const glot_tensor *w, double scale)
{
    glot_tensor u = glot_tensor_prefix_2d(room, glot_tensor_rows(x), glot_tensor_rows(w));
    glot_op_linear(be, &u, x, w, NULL);
    glot_op_scale(be, &u, &u, scale);
    return u;
}

/* y += u B^T */
static void add_lora(glot_backend *be, const glot_tensor *y, const glot_tensor *x, const glot_lora *lora,
                     const glot_lora_scratch *scratch)
{
    glot_tensor u = narrow(be, &scratch->u, x, lora->a, lora->scale);
    glot_op_linear_backward_input(be, y, &u, lora->b, true);
}

void glot_linears_forward(glot_backend *be, const glot_tensor *const *y, const glot_tensor *x,
                          const glot_linear *l, int count, const glot_lora_scratch *scratch)
{
    glot_projection projections[GLOT_MAX_LINEARS];
    GLOT_ASSERT(count > 0 && count <= GLOT_MAX_LINEARS);
    for (int i = 0; i < count; i++)
        projections[i] = (glot_projection){y[i], &l[i].weight, l[i].bias};
    glot_op_linears(be, projections, count, x);
    for (int i = 0; i < count; i++)
        if (l[i].lora)
            add_lora(be, y[i], x, l[i].lora, scratch);
}

/* The gradients of A and B; gives d_u, which goes on to x. */
static glot_tensor lora_backward(glot_backend *be, const glot_tensor *dy, const glot_tensor *x,
                                 const glot_lora *lora, const glot_lora_scratch *scratch)
{
    glot_tensor u = narrow(be, &scratch->u, x, lora->a, lora->scale);
    glot_tensor d_u = narrow(be, &scratch->d_u, dy, lora->b, lora->scale);
    glot_op_linear_backward_weight(be, lora->d_b, &u, dy);
    glot_op_linear_backward_weight(be, lora->d_a, &d_u, x);
    return d_u;
}

void glot_linear_backward(glot_backend *be, const glot_tensor *dx, const glot_tensor *dy,
                          const glot_tensor *x, const glot_linear *l, const glot_lora_scratch *scratch,
                          bool is_added)
{
    glot_tensor d_u = {0};
    if (l->d_weight)
        glot_op_linear_backward_weight(be, l->d_weight, dy, x);
    if (l->d_bias)
        glot_op_bias_backward(be, l->d_bias, dy);
    if (l->lora)
        d_u = lora_backward(be, dy, x, l->lora, scratch);
    if (dx)
        glot_op_linear_backward_input(be, dx, dy, l->weight, is_added);
    if (dx && l->lora)
        glot_op_linear_backward_input(be, dx, &d_u, l->lora->a, true);
}
