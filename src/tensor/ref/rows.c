/* rows.c: the row-wise ops: embedding, RMS norm, sums, RoPE, SwiGLU; forward and backward side by side. */
#include "tensor/ref/ref.h"

void REF_NAME(embed)(glot_backend *be, const glot_tensor *out, const glot_tensor *table,
                     const glot_tensor *ids)
{
    (void)be;
    int64_t T = glot_tensor_elements(ids), V = table->shape[0], h = table->shape[1];
    GLOT_ASSERT(glot_tensor_elements(out) == T * h);
    for (int64_t t = 0; t < T; t++) {
        int64_t id = ints(ids)[t];
        GLOT_ASSERT(id >= 0 && id < V);
        for (int64_t j = 0; j < h; j++)
            reals(out)[t * h + j] = weight_at(table, id * h + j);
    }
}

void REF_NAME(embed_backward)(glot_backend *be, const glot_tensor *d_table, const glot_tensor *d_out,
                              const glot_tensor *ids)
{
    (void)be;
    int64_t T = glot_tensor_elements(ids), V = d_table->shape[0], h = d_table->shape[1];
    GLOT_ASSERT(glot_tensor_elements(d_out) == T * h);
    for (int64_t t = 0; t < T; t++) {
        int64_t id = ints(ids)[t];
        GLOT_ASSERT(id >= 0 && id < V);
        for (int64_t j = 0; j < h; j++)
            reals(d_table)[id * h + j] += reals(d_out)[t * h + j];
    }
}

/* 1 / sqrt(mean(x^2) + eps) */
static real inverse_rms(const real *x, int64_t n, double eps)
{
    real lanes[REF_LANES] = {0};
    for (int64_t j = 0; j < n; j++)
        lanes[j % REF_LANES] = real_fma(x[j], x[j], lanes[j % REF_LANES]);
    return 1 / real_sqrt(ref_fold(lanes) / (real)n + (real)eps);
}

void REF_NAME(rms_norm)(glot_backend *be, const glot_tensor *out, const glot_tensor *x,
                        const glot_tensor *weight, double eps)
{
    (void)be;
    int64_t n = glot_tensor_elements(weight), T = n ? glot_tensor_elements(x) / n : 0;
    GLOT_ASSERT(glot_tensor_elements(x) == T * n && glot_tensor_elements(out) == T * n);
    for (int64_t t = 0; t < T; t++) {
        const real *row = reals(x) + t * n;
        real scale = inverse_rms(row, n, eps);
        for (int64_t j = 0; j < n; j++)
            reals(out)[t * n + j] = row[j] * scale * weight_at(weight, j);
    }
}

/* d_weight_j += sum over rows of dy x / rms: panels of 256 rows, added in order. */
static void norm_weight_backward(real *d_weight, const real *dy, const real *x, int64_t T, int64_t n,
                                 double eps)
{
    for (int64_t panel = 0; panel < T; panel += REF_PANEL) {
        int64_t end = panel + REF_PANEL < T ? panel + REF_PANEL : T;
        for (int64_t j = 0; j < n; j++) {
            real sum = 0;
            for (int64_t t = panel; t < end; t++)
                sum = real_fma(dy[t * n + j], x[t * n + j] * inverse_rms(x + t * n, n, eps), sum);
            d_weight[j] += sum;
        }
    }
}

/* With g = dy * weight and r = 1 / rms: dx = r g - x r^3 mean(g x). */
static void norm_row_backward(real *dx, const real *dy, const real *x, const glot_tensor *weight, int64_t n,
                              double eps, bool is_added)
{
    real r = inverse_rms(x, n, eps), lanes[REF_LANES] = {0};
    for (int64_t j = 0; j < n; j++)
        lanes[j % REF_LANES] = real_fma(dy[j] * weight_at(weight, j), x[j], lanes[j % REF_LANES]);
    real pull = ref_fold(lanes) / (real)n * (r * r * r);
    for (int64_t j = 0; j < n; j++) {
        real gradient = real_fma(-pull, x[j], dy[j] * weight_at(weight, j) * r);
        dx[j] = is_added ? dx[j] + gradient : gradient;
    }
}

void REF_NAME(rms_norm_backward)(glot_backend *be, const glot_tensor *dx, const glot_tensor *d_weight,
                                 const glot_tensor *dy, const glot_tensor *x, const glot_tensor *weight,
                                 double eps, bool is_added)
{
    (void)be;
    int64_t n = glot_tensor_elements(weight), T = n ? glot_tensor_elements(x) / n : 0;
    GLOT_ASSERT(glot_tensor_elements(dx) == T * n && glot_tensor_elements(dy) == T * n);
    if (d_weight) /* first: dx may lie over dy */
        norm_weight_backward(reals(d_weight), reals(dy), reals(x), T, n, eps);
    for (int64_t t = 0; t < T; t++)
        norm_row_backward(reals(dx) + t * n, reals(dy) + t * n, reals(x) + t * n, weight, n, eps, is_added);
}

