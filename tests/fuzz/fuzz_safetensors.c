/* fuzz_safetensors.c: any bytes through the safetensors reader; of what opens, every tensor lies inside the
 * bytes (or in memory of its own), is found by its name, and follows the one before it.
 *
 * links: format
 */
#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t touched;

static void check_tensor(const glot_safetensors *s, const glot_stored_tensor *t)
{
    const uint8_t *bytes = t->tensor.addr;
    size_t n = glot_tensor_bytes(&t->tensor);
    GLOT_ASSERT(glot_safetensors_find(s, t->name) == t);
    if (n == 0)
        return;
    GLOT_ASSERT((uintptr_t)bytes % glot_dtype_block_bytes(t->tensor.dtype) == 0);
    touched = (uint8_t)(bytes[0] ^ bytes[n - 1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    glot_error err = {0};
    glot_safetensors *s = NULL;
    if (glot_safetensors_parse(&s, data, size, "fuzz", &err) != GLOT_OK) {
        GLOT_ASSERT(err.status != GLOT_OK && err.message[0]);
        return 0;
    }
    size_t total = 0;
    for (size_t i = 0; i < glot_safetensors_count(s); i++) {
        check_tensor(s, glot_safetensors_at(s, i));
        total += glot_tensor_bytes(&glot_safetensors_at(s, i)->tensor);
    }
    GLOT_ASSERT(total < size);
    glot_safetensors_metadata(s, "format");
    glot_safetensors_close(s);
    return 0;
}
