/* pairs.h: numbers rounded to bf16 for products (glot_f32_to_bf16_operand), two in 32 bits, the first in the
 * high half. */
#ifndef GLOT_TENSOR_CPU_PAIRS_H
#define GLOT_TENSOR_CPU_PAIRS_H

#include "tensor/cpu/vn.h"

#if GLOT_ISA_LEVEL == 3

/* Lane i: the pair of first[i] and second[i]. */
static inline v16 pairs_of(v16 first, v16 second)
{
    static const uint16_t lanes[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8,  24, 9,  25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh(first, second); /* second's 16 numbers, then first's */
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(_mm512_loadu_si512(lanes), both));
}

/* Lane i: the pair of x[2 i] and x[2 i + 1]. */
static inline v8 neighbours_of(v16 x)
{
    return _mm256_castsi256_ps(_mm256_rol_epi32((__m256i)_mm512_cvtneps_pbh(x), 16));
}

#else

static inline uint32_t pair_of(float first, float second)
{
    return (uint32_t)glot_f32_to_bf16_operand(first) << 16 | glot_f32_to_bf16_operand(second);
}

static inline v16 pairs_of(v16 first, v16 second)
{
    float a[16], b[16];
    uint32_t pairs[16];
    v16_store(a, first);
    v16_store(b, second);
    for (int i = 0; i < 16; i++)
        pairs[i] = pair_of(a[i], b[i]);
    return v16_load((const float *)pairs);
}

static inline v8 neighbours_of(v16 x)
{
    float a[16];
    uint32_t pairs[8];
    v16_store(a, x);
    for (int i = 0; i < 8; i++)
        pairs[i] = pair_of(a[2 * i], a[2 * i + 1]);
    return v8_load((const float *)pairs);
}

#endif

static inline v16 load_16(glot_dtype dtype, const void *row, int64_t first, int64_t n)
{
    return n >= 16 ? v16_load_as(dtype, row, first) : v16_load_as_n(dtype, row, first, n);
}

/* VN_LANES pairs of a row of any type from element `first`; n of its elements exist, the others are 0. */
static inline vn vn_load_pairs(glot_dtype dtype, const void *row, int64_t first, int64_t n)
{
#if GLOT_ISA_LEVEL == 3
    if (dtype == GLOT_BF16 && n >= 2 * VN_LANES) {
        const char *at = (const char *)row + (size_t)first * sizeof(uint16_t);
        return _mm512_castsi512_ps(
            _mm512_rol_epi32(_mm512_loadu_si512(at), 16)); /* subnormals: vdpbf16ps takes them for 0 */
    }
#endif
    v8 low = neighbours_of(load_16(dtype, row, first, n));
#if GLOT_ISA_LEVEL >= 2
    v8 high = n > 16 ? neighbours_of(load_16(dtype, row, first + 16, n - 16)) : v8_zero();
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
#else
    return low;
#endif
}

#endif
