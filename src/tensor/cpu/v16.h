/* v16.h
 *
 * Sixteen floats as one value. Every function here gives the same bits on every instruction set (a NaN may
 * differ in sign and payload): the portable form is loops over float[16], AVX2 two registers, AVX-512 one.
 * Sums inside a row keep 16 lanes, lane = index mod 16, and end in v16_fold_sum, so that a row's sum does
 * not depend on the instruction set either:
 *
 *     v16 sum = v16_zero();
 *     for (i = 0; i + 16 <= n; i += 16)
 *         sum = v16_fma(v16_load(x + i), v16_load(x + i), sum);
 *     if (i < n)
 *         sum = v16_fma(v16_load_n(x + i, n - i), v16_load_n(x + i, n - i), sum);
 *     float total = v16_fold_sum(sum);
 *
 * Loads and stores need no alignment and touch only the elements they name.
 */
#ifndef GLOT_TENSOR_CPU_V16_H
#define GLOT_TENSOR_CPU_V16_H

#include "tensor/dtype.h"
#include "tensor/mathf.h"

#ifndef GLOT_ISA_LEVEL /* set by the build: 0 portable, 1 AVX2 + FMA + F16C, 2 AVX-512 F, BW, DQ, VL,
                          3 with BF16 */
#define GLOT_ISA_LEVEL 0
#endif

#if GLOT_ISA_LEVEL >= 1
#include <immintrin.h>
#endif

/* v16: floats. v16i: their 32-bit patterns, for exponent work. In the functions below
 *   v16_max(a, b) is a > b ? a : b and v16_min(a, b) a < b ? a : b in every lane, so b where either is NaN;
 *   v16_fma(a, b, c) is a * b + c rounded once;
 *   v16_select_lt(a, b, x, y) is a < b ? x : y, v16_select_eq(a, b, x, y) a == b ? x : y (both y for a NaN);
 *   v16_keep(a, n, fill) is a in the first n lanes and fill in the others;
 *   v16i_shift_left and v16i_shift_right (arithmetic) shift every lane by `by` bits. */
#if GLOT_ISA_LEVEL >= 2

typedef __m512 v16;
typedef __m512i v16i;

