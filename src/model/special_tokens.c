/* special_tokens.c: BOS and EOS where config.json leaves them out. tokenizer_config.json names a token by its
 * text; the text's id stands in the same file's added_tokens_decoder, or in tokenizer.json. */
#include "model/params.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* "bos_token": "<s>", or {"content": "<s>", ...}; NULL where there is none. */
static const char *token_text(const json_t *settings, const char *key)
{
    const json_t *token = json_object_get(settings, key);
    return json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
}

static bool has_content(const json_t *entry, const char *text)
{
    const char *content = json_string_value(json_object_get(entry, "content"));
    return content && strcmp(content, text) == 0;
}

/* Ids as keys: {"2": {"content": "</s>"}}. */
static int64_t id_in_decoder(const json_t *settings, const char *text)
{
    json_t *decoder = json_object_get(settings, "added_tokens_decoder"), *entry;
    const char *id;
    json_object_foreach(decoder, id, entry) if (has_content(entry, text)) return strtoll(id, NULL, 10);
    return -1;
}

static int64_t id_in_tokenizer(const json_t *tokenizer, const char *text)
{
    json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(tokenizer, "added_tokens"), i,
                       entry) if (has_content(entry, text) &&
                                  json_is_integer(json_object_get(
                                      entry, "id"))) return json_integer_value(json_object_get(entry, "id"));
    const json_t *id = json_object_get(json_object_get(json_object_get(tokenizer, "model"), "vocab"), text);
    return json_is_integer(id) ? json_integer_value(id) : -1;
}

/* DIR/NAME parsed; NULL and no error where there is no such file. */
static glot_status load_opt(json_t **out, const char *dir, const char *name, glot_error *err)
{
    glot_status status = GLOT_OK;
    char *path = glot_path_join(dir, name);
    *out = NULL;
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of a file");
    if (glot_path_exists(path))
        status = glot_json_load_file(out, path, err);
    glot_free(path);
    return status;
}

static glot_status find_id(int32_t *out, const json_t *settings, json_t **tokenizer, const char *key,
                           const glot_model_config *c, const char *dir, glot_error *err)
{
    const char *text = token_text(settings, key);
    if (!text || *out >= 0)
        return GLOT_OK;
    int64_t id = id_in_decoder(settings, text);
    if (id < 0 && !*tokenizer)
        GLOT_TRY(load_opt(tokenizer, dir, "tokenizer.json", err));
    if (id < 0)
        id = id_in_tokenizer(*tokenizer, text);
    if (id >= c->vocab_size)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s/tokenizer_config.json': the id of '%s', token '%s', is %" PRId64
                         " but the vocabulary has %" PRId64 " entries",
                         dir, key, text, id, c->vocab_size);
    *out = (int32_t)id;
    return GLOT_OK;
}

glot_status glot_config_read_special_tokens(glot_model_config *c, const char *dir, glot_error *err)
{
    json_t *settings = NULL, *tokenizer = NULL;
    glot_status status = GLOT_OK;
    if (c->bos_id >= 0 && c->eos_id >= 0)
        return GLOT_OK;
    GLOT_TRY_OUT(load_opt(&settings, dir, "tokenizer_config.json", err));
    GLOT_TRY_OUT(find_id(&c->bos_id, settings, &tokenizer, "bos_token", c, dir, err));
    GLOT_TRY_OUT(find_id(&c->eos_id, settings, &tokenizer, "eos_token", c, dir, err));
out:
    json_decref(settings);
    json_decref(tokenizer);
    return status;
}
