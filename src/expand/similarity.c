/* similarity.c: METHOD 4: means of unit vectors out of an observer of the layers, and what follows from
 * them. */
#include "expand/similarity.h"
#include "base/memory.h"
#include "model/view.h"
#include "model/windows.h"

#include <math.h>
#include <string.h>

/* Tokens in one pass: enough rows to keep the products busy. Arbitrary within 2x either way. */
enum { PASS_TOKENS = 2048 };

struct glot_hsa {
    const glot_model *model;
    const glot_cancel *cancel;
    glot_workspace *ws;
    glot_windows windows;
    glot_pool pool;
    glot_tensor sums;           /* F64 [n_layers, h], on the backend */
    glot_tensor is_counted;     /* U8 [capacity], on the backend */
    int64_t capacity;           /* rows of a pass */
    int32_t *ids, *positions;   /* [capacity] */
    int32_t *segments;          /* [capacity, 4] */
    int32_t *documents;         /* [capacity, 4] for the language gates of a model that has some */
    glot_gate_sums *gate_sums;  /* one slot; NULL: no gates */
    int64_t n_gated;            /* tokens of the document under way that are in its sums */
    uint8_t *counted;           /* [capacity]: 0 for what a window begins with */
    int64_t n_rows, n_segments; /* of the pass being filled */
    uint64_t n_tokens;          /* counted since the last finish */
};

/* ---- running documents ---- */

/* glot_on_layer */
static void add_layer(void *user, glot_workspace *ws, int64_t layer)
{
    const glot_hsa *h = user;
    glot_acts_view a = glot_view_acts(ws, layer);
    glot_tensor sum = glot_tensor_slice(&h->sums, layer, 1),
                counted = glot_tensor_prefix_1d(&h->is_counted, ws->n_tokens);
    glot_op_unit_sum(ws->be, &sum, &a.ffn_in, &counted);
}

static void place_sums(glot_hsa *h, glot_pool *pool)
{
    const glot_model_config *c = &h->model->config;
    h->sums = glot_tensor_2d(GLOT_F64, c->n_layers, c->hidden_size);
    h->is_counted = glot_tensor_1d(GLOT_U8, h->capacity);
    glot_pool_take(pool, &h->sums);
    glot_pool_take(pool, &h->is_counted);
}

static glot_status prepare(glot_hsa *h, int64_t length, glot_error *err)
{
    glot_pool measure;
    GLOT_TRY(glot_windows_of(&h->windows, h->model, length, err));
    int64_t n_context = h->windows.length + 1;
    h->capacity = n_context > PASS_TOKENS ? n_context : PASS_TOKENS;
    GLOT_TRY(glot_new(&h->ids, (size_t)h->capacity, sizeof *h->ids, "similarity", err));
    GLOT_TRY(glot_new(&h->positions, (size_t)h->capacity, sizeof *h->positions, "similarity", err));
    GLOT_TRY(glot_new(&h->segments, (size_t)h->capacity * 4, sizeof *h->segments, "similarity", err));
    GLOT_TRY(glot_new(&h->documents, (size_t)h->capacity * 4, sizeof *h->documents, "similarity", err));
    GLOT_TRY(glot_new(&h->counted, (size_t)h->capacity, sizeof *h->counted, "similarity", err));
    if (h->model->config.gate.n_layers)
        GLOT_TRY(glot_gate_sums_create(&h->gate_sums, h->model, 1, err));
    glot_pool_measure(&measure, h->model->be);
    place_sums(h, &measure);
    GLOT_TRY(glot_pool_init(&h->pool, h->model->be, measure.peak, "similarity", err));
    place_sums(h, &h->pool);
    h->model->be->zero(h->model->be, &h->sums);
    GLOT_TRY(glot_workspace_create(&h->ws, h->model, GLOT_WORKSPACE_INFER, h->capacity, n_context, n_context,
                                   err));
    h->ws->on_layer = add_layer;
    h->ws->on_layer_user = h;
    return GLOT_OK;
}

glot_status glot_hsa_create(glot_hsa **out, const glot_model *m, const glot_hsa_options *options,
                            glot_error *err)
{
    glot_hsa *h = NULL;
    GLOT_TRY(glot_new(&h, 1, sizeof *h, "similarity", err));
    h->model = m;
    h->cancel = options->cancel;
    glot_status status = prepare(h, options->length, err);
    if (status == GLOT_OK)
        *out = h;
    else
        glot_hsa_free(h);
    return status;
}

void glot_hsa_free(glot_hsa *h)
{
    if (!h)
        return;
    glot_workspace_free(h->ws);
    glot_pool_release(&h->pool);
    glot_free(h->ids);
    glot_free(h->positions);
    glot_free(h->segments);
    glot_free(h->documents);
    glot_gate_sums_free(h->gate_sums);
    glot_free(h->counted);
    glot_free(h);
}

/* Runs the windows that wait. */
static glot_status flush(glot_hsa *h, glot_error *err)
{
    glot_batch batch = {.n_tokens = h->n_rows,
                        .ids = h->ids,
                        .positions = h->positions,
                        .n_segments = h->n_segments,
                        .segments = h->segments,
                        .n_documents = h->n_segments,
                        .documents = h->documents,
                        .gate_sums = h->gate_sums};
    glot_tensor counted = glot_tensor_prefix_1d(&h->is_counted, h->n_rows);
    if (h->n_rows == 0)
        return GLOT_OK;
    GLOT_TRY(glot_workspace_load(h->ws, &batch, err));
    h->model->be->upload(h->model->be, &counted, h->counted);
    glot_model_forward(h->model, h->ws, NULL);
    h->n_rows = h->n_segments = 0;
    return h->model->be->check(h->model->be, err);
}

