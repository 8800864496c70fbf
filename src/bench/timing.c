/* timing.c: a wrapper is made of every op of ops.inc; the phase of an op is that of its name, but for the
 * plain products, which several phases use: there the weight's shape tells. */
#include "bench/timing.h"
#include "base/clock.h"
#include "base/memory.h"

#include <string.h>

struct glot_timing {
    glot_backend base; /* first: a glot_backend * of this backend is one of these */
    glot_backend *inner;
    int64_t vocabulary, ffn, max_experts;
    double seconds[GLOT_N_TIMED];
};

const char *glot_timed_name(glot_timed phase)
{
    static const char *const names[GLOT_N_TIMED] = {
#define GLOT_TIMED(name, text) text,
        GLOT_TIMED_LIST(GLOT_TIMED)
#undef GLOT_TIMED
    };
    return names[phase];
}

/* A call that is under way. */
typedef struct timed_call {
    glot_timing *timing;
    glot_timed phase;
    double start;
} timed_call;

static timed_call call_begin(glot_backend *be, glot_timed phase)
{
    glot_timing *t = (glot_timing *)be;
    t->inner->products = be->products;
    return (timed_call){t, phase, glot_seconds()};
}

static void call_end(const timed_call *call)
{
    call->timing->seconds[call->phase] += glot_seconds() - call->start;
}

static const glot_timing *timing_of(const glot_backend *be)
{
    return (const glot_timing *)be;
}

/* w [n, k] of a plain product, or its gradient. */
static glot_timed phase_of_weight(const glot_backend *be, const glot_tensor *w)
{
    const glot_timing *t = timing_of(be);
    int64_t n = w->shape[0], k = w->shape[1];
    if (n == t->vocabulary)
        return GLOT_TIMED_LOGITS;
    if (n == t->ffn || k == t->ffn)
        return GLOT_TIMED_EXPERTS;
    return n <= t->max_experts ? GLOT_TIMED_ROUTER : GLOT_TIMED_ATTENTION;
}

#define PHASE_embed GLOT_TIMED_DATA
#define PHASE_embed_backward GLOT_TIMED_DATA
#define PHASE_rms_norm GLOT_TIMED_NORMS
#define PHASE_rms_norm_backward GLOT_TIMED_NORMS
#define PHASE_add GLOT_TIMED_NORMS
#define PHASE_scale GLOT_TIMED_ATTENTION
#define PHASE_linears phase_of_weight(be, projections[0].w[0])
#define PHASE_linear_backward_input phase_of_weight(be, w)
#define PHASE_linear_backward_weight phase_of_weight(be, dw)
#define PHASE_bias_backward GLOT_TIMED_ATTENTION
#define PHASE_rope GLOT_TIMED_ATTENTION
#define PHASE_attention GLOT_TIMED_ATTENTION
#define PHASE_attention_backward GLOT_TIMED_ATTENTION
#define PHASE_swiglu GLOT_TIMED_ACTIVATION
#define PHASE_swiglu_backward GLOT_TIMED_ACTIVATION
#define PHASE_router_topk GLOT_TIMED_ROUTER
#define PHASE_router_topk_backward GLOT_TIMED_ROUTER
#define PHASE_gate_input GLOT_TIMED_ROUTER
#define PHASE_gate_input_backward GLOT_TIMED_ROUTER
#define PHASE_gate_decide GLOT_TIMED_ROUTER
#define PHASE_gate_loss GLOT_TIMED_ROUTER
#define PHASE_dispatch GLOT_TIMED_DISPATCH
#define PHASE_grouped_linears GLOT_TIMED_EXPERTS
#define PHASE_grouped_linear_backward_input GLOT_TIMED_EXPERTS
#define PHASE_grouped_linear_backward_weight GLOT_TIMED_EXPERTS
#define PHASE_moe_combine GLOT_TIMED_DISPATCH
#define PHASE_moe_combine_backward GLOT_TIMED_DISPATCH
#define PHASE_moe_scatter GLOT_TIMED_DISPATCH
#define PHASE_balance_loss GLOT_TIMED_ROUTER
#define PHASE_lpr_loss GLOT_TIMED_ROUTER
#define PHASE_cross_entropy GLOT_TIMED_LOGITS
#define PHASE_log_softmax GLOT_TIMED_LOGITS
#define PHASE_sum GLOT_TIMED_OPTIMIZER
#define PHASE_unit_sum GLOT_TIMED_NORMS
#define PHASE_adamw GLOT_TIMED_OPTIMIZER

