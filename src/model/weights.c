/* weights.c
 *
 * Where the numbers come from: safetensors of a Hugging Face directory, or a GGUF file. Every tensor that the
 * configuration asks for must be there with its shape and a float type, and every tensor that is there must
 * be asked for. What lies in the file as the model wants it is used where it is (mapped); the rest becomes
 * the model's own:
 *
 * - quantised GGUF tensors are widened to F32;
 * - the rows of Q and K in a GGUF of architecture llama are put back: llama.cpp's converter lays the pair (i,
 * i + d/2) that a rotation turns side by side, so row 2 i + j of a head there is row j d/2 + i here.
 *
 * Tensors that may be left over, because transformers does not read them either: `*.rotary_emb.inv_freq`
 * (older versions saved that table) and `lm_head.weight` where the embedding is tied; in a GGUF
 * `rope_freqs.weight` (config_gguf.c reads it).
 */
#include "model/params.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* Either format seen as a list of named tensors. */
typedef struct source {
    const glot_safetensors *safetensors; /* or */
    const glot_gguf *gguf;
    const char *path;
    size_t count;
    bool *is_used; /* [count] */
} source;

static const glot_stored_tensor *source_at(const source *s, size_t i)
{
    return s->gguf ? glot_gguf_at(s->gguf, i) : glot_safetensors_at(s->safetensors, i);
}

static const glot_stored_tensor *source_find(const source *s, const char *name)
{
    return s->gguf ? glot_gguf_find(s->gguf, name) : glot_safetensors_find(s->safetensors, name);
}

static const char *const gguf_names[] = {[GLOT_ROLE_EMBEDDING] = "token_embd.weight",
                                         [GLOT_ROLE_ATTN_NORM] = "attn_norm.weight",
                                         [GLOT_ROLE_Q] = "attn_q.weight",
                                         [GLOT_ROLE_K] = "attn_k.weight",
                                         [GLOT_ROLE_V] = "attn_v.weight",
                                         [GLOT_ROLE_Q_BIAS] = "attn_q.bias",
                                         [GLOT_ROLE_K_BIAS] = "attn_k.bias",
                                         [GLOT_ROLE_V_BIAS] = "attn_v.bias",
                                         [GLOT_ROLE_Q_NORM] = "attn_q_norm.weight",
                                         [GLOT_ROLE_K_NORM] = "attn_k_norm.weight",
                                         [GLOT_ROLE_O] = "attn_output.weight",
                                         [GLOT_ROLE_FFN_NORM] = "ffn_norm.weight",
                                         [GLOT_ROLE_GATE_PROJ] = "ffn_gate.weight",
                                         [GLOT_ROLE_UP_PROJ] = "ffn_up.weight",
                                         [GLOT_ROLE_DOWN_PROJ] = "ffn_down.weight",
                                         [GLOT_ROLE_FINAL_NORM] = "output_norm.weight",
                                         [GLOT_ROLE_LM_HEAD] = "output.weight"};

/* The name that the file gives a parameter. */
static void stored_name(char out[128], const source *s, const glot_param *p)
{
    if (!s->gguf)
        snprintf(out, 128, "%s", p->name);
    else if (p->layer >= 0)
        snprintf(out, 128, "blk.%d.%s", p->layer, gguf_names[p->role]);
    else
        snprintf(out, 128, "%s", gguf_names[p->role]);
}

/* ---- checking ---- */

static bool is_float(glot_dtype dtype)
{
    return dtype == GLOT_F32 || dtype == GLOT_F16 || dtype == GLOT_BF16;
}

static bool is_number(glot_dtype dtype)
{
    return is_float(dtype) || glot_dtype_block_elements(dtype) > 1;
}

