/* config_json.c
 *
 * config.json of Llama, Mistral, Qwen2 and Qwen3, in the spelling of transformers 4 (rope_theta,
 * rope_scaling, torch_dtype) and 5 (rope_parameters, dtype), and of expanded models. A key that asks these
 * architectures for something this program does not do is refused by name; keys that transformers itself
 * never reads for them are left alone.
 */
#include "model/config_arch.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const glot_arch archs[] = {
    {.model_type = "llama",
     .architecture = "LlamaForCausalLM",
     .has_bias_switch = true,
     .default_context = 2048},
    {.model_type = "mistral",
     .architecture = "MistralForCausalLM",
     .has_window = true,
     .default_context = 131072,
     .default_kv_heads = 8,
     .default_window = 4096},
    {.model_type = "qwen2",
     .architecture = "Qwen2ForCausalLM",
     .has_qkv_bias = true,
     .has_window = true,
     .has_window_switch = true,
     .default_context = 32768,
     .default_kv_heads = 32,
     .default_window = 4096},
    {.model_type = "qwen3",
     .architecture = "Qwen3ForCausalLM",
     .has_qk_norm = true,
     .has_bias_switch = true,
     .has_window = true,
     .has_window_switch = true,
     .default_context = 32768,
     .default_kv_heads = 32,
     .default_head_dim = 128,
     .default_window = 4096},
};
enum { N_ARCHS = sizeof archs / sizeof archs[0] };

const glot_arch *glot_arch_find(const char *model_type)
{
    for (size_t i = 0; i < N_ARCHS; i++)
        if (strcmp(archs[i].model_type, model_type) == 0)
            return &archs[i];
    return NULL;
}

const char *glot_arch_names(void)
{
    return "llama, mistral, qwen2, qwen3";
}

void glot_config_set_dense(glot_model_config *c)
{
    c->is_expanded = false;
    c->top_k = 1;
    c->n_groups = 0;
    for (int l = 0; l < GLOT_MAX_LAYERS; l++)
        c->n_experts[l] = 1;
}

/* ---- refusing ---- */

/* A value in one short line, for messages. */
static void value_text(char out[80], const json_t *value)
{
    char *text = glot_json_dump(value, 0);
    bool is_long = text && strlen(text) > 76;
    snprintf(out, 80, "%.76s%s", text ? text : "", is_long ? "..." : "");
    free(text);
}

static glot_status refuse(const json_t *value, const char *key, const char *expected, const char *path,
                          glot_error *err)
{
    char text[80];
    value_text(text, value);
    return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': key '%s' is %s, which is not supported, expected %s", path,
                     key, text, expected);
}

/* Keys that change what a model computes; only the value that changes nothing is accepted. */
typedef enum harmless { NEVER, IF_FALSE, IF_TRUE, IF_ZERO, IF_ONE } harmless;
static const struct refusal {
    const char *key;
    harmless when;
} refusals[] = {
    {"quantization_config", NEVER},
    {"compression_config", NEVER},
    {"num_local_experts", IF_ZERO},
    {"num_experts", IF_ZERO},
    {"n_routed_experts", IF_ZERO},
    {"n_shared_experts", IF_ZERO},
    {"num_experts_per_tok", IF_ZERO},
    {"moe_intermediate_size", IF_ZERO},
    {"mlp_bias", IF_FALSE},
    {"partial_rotary_factor", IF_ONE},
    {"rotary_pct", IF_ONE},
    {"rope_interleaved", IF_FALSE},
    {"no_rope_layers", NEVER},
    {"no_rope_layer_interval", IF_ZERO},
    {"alibi", IF_FALSE},
    {"attn_logit_softcapping", NEVER},
    {"final_logit_softcapping", NEVER},
    {"query_pre_attn_scalar", NEVER},
    {"attention_multiplier", IF_ONE},
    {"embedding_multiplier", IF_ONE},
    {"residual_multiplier", IF_ONE},
    {"logits_scaling", IF_ONE},
    {"logit_scale", IF_ONE},
    {"scale_emb", IF_ONE},
    {"scale_depth", NEVER},
    {"clip_qkv", NEVER},
    {"use_qk_norm", IF_FALSE},
    {"qk_layernorm", IF_FALSE},
    {"attention_chunk_size", NEVER},
    {"num_nextn_predict_layers", IF_ZERO},
    {"kv_lora_rank", NEVER},
    {"q_lora_rank", NEVER},
    {"is_encoder_decoder", IF_FALSE},
    {"add_cross_attention", IF_FALSE},
    {"use_bidirectional_attention", IF_FALSE},
    {"is_causal", IF_TRUE},
    {"text_config", NEVER},
    {"vision_config", NEVER},
    {"audio_config", NEVER},
};

