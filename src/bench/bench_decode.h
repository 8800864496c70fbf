/* bench_decode.h: generation token by token, as a session does it, beside the bytes of weights that a token
 * must read. */
#ifndef GLOT_BENCH_BENCH_DECODE_H
#define GLOT_BENCH_BENCH_DECODE_H

#include "bench/units.h"

typedef struct glot_bench_decode_options {
    int n_experts, top_k; /* 4, 2 */
    int64_t length;       /* tokens in the cache before the first that is timed */
    int64_t steps;        /* of GLOT_BENCH_DECODE_TOKENS timed tokens each */
    uint64_t seed;
    glot_timing *timing;  /* of the model's backend; NULL: no phases are told */
} glot_bench_decode_options;

enum { GLOT_BENCH_DECODE_TOKENS = 16 };

typedef struct glot_bench_decode_result {
    double active_bytes; /* of the weights that one token reads: of a layer's experts top_k, of the embedding
                            one row */
    glot_bench_times times; /* of a token */
} glot_bench_decode_result;

/* Runs on `m`: a dense model is expanded here. */
glot_status glot_bench_decode(glot_bench_decode_result *out, glot_model *m,
                              const glot_bench_decode_options *options, const glot_cancel *cancel,
                              glot_error *err);

#endif
