/* blocks.c
 *
 * Block types to float32. A block is a run of 32 or 256 elements of one row; its scales are IEEE halves.
 * Layouts are those of ggml's block structures, the values those of its dequantize_row functions: every
 * product below has at most 24 significant bits and is therefore exact in float32, so only the one addition
 * of an offset rounds, in whatever order and with whatever fused operation ggml was compiled.
 *
 *   Q4_0   d, 16 bytes             (q - 8) d        low nibbles are elements 0-15, high nibbles 16-31
 *   Q4_1   d, m, 16 bytes          q d + m
 *   Q5_0   d, 4 bytes, 16 bytes    (q - 16) d       the 4 bytes hold the fifth bit of each element
 *   Q5_1   d, m, 4, 16 bytes       q d + m
 *   Q8_0   d, 32 int8              q d
 *   Q4_K   d, dmin, 12, 128        q (d s) - dmin m   8 groups of 32, their 6-bit s and m packed into 12
 * bytes Q5_K   d, dmin, 12, 32, 128    the same; bit g of byte i of the 32 is the fifth bit of element i of
 * group g Q6_K   128, 64, 16 int8, d     (q - 32) (d s)     16 groups of 16; 4 low bits, 2 high bits
 */
#include "format/gguf.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are read as they lie in the file");

