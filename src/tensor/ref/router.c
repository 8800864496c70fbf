/* router.c: which experts a token takes (METHOD 1), where its rows go, and how their outputs are put together
 * again. */
#include "tensor/ref/ref.h"

static bool is_chosen(const int32_t *ids, int64_t n_chosen, int32_t expert)
{
    for (int64_t s = 0; s < n_chosen; s++)
        if (ids[s] == expert)
            return true;
    return false;
}

/* The largest logit that is not chosen yet, ties to the lower id; a NaN only where nothing else is left.
 * Logits order as the exact probabilities do, and one NaN among them leaves the others their order. */
static int32_t next_expert(const real *logits, int64_t E, const int32_t *ids, int64_t n_chosen)
{
    int32_t best = -1;
    for (int32_t e = 0; e < E; e++) {
        if (is_chosen(ids, n_chosen, e))
            continue;
        if (best < 0 || logits[e] > logits[best] || (isnan(logits[best]) && !isnan(logits[e])))
            best = e;
    }
    return best;
}

static void exact_token(int32_t *ids, real *weights, int64_t K)
{
    for (int64_t s = 0; s < K; s++) {
        ids[s] = s ? -1 : 0;
        weights[s] = s ? 0 : 1;
    }
}

static void route_token(real *probs, int32_t *ids, real *weights, const real *logits, int64_t E, int64_t K,
                        bool is_exact)
{
    ref_softmax softmax = ref_softmax_of(logits, E);
    for (int64_t e = 0; e < E; e++)
        probs[e] = real_exp(logits[e] - softmax.max) / softmax.sum;
    if (is_exact) {
        exact_token(ids, weights, K);
        return;
    }
    real sum = 0;
    for (int64_t s = 0; s < K; s++) {
        ids[s] = next_expert(logits, E, ids, s);
        sum += probs[ids[s]];
    }
    for (int64_t s = 0; s < K; s++)
        weights[s] = probs[ids[s]] / sum;
}

void REF_NAME(router_topk)(glot_backend *be, const glot_tensor *probs, const glot_tensor *expert_ids,
                           const glot_tensor *combine_weights, const glot_tensor *logits,
                           const glot_tensor *is_exact)
{
    (void)be;
    int64_t T = logits->shape[0], E = logits->shape[1], K = expert_ids->shape[1];
    GLOT_ASSERT(K >= 1 && K <= E && glot_tensor_same_shape(probs, logits) &&
                glot_tensor_same_shape(combine_weights, expert_ids) && expert_ids->shape[0] == T);
    for (int64_t t = 0; t < T; t++)
        route_token(reals(probs) + t * E, ints(expert_ids) + t * K, reals(combine_weights) + t * K,
                    reals(logits) + t * E, E, K, is_exact && ((const uint8_t *)is_exact->addr)[t]);
}

void REF_NAME(router_topk_backward)(glot_backend *be, const glot_tensor *d_logits,
                                    const glot_tensor *d_combine_weights, const glot_tensor *combine_weights,
                                    const glot_tensor *expert_ids)
{
    (void)be;
    int64_t T = d_logits->shape[0], E = d_logits->shape[1], K = expert_ids->shape[1];
    for (int64_t t = 0; t < T; t++) {
        const int32_t *ids = ints(expert_ids) + t * K;
        const real *w = reals(combine_weights) + t * K, *g = reals(d_combine_weights) + t * K;
        real *d = reals(d_logits) + t * E, mean = 0;
        for (int64_t e = 0; e < E; e++)
            d[e] = 0;
        if (is_chosen(ids, K, -1))
            continue;
        for (int64_t s = 0; s < K; s++)
            mean = real_fma(w[s], g[s], mean);
        for (int64_t s = 0; s < K; s++)
            d[ids[s]] = w[s] * (g[s] - mean);
    }
}