/* In the body `be` is the inner backend, so that an op's own arguments can be handed on as they are. */
#define GLOT_OP(name, parameters, arguments)                                                                 \
    static void timed_##name parameters                                                                      \
    {                                                                                                        \
        timed_call call = call_begin(be, PHASE_##name);                                                      \
        be = call.timing->inner;                                                                             \
        be->ops->name arguments;                                                                             \
        call_end(&call);                                                                                     \
    }
#include "tensor/ops.inc"
#undef GLOT_OP

static const glot_ops timed_ops = {
#define GLOT_OP(name, parameters, arguments) .name = timed_##name,
#include "tensor/ops.inc"
#undef GLOT_OP
};

/* ---- the rest of a backend ---- */

static glot_backend *inner_of(const glot_backend *be)
{
    return timing_of(be)->inner;
}

static glot_status timed_alloc(glot_backend *be, void **addr, size_t bytes, const char *what, glot_error *err)
{
    return inner_of(be)->alloc(inner_of(be), addr, bytes, what, err);
}

static void timed_free(glot_backend *be, void *addr)
{
    inner_of(be)->free(inner_of(be), addr);
}

static void timed_upload(glot_backend *be, const glot_tensor *to, const void *host)
{
    timed_call call = call_begin(be, GLOT_TIMED_DATA);
    inner_of(be)->upload(inner_of(be), to, host);
    call_end(&call);
}

static void timed_download(glot_backend *be, void *host, const glot_tensor *from)
{
    timed_call call = call_begin(be, GLOT_TIMED_DATA);
    inner_of(be)->download(inner_of(be), host, from);
    call_end(&call);
}

/* What a step zeroes are gradients. */
static void timed_zero(glot_backend *be, const glot_tensor *t)
{
    timed_call call = call_begin(be, GLOT_TIMED_OPTIMIZER);
    inner_of(be)->zero(inner_of(be), t);
    call_end(&call);
}

static void timed_copy(glot_backend *be, const glot_tensor *to, const glot_tensor *from)
{
    timed_call call = call_begin(be, GLOT_TIMED_DATA);
    inner_of(be)->copy(inner_of(be), to, from);
    call_end(&call);
}

static glot_status timed_place(glot_backend *be, glot_tensor *out, const glot_tensor *host, glot_error *err)
{
    return inner_of(be)->place(inner_of(be), out, host, err);
}

static glot_status timed_reserve(glot_backend *be, const glot_limits *limits, glot_error *err)
{
    return inner_of(be)->reserve(inner_of(be), limits, err);
}

static glot_status timed_check(glot_backend *be, glot_error *err)
{
    return inner_of(be)->check(inner_of(be), err);
}

static void timed_close(glot_backend *be)
{
    glot_backend_close(inner_of(be));
    glot_free(be);
}

glot_status glot_timing_create(glot_timing **out, glot_backend *inner, glot_error *err)
{
    glot_timing *t;
    GLOT_TRY(glot_new(&t, 1, sizeof *t, "a timing", err));
    *t = (glot_timing){.base = *inner, .inner = inner};
    t->base.ops = &timed_ops;
    t->base.alloc = timed_alloc;
    t->base.free = timed_free;
    t->base.upload = timed_upload;
    t->base.download = timed_download;
    t->base.zero = timed_zero;
    t->base.copy = timed_copy;
    t->base.place = timed_place;
    t->base.reserve = timed_reserve;
    t->base.check = timed_check;
    t->base.close = timed_close;
    *out = t;
    return GLOT_OK;
}

glot_backend *glot_timing_backend(glot_timing *t)
{
    return &t->base;
}

void glot_timing_start(glot_timing *t, const glot_model_config *config)
{
    memset(t->seconds, 0, sizeof t->seconds);
    t->vocabulary = config->vocab_size;
    t->ffn = config->intermediate_size;
    t->max_experts = 0;
    for (int64_t l = 0; l < config->n_layers; l++)
        if (config->n_experts[l] > t->max_experts)
            t->max_experts = config->n_experts[l];
}

double glot_timing_seconds(const glot_timing *t, glot_timed phase)
{
    return t->seconds[phase];
}
