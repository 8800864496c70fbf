/* score.c: bits per byte (INTERFACES, "Blocks and scores"): every document alone, in windows, each with BOS
 * in front and a context of its own; what is known of a document's language runs on through its windows. Sums
 * over documents in order, in double, before dividing. */
#include "eval/eval.h"
#include "base/memory.h"
#include "model/windows.h"

#include <math.h>
#include <string.h>

/* Tokens in one pass: enough rows to keep the products busy. Arbitrary within 2x either way. */
enum { PASS_TOKENS = 2048 };

/* A score under way, and the windows that wait to be scored together. */
struct glot_scorer {
    const glot_cancel *cancel;
    bool is_token_by_token;
    glot_text_score score;
    glot_session *session;
    int64_t length, capacity;  /* text tokens in a window; ids that fit */
    int32_t start_id;          /* BOS, or EOS where the model has none */
    int32_t *ids;              /* [capacity] */
    float *nll;                /* [capacity] */
    int64_t used;
    glot_sequence *windows;    /* [capacity] */
    size_t n_windows;
    glot_document_score *documents; /* of each added so far; those of waiting windows are not complete */
    size_t documents_capacity;
    uint64_t n_flushed;        /* documents whose first window has been scored */
    uint64_t tokens_done;
};

void glot_scorer_free(glot_scorer *w)
{
    if (!w)
        return;
    glot_session_free(w->session);
    glot_free(w->ids);
    glot_free(w->nll);
    glot_free(w->windows);
    glot_free(w->documents);
    glot_free(w);
}

/* Ids that are scored in one pass. */
static int64_t pass_ids(const glot_windows *windows)
{
    return windows->length + 1 > PASS_TOKENS ? windows->length + 1 : PASS_TOKENS;
}

glot_status glot_score_measure(size_t *bytes, const glot_model *m, const glot_score_options *options,
                               glot_error *err)
{
    glot_windows windows;
    GLOT_TRY(glot_windows_of(&windows, m, options->length, err));
    return glot_workspace_measure(bytes, m, GLOT_WORKSPACE_INFER, pass_ids(&windows), windows.length + 1,
                                  windows.length + 1, err);
}

static glot_status prepare(glot_scorer *w, const glot_model *m, const glot_score_options *o, glot_error *err)
{
    glot_windows windows;
    GLOT_TRY(glot_windows_of(&windows, m, o->length, err));
    w->length = windows.length;
    w->start_id = windows.start_id;
    w->capacity = pass_ids(&windows);
    size_t n = (size_t)w->capacity;
    GLOT_TRY(glot_new(&w->ids, n, sizeof *w->ids, "scoring", err));
    GLOT_TRY(glot_new(&w->nll, n, sizeof *w->nll, "scoring", err));
    GLOT_TRY(glot_new(&w->windows, n, sizeof *w->windows, "scoring", err));
    GLOT_TRY(glot_session_create(&w->session, m, w->length + 1, w->capacity, err));
    glot_session_set_exact(w->session, o->exact);
    return GLOT_OK;
}

/* As a text is generated: each token fed alone. */
static glot_status score_token_by_token(glot_scorer *w, const glot_sequence *window, glot_error *err)
{
    const float *log_probs;
    glot_session_reset(w->session);
    for (int64_t t = 0; t + 1 < window->n; t++) {
        GLOT_TRY(glot_session_feed(w->session, window->ids + t, 1, &log_probs, err));
        window->nll[t + 1] = -log_probs[window->ids[t + 1]];
    }
    return GLOT_OK;
}

static glot_status score_windows(glot_scorer *w, glot_error *err)
{
    if (!w->is_token_by_token)
        return glot_session_score(w->session, w->windows, w->n_windows, err);
    for (size_t i = 0; i < w->n_windows; i++)
        GLOT_TRY(score_token_by_token(w, &w->windows[i], err));
    return GLOT_OK;
}

static glot_status flush(glot_scorer *w, glot_error *err)
{
    GLOT_TRY(score_windows(w, err));
    for (size_t i = 0; i < w->n_windows; i++) {
        w->n_flushed += !w->windows[i].is_continued;
        w->tokens_done += (uint64_t)w->windows[i].n - 1;
        for (int64_t t = 1; t < w->windows[i].n; t++) {
            w->score.nll_nats += (double)w->windows[i].nll[t];
            w->documents[w->n_flushed - 1].nll_nats += (double)w->windows[i].nll[t];
        }
    }
    w->n_windows = 0;
    w->used = 0;
    return GLOT_OK;
}

