/* tensor.h
 *
 * A tensor is a small value: element type, shape in PyTorch's order (last dimension contiguous, no strides),
 * and an address that belongs to a backend. Only src/tensor may look at the address: everything above moves
 * numbers with the backend's upload and download and works with the ops of ops.inc. A tensor owns nothing.
 */
#ifndef GLOT_TENSOR_TENSOR_H
#define GLOT_TENSOR_TENSOR_H

#include "tensor/dtype.h"

enum { GLOT_MAX_DIMS = 4 };

typedef struct glot_tensor {
    glot_dtype dtype;
    int n_dims;
    int64_t shape[GLOT_MAX_DIMS];
    void *addr; /* the backend's own address; NULL: no such tensor, or not placed yet */
} glot_tensor;

/* Shapes without an address. */
glot_tensor glot_tensor_1d(glot_dtype dtype, int64_t n);
glot_tensor glot_tensor_2d(glot_dtype dtype, int64_t rows, int64_t cols);
glot_tensor glot_tensor_3d(glot_dtype dtype, int64_t a, int64_t b, int64_t c);

/* Number of elements; bytes (checked when the shape came from a file: see glot_tensor_bytes_checked). */
int64_t glot_tensor_elements(const glot_tensor *t);
size_t glot_tensor_bytes(const glot_tensor *t);
bool glot_tensor_bytes_checked(size_t *out, const glot_tensor *t);

/* Rows = the first dimension; a row's elements = the rest. Views share memory with t. */
int64_t glot_tensor_rows(const glot_tensor *t);
int64_t glot_tensor_cols(const glot_tensor *t);
glot_tensor glot_tensor_slice(const glot_tensor *t, int64_t first_row, int64_t n_rows);
/* The same elements in another shape. */
glot_tensor glot_tensor_as_2d(const glot_tensor *t, int64_t rows, int64_t cols);
glot_tensor glot_tensor_as_3d(const glot_tensor *t, int64_t a, int64_t b, int64_t c);

/* The first elements of t in a shape that needs no more of them than t has. */
glot_tensor glot_tensor_prefix_1d(const glot_tensor *t, int64_t n);
glot_tensor glot_tensor_prefix_2d(const glot_tensor *t, int64_t rows, int64_t cols);
glot_tensor glot_tensor_prefix_3d(const glot_tensor *t, int64_t a, int64_t b, int64_t c);

bool glot_tensor_same_shape(const glot_tensor *a, const glot_tensor *b);
/* "[3, 576]" into a caller's buffer; returns it. */
const char *glot_tensor_shape_text(const glot_tensor *t, char buffer[96]);

#endif