static glot_status check_refusals(const json_t *root, const char *path, glot_error *err)
{
    static const char *const expected[] = {
        [NEVER] = "no such key", [IF_FALSE] = "false", [IF_TRUE] = "true", [IF_ZERO] = "0", [IF_ONE] = "1"};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const json_t *value = json_object_get(root, refusals[i].key);
        harmless when = refusals[i].when;
        bool is_fine = !value || json_is_null(value) || (when == IF_FALSE && json_is_false(value)) ||
                       (when == IF_TRUE && json_is_true(value)) ||
                       (when >= IF_ZERO && json_is_number(value) &&
                        json_number_value(value) == (when == IF_ONE ? 1.0 : 0.0));
        if (!is_fine)
            return refuse(value, refusals[i].key, expected[when], path, err);
    }
    const json_t *custom = json_object_get(json_object_get(root, "auto_map"), "AutoModelForCausalLM");
    return custom ? refuse(custom, "auto_map.AutoModelForCausalLM", "no code of its own", path, err)
                  : GLOT_OK;
}

static glot_status check_activation(const json_t *root, const char *path, glot_error *err)
{
    const char *name = "silu";
    GLOT_TRY(glot_json_get_string_opt(root, "hidden_act", &name, path, err));
    if (strcmp(name, "silu") != 0 && strcmp(name, "swish") != 0)
        return refuse(json_object_get(root, "hidden_act"), "hidden_act", "'silu'", path, err);
    return GLOT_OK;
}

/* ---- architecture ---- */

static glot_status check_architectures(const json_t *root, const char *expected, const char *path,
                                       glot_error *err)
{
    const json_t *list = json_object_get(root, "architectures");
    if (!list || json_is_null(list))
        return GLOT_OK;
    const char *name = json_string_value(json_array_get(list, 0));
    if (json_array_size(list) != 1 || !name || strcmp(name, expected) != 0) {
        char wanted[96];
        snprintf(wanted, sizeof wanted, "[\"%s\"]", expected);
        return refuse(list, "architectures", wanted, path, err);
    }
    return GLOT_OK;
}

/* The base architecture; *glot: the object of an expanded model, else NULL. */
static glot_status read_architecture(const glot_arch **arch, const json_t **glot, const json_t *root,
                                     const char *path, glot_error *err)
{
    const char *type, *base_type;
    GLOT_TRY(glot_json_get_string(root, "model_type", &type, path, err));
    *glot = NULL;
    base_type = type;
    if (strcmp(type, GLOT_MODEL_TYPE) == 0) {
        *glot = json_object_get(root, "glot");
        if (!json_is_object(*glot))
            return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                             "'%s': model_type is 'glot' but there is no object under 'glot'", path);
        GLOT_TRY(glot_json_get_string(*glot, "base_model_type", &base_type, path, err));
    } else if (json_object_get(root, "glot"))
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': it has a key 'glot' but model_type is '%s', expected 'glot'", path, type);
    *arch = glot_arch_find(base_type);
    if (!*arch)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': key '%s' is '%s', which is not supported, expected one of %s", path,
                         *glot ? "glot.base_model_type" : "model_type", base_type, glot_arch_names());
    return check_architectures(root, *glot ? GLOT_ARCHITECTURE : (*arch)->architecture, path, err);
}

