/* config.h
 *
 * What a decoder model is: the numbers of config.json (or of GGUF metadata), and what an expansion adds to
 * them. One description serves Llama, Mistral, Qwen2 and Qwen3: they differ by the flags below. Whatever a
 * configuration asks for beyond that is refused by name.
 */
#ifndef GLOT_MODEL_CONFIG_H
#define GLOT_MODEL_CONFIG_H

#include "base/json.h"
#include "format/gguf.h"

enum { GLOT_MAX_WIDTH = 1 << 20 }; /* of hidden state, FFN, heads together */
enum { GLOT_MAX_LAYERS = 512, GLOT_MAX_EXPERTS = 256, GLOT_MAX_GROUPS = 64, GLOT_MAX_GROUP_LANGUAGES = 64 };

typedef enum glot_rope_type { GLOT_ROPE_DEFAULT, GLOT_ROPE_LINEAR, GLOT_ROPE_LLAMA3 } glot_rope_type;

typedef struct glot_rope_config {
    glot_rope_type type;
    double theta;  /* base of the frequencies */
    double factor; /* linear, llama3 */
    double low_freq_factor, high_freq_factor;
    int64_t original_max_positions;
} glot_rope_config;

/* The language gate (METHOD 6) and the exact path (METHOD 8) as an expanded model carries them. */
typedef struct glot_gate_config {
    int n_layers;
    int32_t layers[GLOT_MAX_LAYERS];
    bool is_sequence_sum;
} glot_gate_config;
typedef struct glot_exact_config {
    bool is_on;       /* mode: tokens */
    double threshold; /* A */
} glot_exact_config;

typedef struct glot_model_config {
    char model_type[32];   /* "llama", "mistral", "qwen2", "qwen3": the base architecture, expanded or not */
    char architecture[64]; /* "LlamaForCausalLM", ... */
    int64_t hidden_size, intermediate_size, n_layers, n_heads, n_kv_heads, head_dim, vocab_size;
    int64_t context_length; /* max_position_embeddings, or the sliding window where that is smaller: within it
                               both are the same */
    double rms_norm_eps;
    glot_rope_config rope;
    bool has_qkv_bias, has_qk_norm, has_tied_embeddings;
    int32_t bos_id, eos_id; /* -1: none. INTERFACES, "BOS and EOS" */

    /* The expansion; for a dense model every layer has 1 expert, top_k is 1 and there are no groups. */
    bool is_expanded;
    int top_k;
    int32_t n_experts[GLOT_MAX_LAYERS];
    uint8_t expert_group[GLOT_MAX_LAYERS]
                        [GLOT_MAX_EXPERTS]; /* group that brought the expert; 0 the original */
    int n_groups;                           /* language groups, the old one included */
    char *group_languages[GLOT_MAX_GROUPS]; /* comma separated names, owned; "" not yet filled */
    glot_gate_config gate;
    glot_exact_config exact;
    char base_sha256[65]; /* "" unknown */
    char added_sha256[GLOT_MAX_GROUPS][65]; /* of the experts of each later group ([0] unused); "" unknown */
} glot_model_config;

/* From a parsed config.json (plain or expanded); `path` for messages. Checks every number against its
 * neighbours and every static limit. */
glot_status glot_config_from_json(glot_model_config *c, const json_t *root, const char *path,
                                  glot_error *err);
/* From GGUF metadata (general.architecture llama, qwen2, qwen3; mistral files say llama). */
glot_status glot_config_from_gguf(glot_model_config *c, const glot_gguf *g, glot_error *err);
void glot_config_release(glot_model_config *c);
/* What stands in front of a text: BOS, EOS where the model has none, -1 where it has neither. */
int32_t glot_config_start_id(const glot_model_config *c);
bool glot_config_is_gated(const glot_model_config *c, int64_t layer);
/* A deep copy; `to` is overwritten. */
glot_status glot_config_copy(glot_model_config *to, const glot_model_config *from, glot_error *err);
/* One language group more; `languages` is copied. */
glot_status glot_config_add_group(glot_model_config *c, const char *languages, glot_error *err);
/* Whether the numbers are possible together: sizes positive and within the static limits, heads that divide,
 * a vocabulary that ids can name, groups, gates and experts that fit each other. `path` for messages. Both
 * readers end with it. */
glot_status glot_config_check(const glot_model_config *c, const char *path, glot_error *err);

/* config.json of a model with this configuration: `base` (the base's config.json, or NULL for a GGUF base:
 * then it is made from c) with the keys of INTERFACES "The expanded model", or as the plain base architecture
 * where no layer has more than one expert. *out: new reference. */
glot_status glot_config_to_json(json_t **out, const glot_model_config *c, const json_t *base,
                                glot_error *err);

/* cos and sin tables, host memory [n_positions, head_dim / 2] each, in float32 steps as transformers computes
 * them (inverse frequency, then angle, each rounded to float32). The caller frees both with glot_free. */
glot_status glot_rope_tables(float **cos_table, float **sin_table, const glot_model_config *c,
                             int64_t n_positions, glot_error *err);

#endif
