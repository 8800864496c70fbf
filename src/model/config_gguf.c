/* config_gguf.c
 *
 * The configuration of a GGUF file: metadata keys "llama.*", "qwen2.*" or "qwen3.*" and the shapes of its
 * tensors. Mistral files call themselves llama. A key of the architecture that is not in the list below is
 * refused by name: nothing that changes the computation is ignored.
 *
 * Llama 3.1's rotary scaling has no keys: the converter stores one divisor per frequency in the tensor
 * rope_freqs.weight. The settings are found again by computing the divisors of the published models (low 1,
 * high 4, original context 8,192, factor = the largest divisor) and comparing.
 */
#include "model/config_arch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const known_keys[] = {"block_count",
                                         "context_length",
                                         "embedding_length",
                                         "feed_forward_length",
                                         "vocab_size",
                                         "attention.head_count",
                                         "attention.head_count_kv",
                                         "attention.key_length",
                                         "attention.value_length",
                                         "attention.layer_norm_rms_epsilon",
                                         "attention.sliding_window",
                                         "attention.causal",
                                         "rope.dimension_count",
                                         "rope.freq_base",
                                         "rope.scale_linear",
                                         "rope.scaling.type",
                                         "rope.scaling.factor",
                                         "rope.scaling.original_context_length",
                                         "rope.scaling.finetuned",
                                         "rope.scaling.attn_factor",
                                         "expert_count",
                                         "expert_used_count",
                                         "tensor_data_layout"};

/* "llama.block_count" for "block_count". */
typedef struct key_name {
    char text[128];
} key_name;

static key_name key_of(const glot_model_config *c, const char *key)
{
    key_name name;
    snprintf(name.text, sizeof name.text, "%s.%s", c->model_type, key);
    return name;
}

static bool has_key(const glot_gguf *g, const glot_model_config *c, const char *key)
{
    return glot_gguf_has(g, key_of(c, key).text);
}

static glot_status get_int(const glot_gguf *g, const glot_model_config *c, const char *key, int64_t *out,
                           glot_error *err)
{
    return glot_gguf_int(g, key_of(c, key).text, out, err);
}

static glot_status get_int_opt(const glot_gguf *g, const glot_model_config *c, const char *key, int64_t *out,
                               glot_error *err)
{
    return has_key(g, c, key) ? get_int(g, c, key, out, err) : GLOT_OK;
}

/* The file holds float32 where config.json has a decimal: 1e-05 comes back from 9.99999975e-06. */
static double shortest_decimal(double value)
{
    float narrow = (float)value;
    char text[32];
    if ((double)narrow != value)
        return value;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtof(text, NULL) == narrow)
            return strtod(text, NULL);
    }
    return value;
}

static glot_status get_real(const glot_gguf *g, const glot_model_config *c, const char *key, double *out,
                            glot_error *err)
{
    GLOT_TRY(glot_gguf_real(g, key_of(c, key).text, out, err));
    *out = shortest_decimal(*out);
    return GLOT_OK;
}

static glot_status get_real_opt(const glot_gguf *g, const glot_model_config *c, const char *key, double *out,
                                glot_error *err)
{
    return has_key(g, c, key) ? get_real(g, c, key, out, err) : GLOT_OK;
}

/* ---- refusing ---- */

static glot_status check_keys(const glot_gguf *g, const glot_model_config *c, glot_error *err)
{
    size_t prefix = strlen(c->model_type);
    for (size_t i = 0; i < glot_gguf_n_keys(g); i++) {
        const char *key = glot_gguf_key(g, i);
        if (strncmp(key, c->model_type, prefix) != 0 || key[prefix] != '.')
            continue;
        bool is_known = false;
        for (size_t k = 0; k < sizeof known_keys / sizeof known_keys[0]; k++)
            is_known |= strcmp(key + prefix + 1, known_keys[k]) == 0;
        if (!is_known)
            return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': metadata key '%s' is not supported",
                             glot_gguf_path(g), key);
    }
    return GLOT_OK;
}

static glot_status check_int(const glot_gguf *g, const glot_model_config *c, const char *key,
                             int64_t expected, glot_error *err)
{
    int64_t value = expected;
    GLOT_TRY(get_int_opt(g, c, key, &value, err));
    if (value != expected)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': metadata key '%s' is %" PRId64 ", which is not supported, expected %" PRId64,
                         glot_gguf_path(g), key_of(c, key).text, value, expected);
    return GLOT_OK;
}

