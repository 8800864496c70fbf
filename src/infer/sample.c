/* sample.c: from log p of every vocabulary entry to one id. */
#include "infer/session.h"

#include <math.h>
#include <stdlib.h>

glot_sample_params glot_sample_params_default(void)
{
    return (glot_sample_params){.temperature = 0.0, .top_p = 1.0, .top_k = 0, .seed = 1};
}

static int32_t largest(const float *log_probs, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (log_probs[i] > log_probs[best])
            best = i;
    return (int32_t)best;
}

typedef struct order_context {
    const float *log_probs;
} order_context;

/* Falling log p, ties to the lower id: the same order every time. */
static int compare(const void *a, const void *b, void *user)
{
    const float *log_probs = ((const order_context *)user)->log_probs;
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (log_probs[i] != log_probs[j])
        return log_probs[i] > log_probs[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* How many of the sorted candidates stay: at most top_k, and the fewest whose share reaches top_p. */
static int64_t cut(const float *log_probs, const int32_t *sorted, int64_t n, const glot_sample_params *p,
                   double *mass)
{
    int64_t limit = p->top_k > 0 && p->top_k < n ? p->top_k : n;
    double top = (double)log_probs[sorted[0]], total = 0.0;
    for (int64_t i = 0; i < limit; i++)
        total += exp(((double)log_probs[sorted[i]] - top) / p->temperature);
    double sum = 0.0;
    int64_t kept = 0;
    while (kept < limit && (kept == 0 || sum < p->top_p * total))
        sum += exp(((double)log_probs[sorted[kept++]] - top) / p->temperature);
    *mass = sum;
    return kept;
}

int32_t glot_sample(const float *log_probs, int64_t n, const glot_sample_params *params, glot_rng *rng,
                    int32_t *scratch)
{
    if (params->temperature <= 0.0)
        return largest(log_probs, n);
    for (int64_t i = 0; i < n; i++)
        scratch[i] = (int32_t)i;
    order_context context = {log_probs};
    qsort_r(scratch, (size_t)n, sizeof *scratch, compare, &context);
    double mass, top = (double)log_probs[scratch[0]];
    int64_t kept = cut(log_probs, scratch, n, params, &mass);
    double target = glot_rng_uniform(rng) * mass;
    for (int64_t i = 0; i < kept - 1; i++) {
        target -= exp(((double)log_probs[scratch[i]] - top) / params->temperature);
        if (target < 0.0)
            return scratch[i];
    }
    return scratch[kept - 1];
}
