/* tensor.c: shapes and views. */
#include "tensor/tensor.h"
#include "base/memory.h"

#include <stdio.h>

static glot_tensor shaped(glot_dtype dtype, int n_dims, int64_t a, int64_t b, int64_t c)
{
    return (glot_tensor){.dtype = dtype, .n_dims = n_dims, .shape = {a, b, c, 1}};
}

glot_tensor glot_tensor_1d(glot_dtype dtype, int64_t n)
{
    return shaped(dtype, 1, n, 1, 1);
}

glot_tensor glot_tensor_2d(glot_dtype dtype, int64_t rows, int64_t cols)
{
    return shaped(dtype, 2, rows, cols, 1);
}

glot_tensor glot_tensor_3d(glot_dtype dtype, int64_t a, int64_t b, int64_t c)
{
    return shaped(dtype, 3, a, b, c);
}

int64_t glot_tensor_elements(const glot_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        n *= t->shape[i];
    return n;
}

bool glot_tensor_bytes_checked(size_t *out, const glot_tensor *t)
{
    size_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        if (t->shape[i] < 0 || !glot_size_mul(&n, n, (size_t)t->shape[i]))
            return false;
    bool whole_blocks =
        t->n_dims == 0 || (size_t)t->shape[t->n_dims - 1] % glot_dtype_block_elements(t->dtype) == 0;
    return n <= INT64_MAX && whole_blocks && glot_dtype_bytes(out, t->dtype, n);
}

size_t glot_tensor_bytes(const glot_tensor *t)
{
    size_t bytes = 0;
    bool fits = glot_tensor_bytes_checked(&bytes, t);
    GLOT_ASSERT(fits);
    return bytes;
}

int64_t glot_tensor_rows(const glot_tensor *t)
{
    return t->n_dims ? t->shape[0] : 1;
}

int64_t glot_tensor_cols(const glot_tensor *t)
{
    int64_t n = 1;
    for (int i = 1; i < t->n_dims; i++)
        n *= t->shape[i];
    return n;
}

glot_tensor glot_tensor_slice(const glot_tensor *t, int64_t first_row, int64_t n_rows)
{
    GLOT_ASSERT(first_row >= 0 && n_rows >= 0 && first_row + n_rows <= glot_tensor_rows(t));
    glot_tensor view = *t;
    size_t row_bytes;
    bool fits = glot_dtype_bytes(&row_bytes, t->dtype, (size_t)glot_tensor_cols(t));
    GLOT_ASSERT(fits);
    view.shape[0] = n_rows;
    if (t->addr)
        view.addr = (char *)t->addr + (size_t)first_row * row_bytes;
    return view;
}

static glot_tensor reshaped(const glot_tensor *t, glot_tensor shape)
{
    GLOT_ASSERT(glot_tensor_elements(t) == glot_tensor_elements(&shape));
    shape.addr = t->addr;
    return shape;
}

glot_tensor glot_tensor_as_2d(const glot_tensor *t, int64_t rows, int64_t cols)
{
    return reshaped(t, glot_tensor_2d(t->dtype, rows, cols));
}

glot_tensor glot_tensor_as_3d(const glot_tensor *t, int64_t a, int64_t b, int64_t c)
{
    return reshaped(t, glot_tensor_3d(t->dtype, a, b, c));
}

static glot_tensor prefixed(const glot_tensor *t, glot_tensor shape)
{
    GLOT_ASSERT(glot_tensor_elements(&shape) <= glot_tensor_elements(t));
    shape.addr = t->addr;
    return shape;
}

glot_tensor glot_tensor_prefix_1d(const glot_tensor *t, int64_t n)
{
    return prefixed(t, glot_tensor_1d(t->dtype, n));
}

glot_tensor glot_tensor_prefix_2d(const glot_tensor *t, int64_t rows, int64_t cols)
{
    return prefixed(t, glot_tensor_2d(t->dtype, rows, cols));
}

glot_tensor glot_tensor_prefix_3d(const glot_tensor *t, int64_t a, int64_t b, int64_t c)
{
    return prefixed(t, glot_tensor_3d(t->dtype, a, b, c));
}

bool glot_tensor_same_shape(const glot_tensor *a, const glot_tensor *b)
{
    if (a->n_dims != b->n_dims)
        return false;
    for (int i = 0; i < a->n_dims; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return true;
}

const char *glot_tensor_shape_text(const glot_tensor *t, char buffer[96])
{
    int used = snprintf(buffer, 96, "[");
    for (int i = 0; i < t->n_dims; i++)
        used += snprintf(buffer + used, 96 - (size_t)used, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    snprintf(buffer + used, 96 - (size_t)used, "]");
    return buffer;
}