/* ---- sizes ---- */

static bool is_null(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);
    return value && json_is_null(value);
}

static glot_status read_heads(glot_model_config *c, const glot_arch *arch, const json_t *root,
                              const char *path, glot_error *err)
{
    GLOT_TRY(glot_json_get_int(root, "num_attention_heads", &c->n_heads, path, err));
    if (c->n_heads < 1)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': key 'num_attention_heads' is %" PRId64 ", expected a positive number", path,
                         c->n_heads);
    bool as_heads = arch->default_kv_heads == 0 || is_null(root, "num_key_value_heads");
    c->n_kv_heads = as_heads ? c->n_heads : arch->default_kv_heads;
    GLOT_TRY(glot_json_get_int_opt(root, "num_key_value_heads", &c->n_kv_heads, path, err));
    c->head_dim = is_null(root, "head_dim") ? 0 : arch->default_head_dim;
    GLOT_TRY(glot_json_get_int_opt(root, "head_dim", &c->head_dim, path, err));
    if (c->head_dim != 0)
        return GLOT_OK;
    if (c->hidden_size % c->n_heads != 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': hidden_size %" PRId64 " is no multiple of num_attention_heads %" PRId64
                         " and there is no head_dim",
                         path, c->hidden_size, c->n_heads);
    c->head_dim = c->hidden_size / c->n_heads;
    return GLOT_OK;
}

static glot_status read_bias(glot_model_config *c, const glot_arch *arch, const json_t *root,
                             const char *path, glot_error *err)
{
    bool has_bias = false;
    c->has_qkv_bias = arch->has_qkv_bias;
    c->has_qk_norm = arch->has_qk_norm;
    if (arch->has_qkv_bias) /* transformers does not read attention_bias here */
        return GLOT_OK;
    GLOT_TRY(glot_json_get_bool_opt(root, "attention_bias", &has_bias, path, err));
    return has_bias ? refuse(json_true(), "attention_bias", "false", path, err) : GLOT_OK;
}

/* Whether any layer attends within the window: all of Mistral's, those of layer_types, or Qwen's from
 * max_window_layers on. */
static glot_status is_windowed(bool *out, const glot_model_config *c, const glot_arch *arch,
                               const json_t *root, const char *path, glot_error *err)
{
    bool is_on = arch->has_window && !arch->has_window_switch;
    int64_t first = 28; /* transformers' default */
    size_t i;
    json_t *types = json_object_get(root, "layer_types"), *type;
    if (arch->has_window_switch && !json_is_array(types)) {
        GLOT_TRY(glot_json_get_bool_opt(root, "use_sliding_window", &is_on, path, err));
        GLOT_TRY(glot_json_get_int_opt(root, "max_window_layers", &first, path, err));
        is_on = is_on && first < c->n_layers;
    }
    json_array_foreach(types, i, type)
    {
        const char *name = json_is_string(type) ? json_string_value(type) : "";
        is_on |= strcmp(name, "sliding_attention") == 0;
        if (strcmp(name, "sliding_attention") != 0 && strcmp(name, "full_attention") != 0)
            return refuse(type, "layer_types", "'full_attention' or 'sliding_attention'", path, err);
    }
    *out = is_on;
    return GLOT_OK;
}

/* Within its window a sliding attention sees everything, so a window only shortens the context. */
static glot_status read_window(glot_model_config *c, const glot_arch *arch, const json_t *root,
                               const char *path, glot_error *err)
{
    bool is_on = false;
    int64_t window = is_null(root, "sliding_window") ? INT64_MAX : arch->default_window;
    GLOT_TRY(is_windowed(&is_on, c, arch, root, path, err));
    GLOT_TRY(glot_json_get_int_opt(root, "sliding_window", &window, path, err));
    if (is_on && window < 1)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': key 'sliding_window' is %" PRId64 ", expected a positive number", path,
                         window);
    if (is_on && window < c->context_length)
        c->context_length = window;
    return GLOT_OK;
}

