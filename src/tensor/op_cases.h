/* op_cases.h: how each op of ops.inc is shown at work on small random inputs: the one list behind `glot
 * selftest` and the tests of kernels. An op without a case does not build. */
#ifndef GLOT_TENSOR_OP_CASES_H
#define GLOT_TENSOR_OP_CASES_H

#include "tensor/op_bench.h"

/* T rows of n (products: k summed over), E experts of which K are taken. `step` rows are handed to the op at
 * once, 0: all; `steps` are the steps to try besides. `variant` 0 .. 3 chooses among flags and aliases. */
typedef struct run_size {
    int64_t T, n, k;
    int E, K;
    int64_t steps[2], step;
    int variant;
} run_size;

/* Makes inputs on the bench (from its seed, the same on every backend), runs the op, and leaves what it wrote
 * as outputs. */
typedef void (*run_op)(bench *b, const run_size *s);

typedef struct glot_op_case {
    const char *name;
    run_op run;
} glot_op_case;

/* One for each op, in the order of ops.inc. */
enum {
#define GLOT_OP(name, parameters, arguments) GLOT_OP_CASE_##name,
#include "tensor/ops.inc"
#undef GLOT_OP
    GLOT_N_OP_CASES
};
extern const glot_op_case glot_op_cases[GLOT_N_OP_CASES];

#endif
