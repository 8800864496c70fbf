/* The gradient of every op that has one, and of a whole mixture-of-experts layer, against central differences
 * on the double reference: step 6e-6 max(1, |x|), relative error at most 1e-6. */
#include "layer_util.h"

/* A scalar function of tensors: what the differences are taken of. */
typedef struct problem problem;
typedef double (*value_of)(problem *p);

struct problem {
    bench b;
    glot_backend *be;
    glot_tensor x, w, bias, up, k, v, y, dy, ids, mix, probs, positions, cosines, sines, segments, group,
        loss;
    glot_tensor experts[3];
    glot_dispatch plan;
    layer moe;
    glot_lpr_form form;
    bool is_whole;
    int32_t n_allowed[3];
};

static problem *begin(void)
{
    static problem p;
    memset(&p, 0, sizeof p);
    p.be = reference(GLOT_F64);
    p.b = bench_start(p.be, 11);
    return &p;
}

static void end(problem *p)
{
    bench_end(&p->b);
    glot_backend_close(p->be);
}

static glot_tensor reals_2d(problem *p, int64_t rows, int64_t cols)
{
    return make_normal(&p->b, glot_tensor_2d(GLOT_F64, rows, cols), 1);
}

static glot_tensor reals_3d(problem *p, int64_t rows, int64_t heads, int64_t cols)
{
    return make_normal(&p->b, glot_tensor_3d(GLOT_F64, rows, heads, cols), 1);
}

static glot_tensor zeros_like(problem *p, const glot_tensor *t)
{
    return make_normal(&p->b, *t, 0);
}

/* y gets an output of x's shape (or another), dy the random direction that makes it a scalar. */
static void make_y(problem *p, glot_tensor shape)
{
    p->y = make(&p->b, shape);
    p->dy = make_normal(&p->b, shape, 1);
}

static double dot(const glot_tensor *a, const glot_tensor *b)
{
    double sum = 0;
    for (int64_t i = 0; i < glot_tensor_elements(a); i++)
        sum += get(a, i) * get(b, i);
    return sum;
}

static double largest(const glot_tensor *t)
{
    double max = 0;
    for (int64_t i = 0; i < glot_tensor_elements(t); i++)
        max = fmax(max, fabs(get(t, i)));
    return max;
}

static double central_difference(problem *p, value_of value, const glot_tensor *x, int64_t i)
{
    double old = get(x, i), h = 6e-6 * fmax(1, fabs(old));
    set(x, i, old + h);
    double up = value(p);
    set(x, i, old - h);
    double down = value(p);
    set(x, i, old);
    return (up - down) / (2 * h);
}

/* Every element of dx is the derivative of value by that of x. Small elements are held to a thousandth of the
 * largest, and to what the rounding of the value leaves of a difference (2e-16 |value| / 6e-6, several
 * times). */
static void check(problem *p, const char *what, value_of value, const glot_tensor *x, const glot_tensor *dx)
{
    double floor_ = fmax(1e-3 * largest(dx), 2e-4 * fabs(value(p)));
    for (int64_t i = 0; i < glot_tensor_elements(x); i++) {
        double expected = central_difference(p, value, x, i), got = get(dx, i);
        double scale = fmax(floor_, fmax(fabs(expected), fabs(got)));
        bool is_near = fabs(got - expected) <= 1e-6 * scale;
        if (!is_near)
            fail_msg("d %s[%lld] is %.12g, differences say %.12g", what, (long long)i, got, expected);
    }
}

/* ---- one test for each op with a gradient ---- */

static double embed_value(problem *p)
{
    glot_op_embed(p->be, &p->y, &p->w, &p->ids);
    return dot(&p->y, &p->dy);
}

static void gradient_embed_backward(void)
{
    problem *p = begin();
    p->w = reals_2d(p, 5, 7);
    p->ids = make_whole(&p->b, glot_tensor_1d(GLOT_I32, 9), 0, 5);
    make_y(p, glot_tensor_2d(GLOT_F64, 9, 7));
    glot_tensor dw = zeros_like(p, &p->w);
    glot_op_embed_backward(p->be, &dw, &p->dy, &p->ids);
    check(p, "table", embed_value, &p->w, &dw);
    end(p);
}

