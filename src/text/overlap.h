/* overlap.h
 *
 * Two facts about a job's text that deserve a warning: documents that were trained on and are scored as
 * well, and documents that occur more than once in the train text. Documents are the same where their ids
 * are; they are compared by a 64-bit hash of them, so among ten million documents a false match has a
 * chance of about 3 in a million.
 */
#ifndef GLOT_TEXT_OVERLAP_H
#define GLOT_TEXT_OVERLAP_H

#include "text/token_store.h"

typedef struct glot_text_overlap {
    uint64_t n_train, n_valid; /* documents of the language in each store */
    uint64_t n_shared;         /* documents of valid that occur in train as well */
    uint64_t n_repeated;       /* documents of train that an earlier one of train equals */
} glot_text_overlap;

/* Compares language `train_language` of `train` with `valid_language` of `valid`; both stores must come
 * from one tokenizer (GLOT_BAD_VALUE). `valid` may be NULL: only the repeats are counted. Uses 16 to 32
 * bytes per train document while it runs. */
glot_status glot_text_overlap_count(glot_text_overlap *out, const glot_token_store *train,
                                    size_t train_language, const glot_token_store *valid,
                                    size_t valid_language, glot_error *err);

#endif
