/* test_golden_forward.c: log p of tiny models of every architecture against transformers
 * (tools/models/golden_models.py): untied and tied, each kind of rotary scaling, head dimensions that are not
 * hidden / heads, documents packed with positions that start again, from safetensors and from GGUF. */
#include "model_util.h"

#include <math.h>

static const double TOLERANCE = 1e-4;

static glot_backend *backend;

static int open_reference(void **state)
{
    glot_error err = {0};
    (void)state;
    return glot_ref_backend_create(&backend, GLOT_F32, &err) == GLOT_OK ? 0 : -1;
}

static int open_cpu(void **state)
{
    glot_error err = {0};
    (void)state;
    return glot_cpu_backend_create(&backend, 2, NULL, &err) == GLOT_OK ? 0 : -1;
}

static int close_backend(void **state)
{
    (void)state;
    glot_backend_close(backend);
    return 0;
}

/* Greatest difference of log p from the golden file; infinity where a number is not comparable. */
static double greatest_difference(const glot_model *m, const char *expected_path)
{
    glot_error err = {0};
    glot_safetensors *s = NULL;
    assert_ok(glot_safetensors_open(&s, expected_path, &err));
    const glot_tensor *ids = golden_tensor(s, "ids", GLOT_I32),
                      *documents = golden_tensor(s, "documents", GLOT_I32);
    const glot_tensor *expected = golden_tensor(s, "log_probs", GLOT_F32);
    float *got = run_documents(m, ids->addr, documents->addr, glot_tensor_elements(documents));
    double greatest = 0.0;
    assert_int_equal(glot_tensor_rows(expected), glot_tensor_elements(ids));
    for (int64_t i = 0; i < glot_tensor_elements(expected); i++) {
        double difference = fabs((double)got[i] - (double)((const float *)expected->addr)[i]);
        greatest = difference <= greatest     ? greatest
                   : difference == difference ? difference
                                              : (double)INFINITY;
    }
    free(got);
    glot_safetensors_close(s);
    return greatest;
}

static void check_model(const char *path, const char *folder)
{
    glot_error err = {0};
    glot_model *m = NULL;
    char model[512], expected[512];
    snprintf(model, sizeof model, MODELS "%s", path);
    snprintf(expected, sizeof expected, MODELS "%s/expected.safetensors", folder);
    assert_ok(glot_model_open(&m, backend, model, &err));
    double difference = greatest_difference(m, expected);
    bool ok = difference <= TOLERANCE;
    if (!ok)
        fail_msg("%s: log p differs from transformers by up to %g, expected at most %g", path, difference,
                 TOLERANCE);
    glot_model_close(m);
}

static void test_hugging_face_models(void **state)
{
    static const char *const names[] = {"llama", "llama_linear_tied", "llama3", "mistral",   "mistral_tied",
                                        "qwen2", "qwen2_tied",        "qwen3",  "qwen3_tied"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        check_model(names[i], names[i]);
}

static void test_gguf_models(void **state)
{
    (void)state;
    check_model("llama3.gguf", "llama3");
    check_model("qwen2.gguf", "qwen2");
    check_model("qwen3.gguf", "qwen3");
    check_model("quantised/model.gguf", "quantised");
}

typedef void change(glot_model_config *c);
static void forget_rope_scaling(glot_model_config *c)
{
    c->rope.type = GLOT_ROPE_DEFAULT;
}
static void change_theta(glot_model_config *c)
{
    c->rope.theta *= 2;
}
static void change_epsilon(glot_model_config *c)
{
    c->rms_norm_eps = 0.01;
}

/* What the golden values are sensitive to: a wrong setting must show far above the tolerance. */
static void test_wrong_settings_show(void **state)
{
    static const struct {
        const char *name;
        change *change;
    } cases[] = {{"llama_linear_tied", forget_rope_scaling},
                 {"llama3", forget_rope_scaling},
                 {"qwen3", change_theta},
                 {"mistral", change_theta},
                 {"qwen2", change_epsilon}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_error err = {0};
        glot_model *m = NULL;
        char model[512], expected[512];
        snprintf(model, sizeof model, MODELS "%s", cases[i].name);
        snprintf(expected, sizeof expected, MODELS "%s/expected.safetensors", cases[i].name);
        assert_ok(glot_model_open(&m, backend, model, &err));
        cases[i].change(&m->config);
        double difference = greatest_difference(m, expected);
        bool shows = difference > 10 * TOLERANCE;
        if (!shows)
            fail_msg("case %zu, %s: a wrong setting changes log p by only %g", i, cases[i].name, difference);
        glot_model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hugging_face_models),
                                       cmocka_unit_test(test_gguf_models),
                                       cmocka_unit_test(test_wrong_settings_show)};
    int n_failed = cmocka_run_group_tests_name("reference", tests, open_reference, close_backend);
    return n_failed + cmocka_run_group_tests_name("cpu", tests, open_cpu, close_backend);
}
