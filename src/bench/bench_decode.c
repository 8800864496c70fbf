/* bench_decode.c: a session fed one random id after the other. */
#include "bench/bench_decode.h"
#include "base/clock.h"
#include "base/rng.h"
#include "infer/session.h"

/* The share of a parameter's bytes that a token reads. */
static double active_share(const glot_model *m, const glot_param *p)
{
    if (p == m->embedding && p != m->lm_head)
        return 1.0 / (double)m->config.vocab_size;
    if (p->expert < 0 || m->layers[p->layer].n_experts == 1)
        return 1.0;
    const glot_moe_weights *w = &m->layers[p->layer].moe;
    return (double)w->top_k / (double)w->n_experts;
}

static double active_bytes(const glot_model *m)
{
    double bytes = 0;
    for (size_t i = 0; i < m->n_params; i++)
        bytes += active_share(m, m->params[i]) * (double)glot_tensor_bytes(&m->params[i]->weight);
    return bytes;
}

typedef struct decoding {
    glot_session *session;
    glot_rng rng;
    uint32_t vocab;
} decoding;

static glot_status decode_unit(void *context, double *seconds, glot_error *err)
{
    decoding *d = context;
    const float *log_probs;
    int32_t id = (int32_t)glot_rng_below(&d->rng, d->vocab);
    double start = glot_seconds();
    GLOT_TRY(glot_session_feed(d->session, &id, 1, &log_probs, err));
    *seconds = glot_seconds() - start;
    return GLOT_OK;
}

glot_status glot_bench_decode(glot_bench_decode_result *out, glot_model *m,
                              const glot_bench_decode_options *o, const glot_cancel *cancel, glot_error *err)
{
    int64_t n = o->steps * GLOT_BENCH_DECODE_TOKENS;
    double seconds;
    decoding d = {.rng = glot_rng_seed(o->seed, 7), .vocab = (uint32_t)m->config.vocab_size};
    glot_status status = GLOT_OK;
    GLOT_TRY(glot_bench_expand(m, o->n_experts, o->top_k, o->seed, err));
    GLOT_TRY(glot_session_create(&d.session, m, o->length + n, 1, err));
    for (int64_t i = 1; i < o->length; i++)
        GLOT_TRY_OUT(decode_unit(&d, &seconds, err));
    GLOT_TRY_OUT(glot_bench_time(&out->times, decode_unit, &d, n, m, o->timing, cancel, err));
    out->active_bytes = active_bytes(m);
out:
    glot_session_free(d.session);
    return status;
}