static glot_status add_window(glot_hsa *h, const int32_t *ids, int64_t n, bool is_continued, glot_error *err)
{
    if (h->n_rows + n + 1 > h->capacity)
        GLOT_TRY(flush(h, err));
    int64_t row = h->n_rows;
    int32_t segment[4] = {(int32_t)row, (int32_t)n + 1, (int32_t)row, (int32_t)n + 1};
    memcpy(h->segments + 4 * h->n_segments, segment, sizeof segment);
    h->ids[row] = h->windows.start_id;
    memcpy(h->ids + row + 1, ids, (size_t)n * sizeof *ids);
    for (int64_t i = 0; i <= n; i++) {
        h->positions[row + i] = (int32_t)i;
        h->counted[row + i] = i > 0;
    }
    h->n_gated = is_continued ? h->n_gated : 0;
    glot_gate_document(h->documents + 4 * h->n_segments++, &h->model->config, row, h->ids + row, n + 1, 0,
                       &h->n_gated);
    h->n_rows += n + 1;
    return GLOT_OK;
}

glot_status glot_hsa_add(glot_hsa *h, const glot_document *d, glot_error *err)
{
    if (glot_cancelled(h->cancel))
        return GLOT_FAIL(err, GLOT_CANCELLED, "stopped while measuring similarity");
    for (int64_t first = 0; first < d->n_ids; first += h->windows.length) {
        int64_t n = d->n_ids - first < h->windows.length ? d->n_ids - first : h->windows.length;
        GLOT_TRY(add_window(h, d->ids + first, n, first > 0, err));
    }
    h->n_tokens += d->n_ids;
    return GLOT_OK;
}

glot_status glot_hsa_finish(glot_hsa *h, double *means, uint64_t *n_tokens, glot_error *err)
{
    glot_backend *be = h->model->be;
    GLOT_TRY(flush(h, err));
    *n_tokens = h->n_tokens;
    h->n_tokens = 0;
    if (*n_tokens == 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "there is no text to measure similarity on");
    be->download(be, means, &h->sums);
    be->zero(be, &h->sums);
    int64_t hidden = h->model->config.hidden_size, n = glot_tensor_elements(&h->sums);
    for (int64_t i = 0; i < n; i++) {
        means[i] /= (double)*n_tokens;
        if (!isfinite(means[i]))
            return GLOT_FAIL(err, GLOT_NUMERIC,
                             "'%s': a hidden state of layer %" PRId64
                             " is not finite; is a weight not a number? (`glot inspect` looks)",
                             h->model->path ? h->model->path : "the model", i / hidden);
    }
    return GLOT_OK;
}

/* ---- similarity out of means ---- */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

double glot_similarity_of(const glot_similarity *s, int64_t layer, size_t a, size_t b)
{
    return s->pairs[((size_t)layer * s->n_languages + a) * s->n_languages + b];
}

/* S_l = (mean over new-new pairs + mean over new-old pairs) / 2 */
static double layer_similarity(const glot_similarity *s, int64_t layer, const bool *is_old)
{
    double sum[2] = {0.0, 0.0}; /* new-new, new-old */
    size_t n[2] = {0, 0};
    for (size_t a = 0; a < s->n_languages; a++)
        for (size_t b = a + 1; b < s->n_languages; b++) {
            bool is_mixed = is_old[a] != is_old[b];
            if (is_old[a] && is_old[b])
                continue;
            sum[is_mixed] += glot_similarity_of(s, layer, a, b);
            n[is_mixed]++;
        }
    double new_old = sum[1] / (double)n[1];
    return n[0] ? (sum[0] / (double)n[0] + new_old) / 2.0 : new_old;
}

glot_status glot_similarity_check_groups(const bool *is_old, size_t n, glot_error *err)
{
    size_t n_old = 0;
    for (size_t i = 0; i < n; i++)
        n_old += is_old[i];
    if (n_old == 0 || n_old == n)
        return GLOT_FAIL(
            err, GLOT_BAD_ARGUMENT,
            "%s of the %zu languages is old, and similarity compares new languages with old ones",
            n_old ? "every one" : "none", n);
    return GLOT_OK;
}

glot_status glot_similarity_measure(glot_similarity *out, const double *const *means, const bool *is_old,
                                    size_t n_languages, int64_t n_layers, int64_t hidden, glot_error *err)
{
    GLOT_TRY(glot_similarity_check_groups(is_old, n_languages, err));
    *out = (glot_similarity){.n_languages = n_languages, .n_layers = n_layers};
    GLOT_TRY(glot_new(&out->pairs, (size_t)n_layers * n_languages * n_languages, sizeof *out->pairs,
                      "similarity", err));
    for (int64_t l = 0; l < n_layers; l++) {
        double *pairs = out->pairs + (size_t)l * n_languages * n_languages;
        for (size_t a = 0; a < n_languages; a++)
            for (size_t b = a; b < n_languages; b++)
                pairs[a * n_languages + b] = pairs[b * n_languages + a] =
                    dot(means[a] + l * hidden, means[b] + l * hidden, hidden);
        out->s[l] = layer_similarity(out, l, is_old);
    }
    return GLOT_OK;
}

void glot_similarity_release(glot_similarity *s)
{
    glot_free(s->pairs);
    *s = (glot_similarity){0};
}
