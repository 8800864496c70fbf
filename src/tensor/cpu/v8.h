/* v8.h
 *
 * Eight floats as one value, for moving matrices about: loads with widening, and blocks of 8 x 8 turned in
 * registers. What vn.h is made of where a register holds no more.
 */
#ifndef GLOT_TENSOR_CPU_V8_H
#define GLOT_TENSOR_CPU_V8_H

#include "tensor/cpu/v16.h"

#if GLOT_ISA_LEVEL >= 1

typedef __m256 v8;

static inline v8 v8_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void v8_store(float *p, v8 a)
{
    _mm256_storeu_ps(p, a);
}
static inline v8 v8_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
static inline v8 v8_load_bf16(const uint16_t *p)
{
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

static inline v8 v8_zero(void)
{
    return _mm256_setzero_ps();
}
static inline v8 v8_set1(const float *p)
{
    return _mm256_broadcast_ss(p);
}
static inline v8 v8_fma(v8 a, v8 b, v8 c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* r_i: half of row i (low half) and of row i + 4 (high half); out[k] = its element k of all eight rows. */
static inline void v8_turn_halves_(v8 out[4], v8 r0, v8 r1, v8 r2, v8 r3)
{
    v8 low01 = _mm256_unpacklo_ps(r0, r1), high01 = _mm256_unpackhi_ps(r0, r1);
    v8 low23 = _mm256_unpacklo_ps(r2, r3), high23 = _mm256_unpackhi_ps(r2, r3);
    out[0] = _mm256_shuffle_ps(low01, low23, 0x44);
    out[1] = _mm256_shuffle_ps(low01, low23, 0xee);
    out[2] = _mm256_shuffle_ps(high01, high23, 0x44);
    out[3] = _mm256_shuffle_ps(high01, high23, 0xee);
}

/* In place: x[i] lane k to x[k] lane i. */
static inline void v8_turn(v8 x[8])
{
    v8 low[4], high[4];
    for (int i = 0; i < 4; i++) {
        low[i] = _mm256_permute2f128_ps(x[i], x[i + 4], 0x20);
        high[i] = _mm256_permute2f128_ps(x[i], x[i + 4], 0x31);
    }
    v8_turn_halves_(x, low[0], low[1], low[2], low[3]);
    v8_turn_halves_(x + 4, high[0], high[1], high[2], high[3]);
}

#else

typedef struct v8 {
    float x[8];
} v8;

static inline v8 v8_load(const float *p)
{
    v8 y;
    memcpy(&y, p, sizeof y);
    return y;
}
static inline void v8_store(float *p, v8 a)
{
    memcpy(p, &a, sizeof a);
}
static inline v8 v8_load_f16(const uint16_t *p)
{
    v8 y;
    for (int i = 0; i < 8; i++)
        y.x[i] = glot_f16_to_f32(p[i]);
    return y;
}
static inline v8 v8_load_bf16(const uint16_t *p)
{
    v8 y;
    for (int i = 0; i < 8; i++)
        y.x[i] = glot_float_of_bits((uint32_t)p[i] << 16);
    return y;
}
static inline v8 v8_zero(void)
{
    return (v8){{0}};
}
static inline v8 v8_set1(const float *p)
{
    v8 y;
    for (int i = 0; i < 8; i++)
        y.x[i] = *p;
    return y;
}
static inline v8 v8_fma(v8 a, v8 b, v8 c)
{
    for (int i = 0; i < 8; i++)
        c.x[i] = fmaf(a.x[i], b.x[i], c.x[i]);
    return c;
}
static inline void v8_turn(v8 x[8])
{
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < k; i++) {
            float keep = x[k].x[i];
            x[k].x[i] = x[i].x[k];
            x[i].x[k] = keep;
        }
}

#endif

/* Eight elements of a row of F32, F16 or BF16, widened; n < 8: the others are 0. */
static inline v8 v8_load_as(glot_dtype dtype, const void *row, int64_t first)
{
    if (dtype == GLOT_F32)
        return v8_load((const float *)row + first);
    const uint16_t *p = (const uint16_t *)row + first;
    return dtype == GLOT_F16 ? v8_load_f16(p) : v8_load_bf16(p);
}
static inline v8 v8_load_as_n(glot_dtype dtype, const void *row, int64_t first, int64_t n)
{
    if (n >= 8)
        return v8_load_as(dtype, row, first);
    float wide[8] = {0};
    uint16_t narrow[8] = {0};
    if (dtype == GLOT_F32) {
        memcpy(wide, (const float *)row + first, (size_t)n * sizeof *wide);
        return v8_load(wide);
    }
    memcpy(narrow, (const uint16_t *)row + first, (size_t)n * sizeof *narrow);
    return v8_load_as(dtype, narrow, 0);
}

#endif
