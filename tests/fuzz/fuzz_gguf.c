/* fuzz_gguf.c: any bytes through the GGUF reader; of what opens, every key goes through every getter and is
 * printed, and the start and end of every tensor are dequantised.
 *
 * links: format
 */
#include "format/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double touched;

static void get_everything(const glot_gguf *g, const char *key)
{
    int64_t integer = 0;
    double real = 0;
    bool flag = false;
    const char *text = "";
    const char *const *strings = NULL;
    const int64_t *integers = NULL;
    const float *reals = NULL;
    size_t n = 0;
    glot_error err = {0};
    int n_right = 0;
    n_right += glot_gguf_int(g, key, &integer, &err) == GLOT_OK;
    n_right += glot_gguf_bool(g, key, &flag, &err) == GLOT_OK;
    n_right += glot_gguf_string(g, key, &text, &err) == GLOT_OK;
    n_right += glot_gguf_strings(g, key, &strings, &n, &err) == GLOT_OK;
    n_right += glot_gguf_ints(g, key, &integers, &n, &err) == GLOT_OK;
    n_right += glot_gguf_reals(g, key, &reals, &n, &err) == GLOT_OK;
    GLOT_ASSERT(n_right <= 1);
    if (glot_gguf_real(g, key, &real, &err) == GLOT_OK)
        touched = real;
    if (n && strings)
        touched = (double)strings[n - 1][0];
    if (n && integers)
        touched = (double)integers[n - 1];
    if (n && reals)
        touched = (double)reals[n - 1];
    touched = (double)text[0];
}

static void dequantise_ends(const glot_tensor *t)
{
    float out[256];
    size_t bytes = glot_tensor_bytes(t), block = glot_dtype_block_bytes(t->dtype);
    bool has_no_float32 = t->dtype == GLOT_I32 || t->dtype == GLOT_I64 || t->dtype == GLOT_F64;
    if (bytes == 0 || has_no_float32)
        return;
    size_t n = glot_dtype_block_elements(t->dtype);
    glot_dequantize(out, t->addr, t->dtype, n);
    glot_dequantize(out, (const uint8_t *)t->addr + bytes - block, t->dtype, n);
    touched = (double)out[n - 1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    glot_error err = {0};
    glot_gguf *g = NULL;
    glot_str text = {0};
    if (glot_gguf_parse(&g, data, size, "fuzz", &err) != GLOT_OK) {
        GLOT_ASSERT(err.status != GLOT_OK && err.message[0]);
        return 0;
    }
    for (size_t i = 0; i < glot_gguf_n_keys(g); i++) {
        GLOT_ASSERT(glot_gguf_has(g, glot_gguf_key(g, i)));
        get_everything(g, glot_gguf_key(g, i));
        glot_gguf_print_value(g, i, &text);
    }
    for (size_t i = 0; i < glot_gguf_count(g); i++) {
        const glot_stored_tensor *t = glot_gguf_at(g, i);
        GLOT_ASSERT(glot_gguf_find(g, t->name) == t);
        dequantise_ends(&t->tensor);
    }
    GLOT_ASSERT(!text.failed);
    glot_str_release(&text);
    glot_gguf_close(g);
    return 0;
}
