/* op_cases.c: one function for each op. Rows are handed to row-wise ops all at once or in parts: the bits
 * must be the same. */
#include "tensor/op_cases.h"

/* ---- parts: the same rows in several calls ---- */

typedef struct part {
    int64_t first, n;
    bool is_done;
} part;

static part part_at(bench *b, const run_size *s, int64_t T, int64_t first)
{
    b->is_in_parts = true;
    if (s->step == 0)
        return (part){0, T, first > 0};
    return (part){first, s->step < T - first ? s->step : T - first, first >= T};
}

#define EACH_PART(p, s, T)                                                                                   \
    for (part p = part_at(b, s, T, 0); !p.is_done; p = part_at(b, s, T, p.first + (p.n ? p.n : 1)))
/* The rows of a part, as an argument. */
#define AT(p, t) ((glot_tensor[1]){glot_tensor_slice(&(t), (p).first, (p).n)})

/* A tensor that sums over rows, and so has other bits when the rows come in parts. */
static glot_tensor make_total(bench *b, const run_size *s, glot_tensor shape)
{
    glot_tensor t = make(b, shape);
    b->tensors[b->n_tensors - 1].is_output = s->step == 0;
    fill_normal(b, &t, 1);
    return t;
}

static glot_tensor make_output_normal(bench *b, glot_tensor shape)
{
    glot_tensor t = make_output(b, shape);
    fill_normal(b, &t, 1);
    return t;
}

static glot_tensor real_1d(bench *b, int64_t n)
{
    return glot_tensor_1d(b->be->real, n);
}

static glot_tensor real_2d(bench *b, int64_t rows, int64_t n)
{
    return glot_tensor_2d(b->be->real, rows, n);
}

static glot_dtype weight_dtype(const run_size *s)
{
    static const glot_dtype dtypes[] = {GLOT_F32, GLOT_F16, GLOT_BF16};
    return dtypes[(s->n + s->k + s->variant) % 3];
}

static bool flag(const run_size *s, int bit)
{
    return (s->variant >> bit) & 1;
}

/* ---- one function for each op ---- */

static void run_embed(bench *b, const run_size *s)
{
    glot_tensor table = make_normal(b, glot_tensor_2d(weight_dtype(s), s->k + 2, s->n), 1);
    glot_tensor ids = make_whole(b, glot_tensor_1d(GLOT_I32, s->T), 0, (int)s->k + 2);
    glot_tensor out = make_output(b, real_2d(b, s->T, s->n));
    EACH_PART(p, s, s->T)
    glot_op_embed(b->be, AT(p, out), &table, AT(p, ids));
}

static void run_embed_backward(bench *b, const run_size *s)
{
    glot_tensor d_table = make_output_normal(b, real_2d(b, s->k + 2, s->n));
    glot_tensor ids = make_whole(b, glot_tensor_1d(GLOT_I32, s->T), 0, (int)s->k + 2);
    glot_tensor d_out = make_normal(b, real_2d(b, s->T, s->n), 1);
    EACH_PART(p, s, s->T) /* in token order whatever the parts */
    glot_op_embed_backward(b->be, &d_table, AT(p, d_out), AT(p, ids));
}

static void run_rms_norm(bench *b, const run_size *s)
{
    glot_tensor shape = glot_tensor_3d(b->be->real, s->T, flag(s, 0) ? 3 : 1, s->n);
    glot_tensor x = make_normal(b, shape, 2), out = make_output(b, shape);
    glot_tensor weight = make_normal(b, glot_tensor_1d(weight_dtype(s), s->n), 1);
    EACH_PART(p, s, s->T)
    glot_op_rms_norm(b->be, AT(p, out), AT(p, x), &weight, 1e-5);
}

static void run_rms_norm_backward(bench *b, const run_size *s)
{
    bool is_added = flag(s, 0), is_alias = s->variant == 2, is_frozen = s->variant == 3 || s->step;
    glot_tensor x = make_normal(b, real_2d(b, s->T, s->n), 2), dy = make_output_normal(b, x);
    glot_tensor dx = is_alias ? dy : make_output_normal(b, x);
    glot_tensor weight = make_normal(b, glot_tensor_1d(weight_dtype(s), s->n), 1);
    glot_tensor d_weight = make_total(b, s, real_1d(b, s->n));
    EACH_PART(p, s, s->T)
    glot_op_rms_norm_backward(b->be, AT(p, dx), is_frozen ? NULL : &d_weight, AT(p, dy), AT(p, x), &weight,
                              1e-5, is_added);
}

