/* Block types to float32, against the values of the gguf package (tools/formats/make_golden.py). */
#include "format_util.h"

#include "format/gguf.h"

/* The values must be equal in every bit. */
static void check_type(const char **at, const char *end)
{
    uint32_t head[2];
    memcpy(head, *at, sizeof head);
    glot_dtype dtype;
    assert_true(glot_dtype_from_gguf(&dtype, head[0]));
    size_t n = head[1] * glot_dtype_block_elements(dtype), bytes = head[1] * glot_dtype_block_bytes(dtype);
    const char *blocks = *at + sizeof head, *expected = blocks + bytes;
    assert_true(expected + n * sizeof(float) <= end);
    float *got = calloc(n, sizeof *got);
    assert_non_null(got);
    glot_dequantize(got, blocks, dtype, n);
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, expected + i * sizeof value, sizeof value);
        if (memcmp(&value, &got[i], sizeof value) != 0)
            fail_msg("%s element %zu: got %.9g, expected %.9g", glot_dtype_name(dtype), i, (double)got[i],
                     (double)value);
    }
    free(got);
    *at = expected + n * sizeof(float);
}

static void every_type_has_the_reference_values(void **state)
{
    (void)state;
    char *data;
    size_t size;
    int n_types = 0;
    read_whole(&data, &size, GOLDEN_DIR "blocks.bin");
    for (const char *at = data; at < data + size; n_types++)
        check_type(&at, data + size);
    assert_int_equal(n_types, 10);
    glot_free(data);
}

static void float32_is_copied(void **state)
{
    (void)state;
    const float in[3] = {1.5f, -0.0f, 3e38f};
    float out[3];
    glot_dequantize(out, in, GLOT_F32, 3);
    assert_memory_equal(in, out, sizeof in);
}

/* Whole blocks only are touched: the element behind the last one stays. */
static void nothing_behind_the_end_is_written(void **state)
{
    (void)state;
    const glot_dtype types[] = {GLOT_F32,  GLOT_F16,  GLOT_BF16, GLOT_Q4_0, GLOT_Q4_1, GLOT_Q5_0,
                                GLOT_Q5_1, GLOT_Q8_0, GLOT_Q4_K, GLOT_Q5_K, GLOT_Q6_K};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t n = 3 * glot_dtype_block_elements(types[i]);
        uint8_t *blocks = calloc(3, glot_dtype_block_bytes(types[i]));
        float *out = malloc((n + 1) * sizeof *out);
        assert_true(blocks && out);
        out[n] = 42.0f;
        glot_dequantize(out, blocks, types[i], n);
        assert_true(out[n] == 42.0f && out[n - 1] == 0.0f);
        free(out);
        free(blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_the_reference_values),
        cmocka_unit_test(float32_is_copied),
        cmocka_unit_test(nothing_behind_the_end_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
