/* The table of element types, and every 16-bit float to float32 and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "tensor/dtype.h"
#include "tensor/tensor.h"

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* What a half means, by its definition. */
static double half_value(uint32_t half)
{
    int exponent = (int)(half >> 10 & 31);
    double mantissa = (double)(half & 1023);
    double magnitude = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}

static bool half_is_finite(uint32_t half)
{
    return (half & 0x7c00) != 0x7c00;
}

static void every_half_means_its_definition(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        float value = glot_f16_to_f32((uint16_t)half);
        assert_int_equal(bits_of(value) >> 31, half >> 15);
        if (half_is_finite(half))
            assert_true((double)value == half_value(half));
        else if (half & 1023)
            assert_true(isnan(value));
        else
            assert_true(isinf(value));
    }
}

static void every_half_comes_back(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        uint16_t back = glot_f32_to_f16(glot_f16_to_f32((uint16_t)half));
        bool is_nan = !half_is_finite(half) && (half & 1023);
        assert_int_equal(back, is_nan ? half | 0x200 : half); /* NaN comes back quiet */
    }
}

static void every_bf16_comes_back(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = glot_bf16_to_f32((uint16_t)bits);
        assert_int_equal(bits_of(value), bits << 16);
        bool is_nan = (bits & 0x7f80) == 0x7f80 && (bits & 0x7f);
        assert_int_equal(glot_f32_to_bf16(value), is_nan ? bits | 0x40 : bits);
    }
}

/* Between every two neighbouring halves: the middle goes to the even one, a hair beside it to the nearer one.
 */
static void f16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 0x7c00; half++) {
        double low = half_value(half), high = half + 1 < 0x7c00 ? half_value(half + 1) : 65536.0;
        float middle = (float)((low + high) / 2);
        uint32_t even = half & 1 ? half + 1 : half;
        assert_true((double)middle == (low + high) / 2);
        assert_int_equal(glot_f32_to_f16(middle), even);
        assert_int_equal(glot_f32_to_f16(nextafterf(middle, 0.0f)), half);
        assert_int_equal(glot_f32_to_f16(nextafterf(middle, 1e9f)), half + 1); /* infinity above the last */
        assert_int_equal(glot_f32_to_f16(-middle), even | 0x8000);
        assert_int_equal(glot_f32_to_f16(nextafterf(-middle, 0.0f)), half | 0x8000);
        assert_int_equal(glot_f32_to_f16(nextafterf(-middle, -1e9f)), (half + 1) | 0x8000);
    }
}

static void bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x7f80; bits++)
        for (uint32_t sign = 0; sign <= 1; sign++) {
            uint32_t top = bits | sign << 15;
            const uint32_t low_bits[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
            const uint32_t expected[] = {top, top, top, top + (top & 1), top + 1, top + 1};
            for (int i = 0; i < 6; i++) {
                uint32_t all = top << 16 | low_bits[i];
                float value;
                memcpy(&value, &all, sizeof value);
                assert_int_equal(glot_f32_to_bf16(value), expected[i]);
            }
        }
}