static glot_status check_fixed(const glot_gguf *g, const glot_model_config *c, glot_error *err)
{
    bool is_causal = true;
    double attn_factor = 1.0;
    GLOT_TRY(check_int(g, c, "expert_count", 0, err));
    GLOT_TRY(check_int(g, c, "expert_used_count", 0, err));
    GLOT_TRY(check_int(g, c, "attention.value_length", c->head_dim, err));
    GLOT_TRY(check_int(g, c, "rope.dimension_count", c->head_dim, err));
    if (has_key(g, c, "attention.causal"))
        GLOT_TRY(glot_gguf_bool(g, key_of(c, "attention.causal").text, &is_causal, err));
    GLOT_TRY(get_real_opt(g, c, "rope.scaling.attn_factor", &attn_factor, err));
    if (!is_causal || attn_factor != 1.0)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': metadata key '%s' is %s, which is not supported",
                         glot_gguf_path(g),
                         key_of(c, is_causal ? "rope.scaling.attn_factor" : "attention.causal").text,
                         is_causal ? "not 1" : "false");
    return GLOT_OK;
}

/* ---- rotary embedding ---- */

/* The divisor of frequency i that llama.cpp's converter writes for `r`. */
static double llama3_divisor(const glot_model_config *c, const glot_rope_config *r, int64_t i)
{
    double wavelength = 6.283185307179586 * pow(r->theta, (double)(2 * i) / (double)c->head_dim);
    double original = (double)r->original_max_positions;
    if (wavelength < original / r->high_freq_factor)
        return 1.0;
    if (wavelength > original / r->low_freq_factor)
        return r->factor;
    double smooth = (original / wavelength - r->low_freq_factor) / (r->high_freq_factor - r->low_freq_factor);
    return 1.0 / ((1.0 - smooth) / r->factor + smooth);
}

static glot_status match_llama3(glot_model_config *c, const glot_gguf *g, const glot_stored_tensor *divisors,
                                glot_error *err)
{
    const glot_tensor *t = &divisors->tensor;
    int64_t half = c->head_dim / 2;
    if (t->dtype != GLOT_F32 || t->n_dims != 1 || t->shape[0] != half)
        return GLOT_FAIL(err, GLOT_SHAPE_MISMATCH,
                         "'%s': tensor 'rope_freqs.weight' is not F32 [%" PRId64 "]", glot_gguf_path(g),
                         half);
    const float *values = t->addr;
    glot_rope_config r = {.type = GLOT_ROPE_LLAMA3,
                          .theta = c->rope.theta,
                          .factor = (double)values[half - 1],
                          .low_freq_factor = 1.0,
                          .high_freq_factor = 4.0,
                          .original_max_positions = 8192};
    GLOT_TRY(get_int_opt(g, c, "rope.scaling.original_context_length", &r.original_max_positions, err));
    bool matches = isfinite(r.factor) && r.factor >= 1.0 && r.original_max_positions > 0;
    for (int64_t i = 0; i < half && matches; i++)
        matches = fabs(llama3_divisor(c, &r, i) - (double)values[i]) <= 1e-4 * (double)values[i];
    if (!matches)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': tensor 'rope_freqs.weight' holds another scaling of the rotary embedding "
                         "than Llama 3.1's (low 1, high 4, original context %" PRId64
                         "), which is not supported",
                         glot_gguf_path(g), r.original_max_positions);
    c->rope = r;
    return GLOT_OK;
}

static glot_status read_rope(glot_model_config *c, const glot_gguf *g, glot_error *err)
{
    const char *type = "";
    double factor = 0.0;
    c->rope.theta = 10000.0;
    GLOT_TRY(get_real_opt(g, c, "rope.freq_base", &c->rope.theta, err));
    if (has_key(g, c, "rope.scaling.type"))
        GLOT_TRY(glot_gguf_string(g, key_of(c, "rope.scaling.type").text, &type, err));
    GLOT_TRY(get_real_opt(g, c, "rope.scale_linear", &factor, err));
    GLOT_TRY(get_real_opt(g, c, "rope.scaling.factor", &factor, err));
    const glot_stored_tensor *divisors = glot_gguf_find(g, "rope_freqs.weight");
    bool is_none = strcmp(type, "none") == 0 || factor == 0.0 || factor == 1.0;
    if (type[0] && strcmp(type, "none") != 0 && strcmp(type, "linear") != 0)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': metadata key '%s' is '%s', which is not supported, expected 'none' or "
                         "'linear'",
                         glot_gguf_path(g), key_of(c, "rope.scaling.type").text, type);
    if (divisors && !is_none)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': it has both a linear scaling of the rotary embedding and the tensor "
                         "'rope_freqs.weight', which is not supported",
                         glot_gguf_path(g));
    if (divisors)
        return match_llama3(c, g, divisors, err);
    c->rope.type = is_none ? GLOT_ROPE_DEFAULT : GLOT_ROPE_LINEAR;
    c->rope.factor = is_none ? 0.0 : factor;
    return GLOT_OK;
}

