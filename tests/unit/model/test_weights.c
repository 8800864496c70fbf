/* test_weights.c: opening model directories and GGUF files: what is mapped and what is copied, shards, the
 * order of Q and K rows, and every kind of malformed directory with the sentence it gets. */
#include "model_util.h"
#include "unit/ref_backend.h"

#include <math.h>

static const glot_param *find_param(const glot_model *m, const char *name)
{
    for (size_t i = 0; i < m->n_params; i++)
        if (strcmp(m->params[i]->name, name) == 0)
            return m->params[i];
    fail_msg("the model has no '%s'", name);
    return NULL;
}

static float *values_of(const glot_model *m, const glot_param *p)
{
    glot_tensor wide = p->weight;
    wide.dtype = GLOT_F32;
    float *out = malloc(glot_tensor_bytes(&wide));
    assert_non_null(out);
    wide.addr = out;
    m->be->copy(m->be, &wide, &p->weight); /* the reference backend's memory is the host's */
    return out;
}

/* ---- what is opened ---- */

static void test_directory(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    (void)state;
    assert_ok(glot_model_open(&m, backend, MODELS "qwen2_tied", &err));
    assert_int_equal(m->n_params, 1 + 2 * 12 + 1);
    assert_ptr_equal(m->lm_head, m->embedding);
    assert_string_equal(m->params[0]->name, "model.embed_tokens.weight");
    assert_string_equal(m->params[m->n_params - 1]->name, "model.norm.weight");
    for (size_t i = 0; i < m->n_params; i++) {
        assert_int_equal(m->params[i]->weight.dtype, GLOT_BF16);
        assert_false(m->params[i]->is_owned); /* mapped */
        assert_false(m->params[i]->is_trainable);
        assert_null(m->params[i]->grad.addr);
    }
    const glot_layer *layer = &m->layers[1];
    assert_string_equal(layer->q_bias->name, "model.layers.1.self_attn.q_proj.bias");
    assert_null(layer->q_norm);
    assert_null(layer->router);
    assert_int_equal(layer->moe.n_experts, 1);
    assert_int_equal(layer->moe.top_k, 1);
    assert_ptr_equal(layer->moe.gate_proj[0], &layer->gate_proj[0]->weight);
    assert_null(layer->moe.d_down_proj[0]);
    assert_int_equal(m->config.eos_id, 2);
    glot_model_close(m);
}

/* A GGUF holds the numbers of the directory beside it, whatever the order of its rows; what need not be
 * turned is mapped. */
static void test_gguf_is_the_directory(void **state)
{
    static const char *const names[] = {"llama3", "qwen2", "qwen3"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        glot_error err = {0};
        glot_model *directory = NULL, *gguf = NULL;
        char path[512];
        snprintf(path, sizeof path, MODELS "%s", names[i]);
        assert_ok(glot_model_open(&directory, backend, path, &err));
        snprintf(path, sizeof path, MODELS "%s.gguf", names[i]);
        assert_ok(glot_model_open(&gguf, backend, path, &err));
        assert_int_equal(directory->n_params, gguf->n_params);
        for (size_t k = 0; k < gguf->n_params; k++) {
            const glot_param *p = gguf->params[k], *expected = find_param(directory, p->name);
            float *got = values_of(gguf, p), *want = values_of(directory, expected);
            assert_true(glot_tensor_same_shape(&p->weight, &expected->weight));
            assert_memory_equal(got, want, (size_t)glot_tensor_elements(&p->weight) * sizeof *got);
            bool is_turned = i == 0 && (p->role == GLOT_ROLE_Q || p->role == GLOT_ROLE_K);
            assert_int_equal(p->is_owned, is_turned);
            assert_int_equal(p->weight.dtype, p->weight.n_dims == 2 ? GLOT_F16 : GLOT_F32);
            free(got);
            free(want);
        }
        assert_int_equal(gguf->config.rope.type, i == 0 ? GLOT_ROPE_LLAMA3 : GLOT_ROPE_DEFAULT);
        assert_true(gguf->config.rms_norm_eps == 1e-5 &&
                    gguf->config.rope.theta == directory->config.rope.theta);
        assert_true(gguf->config.rope.factor == directory->config.rope.factor);
        assert_true(gguf->config.rope.low_freq_factor == directory->config.rope.low_freq_factor);
        assert_true(gguf->config.rope.high_freq_factor == directory->config.rope.high_freq_factor);
        assert_int_equal(gguf->config.rope.original_max_positions,
                         directory->config.rope.original_max_positions);
        glot_model_close(directory);
        glot_model_close(gguf);
    }
}