static double rms_norm_value(problem *p)
{
    glot_op_rms_norm(p->be, &p->y, &p->x, &p->w, 0.3);
    return dot(&p->y, &p->dy);
}

static void gradient_rms_norm_backward(void)
{
    problem *p = begin();
    p->x = reals_3d(p, 5, 2, 19);
    p->w = make_normal(&p->b, glot_tensor_1d(GLOT_F64, 19), 1);
    make_y(p, p->x);
    glot_tensor dx = zeros_like(p, &p->x), dw = zeros_like(p, &p->w);
    glot_op_rms_norm_backward(p->be, &dx, &dw, &p->dy, &p->x, &p->w, 0.3, false);
    check(p, "x", rms_norm_value, &p->x, &dx);
    check(p, "weight", rms_norm_value, &p->w, &dw);
    end(p);
}

static double linear_value(problem *p)
{
    glot_op_linear(p->be, &p->y, &p->x, &p->w, &p->bias);
    return dot(&p->y, &p->dy);
}

static problem *begin_linear(void)
{
    problem *p = begin();
    p->x = reals_2d(p, 3, 261);
    p->w = reals_2d(p, 2, 261);
    p->bias = make_normal(&p->b, glot_tensor_1d(GLOT_F64, 2), 1);
    make_y(p, glot_tensor_2d(GLOT_F64, 3, 2));
    return p;
}

static void gradient_linear_backward_input(void)
{
    problem *p = begin_linear();
    glot_tensor dx = zeros_like(p, &p->x);
    glot_op_linear_backward_input(p->be, &dx, &p->dy, &p->w, false);
    check(p, "x", linear_value, &p->x, &dx);
    end(p);
}

static void gradient_linear_backward_weight(void)
{
    problem *p = begin_linear();
    glot_tensor dw = zeros_like(p, &p->w);
    glot_op_linear_backward_weight(p->be, &dw, &p->dy, &p->x);
    check(p, "w", linear_value, &p->w, &dw);
    end(p);
}

static void gradient_bias_backward(void)
{
    problem *p = begin_linear();
    glot_tensor db = zeros_like(p, &p->bias);
    glot_op_bias_backward(p->be, &db, &p->dy);
    check(p, "bias", linear_value, &p->bias, &db);
    end(p);
}

/* RoPE turns its argument in place: y is a copy of x. */
static double rope_value(problem *p)
{
    fill_copy(&p->y, &p->x);
    glot_op_rope(p->be, &p->y, &p->positions, &p->cosines, &p->sines, false);
    return dot(&p->y, &p->dy);
}

static void gradient_rope(void)
{
    problem *p = begin();
    p->x = reals_3d(p, 4, 2, 6);
    p->positions = make_whole(&p->b, glot_tensor_1d(GLOT_I32, 4), 0, 9);
    p->cosines = make(&p->b, glot_tensor_2d(GLOT_F32, 9, 3));
    p->sines = make(&p->b, p->cosines);
    for (int i = 0; i < 27; i++) {
        set(&p->cosines, i, cos(i));
        set(&p->sines, i, sin(i));
    }
    make_y(p, p->x);
    glot_tensor dx = zeros_like(p, &p->x);
    fill_copy(&dx, &p->dy);
    glot_op_rope(p->be, &dx, &p->positions, &p->cosines, &p->sines, true);
    check(p, "x", rope_value, &p->x, &dx);
    end(p);
}

static double attention_value(problem *p)
{
    glot_op_attention(p->be, &p->y, &p->x, &p->k, &p->v, &p->segments, 0.4);
    return dot(&p->y, &p->dy);
}

