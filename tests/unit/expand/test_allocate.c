/* test_allocate.c: METHOD 5's vectors, budgets, growing, and the layouts of export formats. */
#include "expand/allocate.h"
#include "expand/similarity.h"
#include "unit/tiny_model.h"

#include <math.h>

enum { LLAMA_LAYERS = 28 };
/* Llama-3.2-3B, delta 70 (METHOD 5). */
static const double llama_s[LLAMA_LAYERS] = {
    .03594, .04022, .03522, .05034, .06356, .06976, .08423, .09601, .09449, .09777, .10596, .10938, .11644, .10744,
    .11516, .11086, .09725, .09073, .08303, .08354, .07783, .06833, .06847, .05480, .04981, .04966, .04810, .04534};
static const int32_t llama_n[LLAMA_LAYERS] = {5, 5, 5, 4, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2,
                                              2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4};

static const int32_t *ones(void)
{
    static int32_t counts[GLOT_MAX_LAYERS];
    for (int l = 0; l < GLOT_MAX_LAYERS; l++)
        counts[l] = 1;
    return counts;
}

static void expect_counts(const glot_allocation *a, const int32_t *counts)
{
    for (int64_t l = 0; l < a->n_layers; l++)
        if (a->n_experts[l] != counts[l])
            fail_msg("layer %d has %d experts, expected %d", (int)l, a->n_experts[l], counts[l]);
}

static void test_published(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_allocation a;
    OK(glot_allocate(&a, llama_s, ones(), LLAMA_LAYERS, &(glot_budget){.delta = 70}, &err));
    expect_counts(&a, llama_n);
    assert_int_equal(a.total, 84);
    assert_int_equal(a.n_new, 56);
    assert_true(a.delta == 70.0);
}

/* A number of new experts gives the largest allocation within it, and its delta gives it again. */
static void test_budget(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_allocation a, again;
    OK(glot_allocate(&a, llama_s, ones(), LLAMA_LAYERS, &(glot_budget){.n_new = 56}, &err));
    expect_counts(&a, llama_n);
    for (int64_t n = 1; n <= 300; n++) {
        OK(glot_allocate(&a, llama_s, ones(), LLAMA_LAYERS, &(glot_budget){.n_new = n}, &err));
        assert_int_equal(a.n_new, n); /* no two similarities are equal, so every number can be met */
        OK(glot_allocate(&again, llama_s, ones(), LLAMA_LAYERS, &(glot_budget){.delta = a.delta}, &err));
        expect_counts(&a, again.n_experts);
    }
}

/* Equal layers do not tip over by rounding, and get their experts together. */
static void test_equal_layers(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_allocation a;
    static const double s[3] = {0.1, 0.1, 0.1};
    OK(glot_allocate(&a, s, ones(), 3, &(glot_budget){.delta = 6}, &err));
    expect_counts(&a, (const int32_t[]){2, 2, 2});
    OK(glot_allocate(&a, s, ones(), 3, &(glot_budget){.n_new = 5}, &err));
    expect_counts(&a, (const int32_t[]){2, 2, 2});
    assert_int_equal(a.n_new, 3);
    assert_int_equal(glot_allocate(&a, s, ones(), 3, &(glot_budget){.n_new = 2}, &err), GLOT_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "3 layers are equally alike"));
}

/* In a later expansion N - 1 experts are added to what a layer has. */
static void test_growing(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_allocation a;
    int32_t existing[LLAMA_LAYERS], expected[LLAMA_LAYERS];
    for (int l = 0; l < LLAMA_LAYERS; l++) {
        existing[l] = 1 + l % 4;
        expected[l] = existing[l] + llama_n[l] - 1;
    }
    OK(glot_allocate(&a, llama_s, existing, LLAMA_LAYERS, &(glot_budget){.delta = 70}, &err));
    expect_counts(&a, expected);
    assert_int_equal(a.n_new, 56);
}

static void test_refused(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_allocation a;
    static const double negative[2] = {0.1, -0.1}, zero[2] = {0, 0.1}, good[2] = {0.1, 0.2};
    const double nan_s[2] = {0.1, (double)NAN};
    assert_int_equal(glot_allocate(&a, negative, ones(), 2, &(glot_budget){.delta = 4}, &err), GLOT_BAD_VALUE);
    assert_int_equal(glot_allocate(&a, zero, ones(), 2, &(glot_budget){.delta = 4}, &err), GLOT_BAD_VALUE);
    assert_int_equal(glot_allocate(&a, nan_s, ones(), 2, &(glot_budget){.delta = 4}, &err), GLOT_BAD_VALUE);
    assert_int_equal(glot_allocate(&a, good, ones(), 2, &(glot_budget){.delta = 0}, &err), GLOT_BAD_ARGUMENT);
    assert_int_equal(glot_allocate(&a, good, ones(), 2, &(glot_budget){.delta = (double)NAN}, &err), GLOT_BAD_ARGUMENT);
    assert_int_equal(glot_allocate(&a, good, ones(), 2, &(glot_budget){.delta = 1}, &err), GLOT_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "above 1.5"));
    assert_int_equal(glot_allocate(&a, good, ones(), 2, &(glot_budget){.delta = 600}, &err), GLOT_BAD_ARGUMENT);
    assert_int_equal(glot_allocate(&a, good, ones(), 2, &(glot_budget){.n_new = 100000}, &err), GLOT_BAD_ARGUMENT);
}