static glot_status read_sizes(glot_model_config *c, const glot_arch *arch, const json_t *root,
                              const char *path, glot_error *err)
{
    GLOT_TRY(glot_json_get_int(root, "hidden_size", &c->hidden_size, path, err));
    GLOT_TRY(glot_json_get_int(root, "intermediate_size", &c->intermediate_size, path, err));
    GLOT_TRY(glot_json_get_int(root, "num_hidden_layers", &c->n_layers, path, err));
    GLOT_TRY(glot_json_get_int(root, "vocab_size", &c->vocab_size, path, err));
    GLOT_TRY(read_heads(c, arch, root, path, err));
    c->context_length = arch->default_context;
    GLOT_TRY(glot_json_get_int_opt(root, "max_position_embeddings", &c->context_length, path, err));
    c->rms_norm_eps = 1e-6;
    GLOT_TRY(glot_json_get_real_opt(root, "rms_norm_eps", &c->rms_norm_eps, path, err));
    c->has_tied_embeddings = false;
    return glot_json_get_bool_opt(root, "tie_word_embeddings", &c->has_tied_embeddings, path, err);
}

/* ---- rotary embedding ---- */

static glot_status check_rope_keys(const json_t *rope, const char *place, const char *path, glot_error *err)
{
    static const char *const known[] = {"rope_type",
                                        "type",
                                        "rope_theta",
                                        "factor",
                                        "low_freq_factor",
                                        "high_freq_factor",
                                        "original_max_position_embeddings"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)rope, key, value)
    {
        bool is_known = json_is_null(value) || (strcmp(key, "partial_rotary_factor") == 0 &&
                                                json_is_number(value) && json_number_value(value) == 1.0);
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            is_known |= strcmp(key, known[i]) == 0;
        if (is_known)
            continue;
        char name[160];
        snprintf(name, sizeof name, "%s.%s", place, key);
        return refuse(value, name, "no such key", path, err);
    }
    return GLOT_OK;
}

static glot_status read_rope_type(glot_rope_config *r, const json_t *rope, const char *place,
                                  const char *path, glot_error *err)
{
    const char *name = "default", *key = json_object_get(rope, "rope_type") ? "rope_type" : "type";
    GLOT_TRY(glot_json_get_string_opt(rope, key, &name, path, err));
    if (strcmp(name, "default") == 0)
        r->type = GLOT_ROPE_DEFAULT;
    else if (strcmp(name, "linear") == 0)
        r->type = GLOT_ROPE_LINEAR;
    else if (strcmp(name, "llama3") == 0)
        r->type = GLOT_ROPE_LLAMA3;
    else {
        char where[64];
        snprintf(where, sizeof where, "%s.%s", place, key);
        return refuse(json_object_get(rope, key), where, "one of default, linear, llama3", path, err);
    }
    return GLOT_OK;
}

static glot_status read_llama3(glot_model_config *c, const json_t *root, const json_t *rope, const char *path,
                               glot_error *err)
{
    glot_rope_config *r = &c->rope;
    GLOT_TRY(glot_json_get_real(rope, "low_freq_factor", &r->low_freq_factor, path, err));
    GLOT_TRY(glot_json_get_real(rope, "high_freq_factor", &r->high_freq_factor, path, err));
    r->original_max_positions = c->context_length;
    GLOT_TRY(glot_json_get_int_opt(rope, "original_max_position_embeddings", &r->original_max_positions, path,
                                   err));
    return glot_json_get_int_opt(root, "original_max_position_embeddings", &r->original_max_positions, path,
                                 err);
}