static void gradient_attention_backward(void)
{
    problem *p = begin();
    p->x = reals_3d(p, 7, 4, 5);
    p->k = reals_3d(p, 7, 2, 5);
    p->v = reals_3d(p, 7, 2, 5);
    p->segments = make(&p->b, glot_tensor_2d(GLOT_I32, 2, 4));
    memcpy(p->segments.addr, (int32_t[8]){0, 5, 0, 5, 5, 2, 5, 2}, 32);
    make_y(p, p->x);
    glot_tensor dq = make(&p->b, p->x), dk = make(&p->b, p->k), dv = make(&p->b, p->v);
    attention_value(p);
    glot_op_attention_backward(p->be, &dq, &dk, &dv, &p->dy, &p->y, &p->x, &p->k, &p->v, &p->segments, 0.4);
    check(p, "q", attention_value, &p->x, &dq);
    check(p, "k", attention_value, &p->k, &dk);
    check(p, "v", attention_value, &p->v, &dv);
    end(p);
}

static double swiglu_value(problem *p)
{
    glot_op_swiglu(p->be, &p->y, &p->x, &p->up);
    return dot(&p->y, &p->dy);
}

static void gradient_swiglu_backward(void)
{
    problem *p = begin();
    p->x = reals_2d(p, 3, 11);
    p->up = reals_2d(p, 3, 11);
    make_y(p, p->x);
    glot_tensor d_gate = zeros_like(p, &p->x), d_up = zeros_like(p, &p->x);
    glot_op_swiglu_backward(p->be, &d_gate, &d_up, NULL, &p->dy, &p->x, &p->up);
    check(p, "gate", swiglu_value, &p->x, &d_gate);
    check(p, "up", swiglu_value, &p->up, &d_up);
    end(p);
}

/* The combine weights, in the order of their slots, along dy. */
static double router_value(problem *p)
{
    glot_op_router_topk(p->be, &p->probs, &p->ids, &p->mix, &p->x, NULL);
    return dot(&p->mix, &p->dy);
}

static void gradient_router_topk_backward(void)
{
    problem *p = begin();
    int64_t T = 6, E = 5, K = 3;
    p->x = reals_2d(p, T, E);
    for (int64_t i = 0; i < T * E; i++) /* 0.5 apart: the order never changes */
        set(&p->x, i, 0.5 * (double)((i * 3 + i / E) % E) + 0.1 * get(&p->x, i) / (1 + fabs(get(&p->x, i))));
    p->probs = make(&p->b, p->x);
    p->ids = make(&p->b, glot_tensor_2d(GLOT_I32, T, K));
    p->mix = make(&p->b, glot_tensor_2d(GLOT_F64, T, K));
    p->dy = reals_2d(p, T, K);
    router_value(p);
    glot_tensor dx = make(&p->b, p->x);
    glot_op_router_topk_backward(p->be, &dx, &p->dy, &p->mix, &p->ids);
    check(p, "logits", router_value, &p->x, &dx);
    end(p);
}

/* Two experts of three for each of five tokens; the last token takes expert 0 alone. */
static void make_routes(problem *p)
{
    p->ids = make(&p->b, glot_tensor_2d(GLOT_I32, 5, 2));
    memcpy(p->ids.addr, (int32_t[10]){0, 2, 2, 1, 1, 2, 2, 0, 0, -1}, 40);
    p->plan = make_plan(&p->b, 5, 3, 2);
    glot_op_dispatch(p->be, &p->plan, &p->ids);
}

static double grouped_value(problem *p)
{
    const glot_tensor *w[3] = {&p->experts[0], &p->experts[1], &p->experts[2]};
    glot_op_grouped_linear(p->be, &p->y, &p->x, w, &p->plan, true);
    glot_tensor used = glot_tensor_slice(&p->y, 0, 9), d_used = glot_tensor_slice(&p->dy, 0, 9);
    return dot(&used, &d_used);
}

static problem *begin_grouped(void)
{
    problem *p = begin();
    make_routes(p);
    p->x = reals_2d(p, 5, 6);
    for (int e = 0; e < 3; e++)
        p->experts[e] = reals_2d(p, 4, 6);
    make_y(p, glot_tensor_2d(GLOT_F64, 10, 4));
    return p;
}

/* The rows' gradients, gathered to tokens by moe_scatter. */
static void gradient_grouped_linear_backward_input(void)
{
    problem *p = begin_grouped();
    const glot_tensor *w[3] = {&p->experts[0], &p->experts[1], &p->experts[2]};
    glot_tensor d_rows = make(&p->b, glot_tensor_2d(GLOT_F64, 10, 6)), dx = make(&p->b, p->x);
    glot_op_grouped_linear_backward_input(p->be, &d_rows, &p->dy, w, &p->plan, false);
    glot_op_moe_scatter(p->be, &dx, &d_rows, &p->plan, false);
    check(p, "x", grouped_value, &p->x, &dx);
    end(p);
}