static inline __mmask16 v16_mask_(int64_t n)
{
    return (__mmask16)((1u << n) - 1u);
}
static inline v16 v16_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline v16 v16_load_n(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(v16_mask_(n), p);
}
static inline void v16_store(float *p, v16 a)
{
    _mm512_storeu_ps(p, a);
}
static inline void v16_store_n(float *p, v16 a, int64_t n)
{
    _mm512_mask_storeu_ps(p, v16_mask_(n), a);
}
static inline v16 v16_set1(float x)
{
    return _mm512_set1_ps(x);
}
static inline v16 v16_keep(v16 a, int64_t n, float fill)
{
    return _mm512_mask_blend_ps(v16_mask_(n), _mm512_set1_ps(fill), a);
}
static inline v16 v16_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}
static inline v16 v16_sub(v16 a, v16 b)
{
    return _mm512_sub_ps(a, b);
}
static inline v16 v16_mul(v16 a, v16 b)
{
    return _mm512_mul_ps(a, b);
}
static inline v16 v16_div(v16 a, v16 b)
{
    return _mm512_div_ps(a, b);
}
static inline v16 v16_max(v16 a, v16 b)
{
    return _mm512_max_ps(a, b);
}
static inline v16 v16_min(v16 a, v16 b)
{
    return _mm512_min_ps(a, b);
}
static inline v16 v16_fma(v16 a, v16 b, v16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline v16 v16_sqrt(v16 a)
{
    return _mm512_sqrt_ps(a);
}
static inline v16 v16_select_lt(v16 a, v16 b, v16 x, v16 y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
static inline v16 v16_select_eq(v16 a, v16 b, v16 x, v16 y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), y, x);
}
static inline v16 v16_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline v16 v16_load_bf16(const uint16_t *p)
{
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
static inline v16i v16_bits(v16 a)
{
    return _mm512_castps_si512(a);
}
static inline v16 v16_of_bits(v16i a)
{
    return _mm512_castsi512_ps(a);
}
static inline v16i v16i_set1(uint32_t x)
{
    return _mm512_set1_epi32((int)x);
}
static inline v16i v16i_add(v16i a, v16i b)
{
    return _mm512_add_epi32(a, b);
}
static inline v16i v16i_sub(v16i a, v16i b)
{
    return _mm512_sub_epi32(a, b);
}
static inline v16i v16i_shift_left(v16i a, int by)
{
    return _mm512_sll_epi32(a, _mm_cvtsi32_si128(by));
}
static inline v16i v16i_shift_right(v16i a, int by)
{
    return _mm512_sra_epi32(a, _mm_cvtsi32_si128(by));
}
static inline __m256 v16_half_(v16 a, int which)
{
    return which ? _mm512_extractf32x8_ps(a, 1) : _mm512_castps512_ps256(a);
}

#elif GLOT_ISA_LEVEL == 1

typedef struct v16 {
    __m256 h[2];
} v16;
typedef struct v16i {
    __m256i h[2];
} v16i;

/* v16 result of one AVX operation on both halves. */
#define V16_BOTH_(operation)                                                                                 \
    v16 y_;                                                                                                  \
    for (int h = 0; h < 2; h++)                                                                              \
        y_.h[h] = operation;                                                                                 \
    return y_
#define V16I_BOTH_(operation)                                                                                \
    v16i y_;                                                                                                 \
    for (int h = 0; h < 2; h++)                                                                              \
        y_.h[h] = operation;                                                                                 \
    return y_

static inline __m256i v16_mask_(int64_t n, int h)
{
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n - 8 * h), lanes);
}
static inline v16 v16_load(const float *p)
{
    V16_BOTH_(_mm256_loadu_ps(p + 8 * h));
}
static inline v16 v16_load_n(const float *p, int64_t n)
{
    V16_BOTH_(_mm256_maskload_ps(p + 8 * h, v16_mask_(n, h)));
}
static inline void v16_store(float *p, v16 a)
{
    for (int h = 0; h < 2; h++)
        _mm256_storeu_ps(p + 8 * h, a.h[h]);
}
static inline void v16_store_n(float *p, v16 a, int64_t n)
{
    for (int h = 0; h < 2; h++)
        _mm256_maskstore_ps(p + 8 * h, v16_mask_(n, h), a.h[h]);
}
static inline v16 v16_set1(float x)
{
    V16_BOTH_(_mm256_set1_ps(x));
}
static inline v16 v16_keep(v16 a, int64_t n, float fill)
{
    V16_BOTH_(_mm256_blendv_ps(_mm256_set1_ps(fill), a.h[h], _mm256_castsi256_ps(v16_mask_(n, h))));
}
static inline v16 v16_add(v16 a, v16 b)
{
    V16_BOTH_(_mm256_add_ps(a.h[h], b.h[h]));
}
static inline v16 v16_sub(v16 a, v16 b)
{
    V16_BOTH_(_mm256_sub_ps(a.h[h], b.h[h]));
}
static inline v16 v16_mul(v16 a, v16 b)
{
    V16_BOTH_(_mm256_mul_ps(a.h[h], b.h[h]));
}
static inline v16 v16_div(v16 a, v16 b)
{
    V16_BOTH_(_mm256_div_ps(a.h[h], b.h[h]));
}
static inline v16 v16_max(v16 a, v16 b)
{
    V16_BOTH_(_mm256_max_ps(a.h[h], b.h[h]));
}
static inline v16 v16_min(v16 a, v16 b)
{
    V16_BOTH_(_mm256_min_ps(a.h[h], b.h[h]));
}
static inline v16 v16_fma(v16 a, v16 b, v16 c)
{
    V16_BOTH_(_mm256_fmadd_ps(a.h[h], b.h[h], c.h[h]));
}
static inline v16 v16_sqrt(v16 a)
{
    V16_BOTH_(_mm256_sqrt_ps(a.h[h]));
}
static inline v16 v16_select_lt(v16 a, v16 b, v16 x, v16 y)
{
    V16_BOTH_(_mm256_blendv_ps(y.h[h], x.h[h], _mm256_cmp_ps(a.h[h], b.h[h], _CMP_LT_OQ)));
}
static inline v16 v16_select_eq(v16 a, v16 b, v16 x, v16 y)
{
    V16_BOTH_(_mm256_blendv_ps(y.h[h], x.h[h], _mm256_cmp_ps(a.h[h], b.h[h], _CMP_EQ_OQ)));
}
static inline v16 v16_load_f16(const uint16_t *p)
{
    V16_BOTH_(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8 * h))));
}
static inline v16 v16_load_bf16(const uint16_t *p)
{
    V16_BOTH_(_mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p + 8 * h))), 16)));
}
static inline v16i v16_bits(v16 a)
{
    V16I_BOTH_(_mm256_castps_si256(a.h[h]));
}
static inline v16 v16_of_bits(v16i a)
{
    V16_BOTH_(_mm256_castsi256_ps(a.h[h]));
}
static inline v16i v16i_set1(uint32_t x)
{
    V16I_BOTH_(_mm256_set1_epi32((int)x));
}
static inline v16i v16i_add(v16i a, v16i b)
{
    V16I_BOTH_(_mm256_add_epi32(a.h[h], b.h[h]));
}
static inline v16i v16i_sub(v16i a, v16i b)
{
    V16I_BOTH_(_mm256_sub_epi32(a.h[h], b.h[h]));
}
static inline v16i v16i_shift_left(v16i a, int by)
{
    V16I_BOTH_(_mm256_sll_epi32(a.h[h], _mm_cvtsi32_si128(by)));
}
static inline v16i v16i_shift_right(v16i a, int by)
{
    V16I_BOTH_(_mm256_sra_epi32(a.h[h], _mm_cvtsi32_si128(by)));
}
static inline __m256 v16_half_(v16 a, int which)
{
    return a.h[which];
}

