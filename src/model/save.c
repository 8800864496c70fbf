/* save.c
 *
 * A model directory written (INTERFACES, "The expanded model"): the files that travel along, the weights
 * streamed tensor by tensor (no second copy in memory), config.json last. A directory without config.json is
 * no model, so one that was interrupted is not taken for whole.
 */
#include "model/params.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t SHARD_BYTES = UINT64_C(5000000000); /* INTERFACES: shards of at most 5 GB */
enum { CHUNK = GLOT_PARAM_CHUNK };

static const char *const travelling[] = {"tokenizer.json",
                                         "tokenizer_config.json",
                                         "tokenizer.model",
                                         "special_tokens_map.json",
                                         "added_tokens.json",
                                         "vocab.json",
                                         "merges.txt",
                                         "chat_template.jinja",
                                         "chat_template.json",
                                         "generation_config.json",
                                         "LICENSE",
                                         "LICENSE.txt",
                                         "LICENSE.md",
                                         "NOTICE",
                                         "NOTICE.txt",
                                         "USE_POLICY.md"};

bool glot_model_saves(const char *name)
{
    static const char *const own[] = {"config.json", "model.safetensors.index.json"};
    const char *ending = strrchr(name, '.');
    bool is_saved = ending && strcmp(ending, ".safetensors") == 0;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        is_saved = is_saved || strcmp(name, own[i]) == 0;
    for (size_t i = 0; i < sizeof travelling / sizeof travelling[0]; i++)
        is_saved = is_saved || strcmp(name, travelling[i]) == 0;
    return is_saved;
}

/* ---- weights ---- */

/* The list of tensors and where the fill function puts numbers while it converts them. */
typedef struct saving {
    const glot_model *m;
    glot_save_tensor *tensors; /* [n_params] */
    glot_param_buffers buffers;
} saving;

/* The exact path adds up the evidence of token after token: that stays float32. */
glot_dtype glot_param_saved_dtype(const glot_param *p, const glot_dtype *save_dtype)
{
    if (save_dtype && p->role != GLOT_ROLE_EXACT_EVIDENCE)
        return *save_dtype;
    return p->weight.dtype == GLOT_F64 ? GLOT_F32 : p->weight.dtype;
}

static void narrow(void *out, glot_dtype dtype, const float *values, int64_t n)
{
    uint16_t *halves = out;
    if (dtype == GLOT_F32)
        memcpy(out, values, (size_t)n * sizeof *values);
    for (int64_t i = 0; i < n && dtype == GLOT_BF16; i++)
        halves[i] = glot_f32_to_bf16(values[i]);
}

glot_status glot_param_buffers_create(glot_param_buffers *b, glot_error *err)
{
    *b = (glot_param_buffers){0};
    GLOT_TRY(glot_new(&b->raw, CHUNK, sizeof(double), "a chunk of weights", err));
    GLOT_TRY(glot_new(&b->out, CHUNK, sizeof(double), "a chunk of weights", err));
    return glot_new(&b->values, CHUNK, sizeof *b->values, "a chunk of weights", err);
}

void glot_param_buffers_release(glot_param_buffers *b)
{
    glot_free(b->raw);
    glot_free(b->out);
    glot_free(b->values);
}

void glot_param_read_as(void *out, glot_dtype dtype, const glot_model *m, const glot_tensor *weight,
                        int64_t first, int64_t n, const glot_param_buffers *buffers)
{
    size_t element = glot_dtype_block_bytes(dtype);
    if (dtype == weight->dtype) {
        glot_param_read(out, m, weight, first, n);
        return;
    }
    for (int64_t done = 0; done < n; done += CHUNK) {
        int64_t part = n - done < CHUNK ? n - done : CHUNK;
        glot_param_read(buffers->raw, m, weight, first + done, part);
        glot_values_to_f32(buffers->values, buffers->raw, weight->dtype, part);
        narrow((char *)out + (size_t)done * element, dtype, buffers->values, part);
    }
}

static glot_status fill(void *user, size_t index, size_t offset, size_t n, void *out, glot_error *err)
{
    const saving *s = user;
    glot_dtype dtype = s->tensors[index].tensor.dtype;
    size_t element = glot_dtype_block_bytes(dtype);
    (void)err;
    glot_param_read_as(out, dtype, s->m, &s->m->params[index]->weight, (int64_t)(offset / element),
                       (int64_t)(n / element), &s->buffers);
    return GLOT_OK;
}

static glot_status save_weights(const glot_model *m, const char *dir, const glot_dtype *save_dtype,
                                glot_error *err)
{
    saving s = {.m = m};
    json_t *metadata = json_pack("{s:s}", "format", "pt"); /* transformers refuses files without it */
    glot_status status;
    GLOT_TRY_OUT(glot_new(&s.tensors, m->n_params, sizeof *s.tensors, "the list of tensors", err));
    GLOT_TRY_OUT(glot_param_buffers_create(&s.buffers, err));
    for (size_t i = 0; i < m->n_params; i++) {
        s.tensors[i] = (glot_save_tensor){m->params[i]->name, m->params[i]->weight};
        s.tensors[i].tensor.dtype = glot_param_saved_dtype(m->params[i], save_dtype);
        s.tensors[i].tensor.addr = NULL;
    }
    status = glot_safetensors_save_dir(dir, s.tensors, m->n_params, metadata, SHARD_BYTES, fill, &s, err);
out:
    json_decref(metadata);
    glot_free(s.tensors);
    glot_param_buffers_release(&s.buffers);
    return status;
}

/* ---- the other files ---- */

static glot_status write_in(const char *dir, const char *name, const void *bytes, size_t n, glot_error *err)
{
    char *path = glot_path_join(dir, name);
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of a file");
    glot_status status = glot_file_write(path, bytes, n, err);
    glot_free(path);
    return status;
}

