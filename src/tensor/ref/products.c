/* products.c: the matrix products, dense and grouped by expert; every sum in panels of 256 (ref_dot). */
#include "tensor/ref/ref.h"

static void linear(glot_backend *be, const glot_projection *p, const glot_tensor *x)
{
    const glot_tensor *w = p->w[0];
    int64_t n = w->shape[0], k = w->shape[1], T = k ? glot_tensor_elements(x) / k : 0;
    GLOT_ASSERT(glot_tensor_elements(x) == T * k && glot_tensor_elements(p->out) == T * n);
    for (int64_t t = 0; t < T; t++)
        for (int64_t j = 0; j < n; j++) {
            real sum = ref_dot(ref_product(be, 0), (ref_line){x, t * k, 1}, (ref_line){w, j * k, 1}, k);
            reals(p->out)[t * n + j] = p->bias ? sum + weight_at(p->bias, j) : sum;
        }
}

void REF_NAME(linears)(glot_backend *be, const glot_projection *projections, int count, const glot_tensor *x)
{
    for (int i = 0; i < count; i++)
        linear(be, &projections[i], x);
}

void REF_NAME(linear_backward_input)(glot_backend *be, const glot_tensor *dx, const glot_tensor *dy,
                                     const glot_tensor *w, bool is_added)
{
    int64_t n = w->shape[0], k = w->shape[1], T = n ? glot_tensor_elements(dy) / n : 0;
    GLOT_ASSERT(glot_tensor_elements(dy) == T * n && glot_tensor_elements(dx) == T * k);
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < k; i++) {
            real *out = reals(dx) + t * k + i;
            *out = ref_dot(ref_product(be, is_added ? *out : 0), (ref_line){dy, t * n, 1},
                           (ref_line){w, i, k}, n);
        }
}

void REF_NAME(linear_backward_weight)(glot_backend *be, const glot_tensor *dw, const glot_tensor *dy,
                                      const glot_tensor *x)
{
    int64_t n = dw->shape[0], k = dw->shape[1], T = k ? glot_tensor_elements(x) / k : 0;
    GLOT_ASSERT(glot_tensor_elements(x) == T * k && glot_tensor_elements(dy) == T * n);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < k; i++) {
            real *out = reals(dw) + j * k + i;
            *out = ref_dot(ref_product(be, *out), (ref_line){dy, j, n}, (ref_line){x, i, k}, T);
        }
}

/* The token that a row of the plan stands for. */
static int64_t token_of(const glot_dispatch *plan, int64_t row)
{
    return ints(&plan->row_map)[row] / plan->top_k;
}

static void grouped_linear(glot_backend *be, const glot_projection *p, const glot_tensor *x,
                           const glot_dispatch *plan, bool is_gathered)
{
    const int32_t *offsets = ints(&plan->expert_offsets);
    for (int e = 0; e < plan->n_experts; e++) {
        const glot_tensor *w = p->w[e];
        int64_t n = w->shape[0], k = w->shape[1];
        for (int64_t r = offsets[e]; r < offsets[e + 1]; r++)
            for (int64_t j = 0; j < n; j++) {
                int64_t row = is_gathered ? token_of(plan, r) : r;
                reals(p->out)[r * n + j] =
                    ref_dot(ref_product(be, 0), (ref_line){x, row * k, 1}, (ref_line){w, j * k, 1}, k);
            }
    }
}

void REF_NAME(grouped_linears)(glot_backend *be, const glot_projection *projections, int count,
                               const glot_tensor *x, const glot_dispatch *plan, bool is_gathered)
{
    for (int i = 0; i < count; i++)
        grouped_linear(be, &projections[i], x, plan, is_gathered);
}

void REF_NAME(grouped_linear_backward_input)(glot_backend *be, const glot_tensor *dx, const glot_tensor *dy,
                                             const glot_tensor *const *w, const glot_dispatch *plan,
                                             bool is_added)
{
    const int32_t *offsets = ints(&plan->expert_offsets);
    for (int e = 0; e < plan->n_experts; e++) {
        int64_t n = w[e]->shape[0], k = w[e]->shape[1];
        for (int64_t r = offsets[e]; r < offsets[e + 1]; r++)
            for (int64_t i = 0; i < k; i++) {
                real *out = reals(dx) + r * k + i;
                *out = ref_dot(ref_product(be, is_added ? *out : 0), (ref_line){dy, r * n, 1},
                               (ref_line){w[e], i, k}, n);
            }
    }
}

/* The sum over the rows first .. end of dy[r][j] x[row][i], as ref_dot; a gathered row of x is not at a fixed
 * distance from the last. */
static real rows_dot(const glot_backend *be, real start, const glot_tensor *dy, int64_t j,
                     const glot_tensor *x, int64_t i, int64_t n, int64_t k, const glot_dispatch *plan,
                     int64_t first, int64_t end, bool is_gathered)
{
    ref_sum sum = ref_product(be, start);
    for (int64_t r = first; r < end; r++) {
        int64_t row = is_gathered ? token_of(plan, r) : r;
        ref_sum_step(&sum, reals(dy)[r * n + j], reals(x)[row * k + i]);
    }
    ref_sum_end_panel(&sum);
    return sum.start;
}

void REF_NAME(grouped_linear_backward_weight)(glot_backend *be, const glot_tensor *const *dw,
                                              const glot_tensor *dy, const glot_tensor *x,
                                              const glot_dispatch *plan, bool is_gathered, bool is_added)
{
    const int32_t *offsets = ints(&plan->expert_offsets);
    for (int e = 0; e < plan->n_experts; e++) {
        if (!dw[e])
            continue;
        int64_t n = dw[e]->shape[0], k = dw[e]->shape[1];
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < k; i++) {
                real *out = reals(dw[e]) + j * k + i;
                *out = rows_dot(be, is_added ? *out : 0, dy, j, x, i, n, k, plan, offsets[e], offsets[e + 1],
                                is_gathered);
            }
    }
}
