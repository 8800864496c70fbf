/* config.c: what a configuration is made of, whatever it was read from: copying, checking, and the tables of
 * the rotary embedding. */
#include "model/config.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

void glot_config_release(glot_model_config *c)
{
    for (int g = 0; g < GLOT_MAX_GROUPS; g++)
        glot_free(c->group_languages[g]);
    memset(c, 0, sizeof *c);
}

glot_status glot_config_copy(glot_model_config *to, const glot_model_config *from, glot_error *err)
{
    *to = *from;
    memset(to->group_languages, 0, sizeof to->group_languages);
    for (int g = 0; g < from->n_groups; g++) {
        const char *names = from->group_languages[g] ? from->group_languages[g] : "";
        to->group_languages[g] = glot_strdup(names);
        if (!to->group_languages[g]) {
            glot_config_release(to);
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the names of languages");
        }
    }
    return GLOT_OK;
}

glot_status glot_config_add_group(glot_model_config *c, const char *languages, glot_error *err)
{
    GLOT_ASSERT(c->n_groups < GLOT_MAX_GROUPS);
    char *names = glot_strdup(languages);
    if (!names)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the names of languages");
    c->group_languages[c->n_groups++] = names;
    return GLOT_OK;
}

/* ---- checking ---- */

static glot_status check_range(int64_t value, int64_t low, int64_t high, const char *what, const char *path,
                               glot_error *err)
{
    if (value < low || value > high)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': %s is %" PRId64 ", expected %" PRId64 " to %" PRId64,
                         path, what, value, low, high);
    return GLOT_OK;
}

static glot_status check_sizes(const glot_model_config *c, const char *path, glot_error *err)
{
    GLOT_TRY(check_range(c->hidden_size, 1, GLOT_MAX_WIDTH, "the hidden size", path, err));
    GLOT_TRY(check_range(c->intermediate_size, 1, GLOT_MAX_WIDTH, "the intermediate size", path, err));
    GLOT_TRY(check_range(c->n_layers, 1, GLOT_MAX_LAYERS, "the number of layers", path, err));
    GLOT_TRY(check_range(c->vocab_size, 1, INT32_MAX, "the vocabulary size", path, err));
    GLOT_TRY(check_range(c->n_heads, 1, GLOT_MAX_WIDTH, "the number of attention heads", path, err));
    GLOT_TRY(check_range(c->n_kv_heads, 1, c->n_heads, "the number of key/value heads", path, err));
    GLOT_TRY(check_range(c->head_dim, 2, GLOT_MAX_WIDTH / c->n_heads, "the head dimension", path, err));
    GLOT_TRY(check_range(c->context_length, 1, INT32_MAX, "the context length", path, err));
    if (c->n_heads % c->n_kv_heads != 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': %" PRId64 " attention heads cannot share %" PRId64 " key/value heads evenly",
                         path, c->n_heads, c->n_kv_heads);
    if (c->head_dim % 2 != 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the head dimension is %" PRId64 ", expected an even number", path,
                         c->head_dim);
    return GLOT_OK;
}

static glot_status check_ids(const glot_model_config *c, const char *path, glot_error *err)
{
    if (c->bos_id < -1 || c->bos_id >= c->vocab_size)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the BOS token's id is %d but the vocabulary has %" PRId64 " entries", path,
                         c->bos_id, c->vocab_size);
    if (c->eos_id < -1 || c->eos_id >= c->vocab_size)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the EOS token's id is %d but the vocabulary has %" PRId64 " entries", path,
                         c->eos_id, c->vocab_size);
    return GLOT_OK;
}

static bool is_positive(double value)
{
    return isfinite(value) && value > 0.0;
}

static glot_status check_positive(double value, const char *what, const char *path, glot_error *err)
{
    if (!is_positive(value))
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': %s is %g, expected a positive number", path, what,
                         value);
    return GLOT_OK;
}

static glot_status check_rope(const glot_model_config *c, const char *path, glot_error *err)
{
    const glot_rope_config *r = &c->rope;
    GLOT_TRY(check_positive(r->theta, "the rotary embedding's base", path, err));
    if (r->type != GLOT_ROPE_DEFAULT)
        GLOT_TRY(check_positive(r->factor, "the rotary embedding's factor", path, err));
    if (r->type != GLOT_ROPE_LLAMA3)
        return GLOT_OK;
    GLOT_TRY(check_positive(r->low_freq_factor, "the rotary embedding's low_freq_factor", path, err));
    if (!isfinite(r->high_freq_factor) || !(r->high_freq_factor > r->low_freq_factor))
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the rotary embedding's high_freq_factor is %g, expected more than its "
                         "low_freq_factor, %g",
                         path, r->high_freq_factor, r->low_freq_factor);
    return check_range(r->original_max_positions, 1, INT32_MAX,
                       "the rotary embedding's original_max_position_embeddings", path, err);
}

static glot_status check_experts(const glot_model_config *c, int layer, const char *path, glot_error *err)
{
    if (c->n_experts[layer] < 1 || c->n_experts[layer] > GLOT_MAX_EXPERTS)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': layer %d has %d experts, expected 1 to %d", path, layer,
                         c->n_experts[layer], GLOT_MAX_EXPERTS);
    if (c->n_experts[layer] > 1 && !c->is_expanded)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': layer %d of a model that is not expanded has %d experts",
                         path, layer, c->n_experts[layer]);
    for (int e = 0; e < c->n_experts[layer]; e++)
        if ((e == 0) != (c->expert_group[layer][e] == 0) ||
            (e > 0 && c->expert_group[layer][e] >= c->n_groups))
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s': expert %d of layer %d belongs to group %d; expert 0 belongs to group 0, "
                             "the others to groups 1 to %d",
                             path, e, layer, c->expert_group[layer][e], c->n_groups - 1);
    for (int e = 1; e < c->n_experts[layer]; e++) /* the LPR loss of a group counts the experts up to it */
        if (c->expert_group[layer][e] < c->expert_group[layer][e - 1])
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s': expert %d of layer %d belongs to group %d, but the one before it to "
                             "group %d; groups follow one another",
                             path, e, layer, c->expert_group[layer][e], c->expert_group[layer][e - 1]);
    return GLOT_OK;
}