/* ---- export formats ---- */

static void fit(glot_allocation *a, const char *name, int64_t n_new, const int32_t *existing, glot_status expected)
{
    glot_error err = {0};
    const glot_layout_format *format;
    static const double s[6] = {.5, .1, .2, .3, .15, .6};
    OK(glot_layout_find(&format, name, &err));
    OK(glot_allocate(a, s, existing, 6, &(glot_budget){.n_new = n_new}, &err));
    assert_int_equal(glot_allocation_fit(a, format, s, existing, &err), expected);
    if (expected == GLOT_OK) {
        assert_true(glot_layout_holds(format, a->n_experts, 6));
        assert_true(a->n_new <= n_new && a->n_new > 0);
    }
}

static void test_formats(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_allocation a;
    static const char *const uniform[] = {"mixtral", "moe-lpr", "gguf"};
    fit(&a, "hf", 7, ones(), GLOT_OK);
    assert_false(a.is_fitted);
    for (size_t i = 0; i < 3; i++) {
        fit(&a, uniform[i], 13, ones(), GLOT_OK); /* two new ones in each of six layers */
        expect_counts(&a, (const int32_t[]){3, 3, 3, 3, 3, 3});
        assert_true(a.is_fitted);
        fit(&a, uniform[i], 5, ones(), GLOT_BAD_ARGUMENT);
    }
    fit(&a, "qwen2_moe", 13, ones(), GLOT_OK);
    expect_counts(&a, (const int32_t[]){3, 3, 3, 3, 3, 3});
    fit(&a, "qwen3_moe", 5, ones(), GLOT_OK); /* the least alike layers; the others dense */
    expect_counts(&a, (const int32_t[]){2, 2, 2, 2, 2, 1});
    fit(&a, "ernie4_5_moe", 3, ones(), GLOT_OK); /* of all runs of three layers the least alike one */
    expect_counts(&a, (const int32_t[]){1, 2, 2, 2, 1, 1});
    assert_int_equal(glot_layout_find(&(const glot_layout_format *){NULL}, "onnx", &err), GLOT_BAD_ARGUMENT);
}

/* Experts that are there stay: a uniform layout begins at the largest count. */
static void test_formats_growing(void **state)
{
    (void)state;
    glot_allocation a;
    static const int32_t existing[6] = {1, 3, 2, 1, 1, 1};
    fit(&a, "mixtral", 9, existing, GLOT_OK);
    expect_counts(&a, (const int32_t[]){3, 3, 3, 3, 3, 3});
    fit(&a, "mixtral", 8, existing, GLOT_BAD_ARGUMENT);
    fit(&a, "qwen3_moe", 3, existing, GLOT_OK);
    expect_counts(&a, (const int32_t[]){1, 3, 3, 1, 3, 1});
    fit(&a, "ernie4_5_moe", 3, existing, GLOT_OK);
    expect_counts(&a, (const int32_t[]){1, 3, 3, 3, 1, 1});
}

/* ---- what an allocation reads ---- */

static glot_status read_text(glot_layer_similarity *s, const char *text, glot_error *err)
{
    json_t *root = NULL;
    assert_int_equal(glot_json_load(&root, text, strlen(text), "s.json", err), GLOT_OK);
    glot_status status = glot_layer_similarity_from_json(s, root, "s.json", err);
    json_decref(root);
    return status;
}

/* A document of one layer with these counts of experts. */
#define DIGITS16 "0123456789abcdef"
#define WITH_EXPERTS(counts)                                                                                                            \
    "{\"model\": \"" DIGITS16 DIGITS16 DIGITS16 DIGITS16 "\", \"layers\": [{\"S\": 0.1}], \"experts\": " counts "}"

static void test_reading(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_layer_similarity s;
    static const char *const bad[] = {
        "{}", "[]", "[0.1, \"x\"]", "{\"layers\": [0.1]}", "{\"layers\": [{\"S\": 0.1}], \"experts\": [1]}",
        WITH_EXPERTS("[1, 1]"), WITH_EXPERTS("[]"), WITH_EXPERTS("[0]"), WITH_EXPERTS("[\"1\"]"), WITH_EXPERTS("3"),
        "{\"model\": \"abc\", \"layers\": [{\"S\": 0.1}], \"experts\": [1]}"};
    assert_int_equal(read_text(&s, "[0.1, 2, 3e-1]", &err), GLOT_OK);
    assert_true(s.n_layers == 3 && s.s[1] == 2.0 && s.n_experts[2] == 1 && !*s.model_sha256);
    assert_int_equal(read_text(&s, WITH_EXPERTS("[3]"), &err), GLOT_OK);
    assert_true(s.n_layers == 1 && s.n_experts[0] == 3 && strlen(s.model_sha256) == 64);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (read_text(&s, bad[i], &err) == GLOT_OK)
            fail_msg("%s is taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published), cmocka_unit_test(test_budget),  cmocka_unit_test(test_equal_layers),
        cmocka_unit_test(test_growing),   cmocka_unit_test(test_refused), cmocka_unit_test(test_formats),
        cmocka_unit_test(test_formats_growing), cmocka_unit_test(test_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