static void run_add(bench *b, const run_size *s)
{
    glot_tensor x = make_output_normal(b, real_2d(b, s->T, s->n)), y = make_output_normal(b, x);
    glot_tensor out = s->variant == 1 ? x : s->variant == 2 ? y : make_output(b, x);
    EACH_PART(p, s, s->T)
    glot_op_add(b->be, AT(p, out), AT(p, x), AT(p, y));
}

static void run_scale(bench *b, const run_size *s)
{
    glot_tensor x = make_output_normal(b, real_2d(b, s->T, s->n));
    glot_tensor out = flag(s, 0) ? x : make_output(b, x);
    EACH_PART(p, s, s->T)
    glot_op_scale(b->be, AT(p, out), AT(p, x), 0.3);
}

/* One to three projections, each wider than the last and every second with a bias. */
static void run_linears(bench *b, const run_size *s)
{
    glot_tensor x = make_normal(b, real_2d(b, s->T, s->k), 1), out[3], w[3], bias[3];
    int count = 1 + s->variant % 3;
    for (int i = 0; i < count; i++) {
        out[i] = make_output(b, real_2d(b, s->T, s->n + 7 * i));
        w[i] = make_normal(b, glot_tensor_2d(weight_dtype(s), s->n + 7 * i, s->k), 1);
        bias[i] = make_normal(b, glot_tensor_1d(weight_dtype(s), s->n + 7 * i), 1);
    }
    EACH_PART(p, s, s->T)
    {
        glot_tensor rows[3];
        const glot_tensor *weights[3] = {&w[0], &w[1], &w[2]};
        glot_projection projections[3];
        for (int i = 0; i < count; i++) {
            rows[i] = *AT(p, out[i]);
            projections[i] = (glot_projection){&rows[i], &weights[i], (i + s->variant) % 2 ? &bias[i] : NULL};
        }
        glot_op_linears(b->be, projections, count, AT(p, x));
    }
}

static void run_linear_backward_input(bench *b, const run_size *s)
{
    glot_tensor dx = make_output_normal(b, real_2d(b, s->T, s->n));
    glot_tensor dy = make_normal(b, real_2d(b, s->T, s->k), 1);
    glot_tensor w = make_normal(b, glot_tensor_2d(weight_dtype(s), s->k, s->n), 1);
    EACH_PART(p, s, s->T)
    glot_op_linear_backward_input(b->be, AT(p, dx), AT(p, dy), &w, flag(s, 0));
}

static void run_linear_backward_weight(bench *b, const run_size *s)
{
    glot_tensor dw = make_output_normal(b, real_2d(b, s->n, s->k));
    glot_tensor dy = make_normal(b, real_2d(b, s->T, s->n), 1);
    glot_tensor x = make_normal(b, real_2d(b, s->T, s->k), 1);
    glot_op_linear_backward_weight(b->be, &dw, &dy, &x);
}

static void run_bias_backward(bench *b, const run_size *s)
{
    glot_tensor db = make_output_normal(b, real_1d(b, s->n));
    glot_tensor dy = make_normal(b, real_2d(b, s->T, s->n), 1);
    glot_op_bias_backward(b->be, &db, &dy);
}

static void run_rope(bench *b, const run_size *s)
{
    glot_tensor x = make_output_normal(b, glot_tensor_3d(b->be->real, s->T, 1 + s->k % 3, 2 * s->n));
    glot_tensor positions = make_whole(b, glot_tensor_1d(GLOT_I32, s->T), 0, 9);
    glot_tensor cosines = make_normal(b, glot_tensor_2d(GLOT_F32, 9, s->n), 1);
    glot_tensor sines = make_normal(b, cosines, 1);
    EACH_PART(p, s, s->T)
    glot_op_rope(b->be, AT(p, x), AT(p, positions), &cosines, &sines, flag(s, 0));
}

