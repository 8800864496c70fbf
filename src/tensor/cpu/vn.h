/* vn.h
 *
 * A vector of the instruction set's own width, for loops that keep one output in each lane: how many lanes
 * there are shows in no bit of
 * a result. v16.h is for what runs along a row. */
#ifndef GLOT_TENSOR_CPU_VN_H
#define GLOT_TENSOR_CPU_VN_H

#include "tensor/cpu/v8.h"

#if GLOT_ISA_LEVEL >= 2
typedef __m512 vn;
#define vn_load _mm512_loadu_ps
#define vn_store _mm512_storeu_ps
#define vn_set1(p) _mm512_set1_ps(*(p))
#define vn_zero _mm512_setzero_ps
#define vn_add _mm512_add_ps
#define vn_div _mm512_div_ps
#define vn_fma _mm512_fmadd_ps
#elif GLOT_ISA_LEVEL == 1
typedef __m256 vn;
#define vn_load _mm256_loadu_ps
#define vn_store _mm256_storeu_ps
#define vn_set1(p) _mm256_broadcast_ss(p)
#define vn_zero _mm256_setzero_ps
#define vn_add _mm256_add_ps
#define vn_div _mm256_div_ps
#define vn_fma _mm256_fmadd_ps
#else
typedef v8 vn;
#define vn_load v8_load
#define vn_store v8_store
#define vn_set1 v8_set1
#define vn_zero v8_zero
#define vn_fma v8_fma
static inline vn vn_add(vn a, vn b)
{
    for (int i = 0; i < 8; i++)
        a.x[i] += b.x[i];
    return a;
}
static inline vn vn_div(vn a, vn b)
{
    for (int i = 0; i < 8; i++)
        a.x[i] /= b.x[i];
    return a;
}
#endif

enum { VN_LANES = sizeof(vn) / sizeof(float) };

/* sum + x_0 b_0, then + x_1 b_1, of pairs of bf16 numbers, the first in the high half (glot_bf16_fma). */
#if GLOT_ISA_LEVEL == 3
static inline vn vn_pairs(vn x, vn b, vn sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)b); /* the high halves first */
}
#else
static inline vn vn_pairs(vn x, vn b, vn sum)
{
    uint32_t xs[VN_LANES], bs[VN_LANES];
    float sums[VN_LANES];
    memcpy(xs, &x, sizeof xs);
    memcpy(bs, &b, sizeof bs);
    memcpy(sums, &sum, sizeof sums);
    for (int i = 0; i < VN_LANES; i++) {
        sums[i] = glot_bf16_fma(glot_float_of_bits(xs[i] & 0xffff0000u),
                                glot_float_of_bits(bs[i] & 0xffff0000u), sums[i]);
        sums[i] = glot_bf16_fma(glot_float_of_bits(xs[i] << 16), glot_float_of_bits(bs[i] << 16), sums[i]);
    }
    memcpy(&sum, sums, sizeof sums);
    return sum;
}
#endif

/* VN_LANES elements of a row of F32, F16 or BF16 from `first`, widened; n < VN_LANES: the others are 0. */
static inline vn vn_load_as_n(glot_dtype dtype, const void *row, int64_t first, int64_t n)
{
#if GLOT_ISA_LEVEL >= 2
    return n >= VN_LANES ? v16_load_as(dtype, row, first) : v16_load_as_n(dtype, row, first, n);
#else
    return v8_load_as_n(dtype, row, first, n);
#endif
}

/* Both halves of VN_LANES pairs of bf16 numbers as they lie in memory, the first in the low half, widened. */
static inline void vn_widen_pairs(vn pairs, vn *first, vn *second)
{
#if GLOT_ISA_LEVEL >= 2
    __m512i bits = _mm512_castps_si512(pairs);
    *first = _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
    *second = _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32((int)0xffff0000u)));
#elif GLOT_ISA_LEVEL == 1
    __m256i bits = _mm256_castps_si256(pairs);
    *first = _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16));
    *second = _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32((int)0xffff0000u)));
#else
    for (int i = 0; i < VN_LANES; i++) {
        uint32_t bits = glot_bits_of_float(pairs.x[i]);
        first->x[i] = glot_float_of_bits(bits << 16);
        second->x[i] = glot_float_of_bits(bits & 0xffff0000u);
    }
#endif
}

/* In place: x[i] lane k to x[k] lane i. */
#if GLOT_ISA_LEVEL >= 2
static inline void vn_turn(vn x[16])
{
    __m512d quads[16]; /* [4 i + c]: in each quarter q the elements 4 q + c of rows 4 i .. 4 i + 3 */
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(x[i], x[i + 1]));
        __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(x[i], x[i + 1]));
        __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(x[i + 2], x[i + 3]));
        __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(x[i + 2], x[i + 3]));
        quads[i] = _mm512_unpacklo_pd(low01, low23);
        quads[i + 1] = _mm512_unpackhi_pd(low01, low23);
        quads[i + 2] = _mm512_unpacklo_pd(high01, high23);
        quads[i + 3] = _mm512_unpackhi_pd(high01, high23);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        __m512 a = _mm512_castpd_ps(quads[c]), b = _mm512_castpd_ps(quads[4 + c]);
        __m512 d = _mm512_castpd_ps(quads[8 + c]), e = _mm512_castpd_ps(quads[12 + c]);
        __m512 even_ab = _mm512_shuffle_f32x4(a, b, 0x88), odd_ab = _mm512_shuffle_f32x4(a, b, 0xdd);
        __m512 even_de = _mm512_shuffle_f32x4(d, e, 0x88), odd_de = _mm512_shuffle_f32x4(d, e, 0xdd);
        x[c] = _mm512_shuffle_f32x4(even_ab, even_de, 0x88);
        x[4 + c] = _mm512_shuffle_f32x4(odd_ab, odd_de, 0x88);
        x[8 + c] = _mm512_shuffle_f32x4(even_ab, even_de, 0xdd);
        x[12 + c] = _mm512_shuffle_f32x4(odd_ab, odd_de, 0xdd);
    }
}
#else
static inline void vn_turn(vn x[8])
{
    v8_turn(x);
}
#endif

#endif