static void gradient_grouped_linear_backward_weight(void)
{
    problem *p = begin_grouped();
    glot_tensor d[3] = {zeros_like(p, &p->experts[0]), zeros_like(p, &p->experts[0]),
                        zeros_like(p, &p->experts[0])};
    const glot_tensor *dw[3] = {&d[0], NULL, &d[2]};
    glot_op_grouped_linear_backward_weight(p->be, dw, &p->dy, &p->x, &p->plan, true, true);
    check(p, "w of expert 0", grouped_value, &p->experts[0], &d[0]);
    check(p, "w of expert 2", grouped_value, &p->experts[2], &d[2]);
    end(p);
}

static double combine_value(problem *p)
{
    glot_op_moe_combine(p->be, &p->y, &p->x, &p->mix, &p->plan);
    return dot(&p->y, &p->dy);
}

static void gradient_moe_combine_backward(void)
{
    problem *p = begin();
    make_routes(p);
    p->x = reals_2d(p, 10, 6);
    p->mix = reals_2d(p, 5, 2);
    make_y(p, glot_tensor_2d(GLOT_F64, 5, 6));
    glot_tensor d_rows = zeros_like(p, &p->x), d_mix = make(&p->b, p->mix);
    glot_op_moe_combine_backward(p->be, &d_rows, &d_mix, &p->dy, &p->x, &p->mix, &p->plan);
    check(p, "rows", combine_value, &p->x, &d_rows);
    check(p, "combine weights", combine_value, &p->mix, &d_mix);
    end(p);
}

/* ---- losses: the value is the loss itself; a scale of 1 gives its gradient ---- */

static double balance_value(problem *p)
{
    glot_tensor ids = p->moe.ids, mix = p->moe.mix; /* chosen anew, and not looked at: the plan stays */
    glot_op_router_topk(p->be, &p->probs, &ids, &mix, &p->x, NULL);
    fill(&p->loss, 0);
    fill(&p->y, 0);
    glot_op_balance_loss(p->be, &p->loss, &p->y, &p->probs, &p->plan, 3, 1);
    return get(&p->loss, 0);
}

static void gradient_balance_loss(void)
{
    problem *p = begin();
    make_routes(p);
    p->x = reals_2d(p, 5, 3);
    p->probs = make(&p->b, p->x);
    p->y = make(&p->b, p->x);
    p->moe.ids = make(&p->b, glot_tensor_2d(GLOT_I32, 5, 2));
    p->moe.mix = make(&p->b, glot_tensor_2d(GLOT_F64, 5, 2));
    p->loss = make(&p->b, glot_tensor_1d(GLOT_F64, 1));
    glot_tensor dx = zeros_like(p, &p->x);
    balance_value(p);
    fill_copy(&dx, &p->y);
    check(p, "logits", balance_value, &p->x, &dx);
    end(p);
}

static double lpr_value(problem *p)
{
    fill(&p->loss, 0);
    fill(&p->y, 0);
    glot_op_lpr_loss(p->be, &p->loss, &p->y, &p->x, &p->group, p->n_allowed, 3, p->form, 1);
    return get(&p->loss, 0);
}

static void gradient_of_lpr(glot_lpr_form form, int32_t second)
{
    problem *p = begin();
    p->form = form;
    memcpy(p->n_allowed, (int32_t[3]){1, second, 0}, sizeof p->n_allowed);
    p->x = reals_2d(p, 9, 5);
    p->y = make(&p->b, p->x);
    p->group = make_whole(&p->b, glot_tensor_1d(GLOT_U8, 9), 0, 3);
    p->loss = make(&p->b, glot_tensor_1d(GLOT_F64, 1));
    glot_tensor dx = zeros_like(p, &p->x);
    lpr_value(p);
    fill_copy(&dx, &p->y);
    check(p, "logits", lpr_value, &p->x, &dx);
    end(p);
}

