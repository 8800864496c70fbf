/* k_rows.c: the row-wise ops: embedding, RMS norm, sums, RoPE, SwiGLU; forward and backward side by side. The
 * formulas are those of ref/rows.c, operation by operation. */
#include "tensor/cpu/row.h"

enum { COLUMNS = 32 }; /* of a tile that walks all rows: two cache lines */

void GLOT_KERNEL(embed)(glot_backend *be, const glot_tensor *out, const glot_tensor *table,
                        const glot_tensor *ids)
{
    int64_t T = glot_tensor_elements(ids), V = table->shape[0], h = table->shape[1];
    const int32_t *id = row_ints(ids);
    float *rows = row_floats(out);
    GLOT_ASSERT(glot_tensor_elements(out) == T * h);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *h)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        GLOT_ASSERT(id[t] >= 0 && id[t] < V);
        for (int64_t j = 0; j < h; j += 16)
            row_store(rows + t * h + j, row_load_weight(table, id[t] * h + j, h - j), h - j);
    }
}

/* Threads take columns, and each walks the tokens in order: a row that occurs twice is added to in token
 * order. */
void GLOT_KERNEL(embed_backward)(glot_backend *be, const glot_tensor *d_table, const glot_tensor *d_out,
                                 const glot_tensor *ids)
{
    int64_t T = glot_tensor_elements(ids), V = d_table->shape[0], h = d_table->shape[1];
    const int32_t *id = row_ints(ids);
    const float *d_rows = row_floats(d_out);
    float *table = row_floats(d_table);
    GLOT_ASSERT(glot_tensor_elements(d_out) == T * h);
    for (int64_t t = 0; t < T; t++)
        GLOT_ASSERT(id[t] >= 0 && id[t] < V);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *h)) schedule(static)
    for (int64_t tile = 0; tile < h; tile += COLUMNS)
        for (int64_t t = 0; t < T; t++)
            for (int64_t j = tile; j < row_min(tile + COLUMNS, h); j += 16) {
                float *d = table + id[t] * h + j;
                row_store(d, v16_add(row_load(d, h - j), row_load(d_rows + t * h + j, h - j)), h - j);
            }
}

/* 1 / sqrt(mean(x^2) + eps) */
static float inverse_rms(const float *x, int64_t n, float eps)
{
    v16 sum = v16_zero();
    for (int64_t j = 0; j < n; j += 16) {
        v16 a = row_load(x + j, n - j);
        sum = v16_fma(a, a, sum);
    }
    return 1 / sqrtf(v16_fold_sum(sum) / (float)n + eps);
}

void GLOT_KERNEL(rms_norm)(glot_backend *be, const glot_tensor *out, const glot_tensor *x,
                           const glot_tensor *weight, double eps)
{
    int64_t n = glot_tensor_elements(weight), T = n ? glot_tensor_elements(x) / n : 0;
    const float *in = row_floats(x);
    float *rows = row_floats(out);
    GLOT_ASSERT(glot_tensor_elements(x) == T * n && glot_tensor_elements(out) == T * n);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *n)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const float *row = in + t * n;
        v16 scale = v16_set1(inverse_rms(row, n, (float)eps));
        for (int64_t j = 0; j < n; j += 16) {
            v16 normed = v16_mul(row_load(row + j, n - j), scale);
            row_store(rows + t * n + j, v16_mul(normed, row_load_weight(weight, j, n - j)), n - j);
        }
    }
}

/* d_weight += sum over one panel of rows of dy x / rms: first every row's 1 / rms, then threads take
 * columns. */
static void norm_weight_panel(glot_backend *be, float *d_weight, const float *dy, const float *x,
                              int64_t rows, int64_t n, float eps)
{
    float scale[ROW_PANEL];
#pragma omp parallel num_threads(glot_cpu_team(be, rows *n))
    {
#pragma omp for schedule(static)
        for (int64_t t = 0; t < rows; t++)
            scale[t] = inverse_rms(x + t * n, n, eps);
#pragma omp for schedule(static)
        for (int64_t j = 0; j < n; j += 16) {
            v16 sum = v16_zero();
            for (int64_t t = 0; t < rows; t++) {
                v16 normed = v16_mul(row_load(x + t * n + j, n - j), v16_set1(scale[t]));
                sum = v16_fma(row_load(dy + t * n + j, n - j), normed, sum);
            }
            row_store(d_weight + j, v16_add(row_load(d_weight + j, n - j), sum), n - j);
        }
    }
}

