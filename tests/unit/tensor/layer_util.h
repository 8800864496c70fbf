/* layer_util.h: one mixture-of-experts layer put together from ops, forward and backward, with both router
 * losses (METHOD 1 to 3), for tests of what the ops do together. */
#ifndef TEST_LAYER_UTIL_H
#define TEST_LAYER_UTIL_H

#include "ops_util.h"

enum { LAYER_EXPERTS = 8 };

typedef struct layer_size {
    int64_t T, h, f;
    int E, K;
} layer_size;

/* Weights of the experts and, in d, their gradients; the arrays of pointers are made for each call. */
typedef struct layer_experts {
    glot_tensor gate[LAYER_EXPERTS], up[LAYER_EXPERTS], down[LAYER_EXPERTS];
} layer_experts;

typedef struct layer {
    layer_size s;
    glot_tensor x, router, y, dy;        /* [T, h], [E, h] */
    layer_experts w, d;                  /* [f, h], [f, h], [h, f] */
    glot_tensor logits, probs, ids, mix; /* [T, E], [T, E], [T, K], [T, K] */
    glot_dispatch plan;
    glot_tensor gate, up, hidden, rows; /* [T K, f] three times, [T K, h] */
    glot_tensor dx, d_router, d_logits, d_mix, d_gate, d_up, d_hidden, d_rows;
    glot_tensor group;        /* U8 [T]: 1 is the newest */
    glot_tensor balance, lpr; /* F64 [1] */
    double balance_coef, lpr_coef;
} layer;

typedef struct layer_pointers {
    const glot_tensor *p[LAYER_EXPERTS];
} layer_pointers;

static inline layer_pointers pointers_to(const glot_tensor *t, int n)
{
    layer_pointers all = {{0}};
    for (int e = 0; e < n; e++)
        all.p[e] = &t[e];
    return all;
}

static inline void layer_make_experts(bench *b, layer_experts *w, layer_size s, bool is_zero)
{
    for (int e = 0; e < s.E; e++) {
        w->gate[e] = make_normal(b, glot_tensor_2d(b->be->real, s.f, s.h), is_zero ? 0 : 0.5);
        w->up[e] = make_normal(b, w->gate[e], is_zero ? 0 : 0.5);
        w->down[e] = make_normal(b, glot_tensor_2d(b->be->real, s.h, s.f), is_zero ? 0 : 0.5);
    }
}

static inline layer layer_make(bench *b, layer_size s)
{
    glot_dtype real = b->be->real;
    layer l = {.s = s, .balance_coef = 0.01, .lpr_coef = 0.1};
    l.x = make_normal(b, glot_tensor_2d(real, s.T, s.h), 1);
    l.router = make_normal(b, glot_tensor_2d(real, s.E, s.h), 1);
    layer_make_experts(b, &l.w, s, false);
    layer_make_experts(b, &l.d, s, true);
    l.y = make(b, l.x);
    l.dy = make_normal(b, l.x, 1);
    l.logits = make(b, glot_tensor_2d(real, s.T, s.E));
    l.probs = make(b, l.logits);
    l.ids = make(b, glot_tensor_2d(GLOT_I32, s.T, s.K));
    l.mix = make(b, glot_tensor_2d(real, s.T, s.K));
    l.plan = make_plan(b, s.T, s.E, s.K);
    l.gate = make(b, glot_tensor_2d(real, s.T * s.K, s.f));
    l.up = make(b, l.gate);
    l.hidden = make(b, l.gate);
    l.rows = make(b, glot_tensor_2d(real, s.T * s.K, s.h));
    l.dx = make(b, l.x);
    l.d_router = make_normal(b, l.router, 0);
    l.d_logits = make(b, l.logits);
    l.d_mix = make(b, l.mix);
    l.d_gate = make(b, l.gate);
    l.d_up = make(b, l.gate);
    l.d_hidden = make(b, l.gate);
    l.d_rows = make(b, l.rows);
    l.group = make_whole(b, glot_tensor_1d(GLOT_U8, s.T), 0, 2);
    l.balance = make_normal(b, glot_tensor_1d(GLOT_F64, 1), 0);
    l.lpr = make_normal(b, glot_tensor_1d(GLOT_F64, 1), 0);
    return l;
}

