/* eval.h: what a model is worth on a text. Bits per byte as INTERFACES defines it; routing shares as a
 * by-product. */
#ifndef GLOT_EVAL_EVAL_H
#define GLOT_EVAL_EVAL_H

#include "base/json.h"
#include "eval/bootstrap.h"
#include "infer/session.h"
#include "text/token_store.h"

typedef struct glot_text_score {
    double nll_nats;     /* sum of -log p over the scored tokens */
    uint64_t tokens, bytes, documents;
    double bits_per_byte;
    glot_interval interval; /* of bits per byte, 95 %, over documents */
} glot_text_score;

/* {"bits_per_byte", "bits_per_byte_low", "bits_per_byte_high", "nll_nats", "tokens", "bytes", "documents"};
 * low and high are left out where there is no interval. New reference. */
json_t *glot_text_score_json(const glot_text_score *s);

typedef struct glot_score_options {
    int64_t length;      /* text tokens in a window; 0: min(1024, context - 1) */
    uint64_t max_tokens; /* whole documents until reached; 0: all */
    glot_exact_choice exact;
    bool is_token_by_token; /* feed each token alone, as a text is generated; documents must fit one window */
    const glot_cancel *cancel;
} glot_score_options;

/* Bytes of memory that scoring takes beside the model. */
glot_status glot_score_measure(size_t *bytes, const glot_model *m, const glot_score_options *options,
                               glot_error *err);

/* Scoring documents one after the other: create, add each, finish. The score does not depend on how windows
 * share a pass. */
typedef struct glot_scorer glot_scorer;
glot_status glot_scorer_create(glot_scorer **out, const glot_model *m, const glot_score_options *options,
                               glot_error *err);
void glot_scorer_free(glot_scorer *s);
/* The document's ids are copied. GLOT_CANCELLED where options.cancel asks for it. */
glot_status glot_scorer_add(glot_scorer *s, const glot_document *document, glot_error *err);
/* Tokens added so far; whoever feeds documents compares it with max_tokens. */
uint64_t glot_scorer_tokens(const glot_scorer *s);
/* Those of them that the model has seen: documents wait until they fill a pass. */
uint64_t glot_scorer_tokens_done(const glot_scorer *s);
glot_status glot_scorer_finish(glot_scorer *s, glot_text_score *out, glot_error *err);

/* All of it for the documents of one language of a token store, max_tokens kept. */
glot_status glot_score_store(glot_text_score *out, const glot_model *m, const glot_token_store *store,
                             int32_t language, const glot_score_options *options, glot_error *err);

/* Feeds the documents of a language, each alone and its first `most` tokens, until max_tokens are reached;
 * *n_tokens: those fed. Who wants to know what the layers do observes the session's workspace. */
glot_status glot_feed_documents(glot_session *session, int64_t most, const glot_token_store *store,
                                int32_t language, uint64_t max_tokens, uint64_t *n_tokens, glot_error *err);

/* Share of tokens whose first or second choice is each expert: shares [n_layers][n_experts] (rows sum to 1),
 * over at most max_tokens tokens of the language. probs, likewise: mean router probability of each expert.
 * Both are the caller's arrays of n_layers * GLOT_MAX_EXPERTS doubles. */
glot_status glot_routing_shares(double *shares, double *probs, const glot_model *m,
                                const glot_token_store *store, int32_t language, uint64_t max_tokens,
                                glot_exact_choice exact, glot_error *err);

/* How a language fares on the exact path (METHOD 8). Without a test in the model no document is on it. */
typedef struct glot_exact_share {
    uint64_t documents, documents_that_stay;
    uint64_t tokens, tokens_on_path;
    double median,
        p90; /* tokens before a document that leaves does so: median and 90th percentile; NaN: none leaves */
} glot_exact_share;

/* The documents that glot_score_store scores. Reads ids only: no model runs. */
glot_status glot_exact_share_measure(glot_exact_share *out, const glot_model *m,
                                     const glot_token_store *store, int32_t language, uint64_t max_tokens,
                                     glot_error *err);

/* Share of right decisions of a model's language gates (METHOD 6), over its gated layers; NaN where there was
 * none to take. */
enum { GLOT_N_GATE_POSITIONS = 4 };
extern const int64_t glot_gate_positions[GLOT_N_GATE_POSITIONS];
typedef struct glot_gate_accuracy {
    double after[GLOT_N_GATE_POSITIONS]; /* the decision at a document's token number glot_gate_positions[i],
                                            itself seen */
    double all;                          /* over all tokens */
} glot_gate_accuracy;
/* Over at most max_tokens of the language, whose group in the model is `group`: documents alone, their first
 * 512 tokens. */
glot_status glot_gate_accuracy_measure(glot_gate_accuracy *out, const glot_model *m,
                                       const glot_token_store *store, int32_t language, int32_t group,
                                       uint64_t max_tokens, glot_error *err);

#endif