static void gradient_lpr_loss(void)
{
    gradient_of_lpr(GLOT_LPR_PAPER, 3);
    gradient_of_lpr(GLOT_LPR_RELEASED, 0);
}

/* ---- the language gate ---- */

enum { BOS = 7, N_GATED = 11 };

static double gate_input_value(problem *p)
{
    glot_op_gate_input(p->be, &p->y, NULL, &p->x, &p->ids, &p->segments, BOS, p->is_whole);
    return dot(&p->y, &p->dy);
}

/* Two documents and a row of none between them; BOS in front of the first, behind it and inside the second. */
static void gradient_of_gate_input(bool is_whole)
{
    problem *p = begin();
    p->is_whole = is_whole;
    p->x = reals_2d(p, N_GATED, 3);
    p->ids = make(&p->b, glot_tensor_1d(GLOT_I32, N_GATED));
    memcpy(p->ids.addr, (int32_t[N_GATED]){BOS, BOS, 1, 2, 3, BOS, 4, 5, 1, BOS, 2}, 4 * N_GATED);
    p->segments = make(&p->b, glot_tensor_2d(GLOT_I32, 2, 4));
    memcpy(p->segments.addr, (int32_t[8]){0, 6, -1, 0, 7, 4, -1, 0}, 32);
    make_y(p, p->x);
    fill(&p->y, 0);
    glot_tensor dx = zeros_like(p, &p->x);
    glot_op_gate_input_backward(p->be, &dx, &p->dy, &p->ids, &p->segments, BOS, is_whole);
    check(p, "x", gate_input_value, &p->x, &dx);
    end(p);
}

static void gradient_gate_input_backward(void)
{
    gradient_of_gate_input(false);
    gradient_of_gate_input(true);
}

static double gate_loss_value(problem *p)
{
    fill(&p->loss, 0);
    glot_op_gate_loss(p->be, &p->loss, &p->y, &p->x, &p->group, 0.7);
    return 0.7 * get(&p->loss, 0);
}

static void gradient_gate_loss(void)
{
    problem *p = begin();
    p->x = reals_2d(p, 9, 2);
    p->y = make(&p->b, p->x);
    p->group = make_whole(&p->b, glot_tensor_1d(GLOT_U8, 9), 0, 3);
    p->loss = make(&p->b, glot_tensor_1d(GLOT_F64, 1));
    glot_tensor dx = zeros_like(p, &p->x);
    gate_loss_value(p);
    fill_copy(&dx, &p->y);
    check(p, "logits", gate_loss_value, &p->x, &dx);
    end(p);
}

/* Cross-entropy turns the logits into their gradient in place: y is a copy of x. */
static double cross_entropy_value(problem *p)
{
    fill_copy(&p->y, &p->x);
    glot_op_cross_entropy(p->be, &p->v, &p->y, &p->ids, 1);
    double sum = 0;
    for (int64_t t = 0; t < glot_tensor_elements(&p->v); t++)
        sum += get(&p->v, t);
    return sum;
}

static void gradient_cross_entropy(void)
{
    problem *p = begin();
    p->x = reals_2d(p, 4, 19);
    p->y = make(&p->b, p->x);
    p->v = make(&p->b, glot_tensor_1d(GLOT_F64, 4));
    p->ids = make(&p->b, glot_tensor_1d(GLOT_I32, 4));
    memcpy(p->ids.addr, (int32_t[4]){3, -1, 18, 0}, 16);
    glot_tensor dx = zeros_like(p, &p->x);
    cross_entropy_value(p);
    fill_copy(&dx, &p->y);
    check(p, "logits", cross_entropy_value, &p->x, &dx);
    end(p);
}

/* ---- the whole layer ---- */

static double layer_value(problem *p)
{
    layer *l = &p->moe;
    int64_t n_slots = glot_tensor_elements(&l->ids);
    int32_t before[64];
    assert_true(n_slots <= 64);
    memcpy(before, l->ids.addr, (size_t)n_slots * sizeof *before);
    layer_forward(&p->b, l, NULL);
    assert_memory_equal(before, l->ids.addr,
                        (size_t)n_slots * sizeof *before); /* no other choice of experts */
    fill(&p->y, 0); /* takes the gradient of the losses, which is not looked at */
    layer_losses(&p->b, l, &p->y);
    return dot(&l->y, &l->dy) + l->balance_coef * get(&l->balance, 0) + l->lpr_coef * get(&l->lpr, 0);
}

