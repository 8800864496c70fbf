/* bench_products.h: `glot bench products`. */
#ifndef GLOT_CLI_BENCH_PRODUCTS_H
#define GLOT_CLI_BENCH_PRODUCTS_H

#include "cli/cli.h"
#include "tensor/dtype.h"

/* Times the products of a small model's training and decoding one by one; weights: the type of those that are
 * only read. */
glot_status cli_bench_products(const glot_cli *cli, glot_dtype weights, glot_error *err);

#endif
