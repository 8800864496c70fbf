/* dtype.c: the table of element types and the conversions between the float ones. */
#include "tensor/dtype.h"
#include "base/memory.h"

#include <string.h>

typedef struct dtype_row {
    const char *name;
    const char *safetensors;
    size_t block_bytes, block_elements;
    int gguf;
} dtype_row;

static const dtype_row dtype_rows[GLOT_N_DTYPES] = {
#define DTYPE_ROW(name, bytes, elements, safetensors, gguf) {#name, safetensors, bytes, elements, gguf},
    GLOT_DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

const char *glot_dtype_name(glot_dtype dtype)
{
    return dtype_rows[dtype].name;
}

const char *glot_dtype_safetensors(glot_dtype dtype)
{
    return dtype_rows[dtype].safetensors[0] ? dtype_rows[dtype].safetensors : NULL;
}

bool glot_dtype_from_safetensors(glot_dtype *out, const char *name)
{
    for (int i = 0; i < GLOT_N_DTYPES; i++)
        if (name[0] && strcmp(dtype_rows[i].safetensors, name) == 0) {
            *out = (glot_dtype)i;
            return true;
        }
    return false;
}

bool glot_dtype_from_gguf(glot_dtype *out, uint32_t type)
{
    for (int i = 0; i < GLOT_N_DTYPES; i++)
        if (dtype_rows[i].gguf >= 0 && (uint32_t)dtype_rows[i].gguf == type) {
            *out = (glot_dtype)i;
            return true;
        }
    return false;
}

size_t glot_dtype_block_bytes(glot_dtype dtype)
{
    return dtype_rows[dtype].block_bytes;
}

size_t glot_dtype_block_elements(glot_dtype dtype)
{
    return dtype_rows[dtype].block_elements;
}

bool glot_dtype_bytes(size_t *out, glot_dtype dtype, size_t n)
{
    const dtype_row *row = &dtype_rows[dtype];
    return n % row->block_elements == 0 && glot_size_mul(out, n / row->block_elements, row->block_bytes);
}

static float bits_to_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t float_to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float glot_bf16_to_f32(uint16_t bits)
{
    return bits_to_float((uint32_t)bits << 16);
}

uint16_t glot_f32_to_bf16(float value)
{
    uint32_t bits = float_to_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40); /* a quiet NaN whatever the lost bits were */
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

uint16_t glot_f32_to_bf16_operand(float value)
{
    uint32_t bits = float_to_bits(value);
    bool is_subnormal = (bits & 0x7f800000u) == 0;
    return is_subnormal ? (uint16_t)(bits >> 16 & 0x8000u) : glot_f32_to_bf16(value);
}

float glot_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 31;
    uint32_t mantissa = half & 1023;
    if (exponent == 31)
        return bits_to_float(sign | 0x7f800000u | mantissa << 13);
    if (exponent)
        return bits_to_float(sign | (exponent + 112) << 23 | mantissa << 13);
    float tiny = (float)mantissa * 0x1p-24f; /* zero and subnormals: exact in float */
    return sign ? -tiny : tiny;
}

uint16_t glot_f32_to_f16(float value)
{
    uint32_t bits = float_to_bits(value);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000u) /* 65520 and up round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude <
        0x38800000u) { /* below 2^-14: subnormal; adding 0.5 puts the half's last bit at the float's */
        float shifted = bits_to_float(magnitude) + 0.5f;
        return (uint16_t)(sign | (float_to_bits(shifted) - 0x3f000000u));
    }
    uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (rounded - 0x38000000u) >> 13);
}

double glot_dtype_get(glot_dtype dtype, const void *array, int64_t i)
{
    switch (dtype) {
    case GLOT_F32:
        return (double)((const float *)array)[i];
    case GLOT_F64:
        return ((const double *)array)[i];
    case GLOT_F16:
        return (double)glot_f16_to_f32(((const uint16_t *)array)[i]);
    case GLOT_BF16:
        return (double)glot_bf16_to_f32(((const uint16_t *)array)[i]);
    case GLOT_I32:
        return ((const int32_t *)array)[i];
    default:
        GLOT_ASSERT(dtype == GLOT_U8);
        return ((const uint8_t *)array)[i];
    }
}

void glot_dtype_set(glot_dtype dtype, void *array, int64_t i, double value)
{
    switch (dtype) {
    case GLOT_F32:
        ((float *)array)[i] = (float)value;
        break;
    case GLOT_F64:
        ((double *)array)[i] = value;
        break;
    case GLOT_F16:
        ((uint16_t *)array)[i] = glot_f32_to_f16((float)value);
        break;
    case GLOT_BF16:
        ((uint16_t *)array)[i] = glot_f32_to_bf16((float)value);
        break;
    case GLOT_I32:
        ((int32_t *)array)[i] = (int32_t)value;
        break;
    default:
        GLOT_ASSERT(dtype == GLOT_U8);
        ((uint8_t *)array)[i] = (uint8_t)value;
        break;
    }
}
