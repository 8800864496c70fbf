/* multiple_choice.c: the texts of some items' choices share a pass, and each prompt is in it once; the log p
 * of a choice's tokens are summed. */
#include "eval/multiple_choice.h"
#include "base/memory.h"
#include "eval/prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A pass has room for PASS_TOKENS, enough rows to keep the products busy; items wait for one until the next
 * might not fit (FULL), or until their keys might not (PASS_KEYS). Arbitrary within 2x either way. */
enum { PASS_TOKENS = 1024, FULL = PASS_TOKENS * 3 / 4, PASS_KEYS = 3 * PASS_TOKENS };
/* Room of a session grows in steps of this. */
enum { CONTEXT_STEP = 256 };

/* An item whose texts wait. */
typedef struct waiting_item {
    const glot_item *item;
    size_t first_text;
} waiting_item;

/* A task under way. The texts of the waiting items' choices stand one behind the other in `ids`. */
typedef struct task {
    const glot_choice_options *options;
    const glot_model *model;
    glot_session *session; /* made at first need, again where a text needs more room */
    int64_t n_context;     /* of the session */
    glot_encoder *encoder;
    int32_t start_id; /* before a text without a query; -1: none */
    int32_t bos_id;   /* in front of every text, as the tokenizer's own setting asks; -1: not */
    glot_str text;
    int32_t *ids;
    float *nll;
    size_t n_ids, ids_capacity, nll_capacity;
    glot_sequence *texts;
    int64_t *first_scored; /* of each text */
    double *sums;          /* of each text */
    size_t n_texts, texts_capacity, first_capacity, sums_capacity;
    int64_t n_rows, longest; /* rows that the texts take in a pass; tokens fed of the longest */
    waiting_item *waiting;
    size_t n_waiting, waiting_capacity;
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
                     "query and choice are %" PRId64
                     " tokens, the query alone is %zu: the choice has none to score",
                     *n, n_query);
}

/* The last token is only scored; a text whose others are more than the context loses its beginning. */
static glot_status cut(task *t, int64_t *n, int64_t *first_scored, glot_error *err)
{
    int64_t context = t->model->config.context_length, extra = *n - 1 - context;
    if (extra <= 0)
        return GLOT_OK;
    if (*first_scored - extra < 1)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "a choice of %" PRId64 " tokens does not fit the context of %" PRId64,
                         *n - *first_scored, context);
    int32_t *at = t->ids + t->n_ids - *n;
    memmove(at, at + extra, (size_t)(*n - extra) * sizeof *at);
    t->n_ids -= (size_t)extra;
    *n -= extra;
    *first_scored -= extra;
    return GLOT_OK;
}

/* A text behind those that wait. */
static glot_status add_text(task *t, const glot_item *item, size_t choice, glot_error *err)
{
    size_t i = t->n_texts;
    GLOT_TRY(glot_grow(&t->texts, &t->texts_capacity, i + 1, sizeof *t->texts, "items", err));
    GLOT_TRY(glot_grow(&t->first_scored, &t->first_capacity, i + 1, sizeof *t->first_scored, "items", err));
    GLOT_TRY(glot_grow(&t->sums, &t->sums_capacity, i + 1, sizeof *t->sums, "items", err));
    int64_t n = 0, n_before = i ? t->texts[i - 1].n + 1 : 0;
    GLOT_TRY(append_choice(t, item, choice, &n, &t->first_scored[i], err));
    GLOT_TRY(cut(t, &n, &t->first_scored[i], err));
    const int32_t *ids = t->ids + t->n_ids - n;
    t->texts[i] = (glot_sequence){.n = n - 1, .has_next = true};
    t->n_rows += n - glot_common_beginning(ids, n, ids - n_before, n_before);
    t->longest = n - 1 > t->longest ? n - 1 : t->longest;
    t->n_texts++;
    return GLOT_OK;
}

static glot_status add_item(task *t, const glot_item *item, glot_error *err)
{
    GLOT_TRY(
        glot_grow(&t->waiting, &t->waiting_capacity, t->n_waiting + 1, sizeof *t->waiting, "items", err));
    t->waiting[t->n_waiting++] = (waiting_item){item, t->n_texts};
    for (size_t i = 0; i < glot_item_n_choices(item); i++)
        GLOT_TRY(add_text(t, item, i, err));
    return GLOT_OK;
}