/* With g = dy * weight and r = 1 / rms: dx = r g - x r^3 mean(g x). */
static void norm_row_backward(float *dx, const float *dy, const float *x, const glot_tensor *weight,
                              int64_t n, float eps, bool is_added)
{
    float r = inverse_rms(x, n, eps);
    v16 sum = v16_zero();
    for (int64_t j = 0; j < n; j += 16) {
        v16 g = v16_mul(row_load(dy + j, n - j), row_load_weight(weight, j, n - j));
        sum = v16_fma(g, row_load(x + j, n - j), sum);
    }
    v16 pull = v16_set1(-(v16_fold_sum(sum) / (float)n * (r * r * r))), scale = v16_set1(r);
    for (int64_t j = 0; j < n; j += 16) {
        v16 g = v16_mul(row_load(dy + j, n - j), row_load_weight(weight, j, n - j));
        v16 gradient = v16_fma(pull, row_load(x + j, n - j), v16_mul(g, scale));
        if (is_added)
            gradient = v16_add(row_load(dx + j, n - j), gradient);
        row_store(dx + j, gradient, n - j);
    }
}

void GLOT_KERNEL(rms_norm_backward)(glot_backend *be, const glot_tensor *dx, const glot_tensor *d_weight,
                                    const glot_tensor *dy, const glot_tensor *x, const glot_tensor *weight,
                                    double eps, bool is_added)
{
    int64_t n = glot_tensor_elements(weight), T = n ? glot_tensor_elements(x) / n : 0;
    const float *d_rows = row_floats(dy), *rows = row_floats(x);
    float *out = row_floats(dx);
    GLOT_ASSERT(glot_tensor_elements(dx) == T * n && glot_tensor_elements(dy) == T * n);
    for (int64_t first = 0; d_weight && first < T; first += ROW_PANEL) /* before dx, which may lie over dy */
        norm_weight_panel(be, row_floats(d_weight), d_rows + first * n, rows + first * n,
                          row_min(ROW_PANEL, T - first), n, (float)eps);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *n)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        norm_row_backward(out + t * n, d_rows + t * n, rows + t * n, weight, n, (float)eps, is_added);
}

void GLOT_KERNEL(add)(glot_backend *be, const glot_tensor *out, const glot_tensor *a, const glot_tensor *b)
{
    int64_t n = glot_tensor_elements(out);
    const float *left = row_floats(a), *right = row_floats(b);
    float *sum = row_floats(out);
    GLOT_ASSERT(glot_tensor_elements(a) == n && glot_tensor_elements(b) == n);
#pragma omp parallel for num_threads(glot_cpu_team(be, n)) schedule(static)
    for (int64_t block = 0; block < n; block += ROW_BLOCK)
        for (int64_t i = block; i < row_min(block + ROW_BLOCK, n); i += 16)
            row_store(sum + i, v16_add(row_load(left + i, n - i), row_load(right + i, n - i)), n - i);
}

void GLOT_KERNEL(scale)(glot_backend *be, const glot_tensor *out, const glot_tensor *x, double factor)
{
    int64_t n = glot_tensor_elements(out);
    const float *from = row_floats(x);
    float *to = row_floats(out);
    v16 factors = v16_set1((float)factor);
    GLOT_ASSERT(glot_tensor_elements(x) == n);
#pragma omp parallel for num_threads(glot_cpu_team(be, n)) schedule(static)
    for (int64_t block = 0; block < n; block += ROW_BLOCK)
        for (int64_t i = block; i < row_min(block + ROW_BLOCK, n); i += 16)
            row_store(to + i, v16_mul(row_load(from + i, n - i), factors), n - i);
}

void GLOT_KERNEL(bias_backward)(glot_backend *be, const glot_tensor *db, const glot_tensor *dy)
{
    int64_t n = glot_tensor_elements(db), T = n ? glot_tensor_elements(dy) / n : 0;
    const float *rows = row_floats(dy);
    float *d = row_floats(db);
    GLOT_ASSERT(glot_tensor_elements(dy) == T * n);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *n)) schedule(static)
    for (int64_t j = 0; j < n; j += 16)
        for (int64_t panel = 0; panel < T; panel += ROW_PANEL) {
            v16 sum = v16_zero();
            for (int64_t t = panel; t < row_min(panel + ROW_PANEL, T); t++)
                sum = v16_add(sum, row_load(rows + t * n + j, n - j));
            row_store(d + j, v16_add(row_load(d + j, n - j), sum), n - j);
        }
}

/* The pairs (x_i, x_{i + half}) of one head, turned by the angles whose cosines and sines are given; sign -1
 * turns back. */
static void turn_head(float *x, const float *cosines, const float *sines, int64_t half, float sign)
{
    for (int64_t i = 0; i < half; i += 16) {
        int64_t left = half - i;
        v16 a = row_load(x + i, left), b = row_load(x + half + i, left);
        v16 c = row_load(cosines + i, left), s = v16_mul(row_load(sines + i, left), v16_set1(sign));
        v16 minus_bs = v16_mul(v16_mul(b, s), v16_set1(-1.0f));
        row_store(x + i, v16_fma(a, c, minus_bs), left);
        row_store(x + half + i, v16_fma(b, c, v16_mul(a, s)), left);
    }
}

