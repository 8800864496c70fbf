/* config_expansion.c: the object under "glot" in the config.json of an expanded model (INTERFACES, "The
 * expanded model"), read and written, and config.json as a whole written. */
#include "model/config_arch.h"
#include "base/memory.h"
#include "base/str.h"

#include <string.h>

/* ---- reading ---- */

static glot_status read_counts(glot_model_config *c, const json_t *glot, const char *path, glot_error *err)
{
    const json_t *list = json_object_get(glot, "num_experts_per_layer");
    if (json_array_size(list) != (size_t)c->n_layers)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': key 'glot.num_experts_per_layer' has %zu entries, expected one for each of "
                         "%" PRId64 " layers",
                         path, json_array_size(list), c->n_layers);
    for (int l = 0; l < c->n_layers; l++) {
        const json_t *value = json_array_get(list, (size_t)l);
        if (!json_is_integer(value) || json_integer_value(value) < 1 ||
            json_integer_value(value) > GLOT_MAX_EXPERTS)
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s': entry %d of 'glot.num_experts_per_layer' is no number from 1 to %d", path,
                             l, GLOT_MAX_EXPERTS);
        c->n_experts[l] = (int32_t)json_integer_value(value);
    }
    int64_t top_k;
    GLOT_TRY(glot_json_get_int(glot, "num_experts_per_tok", &top_k, path, err));
    if (top_k < 1 || top_k > GLOT_MAX_EXPERTS)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': key 'glot.num_experts_per_tok' is %" PRId64 ", expected 1 to %d", path, top_k,
                         GLOT_MAX_EXPERTS);
    c->top_k = (int)top_k;
    return GLOT_OK;
}

/* ["en", "es"] becomes "en,es". */
static glot_status read_group(glot_model_config *c, const json_t *names, const char *path, glot_error *err)
{
    glot_str joined = {0};
    json_t *name;
    size_t i;
    glot_str_puts(&joined, "");
    json_array_foreach(names, i, name)
    {
        const char *text = json_string_value(name);
        if (!text || !text[0] || strchr(text, ',')) {
            glot_str_release(&joined);
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s': group %d of 'glot.groups' has an entry that is no language's name", path,
                             c->n_groups);
        }
        glot_str_printf(&joined, "%s%s", i ? "," : "", text);
    }
    glot_status status = glot_str_check(&joined, "the names of languages", err);
    if (status == GLOT_OK)
        status = glot_config_add_group(c, joined.data, err);
    glot_str_release(&joined);
    return status;
}

static glot_status read_groups(glot_model_config *c, const json_t *glot, const char *path, glot_error *err)
{
    const json_t *groups = json_object_get(glot, "groups");
    json_t *names;
    size_t i;
    if (json_array_size(groups) < 2 || json_array_size(groups) > GLOT_MAX_GROUPS)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': key 'glot.groups' has %zu entries, expected 2 to %d",
                         path, json_array_size(groups), GLOT_MAX_GROUPS);
    json_array_foreach(groups, i, names)
    {
        if (!json_is_array(names))
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': group %zu of 'glot.groups' is not a list", path, i);
        GLOT_TRY(read_group(c, names, path, err));
    }
    return GLOT_OK;
}

static glot_status read_expert_groups(glot_model_config *c, const json_t *glot, const char *path,
                                      glot_error *err)
{
    const json_t *layers = json_object_get(glot, "expert_group");
    if (json_array_size(layers) != (size_t)c->n_layers)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': key 'glot.expert_group' has %zu entries, expected one for each of %" PRId64
                         " layers",
                         path, json_array_size(layers), c->n_layers);
    for (int l = 0; l < c->n_layers; l++) {
        const json_t *list = json_array_get(layers, (size_t)l);
        if (json_array_size(list) != (size_t)c->n_experts[l])
            return GLOT_FAIL(
                err, GLOT_BAD_VALUE,
                "'%s': layer %d of 'glot.expert_group' has %zu entries, expected one for each of "
                "its %d experts",
                path, l, json_array_size(list), c->n_experts[l]);
        for (int e = 0; e < c->n_experts[l]; e++) {
            const json_t *group = json_array_get(list, (size_t)e);
            if (!json_is_integer(group) || json_integer_value(group) < 0 ||
                json_integer_value(group) >= c->n_groups)
                return GLOT_FAIL(err, GLOT_BAD_VALUE,
                                 "'%s': the group of expert %d in layer %d of 'glot.expert_group' is no "
                                 "number from 0 to %d",
                                 path, e, l, c->n_groups - 1);
            c->expert_group[l][e] = (uint8_t)json_integer_value(group);
        }
    }
    return GLOT_OK;
}