/* The losses on the router; d_logits += their gradients. Expert 0 is home to group 0. */
static inline void layer_losses(bench *b, layer *l, const glot_tensor *d_logits)
{
    const int32_t n_allowed[2] = {1, 0};
    fill(&l->balance, 0);
    fill(&l->lpr, 0);
    glot_op_balance_loss(b->be, &l->balance, d_logits, &l->probs, &l->plan, l->s.E, l->balance_coef);
    glot_op_lpr_loss(b->be, &l->lpr, d_logits, &l->logits, &l->group, n_allowed, 2, GLOT_LPR_PAPER,
                     l->lpr_coef);
}

static inline void layer_forward(bench *b, layer *l, const glot_tensor *is_exact)
{
    glot_backend *be = b->be;
    layer_pointers gate = pointers_to(l->w.gate, l->s.E), up = pointers_to(l->w.up, l->s.E);
    layer_pointers down = pointers_to(l->w.down, l->s.E);
    glot_op_linear(be, &l->logits, &l->x, &l->router, NULL);
    glot_op_router_topk(be, &l->probs, &l->ids, &l->mix, &l->logits, is_exact);
    glot_op_dispatch(be, &l->plan, &l->ids);
    glot_op_grouped_linear(be, &l->gate, &l->x, gate.p, &l->plan, true);
    glot_op_grouped_linear(be, &l->up, &l->x, up.p, &l->plan, true);
    glot_op_swiglu(be, &l->hidden, &l->gate, &l->up);
    glot_op_grouped_linear(be, &l->rows, &l->hidden, down.p, &l->plan, false);
    glot_op_moe_combine(be, &l->y, &l->rows, &l->mix, &l->plan);
}

/* Gradients of dy . y + balance_coef * balance + lpr_coef * lpr, after a forward pass. */
static inline void layer_backward(bench *b, layer *l)
{
    glot_backend *be = b->be;
    layer_pointers gate = pointers_to(l->w.gate, l->s.E), up = pointers_to(l->w.up, l->s.E);
    layer_pointers down = pointers_to(l->w.down, l->s.E), d_gate = pointers_to(l->d.gate, l->s.E);
    layer_pointers d_up = pointers_to(l->d.up, l->s.E), d_down = pointers_to(l->d.down, l->s.E);
    glot_op_moe_combine_backward(be, &l->d_rows, &l->d_mix, &l->dy, &l->rows, &l->mix, &l->plan);
    glot_op_grouped_linear_backward_weight(be, d_down.p, &l->d_rows, &l->hidden, &l->plan, false, true);
    glot_op_grouped_linear_backward_input(be, &l->d_hidden, &l->d_rows, down.p, &l->plan, false);
    glot_op_swiglu_backward(be, &l->d_gate, &l->d_up, NULL, &l->d_hidden, &l->gate, &l->up);
    glot_op_grouped_linear_backward_weight(be, d_gate.p, &l->d_gate, &l->x, &l->plan, true, true);
    glot_op_grouped_linear_backward_weight(be, d_up.p, &l->d_up, &l->x, &l->plan, true, true);
    glot_op_grouped_linear_backward_input(be, &l->d_rows, &l->d_gate, gate.p, &l->plan, false);
    glot_op_grouped_linear_backward_input(be, &l->d_rows, &l->d_up, up.p, &l->plan, true);
    glot_op_moe_scatter(be, &l->dx, &l->d_rows, &l->plan, false);
    glot_op_router_topk_backward(be, &l->d_logits, &l->d_mix, &l->mix, &l->ids);
    layer_losses(b, l, &l->d_logits);
    glot_op_linear_backward_weight(be, &l->d_router, &l->d_logits, &l->x);
    glot_op_linear_backward_input(be, &l->dx, &l->d_logits, &l->router, true);
}

#endif
