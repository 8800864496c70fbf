/* optimizer.c: sums over many rows in double, and the AdamW step. */
#include "tensor/ref/ref.h"

enum { CHUNK = 4096 };

/* Sixteen lanes folded 8, 4, 2, 1. */
static double fold_lanes(double lanes[REF_LANES])
{
    for (int half = REF_LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}

void REF_NAME(sum)(glot_backend *be, const glot_tensor *out, const glot_tensor *x, bool is_squared)
{
    (void)be;
    int64_t n = glot_tensor_elements(x);
    for (int64_t first = 0; first < n; first += CHUNK) {
        double lanes[REF_LANES] = {0};
        for (int64_t i = first; i < n && i < first + CHUNK; i++) {
            double value = (double)reals(x)[i];
            lanes[i % REF_LANES] += is_squared ? value * value : value;
        }
        *loss_of(out) += fold_lanes(lanes);
    }
}

/* 1 / |x| in double, 0 for a row of zeros. */
static double inverse_length(const real *x, int64_t n)
{
    double lanes[REF_LANES] = {0};
    for (int64_t j = 0; j < n; j++)
        lanes[j % REF_LANES] += (double)x[j] * (double)x[j];
    double square = fold_lanes(lanes);
    return square == 0.0 ? 0.0 : 1.0 / sqrt(square);
}

void REF_NAME(unit_sum)(glot_backend *be, const glot_tensor *sum, const glot_tensor *x,
                        const glot_tensor *is_counted)
{
    (void)be;
    int64_t n = glot_tensor_elements(sum), T = glot_tensor_elements(is_counted);
    const uint8_t *counted = is_counted->addr;
    double *total = sum->addr;
    GLOT_ASSERT(sum->dtype == GLOT_F64 && is_counted->dtype == GLOT_U8 && glot_tensor_elements(x) == T * n);
    for (int64_t t = 0; t < T; t++) {
        const real *row = reals(x) + t * n;
        double scale = counted[t] ? inverse_length(row, n) : 0.0;
        for (int64_t j = 0; j < n && scale != 0.0; j++)
            total[j] = fma((double)row[j], scale, total[j]);
    }
}

/* torch.optim.AdamW: w -= lr wd w; m, v the running means of g, g^2; w -= lr (m / c1) / (sqrt(v / c2) + eps),
 * c = 1 - beta^step. */
void REF_NAME(adamw)(glot_backend *be, const glot_tensor *w, const glot_tensor *g, const glot_tensor *m,
                     const glot_tensor *v, const glot_adamw *settings)
{
    (void)be;
    int64_t n = glot_tensor_elements(w);
    GLOT_ASSERT(glot_tensor_elements(g) == n && glot_tensor_elements(m) == n && glot_tensor_elements(v) == n);
    double correction1 = 1 - pow(settings->beta1, (double)settings->step);
    double correction2 = 1 - pow(settings->beta2, (double)settings->step);
    real decay = (real)(1 - settings->lr * settings->weight_decay);
    real step_size = (real)(settings->lr / correction1), root_scale = (real)(1 / sqrt(correction2));
    real beta2 = (real)settings->beta2, new1 = (real)(1 - settings->beta1);
    real new2 = (real)(1 - settings->beta2), eps = (real)settings->eps;
    for (int64_t i = 0; i < n; i++) {
        real gradient = reals(g)[i] * (real)settings->grad_scale;
        real *mean = reals(m) + i, *square = reals(v) + i, *weight = reals(w) + i;
        *mean = real_fma(new1, gradient - *mean, *mean);
        *square = real_fma(new2 * gradient, gradient, beta2 * *square);
        real denominator = real_fma(real_sqrt(*square), root_scale, eps);
        *weight = real_fma(-step_size, *mean / denominator, *weight * decay);
    }
}
