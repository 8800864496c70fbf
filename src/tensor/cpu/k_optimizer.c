/* k_optimizer.c: sums over many rows in double, and the AdamW step; all run at the speed of memory. */
#include "tensor/cpu/row.h"

enum {
    CHUNK = 4096, /* elements whose sum is taken before it is added to the others (ops.inc) */
    CHUNKS = 1024 /* in flight: their sums wait on the stack */
};

typedef float floats4 __attribute__((vector_size(16)));
typedef double doubles4 __attribute__((vector_size(32)));

/* Sixteen lanes as everywhere, four to a vector. */
typedef struct double_lanes {
    doubles4 four[4];
} double_lanes;

/* lanes += x, or x^2, of 16 elements. */
static inline void add_16(double_lanes *lanes, const float *x, bool is_squared)
{
    for (int i = 0; i < 4; i++) {
        floats4 narrow;
        memcpy(&narrow, x + 4 * i, sizeof narrow);
        doubles4 value = __builtin_convertvector(narrow, doubles4);
        lanes->four[i] += is_squared ? value * value : value;
    }
}

static double chunk_sum(const float *x, int64_t n, bool is_squared)
{
    double_lanes lanes = {{{0}}};
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        add_16(&lanes, x + i, is_squared);
    float rest[16] = {0};
    memcpy(rest, x + i, (size_t)(n - i) * sizeof *x);
    add_16(&lanes, rest, is_squared);
    doubles4 sum = (lanes.four[0] + lanes.four[2]) + (lanes.four[1] + lanes.four[3]); /* 8, then 4 apart */
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

void GLOT_KERNEL(sum)(glot_backend *be, const glot_tensor *out, const glot_tensor *x, bool is_squared)
{
    int64_t n = glot_tensor_elements(x);
    const float *values = row_floats(x);
    GLOT_ASSERT(out->dtype == GLOT_F64);
    for (int64_t batch = 0; batch < n; batch += (int64_t)CHUNKS * CHUNK) {
        double sums[CHUNKS];
        int64_t n_chunks = row_min(CHUNKS, (n - batch + CHUNK - 1) / CHUNK);
#pragma omp parallel for num_threads(glot_cpu_team(be, n)) schedule(static)
        for (int64_t i = 0; i < n_chunks; i++) {
            int64_t first = batch + i * CHUNK;
            sums[i] = chunk_sum(values + first, row_min(CHUNK, n - first), is_squared);
        }
        for (int64_t i = 0; i < n_chunks; i++)
            *(double *)out->addr += sums[i];
    }
}

/* sum[0 .. n) += scale[t] x_t over `rows` rows in order, n <= 16; a scale of 0 leaves a row out. The columns
 * of a row lie `step` apart. */
static inline void add_scaled(double *sum, const float *x, int64_t rows, int64_t step, const double *scale,
                              int64_t n)
{
    double total[16];
    memcpy(total, sum, (size_t)n * sizeof *sum);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t j = 0; j < n && scale[t] != 0.0; j++)
            total[j] = fma((double)x[t * step + j], scale[t], total[j]);
    memcpy(sum, total, (size_t)n * sizeof *sum);
}

/* One panel of rows: first every row's 1 / |x|, then threads take columns and walk the rows in order. */
static void unit_sum_panel(const glot_backend *be, double *sum, const float *x, const uint8_t *counted,
                           int64_t rows, int64_t n)
{
    double scale[ROW_PANEL];
#pragma omp parallel num_threads(glot_cpu_team(be, rows *n))
    {
#pragma omp for schedule(static)
        for (int64_t t = 0; t < rows; t++) {
            double square = counted[t] ? chunk_sum(x + t * n, n, true) : 0.0;
            scale[t] = square == 0.0 ? 0.0 : 1.0 / sqrt(square);
        }
#pragma omp for schedule(static)
        for (int64_t j = 0; j < n; j += 16) {
            if (n - j >= 16) /* a constant the compiler makes vectors of */
                add_scaled(sum + j, x + j, rows, n, scale, 16);
            else
                add_scaled(sum + j, x + j, rows, n, scale, n - j);
        }
    }
}

