/* gate.c: the language gate (METHOD 6): the mean of a document so far, the decision, its loss. Sums over
 * tokens are double for both reals: they are carried from call to call, and a long document must not lose its
 * last tokens to rounding. */
#include "tensor/ref/ref.h"

/* One row of `documents` (ops.inc). */
typedef struct gated_document {
    int64_t first, end, slot, n_before;
} gated_document;

static gated_document document_at(const glot_tensor *documents, int64_t i)
{
    const int32_t *d = ints(documents) + 4 * i;
    return (gated_document){d[0], (int64_t)d[0] + d[1], d[2], d[3]};
}

/* One column j of a document's rows: the mean up to each row. Returns the sum of all. */
static double mean_column(real *out, const real *x, const int32_t *ids, int64_t h, gated_document d,
                          double sum, int32_t skip_id)
{
    int64_t n = d.n_before;
    for (int64_t t = d.first; t < d.end; t++) {
        if (ids[t] != skip_id) {
            sum += (double)x[t * h];
            n++;
        }
        out[t * h] = n ? (real)(sum / (double)n) : 0;
    }
    return sum;
}

void REF_NAME(gate_input)(glot_backend *be, const glot_tensor *out, const glot_tensor *sums,
                          const glot_tensor *x, const glot_tensor *ids, const glot_tensor *documents,
                          int32_t skip_id, bool is_whole)
{
    (void)be;
    int64_t h = x->shape[1];
    for (int64_t i = 0; i < documents->shape[0]; i++) {
        gated_document d = document_at(documents, i);
        double *slot = d.slot < 0 ? NULL : (double *)sums->addr + d.slot * h;
        GLOT_ASSERT(d.end <= x->shape[0] && (d.n_before == 0 || slot));
        for (int64_t j = 0; j < h; j++) {
            double sum =
                mean_column(reals(out) + j, reals(x) + j, ints(ids), h, d, d.n_before ? slot[j] : 0, skip_id);
            for (int64_t t = d.first; is_whole && t < d.end; t++)
                reals(out)[t * h + j] = (real)sum;
            if (slot)
                slot[j] = sum;
        }
    }
}

static int64_t count_tokens(const int32_t *ids, gated_document d, int32_t skip_id)
{
    int64_t n = 0;
    for (int64_t t = d.first; t < d.end; t++)
        n += ids[t] != skip_id;
    return n;
}

/* The mean's gradient reaches every earlier token, so it adds up from the last row back; the sum's is the
 * same for all. */
static void gradient_column(real *dx, const real *d_out, const int32_t *ids, int64_t h, gated_document d,
                            int32_t skip_id, bool is_whole)
{
    int64_t n = count_tokens(ids, d, skip_id);
    double sum = 0;
    for (int64_t t = d.end - 1; is_whole && t >= d.first; t--)
        sum += (double)d_out[t * h];
    for (int64_t t = d.end - 1; t >= d.first; t--) {
        if (!is_whole && n)
            sum += (double)d_out[t * h] / (double)n;
        if (ids[t] != skip_id) {
            dx[t * h] += (real)sum;
            n--;
        }
    }
}

void REF_NAME(gate_input_backward)(glot_backend *be, const glot_tensor *dx, const glot_tensor *d_out,
                                   const glot_tensor *ids, const glot_tensor *documents, int32_t skip_id,
                                   bool is_whole)
{
    (void)be;
    int64_t h = dx->shape[1];
    for (int64_t i = 0; i < documents->shape[0]; i++) {
        gated_document d = document_at(documents, i);
        GLOT_ASSERT(d.end <= dx->shape[0] && d.n_before == 0);
        for (int64_t j = 0; j < h; j++)
            gradient_column(reals(dx) + j, reals(d_out) + j, ints(ids), h, d, skip_id, is_whole);
    }
}

void REF_NAME(gate_decide)(glot_backend *be, const glot_tensor *is_original, const glot_tensor *logits,
                           const glot_tensor *is_exact)
{
    (void)be;
    uint8_t *out = is_original->addr;
    const uint8_t *exact = is_exact ? is_exact->addr : NULL;
    const real *z = reals(logits);
    for (int64_t t = 0; t < logits->shape[0]; t++)
        out[t] = (exact && exact[t]) || z[2 * t] > z[2 * t + 1];
}

void REF_NAME(gate_loss)(glot_backend *be, const glot_tensor *loss, const glot_tensor *d_logits,
                         const glot_tensor *logits, const glot_tensor *token_group, double scale)
{
    (void)be;
    int64_t T = logits->shape[0];
    const uint8_t *group = token_group->addr;
    for (int64_t panel = 0; panel < T; panel += REF_PANEL) {
        double sum = 0;
        for (int64_t t = panel; t < T && t < panel + REF_PANEL; t++) {
            const real *z = reals(logits) + 2 * t;
            ref_softmax softmax = ref_softmax_of(z, 2);
            int own = group[t] > 0;
            for (int j = 0; j < 2; j++) {
                real p = real_exp(z[j] - softmax.max) / softmax.sum;
                reals(d_logits)[2 * t + j] = (p - (real)(j == own)) * (real)scale;
            }
            sum += log((double)softmax.sum) - (double)(z[own] - softmax.max);
        }
        *loss_of(loss) += sum;
    }
}
