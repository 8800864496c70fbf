/* evidence.h
 *
 * Counting the evidence for the exact path (METHOD 8) from train text:
 *
 *     l(v) = clip(log p(v | new) - log p(v | old), -4, 4)
 *     p(v | g) = (N_g f_g(v) + 1/2) / (N_g + vocabulary / 2)
 *     A    = the smallest value that the share `keep` of held-out old documents never exceeds
 *
 * f_g is the mean over the languages of group g of their token frequencies, so that each has the same share;
 * N_g is the number of tokens counted, at most 2 million a language. Of every old language half of its
 * documents, at most 2,000, spread evenly over its text, are held out: not counted, their first 512 tokens
 * give A. Nothing is drawn: the same text gives the same bits.
 */
#ifndef GLOT_EXPAND_EVIDENCE_H
#define GLOT_EXPAND_EVIDENCE_H

#include "model/exact.h"
#include "text/token_store.h"

enum {
    GLOT_EVIDENCE_MAX_TOKENS = 2000000,
    GLOT_EVIDENCE_MAX_HELD_OUT = 2000,
    GLOT_EVIDENCE_HELD_OUT_TOKENS = 512
};

typedef struct glot_evidence_language {
    const glot_token_store *store;
    size_t language; /* index in the store */
    bool is_old;     /* of G0; every later group is new */
    /* What was made of it: */
    uint64_t n_counted_tokens, n_held_out, n_stay; /* held-out documents that never leave */
} glot_evidence_language;

/* Whether there is enough to count: GLOT_BAD_VALUE where no language is old or none is new, or an old one has
 * fewer than 2 documents. */
glot_status glot_evidence_check(const glot_evidence_language *languages, size_t n, glot_error *err);
/* Counts the languages' text and gives the model its test. GLOT_BAD_VALUE as glot_evidence_check has it, and
 * where `keep` is outside (0, 1]. */
glot_status glot_evidence_count(glot_model *m, glot_evidence_language *languages, size_t n, double keep,
                                glot_error *err);

#endif
