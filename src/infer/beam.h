/* beam.h
 *
 * Beam search: the n_beams likeliest continuations at every length go on together. A continuation ends with a
 * stop token, when that is among the n_beams likeliest next steps, or at max_tokens; its score is the sum of
 * log p (stop token included) over (number of tokens)^length_penalty. The search ends when n_beams have ended
 * and none that runs can beat the worst of them at its present length. That is transformers' generate() with
 * num_beams, early_stopping false; one beam is the greedy continuation.
 */
#ifndef GLOT_INFER_BEAM_H
#define GLOT_INFER_BEAM_H

#include "infer/session.h"

typedef struct glot_beam_options {
    int64_t n_beams; /* at least 1, at most the vocabulary less its stop tokens */
    int64_t max_tokens;
    double length_penalty;  /* 1: the mean of log p */
    const uint8_t *is_stop; /* [vocab] 1 for a token that ends a text */
    const glot_cancel *cancel;
} glot_beam_options;

typedef struct glot_beam_result {
    int64_t n;       /* tokens, a stop token at the end included */
    bool is_stopped; /* by a stop token */
    double log_prob; /* sum */
    double score;
} glot_beam_result;

/* Continues a prompt. `s` has n_beams branches and room for n_prompt + max_tokens tokens; it is reset
 * first. ids [max_tokens] gets the best continuation. The result depends on nothing but model, prompt and
 * options. */
glot_status glot_beam_search(glot_beam_result *out, int32_t *ids, glot_session *s, int64_t vocab,
                             const int32_t *prompt, int64_t n_prompt, const glot_beam_options *options,
                             glot_error *err);

#endif
