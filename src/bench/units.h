/* units.h: what the benchmarks of a model share: equal pieces of work timed one after the other, and the
 * model they run on. */
#ifndef GLOT_BENCH_UNITS_H
#define GLOT_BENCH_UNITS_H

#include "base/cancel.h"
#include "bench/timing.h"
#include "model/model.h"

enum { GLOT_BENCH_MAX_STEPS = 1024 };

/* One piece of the work; *seconds: how long it took. */
typedef glot_status glot_bench_unit(void *context, double *seconds, glot_error *err);

typedef struct glot_bench_times {
    double median, best;         /* seconds of a piece */
    double phases[GLOT_N_TIMED]; /* of the fastest piece; what is in no op counts as data */
    uint64_t heap_calls;         /* of all timed pieces together */
} glot_bench_times;

/* Once to warm up, then `steps` (1 to GLOT_BENCH_MAX_STEPS) timed times. timing: of the backend that m runs
 * on, or NULL: phases are 0. */
glot_status glot_bench_time(glot_bench_times *out, glot_bench_unit *unit, void *context, int64_t steps,
                            const glot_model *m, glot_timing *timing, const glot_cancel *cancel,
                            glot_error *err);

/* Gives every layer of a dense model n_experts. 1, or an expanded model: nothing to do. */
glot_status glot_bench_expand(glot_model *m, int n_experts, int top_k, uint64_t seed, glot_error *err);

/* n_sequences of `length` random ids; each token's target is the next one. *out points into *numbers, which
 * the caller frees. */
glot_status glot_bench_random_batch(glot_batch *out, int32_t **numbers, const glot_model *m,
                                    int64_t n_sequences, int64_t length, uint64_t seed, glot_error *err);

/* Bytes of weights that a pass over many tokens reads: all but an embedding that is not the head as well, and
 * without that where no logits are made. */
double glot_bench_pass_bytes(const glot_model *m, bool has_logits);


#endif
