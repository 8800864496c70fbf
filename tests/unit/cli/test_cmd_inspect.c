/* test_cmd_inspect.c: `glot inspect`: every kind of thing whole, damaged, and with a value that is no number. */
#include "run_glot.h"

#define GOLDEN GLOT_SOURCE_DIR "/tests/golden"

static void test_model_directory(void **state)
{
    json_t *o = json_of(run_glot(state, "inspect", GOLDEN "/models/llama", "--json", "--tensors"));
    assert_string_equal(text_at(o, "kind"), "model directory");
    assert_string_equal(text_at(o, "architecture"), "llama");
    assert_int_equal(int_at(o, "layers"), 3);
    assert_int_equal(int_at(o, "hidden_size"), 48);
    assert_true(json_is_false(json_object_get(o, "expanded")));
    assert_int_equal(strlen(text_at(o, "sha256")), 64);
    const json_t *tensors = json_object_get(o, "tensors");
    int64_t parameters = 0;
    for (size_t i = 0; i < json_array_size(tensors); i++) {
        int64_t n = 1;
        const json_t *shape = json_object_get(json_array_get(tensors, i), "shape");
        for (size_t d = 0; d < json_array_size(shape); d++)
            n *= json_integer_value(json_array_get(shape, d));
        parameters += n;
    }
    assert_int_equal(int_at(o, "parameters"), parameters);
    json_decref(o);
}

static void test_expanded_model(void **state)
{
    json_t *o = json_of(run_glot(state, "inspect", GOLDEN "/training/layerwise", "--json"));
    assert_true(json_is_true(json_object_get(o, "expanded")));
    assert_int_equal(json_array_size(json_object_get(o, "experts")), int_at(o, "layers"));
    assert_int_equal(int_at(o, "experts_per_token"), 2);
    assert_null(json_object_get(o, "tensors"));
    json_decref(o);
}

static void test_gated_model(void **state)
{
    json_t *o = json_of(run_glot(state, "inspect", GOLDEN "/training/gated", "--json", "--tensors"));
    const json_t *tensors = json_object_get(o, "tensors"), *t;
    size_t i, n_gates = 0;
    assert_int_equal(int_at(o, "gated_layers"), 2);
    json_array_foreach(tensors, i, t) {
        if (!strstr(text_at(t, "name"), ".mlp.language_gate.weight"))
            continue;
        const json_t *shape = json_object_get(t, "shape");
        n_gates++;
        assert_int_equal(json_integer_value(json_array_get(shape, 0)), 2);
        assert_int_equal(json_integer_value(json_array_get(shape, 1)), int_at(o, "hidden_size"));
    }
    assert_int_equal(n_gates, 2);
    json_decref(o);
    o = json_of(run_glot(state, "inspect", GOLDEN "/training/layerwise", "--json"));
    assert_null(json_object_get(o, "gated_layers"));
    json_decref(o);
}

static void test_text_form(void **state)
{
    glot_run run = run_glot(state, "inspect", GOLDEN "/models/llama");
    assert_int_equal(run.exit_code, 0);
    assert_non_null(strstr(run.out, "kind                model directory\n"));
    assert_non_null(strstr(run.out, "\nhidden size         48\n"));
    assert_non_null(strstr(run.out, "\ntied embeddings     no\n"));
    assert_non_null(strstr(run.out, "\nwhole               yes\n"));
    run_release(&run);
    run = run_glot(state, "inspect", GOLDEN "/training/layerwise");
    assert_non_null(strstr(run.out, "\nexperts by group    1 (3 times); 0, 2, 1\n"));
    run_release(&run);
}

/* What a person wants to know of a run; its whole record is in the JSON form only. */
static void test_run_directory(void **state)
{
    static const char text[] = "{\"format\": \"glot run\", \"version\": 1, \"glot\": \"0.1.0\", \"job\": \"expand\", \"done\": [\"text\", \"before\"], "
                               "\"metrics_lines\": 1, \"train_steps\": 4, \"samples\": {\"before\": [{\"text\": \"a long story\"}]}, "
                               "\"before\": {\"zh_cn\": {\"bits_per_byte\": 2.5, \"tokens\": 9}}}";
    char expected[1200];
    assert_int_equal(glot_file_write(in_folder(state, "state.json"), text, sizeof text - 1, NULL), GLOT_OK);
    assert_int_equal(glot_file_write(in_folder(state, "recipe.yaml"), "seed: 1\n", 8, NULL), GLOT_OK);
    glot_run run = run_glot(state, "inspect", *state);
    snprintf(expected, sizeof expected,
             "kind                run directory\npath                %s\nglot                0.1.0\njob                 expand\n"
             "done                text, before\ntrain steps         4\nbits per byte\n  zh_cn = before 2.5\nfinished            no\n"
             "has result          no\nwhole               yes\n",
             (const char *)*state);
    assert_string_equal(run.out, expected);
    assert_string_equal(run.err, "");
    run_release(&run);
    json_t *o = json_of(run_glot(state, "inspect", *state, "--json"));
    assert_int_equal(int_at(json_object_get(o, "state"), "train_steps"), 4);
    json_decref(o);
}