/* A session in which the longest text fits, and the texts' places, now that they move no more. */
static glot_status make_room(task *t, glot_error *err)
{
    size_t at = 0;
    int64_t context = t->model->config.context_length;
    GLOT_TRY(glot_grow(&t->nll, &t->nll_capacity, t->n_ids, sizeof *t->nll, "items", err));
    for (size_t i = 0; i < t->n_texts; at += (size_t)t->texts[i++].n + 1) {
        t->texts[i].ids = t->ids + at;
        t->texts[i].nll = t->nll + at;
    }
    if (t->longest <= t->n_context)
        return GLOT_OK;
    glot_session_free(t->session);
    t->session = NULL;
    t->n_context = (t->longest + CONTEXT_STEP - 1) / CONTEXT_STEP * CONTEXT_STEP;
    t->n_context = t->n_context < context ? t->n_context : context;
    GLOT_TRY(glot_session_create(&t->session, t->model, t->n_context, PASS_TOKENS, err));
    glot_session_set_exact(t->session, t->options->exact);
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
    int64_t first = t->first_scored[0], vocab = t->model->config.vocab_size;
    *is_right = true;
    t->sums[0] = 0.0;
    glot_session_reset(t->session);
    GLOT_TRY(glot_session_feed(t->session, text->ids, first, &log_probs, err));
    for (int64_t i = first; i <= text->n; i++) {
        t->sums[0] += (double)log_probs[text->ids[i]];
        *is_right = *is_right && glot_sample(log_probs, vocab, &greedy, NULL, NULL) == text->ids[i];
        if (i < text->n)
            GLOT_TRY(glot_session_feed(t->session, text->ids + i, 1, &log_probs, err));
    }
    return GLOT_OK;
}

static glot_status sum_choices(task *t, glot_error *err)
{
    GLOT_TRY(glot_session_score_ends(t->session, t->texts, t->first_scored, t->n_texts, err));
    for (size_t i = 0; i < t->n_texts; i++) {
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

static glot_status tell(const task *t, const glot_item *item, const double *sums, size_t picked,
                        glot_error *err)
{
    return t->options->on_item ? t->options->on_item(t->options->user, item, sums, picked, err) : GLOT_OK;
}

static glot_status decide(task *t, const waiting_item *w, glot_error *err)
{
    const double *sums = t->sums + w->first_text;
    size_t picked = best_of(sums, w->item, false);
    t->n_right += picked == w->item->gold;
    t->n_right_norm += best_of(sums, w->item, true) == w->item->gold;
    return tell(t, w->item, sums, picked, err);
}

static bool is_to_complete(const glot_item *item)
{
    return glot_item_n_choices(item) == 1;
}

/* Scores the items that wait: choices, or one text to complete. */
static glot_status score_waiting(task *t, glot_error *err)
{
    if (glot_cancelled(t->options->cancel))
        return GLOT_FAIL(err, GLOT_CANCELLED, "stopped while scoring");
    if (t->n_waiting == 0)
        return GLOT_OK;
    GLOT_TRY(make_room(t, err));
    if (is_to_complete(t->waiting[0].item)) {
        bool is_right;
        GLOT_TRY(complete_text(t, &is_right, err));
        t->n_right += is_right;
        t->n_right_norm += is_right;
        GLOT_TRY(tell(t, t->waiting[0].item, t->sums, 0, err));
    } else {
        GLOT_TRY(sum_choices(t, err));
        for (size_t i = 0; i < t->n_waiting; i++)
            GLOT_TRY(decide(t, &t->waiting[i], err));
    }
    t->n_waiting = t->n_texts = t->n_ids = 0;
    t->n_rows = 0;
    return GLOT_OK;
}

static glot_status score_items(task *t, const glot_items *items, glot_error *err)
{
    for (size_t i = 0; i < items->n; i++) {
        const glot_item *item = &items->items[i];
        bool is_alone = is_to_complete(item) || (t->n_waiting && is_to_complete(t->waiting[0].item));
        if (is_alone || t->n_rows > FULL || t->n_ids > PASS_KEYS)
            GLOT_TRY(score_waiting(t, err));
        if (add_item(t, item, err) != GLOT_OK)
            return name_item(item, err);
    }
    return score_waiting(t, err);
}

static glot_status prepare(task *t, const glot_model *m, const glot_tokenizer *tokenizer, glot_error *err)
{
    const glot_model_config *c = &m->config;
    t->model = m;
    t->start_id = c->bos_id >= 0 ? c->bos_id : c->eos_id;
    t->bos_id = glot_tokenizer_adds_bos(tokenizer) ? c->bos_id : -1;
    return glot_encoder_create(&t->encoder, tokenizer, err);
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
    glot_free(t->waiting);
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
    if (status == GLOT_OK)
        status = score_items(&t, items, err);
    if (status == GLOT_OK) {
        double n = (double)items->n, acc = (double)t.n_right / n, acc_norm = (double)t.n_right_norm / n;
        *out = (glot_choice_score){acc, acc_norm, standard_error(acc, items->n),
                                   standard_error(acc_norm, items->n), items->n};
    }
    release(&t);
    return status;
}
