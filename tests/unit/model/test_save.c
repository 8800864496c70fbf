/* test_save.c: a model that is saved and opened again is the same bit for bit: every architecture, tied and
 * untied, GGUF bases, other types, the files that travel along, and what is left when saving fails. */
#include "model_util.h"
#include "unit/ref_backend.h"

#include <errno.h>
#include <math.h>

static void hash_of(char hex[65], const glot_model *m)
{
    glot_error err = {0};
    assert_ok(glot_model_sha256(hex, m, false, &err));
}

static void test_round_trip(void **state)
{
    static const char *const names[] = {"llama",
                                        "llama_linear_tied",
                                        "llama3",
                                        "mistral",
                                        "mistral_tied",
                                        "qwen2",
                                        "qwen2_tied",
                                        "qwen3",
                                        "qwen3_tied",
                                        "llama3.gguf",
                                        "qwen2.gguf",
                                        "qwen3.gguf",
                                        "quantised/model.gguf"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        glot_error err = {0};
        glot_model *m = NULL, *again = NULL;
        char path[512], before[65], after[65], *dir = make_temp_dir();
        snprintf(path, sizeof path, MODELS "%s", names[i]);
        assert_ok(glot_model_open(&m, backend, path, &err));
        assert_ok(glot_model_save(m, dir, NULL, NULL, 0, &err));
        assert_ok(glot_model_open(&again, backend, dir, &err));
        hash_of(before, m);
        hash_of(after, again);
        assert_string_equal(after, before);
        assert_string_equal(again->config.model_type, m->config.model_type);
        assert_int_equal(again->config.context_length, m->config.context_length);
        assert_int_equal(again->config.has_tied_embeddings, m->config.has_tied_embeddings);
        assert_int_equal(again->config.rope.type, m->config.rope.type);
        assert_true(again->config.rope.theta == m->config.rope.theta &&
                    again->config.rms_norm_eps == m->config.rms_norm_eps);
        if (m->base_config)
            assert_true(json_equal(again->base_config, m->base_config));
        glot_model_close(m);
        glot_model_close(again);
        remove_temp_dir(dir);
    }
}

static void check_same_bytes(const char *a, const char *b, const char *name)
{
    glot_error err = {0};
    char first[65], second[65];
    assert_ok(glot_sha256_file(first, path_of(a, name), &err));
    assert_ok(glot_sha256_file(second, path_of(b, name), &err));
    assert_string_equal(first, second);
}

/* The same model gives the same bytes, and saving what was saved changes nothing. */
static void test_same_bytes(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL, *again = NULL;
    char *one = make_temp_dir(), *two = make_temp_dir();
    (void)state;
    assert_ok(glot_model_open(&m, backend, MODELS "qwen2_tied", &err));
    assert_ok(glot_model_save(m, one, NULL, NULL, 0, &err));
    assert_ok(glot_model_open(&again, backend, one, &err));
    assert_ok(glot_model_save(again, two, NULL, NULL, 0, &err));
    check_same_bytes(one, two, "model.safetensors");
    check_same_bytes(one, two, "config.json");
    assert_ok(glot_model_save(again, one, NULL, NULL, 0, &err)); /* over the files it is mapped from */
    check_same_bytes(one, two, "model.safetensors");
    glot_model_close(m);
    glot_model_close(again);
    remove_temp_dir(one);
    remove_temp_dir(two);
}

static const char *config_text(const glot_model *m, const char *key)
{
    const char *text = json_string_value(json_object_get(m->base_config, key));
    return text ? text : "(none)";
}

static void test_other_types(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL, *wide = NULL, *narrow = NULL;
    char *one = make_temp_dir(), *two = make_temp_dir();
    glot_dtype f32 = GLOT_F32, bf16 = GLOT_BF16;
    (void)state;
    assert_ok(glot_model_open(&m, backend, MODELS "llama3", &err)); /* F16 */
    assert_ok(glot_model_save(m, one, &f32, NULL, 0, &err));
    assert_ok(glot_model_save(m, two, &bf16, NULL, 0, &err));
    assert_ok(glot_model_open(&wide, backend, one, &err));
    assert_ok(glot_model_open(&narrow, backend, two, &err));
    assert_string_equal(config_text(m, "torch_dtype"), "float16");
    assert_string_equal(config_text(wide, "torch_dtype"), "float32");
    assert_string_equal(config_text(narrow, "torch_dtype"), "bfloat16");
    for (size_t i = 0; i < m->n_params; i++) {
        const uint16_t *halves = m->params[i]->weight.addr, *short_bits = narrow->params[i]->weight.addr;
        const float *floats = wide->params[i]->weight.addr;
        assert_int_equal(wide->params[i]->weight.dtype, GLOT_F32);
        assert_int_equal(narrow->params[i]->weight.dtype, GLOT_BF16);
        for (int64_t k = 0; k < glot_tensor_elements(&m->params[i]->weight); k++) {
            assert_true(floats[k] == glot_f16_to_f32(halves[k]));
            assert_int_equal(short_bits[k], glot_f32_to_bf16(floats[k]));
        }
    }
    glot_model_close(m);
    glot_model_close(wide);
    glot_model_close(narrow);
    remove_temp_dir(one);
    remove_temp_dir(two);
}