/* Up to three sequences; with `n_before` keys in front of each one's own, and with `n_left` rows in none. */
static glot_tensor make_segments(bench *b, int64_t T, int64_t n_before, int64_t n_left)
{
    int64_t lengths[3] = {(T - n_left) / 2, (T - n_left) / 5, 0}, n_segments = T > n_left ? 3 : 0;
    lengths[2] = T - n_left - lengths[0] - lengths[1];
    glot_tensor segments = make(b, glot_tensor_2d(GLOT_I32, n_segments, 4));
    int32_t *row = segments.addr, q = 0, kv = 0;
    for (int i = 0; i < n_segments; i++, row += 4) {
        int32_t n_q = (int32_t)lengths[i], n_kv = n_q + (int32_t)n_before;
        memcpy(row, (int32_t[4]){q, n_q, kv, n_kv}, 16);
        q += n_q;
        kv += n_kv;
    }
    return segments;
}

/* `step` queries of each sequence at once, each seeing no more keys than it may. */
static void attend_in_parts(bench *b, const run_size *s, const glot_tensor *out, const glot_tensor *q,
                            const glot_tensor *k, const glot_tensor *v, const glot_tensor *segments,
                            double scale)
{
    int32_t row[4];
    glot_tensor one = {.dtype = GLOT_I32, .n_dims = 2, .shape = {1, 4}, .addr = row};
    for (int64_t i = 0; i < segments->shape[0]; i++) {
        const int32_t *whole = (const int32_t *)segments->addr + i * 4;
        EACH_PART(p, s, whole[1])
        {
            int32_t first = (int32_t)p.first, n = (int32_t)p.n;
            memcpy(row, (int32_t[4]){whole[0] + first, n, whole[2], whole[3] - whole[1] + first + n},
                   sizeof row);
            glot_op_attention(b->be, out, q, k, v, &one, scale);
        }
    }
}

/* Pairs of tokens cost: long sequences for thin heads only. */
static int64_t attention_rows(const run_size *s)
{
    return s->T > 60 && s->n > 20 ? 60 : s->T;
}

static int64_t attention_width(const run_size *s)
{
    return s->n > 64 ? 36 : s->n;
}

static void run_attention(bench *b, const run_size *s)
{
    int64_t kv_heads = 1 + s->variant % 2, heads = kv_heads * (1 + s->variant / 2), T = attention_rows(s);
    int64_t d = attention_width(s);
    int64_t before = s->T > 80 ? 260 : s->K;
    glot_tensor q = make_normal(b, glot_tensor_3d(b->be->real, T, heads, d), 1), out = make_output(b, q);
    glot_tensor k = make_normal(b, glot_tensor_3d(b->be->real, T + 3 * before, kv_heads, d), 1);
    glot_tensor v = make_normal(b, k, 1), segments = make_segments(b, T, before, T > 2);
    double scale = 1 / sqrt((double)d);
    b->is_in_parts = true;
    if (s->step)
        attend_in_parts(b, s, &out, &q, &k, &v, &segments, scale);
    else
        glot_op_attention(b->be, &out, &q, &k, &v, &segments, scale);
}

static void run_attention_backward(bench *b, const run_size *s)
{
    int64_t kv_heads = 1 + s->variant % 2, heads = kv_heads * (1 + s->variant / 2), T = attention_rows(s);
    int64_t d = attention_width(s);
    glot_tensor q = make_normal(b, glot_tensor_3d(b->be->real, T, heads, d), 1);
    glot_tensor k = make_normal(b, glot_tensor_3d(b->be->real, T, kv_heads, d), 1), v = make_normal(b, k, 1);
    glot_tensor segments = make_segments(b, T, 0, 0), out = make(b, q), d_out = make_normal(b, q, 1);
    glot_tensor dq = make_output(b, q), dk = make_output(b, k), dv = make_output(b, v);
    double scale = 1 / sqrt((double)d);
    glot_op_attention(b->be, &out, &q, &k, &v, &segments, scale);
    glot_op_attention_backward(b->be, &dq, &dk, &dv, &d_out, &out, &q, &k, &v, &segments, scale);
}

static void run_swiglu(bench *b, const run_size *s)
{
    glot_tensor gate = make_output_normal(b, real_2d(b, s->T, s->n)), up = make_normal(b, gate, 1);
    if (s->T && s->n > 3) { /* where exp overflows and underflows */
        set(&gate, 0, -200);
        set(&gate, 1, 200);
        set(&gate, 2, -88.5);
    }
    glot_tensor out = flag(s, 0) ? gate : make_output(b, gate);
    EACH_PART(p, s, s->T)
    glot_op_swiglu(b->be, AT(p, out), AT(p, gate), AT(p, up));
}