void GLOT_KERNEL(unit_sum)(glot_backend *be, const glot_tensor *sum, const glot_tensor *x,
                           const glot_tensor *is_counted)
{
    int64_t n = glot_tensor_elements(sum), T = glot_tensor_elements(is_counted);
    const uint8_t *counted = is_counted->addr;
    GLOT_ASSERT(sum->dtype == GLOT_F64 && is_counted->dtype == GLOT_U8 && glot_tensor_elements(x) == T * n);
    for (int64_t t = 0; t < T; t += ROW_PANEL)
        unit_sum_panel(be, sum->addr, row_floats(x) + t * n, counted + t, row_min(ROW_PANEL, T - t), n);
}

/* The settings of a step as 16 equal lanes. */
typedef struct adamw_lanes {
    v16 grad_scale, new1, beta2, new2, root_scale, eps, decay, minus_step;
} adamw_lanes;

static adamw_lanes lanes_of(const glot_adamw *s)
{
    double correction1 = 1 - pow(s->beta1, (double)s->step), correction2 = 1 - pow(s->beta2, (double)s->step);
    return (adamw_lanes){.grad_scale = v16_set1((float)s->grad_scale),
                         .new1 = v16_set1((float)(1 - s->beta1)),
                         .beta2 = v16_set1((float)s->beta2),
                         .new2 = v16_set1((float)(1 - s->beta2)),
                         .root_scale = v16_set1((float)(1 / sqrt(correction2))),
                         .eps = v16_set1((float)s->eps),
                         .decay = v16_set1((float)(1 - s->lr * s->weight_decay)),
                         .minus_step = v16_set1(-(float)(s->lr / correction1))};
}

/* See ref/optimizer.c. */
static inline void adamw_step(float *w, const float *g, float *m, float *v, const adamw_lanes *s,
                              int64_t left)
{
    v16 gradient = v16_mul(row_load(g, left), s->grad_scale);
    v16 mean = row_load(m, left), square = row_load(v, left);
    mean = v16_fma(s->new1, v16_sub(gradient, mean), mean);
    square = v16_fma(v16_mul(s->new2, gradient), gradient, v16_mul(s->beta2, square));
    v16 denominator = v16_fma(v16_sqrt(square), s->root_scale, s->eps);
    v16 weight = v16_mul(row_load(w, left), s->decay);
    row_store(m, mean, left);
    row_store(v, square, left);
    row_store(w, v16_fma(s->minus_step, v16_div(mean, denominator), weight), left);
}

ROW_FLAT static void adamw_block(float *w, const float *g, float *m, float *v, const adamw_lanes *s,
                                 int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        adamw_step(w + i, g + i, m + i, v + i, s, 16);
    if (i < n)
        adamw_step(w + i, g + i, m + i, v + i, s, n - i);
}

void GLOT_KERNEL(adamw)(glot_backend *be, const glot_tensor *w, const glot_tensor *g, const glot_tensor *m,
                        const glot_tensor *v, const glot_adamw *settings)
{
    int64_t n = glot_tensor_elements(w);
    const float *gradients = row_floats(g);
    float *weights = row_floats(w), *means = row_floats(m), *squares = row_floats(v);
    GLOT_ASSERT(glot_tensor_elements(g) == n && glot_tensor_elements(m) == n && glot_tensor_elements(v) == n);
    const adamw_lanes lanes = lanes_of(settings);
#pragma omp parallel for num_threads(glot_cpu_team(be, n)) schedule(static)
    for (int64_t block = 0; block < n; block += ROW_BLOCK)
        adamw_block(weights + block, gradients + block, means + block, squares + block, &lanes,
                    row_min(ROW_BLOCK, n - block));
}
