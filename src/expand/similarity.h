/* similarity.h
 *
 * How alike languages look inside a model, layer by layer (METHOD 4). For every layer and language the mean
 * of unit vectors of the FFN input (HSA: hidden states after attention), in double; the similarity of two
 * languages is the dot product of their means, which is the mean cosine over all pairs of their tokens. One
 * forward pass per language, whatever the number of pairs.
 *
 *     glot_hsa_create(&hsa, model, &options, err);
 *     for each language: for each document: glot_hsa_add(hsa, &document, err);
 *                        glot_hsa_finish(hsa, means[language], &n_tokens, err);
 *     glot_similarity_measure(&s, means, ...);
 *
 * Each document is run alone, in windows as for scoring; what a window begins with is fed and not counted.
 * Vectors are added in token order, so that the bits depend neither on threads nor on how windows share a
 * pass. An expanded model is run as it is, exact path aside.
 */
#ifndef GLOT_EXPAND_SIMILARITY_H
#define GLOT_EXPAND_SIMILARITY_H

#include "base/cancel.h"
#include "model/model.h"
#include "text/token_store.h"

typedef struct glot_hsa_options {
    int64_t length;            /* text tokens in a window; 0: as scoring */
    const glot_cancel *cancel; /* NULL: never */
} glot_hsa_options;

typedef struct glot_hsa glot_hsa;
glot_status glot_hsa_create(glot_hsa **out, const glot_model *m, const glot_hsa_options *options,
                            glot_error *err);
void glot_hsa_free(glot_hsa *h); /* NULL is allowed */
/* The document's ids are copied. GLOT_CANCELLED where options.cancel asks for it. */
glot_status glot_hsa_add(glot_hsa *h, const glot_document *document, glot_error *err);
/* means [n_layers, hidden_size]: mean unit vectors of what was added since the last finish. No token at all
 * is GLOT_BAD_VALUE, a state that is no number GLOT_NUMERIC. */
glot_status glot_hsa_finish(glot_hsa *h, double *means, uint64_t *n_tokens, glot_error *err);

/* The similarity of a set of languages. Zero it to start. */
typedef struct glot_similarity {
    size_t n_languages;
    int64_t n_layers;
    double *pairs;              /* [n_layers, n_languages, n_languages], symmetric */
    double s[GLOT_MAX_LAYERS];  /* S_l */
} glot_similarity;

/* GLOT_BAD_ARGUMENT without an old or without a new language: to be asked before the first pass. */
glot_status glot_similarity_check_groups(const bool *is_old, size_t n_languages, glot_error *err);
/* From the means [n_layers, hidden] of each language. S_l is the mean of the mean over new-new pairs and the
 * mean over new-old pairs; with one new language the latter alone. Groups as check_groups has them. */
glot_status glot_similarity_measure(glot_similarity *out, const double *const *means, const bool *is_old,
                                    size_t n_languages, int64_t n_layers, int64_t hidden, glot_error *err);
void glot_similarity_release(glot_similarity *s);
double glot_similarity_of(const glot_similarity *s, int64_t layer, size_t a, size_t b);

/* INTERFACES `glot similarity`: {"model", "languages", "old", "experts", "layers": [{"S", "pairs": [{"a",
 * "b", "sim"}]}]}; of a pair of a new and an old language the new one comes first. New reference. */
glot_status glot_similarity_to_json(json_t **out, const glot_similarity *s, const glot_model *m,
                                    const char *const *names, const bool *is_old, glot_error *err);

/* What an allocation needs of it. */
typedef struct glot_layer_similarity {
    char model_sha256[65];              /* "" not known: a plain list */
    int64_t n_layers;
    double s[GLOT_MAX_LAYERS];          /* finite; an allocation wants them positive */
    int32_t n_experts[GLOT_MAX_LAYERS]; /* when it was measured; 1 each for a plain list */
} glot_layer_similarity;

/* From what to_json made, or from a plain list of S. Whatever is missing or no number is refused with its
 * place; `path` for messages. */
glot_status glot_layer_similarity_from_json(glot_layer_similarity *out, const json_t *root, const char *path,
                                            glot_error *err);
/* GLOT_BAD_VALUE where it was measured on another model, or has another number of layers or experts; a plain
 * list takes the model's experts over. */
glot_status glot_layer_similarity_check(glot_layer_similarity *s, const glot_model *m, const char *path,
                                        glot_error *err);

#endif
