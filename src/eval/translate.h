/* translate.h
 *
 * Translations that a model writes. The prompt is
 *
 *     English: An example.
 *     Greek: Its translation.
 *
 *     English: The sentence.
 *     Greek:
 *
 * with as many examples as there are, and what beam search (infer/beam.h) puts behind it up to the end of the
 * line (or EOS, or max_tokens) is the translation, without white space at its ends.
 */
#ifndef GLOT_EVAL_TRANSLATE_H
#define GLOT_EVAL_TRANSLATE_H

#include "infer/beam.h"
#include "text/tokenizer.h"

typedef struct glot_sentence_pair {
    char *source, *target; /* one line each */
} glot_sentence_pair;

typedef struct glot_translate_options {
    const char *source_language, *target_language; /* as the prompt names them */
    const glot_sentence_pair *examples;
    size_t n_examples;
    int64_t n_beams, max_tokens;
    glot_exact_choice exact;
    const glot_cancel *cancel;
} glot_translate_options;

/* What came of one sentence; owned by the translator, valid until its next use. */
typedef struct glot_translated {
    const char *text; /* valid UTF-8, one line */
    size_t size;
    const int32_t *prompt, *ids; /* what was fed and what came, the stop token included */
    int64_t n_prompt;
    glot_beam_result beam;
} glot_translated;

/* Everything of `options` must stay until free. */
typedef struct glot_translator glot_translator;
glot_status glot_translator_create(glot_translator **out, const glot_model *m,
                                   const glot_tokenizer *tokenizer, const glot_translate_options *options,
                                   glot_error *err);
void glot_translator_free(glot_translator *t); /* NULL is allowed */
glot_status glot_translate(glot_translated *out, glot_translator *t, const char *sentence, glot_error *err);

#endif