/* {"layers": [3, 4], "form": "causal"} */
static glot_status read_gate(glot_gate_config *gate, const json_t *object, const char *path, glot_error *err)
{
    const char *form = "causal";
    const json_t *layers = json_object_get(object, "layers");
    json_t *layer;
    size_t i;
    GLOT_TRY(glot_json_get_string_opt(object, "form", &form, path, err));
    gate->is_sequence_sum = strcmp(form, "sequence_sum") == 0;
    if (!gate->is_sequence_sum && strcmp(form, "causal") != 0)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': key 'glot.gate.form' is '%s', expected 'causal' or 'sequence_sum'", path,
                         form);
    if (!json_is_array(layers) || json_array_size(layers) > GLOT_MAX_LAYERS)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': key 'glot.gate.layers' is not a list of at most %d layers", path,
                         GLOT_MAX_LAYERS);
    json_array_foreach(layers, i, layer)
    {
        if (!json_is_integer(layer) || json_integer_value(layer) < 0 ||
            json_integer_value(layer) >= GLOT_MAX_LAYERS)
            return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': entry %zu of 'glot.gate.layers' is no layer", path,
                             i);
        gate->layers[gate->n_layers++] = (int32_t)json_integer_value(layer);
    }
    return GLOT_OK;
}

/* {"mode": "tokens", "threshold": 18.1} */
static glot_status read_exact(glot_exact_config *exact, const json_t *object, const char *path,
                              glot_error *err)
{
    const char *mode = "none";
    GLOT_TRY(glot_json_get_string_opt(object, "mode", &mode, path, err));
    exact->is_on = strcmp(mode, "tokens") == 0;
    if (!exact->is_on && strcmp(mode, "none") != 0)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': key 'glot.exact.mode' is '%s', expected 'none' or 'tokens'", path, mode);
    if (!exact->is_on)
        return GLOT_OK;
    return glot_json_get_real(object, "threshold", &exact->threshold, path, err);
}

static glot_status read_sha256(char out[65], const char *hex, const char *key, const char *path,
                               glot_error *err)
{
    size_t length = hex ? strlen(hex) : 1;
    if (length != 0 && (length != 64 || strspn(hex, "0123456789abcdef") != 64))
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': key 'glot.%s' is not 64 hexadecimal digits", path, key);
    memcpy(out, hex, length + 1);
    return GLOT_OK;
}

/* base_sha256, and added_sha256: one entry for each group but the first. */
static glot_status read_hashes(glot_model_config *c, const json_t *glot, const char *path, glot_error *err)
{
    const char *base = "";
    const json_t *added = json_object_get(glot, "added_sha256");
    GLOT_TRY(glot_json_get_string_opt(glot, "base_sha256", &base, path, err));
    GLOT_TRY(read_sha256(c->base_sha256, base, "base_sha256", path, err));
    if (added && json_array_size(added) != (size_t)c->n_groups - 1)
        return GLOT_FAIL(
            err, GLOT_BAD_VALUE,
            "'%s': key 'glot.added_sha256' has %zu entries, expected one for each of %d added groups", path,
            json_array_size(added), c->n_groups - 1);
    for (int g = 1; added && g < c->n_groups; g++) {
        const char *hex = json_string_value(json_array_get(added, (size_t)g - 1));
        GLOT_TRY(read_sha256(c->added_sha256[g], hex, "added_sha256", path, err));
    }
    return GLOT_OK;
}

