/* row.h: what the row-wise kernels share: loads and stores that mind the end of a row, and the softmax of a
 * row.
 *
 * A row is walked as for (i = 0; i < n; i += 16) with row_load(x + i, n - i): the last vector holds what is
 * left, and 0 in its other lanes.
 */
#ifndef GLOT_TENSOR_CPU_ROW_H
#define GLOT_TENSOR_CPU_ROW_H

#include "tensor/cpu/kernel.h"

enum {
    ROW_PANEL = 256, /* rows whose sum is taken before it is added to the others (ops.inc) */
    ROW_BLOCK = 2048 /* elements that an elementwise op hands to a thread at once */
};

/* For the loops that count: a function `step` of one vector, called for whole vectors and for the rest, so
 * that the loop over whole ones has no masks,
 *
 *     int64_t i = 0;
 *     for (; i + 16 <= n; i += 16)
 *         step(x + i, 16);
 *     if (i < n)
 *         step(x + i, n - i);
 *
 * and ROW_FLAT on the function with the loop: all of it inlined, or AVX2's pairs of registers travel through
 * memory at every call (v16_exp took four times as long). */
#if GLOT_ISA_LEVEL > 0
#define ROW_FLAT __attribute__((flatten))
#else
#define ROW_FLAT
#endif

static inline int64_t row_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline v16 row_load(const float *p, int64_t left)
{
    return left >= 16 ? v16_load(p) : v16_load_n(p, left);
}

static inline void row_store(float *p, v16 a, int64_t left)
{
    if (left >= 16)
        v16_store(p, a);
    else
        v16_store_n(p, a, left);
}

/* a in the lanes that the row has, `fill` in those past its end; also where left is negative. */
static inline v16 row_keep(v16 a, int64_t left, float fill)
{
    return left >= 16 ? a : v16_keep(a, left > 0 ? left : 0, fill);
}

/* Elements i .. of a weight of any float dtype. */
static inline v16 row_load_weight(const glot_tensor *weight, int64_t i, int64_t left)
{
    return left >= 16 ? v16_load_as(weight->dtype, weight->addr, i)
                      : v16_load_as_n(weight->dtype, weight->addr, i, left);
}

static inline float *row_floats(const glot_tensor *t)
{
    GLOT_ASSERT(t->dtype == GLOT_F32);
    return t->addr;
}

static inline int32_t *row_ints(const glot_tensor *t)
{
    GLOT_ASSERT(t->dtype == GLOT_I32);
    return t->addr;
}

/* Softmax in the making: p_i = exp(x_i - max) / sum. */
typedef struct row_softmax {
    float max, sum;
} row_softmax;

static inline v16 row_max_step(const float *x, int64_t left, v16 max)
{
    return v16_max(row_keep(row_load(x, left), left, -INFINITY), max);
}

ROW_FLAT static inline float row_max(const float *x, int64_t n)
{
    v16 max = v16_set1(-INFINITY);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        max = row_max_step(x + i, 16, max);
    if (i < n)
        max = row_max_step(x + i, n - i, max);
    return v16_fold_max(max);
}

/* exp(x - max), 0 past the end. */
static inline v16 row_exp(const float *x, int64_t left, v16 max)
{
    return row_keep(v16_exp(v16_sub(row_load(x, left), max)), left, 0.0f);
}

ROW_FLAT static inline row_softmax row_softmax_of(const float *x, int64_t n)
{
    row_softmax s = {.max = row_max(x, n)};
    v16 sum = v16_zero(), max = v16_set1(s.max);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        sum = v16_add(sum, row_exp(x + i, 16, max));
    if (i < n)
        sum = v16_add(sum, row_exp(x + i, n - i, max));
    s.sum = v16_fold_sum(sum);
    return s;
}

/* The probabilities of elements i .. of a row. */
static inline v16 row_probs(const float *x, int64_t i, int64_t left, row_softmax s)
{
    return v16_div(v16_exp(v16_sub(row_load(x + i, left), v16_set1(s.max))), v16_set1(s.sum));
}

#endif