static void test_gguf(void **state)
{
    json_t *o = json_of(run_glot(state, "inspect", GOLDEN "/models/qwen3.gguf", "--json"));
    assert_string_equal(text_at(o, "kind"), "GGUF");
    assert_string_equal(text_at(o, "architecture"), "qwen3");
    assert_int_equal(int_at(o, "layers"), 2);
    assert_string_equal(text_at(json_object_get(o, "metadata"), "general.architecture"), "\"qwen3\"");
    assert_int_equal(strlen(text_at(o, "file_sha256")), 64);
    json_decref(o);
}

static void test_safetensors(void **state)
{
    json_t *o = json_of(run_glot(state, "inspect", GOLDEN "/models/llama/model.safetensors", "--json"));
    assert_string_equal(text_at(o, "kind"), "safetensors");
    assert_true(int_at(o, "parameters") > 0);
    json_decref(o);
}

/* One tensor of two numbers, the second of them given as bits. */
static void write_tensor(const char *path, uint32_t second)
{
    static const char header[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}}";
    uint64_t length = sizeof header - 1;
    uint32_t values[2] = {0x3f800000, second};
    glot_str bytes = {0};
    glot_str_append(&bytes, &length, sizeof length);
    glot_str_puts(&bytes, header);
    glot_str_append(&bytes, values, sizeof values);
    assert_int_equal(glot_file_write(path, bytes.data, bytes.length, NULL), GLOT_OK);
    glot_str_release(&bytes);
}

static void expect_bad_value(void **state, uint32_t bits, const char *what)
{
    const char *path = in_folder(state, "w.safetensors");
    char sentence[600];
    write_tensor(path, bits);
    snprintf(sentence, sizeof sentence, "'%s': tensor 'w' has %s at [0, 1], expected finite numbers", path, what);
    expect_failure(run_glot(state, "inspect", path), 3, sentence);
}

static void test_values(void **state)
{
    const char *path = in_folder(state, "w.safetensors");
    write_tensor(path, 0x7f7fffff); /* the greatest finite number */
    json_t *o = json_of(run_glot(state, "inspect", path, "--json"));
    assert_int_equal(int_at(o, "parameters"), 2);
    json_decref(o);
    expect_bad_value(state, 0x7fc00000, "a NaN");
    expect_bad_value(state, 0x7f800001, "a NaN");
    expect_bad_value(state, 0xff800000, "an infinity");
}

/* A file cut anywhere is named and refused. */
static void test_truncated(void **state)
{
    static const char *const files[] = {GOLDEN "/models/qwen3.gguf", GOLDEN "/models/llama/model.safetensors"};
    static const char *const names[] = {"cut.gguf", "cut.safetensors"};
    for (size_t f = 0; f < 2; f++) {
        char *data = NULL;
        size_t size = 0;
        const char *path = in_folder(state, names[f]);
        assert_int_equal(glot_file_read(&data, &size, files[f], 1 << 24, NULL), GLOT_OK);
        for (size_t cut = 1; cut < 4; cut++) {
            assert_int_equal(glot_file_write(path, data, size * cut / 4, NULL), GLOT_OK);
            glot_run run = run_glot(state, "inspect", path, "--json");
            assert_int_equal(run.exit_code, 3);
            assert_non_null(strstr(run.err, path));
            assert_string_equal(run.out, "");
            run_release(&run);
        }
        glot_free(data);
    }
}

static void test_unknown_things(void **state)
{
    char sentence[800];
    const char *path = in_folder(state, "notes.txt");
    assert_int_equal(glot_file_write(path, "just text", 9, NULL), GLOT_OK);
    snprintf(sentence, sizeof sentence,
             "'%s' is nothing that glot knows, expected a model directory, GGUF, safetensors, tokenizer.json, token store, "
             "checkpoint or run directory",
             path);
    expect_failure(run_glot(state, "inspect", path), 3, sentence);
    glot_run run = run_glot(state, "inspect", *state);
    assert_int_equal(run.exit_code, 3);
    run_release(&run);
    path = in_folder(state, "results.json"); /* an object, but no tokenizer */
    assert_int_equal(glot_file_write(path, "{\"model\": 1}", 12, NULL), GLOT_OK);
    snprintf(sentence, sizeof sentence, "error: '%s' is nothing that glot knows", path);
    run = run_glot(state, "inspect", path);
    assert_int_equal(run.exit_code, 3);
    assert_int_equal(strncmp(run.err, sentence, strlen(sentence)), 0);
    run_release(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_model_directory), IN_FOLDER(test_expanded_model), IN_FOLDER(test_gated_model), IN_FOLDER(test_text_form),
        IN_FOLDER(test_gguf),            IN_FOLDER(test_safetensors),    IN_FOLDER(test_values),
        IN_FOLDER(test_truncated),       IN_FOLDER(test_unknown_things), IN_FOLDER(test_run_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