void REF_NAME(add)(glot_backend *be, const glot_tensor *out, const glot_tensor *a, const glot_tensor *b)
{
    (void)be;
    int64_t n = glot_tensor_elements(out);
    GLOT_ASSERT(glot_tensor_elements(a) == n && glot_tensor_elements(b) == n);
    for (int64_t i = 0; i < n; i++)
        reals(out)[i] = reals(a)[i] + reals(b)[i];
}

void REF_NAME(scale)(glot_backend *be, const glot_tensor *out, const glot_tensor *x, double factor)
{
    (void)be;
    int64_t n = glot_tensor_elements(out);
    GLOT_ASSERT(glot_tensor_elements(x) == n);
    for (int64_t i = 0; i < n; i++)
        reals(out)[i] = reals(x)[i] * (real)factor;
}

void REF_NAME(bias_backward)(glot_backend *be, const glot_tensor *db, const glot_tensor *dy)
{
    (void)be;
    int64_t n = glot_tensor_elements(db), T = n ? glot_tensor_elements(dy) / n : 0;
    GLOT_ASSERT(glot_tensor_elements(dy) == T * n);
    for (int64_t panel = 0; panel < T; panel += REF_PANEL) {
        int64_t end = panel + REF_PANEL < T ? panel + REF_PANEL : T;
        for (int64_t j = 0; j < n; j++) {
            real sum = 0;
            for (int64_t t = panel; t < end; t++)
                sum += reals(dy)[t * n + j];
            reals(db)[j] += sum;
        }
    }
}

void REF_NAME(rope)(glot_backend *be, const glot_tensor *x, const glot_tensor *positions,
                    const glot_tensor *cos_table, const glot_tensor *sin_table, bool is_backward)
{
    (void)be;
    int64_t T = x->shape[0], heads = x->shape[1], d = x->shape[2], half = d / 2;
    GLOT_ASSERT(x->n_dims == 3 && d % 2 == 0 && cos_table->shape[1] == half && sin_table->shape[1] == half);
    for (int64_t t = 0; t < T; t++) {
        int64_t position = ints(positions)[t];
        GLOT_ASSERT(position >= 0 && position < cos_table->shape[0]);
        for (int64_t head = 0; head < heads; head++)
            for (int64_t i = 0; i < half; i++) {
                real *low = reals(x) + (t * heads + head) * d + i, *high = low + half, a = *low, b = *high;
                real c = weight_at(cos_table, position * half + i),
                     s = weight_at(sin_table, position * half + i);
                if (is_backward)
                    s = -s;
                *low = real_fma(a, c, -(b * s));
                *high = real_fma(b, c, a * s);
            }
    }
}

static real sigmoid(real x)
{
    return 1 / (1 + real_exp(-x));
}

void REF_NAME(swiglu)(glot_backend *be, const glot_tensor *out, const glot_tensor *gate,
                      const glot_tensor *up)
{
    (void)be;
    int64_t n = glot_tensor_elements(out);
    GLOT_ASSERT(glot_tensor_elements(gate) == n && glot_tensor_elements(up) == n);
    for (int64_t i = 0; i < n; i++) {
        real g = reals(gate)[i];
        reals(out)[i] = g * sigmoid(g) * reals(up)[i];
    }
}

/* silu'(g) = s (1 + g (1 - s)), s = sigmoid(g). */
void REF_NAME(swiglu_backward)(glot_backend *be, const glot_tensor *d_gate, const glot_tensor *d_up,
                               const glot_tensor *out, const glot_tensor *d_out, const glot_tensor *gate,
                               const glot_tensor *up)
{
    (void)be;
    int64_t n = glot_tensor_elements(d_out);
    GLOT_ASSERT(glot_tensor_elements(d_gate) == n && glot_tensor_elements(d_up) == n &&
                glot_tensor_elements(gate) == n && glot_tensor_elements(up) == n);
    for (int64_t i = 0; i < n; i++) {
        real dy = reals(d_out)[i], g = reals(gate)[i], u = reals(up)[i], s = sigmoid(g);
        reals(d_up)[i] = dy * (g * s);
        reals(d_gate)[i] = dy * u * (s * real_fma(g, 1 - s, 1));
        if (out)
            reals(out)[i] = g * s * u;
    }
}
