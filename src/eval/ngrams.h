/* ngrams.h
 *
 * Counting the n-grams that a hypothesis and a reference share: what BLEU and chrF are made of. A sequence is
 * numbers: code points, or words numbered by glot_words.
 */
#ifndef GLOT_EVAL_NGRAMS_H
#define GLOT_EVAL_NGRAMS_H

#include "base/error.h"

/* A growable sequence. Zero it to start. */
typedef struct glot_codes {
    uint32_t *items;
    size_t n, capacity;
} glot_codes;
/* Appends the code points of a valid UTF-8 text. */
glot_status glot_codes_decode(glot_codes *c, const char *text, size_t size, glot_error *err);
glot_status glot_codes_append(glot_codes *c, uint32_t item, glot_error *err);
void glot_codes_release(glot_codes *c);

/* White space as Python's str.split sees it: the Unicode property, and the four separators U+001C to
 * U+001F. */
bool glot_is_split_space(uint32_t code);

typedef struct glot_ngram_counts {
    uint64_t hypothesis, reference, matches;
} glot_ngram_counts;

/* A run of numbers: an n-gram, or the code points of a word. */
typedef struct glot_run {
    const uint32_t *at;
    size_t n;
} glot_run;

/* Memory that calls share; zero it to start. */
typedef struct glot_ngram_scratch {
    glot_run *hypothesis, *reference;
    size_t hypothesis_capacity, reference_capacity;
} glot_ngram_scratch;
void glot_ngram_scratch_release(glot_ngram_scratch *s);

/* n-grams of each sequence and how many of them match one of the other, each used once (clipped counts). */
glot_status glot_ngrams_match(glot_ngram_counts *out, glot_ngram_scratch *scratch,
                              const glot_codes *hypothesis, const glot_codes *reference, size_t order,
                              glot_error *err);

/* Numbers words so that two are equal exactly where their numbers are: words[i].n code points each; ids[i]
 * gets the number. `order`: room for n indices. */
void glot_words_number(uint32_t *ids, const glot_run *words, size_t n, uint32_t *order);

#endif