static glot_status add_window(glot_scorer *w, const int32_t *ids, int64_t n, bool is_continued,
                              glot_error *err)
{
    if (w->used + n + 1 > w->capacity)
        GLOT_TRY(flush(w, err));
    int32_t *to = w->ids + w->used;
    to[0] = w->start_id;
    memcpy(to + 1, ids, (size_t)n * sizeof *ids);
    w->windows[w->n_windows++] =
        (glot_sequence){.ids = to, .n = n + 1, .nll = w->nll + w->used, .is_continued = is_continued};
    w->used += n + 1;
    return GLOT_OK;
}

glot_status glot_scorer_create(glot_scorer **out, const glot_model *m, const glot_score_options *options,
                               glot_error *err)
{
    glot_scorer *w = NULL;
    GLOT_TRY(glot_new(&w, 1, sizeof *w, "scoring", err));
    w->cancel = options->cancel;
    w->is_token_by_token = options->is_token_by_token;
    glot_status status = prepare(w, m, options, err);
    if (status == GLOT_OK)
        *out = w;
    else
        glot_scorer_free(w);
    return status;
}

glot_status glot_scorer_add(glot_scorer *w, const glot_document *d, glot_error *err)
{
    if (glot_cancelled(w->cancel))
        return GLOT_FAIL(err, GLOT_CANCELLED, "stopped while scoring");
    if (w->is_token_by_token && (int64_t)d->n_ids > w->length)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "a document of %" PRId64 " tokens needs more than one window of %" PRId64
                         "; token by token it must fit one",
                         (int64_t)d->n_ids, w->length);
    GLOT_TRY(glot_grow(&w->documents, &w->documents_capacity, w->score.documents + 1, sizeof *w->documents,
                       "scoring", err));
    w->documents[w->score.documents] = (glot_document_score){.bytes = d->n_bytes};
    for (int64_t first = 0; first < d->n_ids; first += w->length) {
        int64_t n = d->n_ids - first < w->length ? d->n_ids - first : w->length;
        GLOT_TRY(add_window(w, d->ids + first, n, first > 0, err));
    }
    w->score.tokens += d->n_ids;
    w->score.bytes += d->n_bytes;
    w->score.documents++;
    return GLOT_OK;
}

uint64_t glot_scorer_tokens(const glot_scorer *w)
{
    return w->score.tokens;
}

uint64_t glot_scorer_tokens_done(const glot_scorer *w)
{
    return w->tokens_done;
}

glot_status glot_scorer_finish(glot_scorer *w, glot_text_score *out, glot_error *err)
{
    GLOT_TRY(flush(w, err));
    double bytes = (double)w->score.bytes;
    w->score.bits_per_byte = w->score.bytes ? w->score.nll_nats / log(2.0) / bytes : 0.0;
    GLOT_TRY(glot_bootstrap_bits_per_byte(&w->score.interval, w->documents, w->score.documents, err));
    *out = w->score;
    return GLOT_OK;
}

json_t *glot_text_score_json(const glot_text_score *s)
{
    json_t *o = json_pack("{s:f}", "bits_per_byte", s->bits_per_byte);
    if (!isnan(s->interval.low)) {
        json_object_set_new(o, "bits_per_byte_low", json_real(s->interval.low));
        json_object_set_new(o, "bits_per_byte_high", json_real(s->interval.high));
    }
    json_object_set_new(o, "nll_nats", json_real(s->nll_nats));
    json_object_set_new(o, "tokens", json_integer((json_int_t)s->tokens));
    json_object_set_new(o, "bytes", json_integer((json_int_t)s->bytes));
    json_object_set_new(o, "documents", json_integer((json_int_t)s->documents));
    return o;
}

glot_status glot_score_store(glot_text_score *out, const glot_model *m, const glot_token_store *store,
                             int32_t language, const glot_score_options *options, glot_error *err)
{
    glot_scorer *w = NULL;
    GLOT_TRY(glot_scorer_create(&w, m, options, err));
    uint64_t first = glot_token_store_first_document(store, (size_t)language);
    uint64_t end = first + glot_token_store_language(store, (size_t)language)->n_documents;
    glot_status status = GLOT_OK;
    for (uint64_t i = first; i < end && status == GLOT_OK; i++) {
        glot_document d = glot_token_store_document(store, i);
        if (options->max_tokens && glot_scorer_tokens(w) >= options->max_tokens)
            break;
        status = glot_scorer_add(w, &d, err);
    }
    if (status == GLOT_OK)
        status = glot_scorer_finish(w, out, err);
    glot_scorer_free(w);
    return status;
}
