/* bench_train.h: how fast a stage-1 or review step is, or a forward pass with its loss: random weights and
 * ids of a real shape, everything a step does included. */
#ifndef GLOT_BENCH_BENCH_TRAIN_H
#define GLOT_BENCH_BENCH_TRAIN_H

#include "bench/units.h"
#include "expand/trainable.h"
#include "train/train.h"

typedef struct glot_bench_train_options {
    glot_phase phase;
    int n_experts, top_k;               /* 4, 2 */
    int64_t batch, micro_batch, length; /* 4 x 256 */
    int64_t steps;                      /* timed, after one that is not */
    bool is_recomputed;                 /* glot_train_settings */
    uint64_t seed;
    glot_timing *timing; /* of the model's backend; NULL: no phases are told */
} glot_bench_train_options;
glot_bench_train_options glot_bench_train_options_default(void);

typedef struct glot_bench_train_result {
    double tokens_per_s;      /* median over the timed steps */
    double best_tokens_per_s; /* fastest step */
    double flops_per_token;   /* counted from shapes: glot_cost_of; what is computed again counts once */
    double bytes_per_token;   /* that must move at least: weights once in each pass, gradients, what the
                                 optimizer reads and writes */
    glot_bench_times times;   /* of a step; heap_calls must be 0 */
    glot_train_memory memory;
    uint64_t planned_bytes; /* of weights and of `memory` */
    uint64_t peak_bytes;    /* most of the process's memory that was resident, measured */
} glot_bench_train_result;

/* What a step of this phase trains in a model whose layers have so many experts. */
glot_trainable glot_bench_trainable(glot_phase phase, int n_experts);

/* Runs on `m`: a dense model is expanded here. */
glot_status glot_bench_train(glot_bench_train_result *out, glot_model *m,
                             const glot_bench_train_options *options, const glot_cancel *cancel,
                             glot_error *err);

/* The same for scoring: forward pass and loss of batch x length tokens; no gradients, micro_batch means
 * nothing. */
glot_status glot_bench_forward(glot_bench_train_result *out, glot_model *m,
                               const glot_bench_train_options *options, const glot_cancel *cancel,
                               glot_error *err);

#endif