static void test_quantised_gguf(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    (void)state;
    assert_ok(glot_model_open(&m, backend, MODELS "quantised/model.gguf", &err));
    for (size_t i = 0; i < m->n_params; i++) {
        assert_int_equal(m->params[i]->weight.dtype, GLOT_F32);
        assert_int_equal(m->params[i]->is_owned, m->params[i]->weight.n_dims == 2);
    }
    assert_true(m->config.has_tied_embeddings);
    assert_int_equal(m->config.bos_id, 1);
    assert_int_equal(m->config.eos_id, 2);
    glot_model_close(m);
}

/* ---- malformed directories ---- */

/* A list of tensors to write: those of a golden model, then changed. */
typedef struct tensor_list {
    glot_safetensors *file;
    glot_save_tensor items[64];
    size_t n;
    float spare[97 * 48]; /* bytes for tensors that the golden model does not have */
} tensor_list;

static void read_list(tensor_list *list, const char *golden)
{
    glot_error err = {0};
    char path[512];
    snprintf(path, sizeof path, MODELS "%s/model.safetensors", golden);
    *list = (tensor_list){0};
    assert_ok(glot_safetensors_open(&list->file, path, &err));
    for (size_t i = 0; i < glot_safetensors_count(list->file); i++) {
        const glot_stored_tensor *t = glot_safetensors_at(list->file, i);
        list->items[list->n++] = (glot_save_tensor){t->name, t->tensor};
    }
}

static glot_save_tensor *item(tensor_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    fail_msg("the golden model has no '%s'", name);
    return NULL;
}

static void drop(tensor_list *list, const char *name)
{
    glot_save_tensor *t = item(list, name);
    *t = list->items[--list->n];
}

static void add(tensor_list *list, const char *name, glot_tensor shape)
{
    shape.addr = list->spare;
    list->items[list->n++] = (glot_save_tensor){name, shape};
}

static void drop_norm(tensor_list *list)
{
    drop(list, "model.norm.weight");
}
static void drop_bias(tensor_list *list)
{
    drop(list, "model.layers.1.self_attn.k_proj.bias");
}
static void reshape_up(tensor_list *list)
{
    glot_tensor *t = &item(list, "model.layers.1.mlp.up_proj.weight")->tensor;
    *t = glot_tensor_as_2d(t, 48, 40);
}
static void flatten_norm(tensor_list *list)
{
    glot_tensor *t = &item(list, "model.norm.weight")->tensor;
    *t = glot_tensor_as_2d(t, 1, 48);
}
static void shorten_embedding(tensor_list *list)
{
    glot_tensor *t = &item(list, "model.embed_tokens.weight")->tensor;
    *t = glot_tensor_slice(t, 0, 96);
}
static void make_integer(tensor_list *list)
{
    item(list, "model.layers.0.self_attn.o_proj.weight")->tensor.dtype = GLOT_I32;
}
static void make_double(tensor_list *list)
{
    glot_save_tensor *t = item(list, "model.norm.weight");
    t->tensor = glot_tensor_1d(GLOT_F64, 48);
    t->tensor.addr = list->spare;
}
static void add_bias(tensor_list *list)
{
    add(list, "model.layers.0.self_attn.o_proj.bias", glot_tensor_1d(GLOT_F32, 48));
}
static void add_layer(tensor_list *list)
{
    add(list, "model.layers.2.input_layernorm.weight", glot_tensor_1d(GLOT_F32, 48));
}
static void add_head(tensor_list *list)
{
    add(list, "lm_head.weight", glot_tensor_2d(GLOT_F32, 97, 48));
}
static void add_inverse_frequencies(tensor_list *list)
{
    add(list, "model.layers.0.self_attn.rotary_emb.inv_freq", glot_tensor_1d(GLOT_F32, 4));
    add(list, "model.layers.1.self_attn.rotary_emb.inv_freq", glot_tensor_1d(GLOT_F32, 4));
}
static void change_nothing(tensor_list *list)
{
    (void)list;
}