static glot_status check_stored(const glot_stored_tensor *stored, const glot_param *p, glot_error *err)
{
    char found[96], expected[96];
    if (!glot_tensor_same_shape(&stored->tensor, &p->weight))
        return GLOT_FAIL(err, GLOT_SHAPE_MISMATCH, "'%s': tensor '%s' has shape %s, expected %s",
                         stored->file, stored->name, glot_tensor_shape_text(&stored->tensor, found),
                         glot_tensor_shape_text(&p->weight, expected));
    if (!is_number(stored->tensor.dtype))
        return GLOT_FAIL(err, GLOT_SHAPE_MISMATCH, "'%s': tensor '%s' has type %s, expected F32, F16 or BF16",
                         stored->file, stored->name, glot_dtype_name(stored->tensor.dtype));
    return GLOT_OK;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool may_be_left(const source *s, const glot_model *m, const char *name)
{
    if (s->gguf)
        return strcmp(name, "rope_freqs.weight") == 0;
    return ends_with(name, ".rotary_emb.inv_freq") ||
           (m->config.has_tied_embeddings && strcmp(name, "lm_head.weight") == 0);
}

static glot_status check_left_over(const source *s, const glot_model *m, glot_error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        const glot_stored_tensor *stored = source_at(s, i);
        if (!s->is_used[i] && !may_be_left(s, m, stored->name))
            return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                             "'%s': tensor '%s' does not belong to a %s with this configuration",
                             stored->file, stored->name, m->config.architecture);
    }
    return GLOT_OK;
}

/* ---- taking over ---- */

static bool has_permuted_rows(const source *s, const glot_model *m, const glot_param *p)
{
    return s->gguf && strcmp(m->config.model_type, "llama") == 0 &&
           (p->role == GLOT_ROLE_Q || p->role == GLOT_ROLE_K);
}

/* Row of the file that is row `row` of Q or K here. */
static int64_t permuted_row(int64_t row, int64_t head_dim)
{
    int64_t head = row / head_dim, in_head = row % head_dim, half = head_dim / 2;
    return head * head_dim + 2 * (in_head % half) + in_head / half;
}

/* Copies row by row into memory of the model's own, widened where the file's type is quantised. */
static glot_status copy_rows(glot_model *m, glot_param *p, const glot_stored_tensor *stored, bool is_permuted,
                             glot_error *err)
{
    bool is_quantised = !is_float(stored->tensor.dtype);
    int64_t n_rows = p->weight.n_dims == 1 ? 1 : glot_tensor_rows(&p->weight),
            n_cols = glot_tensor_elements(&p->weight) / n_rows;
    glot_tensor own = glot_tensor_2d(is_quantised ? GLOT_F32 : stored->tensor.dtype, n_rows, n_cols);
    glot_tensor from = glot_tensor_as_2d(&stored->tensor, n_rows, n_cols);
    float *values = NULL;
    GLOT_TRY(m->be->alloc(m->be, &p->weight.addr, glot_tensor_bytes(&own), p->name, err));
    p->is_owned = true;
    p->weight.dtype = own.dtype;
    own.addr = p->weight.addr;
    GLOT_TRY(glot_new(&values, (size_t)n_cols, sizeof *values, "a row of weights", err));
    for (int64_t r = 0; r < n_rows; r++) {
        glot_tensor row = glot_tensor_slice(&own, r, 1);
        glot_tensor file_row =
            glot_tensor_slice(&from, is_permuted ? permuted_row(r, m->config.head_dim) : r, 1);
        if (is_quantised)
            glot_dequantize(values, file_row.addr, file_row.dtype, (size_t)n_cols);
        m->be->upload(m->be, &row, is_quantised ? values : file_row.addr);
    }
    glot_free(values);
    return GLOT_OK;
}

static glot_status take_over(glot_model *m, glot_param *p, const source *s, const glot_stored_tensor *stored,
                             glot_error *err)
{
    bool is_permuted = has_permuted_rows(s, m, p);
    if (is_permuted || !is_float(stored->tensor.dtype))
        return copy_rows(m, p, stored, is_permuted, err);
    GLOT_TRY(m->be->place(m->be, &p->weight, &stored->tensor, err));
    p->is_owned = p->weight.addr != stored->tensor.addr;
    return GLOT_OK;
}

static glot_status read_param(glot_model *m, source *s, const glot_param_id *id, glot_error *err)
{
    glot_param *p = NULL;
    char name[128];
    GLOT_TRY(glot_model_add_unplaced(&p, m, id, err));
    stored_name(name, s, p);
    const glot_stored_tensor *stored = source_find(s, name);
    if (!stored)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor '%s' is missing", s->path, name);
    GLOT_TRY(check_stored(stored, p, err));
    s->is_used[stored - source_at(s, 0)] = true;
    return take_over(m, p, s, stored, err);
}