int32_t glot_config_start_id(const glot_model_config *c)
{
    return c->bos_id >= 0 ? c->bos_id : c->eos_id;
}

bool glot_config_is_gated(const glot_model_config *c, int64_t layer)
{
    for (int i = 0; i < c->gate.n_layers; i++)
        if (c->gate.layers[i] == layer)
            return true;
    return false;
}

static glot_status check_gate(const glot_model_config *c, const char *path, glot_error *err)
{
    if (c->gate.n_layers < 0 || c->gate.n_layers > c->n_layers)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': %d layers have a language gate but the model has %" PRId64 " layers", path,
                         c->gate.n_layers, c->n_layers);
    for (int i = 0; i < c->gate.n_layers; i++) {
        int32_t layer = c->gate.layers[i];
        if (layer < 0 || layer >= c->n_layers || c->n_experts[layer] < 2)
            return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': layer %d has a language gate but no router", path,
                             layer);
        if (i > 0 && layer <= c->gate.layers[i - 1])
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s': the layers with a language gate are not in ascending order: %d follows "
                             "%d",
                             path, layer, c->gate.layers[i - 1]);
    }
    return GLOT_OK;
}

static glot_status check_expansion(const glot_model_config *c, const char *path, glot_error *err)
{
    if (c->is_expanded) {
        GLOT_TRY(check_range(c->top_k, 1, GLOT_MAX_EXPERTS, "the number of experts per token", path, err));
        GLOT_TRY(check_range(c->n_groups, 2, GLOT_MAX_GROUPS, "the number of language groups", path, err));
    }
    for (int l = 0; l < c->n_layers; l++)
        GLOT_TRY(check_experts(c, l, path, err));
    if (c->exact.is_on && !isfinite(c->exact.threshold))
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': the exact path's threshold is not finite", path);
    return check_gate(c, path, err);
}

glot_status glot_config_check(const glot_model_config *c, const char *path, glot_error *err)
{
    GLOT_TRY(check_sizes(c, path, err));
    GLOT_TRY(check_ids(c, path, err));
    if (!isfinite(c->rms_norm_eps) || c->rms_norm_eps < 0.0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': the norm's epsilon is %g, expected a number from 0",
                         path, c->rms_norm_eps);
    GLOT_TRY(check_rope(c, path, err));
    return check_expansion(c, path, err);
}

/* ---- rotary embedding ---- */

/* Llama 3.1's scaling of one inverse frequency: wavelengths that fit the original context often enough stay,
 * those that do not are stretched by `factor`, with a linear passage between. Every step rounds to float32,
 * in the order of transformers' modeling_rope_utils. */
static float llama3_frequency(float inv_freq, const glot_rope_config *r)
{
    const float two_pi = (float)6.283185307179586;
    float old_context = (float)r->original_max_positions, factor = (float)r->factor;
    float wavelength = two_pi / inv_freq;
    if (wavelength < (float)((double)r->original_max_positions / r->high_freq_factor))
        return inv_freq;
    if (wavelength > (float)((double)r->original_max_positions / r->low_freq_factor))
        return inv_freq / factor;
    float smooth = (old_context / wavelength - (float)r->low_freq_factor) /
                   (float)(r->high_freq_factor - r->low_freq_factor);
    return (1.0f - smooth) * inv_freq / factor + smooth * inv_freq;
}

/* 1 / theta^(2 i / d), scaled as the configuration says. The power is taken in double and rounded once:
 * PyTorch's float32 power is within one unit in the last place of that. */
static float inverse_frequency(const glot_model_config *c, int64_t i)
{
    float exponent = (float)(2 * i) / (float)c->head_dim;
    float inv_freq = 1.0f / (float)pow((double)(float)c->rope.theta, (double)exponent);
    switch (c->rope.type) {
    case GLOT_ROPE_LINEAR:
        return inv_freq / (float)c->rope.factor;
    case GLOT_ROPE_LLAMA3:
        return llama3_frequency(inv_freq, &c->rope);
    case GLOT_ROPE_DEFAULT:
        break;
    }
    return inv_freq;
}

glot_status glot_rope_tables(float **cos_table, float **sin_table, const glot_model_config *c,
                             int64_t n_positions, glot_error *err)
{
    int64_t half = c->head_dim / 2;
    float *cosines = NULL, *sines = NULL;
    size_t n;
    if (n_positions < 0 || !glot_size_mul(&n, (size_t)n_positions, (size_t)half))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the rotary embedding of %" PRId64 " positions",
                         n_positions);
    GLOT_TRY(glot_new(&cosines, n, sizeof *cosines, "the rotary embedding's cosines", err));
    glot_status status = glot_new(&sines, n, sizeof *sines, "the rotary embedding's sines", err);
    if (status != GLOT_OK) {
        glot_free(cosines);
        return status;
    }
    for (int64_t i = 0; i < half; i++) {
        float inv_freq = inverse_frequency(c, i);
        for (int64_t p = 0; p < n_positions; p++) {
            float angle = (float)p * inv_freq;
            cosines[p * half + i] = (float)cos((double)angle);
            sines[p * half + i] = (float)sin((double)angle);
        }
    }
    *cos_table = cosines;
    *sin_table = sines;
    return GLOT_OK;
}