static void run_swiglu_backward(bench *b, const run_size *s)
{
    bool is_in_place = s->variant == 3;
    glot_tensor gate = make_output_normal(b, real_2d(b, s->T, s->n)), up = make_output_normal(b, gate);
    glot_tensor d_out = make_output_normal(b, gate);
    glot_tensor d_gate = is_in_place ? gate : s->variant == 1 ? d_out : make_output(b, gate);
    glot_tensor d_up = is_in_place ? up : s->variant == 2 ? d_out : make_output(b, gate);
    glot_tensor out = is_in_place ? d_out : make_output(b, gate);
    EACH_PART(p, s, s->T)
    glot_op_swiglu_backward(b->be, AT(p, d_gate), AT(p, d_up), s->variant == 2 ? NULL : AT(p, out),
                            AT(p, d_out), AT(p, gate), AT(p, up));
}

static void run_router_topk(bench *b, const run_size *s)
{
    glot_tensor logits = make_normal(b, real_2d(b, s->T, s->E), 2);
    if (flag(s, 1)) { /* ties; one row with a NaN, one with nothing else */
        fill_whole(b, &logits, -2, 2);
        for (int64_t e = 0; e < s->E && s->T > 1; e++)
            set(&logits, e ? s->E + e : s->E / 2, NAN);
    }
    glot_tensor is_exact = make_whole(b, glot_tensor_1d(GLOT_U8, s->T), 0, 2);
    glot_tensor probs = make_output(b, logits), ids = make_output(b, glot_tensor_2d(GLOT_I32, s->T, s->K));
    glot_tensor weights = make_output(b, real_2d(b, s->T, s->K));
    EACH_PART(p, s, s->T)
    glot_op_router_topk(b->be, AT(p, probs), AT(p, ids), AT(p, weights), AT(p, logits),
                        flag(s, 0) ? AT(p, is_exact) : NULL);
}

/* K different experts for every token; every third token takes expert 0 alone where has_unused. */
static glot_tensor make_ids(bench *b, const run_size *s, bool has_unused)
{
    glot_tensor ids = make(b, glot_tensor_2d(GLOT_I32, s->T, s->K));
    for (int64_t t = 0; t < s->T; t++) {
        int32_t *row = (int32_t *)ids.addr + t * s->K;
        for (int i = 0; i < s->K; i++) {
            row[i] = (int32_t)glot_rng_below(&b->rng, (uint32_t)s->E);
            for (int j = 0; j < i; j++)
                if (row[j] == row[i]) {
                    row[i] = (row[i] + 1) % s->E;
                    j = -1;
                }
        }
        for (int i = 0; has_unused && t % 3 == 1 && i < s->K; i++)
            row[i] = i ? -1 : 0;
    }
    return ids;
}

static glot_tensor make_combine_weights(bench *b, const run_size *s)
{
    glot_tensor w = make(b, real_2d(b, s->T, s->K));
    for (int64_t i = 0; i < s->T * s->K; i++)
        set(&w, i, glot_rng_uniform(&b->rng));
    return w;
}

static void run_router_topk_backward(bench *b, const run_size *s)
{
    glot_tensor ids = make_ids(b, s, flag(s, 0)), weights = make_combine_weights(b, s);
    glot_tensor d_weights = make_normal(b, weights, 1), d_logits = make_output(b, real_2d(b, s->T, s->E));
    EACH_PART(p, s, s->T)
    glot_op_router_topk_backward(b->be, AT(p, d_logits), AT(p, d_weights), AT(p, weights), AT(p, ids));
}

static void run_dispatch(bench *b, const run_size *s)
{
    glot_tensor ids = make_ids(b, s, flag(s, 0));
    glot_dispatch plan = make_plan(b, s->T, s->E, s->K);
    glot_op_dispatch(b->be, &plan, &ids);
}

/* Experts' matrices, or where is_gradient their gradients; a frozen one has none. */
typedef struct experts {
    glot_tensor t[64];
    const glot_tensor *p[64];
} experts;

