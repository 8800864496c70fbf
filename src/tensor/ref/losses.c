/* losses.c: load balancing (METHOD 2), LPR (METHOD 3, 7), cross-entropy, log-softmax. Losses are added up in
 * double, rows in panels of 256 whose sums are added in order. */
#include "tensor/ref/ref.h"

/* f_i */
static double load_of(const glot_dispatch *plan, int64_t expert, int64_t T)
{
    return ints(&plan->tokens_per_expert)[expert] / ((double)T * plan->top_k);
}

/* f_i - 1/E. The gradient of a softmax does not change when all f_i are shifted by the same; so perfect
 * balance, and E = K, have a gradient of exactly zero. */
static real excess_load(const glot_dispatch *plan, int64_t expert, int64_t T)
{
    return (real)(load_of(plan, expert, T) - 1.0 / plan->n_experts);
}

static double mean_prob(const real *probs, int64_t expert, int64_t T, int64_t E)
{
    double sum = 0;
    for (int64_t t = 0; t < T; t++)
        sum += (double)probs[t * E + expert];
    return sum / (double)T;
}

void REF_NAME(balance_loss)(glot_backend *be, const glot_tensor *loss, const glot_tensor *d_logits,
                            const glot_tensor *probs, const glot_dispatch *plan, double factor,
                            double grad_scale)
{
    (void)be;
    int64_t T = probs->shape[0], E = probs->shape[1];
    GLOT_ASSERT(E == plan->n_experts);
    if (T == 0)
        return;
    double sum = 0;
    for (int64_t e = 0; e < E; e++)
        sum += load_of(plan, e, T) * mean_prob(reals(probs), e, T, E);
    *loss_of(loss) += factor * sum;
    real scale = (real)(grad_scale * factor / (double)T);
    for (int64_t t = 0; t < T; t++) {
        const real *p = reals(probs) + t * E;
        real lanes[REF_LANES] = {0};
        for (int64_t e = 0; e < E; e++)
            lanes[e % REF_LANES] = real_fma(p[e], excess_load(plan, e, T), lanes[e % REF_LANES]);
        real mean = ref_fold(lanes);
        for (int64_t e = 0; e < E; e++) {
            real *d = reals(d_logits) + t * E + e;
            *d = real_fma(scale * p[e], excess_load(plan, e, T) - mean, *d);
        }
    }
}

/* -log sum_{i < n} p_i = log-sum-exp of all logits - that of the first n. Gradient: p - softmax over the
 * first n. */
static double lpr_paper(real *d, const real *z, int64_t E, int64_t n, real scale)
{
    ref_softmax all = ref_softmax_of(z, E), home = ref_softmax_of(z, n);
    for (int64_t e = 0; e < E; e++) {
        real p = real_exp(z[e] - all.max) / all.sum;
        real q = e < n ? real_exp(z[e] - home.max) / home.sum : 0;
        d[e] = real_fma(scale, p - q, d[e]);
    }
    return (double)all.max - (double)home.max + (log((double)all.sum) - log((double)home.sum));
}

/* L = -p_0 + log sum_e exp(p_e): a cross-entropy whose logits are the probabilities. With s = softmax(p) and
 * g = s - onehot(0): dL/dz_j = p_j (g_j - sum_k p_k g_k). Every p_e < 1, so that exp needs no maximum taken
 * off. */
static double lpr_released(real *d, const real *z, int64_t E, real scale)
{
    ref_softmax softmax = ref_softmax_of(z, E);
    real lanes[REF_LANES] = {0}, dot[REF_LANES] = {0};
    for (int64_t e = 0; e < E; e++)
        lanes[e % REF_LANES] += real_exp(real_exp(z[e] - softmax.max) / softmax.sum);
    real sum = ref_fold(lanes);
    for (int64_t e = 0; e < E; e++) {
        real p = real_exp(z[e] - softmax.max) / softmax.sum, g = real_exp(p) / sum - (real)(e == 0);
        dot[e % REF_LANES] = real_fma(p, g, dot[e % REF_LANES]);
    }
    real mean = ref_fold(dot);
    for (int64_t e = 0; e < E; e++) {
        real p = real_exp(z[e] - softmax.max) / softmax.sum, g = real_exp(p) / sum - (real)(e == 0);
        d[e] = real_fma(scale * p, g - mean, d[e]);
    }
    return log((double)sum) - (double)(real_exp(z[0] - softmax.max) / softmax.sum);
}

void REF_NAME(lpr_loss)(glot_backend *be, const glot_tensor *loss, const glot_tensor *d_logits,
                        const glot_tensor *logits, const glot_tensor *token_group, const int32_t *n_allowed,
                        int n_groups, glot_lpr_form form, double scale)
{
    (void)be;
    int64_t T = logits->shape[0], E = logits->shape[1];
    const uint8_t *group = token_group->addr;
    for (int64_t panel = 0; panel < T; panel += REF_PANEL) {
        double sum = 0;
        for (int64_t t = panel; t < T && t < panel + REF_PANEL; t++) {
            GLOT_ASSERT(group[t] < n_groups);
            int64_t n = n_allowed[group[t]];
            real *d = reals(d_logits) + t * E;
            GLOT_ASSERT(n >= 0 && n <= E && (form == GLOT_LPR_PAPER || n <= 1));
            if (n && form == GLOT_LPR_PAPER)
                sum += lpr_paper(d, reals(logits) + t * E, E, n, (real)scale);
            else if (n)
                sum += lpr_released(d, reals(logits) + t * E, E, (real)scale);
        }
        *loss_of(loss) += sum;
    }
}

void REF_NAME(cross_entropy)(glot_backend *be, const glot_tensor *nll, const glot_tensor *logits,
                             const glot_tensor *targets, double grad_scale)
{
    (void)be;
    int64_t T = logits->shape[0], V = logits->shape[1];
    bool is_gradient_wanted = (real)grad_scale != 0;
    for (int64_t t = 0; t < T; t++) {
        int64_t target = ints(targets)[t];
        real *z = reals(logits) + t * V;
        GLOT_ASSERT(target >= -1 && target < V);
        ref_softmax softmax = ref_softmax_of(z, V);
        reals(nll)[t] = target < 0 ? 0 : (real)log((double)softmax.sum) - (z[target] - softmax.max);
        for (int64_t j = 0; is_gradient_wanted && j < V; j++) {
            real p = real_exp(z[j] - softmax.max) / softmax.sum;
            z[j] = target < 0 ? 0 : (p - (real)(j == target)) * (real)grad_scale;
        }
    }
}

void REF_NAME(log_softmax)(glot_backend *be, const glot_tensor *logits)
{
    (void)be;
    int64_t T = logits->shape[0], V = logits->shape[1];
    for (int64_t t = 0; t < T; t++) {
        real *z = reals(logits) + t * V;
        ref_softmax softmax = ref_softmax_of(z, V);
        real log_sum = (real)log((double)softmax.sum);
        for (int64_t j = 0; j < V; j++)
            z[j] = z[j] - softmax.max - log_sum;
    }
}
