/* cmd_inspect.c
 *
 * `glot inspect THING`: what a model directory, GGUF or safetensors file, tokenizer, token store, checkpoint
 * or run directory is, what it holds, and whether it is whole: every byte is read, every number looked at.
 *
 * Each kind fills one JSON document (a run or a checkpoint in inspect_run.c); the text form is printed from
 * the same document (inspect_text.c).
 */
#include "base/file.h"
#include "base/memory.h"
#include "cli/inspect.h"
#include "format/gguf.h"
#include "format/values.h"
#include "model/model.h"
#include "text/token_store.h"

#include <stdlib.h>
#include <string.h>

static const glot_option rows[] = {
    {"THING", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true,
     .help = "a model directory, GGUF or safetensors file, tokenizer.json, token store, checkpoint or run "
             "directory"},
    {"tensors", .kind = GLOT_OPTION_FLAG, .help = "list every tensor"},
    {0},
};

/* Tensors of a file. */

static json_t *tensor_json(const glot_stored_tensor *t)
{
    json_t *shape = json_array();
    for (int d = 0; d < t->tensor.n_dims; d++)
        json_array_append_new(shape, json_integer(t->tensor.shape[d]));
    return json_pack("{s:s, s:s, s:o}", "name", t->name, "type", glot_dtype_name(t->tensor.dtype), "shape",
                     shape);
}

typedef const glot_stored_tensor *tensor_at(const void *file, size_t i);

static const glot_stored_tensor *safetensors_at(const void *file, size_t i)
{
    return glot_safetensors_at(file, i);
}

static const glot_stored_tensor *gguf_at(const void *file, size_t i)
{
    return glot_gguf_at(file, i);
}

/* Counts, types and, where asked for, the list; looks at every value. */
static glot_status put_tensors(inspection *in, const void *file, tensor_at *at, size_t n, glot_error *err)
{
    int64_t parameters = 0, bytes = 0, per_type[GLOT_N_DTYPES] = {0};
    json_t *types = json_object(), *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const glot_stored_tensor *t = at(file, i);
        glot_status status = glot_stored_check_values(t, err);
        if (status != GLOT_OK) {
            json_decref(types);
            json_decref(list);
            return status;
        }
        parameters += glot_tensor_elements(&t->tensor);
        bytes += (int64_t)glot_tensor_bytes(&t->tensor);
        per_type[t->tensor.dtype]++;
        json_array_append_new(list, tensor_json(t));
    }
    for (int d = 0; d < GLOT_N_DTYPES; d++)
        if (per_type[d])
            json_object_set_new(types, glot_dtype_name((glot_dtype)d), json_integer(per_type[d]));
    inspect_put_int(in, "parameters", parameters);
    inspect_put_int(in, "bytes", bytes);
    inspect_put(in, "tensors_per_type", types);
    if (glot_args_flag(in->cli->args, "tensors"))
        inspect_put(in, "tensors", list);
    else
        json_decref(list);
    return GLOT_OK;
}

/* Models. */

/* Experts of each layer that a group brought. */
static json_t *group_experts_json(const glot_model_config *c, int group)
{
    json_t *list = json_array();
    for (int64_t l = 0; l < c->n_layers; l++) {
        int n = 0;
        for (int e = 0; e < c->n_experts[l]; e++)
            n += c->expert_group[l][e] == group;
        json_array_append_new(list, json_integer(n));
    }
    return list;
}

static json_t *experts_by_group_json(const glot_model_config *c)
{
    json_t *groups = json_array();
    for (int g = 0; g < c->n_groups; g++)
        json_array_append_new(groups, group_experts_json(c, g));
    return groups;
}

static json_t *groups_json(const glot_model_config *c)
{
    json_t *list = json_array();
    for (int g = 0; g < c->n_groups; g++)
        json_array_append_new(list, json_string(c->group_languages[g]));
    return list;
}

static void put_config(inspection *in, const glot_model_config *c)
{
    inspect_put_text(in, "architecture", c->model_type);
    inspect_put_int(in, "layers", c->n_layers);
    inspect_put_int(in, "hidden_size", c->hidden_size);
    inspect_put_int(in, "intermediate_size", c->intermediate_size);
    inspect_put_int(in, "heads", c->n_heads);
    inspect_put_int(in, "kv_heads", c->n_kv_heads);
    inspect_put_int(in, "head_dim", c->head_dim);
    inspect_put_int(in, "vocabulary", c->vocab_size);
    inspect_put_int(in, "context_length", c->context_length);
    inspect_put(in, "tied_embeddings", json_boolean(c->has_tied_embeddings));
    inspect_put(in, "expanded", json_boolean(c->is_expanded));
    if (!c->is_expanded)
        return;
    inspect_put(in, "experts", glot_json_ints(c->n_experts, c->n_layers));
    inspect_put_int(in, "experts_per_token", c->top_k);
    inspect_put(in, "language_groups", groups_json(c));
    inspect_put(in, "experts_by_group", experts_by_group_json(c));
    if (c->gate.n_layers)
        inspect_put_int(in, "gated_layers", c->gate.n_layers);
    if (c->exact.is_on)
        inspect_put(in, "exact_threshold", json_real(c->exact.threshold));
}