static void make_experts(bench *b, experts *x, const run_size *s, int64_t rows, int64_t cols,
                         bool is_gradient)
{
    glot_dtype dtype = is_gradient ? b->be->real : weight_dtype(s);
    for (int e = 0; e < s->E; e++) {
        x->t[e] = make(b, glot_tensor_2d(dtype, rows, cols));
        b->tensors[b->n_tensors - 1].is_output = is_gradient;
        fill_normal(b, &x->t[e], 1);
        x->p[e] = is_gradient && flag(s, 1) && e == 0 ? NULL : &x->t[e];
    }
}

/* The rows of the same (token, slot) pairs from one plan's order into another's. */
static void copy_rows(const glot_tensor *to, const glot_tensor *to_slots, const glot_tensor *from,
                      const glot_tensor *from_slots)
{
    size_t bytes = glot_dtype_block_bytes(to->dtype) * (size_t)to->shape[1];
    for (int64_t i = 0; i < glot_tensor_elements(to_slots); i++)
        if (get(to_slots, i) >= 0)
            memcpy((char *)to->addr + (size_t)get(to_slots, i) * bytes,
                   (char *)from->addr + (size_t)get(from_slots, i) * bytes, bytes);
}

/* A product by experts, w and out one or two of them, on some tokens only: their rows are taken to a plan of
 * their own, and back. */
typedef void (*grouped_product)(bench *b, const run_size *s, const glot_tensor *out, const glot_tensor *in,
                                const experts *w, const glot_dispatch *plan);

static void product_of_part(bench *b, const run_size *s, part p, grouped_product product, int count,
                            const glot_tensor *out, const glot_tensor *in, const experts *w,
                            const glot_dispatch *plan, const glot_tensor *ids, bool is_gathered)
{
    bench small = bench_start(b->be, 1);
    glot_dispatch own = make_plan(&small, p.n, s->E, s->K);
    glot_op_dispatch(b->be, &own, AT(p, *ids));
    glot_tensor slots = glot_tensor_slice(&plan->slot_rows, p.first, p.n), own_out[2];
    glot_tensor own_in = make(&small, real_2d(b, p.n * (is_gathered ? 1 : s->K), in->shape[1]));
    if (is_gathered)
        fill_copy(&own_in, AT(p, *in));
    else
        copy_rows(&own_in, &own.slot_rows, in, &slots);
    for (int i = 0; i < count; i++) {
        own_out[i] = make(&small, real_2d(b, p.n * s->K, out[i].shape[1]));
        copy_rows(&own_out[i], &own.slot_rows, &out[i], &slots);
    }
    product(b, s, own_out, &own_in, w, &own);
    for (int i = 0; i < count; i++)
        copy_rows(&out[i], &slots, &own_out[i], &own.slot_rows);
    GLOT_ASSERT(bench_has_guards(&small));
    b->heap_calls += small.heap_calls;
    bench_release(&small);
}

static void run_grouped(bench *b, const run_size *s, grouped_product product, int count, const experts *w,
                        int64_t n, int64_t k, bool is_gathered)
{
    glot_tensor ids = make_ids(b, s, flag(s, 1));
    glot_dispatch plan = make_plan(b, s->T, s->E, s->K);
    glot_tensor in = make_normal(b, real_2d(b, s->T * (is_gathered ? 1 : s->K), k), 1);
    glot_tensor out[2];
    for (int i = 0; i < count; i++)
        out[i] = make_output_normal(b, real_2d(b, s->T * s->K, n));
    glot_op_dispatch(b->be, &plan, &ids);
    b->is_in_parts = true;
    if (s->step == 0)
        product(b, s, out, &in, w, &plan);
    else
        EACH_PART(p, s, s->T)
    product_of_part(b, s, p, product, count, out, &in, w, &plan, &ids, is_gathered);
}

static void forward_product(bench *b, const run_size *s, const glot_tensor *out, const glot_tensor *in,
                            const experts *w, const glot_dispatch *plan)
{
    const glot_projection projections[] = {{&out[0], w[0].p, NULL}, {&out[1], w[1].p, NULL}};
    glot_op_grouped_linears(b->be, projections, 2, in, plan, flag(s, 0));
}

