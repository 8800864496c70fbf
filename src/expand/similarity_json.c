/* similarity_json.c: similarity as `glot similarity` prints it, and what an allocation reads. */
#include "base/memory.h"
#include "expand/similarity.h"

#include <string.h>

/* ---- writing ---- */

static json_t *pairs_of(const glot_similarity *s, int64_t layer, const char *const *names, const bool *is_old)
{
    json_t *pairs = json_array();
    for (size_t i = 0; i < s->n_languages; i++)
        for (size_t k = i + 1; k < s->n_languages; k++) {
            bool is_turned = is_old[i] && !is_old[k];
            json_array_append_new(pairs, json_pack("{s:s, s:s, s:f}", "a", names[is_turned ? k : i], "b",
                                                   names[is_turned ? i : k], "sim",
                                                   glot_similarity_of(s, layer, i, k)));
        }
    return pairs;
}

glot_status glot_similarity_to_json(json_t **out, const glot_similarity *s, const glot_model *m,
                                    const char *const *names, const bool *is_old, glot_error *err)
{
    char hex[65];
    json_t *languages = json_array(), *old = json_array(), *experts = json_array(), *layers = json_array();
    for (size_t i = 0; i < s->n_languages; i++) {
        json_array_append_new(languages, json_string(names[i]));
        if (is_old[i])
            json_array_append_new(old, json_string(names[i]));
    }
    for (int64_t l = 0; l < s->n_layers; l++) {
        json_array_append_new(experts, json_integer(m->config.n_experts[l]));
        json_array_append_new(layers,
                              json_pack("{s:f, s:o}", "S", s->s[l], "pairs", pairs_of(s, l, names, is_old)));
    }
    glot_status status = glot_model_sha256(hex, m, false, err);
    *out = json_pack("{s:s, s:o, s:o, s:o, s:o}", "model", status == GLOT_OK ? hex : "", "languages",
                     languages, "old", old, "experts", experts, "layers", layers);
    if (status == GLOT_OK && !*out)
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the similarity");
    if (status != GLOT_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

/* ---- reading ---- */

static glot_status read_s(double *out, const json_t *value, size_t layer, const char *path, glot_error *err)
{
    if (!json_is_number(value))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': S of layer %zu is no number", path, layer);
    *out = json_number_value(value);
    return GLOT_OK;
}

/* experts: as many counts as layers. */
static glot_status read_experts(glot_layer_similarity *out, const json_t *experts, const char *path,
                                glot_error *err)
{
    if (!json_is_array(experts) || json_array_size(experts) != (size_t)out->n_layers)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': key 'experts' is no list of %" PRId64 " counts, one for each layer", path,
                         out->n_layers);
    for (int64_t l = 0; l < out->n_layers; l++) {
        const json_t *count = json_array_get(experts, (size_t)l);
        json_int_t n = json_integer_value(count);
        if (!json_is_integer(count) || n < 1 || n > GLOT_MAX_EXPERTS)
            return GLOT_FAIL(err, GLOT_BAD_VALUE,
                             "'%s': key 'experts' of layer %" PRId64 " is no count from 1 to %d", path, l,
                             GLOT_MAX_EXPERTS);
        out->n_experts[l] = (int32_t)n;
    }
    return GLOT_OK;
}

static glot_status read_model(glot_layer_similarity *out, const json_t *root, const char *path,
                              glot_error *err)
{
    const char *hex;
    GLOT_TRY(glot_json_get_string(root, "model", &hex, path, err));
    if (strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': key 'model' is no SHA-256 of 64 hex digits", path);
    memcpy(out->model_sha256, hex, 65);
    return GLOT_OK;
}

glot_status glot_layer_similarity_from_json(glot_layer_similarity *out, const json_t *root, const char *path,
                                            glot_error *err)
{
    bool is_plain = json_is_array(root);
    const json_t *layers = is_plain ? root : json_object_get(root, "layers");
    size_t n = json_array_size(layers);
    *out = (glot_layer_similarity){.n_layers = (int64_t)n};
    if (!json_is_array(layers))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s' is neither a list of S for each layer nor what `glot similarity --json` "
                         "prints: it has no list 'layers'",
                         path);
    if (n < 1 || n > GLOT_MAX_LAYERS)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s' has %zu layers, expected 1 to %d", path, n,
                         GLOT_MAX_LAYERS);
    for (size_t l = 0; l < n; l++) {
        const json_t *layer = json_array_get(layers, l);
        GLOT_TRY(read_s(&out->s[l], is_plain ? layer : json_object_get(layer, "S"), l, path, err));
        out->n_experts[l] = 1;
    }
    if (is_plain)
        return GLOT_OK;
    GLOT_TRY(read_model(out, root, path, err));
    return read_experts(out, json_object_get(root, "experts"), path, err);
}

glot_status glot_layer_similarity_check(glot_layer_similarity *s, const glot_model *m, const char *path,
                                        glot_error *err)
{
    const glot_model_config *c = &m->config;
    char hex[65];
    if (s->n_layers != c->n_layers)
        return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s' has %" PRId64 " layers, but '%s' has %" PRId64, path,
                         s->n_layers, m->path, c->n_layers);
    if (!*s->model_sha256) {
        memcpy(s->n_experts, c->n_experts, sizeof s->n_experts);
        return GLOT_OK;
    }
    GLOT_TRY(glot_model_sha256(hex, m, false, err));
    if (strcmp(hex, s->model_sha256) != 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s' was measured on another model than '%s': SHA-256 %.12s..., expected %.12s...",
                         path, m->path, s->model_sha256, hex);
    for (int64_t l = 0; l < s->n_layers; l++)
        if (s->n_experts[l] != c->n_experts[l])
            return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s': layer %" PRId64 " has %d experts, but %d in '%s'",
                             path, l, s->n_experts[l], c->n_experts[l], m->path);
    return GLOT_OK;
}
