/* test_cmd_allocate.c: `glot allocate` as it is run: the published vector, budgets, export formats, and each file or budget that it refuses. */
#include "byte_folder.h"

#define S_LLAMA                                                                                                                          \
    "[.03594,.04022,.03522,.05034,.06356,.06976,.08423,.09601,.09449,.09777,.10596,.10938,.11644,.10744,"                               \
    ".11516,.11086,.09725,.09073,.08303,.08354,.07783,.06833,.06847,.05480,.04981,.04966,.04810,.04534]"

/* A file "s.json" with this text; JSON wants a digit in front of a point. */
static const char *file(void **state, const char *text)
{
    glot_str fixed = {0};
    for (const char *p = text; *p; p++)
        glot_str_printf(&fixed, "%s%c", *p == '.' && (p == text || p[-1] == ',' || p[-1] == '[') ? "0" : "", *p);
    const char *path = put(state, "s.json", fixed.data);
    glot_str_release(&fixed);
    return path;
}

static void expect_experts(json_t *document, const char *expected, int64_t total, int64_t n_new)
{
    glot_error err = {0};
    json_t *list = NULL;
    OK(glot_json_load(&list, expected, strlen(expected), "expected", &err));
    if (!json_equal(json_object_get(document, "experts"), list))
        fail_msg("experts are %s, expected %s", json_dumps(json_object_get(document, "experts"), 0), expected);
    assert_int_equal(int_at(document, "total"), total);
    assert_int_equal(int_at(document, "new"), n_new);
    json_decref(list);
    json_decref(document);
}

#define ALLOCATE(text, ...) json_of(run_glot(state, "allocate", "--similarity", file(state, text), "--json", __VA_ARGS__))

/* METHOD 5: Llama-3.2-3B. A budget of as many new experts, or of their bytes, gives the same. */
static void test_published(void **state)
{
    static const char expected[] = "[5,5,5,4,3,3,2,2,2,2,2,2,2,2,2,2,2,2,3,3,3,3,3,4,4,4,4,4]";
    json_t *document = ALLOCATE(S_LLAMA, "--delta", "70");
    assert_int_equal(json_object_size(document), 4);
    assert_true(json_real_value(json_object_get(document, "delta")) == 70.0);
    expect_experts(document, expected, 84, 56);
    expect_experts(ALLOCATE(S_LLAMA, "--new-total", "56"), expected, 84, 56);
}

/* One expert of the tiny model takes 3 * 24 * 37 * 4 = 10,656 bytes. */
static void test_bytes(void **state)
{
    char sentence[700];
    const char *m = in_folder(state, "m");
    expect_experts(ALLOCATE("[.1,.2,.4]", "--new-bytes", "42624", "--model", m), "[4,2,1]", 7, 4);
    expect_experts(ALLOCATE("[.1,.2,.4]", "--new-bytes", "42623", "--model", m), "[3,2,1]", 6, 3);
    snprintf(sentence, sizeof sentence, "--new-bytes 10655 is less than one new expert of '%s', which takes 10656 bytes", m);
    expect_failure(run_glot(state, "allocate", "--similarity", file(state, "[.1,.2,.4]"), "--new-bytes", "10655", "--model", m), 2, sentence);
}

/* What an export format holds, and what similarity alone would give. */
static void test_formats(void **state)
{
    json_t *document = ALLOCATE("[.1,.2,.4]", "--new-total", "4", "--for", "mixtral");
    json_t *asked = json_pack("[i, i, i]", 4, 2, 1);
    assert_string_equal(text_at(document, "for"), "mixtral");
    assert_true(json_equal(json_object_get(document, "asked"), asked));
    json_decref(asked);
    expect_experts(document, "[2,2,2]", 6, 3);
    expect_experts(ALLOCATE("[.1,.2,.4,.5]", "--new-total", "3", "--for", "qwen3_moe"), "[2,2,2,1]", 7, 3);
    glot_run run = run_glot(state, "allocate", "--similarity", file(state, "[.1,.2,.4]"), "--new-total", "4", "--for", "gguf");
    assert_int_equal(run.exit_code, 0);
    assert_non_null(strstr(run.out, "gguf holds one count of experts for all layers; similarity alone would give 4 2 1\n"));
    run_release(&run);
    expect_failure(run_glot(state, "allocate", "--similarity", file(state, "[.1,.2,.4]"), "--new-total", "2", "--for", "mixtral"), 2,
                   "mixtral holds one count of experts for all layers: that takes at least 3 new experts, and the budget gives 2");
    expect_failure(run_glot(state, "allocate", "--similarity", file(state, "[.1,.2]"), "--new-total", "2", "--for", "onnx"), 2,
                   "'onnx' is no export format, expected hf, mixtral, qwen2_moe, qwen3_moe, ernie4_5_moe, moe-lpr or gguf");
}

