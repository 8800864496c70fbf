/* ref.h
 *
 * The reference backend: every op of ops.inc as its formula reads, one thread, plain C. The same source is
 * compiled for float, in the law's order of summation (ops.inc), so that a fast kernel can be compared bit
 * for bit; and for double, as the truth for gradients. Nothing here is to be made faster at the cost of a
 * clear formula.
 */
#ifndef GLOT_TENSOR_REF_REF_H
#define GLOT_TENSOR_REF_REF_H

#include "tensor/backend.h"
#include "tensor/mathf.h"

#include <math.h>

/* The backend with the scratch of its attention, made by reserve: one row of probabilities and one of their
 * gradients. */
typedef struct ref_backend {
    glot_backend base;
    void *scratch[2]; /* real [max_keys] each */
    int64_t max_keys;
} ref_backend;

extern const glot_ops ref_f32_ops, ref_f64_ops;

#ifdef REF_IS_DOUBLE

#if REF_IS_DOUBLE
typedef double real;
#define REF_REAL GLOT_F64
#define REF_NAME(name) ref_f64_##name
static inline real real_exp(real x)
{
    return exp(x);
}
static inline real real_sqrt(real x)
{
    return sqrt(x);
}
static inline real real_fma(real a, real b, real c)
{
    return a * b + c;
}
#else
typedef float real;
#define REF_REAL GLOT_F32
#define REF_NAME(name) ref_f32_##name
static inline real real_exp(real x)
{
    return glot_expf(x);
}
static inline real real_sqrt(real x)
{
    return sqrtf(x);
}
static inline real real_fma(real a, real b, real c)
{
    return fmaf(a, b, c);
}
#endif

#define GLOT_OP(name, parameters, arguments) void REF_NAME(name) parameters;
#include "tensor/ops.inc"
#undef GLOT_OP

enum { REF_PANEL = 256, REF_PANEL_BF16 = 512, REF_LANES = 16 };

/* Elements of a tensor of reals; of a weight of any float dtype, widened exactly; of I32. */
static inline real *reals(const glot_tensor *t)
{
    GLOT_ASSERT(t->dtype == REF_REAL);
    return t->addr;
}

static inline int32_t *ints(const glot_tensor *t)
{
    GLOT_ASSERT(t->dtype == GLOT_I32);
    return t->addr;
}

static inline double *loss_of(const glot_tensor *t)
{
    GLOT_ASSERT(t->dtype == GLOT_F64 && glot_tensor_elements(t) == 1);
    return t->addr;
}

static inline real weight_at(const glot_tensor *t, int64_t i)
{
    switch (t->dtype) {
    case GLOT_F32:
        return (real)((const float *)t->addr)[i];
    case GLOT_F16:
        return (real)glot_f16_to_f32(((const uint16_t *)t->addr)[i]);
    case GLOT_BF16:
        return (real)glot_bf16_to_f32(((const uint16_t *)t->addr)[i]);
    default:
        GLOT_ASSERT(t->dtype == GLOT_F64 && REF_REAL == GLOT_F64);
        return (real)((const double *)t->addr)[i];
    }
}

/* n numbers, `step` elements apart, of a real or weight tensor. */
typedef struct ref_line {
    const glot_tensor *t;
    int64_t first, step;
} ref_line;

/* A sum in the making: steps upward, in panels whose sums are added to the start in order. */
typedef struct ref_sum {
    real start, panel;
    int64_t n; /* steps of this panel so far */
    bool is_bf16;
} ref_sum;

static inline float ref_bf16(real value)
{
    return glot_bf16_to_f32(glot_f32_to_bf16_operand((float)value));
}

static inline void ref_sum_end_panel(ref_sum *s)
{
    if (s->n == 0)
        return;
    if (s->is_bf16 && s->n % 2)
        s->panel = (real)glot_bf16_fma(0, 0, (float)s->panel);
    s->start += s->panel;
    s->panel = 0;
    s->n = 0;
}

static inline void ref_sum_step(ref_sum *s, real a, real b)
{
    if (s->n == (s->is_bf16 ? REF_PANEL_BF16 : REF_PANEL))
        ref_sum_end_panel(s);
    s->panel = s->is_bf16 ? (real)glot_bf16_fma(ref_bf16(a), ref_bf16(b), (float)s->panel)
                          : real_fma(a, b, s->panel);
    s->n++;
}

/* Of a product. Other sums start as (ref_sum){0}. */
static inline ref_sum ref_product(const glot_backend *be, real start)
{
    return (ref_sum){.start = start, .is_bf16 = REF_REAL == GLOT_F32 && be->products == GLOT_BF16};
}

/* sum.start + the sum over i of a_i b_i. */
static inline real ref_dot(ref_sum sum, ref_line a, ref_line b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ref_sum_step(&sum, weight_at(a.t, a.first + i * a.step), weight_at(b.t, b.first + i * b.step));
    ref_sum_end_panel(&sum);
    return sum.start;
}

/* The sum inside a row: element i goes to lane i mod 16, then the lanes are folded 8, 4, 2, 1. */
static inline real ref_fold(real lanes[REF_LANES])
{
    for (int half = REF_LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

/* Softmax of one row in the making: p_i = exp(x_i - max) / sum. */
typedef struct ref_softmax {
    real max, sum;
} ref_softmax;

static inline ref_softmax ref_softmax_of(const real *x, int64_t n)
{
    ref_softmax s = {.max = x[0]};
    for (int64_t i = 1; i < n; i++)
        if (x[i] > s.max)
            s.max = x[i];
    real lanes[REF_LANES] = {0};
    for (int64_t i = 0; i < n; i++)
        lanes[i % REF_LANES] += real_exp(x[i] - s.max);
    s.sum = ref_fold(lanes);
    return s;
}

#endif
#endif