static glot_status put_tokenizer(inspection *in, const glot_tokenizer *t, int64_t vocabulary, glot_error *err)
{
    if (vocabulary && glot_tokenizer_size(t) > vocabulary)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the tokenizer has ids up to %d, but the model's vocabulary has %" PRId64
                         " entries",
                         in->path, glot_tokenizer_size(t) - 1, vocabulary);
    inspect_put(in, "tokenizer",
                json_pack("{s:i, s:s, s:b}", "tokens", glot_tokenizer_size(t), "sha256",
                          glot_tokenizer_hash(t), "adds_bos", (int)glot_tokenizer_adds_bos(t)));
    return GLOT_OK;
}

/* Everything that running the model would need, and every value. */
static glot_status put_opened_model(inspection *in, const glot_model *m, glot_error *err)
{
    char hex[65];
    put_config(in, &m->config);
    if (m->safetensors)
        GLOT_TRY(
            put_tensors(in, m->safetensors, safetensors_at, glot_safetensors_count(m->safetensors), err));
    GLOT_TRY(glot_model_sha256(hex, m, false, err));
    inspect_put_text(in, "sha256", hex);
    if (!glot_dir_has(in->path, "tokenizer.json"))
        return GLOT_OK;
    glot_tokenizer *t = NULL;
    GLOT_TRY(glot_tokenizer_open_model(&t, in->path, err));
    glot_status status = put_tokenizer(in, t, m->config.vocab_size, err);
    glot_tokenizer_close(t);
    return status;
}

glot_status inspect_model_dir(inspection *in, glot_error *err)
{
    glot_backend *be = NULL;
    glot_model *m = NULL;
    glot_status status;
    GLOT_TRY_OUT(glot_cpu_backend_create(&be, in->cli->threads, NULL, err));
    GLOT_TRY_OUT(glot_model_open(&m, be, in->path, err));
    GLOT_TRY_OUT(put_opened_model(in, m, err));
out:
    glot_model_close(m);
    glot_backend_close(be);
    return status;
}

static json_t *gguf_metadata(const glot_gguf *g)
{
    json_t *o = json_object();
    glot_str text = {0};
    for (size_t i = 0; i < glot_gguf_n_keys(g); i++) {
        glot_str_reset(&text);
        glot_gguf_print_value(g, i, &text);
        json_object_set_new(o, glot_gguf_key(g, i),
                            json_stringn_nocheck(text.data ? text.data : "", text.length));
    }
    glot_str_release(&text);
    return o;
}

/* A GGUF of an architecture or tokenizer that glot does not run is still a whole GGUF: it says so and is no
 * error. */
static glot_status put_gguf_model(inspection *in, const glot_gguf *g, glot_error *err)
{
    glot_model_config c;
    glot_tokenizer *t = NULL;
    glot_error reason = {0};
    int64_t vocabulary = 0;
    if (glot_config_from_gguf(&c, g, &reason) == GLOT_OK) {
        put_config(in, &c);
        vocabulary = c.vocab_size;
        glot_config_release(&c);
    }
    if (reason.status == GLOT_OK && glot_tokenizer_from_gguf(&t, g, &reason) == GLOT_OK) {
        glot_status status = put_tokenizer(in, t, vocabulary, err);
        glot_tokenizer_close(t);
        GLOT_TRY(status);
    }
    inspect_put(in, "runs", json_boolean(reason.status == GLOT_OK));
    if (reason.status != GLOT_OK)
        inspect_put_text(in, "why_not", reason.message);
    return GLOT_OK;
}

static glot_status inspect_gguf(inspection *in, glot_error *err)
{
    char hex[65];
    glot_gguf *g = NULL;
    glot_status status;
    GLOT_TRY_OUT(glot_gguf_open(&g, in->path, err));
    GLOT_TRY_OUT(put_gguf_model(in, g, err));
    GLOT_TRY_OUT(put_tensors(in, g, gguf_at, glot_gguf_count(g), err));
    inspect_put(in, "metadata", gguf_metadata(g));
    GLOT_TRY_OUT(glot_sha256_file(hex, in->path, err));
    inspect_put_text(in, "file_sha256", hex);
out:
    glot_gguf_close(g);
    return status;
}

static glot_status inspect_safetensors(inspection *in, glot_error *err)
{
    glot_safetensors *s = NULL;
    GLOT_TRY(glot_safetensors_open(&s, in->path, err));
    glot_status status = put_tensors(in, s, safetensors_at, glot_safetensors_count(s), err);
    glot_safetensors_close(s);
    return status;
}

/* Text. */

