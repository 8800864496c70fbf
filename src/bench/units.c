/* units.c: see units.h. */
#include "bench/units.h"
#include "base/memory.h"
#include "base/rng.h"
#include "expand/upcycle.h"

#include <math.h>
#include <stdlib.h>

glot_status glot_bench_expand(glot_model *m, int n_experts, int top_k, uint64_t seed, glot_error *err)
{
    int32_t all[GLOT_MAX_LAYERS];
    for (int64_t l = 0; l < m->config.n_layers; l++)
        all[l] = n_experts;
    glot_upcycle_settings settings = {.top_k = top_k, .seed = seed};
    return n_experts > 1 && !m->config.is_expanded ? glot_upcycle(m, all, &settings, err) : GLOT_OK;
}

glot_status glot_bench_random_batch(glot_batch *out, int32_t **numbers, const glot_model *m,
                                    int64_t n_sequences, int64_t length, uint64_t seed, glot_error *err)
{
    int64_t n = n_sequences * length;
    glot_rng rng = glot_rng_seed(seed, 7);
    GLOT_TRY(glot_new(numbers, (size_t)(2 * n + 1 + 4 * n_sequences), sizeof **numbers,
                      "the ids of a benchmark", err));
    int32_t *ids = *numbers, *positions = ids + n + 1, *segments = positions + n;
    for (int64_t i = 0; i <= n; i++)
        ids[i] = (int32_t)glot_rng_below(&rng, (uint32_t)m->config.vocab_size);
    for (int64_t i = 0; i < n; i++)
        positions[i] = (int32_t)(i % length);
    for (int64_t i = 0; i < 4 * n_sequences; i++)
        segments[i] = (int32_t)(i % 2 ? length : i / 4 * length);
    *out = (glot_batch){.n_tokens = n,
                        .ids = ids,
                        .positions = positions,
                        .n_segments = n_sequences,
                        .segments = segments,
                        .targets = ids + 1};
    return GLOT_OK;
}

double glot_bench_pass_bytes(const glot_model *m, bool has_logits)
{
    double bytes = 0;
    for (size_t i = 0; i < m->n_params; i++) {
        const glot_param *p = m->params[i];
        bool is_table = p == m->lm_head || p == m->embedding;
        if (!is_table || (p == m->lm_head && has_logits))
            bytes += (double)glot_tensor_bytes(&p->weight);
    }
    return bytes;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void keep_phases(glot_bench_times *out, const glot_timing *timing, double seconds)
{
    double rest = seconds;
    for (int i = 0; i < GLOT_N_TIMED; i++) {
        out->phases[i] = glot_timing_seconds(timing, (glot_timed)i);
        rest -= out->phases[i];
    }
    out->phases[GLOT_TIMED_DATA] += rest;
}

/* A timed piece; its phases are kept where it is the fastest so far. */
static glot_status time_piece(glot_bench_times *out, glot_bench_unit *unit, void *context, double *seconds,
                              const glot_model *m, glot_timing *timing, glot_error *err)
{
    if (timing)
        glot_timing_start(timing, &m->config);
    GLOT_TRY(unit(context, seconds, err));
    if (*seconds < out->best && timing)
        keep_phases(out, timing, *seconds);
    if (*seconds < out->best)
        out->best = *seconds;
    return GLOT_OK;
}

glot_status glot_bench_time(glot_bench_times *out, glot_bench_unit *unit, void *context, int64_t steps,
                            const glot_model *m, glot_timing *timing, const glot_cancel *cancel,
                            glot_error *err)
{
    double seconds[GLOT_BENCH_MAX_STEPS];
    int64_t n = 0;
    *out = (glot_bench_times){.best = HUGE_VAL};
    if (steps < 1 || steps > GLOT_BENCH_MAX_STEPS)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%" PRId64 " steps are outside 1 to %d", steps,
                         GLOT_BENCH_MAX_STEPS);
    GLOT_TRY(unit(context, &seconds[0], err));
    uint64_t heap_calls = glot_heap_calls();
    while (n < steps && !glot_cancelled(cancel))
        GLOT_TRY(time_piece(out, unit, context, &seconds[n++], m, timing, err));
    if (n == 0)
        return GLOT_FAIL(err, GLOT_CANCELLED, "stopped before the first timed step");
    out->heap_calls = glot_heap_calls() - heap_calls;
    qsort(seconds, (size_t)n, sizeof *seconds, compare_doubles);
    out->median = seconds[n / 2];
    return GLOT_OK;
}
