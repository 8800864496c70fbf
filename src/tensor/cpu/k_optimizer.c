/* k_optimizer.c: sums over whole tensors and the AdamW step; both run at the speed of memory. */
#include "tensor/cpu/row.h"

enum {
    CHUNK = 4096, /* elements whose sum is taken before it is added to the others (ops.inc) */
    CHUNKS = 1024 /* in flight: their sums wait on the stack */
};

typedef float floats8 __attribute__((vector_size(32)));
typedef double doubles8 __attribute__((vector_size(64)));

/* Sixteen lanes as everywhere, in two halves. */
static double chunk_sum(const float *x, int64_t n, bool is_squared)
{
    doubles8 lanes[2] = {{0}, {0}};
    for (int64_t i = 0; i < n; i += 8) {
        floats8 narrow = {0};
        memcpy(&narrow, x + i, (size_t)row_min(8, n - i) * sizeof *x);
        doubles8 value = __builtin_convertvector(narrow, doubles8);
        lanes[i / 8 % 2] += is_squared ? value * value : value;
    }
    doubles8 sum = lanes[0] + lanes[1];
    for (int half = 4; half; half /= 2)
        for (int i = 0; i < half; i++)
            sum[i] += sum[i + half];
    return sum[0];
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

/* Up to 16 elements; see ref/optimizer.c. */
static void adamw_16(float *w, const float *g, float *m, float *v, const adamw_lanes *s, int64_t left)
{
    v16 gradient = v16_mul(row_load(g, left), s->grad_scale), mean = row_load(m, left),
        square = row_load(v, left);
    mean = v16_fma(s->new1, v16_sub(gradient, mean), mean);
    square = v16_fma(v16_mul(s->new2, gradient), gradient, v16_mul(s->beta2, square));
    v16 denominator = v16_fma(v16_sqrt(square), s->root_scale, s->eps);
    v16 weight = v16_mul(row_load(w, left), s->decay);
    row_store(m, mean, left);
    row_store(v, square, left);
    row_store(w, v16_fma(s->minus_step, v16_div(mean, denominator), weight), left);
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
        for (int64_t i = block; i < row_min(block + ROW_BLOCK, n); i += 16)
            adamw_16(weights + i, gradients + i, means + i, squares + i, &lanes, n - i);
}
