/* exact.h
 *
 * The exact path (METHOD 8): a sequential test on token ids decides, before any layer runs, how long a
 * document is computed as the base model computes it.
 *
 *     S_t = max(S_{t-1} + l(v_t), -8)      S = 0 at the start of a document; l(BOS) = l(EOS) = 0
 *     a document is on the exact path until the first token with S_t > A, and off it from that token on:
 *     old until surely new
 *
 * Host code on plain numbers: the decision is the same on every backend, for any batch, at once or token by
 * token.
 *
 *     glot_exact_test test = {0};
 *     GLOT_TRY(glot_exact_test_init(&test, m, &err));
 *     glot_exact_state state = {0};                             a document begins
 *     glot_exact_mark(&test, &state, ids, n, is_exact);         and goes on with the next call
 *     glot_exact_test_release(&test);
 */
#ifndef GLOT_MODEL_EXACT_H
#define GLOT_MODEL_EXACT_H

#include "model/model.h"

/* Evidence that one token can give, and the least that can have gathered: a text that begins old and turns
 * new still leaves. */
#define GLOT_EXACT_MOST_EVIDENCE 4.0
#define GLOT_EXACT_FLOOR (-8.0)

typedef struct glot_exact_test {
    float *evidence; /* [vocab] l(v), owned; NULL: there is no test, and no document is on the exact path */
    int64_t vocab;
    double threshold; /* A */
} glot_exact_test;

/* Where a document is; zero at its beginning. */
typedef struct glot_exact_state {
    double sum; /* S */
    bool has_left;
} glot_exact_state;

/* Gives the model a test, in place of one it may have: evidence [vocab] is copied. */
glot_status glot_exact_set(glot_model *m, const float *evidence, double threshold, glot_error *err);
/* Takes the test away; glot_model_link must follow. */
void glot_exact_remove(glot_model *m);

/* The model's test; none where its exact.mode is none. GLOT_BAD_VALUE for evidence that is not a finite
 * number. */
glot_status glot_exact_test_init(glot_exact_test *test, const glot_model *m, glot_error *err);
void glot_exact_test_release(glot_exact_test *test);

/* S after one more token; an id outside the vocabulary (whoever runs the model refuses it) is no evidence. */
double glot_exact_next(const glot_exact_test *test, double sum, int32_t id);
/* The document's next n ids: is_exact[i] (may be NULL) is 1 where id i is still on the exact path. */
void glot_exact_mark(const glot_exact_test *test, glot_exact_state *state, const int32_t *ids, int64_t n,
                     uint8_t *is_exact);

#endif
