/* products.h: how fast a backend's products and attention are, in the shapes of training a small model. */
#ifndef GLOT_BENCH_PRODUCTS_H
#define GLOT_BENCH_PRODUCTS_H

#include "tensor/backend.h"

enum { GLOT_BENCH_PRODUCTS = 16 }; /* at least as many rows as glot_bench_products makes */

typedef struct glot_bench_product {
    const char *name; /* of the op, static */
    int64_t m, n, k;  /* rows, outputs, length of the sums; attention: tokens, heads, size of a head */
    double flops;     /* in one call */
    double bytes;     /* of weights that one call reads */
    double seconds;   /* of one call, the shortest of the repetitions */
} glot_bench_product;

/* Fills rows [GLOT_BENCH_PRODUCTS] and *n_rows. Each op runs for about `seconds` (at least three times);
 * weights that are not written are of type `weights`. Reserves on `be` what the shapes need; takes about 400
 * MB. */
glot_status glot_bench_products(glot_bench_product *rows, int *n_rows, glot_backend *be, glot_dtype weights,
                                double seconds, glot_error *err);
/* The first of them alone, linear of 1024 x 1536 x 576 with float32 weights: takes about 13 MB. */
glot_status glot_bench_large_product(glot_bench_product *out, glot_backend *be, double seconds,
                                     glot_error *err);

#endif
