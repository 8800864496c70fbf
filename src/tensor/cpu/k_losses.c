/* k_losses.c: load balancing (METHOD 2), LPR (METHOD 3, 7), cross-entropy, log-softmax. The formulas are
 * those of ref/losses.c, operation by operation; losses are added up in double, rows in panels of 256 whose
 * sums are added in order. */
#include "tensor/cpu/row.h"

enum {
    BALANCE_ROWS = 64, /* rows for which the loads of 16 experts are prepared once */
    PANELS = 64        /* panels of rows in flight: their sums wait on the stack */
};

static double load_of(const glot_dispatch *plan, int64_t expert, int64_t T)
{
    return row_ints(&plan->tokens_per_expert)[expert] / ((double)T * plan->top_k);
}

/* f_i - 1/E of experts first .. first + 15 (ref/losses.c says why the shift). */
static v16 excess_load(const glot_dispatch *plan, int64_t first, int64_t T)
{
    float excess[16] = {0};
    for (int64_t e = first; e < row_min(first + 16, plan->n_experts); e++)
        excess[e - first] = (float)(load_of(plan, e, T) - 1.0 / plan->n_experts);
    return v16_load(excess);
}

static void balance_rows_backward(float *d, const float *p, int64_t rows, const glot_dispatch *plan,
                                  int64_t T, float scale)
{
    int64_t E = plan->n_experts;
    v16 sums[BALANCE_ROWS], factor = v16_set1(scale);
    for (int64_t t = 0; t < rows; t++)
        sums[t] = v16_zero();
    for (int64_t e = 0; e < E; e += 16) {
        v16 excess = excess_load(plan, e, T);
        for (int64_t t = 0; t < rows; t++)
            sums[t] = v16_fma(row_load(p + t * E + e, E - e), excess, sums[t]);
    }
    for (int64_t t = 0; t < rows; t++)
        sums[t] = v16_set1(v16_fold_sum(sums[t]));
    for (int64_t e = 0; e < E; e += 16) {
        v16 excess = excess_load(plan, e, T);
        for (int64_t t = 0; t < rows; t++) {
            v16 scaled = v16_mul(factor, row_load(p + t * E + e, E - e)),
                old = row_load(d + t * E + e, E - e);
            row_store(d + t * E + e, v16_fma(scaled, v16_sub(excess, sums[t]), old), E - e);
        }
    }
}

/* sum over experts of f_i P_i; experts 16 at a time, tokens in order. */
static double balance_sum(const float *probs, const glot_dispatch *plan, int64_t T)
{
    int64_t E = plan->n_experts;
    double total = 0;
    for (int64_t first = 0; first < E; first += 16) {
        double sums[16] = {0};
        int64_t n = row_min(16, E - first);
        for (int64_t t = 0; t < T; t++)
            for (int64_t e = 0; e < n; e++)
                sums[e] += (double)probs[t * E + first + e];
        for (int64_t e = 0; e < n; e++)
            total += load_of(plan, first + e, T) * (sums[e] / (double)T);
    }
    return total;
}

void GLOT_KERNEL(balance_loss)(glot_backend *be, const glot_tensor *loss, const glot_tensor *d_logits,
                               const glot_tensor *probs, const glot_dispatch *plan, double factor,
                               double grad_scale)
{
    int64_t T = probs->shape[0], E = probs->shape[1];
    const float *p = row_floats(probs);
    float *d = row_floats(d_logits);
    GLOT_ASSERT(E == plan->n_experts && loss->dtype == GLOT_F64);
    if (T == 0)
        return;
    *(double *)loss->addr += factor * balance_sum(p, plan, T);
    float scale = (float)(grad_scale * factor / (double)T);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *E)) schedule(static)
    for (int64_t t = 0; t < T; t += BALANCE_ROWS)
        balance_rows_backward(d + t * E, p + t * E, row_min(BALANCE_ROWS, T - t), plan, T, scale);
}

/* -log sum_{i < n} p_i = log-sum-exp of all logits - that of the first n. Gradient: p - softmax over the
 * first n. */
static double lpr_paper(float *d, const float *z, int64_t E, int64_t n, float scale)
{
    row_softmax all = row_softmax_of(z, E), home = row_softmax_of(z, n);
    for (int64_t e = 0; e < E; e += 16) {
        v16 p = row_probs(z, e, E - e, all), q = row_keep(row_probs(z, e, E - e, home), n - e, 0.0f);
        row_store(d + e, v16_fma(v16_set1(scale), v16_sub(p, q), row_load(d + e, E - e)), E - e);
    }
    return (double)all.max - (double)home.max + (log((double)all.sum) - log((double)home.sum));
}

/* g = softmax(p) - onehot(0) of experts e .. ; sum is that of exp(p). */
static v16 released_gradient(v16 p, int64_t e, float sum)
{
    v16 onehot = v16_keep(v16_set1(1.0f), e == 0, 0.0f);
    return v16_sub(v16_div(v16_exp(p), v16_set1(sum)), onehot);
}

