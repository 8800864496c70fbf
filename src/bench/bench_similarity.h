/* bench_similarity.h: measuring the similarity of several languages (METHOD 4), beside the forward passes
 * alone that it takes. */
#ifndef GLOT_BENCH_BENCH_SIMILARITY_H
#define GLOT_BENCH_BENCH_SIMILARITY_H

#include "bench/units.h"

typedef struct glot_bench_similarity_options {
    int n_experts, top_k;  /* 4, 2 */
    int64_t batch, length; /* windows of each language, and tokens of each, BOS included: at least 2 */
    int64_t steps;         /* timed, after one that is not */
    uint64_t seed;
    glot_timing *timing; /* of the model's backend; NULL: no phases are told */
} glot_bench_similarity_options;

enum { GLOT_BENCH_LANGUAGES = 9 };

typedef struct glot_bench_similarity_result {
    glot_bench_times times; /* of the similarity of GLOT_BENCH_LANGUAGES languages */
    double forward_seconds; /* median, of as many forward passes over as many tokens, without logits */
    double flops_per_token; /* of such a pass */
    double bytes_per_token; /* of weights, read once for each language */
} glot_bench_similarity_result;

/* Runs on `m`: a dense model is expanded here. */
glot_status glot_bench_similarity(glot_bench_similarity_result *out, glot_model *m,
                                  const glot_bench_similarity_options *options, const glot_cancel *cancel,
                                  glot_error *err);

#endif