static void nan_and_infinity_stay(void **state)
{
    (void)state;
    const uint32_t nans[] = {0x7f800001, 0x7fc00000, 0x7fffffff, 0xff800001, 0xffffffff};
    for (int i = 0; i < 5; i++) {
        float value;
        memcpy(&value, &nans[i], sizeof value);
        assert_true(isnan(glot_f16_to_f32(glot_f32_to_f16(value))));
        assert_true(isnan(glot_bf16_to_f32(glot_f32_to_bf16(value))));
    }
    assert_int_equal(glot_f32_to_f16(INFINITY), 0x7c00);
    assert_int_equal(glot_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(glot_f32_to_f16(3e38f), 0x7c00);
    assert_int_equal(glot_f32_to_bf16(INFINITY), 0x7f80);
    assert_int_equal(glot_f32_to_bf16(3.4028235e38f), 0x7f80);
    assert_int_equal(glot_f32_to_f16(1e-40f), 0);
    assert_int_equal(glot_f32_to_f16(-1e-40f), 0x8000);
}

/* The sizes of ggml's block structures, written out. */
static void blocks_have_their_sizes(void **state)
{
    (void)state;
    const struct {
        glot_dtype dtype;
        size_t bytes, elements;
    } rows[GLOT_N_DTYPES] = {
        {GLOT_F32, 4, 1},
        {GLOT_F16, 2, 1},
        {GLOT_BF16, 2, 1},
        {GLOT_F64, 8, 1},
        {GLOT_I32, 4, 1},
        {GLOT_I64, 8, 1},
        {GLOT_U8, 1, 1},
        {GLOT_Q4_0, 2 + 16, 32},
        {GLOT_Q4_1, 2 + 2 + 16, 32},
        {GLOT_Q5_0, 2 + 4 + 16, 32},
        {GLOT_Q5_1, 2 + 2 + 4 + 16, 32},
        {GLOT_Q8_0, 2 + 32, 32},
        {GLOT_Q4_K, 2 + 2 + 12 + 128, 256},
        {GLOT_Q5_K, 2 + 2 + 12 + 32 + 128, 256},
        {GLOT_Q6_K, 128 + 64 + 16 + 2, 256},
    };
    for (int i = 0; i < GLOT_N_DTYPES; i++) {
        size_t bytes;
        assert_int_equal(glot_dtype_block_bytes(rows[i].dtype), rows[i].bytes);
        assert_int_equal(glot_dtype_block_elements(rows[i].dtype), rows[i].elements);
        assert_true(glot_dtype_bytes(&bytes, rows[i].dtype, 7 * rows[i].elements));
        assert_int_equal(bytes, 7 * rows[i].bytes);
        assert_true(rows[i].elements == 1 || !glot_dtype_bytes(&bytes, rows[i].dtype, rows[i].elements + 1));
        bool can_overflow = rows[i].bytes > rows[i].elements;
        assert_true(!can_overflow || !glot_dtype_bytes(&bytes, rows[i].dtype, SIZE_MAX));
    }
}

static void names_find_their_types(void **state)
{
    (void)state;
    int n_named = 0;
    for (int i = 0; i < GLOT_N_DTYPES; i++) {
        glot_dtype found;
        const char *name = glot_dtype_safetensors((glot_dtype)i);
        n_named += name != NULL;
        assert_true(!name || (glot_dtype_from_safetensors(&found, name) && found == (glot_dtype)i));
    }
    glot_dtype dtype;
    assert_int_equal(n_named, 7);
    assert_false(glot_dtype_from_safetensors(&dtype, ""));
    assert_false(glot_dtype_from_safetensors(&dtype, "f32"));
    assert_true(glot_dtype_from_gguf(&dtype, 14) && dtype == GLOT_Q6_K);
    assert_false(glot_dtype_from_gguf(&dtype, 4));
    assert_false(glot_dtype_from_gguf(&dtype, UINT32_MAX));
    assert_string_equal(glot_dtype_name(GLOT_Q5_K), "Q5_K");
}

static void shapes_from_files_are_checked(void **state)
{
    (void)state;
    size_t bytes = 0;
    glot_tensor t = glot_tensor_2d(GLOT_F32, INT64_C(1) << 40, INT64_C(1) << 40);
    assert_false(glot_tensor_bytes_checked(&bytes, &t));
    t = glot_tensor_2d(GLOT_F32, INT64_C(1) << 31, INT64_C(1) << 31);
    assert_false(glot_tensor_bytes_checked(&bytes, &t)); /* 2^64 bytes */
    t = glot_tensor_2d(GLOT_F32, -1, -1);
    assert_false(glot_tensor_bytes_checked(&bytes, &t));
    t = glot_tensor_2d(GLOT_Q4_0, 32, 16);
    assert_false(glot_tensor_bytes_checked(&bytes, &t)); /* blocks do not cross rows */
    t = glot_tensor_2d(GLOT_Q4_0, 16, 32);
    assert_true(glot_tensor_bytes_checked(&bytes, &t) && bytes == 16 * 18);
    t = glot_tensor_2d(GLOT_BF16, 50000, 50000);
    assert_true(glot_tensor_bytes_checked(&bytes, &t) && bytes == 5000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_means_its_definition), cmocka_unit_test(every_half_comes_back),
        cmocka_unit_test(every_bf16_comes_back),           cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_rounds_to_nearest_even),     cmocka_unit_test(nan_and_infinity_stay),
        cmocka_unit_test(blocks_have_their_sizes),         cmocka_unit_test(names_find_their_types),
        cmocka_unit_test(shapes_from_files_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