/* L = -p_0 + log sum_e exp(p_e); dL/dz_j = p_j (g_j - sum_k p_k g_k). */
static double lpr_released(float *d, const float *z, int64_t E, float scale)
{
    row_softmax softmax = row_softmax_of(z, E);
    v16 sums = v16_zero(), dot = v16_zero();
    for (int64_t e = 0; e < E; e += 16)
        sums = v16_add(sums, row_keep(v16_exp(row_probs(z, e, E - e, softmax)), E - e, 0.0f));
    float sum = v16_fold_sum(sums);
    for (int64_t e = 0; e < E; e += 16) {
        v16 p = row_keep(row_probs(z, e, E - e, softmax), E - e, 0.0f);
        dot = v16_fma(p, released_gradient(p, e, sum), dot);
    }
    v16 mean = v16_set1(v16_fold_sum(dot));
    for (int64_t e = 0; e < E; e += 16) {
        v16 p = row_probs(z, e, E - e, softmax), pull = v16_sub(released_gradient(p, e, sum), mean);
        row_store(d + e, v16_fma(v16_mul(v16_set1(scale), p), pull, row_load(d + e, E - e)), E - e);
    }
    return log((double)sum) - (double)(glot_expf(z[0] - softmax.max) / softmax.sum);
}

typedef struct lpr_call {
    float *d;
    const float *z;
    const uint8_t *group;
    const int32_t *n_allowed;
    int n_groups;
    glot_lpr_form form;
    int64_t E;
    float scale;
} lpr_call;

static double lpr_panel(const lpr_call *c, int64_t first, int64_t end)
{
    double sum = 0;
    for (int64_t t = first; t < end; t++) {
        GLOT_ASSERT(c->group[t] < c->n_groups);
        int64_t n = c->n_allowed[c->group[t]];
        GLOT_ASSERT(n >= 0 && n <= c->E && (c->form == GLOT_LPR_PAPER || n <= 1));
        if (n && c->form == GLOT_LPR_PAPER)
            sum += lpr_paper(c->d + t * c->E, c->z + t * c->E, c->E, n, c->scale);
        else if (n)
            sum += lpr_released(c->d + t * c->E, c->z + t * c->E, c->E, c->scale);
    }
    return sum;
}

void GLOT_KERNEL(lpr_loss)(glot_backend *be, const glot_tensor *loss, const glot_tensor *d_logits,
                           const glot_tensor *logits, const glot_tensor *token_group,
                           const int32_t *n_allowed, int n_groups, glot_lpr_form form, double scale)
{
    int64_t T = logits->shape[0], E = logits->shape[1];
    lpr_call call = {
        row_floats(d_logits), row_floats(logits), token_group->addr, n_allowed, n_groups, form, E,
        (float)scale};
    GLOT_ASSERT(loss->dtype == GLOT_F64);
    for (int64_t batch = 0; batch < T; batch += PANELS * ROW_PANEL) {
        double sums[PANELS];
        int64_t n_panels = row_min(PANELS, (T - batch + ROW_PANEL - 1) / ROW_PANEL);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *(E + 64))) schedule(static)
        for (int64_t i = 0; i < n_panels; i++) {
            int64_t first = batch + i * ROW_PANEL;
            sums[i] = lpr_panel(&call, first, row_min(first + ROW_PANEL, T));
        }
        for (int64_t i = 0; i < n_panels; i++)
            *(double *)loss->addr += sums[i];
    }
}

/* z = exp(z - max); returns it. */
static inline v16 exponential_step(float *z, int64_t left, v16 max)
{
    v16 e = row_exp(z, left, max);
    row_store(z, e, left);
    return e;
}

/* z becomes exp(z - max); its softmax is returned. */
ROW_FLAT static row_softmax exponentials(float *z, int64_t n)
{
    row_softmax s = {.max = row_max(z, n)};
    v16 sum = v16_zero(), max = v16_set1(s.max);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        sum = v16_add(sum, exponential_step(z + i, 16, max));
    if (i < n)
        sum = v16_add(sum, exponential_step(z + i, n - i, max));
    s.sum = v16_fold_sum(sum);
    return s;
}

/* Returns -log p of the target, and with a scale turns the row into (softmax - onehot) * scale. */
static float cross_entropy_row(float *z, int64_t target, int64_t n, float scale)
{
    if (target < 0) {
        if (scale != 0)
            memset(z, 0, (size_t)n * sizeof *z);
        return 0;
    }
    float logit = z[target];
    row_softmax s = scale != 0 ? exponentials(z, n) : row_softmax_of(z, n);
    if (scale != 0) {
        float p = z[target] / s.sum;
        for (int64_t i = 0; i < n; i += 16)
            row_store(z + i, v16_mul(v16_div(row_load(z + i, n - i), v16_set1(s.sum)), v16_set1(scale)),
                      n - i);
        z[target] = (p - 1) * scale;
    }
    return (float)log((double)s.sum) - (logit - s.max);
}

void GLOT_KERNEL(cross_entropy)(glot_backend *be, const glot_tensor *nll, const glot_tensor *logits,
                                const glot_tensor *targets, double grad_scale)
{
    int64_t T = logits->shape[0], V = logits->shape[1];
    const int32_t *target = row_ints(targets);
    float *z = row_floats(logits), *out = row_floats(nll);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *V)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        GLOT_ASSERT(target[t] >= -1 && target[t] < V);
        out[t] = cross_entropy_row(z + t * V, target[t], V, (float)grad_scale);
    }
}

void GLOT_KERNEL(log_softmax)(glot_backend *be, const glot_tensor *logits)
{
    int64_t T = logits->shape[0], V = logits->shape[1];
    float *all = row_floats(logits);
#pragma omp parallel for num_threads(glot_cpu_team(be, T *V)) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        float *z = all + t * V;
        row_softmax s = row_softmax_of(z, V);
        v16 max = v16_set1(s.max), log_sum = v16_set1((float)log((double)s.sum));
        for (int64_t i = 0; i < V; i += 16)
            row_store(z + i, v16_sub(v16_sub(row_load(z + i, V - i), max), log_sum), V - i);
    }
}