/* transformers 4: rope_theta beside rope_scaling; 5: both in rope_parameters, and rope_scaling, where both
 * are there, goes first. */
static glot_status read_rope(glot_model_config *c, const json_t *root, const char *path, glot_error *err)
{
    const char *place = "rope_scaling";
    const json_t *rope = json_object_get(root, place);
    if (!rope || json_is_null(rope) || (json_is_object(rope) && json_object_size(rope) == 0)) {
        place = "rope_parameters";
        rope = json_object_get(root, place);
    }
    if (rope && !json_is_null(rope) && !json_is_object(rope))
        return refuse(rope, place, "an object", path, err);
    c->rope.theta = 10000.0;
    GLOT_TRY(glot_json_get_real_opt(root, "rope_theta", &c->rope.theta, path, err));
    if (!json_is_object(rope))
        return GLOT_OK;
    GLOT_TRY(check_rope_keys(rope, place, path, err));
    GLOT_TRY(glot_json_get_real_opt(rope, "rope_theta", &c->rope.theta, path, err));
    GLOT_TRY(read_rope_type(&c->rope, rope, place, path, err));
    if (c->rope.type != GLOT_ROPE_DEFAULT)
        GLOT_TRY(glot_json_get_real(rope, "factor", &c->rope.factor, path, err));
    return c->rope.type == GLOT_ROPE_LLAMA3 ? read_llama3(c, root, rope, path, err) : GLOT_OK;
}

/* ---- special tokens ---- */

/* An id, or the first of a list of them; -1 where there is none. */
static glot_status read_token_id(int32_t *out, const json_t *root, const char *key, const char *path,
                                 glot_error *err)
{
    const json_t *value = json_object_get(root, key);
    if (json_is_array(value))
        value = json_array_get(value, 0);
    *out = -1;
    if (!value || json_is_null(value))
        return GLOT_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT32_MAX) {
        char text[80];
        value_text(text, value);
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': key '%s' is %s, expected a token's id", path, key, text);
    }
    *out = (int32_t)json_integer_value(value);
    return GLOT_OK;
}

/* ---- the whole ---- */

static glot_status read_config(glot_model_config *c, const json_t *root, const char *path, glot_error *err)
{
    const glot_arch *arch = NULL;
    const json_t *glot = NULL;
    GLOT_TRY(read_architecture(&arch, &glot, root, path, err));
    GLOT_TRY(check_refusals(root, path, err));
    GLOT_TRY(check_activation(root, path, err));
    snprintf(c->model_type, sizeof c->model_type, "%s", arch->model_type);
    snprintf(c->architecture, sizeof c->architecture, "%s", arch->architecture);
    GLOT_TRY(read_sizes(c, arch, root, path, err));
    GLOT_TRY(read_bias(c, arch, root, path, err));
    GLOT_TRY(read_rope(c, root, path, err));
    GLOT_TRY(read_window(c, arch, root, path, err));
    GLOT_TRY(read_token_id(&c->bos_id, root, "bos_token_id", path, err));
    GLOT_TRY(read_token_id(&c->eos_id, root, "eos_token_id", path, err));
    if (c->n_layers < 1 || c->n_layers > GLOT_MAX_LAYERS)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': key 'num_hidden_layers' is %" PRId64 ", expected 1 to %d", path, c->n_layers,
                         GLOT_MAX_LAYERS);
    glot_config_set_dense(c);
    if (glot)
        GLOT_TRY(glot_config_read_expansion(c, glot, path, err));
    return glot_config_check(c, path, err);
}

glot_status glot_config_from_json(glot_model_config *c, const json_t *root, const char *path, glot_error *err)
{
    memset(c, 0, sizeof *c);
    if (!json_is_object(root))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': it is not a JSON object", path);
    glot_status status = read_config(c, root, path, err);
    if (status != GLOT_OK)
        glot_config_release(c);
    return status;
}
