/* session.h
 *
 * A session runs one model: scoring texts, and generating one text token by token with a KV cache. Both take
 * the same decisions and, on the CPU in float32, give the same bits.
 */
#ifndef GLOT_INFER_SESSION_H
#define GLOT_INFER_SESSION_H

#include "base/cancel.h"
#include "base/rng.h"
#include "model/exact.h"

typedef struct glot_session glot_session;

/* n_context: most tokens of one sequence (<= the model's context); n_batch: most tokens in one pass. */
glot_status glot_session_create(glot_session **out, const glot_model *m, int64_t n_context, int64_t n_batch,
                                glot_error *err);
void glot_session_free(glot_session *s);

/* Who decides which tokens take the exact path (METHOD 8). */
typedef enum glot_exact_choice {
    GLOT_EXACT_AUTO,   /* the model: its test on the ids, or nobody where exact.mode is none */
    GLOT_EXACT_ALWAYS, /* the caller, who names an old language: every token, whatever exact.mode says */
    GLOT_EXACT_NEVER   /* the caller, who names a new one: no token */
} glot_exact_choice;
/* GLOT_EXACT_AUTO at creation. */
void glot_session_set_exact(glot_session *s, glot_exact_choice choice);

/* A text to score: a document, or one window of it. */
typedef struct glot_sequence {
    const int32_t *ids; /* [n] */
    int64_t n;
    float *nll; /* [n], with has_next [n + 1]: -log p of each token given those before it; nll[0] = 0 */
    bool has_next;      /* ids[n] is there too: its -log p is wanted, but it is not fed */
    bool is_continued;  /* a further window of the document of the sequence before (of the earlier call, where
                           it is the first): no context is shared, but what is known of the document's
                           language runs on */
} glot_sequence;

/* Scores every sequence, each a context of its own. They are packed into passes of at most n_batch tokens;
 * the bits do not depend on how. Ends the running sequence. */
glot_status glot_session_score(glot_session *s, const glot_sequence *sequences, size_t n, glot_error *err);

/* The same, in less time, for sequences of which only the end is asked, as the choices of an item:
 * nll[first[i] ..] of sequence i is written, first[i] >= 1; what stands before has no meaning. A beginning
 * that a sequence has in common with the one before it, or with the first of the pass before, is run once,
 * and makes no logits. Each begins a document. With language gates every sequence is run whole. */
glot_status glot_session_score_ends(glot_session *s, const glot_sequence *sequences, const int64_t *first,
                                    size_t n, glot_error *err);

/* How many ids two sequences have in common at their beginning. */
int64_t glot_common_beginning(const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b);

/* Appends tokens to the running sequence; log p of the next token after the last one is then in *log_probs
 * [vocab] (owned by s). */
glot_status glot_session_feed(glot_session *s, const int32_t *ids, int64_t n, const float **log_probs,
                              glot_error *err);

/* For beam search: a session whose running sequence may go on in n_branches ways at once (at most 256 and
 * n_batch), each with room for n_context tokens. */
glot_status glot_session_create_branched(glot_session **out, const glot_model *m, int64_t n_context,
                                         int64_t n_batch, int64_t n_branches, glot_error *err);
/* Branch i becomes what branch parents[i] was, with ids[i] behind it (both [n_branches]); the first time all
 * parents are 0, the sequence fed before. log p of each branch's next token is then in *log_probs
 * [n_branches, vocab] (owned by s). The bits are those of feeding each branch's tokens alone. Feeding on, and
 * going on after a failure, need a reset first. */
glot_status glot_session_feed_branches(glot_session *s, const int32_t *parents, const int32_t *ids,
                                       const float **log_probs, glot_error *err);

/* log p after every position of a sequence of its own: calls `on_row` in order. For `glot logits`. */
typedef glot_status glot_on_row(void *user, int64_t position, const float *log_probs, int64_t vocab,
                                glot_error *err);
glot_status glot_session_log_probs(glot_session *s, const int32_t *ids, int64_t n, glot_on_row *on_row,
                                   void *user, glot_error *err);
/* The workspace behind the session, for an observer of its layers (routing, similarity). */
glot_workspace *glot_session_workspace(glot_session *s);
void glot_session_reset(glot_session *s);           /* begins a new sequence */

typedef struct glot_sample_params {
    double temperature; /* 0: greedy (lowest id of equals) */
    double top_p;       /* 1: off */
    int64_t top_k;      /* 0: off */
    uint64_t seed;
} glot_sample_params;
glot_sample_params glot_sample_params_default(void); /* greedy */

/* Draws the next id from log_probs [n]. `scratch` as many indices. */
int32_t glot_sample(const float *log_probs, int64_t n, const glot_sample_params *params, glot_rng *rng,
                    int32_t *scratch);

#endif