#else

typedef struct v16 {
    float x[16];
} v16;
typedef struct v16i {
    uint32_t x[16];
} v16i;

#define V16_EACH_(operation)                                                                                 \
    v16 y_;                                                                                                  \
    for (int i = 0; i < 16; i++)                                                                             \
        y_.x[i] = operation;                                                                                 \
    return y_
#define V16I_EACH_(operation)                                                                                \
    v16i y_;                                                                                                 \
    for (int i = 0; i < 16; i++)                                                                             \
        y_.x[i] = operation;                                                                                 \
    return y_

static inline v16 v16_load(const float *p)
{
    V16_EACH_(p[i]);
}
static inline v16 v16_load_n(const float *p, int64_t n)
{
    V16_EACH_(i < n ? p[i] : 0.0f);
}
static inline void v16_store(float *p, v16 a)
{
    for (int i = 0; i < 16; i++)
        p[i] = a.x[i];
}
static inline void v16_store_n(float *p, v16 a, int64_t n)
{
    for (int i = 0; i < n; i++)
        p[i] = a.x[i];
}
static inline v16 v16_set1(float x)
{
    V16_EACH_(x);
}
static inline v16 v16_keep(v16 a, int64_t n, float fill)
{
    V16_EACH_(i < n ? a.x[i] : fill);
}
static inline v16 v16_add(v16 a, v16 b)
{
    V16_EACH_(a.x[i] + b.x[i]);
}
static inline v16 v16_sub(v16 a, v16 b)
{
    V16_EACH_(a.x[i] - b.x[i]);
}
static inline v16 v16_mul(v16 a, v16 b)
{
    V16_EACH_(a.x[i] * b.x[i]);
}
static inline v16 v16_div(v16 a, v16 b)
{
    V16_EACH_(a.x[i] / b.x[i]);
}
static inline v16 v16_max(v16 a, v16 b)
{
    V16_EACH_(a.x[i] > b.x[i] ? a.x[i] : b.x[i]);
}
static inline v16 v16_min(v16 a, v16 b)
{
    V16_EACH_(a.x[i] < b.x[i] ? a.x[i] : b.x[i]);
}
static inline v16 v16_fma(v16 a, v16 b, v16 c)
{
    V16_EACH_(fmaf(a.x[i], b.x[i], c.x[i]));
}
static inline v16 v16_sqrt(v16 a)
{
    V16_EACH_(sqrtf(a.x[i]));
}
static inline v16 v16_select_lt(v16 a, v16 b, v16 x, v16 y)
{
    V16_EACH_(a.x[i] < b.x[i] ? x.x[i] : y.x[i]);
}
static inline v16 v16_select_eq(v16 a, v16 b, v16 x, v16 y)
{
    V16_EACH_(a.x[i] == b.x[i] ? x.x[i] : y.x[i]);
}
static inline v16 v16_load_f16(const uint16_t *p)
{
    V16_EACH_(glot_f16_to_f32(p[i]));
}
static inline v16 v16_load_bf16(const uint16_t *p)
{
    V16_EACH_(glot_float_of_bits((uint32_t)p[i] << 16));
}
static inline v16i v16_bits(v16 a)
{
    V16I_EACH_(glot_bits_of_float(a.x[i]));
}
static inline v16 v16_of_bits(v16i a)
{
    V16_EACH_(glot_float_of_bits(a.x[i]));
}
static inline v16i v16i_set1(uint32_t x)
{
    V16I_EACH_(x);
}
static inline v16i v16i_add(v16i a, v16i b)
{
    V16I_EACH_(a.x[i] + b.x[i]);
}
static inline v16i v16i_sub(v16i a, v16i b)
{
    V16I_EACH_(a.x[i] - b.x[i]);
}
static inline v16i v16i_shift_left(v16i a, int by)
{
    V16I_EACH_(a.x[i] << by);
}
static inline v16i v16i_shift_right(v16i a, int by)
{
    V16I_EACH_((uint32_t)((int32_t)a.x[i] >> by));
}

