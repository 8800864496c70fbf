/* attention.c: causal attention of several sequences at once, forward and backward.
 *
 * For a query and its n keys: s_j = scale (q . k_j), p = softmax(s), out = sum_j p_j v_j. The sum over keys
 * runs in panels of 256, and over exp(s_j - max): the division by their sum comes last.
 */
#include "tensor/ref/ref.h"

typedef struct attention_shape {
    int64_t n_heads, n_kv_heads, d;
} attention_shape;

static attention_shape shape_of(const glot_tensor *q, const glot_tensor *k)
{
    attention_shape a = {q->shape[1], k->shape[1], q->shape[2]};
    GLOT_ASSERT(q->n_dims == 3 && k->n_dims == 3 && k->shape[2] == a.d && a.n_heads % a.n_kv_heads == 0);
    return a;
}

/* One query head of one token, and the keys and values it sees: index of the first element, `step` elements
 * apart. */
typedef struct query {
    int64_t q, kv, step, n_keys;
} query;

static query query_at(attention_shape a, const int32_t *segment, int64_t i, int64_t head)
{
    int64_t first_q = segment[0], n_q = segment[1], first_kv = segment[2], n_kv = segment[3];
    GLOT_ASSERT(n_kv >= n_q);
    return (query){.q = ((first_q + i) * a.n_heads + head) * a.d,
                   .kv = (first_kv * a.n_kv_heads + head / (a.n_heads / a.n_kv_heads)) * a.d,
                   .step = a.n_kv_heads * a.d,
                   .n_keys = n_kv - n_q + i + 1};
}

/* p[j] = the scores' softmax before the division; returns its sum. */
static real weights_of(real *p, query at, const glot_tensor *q, const glot_tensor *k, int64_t d, real scale)
{
    for (int64_t j = 0; j < at.n_keys; j++)
        p[j] =
            scale * ref_dot((ref_sum){0}, (ref_line){q, at.q, 1}, (ref_line){k, at.kv + j * at.step, 1}, d);
    ref_softmax s = ref_softmax_of(p, at.n_keys);
    for (int64_t j = 0; j < at.n_keys; j++)
        p[j] = real_exp(p[j] - s.max);
    return s.sum;
}

/* sum over keys of p_j x_j, one element of d, in panels of 256. */
static real sum_over_keys(const real *p, const real *x, query at)
{
    real total = 0;
    for (int64_t panel = 0; panel < at.n_keys; panel += REF_PANEL) {
        real sum = 0;
        for (int64_t j = panel; j < at.n_keys && j < panel + REF_PANEL; j++)
            sum = real_fma(p[j], x[j * at.step], sum);
        total += sum;
    }
    return total;
}

void REF_NAME(attention)(glot_backend *be, const glot_tensor *out, const glot_tensor *q, const glot_tensor *k,
                         const glot_tensor *v, const glot_tensor *segments, double scale)
{
    ref_backend *ref = (ref_backend *)be;
    attention_shape a = shape_of(q, k);
    real *p = ref->scratch[0];
    for (int64_t s = 0; s < segments->shape[0]; s++) {
        const int32_t *segment = ints(segments) + s * 4;
        GLOT_ASSERT(segment[3] <= ref->max_keys);
        for (int64_t i = 0; i < segment[1]; i++)
            for (int64_t head = 0; head < a.n_heads; head++) {
                query at = query_at(a, segment, i, head);
                real sum = weights_of(p, at, q, k, a.d, (real)scale);
                for (int64_t c = 0; c < a.d; c++)
                    reals(out)[at.q + c] = sum_over_keys(p, reals(v) + at.kv + c, at) / sum;
            }
    }
}

/* One query's part: dq whole, dk and dv added to. With dp_j = d_out . v_j and D = d_out . out:
 * ds_j = p_j (dp_j - D); dq = scale sum_j ds_j k_j; dk_j += scale ds_j q; dv_j += p_j d_out. */
static void query_backward(real *p, real *ds, query at, int64_t d, real scale, const glot_tensor *dq,
                           const glot_tensor *dk, const glot_tensor *dv, const glot_tensor *d_out,
                           const glot_tensor *out, const glot_tensor *q, const glot_tensor *k,
                           const glot_tensor *v)
{
    real sum = weights_of(p, at, q, k, d, scale);
    real mean = ref_dot((ref_sum){0}, (ref_line){d_out, at.q, 1}, (ref_line){out, at.q, 1}, d);
    for (int64_t j = 0; j < at.n_keys; j++) {
        real dp = ref_dot((ref_sum){0}, (ref_line){d_out, at.q, 1}, (ref_line){v, at.kv + j * at.step, 1}, d);
        p[j] = p[j] / sum;
        ds[j] = p[j] * (dp - mean) * scale;
    }
    for (int64_t c = 0; c < d; c++) {
        reals(dq)[at.q + c] = sum_over_keys(ds, reals(k) + at.kv + c, at);
        for (int64_t j = 0; j < at.n_keys; j++) {
            real *dk_j = reals(dk) + at.kv + j * at.step + c, *dv_j = reals(dv) + at.kv + j * at.step + c;
            *dk_j = real_fma(ds[j], reals(q)[at.q + c], *dk_j);
            *dv_j = real_fma(p[j], reals(d_out)[at.q + c], *dv_j);
        }
    }
}

void REF_NAME(attention_backward)(glot_backend *be, const glot_tensor *dq, const glot_tensor *dk,
                                  const glot_tensor *dv, const glot_tensor *d_out, const glot_tensor *out,
                                  const glot_tensor *q, const glot_tensor *k, const glot_tensor *v,
                                  const glot_tensor *segments, double scale)
{
    ref_backend *ref = (ref_backend *)be;
    attention_shape a = shape_of(q, k);
    be->zero(be, dk);
    be->zero(be, dv);
    for (int64_t s = 0; s < segments->shape[0]; s++) {
        const int32_t *segment = ints(segments) + s * 4;
        GLOT_ASSERT(segment[1] == segment[3] && segment[3] <= ref->max_keys);
        for (int64_t head = 0; head < a.n_heads; head++)
            for (int64_t i = 0; i < segment[1]; i++)
                query_backward(ref->scratch[0], ref->scratch[1], query_at(a, segment, i, head), a.d,
                               (real)scale, dq, dk, dv, d_out, out, q, k, v);
    }
}
