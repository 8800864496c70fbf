/* k_gate.c: the language gate (METHOD 6). The formulas are those of ref/gate.c, operation by operation. A
 * thread takes some columns of every document, so that documents go on from each other's slots, and sums run
 * in token order, however many threads there are. */
#include "tensor/cpu/row.h"

enum { COLUMNS = 64 }; /* that a thread takes at once: four cache lines of each row */

/* The rows of one document in columns [first, first + n) of [T, h] tensors. */
typedef struct gate_block {
    const int32_t *ids;
    int64_t h, first_row, end_row, n_before;
    int64_t n; /* columns */
    int32_t skip_id;
} gate_block;

static gate_block block_of(const glot_tensor *documents, int64_t i, const glot_tensor *ids, int64_t h,
                           int64_t first, int32_t skip_id)
{
    const int32_t *d = row_ints(documents) + 4 * i;
    return (gate_block){row_ints(ids), h, d[0], (int64_t)d[0] + d[1], d[3], row_min(COLUMNS, h - first),
                        skip_id};
}

/* out and x start at the block's first column. */
static void means_so_far(float *out, const float *x, double *sums, const gate_block *b)
{
    int64_t count = b->n_before;
    for (int64_t t = b->first_row; t < b->end_row; t++) {
        float *row = out + t * b->h;
        if (b->ids[t] != b->skip_id) {
            count++;
            for (int64_t j = 0; j < b->n; j++)
                sums[j] += (double)x[t * b->h + j];
        }
        for (int64_t j = 0; j < b->n; j++)
            row[j] = count ? (float)(sums[j] / (double)count) : 0.0f;
    }
}

static void repeat_sums(float *out, const double *sums, const gate_block *b)
{
    for (int64_t t = b->first_row; t < b->end_row; t++)
        for (int64_t j = 0; j < b->n; j++)
            out[t * b->h + j] = (float)sums[j];
}

/* Columns [first, first + COLUMNS) of every document. */
static void gate_columns(const glot_tensor *out, const glot_tensor *sums, const glot_tensor *x,
                         const glot_tensor *ids, const glot_tensor *documents, int64_t first, int32_t skip_id,
                         bool is_whole)
{
    int64_t h = x->shape[1];
    for (int64_t i = 0; i < documents->shape[0]; i++) {
        gate_block b = block_of(documents, i, ids, h, first, skip_id);
        int64_t slot = row_ints(documents)[4 * i + 2];
        double sum[COLUMNS] = {0}, *kept = slot < 0 ? NULL : (double *)sums->addr + slot * h + first;
        GLOT_ASSERT(b.end_row <= x->shape[0] && (b.n_before == 0 || kept));
        if (b.n_before)
            memcpy(sum, kept, (size_t)b.n * sizeof *sum);
        means_so_far(row_floats(out) + first, row_floats(x) + first, sum, &b);
        if (is_whole)
            repeat_sums(row_floats(out) + first, sum, &b);
        if (kept)
            memcpy(kept, sum, (size_t)b.n * sizeof *sum);
    }
}

void GLOT_KERNEL(gate_input)(glot_backend *be, const glot_tensor *out, const glot_tensor *sums,
                             const glot_tensor *x, const glot_tensor *ids, const glot_tensor *documents,
                             int32_t skip_id, bool is_whole)
{
    int64_t T = x->shape[0], h = x->shape[1];
#pragma omp parallel for num_threads(glot_cpu_team(be, T *h)) schedule(static)
    for (int64_t first = 0; first < h; first += COLUMNS)
        gate_columns(out, sums, x, ids, documents, first, skip_id, is_whole);
}

static int64_t count_tokens(const gate_block *b)
{
    int64_t n = 0;
    for (int64_t t = b->first_row; t < b->end_row; t++)
        n += b->ids[t] != b->skip_id;
    return n;
}

static void add_rows(double *sums, const float *d_out, const gate_block *b)
{
    for (int64_t t = b->end_row - 1; t >= b->first_row; t--)
        for (int64_t j = 0; j < b->n; j++)
            sums[j] += (double)d_out[t * b->h + j];
}

/* The mean's gradient reaches every earlier token: it adds up from the last row back. The sum's is the same
 * for all. */
static void gate_gradient(float *dx, const float *d_out, const gate_block *b, bool is_whole)
{
    double sums[COLUMNS] = {0};
    int64_t count = count_tokens(b);
    if (is_whole)
        add_rows(sums, d_out, b);
    for (int64_t t = b->end_row - 1; t >= b->first_row; t--) {
        for (int64_t j = 0; !is_whole && count && j < b->n; j++)
            sums[j] += (double)d_out[t * b->h + j] / (double)count;
        if (b->ids[t] == b->skip_id)
            continue;
        for (int64_t j = 0; j < b->n; j++)
            dx[t * b->h + j] += (float)sums[j];
        count--;
    }
}

void GLOT_KERNEL(gate_input_backward)(glot_backend *be, const glot_tensor *dx, const glot_tensor *d_out,
                                      const glot_tensor *ids, const glot_tensor *documents, int32_t skip_id,
                                      bool is_whole)
{
    int64_t T = dx->shape[0], h = dx->shape[1];
#pragma omp parallel for num_threads(glot_cpu_team(be, T *h)) schedule(static)
    for (int64_t first = 0; first < h; first += COLUMNS)
        for (int64_t i = 0; i < documents->shape[0]; i++) {
            gate_block b = block_of(documents, i, ids, h, first, skip_id);
            GLOT_ASSERT(b.end_row <= T && b.n_before == 0);
            gate_gradient(row_floats(dx) + first, row_floats(d_out) + first, &b, is_whole);
        }
}

void GLOT_KERNEL(gate_decide)(glot_backend *be, const glot_tensor *is_original, const glot_tensor *logits,
                              const glot_tensor *is_exact)
{
    (void)be;
    uint8_t *out = is_original->addr;
    const uint8_t *exact = is_exact ? is_exact->addr : NULL;
    const float *z = row_floats(logits);
    for (int64_t t = 0; t < logits->shape[0]; t++)
        out[t] = (exact && exact[t]) || z[2 * t] > z[2 * t + 1];
}

/* d [2] = scale * gradient; returns -log p of the own class. */
static double gate_token_loss(float *d, const float *z, int own, float scale)
{
    row_softmax softmax = row_softmax_of(z, 2);
    v16 onehot =
        own ? v16_sub(v16_set1(1.0f), v16_keep(v16_set1(1.0f), 1, 0.0f)) : v16_keep(v16_set1(1.0f), 1, 0.0f);
    row_store(d, v16_mul(v16_sub(row_probs(z, 0, 2, softmax), onehot), v16_set1(scale)), 2);
    return log((double)softmax.sum) - (double)(z[own] - softmax.max);
}

/* One thread: two numbers a token. */
void GLOT_KERNEL(gate_loss)(glot_backend *be, const glot_tensor *loss, const glot_tensor *d_logits,
                            const glot_tensor *logits, const glot_tensor *token_group, double scale)
{
    (void)be;
    int64_t T = logits->shape[0];
    const uint8_t *group = token_group->addr;
    const float *z = row_floats(logits);
    GLOT_ASSERT(loss->dtype == GLOT_F64);
    for (int64_t panel = 0; panel < T; panel += ROW_PANEL) {
        double sum = 0;
        for (int64_t t = panel; t < row_min(panel + ROW_PANEL, T); t++)
            sum += gate_token_loss(row_floats(d_logits) + 2 * t, z + 2 * t, group[t] > 0, (float)scale);
        *(double *)loss->addr += sum;
    }
}