/* Whether the chosen probabilities and the first not chosen are all more than 1e-3 apart, in every token. */
static bool has_clear_choice(const layer *l)
{
    for (int64_t t = 0; t < l->s.T; t++)
        for (int s = 0; s < l->s.K; s++) {
            int64_t chosen = ((const int32_t *)l->ids.addr)[t * l->s.K + s];
            for (int e = 0; e < l->s.E; e++)
                if (e != chosen &&
                    !(fabs(get(&l->probs, t * l->s.E + chosen) - get(&l->probs, t * l->s.E + e)) > 1e-3))
                    return false;
        }
    return true;
}

static void gradient_of_layer(layer_size size)
{
    problem *p = begin();
    layer *l = &p->moe;
    *l = layer_make(&p->b, size);
    l->balance_coef = 0.7; /* large, so that a fault in a loss shows beside the output's part */
    l->lpr_coef = 0.5;
    p->y = make(&p->b, l->logits);
    do {
        fill_normal(&p->b, &l->x, 1);
        fill_normal(&p->b, &l->router, 1);
        layer_forward(&p->b, l, NULL);
    } while (!has_clear_choice(l));
    layer_backward(&p->b, l);
    check(p, "x", layer_value, &l->x, &l->dx);
    check(p, "router", layer_value, &l->router, &l->d_router);
    for (int e = 0; e < size.E; e++) {
        check(p, "gate_proj", layer_value, &l->w.gate[e], &l->d.gate[e]);
        check(p, "up_proj", layer_value, &l->w.up[e], &l->d.up[e]);
        check(p, "down_proj", layer_value, &l->w.down[e], &l->d.down[e]);
    }
    end(p);
}

static void test_whole_layer(void **state)
{
    (void)state;
    gradient_of_layer((layer_size){.T = 7, .h = 6, .f = 5, .E = 4, .K = 2});
    gradient_of_layer((layer_size){.T = 5, .h = 4, .f = 3, .E = 5, .K = 3});
    gradient_of_layer((layer_size){.T = 4, .h = 4, .f = 3, .E = 2, .K = 2});
    gradient_of_layer((layer_size){.T = 4, .h = 4, .f = 3, .E = 3, .K = 1});
}

/* ---- the list ---- */

typedef struct gradient_row {
    const char *op;
    void (*check)(void);
} gradient_row;

static const gradient_row rows[] = {
#define ROW(op)                                                                                              \
    {                                                                                                        \
#op, gradient_##op                                                                                   \
    }
    ROW(embed_backward),
    ROW(rms_norm_backward),
    ROW(linear_backward_input),
    ROW(linear_backward_weight),
    ROW(bias_backward),
    ROW(rope),
    ROW(attention_backward),
    ROW(swiglu_backward),
    ROW(router_topk_backward),
    ROW(grouped_linear_backward_input),
    ROW(grouped_linear_backward_weight),
    ROW(moe_combine_backward),
    ROW(balance_loss),
    ROW(lpr_loss),
    ROW(gate_input_backward),
    ROW(gate_loss),
    ROW(cross_entropy),
#undef ROW
};

static void test_every_op(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("             %s\n", rows[i].op);
        rows[i].check();
    }
}

static bool is_in_list(const char *op)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].op, op) == 0)
            return true;
    return false;
}

/* Every op whose name says that it gives a gradient is in the list above. */
static void test_no_op_is_left_out(void **state)
{
    (void)state;
#define GLOT_OP(name, parameters, arguments)                                                                 \
    if (strstr(#name, "_backward") || strstr(#name, "_loss") || strstr(#name, "_entropy"))                   \
        assert_true(is_in_list(#name));
#include "tensor/ops.inc"
#undef GLOT_OP
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op),
        cmocka_unit_test(test_whole_layer),
        cmocka_unit_test(test_no_op_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