static void run_grouped_linears(bench *b, const run_size *s)
{
    experts w[2];
    make_experts(b, &w[0], s, s->n, s->k, false);
    make_experts(b, &w[1], s, s->n, s->k, false);
    run_grouped(b, s, forward_product, 2, w, s->n, s->k, flag(s, 0));
}

static void backward_product(bench *b, const run_size *s, const glot_tensor *out, const glot_tensor *in,
                             const experts *w, const glot_dispatch *plan)
{
    glot_op_grouped_linear_backward_input(b->be, out, in, w->p, plan, flag(s, 0));
}

static void run_grouped_linear_backward_input(bench *b, const run_size *s)
{
    experts w;
    make_experts(b, &w, s, s->k, s->n, false);
    run_grouped(b, s, backward_product, 1, &w, s->n, s->k, false);
}

static void run_grouped_linear_backward_weight(bench *b, const run_size *s)
{
    experts dw;
    make_experts(b, &dw, s, s->n, s->k, true);
    glot_tensor ids = make_ids(b, s, flag(s, 1));
    glot_dispatch plan = make_plan(b, s->T, s->E, s->K);
    glot_tensor dy = make_normal(b, real_2d(b, s->T * s->K, s->n), 1);
    glot_tensor x = make_normal(b, real_2d(b, s->T * (flag(s, 0) ? 1 : s->K), s->k), 1);
    glot_op_dispatch(b->be, &plan, &ids);
    glot_op_grouped_linear_backward_weight(b->be, dw.p, &dy, &x, &plan, flag(s, 0), !flag(s, 1));
}

/* What combining works on: a plan, and the tokens of a part of it. */
static glot_dispatch make_dispatched(bench *b, const run_size *s)
{
    glot_tensor ids = make_ids(b, s, flag(s, 0));
    glot_dispatch plan = make_plan(b, s->T, s->E, s->K);
    glot_op_dispatch(b->be, &plan, &ids);
    return plan;
}

static glot_dispatch plan_of(part p, const glot_dispatch *plan)
{
    glot_dispatch some = *plan;
    some.slot_rows = glot_tensor_slice(&plan->slot_rows, p.first, p.n);
    return some;
}

static void run_moe_combine(bench *b, const run_size *s)
{
    glot_dispatch plan = make_dispatched(b, s);
    glot_tensor rows = make_normal(b, real_2d(b, s->T * s->K, s->n), 1), weights = make_combine_weights(b, s);
    glot_tensor y = make_output(b, real_2d(b, s->T, s->n));
    EACH_PART(p, s, s->T)
    {
        glot_dispatch some = plan_of(p, &plan);
        glot_op_moe_combine(b->be, AT(p, y), &rows, AT(p, weights), &some);
    }
}

static void run_moe_combine_backward(bench *b, const run_size *s)
{
    glot_dispatch plan = make_dispatched(b, s);
    glot_tensor rows = make_normal(b, real_2d(b, s->T * s->K, s->n), 1), weights = make_combine_weights(b, s);
    glot_tensor dy = make_normal(b, real_2d(b, s->T, s->n), 1);
    glot_tensor d_rows = make_output(b, rows), d_weights = make_output(b, weights);
    EACH_PART(p, s, s->T)
    {
        glot_dispatch some = plan_of(p, &plan);
        glot_op_moe_combine_backward(b->be, &d_rows, AT(p, d_weights), AT(p, dy), &rows, AT(p, weights),
                                     &some);
    }
}

static void run_moe_scatter(bench *b, const run_size *s)
{
    glot_dispatch plan = make_dispatched(b, s);
    glot_tensor d_rows = make_normal(b, real_2d(b, s->T * s->K, s->n), 1);
    glot_tensor dx = make_output_normal(b, real_2d(b, s->T, s->n));
    EACH_PART(p, s, s->T)
    {
        glot_dispatch some = plan_of(p, &plan);
        glot_op_moe_scatter(b->be, AT(p, dx), &d_rows, &some, flag(s, 1));
    }
}

static void run_balance_loss(bench *b, const run_size *s)
{
    glot_dispatch plan = make_dispatched(b, s);
    glot_tensor probs = make(b, real_2d(b, s->T, s->E)), d_logits = make_output_normal(b, probs);
    glot_tensor loss = make_output_normal(b, glot_tensor_1d(GLOT_F64, 1));
    for (int64_t i = 0; i < s->T * s->E; i++)
        set(&probs, i, glot_rng_uniform(&b->rng));
    glot_op_balance_loss(b->be, &loss, &d_logits, &probs, &plan, s->E, 0.01);
}