static glot_status check_keys(const json_t *glot, const char *path, glot_error *err)
{
    static const char *const known[] = {
        "version", "num_experts_per_layer", "num_experts_per_tok", "groups",         "expert_group", "gate",
        "exact",   "base_sha256",           "base_architecture",   "base_model_type",
        "added_sha256"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)glot, key, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            is_known |= strcmp(key, known[i]) == 0;
        if (!is_known)
            return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': key 'glot.%s' is not known", path, key);
    }
    return GLOT_OK;
}

glot_status glot_config_read_expansion(glot_model_config *c, const json_t *glot, const char *path,
                                       glot_error *err)
{
    int64_t version;
    const char *architecture = c->architecture;
    GLOT_TRY(glot_json_get_int(glot, "version", &version, path, err));
    if (version != GLOT_EXPANSION_VERSION)
        return GLOT_FAIL(err, GLOT_BAD_VERSION, "'%s': key 'glot.version' is %" PRId64 ", expected %d", path,
                         version, GLOT_EXPANSION_VERSION);
    GLOT_TRY(check_keys(glot, path, err));
    GLOT_TRY(glot_json_get_string_opt(glot, "base_architecture", &architecture, path, err));
    if (strcmp(architecture, c->architecture) != 0)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': key 'glot.base_architecture' is '%s', expected '%s'",
                         path, architecture, c->architecture);
    c->is_expanded = true;
    GLOT_TRY(read_counts(c, glot, path, err));
    GLOT_TRY(read_groups(c, glot, path, err));
    GLOT_TRY(read_expert_groups(c, glot, path, err));
    const json_t *gate = json_object_get(glot, "gate"), *exact = json_object_get(glot, "exact");
    if (gate && !json_is_null(gate))
        GLOT_TRY(read_gate(&c->gate, gate, path, err));
    if (exact && !json_is_null(exact))
        GLOT_TRY(read_exact(&c->exact, exact, path, err));
    return read_hashes(c, glot, path, err);
}

/* ---- writing ---- */

static json_t *group_json(const char *languages)
{
    json_t *list = json_array();
    while (languages && *languages) {
        size_t length = strcspn(languages, ",");
        json_array_append_new(list, json_stringn(languages, length));
        languages += length + (languages[length] == ',');
    }
    return list;
}

static json_t *gate_json(const glot_gate_config *gate)
{
    return json_pack("{s:o, s:s}", "layers", glot_json_ints(gate->layers, gate->n_layers), "form",
                     gate->is_sequence_sum ? "sequence_sum" : "causal");
}

/* NULL where no group's hash is known. */
static json_t *added_json(const glot_model_config *c)
{
    json_t *list = json_array();
    bool is_known = false;
    for (int g = 1; g < c->n_groups; g++) {
        json_array_append_new(list, json_string(c->added_sha256[g]));
        is_known |= c->added_sha256[g][0] != '\0';
    }
    if (is_known)
        return list;
    json_decref(list);
    return NULL;
}

/* The object under "glot". jansson's setters drop what could not be made, so memory is checked by the caller
 * through the sizes. */