static uint16_t u16_at(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t u32_at(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static float half_at(const uint8_t *bytes)
{
    return glot_f16_to_f32(u16_at(bytes));
}

/* Types without blocks. */
static void widen(float *restrict out, const uint8_t *restrict bytes, glot_dtype dtype, size_t n)
{
    if (dtype == GLOT_F32)
        memcpy(out, bytes, n * sizeof *out);
    else if (dtype == GLOT_F16)
        for (size_t i = 0; i < n; i++)
            out[i] = half_at(bytes + 2 * i);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = glot_bf16_to_f32(u16_at(bytes + 2 * i));
}

static void block_q4_0(float *restrict out, const uint8_t *restrict block)
{
    float d = half_at(block);
    for (int i = 0; i < 16; i++) {
        out[i] = (float)((block[2 + i] & 15) - 8) * d;
        out[i + 16] = (float)((block[2 + i] >> 4) - 8) * d;
    }
}

static void block_q4_1(float *restrict out, const uint8_t *restrict block)
{
    float d = half_at(block), m = half_at(block + 2);
    for (int i = 0; i < 16; i++) {
        out[i] = (float)(block[4 + i] & 15) * d + m;
        out[i + 16] = (float)(block[4 + i] >> 4) * d + m;
    }
}

static void block_q5_0(float *restrict out, const uint8_t *restrict block)
{
    float d = half_at(block);
    uint32_t fifth = u32_at(block + 2);
    for (int i = 0; i < 16; i++) {
        int low = (block[6 + i] & 15) | (int)(fifth >> i & 1) << 4;
        int high = block[6 + i] >> 4 | (int)(fifth >> (i + 16) & 1) << 4;
        out[i] = (float)(low - 16) * d;
        out[i + 16] = (float)(high - 16) * d;
    }
}

static void block_q5_1(float *restrict out, const uint8_t *restrict block)
{
    float d = half_at(block), m = half_at(block + 2);
    uint32_t fifth = u32_at(block + 4);
    for (int i = 0; i < 16; i++) {
        int low = (block[8 + i] & 15) | (int)(fifth >> i & 1) << 4;
        int high = block[8 + i] >> 4 | (int)(fifth >> (i + 16) & 1) << 4;
        out[i] = (float)low * d + m;
        out[i + 16] = (float)high * d + m;
    }
}

static void block_q8_0(float *restrict out, const uint8_t *restrict block)
{
    float d = half_at(block);
    for (int i = 0; i < 32; i++)
        out[i] = (float)(int8_t)block[2 + i] * d;
}

/* The 6-bit scale and minimum of group g (0-7): groups 0-3 have theirs in the low bits of bytes 0-3 and 4-7;
 * groups 4-7 have the low nibbles in bytes 8-11 and the two high bits on top of bytes 0-7. */
static void k_scale(int *scale, int *minimum, const uint8_t *packed, int g)
{
    if (g < 4) {
        *scale = packed[g] & 63;
        *minimum = packed[g + 4] & 63;
    } else {
        *scale = (packed[g + 4] & 15) | (packed[g - 4] >> 6) << 4;
        *minimum = packed[g + 4] >> 4 | (packed[g] >> 6) << 4;
    }
}

static void block_q4_k(float *restrict out, const uint8_t *restrict block)
{
    float d = half_at(block), dmin = half_at(block + 2);
    for (int g = 0; g < 8; g++) {
        int scale, minimum;
        k_scale(&scale, &minimum, block + 4, g);
        float step = d * (float)scale, offset = dmin * (float)minimum;
        const uint8_t *nibbles = block + 16 + 32 * (g / 2); /* two groups share 32 bytes */
        int shift = 4 * (g & 1);
        for (int i = 0; i < 32; i++)
            out[32 * g + i] = step * (float)(nibbles[i] >> shift & 15) - offset;
    }
}

static void block_q5_k(float *restrict out, const uint8_t *restrict block)
{
    float d = half_at(block), dmin = half_at(block + 2);
    const uint8_t *fifth = block + 16;
    for (int g = 0; g < 8; g++) {
        int scale, minimum;
        k_scale(&scale, &minimum, block + 4, g);
        float step = d * (float)scale, offset = dmin * (float)minimum;
        const uint8_t *nibbles = block + 48 + 32 * (g / 2);
        int shift = 4 * (g & 1);
        for (int i = 0; i < 32; i++) {
            int q = (nibbles[i] >> shift & 15) | (fifth[i] >> g & 1) << 4;
            out[32 * g + i] = step * (float)q - offset;
        }
    }
}

/* Each half of 128 elements has 64 bytes of nibbles and 32 bytes of high bits: quarter j (32 elements) takes
 * nibbles from bytes 32 (j % 2) onward, low for j < 2, and bits 2j of the high bytes. */
static void block_q6_k(float *restrict out, const uint8_t *restrict block)
{
    float d = half_at(block + 208);
    for (int g = 0; g < 16; g++) {
        int half = g / 8, quarter = g / 2 % 4, first = 16 * (g & 1);
        const uint8_t *nibbles = block + 64 * half + 32 * (quarter & 1) + first;
        const uint8_t *top = block + 128 + 32 * half + first;
        float step = d * (float)(int8_t)block[192 + g];
        for (int i = 0; i < 16; i++) {
            int q = (nibbles[i] >> (quarter & 2) * 2 & 15) | (top[i] >> 2 * quarter & 3) << 4;
            out[16 * g + i] = step * (float)(q - 32);
        }
    }
}

typedef void block_function(float *restrict out, const uint8_t *restrict block);

static block_function *const block_functions[GLOT_N_DTYPES] = {
    [GLOT_Q4_0] = block_q4_0, [GLOT_Q4_1] = block_q4_1, [GLOT_Q5_0] = block_q5_0, [GLOT_Q5_1] = block_q5_1,
    [GLOT_Q8_0] = block_q8_0, [GLOT_Q4_K] = block_q4_k, [GLOT_Q5_K] = block_q5_k, [GLOT_Q6_K] = block_q6_k,
};

void glot_dequantize(float *out, const void *blocks, glot_dtype dtype, size_t n)
{
    if (dtype == GLOT_F32 || dtype == GLOT_F16 || dtype == GLOT_BF16) {
        widen(out, blocks, dtype, n);
        return;
    }
    block_function *one_block = block_functions[dtype];
    size_t bytes = glot_dtype_block_bytes(dtype), elements = glot_dtype_block_elements(dtype);
    GLOT_ASSERT(one_block && n % elements == 0);
    for (size_t b = 0; b < n / elements; b++)
        one_block(out + b * elements, (const uint8_t *)blocks + b * bytes);
}
