/* score.c: bits per byte (INTERFACES, "Blocks and scores"): every document alone, in windows, each with BOS in front; sums over documents in order,
 * in double, before dividing. */
#include "eval/eval.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* Tokens in one pass: enough rows to keep the products busy. Arbitrary within 2x either way. */
enum { PASS_TOKENS = 2048, DEFAULT_LENGTH = 1024 };

/* Windows waiting to be scored together. */
typedef struct window_batch {
    glot_session *session;
    int64_t length, capacity;  /* text tokens in a window; ids that fit */
    int32_t start_id;          /* BOS, or EOS where the model has none */
    int32_t *ids;              /* [capacity] */
    float *nll;                /* [capacity] */
    int64_t used;
    const int32_t **window_ids; /* [capacity / 2] */
    float **window_nll;
    int64_t *window_n;
    size_t n_windows;
} window_batch;

static void release(window_batch *w)
{
    glot_session_free(w->session);
    glot_free(w->ids);
    glot_free(w->nll);
    glot_free(w->window_ids);
    glot_free(w->window_nll);
    glot_free(w->window_n);
}

static glot_status prepare(window_batch *w, const glot_model *m, const glot_score_options *o, glot_error *err)
{
    const glot_model_config *c = &m->config;
    int64_t most = c->context_length - 1;
    w->length = o->length ? o->length : (most < DEFAULT_LENGTH ? most : DEFAULT_LENGTH);
    if (w->length < 1 || w->length > most)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "windows of %" PRId64 " tokens are outside 1 to %" PRId64 ", the model's context less one",
                         w->length, most);
    w->start_id = c->bos_id >= 0 ? c->bos_id : c->eos_id;
    if (w->start_id < 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s' names neither a BOS nor an EOS token, and scoring begins every window with one",
                         m->path ? m->path : "the model");
    w->capacity = w->length + 1 > PASS_TOKENS ? w->length + 1 : PASS_TOKENS;
    size_t n = (size_t)w->capacity;
    GLOT_TRY(glot_new(&w->ids, n, sizeof *w->ids, "scoring", err));
    GLOT_TRY(glot_new(&w->nll, n, sizeof *w->nll, "scoring", err));
    GLOT_TRY(glot_new(&w->window_ids, n, sizeof *w->window_ids, "scoring", err));
    GLOT_TRY(glot_new(&w->window_nll, n, sizeof *w->window_nll, "scoring", err));
    GLOT_TRY(glot_new(&w->window_n, n, sizeof *w->window_n, "scoring", err));
    GLOT_TRY(glot_session_create(&w->session, m, w->length + 1, w->capacity, err));
    glot_session_set_exact(w->session, o->is_exact);
    return GLOT_OK;
}

static glot_status flush(window_batch *w, glot_text_score *score, glot_error *err)
{
    GLOT_TRY(glot_session_score(w->session, w->window_ids, w->window_n, w->n_windows, w->window_nll, err));
    for (size_t i = 0; i < w->n_windows; i++)
        for (int64_t t = 1; t < w->window_n[i]; t++)
            score->nll_nats += (double)w->window_nll[i][t];
    w->n_windows = 0;
    w->used = 0;
    return GLOT_OK;
}

static glot_status add_window(window_batch *w, const int32_t *ids, int64_t n, glot_text_score *score, glot_error *err)
{
    if (w->used + n + 1 > w->capacity)
        GLOT_TRY(flush(w, score, err));
    int32_t *to = w->ids + w->used;
    to[0] = w->start_id;
    memcpy(to + 1, ids, (size_t)n * sizeof *ids);
    w->window_ids[w->n_windows] = to;
    w->window_nll[w->n_windows] = w->nll + w->used;
    w->window_n[w->n_windows++] = n + 1;
    w->used += n + 1;
    return GLOT_OK;
}

static glot_status add_document(window_batch *w, const glot_document *d, glot_text_score *score, glot_error *err)
{
    for (int64_t first = 0; first < d->n_ids; first += w->length) {
        int64_t n = d->n_ids - first < w->length ? d->n_ids - first : w->length;
        GLOT_TRY(add_window(w, d->ids + first, n, score, err));
    }
    score->tokens += d->n_ids;
    score->bytes += d->n_bytes;
    score->documents++;
    return GLOT_OK;
}

glot_status glot_score_store(glot_text_score *out, const glot_model *m, const glot_token_store *store, int32_t language,
                             const glot_score_options *options, glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_text_score score = {0};
    window_batch w = {0};
    GLOT_TRY_OUT(prepare(&w, m, options, err));
    for (uint64_t i = 0; i < glot_token_store_n_documents(store); i++) {
        glot_document d = glot_token_store_document(store, i);
        if (d.language != language)
            continue;
        if (options->max_tokens && score.tokens >= options->max_tokens)
            break;
        if (glot_cancelled(options->cancel)) {
            status = GLOT_FAIL(err, GLOT_CANCELLED, "stopped while scoring");
            goto out;
        }
        GLOT_TRY_OUT(add_document(&w, &d, &score, err));
    }
    GLOT_TRY_OUT(flush(&w, &score, err));
    score.bits_per_byte = score.bytes ? score.nll_nats / log(2.0) / (double)score.bytes : 0.0;
    *out = score;
out:
    release(&w);
    return status;
}