static void test_budgets_refused(void **state)
{
    const char *s = file(state, "[.1,.2]");
    expect_failure(run_glot(state, "allocate", "--similarity", s), 2, "no budget is given, expected one of --delta, --new-total and --new-bytes");
    expect_failure(run_glot(state, "allocate", "--similarity", s, "--delta", "4", "--new-total", "4"), 2,
                   "more than one budget is given, expected one of --delta, --new-total and --new-bytes");
    expect_failure(run_glot(state, "allocate", "--similarity", s, "--new-bytes", "1GiB"), 2,
                   "--new-bytes needs --model, whose shape says what an expert takes");
    expect_failure(run_glot(state, "allocate", "--similarity", s, "--new-total", "0"), 2,
                   "--new-total 0 leaves nothing to allocate, expected at least 1");
    expect_failure(run_glot(state, "allocate", "--similarity", s, "--delta", "1"), 2,
                   "a delta of 1 gives no layer a new expert; the first one comes above 1.5");
}

/* A similarity file that is not one, is impossible, or is of something else: exit code 3. */
static void test_files_refused(void **state)
{
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {"[.1,-0.2]", "'%s': the similarity of layer 1 is -0.2; experts can only be allocated to positive similarities"},
        {"[0,.2]", "'%s': the similarity of layer 0 is 0; experts can only be allocated to positive similarities"},
        {"[.1,\"x\"]", "'%s': S of layer 1 is no number"},
        {"{\"layers\": [{\"S\": 1}], \"experts\": [1]}", "'%s': key 'model' is missing"},
        {"{\"s\": 1}",
         "'%s' is neither a list of S for each layer nor what `glot similarity --json` prints: it has no list 'layers'"},
    };
    char sentence[700];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = file(state, rows[i].text);
        glot_str text = {0};
        for (const char *p = rows[i].sentence; *p; p++)
            p[0] == '%' && p[1] == 's' ? (glot_str_puts(&text, path), p++) : glot_str_append(&text, p, 1);
        expect_failure(run_glot(state, "allocate", "--similarity", path, "--delta", "4"), 3, text.data);
        glot_str_release(&text);
    }
    const char *path = file(state, "[.1,.2]");
    snprintf(sentence, sizeof sentence, "'%s' has 2 layers, but '%s' has 3", path, in_folder(state, "m"));
    expect_failure(run_glot(state, "allocate", "--similarity", path, "--delta", "4", "--model", in_folder(state, "m")), 3, sentence);
}

/* What `glot similarity` measured belongs to that model alone. */
static void test_file_of_another_model(void **state)
{
    glot_error err = {0};
    json_t *document = NULL;
    const char *path = in_folder(state, "s.json"), *m = in_folder(state, "m");
    static const char layers[] = "\"experts\":[1,1,1],\"layers\":[{\"S\":0.1},{\"S\":0.2},{\"S\":0.4}]}";
    char text[300], sentence[700];
    json_t *inspected = json_of(run_glot(state, "upcycle", m, "--experts", "2", "--out", in_folder(state, "up"), "--json", "--quiet"));
    snprintf(text, sizeof text, "{\"model\":\"%s\",%s", text_at(inspected, "base_sha256"), layers);
    json_decref(inspected);
    expect_experts(ALLOCATE(text, "--new-total", "4", "--model", m), "[4,2,1]", 7, 4);
    OK(glot_json_load_file(&document, path, &err));
    char other[65];
    strcpy(other, text_at(document, "model"));
    snprintf(sentence, sizeof sentence, "'%s' was measured on another model than '%s': SHA-256 %c%.11s..., expected %.12s...", path, m,
             other[0] == '0' ? '1' : '0', other + 1, text_at(document, "model"));
    other[0] = other[0] == '0' ? '1' : '0';
    snprintf(text, sizeof text, "{\"model\":\"%s\",%s", other, layers);
    expect_failure(run_glot(state, "allocate", "--similarity", file(state, text), "--new-total", "4", "--model", m), 3, sentence);
    json_decref(document);
}

int main(void)
{
#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, make_model, remove_folder)
    const struct CMUnitTest tests[] = {WITH_MODEL(test_published),       WITH_MODEL(test_bytes),         WITH_MODEL(test_formats),
                                       WITH_MODEL(test_budgets_refused), WITH_MODEL(test_files_refused), WITH_MODEL(test_file_of_another_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
