/* timing.h: where the time of a piece of work goes. A timing backend hands every call on to another one and
 * keeps how long each op took, by phase; code that is not timed runs on the other backend and pays nothing.
 *
 *     glot_timing *timing;
 *     glot_timing_create(&timing, be, &err);
 *     glot_model_open(&m, glot_timing_backend(timing), path, &err); ...
 *     glot_timing_start(timing, &m->config);
 *     ... work ...
 *     seconds = glot_timing_seconds(timing, GLOT_TIMED_EXPERTS);
 *     glot_backend_close(glot_timing_backend(timing));   closes `be` too
 *
 * Ops of the CPU are done when the call returns; a backend whose ops are asynchronous is made to wait after
 * each.
 */
#ifndef GLOT_BENCH_TIMING_H
#define GLOT_BENCH_TIMING_H

#include "model/config.h"
#include "tensor/backend.h"

/* GLOT_TIMED(name, text): what the time went to. */
#define GLOT_TIMED_LIST(GLOT_TIMED)                                                                          \
    GLOT_TIMED(ATTENTION, "attention")     /* its projections, rotations and scores */                       \
    GLOT_TIMED(ROUTER, "router")           /* its logits, choice and losses */                               \
    GLOT_TIMED(DISPATCH, "dispatch")       /* which row goes where; putting the experts' outputs together */ \
    GLOT_TIMED(EXPERTS, "expert_products") /* products of the feed-forward networks */                       \
    GLOT_TIMED(ACTIVATION, "activation")   /* SwiGLU between them */                                         \
    GLOT_TIMED(NORMS, "norms")             /* RMS norms, residual additions */                               \
    GLOT_TIMED(LOGITS, "logits_and_loss")                                                                    \
    GLOT_TIMED(OPTIMIZER, "optimizer") /* zeroed gradients, their norm, AdamW */                             \
    GLOT_TIMED(DATA, "data")           /* embedding, moving numbers to and from the backend */

typedef enum glot_timed {
#define GLOT_TIMED(name, text) GLOT_TIMED_##name,
    GLOT_TIMED_LIST(GLOT_TIMED)
#undef GLOT_TIMED
    GLOT_N_TIMED
} glot_timed;

const char *glot_timed_name(glot_timed phase); /* "attention" */

typedef struct glot_timing glot_timing;

/* On success `inner` belongs to the timing. */
glot_status glot_timing_create(glot_timing **out, glot_backend *inner, glot_error *err);
glot_backend *glot_timing_backend(glot_timing *t);
/* Counts from 0. The widths of the model that runs tell products apart that are the same op. */
void glot_timing_start(glot_timing *t, const glot_model_config *config);
double glot_timing_seconds(const glot_timing *t, glot_timed phase);

#endif