static void write_directory(const char *dir, tensor_list *list, const char *golden)
{
    glot_error err = {0};
    char path[512];
    snprintf(path, sizeof path, MODELS "%s/config.json", golden);
    assert_ok(glot_file_copy(path_of(dir, "config.json"), path, &err));
    assert_ok(glot_safetensors_save(path_of(dir, "model.safetensors"), list->items, list->n, NULL, NULL, NULL,
                                    NULL, NULL, &err));
}

typedef struct malformed {
    const char *golden;
    void (*change)(tensor_list *list);
    glot_status status;
    const char *sentence; /* behind "'DIR" */
} malformed;

static void test_malformed_directories(void **state)
{
    static const malformed cases[] = {
        {"mistral", change_nothing, GLOT_OK, ""},
        {"mistral", drop_norm, GLOT_BAD_FORMAT, "': tensor 'model.norm.weight' is missing"},
        {"qwen2", drop_bias, GLOT_BAD_FORMAT, "': tensor 'model.layers.1.self_attn.k_proj.bias' is missing"},
        {"mistral", reshape_up, GLOT_SHAPE_MISMATCH,
         "/model.safetensors': tensor 'model.layers.1.mlp.up_proj.weight' has shape [48, 40], expected [40, "
         "48]"},
        {"mistral", flatten_norm, GLOT_SHAPE_MISMATCH,
         "/model.safetensors': tensor 'model.norm.weight' has shape [1, 48], expected [48]"},
        {"mistral", shorten_embedding, GLOT_SHAPE_MISMATCH,
         "/model.safetensors': tensor 'model.embed_tokens.weight' has shape [96, 48], expected [97, 48]"},
        {"mistral", make_integer, GLOT_SHAPE_MISMATCH,
         "/model.safetensors': tensor 'model.layers.0.self_attn.o_proj.weight' has type I32, expected F32, "
         "F16 or BF16"},
        {"mistral", make_double, GLOT_SHAPE_MISMATCH,
         "/model.safetensors': tensor 'model.norm.weight' has type F64, expected F32, F16 or BF16"},
        {"qwen2", add_bias, GLOT_BAD_FORMAT,
         "/model.safetensors': tensor 'model.layers.0.self_attn.o_proj.bias' does not belong to a "
         "Qwen2ForCausalLM with this "
         "configuration"},
        {"mistral", add_layer, GLOT_BAD_FORMAT,
         "/model.safetensors': tensor 'model.layers.2.input_layernorm.weight' does not belong to a "
         "MistralForCausalLM with this "
         "configuration"},
        {"mistral", add_inverse_frequencies, GLOT_OK, ""},
        {"mistral_tied", add_head, GLOT_OK, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_error err = {0};
        glot_model *m = NULL;
        tensor_list list;
        char *dir = make_temp_dir(), expected[1024];
        read_list(&list, cases[i].golden);
        cases[i].change(&list);
        write_directory(dir, &list, cases[i].golden);
        glot_status status = glot_model_open(&m, backend, dir, &err);
        snprintf(expected, sizeof expected, "'%s%s", dir, cases[i].sentence);
        if (status != cases[i].status || (status != GLOT_OK && strcmp(err.message, expected) != 0))
            fail_msg("case %zu: got %s, '%s', expected %s, '%s'", i, glot_status_name(status), err.message,
                     glot_status_name(cases[i].status), expected);
        glot_model_close(m);
        glot_safetensors_close(list.file);
        remove_temp_dir(dir);
    }
}

static void test_missing_files(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    char *dir = make_temp_dir();
    (void)state;
    assert_refused(glot_model_open(&m, backend, path_of(dir, "none"), &err), GLOT_NOT_FOUND,
                   "/none' does not exist, expected a model directory or a GGUF file");
    assert_refused(glot_model_open(&m, backend, dir, &err), GLOT_NOT_FOUND, "' is no model directory: it has no config.json");
    assert_ok(glot_dir_make(path_of(dir, "model"), &err));
    write_text(dir, "model/config.json", "{}");
    assert_refused(glot_model_open(&m, backend, dir, &err), GLOT_NOT_FOUND, "' is a run directory, expected a model: its result is '");
    write_text(dir, "notes.txt", "not a model");
    assert_refused(glot_model_open(&m, backend, path_of(dir, "notes.txt"), &err), GLOT_BAD_FORMAT,
                   "/notes.txt' is neither a model directory nor a GGUF file");
    write_text(dir, "config.json", "{\"model_type\": \"llama\"");
    assert_refused(glot_model_open(&m, backend, dir, &err), GLOT_BAD_FORMAT,
                   "/config.json' is not valid JSON");
    assert_ok(glot_file_copy(path_of(dir, "config.json"), MODELS "llama/config.json", &err));
    assert_refused(glot_model_open(&m, backend, dir, &err), GLOT_NOT_FOUND, "model.safetensors");
    remove_temp_dir(dir);
}

/* Values are looked at when asked for, not when opening. */
static void test_values(void **state)
{
    static const struct {
        float value;
        const char *sentence;
    } cases[] = {
        {NAN, "tensor 'model.layers.1.mlp.up_proj.weight' has a NaN at [3, 7], expected finite numbers"},
        {-INFINITY,
         "tensor 'model.layers.1.mlp.up_proj.weight' has an infinity at [3, 7], expected finite numbers"}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        glot_error err = {0};
        glot_model *m = NULL;
        tensor_list list;
        char *dir = make_temp_dir();
        read_list(&list, "mistral");
        glot_tensor *t = &item(&list, "model.layers.1.mlp.up_proj.weight")->tensor;
        memcpy(list.spare, t->addr, glot_tensor_bytes(t));
        list.spare[3 * 48 + 7] = cases[i].value;
        t->addr = list.spare;
        write_directory(dir, &list, "mistral");
        assert_ok(glot_model_open(&m, backend, dir, &err));
        assert_refused(glot_model_check_values(m, &err), GLOT_BAD_VALUE, cases[i].sentence);
        glot_model_close(m);
        glot_safetensors_close(list.file);
        remove_temp_dir(dir);
    }
    glot_error err = {0};
    glot_model *m = NULL;
    assert_ok(glot_model_open(&m, backend, MODELS "llama", &err));
    assert_ok(glot_model_check_values(m, &err));
    glot_model_close(m);
}

static void test_shards(void **state)
{
    glot_error err = {0};
    glot_model *whole = NULL, *parts = NULL;
    tensor_list list;
    char *dir = make_temp_dir(), expected[65], got[65];
    (void)state;
    read_list(&list, "mistral");
    assert_ok(glot_file_copy(path_of(dir, "config.json"), MODELS "mistral/config.json", &err));
    assert_ok(glot_safetensors_save_dir(dir, list.items, list.n, NULL, 40000, NULL, NULL, &err));
    assert_true(glot_path_exists(path_of(dir, "model.safetensors.index.json")));
    assert_ok(glot_model_open(&whole, backend, MODELS "mistral", &err));
    assert_ok(glot_model_open(&parts, backend, dir, &err));
    assert_ok(glot_model_sha256(expected, whole, false, &err));
    assert_ok(glot_model_sha256(got, parts, false, &err));
    assert_string_equal(got, expected);
    glot_model_close(whole);
    glot_model_close(parts);
    glot_safetensors_close(list.file);
    remove_temp_dir(dir);
}

/* ---- BOS and EOS where config.json leaves them out ---- */

static void write_without_ids(const char *dir)
{
    glot_error err = {0};
    json_t *root = NULL;
    tensor_list list;
    assert_ok(glot_json_load_file(&root, MODELS "mistral/config.json", &err));
    json_object_del(root, "bos_token_id");
    json_object_set_new(root, "eos_token_id", json_null());
    char *text = glot_json_dump(root, 1);
    read_list(&list, "mistral");
    write_directory(dir, &list, "mistral");
    write_text(dir, "config.json", text);
    glot_safetensors_close(list.file);
    free(text);
    json_decref(root);
}

static void check_ids(const char *dir, const char *settings, const char *tokenizer, int32_t bos, int32_t eos)
{
    glot_error err = {0};
    glot_model *m = NULL;
    if (settings)
        write_text(dir, "tokenizer_config.json", settings);
    if (tokenizer)
        write_text(dir, "tokenizer.json", tokenizer);
    assert_ok(glot_model_open(&m, backend, dir, &err));
    assert_int_equal(m->config.bos_id, bos);
    assert_int_equal(m->config.eos_id, eos);
    glot_model_close(m);
}

static void test_special_tokens(void **state)
{
    char *dir = make_temp_dir();
    glot_error err = {0};
    glot_model *m = NULL;
    (void)state;
    write_without_ids(dir);
    check_ids(dir, NULL, NULL, -1, -1);
    check_ids(dir, "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}}", NULL, -1, -1);
    check_ids(dir,
              "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\"}, "
              "\"added_tokens_decoder\": {\"5\": {\"content\": \"<s>\"}, \"8\": {\"content\": \"</s>\"}}}",
              NULL, 5, 8);
    check_ids(
        dir, "{\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}",
        "{\"added_tokens\": [{\"id\": 7, \"content\": \"<s>\"}], \"model\": {\"vocab\": {\"</s>\": 9}}}", 7,
        9);
    check_ids(dir, "{\"bos_token\": null, \"eos_token\": \"</s>\"}", NULL, -1, 9);
    write_text(dir, "tokenizer_config.json",
               "{\"eos_token\": \"</s>\", \"added_tokens_decoder\": {\"97\": {\"content\": \"</s>\"}}}");
    assert_refused(glot_model_open(&m, backend, dir, &err), GLOT_BAD_VALUE,
                   "/tokenizer_config.json': the id of 'eos_token', token '</s>', is 97 but the vocabulary "
                   "has 97 entries");
    remove_temp_dir(dir);
}

/* ---- memory ---- */

static void test_heap_failures(void **state)
{
    uint64_t n_failed = 0;
    (void)state;
    for (uint64_t n = 1;; n++) {
        glot_error err = {0};
        glot_model *m = NULL;
        glot_heap_fail_after(n);
        glot_status status =
            glot_model_open(&m, backend, n % 2 ? MODELS "qwen2_tied" : MODELS "quantised/model.gguf", &err);
        glot_heap_fail_after(0);
        glot_model_close(m);
        if (status == GLOT_OK && n % 2 == 0)
            break;
        if (status != GLOT_OK)
            assert_int_equal(status, GLOT_NOMEM);
        n_failed += status != GLOT_OK;
    }
    assert_true(n_failed > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directory),      cmocka_unit_test(test_gguf_is_the_directory),
        cmocka_unit_test(test_quantised_gguf), cmocka_unit_test(test_malformed_directories),
        cmocka_unit_test(test_missing_files),  cmocka_unit_test(test_values),
        cmocka_unit_test(test_shards),         cmocka_unit_test(test_special_tokens),
        cmocka_unit_test(test_heap_failures)};
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
