/* mathf.h
 *
 * Float functions whose bits are the same on every machine: fused multiply-add, multiplication, addition
 * and exponent insertion only, in one order. cpu/v16.h has the same function for 16 lanes at once, bit for
 * bit.
 *
 *   exp(x) = 2^n * exp(r),  n = round(x / ln 2),  r = x - n ln 2 in two steps,  exp(r) = 1 + (r + r^2 q(r))
 *
 * q is a polynomial of degree 4, least greatest relative error on |r| <= ln 2 / 2 (3e-9), coefficients
 * rounded to float one after the other with the rest fitted again.
 */
#ifndef GLOT_TENSOR_MATHF_H
#define GLOT_TENSOR_MATHF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define GLOT_EXP_LOW (-105.0f) /* exp rounds to 0 from here down */
#define GLOT_EXP_HIGH 89.0f    /* and to infinity from here up */
#define GLOT_EXP_LOG2E 0x1.715476p+0f
#define GLOT_EXP_ROUND 0x1.8p+23f /* added and taken away: rounds to a whole number, left in the low bits */
#define GLOT_EXP_LN2_HIGH 0x1.62e43p-1f
#define GLOT_EXP_LN2_LOW (-0x1.05c61p-29f)
#define GLOT_EXP_Q0 0x1.fffffcp-2f
#define GLOT_EXP_Q1 0x1.555492p-3f
#define GLOT_EXP_Q2 0x1.5558bp-5f
#define GLOT_EXP_Q3 0x1.12398ep-7f
#define GLOT_EXP_Q4 0x1.6a4d5ap-10f

static inline float glot_float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t glot_bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A step of a sum in bf16: sum + a b rounded once, a subnormal result 0 of its sign. a and b hold bf16
 * numbers, so that their product is exact. This is what one half of AVX512-BF16's vdpbf16ps does. */
static inline float glot_bf16_fma(float a, float b, float sum)
{
    sum = fmaf(a, b, sum);
    return fabsf(sum) < 0x1p-126f ? copysignf(0.0f, sum) : sum;
}

/* e^x within 1.02 ulp (measured over all floats; subnormal results too), NaN for NaN. */
static inline float glot_expf(float x)
{
    x = GLOT_EXP_LOW > x ? GLOT_EXP_LOW : x; /* written so that a NaN stays */
    x = GLOT_EXP_HIGH < x ? GLOT_EXP_HIGH : x;
    float shifted = fmaf(x, GLOT_EXP_LOG2E, GLOT_EXP_ROUND);
    float n = shifted - GLOT_EXP_ROUND;
    float r = fmaf(n, -GLOT_EXP_LN2_HIGH, x);
    r = fmaf(n, -GLOT_EXP_LN2_LOW, r);
    float q = fmaf(GLOT_EXP_Q4, r, GLOT_EXP_Q3);
    q = fmaf(q, r, GLOT_EXP_Q2);
    q = fmaf(q, r, GLOT_EXP_Q1);
    q = fmaf(q, r, GLOT_EXP_Q0);
    float e = fmaf(r * r, q, r) + 1.0f;
    /* 2^n in two factors: n reaches from -151 to 128, past what one float exponent holds. */
    uint32_t n_bits = glot_bits_of_float(shifted) - glot_bits_of_float(GLOT_EXP_ROUND);
    uint32_t half = (uint32_t)((int32_t)n_bits >> 1);
    float scaled = e * glot_float_of_bits((half + 127) << 23);
    return scaled * glot_float_of_bits((n_bits - half + 127) << 23);
}

#endif