static void run_lpr_loss(bench *b, const run_size *s)
{
    glot_tensor logits = make_normal(b, real_2d(b, s->T, s->E), 3), d_logits = make_output_normal(b, logits);
    glot_tensor group = make_whole(b, glot_tensor_1d(GLOT_U8, s->T), 0, 3);
    glot_tensor loss = make_total(b, s, glot_tensor_1d(GLOT_F64, 1));
    bool is_released = flag(s, 0);
    int32_t n_allowed[3] = {1, is_released ? 0 : s->E - s->E / 3, 0};
    EACH_PART(p, s, s->T)
    glot_op_lpr_loss(b->be, &loss, AT(p, d_logits), AT(p, logits), AT(p, group), n_allowed, 3,
                     is_released ? GLOT_LPR_RELEASED : GLOT_LPR_PAPER, 0.1);
}

/* ---- the language gate ---- */

enum { BOS = 0 };

/* What the gate's cases work on: documents laid end to end, one in four ids BOS. */
typedef struct gated_text {
    glot_tensor ids, documents; /* I32 [T], [T, 4] */
    glot_tensor is_start;       /* U8 [T] */
    bool has_slots;
} gated_text;

static gated_text make_text(bench *b, const run_size *s, bool has_slots)
{
    gated_text text = {.ids = make_whole(b, glot_tensor_1d(GLOT_I32, s->T), BOS, 4),
                       .documents = make(b, glot_tensor_2d(GLOT_I32, s->T, 4)),
                       .is_start = make_whole(b, glot_tensor_1d(GLOT_U8, s->T), 0, 7),
                       .has_slots = has_slots};
    for (int64_t t = 0; t < s->T; t++)
        set(&text.is_start, t, t == 0 || get(&text.is_start, t) == 6);
    return text;
}

/* The documents of some rows; one that began before them goes on. Every second has the other of two slots. */
static glot_tensor documents_of(const gated_text *text, part p)
{
    int32_t *d = text->documents.addr;
    int64_t n_documents = 0, n_here = 0, n_before = 0;
    for (int64_t t = 0; t < p.first + p.n; t++) {
        bool is_start = get(&text->is_start, t) != 0;
        n_documents += is_start;
        n_before = is_start ? 0 : n_before;
        if (t >= p.first && (t == p.first || is_start)) {
            int32_t slot = text->has_slots ? (int32_t)(n_documents % 2) : -1;
            memcpy(d + 4 * n_here++, (int32_t[4]){(int32_t)(t - p.first), 0, slot, (int32_t)n_before}, 16);
        }
        if (n_here)
            d[4 * n_here - 3]++;
        n_before += get(&text->ids, t) != BOS;
    }
    return glot_tensor_slice(&text->documents, 0, n_here);
}

static void run_gate_input(bench *b, const run_size *s)
{
    bool is_whole = flag(s, 0), has_slots = !flag(s, 1);
    gated_text text = make_text(b, s, has_slots);
    glot_tensor x = make_normal(b, real_2d(b, s->T, s->n), 1), out = make_output(b, x);
    glot_tensor sums = make_output_normal(b, glot_tensor_2d(GLOT_F64, 2, s->n));
    const glot_tensor *kept = has_slots ? &sums : NULL;
    part all = {0, s->T, false};
    if (is_whole || !has_slots) { /* nothing to go on from, or other sums for other parts */
        glot_tensor documents = documents_of(&text, all);
        glot_op_gate_input(b->be, &out, kept, &x, &text.ids, &documents, BOS, is_whole);
        return;
    }
    EACH_PART(p, s, s->T)
    {
        glot_tensor documents = documents_of(&text, p);
        glot_op_gate_input(b->be, AT(p, out), kept, AT(p, x), AT(p, text.ids), &documents, BOS, false);
    }
}

static void run_gate_input_backward(bench *b, const run_size *s)
{
    gated_text text = make_text(b, s, false);
    glot_tensor d_out = make_normal(b, real_2d(b, s->T, s->n), 1), dx = make_output_normal(b, d_out);
    glot_tensor documents = documents_of(&text, (part){0, s->T, false});
    glot_op_gate_input_backward(b->be, &dx, &d_out, &text.ids, &documents, BOS, flag(s, 0));
}