void GLOT_KERNEL(rope)(glot_backend *be, const glot_tensor *x, const glot_tensor *positions,
                       const glot_tensor *cos_table, const glot_tensor *sin_table, bool is_backward)
{
    int64_t T = x->shape[0], heads = x->shape[1], d = x->shape[2], half = d / 2;
    const int32_t *position = row_ints(positions);
    const float *cosines = row_floats(cos_table), *sines = row_floats(sin_table);
    float *rows = row_floats(x);
    GLOT_ASSERT(x->n_dims == 3 && d % 2 == 0 && cos_table->shape[1] == half && sin_table->shape[1] == half);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *heads *d)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        GLOT_ASSERT(position[t] >= 0 && position[t] < cos_table->shape[0]);
        for (int64_t head = 0; head < heads; head++)
            turn_head(rows + (t * heads + head) * d, cosines + position[t] * half, sines + position[t] * half,
                      half, is_backward ? -1.0f : 1.0f);
    }
}

static v16 sigmoid(v16 x)
{
    v16 one = v16_set1(1.0f);
    return v16_div(one, v16_add(one, v16_exp(v16_sub(v16_zero(), x))));
}

static inline void swiglu_step(float *y, const float *gate, const float *up, int64_t left)
{
    v16 g = row_load(gate, left);
    row_store(y, v16_mul(v16_mul(g, sigmoid(g)), row_load(up, left)), left);
}

ROW_FLAT static void swiglu_block(float *y, const float *gate, const float *up, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        swiglu_step(y + i, gate + i, up + i, 16);
    if (i < n)
        swiglu_step(y + i, gate + i, up + i, n - i);
}

void GLOT_KERNEL(swiglu)(glot_backend *be, const glot_tensor *out, const glot_tensor *gate,
                         const glot_tensor *up)
{
    int64_t n = glot_tensor_elements(out);
    const float *gates = row_floats(gate), *ups = row_floats(up);
    float *y = row_floats(out);
    GLOT_ASSERT(glot_tensor_elements(gate) == n && glot_tensor_elements(up) == n);
#pragma omp parallel for num_threads(glot_cpu_team(be, n)) schedule(static)
    for (int64_t block = 0; block < n; block += ROW_BLOCK)
        swiglu_block(y + block, gates + block, ups + block, row_min(ROW_BLOCK, n - block));
}

/* The arrays of swiglu_backward at one place; y may be NULL. */
typedef struct swiglu_arrays {
    float *d_gate, *d_up, *y;
    const float *dy, *gate, *up;
} swiglu_arrays;

/* silu'(g) = s (1 + g (1 - s)), s = sigmoid(g). */
static inline void swiglu_backward_step(const swiglu_arrays *a, int64_t i, int64_t left)
{
    v16 one = v16_set1(1.0f), d = row_load(a->dy + i, left), g = row_load(a->gate + i, left);
    v16 u = row_load(a->up + i, left), s = sigmoid(g), silu = v16_mul(g, s);
    v16 slope = v16_mul(s, v16_fma(g, v16_sub(one, s), one));
    row_store(a->d_gate + i, v16_mul(v16_mul(d, u), slope), left);
    row_store(a->d_up + i, v16_mul(d, silu), left);
    if (a->y)
        row_store(a->y + i, v16_mul(silu, u), left);
}

ROW_FLAT static void swiglu_backward_block(const swiglu_arrays *a, int64_t i, int64_t end)
{
    for (; i + 16 <= end; i += 16)
        swiglu_backward_step(a, i, 16);
    if (i < end)
        swiglu_backward_step(a, i, end - i);
}

void GLOT_KERNEL(swiglu_backward)(glot_backend *be, const glot_tensor *d_gate, const glot_tensor *d_up,
                                  const glot_tensor *out, const glot_tensor *d_out, const glot_tensor *gate,
                                  const glot_tensor *up)
{
    int64_t n = glot_tensor_elements(d_out);
    swiglu_arrays a = {.d_gate = row_floats(d_gate),
                       .d_up = row_floats(d_up),
                       .y = out ? row_floats(out) : NULL,
                       .dy = row_floats(d_out),
                       .gate = row_floats(gate),
                       .up = row_floats(up)};
    GLOT_ASSERT(glot_tensor_elements(d_gate) == n && glot_tensor_elements(d_up) == n &&
                glot_tensor_elements(gate) == n && glot_tensor_elements(up) == n &&
                (!out || glot_tensor_elements(out) == n));
#pragma omp parallel for num_threads(glot_cpu_team(be, n)) schedule(static)
    for (int64_t block = 0; block < n; block += ROW_BLOCK)
        swiglu_backward_block(&a, block, block + row_min(ROW_BLOCK, n - block));
}