static glot_status write_json(const char *dir, const char *name, const json_t *value, glot_error *err)
{
    char *text = glot_json_dump(value, 2);
    size_t length = text ? strlen(text) : 0;
    if (!text)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for '%s/%s'", dir, name);
    text[length] = '\n'; /* in place of the zero byte: the length is known */
    glot_status status = write_in(dir, name, text, length + 1, err);
    free(text);
    return status;
}

static glot_status copy_one(const char *to_dir, const char *from_dir, const char *name, glot_error *err)
{
    char *from = glot_path_join(from_dir, name), *to = glot_path_join(to_dir, name);
    glot_status status = GLOT_OK;
    if (!from || !to)
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of a file");
    else if (glot_path_exists(from) && !glot_path_is_dir(from))
        status = glot_file_copy(to, from, err);
    glot_free(from);
    glot_free(to);
    return status;
}

static bool is_same_dir(const char *a, const char *b)
{
    char *real_a = realpath(a, NULL), *real_b = realpath(b, NULL);
    bool is_same = real_a && real_b && strcmp(real_a, real_b) == 0;
    free(real_a);
    free(real_b);
    return is_same;
}

static glot_status copy_travelling(const glot_model *m, const char *dir, glot_error *err)
{
    if (!glot_path_is_dir(m->path) || is_same_dir(m->path, dir))
        return GLOT_OK;
    for (size_t i = 0; i < sizeof travelling / sizeof travelling[0]; i++)
        GLOT_TRY(copy_one(dir, m->path, travelling[i], err));
    return GLOT_OK;
}

/* "bos_token": the vocabulary's entry `id`. */
static glot_status set_token(json_t *settings, const char *key, const glot_gguf *g, int32_t id,
                             glot_error *err)
{
    const char *const *tokens;
    size_t n;
    if (id < 0 || !glot_gguf_has(g, "tokenizer.ggml.tokens"))
        return GLOT_OK;
    GLOT_TRY(glot_gguf_strings(g, "tokenizer.ggml.tokens", &tokens, &n, err));
    if ((size_t)id < n)
        json_object_set_new(settings, key, json_string(tokens[id]));
    return GLOT_OK;
}

/* What a GGUF file says about its tokenizer beside the vocabulary, as tokenizer_config.json. */
static glot_status write_gguf_settings(const glot_model *m, const char *dir, glot_error *err)
{
    const char *chat_template;
    bool adds_bos;
    glot_status status;
    json_t *settings = json_pack("{s:s}", "tokenizer_class", "PreTrainedTokenizerFast");
    GLOT_TRY_OUT(set_token(settings, "bos_token", m->gguf, m->config.bos_id, err));
    GLOT_TRY_OUT(set_token(settings, "eos_token", m->gguf, m->config.eos_id, err));
    if (glot_gguf_has(m->gguf, "tokenizer.ggml.add_bos_token")) {
        GLOT_TRY_OUT(glot_gguf_bool(m->gguf, "tokenizer.ggml.add_bos_token", &adds_bos, err));
        json_object_set_new(settings, "add_bos_token", json_boolean(adds_bos));
    }
    if (glot_gguf_has(m->gguf, "tokenizer.chat_template")) {
        GLOT_TRY_OUT(glot_gguf_string(m->gguf, "tokenizer.chat_template", &chat_template, err));
        json_object_set_new(settings, "chat_template", json_string(chat_template));
    }
    status = write_json(dir, "tokenizer_config.json", settings, err);
out:
    json_decref(settings);
    return status;
}

/* "float32" and the like: the one type of all weights, or float32, which holds every one of them exactly. */
static const char *config_dtype(const glot_model *m, const glot_dtype *save_dtype)
{
    glot_dtype common = glot_param_saved_dtype(m->params[0], save_dtype);
    for (size_t i = 0; i < m->n_params; i++)
        if (m->params[i]->role != GLOT_ROLE_EXACT_EVIDENCE &&
            glot_param_saved_dtype(m->params[i], save_dtype) != common)
            common = GLOT_F32;
    return common == GLOT_BF16 ? "bfloat16" : common == GLOT_F16 ? "float16" : "float32";
}

static glot_status write_config(const glot_model *m, const char *dir, const glot_dtype *save_dtype,
                                glot_error *err)
{
    static const char *const keys[] = {"torch_dtype", "dtype"}; /* transformers 4 and 5 */
    json_t *root = NULL;
    GLOT_TRY(glot_config_to_json(&root, &m->config, m->base_config, err));
    for (size_t i = 0; i < 2; i++)
        if (json_object_get(root, keys[i]))
            json_object_set_new(root, keys[i], json_string(config_dtype(m, save_dtype)));
    glot_status status = write_json(dir, "config.json", root, err);
    json_decref(root);
    return status;
}

glot_status glot_model_save(const glot_model *m, const char *dir, const glot_dtype *save_dtype,
                            const char *tokenizer_json, size_t tokenizer_json_size, glot_error *err)
{
    GLOT_ASSERT(!save_dtype || *save_dtype == GLOT_F32 || *save_dtype == GLOT_BF16);
    GLOT_TRY(glot_dir_make(dir, err));
    GLOT_TRY(copy_travelling(m, dir, err));
    if (m->gguf)
        GLOT_TRY(write_gguf_settings(m, dir, err));
    if (tokenizer_json)
        GLOT_TRY(write_in(dir, "tokenizer.json", tokenizer_json, tokenizer_json_size, err));
    GLOT_TRY(save_weights(m, dir, save_dtype, err));
    return write_config(m, dir, save_dtype, err);
}
