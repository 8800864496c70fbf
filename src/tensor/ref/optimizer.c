/* optimizer.c: sums over whole tensors and the AdamW step. */
#include "tensor/ref/ref.h"

enum { CHUNK = 4096 };

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
        for (int half = REF_LANES / 2; half; half /= 2)
            for (int i = 0; i < half; i++)
                lanes[i] += lanes[i + half];
        *loss_of(out) += lanes[0];
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