static json_t *expansion_json(const glot_model_config *c)
{
    json_t *counts = glot_json_ints(c->n_experts, c->n_layers), *groups = json_array(),
           *expert_groups = json_array();
    for (int l = 0; l < c->n_layers; l++) {
        json_t *of_layer = json_array();
        for (int e = 0; e < c->n_experts[l]; e++)
            json_array_append_new(of_layer, json_integer(c->expert_group[l][e]));
        json_array_append_new(expert_groups, of_layer);
    }
    for (int g = 0; g < c->n_groups; g++)
        json_array_append_new(groups, group_json(c->group_languages[g]));
    json_t *glot =
        json_pack("{s:i, s:o, s:i, s:o, s:o}", "version", GLOT_EXPANSION_VERSION, "num_experts_per_layer",
                  counts, "num_experts_per_tok", c->top_k, "groups", groups, "expert_group", expert_groups);
    if (c->gate.n_layers > 0)
        json_object_set_new(glot, "gate", gate_json(&c->gate));
    if (c->exact.is_on)
        json_object_set_new(glot, "exact",
                            json_pack("{s:s, s:f}", "mode", "tokens", "threshold", c->exact.threshold));
    if (c->base_sha256[0])
        json_object_set_new(glot, "base_sha256", json_string(c->base_sha256));
    json_t *added = added_json(c);
    if (added)
        json_object_set_new(glot, "added_sha256", added);
    json_object_set_new(glot, "base_architecture", json_string(c->architecture));
    json_object_set_new(glot, "base_model_type", json_string(c->model_type));
    return glot;
}

static json_t *rope_json(const glot_rope_config *r)
{
    switch (r->type) {
    case GLOT_ROPE_LINEAR:
        return json_pack("{s:s, s:f}", "rope_type", "linear", "factor", r->factor);
    case GLOT_ROPE_LLAMA3:
        return json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "factor", r->factor,
                         "low_freq_factor", r->low_freq_factor, "high_freq_factor", r->high_freq_factor,
                         "original_max_position_embeddings", (json_int_t)r->original_max_positions);
    case GLOT_ROPE_DEFAULT:
        break;
    }
    return json_null();
}

static void set_id(json_t *root, const char *key, int32_t id)
{
    json_object_set_new(root, key, id >= 0 ? json_integer(id) : json_null());
}

/* A config.json from the numbers alone, in the spelling that transformers 4 and 5 read. */
static json_t *base_json(const glot_model_config *c)
{
    const glot_arch *arch = glot_arch_find(c->model_type);
    json_t *root = json_pack(
        "{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:b, s:s}", "architectures",
        c->architecture, "model_type", c->model_type, "hidden_size", (json_int_t)c->hidden_size,
        "intermediate_size", (json_int_t)c->intermediate_size, "num_hidden_layers", (json_int_t)c->n_layers,
        "num_attention_heads", (json_int_t)c->n_heads, "num_key_value_heads", (json_int_t)c->n_kv_heads,
        "head_dim", (json_int_t)c->head_dim, "vocab_size", (json_int_t)c->vocab_size,
        "max_position_embeddings", (json_int_t)c->context_length, "rms_norm_eps", c->rms_norm_eps,
        "rope_theta", c->rope.theta, "rope_scaling", rope_json(&c->rope), "tie_word_embeddings",
        (int)c->has_tied_embeddings, "hidden_act", "silu");
    set_id(root, "bos_token_id", c->bos_id);
    set_id(root, "eos_token_id", c->eos_id);
    if (arch && arch->has_window)
        json_object_set_new(root, "sliding_window", json_null());
    json_object_set_new(root, "torch_dtype", json_string("float32"));
    return root;
}

static bool has_experts(const glot_model_config *c)
{
    for (int l = 0; l < c->n_layers; l++)
        if (c->n_experts[l] > 1)
            return true;
    return false;
}

glot_status glot_config_to_json(json_t **out, const glot_model_config *c, const json_t *base, glot_error *err)
{
    bool is_plain = !c->is_expanded || !has_experts(c);
    json_t *root = base ? json_deep_copy(base) : base_json(c);
    json_object_del(root, "glot");
    int failed = json_object_set_new(root, "architectures",
                                     json_pack("[s]", is_plain ? c->architecture : GLOT_ARCHITECTURE));
    failed |=
        json_object_set_new(root, "model_type", json_string(is_plain ? c->model_type : GLOT_MODEL_TYPE));
    if (!is_plain)
        failed |= json_object_set_new(root, "glot", expansion_json(c));
    if (failed) {
        json_decref(root);
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for config.json");
    }
    *out = root;
    return GLOT_OK;
}
