/* values.c: a tensor's numbers, a chunk of whole blocks at a time. */
#include "format/values.h"
#include "format/gguf.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 4096 }; /* elements: a whole number of any type's blocks, small enough for the stack */

static bool holds_reals(glot_dtype dtype)
{
    return dtype != GLOT_I32 && dtype != GLOT_I64 && dtype != GLOT_U8;
}

/* Elements first .. first + n as double. */
static void read_values(double *out, const glot_tensor *t, size_t first, size_t n)
{
    const uint8_t *blocks = (const uint8_t *)t->addr +
                            first / glot_dtype_block_elements(t->dtype) * glot_dtype_block_bytes(t->dtype);
    float values[CHUNK];
    if (t->dtype == GLOT_F64) {
        memcpy(out, blocks, n * sizeof *out);
        return;
    }
    glot_dequantize(values, blocks, t->dtype, n);
    for (size_t i = 0; i < n; i++)
        out[i] = (double)values[i];
}

static glot_status bad_value(const glot_stored_tensor *t, size_t element, double value, glot_error *err)
{
    glot_tensor place = t->tensor; /* its shape becomes the element's indices */
    char text[96];
    for (int d = place.n_dims - 1; d >= 0; d--) {
        place.shape[d] = (int64_t)(element % (size_t)t->tensor.shape[d]);
        element /= (size_t)t->tensor.shape[d];
    }
    return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': tensor '%s' has %s at %s, expected finite numbers", t->file,
                     t->name, isnan(value) ? "a NaN" : "an infinity", glot_tensor_shape_text(&place, text));
}

glot_status glot_stored_check_values(const glot_stored_tensor *t, glot_error *err)
{
    double values[CHUNK];
    size_t n = holds_reals(t->tensor.dtype) ? (size_t)glot_tensor_elements(&t->tensor) : 0;
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t count = n - first < CHUNK ? n - first : CHUNK;
        read_values(values, &t->tensor, first, count);
        for (size_t i = 0; i < count; i++)
            if (!isfinite(values[i]))
                return bad_value(t, first + i, values[i], err);
    }
    return GLOT_OK;
}