void REF_NAME(dispatch)(glot_backend *be, const glot_dispatch *plan, const glot_tensor *expert_ids)
{
    (void)be;
    int64_t n_slots = glot_tensor_elements(expert_ids);
    int E = plan->n_experts;
    int32_t *count = ints(&plan->tokens_per_expert), *offsets = ints(&plan->expert_offsets);
    GLOT_ASSERT(glot_tensor_elements(&plan->slot_rows) == n_slots && expert_ids->shape[1] == plan->top_k);
    int32_t row = 0;
    for (int e = 0; e < E;
         e++) { /* expert by expert, each in token order: what a stable counting sort gives */
        offsets[e] = row;
        for (int64_t i = 0; i < n_slots; i++)
            if (ints(expert_ids)[i] == e) {
                ints(&plan->row_map)[row] = (int32_t)i;
                ints(&plan->slot_rows)[i] = row++;
            }
        count[e] = row - offsets[e];
    }
    offsets[E] = row;
    for (int64_t i = 0; i < n_slots; i++)
        if (ints(expert_ids)[i] < 0)
            ints(&plan->slot_rows)[i] = -1;
}

void REF_NAME(moe_combine)(glot_backend *be, const glot_tensor *y, const glot_tensor *rows,
                           const glot_tensor *combine_weights, const glot_dispatch *plan)
{
    (void)be;
    int64_t T = y->shape[0], h = y->shape[1], K = plan->top_k;
    for (int64_t t = 0; t < T; t++) {
        const int32_t *slot = ints(&plan->slot_rows) + t * K;
        for (int64_t j = 0; j < h; j++) {
            real first = reals(rows)[slot[0] * h + j], sum = first;
            for (int64_t s = 1; s < K; s++)
                if (slot[s] >= 0)
                    sum = real_fma(reals(combine_weights)[t * K + s], reals(rows)[slot[s] * h + j] - first,
                                   sum);
            reals(y)[t * h + j] = sum;
        }
    }
}

static real difference_dot(const real *dy, const real *a, const real *b, int64_t n)
{
    real lanes[REF_LANES] = {0};
    for (int64_t j = 0; j < n; j++)
        lanes[j % REF_LANES] = real_fma(dy[j], a[j] - b[j], lanes[j % REF_LANES]);
    return ref_fold(lanes);
}

void REF_NAME(moe_combine_backward)(glot_backend *be, const glot_tensor *d_rows,
                                    const glot_tensor *d_combine_weights, const glot_tensor *dy,
                                    const glot_tensor *rows, const glot_tensor *combine_weights,
                                    const glot_dispatch *plan)
{
    (void)be;
    int64_t T = dy->shape[0], h = dy->shape[1], K = plan->top_k;
    for (int64_t t = 0; t < T; t++) {
        const int32_t *slot = ints(&plan->slot_rows) + t * K;
        const real *w = reals(combine_weights) + t * K, *row_dy = reals(dy) + t * h;
        real *dw = reals(d_combine_weights) + t * K, first_weight = 1;
        dw[0] = 0;
        for (int64_t s = 1; s < K; s++) {
            dw[s] = 0;
            if (slot[s] < 0)
                continue;
            first_weight -= w[s];
            dw[s] = difference_dot(row_dy, reals(rows) + slot[s] * h, reals(rows) + slot[0] * h, h);
            for (int64_t j = 0; j < h; j++)
                reals(d_rows)[slot[s] * h + j] = w[s] * row_dy[j];
        }
        for (int64_t j = 0; j < h; j++)
            reals(d_rows)[slot[0] * h + j] = first_weight * row_dy[j];
    }
}

void REF_NAME(moe_scatter)(glot_backend *be, const glot_tensor *dx, const glot_tensor *d_rows,
                           const glot_dispatch *plan, bool is_added)
{
    (void)be;
    int64_t T = dx->shape[0], h = dx->shape[1], K = plan->top_k;
    for (int64_t t = 0; t < T; t++)
        for (int64_t j = 0; j < h; j++) {
            const int32_t *slot = ints(&plan->slot_rows) + t * K;
            real sum = 0, *out = reals(dx) + t * h + j;
            for (int64_t s = 0; s < K; s++)
                if (slot[s] >= 0)
                    sum += reals(d_rows)[slot[s] * h + j];
            *out = is_added ? *out + sum : sum;
        }
}