static char *read_text(const char *dir, const char *name)
{
    glot_error err = {0};
    char *data;
    size_t size;
    assert_ok(glot_file_read(&data, &size, path_of(dir, name), 1 << 20, &err));
    return data;
}

static void test_files_that_travel(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    char *base = make_temp_dir(), *dir = make_temp_dir(), *text;
    (void)state;
    assert_ok(glot_file_copy(path_of(base, "config.json"), MODELS "llama/config.json", &err));
    assert_ok(glot_file_copy(path_of(base, "model.safetensors"), MODELS "llama/model.safetensors", &err));
    write_text(base, "tokenizer.json", "{\"a\": 1}");
    write_text(base, "generation_config.json", "{\"b\": 2}");
    write_text(base, "chat_template.jinja", "template");
    write_text(base, "LICENSE", "terms");
    write_text(base, "README.md", "about the base alone");
    assert_ok(glot_model_open(&m, backend, base, &err));
    assert_ok(glot_model_save(m, dir, NULL, NULL, 0, &err));
    check_same_bytes(base, dir, "tokenizer.json");
    check_same_bytes(base, dir, "generation_config.json");
    check_same_bytes(base, dir, "chat_template.jinja");
    check_same_bytes(base, dir, "LICENSE");
    assert_false(glot_path_exists(path_of(dir, "README.md")));
    assert_ok(glot_model_save(m, dir, NULL, "{}", 2, &err)); /* a tokenizer that is given goes first */
    text = read_text(dir, "tokenizer.json");
    assert_string_equal(text, "{}");
    glot_free(text);
    glot_model_close(m);
    remove_temp_dir(base);
    remove_temp_dir(dir);
}

static void test_gguf_base(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    json_t *settings = NULL;
    char *dir = make_temp_dir(), *text;
    (void)state;
    assert_ok(glot_model_open(&m, backend, MODELS "quantised/model.gguf", &err));
    assert_ok(glot_model_save(m, dir, NULL, "{\"t\": 0}", 8, &err));
    text = read_text(dir, "tokenizer.json");
    assert_string_equal(text, "{\"t\": 0}");
    glot_free(text);
    assert_ok(glot_json_load_file(&settings, path_of(dir, "tokenizer_config.json"), &err));
    assert_string_equal(json_string_value(json_object_get(settings, "bos_token")), "token1");
    assert_string_equal(json_string_value(json_object_get(settings, "eos_token")), "token2");
    assert_string_equal(json_string_value(json_object_get(settings, "chat_template")),
                        "{{ messages[0]['content'] }}");
    assert_true(json_is_false(json_object_get(settings, "add_bos_token")));
    json_decref(settings);
    glot_model_close(m);
    remove_temp_dir(dir);
}

/* ---- failures ---- */

static bool is_model(const char *dir)
{
    glot_error err = {0};
    glot_model *m = NULL;
    glot_status status = glot_model_open(&m, backend, dir, &err);
    glot_model_close(m);
    return status == GLOT_OK;
}

static size_t count_temporary(const char *dir)
{
    glot_error err = {0};
    char **names;
    size_t n, found = 0;
    assert_ok(glot_dir_list(&names, &n, dir, &err));
    for (size_t i = 0; i < n; i++)
        found += strstr(names[i], ".tmp") != NULL;
    glot_dir_list_free(names, n);
    return found;
}

/* Whatever write, fsync or rename fails: an error, nothing half written, and no directory that passes for a
 * model. */
static void test_disk_failures(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    (void)state;
    assert_ok(glot_model_open(&m, backend, MODELS "mistral_tied", &err));
    for (uint64_t n = 1;; n++) {
        char *dir = make_temp_dir();
        glot_file_fail_after(n, ENOSPC);
        glot_status status = glot_model_save(m, dir, NULL, NULL, 0, &err);
        glot_file_fail_after(0, 0);
        if (status != GLOT_OK) {
            assert_true(status == GLOT_NO_SPACE || status == GLOT_IO);
            assert_int_equal(count_temporary(dir), 0);
            if (glot_path_exists(path_of(dir, "config.json"))) /* written last: the rest is whole */
                assert_true(is_model(dir));
        } else
            assert_true(is_model(dir));
        remove_temp_dir(dir);
        if (status == GLOT_OK) {
            assert_true(n > 6);
            break;
        }
    }
    glot_model_close(m);
}

static void test_heap_failures(void **state)
{
    glot_error err = {0};
    glot_model *m = NULL;
    (void)state;
    assert_ok(glot_model_open(&m, backend, MODELS "quantised/model.gguf", &err));
    for (uint64_t n = 1;; n++) {
        char *dir = make_temp_dir();
        glot_heap_fail_after(n);
        glot_status status = glot_model_save(m, dir, NULL, NULL, 0, &err);
        glot_heap_fail_after(0);
        bool is_done = status == GLOT_OK;
        assert_true(is_done || status == GLOT_NOMEM);
        assert_int_equal(is_model(dir), is_done);
        remove_temp_dir(dir);
        if (is_done) {
            assert_true(n > 10);
            break;
        }
    }
    glot_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_other_types),  cmocka_unit_test(test_files_that_travel),
        cmocka_unit_test(test_gguf_base),    cmocka_unit_test(test_disk_failures),
        cmocka_unit_test(test_heap_failures)};
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
