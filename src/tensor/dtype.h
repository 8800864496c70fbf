/* dtype.h: element types. One list: name, bytes of a block, elements in a block, safetensors name ("" where
 * it has none), GGUF type number (-1 where it has none). Quantised blocks run along the last dimension. */
#ifndef GLOT_TENSOR_DTYPE_H
#define GLOT_TENSOR_DTYPE_H

#include "base/error.h"

#define GLOT_DTYPE_LIST(X)                                                                                   \
    X(F32, 4, 1, "F32", 0)                                                                                   \
    X(F16, 2, 1, "F16", 1)                                                                                   \
    X(BF16, 2, 1, "BF16", 30)                                                                                \
    X(F64, 8, 1, "F64", 28)                                                                                  \
    X(I32, 4, 1, "I32", 26)                                                                                  \
    X(I64, 8, 1, "I64", 27)                                                                                  \
    X(U8, 1, 1, "U8", -1)                                                                                    \
    X(Q4_0, 18, 32, "", 2)                                                                                   \
    X(Q4_1, 20, 32, "", 3)                                                                                   \
    X(Q5_0, 22, 32, "", 6)                                                                                   \
    X(Q5_1, 24, 32, "", 7)                                                                                   \
    X(Q8_0, 34, 32, "", 8)                                                                                   \
    X(Q4_K, 144, 256, "", 12)                                                                                \
    X(Q5_K, 176, 256, "", 13)                                                                                \
    X(Q6_K, 210, 256, "", 14)

typedef enum glot_dtype {
#define GLOT_DTYPE_ENUM(name, bytes, elements, safetensors, gguf) GLOT_##name,
    GLOT_DTYPE_LIST(GLOT_DTYPE_ENUM)
#undef GLOT_DTYPE_ENUM
    GLOT_N_DTYPES
} glot_dtype;

const char *glot_dtype_name(glot_dtype dtype);
/* safetensors' name, or NULL where the format has none. */
const char *glot_dtype_safetensors(glot_dtype dtype);
bool glot_dtype_from_safetensors(glot_dtype *out, const char *name);
bool glot_dtype_from_gguf(glot_dtype *out, uint32_t type);
size_t glot_dtype_block_bytes(glot_dtype dtype);
size_t glot_dtype_block_elements(glot_dtype dtype);
/* Bytes of n elements; false where n is no whole number of blocks or the size overflows. */
bool glot_dtype_bytes(size_t *out, glot_dtype dtype, size_t n);

/* Exact conversions of one element. bf16 and f16 round to nearest even; NaN stays NaN. */
float glot_f16_to_f32(uint16_t half);
uint16_t glot_f32_to_f16(float value);
float glot_bf16_to_f32(uint16_t bits);
uint16_t glot_f32_to_bf16(float value);
/* As products in bf16 take their operands: the same, but a subnormal number becomes 0 of its sign. */
uint16_t glot_f32_to_bf16_operand(float value);

/* Element i of an array of a type that is not quantised; what is written is rounded to the type. */
double glot_dtype_get(glot_dtype dtype, const void *array, int64_t i);
void glot_dtype_set(glot_dtype dtype, void *array, int64_t i, double value);

#endif