static json_t *store_language_json(const glot_store_language *l)
{
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:I}", "language", l->name, "group", l->group, "documents",
                     (json_int_t)l->n_documents, "tokens", (json_int_t)l->n_tokens, "bytes",
                     (json_int_t)l->n_bytes, "words", (json_int_t)l->n_words);
}

static glot_status inspect_token_store(inspection *in, glot_error *err)
{
    glot_token_store *s = NULL;
    GLOT_TRY(glot_token_store_open(&s, in->path, err));
    glot_status status = glot_token_store_verify(s, err);
    json_t *languages = json_array();
    for (size_t i = 0; i < glot_token_store_n_languages(s); i++)
        json_array_append_new(languages, store_language_json(glot_token_store_language(s, i)));
    inspect_put_text(in, "tokenizer_sha256", glot_token_store_tokenizer_hash(s));
    inspect_put_int(in, "vocabulary", glot_token_store_vocabulary_size(s));
    inspect_put_int(in, "documents", (int64_t)glot_token_store_n_documents(s));
    inspect_put(in, "languages", languages);
    glot_token_store_close(s);
    return status;
}

static glot_status inspect_tokenizer(inspection *in, glot_error *err)
{
    glot_tokenizer *t = NULL;
    GLOT_TRY(glot_tokenizer_open(&t, in->path, err));
    glot_status status = put_tokenizer(in, t, 0, err);
    glot_tokenizer_close(t);
    return status;
}

/* The kinds, each known by a look at the outside: first match wins. */

static bool is_run(const char *path)
{
    return glot_dir_has(path, "recipe.yaml") && glot_dir_has(path, "state.json");
}

static bool is_checkpoint(const char *path)
{
    return glot_dir_has(path, "manifest.json");
}

static bool is_model_dir(const char *path)
{
    return glot_dir_has(path, "config.json");
}

static bool begins_with(const char *path, size_t offset, const char *magic, size_t n)
{
    glot_map map = {0};
    if (glot_map_open(&map, path, NULL) != GLOT_OK)
        return false;
    bool matches = map.size >= offset + n && memcmp(map.data + offset, magic, n) == 0;
    glot_map_close(&map);
    return matches;
}

/* Eight bytes of header length, then a JSON object. */
static bool is_safetensors(const char *path)
{
    size_t n = strlen(path);
    return begins_with(path, 8, "{\"", 2) || (n > 12 && strcmp(path + n - 12, ".safetensors") == 0);
}

/* A JSON object that somewhere has a vocabulary, or what is packed with gzip. */
static bool is_tokenizer(const char *path)
{
    static const char key[] = "\"vocab\"";
    glot_map map = {0};
    if (begins_with(path, 0, "\x1f\x8b", 2))
        return true;
    if (!begins_with(path, 0, "{", 1) || glot_map_open(&map, path, NULL) != GLOT_OK)
        return false;
    bool has_vocabulary = memmem(map.data, map.size, key, sizeof key - 1) != NULL;
    glot_map_close(&map);
    return has_vocabulary;
}

static const struct kind {
    const char *name;
    bool is_dir;
    bool (*matches)(const char *path);
    glot_status (*inspect)(inspection *in, glot_error *err);
} kinds[] = {
    {"run directory", true, is_run, inspect_run},
    {"checkpoint", true, is_checkpoint, inspect_checkpoint},
    {"model directory", true, is_model_dir, inspect_model_dir},
    {"GGUF", false, glot_gguf_is_file, inspect_gguf},
    {"token store", false, glot_token_store_is_file, inspect_token_store},
    {"safetensors", false, is_safetensors, inspect_safetensors},
    {"tokenizer", false, is_tokenizer, inspect_tokenizer},
};

static const struct kind *kind_of(const char *path)
{
    bool is_dir = glot_path_is_dir(path);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].is_dir == is_dir && kinds[i].matches(path))
            return &kinds[i];
    return NULL;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    const char *path = glot_args_string(cli->args, "THING");
    if (!glot_path_exists(path))
        return GLOT_FAIL(err, GLOT_NOT_FOUND, "'%s' does not exist", path);
    const struct kind *kind = kind_of(path);
    if (!kind)
        return GLOT_FAIL(
            err, GLOT_BAD_FORMAT,
            "'%s' is nothing that glot knows, expected a model directory, GGUF, safetensors, tokenizer.json, "
            "token store, checkpoint or run directory",
            path);
    inspection in = {.cli = cli, .path = path, .document = json_object()};
    inspect_put_text(&in, "kind", kind->name);
    inspect_put_text(&in, "path", path);
    glot_status status = kind->inspect(&in, err);
    inspect_put(&in, "whole", json_true()); /* what is not fails */
    if (status == GLOT_OK)
        status = cli->is_json ? cli_json(json_incref(in.document), err) : inspect_print(in.document, err);
    json_decref(in.document);
    return status;
}

const glot_command cmd_inspect = {"inspect",
                                  "say what a file or directory is, what it holds and whether it is whole",
                                  rows, CLI_HAS_JSON, run};