#endif

static inline v16 v16_zero(void)
{
    return v16_set1(0.0f);
}

/* 16 or, with n < 16, the first n elements of a row of F32, F16 or BF16, widened exactly; the lanes past n
 * are 0. */
static inline v16 v16_load_f16_n(const uint16_t *p, int64_t n)
{
    uint16_t lanes[16] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return v16_load_f16(lanes);
}
static inline v16 v16_load_bf16_n(const uint16_t *p, int64_t n)
{
    uint16_t lanes[16] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return v16_load_bf16(lanes);
}
static inline v16 v16_load_as(glot_dtype dtype, const void *row, int64_t first)
{
    if (dtype == GLOT_F32)
        return v16_load((const float *)row + first);
    const uint16_t *p = (const uint16_t *)row + first;
    return dtype == GLOT_F16 ? v16_load_f16(p) : v16_load_bf16(p);
}
static inline v16 v16_load_as_n(glot_dtype dtype, const void *row, int64_t first, int64_t n)
{
    if (dtype == GLOT_F32)
        return v16_load_n((const float *)row + first, n);
    const uint16_t *p = (const uint16_t *)row + first;
    return dtype == GLOT_F16 ? v16_load_f16_n(p, n) : v16_load_bf16_n(p, n);
}

/* The sum of the lanes, always as lane i + lane i + 8, then 4, 2, 1 apart. */
#if GLOT_ISA_LEVEL >= 1
static inline float v16_fold_sum(v16 a)
{
    __m256 eight = _mm256_add_ps(v16_half_(a, 0), v16_half_(a, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
/* The same with v16_max. A NaN may or may not come through. */
static inline float v16_fold_max(v16 a)
{
    __m256 eight = _mm256_max_ps(v16_half_(a, 0), v16_half_(a, 1));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
#else
static inline float v16_fold_sum(v16 a)
{
    for (int half = 8; half >= 1; half /= 2)
        for (int i = 0; i < half; i++)
            a.x[i] = a.x[i] + a.x[i + half];
    return a.x[0];
}
static inline float v16_fold_max(v16 a)
{
    for (int half = 8; half >= 1; half /= 2)
        for (int i = 0; i < half; i++)
            a.x[i] = a.x[i] > a.x[i + half] ? a.x[i] : a.x[i + half];
    return a.x[0];
}
#endif

/* glot_expf of every lane, bit for bit. */
static inline v16 v16_exp(v16 x)
{
    x = v16_max(v16_set1(GLOT_EXP_LOW), x);
    x = v16_min(v16_set1(GLOT_EXP_HIGH), x);
    v16 shifted = v16_fma(x, v16_set1(GLOT_EXP_LOG2E), v16_set1(GLOT_EXP_ROUND));
    v16 n = v16_sub(shifted, v16_set1(GLOT_EXP_ROUND));
    v16 r = v16_fma(n, v16_set1(-GLOT_EXP_LN2_HIGH), x);
    r = v16_fma(n, v16_set1(-GLOT_EXP_LN2_LOW), r);
    v16 q = v16_fma(v16_set1(GLOT_EXP_Q4), r, v16_set1(GLOT_EXP_Q3));
    q = v16_fma(q, r, v16_set1(GLOT_EXP_Q2));
    q = v16_fma(q, r, v16_set1(GLOT_EXP_Q1));
    q = v16_fma(q, r, v16_set1(GLOT_EXP_Q0));
    v16 e = v16_add(v16_fma(v16_mul(r, r), q, r), v16_set1(1.0f));
    v16i n_bits = v16i_sub(v16_bits(shifted), v16_bits(v16_set1(GLOT_EXP_ROUND)));
    v16i half = v16i_shift_right(n_bits, 1);
    v16i bias = v16i_set1(127);
    e = v16_mul(e, v16_of_bits(v16i_shift_left(v16i_add(half, bias), 23)));
    return v16_mul(e, v16_of_bits(v16i_shift_left(v16i_add(v16i_sub(n_bits, half), bias), 23)));
}

#endif
