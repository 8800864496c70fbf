/* multiple_choice.c: texts of all choices of some items share a pass; their log p is summed over the choice's
 * tokens. */
#include "eval/multiple_choice.h"
#include "base/memory.h"
#include "eval/prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tokens in one pass: enough rows to keep the products busy. Arbitrary within 2x either way. */
enum { PASS_TOKENS = 2048 };

/* A task under way. The texts of an item's choices wait in `ids` until it is scored as one call. */
typedef struct task {
    const glot_choice_options *options;
    glot_session *session;
    glot_encoder *encoder;
    int64_t context, vocab;
    int32_t start_id; /* before a text without a query; -1: none */
    int32_t bos_id;   /* in front of every text, as the tokenizer's own setting asks; -1: not */
    glot_str text;
    int32_t *ids; /* texts one behind the other */
    float *nll;
    size_t n_ids, ids_capacity, nll_capacity;
    glot_sequence *texts;  /* of one item */
    int64_t *first_scored; /* [n] of each text */
    double *sums;
    size_t texts_capacity, first_capacity, sums_capacity;
    uint64_t n_right, n_right_norm;
} task;

/* Appends the ids of `size` bytes of text, with the tokenizer's own BOS. */
static glot_status append_ids(task *t, const char *text, size_t size, glot_error *err)
{
    const int32_t *ids;
    size_t n;
    GLOT_TRY(glot_encode(t->encoder, text, size, &ids, &n, err));
    GLOT_TRY(glot_grow(&t->ids, &t->ids_capacity, t->n_ids + n + 2, sizeof *t->ids, "items", err));
    if (t->bos_id >= 0)
        t->ids[t->n_ids++] = t->bos_id;
    if (n)
        memcpy(t->ids + t->n_ids, ids, n * sizeof *ids);
    t->n_ids += n;
    return GLOT_OK;
}

/* The ids of query and choice, and where the choice begins among them. */
static glot_status append_choice(task *t, const glot_item *item, size_t choice, int64_t *n,
                                 int64_t *first_scored, glot_error *err)
{
    size_t n_query = 0, first = t->n_ids, query_size;
    const glot_choice_options *o = t->options;
    GLOT_TRY(glot_prompt_write(&t->text, &query_size, o->examples, o->shots, item, choice, err));
    if (query_size == 0 && t->bos_id < 0) {
        if (t->start_id < 0)
            return GLOT_FAIL(
                err, GLOT_BAD_VALUE,
                "an item has an empty query, and the model has neither BOS nor EOS to stand for it");
        GLOT_TRY(glot_grow(&t->ids, &t->ids_capacity, t->n_ids + 1, sizeof *t->ids, "items", err));
        t->ids[t->n_ids++] = t->start_id;
        n_query = 1;
    } else {
        GLOT_TRY(append_ids(t, t->text.data, query_size, err));
        n_query = t->n_ids - first;
        t->n_ids = first;
    }
    GLOT_TRY(append_ids(t, t->text.data, t->text.length, err));
    *n = (int64_t)(t->n_ids - first);
    *first_scored = (int64_t)n_query;
    if (*n > *first_scored)
        return GLOT_OK;
    return GLOT_FAIL(err, GLOT_BAD_VALUE,
                     "query and choice are %" PRId64 " tokens, the query alone is %zu: the choice has none to score", *n,
                     n_query);
}

/* The last token is only scored; a text whose others are more than the context loses its beginning. */
static glot_status cut(task *t, int64_t *n, int64_t *first_scored, glot_error *err)
{
    int64_t extra = *n - 1 - t->context;
    if (extra <= 0)
        return GLOT_OK;
    if (*first_scored - extra < 1)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "a choice of %" PRId64 " tokens does not fit the context of %" PRId64,
                         *n - *first_scored, t->context);
    int32_t *at = t->ids + t->n_ids - *n;
    memmove(at, at + extra, (size_t)(*n - extra) * sizeof *at);
    t->n_ids -= (size_t)extra;
    *n -= extra;
    *first_scored -= extra;
    return GLOT_OK;
}

static glot_status make_texts(task *t, const glot_item *item, glot_error *err)
{
    size_t n_choices = glot_item_n_choices(item);
    t->n_ids = 0;
    GLOT_TRY(glot_grow(&t->texts, &t->texts_capacity, n_choices, sizeof *t->texts, "items", err));
    GLOT_TRY(
        glot_grow(&t->first_scored, &t->first_capacity, n_choices, sizeof *t->first_scored, "items", err));
    GLOT_TRY(glot_grow(&t->sums, &t->sums_capacity, n_choices, sizeof *t->sums, "items", err));
    for (size_t i = 0; i < n_choices; i++) {
        int64_t n = 0;
        GLOT_TRY(append_choice(t, item, i, &n, &t->first_scored[i], err));
        GLOT_TRY(cut(t, &n, &t->first_scored[i], err));
        t->texts[i] = (glot_sequence){.n = n - 1, .has_next = true};
    }
    GLOT_TRY(glot_grow(&t->nll, &t->nll_capacity, t->n_ids, sizeof *t->nll, "items", err));
    size_t at = 0;
    for (size_t i = 0; i < n_choices; at += (size_t)t->texts[i++].n + 1) {
        t->texts[i].ids = t->ids + at;
        t->texts[i].nll = t->nll + at;
    }
    return GLOT_OK;
}

