/* translate.c: a prompt, its continuation, a line of text. */
#include "eval/translate.h"
#include "base/memory.h"
#include "text/utf8.h"

#include <string.h>

/* Room of a session grows in steps of this, so that prompts of like length share one. */
enum { CONTEXT_STEP = 256, PASS_TOKENS = 512 };

struct glot_translator {
    const glot_model *model;
    const glot_tokenizer *tokenizer;
    const glot_translate_options *options;
    glot_encoder *encoder;
    glot_session *session; /* made at first need, again where a prompt needs more room */
    int64_t n_context;     /* of the session */
    uint8_t *is_stop;      /* [vocab] EOS, and every token with the end of a line in it */
    glot_str examples, prompt, raw, text;
    int32_t *ids, *found; /* the prompt's; [max_tokens] */
    size_t ids_capacity;
};

void glot_translator_free(glot_translator *t)
{
    if (!t)
        return;
    glot_session_free(t->session);
    glot_encoder_free(t->encoder);
    glot_free(t->is_stop);
    glot_free(t->ids);
    glot_free(t->found);
    glot_str_release(&t->examples);
    glot_str_release(&t->prompt);
    glot_str_release(&t->raw);
    glot_str_release(&t->text);
    glot_free(t);
}

static glot_status mark_stops(glot_translator *t, glot_error *err)
{
    const glot_model_config *c = &t->model->config;
    int32_t n = glot_tokenizer_size(t->tokenizer);
    GLOT_TRY(glot_new(&t->is_stop, (size_t)c->vocab_size, sizeof *t->is_stop, "translation", err));
    for (int32_t id = 0; id < n && id < c->vocab_size; id++) {
        glot_str_reset(&t->raw);
        GLOT_TRY(glot_decode(t->tokenizer, &id, 1, true, false, &t->raw, err));
        t->is_stop[id] = t->raw.length > 0 && memchr(t->raw.data, '\n', t->raw.length) != NULL;
    }
    if (c->eos_id >= 0)
        t->is_stop[c->eos_id] = 1;
    return glot_str_check(&t->raw, "translation", err);
}

static glot_status prepare(glot_translator *t, glot_error *err)
{
    const glot_translate_options *o = t->options;
    for (size_t i = 0; i < o->n_examples; i++)
        glot_str_printf(&t->examples, "%s: %s\n%s: %s\n\n", o->source_language, o->examples[i].source,
                        o->target_language, o->examples[i].target);
    GLOT_TRY(glot_str_check(&t->examples, "translation", err));
    GLOT_TRY(glot_encoder_create(&t->encoder, t->tokenizer, err));
    GLOT_TRY(glot_new(&t->found, (size_t)o->max_tokens, sizeof *t->found, "translation", err));
    return mark_stops(t, err);
}

glot_status glot_translator_create(glot_translator **out, const glot_model *m,
                                   const glot_tokenizer *tokenizer, const glot_translate_options *options,
                                   glot_error *err)
{
    glot_translator *t = NULL;
    GLOT_TRY(glot_new(&t, 1, sizeof *t, "translation", err));
    t->model = m;
    t->tokenizer = tokenizer;
    t->options = options;
    glot_status status = prepare(t, err);
    if (status == GLOT_OK)
        *out = t;
    else
        glot_translator_free(t);
    return status;
}

/* Ids of the prompt, with BOS where the tokenizer's own setting asks for it. */
static glot_status encode_prompt(glot_translator *t, const char *sentence, int64_t *n, glot_error *err)
{
    const glot_translate_options *o = t->options;
    const int32_t *ids;
    size_t n_ids,
        n_start = glot_tokenizer_adds_bos(t->tokenizer) && glot_config_start_id(&t->model->config) >= 0;
    glot_str_reset(&t->prompt);
    glot_str_printf(&t->prompt, "%s%s: %s\n%s:", t->examples.data ? t->examples.data : "", o->source_language,
                    sentence, o->target_language);
    GLOT_TRY(glot_str_check(&t->prompt, "translation", err));
    GLOT_TRY(glot_encode(t->encoder, t->prompt.data, t->prompt.length, &ids, &n_ids, err));
    GLOT_TRY(glot_grow(&t->ids, &t->ids_capacity, n_ids + 1, sizeof *t->ids, "translation", err));
    if (n_start)
        t->ids[0] = glot_config_start_id(&t->model->config);
    memcpy(t->ids + n_start, ids, n_ids * sizeof *ids);
    *n = (int64_t)(n_ids + n_start);
    return GLOT_OK;
}

static glot_status make_room(glot_translator *t, int64_t n_prompt, glot_error *err)
{
    int64_t need = n_prompt + t->options->max_tokens, context = t->model->config.context_length;
    if (need > context)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "a prompt of %" PRId64 " tokens and %" PRId64
                         " to come do not fit the context of %" PRId64 "; fewer examples might",
                         n_prompt, t->options->max_tokens, context);
    if (need <= t->n_context)
        return GLOT_OK;
    glot_session_free(t->session);
    t->session = NULL;
    t->n_context = (need + CONTEXT_STEP - 1) / CONTEXT_STEP * CONTEXT_STEP;
    t->n_context = t->n_context < context ? t->n_context : context;
    GLOT_TRY(glot_session_create_branched(&t->session, t->model, t->n_context, PASS_TOKENS,
                                          t->options->n_beams, err));
    glot_session_set_exact(t->session, t->options->exact);
    return GLOT_OK;
}

/* The first line of what came, without white space at its ends. */
static glot_status read_text(glot_translator *t, int64_t n, glot_error *err)
{
    glot_str_reset(&t->raw);
    glot_str_reset(&t->text);
    GLOT_TRY(glot_decode(t->tokenizer, t->found, (size_t)n, true, false, &t->raw, err));
    const char *data = t->raw.data ? t->raw.data : "", *end = memchr(data, '\n', t->raw.length);
    end = end ? end : data + t->raw.length;
    while (data < end && strchr(" \t\r", *data))
        data++;
    while (end > data && strchr(" \t\r", end[-1]))
        end--;
    glot_utf8_append_repaired(&t->text, data, (size_t)(end - data));
    return glot_str_check(&t->text, "translation", err);
}

glot_status glot_translate(glot_translated *out, glot_translator *t, const char *sentence, glot_error *err)
{
    const glot_translate_options *o = t->options;
    glot_beam_options beam = {.n_beams = o->n_beams,
                              .max_tokens = o->max_tokens,
                              .length_penalty = 1.0,
                              .is_stop = t->is_stop,
                              .cancel = o->cancel};
    *out = (glot_translated){.text = ""};
    GLOT_TRY(encode_prompt(t, sentence, &out->n_prompt, err));
    GLOT_TRY(make_room(t, out->n_prompt, err));
    GLOT_TRY(glot_beam_search(&out->beam, t->found, t->session, t->model->config.vocab_size, t->ids,
                              out->n_prompt, &beam, err));
    GLOT_TRY(read_text(t, out->beam.n, err));
    out->prompt = t->ids;
    out->ids = t->found;
    out->text = t->text.data ? t->text.data : "";
    out->size = t->text.length;
    return GLOT_OK;
}