static void run_gate_decide(bench *b, const run_size *s)
{
    glot_tensor logits = make_whole(b, real_2d(b, s->T, 2), 0, 3); /* a third are ties */
    glot_tensor is_exact = make_whole(b, glot_tensor_1d(GLOT_U8, s->T), 0, 2), out = make_output(b, is_exact);
    if (s->T)
        set(&logits, 0, NAN);
    EACH_PART(p, s, s->T)
    glot_op_gate_decide(b->be, AT(p, out), AT(p, logits), flag(s, 0) ? AT(p, is_exact) : NULL);
}

static void run_gate_loss(bench *b, const run_size *s)
{
    glot_tensor logits = make_normal(b, real_2d(b, s->T, 2), flag(s, 0) ? 100 : 3);
    glot_tensor d_logits = make_output(b, logits);
    glot_tensor group = make_whole(b, glot_tensor_1d(GLOT_U8, s->T), 0, 3);
    glot_tensor loss = make_total(b, s, glot_tensor_1d(GLOT_F64, 1));
    EACH_PART(p, s, s->T)
    glot_op_gate_loss(b->be, &loss, AT(p, d_logits), AT(p, logits), AT(p, group), 0.1);
}

static void run_cross_entropy(bench *b, const run_size *s)
{
    glot_tensor logits = make_output_normal(b, real_2d(b, s->T, s->n)),
                nll = make_output(b, real_1d(b, s->T));
    glot_tensor targets = make_whole(b, glot_tensor_1d(GLOT_I32, s->T), -1, (int)s->n);
    if (flag(s, 1) && s->T) /* far from zero, and far from each other */
        set(&logits, 0, 300);
    EACH_PART(p, s, s->T)
    glot_op_cross_entropy(b->be, AT(p, nll), AT(p, logits), AT(p, targets), flag(s, 0) ? 0.125 : 0);
}

static void run_log_softmax(bench *b, const run_size *s)
{
    glot_tensor logits = make_output_normal(b, real_2d(b, s->T, s->n));
    EACH_PART(p, s, s->T)
    glot_op_log_softmax(b->be, AT(p, logits));
}

static void run_sum(bench *b, const run_size *s)
{
    glot_tensor x = make_normal(b, real_2d(b, s->T, s->n), 1);
    glot_tensor out = make_output_normal(b, glot_tensor_1d(GLOT_F64, 1));
    glot_op_sum(b->be, &out, &x, flag(s, 0));
}

static void run_unit_sum(bench *b, const run_size *s)
{
    glot_tensor x = make_normal(b, real_2d(b, s->T, s->n), 1);
    glot_tensor is_counted = make_whole(b, glot_tensor_1d(GLOT_U8, s->T), 0, 2);
    glot_tensor sum = make_output_normal(b, glot_tensor_1d(GLOT_F64, s->n));
    for (int64_t j = 0; j < s->n && s->T; j++) /* the first row is all zeros, and counted */
        set(&x, j, 0);
    if (s->T)
        set(&is_counted, 0, 1);
    EACH_PART(p, s, s->T) /* in row order whatever the parts */
    glot_op_unit_sum(b->be, &sum, AT(p, x), AT(p, is_counted));
}

static void run_adamw(bench *b, const run_size *s)
{
    glot_tensor w = make_output_normal(b, real_2d(b, s->T, s->n)), g = make_normal(b, w, 0.1);
    glot_tensor m = make_output_normal(b, w), v = make_output_normal(b, w);
    for (int64_t i = 0; i < s->T * s->n; i++)
        set(&v, i, get(&v, i) * get(&v, i));
    glot_adamw settings = {1e-3, 0.9, 0.999, 1e-8, 0.01 * s->variant, 1 + s->variant * 50, 0.7};
    EACH_PART(p, s, s->T)
    glot_op_adamw(b->be, AT(p, w), AT(p, g), AT(p, m), AT(p, v), &settings);
}

const glot_op_case glot_op_cases[GLOT_N_OP_CASES] = {
#define GLOT_OP(name, parameters, arguments) {#name, run_##name},
#include "tensor/ops.inc"
#undef GLOT_OP
};
