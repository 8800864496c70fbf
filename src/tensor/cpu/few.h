/* few.h: products of so few rows that laying the weights out anew would cost more than using them:
 * decoding. */
#ifndef GLOT_TENSOR_CPU_FEW_H
#define GLOT_TENSOR_CPU_FEW_H

#include "tensor/cpu/micro.h"

enum { GLOT_FEW_ROWS = 4, GLOT_FEW_PRODUCTS = 64 };

/* out [m, n] = x [m, k] w^T + bias; x rows of F32, w [n, k], m <= GLOT_FEW_ROWS; n, k > 0. */
typedef struct glot_few_product {
    glot_operand x, w;
    int64_t m, n, k;
    float *out;
    const glot_tensor *bias; /* [n] or NULL */
} glot_few_product;

/* n <= GLOT_FEW_PRODUCTS of them at once, with be->products. Takes the shared scratch: all rows of x together
 * have less than 2 * GLOT_GEMM_SHARED_FLOATS elements. */
void GLOT_KERNEL(few_products)(const glot_backend *be, const glot_few_product *products, int n);

#endif