/* ---- sizes and ids ---- */

static glot_status read_sizes(glot_model_config *c, const glot_gguf *g, glot_error *err)
{
    GLOT_TRY(get_int(g, c, "embedding_length", &c->hidden_size, err));
    GLOT_TRY(get_int(g, c, "feed_forward_length", &c->intermediate_size, err));
    GLOT_TRY(get_int(g, c, "block_count", &c->n_layers, err));
    GLOT_TRY(get_int(g, c, "context_length", &c->context_length, err));
    GLOT_TRY(get_int(g, c, "attention.head_count", &c->n_heads, err));
    c->n_kv_heads = c->n_heads;
    GLOT_TRY(get_int_opt(g, c, "attention.head_count_kv", &c->n_kv_heads, err));
    c->head_dim = c->n_heads > 0 ? c->hidden_size / c->n_heads : 0;
    GLOT_TRY(get_int_opt(g, c, "attention.key_length", &c->head_dim, err));
    GLOT_TRY(get_real(g, c, "attention.layer_norm_rms_epsilon", &c->rms_norm_eps, err));
    int64_t window = 0;
    GLOT_TRY(get_int_opt(g, c, "attention.sliding_window", &window, err));
    if (window > 0 && window < c->context_length)
        c->context_length = window;
    return GLOT_OK;
}

static glot_status read_vocabulary(glot_model_config *c, const glot_gguf *g, glot_error *err)
{
    const glot_stored_tensor *embedding = glot_gguf_find(g, "token_embd.weight");
    if (!embedding)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor 'token_embd.weight' is missing",
                         glot_gguf_path(g));
    c->vocab_size = glot_tensor_rows(&embedding->tensor);
    c->has_tied_embeddings = !glot_gguf_find(g, "output.weight");
    return check_int(g, c, "vocab_size", c->vocab_size, err);
}

static glot_status read_id(int32_t *out, const glot_gguf *g, const char *key, glot_error *err)
{
    int64_t id = -1;
    if (glot_gguf_has(g, key))
        GLOT_TRY(glot_gguf_int(g, key, &id, err));
    if (id < -1 || id > INT32_MAX)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': metadata key '%s' is %" PRId64 ", expected a token's id",
                         glot_gguf_path(g), key, id);
    *out = (int32_t)id;
    return GLOT_OK;
}

static glot_status read_architecture(glot_model_config *c, const glot_gguf *g, glot_error *err)
{
    const char *name;
    GLOT_TRY(glot_gguf_string(g, "general.architecture", &name, err));
    const glot_arch *arch = strcmp(name, "mistral") == 0 ? NULL : glot_arch_find(name);
    if (!arch)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': metadata key 'general.architecture' is '%s', which is not supported, "
                         "expected llama, qwen2 or qwen3",
                         glot_gguf_path(g), name);
    snprintf(c->model_type, sizeof c->model_type, "%s", arch->model_type);
    snprintf(c->architecture, sizeof c->architecture, "%s", arch->architecture);
    c->has_qkv_bias = arch->has_qkv_bias;
    c->has_qk_norm = arch->has_qk_norm;
    return GLOT_OK;
}

glot_status glot_config_from_gguf(glot_model_config *c, const glot_gguf *g, glot_error *err)
{
    memset(c, 0, sizeof *c);
    GLOT_TRY(read_architecture(c, g, err));
    GLOT_TRY(check_keys(g, c, err));
    GLOT_TRY(read_sizes(c, g, err));
    GLOT_TRY(read_vocabulary(c, g, err));
    GLOT_TRY(read_id(&c->bos_id, g, "tokenizer.ggml.bos_token_id", err));
    GLOT_TRY(read_id(&c->eos_id, g, "tokenizer.ggml.eos_token_id", err));
    glot_config_set_dense(c);
    if (c->head_dim < 2)
        return glot_config_check(c, glot_gguf_path(g), err);
    GLOT_TRY(check_fixed(g, c, err));
    GLOT_TRY(read_rope(c, g, err));
    return glot_config_check(c, glot_gguf_path(g), err);
}