static glot_status read_params(glot_model *m, source *s, glot_error *err)
{
    glot_param_id *ids = NULL;
    size_t n = 0;
    glot_status status;
    s->count = s->gguf ? glot_gguf_count(s->gguf) : glot_safetensors_count(s->safetensors);
    GLOT_TRY_OUT(glot_new(&s->is_used, s->count, sizeof *s->is_used, "the list of tensors", err));
    GLOT_TRY_OUT(glot_param_list(&ids, &n, &m->config, err));
    for (size_t i = 0; i < n; i++)
        GLOT_TRY_OUT(read_param(m, s, &ids[i], err));
    GLOT_TRY_OUT(check_left_over(s, m, err));
    GLOT_TRY_OUT(glot_model_link(m, err));
out:
    glot_free(ids);
    glot_free(s->is_used);
    return status;
}

/* ---- opening ---- */

static glot_status open_gguf(glot_model **out, glot_backend *be, const char *path, glot_error *err)
{
    glot_gguf *g = NULL;
    glot_model_config config = {0};
    glot_model *m = NULL;
    glot_status status;
    GLOT_TRY(glot_gguf_open(&g, path, err));
    GLOT_TRY_OUT(glot_config_from_gguf(&config, g, err));
    GLOT_TRY_OUT(glot_model_create_empty(&m, be, &config, path, err));
    m->gguf = g;
    source s = {.gguf = g, .path = path};
    status = read_params(m, &s, err);
    glot_gguf_forget(g); /* quantised tensors have been copied */
out:
    glot_config_release(&config);
    if (!m)
        glot_gguf_close(g);
    if (status == GLOT_OK)
        *out = m;
    else
        glot_model_close(m);
    return status;
}

static glot_status read_config(glot_model_config *config, json_t **root, const char *dir, glot_error *err)
{
    char *path = glot_path_join(dir, "config.json");
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the name of a file");
    glot_status status = glot_json_load_file(root, path, err);
    if (status == GLOT_OK)
        status = glot_config_from_json(config, *root, path, err);
    glot_free(path);
    if (status == GLOT_OK)
        status = glot_config_read_special_tokens(config, dir, err);
    return status;
}

/* There is no config.json: what the directory most likely is. */
static glot_status refuse_dir(const char *dir, glot_error *err)
{
    if (glot_dir_has(dir, "model/config.json"))
        return GLOT_FAIL(err, GLOT_NOT_FOUND,
                         "'%s' is a run directory, expected a model: its result is '%s/model'", dir, dir);
    return GLOT_FAIL(err, GLOT_NOT_FOUND, "'%s' is no model directory: it has no config.json", dir);
}

static glot_status open_dir(glot_model **out, glot_backend *be, const char *dir, glot_error *err)
{
    glot_model_config config = {0};
    glot_model *m = NULL;
    json_t *root = NULL;
    glot_status status;
    status = read_config(&config, &root, dir, err);
    if (status == GLOT_NOT_FOUND)
        status = refuse_dir(dir, err);
    GLOT_TRY_OUT(status);
    GLOT_TRY_OUT(glot_model_create_empty(&m, be, &config, dir, err));
    m->base_config = json_incref(root);
    GLOT_TRY_OUT(glot_safetensors_open_dir(&m->safetensors, dir, err));
    source s = {.safetensors = m->safetensors, .path = dir};
    status = read_params(m, &s, err);
out:
    json_decref(root);
    glot_config_release(&config);
    if (status == GLOT_OK)
        *out = m;
    else
        glot_model_close(m);
    return status;
}

glot_status glot_model_open(glot_model **out, glot_backend *be, const char *path, glot_error *err)
{
    if (glot_path_is_dir(path))
        return open_dir(out, be, path, err);
    if (!glot_path_exists(path))
        return GLOT_FAIL(err, GLOT_NOT_FOUND,
                         "'%s' does not exist, expected a model directory or a GGUF file", path);
    if (!glot_gguf_is_file(path))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is neither a model directory nor a GGUF file", path);
    return open_gguf(out, be, path, err);
}
