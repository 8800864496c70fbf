/* translation.h
 *
 * Corpus scores of translations as sacreBLEU computes them (INTERFACES, "Blocks and scores"): BLEU with 13a
 * tokenization and exponential smoothing, chrF (character 6-grams, beta 2) and chrF++ (word bigrams too), one
 * reference for each sentence.
 *
 *     glot_translation *t;
 *     GLOT_TRY(glot_translation_create(&t, err));
 *     for each line: GLOT_TRY(glot_translation_add(t, hypothesis, n, reference, m, err));
 *     glot_translation_scores s = glot_translation_finish(t);
 */
#ifndef GLOT_EVAL_TRANSLATION_H
#define GLOT_EVAL_TRANSLATION_H

#include "base/error.h"

typedef struct glot_translation_scores {
    double bleu, chrf, chrf_pp; /* 0 to 100 */
    uint64_t sentences;
} glot_translation_scores;

typedef struct glot_translation glot_translation;
glot_status glot_translation_create(glot_translation **out, glot_error *err);
void glot_translation_free(glot_translation *t); /* NULL is allowed */
/* One sentence and its reference, valid UTF-8. */
glot_status glot_translation_add(glot_translation *t, const char *hypothesis, size_t hypothesis_size,
                                 const char *reference, size_t reference_size, glot_error *err);
glot_translation_scores glot_translation_finish(const glot_translation *t);

#endif
