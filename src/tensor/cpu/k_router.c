/* k_router.c: which experts a token takes (METHOD 1), where its rows go, and how their outputs are put
 * together again. The formulas are those of ref/router.c, operation by operation. */
#include "tensor/cpu/row.h"

/* Order of experts: the larger logit, a NaN after every number; equals stay in the order of their ids. */
static bool is_better(float logit, float than)
{
    return logit > than || (isnan(than) && !isnan(logit));
}

/* Keeps the K best of the experts so far in ids, best first, by insertion from the lowest id up. */
static void choose_experts(int32_t *ids, const float *logits, int64_t E, int64_t K)
{
    int64_t n_chosen = 0;
    for (int32_t e = 0; e < E; e++) {
        int64_t place = n_chosen;
        while (place > 0 && is_better(logits[e], logits[ids[place - 1]]))
            place--;
        if (place == K)
            continue;
        n_chosen = row_min(n_chosen + 1, K);
        for (int64_t s = n_chosen - 1; s > place; s--)
            ids[s] = ids[s - 1];
        ids[place] = e;
    }
}

static void exact_token(int32_t *ids, float *weights, int64_t K)
{
    for (int64_t s = 0; s < K; s++) {
        ids[s] = s ? -1 : 0;
        weights[s] = s ? 0 : 1;
    }
}

static void route_token(float *probs, int32_t *ids, float *weights, const float *logits, int64_t E, int64_t K,
                        bool is_exact)
{
    row_softmax softmax = row_softmax_of(logits, E);
    for (int64_t e = 0; e < E; e += 16)
        row_store(probs + e, row_probs(logits, e, E - e, softmax), E - e);
    if (is_exact) {
        exact_token(ids, weights, K);
        return;
    }
    choose_experts(ids, logits, E, K);
    float sum = 0;
    for (int64_t s = 0; s < K; s++)
        sum += probs[ids[s]];
    for (int64_t s = 0; s < K; s++)
        weights[s] = probs[ids[s]] / sum;
}

void GLOT_KERNEL(router_topk)(glot_backend *be, const glot_tensor *probs, const glot_tensor *expert_ids,
                              const glot_tensor *combine_weights, const glot_tensor *logits,
                              const glot_tensor *is_exact)
{
    int64_t T = logits->shape[0], E = logits->shape[1], K = expert_ids->shape[1];
    const uint8_t *exact = is_exact ? is_exact->addr : NULL;
    const float *z = row_floats(logits);
    float *p = row_floats(probs), *weights = row_floats(combine_weights);
    int32_t *ids = row_ints(expert_ids);
    GLOT_ASSERT(K >= 1 && K <= E && glot_tensor_same_shape(probs, logits) &&
                glot_tensor_same_shape(combine_weights, expert_ids) && expert_ids->shape[0] == T);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *(E + 64))) schedule(static)
    for (int64_t t = 0; t < T; t++)
        route_token(p + t * E, ids + t * K, weights + t * K, z + t * E, E, K, exact && exact[t]);
}

void GLOT_KERNEL(router_topk_backward)(glot_backend *be, const glot_tensor *d_logits,
                                       const glot_tensor *d_combine_weights,
                                       const glot_tensor *combine_weights, const glot_tensor *expert_ids)
{
    int64_t T = d_logits->shape[0], E = d_logits->shape[1], K = expert_ids->shape[1];
    const int32_t *all_ids = row_ints(expert_ids);
    const float *weights = row_floats(combine_weights), *d_weights = row_floats(d_combine_weights);
    float *d_all = row_floats(d_logits);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *(E + K))) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        const int32_t *ids = all_ids + t * K;
        const float *w = weights + t * K, *g = d_weights + t * K;
        float *d = d_all + t * E, mean = 0;
        memset(d, 0, (size_t)E * sizeof *d);
        bool is_whole = true;
        for (int64_t s = 0; s < K; s++) {
            is_whole = is_whole && ids[s] >= 0;
            mean = fmaf(w[s], g[s], mean);
        }
        for (int64_t s = 0; is_whole && s < K; s++)
            d[ids[s]] = w[s] * (g[s] - mean);
    }
}

/* Counting sort, one thread: T * K is a few thousand. The histogram doubles as the cursor of the second
 * pass. */
void GLOT_KERNEL(dispatch)(glot_backend *be, const glot_dispatch *plan, const glot_tensor *expert_ids)
{
    (void)be;
    int64_t n_slots = glot_tensor_elements(expert_ids);
    int E = plan->n_experts;
    const int32_t *ids = row_ints(expert_ids);
    int32_t *count = row_ints(&plan->tokens_per_expert), *offsets = row_ints(&plan->expert_offsets);
    int32_t *row_map = row_ints(&plan->row_map), *slot_rows = row_ints(&plan->slot_rows);
    GLOT_ASSERT(glot_tensor_elements(&plan->slot_rows) == n_slots && expert_ids->shape[1] == plan->top_k);
    memset(count, 0, (size_t)E * sizeof *count);
    for (int64_t i = 0; i < n_slots; i++)
        if (ids[i] >= 0)
            count[ids[i]]++;
    offsets[0] = 0;
    for (int e = 0; e < E; e++) {
        offsets[e + 1] = offsets[e] + count[e];
        count[e] = 0;
    }
    for (int64_t i = 0; i < n_slots; i++) {
        slot_rows[i] = ids[i] < 0 ? -1 : offsets[ids[i]] + count[ids[i]]++;
        if (slot_rows[i] >= 0)
            row_map[slot_rows[i]] = (int32_t)i;
    }
}