static size_t count_characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* Index of the largest; the first of equals. */
static size_t best_of(const double *values, const glot_item *item, bool is_per_character)
{
    size_t best = 0;
    double largest = -INFINITY;
    for (size_t i = 0; i < glot_item_n_choices(item); i++) {
        double value =
            is_per_character ? values[i] / (double)count_characters(glot_item_choice(item, i)) : values[i];
        if (value > largest) {
            largest = value;
            best = i;
        }
    }
    return best;
}

/* A text to complete: the choice's tokens one after the other; each must be the likeliest. */
static glot_status complete_text(task *t, bool *is_right, glot_error *err)
{
    const glot_sequence *text = &t->texts[0];
    const float *log_probs;
    const glot_sample_params greedy = glot_sample_params_default();
    int64_t first = t->first_scored[0];
    *is_right = true;
    t->sums[0] = 0.0;
    glot_session_reset(t->session);
    GLOT_TRY(glot_session_feed(t->session, text->ids, first, &log_probs, err));
    for (int64_t i = first; i <= text->n; i++) {
        t->sums[0] += (double)log_probs[text->ids[i]];
        *is_right = *is_right && glot_sample(log_probs, t->vocab, &greedy, NULL, NULL) == text->ids[i];
        if (i < text->n)
            GLOT_TRY(glot_session_feed(t->session, text->ids + i, 1, &log_probs, err));
    }
    return GLOT_OK;
}

static glot_status sum_choices(task *t, size_t n_choices, glot_error *err)
{
    GLOT_TRY(glot_session_score(t->session, t->texts, n_choices, err));
    for (size_t i = 0; i < n_choices; i++) {
        t->sums[i] = 0.0;
        for (int64_t k = t->first_scored[i]; k <= t->texts[i].n; k++)
            t->sums[i] -= (double)t->texts[i].nll[k];
    }
    return GLOT_OK;
}

/* A failure says which item it is about. */
static glot_status name_item(const glot_item *item, glot_error *err)
{
    char *id = json_dumps(item->id, JSON_ENCODE_ANY);
    glot_status status = glot_error_prefix(err, "item %s", id ? id : "?");
    free(id);
    return status;
}

static glot_status score_item(task *t, const glot_item *item, glot_error *err)
{
    size_t n_choices = glot_item_n_choices(item), picked = 0;
    if (glot_cancelled(t->options->cancel))
        return GLOT_FAIL(err, GLOT_CANCELLED, "stopped while scoring");
    glot_status status = make_texts(t, item, err);
    if (status != GLOT_OK)
        return name_item(item, err);
    if (n_choices == 1) {
        bool is_right;
        GLOT_TRY(complete_text(t, &is_right, err));
        t->n_right += is_right;
        t->n_right_norm += is_right;
    } else {
        GLOT_TRY(sum_choices(t, n_choices, err));
        picked = best_of(t->sums, item, false);
        t->n_right += picked == item->gold;
        t->n_right_norm += best_of(t->sums, item, true) == item->gold;
    }
    return t->options->on_item ? t->options->on_item(t->options->user, item, t->sums, picked, err) : GLOT_OK;
}

static glot_status prepare(task *t, const glot_model *m, const glot_tokenizer *tokenizer, glot_error *err)
{
    const glot_model_config *c = &m->config;
    t->context = c->context_length;
    t->vocab = c->vocab_size;
    t->start_id = c->bos_id >= 0 ? c->bos_id : c->eos_id;
    t->bos_id = glot_tokenizer_adds_bos(tokenizer) ? c->bos_id : -1;
    GLOT_TRY(glot_encoder_create(&t->encoder, tokenizer, err));
    int64_t n_batch = t->context < PASS_TOKENS ? t->context : PASS_TOKENS;
    GLOT_TRY(glot_session_create(&t->session, m, t->context, n_batch, err));
    glot_session_set_exact(t->session, t->options->exact);
    return GLOT_OK;
}

static void release(task *t)
{
    glot_session_free(t->session);
    if (t->encoder)
        glot_encoder_free(t->encoder);
    glot_str_release(&t->text);
    glot_free(t->ids);
    glot_free(t->nll);
    glot_free(t->texts);
    glot_free(t->first_scored);
    glot_free(t->sums);
}

static double standard_error(double share, size_t n)
{
    return n > 1 ? sqrt(share * (1.0 - share) / (double)(n - 1)) : 0.0;
}

json_t *glot_choice_score_json(const glot_choice_score *s)
{
    return json_pack("{s:f, s:f, s:I, s:f, s:f}", "acc", s->acc, "acc_norm", s->acc_norm, "items",
                     (json_int_t)s->items, "acc_stderr", s->acc_stderr, "acc_norm_stderr",
                     s->acc_norm_stderr);
}

glot_status glot_multiple_choice(glot_choice_score *out, const glot_model *m, const glot_tokenizer *tokenizer,
                                 const glot_items *items, const glot_choice_options *options, glot_error *err)
{
    task t = {.options = options};
    glot_status status = prepare(&t, m, tokenizer, err);
    for (size_t i = 0; i < items->n && status == GLOT_OK; i++)
        status = score_item(&t, &items->items[i], err);
    if (status == GLOT_OK) {
        double n = (double)items->n, acc = (double)t.n_right / n, acc_norm = (double)t.n_right_norm / n;
        *out = (glot_choice_score){acc, acc_norm, standard_error(acc, items->n),
                                   standard_error(acc_norm, items->n), items->n};
    }
    release(&t);
    return status;
}
