/* translation_words.h: a sentence as words, in the two ways of the metrics. Private to src/eval. */
#ifndef GLOT_EVAL_TRANSLATION_WORDS_H
#define GLOT_EVAL_TRANSLATION_WORDS_H

#include "base/str.h"
#include "eval/ngrams.h"

/* The words of a sentence; they point into its code points. Zero it to start. */
typedef struct glot_words {
    glot_run *items;
    size_t n, capacity;
} glot_words;

/* Runs of `codes` without white space. */
glot_status glot_words_split(glot_words *out, const glot_codes *codes, glot_error *err);
/* chrF++: the same, an ASCII punctuation mark at a word's end, else at its start, made a word of its own. */
glot_status glot_words_split_punctuation(glot_words *out, const glot_codes *codes, glot_error *err);
/* BLEU's mteval-v13a tokenization of a UTF-8 text: *out is the text with white space between its tokens.
 * `scratch` as `out`. */
void glot_tokenize_13a(glot_str *out, glot_str *scratch, const char *text, size_t size);

#endif