static void combine_token(float *y, const float *rows, const float *w, const int32_t *slot, int64_t h,
                          int64_t K)
{
    for (int64_t j = 0; j < h; j += 16) {
        v16 first = row_load(rows + slot[0] * h + j, h - j), sum = first;
        for (int64_t s = 1; s < K; s++)
            if (slot[s] >= 0) {
                v16 difference = v16_sub(row_load(rows + slot[s] * h + j, h - j), first);
                sum = v16_fma(v16_set1(w[s]), difference, sum);
            }
        row_store(y + j, sum, h - j);
    }
}

void GLOT_KERNEL(moe_combine)(glot_backend *be, const glot_tensor *y, const glot_tensor *rows,
                              const glot_tensor *combine_weights, const glot_dispatch *plan)
{
    int64_t T = y->shape[0], h = y->shape[1], K = plan->top_k;
    const int32_t *slots = row_ints(&plan->slot_rows);
    const float *in = row_floats(rows), *weights = row_floats(combine_weights);
    float *out = row_floats(y);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *h *K)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        GLOT_ASSERT(slots[t * K] >= 0);
        combine_token(out + t * h, in, weights + t * K, slots + t * K, h, K);
    }
}

/* d_row = w dy; returns dy . (row - first). */
static float slot_backward(float *d_row, const float *dy, const float *row, const float *first, float w,
                           int64_t h)
{
    v16 sum = v16_zero(), weight = v16_set1(w);
    for (int64_t j = 0; j < h; j += 16) {
        v16 d = row_load(dy + j, h - j);
        sum = v16_fma(d, v16_sub(row_load(row + j, h - j), row_load(first + j, h - j)), sum);
        row_store(d_row + j, v16_mul(weight, d), h - j);
    }
    return v16_fold_sum(sum);
}

static void combine_token_backward(float *d_rows, float *dw, const float *dy, const float *rows,
                                   const float *w, const int32_t *slot, int64_t h, int64_t K)
{
    float first_weight = 1;
    dw[0] = 0;
    for (int64_t s = 1; s < K; s++) {
        dw[s] = 0;
        if (slot[s] < 0)
            continue;
        first_weight -= w[s];
        dw[s] = slot_backward(d_rows + slot[s] * h, dy, rows + slot[s] * h, rows + slot[0] * h, w[s], h);
    }
    v16 weight = v16_set1(first_weight);
    for (int64_t j = 0; j < h; j += 16)
        row_store(d_rows + slot[0] * h + j, v16_mul(weight, row_load(dy + j, h - j)), h - j);
}

void GLOT_KERNEL(moe_combine_backward)(glot_backend *be, const glot_tensor *d_rows,
                                       const glot_tensor *d_combine_weights, const glot_tensor *dy,
                                       const glot_tensor *rows, const glot_tensor *combine_weights,
                                       const glot_dispatch *plan)
{
    int64_t T = dy->shape[0], h = dy->shape[1], K = plan->top_k;
    const int32_t *slots = row_ints(&plan->slot_rows);
    const float *in = row_floats(rows), *d = row_floats(dy), *weights = row_floats(combine_weights);
    float *d_in = row_floats(d_rows), *d_weights = row_floats(d_combine_weights);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *h *K)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        combine_token_backward(d_in, d_weights + t * K, d + t * h, in, weights + t * K, slots + t * K, h, K);
}

void GLOT_KERNEL(moe_scatter)(glot_backend *be, const glot_tensor *dx, const glot_tensor *d_rows,
                              const glot_dispatch *plan, bool is_added)
{
    int64_t T = dx->shape[0], h = dx->shape[1], K = plan->top_k;
    const int32_t *slots = row_ints(&plan->slot_rows);
    const float *in = row_floats(d_rows);
    float *out = row_floats(dx);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *h *K)) schedule(static)
    for (int64_t t = 0; t < T; t++)
        for (int64_t j = 0; j < h; j += 16) {
            v16 sum = v16_zero();
            for (int64_t s = 0; s < K; s++)
                if (slots[t * K + s] >= 0)
                    sum = v16_add(sum, row_load(in + slots[t * K + s] * h + j, h - j));
            float *d = out + t * h + j;
            row_store(d, is_added ? v16_add(row_load(d, h - j), sum) : sum, h - j);
        }
}
