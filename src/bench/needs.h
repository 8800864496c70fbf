/* needs.h: the memory that a benchmark will take, told before any of it is. */
#ifndef GLOT_BENCH_NEEDS_H
#define GLOT_BENCH_NEEDS_H

#include "expand/trainable.h"

typedef struct glot_bench_work {
    int n_experts, top_k; /* that the dense model is given */
    bool is_training;
    glot_trainable trainable; /* training only */
    bool is_recomputed;       /* training only */
    int64_t rows;             /* tokens in a pass */
    int64_t length;           /* of a sequence */
    int64_t n_cached;         /* tokens whose keys and values are kept */
} glot_bench_work;

/* `dense_bytes`: what the dense model's weights take in memory of their own; `dtype`: of its matrices.
 * GLOT_NOMEM with what is needed and what there is. */
glot_status glot_bench_check_memory(const glot_bench_work *work, const glot_model_config *dense,
                                    uint64_t dense_bytes, glot_dtype dtype, glot_backend *be,
                                    glot_error *err);

#endif
